// The dataset as it was at one moment, written bit by bit while commands go on. The walk follows the tables; a key that
// is about to change or go before the walk has come to it is written at that moment (copy on write, key by key). Each
// entry's epoch tells whether it is written already or newer than the walk, so nothing is kept per key. A big value may
// change while it is written, and is begun at once when it is about to. What is written before its turn is only copied
// while the command waits; it is handed on piece by piece later. One walk at a time. Imported by snapshot jobs.
import type { Database } from '../core/database.ts';
import type { Keyspace, SnapshotGuard } from '../core/keyspace.ts';
import { EntryList } from '../data/dict.ts';
import { type DatasetFormat, type Saving, SLICE_BYTES } from './dataset-format.ts';
import { RdbOutput } from './rdb-output.ts';

const EPOCHS = 8;

/** What a database held when the walk began: its contents may have moved since. */
interface Source {
  readonly index: number;
  db: Database;
  /** The contents are the walk's alone: the database was emptied. */
  owned: boolean;
  readonly keys: number;
  readonly expiries: number;
  cursor: number;
  done: boolean;
}

/** A big value that is being written, slice by slice, or waits for its turn. */
interface Open {
  readonly source: Source;
  readonly entry: number;
  readonly saving: Saving;
}

/** Epochs that entries of each keyspace may carry, as bits. */
const epochsInUse = new WeakMap<Keyspace, number>();

export class DatasetWalk implements SnapshotGuard {
  readonly keysTotal: number;
  keysDone = 0;
  readonly #keyspace: Keyspace;
  readonly #format: DatasetFormat;
  readonly #out: RdbOutput;
  readonly #epoch: number;
  readonly #sources: Source[] = [];
  readonly #found = new EntryList();
  /** Of the source that is walked. */
  #at = 0;
  #current: Open | null = null;
  /** Keys that had to be written while another one was half written, and the database they are in at its end. */
  readonly #aside = RdbOutput.kept();
  #selectedAside = -1;
  /** Values that had to be begun before their turn, because they were going to change. */
  readonly #waiting: Open[] = [];
  #selected = -1;
  /** For the next key that is written before its turn. */
  #early = RdbOutput.kept();
  #ended = false;

  /** Begins: what is in the keyspace now is what will be written. */
  constructor(keyspace: Keyspace, format: DatasetFormat, out: RdbOutput) {
    if (keyspace.snapshot !== null) throw new Error('assert: two walks over one keyspace');
    this.#keyspace = keyspace;
    this.#format = format;
    this.#out = out;
    out.patient = true;
    this.#epoch = takeEpoch(keyspace);
    for (const db of keyspace.databases) {
      if (db.size === 0) continue;
      const { index, size } = db;
      this.#sources.push({ index, db, owned: false, keys: size, expiries: db.expiries.size, cursor: 0, done: false });
    }
    this.keysTotal = this.#sources.reduce((sum, source) => sum + source.keys, 0);
    keyspace.epoch = this.#epoch;
    keyspace.snapshot = this;
    format.begin(out, keyspace);
  }

  /**
   * Writes on for a short piece: a bucket of the table, a slice of a big value, or what waits to be handed on.
   * @returns whether there is more.
   */
  step(): boolean {
    if (this.#ended) return false;
    if (this.#out.emit()) return true;
    if (this.#current !== null) {
      if (!this.#current.saving.step()) this.#finishCurrent();
      return true;
    }
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      this.#continue(waiting);
      return true;
    }
    const source = this.#sources[this.#at];
    if (source === undefined) {
      this.#end();
      return false;
    }
    this.#walk(source);
    return true;
  }

  #walk(source: Source): void {
    const { db } = source;
    const found = this.#found;
    found.length = 0;
    const next = db.dict.scan(source.cursor, found);
    const enough = this.#out.work + SLICE_BYTES;
    for (let i = 0; i < found.length; i++) {
      const entry = found.refs[i];
      if (db.epochOf(entry) === this.#epoch) continue;
      this.#take(source, entry);
      // Commands may come before the rest of it: the bucket is looked at again then.
      if (this.#current !== null || this.#out.work > enough) return;
    }
    source.cursor = next;
    if (next === 0) this.#leave(source);
  }

  /** Writes an entry, or begins to. */
  #take(source: Source, entry: number): void {
    this.#select(source);
    const saving = this.#format.open(this.#out, source.db, entry);
    if (saving === null || saving.live) source.db.setEpoch(entry, this.#epoch);
    if (saving === null) this.keysDone++;
    else this.#current = { source, entry, saving };
  }

  /** It is the turn of a value that was begun before. */
  #continue(open: Open): void {
    this.#select(open.source);
    this.#out.append(open.saving.out);
    open.saving.out = this.#out;
    this.#current = open;
  }

  #select(source: Source): void {
    if (this.#selected === source.index) return;
    this.#selected = source.index;
    this.#format.database(this.#out, source.index, source.keys, source.expiries);
  }

  #finishCurrent(): void {
    const { source, entry, saving } = this.#current!;
    this.#current = null;
    if (!saving.live) source.db.setEpoch(entry, this.#epoch);
    this.keysDone++;
    this.#close(saving);
    if (this.#selectedAside === -1) return;
    this.#out.append(this.#aside);
    this.#selected = this.#selectedAside;
    this.#selectedAside = -1;
  }

  #close(saving: Saving): void {
    const leftover = saving.end();
    if (leftover === null) return;
    this.#keyspace.lazyFree.add({ objects: 1, releaseSome: (steps) => leftover.releaseSome(steps) });
  }

  #leave(source: Source): void {
    source.done = true;
    this.#at++;
    if (source.owned) this.#release(source.db);
  }

  #release(db: Database): void {
    const { snapshot } = this.#keyspace;
    // Not a change that anyone needs to keep something of.
    this.#keyspace.snapshot = null;
    db.release();
    this.#keyspace.snapshot = snapshot;
  }

