// The four rings an AF_XDP socket shares with the kernel: single producer, single consumer, indices that wrap at 2^32.
// Positions are int32 and masked on use; a slot is one u64 (fill, completion) or a 16-byte descriptor (rx, tx).
// Pure arithmetic over a mapped Int32Array. For io-engine only.

/** Where the parts of a ring lie in its mapping, bytes (struct xdp_ring_offset). */
export interface RingOffsets {
  readonly producer: number;
  readonly consumer: number;
  readonly descriptors: number;
  readonly flags: number;
}

const NEED_WAKEUP = 1;
/** Of a descriptor: the frame goes on in the next one (XDP_PKT_CONTD). */
const GOES_ON = 1;

abstract class Ring {
  readonly words: Int32Array;
  readonly size: number;
  protected readonly mask: number;
  protected readonly producerWord: number;
  protected readonly consumerWord: number;
  protected readonly flagsWord: number;
  protected readonly firstWord: number;
  /** log2 of the 32-bit words of one slot. */
  protected readonly slotShift: number;

  constructor(buffer: ArrayBuffer, offsets: RingOffsets, size: number, slotShift: number) {
    this.words = new Int32Array(buffer);
    this.size = size;
    this.mask = size - 1;
    this.producerWord = offsets.producer >>> 2;
    this.consumerWord = offsets.consumer >>> 2;
    this.flagsWord = offsets.flags >>> 2;
    this.firstWord = offsets.descriptors >>> 2;
    this.slotShift = slotShift;
  }

  /** Whether the kernel wants a system call before it looks at this ring again (XDP_USE_NEED_WAKEUP). */
  needsWakeup(): boolean {
    return (Atomics.load(this.words, this.flagsWord) & NEED_WAKEUP) !== 0;
  }

  protected wordOf(position: number): number {
    return this.firstWord + ((position & this.mask) << this.slotShift);
  }
}

/** A ring we write: fill and tx. The caller never puts in more than `size` that the kernel has not taken. */
export class ProducerRing extends Ring {
  // Not zero where another process has begun.
  #position = Atomics.load(this.words, this.producerWord);

  /** Queues a buffer address below 2 GiB (fill ring). */
  pushAddress(address: number): void {
    const word = this.wordOf(this.#position);
    this.words[word] = address;
    this.words[word + 1] = 0;
    this.#position = (this.#position + 1) | 0;
  }

  /** Queues a frame, or the last part of one (tx ring). */
  pushFrame(address: number, length: number): void {
    this.#pushDescriptor(address, length, 0);
  }

  /** Queues a part of a frame that goes on with what is pushed next (tx ring). */
  pushPart(address: number, length: number): void {
    this.#pushDescriptor(address, length, GOES_ON);
  }

  #pushDescriptor(address: number, length: number, options: number): void {
    const word = this.wordOf(this.#position);
    this.words[word] = address;
    this.words[word + 1] = 0;
    this.words[word + 2] = length;
    this.words[word + 3] = options;
    this.#position = (this.#position + 1) | 0;
  }

  /** Shows the kernel everything pushed. */
  publish(): void {
    Atomics.store(this.words, this.producerWord, this.#position);
  }

  /** Published slots that the kernel has not taken yet. */
  waiting(): number {
    return (this.#position - Atomics.load(this.words, this.consumerWord)) | 0;
  }
}

/** A ring the kernel writes: rx and completion. */
export class ConsumerRing extends Ring {
  #position = Atomics.load(this.words, this.consumerWord);

  /** Slots that can be read now. */
  available(): number {
    return (Atomics.load(this.words, this.producerWord) - this.#position) | 0;
  }

  /** Low 32 bits of the address in the `i`-th available slot. */
  address(i: number): number {
    return this.words[this.wordOf((this.#position + i) | 0)];
  }

  /** Length in the `i`-th available slot (rx ring). */
  frameLength(i: number): number {
    return this.words[this.wordOf((this.#position + i) | 0) + 2];
  }

  /** Whether the frame in the `i`-th available slot goes on in the next one (rx ring). */
  goesOn(i: number): boolean {
    return (this.words[this.wordOf((this.#position + i) | 0) + 3] & GOES_ON) !== 0;
  }

  /** Gives the first `count` slots back. */
  advance(count: number): void {
    this.#position = (this.#position + count) | 0;
    Atomics.store(this.words, this.consumerWord, this.#position);
  }
}
