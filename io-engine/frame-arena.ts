// One ArrayBuffer cut into equal slots, with a free-list: the memory of every engine whose frames are copied
// (memory wire, libpcap, raw IP, replay) rather than mapped from the kernel. Only io-engine/ imports this.
import { NO_FRAME } from './frame-engine.ts';

/** Slots start on cache lines, so that two frames never share one. */
const SLOT_ALIGNMENT = 64;

export class FrameArena {
  readonly memory: Uint8Array;
  /** Bytes a slot can hold, as asked for; the stride is rounded up. */
  readonly slotBytes: number;
  readonly slots: number;
  /** A stack of free offsets: the slot freed last is reused first, while it is still in the cache. */
  readonly #free: Int32Array;
  #freeCount: number;

  constructor(slots: number, slotBytes: number) {
    const stride = (slotBytes + SLOT_ALIGNMENT - 1) & -SLOT_ALIGNMENT;
    this.slots = slots;
    this.slotBytes = slotBytes;
    this.memory = new Uint8Array(slots * stride);
    this.#free = new Int32Array(slots);
    for (let i = 0; i < slots; i++) this.#free[i] = (slots - 1 - i) * stride;
    this.#freeCount = slots;
  }

  get freeSlots(): number {
    return this.#freeCount;
  }

  /** Offset of a slot nobody uses, or `NO_FRAME`. */
  allocate(): number {
    if (this.#freeCount === 0) return NO_FRAME;
    return this.#free[--this.#freeCount];
  }

  /** @param offset what `allocate` returned; not yet freed. */
  free(offset: number): void {
    this.#free[this.#freeCount++] = offset;
  }
}
