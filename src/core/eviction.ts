// Frees memory when `maxmemory` is reached, as `maxmemory-policy` says and as Redis does it: some keys are sampled, the
// best candidates wait in a pool of sixteen, the best of them goes, until enough is free or the time that
// `maxmemory-eviction-tenacity` allows is used; then it goes on in the ticks that follow. The server owns one.
import { EntryList } from '../data/dict.ts';
import { below } from '../data/handles.ts';
import { TYPE_STRING } from '../data/value-type.ts';
import type { Config } from './config.ts';
import type { Database } from './database.ts';
import type { Keyspace } from './keyspace.ts';
import { NOTIFY_EVICTED } from './notify-flags.ts';

/** What freeing memory came to. */
export const EVICTION_OK = 0;
/** Not enough yet, but it goes on: commands may use memory. */
export const EVICTION_RUNNING = 1;
export const EVICTION_FAILED = 2;

const POOL_SIZE = 16;
/** Keys evicted between two looks at the clock. */
const KEYS_PER_CLOCK = 16;

export interface EvictionParts {
  readonly keyspace: Keyspace;
  readonly config: Config;
  /** Microseconds; only differences mean something. */
  readonly stopwatch: () => number;
  /** Runs a task after this tick. */
  readonly soon: (task: () => void) => void;
  /** Bytes in use that `maxmemory` limits. */
  readonly usedMemory: () => number;
  /** Takes memory that is no key's: caches. */
  readonly reclaim: (bytes: number) => void;
  /** Brings `usedMemory` up to date where it is not counted all the time. */
  readonly measure: () => void;
  /** Tells replicas and the append-only file. */
  readonly deleted: (db: Database, key: Uint8Array, lazy: boolean) => void;
  /** False while a dump is loaded, writes are paused, or a replica that leaves it to its master. */
  readonly mayEvict: () => boolean;
}

interface Candidate {
  readonly key: Uint8Array;
  readonly db: number;
  readonly score: number;
}

export class Eviction {
  evictedKeys = 0;
  /** Time spent above the limit, microseconds, up to the last time that it was under again. */
  #exceededUs = 0;
  #exceededSince = -1;
  readonly #parts: EvictionParts;
  /** Best candidate last. */
  readonly #pool: Candidate[] = [];
  #nextDatabase = 0;
  #running = false;
  readonly #sampled = new EntryList();

  constructor(parts: EvictionParts) {
    this.#parts = parts;
  }

