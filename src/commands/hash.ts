// Hash commands. HSET and HGET allocate nothing. Only table.ts imports this file.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { NOT_A_FLOAT } from '../core/errors.ts';
import { keyModified, readCollection, removeIfEmpty, writeCollection } from '../core/lookup.ts';
import { NOTIFY_HASH } from '../core/notify-flags.ts';
import { EntryList } from '../data/dict.ts';
import { Element } from '../data/element.ts';
import { Hash } from '../data/hash.ts';
import { INTEGER_DIGITS_MAX, isInt64, parseBigInteger, writeLatin1 } from '../data/integer.ts';
import { addLongDouble, formatLongDouble, parseLongDouble } from '../data/long-double.ts';
import { TYPE_HASH } from '../data/value-type.ts';
import { emptyScan, keyChanged, replyScan, scanCursor, signedCount } from './collection-words.ts';

/** Half of LONG_MAX: a reply of pairs holds twice the count. */
const PAIRS_MAX = 2 ** 62;

const element = new Element();
const handles = new EntryList();

const createHash = (call: Call): Hash => new Hash(call.server.arena);

/** Makes a table of a listpack that is to take a word too long for one. */
function convertForWords(call: Call, hash: Hash, first: number, last: number): void {
  if (!hash.isPacked) return;
  const longest = call.server.config.hashMaxListpackValue;
  for (let i = first; i <= last; i++) {
    if (call.lengths[i] > longest) {
      hash.toTable();
      return;
    }
  }
}

function setField(call: Call, hash: Hash, field: number, value: Uint8Array, offset: number, length: number): boolean {
  const isNew = hash.set(call.bytes, call.offsets[field], call.lengths[field], value, offset, length);
  if (isNew && hash.isPacked && hash.length > call.server.config.hashMaxListpackEntries) hash.toTable();
  return isNew;
}

function set(call: Call, isHmset: boolean): void {
  const { bytes, offsets, lengths, argc, reply } = call;
  if ((argc & 1) === 1) {
    reply.error(`ERR wrong number of arguments for '${isHmset ? 'hmset' : 'hset'}' command`);
    return;
  }
  const hash = writeCollection<Hash>(call, 1, TYPE_HASH, createHash);
  if (hash === undefined) return;
  convertForWords(call, hash, 2, argc - 1);
  let created = 0;
  for (let i = 2; i < argc; i += 2) if (setField(call, hash, i, bytes, offsets[i + 1], lengths[i + 1])) created++;
  if (isHmset) reply.ok();
  else reply.integer(created);
  keyChanged(call, 1, NOTIFY_HASH, 'hset', (argc - 2) >> 1);
}

function hsetnx(call: Call): void {
  const hash = writeCollection<Hash>(call, 1, TYPE_HASH, createHash);
  if (hash === undefined) return;
  const { bytes, offsets, lengths, reply } = call;
  if (hash.find(bytes, offsets[2], lengths[2]) !== 0) {
    reply.integer(0);
    return;
  }
  convertForWords(call, hash, 2, 3);
  setField(call, hash, 2, bytes, offsets[3], lengths[3]);
  reply.integer(1);
  keyModified(call, 1, NOTIFY_HASH, 'hset');
}

/** Points `element` at the value of word 2's field. @returns whether there is one. */
function findValue(call: Call, hash: Hash): boolean {
  const handle = hash.find(call.bytes, call.offsets[2], call.lengths[2]);
  if (handle === 0) return false;
  hash.value(handle, element);
  return true;
}

/** Stores what an increment gave, converting as HSET would. */
function storeNumber(call: Call, hash: Hash, text: Uint8Array, length: number, event: string): void {
  convertForWords(call, hash, 2, 2);
  if (hash.isPacked && length > call.server.config.hashMaxListpackValue) hash.toTable();
  setField(call, hash, 2, text, 0, length);
  keyModified(call, 1, NOTIFY_HASH, event);
}

const digits = new Uint8Array(INTEGER_DIGITS_MAX);

function hincrby(call: Call): void {
  const { reply } = call;
  if (Number.isNaN(call.integer(3))) return;
  const increment = parseBigInteger(call.bytes, call.offsets[3], call.lengths[3]) as bigint;
  const hash = writeCollection<Hash>(call, 1, TYPE_HASH, createHash);
  if (hash === undefined) return;
  let old: bigint | null = 0n;
  if (findValue(call, hash)) old = parseBigInteger(element.bytes, element.offset, element.length);
  if (old === null) {
    reply.error('ERR hash value is not an integer');
    return;
  }
  const value = old + increment;
  if (!isInt64(value)) {
    reply.error('ERR increment or decrement would overflow');
    return;
  }
  storeNumber(call, hash, digits, writeLatin1(digits, 0, value.toString()), 'hincrby');
  reply.bigInteger(value);
}

