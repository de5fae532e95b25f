// geo: places with the latitude first, radius searches with GeoJSON, and geohashes as numbers. It takes the place of the
// built-in GEOADD, GEORADIUS and GEORADIUSBYMEMBER, which have the longitude first, until it is unloaded. The data are
// the same: sorted sets whose scores are 52-bit geohashes.
import {
  API_VERSION,
  type Call,
  changed,
  defineModule,
  Element,
  formatDouble,
  geo,
  type ModuleContext,
  NOT_A_FLOAT,
  NOTIFY_ZSET,
  parseDouble,
  ScoreRange,
  type SortedSet,
  SYNTAX,
  setScore,
  sortedSetAt,
  sortedSetToWrite,
} from '../api.ts';

const MERCATOR_MAX = 20037726.37;
const NEEDS_UNITS = 'ERR must provide units when asking for radius encode';
const NOT_DECODABLE = 'ERR could not decode requested zset member';
const ADD_FORMAT = 'ERR format is: geoadd [key] [lat1] [long1] [member1] [lat2] [long2] [member2] ...';
const UNITS: readonly (readonly [name: string, long: string, metres: number])[] = [
  ['m', 'meter', 1],
  ['ft', 'feet', 0.3048],
  ['mi', 'mile', 1609.34],
  ['km', 'kilometer', 1000],
];

let context: ModuleContext;

interface Place {
  readonly latitude: number;
  readonly longitude: number;
}

// --- words ---
// Each reads words from `i` on. @returns null after an error was replied.

function placeAt(call: Call, i: number): Place | null {
  const [latitude, longitude] = [i, i + 1].map((k) => parseDouble(call.bytes, call.offsets[k], call.lengths[k]));
  if (Number.isNaN(latitude) || Number.isNaN(longitude)) {
    call.reply.error(NOT_A_FLOAT);
    return null;
  }
  if (Math.abs(latitude) > geo.LATITUDE_MAX || Math.abs(longitude) > geo.LONGITUDE_MAX) {
    call.reply.error(`ERR invalid latitude,longitude pair ${fixed(latitude, 6)},${fixed(longitude, 6)}`);
    return null;
  }
  return { latitude, longitude };
}

interface Radius {
  readonly metres: number;
  /** Metres of the unit, and its name as given. */
  readonly unit: number;
  readonly unitName: string;
}

function radiusAt(call: Call, i: number): Radius | null {
  const radius = parseDouble(call.bytes, call.offsets[i], call.lengths[i]);
  if (Number.isNaN(radius)) {
    call.reply.error('ERR need numeric radius');
    return null;
  }
  const unitName = call.text(i + 1);
  const unit = UNITS.find(([name, long]) => unitName === name || unitName.startsWith(long))?.[2];
  if (unit === undefined) {
    call.reply.error('ERR unsupported unit provided. please use meters (m), kilometers (km), miles (mi), or feet (ft)');
    return null;
  }
  if (radius < 0) {
    call.reply.error('ERR radius cannot be negative');
    return null;
  }
  return { metres: radius * unit, unit, unitName };
}

const startsWith = (call: Call, i: number, ...prefixes: readonly string[]): boolean =>
  prefixes.some((prefix) => call.latin1(i).toLowerCase().startsWith(prefix));

const asksForJson = (call: Call, i: number): boolean =>
  startsWith(call, i, 'withgeo') || ['geojson', 'json', 'withjson'].some((word) => call.is(i, word));

// --- geohashes ---

/** How fine a square is for a radius, in metres: 26 bits a coordinate for none. */
function stepFor(radiusM: number): number {
  if (radiusM === 0) return geo.SCORE_STEP;
  let step = 0;
  for (let range = radiusM; range < MERCATOR_MAX; range *= 2) step++;
  return step === 0 ? geo.SCORE_STEP : Math.min(step, geo.SCORE_STEP);
}

