// Values as RDB carries them. Packed values are written as the blobs they are, tables element by element. Imported by
// the snapshot and by DUMP. A big table is written in slices, so that a save in the background never takes long at once.
import type { Database } from '../core/database.ts';
import type { Collection } from '../data/collection.ts';
import { EntryList } from '../data/dict.ts';
import { Element } from '../data/element.ts';
import { Hash } from '../data/hash.ts';
import { List } from '../data/list.ts';
import { SetValue } from '../data/set.ts';
import { SortedSet } from '../data/sorted-set.ts';
import { Stream } from '../data/stream.ts';
import { TYPE_STRING } from '../data/value-type.ts';
import type { Slices } from './dataset-format.ts';
import {
  NODE_PACKED,
  NODE_PLAIN,
  RDB_HASH,
  RDB_HASH_LISTPACK,
  RDB_LIST_QUICKLIST_2,
  RDB_SET,
  RDB_SET_INTSET,
  RDB_STREAM_LISTPACKS_2,
  RDB_STRING,
  RDB_ZSET_2,
  RDB_ZSET_LISTPACK,
} from './rdb-format.ts';
import type { RdbOutput } from './rdb-output.ts';
import { streamSlices } from './rdb-stream-writer.ts';

const element = new Element();

/** The type byte of an entry's value. */
export function rdbTypeOf(db: Database, entry: number): number {
  return db.typeOf(entry) === TYPE_STRING ? RDB_STRING : collectionType(db.collectionOf(entry));
}

function collectionType(value: Collection): number {
  if (value instanceof List) return RDB_LIST_QUICKLIST_2;
  if (value instanceof SetValue) return value.isIntset ? RDB_SET_INTSET : RDB_SET;
  if (value instanceof SortedSet) return value.isListpack ? RDB_ZSET_LISTPACK : RDB_ZSET_2;
  if (value instanceof Hash) return value.isListpack ? RDB_HASH_LISTPACK : RDB_HASH;
  if (value instanceof Stream) return RDB_STREAM_LISTPACKS_2;
  throw new Error(`assert: type ${value.type} cannot be saved`);
}

/** Elements between two pauses. */
const SLICE_ELEMENTS = 256;
/** Strings above this are written as they are when they are written in slices: compression cannot pause. */
const SLICE_STRING_BYTES = 256 * 1024;

/** Writes the value behind its type byte, whole. */
export function writeValue(out: RdbOutput, db: Database, entry: number): void {
  if (db.typeOf(entry) === TYPE_STRING) {
    out.string(db.bytesOf(entry), db.valueOffset(entry), db.valueLength(entry));
    return;
  }
  const slices = startCollection(out, db.collectionOf(entry));
  if (slices !== null) while (slices.next().done !== true);
}

/** Begins to write the value behind its type byte. @returns null when it is written, or the rest of it. */
export function startValue(out: RdbOutput, db: Database, entry: number): Slices | null {
  if (db.typeOf(entry) !== TYPE_STRING) return startCollection(out, db.collectionOf(entry));
  const length = db.valueLength(entry);
  if (length > SLICE_STRING_BYTES) return stringSlices(out, db.bytesOf(entry), db.valueOffset(entry), length);
  out.string(db.bytesOf(entry), db.valueOffset(entry), length);
  return null;
}

function startCollection(out: RdbOutput, value: Collection): Slices | null {
  if (value instanceof List) return listSlices(out, value);
  if (value instanceof SetValue) return value.intsetBlob(element) ? writeElement(out) : setSlices(out, value);
  if (value instanceof SortedSet) return value.listpackBlob(element) ? writeElement(out) : zsetSlices(out, value);
  if (value instanceof Stream) return streamSlices(out, value);
  const hash = value as Hash;
  return hash.listpackBlob(element) ? writeElement(out) : hashSlices(out, hash);
}

function* stringSlices(out: RdbOutput, bytes: Uint8Array, offset: number, length: number): Slices {
  out.size(length);
  for (let at = 0; at < length; at += SLICE_STRING_BYTES) {
    out.raw(bytes, offset + at, Math.min(SLICE_STRING_BYTES, length - at));
    yield;
  }
}

function writeElement(out: RdbOutput): null {
  out.string(element.bytes, element.offset, element.length);
  return null;
}

function* listSlices(out: RdbOutput, list: List): Slices {
  out.size(list.nodes);
  for (let node = list.head; node !== 0; node = list.nextNode(node)) {
    if (node !== list.head) yield;
    out.size(list.isPlain(node) ? NODE_PLAIN : NODE_PACKED);
    out.string(list.arena.bytesOf(node), list.payloadOf(node), list.payloadBytes(node));
  }
}

function* setSlices(out: RdbOutput, set: SetValue): Slices {
  out.size(set.length);
  const found = new EntryList();
  for (let position = 0; position !== -1; ) {
    position = walkSlice(position, found, (from) => set.walk(from, found));
    for (let i = 0; i < found.length; i++) {
      set.member(found.refs[i], element);
      writeElement(out);
    }
    if (position !== -1) yield;
  }
}

function* hashSlices(out: RdbOutput, hash: Hash): Slices {
  out.size(hash.length);
  const found = new EntryList();
  for (let position = 0; position !== -1; ) {
    position = walkSlice(position, found, (from) => hash.walk(from, found));
    for (let i = 0; i < found.length; i++) {
      hash.field(found.refs[i], element);
      writeElement(out);
      hash.value(found.refs[i], element);
      writeElement(out);
    }
    if (position !== -1) yield;
  }
}

/** Gathers some elements. @returns where to go on, -1: that was all. */
function walkSlice(from: number, found: EntryList, step: (position: number) => number): number {
  found.length = 0;
  let position = from;
  while (position !== -1 && found.length < SLICE_ELEMENTS) position = step(position);
  return position;
}

function* zsetSlices(out: RdbOutput, zset: SortedSet): Slices {
  out.size(zset.length);
  let written = 0;
  // From the highest on, so that loading inserts at the head each time.
  for (let node = zset.last(); node !== 0; node = zset.previous(node)) {
    zset.member(node, element);
    writeElement(out);
    out.double(zset.score(node));
    if (++written % SLICE_ELEMENTS === 0) yield;
  }
}