function hincrbyfloat(call: Call): void {
  const { reply } = call;
  const increment = parseLongDouble(call.latin1(3));
  if (increment === null) {
    reply.error(NOT_A_FLOAT);
    return;
  }
  if (increment.infinite !== 0) {
    reply.error('ERR value is NaN or Infinity');
    return;
  }
  const hash = writeCollection<Hash>(call, 1, TYPE_HASH, null);
  if (hash === undefined) return;
  let sum: ReturnType<typeof addLongDouble> = increment;
  if (hash !== null && findValue(call, hash)) {
    const old = parseLongDouble(
      Buffer.from(element.bytes.buffer, element.bytes.byteOffset + element.offset, element.length).toString('latin1'),
    );
    if (old === null) {
      reply.error('ERR hash value is not a float');
      return;
    }
    sum = addLongDouble(old, increment);
  }
  if (sum === null) {
    reply.error('ERR increment would produce NaN or Infinity');
    return;
  }
  const text = formatLongDouble(sum);
  const bytes = Buffer.from(text, 'latin1');
  const target = hash ?? (writeCollection<Hash>(call, 1, TYPE_HASH, createHash) as Hash);
  storeNumber(call, target, bytes, bytes.length, 'hincrbyfloat');
  if (call.propagates) call.propagateAs('HSET', call.word(1), call.word(2), text);
  reply.bulkLatin1(text);
}

function replyValue(call: Call, hash: Hash | null, field: number): void {
  const handle = hash === null ? 0 : hash.find(call.bytes, call.offsets[field], call.lengths[field]);
  if (hash === null || handle === 0) {
    call.reply.null();
    return;
  }
  hash.value(handle, element);
  call.reply.bulk(element.bytes, element.offset, element.length);
}

function hget(call: Call): void {
  const hash = readCollection<Hash>(call, 1, TYPE_HASH);
  if (hash !== undefined) replyValue(call, hash, 2);
}

function hmget(call: Call): void {
  const hash = readCollection<Hash>(call, 1, TYPE_HASH);
  if (hash === undefined) return;
  call.reply.array(call.argc - 2);
  for (let i = 2; i < call.argc; i++) replyValue(call, hash, i);
}

function hdel(call: Call): void {
  const hash = writeCollection<Hash>(call, 1, TYPE_HASH, null);
  if (hash === undefined) return;
  let deleted = 0;
  if (hash !== null) {
    for (let i = 2; i < call.argc; i++) if (hash.delete(call.bytes, call.offsets[i], call.lengths[i])) deleted++;
  }
  if (hash !== null && deleted > 0) {
    keyChanged(call, 1, NOTIFY_HASH, 'hdel', deleted);
    removeIfEmpty(call, 1, hash);
  }
  call.reply.integer(deleted);
}

function hexists(call: Call): void {
  const hash = readCollection<Hash>(call, 1, TYPE_HASH);
  if (hash !== undefined) call.reply.integer(hash !== null && findValue(call, hash) ? 1 : 0);
}

function hlen(call: Call): void {
  const hash = readCollection<Hash>(call, 1, TYPE_HASH);
  if (hash !== undefined) call.reply.integer(hash === null ? 0 : hash.length);
}

function hstrlen(call: Call): void {
  const hash = readCollection<Hash>(call, 1, TYPE_HASH);
  if (hash !== undefined) call.reply.integer(hash !== null && findValue(call, hash) ? element.length : 0);
}

function getAll(call: Call, fields: boolean, values: boolean): void {
  const hash = readCollection<Hash>(call, 1, TYPE_HASH);
  if (hash === undefined) return;
  const length = hash === null ? 0 : hash.length;
  if (fields && values) call.reply.map(length);
  else call.reply.array(length);
  hash?.emit(fields, values, call.reply);
}

function replyField(call: Call, hash: Hash, handle: number, withValues: boolean): void {
  const { reply } = call;
  if (withValues && reply.protocol > 2) reply.array(2);
  hash.field(handle, element);
  reply.bulk(element.bytes, element.offset, element.length);
  if (!withValues) return;
  hash.value(handle, element);
  reply.bulk(element.bytes, element.offset, element.length);
}

