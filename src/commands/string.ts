// String commands. GET, SET, INCR and MSET run for every request of a benchmark: they read their words in place and
// allocate nothing. Reply texts are Redis 7.0's. Only table.ts imports this file.

import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { STRING_STORED } from '../core/database.ts';
import { keyModified, readString, WRONG } from '../core/lookup.ts';
import { NOTIFY_GENERIC, NOTIFY_STRING } from '../core/notify-flags.ts';
import { TYPE_STRING } from '../data/value-type.ts';
import { alreadyExpired, expiryFromWord, NO_EXPIRY, UNIT_MS, UNIT_SECONDS } from './expiry-words.ts';
import { deleteWord, propagateDeletion } from './key-deletion.ts';
import { lcs } from './lcs.ts';
import { add, addWord, incrbyfloat } from './string-numbers.ts';
import { append, getrange, setrange } from './string-ranges.ts';

/** Bits of what SET and GETEX were asked for. */
const NX = 1;
const XX = 2;
const GET = 4;
const KEEPTTL = 8;
const PERSIST = 16;
const EX = 32;
const PX = 64;
const EXAT = 128;
const PXAT = 256;
const EXPIRY = EX | PX | EXAT | PXAT;

/** Word with the expiry that `parseOptions` met. */
let expiryWord = 0;

/** @returns bits, or -1 after a syntax error was replied. @param allowed what the command knows. */
function parseOptions(call: Call, first: number, allowed: number): number {
  let options = 0;
  for (let i = first; i < call.argc; i++) {
    const option = optionAt(call, i, i + 1 < call.argc) & allowed;
    if (option === 0 || (options & conflictsOf(option)) !== 0) {
      call.syntaxError();
      return -1;
    }
    options |= option;
    if ((option & EXPIRY) !== 0) expiryWord = ++i;
  }
  return options;
}

function optionAt(call: Call, i: number, hasNext: boolean): number {
  if (call.is(i, 'nx')) return NX;
  if (call.is(i, 'xx')) return XX;
  if (call.is(i, 'get')) return GET;
  if (call.is(i, 'keepttl')) return KEEPTTL;
  if (call.is(i, 'persist')) return PERSIST;
  if (!hasNext) return 0;
  if (call.is(i, 'ex')) return EX;
  if (call.is(i, 'px')) return PX;
  if (call.is(i, 'exat')) return EXAT;
  return call.is(i, 'pxat') ? PXAT : 0;
}

function conflictsOf(option: number): number {
  if (option === NX) return XX;
  if (option === XX) return NX;
  if (option === GET) return 0;
  return (KEEPTTL | PERSIST | EXPIRY) & ~option;
}

/** Unix time in ms that the options ask for; NO_EXPIRY: none; NaN after an error reply. */
function optionExpiry(call: Call, options: number): number {
  if ((options & EXPIRY) === 0) return NO_EXPIRY;
  const unit = (options & (EX | EXAT)) !== 0 ? UNIT_SECONDS : UNIT_MS;
  return expiryFromWord(call, expiryWord, unit, (options & (EX | PX)) !== 0);
}

function replyString(call: Call, entry: number): void {
  const { db } = call;
  call.reply.bulk(db.bytesOf(entry), db.valueOffset(entry), db.valueLength(entry));
}

/** Replies with the string of word `i`, or null. @returns false after WRONGTYPE. */
function replyValueOf(call: Call, i: number): boolean {
  const entry = readString(call, i);
  if (entry === WRONG) return false;
  if (entry === 0) call.reply.null();
  else replyString(call, entry);
  return true;
}

/** Stores word `valueWord` under word 1 and tells everyone. */
function store(call: Call, valueWord: number, keepTtl: boolean): number {
  const { bytes, offsets, lengths } = call;
  const entry = call.db.setString(
    bytes,
    offsets[1],
    lengths[1],
    bytes,
    offsets[valueWord],
    lengths[valueWord],
    keepTtl,
    STRING_STORED,
  );
  keyModified(call, 1, NOTIFY_STRING, 'set');
  return entry;
}

/** Gives the string that was stored from that word its expiry, and tells both as one SET. */
function storeExpiry(call: Call, entry: number, valueWord: number, expiry: number): void {
  const { db } = call;
  db.setExpiry(entry, expiry);
  if (call.propagates) call.propagateAs('SET', call.word(1), call.word(valueWord), 'PXAT', expiry);
  db.keyspace.event(NOTIFY_GENERIC, 'expire', db, call.bytes, call.offsets[1], call.lengths[1]);
}

function get(call: Call): void {
  replyValueOf(call, 1);
}

