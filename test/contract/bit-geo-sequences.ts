// Seeded sequences of bitmap, bitfield, HyperLogLog, geo and SORT commands: mostly valid, some with wrong words.
import type { SeededRandom } from '../../src/platform/random.ts';

export const BIT_GEO_KEYS = ['b1', 'b2', 'b3', 'h1', 'h2', 'h3', 'g1', 'g2', 'l1', 's1', 'z1'];

/** Where only distances are stored: their last digit depends on the mathematics library. */
export const DISTANCES = 'd1';

const BITS = ['b1', 'b2', 'b3', 'l1'];
const HLLS = ['h1', 'h2', 'h3', 'b1'];
const GEOS = ['g1', 'g2', 'l1'];
const SORTED = ['l1', 's1', 'z1', 'b1', 'missing'];
const STRINGS = ['', 'foobar', '\xff\xff\xff\xff\xff', '\0\0\0\0\0\0\0\x01', '12345', 'x'.repeat(70), '\xff\xf0\x00'];
const INDEXES = ['0', '1', '-1', '7', '8', '9', '-9', '100', '-100', 'x'];
const INTEGERS = [
  '0',
  '1',
  '-1',
  '127',
  '128',
  '-129',
  '255',
  '4294967296',
  '9223372036854775807',
  '-9223372036854775808',
];
const TYPES = ['u1', 'u8', 'i8', 'i5', 'u7', 'u31', 'i32', 'u63', 'i64', 'i1', 'u64', 'x8', 'i0'];
const UNITS = ['m', 'km', 'ft', 'mi', 'x'];

class Words {
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)];
  }

  below(limit: number): number {
    return this.#random.below(limit);
  }

  bit(): string {
    return this.below(12) === 0 ? this.pick(['-1', 'x', '4294967296']) : String(this.below(400));
  }

  longitude(): string {
    return (this.below(3_600_000) / 10_000 - 180).toFixed(4);
  }

  latitude(): string {
    return (this.below(1_700_000) / 10_000 - 85).toFixed(4);
  }

  place(): string {
    return `p${this.below(40)}`;
  }

  maybe(...words: string[]): string[] {
    return this.below(3) === 0 ? words : [];
  }
}

function bitfield(words: Words): string[] {
  const command = [words.below(5) === 0 ? 'bitfield_ro' : 'bitfield', words.pick(BITS)];
  for (let n = 1 + words.below(4); n > 0; n--) {
    const at = words.below(3) === 0 ? `#${words.below(20)}` : words.bit();
    const choice = words.below(7);
    if (choice === 0) command.push('overflow', words.pick(['wrap', 'sat', 'fail', 'x', 'SAT']));
    else if (choice < 3) command.push('get', words.pick(TYPES), at);
    else command.push(choice < 5 ? 'set' : 'incrby', words.pick(TYPES), at, words.pick(INTEGERS));
  }
  return command;
}

function geosearch(words: Words): string[] {
  const stored = words.below(3) === 0;
  const distances = stored && words.below(3) === 0;
  const centre =
    words.below(3) === 0 ? ['frommember', words.place()] : ['fromlonlat', words.longitude(), words.latitude()];
  const size = (): string => String(words.below(4) === 0 ? words.below(20_000) : words.below(4000) / 10);
  const shape = words.below(2) === 0 ? ['byradius', size()] : ['bybox', size(), size()];
  return [
    ...(stored
      ? ['geosearchstore', distances ? DISTANCES : words.pick(['g2', 'z1']), 'g1']
      : ['geosearch', words.pick(GEOS)]),
    ...centre,
    ...shape,
    words.pick(['km', 'km', 'mi', 'ft', 'm', 'x']),
    // Without an order the reply is in the order of the squares, which is part of the contract too.
    ...words.maybe(words.pick(['asc', 'desc'])),
    ...words.maybe('count', String(words.below(6))),
    ...(distances ? ['storedist'] : stored ? [] : words.maybe('withdist', 'withcoord', 'withhash')),
  ];
}

function georadius(words: Words): string[] {
  const member = words.below(2) === 0;
  return [
    `georadius${member ? 'bymember' : ''}${words.below(3) === 0 ? '_ro' : ''}`,
    words.pick(GEOS),
    ...(member ? [words.place()] : [words.longitude(), words.latitude()]),
    String(words.below(3000)),
    words.pick(UNITS),
    ...words.maybe(words.pick(['asc', 'desc'])),
    ...words.maybe('withdist', 'withcoord'),
    ...words.maybe(
      ...words.pick([
        ['store', 'g2'],
        ['storedist', DISTANCES],
      ]),
    ),
    ...words.maybe('count', String(1 + words.below(6))),
  ];
}

