// A big string that is written bit by bit while commands change it: piece after piece. Of a piece that is about to be
// written over before its turn the bytes are kept; the block of a string that is replaced, moves or goes is taken over, so
// nothing of it needs a copy. Imported by the formats.
import type { Dict, ValueWatcher } from '../data/dict.ts';
import { type Saving, SLICE_BYTES } from './dataset-format.ts';
import type { RdbOutput } from './rdb-output.ts';

export class StringSaving implements Saving, ValueWatcher {
  readonly live = true;
  out: RdbOutput;
  readonly #dict: Dict;
  readonly #entry: number;
  /** Of the value as it was: what is added to it later is none of it. */
  readonly #length: number;
  readonly #finish: (out: RdbOutput) => void;
  /** Bytes that are written. */
  #position = 0;
  /** Pieces as they were, by their first byte. */
  readonly #kept = new Map<number, Uint8Array>();
  #isTaken = false;

  /** @param finish writes what comes behind the last byte. */
  constructor(out: RdbOutput, dict: Dict, entry: number, finish: (out: RdbOutput) => void) {
    this.out = out;
    this.#dict = dict;
    this.#entry = entry;
    this.#length = dict.valueLength(entry);
    this.#finish = finish;
    dict.watchValue(entry, this);
  }

  step(): boolean {
    const from = this.#position;
    const kept = this.#kept.get(from);
    this.#position = Math.min(this.#length, from + SLICE_BYTES);
    if (kept === undefined) {
      this.out.raw(this.#dict.bytesOf(this.#entry), this.#dict.valueOffset(this.#entry) + from, this.#position - from);
    } else {
      this.out.raw(kept, 0, kept.length);
      this.#kept.delete(from);
    }
    if (this.#position < this.#length) return true;
    this.#finish(this.out);
    return false;
  }

  beforeWrite(from: number, to: number): void {
    const first = Math.max(this.#position, from - (from % SLICE_BYTES));
    const last = Math.min(this.#length, to);
    for (let piece = first; piece < last; piece += SLICE_BYTES) {
      if (this.#kept.has(piece)) continue;
      const start = this.#dict.valueOffset(this.#entry);
      const end = Math.min(this.#length, piece + SLICE_BYTES);
      this.#kept.set(piece, this.#dict.bytesOf(this.#entry).slice(start + piece, start + end));
    }
  }

  taken(): void {
    const { arena } = this.#dict;
    this.#isTaken = true;
    arena.held += arena.capacityOf(this.#entry);
  }

  end(): null {
    const { arena } = this.#dict;
    if (!this.#isTaken) {
      this.#dict.unwatchValue(this.#entry);
      return null;
    }
    arena.held -= arena.capacityOf(this.#entry);
    arena.free(this.#entry);
    return null;
  }
}
