// Where RDB bytes go: a buffer that is either emptied into a file whenever it is full, or grows (DUMP). Knows the
// format's lengths and strings, not its records. What a save in the background cannot hand on at once without holding
// others up waits in pieces, in order, until `emit` is called. Only src/persistence/ and DUMP import this file.
import { INT64_MAX, parseInteger, writeInteger } from '../data/integer.ts';
import type { Crc64 } from './crc64.ts';
import { lzfCompress } from './lzf.ts';
import { ENCODED_INT8, ENCODED_INT16, ENCODED_INT32, ENCODED_LZF } from './rdb-format.ts';

const FILE_BUFFER_BYTES = 1 << 20;
const COMPRESS_ABOVE = 20;
/** Compression cannot pause: a patient output leaves longer strings as they are, and they are written in pieces. */
export const PATIENT_COMPRESS_MAX = 128 * 1024;
const KEPT_PIECE_BYTES = 64 * 1024;
const GROWING_BYTES = 256;
const INTEGER_DIGITS = 11;

const NO_BYTES = new Uint8Array(0);
const eightBytes = new Uint8Array(8);
const words = new DataView(eightBytes.buffer);

type Drain = (bytes: Uint8Array, length: number) => void;

export class RdbOutput {
  bytes: Uint8Array;
  length = 0;
  /** Bytes that went to `drain`. */
  drained = 0;
  /** Its owner calls `emit` again and again: nothing long is done at once. */
  patient = false;
  /** Bytes that were copied or compressed so far: what a piece of work is measured by. */
  work = 0;
  readonly #drain: Drain | null;
  readonly #checksum: Crc64 | null;
  readonly compress: boolean;
  readonly #bufferBytes: number;
  #scratch = new Uint8Array(0);
  /** What comes before the buffer and is not handed on yet, from `#emitted` on. */
  #pieces: Uint8Array[] = [];
  #emitted = 0;
  #holding = false;

  /**
   * @param drain takes the buffer's contents when it is full; null: the buffer grows.
   * @param checksum counts what is drained.
   * @param bufferBytes what is drained at once.
   */
  constructor(
    drain: Drain | null,
    compress: boolean,
    checksum: Crc64 | null = null,
    bufferBytes = drain === null ? Number.POSITIVE_INFINITY : FILE_BUFFER_BYTES,
  ) {
    this.#drain = drain;
    this.compress = compress;
    this.#bufferBytes = bufferBytes;
    this.#checksum = checksum;
    this.bytes = new Uint8Array(drain === null ? GROWING_BYTES : bufferBytes);
  }

  /** An output for what is written before its turn, while a command waits: in pieces and as it is, for `append`. */
  static kept(): RdbOutput {
    return new RdbOutput(null, false, null, KEPT_PIECE_BYTES);
  }