  #end(): void {
    this.#ended = true;
    this.#keyspace.snapshot = null;
    epochsInUse.set(this.#keyspace, 1 << this.#epoch);
    this.#format.end(this.#out);
    this.#out.flush();
  }

  /** Gives up. */
  abort(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#current !== null) this.#close(this.#current.saving);
    for (const { saving } of this.#waiting) this.#close(saving);
    for (const source of this.#sources) if (source.owned && !source.done) this.#release(source.db);
    this.#keyspace.snapshot = null;
    this.#current = null;
  }

  // --- what happens meanwhile ---

  beforeChange(db: Database, entry: number): void {
    const current = this.#current;
    if (current !== null && current.entry === entry && current.source.db === db) {
      // A live one carries the epoch.
      this.#out.hold();
      while (current.saving.step());
      this.#finishCurrent();
      return;
    }
    const source = this.#sources.find((one) => one.db === db);
    // Without a source: a database that was empty.
    if (source === undefined) return;
    const out = this.#early;
    const saving = this.#format.open(out, db, entry);
    db.setEpoch(entry, this.#epoch);
    if (saving?.live === true) {
      this.#waiting.push({ source, entry, saving });
      this.#early = RdbOutput.kept();
      return;
    }
    if (saving !== null) while (saving.step());
    this.keysDone++;
    this.#put(source, out);
  }

  /** Puts a whole key where it fits: behind the one that is half written. */
  #put(source: Source, out: RdbOutput): void {
    if (this.#current === null) {
      this.#select(source);
      this.#out.append(out);
      return;
    }
    if (this.#selectedAside !== source.index) {
      this.#selectedAside = source.index;
      this.#format.database(this.#aside, source.index, source.keys, source.expiries);
    }
    this.#aside.append(out);
  }

  cleared(db: Database, kept: Database): void {
    const source = this.#sources.find((one) => one.db === db);
    if (source === undefined || source.done) {
      // All of it is written, or newer than the walk.
      this.#release(kept);
      return;
    }
    source.db = kept;
    source.owned = true;
  }

  swapped(a: Database, b: Database): void {
    const ofA = this.#sources.find((one) => one.db === a);
    const ofB = this.#sources.find((one) => one.db === b);
    if (ofA !== undefined) ofA.db = b;
    if (ofB !== undefined) ofB.db = a;
  }
}

/** An epoch that no entry carries. */
function takeEpoch(keyspace: Keyspace): number {
  let used = epochsInUse.get(keyspace) ?? 1 << keyspace.epoch;
  if (used === (1 << EPOCHS) - 1) {
    // Many walks were given up one after another: the marks are made the same again.
    for (const db of keyspace.databases) markAll(db, keyspace.epoch);
    used = 1 << keyspace.epoch;
  }
  let epoch = 0;
  while ((used & (1 << epoch)) !== 0) epoch++;
  epochsInUse.set(keyspace, used | (1 << epoch));
  return epoch;
}

function markAll(db: Database, epoch: number): void {
  const found = new EntryList();
  for (let bucket = 0; bucket < db.dict.bucketCount; bucket++) {
    found.length = 0;
    db.dict.bucketEntries(bucket, found);
    for (let i = 0; i < found.length; i++) db.setEpoch(found.refs[i], epoch);
  }
}
