// Commands on keys whatever they hold, and on whole databases. Reply texts are Redis 7.0's. Only table.ts imports
// this file.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import type { Database } from '../core/database.ts';
import { NO_SUCH_KEY } from '../core/errors.ts';
import { keyModified } from '../core/lookup.ts';
import { NOTIFY_GENERIC } from '../core/notify-flags.ts';
import { parseInteger } from '../data/integer.ts';
import { TYPE_NAMES, TYPE_STRING } from '../data/value-type.ts';
import { dump, restore } from './dump.ts';
import { deleteWord } from './key-deletion.ts';
import { expire, persist, timeToLive } from './key-expiry.ts';
import { keys, randomkey, scan } from './key-scan.ts';
import { migrateCommand } from './migrate.ts';
import { objectCommand } from './object.ts';

const SAME_OBJECT = 'ERR source and destination objects are the same';
const NO_SUCH_DB = 'ERR DB index is out of range';
const INT_MAX = 2147483647;
const INT_MIN = -2147483648;

function del(call: Call, lazy: boolean): void {
  let deleted = 0;
  for (let i = 1; i < call.argc; i++) if (deleteWord(call, i, 'del', lazy)) deleted++;
  call.reply.integer(deleted);
}

function countFound(call: Call, touch: boolean): void {
  let count = 0;
  for (let i = 1; i < call.argc; i++) {
    if (call.db.findForRead(call.bytes, call.offsets[i], call.lengths[i], touch) !== 0) count++;
  }
  call.reply.integer(count);
}

function type(call: Call): void {
  const entry = call.db.findForRead(call.bytes, call.offsets[1], call.lengths[1], false);
  call.reply.simple(entry === 0 ? 'none' : TYPE_NAMES[call.db.typeOf(entry)]);
}

function sameWord(call: Call, a: number, b: number): boolean {
  const length = call.lengths[a];
  if (length !== call.lengths[b]) return false;
  for (let k = 0; k < length; k++)
    if (call.bytes[call.offsets[a] + k] !== call.bytes[call.offsets[b] + k]) return false;
  return true;
}

/** Moves value and expiry of an entry to the key of word `i` in `target`, where that key is absent. */
function moveEntry(call: Call, source: Database, entry: number, target: Database, i: number): void {
  const { bytes, offsets, lengths } = call;
  const expiry = source.expiryOf(entry);
  let moved = 0;
  if (source.typeOf(entry) === TYPE_STRING) {
    moved = copyString(call, source, entry, target, i);
    source.deleteEntry(entry);
  } else {
    const collection = source.detachCollection(entry);
    moved = target.addCollection(bytes, offsets[i], lengths[i], collection);
  }
  if (expiry !== -1) target.setExpiry(moved, expiry);
}

/** Adds a copy of a string under word `i`; its encoding stays. */
function copyString(call: Call, source: Database, entry: number, target: Database, i: number): number {
  const { bytes, offsets, lengths } = call;
  const start = source.valueOffset(entry);
  const length = source.valueLength(entry);
  const from = source.bytesOf(entry);
  const how = source.stringKindOf(entry);
  return target.setString(bytes, offsets[i], lengths[i], from, start, length, false, how);
}

function rename(call: Call, onlyIfAbsent: boolean): void {
  const { bytes, offsets, lengths, db, reply } = call;
  const entry = db.find(bytes, offsets[1], lengths[1]);
  if (entry === 0) {
    reply.error(NO_SUCH_KEY);
    return;
  }
  if (sameWord(call, 1, 2)) {
    if (onlyIfAbsent) reply.integer(0);
    else reply.ok();
    return;
  }
  const existing = db.find(bytes, offsets[2], lengths[2]);
  if (existing !== 0) {
    if (onlyIfAbsent) {
      reply.integer(0);
      return;
    }
    db.deleteEntry(existing);
  }
  moveEntry(call, db, entry, db, 2);
  keyModified(call, 1, NOTIFY_GENERIC, 'rename_from');
  keyModified(call, 2, NOTIFY_GENERIC, 'rename_to');
  call.server.dirty--; // one change, not two
  if (onlyIfAbsent) reply.integer(1);
  else reply.ok();
}

