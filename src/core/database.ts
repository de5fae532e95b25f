// One SELECT-able database: keys with their type, access bits and expiry. Strings lie beside their key in the arena;
// other values are Collection objects, held by index. An entry (int32, 0: none) stays valid until its key is
// written, deleted or found expired. Commands reach it by way of lookup.ts or the methods here.
//
// Owner's words of an entry: 0: type (3 bits), string encoding (2), epoch of the latest snapshot that has it or that is
// older than it (3), access bits (24); 1: expiry slot + 1, or 0.

import { copyBytes } from '../data/bytes.ts';
import type { Collection } from '../data/collection.ts';
import { Dict } from '../data/dict.ts';
import { ExpiryIndex } from '../data/expiry-index.ts';
import { parseInteger } from '../data/integer.ts';
import { TYPE_STRING } from '../data/value-type.ts';
import { keyName } from './key-name.ts';
import { EXPIRY_DELETE, EXPIRY_HIDE, EXPIRY_IGNORE, type Keyspace } from './keyspace.ts';
import { DiscardedKeys } from './lazy-free.ts';
import { NOTIFY_EXPIRED, NOTIFY_KEY_MISS, NOTIFY_NEW } from './notify-flags.ts';

/** The string was stored whole: `int` if it is one, else by length (Redis's tryObjectEncoding). */
export const STRING_STORED = 0;
/** Made as a string that is not looked at for being an integer: `embstr` or `raw` by length. */
export const STRING_MADE = 1;
/** Changed in place by APPEND or SETRANGE: `raw`. */
export const STRING_CHANGED = 2;

const EMBSTR_LENGTH_MAX = 44;
/** A value's object, its fields and its place in the list. */
const COLLECTION_HEAP_BYTES = 72;
const META = 0;
const TYPE_MASK = 7;
const KIND_SHIFT = 3;
const KIND_MASK = 3;
const EPOCH_SHIFT = 5;
const EPOCH_MASK = 7 << EPOCH_SHIFT;
const EXPIRY_SLOT = 1;
const EXTRA_WORDS = 2;

export class Database {
  readonly index: number;
  readonly keyspace: Keyspace;
  /** Exchanged by SWAPDB: do not keep a copy. */
  dict: Dict;
  expiries = new ExpiryIndex();
  #collections: (Collection | null)[] = [];
  #vacant: number[] = [];
  /** Sum of time to live when last sampled, milliseconds: INFO's avg_ttl. */
  averageTtlMs = 0;
  /** Where the active expire cycle goes on. */
  expireCursor = 0;

  constructor(index: number, keyspace: Keyspace) {
    this.index = index;
    this.keyspace = keyspace;
    this.dict = new Dict(keyspace.arena, EXTRA_WORDS);
  }

  /** Number of keys, those included that have expired and were not met since. */
  get size(): number {
    return this.dict.size;
  }

  /** About what V8 needs for the objects of values, and for the table of expiries. */
  get heapBytes(): number {
    return this.expiries.memory + (this.#collections.length - this.#vacant.length) * COLLECTION_HEAP_BYTES;
  }

  /** Of the table itself, without its entries. */
  get tableBytes(): number {
    return this.dict.tableBytes;
  }

  // --- look-up ---

  /** The key's entry, or 0; an expired key is deleted. Leaves access bits and counts alone. */
  peek(bytes: Uint8Array, offset: number, length: number): number {
    const entry = this.dict.find(bytes, offset, length);
    if (entry === 0) return this.keyspace.victims === null ? 0 : this.#restoreVictim(bytes, offset, length);
    if (this.dict.extra(entry, EXPIRY_SLOT) === 0) return entry;
    return this.#peekVolatile(entry, bytes, offset, length);
  }

  /** The key may have been evicted, and kept. */
  #restoreVictim(bytes: Uint8Array, offset: number, length: number): number {
    return this.keyspace.victims?.restore(this, bytes, offset, length) ?? 0;
  }

