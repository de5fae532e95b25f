// A big list that is written bit by bit while commands change it: node after node. Of a node that is about to change before
// its turn the bytes are kept, in its place in the order, and one that goes is taken over. Each node's stamp tells
// whether there is still something of it to write. A huge node is written piece by piece. Imported by the formats.
import type { List } from '../data/list.ts';
import type { ListWatcher } from '../data/quicklist.ts';
import { type Leftover, type Saving, SLICE_BYTES } from './dataset-format.ts';
import { PATIENT_COMPRESS_MAX, type RdbOutput } from './rdb-output.ts';

/** Of a node's bytes. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Puts nodes into a format's words. */
export interface NodeWriter {
  /** @param plain the bytes are one element, not a listpack. */
  node(out: RdbOutput, bytes: Uint8Array, offset: number, length: number, plain: boolean): void;
  /** Begins a node that is too long for `node`. @returns which of its bytes follow, before `endLong`; null: it needs `node`. */
  beginLong(out: RdbOutput, bytes: Uint8Array, offset: number, length: number, plain: boolean): Range | null;
  endLong(out: RdbOutput): void;
  /** What comes behind the last one. */
  end(out: RdbOutput): void;
}

/** A node as it was: a copy, or the node itself. */
type Kept = { readonly bytes: Uint8Array; readonly plain: boolean } | number;

/** A huge node of which a part is written. */
interface OpenNode {
  /** 0: there is a copy. */
  node: number;
  copy: Uint8Array | null;
  /** The list has it no more. */
  isOurs: boolean;
  /** What is left to write of its bytes. */
  from: number;
  to: number;
}

/** One for each saving, so that no node carries it by chance. */
let stamps = 0;

export class ListSaving implements Saving, ListWatcher {
  readonly live = true;
  out: RdbOutput;
  readonly #list: List;
  readonly #writer: NodeWriter;
  /** Of nodes that are written, kept, or newer than the snapshot. */
  readonly #stamp: number;
  /** The next one to write; 0: the end. */
  #next: number;
  /** What is to be written before a node, in order; before 0: behind the last. */
  readonly #kept = new Map<number, Kept[]>();
  #open: OpenNode | null = null;
  #isReleased = false;

  constructor(out: RdbOutput, list: List, writer: NodeWriter) {
    if (list.watcher !== null) throw new Error('assert: a list is saved twice at a time');
    stamps = (stamps + 1) & 0x7fffffff || 1;
    this.out = out;
    this.#list = list;
    this.#writer = writer;
    this.#stamp = stamps;
    this.#next = list.head;
    list.stamp = stamps;
    list.watcher = this;
  }

  step(): boolean {
    if (this.#open !== null) {
      this.#writeOn(this.#open);
      return true;
    }
    const list = this.#list;
    const node = this.#next;
    const kept = this.#kept.get(node);
    if (kept !== undefined) {
      this.#writeKept(kept.shift() as Kept);
      if (kept.length === 0) this.#kept.delete(node);
      return true;
    }
    if (node === 0) {
      this.#writer.end(this.out);
      return false;
    }
    if (list.stampOf(node) !== this.#stamp) {
      list.setStamp(node, this.#stamp);
      this.#writeNode(node, false);
    }
    this.#next = list.nextNode(node);
    return true;
  }

  #writeNode(node: number, isOurs: boolean): void {
    const list = this.#list;
    const bytes = list.arena.bytesOf(node);
    const range = this.#writeBytes(bytes, list.payloadOf(node), list.payloadBytes(node), list.isPlain(node));
    if (range !== null) this.#open = { node, copy: null, isOurs, from: range.from, to: range.to };
    else if (isOurs) this.#free(node);
  }

  /** @returns what is left to be written in pieces. */
  #writeBytes(bytes: Uint8Array, offset: number, length: number, plain: boolean): Range | null {
    if (length > PATIENT_COMPRESS_MAX) {
      const range = this.#writer.beginLong(this.out, bytes, offset, length, plain);
      if (range !== null) return range;
    }
    this.#writer.node(this.out, bytes, offset, length, plain);
    return null;
  }

  #writeOn(open: OpenNode): void {
    const list = this.#list;
    const { copy, from, node } = open;
    const size = Math.min(SLICE_BYTES, open.to - from);
    if (copy !== null) this.out.raw(copy, from, size);
    else this.out.raw(list.arena.bytesOf(node), list.payloadOf(node) + from, size);
    open.from += size;
    if (open.from < open.to) return;
    this.#open = null;
    this.#writer.endLong(this.out);
    if (open.isOurs) this.#free(node);
  }

  #writeKept(kept: Kept): void {
    if (typeof kept !== 'number') {
      const { bytes } = kept;
      const range = this.#writeBytes(bytes, 0, bytes.length, kept.plain);
      if (range !== null) this.#open = { node: 0, copy: bytes, isOurs: false, from: range.from, to: range.to };
      return;
    }
    this.#writeNode(kept, true);
  }

  #free(node: number): void {
    const { arena } = this.#list;
    arena.held -= arena.capacityOf(node);
    arena.free(node);
  }

  beforeChange(node: number): void {
    const list = this.#list;
    const open = this.#open;
    if (open !== null && open.node === node) {
      const start = list.payloadOf(node);
      open.copy = list.arena.bytesOf(node).slice(start + open.from, start + open.to);
      open.node = 0;
      open.to -= open.from;
      open.from = 0;
    }
    if (list.stampOf(node) === this.#stamp) return;
    list.setStamp(node, this.#stamp);
    const start = list.payloadOf(node);
    const bytes = list.arena.bytesOf(node).slice(start, start + list.payloadBytes(node));
    this.#keptBefore(node).push({ bytes, plain: list.isPlain(node) });
  }

  #keptBefore(node: number): Kept[] {
    let kept = this.#kept.get(node);
    if (kept === undefined) {
      kept = [];
      this.#kept.set(node, kept);
    }
    return kept;
  }

  moved(from: number, to: number): void {
    if (this.#next === from) this.#next = to;
    if (this.#open?.node === from) this.#open.node = to;
    const kept = this.#kept.get(from);
    if (kept === undefined) return;
    this.#kept.delete(from);
    this.#kept.set(to, kept);
  }

  dropping(node: number, next: number): boolean {
    const list = this.#list;
    const open = this.#open?.node === node ? this.#open : null;
    const isNew = list.stampOf(node) !== this.#stamp;
    const isTaken = isNew || open !== null;
    if (isNew) this.#keptBefore(node).push(node);
    if (open !== null) open.isOurs = true;
    if (isTaken) list.arena.held += list.arena.capacityOf(node);
    if (this.#next === node) this.#next = next;
    const kept = this.#kept.get(node);
    if (kept === undefined) return isTaken;
    this.#kept.delete(node);
    const behind = this.#kept.get(next);
    if (behind !== undefined) for (const one of behind) kept.push(one);
    this.#kept.set(next, kept);
    return isTaken;
  }

  released(): void {
    this.#isReleased = true;
  }

  end(): Leftover | null {
    this.#list.watcher = null;
    if (this.#open?.isOurs === true) this.#free(this.#open.node);
    for (const kept of this.#kept.values()) for (const one of kept) if (typeof one === 'number') this.#free(one);
    return this.#isReleased ? this.#list : null;
  }
}
