// Sorted set commands that add, look up and take members. ZADD and ZPOPMIN allocate nothing but score texts.
// Ranges are in sorted-set-ranges.ts, unions and the like in sorted-set-algebra.ts. table.ts imports this file; the
// blocking commands and geo.ts reuse its shared parts.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { NOT_A_FLOAT } from '../core/errors.ts';
import { readCollection, removeIfEmpty, writeCollection } from '../core/lookup.ts';
import { NOTIFY_ZSET } from '../core/notify-flags.ts';
import { EntryList } from '../data/dict.ts';
import { Element } from '../data/element.ts';
import { formatDouble, parseDouble } from '../data/number-format.ts';
import { formatPackedScore, type SortedSet } from '../data/sorted-set.ts';
import { TYPE_ZSET } from '../data/value-type.ts';
import {
  emptyScan,
  integerFrom,
  keyChanged,
  MUST_BE_POSITIVE,
  popWords,
  readPopWords,
  replyScan,
  scanCursor,
  signedCount,
} from './collection-words.ts';
import { algebraCommands } from './sorted-set-algebra.ts';
import { rangeCommands } from './sorted-set-ranges.ts';
import { addMember, createSortedSet, replyMember } from './sorted-set-words.ts';

/** Half of LONG_MAX: a reply of pairs holds twice the count. */
const PAIRS_MAX = 2 ** 62;

export const NX = 1;
export const XX = 2;
const GT = 4;
const LT = 8;
export const CH = 16;
const INCR = 32;

const element = new Element();
const handles = new EntryList();

export function zaddOption(call: Call, i: number): number {
  if (call.is(i, 'nx')) return NX;
  if (call.is(i, 'xx')) return XX;
  if (call.is(i, 'ch')) return CH;
  if (call.is(i, 'incr')) return INCR;
  if (call.is(i, 'gt')) return GT;
  return call.is(i, 'lt') ? LT : 0;
}

/** What is wrong with this combination, or null. */
function zaddConflict(flags: number, pairs: number): string | null {
  if ((flags & NX) !== 0 && (flags & XX) !== 0) return 'ERR XX and NX options at the same time are not compatible';
  const order = flags & (GT | LT);
  if (order === (GT | LT) || (order !== 0 && (flags & NX) !== 0)) {
    return 'ERR GT, LT, and/or NX options at the same time are not compatible';
  }
  if ((flags & INCR) !== 0 && pairs > 1) return 'ERR INCR option supports a single increment-element pair';
  return null;
}

/** Scores of the pairs of the call that is running: parsed before anything is changed. */
let scores = new Float64Array(64);

function parseScores(call: Call, first: number, pairs: number): boolean {
  if (pairs > scores.length) scores = new Float64Array(pairs * 2);
  for (let k = 0; k < pairs; k++) {
    const score = parseDouble(call.bytes, call.offsets[first + 2 * k], call.lengths[first + 2 * k]);
    if (Number.isNaN(score)) {
      call.reply.error(NOT_A_FLOAT);
      return false;
    }
    scores[k] = score;
  }
  return true;
}

const NOTHING = 0;
const KEPT = 1;
const UPDATED = 2;
const ADDED = 3;
const NOT_A_SCORE = 4;
/** Score that the latest `addOne` left. */
let newScore = 0;

/** Adds or updates one member as the flags say. @returns what became of it. */
function addOne(call: Call, zset: SortedSet, i: number, score: number, flags: number): number {
  const { bytes, offsets, lengths } = call;
  const entry = zset.find(bytes, offsets[i], lengths[i]);
  newScore = score;
  if (entry === 0) {
    if ((flags & XX) !== 0) return NOTHING;
    addMember(call, zset, bytes, offsets[i], lengths[i], score);
    return ADDED;
  }
  if ((flags & NX) !== 0) return NOTHING;
  const old = zset.entryScore(entry);
  if ((flags & INCR) !== 0) newScore = old + score;
  if (Number.isNaN(newScore)) return NOT_A_SCORE;
  if ((flags & LT) !== 0 && newScore >= old) return NOTHING;
  if ((flags & GT) !== 0 && newScore <= old) return NOTHING;
  if (newScore === old) return KEPT;
  zset.setScore(entry, newScore);
  return UPDATED;
}

