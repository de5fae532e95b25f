// What the engines over a FrameArena have in common: the ring of frames received and not yet read, the ring of
// frames committed and not yet sent, and the wake-up. A subclass calls `deliver` when its device has a frame and
// writes `transmit` for one that goes out. Only io-engine/ imports this.
import { copyBytes, FrameArena } from './frame-arena.ts';
import {
  createBatch,
  createCounters,
  type EngineCounters,
  type EngineName,
  type FrameBatch,
  type FrameEngine,
  type Link,
  NO_FRAME,
} from './frame-engine.ts';

/** Frames in a ring unless the options say otherwise. */
export const DEFAULT_RING = 256;

export interface ArenaEngineSizes {
  readonly rxRing: number;
  readonly txRing: number;
  readonly batch: number;
}

/** Never fires in practice; its only purpose is to keep the process alive while the engine waits. */
const KEEP_ALIVE_MS = 0x7fffffff;

export abstract class ArenaEngine implements FrameEngine {
  abstract readonly name: EngineName;
  readonly link: Link;
  readonly memory: Uint8Array;
  readonly batch: FrameBatch;
  readonly counters: EngineCounters = createCounters();

  readonly #arena: FrameArena;
  readonly #rx: FrameRing;
  readonly #tx: FrameRing;
  /** Frames of the last batch, whose slots the next `receive()` frees. */
  #held = 0;
  #reserved = NO_FRAME;
  #onReadable: (() => void) | null = null;
  #wakeQueued = false;
  #keepAlive: NodeJS.Timeout | null = null;
  #closed = false;

  protected constructor(link: Link, sizes: ArenaEngineSizes) {
    this.link = link;
    // Read and unread frames together may fill the receive ring, committed and reserved ones the transmit ring.
    this.#arena = new FrameArena(sizes.rxRing + sizes.txRing, link.frameCapacity);
    this.#rx = new FrameRing(sizes.rxRing);
    this.#tx = new FrameRing(sizes.txRing);
    this.memory = this.#arena.memory;
    this.batch = createBatch(sizes.batch);
  }

  /** Sends one frame. It may be gone from `memory` after the return. False: the device refused it. */
  protected abstract transmit(offset: number, length: number, segmentSize: number): boolean;

  /** Gives the device back; called once. */
  protected abstract closeDevice(): void;

  /** Called once before the first `onReadable` could come, for devices that start reading late. */
  protected startReading(): void {}

  /** Fetches what the device holds and has not told of, for devices that are polled. */
  protected collect(): void {}

