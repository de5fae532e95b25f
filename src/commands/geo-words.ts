// Words and replies that the geo commands share. Only they import it.
import type { Call } from '../core/call.ts';
import { NOT_A_FLOAT } from '../core/errors.ts';
import { decode, LATITUDE_MAX, LONGITUDE_MAX } from '../data/geo.ts';
import { parseDouble } from '../data/number-format.ts';
import type { SortedSet } from '../data/sorted-set.ts';

/** A place that words name; read from here after `placeAt`. */
export const given = { longitude: 0, latitude: 0 };

/** As C's %f. */
const printed = (degrees: number): string =>
  Number.isFinite(degrees) ? degrees.toFixed(6) : degrees < 0 ? '-inf' : 'inf';

/** Words `i` and `i + 1` into `given`. @returns false after an error was replied. */
export function placeAt(call: Call, i: number): boolean {
  const longitude = doubleAt(call, i, NOT_A_FLOAT);
  if (Number.isNaN(longitude)) return false;
  const latitude = doubleAt(call, i + 1, NOT_A_FLOAT);
  if (Number.isNaN(latitude)) return false;
  if (Math.abs(longitude) > LONGITUDE_MAX || Math.abs(latitude) > LATITUDE_MAX) {
    call.reply.error(`ERR invalid longitude,latitude pair ${printed(longitude)},${printed(latitude)}`);
    return false;
  }
  given.longitude = longitude;
  given.latitude = latitude;
  return true;
}

/** @returns NaN after `message` was replied. */
export function doubleAt(call: Call, i: number, message: string): number {
  const value = parseDouble(call.bytes, call.offsets[i], call.lengths[i]);
  if (Number.isNaN(value)) call.reply.error(message);
  return value;
}

/** Metres of the unit that word `i` names; NaN after an error was replied. */
export function unitAt(call: Call, i: number): number {
  if (call.is(i, 'm')) return 1;
  if (call.is(i, 'km')) return 1000;
  if (call.is(i, 'ft')) return 0.3048;
  if (call.is(i, 'mi')) return 1609.34;
  call.reply.error('ERR unsupported unit provided. please use M, KM, FT, MI');
  return Number.NaN;
}

/** Decodes the score of word `i`'s member into `place`. @returns false when it is no member. */
export function decodeMember(call: Call, zset: SortedSet, i: number): boolean {
  const entry = zset.find(call.bytes, call.offsets[i], call.lengths[i]);
  if (entry === 0) return false;
  decode(zset.entryScore(entry));
  return true;
}

/** A coordinate in full, 17 digits behind the point at most. */
export function replyCoordinate(call: Call, value: number): void {
  const text = value.toFixed(17).replace(/\.?0+$/, '');
  call.reply.double(text === '-0' ? '0' : text);
}

/** A distance with four digits behind the point. */
export function replyDistance(call: Call, value: number): void {
  const scaled = value * 10_000;
  let rounded = Math.round(scaled);
  // As C rounds: a tie goes to the even number.
  if (rounded - scaled === 0.5 && rounded % 2 !== 0) rounded--;
  const digits = BigInt(rounded).toString().padStart(5, '0');
  call.reply.bulkLatin1(`${digits.slice(0, -4)}.${digits.slice(-4)}`);
}
