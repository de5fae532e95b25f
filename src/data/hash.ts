// A hash value: a listpack of field, value, field, value ... while it is small, then a table. The commands decide when
// it is no longer small (they know the configuration) and call `toTable`. Anyone in src/ may import it.
import type { Arena } from './arena.ts';
import { grow, shrink, store } from './blocks.ts';
import { copyBytes } from './bytes.ts';
import { Dict, EntryList } from './dict.ts';
import { Element, type ElementSink } from './element.ts';
import { below, type RandomInts, walkDict } from './handles.ts';
import * as listpack from './listpack.ts';
import { emptyListpack, PackedOrTable } from './packed-or-table.ts';
import { TYPE_HASH } from './value-type.ts';

export class Hash extends PackedOrTable {
  readonly type = TYPE_HASH;

  /** Starts as an empty listpack. */
  constructor(arena: Arena, pack = emptyListpack(arena)) {
    super(arena, pack);
  }

  /** @param bytes a valid listpack of pairs, as RDB carries it; copied. */
  static fromListpack(arena: Arena, bytes: Uint8Array, offset: number, length: number): Hash {
    return new Hash(arena, store(arena, bytes, offset, length));
  }

  get length(): number {
    if (this.dict !== null) return this.dict.size;
    return listpack.count(this.arena.bytesOf(this.pack), this.arena.offsetOf(this.pack)) >> 1;
  }

  encoding(): string {
    return this.dict === null ? 'listpack' : 'hashtable';
  }

  protected packedBytes(): number {
    return listpack.totalBytes(this.arena.bytesOf(this.pack), this.arena.offsetOf(this.pack));
  }

  /** @returns the field's handle, or 0. */
  find(bytes: Uint8Array, offset: number, length: number): number {
    if (this.dict !== null) return this.dict.find(bytes, offset, length);
    const own = this.arena.bytesOf(this.pack);
    const base = this.arena.offsetOf(this.pack);
    const at = listpack.find(own, listpack.first(own, base), 1, bytes, offset, length);
    return at === -1 ? 0 : at - base;
  }

  /** Adds or overwrites. @returns whether the field is new. Neither range may lie in the arena. */
  set(
    bytes: Uint8Array,
    offset: number,
    length: number,
    value: Uint8Array,
    valueOffset: number,
    valueLength: number,
  ): boolean {
    if (this.dict !== null) return this.dict.set(bytes, offset, length, value, valueOffset, valueLength);
    const { arena } = this;
    const found = this.find(bytes, offset, length);
    let used = this.packedBytes();
    const size = listpack.plan(value, valueOffset, valueLength);
    const added = found !== 0 ? size : size + listpack.plan(bytes, offset, length);
    this.pack = grow(arena, this.pack, used, used + added);
    const own = arena.bytesOf(this.pack);
    const base = arena.offsetOf(this.pack);
    if (found === 0) {
      listpack.append(own, base, bytes, offset, length);
      listpack.append(own, base, value, valueOffset, valueLength);
      return true;
    }
    const at = listpack.skip(own, base + found, 1);
    listpack.replace(own, base, at, value, valueOffset, valueLength);
    used = listpack.totalBytes(own, base);
    this.pack = shrink(arena, this.pack, used);
    return false;
  }

  /** @returns whether it was there. */
  delete(bytes: Uint8Array, offset: number, length: number): boolean {
    if (this.dict !== null) return this.dict.delete(bytes, offset, length);
    const found = this.find(bytes, offset, length);
    if (found === 0) return false;
    const own = this.arena.bytesOf(this.pack);
    const base = this.arena.offsetOf(this.pack);
    const at = base + found;
    listpack.removeRange(own, base, at, listpack.skip(own, at, 2), 2);
    this.pack = shrink(this.arena, this.pack, listpack.totalBytes(own, base));
    return true;
  }

