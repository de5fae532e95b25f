// Stream ids in order, each with a few int32 words: the nodes of a stream, the pending entries of a consumer group. A
// directory of leaves, each an arena block with up to LEAF_MAX sorted entries: seeking is two binary searches, taking
// away at the head and adding at the tail cost nothing but the entry. Only src/data/ and src/persistence/ import it.
//
// Leaf, in int32 words: number of entries | entry ...; entry: ms high, ms low, sequence high, sequence low, own words.
// A frozen twin of a tree shares its leaves: each has a bit that says so, and who changes a shared leaf copies it first.
import { type Arena, SEGMENT_SHIFT } from './arena.ts';
import type { StreamId } from './stream-id.ts';

const LEAF_MAX = 64;
const ID_WORDS = 4;
const OBJECT_BYTES = 96;
/** Beside a leaf's number of entries: another tree has it too. */
const SHARED = 1 << 30;

/** A place in a tree, which inserting and removing by way of another cursor makes worthless. */
export class IdCursor {
  /** Number of the leaf; the number of leaves when behind the last entry. */
  leaf = 0;
  at = 0;
}

export class IdTree {
  readonly arena: Arena;
  readonly #stride: number;
  size = 0;
  /** Refs of the leaves, in order, from `#head` on. */
  #leaves = new Int32Array(2);
  #head = 0;
  #leafCount = 0;
  #blockBytes = 0;

  /** @param words int32 words beside each id. */
  constructor(arena: Arena, words: number) {
    this.arena = arena;
    this.#stride = ID_WORDS + words;
  }

  get memory(): number {
    return OBJECT_BYTES + this.#leaves.byteLength + this.#blockBytes;
  }

  /** A tree with the same entries, which stays as it is; at most one at a time. Costs a look at every leaf. */
  freeze(): IdTree {
    const twin = new IdTree(this.arena, this.#stride - ID_WORDS);
    for (let leaf = 0; leaf < this.#leafCount; leaf++) this.#words(leaf)[this.#start(leaf)] |= SHARED;
    twin.size = this.size;
    twin.#leaves = this.#leaves.slice(this.#head, this.#head + this.#leafCount);
    twin.#leafCount = this.#leafCount;
    return twin;
  }

  release(): void {
    for (let leaf = 0; leaf < this.#leafCount; leaf++) this.#freeLeaf(leaf);
    this.#leafCount = 0;
    this.#blockBytes = 0;
    this.size = 0;
  }

  // ---- seeking ----

  /** Goes to the first entry at or behind `id`. @returns whether it is that id. */
  seek(id: StreamId, cursor: IdCursor): boolean {
    let low = 0;
    let high = this.#leafCount;
    // the last leaf that starts at or before the id
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(middle, 0, id) <= 0) low = middle + 1;
      else high = middle;
    }
    cursor.leaf = low - 1;
    cursor.at = 0;
    if (low === 0) {
      cursor.leaf = 0;
      return false;
    }
    const found = this.#seekInLeaf(id, cursor);
    if (cursor.at === this.#count(cursor.leaf)) {
      cursor.leaf++;
      cursor.at = 0;
    }
    return found;
  }

  #seekInLeaf(id: StreamId, cursor: IdCursor): boolean {
    const { leaf } = cursor;
    let low = 0;
    let high = this.#count(leaf);
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.#compare(leaf, middle, id);
      if (order === 0) {
        cursor.at = middle;
        return true;
      }
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    cursor.at = low;
    return false;
  }

  /** Goes to the last entry at or before `id`. @returns whether there is one. */
  seekBack(id: StreamId, cursor: IdCursor): boolean {
    return this.seek(id, cursor) || this.previous(cursor);
  }

  /** @returns whether there is an entry. */
  seekFirst(cursor: IdCursor): boolean {
    cursor.leaf = 0;
    cursor.at = 0;
    return this.size > 0;
  }

  /** @returns whether there is an entry. */
  seekLast(cursor: IdCursor): boolean {
    if (this.size === 0) return this.seekFirst(cursor);
    cursor.leaf = this.#leafCount - 1;
    cursor.at = this.#count(cursor.leaf) - 1;
    return true;
  }

  isEnd(cursor: IdCursor): boolean {
    return cursor.leaf >= this.#leafCount;
  }

  /** @returns whether there is an entry behind, where the cursor then is; else it is behind the last. */
  next(cursor: IdCursor): boolean {
    if (++cursor.at >= this.#count(cursor.leaf)) {
      cursor.leaf++;
      cursor.at = 0;
    }
    return cursor.leaf < this.#leafCount;
  }

  /** @returns whether there is an entry before, where the cursor then is; else it does not move. */
  previous(cursor: IdCursor): boolean {
    if (cursor.at > 0) {
      cursor.at--;
      return true;
    }
    if (cursor.leaf === 0) return false;
    cursor.leaf--;
    cursor.at = this.#count(cursor.leaf) - 1;
    return true;
  }

