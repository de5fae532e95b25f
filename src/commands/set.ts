// Set commands. SADD and SPOP allocate nothing. Only table.ts imports this file.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { keyModified, readCollection, removeIfEmpty, writeCollection } from '../core/lookup.ts';
import { NOTIFY_GENERIC, NOTIFY_SET } from '../core/notify-flags.ts';
import { EntryList } from '../data/dict.ts';
import { Element } from '../data/element.ts';
import { SetValue } from '../data/set.ts';
import { TYPE_SET } from '../data/value-type.ts';
import {
  emptyScan,
  integerFrom,
  keyChanged,
  MUST_BE_POSITIVE,
  replyScan,
  scanCursor,
  signedCount,
  storeResult,
} from './collection-words.ts';
import { propagateDeletion } from './key-deletion.ts';

const element = new Element();
const handles = new EntryList();

const createSet = (call: Call): SetValue => new SetValue(call.server.arena);

function sadd(call: Call): void {
  const set = writeCollection<SetValue>(call, 1, TYPE_SET, createSet);
  if (set === undefined) return;
  const { bytes, offsets, lengths, argc } = call;
  const most = call.server.config.setMaxIntsetEntries;
  let added = 0;
  for (let i = 2; i < argc; i++) if (set.add(bytes, offsets[i], lengths[i], most)) added++;
  if (added > 0) keyChanged(call, 1, NOTIFY_SET, 'sadd', added);
  call.reply.integer(added);
}

function srem(call: Call): void {
  const set = writeCollection<SetValue>(call, 1, TYPE_SET, null);
  if (set === undefined) return;
  if (set === null) {
    call.reply.integer(0);
    return;
  }
  let deleted = 0;
  for (let i = 2; i < call.argc; i++) if (set.delete(call.bytes, call.offsets[i], call.lengths[i])) deleted++;
  if (deleted > 0) {
    keyChanged(call, 1, NOTIFY_SET, 'srem', deleted);
    removeIfEmpty(call, 1, set);
  }
  call.reply.integer(deleted);
}

function smove(call: Call): void {
  const { bytes, offsets, lengths, reply } = call;
  const source = writeCollection<SetValue>(call, 1, TYPE_SET, null);
  // It may have expired, and that shows whatever the source is.
  call.db.find(bytes, offsets[2], lengths[2]);
  if (source === undefined) return;
  if (source === null) {
    reply.integer(0);
    return;
  }
  const target = writeCollection<SetValue>(call, 2, TYPE_SET, null);
  if (target === undefined) return;
  if (source === target) {
    reply.integer(source.has(bytes, offsets[3], lengths[3]) ? 1 : 0);
    return;
  }
  if (!source.delete(bytes, offsets[3], lengths[3])) {
    reply.integer(0);
    return;
  }
  keyModified(call, 1, NOTIFY_SET, 'srem');
  removeIfEmpty(call, 1, source);
  const to = target ?? (writeCollection<SetValue>(call, 2, TYPE_SET, createSet) as SetValue);
  const added = to.add(bytes, offsets[3], lengths[3], call.server.config.setMaxIntsetEntries);
  if (added) keyModified(call, 2, NOTIFY_SET, 'sadd');
  reply.integer(1);
}

function sismember(call: Call): void {
  const set = readCollection<SetValue>(call, 1, TYPE_SET);
  if (set === undefined) return;
  call.reply.integer(set?.has(call.bytes, call.offsets[2], call.lengths[2]) ? 1 : 0);
}

function smismember(call: Call): void {
  const set = readCollection<SetValue>(call, 1, TYPE_SET);
  if (set === undefined) return;
  call.reply.array(call.argc - 2);
  for (let i = 2; i < call.argc; i++) {
    call.reply.integer(set?.has(call.bytes, call.offsets[i], call.lengths[i]) ? 1 : 0);
  }
}

function scard(call: Call): void {
  const set = readCollection<SetValue>(call, 1, TYPE_SET);
  if (set !== undefined) call.reply.integer(set === null ? 0 : set.length);
}

