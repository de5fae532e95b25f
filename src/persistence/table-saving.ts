// A big hash, set or sorted set that is written bit by bit while commands change it: its table is walked bucket by bucket,
// and a bucket that is about to change before the walk has come to it is written at that moment, but for large elements,
// which stay where they are until they are written next, each on its own and piece by piece, whatever becomes of their
// entries. Elements may stand in any order, so what is written early needs no place of its own. A sorted set is written from its highest member down,
// which makes loading it quick, until the first change comes; the rest then goes by buckets too. Imported by the formats.
import type { Dict, DictWatcher } from '../data/dict.ts';
import { EntryList } from '../data/dict.ts';
import { compareBytes, Element } from '../data/element.ts';
import type { SortedSet } from '../data/sorted-set.ts';
import { type Leftover, type Saving, SLICE_BYTES, SLICE_ELEMENTS, type Slices } from './dataset-format.ts';
import { RdbOutput } from './rdb-output.ts';
import { WatchedEntry } from './watched-entry.ts';

/** Buckets that one step looks at, at most. */
const SLICE_BUCKETS = 1024;

/** Elements of so many bytes are not copied while a command waits, and not written together with others. */
const LARGE_BYTES = 16 * 1024;

/** Puts elements into a format's words. */
export interface ElementWriter {
  /** @param handles entries of the table. */
  elements(out: RdbOutput, handles: EntryList): void;
  /** @returns what writes an element as it is now, later and in pieces; its entry's block is there until then. */
  large(handle: number): (out: RdbOutput) => Slices;
  /** What comes behind the last one. */
  end(out: RdbOutput): void;
}

/** A large element that waits to be written. */
interface Large {
  readonly entry: WatchedEntry;
  readonly write: (out: RdbOutput) => Slices;
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
  /** Large elements, the next to be written last. */
  readonly #large: Large[] = [];
  /** Of the last of them, when it is begun. */
  #slices: Slices | null = null;
  /** What is written early while a large element is half written. */
  readonly #aside = RdbOutput.kept();
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
    const large = this.#large.at(-1);
    if (large !== undefined) {
      this.#writeOn(large);
      return true;
    }
    const more = this.#inOrder ? (this.#order as Descent).gather(found) : this.#gather(found);
    this.#putOff(found);
    this.#writer.elements(this.out, found);
    if (more || this.#large.length > 0) return true;
    this.#writer.end(this.out);
    return false;
  }

  #writeOn(large: Large): void {
    this.#slices ??= large.write(this.out);
    if (this.#slices.next().done !== true) return;
    this.#slices = null;
    this.#large.pop();
    large.entry.release();
    this.out.append(this.#aside);
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
    this.#putOff(changing);
    this.#writer.elements(this.#slices === null ? this.out : this.#aside, changing);
  }

  /** Takes the large ones out of the list. */
  #putOff(found: EntryList): void {
    const table = this.#table;
    let kept = 0;
    for (let i = 0; i < found.length; i++) {
      const ref = found.refs[i];
      if (table.keyLength(ref) + table.valueLength(ref) < LARGE_BYTES) found.refs[kept++] = ref;
      // Before those that wait: the last one may be begun.
      else this.#large.unshift({ entry: new WatchedEntry(table, ref, neverInPlace), write: this.#writer.large(ref) });
    }
    found.length = kept;
  }

  released(): void {
    this.#inOrder = false;
    this.#isReleased = true;
  }

  end(): Leftover | null {
    this.#table.watcher = null;
    for (const { entry } of this.#large) entry.release();
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
