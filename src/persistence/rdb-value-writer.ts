// Values as RDB carries them. Packed values are written as the blobs they are, tables element by element. Imported by
// the snapshot and by DUMP. A big table is written in slices, so that a save in the background never takes long at once.
import type { Database } from '../core/database.ts';
import type { Collection } from '../data/collection.ts';
import { type Dict, EntryList } from '../data/dict.ts';
import { Element } from '../data/element.ts';
import { Hash } from '../data/hash.ts';
import { List } from '../data/list.ts';
import { SetValue } from '../data/set.ts';
import { SortedSet } from '../data/sorted-set.ts';
import { Stream } from '../data/stream.ts';
import { TYPE_STRING } from '../data/value-type.ts';
import { isSliced, rawSlices, type Saving, type Slices, StreamSaving } from './dataset-format.ts';
import { ListSaving, type NodeWriter } from './list-saving.ts';
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
import { PATIENT_COMPRESS_MAX, type RdbOutput } from './rdb-output.ts';
import { streamSlices } from './rdb-stream-writer.ts';
import { StringSaving } from './string-saving.ts';
import { type ElementWriter, TableSaving } from './table-saving.ts';

const element = new Element();

/** The type byte of an entry's value. */
export function rdbTypeOf(db: Database, entry: number): number {
  return db.typeOf(entry) === TYPE_STRING ? RDB_STRING : collectionType(db.collectionOf(entry));
}

function collectionType(value: Collection): number {
  if (value instanceof List) return RDB_LIST_QUICKLIST_2;
  if (value instanceof SetValue) return value.isPacked ? RDB_SET_INTSET : RDB_SET;
  if (value instanceof SortedSet) return value.isPacked ? RDB_ZSET_LISTPACK : RDB_ZSET_2;
  if (value instanceof Hash) return value.isPacked ? RDB_HASH_LISTPACK : RDB_HASH;
  if (value instanceof Stream) return RDB_STREAM_LISTPACKS_2;
  throw new Error(`assert: type ${value.type} cannot be saved`);
}

/** Writes the value behind its type byte, whole. */
export function writeValue(out: RdbOutput, db: Database, entry: number): void {
  if (db.typeOf(entry) === TYPE_STRING) {
    out.string(db.bytesOf(entry), db.valueOffset(entry), db.valueLength(entry));
    return;
  }
  const value = db.collectionOf(entry);
  if (value instanceof List) writeList(out, value);
  else if (value instanceof Stream) finish(streamSlices(out, value));
  else if (!writePacked(out, value)) writeTable(out, value as Hash | SetValue | SortedSet);
}

/** Begins to write the value behind its type byte. @returns null when it is written, or the rest of it. */
export function openValue(out: RdbOutput, db: Database, entry: number): Saving | null {
  if (db.typeOf(entry) === TYPE_STRING) {
    const length = db.valueLength(entry);
    if (length > PATIENT_COMPRESS_MAX) {
      out.size(length);
      return new StringSaving(out, db.dict, entry, () => {});
    }
    out.string(db.bytesOf(entry), db.valueOffset(entry), length);
    return null;
  }
  const value = db.collectionOf(entry);
  if (value instanceof List) {
    if (!isSliced(value.length, value.nodeBytes)) {
      writeList(out, value);
      return null;
    }
    out.size(value.nodes);
    return new ListSaving(out, value, nodeWriter);
  }
  if (value instanceof Stream) return new StreamSaving(out, value, streamSlices);
  if (writePacked(out, value)) return null;
  const big = value as Hash | SetValue | SortedSet;
  const table = big.table as Dict;
  if (!isSliced(big.length, table.memory)) {
    writeTable(out, big);
    return null;
  }
  out.size(big.length);
  return new TableSaving(out, table, elementWriter(big), big instanceof SortedSet ? big : null);
}

function finish(slices: Slices): void {
  while (slices.next().done !== true);
}

/** Writes a value that is one block. @returns false when it has a table instead. */
function writePacked(out: RdbOutput, value: Collection): boolean {
  const packed = (value as Hash | SetValue | SortedSet).packedBlob(element);
  if (packed) writeElement(out);
  return packed;
}

/** A sorted set from the highest member on, so that loading inserts at the head each time. */
function writeTable(out: RdbOutput, value: Hash | SetValue | SortedSet): void {
  const writer = elementWriter(value);
  const found = new EntryList();
  out.size(value.length);
  if (value instanceof SortedSet) {
    for (let node = value.last(); node !== 0; node = value.previous(node)) found.push(value.entryOf(node));
    writer.elements(out, found);
    return;
  }
  for (let position = 0; position !== -1; ) {
    found.length = 0;
    position = value.walk(position, found);
    writer.elements(out, found);
  }
}

/** Writes entries of a table. */
function elementWriter(value: Hash | SetValue | SortedSet): ElementWriter {
  if (value instanceof SetValue) {
    return {
      ...eachElement((out, handle) => {
        value.member(handle, element);
        writeElement(out);
      }),
      large: (handle) => (out) => stringSlices(out, () => value.member(handle, element)),
    };
  }
  if (value instanceof SortedSet) {
    return {
      ...eachElement((out, handle) => {
        value.entryMember(handle, element);
        writeElement(out);
        out.double(value.entryScore(handle));
      }),
      large: (handle) => {
        const score = value.entryScore(handle);
        return function* (out) {
          yield* stringSlices(out, () => value.entryMember(handle, element));
          out.double(score);
        };
      },
    };
  }
  return {
    ...eachElement((out, handle) => {
      value.field(handle, element);
      writeElement(out);
      value.value(handle, element);
      writeElement(out);
    }),
    large: (handle) =>
      function* (out) {
        yield* stringSlices(out, () => value.field(handle, element));
        yield* stringSlices(out, () => value.value(handle, element));
      },
  };
}

function eachElement(write: (out: RdbOutput, handle: number) => void): Pick<ElementWriter, 'elements' | 'end'> {
  return {
    elements(out, handles) {
      for (let i = 0; i < handles.length; i++) write(out, handles.refs[i]);
    },
    end() {},
  };
}

/** @param read sets the element to the string. */
function* stringSlices(out: RdbOutput, read: () => void): Slices {
  read();
  if (element.length <= PATIENT_COMPRESS_MAX) {
    writeElement(out);
    yield;
    return;
  }
  out.size(element.length);
  yield* rawSlices(out, element, read);
}

function writeElement(out: RdbOutput): void {
  out.string(element.bytes, element.offset, element.length);
}

function writeList(out: RdbOutput, list: List): void {
  out.size(list.nodes);
  for (let node = list.head; node !== 0; node = list.nextNode(node)) {
    const bytes = list.arena.bytesOf(node);
    nodeWriter.node(out, bytes, list.payloadOf(node), list.payloadBytes(node), list.isPlain(node));
  }
}

const nodeWriter: NodeWriter = {
  node(out, bytes, offset, length, plain) {
    out.size(plain ? NODE_PLAIN : NODE_PACKED);
    out.string(bytes, offset, length);
  },
  beginLong(out, _bytes, _offset, length, plain) {
    out.size(plain ? NODE_PLAIN : NODE_PACKED);
    out.size(length);
    return { from: 0, to: length };
  },
  endLong() {},
  end() {},
};
