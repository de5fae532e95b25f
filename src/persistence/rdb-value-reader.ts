// Values out of RDB, in every encoding Redis up to 7.0 wrote for lists, sets, sorted sets and hashes; streams
// are in rdb-stream-reader.ts. What is
// packed in today's form and small enough is taken over as it is, after a check; older forms are rebuilt element by
// element. Types that this server does not have are named in the error. Imported by the snapshot and by RESTORE.
import type { Arena } from '../data/arena.ts';
import type { Collection } from '../data/collection.ts';
import { EntryList } from '../data/dict.ts';
import { Element } from '../data/element.ts';
import { Hash } from '../data/hash.ts';
import * as intset from '../data/intset.ts';
import { List } from '../data/list.ts';
import * as listpack from '../data/listpack.ts';
import { parseDouble } from '../data/number-format.ts';
import { SetValue } from '../data/set.ts';
import { SortedSet } from '../data/sorted-set.ts';
import { Stream } from '../data/stream.ts';
import { TYPE_STREAM } from '../data/value-type.ts';
import { readZiplist, readZipmap } from './old-packs.ts';
import {
  NODE_PACKED,
  NODE_PLAIN,
  RDB_HASH,
  RDB_HASH_LISTPACK,
  RDB_HASH_ZIPLIST,
  RDB_HASH_ZIPMAP,
  RDB_LIST,
  RDB_LIST_QUICKLIST,
  RDB_LIST_QUICKLIST_2,
  RDB_LIST_ZIPLIST,
  RDB_MODULE,
  RDB_MODULE_2,
  RDB_SET,
  RDB_SET_INTSET,
  RDB_STREAM_LISTPACKS,
  RDB_STREAM_LISTPACKS_2,
  RDB_STREAM_LISTPACKS_3,
  RDB_ZSET,
  RDB_ZSET_2,
  RDB_ZSET_LISTPACK,
  RDB_ZSET_ZIPLIST,
} from './rdb-format.ts';
import type { RdbInput } from './rdb-input.ts';
import { fillStream } from './rdb-stream-reader.ts';

/** The settings that decide how values are kept; a Config is one. */
export interface EncodingLimits {
  readonly listMaxListpackSize: number;
  readonly hashMaxListpackEntries: number;
  readonly hashMaxListpackValue: number;
  readonly setMaxIntsetEntries: number;
  readonly zsetMaxListpackEntries: number;
  readonly zsetMaxListpackValue: number;
}

const element = new Element();
const handles = new EntryList();

/** Whether a key cannot hold this: Redis once wrote empty collections. A stream may well be empty. */
export function isVoid(value: Collection): boolean {
  return value.length === 0 && value.type !== TYPE_STREAM;
}

/**
 * Reads the value behind type byte `type`, which is not a string's. It may be void.
 * @param suspicious what is taken over as it is may hold an element twice: see `sanitize-dump-payload`.
 * @throws RdbError
 */
export function readCollection(
  input: RdbInput,
  type: number,
  arena: Arena,
  limits: EncodingLimits,
  suspicious: boolean,
): Collection {
  let value = start(type, arena, limits, input);
  try {
    value = fill(input, type, value, limits);
    if (suspicious) assertDistinct(input, value);
    return value;
  } catch (error) {
    value.release();
    throw error;
  }
}

/** @throws RdbError when a hash or sorted set that was packed has two elements of one name. */
function assertDistinct(input: RdbInput, value: Collection): void {
  if (!(value instanceof Hash || value instanceof SortedSet)) return;
  const names = new Set<string>();
  handles.length = 0;
  for (let at = 0; at !== -1; ) at = value.walk(at, handles);
  for (let i = 0; i < handles.length; i++) {
    if (value instanceof Hash) value.field(handles.refs[i], element);
    else value.entryMember(handles.refs[i], element);
    names.add(Buffer.from(element.copy()).toString('latin1'));
  }
  if (names.size < handles.length) input.fail('Listpack with duplicate elements: integrity check failed');
}