  /** Hands everything on. */
  flush(): void {
    if (this.#drain === null) return;
    while (this.emit());
    if (this.length > 0) this.#handOn(this.bytes, this.length);
    this.length = 0;
  }

  /** Hands on a piece of what waits. @returns false when nothing does. */
  emit(): boolean {
    if (this.#emitted === this.#pieces.length) {
      if (this.#emitted > 0) this.#pieces = [];
      this.#emitted = 0;
      this.#holding = false;
      return false;
    }
    const piece = this.#pieces[this.#emitted];
    this.#pieces[this.#emitted++] = NO_BYTES;
    this.#handOn(piece, piece.length);
    return true;
  }

  /** What is written from here on waits for `emit`. */
  hold(): void {
    this.#holding = true;
  }

  /** Takes over what a kept one holds, which is empty then. */
  append(kept: RdbOutput): void {
    if (kept.#pieces.length > 0) {
      this.hold();
      this.#putAway();
      for (const piece of kept.#pieces) this.#pieces.push(piece);
      kept.#pieces = [];
    }
    this.raw(kept.bytes, 0, kept.length);
    kept.length = 0;
  }

  #handOn(bytes: Uint8Array, length: number): void {
    this.#checksum?.update(bytes, 0, length);
    this.#drain?.(bytes, length);
    this.drained += length;
  }

  /** Empties the buffer. */
  #putAway(): void {
    if (this.length === 0) return;
    if (this.#drain === null || this.#holding) this.#pieces.push(this.bytes.slice(0, this.length));
    else this.#handOn(this.bytes, this.length);
    this.length = 0;
  }

  #ensure(size: number): void {
    const { bytes } = this;
    if (this.length + size <= bytes.length) return;
    if (this.length + size > this.#bufferBytes) this.#putAway();
    if (this.length + size <= bytes.length) return;
    const grown = new Uint8Array(Math.max(Math.min(bytes.length * 2, this.#bufferBytes), this.length + size));
    grown.set(bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  byte(value: number): void {
    this.#ensure(1);
    this.bytes[this.length++] = value;
  }

  raw(from: Uint8Array, offset: number, length: number): void {
    const most = this.#bufferBytes;
    if (length > most) {
      if (this.patient) this.hold();
      for (let at = 0; at < length; at += most) this.raw(from, offset + at, Math.min(most, length - at));
      return;
    }
    this.#ensure(length);
    this.bytes.set(from.subarray(offset, offset + length), this.length);
    this.length += length;
    this.work += length;
  }

  latin1(text: string): void {
    for (let i = 0; i < text.length; i++) this.byte(text.charCodeAt(i));
  }

  /** A length as the format has it: 6, 14 or 32 bits. */
  size(value: number): void {
    if (value < 64) this.byte(value);
    else if (value < 16384) {
      this.byte(0x40 | (value >> 8));
      this.byte(value);
    } else {
      this.byte(0x80);
      for (let shift = 24; shift >= 0; shift -= 8) this.byte(value >>> shift);
    }
  }

  /** A length of 64 bits, in the shortest form that holds it. */
  size64(high: number, low: number): void {
    if (high === 0) {
      this.size(low >>> 0);
      return;
    }
    this.byte(0x81);
    for (let shift = 24; shift >= 0; shift -= 8) this.byte(high >>> shift);
    for (let shift = 24; shift >= 0; shift -= 8) this.byte(low >>> shift);
  }

  /** A string: as an integer if it is a short one, compressed if that pays, else as it is. */
  string(from: Uint8Array, offset: number, length: number): void {
    if (length <= INTEGER_DIGITS) {
      const value = parseInteger(from, offset, length);
      if ((value | 0) === value && this.#encodedInteger(value)) return;
    }
    if (this.#compresses(length) && this.#compressed(from, offset, length)) return;
    this.size(length);
    this.raw(from, offset, length);
  }

  #compresses(length: number): boolean {
    return this.compress && length > COMPRESS_ABOVE && !(this.patient && length > PATIENT_COMPRESS_MAX);
  }

  #encodedInteger(value: number): boolean {
    const small = value >= -128 && value <= 127;
    const medium = value >= -32768 && value <= 32767;
    this.byte(0xc0 | (small ? ENCODED_INT8 : medium ? ENCODED_INT16 : ENCODED_INT32));
    for (let i = 0; i < (small ? 1 : medium ? 2 : 4); i++) this.byte(value >> (8 * i));
    return true;
  }

  #compressed(from: Uint8Array, offset: number, length: number): boolean {
    if (this.#scratch.length < length) this.#scratch = new Uint8Array(length * 2);
    const size = lzfCompress(from, offset, length, this.#scratch, 0, length - 4);
    this.work += length;
    if (size === 0) return false;
    this.byte(0xc0 | ENCODED_LZF);
    this.size(size);
    this.size(length);
    this.raw(this.#scratch, 0, size);
    return true;
  }

  /** A latin-1 text as a string. */
  text(text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    this.string(bytes, 0, bytes.length);
  }

  number(value: number): void {
    const digits = new Uint8Array(24);
    this.string(digits, 0, writeInteger(digits, 0, value));
  }

  double(value: number): void {
    words.setFloat64(0, value, true);
    this.raw(eightBytes, 0, 8);
  }

  /** A 64-bit little-endian integer in halves. */
  int64Halves(high: number, low: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.byte(low >>> shift);
    for (let shift = 0; shift < 32; shift += 8) this.byte(high >>> shift);
  }

  /** A 64-bit little-endian integer; what was rounded up past the largest is the largest. */
  int64(value: number): void {
    words.setBigInt64(0, value >= 2 ** 63 ? INT64_MAX : BigInt(value), true);
    this.raw(eightBytes, 0, 8);
  }
}
