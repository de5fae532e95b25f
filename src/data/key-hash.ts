// Keyed hash of a byte range: HalfSipHash-1-2 (Aumasson and Bernstein), which needs 32-bit arithmetic only. The key
// is drawn once per process, so nobody outside can choose keys that collide. Anyone in src/data may import it.

let key0 = 0x736f6d65;
let key1 = 0x646f7261;
let isSeeded = false;

/** Whether the process has its key. */
export function keyHashIsSeeded(): boolean {
  return isSeeded;
}

/** Sets the process's hash key. Only before the first table holds an entry. */
export function seedKeyHash(a: number, b: number): void {
  key0 = a | 0;
  key1 = b | 0;
  isSeeded = true;
}

// Hashes worked out beforehand, for keys that a pipeline is going to ask for: in the order of their offsets in one array.
const AHEAD_MAX = 16;
const NO_BYTES = new Uint8Array(0);
let aheadBytes: Uint8Array = NO_BYTES;
let aheadCount = 0;
let aheadNext = 0;
const aheadOffsets = new Int32Array(AHEAD_MAX);
const aheadLengths = new Int32Array(AHEAD_MAX);
const aheadHashes = new Int32Array(AHEAD_MAX);

/** The hashes of up to 16 keys with rising offsets, remembered until `forgetHashes`, which has to come before the bytes change. */
export function hashAhead(bytes: Uint8Array, offsets: Int32Array, lengths: Int32Array, count: number): Int32Array {
  for (let i = 0; i < count; i++) {
    aheadOffsets[i] = offsets[i];
    aheadLengths[i] = lengths[i];
    aheadHashes[i] = hashKey(bytes, offsets[i], lengths[i]);
  }
  aheadBytes = bytes;
  aheadCount = count;
  aheadNext = 0;
  return aheadHashes;
}

export function forgetHashes(): void {
  aheadBytes = NO_BYTES;
}

/** `hashKey`, remembered or new. */
export function hashOfKey(bytes: Uint8Array, offset: number, length: number): number {
  if (bytes !== aheadBytes) return hashKey(bytes, offset, length);
  while (aheadNext < aheadCount && aheadOffsets[aheadNext] < offset) aheadNext++;
  const isAhead = aheadNext < aheadCount && aheadOffsets[aheadNext] === offset && aheadLengths[aheadNext] === length;
  return isAhead ? aheadHashes[aheadNext] : hashKey(bytes, offset, length);
}

/** The key in use: a table that is read in another process, cursor by cursor, has to be in the same order there. */
export function keyHashSeed(): readonly [number, number] {
  return [key0, key1];
}

/** @returns an int32, all bits of it good. */
export function hashKey(bytes: Uint8Array, offset: number, length: number): number {
  let v0 = key0;
  let v1 = key1;
  let v2 = key0 ^ 0x6c796765;
  let v3 = key1 ^ 0x74656462;
  const whole = offset + (length & ~3);
  let m = 0;
  for (let at = offset; at < whole; at += 4) {
    m = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    v3 ^= m;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= m;
  }
  m = length << 24;
  const rest = length & 3;
  if (rest > 0) m |= bytes[whole];
  if (rest > 1) m |= bytes[whole + 1] << 8;
  if (rest > 2) m |= bytes[whole + 2] << 16;
  v3 ^= m;
  for (let round = 0; round < 3; round++) {
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    if (round === 0) {
      // The last word is in; what follows are the two rounds that finish.
      v0 ^= m;
      v2 ^= 0xff;
    }
  }
  return v1 ^ v3;
}
