// Sorted set commands over ranges of ranks, scores and members. Every range becomes a first rank and a count, found in
// O(log n); only the members asked for are then visited. Only sorted-set.ts imports this file.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { readCollection, removeIfEmpty, writeCollection } from '../core/lookup.ts';
import { NOTIFY_ZSET } from '../core/notify-flags.ts';
import { Element } from '../data/element.ts';
import { parseDoubleText } from '../data/number-format.ts';
import { LEX_FINITE, LEX_MINUS, LEX_PLUS, type LexBound, LexRange, ScoreRange } from '../data/ranges.ts';
import type { SortedSet } from '../data/sorted-set.ts';
import { TYPE_ZSET } from '../data/value-type.ts';
import { keyChanged, range, setRange, storeResult } from './collection-words.ts';
import { addMember, createSortedSet, openMembers, replyMember } from './sorted-set-words.ts';

const BY_RANK = 0;
const BY_SCORE = 1;
const BY_LEX = 2;
/** ZRANGE and ZRANGESTORE say it in an option. */
const BY_OPTION = -1;

const OPEN_PARENTHESIS = 40;
const PLUS = 43;
const MINUS = 45;
const OPEN_BRACKET = 91;

const element = new Element();
const scoreRange = new ScoreRange();
const lexRange = new LexRange();

// ---- the words of a range ----

/** One end of a range of scores as strtod takes it: up to a zero byte, space before it allowed. NaN when it is none. */
function parseScoreBound(call: Call, i: number, exclusive: boolean): number {
  const text = call
    .latin1(i)
    .slice(exclusive ? 1 : 0)
    .replace(/\0.*$/s, '');
  if (text === '') return 0;
  const trimmed = text.replace(/^[ \t\n\v\f\r]+/, '');
  const value = parseDoubleText(trimmed);
  // beyond a double's range strtod gives infinity or nothing, and nobody minds here
  return Number.isNaN(value) && /^[+-]?[0-9.]+(e[+-]?[0-9]+)?$/i.test(trimmed) ? Number(trimmed) : value;
}

function parseScoreRange(call: Call, min: number, max: number): boolean {
  scoreRange.minExclusive = call.bytes[call.offsets[min]] === OPEN_PARENTHESIS && call.lengths[min] > 0;
  scoreRange.maxExclusive = call.bytes[call.offsets[max]] === OPEN_PARENTHESIS && call.lengths[max] > 0;
  scoreRange.min = parseScoreBound(call, min, scoreRange.minExclusive);
  scoreRange.max = parseScoreBound(call, max, scoreRange.maxExclusive);
  if (!Number.isNaN(scoreRange.min) && !Number.isNaN(scoreRange.max)) return true;
  call.reply.error('ERR min or max is not a float');
  return false;
}

function parseLexBound(call: Call, i: number, bound: LexBound): boolean {
  const offset = call.offsets[i];
  const length = call.lengths[i];
  if (length === 0) return false;
  const first = call.bytes[offset];
  bound.exclusive = first === OPEN_PARENTHESIS;
  bound.infinite = LEX_FINITE;
  if (first === PLUS || first === MINUS) {
    bound.infinite = first === PLUS ? LEX_PLUS : LEX_MINUS;
    return length === 1;
  }
  bound.bytes = call.bytes;
  bound.offset = offset + 1;
  bound.length = length - 1;
  return bound.exclusive || first === OPEN_BRACKET;
}

function parseLexRange(call: Call, min: number, max: number): boolean {
  if (parseLexBound(call, min, lexRange.min) && parseLexBound(call, max, lexRange.max)) return true;
  call.reply.error('ERR min or max not valid string range item');
  return false;
}

/** Start and stop of a range of ranks, as given. */
let rankStart = 0;
let rankStop = 0;

function parseRankRange(call: Call, start: number, stop: number): boolean {
  rankStart = call.integer(start);
  if (Number.isNaN(rankStart)) return false;
  rankStop = call.integer(stop);
  return !Number.isNaN(rankStop);
}

function parseRange(call: Call, by: number, min: number, max: number): boolean {
  if (by === BY_RANK) return parseRankRange(call, min, max);
  return by === BY_SCORE ? parseScoreRange(call, min, max) : parseLexRange(call, min, max);
}

