// List commands. LPUSH, RPUSH, LPOP, RPOP and LRANGE allocate nothing: elements go from the request into listpacks and
// from listpacks into the reply. table.ts imports this file; the blocking commands reuse its shared parts.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { INDEX_OUT_OF_RANGE, NO_SUCH_KEY } from '../core/errors.ts';
import { readCollection, removeIfEmpty, writeCollection } from '../core/lookup.ts';
import { NOTIFY_LIST } from '../core/notify-flags.ts';
import { Element } from '../data/element.ts';
import { List, ListCursor } from '../data/list.ts';
import { TYPE_LIST } from '../data/value-type.ts';
import {
  integerFrom,
  Keeper,
  keyChanged,
  MUST_BE_POSITIVE,
  popWords,
  range,
  readPopWords,
  setRange,
} from './collection-words.ts';

const element = new Element();
const cursor = new ListCursor();
const keeper = new Keeper();

const createList = (call: Call): List => new List(call.server.arena, call.server.config.listMaxListpackSize);

function push(call: Call, atHead: boolean, create: typeof createList | null): void {
  const list = writeCollection<List>(call, 1, TYPE_LIST, create);
  if (list === undefined) return;
  if (list === null) {
    call.reply.integer(0);
    return;
  }
  const { bytes, offsets, lengths, argc } = call;
  for (let i = 2; i < argc; i++) list.push(atHead, bytes, offsets[i], lengths[i]);
  call.reply.integer(list.length);
  keyChanged(call, 1, NOTIFY_LIST, atHead ? 'lpush' : 'rpush', argc - 2);
}

/** Counts and tells of `count` elements taken from an end of word `i`'s list, and deletes the key when none is left. */
function elementsPopped(call: Call, i: number, list: List, fromHead: boolean, count: number): void {
  keyChanged(call, i, NOTIFY_LIST, fromHead ? 'lpop' : 'rpop', count);
  removeIfEmpty(call, i, list);
}

/** Replies one element from an end and takes it. */
export function popOne(call: Call, i: number, list: List, fromHead: boolean): void {
  list.peek(fromHead, element);
  call.reply.bulk(element.bytes, element.offset, element.length);
  list.drop(fromHead);
  elementsPopped(call, i, list, fromHead, 1);
}

/** Replies an array of up to `count` elements from an end, in the order of popping, and takes them. */
function popSeveral(call: Call, i: number, list: List, fromHead: boolean, count: number): void {
  const taken = Math.min(count, list.length);
  call.reply.array(taken);
  if (fromHead) {
    list.emit(0, taken, call.reply);
    list.removeRange(0, taken);
  } else {
    list.emitBackwards(-1, taken, call.reply);
    list.removeRange(list.length - taken, taken);
  }
  elementsPopped(call, i, list, fromHead, taken);
}

function pop(call: Call, fromHead: boolean): void {
  const { reply } = call;
  if (call.argc > 3) {
    reply.error(`ERR wrong number of arguments for '${fromHead ? 'lpop' : 'rpop'}' command`);
    return;
  }
  const hasCount = call.argc === 3;
  const count = hasCount ? integerFrom(call, 2, 0, MUST_BE_POSITIVE) : 1;
  if (Number.isNaN(count)) return;
  const list = writeCollection<List>(call, 1, TYPE_LIST, null);
  if (list === undefined) return;
  if (list === null) {
    if (hasCount) reply.nullArray();
    else reply.null();
    return;
  }
  if (!hasCount) popOne(call, 1, list, fromHead);
  else if (count === 0) reply.emptyArray();
  else popSeveral(call, 1, list, fromHead, count);
}

/** Whether word `i` is LEFT (true) or RIGHT (false); undefined after a syntax error was replied. */
export function endAt(call: Call, i: number): boolean | undefined {
  if (call.is(i, 'left')) return true;
  if (call.is(i, 'right')) return false;
  call.syntaxError();
  return undefined;
}

