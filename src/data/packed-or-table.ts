// What hashes, sets and sorted sets share: elements lie packed in one block of the arena while they are few and small, in a
// table afterwards; there is no way back but toListpack's of a sorted set. Only hash.ts, set.ts and sorted-set.ts import it.
import type { Arena } from './arena.ts';
import type { Collection } from './collection.ts';
import { type Dict, EntryList } from './dict.ts';
import type { Element } from './element.ts';
import { type RandomInts, sampleDict, takeSample } from './handles.ts';
import * as listpack from './listpack.ts';

const OBJECT_BYTES = 64;

export abstract class PackedOrTable implements Collection {
  abstract readonly type: number;
  readonly arena: Arena;
  /** Block of the packed elements; 0 once there is a table. */
  protected pack: number;
  protected dict: Dict | null = null;

  /** @param pack a block of packed elements, which is ours from now on. */
  constructor(arena: Arena, pack: number) {
    this.arena = arena;
    this.pack = pack;
  }

  abstract get length(): number;

  get isPacked(): boolean {
    return this.dict === null;
  }

  /** The table, once there is one. */
  get table(): Dict | null {
    return this.dict;
  }

  abstract encoding(): string;

  abstract clone(arena: Arena): PackedOrTable;

  memoryBytes(): number {
    return OBJECT_BYTES + (this.dict === null ? this.arena.capacityOf(this.pack) : this.dict.memory);
  }

  /** The table has everything that was packed. */
  protected become(table: Dict): void {
    this.arena.free(this.pack);
    this.pack = 0;
    this.dict = table;
  }

  release(): void {
    while (!this.releaseSome(Number.POSITIVE_INFINITY));
  }

  releaseSome(elements: number): boolean {
    if (this.dict !== null) return this.dict.releaseSome(elements);
    this.arena.free(this.pack);
    this.pack = 0;
    return true;
  }

  /** Bytes of the packed elements. */
  protected abstract packedBytes(): number;

  /** Points `blob` at the packed elements as they lie there. @returns false when there is a table instead. */
  packedBlob(blob: Element): boolean {
    if (this.dict !== null) return false;
    blob.set(this.arena.bytesOf(this.pack), this.arena.offsetOf(this.pack), this.packedBytes());
    return true;
  }

  // ---- handles of elements, in no order (handles.ts) ----

  /** One step of a walk over all of them while nothing changes: start at 0, end at -1. */
  abstract walk(position: number, out: EntryList): number;

  /** Appends `count` different ones, count <= length. */
  sample(count: number, random: RandomInts, out: EntryList): void {
    if (this.dict !== null) {
      sampleDict(this.dict, count, random, out);
      return;
    }
    const all = new EntryList();
    this.walk(0, all);
    takeSample(all, count, random, out);
  }

  /** One step of HSCAN, SSCAN or ZSCAN: start at 0, end at 0. */
  scan(cursor: number, out: EntryList): number {
    if (this.dict !== null) return this.dict.scan(cursor, out);
    this.walk(0, out);
    return 0;
  }
}

/** @returns the block it lies in. */
export function emptyListpack(arena: Arena): number {
  const block = arena.alloc(listpack.EMPTY_BYTES);
  listpack.initialize(arena.bytesOf(block), arena.offsetOf(block));
  return block;
}