function set(call: Call): void {
  if (call.argc === 3) {
    store(call, 2, false);
    call.reply.ok();
    return;
  }
  const options = parseOptions(call, 3, NX | XX | GET | KEEPTTL | EXPIRY);
  if (options === -1) return;
  const expiry = optionExpiry(call, options);
  if (Number.isNaN(expiry)) return;
  if ((options & GET) !== 0 && !replyValueOf(call, 1)) return;
  if ((options & (NX | XX)) !== 0) {
    const found = call.db.find(call.bytes, call.offsets[1], call.lengths[1]) !== 0;
    if (found === ((options & NX) !== 0)) {
      if ((options & GET) === 0) call.reply.null();
      return;
    }
  }
  const entry = store(call, 2, (options & KEEPTTL) !== 0);
  if (expiry !== NO_EXPIRY) storeExpiry(call, entry, 2, expiry);
  if ((options & GET) === 0) call.reply.ok();
  else if (expiry === NO_EXPIRY && call.propagates) call.propagateAs(...wordsWithoutGet(call));
}

/** What SET with GET did: a replica answers nobody. */
function wordsWithoutGet(call: Call): Uint8Array[] {
  const words: Uint8Array[] = [];
  for (let i = 0; i < call.argc; i++) if (i < 3 || !call.is(i, 'get')) words.push(call.word(i));
  return words;
}

function setnx(call: Call): void {
  if (call.db.find(call.bytes, call.offsets[1], call.lengths[1]) !== 0) {
    call.reply.integer(0);
    return;
  }
  store(call, 2, false);
  call.reply.integer(1);
}

function setWithExpiry(call: Call, unit: number): void {
  const expiry = expiryFromWord(call, 2, unit, true);
  if (Number.isNaN(expiry)) return;
  storeExpiry(call, store(call, 3, false), 3, expiry);
  call.reply.ok();
}

function getset(call: Call): void {
  if (!replyValueOf(call, 1)) return;
  store(call, 2, false);
  if (call.propagates) call.propagateAs('SET', call.word(1), call.word(2));
}

function getdel(call: Call): void {
  const { db } = call;
  const entry = readString(call, 1);
  if (entry === WRONG) return;
  if (entry === 0) {
    call.reply.null();
    return;
  }
  replyString(call, entry);
  db.deleteEntry(entry);
  keyModified(call, 1, NOTIFY_GENERIC, 'del');
  propagateDeletion(call, call.server.config.lazyfreeLazyUserDel);
}

function getex(call: Call): void {
  const options = parseOptions(call, 2, PERSIST | EXPIRY);
  if (options === -1) return;
  const { db } = call;
  const entry = readString(call, 1);
  if (entry === WRONG) return;
  if (entry === 0) {
    call.reply.null();
    return;
  }
  const expiry = optionExpiry(call, options);
  if (Number.isNaN(expiry)) return;
  replyString(call, entry);
  if ((options & (EXAT | PXAT)) !== 0 && alreadyExpired(call, expiry)) {
    deleteWord(call, 1, 'del');
    propagateDeletion(call, call.server.config.lazyfreeLazyExpire);
  } else if (expiry !== NO_EXPIRY) {
    db.setExpiry(entry, expiry);
    if (call.propagates) call.propagateAs('PEXPIREAT', call.word(1), expiry);
    keyModified(call, 1, NOTIFY_GENERIC, 'expire');
  } else if ((options & PERSIST) !== 0 && db.removeExpiry(entry)) {
    if (call.propagates) call.propagateAs('PERSIST', call.word(1));
    keyModified(call, 1, NOTIFY_GENERIC, 'persist');
  }
}

function mget(call: Call): void {
  const { db } = call;
  call.reply.array(call.argc - 1);
  for (let i = 1; i < call.argc; i++) {
    const entry = db.findForRead(call.bytes, call.offsets[i], call.lengths[i]);
    if (entry === 0 || db.typeOf(entry) !== TYPE_STRING) call.reply.null();
    else replyString(call, entry);
  }
}

function storePairs(call: Call): void {
  const { bytes, offsets, lengths, db } = call;
  for (let i = 1; i < call.argc; i += 2) {
    db.setString(bytes, offsets[i], lengths[i], bytes, offsets[i + 1], lengths[i + 1]);
    keyModified(call, i, NOTIFY_STRING, 'set');
  }
}

function hasPairs(call: Call, name: string): boolean {
  if (call.argc % 2 === 1) return true;
  call.reply.error(`ERR wrong number of arguments for '${name}' command`);
  return false;
}

function mset(call: Call): void {
  if (!hasPairs(call, 'mset')) return;
  storePairs(call);
  call.reply.ok();
}

function msetnx(call: Call): void {
  if (!hasPairs(call, 'msetnx')) return;
  for (let i = 1; i < call.argc; i += 2) {
    if (call.db.find(call.bytes, call.offsets[i], call.lengths[i]) !== 0) {
      call.reply.integer(0);
      return;
    }
  }
  storePairs(call);
  call.reply.integer(1);
}

function strlen(call: Call): void {
  const entry = readString(call, 1);
  if (entry !== WRONG) call.reply.integer(entry === 0 ? 0 : call.db.valueLength(entry));
}

