// GEOSEARCH, GEOSEARCHSTORE and the GEORADIUS family: members of a sorted set of places within a circle or a box.
// Reply texts are Redis 7.0's. geo.ts lists the commands.
import type { Call } from '../core/call.ts';
import { readCollection } from '../core/lookup.ts';
import { NOTIFY_ZSET } from '../core/notify-flags.ts';
import { Element } from '../data/element.ts';
import { cellsFor, decode, distanceWithin, place, type Shape, scoresOf } from '../data/geo.ts';
import { ScoreRange } from '../data/ranges.ts';
import type { SortedSet } from '../data/sorted-set.ts';
import { TYPE_ZSET } from '../data/value-type.ts';
import { keyChanged } from './collection-words.ts';
import { decodeMember, doubleAt, given, placeAt, replyCoordinate, replyDistance, unitAt } from './geo-words.ts';
import { discardWord } from './key-deletion.ts';
import { sortPart } from './partial-sort.ts';
import { addMember, createSortedSet } from './sorted-set-words.ts';

export type SearchKind = 'radius' | 'radius-of-member' | 'search' | 'search-store';

const UNKNOWN_MEMBER = 'ERR could not decode requested zset member';

interface Request {
  readonly shape: Shape;
  withDistance: boolean;
  withHash: boolean;
  withPlace: boolean;
  /** 1: nearest first, -1: farthest first, 0: as found. */
  order: number;
  /** 0: all. */
  count: number;
  any: boolean;
  /** Word of the key to store under; 0: reply. */
  storeWord: number;
  storeDistance: boolean;
  hasCentre: 'member' | 'place' | null;
  hasShape: boolean;
}

interface Found {
  readonly member: Uint8Array;
  readonly score: number;
  readonly longitude: number;
  readonly latitude: number;
  /** Metres. */
  readonly distance: number;
}

function newRequest(): Request {
  return {
    shape: { longitude: 0, latitude: 0, radius: 0, width: 0, height: 0, isBox: false, unit: 1 },
    withDistance: false,
    withHash: false,
    withPlace: false,
    order: 0,
    count: 0,
    any: false,
    storeWord: 0,
    storeDistance: false,
    hasCentre: null,
    hasShape: false,
  };
}

/** @param mayStore STORE and STOREDIST are options. */
export function geoSearch(call: Call, kind: SearchKind, mayStore: boolean): void {
  const zset = readCollection<SortedSet>(call, kind === 'search-store' ? 2 : 1, TYPE_ZSET);
  if (zset === undefined) return;
  const request = parse(call, kind, zset, mayStore);
  if (request === null) return;
  if (zset === null) {
    if (request.storeWord === 0) call.reply.emptyArray();
    else {
      discardWord(call, request.storeWord);
      call.reply.integer(0);
    }
    return;
  }
  if (request.count > 0 && request.order === 0 && !request.any) request.order = 1;
  const all = find(zset, request.shape, request.any ? request.count : 0);
  const found = nearest(all, request.order, request.count);
  if (request.storeWord === 0) reply(call, request, found);
  else store(call, request, found, kind);
}

/** The first `count`, 0: all, in that order. Equal distances lie where Redis's sorting leaves them, which COUNT changes. */
function nearest(all: Found[], order: number, count: number): Found[] {
  const most = count > 0 ? Math.min(count, all.length) : all.length;
  if (order === 0) return all.slice(0, most);
  const compare = (a: number, b: number): number => order * (all[a].distance - all[b].distance);
  const places = Array.from(all, (_, i) => i);
  if (most === all.length) places.sort(compare);
  else sortPart(places, compare, 0, most - 1);
  return places.slice(0, most).map((place) => all[place]);
}

// --- words ---

