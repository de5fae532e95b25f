// The timeout of blocking commands. For the files of blocking commands.
import type { Call } from '../core/call.ts';
import { parseLongDouble } from '../data/long-double.ts';

const INT64_LIMIT = 2 ** 63;

/** Word `i`, seconds with a fraction. @returns milliseconds, 0: for ever; NaN after an error reply. */
export function timeoutSeconds(call: Call, i: number): number {
  const value = parseLongDouble(call.latin1(i));
  if (value === null) {
    call.reply.error('ERR timeout is not a float or out of range');
    return Number.NaN;
  }
  const seconds = value.infinite !== 0 ? value.infinite * Infinity : Number(value.mantissa) * 2 ** value.exponent;
  const timeoutMs = Math.ceil(seconds * 1000);
  // What does not fit a C integer comes out negative there.
  return notNegative(call, timeoutMs < INT64_LIMIT ? timeoutMs : -1);
}

/** Word `i`, whole milliseconds. @returns them, 0: for ever; NaN after an error reply. */
export function timeoutMilliseconds(call: Call, i: number): number {
  const timeoutMs = call.integer(i, 'ERR timeout is not an integer or out of range');
  return Number.isNaN(timeoutMs) ? timeoutMs : notNegative(call, timeoutMs);
}

function notNegative(call: Call, timeoutMs: number): number {
  if (timeoutMs >= 0) return timeoutMs;
  call.reply.error('ERR timeout is negative');
  return Number.NaN;
}
