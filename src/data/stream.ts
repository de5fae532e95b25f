// A stream: entries in listpack nodes (stream-node.ts) that a tree finds by their master id, and consumer groups. The
// counters that tell a group's lag are Redis 7.0's: entries ever added, the greatest id ever deleted, the first id there
// is. Anyone in src/ may import it.
import type { Arena } from './arena.ts';
import { giveBack, grow, store } from './blocks.ts';
import type { Collection } from './collection.ts';
import { ConsumerGroup } from './consumer-group.ts';
import { Counter64 } from './counter64.ts';
import type { ElementSink } from './element.ts';
import { IdCursor, IdTree } from './id-tree.ts';
import * as listpack from './listpack.ts';
import { NameTable } from './name-table.ts';
import { RadixCounter } from './radix-counter.ts';
import { StreamId } from './stream-id.ts';
import type { FieldWords } from './stream-node.ts';
import * as node from './stream-node.ts';
import { TYPE_STREAM } from './value-type.ts';

export type { FieldWords } from './stream-node.ts';

const OBJECT_BYTES = 256;
/** Word of a node in the tree: its block. */
const BLOCK = 0;
/** With it: the block belongs to the frozen twin as well, if there is one. */
const MARKED = 1 << 31;
/** No node grows beyond, whatever the settings say. */
const NODE_BYTES_MAX = 2 ** 30;
/** Room that a node which entries are added to gets at most beyond what it needs. */
const ROOM_MAX = 4096;

/** What a stream keeps at most when it is trimmed. */
export interface TrimLimit {
  /** Entries to leave; -1: those from `minId` on. */
  readonly maxLength: number;
  readonly minId: StreamId;
  /** Only whole nodes go. */
  readonly approximate: boolean;
  /** Entries to delete at most, 0: no limit. */
  readonly limit: number;
}

export class Stream implements Collection {
  readonly type = TYPE_STREAM;
  readonly arena: Arena;
  readonly nodes: IdTree;
  length = 0;
  /** The first entry's id; 0-0 when there is none. */
  readonly firstId = new StreamId();
  /** The greatest id ever used. */
  readonly lastId = new StreamId();
  readonly maxDeletedId = new StreamId();
  readonly entriesAdded = new Counter64();
  readonly groups = new NameTable<ConsumerGroup>();
  #nodeBytes = 0;
  /** Stays as this stream was; shares the blocks that are marked. */
  #frozen: Stream | null = null;
  /** Of a frozen stream: whose twin it is, and blocks that are its own by now. */
  #original: Stream | null = null;
  readonly #left: number[] = [];

  constructor(arena: Arena, nodes = new IdTree(arena, 1)) {
    this.arena = arena;
    this.nodes = nodes;
  }

  /**
   * A stream that stays as this one is now, to be read and released; at most one at a time. Both share the memory of what
   * has not changed since.
   */
  freeze(): Stream {
    const { nodes } = this;
    for (let more = nodes.seekFirst(cursor); more; more = nodes.next(cursor)) {
      nodes.setWord(cursor, BLOCK, nodes.word(cursor, BLOCK) | MARKED);
    }
    const twin = new Stream(this.arena, nodes.freeze());
    twin.length = this.length;
    twin.firstId.copy(this.firstId);
    twin.lastId.copy(this.lastId);
    twin.maxDeletedId.copy(this.maxDeletedId);
    twin.entriesAdded.copy(this.entriesAdded);
    for (const group of this.groups.items) twin.groups.add(group.freeze());
    twin.#original = this;
    this.#frozen = twin;
    return twin;
  }

