// LZF, the compression of strings in RDB files: literal runs and references of up to 264 bytes, at most 8 KiB back.
// Only src/persistence/ imports this file.

const HASH_BITS = 14;
const DISTANCE_MAX = 8192;
const MATCH_MAX = 264;
const LITERALS_MAX = 32;

/** Position + 1 of the latest three bytes with a hash; cleared for each compression. */
const positions = new Int32Array(1 << HASH_BITS);

/**
 * Compresses a range into `to[toOffset, toOffset + room)`.
 * @returns bytes written, 0 when they would not fit.
 */
export function lzfCompress(
  from: Uint8Array,
  offset: number,
  length: number,
  to: Uint8Array,
  toOffset: number,
  room: number,
): number {
  positions.fill(0);
  const end = offset + length;
  const outEnd = toOffset + room;
  let out = toOffset;
  let literalStart = offset;
  let at = offset;
  while (at < end) {
    const found = at + 2 < end ? findMatch(from, offset, at) : -1;
    if (found === -1) {
      at++;
      continue;
    }
    out = writeLiterals(from, literalStart, at, to, out, outEnd);
    if (out === -1 || out + 3 > outEnd) return 0;
    const limit = Math.min(MATCH_MAX, end - at);
    let matched = 3;
    while (matched < limit && from[found + matched] === from[at + matched]) matched++;
    out = writeReference(at - found - 1, matched - 2, to, out);
    at += matched;
    literalStart = at;
  }
  out = writeLiterals(from, literalStart, end, to, out, outEnd);
  return out === -1 ? 0 : out - toOffset;
}

/** Start of an earlier occurrence of the three bytes at `at`, or -1; remembers `at`. */
function findMatch(from: Uint8Array, start: number, at: number): number {
  const three = from[at] | (from[at + 1] << 8) | (from[at + 2] << 16);
  const hash = (Math.imul(three, 0x9e3779b1) >>> (32 - HASH_BITS)) | 0;
  const earlier = positions[hash] - 1 + start;
  positions[hash] = at - start + 1;
  if (earlier < start || at - earlier > DISTANCE_MAX) return -1;
  const same = from[earlier] === from[at] && from[earlier + 1] === from[at + 1] && from[earlier + 2] === from[at + 2];
  return same ? earlier : -1;
}

/** @returns position behind, -1 when there is no room. */
function writeLiterals(
  from: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  at: number,
  outEnd: number,
): number {
  let out = at;
  for (let next = start; next < end; ) {
    const run = Math.min(LITERALS_MAX, end - next);
    if (out + 1 + run > outEnd) return -1;
    to[out++] = run - 1;
    for (let i = 0; i < run; i++) to[out++] = from[next++];
  }
  return out;
}

/** @param distance 0 for the byte before. @param length 1 for three bytes. */
function writeReference(distance: number, length: number, to: Uint8Array, at: number): number {
  let out = at;
  if (length < 7) to[out++] = (length << 5) | (distance >> 8);
  else {
    to[out++] = (7 << 5) | (distance >> 8);
    to[out++] = length - 7;
  }
  to[out++] = distance;
  return out;
}

/** Expands a range into `to[0, length)`. @returns false when the data is not valid or of another length. */
export function lzfDecompress(from: Uint8Array, offset: number, size: number, to: Uint8Array, length: number): boolean {
  const end = offset + size;
  let at = offset;
  let out = 0;
  while (at < end) {
    const control = from[at++];
    if (control < LITERALS_MAX) {
      const run = control + 1;
      if (at + run > end || out + run > length) return false;
      for (let i = 0; i < run; i++) to[out++] = from[at++];
      continue;
    }
    let run = control >> 5;
    if (run === 7) {
      if (at >= end) return false;
      run += from[at++];
    }
    if (at >= end) return false;
    let source = out - ((control & 31) << 8) - from[at++] - 1;
    run += 2;
    if (source < 0 || out + run > length) return false;
    for (; run > 0; run--) to[out++] = to[source++];
  }
  return out === length;
}