function replyMember(call: Call, set: SetValue, handle: number): void {
  set.member(handle, element);
  call.reply.bulk(element.bytes, element.offset, element.length);
}

function replyAll(call: Call, set: SetValue): void {
  for (let at = 0; at !== -1; ) {
    handles.length = 0;
    at = set.walk(at, handles);
    for (let i = 0; i < handles.length; i++) replyMember(call, set, handles.refs[i]);
  }
}

function smembers(call: Call): void {
  const set = readCollection<SetValue>(call, 1, TYPE_SET);
  if (set === undefined) return;
  call.reply.set(set === null ? 0 : set.length);
  if (set !== null) replyAll(call, set);
}

function spop(call: Call): void {
  if (call.argc > 3) {
    call.syntaxError();
    return;
  }
  if (call.argc === 3) {
    spopSeveral(call);
    return;
  }
  const set = writeCollection<SetValue>(call, 1, TYPE_SET, null);
  if (set === undefined) return;
  if (set === null) {
    call.reply.null();
    return;
  }
  const handle = set.random(call.server.random);
  replyMember(call, set, handle);
  propagateRemoval(call, set, handle);
  set.deleteHandle(handle);
  keyModified(call, 1, NOTIFY_SET, 'spop');
  removeIfEmpty(call, 1, set);
}

/** Which member chance chose. */
function propagateRemoval(call: Call, set: SetValue, handle: number): void {
  if (!call.propagates) return;
  set.member(handle, element);
  const member = element.bytes.subarray(element.offset, element.offset + element.length);
  call.propagateAs('SREM', call.word(1), member);
}

function spopSeveral(call: Call): void {
  const { reply } = call;
  const count = integerFrom(call, 2, 0, MUST_BE_POSITIVE);
  if (Number.isNaN(count)) return;
  const set = writeCollection<SetValue>(call, 1, TYPE_SET, null);
  if (set === undefined) return;
  if (set === null || count === 0) {
    reply.set(0);
    return;
  }
  const taken = Math.min(count, set.length);
  reply.set(taken);
  if (taken === set.length) {
    replyAll(call, set);
    propagateDeletion(call, false);
    keyChanged(call, 1, NOTIFY_SET, 'spop', taken);
    call.db.delete(call.bytes, call.offsets[1], call.lengths[1]);
    call.db.keyspace.event(NOTIFY_GENERIC, 'del', call.db, call.bytes, call.offsets[1], call.lengths[1]);
    return;
  }
  for (let i = 0; i < taken; i++) {
    const handle = set.random(call.server.random);
    replyMember(call, set, handle);
    propagateRemoval(call, set, handle);
    set.deleteHandle(handle);
  }
  keyChanged(call, 1, NOTIFY_SET, 'spop', taken);
}

function srandmember(call: Call): void {
  const { reply } = call;
  if (call.argc > 3) {
    call.syntaxError();
    return;
  }
  const hasCount = call.argc === 3;
  const count = hasCount ? signedCount(call, 2) : 1;
  if (Number.isNaN(count)) return;
  const set = readCollection<SetValue>(call, 1, TYPE_SET);
  if (set === undefined) return;
  if (set === null) {
    if (hasCount) reply.emptyArray();
    else reply.null();
    return;
  }
  if (!hasCount) {
    replyMember(call, set, set.random(call.server.random));
    return;
  }
  if (count < 0) {
    reply.array(-count);
    for (let i = 0; i < -count && !reply.overflow; i++) replyMember(call, set, set.random(call.server.random));
    return;
  }
  const taken = Math.min(count, set.length);
  reply.array(taken);
  if (taken === set.length) {
    replyAll(call, set);
    return;
  }
  handles.length = 0;
  set.sample(taken, call.server.random, handles);
  for (let i = 0; i < taken; i++) replyMember(call, set, handles.refs[i]);
}

// ---- several sets ----

/** Sets of words [first, last], null for missing ones; undefined when WRONGTYPE was replied. */
function setsOf(call: Call, first: number, last: number): (SetValue | null)[] | undefined {
  const sets: (SetValue | null)[] = [];
  for (let i = first; i <= last; i++) {
    const set = readCollection<SetValue>(call, i, TYPE_SET);
    if (set === undefined) return undefined;
    sets.push(set);
  }
  return sets;
}

