// What the commands of lists, hashes, sets and sorted sets share: counts with bounds, changes counted as Redis counts
// them, results that are stored, and the SCAN family's words. Only src/commands/ imports it.
import type { Call } from '../core/call.ts';
import { NOT_AN_INTEGER } from '../core/errors.ts';
import { keyModified } from '../core/lookup.ts';
import type { Collection } from '../data/collection.ts';
import { EntryList } from '../data/dict.ts';
import { Element } from '../data/element.ts';
import { globMatch } from '../data/glob.ts';
import { discardWord } from './key-deletion.ts';

export const MUST_BE_POSITIVE = 'ERR value is out of range, must be positive';
const OUT_OF_LONG_RANGE = 'ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807';

/** `keyModified`, counting `changes` since the last save instead of one. */
export function keyChanged(call: Call, i: number, notifyClass: number, event: string, changes: number): void {
  keyModified(call, i, notifyClass, event);
  call.server.dirty += changes - 1;
}

/** Makes word `i`'s key hold a result, or deletes it when there is none. Replies the length. */
export function storeResult(call: Call, i: number, result: Collection, notifyClass: number, event: string): void {
  const { db, bytes } = call;
  const offset = call.offsets[i];
  const length = call.lengths[i];
  call.reply.integer(result.length);
  if (result.length > 0) {
    db.setCollection(bytes, offset, length, result);
    keyModified(call, i, notifyClass, event);
    return;
  }
  result.release();
  discardWord(call, i);
}

/** Word `i` as an integer of at least `min`. @returns NaN after having replied `message`. */
export function integerFrom(call: Call, i: number, min: number, message: string): number {
  const value = call.integer(i, message);
  if (value < min) {
    call.reply.error(message);
    return Number.NaN;
  }
  return value;
}

/** Word `i` as a count that may be negated: every int64 but the lowest. @returns NaN after an error reply. */
export function signedCount(call: Call, i: number): number {
  const value = call.integer(i, NOT_AN_INTEGER);
  if (value < -9223372036854775000 && call.latin1(i) === '-9223372036854775808') {
    call.reply.error(OUT_OF_LONG_RANGE);
    return Number.NaN;
  }
  return value;
}

/** LMPOP's, ZMPOP's and their blocking forms' words: where the keys are, from which end, how many; filled by `readPopWords`. */
export const popWords = { first: 0, last: 0, fromFirst: false, count: 0 };

/**
 * Reads `numkeys key [key ...] end [COUNT count]` from word `i` on.
 * @param firstEnd name of the end that is popped first, lower case, and of the other one.
 * @returns false after an error reply.
 */
export function readPopWords(call: Call, i: number, firstEnd: string, otherEnd: string): boolean {
  const keys = integerFrom(call, i, 1, 'ERR numkeys should be greater than 0');
  if (Number.isNaN(keys)) return false;
  const end = i + 1 + keys;
  if (end >= call.argc || (!call.is(end, firstEnd) && !call.is(end, otherEnd))) {
    call.syntaxError();
    return false;
  }
  popWords.first = i + 1;
  popWords.last = end - 1;
  popWords.fromFirst = call.is(end, firstEnd);
  popWords.count = 1;
  if (call.argc === end + 1) return true;
  if (call.argc < end + 3 || !call.is(end + 1, 'count')) {
    call.syntaxError();
    return false;
  }
  popWords.count = integerFrom(call, end + 2, 1, 'ERR count should be greater than 0');
  if (Number.isNaN(popWords.count)) return false;
  if (call.argc > end + 3) call.syntaxError();
  return call.argc === end + 3;
}

/** Turns start and stop as LRANGE has them into a first index and a count; both are read from `range`. */
export const range = { start: 0, count: 0 };

export function setRange(start: number, stop: number, length: number): void {
  const from = start < 0 ? Math.max(start + length, 0) : start;
  const to = stop < 0 ? stop + length : Math.min(stop, length - 1);
  range.start = from;
  range.count = from > to || from >= length ? 0 : to - from + 1;
}

/** Bytes that have to outlive a change of the collection they came from. Reused: valid until the next `keep`. */
export class Keeper {
  bytes = new Uint8Array(256);
  length = 0;

  keep(element: Element): void {
    if (element.length > this.bytes.length) this.bytes = new Uint8Array(element.length * 2);
    this.bytes.set(element.bytes.subarray(element.offset, element.offset + element.length));
    this.length = element.length;
  }

  /** Gives the memory of a huge element back. */
  done(): void {
    if (this.bytes.length > 64 * 1024) this.bytes = new Uint8Array(256);
  }
}

// ---- SSCAN, HSCAN, ZSCAN ----

/** What can be scanned: a set, hash or sorted set. */
export interface Scannable {
  scan(cursor: number, out: EntryList): number;
}

const ULONG_MAX = 2n ** 64n - 1n;

/** Word `i` as strtoul reads it, modulo 2^32: tables have no more buckets. @returns -1 after an error reply. */
export function scanCursor(call: Call, i: number): number {
  const text = call.latin1(i);
  const digits = text.replace(/^[+-]/, '');
  if (text === '' || (/^[0-9]+$/.test(digits) && BigInt(digits) <= ULONG_MAX)) {
    const value = BigInt(digits === '' ? 0 : digits);
    return Number(BigInt.asUintN(32, text.startsWith('-') ? -value : value));
  }
  call.reply.error('ERR invalid cursor');
  return -1;
}

export function emptyScan(call: Call): void {
  call.reply.array(2);
  call.reply.bulkLatin1('0');
  call.reply.emptyArray();
}

const found = new EntryList();
const name = new Element();

/**
 * Replies one step of a scan of word 1's collection, options from word 3 on.
 * @param nameOf points the element at the handle's member or field, which MATCH looks at.
 * @param writeValue writes what comes behind each name, if anything.
 */
export function replyScan(
  call: Call,
  cursor: number,
  collection: Scannable,
  nameOf: (handle: number, element: Element) => void,
  writeValue: ((handle: number) => void) | null,
): void {
  let count = 10;
  let pattern = -1;
  for (let i = 3; i < call.argc; i += 2) {
    if (i + 1 < call.argc && call.is(i, 'count')) {
      count = call.integer(i + 1);
      if (Number.isNaN(count)) return;
      if (count < 1) {
        call.syntaxError();
        return;
      }
    } else if (i + 1 < call.argc && call.is(i, 'match')) {
      pattern = i + 1;
    } else {
      call.syntaxError();
      return;
    }
  }
  found.length = 0;
  let next = cursor;
  let steps = count * 10;
  do next = collection.scan(next, found);
  while (next !== 0 && steps-- > 0 && found.length < count);

  const { reply } = call;
  reply.array(2);
  reply.bulkInteger(next);
  const mark = reply.openDeferred();
  let elements = 0;
  for (let k = 0; k < found.length; k++) {
    const handle = found.refs[k];
    nameOf(handle, name);
    if (pattern !== -1) {
      const { bytes, offsets, lengths } = call;
      if (!globMatch(bytes, offsets[pattern], lengths[pattern], name.bytes, name.offset, name.length)) continue;
    }
    reply.bulk(name.bytes, name.offset, name.length);
    writeValue?.(handle);
    elements += writeValue === null ? 1 : 2;
  }
  reply.closeArray(mark, elements);
}
