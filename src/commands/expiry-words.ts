// Times to live as commands are given them: a word in seconds or milliseconds, from now or absolute. For string.ts and
// generic.ts.
import type { Call } from '../core/call.ts';
import { EXPIRY_DELETE } from '../core/keyspace.ts';

export const UNIT_MS = 1;
export const UNIT_SECONDS = 1000;
export const NO_EXPIRY = -1;
/** First double beyond int64. */
export const INT64_END = 2 ** 63;

/**
 * The unix time in milliseconds that word `i` means, which must lie in the future of 1970.
 * @param relative counted from now. @returns NaN after an error reply.
 */
export function expiryFromWord(call: Call, i: number, unit: number, relative: boolean): number {
  const given = call.integer(i);
  if (Number.isNaN(given)) return Number.NaN;
  const unixMs = given * unit + (relative ? call.db.keyspace.clock.unixMs : 0);
  if (given > 0 && (unixMs < INT64_END || (unit === UNIT_MS && !relative))) return unixMs;
  invalidExpiry(call);
  return Number.NaN;
}

/** Whether a key given that expiry goes at once. Not where someone else decides when keys go: a file, a master. */
export function alreadyExpired(call: Call, unixMs: number): boolean {
  const { clock, expiryMode } = call.db.keyspace;
  return unixMs <= clock.unixMs && expiryMode === EXPIRY_DELETE;
}

export function invalidExpiry(call: Call): void {
  call.reply.error(`ERR invalid expire time in '${call.spec.name}' command`);
}
