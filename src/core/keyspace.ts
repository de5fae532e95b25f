// What all databases of a server share: memory, time, randomness, counts, and the hooks through which WATCH,
// tracking, keyspace notifications and replication learn of changes. Built by the server; tests build their own.
import type { Arena } from '../data/arena.ts';
import { keyHashIsSeeded, seedKeyHash } from '../data/key-hash.ts';
import type { ServerClock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import { Database } from './database.ts';
import { LazyFree } from './lazy-free.ts';

/** Expired keys are deleted when met: a master. */
export const EXPIRY_DELETE = 0;
/** Expired keys are hidden but stay until the master deletes them: a replica, or while writes are paused. */
export const EXPIRY_HIDE = 1;
/** Expired keys are there: while a dump is being loaded. */
export const EXPIRY_IGNORE = 2;

/** Told of what happens to keys. All ranges are readable during the call only. */
export interface KeyspaceHooks {
  /** A key was changed, deleted or expired: WATCH and client tracking (Redis's signalModifiedKey). */
  keyModified(db: Database, bytes: Uint8Array, offset: number, length: number): void;
  /** A key with a collection appeared: clients may be blocked on it (Redis's signalKeyAsReady). */
  keyReady(db: Database, type: number, bytes: Uint8Array, offset: number, length: number): void;
  /** A key was deleted because it expired or was evicted: replicas and the append-only file need a DEL. */
  keyExpired(db: Database, bytes: Uint8Array, offset: number, length: number): void;
  /** A keyspace event whose class `notifyFlags` asks for. */
  keyEvent(notifyClass: number, event: string, db: Database, bytes: Uint8Array, offset: number, length: number): void;
  /** A key's value is going away, for whatever reason; told only while `deletionsWanted`. */
  keyDeleted(db: Database, bytes: Uint8Array, offset: number, length: number): void;
  /** A database is about to be emptied. @param index -1: all of them. */
  databaseEmptied(index: number): void;
  /** Two databases are about to be exchanged. */
  databasesSwapped(a: number, b: number): void;
}

/** A walk over the dataset that sees it as it was when it began. */
export interface SnapshotGuard {
  /** An entry that the snapshot does not have yet is about to change or go: it is taken before this returns. */
  beforeChange(db: Database, entry: number): void;
  /** What was in `db` is in `kept` now, which nobody else knows: the snapshot releases it when it has it all. */
  cleared(db: Database, kept: Database): void;
  /** The two databases are about to exchange their contents. */
  swapped(a: Database, b: Database): void;
}

/** Keeps strings that were evicted, and gives them back when their key is asked for. */
export interface VictimStore {
  /** The entry, a string, is about to be evicted. */
  keep(db: Database, entry: number): void;
  /** Puts the key back into `db`, where it is missing, if it was kept. @returns its entry, or 0. */
  restore(db: Database, bytes: Uint8Array, offset: number, length: number): number;
  /** A database was emptied. @param index -1: all of them. */
  emptied(index: number): void;
  /** Two databases were exchanged. */
  swapped(a: number, b: number): void;
}

/** State of modules, which dump files hold beside the keys. */
export interface ModuleStates {
  /** By the module's name: commands as RESP that bring its state back. */
  states(): Iterable<readonly [name: string, commands: Uint8Array]>;
  /** Runs them, or keeps them until the module is there. */
  load(name: string, commands: Uint8Array): void;
}

/** The libraries of functions, which dump files hold beside the keys. */
export interface FunctionLibraries {
  /** The code of each. */
  codes(): Iterable<Uint8Array>;
  /** @param replace takes the place of a library of the same name. @returns what is wrong with it, or null. */
  load(code: Uint8Array, replace: boolean): string | null;
  /** Forgets all of them. */
  clear(): void;
}

const NO_HOOKS: KeyspaceHooks = {
  keyModified() {},
  keyReady() {},
  keyExpired() {},
  keyEvent() {},
  keyDeleted() {},
  databaseEmptied() {},
  databasesSwapped() {},
};

export class Keyspace {
  readonly arena: Arena;
  readonly clock: ServerClock;
  readonly random: Random;
  readonly databases: Database[] = [];
  readonly lazyFree = new LazyFree();
  hooks: KeyspaceHooks = NO_HOOKS;
  /** Null where there are no functions: in tests of parts. */
  functions: FunctionLibraries | null = null;
  /** Null where there are no modules. */
  moduleStates: ModuleStates | null = null;
  /** Null: what is evicted is gone. */
  victims: VictimStore | null = null;
  /** The snapshot that is being taken. */
  snapshot: SnapshotGuard | null = null;
  /** Number of the latest snapshot, 0 to 7: entries that it has, and newer ones, carry it. */
  epoch = 0;
  /** NOTIFY_* bits that are wanted: `notify-keyspace-events`. */
  notifyFlags = 0;
  /** Someone waits to hear that a key is gone. */
  deletionsWanted = false;
  /** EXPIRY_*: what happens to a key found expired. */
  expiryMode = EXPIRY_DELETE;
  /**
   * A replica that is written to by its own clients: what they set expires here, as the master knows nothing of it.
   * Keys by `keyName`. Null: not such a replica.
   */
  ownVolatile: Set<string> | null = null;
  /** `lazyfree-lazy-expire`, `lazyfree-lazy-server-del`: large values that expire, or are replaced, are freed later. */
  lazyExpire = false;
  lazyServerDel = false;
  /** Keys carry access frequency (an LFU `maxmemory-policy`) instead of the time of the last access. */
  lfu = false;
  lfuLogFactor = 10;
  /** Minutes after which the frequency loses one. */
  lfuDecayTime = 1;
  readonly stats = {
    hits: 0,
    misses: 0,
    expiredKeys: 0,
    /** Estimated share of keys with expiry that are expired, percent. */
    expiredStalePercent: 0,
    expiredTimeCapReached: 0,
    /** Time spent in the active expire cycle, microseconds. */
    expireCycleUs: 0,
  };

  constructor(arena: Arena, clock: ServerClock, random: Random, databases = 16) {
    this.arena = arena;
    this.clock = clock;
    this.random = random;
    if (!keyHashIsSeeded()) seedKeyHash(random.int32(), random.int32());
    for (let i = 0; i < databases; i++) this.databases.push(new Database(i, this));
    arena.tenants++;
  }

  /** Removes every key of every database. @param lazy their memory is given back later. @returns how many there were. */
  clear(lazy: boolean): number {
    const { arena, databases, lazyFree, snapshot } = this;
    let removed = 0;
    // Nobody else has anything in the arena: it goes as a whole, not key by key.
    const atOnce = !lazy && arena.tenants === 1 && snapshot === null && lazyFree.pending === 0;
    if (atOnce) arena.reset();
    for (const db of databases) removed += atOnce ? db.clearAfterReset() : db.clear(lazy);
    return removed;
  }

  /** Its databases are empty, and it is not used any more. */
  leave(): void {
    this.arena.tenants--;
  }

  /** Tells hooks of an event if anyone wants its class. */
  event(notifyClass: number, event: string, db: Database, bytes: Uint8Array, offset: number, length: number): void {
    if ((this.notifyFlags & notifyClass) !== 0) this.hooks.keyEvent(notifyClass, event, db, bytes, offset, length);
  }

  /** The 24 access bits of a new key. */
  initialAccess(): number {
    return this.lfu ? (this.#minutes() << 8) | LFU_INIT : this.#seconds();
  }

  /** Access bits of a key with that LFU counter. */
  accessWithFrequency(counter: number): number {
    return (this.#minutes() << 8) | counter;
  }

  /** Access bits of a key that was not used for so many seconds (LRU). */
  accessIdleFor(seconds: number): number {
    return (this.#seconds() - Math.min(seconds, 0xffffff)) & 0xffffff;
  }

  /** The 24 access bits after one more access. */
  nextAccess(access: number): number {
    if (!this.lfu) return this.#seconds();
    const counter = this.decayed(access);
    return (this.#minutes() << 8) | this.#incremented(counter);
  }

  /** LFU counter of these access bits, less what time took. */
  decayed(access: number): number {
    const then = (access >>> 8) & 0xffff;
    const elapsed = (this.#minutes() - then) & 0xffff;
    const periods = this.lfuDecayTime > 0 ? Math.floor(elapsed / this.lfuDecayTime) : 0;
    return Math.max(0, (access & 255) - periods);
  }

  /** Seconds since the last access, as these access bits tell (LRU). */
  idleSeconds(access: number): number {
    return (this.#seconds() - access) & 0xffffff;
  }

  #incremented(counter: number): number {
    if (counter === 255) return 255;
    const base = Math.max(0, counter - LFU_INIT);
    const drawn = (this.random.int32() >>> 0) / 0x1_0000_0000;
    return drawn < 1 / (base * this.lfuLogFactor + 1) ? counter + 1 : counter;
  }

  #seconds(): number {
    return Math.floor(this.clock.unixMs / 1000) & 0xffffff;
  }

  #minutes(): number {
    return Math.floor(this.clock.unixMs / 60_000) & 0xffff;
  }
}

const LFU_INIT = 5;
