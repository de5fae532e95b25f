// Redis's listpack: a run of strings and integers in one block, readable from both ends, byte for byte the format
// that RDB files and DUMP payloads carry. Pure functions on (bytes, offset): `base` is where a listpack starts, `at` where
// an entry does. Whoever inserts has made the room first: `plan` says how much. Only src/data/ and src/persistence/ import it.
//
//   total bytes (u32) | entries (u16, 65535: count them) | entry ... | 0xff
//   entry: encoding and data | back length: the size before it, 7 bits a byte, read from its end
import { copyBytes } from './bytes.ts';
import { Element, type ElementSink } from './element.ts';
import { int64, parseInt64, readInt32, writeInt32LE } from './int64.ts';

export const HEADER_BYTES = 6;
export const EMPTY_BYTES = HEADER_BYTES + 1;
const END = 0xff;
const COUNT_UNKNOWN = 0xffff;

const STRING_32 = 0xf0;
const INTEGER_16 = 0xf1;
const INTEGER_24 = 0xf2;
const INTEGER_32 = 0xf3;
const INTEGER_64 = 0xf4;

export function initialize(bytes: Uint8Array, base: number): void {
  writeInt32LE(bytes, base, EMPTY_BYTES);
  bytes[base + 4] = 0;
  bytes[base + 5] = 0;
  bytes[base + HEADER_BYTES] = END;
}

export function totalBytes(bytes: Uint8Array, base: number): number {
  return readInt32(bytes, base);
}

/** Number of entries; walks them when the header cannot tell. */
export function count(bytes: Uint8Array, base: number): number {
  const known = bytes[base + 4] | (bytes[base + 5] << 8);
  if (known !== COUNT_UNKNOWN) return known;
  let entries = 0;
  for (let at = first(bytes, base); at !== -1; at = next(bytes, at)) entries++;
  if (entries < COUNT_UNKNOWN) writeCount(bytes, base, entries);
  return entries;
}

function writeCount(bytes: Uint8Array, base: number, entries: number): void {
  const stored = Math.min(entries, COUNT_UNKNOWN);
  bytes[base + 4] = stored;
  bytes[base + 5] = stored >> 8;
}

function addToCount(bytes: Uint8Array, base: number, change: number): void {
  const known = bytes[base + 4] | (bytes[base + 5] << 8);
  if (known !== COUNT_UNKNOWN) writeCount(bytes, base, known + change);
}

// ---- walking ----

/** @returns the first entry, -1 when empty. */
export function first(bytes: Uint8Array, base: number): number {
  return bytes[base + HEADER_BYTES] === END ? -1 : base + HEADER_BYTES;
}

/** @returns the last entry, -1 when empty. */
export function last(bytes: Uint8Array, base: number): number {
  return prev(bytes, base, end(bytes, base));
}

/** Where the end mark is: inserting there appends. */
export function end(bytes: Uint8Array, base: number): number {
  return base + readInt32(bytes, base) - 1;
}

/** @returns the entry behind, -1 at the end. */
export function next(bytes: Uint8Array, at: number): number {
  const behind = at + entryBytes(bytes, at);
  return bytes[behind] === END ? -1 : behind;
}

/** @returns the entry before, -1 at the start. */
export function prev(bytes: Uint8Array, base: number, at: number): number {
  if (at === base + HEADER_BYTES) return -1;
  let byteAt = at - 1;
  let size = bytes[byteAt] & 127;
  for (let shift = 7; (bytes[byteAt] & 128) !== 0; shift += 7) {
    byteAt--;
    size |= (bytes[byteAt] & 127) << shift;
  }
  return byteAt - size;
}

