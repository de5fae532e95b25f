// Hash table over byte keys in an Arena: the keyspace, large hashes and large sets. An entry is one arena block that
// holds header, key and value; the table is a linear-hashing directory of 64-byte buckets (twelve entry refs, a byte
// of hash for each, a ref to an overflow bucket), so it grows and shrinks one bucket at a time: no insertion copies
// or clears more than 64 KiB, whatever the size. A look-up touches one bucket and, nearly always, one entry.
// Anyone in src/ may import it.
//
// Entry block, int32 words: key length, value length, `extraWords` words for the owner, then key and value bytes.

import { SEGMENT_SHIFT as ARENA_SEGMENT_SHIFT, type Arena } from './arena.ts';
import { copyBytes } from './bytes.ts';
import { hashAhead, hashKey, hashOfKey } from './key-hash.ts';

// A constant of this module is one of the compiler's too; an imported one is not.
const SEGMENT_SHIFT = ARENA_SEGMENT_SHIFT;
const GRANULE_MASK = (1 << SEGMENT_SHIFT) - 1;

const BUCKET_GRANULES = 4;
const BUCKET_BYTES = 64;
/** Entry refs a bucket holds, packed from slot 0. */
const SLOTS = 12;
const TAG_WORD = 12;
const OVERFLOW_WORD = 15;

/** Buckets of a directory chunk: 64 KiB. */
const CHUNK_SHIFT = 10;
const CHUNK_BUCKETS = 1 << CHUNK_SHIFT;

/** Entries a bucket, on average, above which the table grows and below which it shrinks. */
const GROW_ABOVE = 7;
const SHRINK_BELOW = 2;

/** Slots that `random` can hit: entries of a bucket's chain behind these would never be drawn. */
const RANDOM_SLOTS = 3 * SLOTS;

/** A reused list of entry refs. */
export class EntryList {
  refs = new Int32Array(64);
  length = 0;

  push(ref: number): void {
    if (this.length === this.refs.length) {
      const grown = new Int32Array(this.length * 2);
      grown.set(this.refs);
      this.refs = grown;
    }
    this.refs[this.length++] = ref;
  }
}

/** Sees a table's buckets before they change, for a copy of it as it was. */
export interface DictWatcher {
  /** Entries of this bucket are going to change, come, go or be dealt out anew. */
  beforeChange(bucket: number): void;
  /** The owner gives the table up. It stays as it is, until the watcher, now its owner, releases it. */
  released(): void;
}

/** Wants the value of one entry as it is now. */
export interface ValueWatcher {
  /** These bytes of the value are going to be written over. */
  beforeWrite(from: number, to: number): void;
  /** The entry moves or goes away: its block is the watcher's now, who frees it. */
  taken(): void;
}

/** Home buckets of the keys in `fetch`. */
const buckets = new Int32Array(16);
/** A word of an entry's end, for the usual short keys and values. */
const SECOND_LINE_WORD = 9;

/** Entries of the bucket that is being split or merged; never in use across calls. */
const moving = new EntryList();

export class Dict {
  readonly arena: Arena;
  /** Bytes of the entry header. */
  readonly headerBytes: number;
  /** Number of entries. */
  size = 0;
  /** Number of buckets, without overflow; `bucketEntries` takes 0 <= index < bucketCount. */
  bucketCount = 1;
  /** Bytes of arena blocks held by entries and table. */
  memory = 0;
  /** Who has to see the buckets before they change; null: nobody. */
  watcher: DictWatcher | null = null;
  /** Entries whose values someone still wants as they are; null: none. */
  #watched: Map<number, ValueWatcher> | null = null;
  /** bucketCount <= #mask + 1 < 2 * bucketCount. */
  #mask = 0;
  #chunks = new Int32Array(1);
  #firstChunkBuckets = 1;
  /** Bytes that were left to the watcher. */
  #held = 0;

  /** @param extraWords int32 words of every entry for the owner, from word 2 on. */
  constructor(arena: Arena, extraWords = 0) {
    this.arena = arena;
    this.headerBytes = 8 + extraWords * 4;
    this.#chunks[0] = this.#allocBuckets(1);
  }