/** Calls `each` with every member of `set` in `element`; false stops. */
function forEachMember(set: SetValue, each: () => boolean): void {
  const members = new EntryList();
  for (let at = 0; at !== -1; ) {
    members.length = 0;
    at = set.walk(at, members);
    for (let i = 0; i < members.length; i++) {
      set.member(members.refs[i], element);
      if (!each()) return;
    }
  }
}

/** Calls `each` with every member that all sets have, in `element`; false stops. */
function forEachCommon(sets: readonly (SetValue | null)[], each: () => boolean): void {
  const present = sets.filter((set) => set !== null);
  if (present.length < sets.length) return;
  present.sort((a, b) => a.length - b.length);
  const [smallest, ...others] = present;
  forEachMember(smallest, () => {
    for (const other of others) {
      if (other !== smallest && !other.has(element.bytes, element.offset, element.length)) return true;
    }
    return each();
  });
}

const intersection = (call: Call, sets: readonly (SetValue | null)[], result: SetValue): void => {
  forEachCommon(sets, () => add(call, result));
};

function union(call: Call, sets: readonly (SetValue | null)[], result: SetValue): void {
  for (const set of sets) if (set !== null) forEachMember(set, () => add(call, result));
}

/** Looks members up where the others are small; otherwise deletes the others' members from a copy of the first. */
function difference(call: Call, sets: readonly (SetValue | null)[], result: SetValue): void {
  const [first, ...rest] = sets;
  if (first === null || rest.includes(first)) return;
  const others = rest.filter((set) => set !== null);
  const lookups = (first.length * (others.length + 1)) / 2;
  const deletions = others.reduce((sum, set) => sum + set.length, first.length);
  if (lookups <= deletions) {
    others.sort((a, b) => b.length - a.length);
    forEachMember(first, () => {
      for (const other of others) if (other.has(element.bytes, element.offset, element.length)) return true;
      return add(call, result);
    });
    return;
  }
  forEachMember(first, () => add(call, result));
  for (const other of others) {
    forEachMember(other, () => {
      result.delete(element.bytes, element.offset, element.length);
      return result.length > 0;
    });
  }
}

function add(call: Call, result: SetValue): true {
  result.add(element.bytes, element.offset, element.length, call.server.config.setMaxIntsetEntries);
  return true;
}

type Operation = (call: Call, sets: readonly (SetValue | null)[], result: SetValue) => void;

function reply(call: Call, operation: Operation): void {
  const sets = setsOf(call, 1, call.argc - 1);
  if (sets === undefined) return;
  const result = createSet(call);
  operation(call, sets, result);
  call.reply.set(result.length);
  replyAll(call, result);
  result.release();
}

function store(call: Call, operation: Operation, event: string): void {
  const sets = setsOf(call, 2, call.argc - 1);
  if (sets === undefined) return;
  const result = createSet(call);
  operation(call, sets, result);
  storeResult(call, 1, result, NOTIFY_SET, event);
}

function sintercard(call: Call): void {
  const keys = integerFrom(call, 1, 1, 'ERR numkeys should be greater than 0');
  if (Number.isNaN(keys)) return;
  if (keys > call.argc - 2) {
    call.reply.error("ERR Number of keys can't be greater than number of args");
    return;
  }
  let limit = 0;
  for (let i = 2 + keys; i < call.argc; i += 2) {
    if (i + 1 >= call.argc || !call.is(i, 'limit')) {
      call.syntaxError();
      return;
    }
    limit = integerFrom(call, i + 1, 0, "ERR LIMIT can't be negative");
    if (Number.isNaN(limit)) return;
  }
  const sets = setsOf(call, 2, 1 + keys);
  if (sets === undefined) return;
  let common = 0;
  forEachCommon(sets, () => ++common !== limit);
  call.reply.integer(common);
}

