// Network-order integers in a byte array, and copying. Bounds are the caller's business. For stack/ and its tests.
import { viewIfKnown } from './views.ts';

export function readUint16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] << 8) | bytes[offset + 1];
}

export function readInt32(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] << 24) | (bytes[offset + 1] << 16) | (bytes[offset + 2] << 8) | bytes[offset + 3];
}

export function writeUint16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}

export function writeInt32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}

/** Up to here byte by byte, then by words, then by the engine's own copy, which costs an object for the range. */
const BYTEWISE_MAX = 24;
const WORDWISE_MAX = 1024;

/** Copies a range into another array, or to where it does not overlap. */
export function copyBytes(
  to: Uint8Array,
  toOffset: number,
  from: Uint8Array,
  fromOffset: number,
  length: number,
): void {
  if (length <= BYTEWISE_MAX) for (let i = 0; i < length; i++) to[toOffset + i] = from[fromOffset + i];
  else if (length > WORDWISE_MAX || !copyWords(to, toOffset, from, fromOffset, length)) {
    to.set(from.subarray(fromOffset, fromOffset + length), toOffset);
  }
}

/** @returns false when there is no view to do it with. */
function copyWords(to: Uint8Array, toOffset: number, from: Uint8Array, fromOffset: number, length: number): boolean {
  const source = viewIfKnown(from);
  const target = viewIfKnown(to);
  if (source === null || target === null) return false;
  const whole = length & ~7;
  let i = 0;
  for (; i < whole; i += 8) {
    target.setInt32(toOffset + i, source.getInt32(fromOffset + i, true), true);
    target.setInt32(toOffset + i + 4, source.getInt32(fromOffset + i + 4, true), true);
  }
  for (; i < length; i++) to[toOffset + i] = from[fromOffset + i];
  return true;
}

/** True if both ranges hold the same bytes. */
export function equalBytes(a: Uint8Array, aOffset: number, b: Uint8Array, bOffset: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[aOffset + i] !== b[bOffset + i]) return false;
  return true;
}