/** @returns null after an error was replied. */
function parse(call: Call, kind: SearchKind, zset: SortedSet | null, mayStore: boolean): Request | null {
  const request = newRequest();
  const searching = kind === 'search' || kind === 'search-store';
  let first = 2;
  if (kind === 'search-store') {
    request.storeWord = 1;
    first = 3;
  } else if (kind === 'radius') {
    if (!parseCentre(call, request, 2) || !parseRadius(call, request, 4)) return null;
    first = 6;
  } else if (kind === 'radius-of-member') {
    if (zset !== null && (!parseMember(call, request, zset, 2) || !parseRadius(call, request, 3))) return null;
    first = 5;
  }
  for (let i = first; i < call.argc; ) {
    const option = searching ? searchOption(call, request, zset, i) : radiusOption(call, request, mayStore, i);
    const used = option !== 0 ? option : commonOption(call, request, kind, i);
    if (used === 0) call.syntaxError();
    if (used <= 0) return null;
    i += used;
  }
  const problem = contradiction(call, kind, request);
  if (problem === null) return request;
  call.reply.error(problem);
  return null;
}

function contradiction(call: Call, kind: SearchKind, request: Request): string | null {
  if (request.storeWord !== 0 && (request.withDistance || request.withHash || request.withPlace)) {
    const who = kind === 'search-store' ? 'GEOSEARCHSTORE' : 'STORE option in GEORADIUS';
    return `ERR ${who} is not compatible with WITHDIST, WITHHASH and WITHCOORD options`;
  }
  if (kind === 'search' || kind === 'search-store') {
    const name = call.latin1(0);
    if (request.hasCentre === null) {
      return `ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for ${name}`;
    }
    if (!request.hasShape) return `ERR exactly one of BYRADIUS and BYBOX can be specified for ${name}`;
  }
  return request.any && request.count === 0 ? 'ERR the ANY argument requires COUNT argument' : null;
}

// Each of the following takes word `i` as an option. @returns the number of words it has; 0: it is another option; -1
// after an error was replied.

function commonOption(call: Call, request: Request, kind: SearchKind, i: number): number {
  if (call.is(i, 'withdist')) request.withDistance = true;
  else if (call.is(i, 'withhash')) request.withHash = true;
  else if (call.is(i, 'withcoord')) request.withPlace = true;
  else if (call.is(i, 'any')) request.any = true;
  else if (call.is(i, 'asc')) request.order = 1;
  else if (call.is(i, 'desc')) request.order = -1;
  else if (call.is(i, 'storedist') && kind === 'search-store') request.storeDistance = true;
  else if (call.is(i, 'count') && i + 1 < call.argc) {
    request.count = call.integer(i + 1);
    if (Number.isNaN(request.count)) return -1;
    if (request.count > 0) return 2;
    call.reply.error('ERR COUNT must be > 0');
    return -1;
  } else return 0;
  return 1;
}

function radiusOption(call: Call, request: Request, mayStore: boolean, i: number): number {
  if (!mayStore || i + 1 >= call.argc || !(call.is(i, 'store') || call.is(i, 'storedist'))) return 0;
  request.storeDistance = call.is(i, 'storedist');
  request.storeWord = i + 1;
  return 2;
}

function searchOption(call: Call, request: Request, zset: SortedSet | null, i: number): number {
  const rest = call.argc - i - 1;
  const { shape } = request;
  if (call.is(i, 'frommember') && rest >= 1 && request.hasCentre !== 'place') {
    if (zset !== null && !parseMember(call, request, zset, i + 1)) return -1;
    request.hasCentre = 'member';
    return 2;
  }
  if (call.is(i, 'fromlonlat') && rest >= 2 && request.hasCentre !== 'member') {
    if (!parseCentre(call, request, i + 1)) return -1;
    request.hasCentre = 'place';
    return 3;
  }
  if (call.is(i, 'byradius') && rest >= 2 && !(request.hasShape && shape.isBox)) {
    if (!parseRadius(call, request, i + 1)) return -1;
    request.hasShape = true;
    return 3;
  }
  if (call.is(i, 'bybox') && rest >= 3 && !(request.hasShape && !shape.isBox)) {
    if (!parseBox(call, request, i + 1)) return -1;
    shape.isBox = true;
    request.hasShape = true;
    return 4;
  }
  return 0;
}

