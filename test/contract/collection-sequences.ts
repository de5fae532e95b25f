// Seeded command sequences over lists, hashes, sets and sorted sets: mostly valid, some with wrong types, words and counts.
import type { SeededRandom } from '../../src/platform/random.ts';

export type Kind = 'list' | 'hash' | 'set' | 'sorted-set';

const INTEGERS = [
  '0',
  '1',
  '-1',
  '2',
  '3',
  '5',
  '-3',
  '127',
  '128',
  '-128',
  '4095',
  '4096',
  '8191',
  '32767',
  '32768',
  '8388607',
  '8388608',
  '2147483647',
  '2147483648',
  '9007199254740993',
  '9223372036854775807',
  '-9223372036854775808',
];
const LOOK_ALIKES = [
  '-0',
  '00',
  ' 1',
  '1 ',
  '+1',
  '',
  '1.5',
  '9223372036854775808',
  '-9223372036854775809',
  '0x10',
  '1e3',
];
const WORDS = [
  'a',
  'b',
  'c',
  'd',
  'ab',
  'foo',
  'bar',
  'f\xff\0o',
  'x'.repeat(20),
  'x'.repeat(21),
  'x'.repeat(63),
  'x'.repeat(64),
  'y'.repeat(300),
  'z'.repeat(4096),
];
const BAD_COUNTS = [
  'x',
  '',
  '1.5',
  '9223372036854775808',
  '-9223372036854775808',
  '9223372036854775807',
  ' 1',
  '-9223372036854775807',
];
const SCORES = [
  '0',
  '1',
  '-1',
  '2',
  '3',
  '1.5',
  '-2.25',
  '0.1',
  '3.1',
  '1e3',
  '1e17',
  '100000000000000000',
  '4503599627370497',
  '9007199254740993',
  'inf',
  '-inf',
  '+inf',
  '1e-5',
  '-0',
  '0x10',
  '.5',
  '5.',
  '1.00000762939453125',
  '1e300',
];
const BAD_SCORES = ['x', '', 'nan', '1 ', ' 1', '1e400', '1e-400', '--1', '(1'];

class Words {
  readonly random: SeededRandom;
  readonly #keys: string[];

  constructor(random: SeededRandom, keys: string[]) {
    this.random = random;
    this.#keys = keys;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.random.below(from.length)];
  }

  chance(oneIn: number): boolean {
    return this.random.below(oneIn) === 0;
  }

