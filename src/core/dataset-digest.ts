// DEBUG DIGEST: a hash of values and of the whole dataset that does not depend on the order in which tables hold
// their entries. The figures are Redis's own, so two servers can be compared, ours with redis-server too.
import { createHash } from 'node:crypto';
import { EntryList } from '../data/dict.ts';
import { Element } from '../data/element.ts';
import { Hash } from '../data/hash.ts';
import { List } from '../data/list.ts';
import { formatDouble } from '../data/number-format.ts';
import { SetValue } from '../data/set.ts';
import { SortedSet } from '../data/sorted-set.ts';
import { Stream, StreamWalker } from '../data/stream.ts';
import { TYPE_STRING } from '../data/value-type.ts';
import type { Database } from './database.ts';
import type { Keyspace } from './keyspace.ts';

const DIGEST_BYTES = 20;

export class Digest {
  readonly bytes = new Uint8Array(DIGEST_BYTES);

  /** Adds data whose place does not matter. */
  xor(data: Uint8Array, offset = 0, length = data.length): void {
    const hash = createHash('sha1')
      .update(data.subarray(offset, offset + length))
      .digest();
    for (let i = 0; i < DIGEST_BYTES; i++) this.bytes[i] ^= hash[i];
  }

  /** Adds data whose place matters. */
  mix(data: Uint8Array, offset = 0, length = data.length): void {
    this.xor(data, offset, length);
    this.bytes.set(createHash('sha1').update(this.bytes).digest());
  }

  reset(): void {
    this.bytes.fill(0);
  }

  hex(): string {
    return Buffer.from(this.bytes).toString('hex');
  }
}

/** A collection of a type that this file does not know takes part by itself. */
export interface Digestible {
  addTo(digest: Digest): void;
}

const element = new Element();
const handles = new EntryList();
const part = new Digest();

function bigEndian(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function mixElement(digest: Digest): void {
  digest.mix(element.bytes, element.offset, element.length);
}

/** Mixes an entry's value and whether it expires into `digest`. */
export function digestValue(digest: Digest, db: Database, entry: number): void {
  const type = db.typeOf(entry);
  digest.mix(bigEndian(type));
  if (type === TYPE_STRING) digest.mix(db.bytesOf(entry), db.valueOffset(entry), db.valueLength(entry));
  else {
    const value = db.collectionOf(entry);
    if (value instanceof List) {
      value.emit(0, value.length, { bulk: (bytes, offset, length) => digest.mix(bytes, offset, length) });
    } else if (value instanceof SetValue) digestSet(digest, value);
    else if (value instanceof SortedSet) digestSortedSet(digest, value);
    else if (value instanceof Hash) digestHash(digest, value);
    else if (value instanceof Stream) digestStream(digest, value);
    else (value as unknown as Partial<Digestible>).addTo?.(digest);
  }
  if (db.expiryOf(entry) !== -1) digest.xor(EXPIRES);
}

const EXPIRES = Buffer.from('!!expire!!', 'latin1');

function digestSet(digest: Digest, set: SetValue): void {
  forEachHandle(set, (handle) => {
    set.member(handle, element);
    digest.xor(element.bytes, element.offset, element.length);
  });
}

function digestSortedSet(digest: Digest, zset: SortedSet): void {
  for (let node = zset.first(); node !== 0; node = zset.next(node)) {
    part.reset();
    zset.member(node, element);
    mixElement(part);
    part.mix(Buffer.from(formatDouble(zset.score(node)), 'latin1'));
    digest.xor(part.bytes);
  }
}

function digestHash(digest: Digest, hash: Hash): void {
  forEachHandle(hash, (handle) => {
    part.reset();
    hash.field(handle, element);
    mixElement(part);
    hash.value(handle, element);
    mixElement(part);
    digest.xor(part.bytes);
  });
}

/** Entries only: groups take no part. */
function digestStream(digest: Digest, stream: Stream): void {
  const walk = new StreamWalker().begin(stream, null, null, false);
  while (walk.next()) {
    digest.mix(Buffer.from(walk.id.toString().replace('-', '.'), 'latin1'));
    walk.emit({ bulk: (bytes, offset, length) => digest.mix(bytes, offset, length) });
  }
}

function forEachHandle(value: SetValue | Hash, visit: (handle: number) => void): void {
  for (let position = 0; position !== -1; ) {
    handles.length = 0;
    position = value.walk(position, handles);
    for (let i = 0; i < handles.length; i++) visit(handles.refs[i]);
  }
}

/** Hexadecimal digest of all databases. */
export function datasetDigest(keyspace: Keyspace): string {
  const total = new Digest();
  const one = new Digest();
  const entries = new EntryList();
  for (const db of keyspace.databases) {
    if (db.size === 0) continue;
    total.mix(bigEndian(db.index));
    for (let index = 0; index < db.dict.bucketCount; index++) {
      entries.length = 0;
      db.dict.bucketEntries(index, entries);
      for (let i = 0; i < entries.length; i++) {
        const entry = entries.refs[i];
        one.reset();
        one.mix(db.bytesOf(entry), db.keyOffset(entry), db.keyLength(entry));
        digestValue(one, db, entry);
        total.xor(one.bytes);
      }
    }
  }
  return total.hex();
}
