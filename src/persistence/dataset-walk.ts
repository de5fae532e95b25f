// The dataset as it was at one moment, written bit by bit while commands go on. The walk follows the tables; a key that
// is about to change or go before the walk has come to it is written at that moment (copy on write, key by key). Each
// entry's epoch tells whether it is written already or newer than the walk, so nothing is kept per key. What cannot be
// avoided: the first write to a huge collection that is not written yet waits until that collection is. One walk at a
// time. Imported by snapshot jobs.
import type { Database } from '../core/database.ts';
import type { Keyspace, SnapshotGuard } from '../core/keyspace.ts';
import { EntryList } from '../data/dict.ts';
import type { DatasetFormat, Slices } from './dataset-format.ts';
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

/** A big value that is being written, slice by slice. */
interface Current {
  readonly source: Source;
  readonly entry: number;
  readonly slices: Slices;
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
  #current: Current | null = null;
  /** Keys that had to be written while another one was half written. */
  #aside: { source: Source; out: RdbOutput }[] = [];
  #selected = -1;
  #ended = false;

  /** Begins: what is in the keyspace now is what will be written. */
  constructor(keyspace: Keyspace, format: DatasetFormat, out: RdbOutput) {
    if (keyspace.snapshot !== null) throw new Error('assert: two walks over one keyspace');
    this.#keyspace = keyspace;
    this.#format = format;
    this.#out = out;
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
   * Writes on for a short piece: a bucket of the table, or a slice of a big value.
   * @returns whether there is more.
   */
  step(): boolean {
    if (this.#ended) return false;
    if (this.#current !== null) {
      if (this.#current.slices.next().done === true) this.#finishCurrent();
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
    for (let i = 0; i < found.length; i++) {
      const entry = found.refs[i];
      if (db.epochOf(entry) === this.#epoch) continue;
      this.#take(source, entry);
      // Commands may come before the big value is done: the bucket is looked at again then.
      if (this.#current !== null) return;
    }
    source.cursor = next;
    if (next === 0) this.#leave(source);
  }

  /** Writes an entry, or begins to. */
  #take(source: Source, entry: number): void {
    this.#select(source);
    const slices = this.#format.entry(this.#out, source.db, entry);
    if (slices === null || slices.next().done === true) this.#taken(source, entry);
    else this.#current = { source, entry, slices };
  }

  #taken(source: Source, entry: number): void {
    source.db.setEpoch(entry, this.#epoch);
    this.keysDone++;
  }

  #select(source: Source): void {
    if (this.#selected === source.index) return;
    this.#selected = source.index;
    this.#format.database(this.#out, source.index, source.keys, source.expiries);
  }

  #finishCurrent(): void {
    const current = this.#current!;
    this.#current = null;
    this.#taken(current.source, current.entry);
    const aside = this.#aside;
    this.#aside = [];
    for (const { source, out } of aside) {
      this.#select(source);
      this.#out.raw(out.bytes, 0, out.length);
    }
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
    for (const source of this.#sources) if (source.owned && !source.done) this.#release(source.db);
    this.#keyspace.snapshot = null;
    this.#current = null;
    this.#aside = [];
  }

  // --- what happens meanwhile ---

  beforeChange(db: Database, entry: number): void {
    const current = this.#current;
    if (current !== null && current.entry === entry && current.source.db === db) {
      while (current.slices.next().done !== true);
      this.#finishCurrent();
      return;
    }
    const source = this.#sources.find((one) => one.db === db);
    // Without a source: a database that was empty.
    if (source === undefined) return;
    if (current === null) {
      this.#select(source);
      finish(this.#format.entry(this.#out, db, entry));
    } else {
      const out = new RdbOutput(null, this.#out.compress);
      finish(this.#format.entry(out, db, entry));
      this.#aside.push({ source, out });
    }
    this.#taken(source, entry);
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

function finish(slices: Slices | null): void {
  if (slices !== null) while (slices.next().done !== true);
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
