// Seeded sequences of string and key commands: mostly valid, some with wrong types, words and numbers. Times to live are
// far from each other and from now, so that a slow machine gives the same replies.
import type { SeededRandom } from '../../src/platform/random.ts';

export const KEYS = ['a', 'b', 'c', 'd', 'e'];

const INTEGERS = [
  ...['0', '1', '-1', '5', '10', '-10', '100', '9007199254740993', '9223372036854775807', '-9223372036854775808'],
  ...['x', '', '01', '1.5', '-0'],
];
const FLOATS = [
  ...['0.1', '1e3', '-1.5', '3', '1e-9', '0x10', '5.0', '10.5', '1e17', '1e300'],
  ...['inf', 'nan', 'x', ' 1'],
];
const VALUES = [
  ...['', 'hello', '123', '-5', '10.5', '9007199254740991', '9223372036854775806', '9223372036854775807'],
  ...['x'.repeat(44), 'x'.repeat(45), '\0\xff\r\n', 'abcabc'.repeat(20)],
];
const BAD_TIMES = ['0', '-1', 'x', '', '1.5', '9223372036854775807'];
const DATABASES = ['0', '1', '99', 'x', '-1', '99999999999'];

/** Seconds between two times to live that must not be mistaken for each other. */
const TTL_STEP = 1000;

class Words {
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)];
  }

  key(): string {
    return this.pick(KEYS);
  }

  value(): string {
    return this.pick(VALUES);
  }

  integer(): string {
    return this.pick(INTEGERS);
  }

  float(): string {
    return this.pick(FLOATS);
  }

  /** Mostly good. */
  seconds(): string {
    if (this.#random.below(4) === 0) return this.pick(BAD_TIMES);
    return String(TTL_STEP * (1 + this.#random.below(10_000)));
  }

  milliseconds(): string {
    const seconds = this.seconds();
    return /000$/.test(seconds) ? `${seconds}000` : seconds;
  }

  /** Up to `most` groups of words. */
  some(make: () => readonly string[], most: number): string[] {
    return Array.from({ length: this.#random.below(most + 1) }, make).flat();
  }
}

/** Options of SET and GETEX, not all of them for both. */
const timeOption = (w: Words) => (): string[] =>
  w.pick([
    ['ex', w.seconds()],
    ['px', w.milliseconds()],
    ['exat', w.pick(['99999999999', '1'])],
    ['pxat', w.pick(['99999999999999', '1'])],
    ...[['keepttl'], ['persist'], ['ex'], ['nx'], ['xx'], ['get'], ['foo']],
  ]);

type Make = (w: Words) => string[];

const strings: Make[] = [
  (w) => ['set', w.key(), w.value()],
  (w) => ['set', w.key(), w.value(), ...w.some(timeOption(w), 3)],
  (w) => [w.pick(['get', 'getdel', 'strlen', 'incr', 'decr']), w.key()],
  (w) => ['getex', w.key(), ...w.some(timeOption(w), 2)],
  (w) => [w.pick(['getset', 'append', 'setnx']), w.key(), w.value()],
  (w) => [w.pick(['incrby', 'decrby']), w.key(), w.integer()],
  (w) => ['incrbyfloat', w.key(), w.float()],
  (w) => [w.pick(['getrange', 'substr']), w.key(), w.integer(), w.integer()],
  (w) => ['setrange', w.key(), w.pick(['0', '5', '-1', 'x', '60', '536870912']), w.value()],
  (w) => ['mget', w.key(), w.key(), 'missing'],
  (w) => [w.pick(['mset', 'msetnx']), w.key(), w.value(), w.key(), ...w.some(() => [w.value()], 1)],
  (w) => ['setex', w.key(), w.seconds(), w.value()],
  (w) => ['psetex', w.key(), w.milliseconds(), w.value()],
  (w) => [
    ...['lcs', w.key(), w.key()],
    ...w.some(
      () =>
        w.pick([['idx'], ['len'], ['minmatchlen', w.pick(['2', '0', '-1', 'x'])], ['withmatchlen'], ['minmatchlen']]),
      3,
    ),
  ],
];

const keys: Make[] = [
  (w) => [
    ...['copy', w.key(), w.key()],
    ...w.some(() => w.pick([['replace'], ['db', w.pick(DATABASES)], ['foo'], ['db']]), 2),
  ],
  (w) => ['del', w.key(), w.key()],
  (w) => ['unlink', w.key()],
  (w) => [w.pick(['exists', 'touch']), w.key(), w.key(), 'missing'],
  (w) => [w.pick(['type', 'persist', 'expiretime', 'pexpiretime']), w.key()],
  (w) => ['expire', w.key(), w.seconds(), ...w.some(() => [w.pick(['nx', 'xx', 'gt', 'lt', 'foo'])], 2)],
  (w) => ['pexpire', w.key(), w.milliseconds(), ...w.some(() => [w.pick(['nx', 'xx', 'gt', 'lt'])], 2)],
  (w) => [
    ...[w.pick(['expireat', 'pexpireat']), w.key(), w.pick(['99999999999', '1', '99999999999999', 'x'])],
    ...w.some(() => [w.pick(['nx', 'xx', 'gt', 'lt'])], 1),
  ],
  (w) => ['move', w.key(), w.pick(DATABASES)],
  (w) => [w.pick(['rename', 'renamenx']), w.key(), w.key()],
  (w) => ['object', w.pick(['encoding', 'freq']), w.key()],
  (w) => ['swapdb', w.pick(['0', 'x', '99']), w.pick(['0', '1', 'y'])],
  () => ['dbsize'],
  (w) => [w.pick(['ttl', 'pttl', 'dump']), 'missing'],
  (w) => ['keys', w.pick(['zzz*', '[z]'])],
  (w) => ['scan', w.pick(['x', '1x', '99999999999999999999999'])],
  (w) => ['scan', '0', ...w.pick([['count', '0'], ['count', 'x'], ['count', '-1'], ['count'], ['foo'], ['match']])],
  (w) => [
    ...['restore', w.key(), w.pick(['0', '-1', 'x', '1000000']), w.pick(['', 'not a payload at all'])],
    ...w.some(() => w.pick([['replace'], ['absttl'], ['idletime', w.integer()], ['freq', w.integer()], ['foo']]), 2),
  ],
];

/** So that commands meet values of the wrong type, and keys of every type are dumped. */
const others: Make[] = [
  (w) => ['rpush', w.key(), w.value(), w.value()],
  (w) => ['hset', w.key(), w.value(), w.value(), 'f', 'v'],
  (w) => ['sadd', w.key(), w.integer(), w.integer()],
  (w) => ['sadd', w.key(), w.value()],
  (w) => ['zadd', w.key(), '1', 'a', '2.5', 'b'],
  (w) => ['zadd', w.key(), '3', w.value()],
];

export function stringSequence(random: SeededRandom, length: number): string[][] {
  const words = new Words(random);
  const makers = [...strings, ...strings, ...keys, ...others];
  return Array.from({ length }, () => words.pick(makers)(words));
}