const ONE_KEY = [1, 1, 1] as const;
const base = { keys: ONE_KEY, group: 'string' } as const;

export const stringCommands: readonly CommandSpec[] = [
  {
    ...base,
    name: 'append',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    since: '2.0.0',
    run: append,
    summary: 'Adds bytes at the end of a string, creating it if need be.',
  },
  {
    ...base,
    name: 'decr',
    arity: 2,
    flags: ['write', 'denyoom', 'fast'],
    since: '1.0.0',
    run: (call) => add(call, -1),
    summary: 'Takes one from the integer a key holds.',
  },
  {
    ...base,
    name: 'decrby',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    since: '1.0.0',
    run: (call) => addWord(call, -1),
    summary: 'Takes a number from the integer a key holds.',
  },
  {
    ...base,
    name: 'get',
    arity: 2,
    flags: ['readonly', 'fast'],
    since: '1.0.0',
    run: get,
    summary: 'Gives the string a key holds.',
  },
  {
    ...base,
    name: 'getdel',
    arity: 2,
    flags: ['write', 'fast'],
    since: '6.2.0',
    run: getdel,
    summary: 'Gives the string a key holds and deletes the key.',
  },
  {
    ...base,
    name: 'getex',
    arity: -2,
    flags: ['write', 'fast'],
    since: '6.2.0',
    run: getex,
    summary: 'Gives the string a key holds and changes its expiry.',
  },
  {
    ...base,
    name: 'getrange',
    arity: 4,
    flags: ['readonly'],
    since: '2.4.0',
    run: getrange,
    summary: 'Gives a part of a string, by positions from either end.',
  },
  {
    ...base,
    name: 'getset',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    since: '1.0.0',
    run: getset,
    summary: 'Replaces a string and gives the one that was there.',
  },
  {
    ...base,
    name: 'incr',
    arity: 2,
    flags: ['write', 'denyoom', 'fast'],
    since: '1.0.0',
    run: (call) => add(call, 1),
    summary: 'Adds one to the integer a key holds.',
  },
  {
    ...base,
    name: 'incrby',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    since: '1.0.0',
    run: (call) => addWord(call, 1),
    summary: 'Adds a number to the integer a key holds.',
  },
  {
    ...base,
    name: 'incrbyfloat',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    since: '2.6.0',
    run: incrbyfloat,
    summary: 'Adds a decimal fraction to the number a key holds.',
  },
  {
    ...base,
    name: 'lcs',
    arity: -3,
    flags: ['readonly'],
    keys: [1, 2, 1],
    since: '7.0.0',
    run: lcs,
    summary: 'Finds the longest common subsequence of two strings.',
  },
  {
    ...base,
    name: 'mget',
    arity: -2,
    flags: ['readonly', 'fast'],
    keys: [1, -1, 1],
    since: '1.0.0',
    run: mget,
    summary: 'Gives the strings of several keys.',
  },
  {
    ...base,
    name: 'mset',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: [1, -1, 2],
    since: '1.0.1',
    run: mset,
    summary: 'Sets several keys at once.',
  },
  {
    ...base,
    name: 'msetnx',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: [1, -1, 2],
    since: '1.0.1',
    run: msetnx,
    summary: 'Sets several keys at once, if none of them exists.',
  },
  {
    ...base,
    name: 'psetex',
    arity: 4,
    flags: ['write', 'denyoom'],
    since: '2.6.0',
    run: (call) => setWithExpiry(call, UNIT_MS),
    summary: 'Sets a string that expires after some milliseconds.',
  },
  {
    ...base,
    name: 'set',
    arity: -3,
    flags: ['write', 'denyoom'],
    since: '1.0.0',
    run: set,
    summary: 'Sets the string a key holds, on conditions and with an expiry if asked to.',
  },
  {
    ...base,
    name: 'setex',
    arity: 4,
    flags: ['write', 'denyoom'],
    since: '2.0.0',
    run: (call) => setWithExpiry(call, UNIT_SECONDS),
    summary: 'Sets a string that expires after some seconds.',
  },
  {
    ...base,
    name: 'setnx',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    since: '1.0.0',
    run: setnx,
    summary: 'Sets a string if the key does not exist.',
  },
  {
    ...base,
    name: 'setrange',
    arity: 4,
    flags: ['write', 'denyoom'],
    since: '2.2.0',
    run: setrange,
    summary: 'Overwrites a part of a string from a position on, padding it with zero bytes.',
  },
  {
    ...base,
    name: 'strlen',
    arity: 2,
    flags: ['readonly', 'fast'],
    since: '2.2.0',
    run: strlen,
    summary: 'Tells how many bytes a string has.',
  },
  {
    ...base,
    name: 'substr',
    arity: 4,
    flags: ['readonly'],
    since: '1.0.0',
    run: getrange,
    summary: 'Gives a part of a string; the old name of GETRANGE.',
  },
];