/** Moves an element from word 1's list, which has one, to word 2's, and replies it. */
function moveElement(call: Call, source: List, fromHead: boolean, toHead: boolean): void {
  const target = writeCollection<List>(call, 2, TYPE_LIST, createList);
  if (target === undefined) return;
  source.peek(fromHead, element);
  keeper.keep(element);
  // A list that turns on itself has room again for what it lost.
  source.drop(fromHead);
  target.push(toHead, keeper.bytes, 0, keeper.length);
  call.reply.bulk(keeper.bytes, 0, keeper.length);
  keeper.done();
  keyChanged(call, 2, NOTIFY_LIST, toHead ? 'lpush' : 'rpush', 0);
  elementsPopped(call, 1, source, fromHead, 1);
}

/** @returns false, with nothing replied, when word 1's list is missing. */
export function moveIfAny(call: Call, fromHead: boolean, toHead: boolean): boolean {
  const source = writeCollection<List>(call, 1, TYPE_LIST, null);
  if (source === null) return false;
  if (source !== undefined) moveElement(call, source, fromHead, toHead);
  return true;
}

function move(call: Call, fromHead: boolean, toHead: boolean): void {
  if (!moveIfAny(call, fromHead, toHead)) call.reply.null();
}

function lmove(call: Call): void {
  const fromHead = endAt(call, 3);
  if (fromHead === undefined) return;
  const toHead = endAt(call, 4);
  if (toHead !== undefined) move(call, fromHead, toHead);
}

/** Key and elements of the first non-empty list among words [first, last]. @returns false when all are missing. */
export function popFirstOf(call: Call, first: number, last: number, fromHead: boolean, count: number): boolean {
  for (let i = first; i <= last; i++) {
    const list = writeCollection<List>(call, i, TYPE_LIST, null);
    if (list === null) continue;
    if (list === undefined) return true;
    const taken = Math.min(count, list.length);
    if (call.propagates) call.propagateAs(fromHead ? 'LPOP' : 'RPOP', call.word(i), taken);
    call.reply.array(2);
    call.reply.bulk(call.bytes, call.offsets[i], call.lengths[i]);
    popSeveral(call, i, list, fromHead, count);
    return true;
  }
  return false;
}

function lmpop(call: Call): void {
  if (!readPopWords(call, 1, 'left', 'right')) return;
  const { count, first, last, fromFirst } = popWords;
  if (!popFirstOf(call, first, last, fromFirst, count)) call.reply.nullArray();
}

function llen(call: Call): void {
  const list = readCollection<List>(call, 1, TYPE_LIST);
  if (list !== undefined) call.reply.integer(list === null ? 0 : list.length);
}

function lindex(call: Call): void {
  const list = readCollection<List>(call, 1, TYPE_LIST);
  if (list === undefined) return;
  if (list === null) {
    call.reply.null();
    return;
  }
  const index = call.integer(2);
  if (Number.isNaN(index)) return;
  if (list.get(index, element)) call.reply.bulk(element.bytes, element.offset, element.length);
  else call.reply.null();
}

function lrange(call: Call): void {
  const start = call.integer(2);
  if (Number.isNaN(start)) return;
  const stop = call.integer(3);
  if (Number.isNaN(stop)) return;
  const list = readCollection<List>(call, 1, TYPE_LIST);
  if (list === undefined) return;
  if (list === null) {
    call.reply.emptyArray();
    return;
  }
  setRange(start, stop, list.length);
  call.reply.array(range.count);
  list.emit(range.start, range.count, call.reply);
}

function ltrim(call: Call): void {
  const start = call.integer(2);
  if (Number.isNaN(start)) return;
  const stop = call.integer(3);
  if (Number.isNaN(stop)) return;
  const list = writeCollection<List>(call, 1, TYPE_LIST, null);
  if (list === undefined) return;
  if (list === null) {
    call.reply.ok();
    return;
  }
  const before = list.length;
  setRange(start, stop, before);
  const { start: head, count } = range;
  if (count === 0) {
    list.removeRange(0, before);
  } else {
    list.removeRange(head + count, before - head - count);
    list.removeRange(0, head);
  }
  keyChanged(call, 1, NOTIFY_LIST, 'ltrim', before - list.length);
  removeIfEmpty(call, 1, list);
  call.reply.ok();
}

