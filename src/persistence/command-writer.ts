// The dataset as the commands that make it: the base of an append-only file with `aof-use-rdb-preamble no`. Elements go
// 64 to a command, as in Redis. Imported by dataset-files.ts.
import type { Database } from '../core/database.ts';
import type { Keyspace } from '../core/keyspace.ts';
import type { Collection } from '../data/collection.ts';
import { EntryList } from '../data/dict.ts';
import { Element } from '../data/element.ts';
import { Hash } from '../data/hash.ts';
import { List, ListCursor } from '../data/list.ts';
import * as listpack from '../data/listpack.ts';
import { formatDouble } from '../data/number-format.ts';
import { SetValue } from '../data/set.ts';
import { SortedSet } from '../data/sorted-set.ts';
import { Stream } from '../data/stream.ts';
import { TYPE_STRING } from '../data/value-type.ts';
import { beginBulk, bulk, endBulk, header, text } from './command-words.ts';
import {
  type DatasetFormat,
  isSliced,
  rawSlices,
  type Saving,
  SLICE_ELEMENTS,
  SliceSaving,
  type Slices,
  StreamSaving,
} from './dataset-format.ts';
import { ListSaving, type NodeWriter, type Range } from './list-saving.ts';
import type { RdbOutput } from './rdb-output.ts';
import { streamSlices } from './stream-command-writer.ts';
import { StringSaving } from './string-saving.ts';
import { type ElementWriter, TableSaving } from './table-saving.ts';

/** Elements of one command. */
const ITEMS_MAX = 64;

const element = new Element();

/** Key and expiry of the entry that is written. */
interface Key {
  readonly bytes: Uint8Array;
  readonly expiry: number;
}

export class CommandFormat implements DatasetFormat {
  readonly #timestamp: number;

  /** @param timestamp Unix time, seconds, for `aof-timestamp-enabled`; 0: none. */
  constructor(timestamp: number) {
    this.#timestamp = timestamp;
  }

  begin(out: RdbOutput, keyspace: Keyspace): void {
    if (this.#timestamp > 0) out.latin1(`#TS:${this.#timestamp}\r\n`);
    for (const code of keyspace.functions?.codes() ?? []) {
      header(out, 3);
      text(out, 'FUNCTION');
      text(out, 'LOAD');
      bulk(out, code, 0, code.length);
    }
    for (const [, commands] of keyspace.moduleStates?.states() ?? []) out.raw(commands, 0, commands.length);
  }

  database(out: RdbOutput, index: number): void {
    header(out, 2);
    text(out, 'SELECT');
    text(out, String(index));
  }

  entry(out: RdbOutput, db: Database, entry: number): void {
    const saving = this.open(out, db, entry, false);
    if (saving !== null) while (saving.step());
  }

  open(out: RdbOutput, db: Database, entry: number, live = true): Saving | null {
    const key = { bytes: db.keyOf(entry), expiry: db.expiryOf(entry) };
    if (db.typeOf(entry) !== TYPE_STRING) {
      const value = db.collectionOf(entry);
      if (live && value instanceof List && isSliced(value.length, value.nodeBytes)) {
        return new ListSaving(out, value, new CommandNodes(key));
      }
      if (live && value instanceof Stream) {
        return new StreamSaving(out, value, function* (to, stream) {
          yield* streamSlices(to, key.bytes, stream);
          writeExpiry(to, key);
        });
      }
      const table = value instanceof List || value instanceof Stream ? null : (value as Tabled).table;
      if (!live || table === null || !isSliced(value.length, table.memory)) {
        return new SliceSaving(out, collectionSlices(out, key, value));
      }
      return new TableSaving(out, table, new CommandElements(key, value as Tabled), null);
    }
    return openString(out, db, entry, key, live);
  }

  end(): void {}
}

function openString(out: RdbOutput, db: Database, entry: number, key: Key, live: boolean): Saving | null {
  const length = db.valueLength(entry);
  header(out, 3);
  text(out, 'SET');
  bulk(out, key.bytes, 0, key.bytes.length);
  if (live && isSliced(1, length)) {
    beginBulk(out, length);
    return new StringSaving(out, db.dict, entry, (to) => {
      endBulk(to);
      writeExpiry(to, key);
    });
  }
  bulk(out, db.bytesOf(entry), db.valueOffset(entry), length);
  writeExpiry(out, key);
  return null;
}

function writeExpiry(out: RdbOutput, key: Key): void {
  if (key.expiry === -1) return;
  header(out, 3);
  text(out, 'PEXPIREAT');
  bulk(out, key.bytes, 0, key.bytes.length);
  text(out, String(key.expiry));
}

function* collectionSlices(out: RdbOutput, key: Key, value: Collection): Slices {
  if (value instanceof List) yield* listSlices(out, key, value);
  else if (value instanceof Stream) yield* streamSlices(out, key.bytes, value);
  else {
    const elements = new CommandElements(key, value as Tabled);
    const found = new EntryList();
    for (let position = 0; position !== -1; ) {
      position = (value as Tabled).walk(position, found);
      if (position !== -1 && found.length < SLICE_ELEMENTS) continue;
      elements.elements(out, found);
      found.length = 0;
      if (position !== -1) yield;
    }
    elements.end(out);
    return;
  }
  writeExpiry(out, key);
}

/** Nodes of a list as commands. */
class CommandNodes implements NodeWriter {
  readonly #key: Key;

