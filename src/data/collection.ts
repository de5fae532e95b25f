// What the keyspace knows of a value that is not a string: lists, sets, sorted sets, hashes and streams implement
// this. The keyspace holds them by index, beside the key.
import type { Arena } from './arena.ts';

export interface Collection {
  /** TYPE_* of value-type.ts. */
  readonly type: number;
  /** Elements, members, fields or entries. A collection whose length is 0 does not stay in the keyspace. */
  readonly length: number;
  /** Blocks of memory that hold the elements, where those are much fewer. */
  readonly blocks?: number;
  /** Name as OBJECT ENCODING prints it. */
  encoding(): string;
  /** Bytes held, on and off the heap. */
  memoryBytes(): number;
  /** Another value with the same elements, for COPY. */
  clone(arena: Arena): Collection;
  /** Gives off-heap memory back; the collection is not used afterwards. */
  release(): void;
  /** As `release`, in steps of about so many elements. @returns whether it is done. Absent: it is quick in any case. */
  releaseSome?(elements: number): boolean;
}
