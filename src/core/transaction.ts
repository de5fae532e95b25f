// MULTI's queue and WATCH's keys of one client, and the server's index of watched keys. A client that never uses
// them has no Transaction; a server where nobody watches pays one comparison per write.
import type { Call } from './call.ts';
import type { Command } from './command-table.ts';
import { databaseOfName, keyName, keyOfName } from './key-name.ts';
import { type ArgVector, WordList } from './nested-call.ts';

/** A command that waits for EXEC. */
export interface QueuedCommand {
  readonly command: Command;
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
  /** Watched keys as `Watches` names them. */
  readonly watched = new Set<string>();

  get memoryBytes(): number {
    return this.queue.reduce((sum, queued) => sum + queued.words.bytes.length + queued.words.argc * 8, 0);
  }

  /** Whether any queued command has one of these FLAG_* bits. */
  has(flags: number): boolean {
    return this.queue.some((queued) => (queued.command.flags & flags) !== 0);
  }

  add(call: Call, command: Command): void {
    this.queue.push({ command, words: WordList.of(call) });
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

  watch(transaction: Transaction, db: number, bytes: Uint8Array, offset: number, length: number): void {
    const name = keyName(db, bytes, offset, length);
    let watchers = this.#byKey.get(name);
    if (watchers === undefined) {
      watchers = new Set();
      this.#byKey.set(name, watchers);
    }
    watchers.add(transaction);
    transaction.watched.add(name);
  }

  unwatch(transaction: Transaction): void {
    for (const name of transaction.watched) {
      const watchers = this.#byKey.get(name);
      watchers?.delete(transaction);
      if (watchers?.size === 0) this.#byKey.delete(name);
    }
    transaction.watched.clear();
  }

  /** The key changed. */
  touch(db: number, bytes: Uint8Array, offset: number, length: number): void {
    const watchers = this.#byKey.get(keyName(db, bytes, offset, length));
    if (watchers !== undefined) for (const transaction of watchers) transaction.touched = true;
  }

  /**
   * A whole database changed; -1: all.
   * @param exists whether the key was or is there: a watch of a key missing before and after is left alone.
   */
  touchDatabase(db: number, exists: (db: number, key: Uint8Array) => boolean): void {
    for (const [name, watchers] of this.#byKey) {
      const index = databaseOfName(name);
      if (db >= 0 && index !== db) continue;
      if (!exists(index, keyOfName(name))) continue;
      for (const transaction of watchers) transaction.touched = true;
    }
  }
}
