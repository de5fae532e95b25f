// BZPOPMIN, BZPOPMAX, BZMPOP: the commands of sorted-set.ts that wait when there is no sorted set. Only table.ts imports
// this file.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { writeCollection } from '../core/lookup.ts';
import type { SortedSet } from '../data/sorted-set.ts';
import { TYPE_ZSET } from '../data/value-type.ts';
import { timeoutSeconds } from './blocking-words.ts';
import { popWords, readPopWords } from './collection-words.ts';
import { popFirstOf, popMembers } from './sorted-set.ts';

/** Key, member and score of word `i`'s set. @returns false, with nothing replied, when it is missing. */
function popIfAny(call: Call, i: number, lowest: boolean): boolean {
  const zset = writeCollection<SortedSet>(call, i, TYPE_ZSET, null);
  if (zset === null) return false;
  if (zset === undefined) return true;
  call.reply.array(3);
  call.reply.bulk(call.bytes, call.offsets[i], call.lengths[i]);
  if (call.propagates) call.propagateAs(lowest ? 'ZPOPMIN' : 'ZPOPMAX', call.word(i));
  popMembers(call, i, zset, lowest, 1, false);
  return true;
}

function blockingPop(call: Call, lowest: boolean): void {
  const last = call.argc - 2;
  const timeoutMs = timeoutSeconds(call, call.argc - 1);
  if (Number.isNaN(timeoutMs)) return;
  for (let i = 1; i <= last; i++) if (popIfAny(call, i, lowest)) return;
  call.block({
    kind: 'zset',
    timeoutMs,
    keys: { first: 1, last, type: TYPE_ZSET },
    serve: (again, word) => popIfAny(again, word, lowest),
  });
}

function bzmpop(call: Call): void {
  if (!readPopWords(call, 2, 'min', 'max')) return;
  const { count, first, last, fromFirst } = popWords;
  const timeoutMs = timeoutSeconds(call, 1);
  if (Number.isNaN(timeoutMs) || popFirstOf(call, first, last, fromFirst, count)) return;
  call.block({
    kind: 'zset',
    timeoutMs,
    keys: { first, last, type: TYPE_ZSET },
    serve: (again, word) => popFirstOf(again, word, word, fromFirst, count),
  });
}

const pop = { flags: ['write', 'noscript', 'blocking', 'fast'], keys: [1, -2, 1], group: 'sorted-set' } as const;

export const blockingSortedSetCommands: readonly CommandSpec[] = [
  {
    ...pop,
    name: 'bzpopmin',
    arity: -3,
    since: '5.0.0',
    summary: 'Takes the member with the lowest score, waiting until there is one.',
    run: (call) => blockingPop(call, true),
  },
  {
    ...pop,
    name: 'bzpopmax',
    arity: -3,
    since: '5.0.0',
    summary: 'Takes the member with the highest score, waiting until there is one.',
    run: (call) => blockingPop(call, false),
  },
  {
    name: 'bzmpop',
    arity: -5,
    flags: ['write', 'blocking', 'movablekeys'],
    keys: [0, 0, 0],
    group: 'sorted-set',
    since: '7.0.0',
    summary: 'Takes members from the first of several sorted sets that has any, waiting until one has.',
    run: bzmpop,
  },
];
