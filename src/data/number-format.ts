// Doubles as Redis 7.0 reads and prints them: strtod on the way in, printf's `%.17g` on the way out. Long doubles
// are in long-double.ts. Anyone may import it.

/** A double as `%.17g` prints it, `inf` and `-inf` included: scores, ZSCORE, GEODIST and the like. */
export function formatDouble(value: number): string {
  return formatGeneral(value, 17);
}

/** A double as `%.<precision>g` prints it. @param precision digits that are kept, 1 to 17. */
export function formatGeneral(value: number, precision: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 10 ** Math.min(precision, 15)) {
    return Object.is(value, -0) ? '-0' : String(value);
  }
  if (value === Number.POSITIVE_INFINITY) return 'inf';
  if (value === Number.NEGATIVE_INFINITY) return '-inf';
  if (Number.isNaN(value)) return 'nan';
  const sign = value < 0 ? '-' : '';
  const [mantissa, exponentText] = roundedHalfEven(Math.abs(value), precision).split('e');
  const exponent = Number(exponentText);
  const digits = mantissa.replace('.', '').replace(/0+$/, '');
  if (exponent < -4 || exponent >= precision) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    const magnitude = String(Math.abs(exponent)).padStart(2, '0');
    return `${sign}${digits[0]}${fraction}e${exponent < 0 ? '-' : '+'}${magnitude}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  if (digits.length <= exponent + 1) return sign + digits.padEnd(exponent + 1, '0');
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}

/** The digits in exponential form. JavaScript rounds a tie up; the C library rounds it to even. */
function roundedHalfEven(value: number, precision: number): string {
  const rounded = value.toExponential(precision - 1);
  const long = value.toExponential(60);
  const kept = precision === 1 ? 1 : precision + 1;
  // The digits behind those kept, of which a double with a tie has only the 5.
  const isTie = /^\.?50*e/.test(long.slice(kept));
  const lastIsEven = (long.charCodeAt(kept - 1) - 48) % 2 === 0;
  if (isTie && lastIsEven) return long.slice(0, kept) + long.slice(long.indexOf('e'));
  return rounded;
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const HEXADECIMAL = /^([+-]?)0x([\da-f]*)\.?([\da-f]*)(?:p([+-]?\d+))?$/i;
const INFINITE = /^([+-]?)inf(inity)?$/i;

/**
 * A double as Redis takes it from a client: what strtod takes whole, without space around it, hexadecimal and
 * infinity included.
 * @returns NaN when it is not one, or out of range.
 */
export function parseDouble(bytes: Uint8Array, offset: number, length: number): number {
  const fast = parseShortDecimal(bytes, offset, length);
  if (!Number.isNaN(fast)) return fast;
  return parseDoubleText(latin1(bytes, offset, length));
}

/** Up to 15 digits with at most one point: exact by one division. */
function parseShortDecimal(bytes: Uint8Array, offset: number, length: number): number {
  if (length === 0 || length > 16) return Number.NaN;
  const end = offset + length;
  const negative = bytes[offset] === 45;
  let at = negative ? offset + 1 : offset;
  let digits = 0;
  let value = 0;
  let scale = 0;
  for (; at < end; at++) {
    const byte = bytes[at];
    if (byte >= 48 && byte <= 57) {
      value = value * 10 + (byte - 48);
      digits++;
      if (scale !== 0) scale *= 10;
    } else if (byte === 46 && scale === 0) {
      scale = 1;
    } else {
      return Number.NaN;
    }
  }
  if (digits === 0 || digits > 15) return Number.NaN;
  if (scale > 1) value /= scale;
  return negative ? -value : value;
}

/** As `parseDouble`, of a string. */
export function parseDoubleText(text: string): number {
  if (DECIMAL.test(text)) {
    const value = Number(text);
    // Too large is ERANGE; too small is refused only when nothing is left of it.
    if (!Number.isFinite(value)) return Number.NaN;
    if (value === 0 && /[1-9]/.test(text.replace(/e.*$/i, ''))) return Number.NaN;
    return value;
  }
  const infinite = INFINITE.exec(text);
  if (infinite !== null) return infinite[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const hexadecimal = HEXADECIMAL.exec(text);
  if (hexadecimal === null) return Number.NaN;
  const [, sign, whole, fraction, exponent = '0'] = hexadecimal;
  if (whole.length + fraction.length === 0) return Number.NaN;
  const mantissa = Number(`0x${whole}${fraction}`);
  const value = mantissa * 2 ** (Number(exponent) - 4 * fraction.length);
  return Number.isFinite(value) ? (sign === '-' ? -value : value) : Number.NaN;
}

function latin1(bytes: Uint8Array, offset: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + offset, length).toString('latin1');
}
