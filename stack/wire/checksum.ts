// The Internet checksum (RFC 1071) and its incremental update (RFC 1624). Partial sums are non-negative
// integers below 2^17 that may be passed on as `initial`. Words are summed in the machine's order, four bytes at
// a time, and swapped once at the end (RFC 1071, 2(B)): DataView loads need no alignment. For stack/.

import { viewOf } from './views.ts';

/** Below this, making sure that a view exists costs more than the loop over bytes. */
const WORDWISE_MIN = 32;
/** The sum of the lower halves of words, that of all words less that of the upper ones, stays below 2^31 for this many bytes. */
const LANE_BYTES_MAX = 65536;
/** From here on the engine's own copy and a second pass over warm cache lines beat one pass (measured: by a third). */
const TWO_PASS_MIN = 1024;

/**
 * One's complement sum of a range, read as big-endian 16-bit words; an odd last byte counts as the high half of a
 * word. Where another range follows an odd one use `combine`.
 */
export function sum(bytes: Uint8Array, offset: number, length: number, initial: number): number {
  const end = offset + length;
  let at = offset;
  let total = initial;
  if (length >= WORDWISE_MIN) {
    const view = viewOf(bytes);
    while (end - at >= 16) {
      const stop = at + (Math.min(end - at, LANE_BYTES_MAX) & ~15);
      let all = 0;
      let high = 0;
      for (; at < stop; at += 16) {
        const a = view.getInt32(at, true);
        const b = view.getInt32(at + 4, true);
        const c = view.getInt32(at + 8, true);
        const d = view.getInt32(at + 12, true);
        all = (all + a + b + c + d) | 0;
        high += (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16);
      }
      total += lanes(all, high);
    }
  }
  let tail = 0;
  for (; at + 1 < end; at += 2) tail += (bytes[at] << 8) | bytes[at + 1];
  if (at < end) tail += bytes[at] << 8;
  return fold(total + tail);
}

/** Copies a range and returns its sum, as `sum` does. The ranges must not overlap. */
export function copyAndSum(
  to: Uint8Array,
  toOffset: number,
  from: Uint8Array,
  fromOffset: number,
  length: number,
  initial: number,
): number {
  if (length >= TWO_PASS_MIN) {
    to.set(from.subarray(fromOffset, fromOffset + length), toOffset);
    return sum(to, toOffset, length, initial);
  }
  const end = fromOffset + length;
  let at = fromOffset;
  let out = toOffset;
  let total = initial;
  if (length >= WORDWISE_MIN) {
    const source = viewOf(from);
    const target = viewOf(to);
    const stop = at + (length & ~15);
    let all = 0;
    let high = 0;
    for (; at < stop; at += 16, out += 16) {
      const a = source.getInt32(at, true);
      const b = source.getInt32(at + 4, true);
      const c = source.getInt32(at + 8, true);
      const d = source.getInt32(at + 12, true);
      target.setInt32(out, a, true);
      target.setInt32(out + 4, b, true);
      target.setInt32(out + 8, c, true);
      target.setInt32(out + 12, d, true);
      all = (all + a + b + c + d) | 0;
      high += (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16);
    }
    total += lanes(all, high);
  }
  let tail = 0;
  for (; at + 1 < end; at += 2, out += 2) {
    const first = from[at];
    const second = from[at + 1];
    to[out] = first;
    to[out + 1] = second;
    tail += (first << 8) | second;
  }
  if (at < end) {
    to[out] = from[at];
    tail += from[at] << 8;
  }
  return fold(total + tail);
}

/** The sum of two ranges laid end to end, from their partial sums and the length of the first. */
export function combine(first: number, firstLength: number, second: number): number {
  return fold(first + ((firstLength & 1) === 0 ? second : swap(second)));
}

/** Partial sum of TCP's and UDP's pseudo-header (RFC 9293, 3.1). `length` covers transport header and payload. */
export function pseudoHeaderSum(sourceIp: number, destinationIp: number, protocol: number, length: number): number {
  return fold(
    (sourceIp >>> 16) +
      (sourceIp & 0xffff) +
      (destinationIp >>> 16) +
      (destinationIp & 0xffff) +
      protocol +
      (length >>> 16) +
      (length & 0xffff),
  );
}

/** The checksum field's value for a sum: folded to 16 bits and complemented. Over a correct packet it is 0. */
export function finish(partial: number): number {
  return ~fold(fold(partial)) & 0xffff;
}

/** Folded to 16 bits, not complemented: what a device that fills in checksums expects in the field. */
export function finishPartial(partial: number): number {
  return fold(fold(partial));
}

/** Adds the carries back in once: below 2^17 for anything below 2^32. */
function fold(total: number): number {
  return (total & 0xffff) + (total >>> 16);
}

/** The sum of 16-bit words, from that of 32-bit ones modulo 2^32 and that of their upper halves: an operation less a word than two sums. */
function lanes(all: number, high: number): number {
  return swap(fold((all - (high << 16)) | 0) + fold(high));
}

/** Exchanges the two bytes of every word of the sum. */
function swap(partial: number): number {
  const folded = fold(fold(partial));
  return ((folded & 0xff) << 8) | (folded >>> 8);
}
