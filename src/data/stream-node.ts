// A node of a stream: a listpack with many entries, byte for byte as RDB files carry it. A master entry in front counts
// them and names the fields of the first one; entries with the same fields leave the names out. Ids are differences
// to the master id, which is the node's key. Pure functions on (bytes, base). Only src/data/ and src/persistence/ import it.
//
//   master: live | deleted | fields | field name ... | 0
//   entry:  flags | ms difference | sequence difference | (fields, unless same) | (name) value ... | elements before this one
import type { ElementSink } from './element.ts';
import { int64, int64ToNumber } from './int64.ts';
import * as listpack from './listpack.ts';
import type { StreamId } from './stream-id.ts';

export const FLAG_DELETED = 1;
export const FLAG_SAME_FIELDS = 2;

/** Elements of an entry beside its fields and values: flags, two differences. The closing number is not counted. */
const FIXED_ELEMENTS = 3;

/** Fields and values of a new entry: word `first + 2 i` is a field's name, the word behind it its value. */
export interface FieldWords {
  readonly bytes: Uint8Array;
  readonly offsets: Int32Array;
  readonly lengths: Int32Array;
}

// ---- master entry ----

export function liveCount(bytes: Uint8Array, base: number): number {
  return integerAt(bytes, base + listpack.HEADER_BYTES);
}

function deletedAt(bytes: Uint8Array, base: number): number {
  return listpack.skip(bytes, base + listpack.HEADER_BYTES, 1);
}

/** Live and deleted entries. */
export function entryCount(bytes: Uint8Array, base: number): number {
  return liveCount(bytes, base) + integerAt(bytes, deletedAt(bytes, base));
}

function masterFieldsAt(bytes: Uint8Array, base: number): number {
  return listpack.skip(bytes, base + listpack.HEADER_BYTES, 2);
}

/** Bytes that counting up may add. */
export const COUNT_GROWTH_BYTES = 8;

/** Counts `entries` as deleted instead of live; COUNT_GROWTH_BYTES of room must be there. */
export function countDeleted(bytes: Uint8Array, base: number, entries: number): void {
  const live = base + listpack.HEADER_BYTES;
  listpack.replaceInteger(bytes, base, live, 0, integerAt(bytes, live) - entries);
  const deleted = deletedAt(bytes, base);
  listpack.replaceInteger(bytes, base, deleted, 0, integerAt(bytes, deleted) + entries);
}

function integerAt(bytes: Uint8Array, at: number): number {
  listpack.readInteger(bytes, at);
  return int64ToNumber(int64.high, int64.low);
}

// ---- writing ----

/** Bytes that a node with one entry takes. */
export function firstEntryBytes(words: FieldWords, first: number, fields: number): number {
  // the counts, 1 and 0, and the zero behind the names take two bytes each
  let size = listpack.EMPTY_BYTES + 6 + listpack.integerBytes(0, fields);
  for (let i = 0; i < fields; i++) size += wordBytes(words, first + 2 * i);
  return size + entryBytes(words, first, fields, true, ZERO, ZERO);
}

/** Bytes that an entry takes. */
export function entryBytes(
  words: FieldWords,
  first: number,
  fields: number,
  sameFields: boolean,
  master: StreamId | typeof ZERO,
  id: StreamId | typeof ZERO,
): number {
  let size = 2 + listpack.integerBytes(0, elements(fields, sameFields));
  subtract(id.msHigh, id.msLow, master.msHigh, master.msLow);
  size += listpack.integerBytes(int64.high, int64.low);
  subtract(id.seqHigh, id.seqLow, master.seqHigh, master.seqLow);
  size += listpack.integerBytes(int64.high, int64.low);
  if (!sameFields) size += listpack.integerBytes(0, fields);
  for (let i = 0; i < fields; i++) {
    if (!sameFields) size += wordBytes(words, first + 2 * i);
    size += wordBytes(words, first + 2 * i + 1);
  }
  return size;
}

const ZERO = { msHigh: 0, msLow: 0, seqHigh: 0, seqLow: 0 } as const;

function wordBytes(words: FieldWords, i: number): number {
  return listpack.plan(words.bytes, words.offsets[i], words.lengths[i]);
}

function elements(fields: number, sameFields: boolean): number {
  return FIXED_ELEMENTS + (sameFields ? fields : 2 * fields + 1);
}

/** Makes a node with these fields' names and no entry yet, though it counts one. */
export function initialize(bytes: Uint8Array, base: number, words: FieldWords, first: number, fields: number): void {
  listpack.initialize(bytes, base);
  listpack.appendInteger(bytes, base, 0, 1);
  listpack.appendInteger(bytes, base, 0, 0);
  listpack.appendInteger(bytes, base, 0, fields);
  for (let i = 0; i < fields; i++) appendWord(bytes, base, words, first + 2 * i);
  listpack.appendInteger(bytes, base, 0, 0);
}

