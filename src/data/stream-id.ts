// Stream entry ids: two unsigned 64-bit numbers, milliseconds and sequence, each as two int32 halves read as unsigned,
// so that ids of any size are exact and none is allocated while commands run. Anyone in src/ may import it.
import { int64, parseInt64, writeInt64 } from './int64.ts';

/** Longest text of an id: two numbers of 20 digits and a dash. */
export const STREAM_ID_TEXT_MAX = 41;
/** Big-endian, so that order of bytes is order of ids. */
export const STREAM_ID_BYTES = 16;

const TWO_32 = 0x1_0000_0000;
const DASH = 45;

export class StreamId {
  msHigh = 0;
  msLow = 0;
  seqHigh = 0;
  seqLow = 0;

  set(msHigh: number, msLow: number, seqHigh: number, seqLow: number): void {
    this.msHigh = msHigh | 0;
    this.msLow = msLow | 0;
    this.seqHigh = seqHigh | 0;
    this.seqLow = seqLow | 0;
  }

  copy(other: StreamId): void {
    this.msHigh = other.msHigh;
    this.msLow = other.msLow;
    this.seqHigh = other.seqHigh;
    this.seqLow = other.seqLow;
  }

  /** 0-0. */
  setMin(): void {
    this.set(0, 0, 0, 0);
  }

  setMax(): void {
    this.set(-1, -1, -1, -1);
  }

  /** The first id of a millisecond. @param unixMs a safe integer. */
  setTime(unixMs: number): void {
    this.set(Math.floor(unixMs / TWO_32), unixMs, 0, 0);
  }

  get isMin(): boolean {
    return (this.msHigh | this.msLow | this.seqHigh | this.seqLow) === 0;
  }

  get isMax(): boolean {
    return (this.msHigh & this.msLow & this.seqHigh & this.seqLow) === -1;
  }

  /** @returns negative, 0 or positive. */
  compare(other: StreamId): number {
    const sameMs = this.msHigh === other.msHigh && this.msLow === other.msLow;
    return sameMs
      ? compareUint64(this.seqHigh, this.seqLow, other.seqHigh, other.seqLow)
      : compareUint64(this.msHigh, this.msLow, other.msHigh, other.msLow);
  }

  sameMs(other: StreamId): boolean {
    return this.msHigh === other.msHigh && this.msLow === other.msLow;
  }

  /** To the next id. @returns false when there is none: it is then 0-0. */
  increment(): boolean {
    this.seqLow = (this.seqLow + 1) | 0;
    if (this.seqLow !== 0) return true;
    this.seqHigh = (this.seqHigh + 1) | 0;
    if (this.seqHigh !== 0) return true;
    this.msLow = (this.msLow + 1) | 0;
    if (this.msLow !== 0) return true;
    this.msHigh = (this.msHigh + 1) | 0;
    return this.msHigh !== 0;
  }

  /** To the id before. @returns false when there is none: it is then the greatest. */
  decrement(): boolean {
    const least = this.isMin;
    this.seqLow = (this.seqLow - 1) | 0;
    if (this.seqLow !== -1) return true;
    this.seqHigh = (this.seqHigh - 1) | 0;
    if (this.seqHigh !== -1) return true;
    this.msLow = (this.msLow - 1) | 0;
    if (this.msLow !== -1) return true;
    this.msHigh = (this.msHigh - 1) | 0;
    return !least;
  }

  /** Sets the sequence to its greatest number. */
  endOfMs(): void {
    this.seqHigh = -1;
    this.seqLow = -1;
  }

  /** Writes `ms-seq`. @returns the number of bytes, at most STREAM_ID_TEXT_MAX. */
  write(to: Uint8Array, offset: number): number {
    let at = offset + writeUint64(this.msHigh, this.msLow, to, offset);
    to[at++] = DASH;
    at += writeUint64(this.seqHigh, this.seqLow, to, at);
    return at - offset;
  }

  /** Writes STREAM_ID_BYTES bytes. */
  encode(to: Uint8Array, offset: number): void {
    writeInt32BE(to, offset, this.msHigh);
    writeInt32BE(to, offset + 4, this.msLow);
    writeInt32BE(to, offset + 8, this.seqHigh);
    writeInt32BE(to, offset + 12, this.seqLow);
  }

  decode(from: Uint8Array, offset: number): void {
    this.msHigh = readInt32BE(from, offset);
    this.msLow = readInt32BE(from, offset + 4);
    this.seqHigh = readInt32BE(from, offset + 8);
    this.seqLow = readInt32BE(from, offset + 12);
  }

  toString(): string {
    const text = new Uint8Array(STREAM_ID_TEXT_MAX);
    return String.fromCharCode(...text.subarray(0, this.write(text, 0)));
  }
}

/** @returns negative, 0 or positive. */
function compareUint64(highA: number, lowA: number, highB: number, lowB: number): number {
  if (highA !== highB) return highA >>> 0 < highB >>> 0 ? -1 : 1;
  if (lowA === lowB) return 0;
  return lowA >>> 0 < lowB >>> 0 ? -1 : 1;
}

/** Writes the decimal digits of an unsigned number; at most 20 bytes. @returns how many. */
function writeUint64(high: number, low: number, to: Uint8Array, offset: number): number {
  if (high >= 0) return writeInt64(high, low, to, offset);
  // 2^63 and above: seen in nothing but the greatest ids, so it may allocate.
  const text = String((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
  for (let i = 0; i < text.length; i++) to[offset + i] = text.charCodeAt(i);
  return text.length;
}

/**
 * Reads an unsigned 64-bit decimal as Redis's string2ull does, which takes what strtoull takes: blanks and a sign in
 * front, leading zeros.
 * @returns whether it is one; the value is in `int64`, to be read as unsigned.
 */
export function parseUint64(bytes: Uint8Array, offset: number, length: number): boolean {
  if (parseInt64(bytes, offset, length)) return int64.high >= 0;
  let text = '';
  for (let i = 0; i < length; i++) text += String.fromCharCode(bytes[offset + i]);
  const match = /^[ \t\n\v\f\r]*([+-]?)([0-9]+)$/.exec(text);
  if (match === null) return false;
  const magnitude = BigInt(match[2]);
  if (magnitude >= 2n ** 64n) return false;
  const value = BigInt.asUintN(64, match[1] === '-' ? -magnitude : magnitude);
  int64.high = Number(value >> 32n) | 0;
  int64.low = Number(value & 0xffffffffn) | 0;
  return true;
}

function writeInt32BE(to: Uint8Array, at: number, value: number): void {
  to[at] = value >> 24;
  to[at + 1] = value >> 16;
  to[at + 2] = value >> 8;
  to[at + 3] = value;
}

function readInt32BE(from: Uint8Array, at: number): number {
  return (from[at] << 24) | (from[at + 1] << 16) | (from[at + 2] << 8) | from[at + 3];
}