function zadd(call: Call, initialFlags: number): void {
  const { reply, argc } = call;
  let flags = initialFlags;
  let first = 2;
  for (let option: number; first < argc && (option = zaddOption(call, first)) !== 0; first++) flags |= option;
  const words = argc - first;
  if (words === 0 || (words & 1) === 1) {
    call.syntaxError();
    return;
  }
  const pairs = words >> 1;
  const conflict = zaddConflict(flags, pairs);
  if (conflict !== null) {
    reply.error(conflict);
    return;
  }
  if (parseScores(call, first, pairs)) addPairs(call, flags, first + 1, 2, pairs);
}

/** GEOADD: members at words `first`, `first + 3` and on, with these scores. @param flags of `zaddOption`. */
export function addWithScores(call: Call, flags: number, first: number, given: readonly number[]): void {
  if (given.length > scores.length) scores = new Float64Array(given.length * 2);
  scores.set(given);
  addPairs(call, flags, first, 3, given.length);
}

/** Adds members, the first being word `first`, each `step` words behind the one before, with the parsed scores. */
function addPairs(call: Call, flags: number, first: number, step: number, pairs: number): void {
  const { reply } = call;
  const zset = writeCollection<SortedSet>(call, 1, TYPE_ZSET, (flags & XX) !== 0 ? null : createSortedSet);
  if (zset === undefined) return;
  let added = 0;
  let updated = 0;
  let processed = 0;
  let failed = false;
  if (zset !== null) {
    for (let k = 0; k < pairs && !failed; k++) {
      const outcome = addOne(call, zset, first + step * k, scores[k], flags);
      failed = outcome === NOT_A_SCORE;
      if (outcome === ADDED) added++;
      if (outcome === UPDATED) updated++;
      if (outcome !== NOTHING) processed++;
    }
  }
  const isIncrement = (flags & INCR) !== 0;
  if (failed) reply.error('ERR resulting score is not a number (NaN)');
  else if (!isIncrement) reply.integer((flags & CH) !== 0 ? added + updated : added);
  else if (processed > 0) reply.double(formatDouble(newScore));
  else reply.null();
  if (added + updated > 0) keyChanged(call, 1, NOTIFY_ZSET, isIncrement ? 'zincr' : 'zadd', added + updated);
}

function zrem(call: Call): void {
  const zset = writeCollection<SortedSet>(call, 1, TYPE_ZSET, null);
  if (zset === undefined) return;
  let deleted = 0;
  if (zset !== null) {
    for (let i = 2; i < call.argc; i++) {
      const entry = zset.find(call.bytes, call.offsets[i], call.lengths[i]);
      if (entry === 0) continue;
      zset.deleteEntry(entry);
      deleted++;
    }
  }
  if (zset !== null && deleted > 0) {
    keyChanged(call, 1, NOTIFY_ZSET, 'zrem', deleted);
    removeIfEmpty(call, 1, zset);
  }
  call.reply.integer(deleted);
}

function zcard(call: Call): void {
  const zset = readCollection<SortedSet>(call, 1, TYPE_ZSET);
  if (zset !== undefined) call.reply.integer(zset === null ? 0 : zset.length);
}

function replyScore(call: Call, zset: SortedSet | null, i: number): void {
  const entry = zset === null ? 0 : zset.find(call.bytes, call.offsets[i], call.lengths[i]);
  if (zset === null || entry === 0) call.reply.null();
  else call.reply.double(formatDouble(zset.entryScore(entry)));
}

function zscore(call: Call): void {
  const zset = readCollection<SortedSet>(call, 1, TYPE_ZSET);
  if (zset !== undefined) replyScore(call, zset, 2);
}

function zmscore(call: Call): void {
  const zset = readCollection<SortedSet>(call, 1, TYPE_ZSET);
  if (zset === undefined) return;
  call.reply.array(call.argc - 2);
  for (let i = 2; i < call.argc; i++) replyScore(call, zset, i);
}

function rank(call: Call, reverse: boolean): void {
  const zset = readCollection<SortedSet>(call, 1, TYPE_ZSET);
  if (zset === undefined) return;
  const entry = zset === null ? 0 : zset.find(call.bytes, call.offsets[2], call.lengths[2]);
  if (zset === null || entry === 0) {
    call.reply.null();
    return;
  }
  const forwards = zset.rankOf(entry);
  call.reply.integer(reverse ? zset.length - 1 - forwards : forwards);
}

