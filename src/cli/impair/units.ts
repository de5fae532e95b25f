// Times, rates, sizes and shares as people write them on the command line of `wiredis impair`. Imported by src/cli only.
import { UsageError } from '../tool.ts';

const TIME_US: Readonly<Record<string, number>> = { us: 1, ms: 1000, s: 1e6 };
const RATE: Readonly<Record<string, number>> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 };
const SIZE: Readonly<Record<string, number>> = { b: 1, kb: 1024, mb: 1048576 };

function withUnit(text: string, option: string, units: Readonly<Record<string, number>>): number {
  const match = /^(\d+(?:\.\d+)?) ?([a-z]+)$/.exec(text.toLowerCase());
  if (match === null || !Object.hasOwn(units, match[2])) {
    throw new UsageError(`--${option} wants a number with its unit (${Object.keys(units).join(', ')}), not '${text}'`);
  }
  return Math.round(Number(match[1]) * units[match[2]]);
}

/** Microseconds. */
export function parseTime(text: string, option: string): number {
  return withUnit(text, option, TIME_US);
}

/** Bits per second. */
export function parseRate(text: string, option: string): number {
  return withUnit(text, option, RATE);
}

/** Bytes. */
export function parseSize(text: string, option: string): number {
  return withUnit(text, option, SIZE);
}

/** `1%` or `0.01`; 0 to 1. */
export function parseShare(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text);
  const share = match === null ? Number.NaN : Number(match[1]) / (match[2] === '%' ? 100 : 1);
  if (!(share >= 0 && share <= 1)) throw new UsageError(`--${option} wants 0% to 100%, not '${text}'`);
  return share;
}