/** @param index from the start, or from the end when negative. @returns the entry, -1 when out of range. */
export function seek(bytes: Uint8Array, base: number, index: number): number {
  const entries = count(bytes, base);
  let rest = index < 0 ? index + entries : index;
  if (rest < 0 || rest >= entries) return -1;
  if (rest <= entries >> 1) {
    let at = base + HEADER_BYTES;
    for (; rest > 0; rest--) at += entryBytes(bytes, at);
    return at;
  }
  let at = last(bytes, base);
  for (rest = entries - 1 - rest; rest > 0; rest--) at = prev(bytes, base, at);
  return at;
}

/** Bytes an entry takes, its back length included. */
export function entryBytes(bytes: Uint8Array, at: number): number {
  const size = bodyBytes(bytes, at);
  return size + backLengthBytes(size);
}

function bodyBytes(bytes: Uint8Array, at: number): number {
  const tag = bytes[at];
  if (tag < 0x80) return 1;
  if (tag < 0xc0) return 1 + (tag & 63);
  if (tag < 0xe0) return 2;
  if (tag < 0xf0) return 2 + (((tag & 15) << 8) | bytes[at + 1]);
  switch (tag) {
    case STRING_32:
      return 5 + readInt32(bytes, at + 1);
    case INTEGER_16:
      return 3;
    case INTEGER_24:
      return 4;
    case INTEGER_32:
      return 5;
    default:
      return 9;
  }
}

function backLengthBytes(size: number): number {
  if (size <= 127) return 1;
  // 16383 and the like take one byte more than they need: so Redis writes them
  if (size < 16383) return 2;
  if (size < 2097151) return 3;
  return size < 268435455 ? 4 : 5;
}

function writeBackLength(bytes: Uint8Array, at: number, size: number): void {
  const length = backLengthBytes(size);
  let rest = size;
  for (let i = at + length - 1; i > at; i--) {
    bytes[i] = (rest & 127) | 128;
    rest = rest >>> 7;
  }
  bytes[at] = rest;
}

// ---- reading ----

export function isInteger(bytes: Uint8Array, at: number): boolean {
  const tag = bytes[at];
  return tag < 0x80 || (tag >= 0xc0 && tag < 0xe0) || tag > STRING_32;
}

/** Points `element` at the entry's bytes. */
export function read(bytes: Uint8Array, at: number, element: Element): void {
  const tag = bytes[at];
  if (tag >= 0x80 && tag < 0xc0) {
    element.set(bytes, at + 1, tag & 63);
  } else if (tag >= 0xe0 && tag < 0xf0) {
    element.set(bytes, at + 2, ((tag & 15) << 8) | bytes[at + 1]);
  } else if (tag === STRING_32) {
    element.set(bytes, at + 5, readInt32(bytes, at + 1));
  } else {
    readInteger(bytes, at);
    element.setInteger(int64.high, int64.low);
  }
}

/** Hands up to `entries` entries from `at` on to a sink. @returns how many there were. */
export function emit(bytes: Uint8Array, at: number, entries: number, sink: ElementSink): number {
  let entry = at;
  for (let i = 0; i < entries; i++) {
    const tag = bytes[entry];
    if (tag === END) return i;
    if (tag >= 0x80 && tag < 0xc0) {
      const size = tag & 63;
      sink.bulk(bytes, entry + 1, size);
      entry += size + 2;
    } else {
      emitOne(bytes, entry, sink);
      entry += entryBytes(bytes, entry);
    }
  }
  return entries;
}

export function emitOne(bytes: Uint8Array, at: number, sink: ElementSink): void {
  read(bytes, at, emitted);
  sink.bulk(emitted.bytes, emitted.offset, emitted.length);
}

const emitted = new Element();

/** Puts an integer entry's value into `int64`. */
export function readInteger(bytes: Uint8Array, at: number): void {
  const tag = bytes[at];
  let value: number;
  if (tag < 0x80) {
    value = tag;
  } else if (tag < 0xe0) {
    value = ((((tag & 31) << 8) | bytes[at + 1]) << 19) >> 19;
  } else if (tag === INTEGER_16) {
    value = ((bytes[at + 1] | (bytes[at + 2] << 8)) << 16) >> 16;
  } else if (tag === INTEGER_24) {
    value = ((bytes[at + 1] | (bytes[at + 2] << 8) | (bytes[at + 3] << 16)) << 8) >> 8;
  } else {
    value = readInt32(bytes, at + 1);
  }
  int64.low = value;
  int64.high = tag === INTEGER_64 ? readInt32(bytes, at + 5) : value >> 31;
}