// ---- taking members ----

/** Replies `count` members (at least 1, at most all) from an end with their scores, and takes them from word `i`'s set. */
export function popMembers(
  call: Call,
  i: number,
  zset: SortedSet,
  lowest: boolean,
  count: number,
  nested: boolean,
): void {
  const { reply } = call;
  const length = zset.length;
  let node = lowest ? zset.first() : zset.last();
  for (let rest = count; rest > 0; rest--) {
    if (nested) reply.array(2);
    zset.member(node, element);
    reply.bulk(element.bytes, element.offset, element.length);
    reply.double(formatDouble(zset.score(node)));
    if (rest > 1) node = lowest ? zset.next(node) : zset.previous(node);
  }
  zset.deleteRange(lowest ? 0 : length - count, count);
  keyChanged(call, i, NOTIFY_ZSET, lowest ? 'zpopmin' : 'zpopmax', count);
  removeIfEmpty(call, i, zset);
}

function zpop(call: Call, lowest: boolean): void {
  const { reply } = call;
  if (call.argc > 3) {
    call.syntaxError();
    return;
  }
  const hasCount = call.argc === 3;
  const count = hasCount ? integerFrom(call, 2, 0, MUST_BE_POSITIVE) : 1;
  if (Number.isNaN(count)) return;
  const zset = writeCollection<SortedSet>(call, 1, TYPE_ZSET, null);
  if (zset === undefined) return;
  if (zset === null || count === 0) {
    reply.emptyArray();
    return;
  }
  const nested = hasCount && reply.protocol > 2;
  const taken = Math.min(count, zset.length);
  reply.array(nested ? taken : taken * 2);
  popMembers(call, 1, zset, lowest, taken, nested);
}

/** Key and members of the first non-empty set among words [first, last]. @returns false when all are missing. */
export function popFirstOf(call: Call, first: number, last: number, lowest: boolean, count: number): boolean {
  for (let i = first; i <= last; i++) {
    const zset = writeCollection<SortedSet>(call, i, TYPE_ZSET, null);
    if (zset === null) continue;
    if (zset === undefined) return true;
    const taken = Math.min(count, zset.length);
    if (call.propagates) call.propagateAs(lowest ? 'ZPOPMIN' : 'ZPOPMAX', call.word(i), taken);
    call.reply.array(2);
    call.reply.bulk(call.bytes, call.offsets[i], call.lengths[i]);
    call.reply.array(taken);
    popMembers(call, i, zset, lowest, taken, true);
    return true;
  }
  return false;
}

function zmpop(call: Call): void {
  if (!readPopWords(call, 1, 'min', 'max')) return;
  const { count, first, last, fromFirst } = popWords;
  if (!popFirstOf(call, first, last, fromFirst, count)) call.reply.nullArray();
}

function replyEntry(call: Call, zset: SortedSet, entry: number, withScores: boolean): void {
  zset.entryMember(entry, element);
  replyMember(call, element, zset.entryScore(entry), withScores);
}

function zrandmember(call: Call): void {
  const { reply, argc } = call;
  const hasCount = argc > 2;
  const count = hasCount ? signedCount(call, 2) : 1;
  if (Number.isNaN(count)) return;
  const withScores = argc === 4 && call.is(3, 'withscores');
  if (argc > 3 && !withScores) {
    call.syntaxError();
    return;
  }
  if (withScores && Math.abs(count) >= PAIRS_MAX) {
    reply.error('ERR value is out of range');
    return;
  }
  const zset = readCollection<SortedSet>(call, 1, TYPE_ZSET);
  if (zset === undefined) return;
  if (zset === null) {
    if (hasCount) reply.emptyArray();
    else reply.null();
    return;
  }
  if (!hasCount) {
    replyEntry(call, zset, zset.random(call.server.random), false);
    return;
  }
  const taken = count < 0 ? -count : Math.min(count, zset.length);
  reply.array(withScores && reply.protocol === 2 ? taken * 2 : taken);
  if (count < 0) {
    for (let i = 0; i < taken && !reply.overflow; i++) {
      replyEntry(call, zset, zset.random(call.server.random), withScores);
    }
    return;
  }
  handles.length = 0;
  if (taken < zset.length) zset.sample(taken, call.server.random, handles);
  else for (let at = 0; at !== -1; ) at = zset.walk(at, handles);
  for (let i = 0; i < taken; i++) replyEntry(call, zset, handles.refs[i], withScores);
}

