// Redis's intset: sorted integers of one width, byte for byte the format of RDB files. Pure functions on (bytes, base);
// integers go in and out as two int32 halves (int64.ts). Whoever inserts has made the room first. Only src/data/ and
// src/persistence/ import it.
//
//   width in bytes: 2, 4 or 8 (u32) | members (u32) | member ... little-endian, ascending
import { compareInt64, int64, readInt32, writeInt32LE } from './int64.ts';

export const HEADER_BYTES = 8;

export function initialize(bytes: Uint8Array, base: number): void {
  writeInt32LE(bytes, base, 2);
  writeInt32LE(bytes, base + 4, 0);
}

export function count(bytes: Uint8Array, base: number): number {
  return readInt32(bytes, base + 4);
}

export function totalBytes(bytes: Uint8Array, base: number): number {
  return HEADER_BYTES + bytes[base] * readInt32(bytes, base + 4);
}

function widthFor(high: number, low: number): number {
  if (high !== low >> 31) return 8;
  return low >= -32768 && low <= 32767 ? 2 : 4;
}

/** Bytes the whole intset takes once this value is in it. */
export function bytesWith(bytes: Uint8Array, base: number, high: number, low: number): number {
  const wanted = widthFor(high, low);
  const width = Math.max(wanted, bytes[base]);
  return HEADER_BYTES + width * (readInt32(bytes, base + 4) + 1);
}

/** Puts the member at `index` into `int64`. */
export function read(bytes: Uint8Array, base: number, index: number): void {
  readMember(bytes, base, bytes[base], index);
}

function readMember(bytes: Uint8Array, base: number, width: number, index: number): void {
  const at = base + HEADER_BYTES + width * index;
  if (width === 2) {
    int64.low = ((bytes[at] | (bytes[at + 1] << 8)) << 16) >> 16;
    int64.high = int64.low >> 31;
  } else {
    int64.low = readInt32(bytes, at);
    int64.high = width === 4 ? int64.low >> 31 : readInt32(bytes, at + 4);
  }
}

function writeMember(bytes: Uint8Array, base: number, width: number, index: number, high: number, low: number): void {
  const at = base + HEADER_BYTES + width * index;
  bytes[at] = low;
  bytes[at + 1] = low >> 8;
  if (width === 2) return;
  bytes[at + 2] = low >> 16;
  bytes[at + 3] = low >> 24;
  if (width === 8) writeInt32LE(bytes, at + 4, high);
}

/** @returns the member's index, or -(index where it belongs) - 1 when it is absent. */
export function find(bytes: Uint8Array, base: number, high: number, low: number): number {
  const width = bytes[base];
  const members = readInt32(bytes, base + 4);
  if (widthFor(high, low) > width) return high < 0 ? -1 : -members - 1;
  let from = 0;
  let to = members - 1;
  while (from <= to) {
    const middle = (from + to) >>> 1;
    readMember(bytes, base, width, middle);
    const order = compareInt64(int64.high, int64.low, high, low);
    if (order === 0) return middle;
    if (order < 0) from = middle + 1;
    else to = middle - 1;
  }
  return -from - 1;
}

/** @returns false when it was there; there must be room for `bytesWith`. */
export function insert(bytes: Uint8Array, base: number, high: number, low: number): boolean {
  const found = find(bytes, base, high, low);
  if (found >= 0) return false;
  const index = -found - 1;
  const members = readInt32(bytes, base + 4);
  const wanted = widthFor(high, low);
  if (wanted > bytes[base]) {
    // wider than any member, so it goes to one of the ends
    widen(bytes, base, wanted, index === 0 ? 1 : 0);
  } else if (index < members) {
    const width = bytes[base];
    const at = base + HEADER_BYTES + width * index;
    bytes.copyWithin(at + width, at, base + HEADER_BYTES + width * members);
  }
  writeMember(bytes, base, bytes[base], index, high, low);
  writeInt32LE(bytes, base + 4, members + 1);
  return true;
}

function widen(bytes: Uint8Array, base: number, width: number, shift: number): void {
  const old = bytes[base];
  for (let i = readInt32(bytes, base + 4) - 1; i >= 0; i--) {
    readMember(bytes, base, old, i);
    writeMember(bytes, base, width, i + shift, int64.high, int64.low);
  }
  bytes[base] = width;
}

/** @returns whether it was there. The width stays, as in Redis. */
export function remove(bytes: Uint8Array, base: number, high: number, low: number): boolean {
  const index = find(bytes, base, high, low);
  if (index < 0) return false;
  removeAt(bytes, base, index);
  return true;
}

export function removeAt(bytes: Uint8Array, base: number, index: number): void {
  const width = bytes[base];
  const members = readInt32(bytes, base + 4);
  const at = base + HEADER_BYTES + width * index;
  bytes.copyWithin(at, at + width, base + HEADER_BYTES + width * members);
  writeInt32LE(bytes, base + 4, members - 1);
}

/** Whether bytes from outside are a well-formed, non-empty, strictly ascending intset. */
export function isValid(bytes: Uint8Array, base: number, length: number): boolean {
  if (length < HEADER_BYTES) return false;
  const width = readInt32(bytes, base);
  const members = readInt32(bytes, base + 4);
  if ((width !== 2 && width !== 4 && width !== 8) || members <= 0) return false;
  if (HEADER_BYTES + width * members !== length) return false;
  readMember(bytes, base, width, 0);
  for (let i = 1; i < members; i++) {
    const { high, low } = int64;
    readMember(bytes, base, width, i);
    if (compareInt64(high, low, int64.high, int64.low) >= 0) return false;
  }
  return true;
}
