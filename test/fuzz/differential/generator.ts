// The fuzzer's commands: bursts from the generators of test/contract, commands from the grammar, all on the same keys,
// in transactions, from scripts and functions, with time that moves on. A pure function of the seed. For campaign.ts.

import { commandTable } from '../../../src/commands/table.ts';
import { SeededRandom } from '../../../src/platform/random.ts';
import { bitGeoSequence } from '../../contract/bit-geo-sequences.ts';
import { sequence } from '../../contract/collection-sequences.ts';
import { streamSequence } from '../../contract/stream-sequences.ts';
import { stringSequence } from '../../contract/string-sequences.ts';
import { Grammar, KEYS } from './grammar.ts';

const HAS_ACL = commandTable.some(({ name }) => name === 'acl');

/** Commands that only make sense together; the shrinker drops them together. */
export type Step = readonly (readonly string[])[];

/** Moves the clock: not a command. */
export const ADVANCE = '@advance';

const THRESHOLDS: readonly (readonly [name: string, values: readonly string[]])[] = [
  ['list-max-listpack-size', ['-2', '4', '-1', '16']],
  ['hash-max-listpack-entries', ['128', '3', '0']],
  ['hash-max-listpack-value', ['64', '8']],
  ['set-max-intset-entries', ['512', '3']],
  ['zset-max-listpack-entries', ['128', '3', '0']],
  ['zset-max-listpack-value', ['64', '8']],
  ['stream-node-max-entries', ['100', '5', '1']],
  ['stream-node-max-bytes', ['4096', '100']],
  ['hll-sparse-max-bytes', ['3000', '100']],
];

export const LIBRARY = `#!lua name=fuzzed
redis.register_function('run', function(keys, args) return redis.call(unpack(args)) end)
redis.register_function{function_name='run_ro', callback=function(keys, args) return redis.pcall(unpack(args)) end, flags={'no-writes'}}`;

const RUN_SCRIPTS = [
  'return redis.call(unpack(ARGV))',
  'return redis.pcall(unpack(ARGV))',
  'redis.setresp(3); return redis.call(unpack(ARGV))',
  "redis.call('incr', 'e'); return redis.call(unpack(ARGV))",
  "local r = redis.pcall(unpack(ARGV)); redis.call('set', 'd', type(r)); return r",
];
const OTHER_SCRIPTS = [
  'return {1, 2.7, "x", false, true, nil, 3}',
  "return redis.error_reply('MY error')",
  "return redis.status_reply('FINE')",
  'return {ok="a\\r\\nb"}',
  'return {err="x"}',
  'return {double=3.25}',
  'return {map={a=1}}',
  'return redis.sha1hex(ARGV[1] or "")',
  'return #ARGV + #KEYS',
  'return cjson.encode({a={1,2,"x"}, ["b"]=ARGV[1]})',
  'return cmsgpack.pack(ARGV)',
  'return struct.pack(">I2s", 7, ARGV[1] or "")',
  'return bit.tohex(bit.bxor(1, 255))',
  'error("thrown")',
  'error({err="thrown table"})',
  'return nosuchglobal',
  'x = 1',
  "return redis.call('nosuchcommand')",
  "return redis.call('get')",
  'return redis.call()',
  "return tostring(redis.call('set', 'a', 'b').ok)",
  "return redis.call('subscribe', 'x')",
  '#!lua flags=no-writes\nreturn redis.call("set", "a", "1")',
  '#!lua flags=bad\nreturn 1',
];

const BLOCKING = new Set(['blpop', 'brpop', 'blmove', 'brpoplpush', 'blmpop', 'bzpopmin', 'bzpopmax', 'bzmpop']);
const blocks = (words: readonly string[]): boolean =>
  BLOCKING.has(words[0].toLowerCase()) || words.some((word) => word.toLowerCase() === 'block');

export interface Round {
  readonly protocol: 2 | 3;
  /** CONFIG SET's words. */
  readonly config: readonly string[];
  readonly steps: readonly Step[];
}

export function makeRound(seed: number, commands: number): Round {
  return new Generator(seed).round(commands);
}