function zscan(call: Call): void {
  const cursor = scanCursor(call, 2);
  if (cursor === -1) return;
  const zset = readCollection<SortedSet>(call, 1, TYPE_ZSET);
  if (zset === undefined) return;
  if (zset === null) {
    emptyScan(call);
    return;
  }
  const nameOf = (entry: number, name: Element): void => zset.entryMember(entry, name);
  replyScan(call, cursor, zset, nameOf, (entry) => {
    const score = zset.entryScore(entry);
    call.reply.bulkLatin1(zset.isPacked ? formatPackedScore(score) : formatDouble(score));
  });
}

const one: CommandSpec['keys'] = [1, 1, 1];
const readFast = { flags: ['readonly', 'fast'], keys: one, group: 'sorted-set' } as const;
const read = { flags: ['readonly'], keys: one, group: 'sorted-set' } as const;
const writeFast = { flags: ['write', 'fast'], keys: one, group: 'sorted-set' } as const;
const grow = { flags: ['write', 'denyoom', 'fast'], keys: one, group: 'sorted-set' } as const;

export const sortedSetCommands: readonly CommandSpec[] = [
  {
    ...grow,
    name: 'zadd',
    arity: -4,
    since: '1.2.0',
    summary: 'Adds members to a sorted set, or changes their scores.',
    run: (call) => zadd(call, 0),
  },
  {
    ...grow,
    name: 'zincrby',
    arity: 4,
    since: '1.2.0',
    summary: 'Adds to the score of a member of a sorted set.',
    run: (call) => zadd(call, INCR),
  },
  { ...writeFast, name: 'zrem', arity: -3, since: '1.2.0', summary: 'Removes members from a sorted set.', run: zrem },
  {
    ...writeFast,
    name: 'zpopmin',
    arity: -2,
    since: '5.0.0',
    summary: 'Takes the members with the lowest scores from a sorted set.',
    run: (call) => zpop(call, true),
  },
  {
    ...writeFast,
    name: 'zpopmax',
    arity: -2,
    since: '5.0.0',
    summary: 'Takes the members with the highest scores from a sorted set.',
    run: (call) => zpop(call, false),
  },
  {
    ...writeFast,
    flags: ['write', 'movablekeys'],
    keys: [0, 0, 0],
    name: 'zmpop',
    arity: -4,
    since: '7.0.0',
    summary: 'Takes members from the first of several sorted sets that has any.',
    run: zmpop,
  },
  { ...readFast, name: 'zcard', arity: 2, since: '1.2.0', summary: 'Counts the members of a sorted set.', run: zcard },
  {
    ...readFast,
    name: 'zscore',
    arity: 3,
    since: '1.2.0',
    summary: 'Gets the score of a member of a sorted set.',
    run: zscore,
  },
  {
    ...readFast,
    name: 'zmscore',
    arity: -3,
    since: '6.2.0',
    summary: 'Gets the scores of several members of a sorted set.',
    run: zmscore,
  },
  {
    ...readFast,
    name: 'zrank',
    arity: 3,
    since: '2.0.0',
    summary: 'Gets the position of a member, lowest score first.',
    run: (call) => rank(call, false),
  },
  {
    ...readFast,
    name: 'zrevrank',
    arity: 3,
    since: '2.0.0',
    summary: 'Gets the position of a member, highest score first.',
    run: (call) => rank(call, true),
  },
  {
    ...read,
    name: 'zrandmember',
    arity: -2,
    since: '6.2.0',
    summary: 'Gets random members of a sorted set.',
    run: zrandmember,
  },
  {
    ...read,
    name: 'zscan',
    arity: -3,
    since: '2.8.0',
    summary: 'Goes through the members of a sorted set step by step.',
    run: zscan,
  },
  ...rangeCommands,
  ...algebraCommands,
];