  /** A block that was shared is the frozen stream's alone from now on. */
  #leave(block: number): void {
    this.arena.held += this.arena.capacityOf(block);
    this.#left.push(block);
  }

  /** The block of a node, which is not shared afterwards. */
  #ownBlock(at: IdCursor): number {
    const { arena } = this;
    const word = this.nodes.word(at, BLOCK);
    const block = word & ~MARKED;
    if (word >= 0 || this.#frozen === null) return block;
    const bytes = arena.bytesOf(block);
    const base = arena.offsetOf(block);
    const copy = store(arena, bytes, base, listpack.totalBytes(bytes, base));
    this.#nodeBytes += arena.capacityOf(copy) - arena.capacityOf(block);
    this.nodes.setWord(at, BLOCK, copy);
    this.#frozen.#leave(block);
    return copy;
  }

  encoding(): string {
    return 'stream';
  }

  memoryBytes(): number {
    let bytes = OBJECT_BYTES + this.nodes.memory + this.#nodeBytes;
    for (const group of this.groups.items) bytes += group.memory;
    return bytes;
  }

  /** Nodes from the front, then groups one by one. @returns whether everything is given back. */
  releaseSome(elements: number): boolean {
    const { nodes, groups } = this;
    if (this.#original !== null) {
      this.release();
      return true;
    }
    for (let left = elements; nodes.size > 0; left--) {
      if (left === 0) return false;
      nodes.seekFirst(cursor);
      this.#freeNode(cursor);
      nodes.remove(cursor);
    }
    const [group] = groups.items;
    if (group !== undefined) {
      this.removeGroup(group);
      return false;
    }
    nodes.release();
    return true;
  }

  release(): void {
    if (this.#original !== null) {
      for (const block of this.#left) {
        this.arena.held -= this.arena.capacityOf(block);
        this.arena.free(block);
      }
      this.#original.#frozen = null;
    } else {
      for (let more = this.nodes.seekFirst(cursor); more; more = this.nodes.next(cursor)) this.#freeNode(cursor);
    }
    this.nodes.release();
    for (const group of this.groups.items) group.release();
  }

  #freeNode(at: IdCursor): void {
    const word = this.nodes.word(at, BLOCK);
    const block = word & ~MARKED;
    this.#nodeBytes -= this.arena.capacityOf(block);
    if (word < 0 && this.#frozen !== null) this.#frozen.#leave(block);
    else this.arena.free(block);
  }

  #replaceBlock(at: IdCursor, old: number, block: number, oldCapacity: number): void {
    if (block === old) return;
    this.#nodeBytes += this.arena.capacityOf(block) - oldCapacity;
    this.nodes.setWord(at, BLOCK, block);
  }

  /** Makes room in a node behind its end. @returns its block. */
  #growNode(at: IdCursor, block: number, used: number, needed: number): number {
    const capacity = this.arena.capacityOf(block);
    const grown = grow(this.arena, block, used, needed);
    this.#replaceBlock(at, block, grown, capacity);
    return grown;
  }

  // ---- adding ----

  /**
   * Adds an entry; its id must be greater than `lastId`. Word `first` is the first field's name. The words must not lie in
   * the arena.
   * @param nodeBytesMax stream-node-max-bytes, 0: no limit. @param nodeEntriesMax stream-node-max-entries, 0: no limit.
   */
  append(
    id: StreamId,
    words: FieldWords,
    first: number,
    fields: number,
    nodeBytesMax: number,
    nodeEntriesMax: number,
  ): void {
    const added = textBytes(words, first, fields * 2);
    if (this.nodes.seekLast(cursor) && !this.#isFull(cursor, added, nodeBytesMax, nodeEntriesMax)) {
      this.#appendTo(cursor, id, words, first, fields, nodeBytesMax);
    } else {
      this.#appendNode(id, words, first, fields);
    }
    this.length++;
    this.entriesAdded.increment();
    this.lastId.copy(id);
    if (this.length === 1) this.firstId.copy(id);
  }

  /** Whether another node has to be begun; the full one gives its spare room back. */
  #isFull(at: IdCursor, added: number, nodeBytesMax: number, nodeEntriesMax: number): boolean {
    const { arena } = this;
    const block = this.nodeBlock(at);
    const bytes = arena.bytesOf(block);
    const base = arena.offsetOf(block);
    const used = listpack.totalBytes(bytes, base);
    const bytesMax = nodeBytesMax === 0 ? NODE_BYTES_MAX : Math.min(nodeBytesMax, NODE_BYTES_MAX);
    const full = used + added >= bytesMax || (nodeEntriesMax !== 0 && node.entryCount(bytes, base) >= nodeEntriesMax);
    if (full && this.#frozen === null) {
      const capacity = arena.capacityOf(block);
      this.#replaceBlock(at, block, giveBack(arena, block, used), capacity);
    }
    return full;
  }

  #appendNode(id: StreamId, words: FieldWords, first: number, fields: number): void {
    const { arena } = this;
    const block = arena.alloc(node.firstEntryBytes(words, first, fields));
    const bytes = arena.bytesOf(block);
    const base = arena.offsetOf(block);
    node.initialize(bytes, base, words, first, fields);
    node.append(bytes, base, id, id, words, first, fields, true);
    this.nodes.insert(id, cursor);
    this.nodes.setWord(cursor, BLOCK, block);
    this.#nodeBytes += arena.capacityOf(block);
  }

  #appendTo(at: IdCursor, id: StreamId, words: FieldWords, first: number, fields: number, nodeBytesMax: number): void {
    const { arena } = this;
    this.nodes.readId(at, master);
    let block = this.#ownBlock(at);
    let bytes = arena.bytesOf(block);
    let base = arena.offsetOf(block);
    const same = node.hasFields(bytes, base, words, first, fields);
    const used = listpack.totalBytes(bytes, base);
    const needed = used + node.COUNT_GROWTH_BYTES + node.entryBytes(words, first, fields, same, master, id);
    if (needed > arena.capacityOf(block)) {
      const room = Math.min(needed >> 1, ROOM_MAX, Math.max(0, nodeBytesMax - needed));
      block = this.#growNode(at, block, used, needed + room);
      bytes = arena.bytesOf(block);
      base = arena.offsetOf(block);
    }
    node.countAdded(bytes, base);
    node.append(bytes, base, master, id, words, first, fields, same);
  }

  /** Adds a node as RDB carries it, which was found valid; copied. @returns false when its id is there. */
  addNode(id: StreamId, bytes: Uint8Array, offset: number, length: number): boolean {
    if (!this.nodes.insert(id, cursor)) return false;
    const block = store(this.arena, bytes, offset, length);
    this.nodes.setWord(cursor, BLOCK, block);
    this.#nodeBytes += this.arena.capacityOf(block);
    this.length += node.liveCount(bytes, offset);
    return true;
  }

  // ---- nodes: a cursor in `nodes` ----

  nodeBlock(at: IdCursor): number {
    return this.nodes.word(at, BLOCK) & ~MARKED;
  }

  /** Nodes of the radix tree that Redis would keep for these keys: XINFO tells it. */
  radixNodes(): number {
    const { nodes } = this;
    if (nodes.size === 0) return 1;
    const counter = new RadixCounter();
    for (let more = nodes.seekFirst(cursor); more; more = nodes.next(cursor)) {
      nodes.readId(cursor, master);
      counter.add(master);
    }
    return counter.finish();
  }

  // ---- deleting ----

  /** @returns whether the entry was there. `maxDeletedId` and `firstId` are for `entriesDeleted`. */
  delete(id: StreamId): boolean {
    if (!finder.begin(this, id, id, false).next()) return false;
    const at = finder.node;
    let block = this.nodeBlock(at);
    if (this.#frozen !== null && block !== this.#ownBlock(at)) {
      finder.begin(this, id, id, false).next();
      block = this.nodeBlock(at);
    }
    finder.walker.markDeleted();
    this.length--;
    const bytes = this.arena.bytesOf(block);
    const base = this.arena.offsetOf(block);
    if (node.liveCount(bytes, base) === 1) {
      this.#freeNode(at);
      this.nodes.remove(at);
    } else {
      this.#countDeleted(at, block, 1);
    }
    if (id.compare(this.maxDeletedId) > 0) this.maxDeletedId.copy(id);
    if (this.length === 0) this.firstId.setMin();
    else if (id.compare(this.firstId) === 0) this.edge(true, true, this.firstId);
    return true;
  }

  #countDeleted(at: IdCursor, block: number, entries: number): void {
    const used = listpack.totalBytes(this.arena.bytesOf(block), this.arena.offsetOf(block));
    const grown = this.#growNode(at, block, used, used + node.COUNT_GROWTH_BYTES);
    node.countDeleted(this.arena.bytesOf(grown), this.arena.offsetOf(grown), entries);
  }

  /** @returns how many entries went. */
  trim(limit: TrimLimit): number {
    const { nodes } = this;
    const byLength = limit.maxLength >= 0;
    let deleted = 0;
    while (nodes.seekFirst(cursor)) {
      if (byLength && this.length <= limit.maxLength) break;
      const block = this.nodeBlock(cursor);
      const entries = node.liveCount(this.arena.bytesOf(block), this.arena.offsetOf(block));
      if (limit.limit !== 0 && deleted + entries > limit.limit) break;
      const whole = byLength ? this.length - entries >= limit.maxLength : this.#endsBefore(block, limit.minId);
      if (!whole) {
        if (!limit.approximate) deleted += this.#trimNode(this.#ownBlock(cursor), limit);
        break;
      }
      this.#freeNode(cursor);
      nodes.remove(cursor);
      this.length -= entries;
      deleted += entries;
    }
    if (this.length === 0) this.firstId.setMin();
    else if (deleted > 0) this.edge(true, true, this.firstId);
    return deleted;
  }

  /** Whether the last entry of the node at `cursor`, deleted or not, is before `id`. */
  #endsBefore(block: number, id: StreamId): boolean {
    this.nodes.readId(cursor, master);
    walker.begin(this.arena.bytesOf(block), this.arena.offsetOf(block), true);
    return !walker.previous(master, walkedId) || walkedId.compare(id) < 0;
  }

  /** Deletes entries at the start of the node at `cursor`. @returns how many. */
  #trimNode(block: number, limit: TrimLimit): number {
    this.nodes.readId(cursor, master);
    walker.begin(this.arena.bytesOf(block), this.arena.offsetOf(block), false);
    let deleted = 0;
    while (walker.next(master, walkedId)) {
      const done = limit.maxLength >= 0 ? this.length <= limit.maxLength : walkedId.compare(limit.minId) >= 0;
      if (done) break;
      if ((walker.flags & node.FLAG_DELETED) !== 0) continue;
      walker.markDeleted();
      this.length--;
      deleted++;
    }
    this.#countDeleted(cursor, block, deleted);
    return deleted;
  }

  // ---- ids ----

  has(id: StreamId): boolean {
    return finder.begin(this, id, id, false).next();
  }

  /**
   * Puts the first or last id into `out`.
   * @param live false: entries that are deleted but still in their node count too.
   * @returns false when there is none; `out` is then the greatest or the least id.
   */
  edge(first: boolean, live: boolean, out: StreamId): boolean {
    finder.begin(this, null, null, !first);
    finder.deletedToo = !live;
    const found = finder.next();
    if (found) out.copy(finder.id);
    else if (first) out.setMax();
    else out.setMin();
    return found;
  }

  /** Whether an entry from `start` on may be missing because it was deleted. */
  mayLackFrom(start: StreamId): boolean {
    if (this.length === 0 || this.maxDeletedId.isMin) return false;
    if (this.firstId.compare(this.maxDeletedId) > 0) return false;
    return start.compare(this.maxDeletedId) <= 0;
  }

  /**
   * How many entries were ever added up to this id.
   * @param out gets the number. @returns false when it cannot be told.
   */
  countUpTo(id: StreamId, out: Counter64): boolean {
    out.copy(this.entriesAdded);
    if (out.isZero) return true;
    const order = id.compare(this.lastId);
    if (order === 0 || (this.length === 0 && order < 0)) return true;
    const gapless = this.maxDeletedId.isMin || this.maxDeletedId.compare(this.firstId) < 0;
    const beside = id.compare(this.firstId);
    if (order > 0 || !gapless || beside > 0) return false;
    out.setBig(this.entriesAdded.big - BigInt(this.length) + (beside === 0 ? 1n : 0n));
    return true;
  }

  // ---- groups ----

  /** @param name kept. @returns null when there is a group of that name. */
  addGroup(name: Uint8Array): ConsumerGroup | null {
    const group = new ConsumerGroup(this.arena, name);
    return this.groups.add(group) ? group : null;
  }

  removeGroup(group: ConsumerGroup): void {
    this.groups.remove(group);
    group.release();
  }

  /** Another stream with the same entries and groups, for COPY. */
  clone(arena: Arena): Stream {
    const twin = new Stream(arena);
    const at = new IdCursor();
    for (let more = this.nodes.seekFirst(at); more; more = this.nodes.next(at)) {
      this.nodes.readId(at, master);
      const block = this.nodeBlock(at);
      const bytes = this.arena.bytesOf(block);
      const base = this.arena.offsetOf(block);
      twin.addNode(master, bytes, base, listpack.totalBytes(bytes, base));
    }
    twin.length = this.length;
    twin.firstId.copy(this.firstId);
    twin.lastId.copy(this.lastId);
    twin.maxDeletedId.copy(this.maxDeletedId);
    twin.entriesAdded.copy(this.entriesAdded);
    for (const group of this.groups.items) twin.groups.add(group.clone(arena));
    return twin;
  }
}