/** Puts first rank and count of the parsed range into `range`, counted from the lowest score. */
function locate(zset: SortedSet, by: number, reverse: boolean): void {
  if (by === BY_RANK) {
    setRange(rankStart, rankStop, zset.length);
    if (reverse) range.start = zset.length - range.start - range.count;
    return;
  }
  const from = by === BY_SCORE ? zset.countBelowScore(scoreRange, false) : zset.countBelowMember(lexRange, false);
  const to = by === BY_SCORE ? zset.countBelowScore(scoreRange, true) : zset.countBelowMember(lexRange, true);
  range.start = from;
  range.count = Math.max(0, to - from);
}

/** Narrows `range` to `limit` (negative: all) members behind the first `offset`, in the order of the reply. */
function applyLimit(offset: number, limit: number, reverse: boolean): void {
  const rest = offset < 0 ? 0 : Math.max(0, range.count - offset);
  const count = limit < 0 ? rest : Math.min(limit, rest);
  range.start += reverse ? rest - count : offset;
  range.count = count;
}

// ---- ZRANGE and its older forms ----

interface RangeOptions {
  by: number;
  /** undefined: given by an option. */
  reverse: boolean | undefined;
  withScores: boolean;
  offset: number;
  limit: number;
}

/** @param first first word behind the range. @returns false after an error reply. */
function parseOptions(call: Call, first: number, storing: boolean, options: RangeOptions): boolean {
  for (let i = first; i < call.argc; i++) {
    if (!storing && call.is(i, 'withscores')) {
      options.withScores = true;
    } else if (i + 2 < call.argc && call.is(i, 'limit')) {
      options.offset = call.integer(i + 1);
      if (Number.isNaN(options.offset)) return false;
      options.limit = call.integer(i + 2);
      if (Number.isNaN(options.limit)) return false;
      i += 2;
    } else if (options.reverse === undefined && call.is(i, 'rev')) {
      options.reverse = true;
    } else if (options.by === BY_OPTION && call.is(i, 'bylex')) {
      options.by = BY_LEX;
    } else if (options.by === BY_OPTION && call.is(i, 'byscore')) {
      options.by = BY_SCORE;
    } else {
      call.syntaxError();
      return false;
    }
  }
  if (options.by === BY_OPTION) options.by = BY_RANK;
  if (options.limit !== -1 && options.by === BY_RANK) {
    call.reply.error('ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX');
    return false;
  }
  if (options.withScores && options.by === BY_LEX) {
    call.reply.error('ERR syntax error, WITHSCORES not supported in combination with BYLEX');
    return false;
  }
  return true;
}

/** Calls `each` for the members of `range`, in `element`, in order. */
function forEachInRange(zset: SortedSet, reverse: boolean, each: (score: number) => void): void {
  const { start, count } = range;
  if (count === 0) return;
  let node = zset.nodeAt(reverse ? start + count - 1 : start);
  for (let rest = count; rest > 0; rest--) {
    zset.member(node, element);
    each(zset.score(node));
    if (rest > 1) node = reverse ? zset.previous(node) : zset.next(node);
  }
}

/** @param source word of the key that is read; two words before the options are the range. */
function zrange(call: Call, source: number, by: number, reverseOrOption: boolean | undefined): void {
  const storing = source === 2;
  const options: RangeOptions = { by, reverse: reverseOrOption, withScores: false, offset: 0, limit: -1 };
  if (!parseOptions(call, source + 3, storing, options)) return;
  const reverse = options.reverse === true;
  const swapped = reverse && options.by !== BY_RANK;
  const min = swapped ? source + 2 : source + 1;
  const max = swapped ? source + 1 : source + 2;
  if (!parseRange(call, options.by, min, max)) return;
  const zset = readCollection<SortedSet>(call, source, TYPE_ZSET);
  if (zset === undefined) return;
  range.start = 0;
  range.count = 0;
  if (zset !== null) {
    locate(zset, options.by, reverse);
    if (options.by !== BY_RANK) applyLimit(options.offset, options.limit, reverse);
  }
  if (storing) {
    storeRange(call, zset, reverse);
    return;
  }
  openMembers(call, range.count, options.withScores);
  if (zset !== null) {
    forEachInRange(zset, reverse, (score) => replyMember(call, element, score, options.withScores));
  }
}

function storeRange(call: Call, zset: SortedSet | null, reverse: boolean): void {
  const result = createSortedSet(call);
  if (zset !== null) {
    forEachInRange(zset, reverse, (score) =>
      addMember(call, result, element.bytes, element.offset, element.length, score),
    );
  }
  storeResult(call, 1, result, NOTIFY_ZSET, 'zrangestore');
}