  // ---- entries ----

  readId(cursor: IdCursor, id: StreamId): void {
    const words = this.#words(cursor.leaf);
    const at = this.#entry(cursor.leaf, cursor.at);
    id.set(words[at], words[at + 1], words[at + 2], words[at + 3]);
  }

  word(cursor: IdCursor, index: number): number {
    return this.#words(cursor.leaf)[this.#entry(cursor.leaf, cursor.at) + ID_WORDS + index];
  }

  setWord(cursor: IdCursor, index: number, value: number): void {
    this.#own(cursor.leaf);
    this.#words(cursor.leaf)[this.#entry(cursor.leaf, cursor.at) + ID_WORDS + index] = value;
  }

  /** Adds an id, its words all 0, and goes there. @returns false when it was there. */
  insert(id: StreamId, cursor: IdCursor): boolean {
    if (this.seek(id, cursor)) return false;
    this.size++;
    if (this.#leafCount === 0) {
      this.#addLeaf(0, 1);
    } else if (cursor.at === 0 && cursor.leaf > 0) {
      // Between two leaves, or behind the last: it goes to the end of the one before.
      cursor.leaf--;
      cursor.at = this.#count(cursor.leaf);
    }
    if (this.#count(cursor.leaf) === LEAF_MAX) this.#makeRoom(cursor);
    this.#insertInLeaf(cursor, id);
    return true;
  }

  #makeRoom(cursor: IdCursor): void {
    const { leaf } = cursor;
    this.#own(leaf);
    if (cursor.at === LEAF_MAX && leaf === this.#leafCount - 1) {
      this.#addLeaf(leaf + 1, 1);
      cursor.leaf++;
      cursor.at = 0;
      return;
    }
    const half = LEAF_MAX >> 1;
    this.#addLeaf(leaf + 1, LEAF_MAX - half);
    this.#copyEntries(leaf, half, leaf + 1, 0, LEAF_MAX - half);
    this.#setCount(leaf + 1, LEAF_MAX - half);
    this.#setCount(leaf, half);
    if (cursor.at > half) {
      cursor.leaf++;
      cursor.at -= half;
    }
  }

  #insertInLeaf(cursor: IdCursor, id: StreamId): void {
    const { leaf, at } = cursor;
    this.#own(leaf);
    const count = this.#count(leaf);
    this.#reserve(leaf, count + 1);
    const words = this.#words(leaf);
    const start = this.#entry(leaf, at);
    const stride = this.#stride;
    if (at < count) words.copyWithin(start + stride, start, this.#entry(leaf, count));
    words[start] = id.msHigh;
    words[start + 1] = id.msLow;
    words[start + 2] = id.seqHigh;
    words[start + 3] = id.seqLow;
    for (let i = ID_WORDS; i < stride; i++) words[start + i] = 0;
    this.#setCount(leaf, count + 1);
  }

  /** Takes the entry away; the cursor is then at the one behind it, or at the end. */
  remove(cursor: IdCursor): void {
    const { leaf, at } = cursor;
    const count = this.#count(leaf) - 1;
    this.size--;
    if (count === 0) {
      this.#dropLeaf(leaf);
      cursor.at = 0;
      return;
    }
    this.#own(leaf);
    if (at < count) {
      this.#words(leaf).copyWithin(this.#entry(leaf, at), this.#entry(leaf, at + 1), this.#entry(leaf, count + 1));
    }
    this.#setCount(leaf, count);
    if (count < LEAF_MAX >> 2) this.#joinNext(leaf);
    if (cursor.at >= this.#count(leaf)) {
      cursor.leaf++;
      cursor.at = 0;
    }
  }

