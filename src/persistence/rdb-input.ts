// Where RDB bytes come from: a file read piece by piece, or a payload that is there as a whole. Knows the format's
// lengths and strings, not its records. Only src/persistence/ and DUMP import this file.
import type { Counter64 } from '../data/counter64.ts';
import { Element } from '../data/element.ts';
import { writeInteger } from '../data/integer.ts';
import { Crc64 } from './crc64.ts';
import { lzfDecompress } from './lzf.ts';
import { ENCODED_INT8, ENCODED_INT16, ENCODED_INT32, ENCODED_LZF, RdbError } from './rdb-format.ts';

const BUFFER_BYTES = 1 << 20;
/** Longer strings than a string can be are a sign of a broken file; do not even allocate them. */
const STRING_BYTES_MAX = 2 ** 31 - 1;

/** Fills a range with the bytes that follow. @returns how many; 0 at the end. */
export type RdbSource = (into: Uint8Array, offset: number, length: number) => number;

export class RdbInput {
  bytes: Uint8Array;
  #at = 0;
  #end: number;
  /** Offset in the file of `bytes[0]`. */
  #base = 0;
  /** Bytes before this are in the checksum. */
  #summed = 0;
  readonly #source: RdbSource | null;
  readonly checksum = new Crc64();
  /** `rdbchecksum`: no saves the time of computing it. */
  verifyChecksum = true;
  /** `size()` met an encoding instead of a length: which one; else -1. */
  encoding = -1;
  readonly #digits = new Uint8Array(24);

  private constructor(source: RdbSource | null, bytes: Uint8Array, start: number, end: number) {
    this.#source = source;
    this.bytes = bytes;
    this.#at = start;
    this.#summed = start;
    this.#end = end;
  }

  static fromSource(source: RdbSource): RdbInput {
    return new RdbInput(source, new Uint8Array(BUFFER_BYTES), 0, 0);
  }

  static fromBytes(bytes: Uint8Array, offset: number, length: number): RdbInput {
    return new RdbInput(null, bytes, offset, offset + length);
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#base + this.#at;
  }

  get atEnd(): boolean {
    return this.#at === this.#end && (this.#source === null || this.#refill(1) === false);
  }

  /** Whether these bytes, Latin-1, come next; they are not read. */
  startsWith(text: string): boolean {
    const at = this.take(text.length);
    this.#at = at;
    for (let i = 0; i < text.length; i++) if (this.bytes[at + i] !== text.charCodeAt(i)) return false;
    return true;
  }

  /** @throws RdbError */
  fail(reason: string): never {
    throw new RdbError(reason, this.offset);
  }

