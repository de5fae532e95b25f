// A big hash, set or sorted set that is written bit by bit while commands change it: its table is walked bucket by bucket,
// and a bucket that is about to change before the walk has come to it is written at that moment, but for large elements,
// which stay where they are until they are written next, whatever becomes of their entries. Elements may stand in
// any order, so what is written early needs no place of its own. A sorted set is written from its highest member down,
// which makes loading it quick, until the first change comes; the rest then goes by buckets too. Imported by the formats.
import type { Dict, DictWatcher } from '../data/dict.ts';
import { EntryList } from '../data/dict.ts';
import { compareBytes, Element } from '../data/element.ts';
import type { SortedSet } from '../data/sorted-set.ts';
import { type Leftover, type Saving, SLICE_BYTES, SLICE_ELEMENTS } from './dataset-format.ts';
import type { RdbOutput } from './rdb-output.ts';
import { WatchedEntry } from './watched-entry.ts';

/** Buckets that one step looks at, at most. */
const SLICE_BUCKETS = 1024;

/** Elements of so many bytes are not copied while a command waits. */
const LARGE_BYTES = 16 * 1024;

/** Puts elements into a format's words. */
export interface ElementWriter {
  /** @param handles entries of the table. */
  elements(out: RdbOutput, handles: EntryList): void;
  /** What comes behind the last one. */
  end(out: RdbOutput): void;
}

export class TableSaving implements Saving, DictWatcher {
  readonly live = true;
  out: RdbOutput;
  readonly #table: Dict;
  readonly #writer: ElementWriter;
  /** Of the table when it was whole; those that came later hold nothing to write. */
  readonly #buckets: number;
  /** Buckets below are done. */
  #position = 0;
  /** One bit for each bucket that was done before its turn. */
  #early: Uint8Array | null = null;
  /** Large elements of buckets that have changed: the next to be written. */
  readonly #large: WatchedEntry[] = [];
  readonly #order: Descent | null;
  #inOrder: boolean;
  #isReleased = false;
  readonly #found = new EntryList();
  readonly #changing = new EntryList();

  /** @param zset the owner of the table if it is a sorted set. */
  constructor(out: RdbOutput, table: Dict, writer: ElementWriter, zset: SortedSet | null) {
    if (table.watcher !== null) throw new Error('assert: a table is saved twice at a time');
    this.out = out;
    this.#table = table;
    this.#writer = writer;
    this.#buckets = table.bucketCount;
    this.#order = zset === null ? null : new Descent(zset);
    this.#inOrder = zset !== null;
    table.watcher = this;
  }

  step(): boolean {
    const found = this.#found;
    found.length = 0;
    const large = this.#large.pop();
    if (large !== undefined) {
      found.push(large.ref);
      this.#writer.elements(this.out, found);
      large.release();
      return true;
    }
    const more = this.#inOrder ? (this.#order as Descent).gather(found) : this.#gather(found);
    this.#writer.elements(this.out, found);
    if (!more) this.#writer.end(this.out);
    return more;
  }

  #gather(found: EntryList): boolean {
    const table = this.#table;
    const last = Math.min(this.#buckets, this.#position + SLICE_BUCKETS);
    let bytes = 0;
    while (this.#position < last && found.length < SLICE_ELEMENTS && bytes < SLICE_BYTES) {
      const bucket = this.#position++;
      if (this.#isEarly(bucket)) continue;
      const before = found.length;
      this.#elementsOf(bucket, found);
      for (let i = before; i < found.length; i++) {
        bytes += table.keyLength(found.refs[i]) + table.valueLength(found.refs[i]);
      }
    }
    return this.#position < this.#buckets;
  }

  /** Appends what of a bucket is not written. */
  #elementsOf(bucket: number, found: EntryList): void {
    const before = found.length;
    this.#table.bucketEntries(bucket, found);
    const order = this.#order;
    if (order === null) return;
    let kept = before;
    for (let i = before; i < found.length; i++) if (!order.has(found.refs[i])) found.refs[kept++] = found.refs[i];
    found.length = kept;
  }

  #isEarly(bucket: number): boolean {
    return this.#early !== null && (this.#early[bucket >> 3] & (1 << (bucket & 7))) !== 0;
  }

  beforeChange(bucket: number): void {
    if (bucket >= this.#buckets || bucket < this.#position || this.#isEarly(bucket)) return;
    this.#inOrder = false;
    this.#early ??= new Uint8Array((this.#buckets + 7) >> 3);
    this.#early[bucket >> 3] |= 1 << (bucket & 7);
    const changing = this.#changing;
    changing.length = 0;
    this.#elementsOf(bucket, changing);
    // A member of a sorted set keeps its place in memory when its score changes.
    if (this.#order === null) this.#putOff(changing);
    this.#writer.elements(this.out, changing);
  }

  /** Takes the large ones out of the list. */
  #putOff(changing: EntryList): void {
    const table = this.#table;
    let kept = 0;
    for (let i = 0; i < changing.length; i++) {
      const ref = changing.refs[i];
      if (table.keyLength(ref) + table.valueLength(ref) < LARGE_BYTES) changing.refs[kept++] = ref;
      else this.#large.push(new WatchedEntry(table, ref, neverInPlace));
    }
    changing.length = kept;
  }

  released(): void {
    this.#inOrder = false;
    this.#isReleased = true;
  }

  end(): Leftover | null {
    this.#table.watcher = null;
    for (const large of this.#large) large.release();
    return this.#isReleased ? this.#table : null;
  }
}

function neverInPlace(): void {
  throw new Error('assert: a value in a hash is written over in place while it is saved');
}

/** The members of a sorted set from the highest down, as long as it does not change, and which those were. */
class Descent {
  readonly #zset: SortedSet;
  #node: number;
  #any = false;
  /** The lowest that was written. */
  #score = 0;
  #member: Uint8Array = new Uint8Array(0);
  readonly #element = new Element();

  constructor(zset: SortedSet) {
    this.#zset = zset;
    this.#node = zset.last();
  }

  /** @returns whether there are more. */
  gather(found: EntryList): boolean {
    const zset = this.#zset;
    const element = this.#element;
    let bytes = 0;
    let lowest = 0;
    while (this.#node !== 0 && found.length < SLICE_ELEMENTS && bytes < SLICE_BYTES) {
      lowest = this.#node;
      found.push(zset.entryOf(lowest));
      zset.member(lowest, element);
      bytes += element.length;
      this.#node = zset.previous(lowest);
    }
    if (lowest !== 0) {
      this.#any = true;
      this.#score = zset.score(lowest);
      this.#member = element.copy();
    }
    return this.#node !== 0;
  }

  has(entry: number): boolean {
    if (!this.#any) return false;
    const score = this.#zset.entryScore(entry);
    if (score !== this.#score) return score > this.#score;
    const element = this.#element;
    const member = this.#member;
    this.#zset.entryMember(entry, element);
    return compareBytes(element.bytes, element.offset, element.length, member, 0, member.length) >= 0;
  }
}
