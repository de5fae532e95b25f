// Bits of byte ranges, the first bit being the highest of the first byte, as Redis's bitmaps have them: counting,
// searching, and integers of any width at any place. Anyone in src/ may import it.

function popcount32(value: number): number {
  let v = value - ((value >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Bits that are set in a range. */
export function countBits(bytes: Uint8Array, offset: number, length: number): number {
  const end = offset + length;
  let at = offset;
  let count = 0;
  for (; at < end && ((bytes.byteOffset + at) & 3) !== 0; at++) count += popcount32(bytes[at]);
  if (end - at >= 4) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (end - at) >> 2);
    for (let i = 0; i < words.length; i++) count += popcount32(words[i]);
    at += words.length * 4;
  }
  for (; at < end; at++) count += popcount32(bytes[at]);
  return count;
}

/** Position of the first bit that is `bit`, 0 or 1, among bits `from` to `to` (inclusive) of the range at `offset`; -1: none. */
export function findBit(bytes: Uint8Array, offset: number, from: number, to: number, bit: number): number {
  const skipped = bit === 1 ? 0 : 255;
  const last = offset + Math.floor(to / 8);
  let at = offset + Math.floor(from / 8);
  // Bits in front of the range are made not to match.
  let byte = bytes[at] ^ skipped;
  byte &= 255 >> (from & 7);
  while (byte === 0 && at < last) {
    at++;
    if (((bytes.byteOffset + at) & 3) === 0) at = skipWords(bytes, at, last, skipped);
    byte = bytes[at] ^ skipped;
  }
  if (byte === 0) return -1;
  const position = (at - offset) * 8 + Math.clz32(byte) - 24;
  return position > to ? -1 : position;
}

function skipWords(bytes: Uint8Array, at: number, last: number, skipped: number): number {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (last - at) >> 2);
  const pattern = skipped === 0 ? 0 : -1;
  let i = 0;
  while (i < words.length && words[i] === pattern) i++;
  return at + i * 4;
}

/** The unsigned integer of `width` bits, up to 64, at bit `position`; bytes at and behind `end` count as zero. */
export function readBits(bytes: Uint8Array, offset: number, end: number, position: number, width: number): bigint {
  let value = 0n;
  let at = offset + Math.floor(position / 8);
  const spare = (position & 7) + width;
  const count = (spare + 7) >> 3;
  for (let i = 0; i < count; i++, at++) value = (value << 8n) | BigInt(at < end ? bytes[at] : 0);
  return BigInt.asUintN(width, value >> BigInt(count * 8 - spare));
}

/** Writes the lowest `width` bits of a value at bit `position`. */
export function writeBits(bytes: Uint8Array, offset: number, position: number, width: number, value: bigint): void {
  const at = offset + Math.floor(position / 8);
  const spare = (position & 7) + width;
  const count = (spare + 7) >> 3;
  const shift = BigInt(count * 8 - spare);
  const mask = ((1n << BigInt(width)) - 1n) << shift;
  const placed = (BigInt.asUintN(width, value) << shift) & mask;
  for (let i = 0; i < count; i++) {
    const down = BigInt((count - 1 - i) * 8);
    const kept = ~Number((mask >> down) & 255n) & 255;
    bytes[at + i] = (bytes[at + i] & kept) | Number((placed >> down) & 255n);
  }
}