  /** Position in `bytes` of the next `length` bytes, which count as read; valid until the next read. */
  take(length: number): number {
    if (this.#end - this.#at < length && !this.#refill(length)) this.fail('Unexpected end of data');
    const at = this.#at;
    this.#at += length;
    return at;
  }

  #refill(length: number): boolean {
    if (this.#source === null || length > STRING_BYTES_MAX) return false;
    this.#sum();
    const rest = this.#end - this.#at;
    let target = this.bytes;
    if (length > target.length) target = new Uint8Array(length);
    else if (target.length > BUFFER_BYTES && length <= BUFFER_BYTES) target = new Uint8Array(BUFFER_BYTES);
    if (target === this.bytes) target.copyWithin(0, this.#at, this.#end);
    else target.set(this.bytes.subarray(this.#at, this.#end));
    this.#base += this.#at;
    this.bytes = target;
    this.#at = 0;
    this.#summed = 0;
    this.#end = rest;
    while (this.#end < length) {
      const read = this.#source(target, this.#end, target.length - this.#end);
      if (read === 0) return false;
      this.#end += read;
    }
    return true;
  }

  /** Brings `checksum` up to what was read. */
  #sum(): void {
    if (this.verifyChecksum) this.checksum.update(this.bytes, this.#summed, this.#at - this.#summed);
    this.#summed = this.#at;
  }

  /** Whether the next eight bytes, which are read, are the checksum of everything before; zeros mean: not checked. */
  checksumMatches(): boolean {
    this.#sum();
    const at = this.take(8);
    this.#summed = this.#at;
    let zero = true;
    for (let i = 0; i < 8; i++) if (this.bytes[at + i] !== 0) zero = false;
    return zero || !this.verifyChecksum || this.checksum.equals(this.bytes, at);
  }

  byte(): number {
    // Taken first: it may put other bytes in the place of `bytes`.
    const at = this.take(1);
    return this.bytes[at];
  }

  /** A length; or -1 with `encoding` set. */
  size(): number {
    const first = this.byte();
    this.encoding = -1;
    switch (first >> 6) {
      case 0:
        return first & 63;
      case 1:
        return ((first & 63) << 8) | this.byte();
      case 2:
        return this.#longSize(first);
      default:
        this.encoding = first & 63;
        return -1;
    }
  }

  #longSize(first: number): number {
    if (first === 0x80) {
      const at = this.take(4);
      const { bytes } = this;
      return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
    }
    if (first !== 0x81) this.fail(`Unknown length encoding ${first}`);
    const at = this.take(8);
    const value = new DataView(this.bytes.buffer, this.bytes.byteOffset + at, 8).getBigUint64(0);
    return Number(value);
  }

  /** A length where no encoding may stand. */
  count(): number {
    const value = this.size();
    if (value === -1) this.fail('A length was expected');
    return value;
  }

  /** A length where no encoding may stand, of up to 64 bits, exact. */
  count64(counter: Counter64): void {
    if (this.byte() !== 0x81) {
      this.#at--;
      counter.set(0, this.count());
      return;
    }
    const at = this.take(8);
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + at, 8);
    counter.set(view.getInt32(0), view.getInt32(4));
  }

  /** Points `element` at the next string; valid until the next read. */
  string(element: Element): void {
    const length = this.size();
    if (length >= 0) {
      const at = this.take(length);
      element.set(this.bytes, at, length);
      return;
    }
    if (this.encoding === ENCODED_LZF) this.#compressed(element);
    else this.#integer(element);
  }

  #integer(element: Element): void {
    const { encoding } = this;
    let value = 0;
    if (encoding === ENCODED_INT8) value = (this.byte() << 24) >> 24;
    else if (encoding === ENCODED_INT16) value = ((this.byte() << 16) | (this.byte() << 24)) >> 16;
    else if (encoding === ENCODED_INT32)
      value = this.byte() | (this.byte() << 8) | (this.byte() << 16) | (this.byte() << 24);
    else this.fail(`Unknown string encoding ${encoding}`);
    element.set(this.#digits, 0, writeInteger(this.#digits, 0, value));
  }

  #compressed(element: Element): void {
    const size = this.count();
    const length = this.count();
    if (length > STRING_BYTES_MAX || length > size * 264 + 264) this.fail('Invalid LZF compressed string');
    const at = this.take(size);
    const expanded = new Uint8Array(length);
    if (!lzfDecompress(this.bytes, at, size, expanded, length)) this.fail('Invalid LZF compressed string');
    element.set(expanded, 0, length);
  }

  /** A string as text, one character a byte. */
  text(): string {
    const element = new Element();
    this.string(element);
    return Buffer.from(element.copy()).toString('latin1');
  }

  double(): number {
    const at = this.take(8);
    return new DataView(this.bytes.buffer, this.bytes.byteOffset + at, 8).getFloat64(0, true);
  }

  /** A 64-bit little-endian integer, rounded beyond 2^53. */
  int64(): number {
    const at = this.take(8);
    return Number(new DataView(this.bytes.buffer, this.bytes.byteOffset + at, 8).getBigInt64(0, true));
  }

  /** A 64-bit little-endian integer, exact. */
  int64To(counter: Counter64): void {
    const at = this.take(8);
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + at, 8);
    counter.set(view.getInt32(4, true), view.getInt32(0, true));
  }

  /** A double of the oldest format: its length in a byte, then text; 253 to 255 stand for themselves. */
  textDouble(): number {
    const length = this.byte();
    if (length === 255) return Number.NEGATIVE_INFINITY;
    if (length === 254) return Number.POSITIVE_INFINITY;
    if (length === 253) return Number.NaN;
    const at = this.take(length);
    return Number(Buffer.from(this.bytes.slice(at, at + length)).toString('latin1'));
  }
}