function parseCentre(call: Call, { shape }: Request, i: number): boolean {
  if (!placeAt(call, i)) return false;
  shape.longitude = given.longitude;
  shape.latitude = given.latitude;
  return true;
}

function parseMember(call: Call, { shape }: Request, zset: SortedSet, i: number): boolean {
  if (!decodeMember(call, zset, i)) {
    call.reply.error(UNKNOWN_MEMBER);
    return false;
  }
  shape.longitude = place.longitude;
  shape.latitude = place.latitude;
  return true;
}

function parseRadius(call: Call, { shape }: Request, i: number): boolean {
  shape.radius = doubleAt(call, i, 'ERR need numeric radius');
  if (Number.isNaN(shape.radius)) return false;
  if (shape.radius < 0) {
    call.reply.error('ERR radius cannot be negative');
    return false;
  }
  shape.unit = unitAt(call, i + 1);
  return !Number.isNaN(shape.unit);
}

function parseBox(call: Call, { shape }: Request, i: number): boolean {
  shape.width = doubleAt(call, i, 'ERR need numeric width');
  if (Number.isNaN(shape.width)) return false;
  shape.height = doubleAt(call, i + 1, 'ERR need numeric height');
  if (Number.isNaN(shape.height)) return false;
  if (shape.width < 0 || shape.height < 0) {
    call.reply.error('ERR height or width cannot be negative');
    return false;
  }
  shape.unit = unitAt(call, i + 2);
  return !Number.isNaN(shape.unit);
}

// --- search ---

const element = new Element();
const scores = new ScoreRange();

/** @param limit stop at so many; 0: never. */
function find(zset: SortedSet, shape: Shape, limit: number): Found[] {
  const found: Found[] = [];
  for (const cell of cellsFor(shape)) {
    if (limit > 0 && found.length >= limit) break;
    [scores.min, scores.max] = scoresOf(cell);
    scores.maxExclusive = true;
    const rank = zset.countBelowScore(scores, false);
    if (rank === zset.length) continue;
    for (let node = zset.nodeAt(rank); node !== 0; node = zset.next(node)) {
      const score = zset.score(node);
      if (scores.isAbove(score)) break;
      decode(score);
      const metres = distanceWithin(shape, place.longitude, place.latitude);
      if (metres < 0) continue;
      zset.member(node, element);
      found.push({ member: element.copy(), score, ...place, distance: metres });
      if (limit > 0 && found.length >= limit) break;
    }
  }
  return found;
}

function reply(call: Call, request: Request, found: readonly Found[]): void {
  const { withDistance, withHash, withPlace } = request;
  const extras = (withDistance ? 1 : 0) + (withHash ? 1 : 0) + (withPlace ? 1 : 0);
  call.reply.array(found.length);
  for (const one of found) {
    if (extras > 0) call.reply.array(extras + 1);
    call.reply.bulk(one.member, 0, one.member.length);
    if (withDistance) replyDistance(call, one.distance / request.shape.unit);
    if (withHash) call.reply.integer(one.score);
    if (!withPlace) continue;
    call.reply.array(2);
    replyCoordinate(call, one.longitude);
    replyCoordinate(call, one.latitude);
  }
}

function store(call: Call, request: Request, found: readonly Found[], kind: SearchKind): void {
  const { storeWord, storeDistance, shape } = request;
  const { bytes, offsets, lengths, db } = call;
  call.reply.integer(found.length);
  if (found.length === 0) {
    discardWord(call, storeWord);
    return;
  }
  const result = createSortedSet(call);
  for (const { member, score, distance } of found) {
    addMember(call, result, member, 0, member.length, storeDistance ? distance / shape.unit : score);
  }
  db.setCollection(bytes, offsets[storeWord], lengths[storeWord], result);
  const event = kind === 'search-store' ? 'geosearchstore' : 'georadiusstore';
  keyChanged(call, storeWord, NOTIFY_ZSET, event, found.length);
}
