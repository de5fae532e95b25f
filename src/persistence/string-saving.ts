// A big string that is written bit by bit while commands change it: piece after piece. Of a piece that is about to be
// written over before its turn the bytes are kept; the block of a string that is replaced, moves or goes is taken over, so
// nothing of it needs a copy. Imported by the formats.
import type { Dict } from '../data/dict.ts';
import { type Saving, SLICE_BYTES } from './dataset-format.ts';
import type { RdbOutput } from './rdb-output.ts';
import { WatchedEntry } from './watched-entry.ts';

export class StringSaving implements Saving {
  readonly live = true;
  out: RdbOutput;
  readonly #dict: Dict;
  readonly #entry: WatchedEntry;
  /** Of the value as it was: what is added to it later is none of it. */
  readonly #length: number;
  readonly #finish: (out: RdbOutput) => void;
  /** Bytes that are written. */
  #position = 0;
  /** Pieces as they were, by their first byte. */
  readonly #kept = new Map<number, Uint8Array>();

  /** @param finish writes what comes behind the last byte. */
  constructor(out: RdbOutput, dict: Dict, entry: number, finish: (out: RdbOutput) => void) {
    this.out = out;
    this.#dict = dict;
    this.#entry = new WatchedEntry(dict, entry, (from, to) => this.#keep(from, to));
    this.#length = dict.valueLength(entry);
    this.#finish = finish;
  }

  step(): boolean {
    const from = this.#position;
    const kept = this.#kept.get(from);
    this.#position = Math.min(this.#length, from + SLICE_BYTES);
    if (kept === undefined) {
      const { ref } = this.#entry;
      this.out.raw(this.#dict.bytesOf(ref), this.#dict.valueOffset(ref) + from, this.#position - from);
    } else {
      this.out.raw(kept, 0, kept.length);
      this.#kept.delete(from);
    }
    if (this.#position < this.#length) return true;
    this.#finish(this.out);
    return false;
  }

  /** Copies the pieces that these bytes lie in. */
  #keep(from: number, to: number): void {
    const { ref } = this.#entry;
    const first = Math.max(this.#position, from - (from % SLICE_BYTES));
    const last = Math.min(this.#length, to);
    for (let piece = first; piece < last; piece += SLICE_BYTES) {
      if (this.#kept.has(piece)) continue;
      const start = this.#dict.valueOffset(ref);
      const end = Math.min(this.#length, piece + SLICE_BYTES);
      this.#kept.set(piece, this.#dict.bytesOf(ref).slice(start + piece, start + end));
    }
  }

  end(): null {
    this.#entry.release();
    return null;
  }
}
