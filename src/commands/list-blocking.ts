// BLPOP, BRPOP, BLMOVE, BRPOPLPUSH, BLMPOP: the commands of list.ts that wait when there is no list. Only table.ts
// imports this file.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { writeCollection } from '../core/lookup.ts';
import type { List } from '../data/list.ts';
import { TYPE_LIST } from '../data/value-type.ts';
import { timeoutSeconds } from './blocking-words.ts';
import { popWords, readPopWords } from './collection-words.ts';
import { endAt, moveIfAny, popFirstOf, popOne } from './list.ts';

/** Key and element of word `i`'s list. @returns false, with nothing replied, when it is missing. */
function popIfAny(call: Call, i: number, fromHead: boolean): boolean {
  const list = writeCollection<List>(call, i, TYPE_LIST, null);
  if (list === null) return false;
  if (list === undefined) return true;
  call.reply.array(2);
  call.reply.bulk(call.bytes, call.offsets[i], call.lengths[i]);
  if (call.propagates) call.propagateAs(fromHead ? 'LPOP' : 'RPOP', call.word(i));
  popOne(call, i, list, fromHead);
  return true;
}

function blockingPop(call: Call, fromHead: boolean): void {
  const last = call.argc - 2;
  const timeoutMs = timeoutSeconds(call, call.argc - 1);
  if (Number.isNaN(timeoutMs)) return;
  for (let i = 1; i <= last; i++) if (popIfAny(call, i, fromHead)) return;
  call.block({
    kind: 'list',
    timeoutMs,
    keys: { first: 1, last, type: TYPE_LIST },
    serve: (again, word) => popIfAny(again, word, fromHead),
  });
}

/** @returns false, with nothing replied, when word 1's list is missing. */
function moveNow(call: Call, fromHead: boolean, toHead: boolean): boolean {
  if (call.db.peek(call.bytes, call.offsets[1], call.lengths[1]) === 0) return false;
  const { dirty } = call.server;
  moveIfAny(call, fromHead, toHead);
  if (call.server.dirty === dirty || !call.propagates) return true;
  if (call.spec.name === 'brpoplpush') call.propagateAs('RPOPLPUSH', call.word(1), call.word(2));
  else call.propagateAs('LMOVE', call.word(1), call.word(2), call.word(3), call.word(4));
  return true;
}

function blockingMove(call: Call, fromHead: boolean, toHead: boolean, timeout: number): void {
  const timeoutMs = timeoutSeconds(call, timeout);
  if (Number.isNaN(timeoutMs)) return;
  if (moveNow(call, fromHead, toHead)) return;
  if (call.client.inExec) {
    // Where it may not wait it answers as LMOVE does.
    call.reply.null();
    return;
  }
  call.block({
    kind: 'list',
    timeoutMs,
    keys: { first: 1, last: 1, type: TYPE_LIST },
    serve: (again) => moveNow(again, fromHead, toHead),
  });
}

function blmove(call: Call): void {
  const fromHead = endAt(call, 3);
  if (fromHead === undefined) return;
  const toHead = endAt(call, 4);
  if (toHead !== undefined) blockingMove(call, fromHead, toHead, 5);
}

function blmpop(call: Call): void {
  if (!readPopWords(call, 2, 'left', 'right')) return;
  const { count, first, last, fromFirst } = popWords;
  const timeoutMs = timeoutSeconds(call, 1);
  if (Number.isNaN(timeoutMs) || popFirstOf(call, first, last, fromFirst, count)) return;
  call.block({
    kind: 'list',
    timeoutMs,
    keys: { first, last, type: TYPE_LIST },
    serve: (again, word) => popFirstOf(again, word, word, fromFirst, count),
  });
}

const pop = { flags: ['write', 'noscript', 'blocking'], keys: [1, -2, 1], group: 'list' } as const;
const move = { flags: ['write', 'denyoom', 'noscript', 'blocking'], keys: [1, 2, 1], group: 'list' } as const;

export const blockingListCommands: readonly CommandSpec[] = [
  {
    ...pop,
    name: 'blpop',
    arity: -3,
    since: '2.0.0',
    summary: 'Takes the first element of a list, waiting until there is one.',
    run: (call) => blockingPop(call, true),
  },
  {
    ...pop,
    name: 'brpop',
    arity: -3,
    since: '2.0.0',
    summary: 'Takes the last element of a list, waiting until there is one.',
    run: (call) => blockingPop(call, false),
  },
  {
    ...move,
    name: 'blmove',
    arity: 6,
    since: '6.2.0',
    summary: 'Moves an element from one list to another, waiting until there is one.',
    run: blmove,
  },
  {
    ...move,
    name: 'brpoplpush',
    arity: 4,
    since: '2.2.0',
    summary: 'Moves the last element of a list before the first of another, waiting until there is one.',
    run: (call) => blockingMove(call, false, true, 3),
  },
  {
    name: 'blmpop',
    arity: -5,
    flags: ['write', 'blocking', 'movablekeys'],
    keys: [0, 0, 0],
    group: 'list',
    since: '7.0.0',
    summary: 'Takes elements from the first of several lists that has any, waiting until one has.',
    run: blmpop,
  },
];