function textBytes(words: FieldWords, first: number, count: number): number {
  let bytes = 0;
  for (let i = first; i < first + count; i++) bytes += words.lengths[i];
  return bytes;
}

/** Walks the entries between two ids, both inclusive. Ends when the stream changes. */
export class StreamWalker {
  /** Of the current entry, while `next` says there is one. */
  readonly id = new StreamId();
  readonly node = new IdCursor();
  readonly walker = new node.NodeWalker();
  /** Entries that are deleted but still in their node are walked too. */
  deletedToo = false;
  #stream!: Stream;
  readonly #start = new StreamId();
  readonly #end = new StreamId();
  readonly #master = new StreamId();
  #backwards = false;
  #inNode = false;
  #hasNode = false;

  /** @param start null: from the first. @param end null: to the last. @returns this. */
  begin(stream: Stream, start: StreamId | null, end: StreamId | null, backwards: boolean): this {
    const { nodes } = stream;
    this.#stream = stream;
    if (start === null) this.#start.setMin();
    else this.#start.copy(start);
    if (end === null) this.#end.setMax();
    else this.#end.copy(end);
    this.#backwards = backwards;
    this.deletedToo = false;
    this.#inNode = false;
    if (backwards) this.#hasNode = nodes.seekBack(this.#end, this.node);
    else this.#hasNode = nodes.seekBack(this.#start, this.node) || nodes.seekFirst(this.node);
    return this;
  }

