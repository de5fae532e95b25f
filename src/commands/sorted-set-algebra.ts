// Unions, intersections and differences of sorted sets; plain sets take part with a score of 1 a member. Only
// sorted-set.ts imports this file.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { WRONG_TYPE } from '../core/errors.ts';
import { NOTIFY_ZSET } from '../core/notify-flags.ts';
import { EntryList } from '../data/dict.ts';
import { Element } from '../data/element.ts';
import { parseDouble } from '../data/number-format.ts';
import { SetValue } from '../data/set.ts';
import { SortedSet } from '../data/sorted-set.ts';
import { TYPE_SET, TYPE_ZSET } from '../data/value-type.ts';
import { integerFrom, storeResult } from './collection-words.ts';
import { createSortedSet, openMembers, replyMember } from './sorted-set-words.ts';

const UNION = 0;
const INTER = 1;
const DIFF = 2;

/** By index: SUM, MIN, and what is neither. */
const AGGREGATES = ['sum', 'min', 'max'];
const SUM = 0;
const MIN = 1;

interface Source {
  readonly collection: SetValue | SortedSet | null;
  readonly length: number;
  weight: number;
}

/** The words of one command. */
interface Request {
  readonly sources: Source[];
  aggregate: number;
  withScores: boolean;
  limit: number;
}

const element = new Element();

/** Reads keys and options. @returns null after an error reply. */
function parseRequest(
  call: Call,
  numkeys: number,
  operation: number,
  storing: boolean,
  counting: boolean,
): Request | null {
  const keys = call.integer(numkeys);
  if (Number.isNaN(keys)) return null;
  if (keys < 1) {
    call.reply.error(`ERR at least 1 input key is needed for '${call.spec.name}' command`);
    return null;
  }
  if (keys > call.argc - numkeys - 1) {
    call.syntaxError();
    return null;
  }
  const request: Request = { sources: [], aggregate: SUM, withScores: false, limit: 0 };
  for (let i = numkeys + 1; i <= numkeys + keys; i++) {
    const source = sourceAt(call, i);
    if (source === null) return null;
    request.sources.push(source);
  }
  for (let i = numkeys + keys + 1; i < call.argc; ) {
    const used = parseOption(call, i, request, operation !== DIFF && !counting, !storing && !counting, counting);
    if (used === 0) return null;
    i += used;
  }
  return request;
}

function sourceAt(call: Call, i: number): Source | null {
  const { db } = call;
  const entry = db.findForRead(call.bytes, call.offsets[i], call.lengths[i]);
  if (entry === 0) return { collection: null, length: 0, weight: 1 };
  const type = db.typeOf(entry);
  if (type !== TYPE_SET && type !== TYPE_ZSET) {
    call.reply.error(WRONG_TYPE);
    return null;
  }
  const collection = db.collectionOf(entry) as SetValue | SortedSet;
  return { collection, length: collection.length, weight: 1 };
}

/** @returns how many words the option took, 0 after an error reply. */
function parseOption(
  call: Call,
  i: number,
  request: Request,
  weighs: boolean,
  mayScore: boolean,
  counting: boolean,
): number {
  const { sources } = request;
  const rest = call.argc - i;
  if (weighs && rest > sources.length && call.is(i, 'weights')) {
    for (const [k, source] of sources.entries()) {
      source.weight = parseDouble(call.bytes, call.offsets[i + 1 + k], call.lengths[i + 1 + k]);
      if (!Number.isNaN(source.weight)) continue;
      call.reply.error('ERR weight value is not a float');
      return 0;
    }
    return sources.length + 1;
  }
  if (weighs && rest >= 2 && call.is(i, 'aggregate')) {
    const chosen = AGGREGATES.findIndex((name) => call.is(i + 1, name));
    if (chosen !== -1) {
      request.aggregate = chosen;
      return 2;
    }
  } else if (mayScore && call.is(i, 'withscores')) {
    request.withScores = true;
    return 1;
  } else if (counting && rest >= 2 && call.is(i, 'limit')) {
    request.limit = integerFrom(call, i + 1, 0, "ERR LIMIT can't be negative");
    return Number.isNaN(request.limit) ? 0 : 2;
  }
  call.syntaxError();
  return 0;
}

/** Calls `each` for every member, in `element`; false stops. */
function forEachMember(collection: SetValue | SortedSet, each: (score: number) => boolean): void {
  const handles = new EntryList();
  for (let at = 0; at !== -1; ) {
    handles.length = 0;
    at = collection.walk(at, handles);
    for (let i = 0; i < handles.length; i++) {
      const handle = handles.refs[i];
      let score = 1;
      if (collection instanceof SortedSet) {
        collection.entryMember(handle, element);
        score = collection.entryScore(handle);
      } else {
        collection.member(handle, element);
      }
      if (!each(score)) return;
    }
  }
}

/** Score of `element` in a collection, NaN when it is not there. */
function scoreIn(collection: SetValue | SortedSet): number {
  const { bytes, offset, length } = element;
  if (collection instanceof SetValue) return collection.has(bytes, offset, length) ? 1 : Number.NaN;
  const entry = collection.find(bytes, offset, length);
  return entry === 0 ? Number.NaN : collection.entryScore(entry);
}