/** The database that word `i` numbers; null after an error reply. */
function databaseAt(call: Call, i: number): Database | null {
  const index = call.integer(i);
  if (Number.isNaN(index)) return null;
  if (index < INT_MIN || index > INT_MAX) {
    call.reply.error(`ERR value is out of range, value must between ${INT_MIN} and ${INT_MAX}`);
    return null;
  }
  const db = call.db.keyspace.databases[index];
  if (db !== undefined) return db;
  call.reply.error(NO_SUCH_DB);
  return null;
}

function move(call: Call): void {
  const { bytes, offsets, lengths, db, reply } = call;
  const target = databaseAt(call, 2);
  if (target === null) return;
  if (target === db) {
    reply.error(SAME_OBJECT);
    return;
  }
  const entry = db.find(bytes, offsets[1], lengths[1]);
  if (entry === 0 || target.find(bytes, offsets[1], lengths[1]) !== 0) {
    reply.integer(0);
    return;
  }
  moveEntry(call, db, entry, target, 1);
  keyModified(call, 1, NOTIFY_GENERIC, 'move_from');
  modifiedIn(call, target, 1, 'move_to');
  reply.integer(1);
}

/** As `keyModified`, in another database than the client's, without counting a change. */
function modifiedIn(call: Call, db: Database, i: number, event: string): void {
  db.keyspace.hooks.keyModified(db, call.bytes, call.offsets[i], call.lengths[i]);
  db.keyspace.event(NOTIFY_GENERIC, event, db, call.bytes, call.offsets[i], call.lengths[i]);
}

function copy(call: Call): void {
  const { bytes, offsets, lengths, db, reply } = call;
  let target: Database | null = db;
  let replace = false;
  for (let i = 3; i < call.argc; i++) {
    if (call.is(i, 'replace')) replace = true;
    else if (call.is(i, 'db') && i + 1 < call.argc) {
      target = databaseAt(call, ++i);
      if (target === null) return;
    } else {
      call.syntaxError();
      return;
    }
  }
  if (target === db && sameWord(call, 1, 2)) {
    reply.error(SAME_OBJECT);
    return;
  }
  const entry = db.findForRead(bytes, offsets[1], lengths[1]);
  const existing = entry === 0 ? 0 : target.find(bytes, offsets[2], lengths[2]);
  if (entry === 0 || (existing !== 0 && !replace)) {
    reply.integer(0);
    return;
  }
  if (existing !== 0) target.deleteEntry(existing);
  const made =
    db.typeOf(entry) === TYPE_STRING
      ? copyString(call, db, entry, target, 2)
      : target.addCollection(bytes, offsets[2], lengths[2], db.collectionOf(entry).clone(db.keyspace.arena));
  const expiry = db.expiryOf(entry);
  if (expiry !== -1) target.setExpiry(made, expiry);
  modifiedIn(call, target, 2, 'copy_to');
  call.server.dirty++;
  reply.integer(1);
}

function dbsize(call: Call): void {
  call.reply.integer(call.db.size);
}

/** Whether memory is to be given back later; null after a syntax error was replied. */
function flushesLazily(call: Call): boolean | null {
  if (call.argc === 1) return call.server.config.lazyfreeLazyUserFlush;
  if (call.argc === 2 && call.is(1, 'async')) return true;
  if (call.argc === 2 && call.is(1, 'sync')) return false;
  call.syntaxError();
  return null;
}

function flushdb(call: Call): void {
  const lazy = flushesLazily(call);
  if (lazy === null) return;
  const { db } = call;
  db.keyspace.hooks.databaseEmptied(db.index);
  call.server.dirty += db.clear(lazy);
  call.forcePropagation();
  call.reply.ok();
}

/** A save of what was there is of no use any more; an empty dump file is written where there are save points. */
function emptyAll(call: Call, lazy: boolean): void {
  const { config, hooks, keyspace } = call.server;
  hooks.persistence?.stopSave();
  call.server.dirty += keyspace.clear(lazy);
  if (config.save.length > 0) hooks.persistence?.save();
}

