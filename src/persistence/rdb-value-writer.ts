// Values as RDB carries them. Packed values are written as the blobs they are, tables element by element. Imported by
// the snapshot and by DUMP.
import type { Database } from '../core/database.ts';
import type { Collection } from '../data/collection.ts';
import { EntryList } from '../data/dict.ts';
import { Element } from '../data/element.ts';
import { Hash } from '../data/hash.ts';
import { List } from '../data/list.ts';
import { SetValue } from '../data/set.ts';
import { SortedSet } from '../data/sorted-set.ts';
import { TYPE_STRING } from '../data/value-type.ts';
import {
  NODE_PACKED,
  NODE_PLAIN,
  RDB_HASH,
  RDB_HASH_LISTPACK,
  RDB_LIST_QUICKLIST_2,
  RDB_SET,
  RDB_SET_INTSET,
  RDB_STRING,
  RDB_ZSET_2,
  RDB_ZSET_LISTPACK,
} from './rdb-format.ts';
import type { RdbOutput } from './rdb-output.ts';

const element = new Element();
const handles = new EntryList();

/** The type byte of an entry's value. */
export function rdbTypeOf(db: Database, entry: number): number {
  return db.typeOf(entry) === TYPE_STRING ? RDB_STRING : collectionType(db.collectionOf(entry));
}

function collectionType(value: Collection): number {
  if (value instanceof List) return RDB_LIST_QUICKLIST_2;
  if (value instanceof SetValue) return value.isIntset ? RDB_SET_INTSET : RDB_SET;
  if (value instanceof SortedSet) return value.isListpack ? RDB_ZSET_LISTPACK : RDB_ZSET_2;
  if (value instanceof Hash) return value.isListpack ? RDB_HASH_LISTPACK : RDB_HASH;
  throw new Error(`assert: type ${value.type} cannot be saved`);
}

/** Writes the value behind its type byte. */
export function writeValue(out: RdbOutput, db: Database, entry: number): void {
  if (db.typeOf(entry) === TYPE_STRING) {
    out.string(db.bytesOf(entry), db.valueOffset(entry), db.valueLength(entry));
    return;
  }
  const value = db.collectionOf(entry);
  if (value instanceof List) writeList(out, value);
  else if (value instanceof SetValue) writeSet(out, value);
  else if (value instanceof SortedSet) writeSortedSet(out, value);
  else writeHash(out, value as Hash);
}

function writeElement(out: RdbOutput): void {
  out.string(element.bytes, element.offset, element.length);
}

function writeList(out: RdbOutput, list: List): void {
  out.size(list.nodes);
  for (let node = list.head; node !== 0; node = list.nextNode(node)) {
    out.size(list.isPlain(node) ? NODE_PLAIN : NODE_PACKED);
    out.string(list.arena.bytesOf(node), list.payloadOf(node), list.payloadBytes(node));
  }
}

function writeSet(out: RdbOutput, set: SetValue): void {
  if (set.intsetBlob(element)) {
    writeElement(out);
    return;
  }
  out.size(set.length);
  walk(
    (position) => set.walk(position, handles),
    (handle) => {
      set.member(handle, element);
      writeElement(out);
    },
  );
}

function writeSortedSet(out: RdbOutput, zset: SortedSet): void {
  if (zset.listpackBlob(element)) {
    writeElement(out);
    return;
  }
  out.size(zset.length);
  // From the highest on, so that loading inserts at the head each time.
  for (let node = zset.last(); node !== 0; node = zset.previous(node)) {
    zset.member(node, element);
    writeElement(out);
    out.double(zset.score(node));
  }
}

function writeHash(out: RdbOutput, hash: Hash): void {
  if (hash.listpackBlob(element)) {
    writeElement(out);
    return;
  }
  out.size(hash.length);
  walk(
    (position) => hash.walk(position, handles),
    (handle) => {
      hash.field(handle, element);
      writeElement(out);
      hash.value(handle, element);
      writeElement(out);
    },
  );
}

function walk(step: (position: number) => number, onHandle: (handle: number) => void): void {
  for (let position = 0; position !== -1; ) {
    handles.length = 0;
    position = step(position);
    for (let i = 0; i < handles.length; i++) onHandle(handles.refs[i]);
  }
}
