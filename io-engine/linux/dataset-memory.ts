// Memory for the dataset, where a process has plenty of it: in huge pages where the kernel has them, since nobody forks here
// and a look-up at random needs a page table's entry for each page. Segments are cut from reservations of a gigabyte,
// which the kernel backs as they are touched: V8 counts a buffer's length against its collector's patience when it is
// made, and collected its whole heap, which takes tens of milliseconds, for every few segments that had one each. A segment
// that is given back goes back to the kernel at once and not when V8 finds out. A dataset that grows finds its next segment
// backed: on a virtual machine whose host has to find the memory too, touching a huge page for the first time takes milliseconds.
// For src/server.ts.
import { addressOf, adviseHugePages, discardPages, populatePages } from './libc.ts';

/** A segment that starts here is a number of huge pages, and its blocks lie at cache lines. */
const HUGE_PAGE_BYTES = 2 * 1024 * 1024;
const RESERVATION_BYTES = 1024 * 1024 * 1024;
const CACHE_LINE_BYTES = 64;

export class DatasetMemory {
  readonly #segmentBytes: number;
  readonly #reservationBytes: number;
  #reservation = new Uint8Array(0);
  #next = 0;
  /** The segment after the one that is being filled; none yet while one is enough. */
  #prepared: Uint8Array<ArrayBuffer> | null = null;
  readonly #free: Uint8Array<ArrayBuffer>[] = [];

  /** @param segmentBytes the usual size; others get memory of their own. A multiple of 2 MiB. */
  constructor(segmentBytes: number, reservationBytes = RESERVATION_BYTES) {
    this.#segmentBytes = segmentBytes;
    this.#reservationBytes = reservationBytes;
  }

  /** Zeroed bytes that start at a cache line. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    if (bytes !== this.#segmentBytes) return hugePages(bytes, CACHE_LINE_BYTES);
    const used = this.#free.pop();
    if (used !== undefined) return used;
    const isFirst = this.#reservation.length === 0;
    const segment = this.#prepared ?? this.#cut();
    if (!isFirst) {
      this.#prepared = this.#cut();
      populatePages(Number(addressOf(this.#prepared)), bytes, HUGE_PAGE_BYTES);
    }
    return segment;
  }

  /** Takes back what `take` gave. Nobody may read it any more. */
  give(memory: Uint8Array<ArrayBuffer>): void {
    if (memory.length !== this.#segmentBytes) return;
    if (!discardPages(Number(addressOf(memory)), memory.length)) memory.fill(0);
    this.#free.push(memory);
  }

  #cut(): Uint8Array<ArrayBuffer> {
    if (this.#next + this.#segmentBytes > this.#reservation.length) this.#reserve();
    const { buffer, byteOffset } = this.#reservation;
    const segment = new Uint8Array(buffer, byteOffset + this.#next, this.#segmentBytes);
    this.#next += this.#segmentBytes;
    return segment;
  }

  #reserve(): void {
    this.#next = 0;
    try {
      this.#reservation = hugePages(this.#reservationBytes, HUGE_PAGE_BYTES);
    } catch (error) {
      // Where address space is rationed: as much as is needed now.
      if (!(error instanceof RangeError)) throw error;
      this.#reservation = hugePages(this.#segmentBytes, HUGE_PAGE_BYTES);
    }
  }
}

/** Zeroed memory; the kernel backs what was touched. @param alignment a power of two. */
function hugePages(bytes: number, alignment: number): Uint8Array<ArrayBuffer> {
  const buffer = new ArrayBuffer(bytes + alignment);
  const address = Number(addressOf(new Uint8Array(buffer)));
  adviseHugePages(address, buffer.byteLength);
  return new Uint8Array(buffer, (alignment - (address % alignment)) % alignment, bytes);
}
