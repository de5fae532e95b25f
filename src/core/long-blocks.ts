// Memory for what is long and short-lived, used again: query buffers of long requests, copies of long replies. A fresh megabyte
// for each would have V8 collect its whole heap every few dozen of them. A server has one.

/** Shorter blocks are the collector's business. */
const LONG_MIN = 16 * 1024;
/** Longer ones are rare, and not worth keeping. */
const LONG_MAX = 8 * 1024 * 1024;
/** Bytes of blocks that wait to be used again. */
const IDLE_MAX = 32 * 1024 * 1024;

/** Four lengths a doubling: so many that a block fits well, so few that it fits again. */
function capacityFor(length: number): number {
  const step = 1 << (29 - Math.clz32(length - 1));
  return Math.ceil(length / step) * step;
}

const isPooled = (length: number): boolean => length > LONG_MIN && length <= LONG_MAX;

export class LongBlocks {
  /** Bytes of idle blocks. */
  idleBytes = 0;
  /** The least of them since the latest `trim`. */
  #leastIdle = 0;
  /** Idle blocks by length. */
  readonly #idle = new Map<number, ArrayBuffer[]>();

  /** At least `length` bytes, with anything in them. */
  take(length: number): Uint8Array<ArrayBuffer> {
    if (!isPooled(length)) return new Uint8Array(length);
    const capacity = capacityFor(length);
    const block = this.#idle.get(capacity)?.pop();
    if (block === undefined) return new Uint8Array(capacity);
    this.#count(-capacity);
    return new Uint8Array(block);
  }

  /** A copy of `bytes[from, to)`, as long as that. */
  copy(bytes: Uint8Array, from: number, to: number): Uint8Array<ArrayBuffer> {
    const copy = this.take(to - from).subarray(0, to - from);
    copy.set(bytes.subarray(from, to));
    return copy;
  }

  /** Takes back what `take` gave, or a part of it that begins where it began. Nobody may use it any more. */
  give({ buffer }: Uint8Array<ArrayBuffer>): void {
    const { byteLength } = buffer;
    if (!isPooled(byteLength) || byteLength !== capacityFor(byteLength)) return;
    if (this.idleBytes + byteLength > IDLE_MAX) return;
    const blocks = this.#idle.get(byteLength);
    if (blocks === undefined) this.#idle.set(byteLength, [buffer]);
    else blocks.push(buffer);
    this.#count(byteLength);
  }

  /** Lets go of what was not needed since the last call. */
  trim(): void {
    for (const [length, blocks] of this.#idle) {
      while (blocks.length > 0 && this.#leastIdle > 0) {
        blocks.pop();
        this.idleBytes -= length;
        this.#leastIdle -= length;
      }
      if (blocks.length === 0) this.#idle.delete(length);
    }
    this.#leastIdle = this.idleBytes;
  }

  #count(bytes: number): void {
    this.idleBytes += bytes;
    if (this.idleBytes < this.#leastIdle) this.#leastIdle = this.idleBytes;
  }
}