function sscan(call: Call): void {
  const cursor = scanCursor(call, 2);
  if (cursor === -1) return;
  const set = readCollection<SetValue>(call, 1, TYPE_SET);
  if (set === undefined) return;
  if (set === null) {
    emptyScan(call);
    return;
  }
  replyScan(call, cursor, set, (handle, name) => set.member(handle, name), null);
}

const one: CommandSpec['keys'] = [1, 1, 1];
const all: CommandSpec['keys'] = [1, -1, 1];
const read = { flags: ['readonly'], keys: one, group: 'set' } as const;
const readFast = { flags: ['readonly', 'fast'], keys: one, group: 'set' } as const;
const writeFast = { flags: ['write', 'fast'], keys: one, group: 'set' } as const;
const storing = { flags: ['write', 'denyoom'], keys: all, group: 'set' } as const;

export const setCommands: readonly CommandSpec[] = [
  {
    ...writeFast,
    flags: ['write', 'denyoom', 'fast'],
    name: 'sadd',
    arity: -3,
    since: '1.0.0',
    summary: 'Adds members to a set.',
    run: sadd,
  },
  { ...writeFast, name: 'srem', arity: -3, since: '1.0.0', summary: 'Removes members from a set.', run: srem },
  { ...writeFast, name: 'spop', arity: -2, since: '1.0.0', summary: 'Takes random members from a set.', run: spop },
  {
    ...writeFast,
    keys: [1, 2, 1],
    name: 'smove',
    arity: 4,
    since: '1.0.0',
    summary: 'Moves a member from one set to another.',
    run: smove,
  },
  { ...readFast, name: 'scard', arity: 2, since: '1.0.0', summary: 'Counts the members of a set.', run: scard },
  {
    ...readFast,
    name: 'sismember',
    arity: 3,
    since: '1.0.0',
    summary: 'Tells whether a set has a member.',
    run: sismember,
  },
  {
    ...readFast,
    name: 'smismember',
    arity: -3,
    since: '6.2.0',
    summary: 'Tells of several members whether a set has them.',
    run: smismember,
  },
  { ...read, name: 'smembers', arity: 2, since: '1.0.0', summary: 'Gets all members of a set.', run: smembers },
  {
    ...read,
    name: 'srandmember',
    arity: -2,
    since: '1.0.0',
    summary: 'Gets random members of a set.',
    run: srandmember,
  },
  {
    ...read,
    name: 'sscan',
    arity: -3,
    since: '2.8.0',
    summary: 'Goes through the members of a set step by step.',
    run: sscan,
  },
  {
    ...read,
    keys: all,
    name: 'sinter',
    arity: -2,
    since: '1.0.0',
    summary: 'Gets the members that several sets share.',
    run: (call) => reply(call, intersection),
  },
  {
    ...read,
    keys: all,
    name: 'sunion',
    arity: -2,
    since: '1.0.0',
    summary: 'Gets the members of several sets.',
    run: (call) => reply(call, union),
  },
  {
    ...read,
    keys: all,
    name: 'sdiff',
    arity: -2,
    since: '1.0.0',
    summary: 'Gets the members of one set that others lack.',
    run: (call) => reply(call, difference),
  },
  {
    ...storing,
    name: 'sinterstore',
    arity: -3,
    since: '1.0.0',
    summary: 'Stores the members that several sets share.',
    run: (call) => store(call, intersection, 'sinterstore'),
  },
  {
    ...storing,
    name: 'sunionstore',
    arity: -3,
    since: '1.0.0',
    summary: 'Stores the members of several sets.',
    run: (call) => store(call, union, 'sunionstore'),
  },
  {
    ...storing,
    name: 'sdiffstore',
    arity: -3,
    since: '1.0.0',
    summary: 'Stores the members of one set that others lack.',
    run: (call) => store(call, difference, 'sdiffstore'),
  },
  {
    ...read,
    flags: ['readonly', 'movablekeys'],
    keys: [0, 0, 0],
    name: 'sintercard',
    arity: -3,
    since: '7.0.0',
    summary: 'Counts the members that several sets share.',
    run: sintercard,
  },
];