function lset(call: Call): void {
  const list = writeCollection<List>(call, 1, TYPE_LIST, null);
  if (list === undefined) return;
  if (list === null) {
    call.reply.error(NO_SUCH_KEY);
    return;
  }
  const index = call.integer(2);
  if (Number.isNaN(index)) return;
  if (!list.set(index, call.bytes, call.offsets[3], call.lengths[3])) {
    call.reply.error(INDEX_OUT_OF_RANGE);
    return;
  }
  call.reply.ok();
  keyChanged(call, 1, NOTIFY_LIST, 'lset', 1);
}

function linsert(call: Call): void {
  const before = call.is(2, 'before');
  if (!before && !call.is(2, 'after')) {
    call.syntaxError();
    return;
  }
  const list = writeCollection<List>(call, 1, TYPE_LIST, null);
  if (list === undefined) return;
  if (list === null) {
    call.reply.integer(0);
    return;
  }
  const { bytes, offsets, lengths } = call;
  if (!list.insertBeside(before, bytes, offsets[3], lengths[3], offsets[4], lengths[4])) {
    call.reply.integer(-1);
    return;
  }
  call.reply.integer(list.length);
  keyChanged(call, 1, NOTIFY_LIST, 'linsert', 1);
}

function lrem(call: Call): void {
  const count = call.integer(2);
  if (Number.isNaN(count)) return;
  const list = writeCollection<List>(call, 1, TYPE_LIST, null);
  if (list === undefined) return;
  if (list === null) {
    call.reply.integer(0);
    return;
  }
  const removed = list.removeEqual(count >= 0, Math.abs(count), call.bytes, call.offsets[3], call.lengths[3]);
  call.reply.integer(removed);
  if (removed === 0) return;
  keyChanged(call, 1, NOTIFY_LIST, 'lrem', removed);
  removeIfEmpty(call, 1, list);
}

/** LPOS's options; count -1: reply one index instead of an array. */
interface LposOptions {
  rank: number;
  count: number;
  maxLength: number;
}

function lposOptions(call: Call): LposOptions | null {
  const options: LposOptions = { rank: 1, count: -1, maxLength: 0 };
  for (let i = 3; i < call.argc; i += 2) {
    if (i + 1 >= call.argc) {
      call.syntaxError();
      return null;
    }
    let value: number;
    if (call.is(i, 'rank')) {
      value = options.rank = call.integer(i + 1);
      if (value === 0) {
        call.reply.error(
          "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
        );
        return null;
      }
    } else if (call.is(i, 'count')) {
      value = options.count = integerFrom(call, i + 1, 0, "ERR COUNT can't be negative");
    } else if (call.is(i, 'maxlen')) {
      value = options.maxLength = integerFrom(call, i + 1, 0, "ERR MAXLEN can't be negative");
    } else {
      call.syntaxError();
      return null;
    }
    if (Number.isNaN(value)) return null;
  }
  return options;
}

function lpos(call: Call): void {
  const options = lposOptions(call);
  if (options === null) return;
  const list = readCollection<List>(call, 1, TYPE_LIST);
  if (list === undefined) return;
  const { reply } = call;
  const single = options.count === -1;
  if (list === null) {
    if (single) reply.null();
    else reply.emptyArray();
    return;
  }
  const forwards = options.rank > 0;
  const wanted = options.count > 0 ? options.count : single ? 1 : Number.POSITIVE_INFINITY;
  const mark = single ? 0 : reply.openDeferred();
  let toSkip = Math.abs(options.rank) - 1;
  let matches = 0;
  let found = forwards ? list.seekHead(cursor) : list.seekTail(cursor);
  for (let passed = 0; found && (options.maxLength === 0 || passed < options.maxLength); passed++) {
    if (list.equals(cursor, call.bytes, call.offsets[2], call.lengths[2]) && toSkip-- <= 0) {
      reply.integer(forwards ? passed : list.length - 1 - passed);
      if (++matches === wanted) break;
    }
    found = forwards ? list.next(cursor) : list.previous(cursor);
  }
  if (!single) reply.closeArray(mark, matches);
  else if (matches === 0) reply.null();
}