/** A number as C prints it, `digits` behind the point: a tie goes to the even digit. */
function fixed(value: number, digits: number): string {
  const exact = Math.abs(value).toFixed(60);
  const point = exact.indexOf('.');
  const kept = exact.slice(0, point + 1 + digits);
  const isTie = /^50*$/.test(exact.slice(point + 1 + digits));
  const isEven = (kept.charCodeAt(kept.length - 1) - 48) % 2 === 0;
  return isTie && isEven ? (value < 0 ? '-' : '') + kept : value.toFixed(digits);
}

// --- GeoJSON ---

type Properties = Readonly<Record<string, string | number>>;

const feature = (geometry: object, properties: Properties): object => ({ type: 'Feature', geometry, properties });

/** GeoJSON has the longitude first. */
function pointFeature({ latitude, longitude }: Place, properties: Properties): object {
  return feature({ type: 'Point', coordinates: [longitude, latitude] }, properties);
}

function boundsFeature({ west, east, south, north }: geo.Area, properties: Properties): object {
  const corners = [
    [west, south],
    [east, south],
    [east, north],
    [west, north],
    [west, south],
  ];
  return feature({ type: 'Polygon', coordinates: [corners] }, properties);
}

function replyPair(call: Call, latitude: number, longitude: number): void {
  call.reply.array(2);
  call.reply.double(formatDouble(latitude));
  call.reply.double(formatDouble(longitude));
}

// --- GEOADD ---

/** GEOADD key lat lon member [lat lon member ...], or one triple and its radius and units. */
function geoAdd(call: Call): void {
  const { argc, reply } = call;
  const withRadius = argc === 7;
  if (argc === 6) {
    reply.error(NEEDS_UNITS);
    return;
  }
  if (!withRadius && (argc - 2) % 3 !== 0) {
    reply.error(ADD_FORMAT);
    return;
  }
  const radius = withRadius ? radiusAt(call, 5) : null;
  if (withRadius && radius === null) return;
  const count = Math.floor((argc - 2) / 3);
  const places: Place[] = [];
  for (let k = 0; k < count; k++) {
    const place = placeAt(call, 2 + k * 3);
    if (place === null) return;
    places.push(place);
  }
  const zset = sortedSetToWrite(call, 1);
  if (zset === undefined) return;
  const step = stepFor(radius?.metres ?? 0);
  let added = 0;
  let moved = 0;
  const told: (string | number | Uint8Array)[] = ['ZADD', call.copy(1)];
  places.forEach(({ latitude, longitude }, k) => {
    const member = call.copy(4 + k * 3);
    const [score] = geo.scoresOf(geo.cellAt(longitude, latitude, step));
    const before = zset.find(member, 0, member.length);
    if (before !== 0 && zset.entryScore(before) !== score) moved++;
    if (setScore(call, zset, member, score)) added++;
    told.push(score, member);
  });
  if (added + moved > 0) {
    changed(call, 1, NOTIFY_ZSET, 'geoadd');
    // Without this module GEOADD would take the latitude for the longitude.
    if (call.propagates) call.propagateAs(...told);
  }
  reply.integer(count === 1 ? added : count);
  for (const [k, place] of places.entries()) publish(call, place, 4 + k * 3);
}

function publish(call: Call, { latitude, longitude }: Place, member: number): void {
  const channel = Buffer.concat([Buffer.from('__geo:'), call.word(1), Buffer.from(':'), call.word(member)]);
  context.publish(channel, `${fixed(latitude, 7)} ${fixed(longitude, 7)}`);
}

// --- GEORADIUS ---

interface Options {
  distance: boolean;
  hash: boolean;
  coordinates: boolean;
  json: boolean;
  bounds: boolean;
  collection: boolean;
  properties: boolean;
  /** 1: nearest first, -1: farthest first, 0: as found. */
  order: number;
}

