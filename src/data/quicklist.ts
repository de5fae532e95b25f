// Redis's quicklist: a doubly linked list of listpacks, so that both ends are O(1) and memory is dense; an element at
// or beyond the packed threshold has a plain node of its own. A node is one arena block: 16 bytes of links, then the plain
// bytes, or a listpack that may have free bytes before it: what is pushed to or popped from the head moves nothing.
// For src/data/, DEBUG and the saving of lists.
import { SEGMENT_SHIFT as ARENA_SEGMENT_SHIFT, type Arena } from './arena.ts';
import { hasShrunk } from './blocks.ts';
import { copyBytes } from './bytes.ts';
import type { Element, ElementSink } from './element.ts';
import * as listpack from './listpack.ts';

/** What is before a node's payload, and before the free bytes of a listpack. */
const NODE_HEADER_BYTES = 16;
// words of the node header
const PREVIOUS = 0;
const NEXT = 1;
/** Of a plain node its length; of a listpack the free bytes before it, all bits inverted. */
const SHAPE = 2;
const STAMP = 3;
const PACKED = ~0;

const SEGMENT_SHIFT = ARENA_SEGMENT_SHIFT;

const SIZE_LIMITS = [4096, 8192, 16384, 32768, 65536];
const SIZE_SAFETY_LIMIT = 8192;
const SIZE_ESTIMATE_OVERHEAD = 8;
/** What Redis takes a header and an end for where it joins nodes: they were longer once. */
const JOIN_ESTIMATE_SAVED = 11;
const COUNT_LIMIT_MAX = 32767;
const PACKED_THRESHOLD_DEFAULT = 2 ** 30;

/** Elements of at least this many bytes get a plain node; DEBUG QUICKLIST-PACKED-THRESHOLD changes it. */
let packedThreshold = PACKED_THRESHOLD_DEFAULT;

/** @param bytes 0 restores the default. */
export function setPackedThreshold(bytes: number): void {
  packedThreshold = bytes === 0 ? PACKED_THRESHOLD_DEFAULT : bytes;
}

/** Sees a list's nodes before they change, for a copy of the list as it was. */
export interface ListWatcher {
  /** The node's elements are going to change. */
  beforeChange(node: number): void;
  /** The node, `from` until now, is this block now. */
  moved(from: number, to: number): void;
  /** The node is going, as it is; `next` follows it. @returns whether the watcher takes it over. */
  dropping(node: number, next: number): boolean;
  /** The owner gives the list up. It stays as it is, until the watcher, now its owner, releases it. */
  released(): void;
}

/** A place in a list. Moves with `next` and `previous`; any other change of the list ends its use. */
export class ListCursor {
  node = 0;
  /** Offset of the entry in the node's segment; of the payload in a plain node. */
  at = 0;
}

export class Quicklist {
  readonly arena: Arena;
  /** list-max-listpack-size: 1 and up is entries a node, -1 to -5 is 4 to 64 KiB a node. */
  readonly fill: number;
  head = 0;
  tail = 0;
  length = 0;
  nodes = 0;
  /** Who has to see the nodes before they change; null: nobody. */
  watcher: ListWatcher | null = null;
  /** What new nodes carry, for the watcher. */
  stamp = 0;
  #bytes = 0;
  /** Bytes that were left to the watcher. */
  #held = 0;

  constructor(arena: Arena, fill: number) {
    this.arena = arena;
    this.fill = fill;
  }

  /** Bytes of all nodes. */
  get nodeBytes(): number {
    return this.#bytes;
  }

  release(): void {
    while (!this.releaseSome(Number.POSITIVE_INFINITY));
  }