/**
 * Looks for an element from `from` on, comparing one entry and passing over `skip` (a hash has its values between).
 * @returns the entry, -1 when there is none.
 */
export function find(
  bytes: Uint8Array,
  from: number,
  skip: number,
  wanted: Uint8Array,
  offset: number,
  length: number,
): number {
  const wantsInteger = parseInt64(wanted, offset, length);
  const { high, low } = int64;
  for (let at = from; at !== -1 && bytes[at] !== END; ) {
    if (isInteger(bytes, at)) {
      if (wantsInteger) {
        readInteger(bytes, at);
        if (int64.low === low && int64.high === high) return at;
      }
    } else if (stringEquals(bytes, at, wanted, offset, length)) {
      return at;
    }
    at += entryBytes(bytes, at);
    for (let i = 0; i < skip; i++) at += entryBytes(bytes, at);
  }
  return -1;
}

/** Whether the entry is this element. */
export function equals(bytes: Uint8Array, at: number, wanted: Uint8Array, offset: number, length: number): boolean {
  if (!isInteger(bytes, at)) return stringEquals(bytes, at, wanted, offset, length);
  if (!parseInt64(wanted, offset, length)) return false;
  const { high, low } = int64;
  readInteger(bytes, at);
  return int64.low === low && int64.high === high;
}

function stringEquals(bytes: Uint8Array, at: number, wanted: Uint8Array, offset: number, length: number): boolean {
  const tag = bytes[at];
  let start: number;
  let size: number;
  if (tag < 0xc0) {
    start = at + 1;
    size = tag & 63;
  } else if (tag < 0xf0) {
    start = at + 2;
    size = ((tag & 15) << 8) | bytes[at + 1];
  } else {
    start = at + 5;
    size = readInt32(bytes, at + 1);
  }
  if (size !== length) return false;
  for (let i = 0; i < size; i++) if (bytes[start + i] !== wanted[offset + i]) return false;
  return true;
}

// ---- writing ----

// The planned entry: chosen by `plan`, written by `insert` and `replace`.
let plannedTag = 0;
let plannedBody = 0;
let plannedHigh = 0;
let plannedLow = 0;

/** Chooses the encoding of an element. @returns the bytes that its entry takes. */
export function plan(source: Uint8Array, offset: number, length: number): number {
  if (parseInt64(source, offset, length)) {
    planInteger(int64.high, int64.low);
  } else if (length < 64) {
    plannedTag = 0x80 | length;
    plannedBody = 1 + length;
  } else if (length < 4096) {
    plannedTag = 0xe0 | (length >> 8);
    plannedBody = 2 + length;
  } else {
    plannedTag = STRING_32;
    plannedBody = 5 + length;
  }
  return plannedBody + backLengthBytes(plannedBody);
}

function planInteger(high: number, low: number): void {
  plannedHigh = high;
  plannedLow = low;
  if (high !== low >> 31) {
    plannedTag = INTEGER_64;
    plannedBody = 9;
  } else if (low >= 0 && low <= 127) {
    plannedTag = low;
    plannedBody = 1;
  } else if (low >= -4096 && low <= 4095) {
    plannedTag = 0xc0 | ((low >> 8) & 31);
    plannedBody = 2;
  } else if (low >= -32768 && low <= 32767) {
    plannedTag = INTEGER_16;
    plannedBody = 3;
  } else if (low >= -8388608 && low <= 8388607) {
    plannedTag = INTEGER_24;
    plannedBody = 4;
  } else {
    plannedTag = INTEGER_32;
    plannedBody = 5;
  }
}

