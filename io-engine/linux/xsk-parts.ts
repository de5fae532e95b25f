// Frames longer than a chunk of AF_XDP's memory: such a frame is several descriptors, all but the last of them marked
// (XDP_PKT_CONTD, Linux 6.6). The stack wants every frame in one place: the parts of a received one are copied there; one
// to send lies in chunks side by side, so that nothing is. They are three at most; the kernel takes 17 (MAX_SKB_FRAGS), and
// leaves zero-copy mode where the driver takes one only (xdp_zc_max_segs). For io-engine only.
import { NO_FRAME } from '../frame-engine.ts';
import type { XskLayout } from './xsk-memory.ts';
import type { ProducerRing } from './xsk-ring.ts';

/** What of a frame has come when its process hands over: its place and how many bytes. */
export type OpenFrame = readonly [slot: number, length: number];

/** Puts received frames together, one after the other: the kernel does not mix their parts. */
export class FrameAssembly {
  /** Of the frame that was completed last. */
  frameLength = 0;
  /** Frames longer than a slot. */
  tooLong = 0;
  readonly #memory: Uint8Array;
  readonly #layout: XskLayout;
  /** Of the frame that is being put together. The batch in hand has the ones before. */
  #slot: number;
  /** Of its parts; 0: none has come. */
  #length: number;

  constructor(memory: Uint8Array, layout: XskLayout, [slot, length]: OpenFrame = [0, 0]) {
    this.#memory = memory;
    this.#layout = layout;
    this.#slot = slot;
    this.#length = length;
  }

  /** The next part belongs to a frame whose first has come. */
  get isOpen(): boolean {
    return this.#length > 0;
  }

  get openFrame(): OpenFrame {
    return [this.#slot, this.#length];
  }

  /** @returns where the frame lies that is complete now; NO_FRAME: none is. */
  add(address: number, length: number, isLast: boolean): number {
    const { assembly, assemblySlots, slotBytes } = this.#layout;
    const at = assembly + this.#slot * slotBytes;
    const before = this.#length;
    const after = before + length;
    // What is too long is counted to its end, so that the next one is found.
    if (after <= slotBytes) this.#memory.copyWithin(at + before, address, address + length);
    this.#length = isLast ? 0 : after;
    if (!isLast) return NO_FRAME;
    if (after > slotBytes) {
      this.tooLong++;
      return NO_FRAME;
    }
    this.frameLength = after;
    this.#slot = this.#slot + 1 === assemblySlots ? 0 : this.#slot + 1;
    return at;
  }
}

/** Sends slots of several chunks: each part of a frame is a chunk, and the slot is free when all of them are sent. */
export class FrameParts {
  readonly #layout: XskLayout;
  readonly #firstSlot: number;
  /** Of each slot, parts that the kernel has. */
  readonly #underWay: Uint8Array;

  constructor(layout: XskLayout, underWay: readonly number[] = []) {
    this.#layout = layout;
    this.#firstSlot = layout.rxChunks * layout.chunkBytes;
    this.#underWay = new Uint8Array(layout.txSlots);
    this.#underWay.set(underWay);
  }

  get underWay(): readonly number[] {
    return [...this.#underWay];
  }

  push(tx: ProducerRing, slot: number, length: number): void {
    const { chunkBytes } = this.#layout;
    let at = slot;
    let rest = length;
    let parts = 1;
    for (; rest > chunkBytes; parts++) {
      tx.pushPart(at, chunkBytes);
      at += chunkBytes;
      rest -= chunkBytes;
    }
    tx.pushFrame(at, rest);
    this.#underWay[this.#indexOf(slot)] = parts;
  }

  /** The kernel is done with a part. @returns its slot if that is free now, or NO_FRAME. */
  finish(address: number): number {
    const index = this.#indexOf(address);
    if (--this.#underWay[index] > 0) return NO_FRAME;
    return this.#firstSlot + index * this.#layout.slotBytes;
  }

  #indexOf(address: number): number {
    return ((address - this.#firstSlot) / this.#layout.slotBytes) | 0;
  }
}