/** @returns null after an error was replied. */
function optionsFrom(call: Call, first: number): Options | null {
  const options: Options = {
    distance: false,
    hash: false,
    coordinates: false,
    json: false,
    bounds: false,
    collection: false,
    properties: true,
    order: 0,
  };
  for (let i = first; i < call.argc; i++) {
    if (startsWith(call, i, 'withdist')) options.distance = true;
    else if (call.is(i, 'withhash')) options.hash = true;
    else if (startsWith(call, i, 'withcoord')) options.coordinates = true;
    else if (startsWith(call, i, 'withgeojsonbound')) options.bounds = true;
    else if (startsWith(call, i, 'withgeojsoncollection')) options.collection = true;
    else if (asksForJson(call, i)) options.json = true;
    else if (startsWith(call, i, 'noprop', 'withoutprop')) options.properties = false;
    else if (startsWith(call, i, 'asc', 'sort')) options.order = 1;
    else if (startsWith(call, i, 'desc')) options.order = -1;
    else {
      call.reply.error(SYNTAX);
      return null;
    }
  }
  return options;
}

interface Found extends Place {
  readonly member: Uint8Array;
  readonly score: number;
  /** In the unit that was asked for. */
  readonly distance: number;
}

function search(zset: SortedSet, { latitude, longitude }: Place, { metres, unit }: Radius): Found[] {
  const shape = { longitude, latitude, radius: metres, width: 0, height: 0, isBox: false, unit: 1 };
  const range = new ScoreRange();
  const element = new Element();
  const found: Found[] = [];
  for (const cell of geo.cellsFor(shape)) {
    [range.min, range.max] = geo.scoresOf(cell);
    range.maxExclusive = true;
    const rank = zset.countBelowScore(range, false);
    if (rank === zset.length) continue;
    for (let node = zset.nodeAt(rank); node !== 0 && !range.isAbove(zset.score(node)); node = zset.next(node)) {
      const score = zset.score(node);
      geo.decode(score);
      const place = { latitude: geo.place.latitude, longitude: geo.place.longitude };
      const away = geo.distanceWithin(shape, place.longitude, place.latitude);
      if (away < 0) continue;
      zset.member(node, element);
      found.push({ ...place, member: element.copy(), score, distance: away / unit });
    }
  }
  return found;
}

/** GEORADIUS key lat lon radius units [option ...], GEORADIUSBYMEMBER key member radius units [option ...] */
function geoRadius(call: Call, byMember: boolean): void {
  const zset = sortedSetAt(call, 1);
  if (zset === undefined) return;
  if (zset === null) {
    call.reply.emptyArray();
    return;
  }
  const centre = byMember ? memberPlace(call, zset, 2) : placeAt(call, 2);
  if (centre === null) return;
  const radius = radiusAt(call, byMember ? 3 : 4);
  if (radius === null) return;
  const options = optionsFrom(call, byMember ? 5 : 6);
  if (options === null) return;
  const found = search(zset, centre, radius);
  if (options.order !== 0) found.sort((a, b) => options.order * (a.distance - b.distance));
  replyFound(call, found, options, radius.unitName);
}

function memberPlace(call: Call, zset: SortedSet, i: number): Place | null {
  const entry = zset.find(call.bytes, call.offsets[i], call.lengths[i]);
  if (entry === 0) {
    call.reply.error(NOT_DECODABLE);
    return null;
  }
  geo.decode(zset.entryScore(entry));
  return { latitude: geo.place.latitude, longitude: geo.place.longitude };
}

function replyFound(call: Call, found: readonly Found[], options: Options, units: string): void {
  const { reply } = call;
  const { distance, hash, coordinates, json, bounds, collection } = options;
  if (found.length === 0) {
    reply.emptyArray();
    return;
  }
  const set = call.text(1);
  const named = (one: Found): Properties =>
    options.properties ? { set, member: Buffer.from(one.member).toString('utf8') } : {};
  const point = (one: Found): object =>
    pointFeature(one, options.properties ? { ...named(one), distance: one.distance, units } : {});
  const extras = [distance, hash, coordinates, json, bounds].filter(Boolean).length;
  reply.array(found.length + (collection ? 1 : 0));
  for (const one of found) {
    if (extras > 0) reply.array(extras + 1);
    reply.bulk(one.member, 0, one.member.length);
    if (distance) reply.bulkLatin1(fixed(one.distance, 2));
    if (hash) reply.integer(one.score);
    if (coordinates) replyPair(call, one.latitude, one.longitude);
    if (json) reply.bulkText(JSON.stringify(point(one)));
    if (bounds) reply.bulkText(JSON.stringify(boundsFeature(geo.areaOf(geo.cellOf(one.score)), named(one))));
  }
  if (collection) reply.bulkText(JSON.stringify({ type: 'FeatureCollection', features: found.map(point) }));
}