// ---- counting and removing ----

function count(call: Call, by: number): void {
  if (!parseRange(call, by, 2, 3)) return;
  const zset = readCollection<SortedSet>(call, 1, TYPE_ZSET);
  if (zset === undefined) return;
  range.count = 0;
  if (zset !== null) locate(zset, by, false);
  call.reply.integer(range.count);
}

function removeRange(call: Call, by: number, event: string): void {
  if (!parseRange(call, by, 2, 3)) return;
  const zset = writeCollection<SortedSet>(call, 1, TYPE_ZSET, null);
  if (zset === undefined) return;
  if (zset === null) {
    call.reply.integer(0);
    return;
  }
  locate(zset, by, false);
  const deleted = range.count;
  zset.deleteRange(range.start, deleted);
  if (deleted > 0) {
    keyChanged(call, 1, NOTIFY_ZSET, event, deleted);
    removeIfEmpty(call, 1, zset);
  }
  call.reply.integer(deleted);
}

const one: CommandSpec['keys'] = [1, 1, 1];
const read = { flags: ['readonly'], keys: one, group: 'sorted-set' } as const;
const readFast = { flags: ['readonly', 'fast'], keys: one, group: 'sorted-set' } as const;
const write = { flags: ['write'], keys: one, group: 'sorted-set' } as const;

export const rangeCommands: readonly CommandSpec[] = [
  {
    ...read,
    name: 'zrange',
    arity: -4,
    since: '1.2.0',
    summary: 'Gets members of a sorted set in a range of ranks, scores or members.',
    run: (call) => zrange(call, 1, BY_OPTION, undefined),
  },
  {
    ...write,
    flags: ['write', 'denyoom'],
    keys: [1, 2, 1],
    name: 'zrangestore',
    arity: -5,
    since: '6.2.0',
    summary: 'Stores what ZRANGE would give.',
    run: (call) => zrange(call, 2, BY_OPTION, undefined),
  },
  {
    ...read,
    name: 'zrevrange',
    arity: -4,
    since: '1.2.0',
    summary: 'Gets members in a range of ranks, highest score first.',
    run: (call) => zrange(call, 1, BY_RANK, true),
  },
  {
    ...read,
    name: 'zrangebyscore',
    arity: -4,
    since: '1.0.5',
    summary: 'Gets members in a range of scores.',
    run: (call) => zrange(call, 1, BY_SCORE, false),
  },
  {
    ...read,
    name: 'zrevrangebyscore',
    arity: -4,
    since: '2.2.0',
    summary: 'Gets members in a range of scores, highest first.',
    run: (call) => zrange(call, 1, BY_SCORE, true),
  },
  {
    ...read,
    name: 'zrangebylex',
    arity: -4,
    since: '2.8.9',
    summary: 'Gets members in a range of members.',
    run: (call) => zrange(call, 1, BY_LEX, false),
  },
  {
    ...read,
    name: 'zrevrangebylex',
    arity: -4,
    since: '2.8.9',
    summary: 'Gets members in a range of members, last first.',
    run: (call) => zrange(call, 1, BY_LEX, true),
  },
  {
    ...readFast,
    name: 'zcount',
    arity: 4,
    since: '2.0.0',
    summary: 'Counts members in a range of scores.',
    run: (call) => count(call, BY_SCORE),
  },
  {
    ...readFast,
    name: 'zlexcount',
    arity: 4,
    since: '2.8.9',
    summary: 'Counts members in a range of members.',
    run: (call) => count(call, BY_LEX),
  },
  {
    ...write,
    name: 'zremrangebyrank',
    arity: 4,
    since: '2.0.0',
    summary: 'Removes members in a range of ranks.',
    run: (call) => removeRange(call, BY_RANK, 'zremrangebyrank'),
  },
  {
    ...write,
    name: 'zremrangebyscore',
    arity: 4,
    since: '1.2.0',
    summary: 'Removes members in a range of scores.',
    run: (call) => removeRange(call, BY_SCORE, 'zremrangebyscore'),
  },
  {
    ...write,
    name: 'zremrangebylex',
    arity: 4,
    since: '2.8.9',
    summary: 'Removes members in a range of members.',
    run: (call) => removeRange(call, BY_LEX, 'zremrangebylex'),
  },
];