  /** Bytes of the buckets, without those that overflow. */
  get tableBytes(): number {
    return this.bucketCount * BUCKET_BYTES;
  }

  /** @returns the entry, or 0. */
  find(bytes: Uint8Array, offset: number, length: number): number {
    return this.#find(hashOfKey(bytes, offset, length), bytes, offset, length);
  }

  /**
   * Reads what `find` will read of these keys. One look-up after the other would wait for memory two or three times each;
   * here all wait at the same time, first for their buckets, then for their entries. The hashes stay known
   * until `forgetHashes`.
   * @param count at most 16, their offsets rising. @returns a number without meaning, so that no read is left out.
   */
  fetch(bytes: Uint8Array, offsets: Int32Array, lengths: Int32Array, count: number): number {
    const hashes = hashAhead(bytes, offsets, lengths, count);
    const { words } = this.arena;
    let seen = 0;
    for (let i = 0; i < count; i++) {
      const bucket = this.#bucketOf(hashes[i]);
      buckets[i] = bucket;
      seen ^= words[bucket >> SEGMENT_SHIFT][((bucket & GRANULE_MASK) << 2) + TAG_WORD];
    }
    for (let i = 0; i < count; i++) {
      const ref = this.#likelyEntry(buckets[i], hashes[i]);
      if (ref === 0) continue;
      const entry = words[ref >> SEGMENT_SHIFT];
      const at = (ref & GRANULE_MASK) << 2;
      // A short entry lies in two cache lines at most.
      seen ^= entry[at] ^ entry[Math.min(at + SECOND_LINE_WORD, entry.length - 1)];
    }
    return seen;
  }

