// Signed 64-bit integers as two int32 halves in one reused record: exact, and nothing is allocated. Listpacks and
// intsets keep integers this way. For src/data/ and the commands about streams.

/** The latest result of `parseInt64` or of a reader. `low` is to be read as unsigned. */
export const int64 = { high: 0, low: 0 };

const TWO_32 = 0x1_0000_0000;
const BILLION = 1_000_000_000;
/** Digits of -9223372036854775808, sign included. */
export const INT64_DIGITS_MAX = 20;

/**
 * Reads a decimal exactly as Redis does before it stores one as an integer: no sign but '-', no leading zero, no
 * space, within int64; so writing the number back gives the same bytes.
 * @returns whether it is one; the value is in `int64`.
 */
export function parseInt64(bytes: Uint8Array, offset: number, length: number): boolean {
  if (length === 0 || length > INT64_DIGITS_MAX) return false;
  let at = offset;
  const end = offset + length;
  const first = bytes[at];
  if (first === 48 && length === 1) {
    int64.high = 0;
    int64.low = 0;
    return true;
  }
  const negative = first === 45;
  if (negative) at++;
  const digits = end - at;
  if (digits === 0 || digits > 19 || bytes[at] < 49 || bytes[at] > 57) return false;
  // value = upper * 10^9 + lower, both exact doubles
  const split = end - 9;
  let upper = 0;
  let lower = 0;
  for (; at < split; at++) {
    const digit = bytes[at] - 48;
    if (digit < 0 || digit > 9) return false;
    upper = upper * 10 + digit;
  }
  for (; at < end; at++) {
    const digit = bytes[at] - 48;
    if (digit < 0 || digit > 9) return false;
    lower = lower * 10 + digit;
  }
  if (upper === 0 && lower < 0x8000_0000) {
    int64.low = (negative ? -lower : lower) | 0;
    int64.high = negative ? -1 : 0;
    return true;
  }
  return combine(upper, lower, negative);
}

function combine(upper: number, lower: number, negative: boolean): boolean {
  const scaledHigh = Math.floor(upper / 65536) * BILLION;
  const rest = (upper % 65536) * BILLION + lower + (scaledHigh % 65536) * 65536;
  const high = Math.floor(scaledHigh / 65536) + Math.floor(rest / TWO_32);
  const low = rest % TWO_32;
  if (high >= 0x8000_0000 && !(negative && high === 0x8000_0000 && low === 0)) return false;
  int64.high = high | 0;
  int64.low = low | 0;
  if (negative) negate();
  return true;
}

function negate(): void {
  int64.low = -int64.low | 0;
  int64.high = (int64.low === 0 ? -int64.high : ~int64.high) | 0;
}

/** Writes the decimal digits; at most INT64_DIGITS_MAX bytes. @returns how many. */
export function writeInt64(high: number, low: number, to: Uint8Array, offset: number): number {
  if (high === low >> 31) return writeInt32(low, to, offset);
  let at = offset;
  let upperHalf = high;
  let lowerHalf = low;
  if (high < 0) {
    to[at++] = 45;
    lowerHalf = -low | 0;
    upperHalf = (lowerHalf === 0 ? -high : ~high) | 0;
  }
  // long division by 10^9 over four 16-bit limbs
  let quotient = 0;
  let remainder = 0;
  for (let limb = 3; limb >= 0; limb--) {
    const half = limb > 1 ? upperHalf : lowerHalf;
    const current = remainder * 65536 + ((half >>> ((limb & 1) * 16)) & 0xffff);
    const step = Math.floor(current / BILLION);
    quotient = quotient * 65536 + step;
    remainder = current - step * BILLION;
  }
  at += writeDigits(quotient, digitCount(quotient), to, at);
  at += writeDigits(remainder, 9, to, at);
  return at - offset;
}

function writeInt32(value: number, to: Uint8Array, offset: number): number {
  let magnitude = value;
  let at = offset;
  if (value < 0) {
    to[at++] = 45;
    magnitude = -value;
  }
  at += writeDigits(magnitude, digitCount(magnitude), to, at);
  return at - offset;
}

function digitCount(value: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  return digits;
}

function writeDigits(value: number, digits: number, to: Uint8Array, offset: number): number {
  let rest = value;
  for (let i = offset + digits - 1; i >= offset; i--) {
    const quotient = Math.floor(rest / 10);
    to[i] = 48 + rest - quotient * 10;
    rest = quotient;
  }
  return digits;
}

/** @returns negative, 0 or positive. */
export function compareInt64(highA: number, lowA: number, highB: number, lowB: number): number {
  if (highA !== highB) return highA < highB ? -1 : 1;
  if (lowA === lowB) return 0;
  return lowA >>> 0 < lowB >>> 0 ? -1 : 1;
}

/** Puts a safe integer into `int64`. */
export function setInt64(value: number): void {
  int64.high = Math.floor(value / TWO_32) | 0;
  // `|` takes a number modulo 2^32, exactly for any safe integer
  int64.low = value | 0;
}

/** `int64` as a double, rounded beyond 2^53. */
export function int64ToNumber(high: number, low: number): number {
  return high * TWO_32 + (low >>> 0);
}

export function readInt32(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

export function writeInt32LE(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >> 8;
  bytes[at + 2] = value >> 16;
  bytes[at + 3] = value >> 24;
}