/** An empty value of the right kind. */
function start(type: number, arena: Arena, limits: EncodingLimits, input: RdbInput): Collection {
  switch (type) {
    case RDB_LIST:
    case RDB_LIST_ZIPLIST:
    case RDB_LIST_QUICKLIST:
    case RDB_LIST_QUICKLIST_2:
      return new List(arena, limits.listMaxListpackSize);
    case RDB_SET:
    case RDB_SET_INTSET:
      return new SetValue(arena);
    case RDB_ZSET:
    case RDB_ZSET_2:
    case RDB_ZSET_ZIPLIST:
    case RDB_ZSET_LISTPACK:
      return new SortedSet(arena);
    case RDB_HASH:
    case RDB_HASH_ZIPMAP:
    case RDB_HASH_ZIPLIST:
    case RDB_HASH_LISTPACK:
      return new Hash(arena);
    case RDB_STREAM_LISTPACKS:
    case RDB_STREAM_LISTPACKS_2:
    case RDB_STREAM_LISTPACKS_3:
      return new Stream(arena);
    case RDB_MODULE:
    case RDB_MODULE_2:
      return input.fail('The dump holds a value of a module, which this server does not support');
    default:
      return input.fail(`Unknown RDB encoding type ${type}`);
  }
}

/** @returns the value, or another that took its place. */
function fill(input: RdbInput, type: number, value: Collection, limits: EncodingLimits): Collection {
  if (value instanceof List) fillList(input, type, value);
  else if (value instanceof Stream) fillStream(input, type, value);
  else if (value instanceof SetValue) return fillSet(input, type, value, limits);
  else if (value instanceof SortedSet) return fillSortedSet(input, type, value, limits);
  else return fillHash(input, type, value as Hash, limits);
  return value;
}

function fillList(input: RdbInput, type: number, list: List): void {
  const push = (item: Element): void => list.pushTail(item.bytes, item.offset, item.length);
  if (type === RDB_LIST_ZIPLIST) {
    readPack(input, 'List ziplist', readZiplist, push);
    return;
  }
  for (let rest = input.count(); rest > 0; rest--) {
    if (type === RDB_LIST) {
      input.string(element);
      push(element);
    } else if (type === RDB_LIST_QUICKLIST) readPack(input, 'Ziplist', readZiplist, push);
    else readNode(input, list);
  }
}

function readNode(input: RdbInput, list: List): void {
  const container = input.count();
  if (container !== NODE_PLAIN && container !== NODE_PACKED) input.fail('Quicklist integrity check failed');
  input.string(element);
  const { bytes, offset, length } = element;
  if (length === 0) input.fail('Quicklist node without contents');
  const packed = container === NODE_PACKED;
  if (packed && !listpack.isValid(bytes, offset, length, 1)) input.fail('Listpack integrity check failed');
  // Redis 7.0 may have left an empty node; it holds nothing.
  if (packed && listpack.count(bytes, offset) === 0) return;
  list.appendNode(bytes, offset, length, !packed);
}

type PackReader = typeof readZiplist;

function readPack(input: RdbInput, what: string, read: PackReader, onElement: (item: Element) => void): void {
  input.string(element);
  if (!read(element.bytes, element.offset, element.length, onElement)) input.fail(`${what} integrity check failed`);
}

function fillSet(input: RdbInput, type: number, set: SetValue, limits: EncodingLimits): SetValue {
  const most = limits.setMaxIntsetEntries;
  if (type === RDB_SET_INTSET) {
    input.string(element);
    const { bytes, offset, length } = element;
    if (!intset.isValid(bytes, offset, length)) input.fail('Intset integrity check failed');
    const loaded = SetValue.fromIntset(set.arena, bytes, offset, length);
    set.release();
    if (loaded.length > most) loaded.toTable();
    return loaded;
  }
  const members = input.count();
  if (members > most) set.toTable();
  for (let rest = members; rest > 0; rest--) {
    input.string(element);
    if (!set.add(element.bytes, element.offset, element.length, most)) input.fail('Duplicate set members detected');
  }
  return set;
}

