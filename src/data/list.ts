// A list value: the quicklist with what the list commands ask of it. Anyone in src/ may import it.
import type { Arena } from './arena.ts';
import type { Collection } from './collection.ts';
import type { Element } from './element.ts';
import { ListCursor, Quicklist } from './quicklist.ts';
import { TYPE_LIST } from './value-type.ts';

export { ListCursor } from './quicklist.ts';

/** What the JS object itself costs, roughly; its elements are counted exactly. */
const OBJECT_BYTES = 96;

export class List extends Quicklist implements Collection {
  readonly type = TYPE_LIST;

  /** Redis 7.0 has one encoding for lists of any size. */
  encoding(): string {
    return 'quicklist';
  }

  get blocks(): number {
    return this.nodes;
  }

  memoryBytes(): number {
    return OBJECT_BYTES + this.nodeBytes;
  }

  /** Points `element` at the first or last one. @returns false when the list is empty. */
  peek(atHead: boolean, element: Element): boolean {
    const found = atHead ? this.seekHead(own) : this.seekTail(own);
    if (found) this.read(own, element);
    return found;
  }

  /** Deletes the first or last element of a list that has one. */
  drop(atHead: boolean): void {
    if (atHead ? this.seekHead(own) : this.seekTail(own)) this.remove(own);
  }

  push(atHead: boolean, bytes: Uint8Array, offset: number, length: number): void {
    if (atHead) this.pushHead(bytes, offset, length);
    else this.pushTail(bytes, offset, length);
  }

  /** @returns false when the index is out of range. */
  get(index: number, element: Element): boolean {
    if (!this.seek(index, own)) return false;
    this.read(own, element);
    return true;
  }

  /** @returns false when the index is out of range. */
  set(index: number, bytes: Uint8Array, offset: number, length: number): boolean {
    if (!this.seek(index, own)) return false;
    this.replace(own, bytes, offset, length);
    return true;
  }

  /** Inserts before or behind the first element that equals the pivot. @returns false when there is none. */
  insertBeside(
    before: boolean,
    bytes: Uint8Array,
    pivot: number,
    pivotLength: number,
    at: number,
    length: number,
  ): boolean {
    for (let found = this.seekHead(own); found; found = this.next(own)) {
      if (!this.equals(own, bytes, pivot, pivotLength)) continue;
      this.insert(own, before, bytes, at, length);
      return true;
    }
    return false;
  }

  /** Deletes up to `limit` (0: all) elements that equal this one. @returns how many. */
  removeEqual(fromHead: boolean, limit: number, bytes: Uint8Array, offset: number, length: number): number {
    let removed = 0;
    let found = fromHead ? this.seekHead(own) : this.seekTail(own);
    while (found) {
      if (this.equals(own, bytes, offset, length)) {
        found = fromHead ? this.remove(own) : this.removeBackwards(own);
        if (++removed === limit) break;
      } else {
        found = fromHead ? this.next(own) : this.previous(own);
      }
    }
    return removed;
  }

  /** Another list with the same elements in it, for COPY. */
  clone(arena: Arena): List {
    const twin = new List(arena, this.fill);
    for (let node = this.head; node !== 0; node = this.nextNode(node)) {
      twin.appendNode(this.arena.bytesOf(node), this.payloadOf(node), this.payloadBytes(node), this.isPlain(node));
    }
    return twin;
  }
}

const own = new ListCursor();
