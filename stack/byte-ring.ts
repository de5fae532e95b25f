// Buffers for bytes on their way: send rings, which keep data until it is acknowledged, and receive buffers, whose
// unread bytes are always one contiguous range. Both are blocks of a few sizes from one bounded pool, so an
// idle connection owns none and a busy one owns what it needs. Used by stack/tcp and stack/stack.ts.
import { copyBytes } from './wire/bytes.ts';

const SMALLEST_SHIFT = 11;
const LARGEST_SHIFT = 26;
/** Free blocks kept a size, bytes: enough for the steady state, the rest goes back to the collector. */
const IDLE_BYTES_MAX = 32 * 1024 * 1024;

/** Blocks of 2^11 bytes and up, each size its own stack of free blocks. */
export class BlockPool {
  /** Most bytes handed out at any time. */
  readonly limit: number;
  /** Bytes handed out now. */
  used = 0;
  /** Requests refused because of `limit`. */
  refused = 0;
  readonly #free: Uint8Array[][] = [];

  constructor(limit: number) {
    this.limit = limit;
    for (let shift = 0; shift <= LARGEST_SHIFT; shift++) this.#free.push([]);
  }

  /** A block of at least `size` bytes, contents unspecified; null when the pool's limit is reached. */
  take(size: number): Uint8Array | null {
    const shift = size <= 1 << SMALLEST_SHIFT ? SMALLEST_SHIFT : 32 - Math.clz32(size - 1);
    const capacity = 1 << shift;
    if (shift > LARGEST_SHIFT || this.used + capacity > this.limit) {
      this.refused++;
      return null;
    }
    this.used += capacity;
    const free = this.#free[shift];
    return free.length > 0 ? free.pop()! : new Uint8Array(capacity);
  }

  give(block: Uint8Array): void {
    const capacity = block.length;
    this.used -= capacity;
    const free = this.#free[31 - Math.clz32(capacity)];
    if (free.length === 0 || free.length * capacity < IDLE_BYTES_MAX) free.push(block);
  }
}

/** From so many bytes on more of them follow: a block for all of a request is cheaper than one after the other, each copied. */
const SEGMENT_BYTES = 1024;
const REQUEST_BYTES = 32 * 1024;

const NO_BYTES = new Uint8Array(0);

/** First in, first out, and readable at any position: the bytes between SND.UNA and what was written last. */
export class SendRing {
  bytes: Uint8Array = NO_BYTES;
  /** Index of the oldest byte. */
  head = 0;
  length = 0;

  /**
   * Takes up to `length` bytes, growing up to `limit` bytes in all.
   * @returns bytes taken.
   */
  append(pool: BlockPool, limit: number, from: Uint8Array, offset: number, length: number): number {
    let count = Math.min(length, limit - this.length);
    if (count <= 0) return 0;
    if (this.length + count > this.bytes.length && !this.#grow(pool, this.length + count)) {
      count = Math.min(count, this.bytes.length - this.length);
      if (count === 0) return 0;
    }
    const capacity = this.bytes.length;
    const at = (this.head + this.length) & (capacity - 1);
    const first = Math.min(count, capacity - at);
    copyBytes(this.bytes, at, from, offset, first);
    if (first < count) copyBytes(this.bytes, 0, from, offset + first, count - first);
    this.length += count;
    return count;
  }

  /** Index in `bytes` of the byte `position` after the oldest. */
  indexOf(position: number): number {
    return (this.head + position) & (this.bytes.length - 1);
  }

  /** Forgets the oldest `count` bytes; an empty ring gives its block back. */
  drop(pool: BlockPool, count: number): void {
    this.length -= count;
    if (this.length === 0) this.release(pool);
    else this.head = (this.head + count) & (this.bytes.length - 1);
  }

  release(pool: BlockPool): void {
    if (this.bytes.length > 0) pool.give(this.bytes);
    this.bytes = NO_BYTES;
    this.head = 0;
    this.length = 0;
  }

  #grow(pool: BlockPool, size: number): boolean {
    const block = pool.take(size);
    if (block === null) return false;
    const first = Math.min(this.length, this.bytes.length - this.head);
    copyBytes(block, 0, this.bytes, this.head, first);
    if (first < this.length) copyBytes(block, first, this.bytes, 0, this.length - first);
    if (this.bytes.length > 0) pool.give(this.bytes);
    this.bytes = block;
    this.head = 0;
    return true;
  }
}

/**
 * Received bytes: `[start, end)` is in order and unread; what arrived out of order lies behind it where it belongs.
 * `reach` is how far behind `start` anything was written.
 */
export class ReceiveBuffer {
  bytes: Uint8Array = NO_BYTES;
  start = 0;
  end = 0;
  #reach = 0;

  get unread(): number {
    return this.end - this.start;
  }

  /**
   * Writes bytes that belong `gap` bytes behind the end of the in-order data (0: right behind it). They count as
   * in order only after `advance`.
   * @returns false when the pool has no memory: nothing was taken.
   */
  write(pool: BlockPool, gap: number, from: Uint8Array, offset: number, length: number): boolean {
    let at = this.end + gap;
    if (at + length > this.bytes.length) {
      if (!this.#makeRoom(pool, at - this.start + length)) return false;
      at = this.end + gap;
    }
    copyBytes(this.bytes, at, from, offset, length);
    if (at + length > this.#reach) this.#reach = at + length;
    return true;
  }

  /** The next `count` bytes are in order now. */
  advance(count: number): void {
    this.end += count;
  }

  /** The oldest `count` bytes were read. An empty buffer gives its block back. */
  consume(pool: BlockPool, count: number): void {
    this.start += count;
    if (this.start === this.#reach) this.release(pool);
  }

  release(pool: BlockPool): void {
    if (this.bytes.length > 0) pool.give(this.bytes);
    this.bytes = NO_BYTES;
    this.start = 0;
    this.end = 0;
    this.#reach = 0;
  }

  /** Moves everything to the front, into a larger block when `size` bytes do not fit this one. */
  #makeRoom(pool: BlockPool, size: number): boolean {
    const { bytes, start } = this;
    const kept = this.#reach - start;
    // Moving less than half the block for free room pays; otherwise grow, so that a full buffer is not moved again and again.
    if (size <= bytes.length && (kept <= bytes.length >> 1 || bytes.length >= 1 << LARGEST_SHIFT)) {
      bytes.copyWithin(0, start, this.#reach);
    } else {
      const isAmple = size >= SEGMENT_BYTES && pool.used + REQUEST_BYTES < pool.limit >> 1;
      const block = pool.take(isAmple ? Math.max(size, REQUEST_BYTES) : size);
      if (block === null) {
        if (size > bytes.length) return false;
        bytes.copyWithin(0, start, this.#reach);
      } else {
        copyBytes(block, 0, bytes, start, kept);
        if (bytes.length > 0) pool.give(bytes);
        this.bytes = block;
      }
    }
    this.start = 0;
    this.end -= start;
    this.#reach = kept;
    return true;
  }
}