  constructor(key: Key) {
    this.#key = key;
  }

  node(out: RdbOutput, bytes: Uint8Array, offset: number, length: number, plain: boolean): void {
    if (plain) {
      begin(out, 'RPUSH', this.#key, 1);
      bulk(out, bytes, offset, length);
      return;
    }
    const count = listpack.count(bytes, offset);
    let at = listpack.first(bytes, offset);
    for (let written = 0; at !== -1; written++) {
      if (written % ITEMS_MAX === 0) begin(out, 'RPUSH', this.#key, Math.min(ITEMS_MAX, count - written));
      listpack.read(bytes, at, element);
      writeElement(out);
      at = listpack.next(bytes, at);
    }
  }

  /** Of a listpack there is but one element, when it is so long, unless a small one was replaced. */
  beginLong(out: RdbOutput, bytes: Uint8Array, offset: number, length: number, plain: boolean): Range | null {
    if (plain) element.set(bytes, offset, length);
    else if (listpack.count(bytes, offset) === 1) listpack.read(bytes, listpack.first(bytes, offset), element);
    else return null;
    begin(out, 'RPUSH', this.#key, 1);
    beginBulk(out, element.length);
    const from = element.offset - offset;
    return { from, to: from + element.length };
  }

  endLong(out: RdbOutput): void {
    endBulk(out);
  }

  end(out: RdbOutput): void {
    writeExpiry(out, this.#key);
  }
}

/** Values that have a table once they are big. */
type Tabled = Hash | SetValue | SortedSet;

/** Elements of a hash, set or sorted set as commands. */
class CommandElements implements ElementWriter {
  readonly #key: Key;
  readonly #command: string;
  readonly #wordsEach: number;
  readonly #write: (out: RdbOutput, handle: number) => void;
  /** The words of an element, later and in pieces. */
  readonly #large: (handle: number) => (out: RdbOutput) => Slices;

  constructor(key: Key, value: Tabled) {
    this.#key = key;
    if (value instanceof SetValue) {
      this.#command = 'SADD';
      this.#wordsEach = 1;
      this.#write = (out, handle) => {
        value.member(handle, element);
        writeElement(out);
      };
      this.#large = (handle) => (out) => bulkSlices(out, () => value.member(handle, element));
    } else if (value instanceof SortedSet) {
      this.#command = 'ZADD';
      this.#wordsEach = 2;
      this.#write = (out, handle) => {
        text(out, formatDouble(value.entryScore(handle)));
        value.entryMember(handle, element);
        writeElement(out);
      };
      this.#large = (handle) => {
        const score = formatDouble(value.entryScore(handle));
        return function* (out) {
          text(out, score);
          yield* bulkSlices(out, () => value.entryMember(handle, element));
        };
      };
    } else if (value instanceof Hash) {
      this.#command = 'HMSET';
      this.#wordsEach = 2;
      this.#write = (out, handle) => {
        value.field(handle, element);
        writeElement(out);
        value.value(handle, element);
        writeElement(out);
      };
      this.#large = (handle) =>
        function* (out) {
          yield* bulkSlices(out, () => value.field(handle, element));
          yield* bulkSlices(out, () => value.value(handle, element));
        };
    } else throw new Error(`assert: type ${(value as Collection).type} cannot be written as commands`);
  }

  elements(out: RdbOutput, handles: EntryList): void {
    const { length } = handles;
    for (let i = 0; i < length; i++) {
      if (i % ITEMS_MAX === 0) begin(out, this.#command, this.#key, Math.min(ITEMS_MAX, length - i) * this.#wordsEach);
      this.#write(out, handles.refs[i]);
    }
  }

  large(handle: number): (out: RdbOutput) => Slices {
    const words = this.#large(handle);
    const [command, key, wordsEach] = [this.#command, this.#key, this.#wordsEach];
    return function* (out) {
      begin(out, command, key, wordsEach);
      yield* words(out);
    };
  }

  end(out: RdbOutput): void {
    writeExpiry(out, this.#key);
  }
}

function* listSlices(out: RdbOutput, key: Key, list: List): Slices {
  const cursor = new ListCursor();
  let more = list.seekHead(cursor);
  for (let written = 0; more; written++) {
    if (written % ITEMS_MAX === 0) {
      if (written > 0) yield;
      begin(out, 'RPUSH', key, Math.min(ITEMS_MAX, list.length - written));
    }
    list.read(cursor, element);
    writeElement(out);
    more = list.next(cursor);
  }
}

/** Command, key, and as many words to come. */
function begin(out: RdbOutput, command: string, key: Key, words: number): void {
  header(out, words + 2);
  text(out, command);
  bulk(out, key.bytes, 0, key.bytes.length);
}

/** @param read sets the element to the word. */
function* bulkSlices(out: RdbOutput, read: () => void): Slices {
  read();
  beginBulk(out, element.length);
  yield* rawSlices(out, element, read);
  endBulk(out);
}

function writeElement(out: RdbOutput): void {
  bulk(out, element.bytes, element.offset, element.length);
}
