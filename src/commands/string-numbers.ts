// INCR and its kin: strings that are numbers. Whole ones of up to 53 bits are added as doubles and allocate nothing; others
// take the way of addBig. string.ts lists them.
import type { Call } from '../core/call.ts';
import { STRING_MADE, STRING_STORED } from '../core/database.ts';
import { NOT_A_FLOAT, NOT_AN_INTEGER } from '../core/errors.ts';
import { keyModified, WRONG, writeString } from '../core/lookup.ts';
import { NOTIFY_STRING } from '../core/notify-flags.ts';
import { copyBytes } from '../data/bytes.ts';
import {
  INTEGER_DIGITS_MAX,
  isInt64,
  parseBigInteger,
  parseInteger,
  writeInteger,
  writeLatin1,
} from '../data/integer.ts';
import { addLongDouble, formatLongDouble, parseLongDouble } from '../data/long-double.ts';

const digits = new Uint8Array(INTEGER_DIGITS_MAX);

/** Puts the first `length` of `digits` in the place of the string of word 1, keeping its expiry. */
function storeDigits(call: Call, entry: number, length: number): void {
  const { db } = call;
  let target = entry;
  if (entry === 0) target = db.addString(call.bytes, call.offsets[1], call.lengths[1], length);
  else {
    target = db.resizeString(entry, length, 0);
    db.setStringKind(target, STRING_STORED);
  }
  copyBytes(db.bytesOf(target), db.valueOffset(target), digits, 0, length);
  keyModified(call, 1, NOTIFY_STRING, 'incrby');
}

/** INCR and DECR. */
export function add(call: Call, increment: number): void {
  const { db } = call;
  const entry = writeString(call, 1);
  if (entry === WRONG) return;
  const old = entry === 0 ? 0 : parseInteger(db.bytesOf(entry), db.valueOffset(entry), db.valueLength(entry));
  if (Number.isNaN(old)) {
    call.reply.error(NOT_AN_INTEGER);
    return;
  }
  const sum = old + increment;
  if (!Number.isSafeInteger(sum) || !Number.isSafeInteger(old) || !Number.isSafeInteger(increment)) {
    addBig(call, entry, BigInt(increment));
    return;
  }
  storeDigits(call, entry, writeInteger(digits, 0, sum));
  call.reply.integer(sum);
}

/** As `add`, where doubles may not be exact. */
function addBig(call: Call, entry: number, increment: bigint): void {
  const { db } = call;
  const old = entry === 0 ? 0n : parseBigInteger(db.bytesOf(entry), db.valueOffset(entry), db.valueLength(entry));
  if (old === null) {
    call.reply.error(NOT_AN_INTEGER);
    return;
  }
  const sum = old + increment;
  if (!isInt64(sum)) {
    call.reply.error('ERR increment or decrement would overflow');
    return;
  }
  storeDigits(call, entry, writeLatin1(digits, 0, sum.toString()));
  call.reply.bigInteger(sum);
}

/** INCRBY and DECRBY: `sign` 1 or -1. */
export function addWord(call: Call, sign: number): void {
  const increment = call.integer(2);
  if (Number.isNaN(increment)) return;
  if (Number.isSafeInteger(increment)) {
    add(call, sign * increment);
    return;
  }
  const exact = parseBigInteger(call.bytes, call.offsets[2], call.lengths[2])! * BigInt(sign);
  if (!isInt64(exact)) {
    call.reply.error('ERR decrement would overflow');
    return;
  }
  const entry = writeString(call, 1);
  if (entry !== WRONG) addBig(call, entry, exact);
}

export function incrbyfloat(call: Call): void {
  const { db } = call;
  const entry = writeString(call, 1);
  if (entry === WRONG) return;
  const old = entry === 0 ? parseLongDouble('0') : parseLongDouble(textOf(call, entry));
  const increment = old === null ? null : parseLongDouble(call.latin1(2));
  if (old === null || increment === null) {
    call.reply.error(NOT_A_FLOAT);
    return;
  }
  const sum = addLongDouble(old, increment);
  if (sum === null) {
    call.reply.error('ERR increment would produce NaN or Infinity');
    return;
  }
  const text = Buffer.from(formatLongDouble(sum), 'latin1');
  const { bytes, offsets, lengths } = call;
  db.setString(bytes, offsets[1], lengths[1], text, 0, text.length, true, STRING_MADE);
  keyModified(call, 1, NOTIFY_STRING, 'incrbyfloat');
  // Sums of floating point numbers may differ elsewhere.
  if (call.propagates) call.propagateAs('SET', call.word(1), text, 'KEEPTTL');
  call.reply.bulk(text, 0, text.length);
}

function textOf(call: Call, entry: number): string {
  const bytes = call.db.bytesOf(entry);
  const start = call.db.valueOffset(entry);
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, call.db.valueLength(entry)).toString('latin1');
}