  key(): string {
    return this.chance(25) ? this.pick(['other-list', 'other-hash', 'other-set', 'other-zset']) : this.pick(this.#keys);
  }

  element(): string {
    if (this.chance(3)) return this.pick(INTEGERS);
    return this.chance(6) ? this.pick(LOOK_ALIKES) : this.pick(WORDS);
  }

  some(make: () => string, most = 4): string[] {
    return Array.from({ length: 1 + this.random.below(most) }, make);
  }

  /** A set whose members all have one score: on others, ranges of members have no defined result. */
  lexKey(): string {
    return this.chance(20) ? this.pick(['wrong-lex', 'missing-lex']) : this.pick(['lex1', 'lex2']);
  }

  count(): string {
    return this.chance(15) ? this.pick(BAD_COUNTS) : String(this.random.below(12) - 4);
  }

  /** Without the lowest int64, whose negation is undefined in C and does odd things there. */
  rank(): string {
    const rank = this.count();
    return rank === '-9223372036854775808' ? '-1' : rank;
  }

  positive(): string {
    return this.chance(15) ? this.pick(BAD_COUNTS) : String(this.random.below(6));
  }

  index(): string {
    return this.chance(30) ? this.pick(BAD_COUNTS) : String(this.random.below(24) - 12);
  }

  score(): string {
    return this.chance(25) ? this.pick(BAD_SCORES) : this.pick(SCORES);
  }

  bound(): string {
    return (this.chance(4) ? '(' : '') + this.score();
  }

  lexBound(): string {
    if (this.chance(12)) return this.pick(['', 'x', '+x', '(', '[', '-1']);
    return this.chance(4) ? this.pick(['-', '+']) : this.pick(['[', '(']) + this.element();
  }

  maybe(oneIn: number, ...words: string[]): string[] {
    return this.chance(oneIn) ? words : [];
  }

  keys(): string[] {
    const keys = this.some(() => this.key(), 3);
    return [this.chance(15) ? this.pick(['0', '-1', 'x', '2', '9']) : String(keys.length), ...keys];
  }

  limit(): string[] {
    return this.maybe(
      3,
      'LIMIT',
      this.pick(['0', '1', '2', '-1', 'x', '5']),
      this.pick(['0', '1', '3', '-1', '-2', 'x']),
    );
  }
}

type Make = (w: Words) => string[];

const list: Make[] = [
  (w) => ['RPUSH', w.key(), ...w.some(() => w.element())],
  (w) => ['LPUSH', w.key(), ...w.some(() => w.element())],
  (w) => ['RPUSH', w.key(), ...w.some(() => w.element(), 8)],
  (w) => [w.pick(['LPUSHX', 'RPUSHX']), w.key(), ...w.some(() => w.element())],
  (w) => [w.pick(['LPOP', 'RPOP']), w.key(), ...w.maybe(3, w.count()), ...w.maybe(40, 'x')],
  (w) => ['LLEN', w.key()],
  (w) => ['LRANGE', w.key(), w.index(), w.index()],
  (w) => ['LRANGE', w.key(), '0', '-1'],
  (w) => ['LINDEX', w.key(), w.index()],
  (w) => ['LSET', w.key(), w.index(), w.element()],
  (w) => ['LINSERT', w.key(), w.pick(['BEFORE', 'after', 'x']), w.element(), w.element()],
  (w) => ['LREM', w.key(), w.count(), w.element()],
  (w) => ['LTRIM', w.key(), w.pick(['0', '1', '-8', w.index()]), w.pick(['-1', '-2', '6', w.index()])],
  (w) => [
    'LPOS',
    w.key(),
    w.element(),
    ...w.maybe(2, 'RANK', w.rank()),
    ...w.maybe(2, 'COUNT', w.positive()),
    ...w.maybe(3, 'MAXLEN', w.positive()),
    ...w.maybe(30, 'x'),
  ],
  (w) => ['LMOVE', w.key(), w.key(), w.pick(['LEFT', 'RIGHT']), w.pick(['left', 'right', 'right', 'left', 'x'])],
  (w) => ['RPOPLPUSH', w.key(), w.key()],
  (w) => [
    'LMPOP',
    ...w.keys(),
    w.pick(['LEFT', 'RIGHT']),
    ...w.maybe(2, 'COUNT', w.positive()),
    ...w.maybe(20, 'COUNT', '1'),
  ],
];

const hash: Make[] = [
  (w) => [
    w.pick(['HSET', 'HMSET']),
    w.key(),
    ...w.some(() => w.element()).flatMap((f) => [f, w.element()]),
    ...w.maybe(30, 'x'),
  ],
  (w) => ['HSET', w.key(), w.element(), w.pick(['1', '10', '2.5', '-3'])],
  (w) => ['HSETNX', w.key(), w.element(), w.element()],
  (w) => ['HGET', w.key(), w.element()],
  (w) => ['HMGET', w.key(), ...w.some(() => w.element())],
  (w) => ['HDEL', w.key(), ...w.some(() => w.element(), 8)],
  (w) => ['HEXISTS', w.key(), w.element()],
  (w) => ['HSTRLEN', w.key(), w.element()],
  (w) => [w.pick(['HLEN', 'HGETALL', 'HKEYS', 'HVALS']), w.key()],
  (w) => ['HINCRBY', w.key(), w.element(), w.pick([...INTEGERS, ...BAD_COUNTS])],
  (w) => [
    'HINCRBYFLOAT',
    w.key(),
    w.element(),
    w.pick(['1', '0.1', '-1.5', '3.0e3', '1e-7', 'x', '', 'inf', 'nan', '10.10']),
  ],
  (w) =>
    [
      'HRANDFIELD',
      w.key(),
      w.pick(['0', 'x', '9223372036854775807', '-9223372036854775808']),
      ...w.maybe(3, w.pick(['WITHVALUES', 'x'])),
    ].slice(0, 4),
  (w) => [
    'HSCAN',
    w.key(),
    '0',
    'COUNT',
    '1000',
    ...w.maybe(3, 'MATCH', w.pick(['*', 'f*', '[0-9]*', '?'])),
    ...w.maybe(20, 'x'),
  ],
  (w) => ['HSCAN', w.key(), w.pick(['x', '-1x', ' 1', '99999999999999999999']), ...w.maybe(2, 'COUNT', '0')],
];

const set: Make[] = [
  (w) => ['SADD', w.key(), ...w.some(() => w.pick(INTEGERS))],
  (w) => ['SADD', w.key(), ...w.some(() => w.element(), 5)],
  (w) => ['SREM', w.key(), ...w.some(() => w.element(), 10)],
  (w) => ['SMOVE', w.key(), w.key(), w.element()],
  (w) => ['SISMEMBER', w.key(), w.element()],
  (w) => ['SMISMEMBER', w.key(), ...w.some(() => w.element())],
  (w) => [w.pick(['SCARD', 'SMEMBERS']), w.key()],
  (w) => ['SPOP', w.key(), w.pick(['0', '1000', 'x', '-1', '9223372036854775807']), ...w.maybe(30, 'x')],
  (w) => [
    'SRANDMEMBER',
    w.key(),
    w.pick(['0', '1000', 'x', '-9223372036854775808', '9223372036854775807']),
    ...w.maybe(30, 'x'),
  ],
  (w) => [w.pick(['SINTER', 'SUNION', 'SDIFF']), ...w.some(() => w.key())],
  (w) => [w.pick(['SINTERSTORE', 'SUNIONSTORE', 'SDIFFSTORE']), ...w.some(() => w.key())],
  (w) => ['SINTERCARD', ...w.keys(), ...w.maybe(2, 'LIMIT', w.positive()), ...w.maybe(20, 'x')],
  (w) => [
    'SSCAN',
    w.key(),
    '0',
    'COUNT',
    '1000',
    ...w.maybe(3, 'MATCH', w.pick(['*', '1*', '[^a]*', 'x?*'])),
    ...w.maybe(20, 'MATCH'),
  ],
];

const zaddFlags = ['NX', 'XX', 'GT', 'LT', 'CH', 'INCR'];
const sortedSet: Make[] = [
  (w) => ['ZADD', w.key(), ...w.some(() => w.element()).flatMap((m) => [w.score(), m])],
  (w) => [
    'ZADD',
    w.key(),
    ...w.some(() => w.pick(zaddFlags), 2),
    w.score(),
    w.element(),
    ...w.maybe(6, w.score(), w.element()),
    ...w.maybe(30, 'x'),
  ],
  (w) => ['ZADD', w.pick(['lex1', 'lex2']), ...w.some(() => w.element(), 5).flatMap((m) => ['0', m])],
  (w) => ['ZINCRBY', w.key(), w.score(), w.element()],
  (w) => ['ZREM', w.key(), ...w.some(() => w.element(), 6)],
  (w) => [w.pick(['ZSCORE', 'ZRANK', 'ZREVRANK']), w.key(), w.element()],
  (w) => ['ZMSCORE', w.key(), ...w.some(() => w.element())],
  (w) => ['ZCARD', w.key()],
  (w) => ['ZCOUNT', w.key(), w.bound(), w.bound()],
  (w) => ['ZLEXCOUNT', w.lexKey(), w.lexBound(), w.lexBound()],
  (w) => [w.pick(['ZPOPMIN', 'ZPOPMAX']), w.key(), ...w.maybe(2, w.positive()), ...w.maybe(30, 'x')],
  (w) => ['ZMPOP', ...w.keys(), w.pick(['MIN', 'max', 'min', 'x']), ...w.maybe(2, 'COUNT', w.positive())],
  (w) =>
    [
      'ZRANDMEMBER',
      w.key(),
      w.pick(['0', 'x', '-9223372036854775808']),
      ...w.maybe(3, w.pick(['WITHSCORES', 'x'])),
    ].slice(0, 4),
  (w) => [
    w.pick(['ZRANGE', 'ZREVRANGE']),
    w.key(),
    w.index(),
    w.index(),
    ...w.maybe(2, 'WITHSCORES'),
    ...w.maybe(15, 'LIMIT', '0', '1'),
  ],
  (w) => ['ZRANGE', w.key(), '0', '-1', 'WITHSCORES'],
  (w) => [
    'ZRANGE',
    w.key(),
    w.bound(),
    w.bound(),
    'BYSCORE',
    ...w.maybe(2, 'REV'),
    ...w.limit(),
    ...w.maybe(2, 'WITHSCORES'),
  ],
  (w) => [
    'ZRANGE',
    w.lexKey(),
    w.lexBound(),
    w.lexBound(),
    'BYLEX',
    ...w.maybe(2, 'REV'),
    ...w.limit(),
    ...w.maybe(10, 'WITHSCORES'),
  ],
  (w) => [
    w.pick(['ZRANGEBYSCORE', 'ZREVRANGEBYSCORE']),
    w.key(),
    w.bound(),
    w.bound(),
    ...w.maybe(2, 'WITHSCORES'),
    ...w.limit(),
  ],
  (w) => [w.pick(['ZRANGEBYLEX', 'ZREVRANGEBYLEX']), w.lexKey(), w.lexBound(), w.lexBound(), ...w.limit()],
  (w) => ['ZRANGESTORE', w.key(), w.key(), w.index(), w.index(), ...w.maybe(4, 'REV'), ...w.maybe(15, 'WITHSCORES')],
  (w) => ['ZRANGESTORE', w.key(), w.key(), w.bound(), w.bound(), 'BYSCORE', ...w.limit()],
  (w) => ['ZREMRANGEBYRANK', w.key(), w.index(), w.index()],
  (w) => ['ZREMRANGEBYSCORE', w.key(), w.bound(), w.bound()],
  (w) => ['ZREMRANGEBYLEX', w.lexKey(), w.lexBound(), w.lexBound()],
  (w) => ['ZSCAN', w.key(), '0', 'COUNT', '1000', ...w.maybe(3, 'MATCH', w.pick(['*', 'f*', '?']))],
  (w) => ['SADD', 'plain', ...w.some(() => w.element())],
  (w) => [
    w.pick(['ZUNION', 'ZINTER']),
    ...zkeys(w),
    ...w.maybe(3, 'WEIGHTS', ...w.some(() => w.score(), 3)),
    ...w.maybe(3, 'AGGREGATE', w.pick(['SUM', 'min', 'MAX', 'x'])),
    ...w.maybe(2, 'WITHSCORES'),
  ],
  (w) => ['ZDIFF', ...zkeys(w), ...w.maybe(2, 'WITHSCORES'), ...w.maybe(15, 'WEIGHTS', '1')],
  (w) => [
    w.pick(['ZUNIONSTORE', 'ZINTERSTORE']),
    w.key(),
    ...zkeys(w),
    ...w.maybe(3, 'AGGREGATE', w.pick(['SUM', 'min', 'MAX'])),
    ...w.maybe(15, 'WITHSCORES'),
  ],
  (w) => ['ZDIFFSTORE', w.key(), ...zkeys(w)],
  (w) => ['ZINTERCARD', ...zkeys(w), ...w.maybe(2, 'LIMIT', w.positive())],
];

function zkeys(w: Words): string[] {
  const [count, ...keys] = w.keys();
  return [count, ...keys.map((key) => (w.chance(5) ? 'plain' : key))];
}

const makers: Record<Kind, Make[]> = { list, hash, set, 'sorted-set': sortedSet };

export function sequence(kind: Kind, random: SeededRandom, length: number): string[][] {
  const words = new Words(random, ['k1', 'k2', 'k3', 'missing']);
  const others = [
    ['RPUSH', 'other-list', 'a'],
    ['RPUSH', 'wrong-lex', 'a'],
    ['HSET', 'other-hash', 'f', 'v'],
    ['SADD', 'other-set', 'a', '1'],
    ['ZADD', 'other-zset', '1', 'a'],
  ];
  return [...others, ...Array.from({ length }, () => words.pick(makers[kind])(words))];
}