function hrandfield(call: Call): void {
  const { reply, argc } = call;
  if (argc === 2) {
    const hash = readCollection<Hash>(call, 1, TYPE_HASH);
    if (hash === undefined) return;
    if (hash === null) {
      reply.null();
      return;
    }
    replyField(call, hash, hash.random(call.server.random), false);
    return;
  }
  const count = signedCount(call, 2);
  if (Number.isNaN(count)) return;
  const withValues = argc === 4 && call.is(3, 'withvalues');
  if (argc > 3 && !withValues) {
    call.syntaxError();
    return;
  }
  if (withValues && Math.abs(count) >= PAIRS_MAX) {
    reply.error('ERR value is out of range');
    return;
  }
  const hash = readCollection<Hash>(call, 1, TYPE_HASH);
  if (hash === undefined) return;
  if (hash === null) {
    reply.emptyArray();
    return;
  }
  const taken = count < 0 ? -count : Math.min(count, hash.length);
  reply.array(withValues && reply.protocol === 2 ? taken * 2 : taken);
  if (count < 0) {
    for (let i = 0; i < taken && !reply.overflow; i++) {
      replyField(call, hash, hash.random(call.server.random), withValues);
    }
    return;
  }
  handles.length = 0;
  if (taken < hash.length) hash.sample(taken, call.server.random, handles);
  else for (let at = 0; at !== -1; ) at = hash.walk(at, handles);
  for (let i = 0; i < taken; i++) replyField(call, hash, handles.refs[i], withValues);
}

function hscan(call: Call): void {
  const cursor = scanCursor(call, 2);
  if (cursor === -1) return;
  const hash = readCollection<Hash>(call, 1, TYPE_HASH);
  if (hash === undefined) return;
  if (hash === null) {
    emptyScan(call);
    return;
  }
  const nameOf = (handle: number, name: Element): void => hash.field(handle, name);
  replyScan(call, cursor, hash, nameOf, (handle) => {
    hash.value(handle, element);
    call.reply.bulk(element.bytes, element.offset, element.length);
  });
}

const one: CommandSpec['keys'] = [1, 1, 1];
const read = { flags: ['readonly'], keys: one, group: 'hash' } as const;
const readFast = { flags: ['readonly', 'fast'], keys: one, group: 'hash' } as const;
const grow = { flags: ['write', 'denyoom', 'fast'], keys: one, group: 'hash' } as const;

export const hashCommands: readonly CommandSpec[] = [
  {
    ...grow,
    name: 'hset',
    arity: -4,
    since: '2.0.0',
    summary: 'Sets fields of a hash.',
    run: (call) => set(call, false),
  },
  {
    ...grow,
    name: 'hmset',
    arity: -4,
    since: '2.0.0',
    summary: 'Sets fields of a hash; HSET does the same.',
    run: (call) => set(call, true),
  },
  {
    ...grow,
    name: 'hsetnx',
    arity: 4,
    since: '2.0.0',
    summary: 'Sets a field of a hash that has no such field.',
    run: hsetnx,
  },
  {
    ...grow,
    name: 'hincrby',
    arity: 4,
    since: '2.0.0',
    summary: 'Adds to the integer in a field of a hash.',
    run: hincrby,
  },
  {
    ...grow,
    name: 'hincrbyfloat',
    arity: 4,
    since: '2.6.0',
    summary: 'Adds to the number in a field of a hash.',
    run: hincrbyfloat,
  },
  {
    ...grow,
    flags: ['write', 'fast'],
    name: 'hdel',
    arity: -3,
    since: '2.0.0',
    summary: 'Deletes fields of a hash.',
    run: hdel,
  },
  { ...readFast, name: 'hget', arity: 3, since: '2.0.0', summary: 'Gets the value of a field of a hash.', run: hget },
  {
    ...readFast,
    name: 'hmget',
    arity: -3,
    since: '2.0.0',
    summary: 'Gets the values of several fields of a hash.',
    run: hmget,
  },
  {
    ...readFast,
    name: 'hexists',
    arity: 3,
    since: '2.0.0',
    summary: 'Tells whether a hash has a field.',
    run: hexists,
  },
  { ...readFast, name: 'hlen', arity: 2, since: '2.0.0', summary: 'Counts the fields of a hash.', run: hlen },
  {
    ...readFast,
    name: 'hstrlen',
    arity: 3,
    since: '3.2.0',
    summary: 'Gets the length of the value of a field.',
    run: hstrlen,
  },
  {
    ...read,
    name: 'hgetall',
    arity: 2,
    since: '2.0.0',
    summary: 'Gets all fields of a hash with their values.',
    run: (call) => getAll(call, true, true),
  },
  {
    ...read,
    name: 'hkeys',
    arity: 2,
    since: '2.0.0',
    summary: 'Gets all field names of a hash.',
    run: (call) => getAll(call, true, false),
  },
  {
    ...read,
    name: 'hvals',
    arity: 2,
    since: '2.0.0',
    summary: 'Gets all values of a hash.',
    run: (call) => getAll(call, false, true),
  },
  { ...read, name: 'hrandfield', arity: -2, since: '6.2.0', summary: 'Gets random fields of a hash.', run: hrandfield },
  {
    ...read,
    name: 'hscan',
    arity: -3,
    since: '2.8.0',
    summary: 'Goes through the fields of a hash step by step.',
    run: hscan,
  },
];
