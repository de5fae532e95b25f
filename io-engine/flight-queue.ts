// Frames on their way over a memory wire: a binary heap by (arrival, order of sending) over parallel arrays, so that a
// simulation of millions of frames makes no garbage. Only memory-wire.ts imports this.
import { copyBytes, FrameArena } from './frame-arena.ts';
import { NO_FRAME } from './frame-engine.ts';

export class FlightQueue {
  readonly arena: FrameArena;
  readonly offset: Int32Array;
  readonly length: Int32Array;
  readonly from: Int32Array;
  readonly to: Int32Array;
  readonly flags: Int32Array;
  readonly lost: Uint8Array;
  count = 0;
  readonly #arrivalUs: Float64Array;
  readonly #order: Float64Array;
  readonly #heap: Int32Array;
  readonly #freeEntries: Int32Array;
  #freeCount: number;
  #sent = 0;
  #newest = 0;

  constructor(capacity: number, slotBytes: number) {
    this.arena = new FrameArena(capacity, slotBytes);
    this.offset = new Int32Array(capacity);
    this.length = new Int32Array(capacity);
    this.from = new Int32Array(capacity);
    this.to = new Int32Array(capacity);
    this.flags = new Int32Array(capacity);
    this.lost = new Uint8Array(capacity);
    this.#arrivalUs = new Float64Array(capacity);
    this.#order = new Float64Array(capacity);
    this.#heap = new Int32Array(capacity);
    this.#freeEntries = Int32Array.from({ length: capacity }, (_, i) => i);
    this.#freeCount = capacity;
  }

  get nextUs(): number {
    return this.#arrivalUs[this.#heap[0]];
  }

  get newestOffset(): number {
    return this.offset[this.#newest];
  }

  markLost(): void {
    this.lost[this.#newest] = 1;
  }

  clearFlags(flags: number): void {
    this.flags[this.#newest] &= ~flags;
  }

  /** False: no room. */
  push(
    arrivalUs: number,
    from: number,
    to: number,
    view: DataView,
    offset: number,
    length: number,
    flags: number,
  ): boolean {
    const slot = this.#freeCount > 0 ? this.arena.allocate() : NO_FRAME;
    if (slot === NO_FRAME) return false;
    const entry = this.#freeEntries[--this.#freeCount];
    copyBytes(this.arena.view, slot, view, offset, length);
    this.offset[entry] = slot;
    this.length[entry] = length;
    this.from[entry] = from;
    this.to[entry] = to;
    this.flags[entry] = flags;
    this.lost[entry] = 0;
    this.#arrivalUs[entry] = arrivalUs;
    this.#order[entry] = this.#sent++;
    this.#newest = entry;
    this.#siftUp(this.count++, entry);
    return true;
  }

  /** The next entry to arrive; its fields are valid until `release`. */
  shift(): number {
    const entry = this.#heap[0];
    const last = this.#heap[--this.count];
    if (this.count > 0) this.#siftDown(last);
    return entry;
  }

  release(entry: number): void {
    this.arena.free(this.offset[entry]);
    this.#freeEntries[this.#freeCount++] = entry;
  }

  clear(): void {
    while (this.count > 0) this.release(this.shift());
  }

  #before(a: number, b: number): boolean {
    const difference = this.#arrivalUs[a] - this.#arrivalUs[b];
    return difference !== 0 ? difference < 0 : this.#order[a] < this.#order[b];
  }

  #siftUp(start: number, entry: number): void {
    const heap = this.#heap;
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(entry, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = entry;
  }

  #siftDown(entry: number): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.count) break;
      if (child + 1 < this.count && this.#before(heap[child + 1], heap[child])) child++;
      if (!this.#before(heap[child], entry)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = entry;
  }
}