  /** The first entry of the bucket whose tag is the hash's, or 0. */
  #likelyEntry(bucket: number, hash: number): number {
    const table = this.arena.words[bucket >> SEGMENT_SHIFT];
    const at = (bucket & GRANULE_MASK) << 2;
    const pattern = Math.imul(hash >>> 24, 0x01010101);
    for (let group = 0; group < 3; group++) {
      const x = table[at + TAG_WORD + group] ^ pattern;
      const matches = (x - 0x01010101) & ~x & 0x80808080;
      if (matches !== 0) return table[at + (group << 2) + ((31 - Math.clz32(matches & -matches)) >> 3)];
    }
    return 0;
  }

  #find(hash: number, bytes: Uint8Array, offset: number, length: number): number {
    const { segments, words } = this.arena;
    const keyStart = this.headerBytes;
    const pattern = Math.imul(hash >>> 24, 0x01010101);
    let bucket = this.#bucketOf(hash);
    do {
      const table = words[bucket >> SEGMENT_SHIFT];
      const at = (bucket & GRANULE_MASK) << 2;
      for (let group = 0; group < 3; group++) {
        // Bytes of x that are 0 are tags that match; a borrow can add false ones, the key decides.
        const x = table[at + TAG_WORD + group] ^ pattern;
        let matches = (x - 0x01010101) & ~x & 0x80808080;
        while (matches !== 0) {
          const slot = (group << 2) + ((31 - Math.clz32(matches & -matches)) >> 3);
          matches &= matches - 1;
          const ref = table[at + slot];
          if (ref === 0) continue;
          const segment = ref >> SEGMENT_SHIFT;
          if (words[segment][(ref & GRANULE_MASK) << 2] !== length) continue;
          const entry = segments[segment];
          const key = ((ref & GRANULE_MASK) << 4) + keyStart;
          let i = 0;
          while (i < length && entry[key + i] === bytes[offset + i]) i++;
          if (i === length) return ref;
        }
      }
      bucket = table[at + OVERFLOW_WORD];
    } while (bucket !== 0);
    return 0;
  }

  /**
   * Adds an entry; the key must be absent. Its owner's words are 0, its value bytes are not set.
   * @param room value bytes to leave for growth beyond `valueLength`.
   */
  insert(bytes: Uint8Array, offset: number, length: number, valueLength: number, room = 0): number {
    const hash = hashKey(bytes, offset, length);
    if (this.watcher !== null) this.watcher.beforeChange(this.#indexOf(hash));
    const ref = this.#allocEntry(length, valueLength, room);
    const start = this.keyOffset(ref);
    copyBytes(this.arena.bytesOf(ref), start, bytes, offset, length);
    this.#place(hash, ref);
    this.size++;
    if (this.size > this.bucketCount * GROW_ABOVE) this.#split();
    return ref;
  }

  /** Adds or replaces. @returns whether the key is new. */
  set(
    bytes: Uint8Array,
    offset: number,
    length: number,
    value: Uint8Array,
    valueOffset: number,
    valueLength: number,
  ): boolean {
    let ref = this.find(bytes, offset, length);
    const isNew = ref === 0;
    if (isNew) ref = this.insert(bytes, offset, length, valueLength);
    else ref = this.resizeValue(ref, valueLength, 0, false);
    copyBytes(this.arena.bytesOf(ref), this.valueOffset(ref), value, valueOffset, valueLength);
    return isNew;
  }

  /** To be called before an entry is changed past this table. */
  willChange(ref: number): void {
    if (this.watcher !== null) this.watcher.beforeChange(this.#indexOf(this.#hashOf(ref)));
  }

  /** Nobody changes an entry's value any more without the watcher knowing; one at a time. */
  watchValue(ref: number, watcher: ValueWatcher): void {
    this.#watched ??= new Map();
    if (this.#watched.has(ref)) throw new Error('assert: a value is watched twice at a time');
    this.#watched.set(ref, watcher);
  }

  unwatchValue(ref: number): void {
    this.#watched?.delete(ref);
    if (this.#watched?.size === 0) this.#watched = null;
  }

  /** To be called before bytes of a value are written over in place. */
  beforeWrite(ref: number, from: number, to: number): void {
    if (this.#watched !== null) this.#watched.get(ref)?.beforeWrite(from, to);
  }

  /**
   * Changes the length of an entry's value, in place where the block allows.
   * @param room value bytes to leave for growth when the entry has to move.
   * @param keeps the bytes up to the smaller length stay; false: all will be written anew.
   * @returns the entry, which may be another ref; the old one is then gone.
   */
  resizeValue(ref: number, valueLength: number, room: number, keeps = true): number {
    const { arena } = this;
    this.willChange(ref);
    const words = arena.words[ref >> SEGMENT_SHIFT];
    const at = (ref & GRANULE_MASK) << 2;
    if (keeps || this.#watched === null || !this.#watched.has(ref)) {
      if (words[at + 1] === valueLength) return ref;
      if (this.#fits(ref, this.headerBytes + words[at] + valueLength, room)) {
        words[at + 1] = valueLength;
        return ref;
      }
    }
    const keyLength = words[at];
    const moved = this.#allocEntry(keyLength, valueLength, room);
    const kept = this.headerBytes + keyLength + (keeps ? Math.min(valueLength, words[at + 1]) : 0);
    copyBytes(arena.bytesOf(moved), arena.offsetOf(moved), arena.bytesOf(ref), arena.offsetOf(ref), kept);
    arena.words[moved >> SEGMENT_SHIFT][((moved & GRANULE_MASK) << 2) + 1] = valueLength;
    this.#replace(ref, moved);
    this.#freeEntry(ref);
    return moved;
  }

  /** Whether an entry of that size can stay where it is, made longer if need be. */
  #fits(ref: number, size: number, room: number): boolean {
    const { arena } = this;
    const capacity = arena.capacityOf(ref);
    // A block may stay up to twice as large as needed; small ones always fit well enough.
    if (size <= capacity) return capacity <= 64 || size * 2 >= capacity || room > 0;
    if (!arena.extend(ref, size, room)) return false;
    this.memory += arena.capacityOf(ref) - capacity;
    return true;
  }

  /** @returns whether the key was there. */
  delete(bytes: Uint8Array, offset: number, length: number): boolean {
    const ref = this.find(bytes, offset, length);
    if (ref === 0) return false;
    this.deleteEntry(ref);
    return true;
  }

  /** Removes an entry of this table. */
  deleteEntry(ref: number): void {
    const { words } = this.arena;
    const hash = this.#hashOf(ref);
    if (this.watcher !== null) this.watcher.beforeChange(this.#indexOf(hash));
    const home = this.#bucketOf(hash);
    let bucket = home;
    let before = 0;
    let slot = -1;
    for (;;) {
      slot = this.#slotOf(bucket, ref);
      if (slot >= 0) break;
      before = bucket;
      bucket = words[bucket >> SEGMENT_SHIFT][((bucket & GRANULE_MASK) << 2) + OVERFLOW_WORD];
      if (bucket === 0) throw new Error('assert: entry is not in its table');
    }
    // The last entry of the chain fills the hole, so that chains stay packed.
    let last = bucket;
    for (;;) {
      const next = words[last >> SEGMENT_SHIFT][((last & GRANULE_MASK) << 2) + OVERFLOW_WORD];
      if (next === 0) break;
      before = last;
      last = next;
    }
    const lastWords = words[last >> SEGMENT_SHIFT];
    const lastAt = (last & GRANULE_MASK) << 2;
    let lastSlot = SLOTS - 1;
    while (lastWords[lastAt + lastSlot] === 0) lastSlot--;
    const tags = this.arena.segments;
    const tag = tags[last >> SEGMENT_SHIFT][((last & GRANULE_MASK) << 4) + TAG_WORD * 4 + lastSlot];
    words[bucket >> SEGMENT_SHIFT][((bucket & GRANULE_MASK) << 2) + slot] = lastWords[lastAt + lastSlot];
    tags[bucket >> SEGMENT_SHIFT][((bucket & GRANULE_MASK) << 4) + TAG_WORD * 4 + slot] = tag;
    lastWords[lastAt + lastSlot] = 0;
    if (lastSlot === 0 && last !== home) {
      words[before >> SEGMENT_SHIFT][((before & GRANULE_MASK) << 2) + OVERFLOW_WORD] = 0;
      this.#freeBucket(last);
    }
    this.#freeEntry(ref);
    this.size--;
    if (this.size < this.bucketCount * SHRINK_BELOW && this.bucketCount > 1) this.#merge();
  }

  /** The segment that holds an entry, for use with the offsets below. */
  bytesOf(ref: number): Uint8Array {
    return this.arena.segments[ref >> SEGMENT_SHIFT];
  }

  keyLength(ref: number): number {
    return this.arena.words[ref >> SEGMENT_SHIFT][(ref & GRANULE_MASK) << 2];
  }

  keyOffset(ref: number): number {
    return ((ref & GRANULE_MASK) << 4) + this.headerBytes;
  }

  valueLength(ref: number): number {
    return this.arena.words[ref >> SEGMENT_SHIFT][((ref & GRANULE_MASK) << 2) + 1];
  }

  valueOffset(ref: number): number {
    return ((ref & GRANULE_MASK) << 4) + this.headerBytes + this.keyLength(ref);
  }

  /** Word `index` (from 0) of the owner's in the entry header. */
  extra(ref: number, index: number): number {
    return this.arena.words[ref >> SEGMENT_SHIFT][((ref & GRANULE_MASK) << 2) + 2 + index];
  }

  setExtra(ref: number, index: number, value: number): void {
    this.arena.words[ref >> SEGMENT_SHIFT][((ref & GRANULE_MASK) << 2) + 2 + index] = value;
  }

  /**
   * One step of an iteration over the table, as SCAN's: start with cursor 0, go on with what is returned until that
   * is 0. Entries present throughout are emitted at least once whatever happens between the steps; the table is
   * walked by reversed bits, so a cursor means the same at any size.
   * @param out receives the entries of one step, appended.
   */
  scan(cursor: number, out: EntryList): number {
    // Buckets b and b + half share b's low bits; while the table is between two sizes both are visited in one step.
    const half = this.#mask >>> 1;
    const low = (cursor & half) >>> 0;
    const whole = this.bucketCount === this.#mask + 1;
    if (whole) {
      this.bucketEntries((cursor & this.#mask) >>> 0, out);
      return nextCursor(cursor, this.#mask);
    }
    this.bucketEntries(low, out);
    if (low + half + 1 < this.bucketCount) this.bucketEntries(low + half + 1, out);
    return nextCursor(cursor, half);
  }

  /** Appends the entries of one bucket. Walking all indices visits all entries if nothing changes meanwhile. */
  bucketEntries(index: number, out: EntryList): void {
    const { words } = this.arena;
    let bucket = this.#bucketAt(index);
    do {
      const table = words[bucket >> SEGMENT_SHIFT];
      const at = (bucket & GRANULE_MASK) << 2;
      for (let slot = 0; slot < SLOTS; slot++) {
        const ref = table[at + slot];
        if (ref === 0) break;
        out.push(ref);
      }
      bucket = table[at + OVERFLOW_WORD];
    } while (bucket !== 0);
  }

  /**
   * An entry, each as likely as any other (but for those behind a bucket's 36th, which practically do not exist).
   * @param random source of int32 numbers. @returns 0 when empty.
   */
  random(random: { int32(): number }): number {
    if (this.size === 0) return 0;
    for (let tries = 0; tries < 1000; tries++) {
      const drawn = random.int32() >>> 0;
      const index = Math.floor((drawn / 0x1_0000_0000) * this.bucketCount);
      const ref = this.#nth(index, Math.floor(((random.int32() >>> 0) / 0x1_0000_0000) * RANDOM_SLOTS));
      if (ref !== 0) return ref;
    }
    for (let index = 0; ; index++) {
      const ref = this.#nth(index, 0);
      if (ref !== 0) return ref;
    }
  }

  /** Appends up to `count` entries that lie together somewhere, the quicker way to get several: eviction's sample. */
  sampleSome(count: number, random: { int32(): number }, out: EntryList): void {
    const wanted = Math.min(count, this.size);
    let index = Math.floor(((random.int32() >>> 0) / 0x1_0000_0000) * this.bucketCount);
    moving.length = 0;
    for (; moving.length < wanted; index = (index + 1) % this.bucketCount) this.bucketEntries(index, moving);
    const found = moving.length;
    const start = Math.floor(((random.int32() >>> 0) / 0x1_0000_0000) * found);
    for (let i = 0; i < wanted; i++) out.push(moving.refs[(start + i) % found]);
  }

  /** Entry number `position` of a bucket's chain, or 0. */
  #nth(index: number, position: number): number {
    const { words } = this.arena;
    let bucket = this.#bucketAt(index);
    let rest = position;
    while (rest >= SLOTS) {
      bucket = words[bucket >> SEGMENT_SHIFT][((bucket & GRANULE_MASK) << 2) + OVERFLOW_WORD];
      if (bucket === 0) return 0;
      rest -= SLOTS;
    }
    return words[bucket >> SEGMENT_SHIFT][((bucket & GRANULE_MASK) << 2) + rest];
  }

  /** Removes every entry. */
  clear(): void {
    this.release();
    this.#chunks = new Int32Array(1);
    this.#firstChunkBuckets = 1;
    this.#chunks[0] = this.#allocBuckets(1);
  }

  /** Gives all memory back; only `clear` makes the table usable again. */
  release(): void {
    while (!this.releaseSome(CHUNK_BUCKETS));
  }

  /** Gives the memory of some buckets and their entries back. @returns whether that was all; nothing else may be called before. */
  releaseSome(buckets: number): boolean {
    const { arena } = this;
    if (this.watcher !== null) {
      if (this.#held === 0) arena.held += this.#held = this.memory;
      this.watcher.released();
      return true;
    }
    arena.held -= this.#held;
    this.#held = 0;
    for (let rest = buckets; rest > 0 && this.bucketCount > 0; rest--) {
      const index = --this.bucketCount;
      this.#takeChain(this.#bucketAt(index));
      for (let i = 0; i < moving.length; i++) this.#freeEntry(moving.refs[i]);
      if ((index & (CHUNK_BUCKETS - 1)) === 0) arena.free(this.#chunks[index >> CHUNK_SHIFT]);
    }
    if (this.bucketCount > 0) return false;
    this.#chunks = new Int32Array(1);
    this.size = 0;
    this.bucketCount = 1;
    this.memory = 0;
    this.#mask = 0;
    return true;
  }

  #allocEntry(keyLength: number, valueLength: number, room: number): number {
    const { arena } = this;
    const size = this.headerBytes + keyLength + valueLength;
    const ref = room > 0 ? arena.allocGrowing(size, room) : arena.alloc(size);
    this.memory += arena.capacityOf(ref);
    const words = arena.words[ref >> SEGMENT_SHIFT];
    const at = (ref & GRANULE_MASK) << 2;
    words[at] = keyLength;
    words[at + 1] = valueLength;
    const end = this.headerBytes >> 2;
    for (let i = 2; i < end; i++) words[at + i] = 0;
    return ref;
  }

  #freeEntry(ref: number): void {
    this.memory -= this.arena.capacityOf(ref);
    if (this.#watched !== null && this.#leave(ref)) return;
    this.arena.free(ref);
  }

  /** Leaves a block to who watches the value. @returns whether someone does. */
  #leave(ref: number): boolean {
    const watcher = this.#watched?.get(ref);
    if (watcher === undefined) return false;
    this.unwatchValue(ref);
    watcher.taken();
    return true;
  }

  #hashOf(ref: number): number {
    return hashKey(this.bytesOf(ref), this.keyOffset(ref), this.keyLength(ref));
  }

  #indexOf(hash: number): number {
    const index = hash & this.#mask;
    return index >= this.bucketCount ? index & (this.#mask >>> 1) : index;
  }

  /** Home bucket of a hash. */
  #bucketOf(hash: number): number {
    const index = this.#indexOf(hash);
    return this.#chunks[index >> CHUNK_SHIFT] + (index & (CHUNK_BUCKETS - 1)) * BUCKET_GRANULES;
  }

  #bucketAt(index: number): number {
    return this.#chunks[index >> CHUNK_SHIFT] + (index & (CHUNK_BUCKETS - 1)) * BUCKET_GRANULES;
  }

  #slotOf(bucket: number, ref: number): number {
    const table = this.arena.words[bucket >> SEGMENT_SHIFT];
    const at = (bucket & GRANULE_MASK) << 2;
    for (let slot = 0; slot < SLOTS; slot++) if (table[at + slot] === ref) return slot;
    return -1;
  }

  /** Puts another ref where `ref` is. */
  #replace(ref: number, other: number): void {
    const { words } = this.arena;
    let bucket = this.#bucketOf(this.#hashOf(ref));
    for (;;) {
      const at = (bucket & GRANULE_MASK) << 2;
      const slot = this.#slotOf(bucket, ref);
      if (slot >= 0) {
        words[bucket >> SEGMENT_SHIFT][at + slot] = other;
        return;
      }
      bucket = words[bucket >> SEGMENT_SHIFT][at + OVERFLOW_WORD];
      if (bucket === 0) throw new Error('assert: entry is not in its table');
    }
  }

  /** Puts an entry into the first free slot of its chain. */
  #place(hash: number, ref: number): void {
    const { segments, words } = this.arena;
    let bucket = this.#bucketOf(hash);
    for (;;) {
      const table = words[bucket >> SEGMENT_SHIFT];
      const at = (bucket & GRANULE_MASK) << 2;
      if (table[at + SLOTS - 1] === 0) {
        let slot = 0;
        while (table[at + slot] !== 0) slot++;
        table[at + slot] = ref;
        segments[bucket >> SEGMENT_SHIFT][(at << 2) + TAG_WORD * 4 + slot] = hash >>> 24;
        return;
      }
      let next = table[at + OVERFLOW_WORD];
      if (next === 0) {
        next = this.#allocBuckets(1);
        table[at + OVERFLOW_WORD] = next;
      }
      bucket = next;
    }
  }

  /** Moves a chain's entries to `moving` and leaves its home bucket empty. */
  #takeChain(home: number): void {
    const { words } = this.arena;
    moving.length = 0;
    let bucket = home;
    do {
      const table = words[bucket >> SEGMENT_SHIFT];
      const at = (bucket & GRANULE_MASK) << 2;
      for (let slot = 0; slot < SLOTS && table[at + slot] !== 0; slot++) moving.push(table[at + slot]);
      const next = table[at + OVERFLOW_WORD];
      if (bucket === home) table.fill(0, at, at + BUCKET_BYTES / 4);
      else this.#freeBucket(bucket);
      bucket = next;
    } while (bucket !== 0);
  }

  /** One bucket more: the entries of the bucket it shares low bits with are dealt out anew. */
  #split(): void {
    const index = this.bucketCount;
    const chunk = index >> CHUNK_SHIFT;
    const splitMask = index > this.#mask ? this.#mask : this.#mask >>> 1;
    if (this.watcher !== null) this.watcher.beforeChange(index & splitMask);
    if (chunk === 0) {
      if (index === this.#firstChunkBuckets) this.#resizeFirstChunk(index * 2);
    } else if ((index & (CHUNK_BUCKETS - 1)) === 0) {
      if (chunk === this.#chunks.length) {
        const grown = new Int32Array(chunk * 2);
        grown.set(this.#chunks);
        this.#chunks = grown;
      }
      this.#chunks[chunk] = this.#allocBuckets(CHUNK_BUCKETS);
    }
    if (index > this.#mask) this.#mask = this.#mask * 2 + 1;
    this.bucketCount = index + 1;
    this.#takeChain(this.#bucketAt(index & (this.#mask >>> 1)));
    this.#placeMoving();
  }

  /** One bucket less: the entries of the last one go back to the bucket they came from. */
  #merge(): void {
    if (this.watcher !== null) {
      this.watcher.beforeChange(this.bucketCount - 1);
      this.watcher.beforeChange((this.bucketCount - 1) & (this.#mask >>> 1));
    }
    const index = --this.bucketCount;
    this.#takeChain(this.#bucketAt(index));
    if (index === (this.#mask >>> 1) + 1) this.#mask >>>= 1;
    this.#placeMoving();
    const chunk = index >> CHUNK_SHIFT;
    if (chunk === 0) {
      if (index > 1 && index * 4 <= this.#firstChunkBuckets) this.#resizeFirstChunk(this.#firstChunkBuckets / 2);
    } else if ((index & (CHUNK_BUCKETS - 1)) === 0) {
      this.memory -= CHUNK_BUCKETS * BUCKET_BYTES;
      this.arena.free(this.#chunks[chunk]);
      this.#chunks[chunk] = 0;
    }
  }

  #placeMoving(): void {
    for (let i = 0; i < moving.length; i++) this.#place(this.#hashOf(moving.refs[i]), moving.refs[i]);
  }

  #resizeFirstChunk(buckets: number): void {
    const { arena } = this;
    const old = this.#chunks[0];
    const fresh = this.#allocBuckets(buckets);
    const kept = Math.min(buckets, this.#firstChunkBuckets) * BUCKET_BYTES;
    const from = arena.offsetOf(old);
    arena.bytesOf(fresh).set(arena.bytesOf(old).subarray(from, from + kept), arena.offsetOf(fresh));
    this.memory -= arena.capacityOf(old);
    arena.free(old);
    this.#chunks[0] = fresh;
    this.#firstChunkBuckets = buckets;
  }

  #allocBuckets(count: number): number {
    const { arena } = this;
    const ref = arena.alloc(count * BUCKET_BYTES);
    const start = arena.offsetOf(ref);
    arena.bytesOf(ref).fill(0, start, start + count * BUCKET_BYTES);
    this.memory += arena.capacityOf(ref);
    return ref;
  }

  #freeBucket(bucket: number): void {
    this.memory -= BUCKET_BYTES;
    this.arena.free(bucket);
  }
}

/** The cursor after `cursor` among those of `mask + 1` buckets: reversed bits, plus one. */
function nextCursor(cursor: number, mask: number): number {
  return reverseBits((reverseBits(cursor | ~mask) + 1) | 0) >>> 0;
}

function reverseBits(value: number): number {
  let v = value;
  v = ((v >>> 1) & 0x55555555) | ((v & 0x55555555) << 1);
  v = ((v >>> 2) & 0x33333333) | ((v & 0x33333333) << 2);
  v = ((v >>> 4) & 0x0f0f0f0f) | ((v & 0x0f0f0f0f) << 4);
  v = ((v >>> 8) & 0x00ff00ff) | ((v & 0x00ff00ff) << 8);
  return (v >>> 16) | (v << 16);
}
