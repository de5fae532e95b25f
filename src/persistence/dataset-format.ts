// How a walk over the dataset turns into bytes: as an RDB file, or as the commands that make the dataset (an append-only
// file without RDB preamble). Implemented by rdb-writer.ts and command-writer.ts.
import type { Database } from '../core/database.ts';
import type { Keyspace } from '../core/keyspace.ts';
import type { Element } from '../data/element.ts';
import type { Stream } from '../data/stream.ts';
import type { RdbOutput } from './rdb-output.ts';

/** A big value that is written a short piece at each `next()`. It must not change before the last one. */
export type Slices = Generator<void, void, void>;

/** A big value of which so far only the head is written. */
export interface Saving {
  /** Whether the value may change meanwhile: what is written is what it was in the beginning. */
  readonly live: boolean;
  /** Where its bytes go; may be replaced between two steps. */
  out: RdbOutput;
  /** Writes on for a short piece. @returns whether there is more. */
  step(): boolean;
  /** All is written, or it is given up. @returns what was left to us meanwhile and can be given back now, or null. */
  end(): Leftover | null;
}

/** Memory that can be given back in steps. */
export interface Leftover {
  /** @returns whether it is done. */
  releaseSome(steps: number): boolean;
}

export interface DatasetFormat {
  begin(out: RdbOutput, keyspace: Keyspace): void;
  /** What follows is in this database. Comes again when the walk comes back to it. */
  database(out: RdbOutput, index: number, keys: number, expiries: number): void;
  /** Writes an entry whole. */
  entry(out: RdbOutput, db: Database, entry: number): void;
  /** Begins to write an entry. @returns null when it is written, or the rest of it. */
  open(out: RdbOutput, db: Database, entry: number): Saving | null;
  end(out: RdbOutput): void;
}

/** From this many elements on, or so many bytes, a value is written in slices. */
const SLICED_FROM = 512;
const SLICED_FROM_BYTES = 128 * 1024;
/** Elements between two pauses, and their bytes, about. */
export const SLICE_ELEMENTS = 256;
export const SLICE_BYTES = 64 * 1024;

/** Whether it would take long to write the value whole. @param bytes of its elements, about. */
export function isSliced(elements: number, bytes: number): boolean {
  return elements >= SLICED_FROM || bytes >= SLICED_FROM_BYTES;
}

/** Bytes of a string, a piece at a time. @param read sets the element to the string, which may have moved since the last. */
export function* rawSlices(out: RdbOutput, element: Element, read: () => void): Slices {
  read();
  for (let at = 0; at < element.length; at += SLICE_BYTES) {
    out.raw(element.bytes, element.offset + at, Math.min(SLICE_BYTES, element.length - at));
    yield;
    read();
  }
}

/** A value that has to stay as it is while it is written in slices. */
export class SliceSaving implements Saving {
  readonly live = false;
  out: RdbOutput;
  readonly #slices: Slices;

  constructor(out: RdbOutput, slices: Slices) {
    this.out = out;
    this.#slices = slices;
  }

  step(): boolean {
    return this.#slices.next().done !== true;
  }

  end(): null {
    return null;
  }
}

/** A stream that may change while it is written: what is written is its frozen twin. */
export class StreamSaving implements Saving {
  readonly live = true;
  out: RdbOutput;
  readonly #twin: Stream;
  readonly #write: (out: RdbOutput, stream: Stream) => Slices;
  #slices: Slices | null = null;

  constructor(out: RdbOutput, stream: Stream, write: (out: RdbOutput, stream: Stream) => Slices) {
    this.out = out;
    this.#twin = stream.freeze();
    this.#write = write;
  }

  /** The first one settles where the bytes go. */
  step(): boolean {
    this.#slices ??= this.#write(this.out, this.#twin);
    return this.#slices.next().done !== true;
  }

  end(): null {
    this.#twin.release();
    return null;
  }
}