function flushall(call: Call): void {
  const lazy = flushesLazily(call);
  if (lazy === null) return;
  const { keyspace } = call.db;
  keyspace.hooks.databaseEmptied(-1);
  emptyAll(call, lazy);
  call.forcePropagation();
  call.reply.ok();
}

function swapIndex(call: Call, i: number, which: string): number {
  const index = parseInteger(call.bytes, call.offsets[i], call.lengths[i]);
  if (index >= INT_MIN && index <= INT_MAX) return index;
  call.reply.error(`ERR invalid ${which} DB index`);
  return Number.NaN;
}

function swapdb(call: Call): void {
  const first = swapIndex(call, 1, 'first');
  if (Number.isNaN(first)) return;
  const second = swapIndex(call, 2, 'second');
  if (Number.isNaN(second)) return;
  const { databases, hooks } = call.db.keyspace;
  const a = databases[first];
  const b = databases[second];
  if (a === undefined || b === undefined) {
    call.reply.error(NO_SUCH_DB);
    return;
  }
  if (a !== b) {
    hooks.databasesSwapped(first, second);
    a.swap(b);
  }
  call.server.dirty++;
  call.reply.ok();
}

const base = { keys: [1, 1, 1], group: 'generic' } as const;
const many = { keys: [1, -1, 1], group: 'generic' } as const;
const none = { keys: [0, 0, 0], group: 'generic' } as const;
const server = { keys: [0, 0, 0], group: 'server' } as const;

