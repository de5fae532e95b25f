// One ArrayBuffer cut into equal slots, with a free-list: the memory of every engine whose frames are copied
// (memory wire, libpcap, raw IP, replay) rather than mapped from the kernel. Only io-engine/ imports this.
import { NO_FRAME } from './frame-engine.ts';

/** Slots start on cache lines, so that two frames never share one. */
const SLOT_ALIGNMENT = 64;

export class FrameArena {
  readonly memory: Uint8Array;
  /** The same bytes, for `copyBytes`. */
  readonly view: DataView;
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
    this.view = new DataView(this.memory.buffer);
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

/** Copies four bytes at a time, because `set(subarray)` would allocate a view per frame. */
export function copyBytes(to: DataView, toOffset: number, from: DataView, offset: number, length: number): void {
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) to.setInt32(toOffset + i, from.getInt32(offset + i, true), true);
  for (let i = whole; i < length; i++) to.setUint8(toOffset + i, from.getUint8(offset + i));
}