function writePlanned(bytes: Uint8Array, at: number, source: Uint8Array, offset: number, length: number): void {
  const tag = plannedTag;
  bytes[at] = tag;
  if (tag >= 0x80 && tag < 0xc0) {
    copyBytes(bytes, at + 1, source, offset, length);
  } else if (tag >= 0xe0 && tag < 0xf0) {
    bytes[at + 1] = length;
    copyBytes(bytes, at + 2, source, offset, length);
  } else if (tag === STRING_32) {
    writeInt32LE(bytes, at + 1, length);
    copyBytes(bytes, at + 5, source, offset, length);
  } else {
    let rest = plannedLow;
    const low = Math.min(plannedBody, 5);
    for (let i = 1; i < low; i++, rest >>= 8) bytes[at + i] = rest;
    if (tag === INTEGER_64) writeInt32LE(bytes, at + 5, plannedHigh);
  }
  writeBackLength(bytes, at + plannedBody, plannedBody);
}

/** Bytes that the entry of an integer takes. */
export function integerBytes(high: number, low: number): number {
  planInteger(high, low);
  return plannedBody + backLengthBytes(plannedBody);
}

/** As `append`, for an integer. */
export function appendInteger(bytes: Uint8Array, base: number, high: number, low: number): void {
  insertPlanned(bytes, base, end(bytes, base), integerBytes(high, low), bytes, 0, 0);
}

/** As `replace`, for an integer. */
export function replaceInteger(bytes: Uint8Array, base: number, at: number, high: number, low: number): void {
  replacePlanned(bytes, base, at, integerBytes(high, low), bytes, 0, 0);
}

/**
 * Inserts an element before the entry (or end mark) at `at`. There must be room for what `plan` said behind the end,
 * and the element must not lie in this listpack.
 */
export function insert(
  bytes: Uint8Array,
  base: number,
  at: number,
  source: Uint8Array,
  offset: number,
  length: number,
): void {
  insertPlanned(bytes, base, at, plan(source, offset, length), source, offset, length);
}

function insertPlanned(
  bytes: Uint8Array,
  base: number,
  at: number,
  size: number,
  source: Uint8Array,
  offset: number,
  length: number,
): void {
  const total = readInt32(bytes, base);
  const stop = base + total;
  if (at === stop - 1) bytes[at + size] = END;
  else bytes.copyWithin(at + size, at, stop);
  writePlanned(bytes, at, source, offset, length);
  writeInt32LE(bytes, base, total + size);
  addToCount(bytes, base, 1);
}

export function append(bytes: Uint8Array, base: number, source: Uint8Array, offset: number, length: number): void {
  insert(bytes, base, end(bytes, base), source, offset, length);
}

/** As `append`, of the element that was planned last. @param size what `plan` said. */
export function appendPlanned(
  bytes: Uint8Array,
  base: number,
  size: number,
  source: Uint8Array,
  offset: number,
  length: number,
): void {
  insertPlanned(bytes, base, end(bytes, base), size, source, offset, length);
}

/**
 * Puts the element that was planned last before the first entry, moving none: the listpack, which starts at `base + size`
 * now, will start at `base`.
 * @param size what `plan` said.
 */
export function prependPlanned(
  bytes: Uint8Array,
  base: number,
  size: number,
  source: Uint8Array,
  offset: number,
  length: number,
): void {
  moveHeader(bytes, base + size, base, size, 1);
  writePlanned(bytes, base + HEADER_BYTES, source, offset, length);
}

/** Deletes the first entries, moving none: the listpack will start at `base + size`. @param size bytes that they take. */
export function cutFront(bytes: Uint8Array, base: number, size: number, entries: number): void {
  moveHeader(bytes, base, base + size, -size, -entries);
}

