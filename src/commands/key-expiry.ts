// Commands about when keys expire: EXPIRE and its kin, TTL and its kin, PERSIST. generic.ts lists them.
import type { Call } from '../core/call.ts';
import { keyModified } from '../core/lookup.ts';
import { NOTIFY_GENERIC } from '../core/notify-flags.ts';
import { INT64_MIN, parseBigInteger } from '../data/integer.ts';
import { alreadyExpired, INT64_END, invalidExpiry } from './expiry-words.ts';
import { deleteWord, propagateDeletion } from './key-deletion.ts';

const NX = 1;
const XX = 2;
const GT = 4;
const LT = 8;

function parseConditions(call: Call): number {
  let conditions = 0;
  for (let i = 3; i < call.argc; i++) {
    if (call.is(i, 'nx')) conditions |= NX;
    else if (call.is(i, 'xx')) conditions |= XX;
    else if (call.is(i, 'gt')) conditions |= GT;
    else if (call.is(i, 'lt')) conditions |= LT;
    else {
      call.reply.error(`ERR Unsupported option ${call.cText(i)}`);
      return -1;
    }
  }
  if ((conditions & NX) !== 0 && conditions !== NX) {
    call.reply.error('ERR NX and XX, GT or LT options at the same time are not compatible');
    return -1;
  }
  if ((conditions & (GT | LT)) === (GT | LT)) {
    call.reply.error('ERR GT and LT options at the same time are not compatible');
    return -1;
  }
  return conditions;
}

function allows(conditions: number, current: number, expiry: number): boolean {
  if ((conditions & NX) !== 0 && current !== -1) return false;
  if ((conditions & XX) !== 0 && current === -1) return false;
  if ((conditions & GT) !== 0 && (current === -1 || expiry <= current)) return false;
  return (conditions & LT) === 0 || current === -1 || expiry < current;
}

function wordsFrom(call: Call, first: number): Uint8Array[] {
  const words: Uint8Array[] = [];
  for (let i = first; i < call.argc; i++) words.push(call.word(i));
  return words;
}

/** Word 2, in seconds, is below the lowest int64 in milliseconds. Doubles are too coarse there to tell. */
function underflows(call: Call): boolean {
  const seconds = parseBigInteger(call.bytes, call.offsets[2], call.lengths[2]);
  return seconds !== null && seconds < INT64_MIN / 1000n;
}

/** EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT. @param unit milliseconds a unit of the word. */
export function expire(call: Call, unit: number, relative: boolean): void {
  const { db } = call;
  const conditions = parseConditions(call);
  if (conditions === -1) return;
  const given = call.integer(2);
  if (Number.isNaN(given)) return;
  const now = db.keyspace.clock.unixMs;
  const expiry = given * unit + (relative ? now : 0);
  const exact = unit === 1 && !relative;
  if (!exact && (expiry >= INT64_END || (unit !== 1 && given < -(2 ** 53) && underflows(call)))) {
    invalidExpiry(call);
    return;
  }
  const entry = db.find(call.bytes, call.offsets[1], call.lengths[1]);
  if (entry === 0 || !allows(conditions, db.expiryOf(entry), expiry)) {
    call.reply.integer(0);
    return;
  }
  if (alreadyExpired(call, expiry)) {
    deleteWord(call, 1, 'del');
    propagateDeletion(call, call.server.config.lazyfreeLazyExpire);
  } else {
    db.setExpiry(entry, expiry);
    if (!exact && call.propagates) call.propagateAs('PEXPIREAT', call.word(1), expiry, ...wordsFrom(call, 3));
    keyModified(call, 1, NOTIFY_GENERIC, 'expire');
  }
  call.reply.integer(1);
}

/** TTL, PTTL, EXPIRETIME, PEXPIRETIME: -2 without key, -1 without expiry. */
export function timeToLive(call: Call, unit: number, relative: boolean): void {
  const { db } = call;
  const entry = db.findForRead(call.bytes, call.offsets[1], call.lengths[1], false);
  const expiry = entry === 0 ? -2 : db.expiryOf(entry);
  if (expiry < 0) {
    call.reply.integer(entry === 0 ? -2 : -1);
    return;
  }
  const ms = relative ? Math.max(0, expiry - db.keyspace.clock.unixMs) : expiry;
  call.reply.integer(unit === 1 ? ms : Math.floor((ms + 500) / 1000));
}

export function persist(call: Call): void {
  const { db } = call;
  const entry = db.find(call.bytes, call.offsets[1], call.lengths[1]);
  const removed = entry !== 0 && db.removeExpiry(entry);
  if (removed) keyModified(call, 1, NOTIFY_GENERIC, 'persist');
  call.reply.integer(removed ? 1 : 0);
}
