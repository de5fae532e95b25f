// A sorted set value: a listpack of member, score, member, score ... in order while it is small, then a table of members
// and a skip list. The commands decide when it is no longer small and call `toSkiplist`. Anyone in src/ may import it.
//
// A node names a member by its place in the order, an entry by its place in the table; for a listpack both are the
// offset of the member's listpack entry. 0: none. They hold until the set changes.
import { SEGMENT_SHIFT as ARENA_SEGMENT_SHIFT, type Arena } from './arena.ts';
import { grow, shrink, store } from './blocks.ts';
import { Dict, type EntryList } from './dict.ts';
import { compareBytes, Element } from './element.ts';
import { below, type RandomInts, walkDict } from './handles.ts';
import { int64, int64ToNumber } from './int64.ts';
import * as listpack from './listpack.ts';
import { formatDouble, parseDouble } from './number-format.ts';
import { emptyListpack, PackedOrTable } from './packed-or-table.ts';
import type { LexRange, ScoreRange } from './ranges.ts';
import { readDouble, Skiplist, writeDouble } from './skiplist.ts';
import { TYPE_ZSET } from './value-type.ts';

const SKIPLIST_OBJECTS_BYTES = 160;
/** Words that the table's entries hold for us: the score. */
const SCORE_WORDS = 2;
const SCORE_AT = 2;
const SEGMENT_SHIFT = ARENA_SEGMENT_SHIFT;
const GRANULE_MASK = (1 << SEGMENT_SHIFT) - 1;
/** Whole numbers up to here, of either sign, are kept as integers in a listpack. */
const WHOLE_MAX = 2 ** 62;
/** Longest `%.17g`. */
const SCORE_TEXT_BYTES = 32;

const scoreBytes = new Uint8Array(SCORE_TEXT_BYTES);
const probe = new Element();

/** A score as Redis keeps it in a listpack: whole numbers in full (so -0 becomes 0), others by `%.17g`. */
export function formatPackedScore(score: number): string {
  if (!Number.isInteger(score) || Math.abs(score) > WHOLE_MAX) return formatDouble(score);
  return Number.isSafeInteger(score) ? String(score) : BigInt(score).toString();
}

export class SortedSet extends PackedOrTable {
  readonly type = TYPE_ZSET;
  #list: Skiplist | null = null;
  #givenAway = false;

  /** Starts as an empty listpack. */
  constructor(arena: Arena, pack = emptyListpack(arena)) {
    super(arena, pack);
  }

  /** @param bytes a valid listpack of pairs in order, as RDB carries it; copied. */
  static fromListpack(arena: Arena, bytes: Uint8Array, offset: number, length: number): SortedSet {
    return new SortedSet(arena, store(arena, bytes, offset, length));
  }

  get length(): number {
    if (this.dict !== null) return this.dict.size;
    return listpack.count(this.arena.bytesOf(this.pack), this.arena.offsetOf(this.pack)) >> 1;
  }

  encoding(): string {
    return this.dict === null ? 'listpack' : 'skiplist';
  }

