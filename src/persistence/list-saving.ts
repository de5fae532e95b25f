// A big list that is written bit by bit while commands change it: node after node. Of a node that is about to change before
// its turn the bytes are kept, in its place in the order, and one that goes is taken over. Each node's stamp tells
// whether there is still something of it to write. Imported by the formats.
import type { List } from '../data/list.ts';
import type { ListWatcher } from '../data/quicklist.ts';
import type { Leftover, Saving } from './dataset-format.ts';
import type { RdbOutput } from './rdb-output.ts';

/** Puts nodes into a format's words. */
export interface NodeWriter {
  /** @param plain the bytes are one element, not a listpack. */
  node(out: RdbOutput, bytes: Uint8Array, offset: number, length: number, plain: boolean): void;
  /** What comes behind the last one. */
  end(out: RdbOutput): void;
}

/** A node as it was: a copy, or the node itself. */
type Kept = { readonly bytes: Uint8Array; readonly plain: boolean } | number;

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
      this.#writeNode(node);
    }
    this.#next = list.nextNode(node);
    return true;
  }

  #writeNode(node: number): void {
    const list = this.#list;
    const bytes = list.arena.bytesOf(node);
    this.#writer.node(this.out, bytes, list.payloadOf(node), list.payloadBytes(node), list.isPlain(node));
  }

  #writeKept(kept: Kept): void {
    if (typeof kept !== 'number') {
      this.#writer.node(this.out, kept.bytes, 0, kept.bytes.length, kept.plain);
      return;
    }
    this.#writeNode(kept);
    this.#free(kept);
  }

  #free(node: number): void {
    const { arena } = this.#list;
    arena.held -= arena.capacityOf(node);
    arena.free(node);
  }

  beforeChange(node: number): void {
    const list = this.#list;
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
    const kept = this.#kept.get(from);
    if (kept === undefined) return;
    this.#kept.delete(from);
    this.#kept.set(to, kept);
  }

  dropping(node: number, next: number): boolean {
    const list = this.#list;
    const isTaken = list.stampOf(node) !== this.#stamp;
    if (isTaken) {
      this.#keptBefore(node).push(node);
      list.arena.held += list.arena.capacityOf(node);
    }
    if (this.#next === node) this.#next = next;
    const kept = this.#kept.get(node);
    if (kept === undefined) return false;
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
    for (const kept of this.#kept.values()) for (const one of kept) if (typeof one === 'number') this.#free(one);
    return this.#isReleased ? this.#list : null;
  }
}