function moveHeader(bytes: Uint8Array, from: number, to: number, size: number, entries: number): void {
  const total = readInt32(bytes, from);
  const known = bytes[from + 4] | (bytes[from + 5] << 8);
  writeInt32LE(bytes, to, total + size);
  writeCount(bytes, to, known === COUNT_UNKNOWN ? known : known + entries);
}

/** Puts an element in an entry's place; the room must hold what it takes beyond the old one. */
export function replace(
  bytes: Uint8Array,
  base: number,
  at: number,
  source: Uint8Array,
  offset: number,
  length: number,
): void {
  replacePlanned(bytes, base, at, plan(source, offset, length), source, offset, length);
}

function replacePlanned(
  bytes: Uint8Array,
  base: number,
  at: number,
  size: number,
  source: Uint8Array,
  offset: number,
  length: number,
): void {
  const old = entryBytes(bytes, at);
  const total = readInt32(bytes, base);
  if (size !== old) {
    bytes.copyWithin(at + size, at + old, base + total);
    writeInt32LE(bytes, base, total + size - old);
  }
  writePlanned(bytes, at, source, offset, length);
}

/** Deletes one entry; what was behind it is then at `at`. */
export function remove(bytes: Uint8Array, base: number, at: number): void {
  removeRange(bytes, base, at, at + entryBytes(bytes, at), 1);
}

/** Deletes the `entries` entries in [from, to). */
export function removeRange(bytes: Uint8Array, base: number, from: number, to: number, entries: number): void {
  const total = readInt32(bytes, base);
  const stop = base + total;
  if (to === stop - 1) bytes[from] = END;
  else bytes.copyWithin(from, to, stop);
  writeInt32LE(bytes, base, total - (to - from));
  const known = bytes[base + 4] | (bytes[base + 5] << 8);
  if (known !== COUNT_UNKNOWN) writeCount(bytes, base, known - entries);
}

/** Where the entry `entries` further on starts, or the end mark. */
export function skip(bytes: Uint8Array, at: number, entries: number): number {
  let to = at;
  for (let i = 0; i < entries; i++) to += entryBytes(bytes, to);
  return to;
}

/** Appends the `entries` entries in [from, to) of another listpack as they are; the room must be there. */
export function appendRange(
  bytes: Uint8Array,
  base: number,
  other: Uint8Array,
  from: number,
  to: number,
  entries: number,
): void {
  const total = readInt32(bytes, base);
  const at = base + total - 1;
  copyBytes(bytes, at, other, from, to - from);
  bytes[at + to - from] = END;
  writeInt32LE(bytes, base, total + to - from);
  addToCount(bytes, base, entries);
}

/**
 * Whether the bytes are a whole, well-formed listpack: for blobs that come from outside.
 * @param elementsMultipleOf 2 for pairs.
 */
export function isValid(bytes: Uint8Array, base: number, length: number, elementsMultipleOf: number): boolean {
  if (length < EMPTY_BYTES || readInt32(bytes, base) !== length || bytes[base + length - 1] !== END) return false;
  const stop = base + length - 1;
  let at = base + HEADER_BYTES;
  let entries = 0;
  while (at < stop) {
    const tag = bytes[at];
    if (tag > INTEGER_64 || stop - at < (tag === STRING_32 ? 5 : tag < 0xe0 ? 1 : 2)) return false;
    const body = bodyBytes(bytes, at);
    if (body < 0 || body > stop - at - backLengthBytes(body)) return false;
    const behind = at + body + backLengthBytes(body);
    if (prevChecked(bytes, base, behind) !== at) return false;
    at = behind;
    entries++;
  }
  const known = bytes[base + 4] | (bytes[base + 5] << 8);
  return (known === COUNT_UNKNOWN || known === entries) && entries % elementsMultipleOf === 0;
}

function prevChecked(bytes: Uint8Array, base: number, at: number): number {
  for (let i = 1; i <= 5; i++) {
    if ((bytes[at - i] & 128) === 0) return prev(bytes, base, at);
  }
  return -1;
}