/** Whether the master entry has exactly these fields, in this order. */
export function hasFields(bytes: Uint8Array, base: number, words: FieldWords, first: number, fields: number): boolean {
  let at = masterFieldsAt(bytes, base);
  if (integerAt(bytes, at) !== fields) return false;
  for (let i = first; i < first + 2 * fields; i += 2) {
    at = listpack.skip(bytes, at, 1);
    if (!listpack.equals(bytes, at, words.bytes, words.offsets[i], words.lengths[i])) return false;
  }
  return true;
}

/** Counts one more live entry; COUNT_GROWTH_BYTES of room must be there. */
export function countAdded(bytes: Uint8Array, base: number): void {
  const live = base + listpack.HEADER_BYTES;
  listpack.replaceInteger(bytes, base, live, 0, integerAt(bytes, live) + 1);
}

/** Adds an entry behind the last; it is not counted here. There must be room for `entryBytes`. */
export function append(
  bytes: Uint8Array,
  base: number,
  master: StreamId,
  id: StreamId,
  words: FieldWords,
  first: number,
  fields: number,
  sameFields: boolean,
): void {
  listpack.appendInteger(bytes, base, 0, sameFields ? FLAG_SAME_FIELDS : 0);
  subtract(id.msHigh, id.msLow, master.msHigh, master.msLow);
  listpack.appendInteger(bytes, base, int64.high, int64.low);
  subtract(id.seqHigh, id.seqLow, master.seqHigh, master.seqLow);
  listpack.appendInteger(bytes, base, int64.high, int64.low);
  if (!sameFields) listpack.appendInteger(bytes, base, 0, fields);
  for (let i = 0; i < fields; i++) {
    if (!sameFields) appendWord(bytes, base, words, first + 2 * i);
    appendWord(bytes, base, words, first + 2 * i + 1);
  }
  listpack.appendInteger(bytes, base, 0, elements(fields, sameFields));
}

function appendWord(bytes: Uint8Array, base: number, words: FieldWords, i: number): void {
  listpack.append(bytes, base, words.bytes, words.offsets[i], words.lengths[i]);
}

/** `int64` = a - b, modulo 2^64. */
function subtract(highA: number, lowA: number, highB: number, lowB: number): void {
  int64.low = (lowA - lowB) | 0;
  int64.high = (highA - highB - (lowA >>> 0 < lowB >>> 0 ? 1 : 0)) | 0;
}

// ---- reading ----

/** Walks the entries of one node, deleted ones too, in either direction. Holds until the node changes. */
export class NodeWalker {
  bytes: Uint8Array = new Uint8Array(0);
  base = 0;
  /** Where the current entry starts: at its flags. */
  entry = -1;
  flags = 0;
  /** Fields of the current entry. */
  fields = 0;
  #masterFields = 0;
  #masterFieldsAt = 0;
  /** First name or value of the current entry. */
  #content = 0;
  /** Where the entry behind starts, when walking forwards. */
  #behind = -1;