  /** Takes in the entries of the leaf behind when both fill half a leaf at most. */
  #joinNext(leaf: number): void {
    const count = this.#count(leaf);
    const more = leaf + 1 < this.#leafCount ? this.#count(leaf + 1) : LEAF_MAX;
    if (count + more > LEAF_MAX >> 1) {
      this.#fit(leaf, count);
      return;
    }
    this.#reserve(leaf, count + more);
    this.#copyEntries(leaf + 1, 0, leaf, count, more);
    this.#setCount(leaf, count + more);
    this.#dropLeaf(leaf + 1);
  }

  // ---- leaves ----

  #ref(leaf: number): number {
    return this.#leaves[this.#head + leaf];
  }

  #words(leaf: number): Int32Array {
    return this.arena.words[this.#ref(leaf) >> SEGMENT_SHIFT];
  }

  #start(leaf: number): number {
    return this.arena.offsetOf(this.#ref(leaf)) >> 2;
  }

  #entry(leaf: number, at: number): number {
    return this.#start(leaf) + 1 + at * this.#stride;
  }

  #count(leaf: number): number {
    return this.#words(leaf)[this.#start(leaf)] & ~SHARED;
  }

  /** To be called before a leaf is changed. */
  #own(leaf: number): void {
    if ((this.#words(leaf)[this.#start(leaf)] & SHARED) !== 0) this.#move(leaf, this.#count(leaf));
  }

  /** Gives a leaf's block back, or leaves it to the other tree. */
  #freeLeaf(leaf: number): void {
    const ref = this.#ref(leaf);
    const words = this.#words(leaf);
    const start = this.#start(leaf);
    if ((words[start] & SHARED) !== 0) words[start] &= ~SHARED;
    else this.arena.free(ref);
  }

  #setCount(leaf: number, count: number): void {
    this.#words(leaf)[this.#start(leaf)] = count;
  }

  #compare(leaf: number, at: number, id: StreamId): number {
    const words = this.#words(leaf);
    const entry = this.#entry(leaf, at);
    if (words[entry] !== id.msHigh) return words[entry] >>> 0 < id.msHigh >>> 0 ? -1 : 1;
    if (words[entry + 1] !== id.msLow) return words[entry + 1] >>> 0 < id.msLow >>> 0 ? -1 : 1;
    if (words[entry + 2] !== id.seqHigh) return words[entry + 2] >>> 0 < id.seqHigh >>> 0 ? -1 : 1;
    if (words[entry + 3] === id.seqLow) return 0;
    return words[entry + 3] >>> 0 < id.seqLow >>> 0 ? -1 : 1;
  }

  #copyEntries(from: number, at: number, to: number, toAt: number, count: number): void {
    const start = this.#entry(from, at);
    const source = this.#words(from).subarray(start, start + count * this.#stride);
    this.#words(to).set(source, this.#entry(to, toAt));
  }

  #bytesFor(entries: number): number {
    return (1 + entries * this.#stride) * 4;
  }

  #addLeaf(leaf: number, entries: number): void {
    if (this.#head + this.#leafCount === this.#leaves.length) this.#makeDirectoryRoom();
    const from = this.#head + leaf;
    this.#leaves.copyWithin(from + 1, from, this.#head + this.#leafCount);
    const ref = this.arena.alloc(this.#bytesFor(entries));
    this.#leaves[from] = ref;
    this.#leafCount++;
    this.#blockBytes += this.arena.capacityOf(ref);
    this.#setCount(leaf, 0);
  }

  #makeDirectoryRoom(): void {
    const used = this.#leaves.subarray(this.#head, this.#head + this.#leafCount);
    // Room at the head is used first, if there is much of it.
    const target = this.#head > this.#leafCount ? this.#leaves : new Int32Array(this.#leaves.length * 2);
    target.set(used);
    this.#leaves = target;
    this.#head = 0;
  }

  #dropLeaf(leaf: number): void {
    this.#blockBytes -= this.arena.capacityOf(this.#ref(leaf));
    this.#freeLeaf(leaf);
    if (leaf === 0) this.#head++;
    else this.#leaves.copyWithin(this.#head + leaf, this.#head + leaf + 1, this.#head + this.#leafCount);
    this.#leafCount--;
    if (this.#leafCount === 0) this.#head = 0;
    if (this.#leaves.length > 64 && this.#leafCount < this.#leaves.length >> 3) {
      this.#leaves = this.#leaves.slice(this.#head, this.#head + (this.#leaves.length >> 2));
      this.#head = 0;
    }
  }

  /** Makes room for so many entries in a leaf. */
  #reserve(leaf: number, entries: number): void {
    const ref = this.#ref(leaf);
    if (this.#bytesFor(entries) <= this.arena.capacityOf(ref)) return;
    const roomy = Math.min(LEAF_MAX, entries + (entries >> 1) + 1);
    this.#move(leaf, roomy);
  }

  /** Gives memory back that a leaf with so few entries does not need. */
  #fit(leaf: number, entries: number): void {
    if (this.#bytesFor(entries) * 2 < this.arena.capacityOf(this.#ref(leaf))) this.#move(leaf, entries);
  }

  #move(leaf: number, entries: number): void {
    const { arena } = this;
    const ref = this.#ref(leaf);
    const count = this.#count(leaf);
    const start = this.#start(leaf);
    const words = this.#words(leaf);
    const moved = arena.alloc(this.#bytesFor(entries));
    const used = 1 + count * this.#stride;
    arena.words[moved >> SEGMENT_SHIFT].set(words.subarray(start, start + used), arena.offsetOf(moved) >> 2);
    this.#blockBytes += arena.capacityOf(moved) - arena.capacityOf(ref);
    this.#freeLeaf(leaf);
    this.#leaves[this.#head + leaf] = moved;
    this.#setCount(leaf, count);
  }
}