  #peekVolatile(entry: number, bytes: Uint8Array, offset: number, length: number): number {
    if (!this.isExpired(entry)) return entry;
    if (this.keyspace.expiryMode === EXPIRY_DELETE) this.expireEntry(entry, bytes, offset, length);
    return 0;
  }

  /** `peek`, and counts as an access (LRU, LFU). For commands that write. */
  find(bytes: Uint8Array, offset: number, length: number): number {
    const entry = this.peek(bytes, offset, length);
    if (entry !== 0) {
      if (this.keyspace.snapshot !== null) this.beforeChange(entry);
      this.touch(entry);
    } else if (this.keyspace.ownVolatile !== null) this.#expireHidden(bytes, offset, length);
    return entry;
  }

  /** A replica that takes writes: an expired key makes room for what is written. */
  #expireHidden(bytes: Uint8Array, offset: number, length: number): void {
    const entry = this.dict.find(bytes, offset, length);
    if (entry !== 0 && this.isExpired(entry)) this.expireEntry(entry, bytes, offset, length);
  }

  // --- snapshots ---

  /** The entry is going to change: a snapshot that has not taken it does so now. */
  beforeChange(entry: number): void {
    const { epoch, snapshot } = this.keyspace;
    if (snapshot !== null && this.epochOf(entry) !== epoch) snapshot.beforeChange(this, entry);
  }

  /** Of the snapshot that has this entry; a new entry counts as taken. */
  epochOf(entry: number): number {
    return (this.dict.extra(entry, META) & EPOCH_MASK) >> EPOCH_SHIFT;
  }

  setEpoch(entry: number, epoch: number): void {
    const meta = this.dict.extra(entry, META);
    this.dict.setExtra(entry, META, (meta & ~EPOCH_MASK) | (epoch << EPOCH_SHIFT));
  }

  /**
   * `find`, and counts as a hit or miss. For commands that read.
   * @param touch false: looking at the key is no use of it (TTL, TYPE, EXISTS).
   */
  findForRead(bytes: Uint8Array, offset: number, length: number, touch = true): number {
    const entry = this.peek(bytes, offset, length);
    const { keyspace } = this;
    if (entry !== 0) {
      keyspace.stats.hits++;
      if (touch) this.touch(entry);
    } else {
      keyspace.stats.misses++;
      keyspace.event(NOTIFY_KEY_MISS, 'keymiss', this, bytes, offset, length);
    }
    return entry;
  }

  /** Whether the entry's time has come and expired keys are not to be seen. */
  isExpired(entry: number): boolean {
    const slot = this.dict.extra(entry, EXPIRY_SLOT);
    if (slot === 0) return false;
    const { keyspace } = this;
    return keyspace.clock.unixMs > this.expiries.timeOf(slot - 1) && keyspace.expiryMode !== EXPIRY_IGNORE;
  }

  /** Deletes an entry that has expired and tells everyone. The range is its key, outside the entry itself. */
  expireEntry(entry: number, bytes: Uint8Array, offset: number, length: number): void {
    const { keyspace } = this;
    keyspace.stats.expiredKeys++;
    this.deleteEntry(entry, keyspace.lazyExpire);
    keyspace.hooks.keyExpired(this, bytes, offset, length);
    keyspace.event(NOTIFY_EXPIRED, 'expired', this, bytes, offset, length);
    keyspace.hooks.keyModified(this, bytes, offset, length);
  }

  // --- an entry's fields ---

  typeOf(entry: number): number {
    return this.dict.extra(entry, META) & TYPE_MASK;
  }

  /** Name as OBJECT ENCODING prints it. */
  encodingOf(entry: number): string {
    const { dict } = this;
    const meta = dict.extra(entry, META);
    if ((meta & TYPE_MASK) !== TYPE_STRING) return this.collectionOf(entry).encoding();
    const how = (meta >> KIND_SHIFT) & KIND_MASK;
    if (how === STRING_CHANGED) return 'raw';
    const length = dict.valueLength(entry);
    if (how === STRING_STORED && !Number.isNaN(parseInteger(dict.bytesOf(entry), dict.valueOffset(entry), length))) {
      return 'int';
    }
    return length <= EMBSTR_LENGTH_MAX ? 'embstr' : 'raw';
  }

  /** The 24 access bits: see Keyspace. */
  accessOf(entry: number): number {
    return this.dict.extra(entry, META) >>> 8;
  }

  setAccess(entry: number, access: number): void {
    const meta = this.dict.extra(entry, META);
    this.dict.setExtra(entry, META, (meta & 255) | (access << 8));
  }

  /** Counts an access; writes only when the bits change. */
  touch(entry: number): void {
    const meta = this.dict.extra(entry, META);
    const access = this.keyspace.nextAccess(meta >>> 8);
    if (access !== meta >>> 8) this.dict.setExtra(entry, META, (meta & 255) | (access << 8));
  }

  /** The segment in which key and value of an entry lie. */
  bytesOf(entry: number): Uint8Array {
    return this.dict.bytesOf(entry);
  }

  keyOffset(entry: number): number {
    return this.dict.keyOffset(entry);
  }

  keyLength(entry: number): number {
    return this.dict.keyLength(entry);
  }

  /** A copy of the key. */
  keyOf(entry: number): Uint8Array {
    const start = this.dict.keyOffset(entry);
    return this.dict.bytesOf(entry).slice(start, start + this.dict.keyLength(entry));
  }

  /** Of a string. */
  valueOffset(entry: number): number {
    return this.dict.valueOffset(entry);
  }

  /** Of a string. */
  valueLength(entry: number): number {
    return this.dict.valueLength(entry);
  }

  /** Of an entry that is not a string. */
  collectionOf(entry: number): Collection {
    const { dict } = this;
    const collection = this.#collections[readIndex(dict.bytesOf(entry), dict.valueOffset(entry))];
    if (collection === null || collection === undefined) throw new Error('assert: entry without its collection');
    return collection;
  }

  // --- strings ---

  /**
   * Makes the key hold a string, whatever it held; its expiry goes unless `keepTtl`. A value of a length that fits
   * is written in place. The value may not lie in the entry itself.
   * @param how STRING_*.
   */
  setString(
    bytes: Uint8Array,
    offset: number,
    length: number,
    value: Uint8Array,
    valueOffset: number,
    valueLength: number,
    keepTtl = false,
    how = STRING_STORED,
  ): number {
    let entry = this.peek(bytes, offset, length);
    if (entry === 0) entry = this.addString(bytes, offset, length, valueLength, 0, how);
    else entry = this.#overwrite(entry, valueLength, keepTtl, how);
    copyBytes(this.dict.bytesOf(entry), this.dict.valueOffset(entry), value, valueOffset, valueLength);
    return entry;
  }

  #overwrite(entry: number, valueLength: number, keepTtl: boolean, how: number): number {
    if (this.keyspace.snapshot !== null) this.beforeChange(entry);
    const meta = this.dict.extra(entry, META);
    if (this.keyspace.deletionsWanted) this.#tellDeleted(entry);
    if ((meta & TYPE_MASK) !== TYPE_STRING) this.#dropCollection(entry, this.keyspace.lazyServerDel);
    if (!keepTtl) this.removeExpiry(entry);
    const access = this.keyspace.lfu ? this.keyspace.nextAccess(meta >>> 8) : this.keyspace.initialAccess();
    this.dict.setExtra(entry, META, this.#newMeta(TYPE_STRING | (how << KIND_SHIFT), access));
    return this.resizeString(entry, valueLength, 0, false);
  }

  /** Adds a key, which must be absent, with a string of that length whose bytes the caller writes. */
  addString(
    bytes: Uint8Array,
    offset: number,
    length: number,
    valueLength: number,
    room = 0,
    how = STRING_STORED,
  ): number {
    const entry = this.dict.insert(bytes, offset, length, valueLength, room);
    const { keyspace } = this;
    this.dict.setExtra(entry, META, this.#newMeta(TYPE_STRING | (how << KIND_SHIFT), keyspace.initialAccess()));
    keyspace.event(NOTIFY_NEW, 'new', this, bytes, offset, length);
    return entry;
  }

  #newMeta(typeAndKind: number, access: number): number {
    return typeAndKind | (this.keyspace.epoch << EPOCH_SHIFT) | (access << 8);
  }

  /**
   * Changes a string's length; bytes up to the smaller length stay, others are to be written by the caller.
   * @param room bytes to leave for later growth if it has to move.
   * @param keeps false: the caller writes all bytes.
   * @returns the entry, perhaps another one.
   */
  resizeString(entry: number, valueLength: number, room: number, keeps = true): number {
    const moved = this.dict.resizeValue(entry, valueLength, room, keeps);
    if (moved !== entry) {
      const slot = this.dict.extra(moved, EXPIRY_SLOT);
      if (slot !== 0) this.expiries.setRef(slot - 1, moved);
    }
    return moved;
  }

  /** To be called before bytes that a string has are written over in place: a save may still want them. */
  beforeWrite(entry: number, from: number, to: number): void {
    if (this.keyspace.snapshot !== null) this.dict.beforeWrite(entry, from, to);
  }

  /** STRING_* of a string. */
  stringKindOf(entry: number): number {
    return (this.dict.extra(entry, META) >> KIND_SHIFT) & KIND_MASK;
  }

  /** @param how STRING_*. */
  setStringKind(entry: number, how: number): void {
    const meta = this.dict.extra(entry, META);
    this.dict.setExtra(entry, META, (meta & ~(KIND_MASK << KIND_SHIFT)) | (how << KIND_SHIFT));
  }

  // --- collections ---

  /** The key's collection, of any type; null when the key is missing or holds a string. */
  getCollection(bytes: Uint8Array, offset: number, length: number): Collection | null {
    const entry = this.find(bytes, offset, length);
    return entry === 0 || this.typeOf(entry) === TYPE_STRING ? null : this.collectionOf(entry);
  }

  /** Adds a key, which must be absent. The database owns the collection from now on. */
  addCollection(bytes: Uint8Array, offset: number, length: number, collection: Collection): number {
    return this.#insertCollection(bytes, offset, length, collection, true);
  }

  #insertCollection(bytes: Uint8Array, offset: number, length: number, collection: Collection, isNew: boolean): number {
    const { keyspace } = this;
    const entry = this.dict.insert(bytes, offset, length, 4);
    this.dict.setExtra(entry, META, this.#newMeta(collection.type, keyspace.initialAccess()));
    this.#keep(entry, collection);
    if (isNew) keyspace.event(NOTIFY_NEW, 'new', this, bytes, offset, length);
    keyspace.hooks.keyReady(this, collection.type, bytes, offset, length);
    return entry;
  }

  /** Makes the key hold this collection, whatever it held; its expiry goes unless `keepTtl`. */
  setCollection(bytes: Uint8Array, offset: number, length: number, collection: Collection, keepTtl = false): number {
    const old = this.peek(bytes, offset, length);
    const expiry = old !== 0 && keepTtl ? this.expiryOf(old) : -1;
    if (old !== 0) this.deleteEntry(old, this.keyspace.lazyServerDel);
    const entry = this.#insertCollection(bytes, offset, length, collection, old === 0);
    if (expiry !== -1) this.setExpiry(entry, expiry);
    return entry;
  }

  /** Deletes an entry without releasing its collection, which the caller takes over. */
  detachCollection(entry: number): Collection {
    if (this.keyspace.deletionsWanted) this.#tellDeleted(entry);
    if (this.keyspace.snapshot !== null) this.beforeChange(entry);
    const collection = this.collectionOf(entry);
    this.#forget(entry);
    this.removeExpiry(entry);
    this.dict.deleteEntry(entry);
    return collection;
  }

  #keep(entry: number, collection: Collection): void {
    const index = this.#vacant.pop() ?? this.#collections.length;
    this.#collections[index] = collection;
    writeIndex(this.dict.bytesOf(entry), this.dict.valueOffset(entry), index);
  }

  #forget(entry: number): void {
    const index = readIndex(this.dict.bytesOf(entry), this.dict.valueOffset(entry));
    this.#collections[index] = null;
    this.#vacant.push(index);
  }

  #dropCollection(entry: number, lazy: boolean): void {
    const collection = this.collectionOf(entry);
    this.#forget(entry);
    if (lazy) this.keyspace.lazyFree.collection(collection);
    else collection.release();
  }

  // --- deletion ---

  /** @returns whether the key was there, and not expired. */
  delete(bytes: Uint8Array, offset: number, length: number, lazy = false): boolean {
    const entry = this.peek(bytes, offset, length);
    if (entry === 0) return false;
    this.deleteEntry(entry, lazy);
    return true;
  }

  /** Deletes the key, expired or not: what stores an empty result does not look at what it deletes. */
  discard(bytes: Uint8Array, offset: number, length: number): boolean {
    const entry = this.dict.find(bytes, offset, length);
    if (entry === 0) return false;
    this.deleteEntry(entry);
    return true;
  }

  /** Removes an entry, its value and its expiry; tells nobody. @param lazy a large value is freed later. */
  deleteEntry(entry: number, lazy = false): void {
    if (this.keyspace.deletionsWanted) this.#tellDeleted(entry);
    if (this.keyspace.snapshot !== null) this.beforeChange(entry);
    if (this.typeOf(entry) !== TYPE_STRING) this.#dropCollection(entry, lazy);
    this.removeExpiry(entry);
    this.dict.deleteEntry(entry);
  }

  #tellDeleted(entry: number): void {
    const { dict, keyspace } = this;
    keyspace.hooks.keyDeleted(this, dict.bytesOf(entry), dict.keyOffset(entry), dict.keyLength(entry));
  }

  /** Removes every key. @param lazy their memory is given back later. @returns how many there were. */
  clear(lazy = false): number {
    const removed = this.dict.size;
    const { arena, lazyFree, snapshot } = this.keyspace;
    if (snapshot !== null && removed > 0) {
      // The keys that are not taken yet stay with the snapshot until they are.
      const kept = new Database(this.index, this.keyspace);
      this.#exchange(kept);
      snapshot.cleared(this, kept);
      return removed;
    }
    if (removed > 0) {
      const discarded = new DiscardedKeys(this.dict, this.#collections);
      if (lazy) lazyFree.add(discarded);
      else while (!discarded.releaseSome(Number.MAX_SAFE_INTEGER));
      this.dict = new Dict(arena, EXTRA_WORDS);
    }
    this.#empty();
    return removed;
  }

  /** As `clear`, when the arena has been reset. */
  clearAfterReset(): number {
    const removed = this.dict.size;
    this.dict = new Dict(this.keyspace.arena, EXTRA_WORDS);
    this.#empty();
    return removed;
  }

  #empty(): void {
    this.#collections = [];
    this.#vacant = [];
    this.expiries.clear();
    this.expireCursor = 0;
    this.averageTtlMs = 0;
  }

  /** Gives all memory back, for a database that a snapshot has kept. */
  release(): void {
    this.clear(true);
    this.dict.release();
  }

  /** Exchanges the contents of two databases. */
  swap(other: Database): void {
    this.keyspace.snapshot?.swapped(this, other);
    this.#exchange(other);
  }

  #exchange(other: Database): void {
    [this.dict, other.dict] = [other.dict, this.dict];
    [this.expiries, other.expiries] = [other.expiries, this.expiries];
    [this.#collections, other.#collections] = [other.#collections, this.#collections];
    [this.#vacant, other.#vacant] = [other.#vacant, this.#vacant];
    [this.averageTtlMs, other.averageTtlMs] = [other.averageTtlMs, this.averageTtlMs];
    [this.expireCursor, other.expireCursor] = [other.expireCursor, this.expireCursor];
  }

  // --- expiry ---

  /** Unix time in milliseconds, -1: none. */
  expiryOf(entry: number): number {
    const slot = this.dict.extra(entry, EXPIRY_SLOT);
    return slot === 0 ? -1 : this.expiries.timeOf(slot - 1);
  }

  /** @param unixMs when the key goes. */
  setExpiry(entry: number, unixMs: number): void {
    if (this.keyspace.snapshot !== null) this.beforeChange(entry);
    const { expiryMode, ownVolatile } = this.keyspace;
    if (ownVolatile !== null && expiryMode !== EXPIRY_IGNORE) {
      const key = this.keyOf(entry);
      ownVolatile.add(keyName(this.index, key, 0, key.length));
    }
    const slot = this.dict.extra(entry, EXPIRY_SLOT);
    if (slot !== 0) this.expiries.setTime(slot - 1, unixMs);
    else this.dict.setExtra(entry, EXPIRY_SLOT, this.expiries.add(entry, unixMs) + 1);
  }

  /** @returns whether there was one. */
  removeExpiry(entry: number): boolean {
    const slot = this.dict.extra(entry, EXPIRY_SLOT);
    if (slot === 0) return false;
    if (this.keyspace.snapshot !== null) this.beforeChange(entry);
    const moved = this.expiries.remove(slot - 1);
    if (moved !== 0) this.dict.setExtra(moved, EXPIRY_SLOT, slot);
    this.dict.setExtra(entry, EXPIRY_SLOT, 0);
    return true;
  }

  /** Any key that has not expired, each as likely; 0 when there is none. */
  randomEntry(): number {
    const { dict, keyspace } = this;
    // With nothing but expired keys that may not be deleted, Redis gives up after a hundred tries.
    const triesMax = this.expiries.size === dict.size && keyspace.expiryMode === EXPIRY_HIDE ? 100 : Infinity;
    for (let tries = 1; ; tries++) {
      const entry = dict.random(keyspace.random);
      if (entry === 0 || !this.isExpired(entry) || tries >= triesMax) return entry;
      if (keyspace.expiryMode === EXPIRY_DELETE) {
        const key = this.keyOf(entry);
        this.expireEntry(entry, key, 0, key.length);
      }
    }
  }
}

function readIndex(bytes: Uint8Array, offset: number): number {
  return bytes[offset] | (bytes[offset + 1] << 8) | (bytes[offset + 2] << 16) | (bytes[offset + 3] << 24);
}

function writeIndex(bytes: Uint8Array, offset: number, index: number): void {
  bytes[offset] = index;
  bytes[offset + 1] = index >>> 8;
  bytes[offset + 2] = index >>> 16;
  bytes[offset + 3] = index >>> 24;
}
