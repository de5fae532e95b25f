// KEYS, SCAN and RANDOMKEY: finding keys without knowing them. generic.ts lists them.
import type { Call } from '../core/call.ts';
import { EntryList } from '../data/dict.ts';
import { globMatch } from '../data/glob.ts';
import { TYPE_NAMES } from '../data/value-type.ts';
import { scanCursor } from './collection-words.ts';

const DEFAULT_COUNT = 10;
const STAR = 42;
/** Buckets visited for each element asked for, at most: a sparse table must not stop everyone. */
const BUCKETS_PER_ELEMENT = 10;

/** What MATCH, COUNT and TYPE ask for; one record, reused. */
const scanOptions = {
  count: DEFAULT_COUNT,
  /** Word of the pattern, -1: everything matches. */
  pattern: -1,
  /** TYPE_* number, -1: all, -2: a type that does not exist. */
  type: -1,
};

/** Reads the options from word `first` on into `scanOptions`. @returns false after an error was replied. */
function parseScanOptions(call: Call, first: number): boolean {
  scanOptions.count = DEFAULT_COUNT;
  scanOptions.pattern = -1;
  scanOptions.type = -1;
  for (let i = first; i < call.argc; i += 2) {
    if (i + 1 === call.argc) return refuse(call);
    if (call.is(i, 'count')) {
      const count = call.integer(i + 1);
      if (Number.isNaN(count)) return false;
      if (count < 1) return refuse(call);
      scanOptions.count = count;
    } else if (call.is(i, 'match')) {
      const isStar = call.lengths[i + 1] === 1 && call.bytes[call.offsets[i + 1]] === STAR;
      scanOptions.pattern = isStar ? -1 : i + 1;
    } else if (call.is(i, 'type')) {
      const type = TYPE_NAMES.indexOf(call.latin1(i + 1).toLowerCase());
      scanOptions.type = type === -1 ? -2 : type;
    } else return refuse(call);
  }
  return true;
}

function refuse(call: Call): false {
  call.syntaxError();
  return false;
}

/** Whether the range matches the pattern of `scanOptions`. */
function scanMatches(call: Call, bytes: Uint8Array, offset: number, length: number): boolean {
  const { pattern } = scanOptions;
  return pattern === -1 || globMatch(call.bytes, call.offsets[pattern], call.lengths[pattern], bytes, offset, length);
}

const found = new EntryList();

export function scan(call: Call): void {
  let cursor = scanCursor(call, 1);
  if (cursor === -1 || !parseScanOptions(call, 2)) return;
  const { db, reply } = call;
  call.server.propagation.standApart();
  found.length = 0;
  const { count, type } = scanOptions;
  let steps = count * BUCKETS_PER_ELEMENT;
  do cursor = db.dict.scan(cursor, found);
  while (cursor !== 0 && --steps > 0 && found.length < count);
  reply.array(2);
  reply.bulkInteger(cursor);
  const mark = reply.openDeferred();
  let matched = 0;
  for (let i = 0; i < found.length; i++) {
    const entry = found.refs[i];
    const offset = db.keyOffset(entry);
    const length = db.keyLength(entry);
    if (!scanMatches(call, db.bytesOf(entry), offset, length)) continue;
    if (db.isExpired(entry)) {
      expire(call, entry, type !== -1);
      continue;
    }
    if (type !== -1 && db.typeOf(entry) !== type) continue;
    reply.bulk(db.bytesOf(entry), offset, length);
    matched++;
  }
  reply.closeArray(mark, matched);
}

/** @param miss the look-up, for the key's type, counts as one. */
function expire(call: Call, entry: number, miss: boolean): void {
  const { db } = call;
  const key = db.keyOf(entry);
  // By look-up, which knows whether this server may delete.
  if (miss) db.findForRead(key, 0, key.length, false);
  else db.peek(key, 0, key.length);
}

export function keys(call: Call): void {
  const { bytes, offsets, lengths, db, reply } = call;
  const all = lengths[1] === 1 && bytes[offsets[1]] === STAR;
  const mark = reply.openDeferred();
  let count = 0;
  for (let bucket = 0; bucket < db.dict.bucketCount; bucket++) {
    found.length = 0;
    db.dict.bucketEntries(bucket, found);
    for (let i = 0; i < found.length; i++) {
      const entry = found.refs[i];
      const key = db.bytesOf(entry);
      const offset = db.keyOffset(entry);
      const length = db.keyLength(entry);
      if (!all && !globMatch(bytes, offsets[1], lengths[1], key, offset, length)) continue;
      if (db.isExpired(entry)) continue;
      reply.bulk(key, offset, length);
      count++;
    }
  }
  reply.closeArray(mark, count);
}

export function randomkey(call: Call): void {
  const { db } = call;
  call.server.propagation.standApart();
  const entry = db.randomEntry();
  if (entry === 0) call.reply.null();
  else call.reply.bulk(db.bytesOf(entry), db.keyOffset(entry), db.keyLength(entry));
}