  /** Before the first or behind the last entry. */
  begin(bytes: Uint8Array, base: number, atEnd: boolean): void {
    this.bytes = bytes;
    this.base = base;
    const at = masterFieldsAt(bytes, base);
    this.#masterFields = integerAt(bytes, at);
    this.#masterFieldsAt = listpack.skip(bytes, at, 1);
    this.entry = -1;
    this.#behind = atEnd
      ? listpack.end(bytes, base)
      : listpack.skip(bytes, this.#masterFieldsAt, this.#masterFields + 1);
  }

  /** Goes to the entry behind and reads its id. @returns false when there is none. */
  next(master: StreamId, id: StreamId): boolean {
    const { bytes } = this;
    const at = this.#behind;
    if (at === listpack.end(bytes, this.base)) return false;
    this.#read(at, master, id);
    const rest = (this.flags & FLAG_SAME_FIELDS) !== 0 ? this.fields : this.fields * 2;
    this.#behind = listpack.skip(bytes, this.#content, rest + 1);
    return true;
  }

  /** Goes to the entry before and reads its id. @returns false when there is none. */
  previous(master: StreamId, id: StreamId): boolean {
    const { bytes, base } = this;
    let at = listpack.prev(bytes, base, this.entry === -1 ? this.#behind : this.entry);
    const count = integerAt(bytes, at);
    if (count === 0) return false;
    for (let i = 0; i < count; i++) at = listpack.prev(bytes, base, at);
    this.#read(at, master, id);
    return true;
  }

  #read(at: number, master: StreamId, id: StreamId): void {
    const { bytes } = this;
    this.entry = at;
    this.flags = integerAt(bytes, at);
    let part = listpack.skip(bytes, at, 1);
    listpack.readInteger(bytes, part);
    id.msLow = (master.msLow + int64.low) | 0;
    id.msHigh = (master.msHigh + int64.high + carry(master.msLow, int64.low)) | 0;
    part = listpack.skip(bytes, part, 1);
    listpack.readInteger(bytes, part);
    id.seqLow = (master.seqLow + int64.low) | 0;
    id.seqHigh = (master.seqHigh + int64.high + carry(master.seqLow, int64.low)) | 0;
    part = listpack.skip(bytes, part, 1);
    if ((this.flags & FLAG_SAME_FIELDS) !== 0) {
      this.fields = this.#masterFields;
    } else {
      this.fields = integerAt(bytes, part);
      part = listpack.skip(bytes, part, 1);
    }
    this.#content = part;
  }

  /** Hands names and values of the current entry to a sink, in turns. */
  emit(sink: ElementSink): void {
    const { bytes, fields } = this;
    if ((this.flags & FLAG_SAME_FIELDS) === 0) {
      listpack.emit(bytes, this.#content, fields * 2, sink);
      return;
    }
    let name = this.#masterFieldsAt;
    let value = this.#content;
    for (let i = 0; i < fields; i++) {
      listpack.emitOne(bytes, name, sink);
      listpack.emitOne(bytes, value, sink);
      name = listpack.skip(bytes, name, 1);
      value = listpack.skip(bytes, value, 1);
    }
  }

  /** Flags the current entry as deleted; the counts are the caller's. The entry keeps its size: flags are below 128. */
  markDeleted(): void {
    listpack.replaceInteger(this.bytes, this.base, this.entry, 0, this.flags | FLAG_DELETED);
  }
}

function carry(lowA: number, lowB: number): number {
  return (lowA >>> 0) + (lowB >>> 0) > 0xffffffff ? 1 : 0;
}

// ---- validation ----

// The checks of a file and of a payload meet here: nothing that passes can make a walk above leave its node.

/**
 * Whether the bytes are a whole, well-formed node, its counts true: for blobs that come from outside. Stricter than
 * Redis in wanting counts that agree with the flags, which whatever wrote a proper node keeps.
 */
export function isValid(bytes: Uint8Array, base: number, length: number): boolean {
  if (!listpack.isValid(bytes, base, length, 1)) return false;
  const reader = new CheckedReader(bytes, base);
  const live = reader.count();
  const deleted = reader.count();
  const masterFields = reader.count();
  reader.pass(masterFields);
  if (reader.count() !== 0) return false;
  let flaggedDeleted = 0;
  let entries = 0;
  for (; reader.ok && !reader.atEnd; entries++) {
    const flags = reader.flags();
    if ((flags & FLAG_DELETED) !== 0) flaggedDeleted++;
    reader.integer();
    reader.integer();
    const same = (flags & FLAG_SAME_FIELDS) !== 0;
    const fields = same ? masterFields : reader.count();
    reader.pass(same ? fields : fields * 2);
    if (reader.count() !== elements(fields, same)) return false;
  }
  return reader.ok && flaggedDeleted === deleted && entries === live + deleted;
}

/** Reads the elements of a valid listpack in order; `ok` turns false when one is missing or no integer. */
class CheckedReader {
  ok = true;
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, base: number) {
    this.#bytes = bytes;
    this.#at = base + listpack.HEADER_BYTES;
    this.#end = listpack.end(bytes, base);
  }

  get atEnd(): boolean {
    return this.#at === this.#end;
  }

  /** A number in one byte, so that it can be overwritten in place. */
  flags(): number {
    if (this.atEnd || this.#bytes[this.#at] > 127) this.ok = false;
    return this.count();
  }

  /** An integer of any size. */
  integer(): void {
    if (this.atEnd || !listpack.isInteger(this.#bytes, this.#at)) this.ok = false;
    else {
      listpack.readInteger(this.#bytes, this.#at);
      this.#at = listpack.skip(this.#bytes, this.#at, 1);
    }
  }

  /** An integer that counts something; 0 when there is none. */
  count(): number {
    this.integer();
    if (!this.ok || int64.high !== 0 || int64.low < 0) this.ok = false;
    return this.ok ? int64.low : 0;
  }

  pass(elements: number): void {
    for (let i = 0; i < elements && this.ok; i++) {
      if (this.atEnd) this.ok = false;
      else this.#at = listpack.skip(this.#bytes, this.#at, 1);
    }
  }
}