function fillSortedSet(input: RdbInput, type: number, zset: SortedSet, limits: EncodingLimits): SortedSet {
  if (type === RDB_ZSET_LISTPACK) {
    input.string(element);
    const { bytes, offset, length } = element;
    if (!listpack.isValid(bytes, offset, length, 2)) input.fail('Zset listpack integrity check failed');
    const loaded = SortedSet.fromListpack(zset.arena, bytes, offset, length);
    zset.release();
    if (loaded.length > limits.zsetMaxListpackEntries) loaded.toSkiplist();
    return loaded;
  }
  let longest = 0;
  zset.toSkiplist();
  const insert = (bytes: Uint8Array, offset: number, length: number, score: number): void => {
    if (Number.isNaN(score)) input.fail('Zset with NAN score detected');
    if (zset.find(bytes, offset, length) !== 0) input.fail('Duplicate zset members detected');
    zset.insert(bytes, offset, length, score);
    longest = Math.max(longest, length);
  };
  if (type === RDB_ZSET_ZIPLIST) {
    pairs(input, 'Zset ziplist', readZiplist, (member, score) => {
      insert(member, 0, member.length, parseDouble(score.bytes, score.offset, score.length));
    });
  } else {
    for (let rest = input.count(); rest > 0; rest--) {
      input.string(element);
      const member = element.copy();
      insert(member, 0, member.length, type === RDB_ZSET_2 ? input.double() : input.textDouble());
    }
  }
  if (zset.length <= limits.zsetMaxListpackEntries && longest <= limits.zsetMaxListpackValue) zset.toListpack();
  return zset;
}

function fillHash(input: RdbInput, type: number, hash: Hash, limits: EncodingLimits): Hash {
  if (type === RDB_HASH_LISTPACK) {
    input.string(element);
    const { bytes, offset, length } = element;
    if (!listpack.isValid(bytes, offset, length, 2)) input.fail('Hash listpack integrity check failed');
    const loaded = Hash.fromListpack(hash.arena, bytes, offset, length);
    hash.release();
    if (loaded.length > limits.hashMaxListpackEntries) loaded.toTable();
    return loaded;
  }
  const longest = limits.hashMaxListpackValue;
  const set = (field: Uint8Array, value: Element): void => {
    if (field.length > longest || value.length > longest) hash.toTable();
    const isNew = hash.set(field, 0, field.length, value.bytes, value.offset, value.length);
    if (!isNew) input.fail('Hash integrity check failed: duplicate fields');
  };
  if (type === RDB_HASH_ZIPMAP) pairs(input, 'Zipmap', readZipmap, set);
  else if (type === RDB_HASH_ZIPLIST) pairs(input, 'Hash ziplist', readZiplist, set);
  else {
    const fields = input.count();
    if (fields > limits.hashMaxListpackEntries) hash.toTable();
    for (let rest = fields; rest > 0; rest--) {
      input.string(element);
      const field = element.copy();
      input.string(element);
      set(field, element);
    }
  }
  if (hash.length > limits.hashMaxListpackEntries) hash.toTable();
  return hash;
}

/** Hands over the elements of a pack two by two. */
function pairs(
  input: RdbInput,
  what: string,
  read: PackReader,
  onPair: (first: Uint8Array, second: Element) => void,
): void {
  let first: Uint8Array | null = null;
  readPack(input, what, read, (item) => {
    if (first === null) first = item.copy();
    else {
      onPair(first, item);
      first = null;
    }
  });
  if (first !== null) input.fail(`${what} integrity check failed: an odd number of elements`);
}
