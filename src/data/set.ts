// A set value: an intset while all members are integers and few, then a table. Anyone in src/ may import it.
import type { Arena } from './arena.ts';
import { grow, shrink, store } from './blocks.ts';
import type { Collection } from './collection.ts';
import { Dict, EntryList } from './dict.ts';
import { Element } from './element.ts';
import { below, type RandomInts, sampleDict, takeSample, walkDict } from './handles.ts';
import { INT64_DIGITS_MAX, int64, parseInt64, writeInt64 } from './int64.ts';
import * as intset from './intset.ts';
import { TYPE_SET } from './value-type.ts';

const OBJECT_BYTES = 64;
const INTSET_START_BYTES = 16;

export class SetValue implements Collection {
  readonly type = TYPE_SET;
  readonly arena: Arena;
  /** Block of the intset; 0 once there is a table. */
  #intset = 0;
  #table: Dict | null = null;

  /** Starts as an empty intset. */
  constructor(arena: Arena) {
    this.arena = arena;
    this.#intset = arena.alloc(INTSET_START_BYTES);
    intset.initialize(arena.bytesOf(this.#intset), arena.offsetOf(this.#intset));
  }

  /** @param bytes a valid intset, as RDB carries it; copied. */
  static fromIntset(arena: Arena, bytes: Uint8Array, offset: number, length: number): SetValue {
    const set = new SetValue(arena);
    arena.free(set.#intset);
    set.#intset = store(arena, bytes, offset, length);
    return set;
  }

  get length(): number {
    if (this.#table !== null) return this.#table.size;
    return intset.count(this.arena.bytesOf(this.#intset), this.arena.offsetOf(this.#intset));
  }

  get isIntset(): boolean {
    return this.#table === null;
  }

  /** The table, once there is one. */
  get table(): Dict | null {
    return this.#table;
  }

  encoding(): string {
    return this.#table === null ? 'intset' : 'hashtable';
  }

  memoryBytes(): number {
    return OBJECT_BYTES + (this.#table === null ? this.arena.capacityOf(this.#intset) : this.#table.memory);
  }

  releaseSome(elements: number): boolean {
    if (this.#table !== null) return this.#table.releaseSome(elements);
    this.release();
    return true;
  }

  release(): void {
    if (this.#table !== null) this.#table.release();
    else this.arena.free(this.#intset);
    this.#intset = 0;
  }

  /** Points `blob` at the raw intset. @returns false when there is a table instead. */
  intsetBlob(blob: Element): boolean {
    if (this.#table !== null) return false;
    const bytes = this.arena.bytesOf(this.#intset);
    const base = this.arena.offsetOf(this.#intset);
    blob.set(bytes, base, intset.totalBytes(bytes, base));
    return true;
  }

  has(bytes: Uint8Array, offset: number, length: number): boolean {
    if (this.#table !== null) return this.#table.find(bytes, offset, length) !== 0;
    if (!parseInt64(bytes, offset, length)) return false;
    const own = this.arena.bytesOf(this.#intset);
    return intset.find(own, this.arena.offsetOf(this.#intset), int64.high, int64.low) >= 0;
  }

  /**
   * @param maxIntsetEntries set-max-intset-entries: more members than that need a table.
   * @returns whether it is new. The bytes must not lie in the arena.
   */
  add(bytes: Uint8Array, offset: number, length: number, maxIntsetEntries: number): boolean {
    if (this.#table === null) {
      if (parseInt64(bytes, offset, length)) return this.#addInteger(maxIntsetEntries);
      this.toTable();
    }
    const table = this.#table as unknown as Dict;
    if (table.find(bytes, offset, length) !== 0) return false;
    table.insert(bytes, offset, length, 0);
    return true;
  }

  #addInteger(maxIntsetEntries: number): boolean {
    const { arena } = this;
    const { high, low } = int64;
    let bytes = arena.bytesOf(this.#intset);
    let base = arena.offsetOf(this.#intset);
    if (intset.find(bytes, base, high, low) >= 0) return false;
    const needed = intset.bytesWith(bytes, base, high, low);
    this.#intset = grow(arena, this.#intset, intset.totalBytes(bytes, base), needed);
    bytes = arena.bytesOf(this.#intset);
    base = arena.offsetOf(this.#intset);
    intset.insert(bytes, base, high, low);
    if (intset.count(bytes, base) > maxIntsetEntries) this.toTable();
    return true;
  }

  /** @returns whether it was there. */
  delete(bytes: Uint8Array, offset: number, length: number): boolean {
    if (this.#table !== null) return this.#table.delete(bytes, offset, length);
    if (!parseInt64(bytes, offset, length)) return false;
    const own = this.arena.bytesOf(this.#intset);
    const index = intset.find(own, this.arena.offsetOf(this.#intset), int64.high, int64.low);
    if (index < 0) return false;
    this.deleteHandle(index);
    return true;
  }

  toTable(): void {
    if (this.#table !== null) return;
    const { arena } = this;
    const table = new Dict(arena);
    const digits = new Uint8Array(INT64_DIGITS_MAX);
    const members = this.length;
    for (let i = 0; i < members; i++) {
      intset.read(arena.bytesOf(this.#intset), arena.offsetOf(this.#intset), i);
      table.insert(digits, 0, writeInt64(int64.high, int64.low, digits, 0), 0);
    }
    arena.free(this.#intset);
    this.#intset = 0;
    this.#table = table;
  }

  // ---- handles (handles.ts) ----

  member(handle: number, element: Element): void {
    const table = this.#table;
    if (table !== null) {
      element.set(table.bytesOf(handle), table.keyOffset(handle), table.keyLength(handle));
    } else {
      intset.read(this.arena.bytesOf(this.#intset), this.arena.offsetOf(this.#intset), handle);
      element.setInteger(int64.high, int64.low);
    }
  }

  deleteHandle(handle: number): void {
    if (this.#table !== null) {
      this.#table.deleteEntry(handle);
      return;
    }
    const bytes = this.arena.bytesOf(this.#intset);
    const base = this.arena.offsetOf(this.#intset);
    intset.removeAt(bytes, base, handle);
    this.#intset = shrink(this.arena, this.#intset, intset.totalBytes(bytes, base));
  }

  /** @returns a handle, each as likely as any other; the set must not be empty. */
  random(random: RandomInts): number {
    return this.#table !== null ? this.#table.random(random) : below(this.length, random);
  }

  /** Appends `count` different members, count <= length. */
  sample(count: number, random: RandomInts, out: EntryList): void {
    if (this.#table !== null) {
      sampleDict(this.#table, count, random, out);
      return;
    }
    const all = new EntryList();
    this.walk(0, all);
    takeSample(all, count, random, out);
  }

  /** One step of a walk over all members while nothing changes: start at 0, end at -1. */
  walk(position: number, out: EntryList): number {
    if (this.#table !== null) return walkDict(this.#table, position, out);
    const members = this.length;
    for (let i = 0; i < members; i++) out.push(i);
    return -1;
  }

  /** One step of SSCAN: start at 0, end at 0. */
  scan(cursor: number, out: EntryList): number {
    if (this.#table !== null) return this.#table.scan(cursor, out);
    this.walk(0, out);
    return 0;
  }

  /** Another set with the same members, for COPY. */
  clone(arena: Arena): SetValue {
    const blob = new Element();
    if (this.intsetBlob(blob)) return SetValue.fromIntset(arena, blob.bytes, blob.offset, blob.length);
    const twin = new SetValue(arena);
    twin.toTable();
    const handles = new EntryList();
    for (let at = 0; at !== -1; ) at = this.walk(at, handles);
    for (let i = 0; i < handles.length; i++) {
      this.member(handles.refs[i], blob);
      twin.add(blob.bytes, blob.offset, blob.length, 0);
    }
    return twin;
  }
}
