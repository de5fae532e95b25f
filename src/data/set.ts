// A set value: an intset while all members are integers and few, then a table. Anyone in src/ may import it.
import type { Arena } from './arena.ts';
import { grow, shrink, store } from './blocks.ts';
import { Dict, EntryList } from './dict.ts';
import { Element } from './element.ts';
import { below, type RandomInts, walkDict } from './handles.ts';
import { INT64_DIGITS_MAX, int64, parseInt64, writeInt64 } from './int64.ts';
import * as intset from './intset.ts';
import { PackedOrTable } from './packed-or-table.ts';
import { TYPE_SET } from './value-type.ts';

const INTSET_START_BYTES = 16;

export class SetValue extends PackedOrTable {
  readonly type = TYPE_SET;

  /** Starts as an empty intset. */
  constructor(arena: Arena, pack = emptyIntset(arena)) {
    super(arena, pack);
  }

  /** @param bytes a valid intset, as RDB carries it; copied. */
  static fromIntset(arena: Arena, bytes: Uint8Array, offset: number, length: number): SetValue {
    return new SetValue(arena, store(arena, bytes, offset, length));
  }

  get length(): number {
    if (this.dict !== null) return this.dict.size;
    return intset.count(this.arena.bytesOf(this.pack), this.arena.offsetOf(this.pack));
  }

  encoding(): string {
    return this.dict === null ? 'intset' : 'hashtable';
  }

  protected packedBytes(): number {
    return intset.totalBytes(this.arena.bytesOf(this.pack), this.arena.offsetOf(this.pack));
  }

  has(bytes: Uint8Array, offset: number, length: number): boolean {
    if (this.dict !== null) return this.dict.find(bytes, offset, length) !== 0;
    if (!parseInt64(bytes, offset, length)) return false;
    const own = this.arena.bytesOf(this.pack);
    return intset.find(own, this.arena.offsetOf(this.pack), int64.high, int64.low) >= 0;
  }

  /**
   * @param maxIntsetEntries set-max-intset-entries: more members than that need a table.
   * @returns whether it is new. The bytes must not lie in the arena.
   */
  add(bytes: Uint8Array, offset: number, length: number, maxIntsetEntries: number): boolean {
    if (this.dict === null) {
      if (parseInt64(bytes, offset, length)) return this.#addInteger(maxIntsetEntries);
      this.toTable();
    }
    const table = this.dict as unknown as Dict;
    if (table.find(bytes, offset, length) !== 0) return false;
    table.insert(bytes, offset, length, 0);
    return true;
  }

  #addInteger(maxIntsetEntries: number): boolean {
    const { arena } = this;
    const { high, low } = int64;
    let bytes = arena.bytesOf(this.pack);
    let base = arena.offsetOf(this.pack);
    if (intset.find(bytes, base, high, low) >= 0) return false;
    const needed = intset.bytesWith(bytes, base, high, low);
    this.pack = grow(arena, this.pack, intset.totalBytes(bytes, base), needed);
    bytes = arena.bytesOf(this.pack);
    base = arena.offsetOf(this.pack);
    intset.insert(bytes, base, high, low);
    if (intset.count(bytes, base) > maxIntsetEntries) this.toTable();
    return true;
  }

  /** @returns whether it was there. */
  delete(bytes: Uint8Array, offset: number, length: number): boolean {
    if (this.dict !== null) return this.dict.delete(bytes, offset, length);
    if (!parseInt64(bytes, offset, length)) return false;
    const own = this.arena.bytesOf(this.pack);
    const index = intset.find(own, this.arena.offsetOf(this.pack), int64.high, int64.low);
    if (index < 0) return false;
    this.deleteHandle(index);
    return true;
  }

  toTable(): void {
    if (this.dict !== null) return;
    const { arena } = this;
    const table = new Dict(arena);
    const digits = new Uint8Array(INT64_DIGITS_MAX);
    const members = this.length;
    for (let i = 0; i < members; i++) {
      intset.read(arena.bytesOf(this.pack), arena.offsetOf(this.pack), i);
      table.insert(digits, 0, writeInt64(int64.high, int64.low, digits, 0), 0);
    }
    this.become(table);
  }

  // ---- handles (handles.ts) ----

  member(handle: number, element: Element): void {
    const table = this.dict;
    if (table !== null) {
      element.set(table.bytesOf(handle), table.keyOffset(handle), table.keyLength(handle));
    } else {
      intset.read(this.arena.bytesOf(this.pack), this.arena.offsetOf(this.pack), handle);
      element.setInteger(int64.high, int64.low);
    }
  }

  deleteHandle(handle: number): void {
    if (this.dict !== null) {
      this.dict.deleteEntry(handle);
      return;
    }
    const bytes = this.arena.bytesOf(this.pack);
    const base = this.arena.offsetOf(this.pack);
    intset.removeAt(bytes, base, handle);
    this.pack = shrink(this.arena, this.pack, intset.totalBytes(bytes, base));
  }

  /** @returns a handle, each as likely as any other; the set must not be empty. */
  random(random: RandomInts): number {
    return this.dict !== null ? this.dict.random(random) : below(this.length, random);
  }

  /** One step of a walk over all members while nothing changes: start at 0, end at -1. */
  walk(position: number, out: EntryList): number {
    if (this.dict !== null) return walkDict(this.dict, position, out);
    const members = this.length;
    for (let i = 0; i < members; i++) out.push(i);
    return -1;
  }

  /** Another set with the same members, for COPY. */
  clone(arena: Arena): SetValue {
    const blob = new Element();
    if (this.packedBlob(blob)) return SetValue.fromIntset(arena, blob.bytes, blob.offset, blob.length);
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

function emptyIntset(arena: Arena): number {
  const block = arena.alloc(INTSET_START_BYTES);
  intset.initialize(arena.bytesOf(block), arena.offsetOf(block));
  return block;
}
