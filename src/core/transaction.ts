// MULTI's queue and WATCH's keys of one client, and the server's index of watched keys. A client that never uses
// them has no Transaction; a server where nobody watches pays one comparison per write.
import type { Call } from './call.ts';
import type { Command } from './command-table.ts';
import type { Database } from './database.ts';
import { databaseOfName, keyName, keyOfName } from './key-name.ts';
import { type ArgVector, WordList } from './nested-call.ts';

/** About what a name, its entry and its place in the index need. */
const WATCHED_KEY_BYTES = 128;

/** A command that waits for EXEC. */
export interface QueuedCommand {
  readonly command: Command;
  /** FLAG_* bits of this call: a script's are its own. */
  readonly flags: number;
  /** A copy of its words. */
  readonly words: ArgVector;
}

export class Transaction {
  /** Between MULTI and EXEC or DISCARD. */
  active = false;
  /** A watched key changed: EXEC answers null. */
  touched = false;
  /** A command could not be queued: EXEC answers EXECABORT. */
  broken = false;
  queue: QueuedCommand[] = [];
  /** Watched keys by `keyName`, and whether a key had expired already, or been put there expired: see `Watches`. */
  readonly watched = new Map<string, boolean>();

  get memoryBytes(): number {
    return this.queue.reduce((sum, queued) => sum + queued.words.bytes.length + queued.words.argc * 8, 0);
  }

  /** Bytes, about, of what is remembered of watched keys. */
  get watchedBytes(): number {
    return this.watched.size * WATCHED_KEY_BYTES;
  }

  /** Whether any queued command has one of these FLAG_* bits. */
  has(flags: number): boolean {
    return this.queue.some((queued) => (queued.flags & flags) !== 0);
  }

  /** Whether any queued command has none of these FLAG_* bits. */
  hasWithout(flags: number): boolean {
    return this.queue.some((queued) => (queued.flags & flags) === 0);
  }

  add(call: Call, command: Command, flags: number): void {
    this.queue.push({ command, flags, words: WordList.of(call) });
  }

  /** Forgets the queue; watched keys are the caller's to drop. */
  reset(): void {
    this.active = false;
    this.touched = false;
    this.broken = false;
    this.queue = [];
  }
}

/** Which transactions watch which keys. */
export class Watches {
  readonly #byKey = new Map<string, Set<Transaction>>();

  /** Number of watched keys: 0 lets callers skip everything. */
  get size(): number {
    return this.#byKey.size;
  }

  watch(transaction: Transaction, db: Database, bytes: Uint8Array, offset: number, length: number): void {
    const name = keyName(db.index, bytes, offset, length);
    if (transaction.watched.has(name)) return;
    let watchers = this.#byKey.get(name);
    if (watchers === undefined) {
      watchers = new Set();
      this.#byKey.set(name, watchers);
    }
    watchers.add(transaction);
    transaction.watched.set(name, hasExpired(db, bytes, offset, length));
  }

  /** As `watch`, for a key that was watched before, by its `keyName`. */
  watchAgain(transaction: Transaction, name: string, expired: boolean): void {
    const watchers = this.#byKey.get(name) ?? new Set();
    this.#byKey.set(name, watchers.add(transaction));
    transaction.watched.set(name, expired);
  }

  unwatch(transaction: Transaction): void {
    for (const name of transaction.watched.keys()) {
      const watchers = this.#byKey.get(name);
      watchers?.delete(transaction);
      if (watchers?.size === 0) this.#byKey.delete(name);
    }
    transaction.watched.clear();
  }

  /** The key changed. That a key which had expired when it was watched is now deleted is no change. */
  touch(db: Database, bytes: Uint8Array, offset: number, length: number): void {
    const name = keyName(db.index, bytes, offset, length);
    const watchers = this.#byKey.get(name);
    if (watchers === undefined) return;
    const isThere = db.dict.find(bytes, offset, length) !== 0;
    for (const transaction of watchers) {
      if (transaction.watched.get(name) === true && !isThere) transaction.watched.set(name, false);
      else transaction.touched = true;
    }
  }

  /**
   * A database is about to be emptied or exchanged for another.
   * @param replacement what takes its place; null: nothing.
   */
  databaseChanged(db: Database, replacement: Database | null): void {
    for (const [name, watchers] of this.#byKey) {
      if (databaseOfName(name) !== db.index) continue;
      const key = keyOfName(name);
      const wasThere = db.dict.find(key, 0, key.length) !== 0;
      const isThere = replacement !== null && replacement.dict.find(key, 0, key.length) !== 0;
      if (!wasThere && !isThere) continue;
      const expired = isThere && hasExpired(replacement, key, 0, key.length);
      for (const transaction of watchers) {
        // To a client an expired key is a missing one: neither coming nor going makes a difference.
        const wasMissing = !wasThere || transaction.watched.get(name) === true;
        if (wasMissing && (!isThere || expired)) transaction.watched.set(name, expired);
        else transaction.touched = true;
      }
    }
  }

  /** Whether the time of a key has come since it was watched. */
  anyExpired(transaction: Transaction, databases: readonly Database[]): boolean {
    for (const [name, expired] of transaction.watched) {
      const key = keyOfName(name);
      if (!expired && hasExpired(databases[databaseOfName(name)], key, 0, key.length)) return true;
    }
    return false;
  }
}

/** The key is there, and its time has come. */
function hasExpired(db: Database, bytes: Uint8Array, offset: number, length: number): boolean {
  const entry = db.dict.find(bytes, offset, length);
  return entry !== 0 && db.isExpired(entry);
}
