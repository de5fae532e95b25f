// Geo commands: sorted sets whose scores are places (data/geo.ts). Searches have a file of their own. Reply texts are
// Redis 7.0's. Only table.ts imports this file.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { readCollection } from '../core/lookup.ts';
import type { Word } from '../core/propagation.ts';
import { distance, geohashText, place, scoreOf } from '../data/geo.ts';
import type { SortedSet } from '../data/sorted-set.ts';
import { TYPE_ZSET } from '../data/value-type.ts';
import { geoSearch } from './geo-search.ts';
import { decodeMember, given, placeAt, replyCoordinate, replyDistance, unitAt } from './geo-words.ts';
import { addWithScores, CH, NX, XX, zaddOption } from './sorted-set.ts';

function geoadd(call: Call): void {
  let flags = 0;
  let first = 2;
  for (; first < call.argc; first++) {
    const option = zaddOption(call, first) & (NX | XX | CH);
    if (option === 0) break;
    flags |= option;
  }
  const words = call.argc - first;
  if (words === 0 || words % 3 !== 0 || (flags & (NX | XX)) === (NX | XX)) {
    call.syntaxError();
    return;
  }
  const scores: number[] = [];
  for (let i = first; i < call.argc; i += 3) {
    if (!placeAt(call, i)) return;
    scores.push(scoreOf(given.longitude, given.latitude));
  }
  const { dirty } = call.server;
  addWithScores(call, flags, first + 2, scores);
  if (call.server.dirty !== dirty && call.propagates) propagateAsZadd(call, first, scores);
}

/** Replicas need not compute the scores. */
function propagateAsZadd(call: Call, first: number, scores: readonly number[]): void {
  const words: Word[] = ['ZADD'];
  for (let i = 1; i < first; i++) words.push(call.word(i));
  for (const [k, score] of scores.entries()) words.push(score, call.word(first + k * 3 + 2));
  call.propagateAs(...words);
}

function geodist(call: Call): void {
  const { reply } = call;
  if (call.argc > 5) {
    call.syntaxError();
    return;
  }
  const unit = call.argc === 5 ? unitAt(call, 4) : 1;
  if (Number.isNaN(unit)) return;
  const zset = readCollection<SortedSet>(call, 1, TYPE_ZSET);
  if (zset === undefined) return;
  if (zset === null || !decodeMember(call, zset, 2)) {
    reply.null();
    return;
  }
  const { longitude, latitude } = place;
  if (!decodeMember(call, zset, 3)) reply.null();
  else replyDistance(call, distance(longitude, latitude, place.longitude, place.latitude) / unit);
}

/** Replies for each member from word 2 on. @param found when it is one: its place is in `place`. */
function forEachMember(call: Call, found: () => void, missing: () => void): void {
  const zset = readCollection<SortedSet>(call, 1, TYPE_ZSET);
  if (zset === undefined) return;
  call.reply.array(call.argc - 2);
  for (let i = 2; i < call.argc; i++) {
    if (zset !== null && decodeMember(call, zset, i)) found();
    else missing();
  }
}

function geohash(call: Call): void {
  forEachMember(
    call,
    () => call.reply.bulkLatin1(geohashText(place.longitude, place.latitude)),
    () => call.reply.null(),
  );
}

function geopos(call: Call): void {
  const { reply } = call;
  forEachMember(
    call,
    () => {
      reply.array(2);
      replyCoordinate(call, place.longitude);
      replyCoordinate(call, place.latitude);
    },
    () => reply.nullArray(),
  );
}

const read = { flags: ['readonly'], keys: [1, 1, 1], group: 'geo' } as const;
const write = { flags: ['write', 'denyoom'], keys: [1, 1, 1], group: 'geo' } as const;

export const geoCommands: readonly CommandSpec[] = [
  { ...write, name: 'geoadd', arity: -5, since: '3.2.0', run: geoadd, summary: 'Adds places or moves them.' },
  { ...read, name: 'geodist', arity: -4, since: '3.2.0', run: geodist, summary: 'Tells how far two places are apart.' },
  { ...read, name: 'geohash', arity: -2, since: '3.2.0', run: geohash, summary: 'Gives places as geohash strings.' },
  {
    ...read,
    name: 'geopos',
    arity: -2,
    since: '3.2.0',
    run: geopos,
    summary: 'Gives longitude and latitude of places.',
  },
  {
    ...write,
    name: 'georadius',
    arity: -6,
    flags: ['write', 'denyoom', 'movablekeys'],
    since: '3.2.0',
    run: (call) => geoSearch(call, 'radius', true),
    summary: 'Finds the places within a circle and may store them.',
  },
  {
    ...read,
    name: 'georadius_ro',
    arity: -6,
    since: '3.2.10',
    run: (call) => geoSearch(call, 'radius', false),
    summary: 'Finds the places within a circle.',
  },
  {
    ...write,
    name: 'georadiusbymember',
    arity: -5,
    flags: ['write', 'denyoom', 'movablekeys'],
    since: '3.2.0',
    run: (call) => geoSearch(call, 'radius-of-member', true),
    summary: 'Finds the places within a circle around one of them and may store them.',
  },
  {
    ...read,
    name: 'georadiusbymember_ro',
    arity: -5,
    since: '3.2.10',
    run: (call) => geoSearch(call, 'radius-of-member', false),
    summary: 'Finds the places within a circle around one of them.',
  },
  {
    ...read,
    name: 'geosearch',
    arity: -7,
    since: '6.2.0',
    run: (call) => geoSearch(call, 'search', false),
    summary: 'Finds the places within a circle or a box.',
  },
  {
    ...write,
    name: 'geosearchstore',
    arity: -8,
    keys: [1, 2, 1],
    since: '6.2.0',
    run: (call) => geoSearch(call, 'search-store', false),
    summary: 'Stores the places within a circle or a box.',
  },
];