/** Texts of equal weight keep no certain order: ALPHA does not go with BY here. */
function sort(words: Words): string[] {
  const by = words.maybe('by', words.pick(['w_*', 'hash_*->f', 'nosort', 'w_*->']));
  return [
    words.below(4) === 0 ? 'sort_ro' : 'sort',
    words.pick(SORTED),
    ...by,
    ...words.maybe('limit', String(words.below(5) - 1), String(words.below(8) - 1)),
    ...words.maybe('get', words.pick(['#', 'w_*', 'hash_*->f', 'x'])),
    ...words.maybe(words.pick(['asc', 'desc', 'bad'])),
    ...(by.length === 0 ? words.maybe('alpha') : []),
    ...words.maybe('store', 'l1'),
  ];
}

const MAKERS: readonly ((words: Words) => string[])[] = [
  (w) => ['set', w.pick(BITS), w.pick(STRINGS)],
  (w) => ['setbit', w.pick(BITS), w.bit(), w.pick(['0', '1', '1', '2', 'x'])],
  (w) => ['getbit', w.pick(BITS), w.bit()],
  (w) => [
    'bitcount',
    w.pick(BITS),
    ...w.maybe(w.pick(INDEXES), w.pick(INDEXES), ...w.maybe(w.pick(['bit', 'byte', 'x']))),
  ],
  (w) => ['bitpos', w.pick(BITS), w.pick(['0', '1', '2']), ...w.maybe(w.pick(INDEXES)), ...w.maybe(w.pick(INDEXES))],
  (w) => ['bitpos', w.pick(BITS), w.pick(['0', '1']), w.pick(INDEXES), w.pick(INDEXES), w.pick(['bit', 'byte'])],
  (w) => ['bitop', w.pick(['and', 'or', 'xor', 'not', 'x']), w.pick(BITS), w.pick(BITS), ...w.maybe(w.pick(BITS))],
  bitfield,
  bitfield,
  (w) => ['pfadd', w.pick(HLLS), ...Array.from({ length: w.below(30) }, () => `e${w.below(1000)}`)],
  (w) => ['pfadd', w.pick(['h1', 'h2']), ...Array.from({ length: 400 }, () => `e${w.below(100_000)}`)],
  (w) => ['pfcount', w.pick(HLLS), ...w.maybe(w.pick(HLLS))],
  // Into the count that is kept there.
  (w) => ['setrange', w.pick(HLLS), String(8 + w.below(7)), 'p1'],
  (w) => ['pfmerge', w.pick(['h3', 'h2']), w.pick(HLLS), ...w.maybe(w.pick(HLLS))],
  (w) => ['pfdebug', w.pick(['encoding', 'decode', 'decode', 'todense', 'x']), w.pick(HLLS)],
  (w) => ['del', w.pick(BIT_GEO_KEYS)],
  (w) => ['geoadd', w.pick(GEOS), ...w.maybe(w.pick(['nx', 'xx', 'ch'])), w.longitude(), w.latitude(), w.place()],
  (w) => ['geoadd', 'g1', w.longitude(), w.latitude(), w.place(), w.longitude(), w.latitude(), w.place()],
  (w) => ['geoadd', 'g1', w.pick(['180', '-180', '181', 'x']), w.pick(['85.05112878', '86', '0']), w.place()],
  (w) => ['geodist', w.pick(GEOS), w.place(), w.place(), ...w.maybe(w.pick(UNITS))],
  (w) => ['geohash', w.pick(GEOS), w.place(), w.place()],
  (w) => ['geopos', w.pick(GEOS), w.place(), w.place()],
  geosearch,
  geosearch,
  georadius,
  (w) => ['rpush', 'l1', String(w.below(20)), w.pick(['a', 'b', '1.5', '-3'])],
  (w) => ['sadd', 's1', String(w.below(20))],
  (w) => ['zadd', 'z1', String(w.below(10)), String(w.below(20))],
  (w) => ['set', `w_${w.below(20)}`, w.pick(['1', '2', 'x', '', ' 7', '1e3'])],
  (w) => ['hset', `hash_${w.below(20)}`, 'f', String(w.below(9))],
  sort,
  sort,
];

export function bitGeoSequence(random: SeededRandom, length: number): string[][] {
  const words = new Words(random);
  return Array.from({ length }, () => words.pick(MAKERS)(words));
}
