// The dataset as the commands that make it: the base of an append-only file with `aof-use-rdb-preamble no`. Elements go
// 64 to a command, as in Redis. Imported by dataset-files.ts.
import type { Database } from '../core/database.ts';
import type { Keyspace } from '../core/keyspace.ts';
import type { Collection } from '../data/collection.ts';
import { EntryList } from '../data/dict.ts';
import { Element } from '../data/element.ts';
import { Hash } from '../data/hash.ts';
import { List, ListCursor } from '../data/list.ts';
import { formatDouble } from '../data/number-format.ts';
import { SetValue } from '../data/set.ts';
import { SortedSet } from '../data/sorted-set.ts';
import { Stream } from '../data/stream.ts';
import { TYPE_STRING } from '../data/value-type.ts';
import { bulk, header, text } from './command-words.ts';
import type { DatasetFormat, Slices } from './dataset-format.ts';
import type { RdbOutput } from './rdb-output.ts';
import { streamSlices } from './stream-command-writer.ts';

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

  entry(out: RdbOutput, db: Database, entry: number): Slices | null {
    const key = { bytes: db.keyOf(entry), expiry: db.expiryOf(entry) };
    if (db.typeOf(entry) !== TYPE_STRING) return collectionSlices(out, key, db.collectionOf(entry));
    header(out, 3);
    text(out, 'SET');
    bulk(out, key.bytes, 0, key.bytes.length);
    bulk(out, db.bytesOf(entry), db.valueOffset(entry), db.valueLength(entry));
    writeExpiry(out, key);
    return null;
  }

  end(): void {}
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
  else if (value instanceof SetValue)
    yield* walkSlices(out, key, 'SADD', value, 1, (handle) => {
      value.member(handle, element);
      writeElement(out);
    });
  else if (value instanceof SortedSet)
    yield* walkSlices(out, key, 'ZADD', value, 2, (handle) => {
      text(out, formatDouble(value.entryScore(handle)));
      value.entryMember(handle, element);
      writeElement(out);
    });
  else if (value instanceof Hash)
    yield* walkSlices(out, key, 'HMSET', value, 2, (handle) => {
      value.field(handle, element);
      writeElement(out);
      value.value(handle, element);
      writeElement(out);
    });
  else if (value instanceof Stream) yield* streamSlices(out, key.bytes, value);
  else throw new Error(`assert: type ${value.type} cannot be written as commands`);
  writeExpiry(out, key);
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

/** Something with `length` elements that can be walked. */
interface Walkable {
  readonly length: number;
  walk(position: number, out: EntryList): number;
}

function* walkSlices(
  out: RdbOutput,
  key: Key,
  command: string,
  value: Walkable,
  wordsEach: number,
  write: (handle: number) => void,
): Slices {
  const found = new EntryList();
  let written = 0;
  for (let position = 0; position !== -1; ) {
    found.length = 0;
    position = value.walk(position, found);
    for (let i = 0; i < found.length; i++) {
      if (written % ITEMS_MAX === 0) {
        if (written > 0) yield;
        begin(out, command, key, Math.min(ITEMS_MAX, value.length - written) * wordsEach);
      }
      write(found.refs[i]);
      written++;
    }
  }
}

/** Command, key, and as many words to come. */
function begin(out: RdbOutput, command: string, key: Key, words: number): void {
  header(out, words + 2);
  text(out, command);
  bulk(out, key.bytes, 0, key.bytes.length);
}

function writeElement(out: RdbOutput): void {
  bulk(out, element.bytes, element.offset, element.length);
}