  override memoryBytes(): number {
    return super.memoryBytes() + (this.#list === null ? 0 : SKIPLIST_OBJECTS_BYTES + this.#list.memory);
  }

  override releaseSome(elements: number): boolean {
    const table = this.dict;
    if (table === null) return super.releaseSome(elements);
    // Who watches the table has it to himself from now on; the order of its members goes.
    if (table.watcher !== null && !this.#givenAway) {
      this.#givenAway = true;
      table.release();
    }
    if (this.#list !== null && !this.#list.releaseSome(elements)) return false;
    this.#list = null;
    return this.#givenAway || table.releaseSome(elements);
  }

  protected packedBytes(): number {
    return listpack.totalBytes(this.#packBytes, this.#packBase);
  }

  get #packBytes(): Uint8Array {
    return this.arena.bytesOf(this.pack);
  }

  get #packBase(): number {
    return this.arena.offsetOf(this.pack);
  }

  // ---- by member ----

  /** @returns the member's entry, or 0. */
  find(bytes: Uint8Array, offset: number, length: number): number {
    if (this.dict !== null) return this.dict.find(bytes, offset, length);
    const own = this.#packBytes;
    const base = this.#packBase;
    const at = listpack.find(own, listpack.first(own, base), 1, bytes, offset, length);
    return at === -1 ? 0 : at - base;
  }

  entryScore(entry: number): number {
    const table = this.dict;
    if (table === null) return this.#packScore(entry);
    return readDouble(this.arena.words[entry >> SEGMENT_SHIFT], ((entry & GRANULE_MASK) << 2) + SCORE_AT);
  }

  entryMember(entry: number, element: Element): void {
    const table = this.dict;
    if (table !== null) element.set(table.bytesOf(entry), table.keyOffset(entry), table.keyLength(entry));
    else listpack.read(this.#packBytes, this.#packBase + entry, element);
  }

  #packScore(entry: number): number {
    const own = this.#packBytes;
    const at = listpack.skip(own, this.#packBase + entry, 1);
    if (listpack.isInteger(own, at)) {
      listpack.readInteger(own, at);
      return int64ToNumber(int64.high, int64.low);
    }
    listpack.read(own, at, probe);
    return parseDouble(probe.bytes, probe.offset, probe.length);
  }

  /** Adds a member that is absent. The bytes must not lie in this set. */
  insert(bytes: Uint8Array, offset: number, length: number, score: number): void {
    if (this.dict === null) {
      this.#packInsert(bytes, offset, length, score);
      return;
    }
    const entry = this.dict.insert(bytes, offset, length, 0);
    this.#setEntryScore(entry, score);
    (this.#list as Skiplist).insert(score, entry);
  }

  /** Changes the score of an entry, which ends the use of all nodes and, in a listpack, entries. */
  setScore(entry: number, score: number): void {
    if (this.dict === null) {
      this.entryMember(entry, probe);
      const member = probe.copy();
      this.#packDelete(entry, 1);
      this.#packInsert(member, 0, member.length, score);
      return;
    }
    const old = this.entryScore(entry);
    this.dict.willChange(entry);
    (this.#list as Skiplist).update(old, entry, score);
    this.#setEntryScore(entry, score);
  }

  #setEntryScore(entry: number, score: number): void {
    writeDouble(this.arena.words[entry >> SEGMENT_SHIFT], ((entry & GRANULE_MASK) << 2) + SCORE_AT, score);
  }

  deleteEntry(entry: number): void {
    if (this.dict === null) {
      this.#packDelete(entry, 1);
      return;
    }
    (this.#list as Skiplist).delete(this.entryScore(entry), entry);
    this.dict.deleteEntry(entry);
  }

  /** Rank from 0, lowest score first. */
  rankOf(entry: number): number {
    if (this.#list !== null) return this.#list.rank(this.entryScore(entry), entry);
    const own = this.#packBytes;
    const stop = this.#packBase + entry;
    let rank = 0;
    for (let at = this.#packBase + listpack.HEADER_BYTES; at !== stop; at = listpack.skip(own, at, 2)) rank++;
    return rank;
  }

  // ---- in order ----

  /** Node at a rank from 0; the rank must exist. */
  nodeAt(rank: number): number {
    if (this.#list !== null) return this.#list.at(rank);
    return listpack.seek(this.#packBytes, this.#packBase, rank * 2) - this.#packBase;
  }

  first(): number {
    if (this.#list !== null) return this.#list.head;
    const at = listpack.first(this.#packBytes, this.#packBase);
    return at === -1 ? 0 : at - this.#packBase;
  }

  last(): number {
    if (this.#list !== null) return this.#list.tail;
    return this.length === 0 ? 0 : this.nodeAt(this.length - 1);
  }

  next(node: number): number {
    if (this.#list !== null) return this.#list.next(node);
    const own = this.#packBytes;
    const at = listpack.skip(own, this.#packBase + node, 2);
    return at === listpack.end(own, this.#packBase) ? 0 : at - this.#packBase;
  }

  previous(node: number): number {
    if (this.#list !== null) return this.#list.previous(node);
    const own = this.#packBytes;
    const base = this.#packBase;
    const score = listpack.prev(own, base, base + node);
    return score === -1 ? 0 : listpack.prev(own, base, score) - base;
  }

  /** The table's entry of a node. */
  entryOf(node: number): number {
    return this.#list !== null ? this.#list.entry(node) : node;
  }

  member(node: number, element: Element): void {
    this.entryMember(this.entryOf(node), element);
  }

  score(node: number): number {
    return this.#list !== null ? this.#list.score(node) : this.#packScore(node);
  }

  /** Number of members whose score is below the range, or not above it. */
  countBelowScore(range: ScoreRange, notAbove: boolean): number {
    const list = this.#list;
    return this.#countWhile((node) => {
      const score = list !== null ? list.score(node) : this.#packScore(node);
      return notAbove ? !range.isAbove(score) : range.isBelow(score);
    });
  }

  /** Number of members that are below the range, or not above it. All scores must be the same for this to have sense. */
  countBelowMember(range: LexRange, notAbove: boolean): number {
    return this.#countWhile((node) => {
      this.member(node, probe);
      const { bytes, offset, length } = probe;
      return notAbove ? !range.isAbove(bytes, offset, length) : range.isBelow(bytes, offset, length);
    });
  }

  #countWhile(isBefore: (node: number) => boolean): number {
    if (this.#list !== null) return this.#list.countWhile(isBefore);
    let rank = 0;
    for (let node = this.first(); node !== 0 && isBefore(node); node = this.next(node)) rank++;
    return rank;
  }

  /** Deletes `count` members from rank `start` on; the ranks must exist. */
  deleteRange(start: number, count: number): void {
    if (count <= 0) return;
    if (this.#list !== null) this.#list.deleteRange(start, count);
    else this.#packDelete(this.nodeAt(start), count);
  }

  // ---- listpack ----

  #packInsert(bytes: Uint8Array, offset: number, length: number, score: number): void {
    const text = formatPackedScore(score);
    for (let i = 0; i < text.length; i++) scoreBytes[i] = text.charCodeAt(i);
    const added = listpack.plan(bytes, offset, length) + listpack.plan(scoreBytes, 0, text.length);
    const used = this.packedBytes();
    this.pack = grow(this.arena, this.pack, used, used + added);
    const own = this.#packBytes;
    const base = this.#packBase;
    const at = this.#packPlace(bytes, offset, length, score);
    listpack.insert(own, base, at, scoreBytes, 0, text.length);
    listpack.insert(own, base, at, bytes, offset, length);
  }

  /** Where (score, member) belongs: most insertions are at the end. */
  #packPlace(bytes: Uint8Array, offset: number, length: number, score: number): number {
    const own = this.#packBytes;
    const base = this.#packBase;
    const last = this.last();
    if (last === 0 || this.#packScore(last) < score) return listpack.end(own, base);
    for (let node = this.first(); node !== 0; node = this.next(node)) {
      const other = this.#packScore(node);
      if (other < score) continue;
      if (other > score) return base + node;
      listpack.read(own, base + node, probe);
      if (compareBytes(probe.bytes, probe.offset, probe.length, bytes, offset, length) > 0) return base + node;
    }
    return listpack.end(own, base);
  }

  #packDelete(node: number, count: number): void {
    const own = this.#packBytes;
    const base = this.#packBase;
    const at = base + node;
    listpack.removeRange(own, base, at, listpack.skip(own, at, count * 2), count * 2);
    this.pack = shrink(this.arena, this.pack, listpack.totalBytes(own, base));
  }

  toSkiplist(): void {
    if (this.dict !== null) return;
    const { arena } = this;
    const table = new Dict(arena, SCORE_WORDS);
    const list = new Skiplist(arena, table);
    const member = new Element();
    for (let node = this.first(); node !== 0; node = this.next(node)) {
      this.entryMember(node, member);
      const score = this.#packScore(node);
      const entry = table.insert(member.bytes, member.offset, member.length, 0);
      this.#setEntryScore(entry, score);
      list.insert(score, entry);
    }
    this.become(table);
    this.#list = list;
  }

  /** Back to a listpack, for a result that was built as a skip list and turned out small. */
  toListpack(): void {
    if (this.dict === null) return;
    const packed = new SortedSet(this.arena);
    const member = new Element();
    for (let node = this.first(); node !== 0; node = this.next(node)) {
      this.member(node, member);
      packed.#packInsert(member.bytes, member.offset, member.length, this.score(node));
    }
    this.release();
    this.dict = null;
    this.#list = null;
    this.pack = packed.pack;
  }

  // ---- entries in no order (handles.ts) ----

  /** @returns an entry, each as likely as any other; the set must not be empty. */
  random(random: RandomInts): number {
    return this.dict !== null ? this.dict.random(random) : this.nodeAt(below(this.length, random));
  }

  /** One step of a walk over all entries while nothing changes: start at 0, end at -1. */
  walk(position: number, out: EntryList): number {
    if (this.dict !== null) return walkDict(this.dict, position, out);
    for (let node = this.first(); node !== 0; node = this.next(node)) out.push(node);
    return -1;
  }

  /** Another sorted set with the same members, for COPY. */
  clone(arena: Arena): SortedSet {
    const blob = new Element();
    if (this.packedBlob(blob)) return SortedSet.fromListpack(arena, blob.bytes, blob.offset, blob.length);
    const twin = new SortedSet(arena);
    twin.toSkiplist();
    for (let node = this.first(); node !== 0; node = this.next(node)) {
      this.member(node, blob);
      twin.insert(blob.bytes, blob.offset, blob.length, this.score(node));
    }
    return twin;
  }
}
