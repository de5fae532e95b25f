// The active expire cycle: deletes keys whose time has come though nobody asks for them. Each database lists its keys
// with expiry densely (ExpiryIndex), so a cycle walks that list, never the table. As in Redis it goes on with a database
// while many of the keys it meets are expired, and stops when its share of the time is used. The server's cron calls it.
import type { ServerClock } from '../platform/clock.ts';
import type { Database } from './database.ts';
import { databaseOfName, keyOfName } from './key-name.ts';
import { EXPIRY_DELETE, type Keyspace } from './keyspace.ts';

/** Keys looked at in one loop, and share of expired ones (percent) above which the database gets another loop. */
const KEYS_PER_LOOP = 20;
const ACCEPTABLE_STALE_PERCENT = 10;
/** Percent of the time between two crons that a slow cycle may take. */
const SLOW_TIME_PERCENT = 25;
const FAST_CYCLE_US = 1000;
/** Loops between two looks at the clock. */
const LOOPS_PER_CLOCK = 16;

export interface ExpireCycleOptions {
  /** Cron runs a second. */
  readonly hz: number;
  /** `active-expire-effort`, 1 to 10. */
  readonly effort: number;
  /** The short cycle between two crons, only worth while when the last one ran out of time. */
  readonly fast: boolean;
}

/** Database at which the next cycle starts: one that ran out of time must not starve those behind. */
const nextDatabase = new WeakMap<Keyspace, number>();

/** Runs one cycle. @returns keys deleted. */
export function activeExpireCycle(keyspace: Keyspace, options: ExpireCycleOptions): number {
  if (keyspace.expiryMode !== EXPIRY_DELETE) return 0;
  const { clock, stats } = keyspace;
  const effort = options.effort - 1;
  const keysPerLoop = KEYS_PER_LOOP + (KEYS_PER_LOOP / 4) * effort;
  const acceptable = ACCEPTABLE_STALE_PERCENT - effort;
  if (options.fast && !keyspace.expireTimedOut && stats.expiredStalePercent < acceptable) return 0;
  const limitUs = options.fast
    ? FAST_CYCLE_US + (FAST_CYCLE_US / 4) * effort
    : ((SLOW_TIME_PERCENT + 2 * effort) * 10_000) / options.hz;
  const start = elapsedMark(clock);
  const before = stats.expiredKeys;
  const { databases } = keyspace;
  let at = nextDatabase.get(keyspace) ?? 0;
  let looked = 0;
  let expired = 0;
  let timedOut = false;
  for (let visited = 0; visited < databases.length && !timedOut; visited++) {
    const db = databases[at % databases.length];
    at = (at + 1) % databases.length;
    for (let loop = 1; ; loop++) {
      const size = Math.min(keysPerLoop, db.expiries.size);
      const gone = size === 0 ? 0 : expireSome(db, size);
      looked += size;
      expired += gone;
      if (gone * 100 <= acceptable * size) break;
      if (loop % LOOPS_PER_CLOCK !== 0) continue;
      timedOut = elapsedUs(clock, start) > limitUs;
      if (timedOut) break;
    }
  }
  nextDatabase.set(keyspace, at);
  keyspace.expireTimedOut = timedOut;
  if (timedOut) stats.expiredTimeCapReached++;
  stats.expireCycleUs += elapsedUs(clock, start);
  const percent = looked === 0 ? 0 : (expired * 100) / looked;
  stats.expiredStalePercent = percent * 0.05 + stats.expiredStalePercent * 0.95;
  return stats.expiredKeys - before;
}

/** Keys looked at in one call. */
const OWN_KEYS_PER_CYCLE = 1000;

/** Deletes keys whose time has come on a replica that its own clients write to: those that they have set. */
export function expireOwnKeys(keyspace: Keyspace): void {
  const { ownVolatile } = keyspace;
  if (ownVolatile === null) return;
  let left = OWN_KEYS_PER_CYCLE;
  for (const name of ownVolatile) {
    if (left-- === 0) return;
    const db = keyspace.databases[databaseOfName(name)];
    const key = keyOfName(name);
    const entry = db.dict.find(key, 0, key.length);
    const expired = entry !== 0 && db.isExpired(entry);
    if (expired) db.expireEntry(entry, key, 0, key.length);
    if (entry === 0 || expired || db.expiryOf(entry) === -1) ownVolatile.delete(name);
  }
}

/** Looks at the next `count` keys with expiry. @returns how many were expired and are gone. */
function expireSome(db: Database, count: number): number {
  const now = db.keyspace.clock.unixMs;
  let gone = 0;
  let ttlSum = 0;
  let ttlCount = 0;
  for (let i = 0; i < count && db.expiries.size > 0; i++) {
    if (db.expireCursor >= db.expiries.size) db.expireCursor = 0;
    const slot = db.expireCursor;
    const ttl = db.expiries.timeOf(slot) - now;
    if (ttl >= 0) {
      ttlSum += ttl;
      ttlCount++;
      db.expireCursor++;
      continue;
    }
    // The last slot's key takes this one's place: the cursor stays.
    const entry = db.expiries.refOf(slot);
    const key = db.keyOf(entry);
    db.expireEntry(entry, key, 0, key.length);
    gone++;
  }
  if (ttlCount > 0) {
    const average = ttlSum / ttlCount;
    db.averageTtlMs = db.averageTtlMs === 0 ? average : db.averageTtlMs * 0.98 + average * 0.02;
  } else if (db.expiries.size === 0) db.averageTtlMs = 0;
  return gone;
}

function elapsedMark(clock: ServerClock): number {
  clock.update();
  return clock.nowUs;
}

function elapsedUs(clock: ServerClock, start: number): number {
  clock.update();
  return (clock.nowUs - start) | 0;
}