  /** Gives the memory of some nodes back. @returns whether that was all; nothing else may be called before. */
  releaseSome(nodes: number): boolean {
    if (this.watcher !== null) {
      if (this.#held === 0) this.arena.held += this.#held = this.#bytes;
      this.watcher.released();
      return true;
    }
    this.arena.held -= this.#held;
    this.#held = 0;
    for (let rest = nodes; rest > 0 && this.head !== 0; rest--) {
      const next = this.nextNode(this.head);
      this.arena.free(this.head);
      this.head = next;
    }
    if (this.head !== 0) return false;
    this.tail = 0;
    this.length = 0;
    this.nodes = 0;
    this.#bytes = 0;
    return true;
  }

  // ---- nodes, as RDB saves them ----

  nextNode(node: number): number {
    return this.#word(node, NEXT);
  }

  previousNode(node: number): number {
    return this.#word(node, PREVIOUS);
  }

  /** Of a new node: the list's at that time. */
  stampOf(node: number): number {
    return this.#word(node, STAMP);
  }

  setStamp(node: number, stamp: number): void {
    this.#setWord(node, STAMP, stamp);
  }

  isPlain(node: number): boolean {
    return this.#word(node, SHAPE) >= 0;
  }

  /** Elements in a node. */
  countOf(node: number): number {
    return this.isPlain(node) ? 1 : listpack.count(this.arena.bytesOf(node), this.payloadOf(node));
  }

  /** Offset of the listpack or the plain bytes in `arena.bytesOf(node)`. */
  payloadOf(node: number): number {
    const shape = this.#word(node, SHAPE);
    return this.arena.offsetOf(node) + NODE_HEADER_BYTES + (shape < 0 ? ~shape : 0);
  }

  payloadBytes(node: number): number {
    const shape = this.#word(node, SHAPE);
    return shape >= 0 ? shape : listpack.totalBytes(this.arena.bytesOf(node), this.payloadOf(node));
  }

  /** Appends a whole node: a listpack blob, or with `plain` one huge element. The bytes are copied. */
  appendNode(bytes: Uint8Array, offset: number, length: number, plain: boolean): void {
    const node = this.#newNode(length, plain ? length : PACKED, this.tail, 0);
    this.arena.bytesOf(node).set(bytes.subarray(offset, offset + length), this.payloadOf(node));
    this.length += this.countOf(node);
  }

  #word(node: number, index: number): number {
    return this.arena.words[node >> SEGMENT_SHIFT][(this.arena.offsetOf(node) >> 2) + index];
  }