/** An infinity times 0, and infinities of both signs added up, count as 0. */
const orZero = (score: number): number => (Number.isNaN(score) ? 0 : score);

function aggregated(a: number, b: number, how: number): number {
  if (how === SUM) return orZero(a + b);
  if (how === MIN) return Math.min(b, a);
  return Math.max(b, a);
}

/** Calls `found` with the score of every member that all sources have, in `element`; false stops. */
function intersect(request: Request, found: (score: number) => boolean): void {
  const [first, ...others] = request.sources.toSorted((a, b) => a.length - b.length);
  if (first.collection === null) return;
  forEachMember(first.collection, (own) => {
    let score = orZero(own * first.weight);
    for (const other of others) {
      if (other.collection === null) return false;
      const value = other.collection === first.collection ? own : scoreIn(other.collection);
      if (Number.isNaN(value)) return true;
      score = aggregated(score, value * other.weight, request.aggregate);
    }
    return found(score);
  });
}

/** Builds the result as a skip list. @returns it with the length of its longest member. */
function compute(call: Call, operation: number, request: Request): { result: SortedSet; longest: number } {
  const result = createSortedSet(call);
  result.toSkiplist();
  let longest = 0;
  const insert = (score: number): true => {
    const { bytes, offset, length } = element;
    const entry = operation === UNION ? result.find(bytes, offset, length) : 0;
    if (entry !== 0) {
      result.setScore(entry, aggregated(result.entryScore(entry), score, request.aggregate));
    } else {
      result.insert(bytes, offset, length, score);
      longest = Math.max(longest, length);
    }
    return true;
  };
  if (operation === INTER) {
    intersect(request, insert);
  } else if (operation === UNION) {
    for (const source of request.sources.toSorted((a, b) => a.length - b.length)) {
      if (source.collection !== null) {
        forEachMember(source.collection, (score) => insert(orZero(score * source.weight)));
      }
    }
  } else {
    const [first, ...others] = request.sources;
    const rest = others.map((source) => source.collection).filter((collection) => collection !== null);
    if (first.collection !== null && !rest.includes(first.collection)) {
      forEachMember(first.collection, (score) =>
        rest.some((collection) => !Number.isNaN(scoreIn(collection))) ? true : insert(score),
      );
    }
  }
  return { result, longest };
}

function store(call: Call, operation: number, event: string): void {
  const request = parseRequest(call, 2, operation, true, false);
  if (request === null) return;
  const { result, longest } = compute(call, operation, request);
  const { zsetMaxListpackEntries, zsetMaxListpackValue } = call.server.config;
  if (result.length <= zsetMaxListpackEntries && longest <= zsetMaxListpackValue) result.toListpack();
  storeResult(call, 1, result, NOTIFY_ZSET, event);
}

function reply(call: Call, operation: number): void {
  const request = parseRequest(call, 1, operation, false, false);
  if (request === null) return;
  const { result } = compute(call, operation, request);
  openMembers(call, result.length, request.withScores);
  for (let node = result.first(); node !== 0; node = result.next(node)) {
    result.member(node, element);
    replyMember(call, element, result.score(node), request.withScores);
  }
  result.release();
}

function zintercard(call: Call): void {
  const request = parseRequest(call, 1, INTER, false, true);
  if (request === null) return;
  let common = 0;
  intersect(request, () => ++common !== request.limit);
  call.reply.integer(common);
}

const read = { flags: ['readonly', 'movablekeys'], keys: [0, 0, 0], group: 'sorted-set' } as const;
const storing = { flags: ['write', 'denyoom', 'movablekeys'], keys: [1, 1, 1], group: 'sorted-set' } as const;

export const algebraCommands: readonly CommandSpec[] = [
  {
    ...read,
    name: 'zunion',
    arity: -3,
    since: '6.2.0',
    summary: 'Gets the members of several sorted sets.',
    run: (call) => reply(call, UNION),
  },
  {
    ...read,
    name: 'zinter',
    arity: -3,
    since: '6.2.0',
    summary: 'Gets the members that several sorted sets share.',
    run: (call) => reply(call, INTER),
  },
  {
    ...read,
    name: 'zdiff',
    arity: -3,
    since: '6.2.0',
    summary: 'Gets the members of one sorted set that others lack.',
    run: (call) => reply(call, DIFF),
  },
  {
    ...read,
    name: 'zintercard',
    arity: -3,
    since: '7.0.0',
    summary: 'Counts the members that several sorted sets share.',
    run: zintercard,
  },
  {
    ...storing,
    name: 'zunionstore',
    arity: -4,
    since: '2.0.0',
    summary: 'Stores the members of several sorted sets.',
    run: (call) => store(call, UNION, 'zunionstore'),
  },
  {
    ...storing,
    name: 'zinterstore',
    arity: -4,
    since: '2.0.0',
    summary: 'Stores the members that several sorted sets share.',
    run: (call) => store(call, INTER, 'zinterstore'),
  },
  {
    ...storing,
    name: 'zdiffstore',
    arity: -4,
    since: '6.2.0',
    summary: 'Stores the members of one sorted set that others lack.',
    run: (call) => store(call, DIFF, 'zdiffstore'),
  },
];