class Generator {
  readonly #random: SeededRandom;
  readonly #grammar: Grammar;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    this.#grammar = new Grammar(this.#random);
  }

  round(commands: number): Round {
    const grammar = this.#grammar;
    const protocol = this.#random.below(2) === 0 ? 2 : 3;
    const config = THRESHOLDS.flatMap(([name, values]) => [name, grammar.pick(values)]);
    const pool = this.#pool(commands);
    const steps: Step[] = [];
    for (let made = 0; made < commands; ) {
      const step = this.#step(pool);
      steps.push(step);
      made += step.length;
    }
    return { protocol, config, steps };
  }

  /** What the generators of test/contract make, each in its own order. */
  #pool(commands: number): string[][][] {
    const length = Math.ceil(commands / 3);
    const random = this.#random;
    return [
      stringSequence(random, length),
      ...(['list', 'hash', 'set', 'sorted-set'] as const).map((kind) => sequence(kind, random, length)),
      streamSequence(random, length),
      bitGeoSequence(random, length),
    ];
  }

  #plain(pool: string[][][]): string[] {
    const grammar = this.#grammar;
    const words = grammar.chance(3) ? undefined : grammar.pick(pool).shift();
    return withoutTies(words === undefined ? grammar.command() : this.#elsewhere(words));
  }

  /** Now and then on other keys than its own, that hold who knows what. */
  #elsewhere(words: string[]): string[] {
    const grammar = this.#grammar;
    if (!grammar.chance(6) || words.some((word) => /^(lex[12]|d1|storedist|bylex)$/i.test(word))) return words;
    return words.map((word, i) => (i > 0 && word !== '' && KEYS.includes(word) ? grammar.key() : word));
  }

  #step(pool: string[][][]): Step {
    const grammar = this.#grammar;
    switch (this.#random.below(40)) {
      case 0:
        return [[ADVANCE, grammar.pick(['1', '500', '1000', '1500', '10000', '2000000'])]];
      case 1:
        return this.#transaction(pool);
      case 2:
      case 3:
        return [this.#script(pool)];
      case 4:
        return this.#chance();
      case 5:
        return this.#scan();
      case 6:
        return [grammar.pick(this.#aboutCommands(pool))];
      case 7:
        return [this.#aboutKeys()];
      default: {
        const words = this.#plain(pool);
        return blocks(words) ? [['MULTI'], words, ['EXEC']] : [words];
      }
    }
  }

  #transaction(pool: string[][][]): Step {
    const grammar = this.#grammar;
    const words = Array.from({ length: this.#random.below(5) }, () => this.#plain(pool));
    const watch = grammar.chance(3) ? [['WATCH', grammar.key(), grammar.key()]] : [];
    const between = grammar.chance(3) && !blocks(words[0] ?? ['']) ? words.slice(0, 1) : [];
    return [...watch, ...between, ['MULTI'], ...words, [grammar.chance(8) ? 'DISCARD' : 'EXEC']];
  }

  #script(pool: string[][][]): string[] {
    const grammar = this.#grammar;
    const inner = this.#plain(pool);
    if (grammar.chance(5)) return ['EVAL', grammar.pick(OTHER_SCRIPTS), '1', 'a', grammar.pick(KEYS)];
    if (grammar.chance(5))
      return [grammar.pick(['FCALL', 'fcall_ro']), grammar.pick(['run', 'run_ro', 'no']), '0', ...inner];
    return [grammar.pick(['EVAL', 'EVAL', 'EVAL', 'eval_ro']), grammar.pick(RUN_SCRIPTS), '0', ...inner];
  }

  /** What chance decides, behind what it is checked against. */
  #chance(): Step {
    const grammar = this.#grammar;
    const key = grammar.key();
    const count = grammar.pick([[], [], ['1'], ['3'], ['-5'], ['0'], ['1000'], ['x'], ['-9223372036854775808']]);
    const extra = count.length > 0 && grammar.chance(3);
    switch (this.#random.below(5)) {
      case 0:
        return [
          ['SMEMBERS', key],
          ['SRANDMEMBER', key, ...count],
        ];
      case 1:
        return [
          ['HKEYS', key],
          ['HRANDFIELD', key, ...count, ...(extra ? ['WITHVALUES'] : [])],
        ];
      case 2:
        return [
          ['ZRANGE', key, '0', '-1'],
          ['ZRANDMEMBER', key, ...count, ...(extra ? ['WITHSCORES'] : [])],
        ];
      case 3:
        // It deletes expired keys that it comes across: none may be left.
        return [['SCAN', '0', 'COUNT', '100000'], ['KEYS', '*'], ['RANDOMKEY']];
      default:
        // The sets differ behind it.
        return [
          ['SMEMBERS', key],
          ['SPOP', key, ...count],
          ['DEL', key],
        ];
    }
  }

  #scan(): Step {
    const grammar = this.#grammar;
    const name = grammar.pick(['SCAN', 'SSCAN', 'HSCAN', 'ZSCAN']);
    const match = grammar.chance(2) ? ['MATCH', grammar.pick(['*', 'a*', '?', '[0-9]*'])] : [];
    const type = name === 'SCAN' && grammar.chance(3) ? ['TYPE', grammar.pick(['hash', 'STRING', 'stream', 'x'])] : [];
    return [[name, ...(name === 'SCAN' ? [] : [grammar.key()]), '0', 'COUNT', '100000', ...match, ...type]];
  }

  #aboutCommands(pool: string[][][]): string[][] {
    const inner = this.#plain(pool);
    return [
      ['COMMAND', 'GETKEYS', ...inner],
      ['COMMAND', 'GETKEYSANDFLAGS', ...inner],
      ['COMMAND', 'INFO', inner[0]],
      ['SELECT', this.#grammar.pick(['0', '0', '1', 'x', '16'])],
      ['WATCH', this.#grammar.key()],
      ['UNWATCH'],
      ['MULTI', 'x'],
      ['CLIENT', 'GETNAME'],
      ...(HAS_ACL ? [['ACL', 'DRYRUN', 'default', ...inner]] : []),
      [inner[0]],
    ];
  }

  #aboutKeys(): string[] {
    const grammar = this.#grammar;
    const key = grammar.key();
    return grammar.pick([
      ['OBJECT', 'ENCODING', key],
      ['OBJECT', 'REFCOUNT', key],
      ['DEBUG', 'DIGEST-VALUE', key, grammar.key()],
      ['DUMP', key],
      ['PTTL', key],
      ['PEXPIRETIME', key],
      ['DBSIZE'],
      ['KEYS', grammar.pick(['*', 'k?', '[a-c]', 's*'])],
    ]);
  }
}

/**
 * SORT BY leaves elements of one weight in the order in which a set has them, and that hangs on a seed: what it stores or
 * cuts off then has no defined result.
 */
function withoutTies(words: string[]): string[] {
  const option = words.map((word) => word.toLowerCase());
  if (!/^sort(_ro)?$/.test(option[0]) || !option.includes('by', 2)) return words;
  return words.filter((_word, i) => {
    const isStore = i > 1 && (option[i] === 'store' || option[i - 1] === 'store');
    const isLimit = i > 1 && option.slice(Math.max(2, i - 2), i + 1).includes('limit');
    return !isStore && !isLimit;
  });
}