// --- GEOENCODE, GEODECODE ---

/** GEOENCODE lat lon [radius units] [json] */
function geoEncode(call: Call): void {
  const { argc, reply } = call;
  const json = argc > 3 && asksForJson(call, argc - 1);
  const words = argc - (json ? 1 : 0);
  if (words === 4) {
    reply.error(NEEDS_UNITS);
    return;
  }
  if (words > 5) {
    reply.error(SYNTAX);
    return;
  }
  const radius = words === 5 ? radiusAt(call, 3) : null;
  if (words === 5 && radius === null) return;
  const place = placeAt(call, 1);
  if (place === null) return;
  const cell = geo.cellAt(place.longitude, place.latitude, stepFor(radius?.metres ?? 0));
  reply.array(json ? 6 : 4);
  reply.integer(geo.scoresOf(cell)[0]);
  replyArea(call, geo.areaOf(cell), json);
}

/** GEODECODE hash [anything: with GeoJSON] */
function geoDecode(call: Call): void {
  if (call.argc > 3) {
    call.reply.error(SYNTAX);
    return;
  }
  const hash = call.integer(1);
  if (Number.isNaN(hash)) return;
  if (hash < 0 || hash >= 2 ** 52) {
    call.reply.error('ERR a geohash has 52 bits');
    return;
  }
  const json = call.argc === 3;
  call.reply.array(json ? 5 : 3);
  replyArea(call, geo.areaOf(geo.cellOf(hash)), json);
}

/** Two corners and the middle, and both as GeoJSON. */
function replyArea(call: Call, area: geo.Area, json: boolean): void {
  const middle = { latitude: (area.south + area.north) / 2, longitude: (area.west + area.east) / 2 };
  replyPair(call, area.south, area.west);
  replyPair(call, area.north, area.east);
  replyPair(call, middle.latitude, middle.longitude);
  if (!json) return;
  call.reply.bulkText(JSON.stringify(pointFeature(middle, {})));
  call.reply.bulkText(JSON.stringify(boundsFeature(area, {})));
}

const readonly = ['readonly'] as const;

export default defineModule({
  name: 'sh.matt.geo',
  version: '0.4',
  apiVersion: API_VERSION,
  commands: [
    {
      name: 'geoadd',
      arity: -5,
      flags: ['write', 'denyoom', 'may_replicate'],
      keys: [1, 1, 1],
      group: 'geo',
      summary: 'Adds places to a sorted set, latitude first.',
      run: geoAdd,
    },
    {
      name: 'georadius',
      arity: -6,
      flags: readonly,
      keys: [1, 1, 1],
      group: 'geo',
      summary: 'Finds places around a point, latitude first.',
      run: (call) => geoRadius(call, false),
    },
    {
      name: 'georadiusbymember',
      arity: -5,
      flags: readonly,
      keys: [1, 1, 1],
      group: 'geo',
      summary: 'Finds places around a member.',
      run: (call) => geoRadius(call, true),
    },
    {
      name: 'geoencode',
      arity: -3,
      flags: readonly,
      group: 'geo',
      summary: 'Tells the geohash of a point, latitude first.',
      run: geoEncode,
    },
    {
      name: 'geodecode',
      arity: -2,
      flags: readonly,
      group: 'geo',
      summary: 'Tells which square a geohash means.',
      run: geoDecode,
    },
  ],
  onLoad(given) {
    context = given;
  },
});
