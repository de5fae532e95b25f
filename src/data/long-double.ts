// x86's 80-bit long double, which INCRBYFLOAT and HINCRBYFLOAT compute with: 10.5 + 0.1 is 10.6 there and would not
// be with doubles. A value is mantissa * 2^exponent with a 64-bit mantissa, kept as bigint: exact, and far from any
// hot path. Anyone in src/ may import it.

export interface LongDouble {
  /** |mantissa| < 2^64. */
  readonly mantissa: bigint;
  readonly exponent: number;
  /** 1 or -1 for an infinity, else 0. */
  readonly infinite: number;
}

const BITS = 64;
/** Largest binary exponent of a value in [1, 2). */
const EXPONENT_MAX = 16383;
/** Exponent of the last bit of the smallest subnormal number. */
const EXPONENT_MIN = -16445;
/** Decimals that Redis prints (`%.17Lf`). */
const DECIMALS = 17;

const ZERO: LongDouble = { mantissa: 0n, exponent: 0, infinite: 0 };
const DECIMAL = /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d+))?$/i;
const HEXADECIMAL = /^([+-]?)0x([\da-f]*)\.?([\da-f]*)(?:p([+-]?\d+))?$/i;
const INFINITE = /^([+-]?)inf(?:inity)?$/i;

/** What strtold takes whole, without space around it; null when it is not a number or out of range. */
export function parseLongDouble(text: string): LongDouble | null {
  if (text.length > 5 * 1024) return null;
  const infinite = INFINITE.exec(text);
  if (infinite !== null) return { mantissa: 0n, exponent: 0, infinite: infinite[1] === '-' ? -1 : 1 };
  const hexadecimal = HEXADECIMAL.exec(text);
  const match = hexadecimal ?? DECIMAL.exec(text);
  if (match === null || match[2].length + match[3].length === 0) return null;
  const [, sign, whole, fraction] = match;
  const digits = BigInt((hexadecimal === null ? '' : '0x') + whole + fraction);
  if (digits === 0n) return ZERO;
  const shift = Number(match[4] ?? 0);
  if (Math.abs(shift) > 40_000) return null;
  const signed = sign === '-' ? -digits : digits;
  if (hexadecimal !== null) return inRange(rounded(signed, 1n, shift - 4 * fraction.length));
  const tens = shift - fraction.length;
  const value = tens >= 0 ? rounded(signed * 10n ** BigInt(tens), 1n, 0) : rounded(signed, 10n ** BigInt(-tens), 0);
  return inRange(value);
}

function inRange(value: LongDouble): LongDouble | null {
  return value.infinite !== 0 || value.mantissa === 0n ? null : value;
}

/** The sum; null when it is an infinity or not a number. */
export function addLongDouble(a: LongDouble, b: LongDouble): LongDouble | null {
  if (a.infinite !== 0 || b.infinite !== 0) return null;
  const exponent = Math.min(a.exponent, b.exponent);
  const sum = (a.mantissa << BigInt(a.exponent - exponent)) + (b.mantissa << BigInt(b.exponent - exponent));
  const value = rounded(sum, 1n, exponent);
  return value.infinite !== 0 ? null : value;
}

/** As Redis prints it for people: `%.17Lf` without trailing zeros. */
export function formatLongDouble(value: LongDouble): string {
  const negative = value.mantissa < 0n;
  const scaled = (negative ? -value.mantissa : value.mantissa) * 10n ** BigInt(DECIMALS);
  const units =
    value.exponent >= 0 ? scaled << BigInt(value.exponent) : divideHalfEven(scaled, 1n << BigInt(-value.exponent));
  const digits = units.toString().padStart(DECIMALS + 1, '0');
  const fraction = digits.slice(-DECIMALS).replace(/0+$/, '');
  const text = digits.slice(0, -DECIMALS) + (fraction === '' ? '' : `.${fraction}`);
  return negative && text !== '0' ? `-${text}` : text;
}

/** numerator / denominator * 2^exponent, rounded half to even to what a long double holds. */
function rounded(numerator: bigint, denominator: bigint, exponent: number): LongDouble {
  if (numerator === 0n) return ZERO;
  const negative = numerator < 0n;
  let top = negative ? -numerator : numerator;
  let bottom = denominator;
  // Scale so that the quotient has 64 or 65 bits, but no bit below the smallest subnormal.
  let shift = bitLength(top) - bitLength(bottom) - BITS;
  if (exponent + shift < EXPONENT_MIN) shift = EXPONENT_MIN - exponent;
  if (shift < 0) top <<= BigInt(-shift);
  else bottom <<= BigInt(shift);
  if (top >> BigInt(BITS) >= bottom) {
    bottom <<= 1n;
    shift++;
  }
  let mantissa = divideHalfEven(top, bottom);
  let scale = exponent + shift;
  if (bitLength(mantissa) > BITS) {
    mantissa >>= 1n;
    scale++;
  }
  if (scale + bitLength(mantissa) - 1 > EXPONENT_MAX) return { mantissa: 0n, exponent: 0, infinite: negative ? -1 : 1 };
  return { mantissa: negative ? -mantissa : mantissa, exponent: scale, infinite: 0 };
}

function divideHalfEven(top: bigint, bottom: bigint): bigint {
  const quotient = top / bottom;
  const twice = (top - quotient * bottom) * 2n;
  return twice > bottom || (twice === bottom && (quotient & 1n) === 1n) ? quotient + 1n : quotient;
}

function bitLength(value: bigint): number {
  return value.toString(16).length * 4 - Math.clz32(Number.parseInt(value.toString(16)[0], 16)) + 28;
}