  /** `memory` once more, for who copies out of it. */
  protected get view(): DataView {
    return this.#arena.view;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Frames received and not yet handed out by `receive()`. */
  get waitingFrames(): number {
    return this.#rx.count;
  }

  /** Whether a `receive()` would give something. */
  protected get hasFrames(): boolean {
    return this.#rx.count > 0;
  }

  /** Frames that still fit into the receive ring. */
  protected get freeRxSlots(): number {
    return this.#rx.capacity - this.#rx.count - this.#held;
  }

  receive(): number {
    const { batch, counters } = this;
    for (let i = 0; i < this.#held; i++) this.#arena.free(batch.offset[i]);
    this.#held = 0;
    if (this.#closed) return 0;
    this.collect();
    const ring = this.#rx;
    const count = Math.min(ring.count, batch.capacity);
    for (let i = 0; i < count; i++) {
      const at = ring.shift();
      batch.offset[i] = ring.offset[at];
      batch.length[i] = ring.length[at];
      batch.flags[i] = ring.extra[at];
      counters.rxBytes += ring.length[at];
    }
    counters.rxFrames += count;
    this.#held = count;
    return count;
  }

  reserve(): number {
    if (this.#reserved !== NO_FRAME) return this.#reserved;
    if (this.#closed || this.#tx.count === this.#tx.capacity) {
      this.counters.txFull++;
      return NO_FRAME;
    }
    this.#reserved = this.#arena.allocate();
    return this.#reserved;
  }

  commit(length: number, segmentSize: number): void {
    this.#tx.push(this.#reserved, length, segmentSize);
    this.#reserved = NO_FRAME;
  }

  flush(): void {
    const { counters } = this;
    const ring = this.#tx;
    while (ring.count > 0) {
      const at = ring.shift();
      const offset = ring.offset[at];
      const length = ring.length[at];
      if (this.#closed || !this.transmit(offset, length, ring.extra[at])) {
        counters.txErrors++;
      } else {
        counters.txFrames++;
        counters.txBytes += length;
      }
      this.#arena.free(offset);
    }
  }

  wait(onReadable: () => void): void {
    if (this.#closed) return;
    const first = this.#onReadable === null;
    this.#onReadable = onReadable;
    if (first) {
      this.#keepAlive = this.holdProcess();
      this.startReading();
    }
    if (this.hasFrames) this.wake();
  }

  ref(): void {
    this.#keepAlive?.ref();
  }

  unref(): void {
    this.#keepAlive?.unref();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onReadable = null;
    if (this.#keepAlive !== null) clearInterval(this.#keepAlive);
    this.#keepAlive = null;
    this.closeDevice();
  }

  /**
   * Copies a frame into the receive ring; counts it instead when it is too long or the ring is full.
   * Does not wake: call `wake()` after the last of a burst.
   */
  protected deliver(from: DataView, offset: number, length: number, flags: number): boolean {
    if (this.#closed) return false;
    if (length > this.#arena.slotBytes) {
      this.counters.rxTruncated++;
      return false;
    }
    if (this.#rx.count + this.#held >= this.#rx.capacity) {
      this.counters.rxDropped++;
      return false;
    }
    const slot = this.#arena.allocate();
    copyBytes(this.#arena.view, slot, from, offset, length);
    this.#rx.push(slot, length, flags);
    return true;
  }

  /** Has `onReadable` called from the event loop soon; once, however often this is called before. */
  protected wake(): void {
    if (this.#wakeQueued || this.#onReadable === null) return;
    this.#wakeQueued = true;
    // The check phase follows the poll phase at once: this gathers everything the device delivers in one turn, and
    // runs as a macrotask of its own, so that promises resolved in `onReadable` continue.
    setImmediate(this.#runWake);
  }

  readonly #runWake = (): void => {
    this.#wakeQueued = false;
    this.callReader();
    if (this.hasFrames) this.wake();
  };

  /** Calls the reader now, if there is one and something to read. */
  protected callReader(): void {
    if (this.#onReadable === null || !this.hasFrames) return;
    this.counters.wakeups++;
    this.#onReadable();
  }

  protected get hasReader(): boolean {
    return this.#onReadable !== null;
  }

  protected holdProcess(): NodeJS.Timeout | null {
    return setInterval(() => {}, KEEP_ALIVE_MS);
  }
}

/** A ring of (offset, length, one more number); indexes are handed out, so that nothing is allocated. */
class FrameRing {
  readonly capacity: number;
  readonly offset: Int32Array;
  readonly length: Int32Array;
  readonly extra: Int32Array;
  count = 0;
  #head = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.offset = new Int32Array(capacity);
    this.length = new Int32Array(capacity);
    this.extra = new Int32Array(capacity);
  }

  push(offset: number, length: number, extra: number): void {
    let at = this.#head + this.count;
    if (at >= this.capacity) at -= this.capacity;
    this.offset[at] = offset;
    this.length[at] = length;
    this.extra[at] = extra;
    this.count++;
  }

  /** Index of the oldest entry, which leaves the ring; its fields stay readable until the next `push`. */
  shift(): number {
    const at = this.#head;
    this.#head = at + 1 === this.capacity ? 0 : at + 1;
    this.count--;
    return at;
  }
}