const one: CommandSpec['keys'] = [1, 1, 1];
const read = { flags: ['readonly'], keys: one, group: 'list' } as const;
const write = { flags: ['write'], keys: one, group: 'list' } as const;
const writeFast = { flags: ['write', 'fast'], keys: one, group: 'list' } as const;
const grow = { flags: ['write', 'denyoom'], keys: one, group: 'list' } as const;
const growFast = { flags: ['write', 'denyoom', 'fast'], keys: one, group: 'list' } as const;

export const listCommands: readonly CommandSpec[] = [
  {
    ...growFast,
    name: 'lpush',
    arity: -3,
    since: '1.0.0',
    summary: 'Puts elements before the first of a list.',
    run: (call) => push(call, true, createList),
  },
  {
    ...growFast,
    name: 'rpush',
    arity: -3,
    since: '1.0.0',
    summary: 'Puts elements behind the last of a list.',
    run: (call) => push(call, false, createList),
  },
  {
    ...growFast,
    name: 'lpushx',
    arity: -3,
    since: '2.2.0',
    summary: 'Puts elements before the first of a list that exists.',
    run: (call) => push(call, true, null),
  },
  {
    ...growFast,
    name: 'rpushx',
    arity: -3,
    since: '2.2.0',
    summary: 'Puts elements behind the last of a list that exists.',
    run: (call) => push(call, false, null),
  },
  {
    ...writeFast,
    name: 'lpop',
    arity: -2,
    since: '1.0.0',
    summary: 'Takes elements from the start of a list.',
    run: (call) => pop(call, true),
  },
  {
    ...writeFast,
    name: 'rpop',
    arity: -2,
    since: '1.0.0',
    summary: 'Takes elements from the end of a list.',
    run: (call) => pop(call, false),
  },
  {
    ...read,
    flags: ['readonly', 'fast'],
    name: 'llen',
    arity: 2,
    since: '1.0.0',
    summary: 'Counts the elements of a list.',
    run: llen,
  },
  {
    ...read,
    name: 'lindex',
    arity: 3,
    since: '1.0.0',
    summary: 'Gets the element at an index of a list.',
    run: lindex,
  },
  { ...read, name: 'lrange', arity: 4, since: '1.0.0', summary: 'Gets a range of elements of a list.', run: lrange },
  { ...read, name: 'lpos', arity: -3, since: '6.0.6', summary: 'Finds where an element is in a list.', run: lpos },
  {
    ...grow,
    name: 'linsert',
    arity: 5,
    since: '2.2.0',
    summary: 'Puts an element beside another one of a list.',
    run: linsert,
  },
  {
    ...grow,
    name: 'lset',
    arity: 4,
    since: '1.0.0',
    summary: 'Overwrites the element at an index of a list.',
    run: lset,
  },
  { ...write, name: 'lrem', arity: 4, since: '1.0.0', summary: 'Removes equal elements from a list.', run: lrem },
  {
    ...write,
    name: 'ltrim',
    arity: 4,
    since: '1.0.0',
    summary: 'Removes what is outside a range of a list.',
    run: ltrim,
  },
  {
    ...grow,
    keys: [1, 2, 1],
    name: 'lmove',
    arity: 5,
    since: '6.2.0',
    summary: 'Moves an element from an end of one list to an end of another.',
    run: lmove,
  },
  {
    ...grow,
    keys: [1, 2, 1],
    name: 'rpoplpush',
    arity: 3,
    since: '1.2.0',
    summary: 'Moves the last element of a list before the first of another.',
    run: (call) => move(call, false, true),
  },
  {
    ...write,
    flags: ['write', 'movablekeys'],
    keys: [0, 0, 0],
    name: 'lmpop',
    arity: -4,
    since: '7.0.0',
    summary: 'Takes elements from the first of several lists that has any.',
    run: lmpop,
  },
];
