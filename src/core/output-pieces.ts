// Copies of replies that the connection did not take at once. Long ones are made in blocks that are used again: a fresh
// megabyte for each long reply would have V8 collect its whole heap every few dozen of them. A server has one.

/** Shorter copies are the collector's business. */
const POOLED_MIN = 16 * 1024;
/** Longer ones are rare, and not worth keeping. */
const POOLED_MAX = 8 * 1024 * 1024;
/** Bytes of blocks that wait to be used again. */
const IDLE_MAX = 32 * 1024 * 1024;

export class OutputPieces {
  /** Bytes of idle blocks. */
  idleBytes = 0;
  /** The least of them since the latest `trim`. */
  #leastIdle = 0;
  /** Idle blocks by log2 of their length. */
  readonly #idle: ArrayBuffer[][] = Array.from({ length: 32 }, () => []);

  /** A copy of `bytes[from, to)`. */
  copy(bytes: Uint8Array, from: number, to: number): Uint8Array {
    const length = to - from;
    if (length < POOLED_MIN || length > POOLED_MAX) return bytes.slice(from, to);
    const shift = 32 - Math.clz32(length - 1);
    let block = this.#idle[shift].pop();
    if (block === undefined) block = new ArrayBuffer(1 << shift);
    else this.#count(-block.byteLength);
    const piece = new Uint8Array(block, 0, length);
    piece.set(bytes.subarray(from, to));
    return piece;
  }

  /** The copy was sent, or is not needed any more. */
  give(piece: Uint8Array): void {
    const { length } = piece;
    if (length < POOLED_MIN || length > POOLED_MAX) return;
    const block = piece.buffer as ArrayBuffer;
    if (this.idleBytes + block.byteLength > IDLE_MAX) return;
    this.#idle[31 - Math.clz32(block.byteLength)].push(block);
    this.#count(block.byteLength);
  }

  /** Lets go of what was not needed since the last call. */
  trim(): void {
    for (let shift = 31; shift >= 0 && this.#leastIdle > 0; shift--) {
      const blocks = this.#idle[shift];
      while (blocks.length > 0 && this.#leastIdle > 0) {
        const { byteLength } = blocks.pop()!;
        this.idleBytes -= byteLength;
        this.#leastIdle -= byteLength;
      }
    }
    this.#leastIdle = this.idleBytes;
  }

  #count(bytes: number): void {
    this.idleBytes += bytes;
    if (this.idleBytes < this.#leastIdle) this.#leastIdle = this.idleBytes;
  }
}