  /** Fields of the current entry. */
  get fields(): number {
    return this.walker.fields;
  }

  /** Hands names and values of the current entry to a sink, in turns. */
  emit(sink: ElementSink): void {
    this.walker.emit(sink);
  }

  /** @returns whether there is another entry in the range: `id` is its id. */
  next(): boolean {
    const { walker, id } = this;
    while (this.#hasNode) {
      if (!this.#inNode) this.#enterNode();
      while (this.#backwards ? walker.previous(this.#master, id) : walker.next(this.#master, id)) {
        if (!this.deletedToo && (walker.flags & node.FLAG_DELETED) !== 0) continue;
        const order = this.#backwards ? this.#end.compare(id) : id.compare(this.#start);
        if (order < 0) continue;
        return this.#backwards ? this.#start.compare(id) <= 0 : id.compare(this.#end) <= 0;
      }
      this.#inNode = false;
      const { nodes } = this.#stream;
      this.#hasNode = this.#backwards ? nodes.previous(this.node) : nodes.next(this.node);
    }
    return false;
  }

  #enterNode(): void {
    const { arena, nodes } = this.#stream;
    nodes.readId(this.node, this.#master);
    const block = this.#stream.nodeBlock(this.node);
    this.walker.begin(arena.bytesOf(block), arena.offsetOf(block), this.#backwards);
    this.#inNode = true;
  }
}

const cursor = new IdCursor();
const finder = new StreamWalker();
const walker = new node.NodeWalker();
const master = new StreamId();
const walkedId = new StreamId();
