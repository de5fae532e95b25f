// The active expire cycle: deletes keys whose time has come though nobody asks for them. Each database lists its keys
// with expiry densely (ExpiryIndex), so a cycle walks that list, never the table. As in Redis it goes on with a database
// while many of the keys it meets are expired, and stops when its share of the time is used; it does so a slice at a time,
// so that commands are served between. The server's cron calls it.
import type { ServerClock } from '../platform/clock.ts';
import type { Database } from './database.ts';
import { databaseOfName, keyOfName } from './key-name.ts';
import { EXPIRY_DELETE, type Keyspace } from './keyspace.ts';

/** Keys looked at in one loop, and share of expired ones (percent) above which the database gets another loop. */
const KEYS_PER_LOOP = 20;
const ACCEPTABLE_STALE_PERCENT = 10;
/** Percent of the time between two crons that a cycle may take. */
const TIME_PERCENT = 25;
/** What it may take of one turn of the event loop. */
const SLICE_US = 1000;
/** Keys between two looks at the clock. */
const KEYS_PER_CLOCK = 320;

export interface ExpireCycleOptions {
  /** Cron runs a second. */
  readonly hz: number;
  /** `active-expire-effort`, 1 to 10. */
  readonly effort: number;
}

/** Database at which the next slice starts: one that ran out of time must not starve those behind. */
const nextDatabase = new WeakMap<Keyspace, number>();

/** What one cron starts. */
export class ExpireCycle {
  readonly #keyspace: Keyspace;
  readonly #effort: number;
  #leftUs: number;
  #looked = 0;
  #expired = 0;

  constructor(keyspace: Keyspace, { hz, effort }: ExpireCycleOptions) {
    this.#keyspace = keyspace;
    this.#effort = effort - 1;
    this.#leftUs = ((TIME_PERCENT + 2 * this.#effort) * 10_000) / hz;
  }

  /** Works for about a millisecond. @returns whether the cycle is to go on. */
  slice(): boolean {
    const { clock, expiryMode, stats } = this.#keyspace;
    if (expiryMode !== EXPIRY_DELETE) return false;
    const start = elapsedMark(clock);
    const timedOut = this.#visit(start, Math.min(this.#leftUs, SLICE_US));
    const took = elapsedUs(clock, start);
    stats.expireCycleUs += took;
    this.#leftUs -= took;
    if (timedOut && this.#leftUs > 0) return true;
    if (timedOut) stats.expiredTimeCapReached++;
    const percent = this.#looked === 0 ? 0 : (this.#expired * 100) / this.#looked;
    stats.expiredStalePercent = percent * 0.05 + stats.expiredStalePercent * 0.95;
    return false;
  }

  /** Visits the databases. @returns whether the time was used before there was nothing more to do. */
  #visit(start: number, limitUs: number): boolean {
    const keyspace = this.#keyspace;
    const { clock, databases } = keyspace;
    const keysPerLoop = KEYS_PER_LOOP + (KEYS_PER_LOOP / 4) * this.#effort;
    const acceptable = ACCEPTABLE_STALE_PERCENT - this.#effort;
    let at = nextDatabase.get(keyspace) ?? 0;
    let timedOut = false;
    for (let visited = 0; visited < databases.length && !timedOut; visited++) {
      const db = databases[at % databases.length];
      at = (at + 1) % databases.length;
      for (let sinceClock = 0; ; ) {
        const size = Math.min(keysPerLoop, db.expiries.size);
        const gone = size === 0 ? 0 : expireSome(db, size);
        this.#looked += size;
        this.#expired += gone;
        if (gone * 100 <= acceptable * size) break;
        sinceClock += size;
        if (sinceClock < KEYS_PER_CLOCK) continue;
        sinceClock = 0;
        timedOut = elapsedUs(clock, start) > limitUs;
        if (timedOut) break;
      }
    }
    nextDatabase.set(keyspace, at);
    return timedOut;
  }
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
