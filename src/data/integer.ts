// Signed 64-bit decimals in byte ranges, as Redis reads and prints them (string2ll and ll2string). Numbers are
// doubles on the fast path; where a value may pass 2^53 the exact helpers use bigint. Anyone may import it.

const INT64_MAX_DIGITS = '9223372036854775807';
const INT64_MIN_DIGITS = '9223372036854775808';
/** Longest canonical int64: a sign and 19 digits. */
export const INTEGER_DIGITS_MAX = 20;
export const INT64_MAX = 9223372036854775807n;
export const INT64_MIN = -9223372036854775808n;

/**
 * A canonical int64: no sign but `-`, no leading zero, no space, no `-0`.
 * @returns the value, rounded to a double beyond 2^53; NaN when it is not one.
 */
export function parseInteger(bytes: Uint8Array, offset: number, length: number): number {
  if (length === 0 || length > INTEGER_DIGITS_MAX) return Number.NaN;
  const end = offset + length;
  const negative = bytes[offset] === 45;
  let at = negative ? offset + 1 : offset;
  const digits = end - at;
  if (digits === 0 || digits > 19) return Number.NaN;
  let digit = bytes[at] - 48;
  if (digit === 0) return digits === 1 && !negative ? 0 : Number.NaN;
  let value = 0;
  for (; at < end; at++) {
    digit = bytes[at] - 48;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  if (digits === 19 && exceeds(bytes, end - 19, negative ? INT64_MIN_DIGITS : INT64_MAX_DIGITS)) return Number.NaN;
  return negative ? -value : value;
}

/** Whether the digits at `offset` are above `limit`, which has as many. */
function exceeds(bytes: Uint8Array, offset: number, limit: string): boolean {
  for (let i = 0; i < limit.length; i++) {
    const difference = bytes[offset + i] - limit.charCodeAt(i);
    if (difference !== 0) return difference > 0;
  }
  return false;
}

/** As `parseInteger`, exact; null when it is not a canonical int64. */
export function parseBigInteger(bytes: Uint8Array, offset: number, length: number): bigint | null {
  const rounded = parseInteger(bytes, offset, length);
  if (Number.isNaN(rounded)) return null;
  if (Number.isSafeInteger(rounded)) return BigInt(rounded);
  return BigInt(Buffer.from(bytes.buffer, bytes.byteOffset + offset, length).toString('latin1'));
}

export function isInt64(value: bigint): boolean {
  return value >= INT64_MIN && value <= INT64_MAX;
}

/**
 * Writes a safe integer as decimal digits.
 * @returns how many bytes were written, at most INTEGER_DIGITS_MAX.
 */
export function writeInteger(bytes: Uint8Array, offset: number, value: number): number {
  if ((value | 0) !== value) return writeLatin1(bytes, offset, String(value));
  let at = offset;
  let rest = value;
  if (rest < 0) {
    bytes[at++] = 45;
    rest = -rest;
  }
  const digits = rest < 10 ? 1 : decimalDigits(rest);
  for (let i = at + digits - 1; i > at; i--) {
    const quotient = Math.floor(rest / 10);
    bytes[i] = 48 + rest - quotient * 10;
    rest = quotient;
  }
  bytes[at] = 48 + rest;
  return at + digits - offset;
}

function decimalDigits(value: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  return digits;
}

/** Writes one byte a character. @returns the number of bytes. */
export function writeLatin1(bytes: Uint8Array, offset: number, text: string): number {
  for (let i = 0; i < text.length; i++) bytes[offset + i] = text.charCodeAt(i);
  return text.length;
}