  toTable(): void {
    if (this.dict !== null) return;
    const { arena } = this;
    const table = new Dict(arena);
    const own = arena.bytesOf(this.pack);
    const field = new Element();
    const value = new Element();
    for (let at = listpack.first(own, arena.offsetOf(this.pack)); at !== -1; at = listpack.next(own, at)) {
      listpack.read(own, at, field);
      at = listpack.next(own, at);
      listpack.read(own, at, value);
      table.set(field.bytes, field.offset, field.length, value.bytes, value.offset, value.length);
    }
    this.become(table);
  }

  // ---- handles (handles.ts) ----

  field(handle: number, element: Element): void {
    const table = this.dict;
    if (table !== null) element.set(table.bytesOf(handle), table.keyOffset(handle), table.keyLength(handle));
    else listpack.read(this.arena.bytesOf(this.pack), this.arena.offsetOf(this.pack) + handle, element);
  }

  value(handle: number, element: Element): void {
    const table = this.dict;
    if (table !== null) {
      element.set(table.bytesOf(handle), table.valueOffset(handle), table.valueLength(handle));
    } else {
      const own = this.arena.bytesOf(this.pack);
      listpack.read(own, listpack.skip(own, this.arena.offsetOf(this.pack) + handle, 1), element);
    }
  }

  /** Hands all fields, all values, or both in turns to a sink. */
  emit(fields: boolean, values: boolean, sink: ElementSink): void {
    if (this.dict === null) {
      const own = this.arena.bytesOf(this.pack);
      const base = this.arena.offsetOf(this.pack);
      if (fields && values) {
        listpack.emit(own, base + listpack.HEADER_BYTES, this.length * 2, sink);
        return;
      }
      let at = values ? listpack.seek(own, base, 1) : listpack.first(own, base);
      for (let rest = this.length; rest > 0; rest--) {
        listpack.emitOne(own, at, sink);
        if (rest > 1) at = listpack.skip(own, at, 2);
      }
      return;
    }
    const table = this.dict;
    for (let position = 0; position !== -1; ) {
      emitted.length = 0;
      position = walkDict(table, position, emitted);
      for (let i = 0; i < emitted.length; i++) {
        const ref = emitted.refs[i];
        const bytes = table.bytesOf(ref);
        if (fields) sink.bulk(bytes, table.keyOffset(ref), table.keyLength(ref));
        if (values) sink.bulk(bytes, table.valueOffset(ref), table.valueLength(ref));
      }
    }
  }

  /** @returns a handle, each as likely as any other; the hash must not be empty. */
  random(random: RandomInts): number {
    if (this.dict !== null) return this.dict.random(random);
    const own = this.arena.bytesOf(this.pack);
    const base = this.arena.offsetOf(this.pack);
    return listpack.seek(own, base, below(this.length, random) * 2) - base;
  }

  /** One step of a walk over all fields while nothing changes: start at 0, end at -1. */
  walk(position: number, out: EntryList): number {
    if (this.dict !== null) return walkDict(this.dict, position, out);
    const own = this.arena.bytesOf(this.pack);
    const base = this.arena.offsetOf(this.pack);
    let at = base + listpack.HEADER_BYTES;
    for (let rest = this.length; rest > 0; rest--) {
      out.push(at - base);
      at = listpack.skip(own, at, 2);
    }
    return -1;
  }

  /** Another hash with the same fields, for COPY. */
  clone(arena: Arena): Hash {
    const blob = new Element();
    if (this.packedBlob(blob)) return Hash.fromListpack(arena, blob.bytes, blob.offset, blob.length);
    const twin = new Hash(arena);
    twin.toTable();
    const table = this.dict as unknown as Dict;
    const target = twin.dict as unknown as Dict;
    const handles = new EntryList();
    for (let at = 0; at !== -1; ) at = walkDict(table, at, handles);
    for (let i = 0; i < handles.length; i++) {
      const ref = handles.refs[i];
      const length = table.valueLength(ref);
      const to = target.insert(table.bytesOf(ref), table.keyOffset(ref), table.keyLength(ref), length);
      copyBytes(target.bytesOf(to), target.valueOffset(to), table.bytesOf(ref), table.valueOffset(ref), length);
    }
    return twin;
  }
}

const emitted = new EntryList();