  resetStats(): void {
    this.evictedKeys = 0;
    this.#exceededUs = 0;
    if (this.#exceededSince >= 0) this.#exceededSince = this.#parts.stopwatch();
  }

  /** Time spent above the limit, microseconds: since start, and in this stretch. */
  get totalExceededUs(): number {
    return this.#exceededUs + this.currentExceededUs;
  }

  get currentExceededUs(): number {
    return this.#exceededSince < 0 ? 0 : this.#parts.stopwatch() - this.#exceededSince;
  }

  /** @returns EVICTION_*. */
  perform(): number {
    const { config, usedMemory, measure, mayEvict, reclaim } = this.#parts;
    const { maxmemory } = config;
    if (maxmemory > 0 && usedMemory() > maxmemory) {
      measure();
      reclaim(usedMemory() - maxmemory);
    }
    if (maxmemory === 0 || usedMemory() <= maxmemory) {
      this.#belowLimit();
      return EVICTION_OK;
    }
    if (this.#exceededSince < 0) this.#exceededSince = this.#parts.stopwatch();
    if (!mayEvict()) return EVICTION_OK;
    if (config.maxmemoryPolicy === 'noeviction') return EVICTION_FAILED;
    return this.#evict();
  }

  #belowLimit(): void {
    if (this.#exceededSince < 0) return;
    this.#exceededUs += this.currentExceededUs;
    this.#exceededSince = -1;
  }

  #evict(): number {
    const { config, usedMemory, stopwatch } = this.#parts;
    const start = stopwatch();
    const limitUs = timeLimitUs(config.maxmemoryEvictionTenacity);
    for (let evicted = 1; usedMemory() > config.maxmemory; evicted++) {
      if (!this.#evictOne()) return EVICTION_FAILED;
      if (evicted % KEYS_PER_CLOCK === 0 && stopwatch() - start > limitUs) {
        this.performLater();
        return EVICTION_RUNNING;
      }
    }
    this.#belowLimit();
    return EVICTION_OK;
  }

  /** After this tick: no part of what runs now. */
  performLater(): void {
    if (this.#running) return;
    this.#running = true;
    this.#parts.soon(() => {
      this.#running = false;
      this.perform();
    });
  }

  /** @returns false when there is nothing to evict. */
  #evictOne(): boolean {
    const { keyspace, config, deleted } = this.#parts;
    const policy = config.maxmemoryPolicy;
    const entry = policy.endsWith('random') ? this.#anyEntry(policy) : this.#bestEntry(policy);
    if (entry === 0) return false;
    const db = keyspace.databases[this.#chosenDb];
    const key = db.keyOf(entry);
    if (keyspace.victims !== null && db.typeOf(entry) === TYPE_STRING) keyspace.victims.keep(db, entry);
    db.deleteEntry(entry, config.lazyfreeLazyEviction);
    this.evictedKeys++;
    deleted(db, key, config.lazyfreeLazyEviction);
    keyspace.event(NOTIFY_EVICTED, 'evicted', db, key, 0, key.length);
    keyspace.hooks.keyModified(db, key, 0, key.length);
    return true;
  }

  /** Database of the latest entry that was chosen. */
  #chosenDb = 0;

  #anyEntry(policy: string): number {
    const { keyspace } = this.#parts;
    const { databases, random } = keyspace;
    for (let tries = 0; tries < databases.length; tries++) {
      this.#chosenDb = this.#nextDatabase;
      this.#nextDatabase = (this.#nextDatabase + 1) % databases.length;
      const db = databases[this.#chosenDb];
      if (policy === 'allkeys-random') {
        if (db.size > 0) return db.dict.random(random);
      } else if (db.expiries.size > 0) return db.expiries.refOf(below(db.expiries.size, random));
    }
    return 0;
  }

  #bestEntry(policy: string): number {
    const { databases } = this.#parts.keyspace;
    for (;;) {
      let keys = 0;
      for (const db of databases) {
        const size = policy.startsWith('allkeys') ? db.size : db.expiries.size;
        if (size === 0) continue;
        keys += size;
        this.#sample(db, policy);
      }
      if (keys === 0) return 0;
      for (let best = this.#pool.pop(); best !== undefined; best = this.#pool.pop()) {
        const db = databases[best.db];
        const entry = db.dict.find(best.key, 0, best.key.length);
        // The key may be gone, or no longer expire, since it was sampled.
        if (entry === 0 || (policy.startsWith('volatile') && db.expiryOf(entry) === -1)) continue;
        this.#chosenDb = best.db;
        return entry;
      }
    }
  }

  /** Puts the better ones of some entries into the pool. */
  #sample(db: Database, policy: string): void {
    const { keyspace, config } = this.#parts;
    const sampled = this.#sampled;
    sampled.length = 0;
    if (policy.startsWith('allkeys')) db.dict.sampleSome(config.maxmemorySamples, keyspace.random, sampled);
    else {
      const { expiries } = db;
      const count = Math.min(config.maxmemorySamples, expiries.size);
      const start = below(expiries.size, keyspace.random);
      for (let i = 0; i < count; i++) sampled.push(expiries.refOf((start + i) % expiries.size));
    }
    for (let i = 0; i < sampled.length; i++) this.#offer(db, sampled.refs[i], policy);
  }

  #offer(db: Database, entry: number, policy: string): void {
    const pool = this.#pool;
    const score = scoreOf(db, entry, policy);
    let at = pool.length;
    while (at > 0 && pool[at - 1].score > score) at--;
    if (at === 0 && pool.length >= POOL_SIZE) return;
    const offset = db.keyOffset(entry);
    const length = db.keyLength(entry);
    const known = pool.some(
      ({ key, db: index }) => index === db.index && sameKey(key, db.bytesOf(entry), offset, length),
    );
    if (known) return;
    pool.splice(at, 0, { key: db.keyOf(entry), db: db.index, score });
    if (pool.length > POOL_SIZE) pool.shift();
  }
}

function sameKey(key: Uint8Array, bytes: Uint8Array, offset: number, length: number): boolean {
  if (key.length !== length) return false;
  for (let i = 0; i < length; i++) if (key[i] !== bytes[offset + i]) return false;
  return true;
}

/** The higher, the sooner the entry goes. */
function scoreOf(db: Database, entry: number, policy: string): number {
  const { keyspace } = db;
  if (policy.endsWith('lru')) return keyspace.idleSeconds(db.accessOf(entry));
  if (policy.endsWith('lfu')) return 255 - keyspace.decayed(db.accessOf(entry));
  return -db.expiryOf(entry);
}

/** Redis's: linear up to 0.5 ms at 10, then 15 percent more a step, up to about two minutes at 99. */
function timeLimitUs(tenacity: number): number {
  if (tenacity <= 10) return 50 * tenacity;
  return tenacity < 100 ? Math.trunc(500 * 1.15 ** (tenacity - 10)) : Number.POSITIVE_INFINITY;
}