  #setWord(node: number, index: number, value: number): void {
    this.arena.words[node >> SEGMENT_SHIFT][(this.arena.offsetOf(node) >> 2) + index] = value;
  }

  #newNode(payloadBytes: number, shape: number, previous: number, next: number): number {
    const node = this.arena.alloc(NODE_HEADER_BYTES + payloadBytes);
    this.#bytes += this.arena.capacityOf(node);
    this.nodes++;
    this.#setWord(node, PREVIOUS, previous);
    this.#setWord(node, NEXT, next);
    this.#setWord(node, SHAPE, shape);
    this.#setWord(node, STAMP, this.stamp);
    this.#linkNeighbours(node, previous, next);
    return node;
  }

  #newPacked(previous: number, next: number, room: number): number {
    const node = this.#newNode(listpack.EMPTY_BYTES + room, PACKED, previous, next);
    listpack.initialize(this.arena.bytesOf(node), this.payloadOf(node));
    return node;
  }

  #newPlain(bytes: Uint8Array, offset: number, length: number, previous: number, next: number): number {
    const node = this.#newNode(length, length, previous, next);
    copyBytes(this.arena.bytesOf(node), this.payloadOf(node), bytes, offset, length);
    return node;
  }

  #linkNeighbours(node: number, previous: number, next: number): void {
    if (previous === 0) this.head = node;
    else this.#setWord(previous, NEXT, node);
    if (next === 0) this.tail = node;
    else this.#setWord(next, PREVIOUS, node);
  }

  #dropNode(node: number): void {
    const previous = this.previousNode(node);
    const next = this.nextNode(node);
    const isTaken = this.watcher?.dropping(node, next) === true;
    if (previous === 0) this.head = next;
    else this.#setWord(previous, NEXT, next);
    if (next === 0) this.tail = previous;
    else this.#setWord(next, PREVIOUS, previous);
    this.#bytes -= this.arena.capacityOf(node);
    this.nodes--;
    if (!isTaken) this.arena.free(node);
  }

  /** Room for `extra` more bytes behind a listpack; the node, or what is in it, may move. */
  #growNode(node: number, extra: number): number {
    if (this.watcher !== null) this.watcher.beforeChange(node);
    const size = this.payloadBytes(node);
    const behind = this.arena.capacityOf(node) - NODE_HEADER_BYTES - size;
    if (~this.#word(node, SHAPE) + extra <= behind) return node;
    if (extra > behind) return this.#moveNode(node, size, extra, false);
    this.#shift(node, size, 0);
    return node;
  }

  /** Room for `extra` more bytes before a listpack, and all that there is. */
  #growFront(node: number, extra: number): number {
    if (this.watcher !== null) this.watcher.beforeChange(node);
    if (extra <= ~this.#word(node, SHAPE)) return node;
    const size = this.payloadBytes(node);
    const free = this.arena.capacityOf(node) - NODE_HEADER_BYTES - size;
    if (extra > free) return this.#moveNode(node, size, extra, true);
    this.#shift(node, size, free);
    return node;
  }

  /** Moves a listpack within its node. @param gap free bytes before it. */
  #shift(node: number, size: number, gap: number): void {
    const from = this.payloadOf(node);
    this.#setWord(node, SHAPE, ~gap);
    this.arena.bytesOf(node).copyWithin(this.payloadOf(node), from, from + size);
  }

  #shrinkNode(node: number): number {
    const size = this.payloadBytes(node);
    if (!hasShrunk(this.arena, node, NODE_HEADER_BYTES + size)) return node;
    return this.#moveNode(node, size, 0, false);
  }

  /** Gives a listpack another block. @param atFront whether the room for `extra` bytes, and what the block has beyond, is before it. */
  #moveNode(from: number, size: number, extra: number, atFront: boolean): number {
    const { arena } = this;
    const to = arena.alloc(NODE_HEADER_BYTES + size + extra);
    const capacity = arena.capacityOf(to);
    const previous = this.previousNode(from);
    const next = this.nextNode(from);
    this.#setWord(to, PREVIOUS, previous);
    this.#setWord(to, NEXT, next);
    this.#setWord(to, SHAPE, atFront ? ~(capacity - NODE_HEADER_BYTES - size) : PACKED);
    this.#setWord(to, STAMP, this.stampOf(from));
    copyBytes(arena.bytesOf(to), this.payloadOf(to), arena.bytesOf(from), this.payloadOf(from), size);
    this.#bytes += capacity - arena.capacityOf(from);
    arena.free(from);
    this.#linkNeighbours(to, previous, next);
    if (this.watcher !== null) this.watcher.moved(from, to);
    return to;
  }

  /** Takes the first entries of a listpack away: `bytes` of them. */
  #cutFront(node: number, bytes: number, entries: number): void {
    listpack.cutFront(this.arena.bytesOf(node), this.payloadOf(node), bytes, entries);
    this.#setWord(node, SHAPE, this.#word(node, SHAPE) - bytes);
  }

  // ---- limits ----

  #withinLimit(bytes: number, entries: number): boolean {
    const { fill } = this;
    if (fill < 0) return bytes <= SIZE_LIMITS[Math.min(-fill, SIZE_LIMITS.length) - 1];
    return bytes <= SIZE_SAFETY_LIMIT && entries <= Math.min(Math.max(fill, 1), COUNT_LIMIT_MAX);
  }

  #takes(node: number, length: number): boolean {
    if (node === 0 || this.isPlain(node)) return false;
    const bytes = this.arena.bytesOf(node);
    const base = this.payloadOf(node);
    const size = listpack.totalBytes(bytes, base) + length + SIZE_ESTIMATE_OVERHEAD;
    return this.#withinLimit(size, listpack.count(bytes, base) + 1);
  }

  // ---- both ends ----

  /** The element must not lie in the arena's memory: blocks move. */
  pushHead(bytes: Uint8Array, offset: number, length: number): void {
    this.length++;
    if (length >= packedThreshold) {
      this.#newPlain(bytes, offset, length, 0, this.head);
      return;
    }
    const size = listpack.plan(bytes, offset, length);
    const head = this.#takes(this.head, length) ? this.head : this.#newPacked(0, this.head, size);
    const node = this.#growFront(head, size);
    this.#setWord(node, SHAPE, this.#word(node, SHAPE) + size);
    listpack.prependPlanned(this.arena.bytesOf(node), this.payloadOf(node), size, bytes, offset, length);
  }

  pushTail(bytes: Uint8Array, offset: number, length: number): void {
    this.length++;
    if (length >= packedThreshold) {
      this.#newPlain(bytes, offset, length, this.tail, 0);
      return;
    }
    const size = listpack.plan(bytes, offset, length);
    const node = this.#takes(this.tail, length) ? this.#growNode(this.tail, size) : this.#newPacked(this.tail, 0, size);
    listpack.appendPlanned(this.arena.bytesOf(node), this.payloadOf(node), size, bytes, offset, length);
  }

  /** @returns false when the list is empty. */
  seekHead(cursor: ListCursor): boolean {
    cursor.node = this.head;
    if (this.head === 0) return false;
    cursor.at = this.#firstOf(this.head);
    return true;
  }

  seekTail(cursor: ListCursor): boolean {
    cursor.node = this.tail;
    if (this.tail === 0) return false;
    cursor.at = this.#lastOf(this.tail);
    return true;
  }

  #firstOf(node: number): number {
    const base = this.payloadOf(node);
    return this.isPlain(node) ? base : base + listpack.HEADER_BYTES;
  }

  #lastOf(node: number): number {
    const base = this.payloadOf(node);
    return this.isPlain(node) ? base : listpack.last(this.arena.bytesOf(node), base);
  }

  // ---- cursors ----

  /** @param index from the head, or from the tail when negative. @returns false when out of range. */
  seek(index: number, cursor: ListCursor): boolean {
    let rest = index < 0 ? index + this.length : index;
    if (rest < 0 || rest >= this.length) return false;
    let node: number;
    if (rest <= this.length >> 1) {
      node = this.head;
      for (let entries = this.countOf(node); rest >= entries; entries = this.countOf(node)) {
        rest -= entries;
        node = this.nextNode(node);
      }
    } else {
      node = this.tail;
      let behind = this.length - 1 - rest;
      let entries = this.countOf(node);
      for (; behind >= entries; entries = this.countOf(node)) {
        behind -= entries;
        node = this.previousNode(node);
      }
      rest = entries - 1 - behind;
    }
    cursor.node = node;
    const base = this.payloadOf(node);
    cursor.at = this.isPlain(node) ? base : listpack.seek(this.arena.bytesOf(node), base, rest);
    return true;
  }

  next(cursor: ListCursor): boolean {
    const { node } = cursor;
    if (!this.isPlain(node)) {
      const at = listpack.next(this.arena.bytesOf(node), cursor.at);
      if (at !== -1) {
        cursor.at = at;
        return true;
      }
    }
    return this.#enter(cursor, this.nextNode(node), true);
  }

  previous(cursor: ListCursor): boolean {
    const { node } = cursor;
    if (!this.isPlain(node)) {
      const at = listpack.prev(this.arena.bytesOf(node), this.payloadOf(node), cursor.at);
      if (at !== -1) {
        cursor.at = at;
        return true;
      }
    }
    return this.#enter(cursor, this.previousNode(node), false);
  }

  #enter(cursor: ListCursor, node: number, atStart: boolean): boolean {
    cursor.node = node;
    if (node === 0) return false;
    cursor.at = atStart ? this.#firstOf(node) : this.#lastOf(node);
    return true;
  }

  read(cursor: ListCursor, element: Element): void {
    const bytes = this.arena.bytesOf(cursor.node);
    if (this.isPlain(cursor.node)) element.set(bytes, cursor.at, this.payloadBytes(cursor.node));
    else listpack.read(bytes, cursor.at, element);
  }

  equals(cursor: ListCursor, bytes: Uint8Array, offset: number, length: number): boolean {
    const own = this.arena.bytesOf(cursor.node);
    if (!this.isPlain(cursor.node)) return listpack.equals(own, cursor.at, bytes, offset, length);
    if (this.payloadBytes(cursor.node) !== length) return false;
    for (let i = 0; i < length; i++) if (own[cursor.at + i] !== bytes[offset + i]) return false;
    return true;
  }

  /** Hands `count` elements from index `start` on to a sink; the range must exist. */
  emit(start: number, count: number, sink: ElementSink): void {
    const cursor = emitCursor;
    if (count <= 0 || !this.seek(start, cursor)) return;
    let rest = count;
    let { node, at } = cursor;
    for (;;) {
      const bytes = this.arena.bytesOf(node);
      if (this.isPlain(node)) {
        sink.bulk(bytes, at, this.payloadBytes(node));
        rest--;
      } else {
        rest -= listpack.emit(bytes, at, rest, sink);
      }
      if (rest === 0) return;
      node = this.nextNode(node);
      at = this.#firstOf(node);
    }
  }

  /** The same towards the head. */
  emitBackwards(start: number, count: number, sink: ElementSink): void {
    const cursor = emitCursor;
    if (count <= 0 || !this.seek(start, cursor)) return;
    for (let rest = count; rest > 0; rest--) {
      const bytes = this.arena.bytesOf(cursor.node);
      if (this.isPlain(cursor.node)) sink.bulk(bytes, cursor.at, this.payloadBytes(cursor.node));
      else listpack.emitOne(bytes, cursor.at, sink);
      this.previous(cursor);
    }
  }

  // ---- changes at a cursor ----

  /** Deletes the element; the cursor then stands on the one behind it. @returns false when there is none. */
  remove(cursor: ListCursor): boolean {
    const { node } = cursor;
    this.length--;
    if (this.countOf(node) === 1) {
      const next = this.nextNode(node);
      this.#dropNode(node);
      return this.#enter(cursor, next, true);
    }
    if (this.watcher !== null) this.watcher.beforeChange(node);
    const bytes = this.arena.bytesOf(node);
    const base = this.payloadOf(node);
    const distance = cursor.at - base;
    if (distance === listpack.HEADER_BYTES) this.#cutFront(node, listpack.entryBytes(bytes, cursor.at), 1);
    else listpack.remove(bytes, base, cursor.at);
    const moved = this.#shrinkNode(node);
    cursor.node = moved;
    cursor.at = this.payloadOf(moved) + distance;
    if (cursor.at !== listpack.end(this.arena.bytesOf(moved), this.payloadOf(moved))) return true;
    return this.#enter(cursor, this.nextNode(moved), true);
  }

  /** Deletes the element; the cursor then stands on the one before it. @returns false when there is none. */
  removeBackwards(cursor: ListCursor): boolean {
    const { node } = cursor;
    if (cursor.at === this.#firstOf(node)) {
      const previous = this.previousNode(node);
      this.remove(cursor);
      return this.#enter(cursor, previous, false);
    }
    if (this.watcher !== null) this.watcher.beforeChange(node);
    const bytes = this.arena.bytesOf(node);
    const base = this.payloadOf(node);
    const before = listpack.prev(bytes, base, cursor.at) - base;
    this.length--;
    listpack.remove(bytes, base, cursor.at);
    const moved = this.#shrinkNode(node);
    cursor.node = moved;
    cursor.at = this.payloadOf(moved) + before;
    return true;
  }

  replace(cursor: ListCursor, bytes: Uint8Array, offset: number, length: number): void {
    const { node } = cursor;
    const size = listpack.plan(bytes, offset, length);
    // The fill does not bound what takes an element's place: an order and a payload that Redis has, too.
    if (this.isPlain(node) || length >= packedThreshold) {
      this.insert(cursor, true, bytes, offset, length);
      // the cursor still stands on the old element
      this.remove(cursor);
      return;
    }
    const distance = cursor.at - this.payloadOf(node);
    const moved = this.#growNode(node, size);
    const base = this.payloadOf(moved);
    listpack.replace(this.arena.bytesOf(moved), base, base + distance, bytes, offset, length);
    cursor.node = this.#shrinkNode(moved);
    cursor.at = this.payloadOf(cursor.node) + distance;
  }

  /** Inserts before or behind the element at the cursor, which goes on standing on that element. */
  insert(cursor: ListCursor, before: boolean, bytes: Uint8Array, offset: number, length: number): void {
    const { node } = cursor;
    this.length++;
    const plain = this.isPlain(node);
    const base = this.payloadOf(node);
    const own = this.arena.bytesOf(node);
    const distance = cursor.at - base;
    const entry = plain ? 0 : listpack.entryBytes(own, cursor.at);
    const place = before ? cursor.at : cursor.at + entry;
    const atStart = plain ? before : place === base + listpack.HEADER_BYTES;
    const atEnd = plain ? !before : place === listpack.end(own, base);
    const packs = length < packedThreshold;
    const size = listpack.plan(bytes, offset, length);

    if (packs && this.#takes(node, length)) {
      const moved = this.#growNode(node, size);
      const to = this.payloadOf(moved);
      listpack.insert(this.arena.bytesOf(moved), to, to + place - base, bytes, offset, length);
      cursor.node = moved;
      cursor.at = to + distance + (before ? size : 0);
    } else if (atStart || atEnd) {
      const neighbour = atStart ? this.previousNode(node) : this.nextNode(node);
      if (packs && this.#takes(neighbour, length)) {
        const moved = this.#growNode(neighbour, size);
        const to = this.payloadOf(moved);
        const target = atStart ? listpack.end(this.arena.bytesOf(moved), to) : to + listpack.HEADER_BYTES;
        listpack.insert(this.arena.bytesOf(moved), to, target, bytes, offset, length);
      } else if (atStart) {
        this.#insertNode(neighbour, node, bytes, offset, length);
      } else {
        this.#insertNode(node, neighbour, bytes, offset, length);
      }
    } else {
      this.#insertInSplit(cursor, place, before, bytes, offset, length);
    }
  }

  #insertNode(previous: number, next: number, bytes: Uint8Array, offset: number, length: number): void {
    if (length >= packedThreshold) {
      this.#newPlain(bytes, offset, length, previous, next);
      return;
    }
    const node = this.#newPacked(previous, next, listpack.plan(bytes, offset, length));
    listpack.append(this.arena.bytesOf(node), this.payloadOf(node), bytes, offset, length);
  }

  /** Cuts a full node in two before `place`, puts the element between, and joins what fits together again. */
  #insertInSplit(
    cursor: ListCursor,
    place: number,
    before: boolean,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): void {
    const { node } = cursor;
    if (this.watcher !== null) this.watcher.beforeChange(node);
    const base = this.payloadOf(node);
    const own = this.arena.bytesOf(node);
    const stop = listpack.end(own, base);
    let entriesBefore = 0;
    for (let at = base + listpack.HEADER_BYTES; at !== place; at += listpack.entryBytes(own, at)) entriesBefore++;
    const entriesBehind = listpack.count(own, base) - entriesBefore;

    let second = this.#newPacked(node, this.nextNode(node), stop - place);
    const secondBase = this.payloadOf(second);
    listpack.appendRange(this.arena.bytesOf(second), secondBase, own, place, stop, entriesBehind);
    listpack.removeRange(own, base, place, stop, entriesBehind);
    let first = this.#shrinkNode(node);
    if (before) {
      cursor.node = second;
      cursor.at = secondBase + listpack.HEADER_BYTES;
    } else {
      cursor.node = first;
      cursor.at = listpack.last(this.arena.bytesOf(first), this.payloadOf(first));
    }
    if (length >= packedThreshold) {
      this.#newPlain(bytes, offset, length, first, second);
      return;
    }
    // The half that the cursor is not in takes it, whatever it holds already.
    const size = listpack.plan(bytes, offset, length);
    if (before) {
      first = this.#growNode(first, size);
      listpack.append(this.arena.bytesOf(first), this.payloadOf(first), bytes, offset, length);
    } else {
      second = this.#growNode(second, size);
      const to = this.payloadOf(second);
      listpack.insert(this.arena.bytesOf(second), to, to + listpack.HEADER_BYTES, bytes, offset, length);
    }
    this.#joinAround(cursor, before ? second : first);
  }

  /** Joins what fits together of a node, two before it and two behind it, in Redis's order. */
  #joinAround(cursor: ListCursor, center: number): void {
    const next = this.nextNode(center);
    const previous = this.previousNode(center);
    if (previous !== 0) this.#join(cursor, this.previousNode(previous), previous);
    if (next !== 0) this.#join(cursor, next, this.nextNode(next));
    const { nodes } = this;
    const joined = this.#join(cursor, this.previousNode(center), center);
    const target = this.nodes < nodes ? joined : center;
    this.#join(cursor, target, this.nextNode(target));
  }

  /** Moves `second`'s entries behind `first`'s when one node may hold both. @returns the node that is left, or `first`. */
  #join(cursor: ListCursor, first: number, second: number): number {
    if (first === 0 || second === 0 || this.isPlain(first) || this.isPlain(second)) return first;
    const added = this.payloadBytes(second) - listpack.EMPTY_BYTES;
    const entries = this.countOf(second);
    const estimate = this.payloadBytes(first) + this.payloadBytes(second) - JOIN_ESTIMATE_SAVED;
    if (!this.#withinLimit(estimate, this.countOf(first) + entries)) return first;
    const firstDistance = cursor.at - this.payloadOf(first);
    const joined = this.#growNode(first, added);
    const base = this.payloadOf(joined);
    const end = listpack.end(this.arena.bytesOf(joined), base);
    const from = this.payloadOf(second) + listpack.HEADER_BYTES;
    listpack.appendRange(this.arena.bytesOf(joined), base, this.arena.bytesOf(second), from, from + added, entries);
    if (cursor.node === second) {
      cursor.at = end + cursor.at - from;
      cursor.node = joined;
    } else if (cursor.node === first) {
      cursor.at = base + firstDistance;
      cursor.node = joined;
    }
    this.#dropNode(second);
    return joined;
  }

  /** Deletes `count` elements from index `start` on; the range must exist. */
  removeRange(start: number, count: number): void {
    const cursor = emitCursor;
    if (count <= 0 || !this.seek(start, cursor)) return;
    this.length -= count;
    let rest = count;
    let { node, at } = cursor;
    while (rest > 0) {
      const next = this.nextNode(node);
      const whole = at === this.#firstOf(node);
      const entries = this.countOf(node);
      if (whole && entries <= rest) {
        rest -= entries;
        this.#dropNode(node);
      } else {
        if (this.watcher !== null) this.watcher.beforeChange(node);
        const bytes = this.arena.bytesOf(node);
        const base = this.payloadOf(node);
        let removed = 0;
        let to = at;
        for (const stop = listpack.end(bytes, base); removed < rest && to !== stop; removed++) {
          to += listpack.entryBytes(bytes, to);
        }
        if (whole) this.#cutFront(node, to - at, removed);
        else listpack.removeRange(bytes, base, at, to, removed);
        this.#shrinkNode(node);
        rest -= removed;
      }
      node = next;
      if (node !== 0) at = this.#firstOf(node);
    }
  }
}

const emitCursor = new ListCursor();