export const genericCommands: readonly CommandSpec[] = [
  {
    ...base,
    name: 'copy',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: [1, 2, 1],
    since: '6.2.0',
    run: copy,
    summary: 'Copies the value of a key to another key, in this database or another.',
  },
  {
    ...many,
    name: 'del',
    arity: -2,
    flags: ['write'],
    since: '1.0.0',
    run: (call) => del(call, call.server.config.lazyfreeLazyUserDel),
    summary: 'Deletes keys.',
  },
  {
    ...base,
    name: 'dump',
    arity: 2,
    flags: ['readonly'],
    since: '2.6.0',
    run: dump,
    summary: 'Gives the value of a key in serialized form.',
  },
  {
    ...many,
    name: 'exists',
    arity: -2,
    flags: ['readonly', 'fast'],
    since: '1.0.0',
    run: (call) => countFound(call, false),
    summary: 'Counts how many of the keys exist.',
  },
  {
    ...base,
    name: 'expire',
    arity: -3,
    flags: ['write', 'fast'],
    since: '1.0.0',
    run: (call) => expire(call, 1000, true),
    summary: 'Lets a key expire after some seconds.',
  },
  {
    ...base,
    name: 'expireat',
    arity: -3,
    flags: ['write', 'fast'],
    since: '1.2.0',
    run: (call) => expire(call, 1000, false),
    summary: 'Lets a key expire at a unix time in seconds.',
  },
  {
    ...base,
    name: 'expiretime',
    arity: 2,
    flags: ['readonly', 'fast'],
    since: '7.0.0',
    run: (call) => timeToLive(call, 1000, false),
    summary: 'Tells the unix time in seconds at which a key expires.',
  },
  {
    ...none,
    name: 'keys',
    arity: 2,
    flags: ['readonly'],
    since: '1.0.0',
    run: keys,
    summary: 'Lists all keys that match a pattern.',
  },
  {
    ...base,
    name: 'move',
    arity: 3,
    flags: ['write', 'fast'],
    since: '1.0.0',
    run: move,
    summary: 'Moves a key to another database.',
  },
  migrateCommand,
  objectCommand,
  {
    ...base,
    name: 'persist',
    arity: 2,
    flags: ['write', 'fast'],
    since: '2.2.0',
    run: persist,
    summary: 'Removes the expiry of a key.',
  },
  {
    ...base,
    name: 'pexpire',
    arity: -3,
    flags: ['write', 'fast'],
    since: '2.6.0',
    run: (call) => expire(call, 1, true),
    summary: 'Lets a key expire after some milliseconds.',
  },
  {
    ...base,
    name: 'pexpireat',
    arity: -3,
    flags: ['write', 'fast'],
    since: '2.6.0',
    run: (call) => expire(call, 1, false),
    summary: 'Lets a key expire at a unix time in milliseconds.',
  },
  {
    ...base,
    name: 'pexpiretime',
    arity: 2,
    flags: ['readonly', 'fast'],
    since: '7.0.0',
    run: (call) => timeToLive(call, 1, false),
    summary: 'Tells the unix time in milliseconds at which a key expires.',
  },
  {
    ...base,
    name: 'pttl',
    arity: 2,
    flags: ['readonly', 'fast'],
    since: '2.6.0',
    run: (call) => timeToLive(call, 1, true),
    summary: 'Tells how many milliseconds a key has to live.',
  },
  {
    ...none,
    name: 'randomkey',
    arity: 1,
    flags: ['readonly'],
    since: '1.0.0',
    run: randomkey,
    summary: 'Gives any key of the database.',
  },
  {
    ...base,
    name: 'rename',
    arity: 3,
    flags: ['write'],
    keys: [1, 2, 1],
    since: '1.0.0',
    run: (call) => rename(call, false),
    summary: 'Renames a key, replacing what is there.',
  },
  {
    ...base,
    name: 'renamenx',
    arity: 3,
    flags: ['write', 'fast'],
    keys: [1, 2, 1],
    since: '1.0.0',
    run: (call) => rename(call, true),
    summary: 'Renames a key if the new name is free.',
  },
  {
    ...base,
    name: 'restore',
    arity: -4,
    flags: ['write', 'denyoom'],
    since: '2.6.0',
    run: restore,
    summary: 'Makes a key from the serialized form of a value.',
  },
  {
    ...base,
    name: 'restore-asking',
    arity: -4,
    flags: ['write', 'denyoom', 'asking'],
    group: 'server',
    since: '3.0.0',
    run: restore,
    summary: 'RESTORE as MIGRATE sends it to a cluster.',
  },
  {
    ...none,
    name: 'scan',
    arity: -2,
    flags: ['readonly'],
    since: '2.8.0',
    run: scan,
    summary: 'Walks over the keys of the database step by step.',
  },
  {
    ...many,
    name: 'touch',
    arity: -2,
    flags: ['readonly', 'fast'],
    since: '3.2.1',
    run: (call) => countFound(call, true),
    summary: 'Counts how many of the keys exist and marks them as used.',
  },
  {
    ...base,
    name: 'ttl',
    arity: 2,
    flags: ['readonly', 'fast'],
    since: '1.0.0',
    run: (call) => timeToLive(call, 1000, true),
    summary: 'Tells how many seconds a key has to live.',
  },
  {
    ...base,
    name: 'type',
    arity: 2,
    flags: ['readonly', 'fast'],
    since: '1.0.0',
    run: type,
    summary: 'Tells the type of the value a key holds.',
  },
  {
    ...many,
    name: 'unlink',
    arity: -2,
    flags: ['write', 'fast'],
    since: '4.0.0',
    run: (call) => del(call, true),
    summary: 'Deletes keys and gives their memory back later.',
  },
  {
    ...server,
    name: 'dbsize',
    arity: 1,
    flags: ['readonly', 'fast'],
    since: '1.0.0',
    run: dbsize,
    summary: 'Counts the keys of the database.',
  },
  {
    ...server,
    name: 'flushall',
    arity: -1,
    flags: ['write'],
    since: '1.0.0',
    run: flushall,
    summary: 'Removes all keys of all databases.',
  },
  {
    ...server,
    name: 'flushdb',
    arity: -1,
    flags: ['write'],
    since: '1.0.0',
    run: flushdb,
    summary: 'Removes all keys of the database.',
  },
  {
    ...server,
    name: 'swapdb',
    arity: 3,
    flags: ['write', 'fast'],
    since: '4.0.0',
    run: swapdb,
    summary: 'Exchanges two databases.',
  },
];
