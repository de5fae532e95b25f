// Commands from their own documentation: for every command, words as its arguments say (COMMAND DOCS), with values that sit
// on edges, and then often spoilt: a word dropped, doubled, replaced or added. It reaches what no hand-written generator thinks
// of. For generator.ts.
import { type CommandArgument, commandArguments } from '../../../src/commands/command-details.ts';
import { commandTable } from '../../../src/commands/table.ts';
import type { SeededRandom } from '../../../src/platform/random.ts';

export const KEYS: readonly string[] = [
  ...['a', 'b', 'c', 'd', 'e', 'k1', 'k2', 'k3', 's1', 's2', 's3', 'b1', 'b2', 'b3', 'h1', 'h2', 'h3', 'g1', 'g2'],
  ...['l1', 'z1', 'missing', '', 'bin\0\r\n\xff'],
];
/** Sorted sets of one score: on others, ranges of members have no defined result. */
const LEX_KEYS: readonly string[] = ['lex1', 'lex2'];

/** Connections, processes, files and chance: not comparable here, or compared by tests of their own. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  ...['shutdown', 'debug', 'monitor', 'sync', 'psync', 'replicaof', 'slaveof', 'failover', 'quit', 'reset', 'auth'],
  ...[
    'hello',
    'info',
    'lastsave',
    'save',
    'bgsave',
    'bgrewriteaof',
    'memory',
    'slowlog',
    'latency',
    'config',
    'client',
  ],
  ...['module', 'migrate', 'wait', 'acl', 'spop', 'lolwut', 'replconf', 'time', 'eval', 'evalsha', 'eval_ro', 'fcall'],
  ...['evalsha_ro', 'fcall_ro', 'pfselftest', 'restore-asking', 'script|kill', 'function|kill', 'function|stats'],
  ...[
    'subscribe',
    'psubscribe',
    'ssubscribe',
    'unsubscribe',
    'punsubscribe',
    'sunsubscribe',
    'multi',
    'exec',
    'discard',
  ],
  // By hand in generator.ts, with what their replies are checked against.
  ...[
    'srandmember',
    'hrandfield',
    'zrandmember',
    'randomkey',
    'scan',
    'sscan',
    'hscan',
    'zscan',
    'command|docs',
    'command',
  ],
  // Distances end in digits that depend on the mathematics library.
  ...[
    'georadius',
    'georadiusbymember',
    'geosearchstore',
    'cluster',
    'role',
    'asking',
    'readonly',
    'readwrite',
    'command|list',
  ],
  ...['pubsub|channels', 'flushall', 'script|debug', 'wdnet', 'wiredis'],
]);

const INTEGERS = [
  ...['0', '1', '-1', '2', '3', '5', '10', '-3', '100', '4096', '2147483648', '-2147483649', '9223372036854775807'],
  ...['-9223372036854775808', '-9223372036854775807'],
];
const BAD_WORDS = [
  ...[
    '',
    'x',
    '1.5',
    '9223372036854775808',
    '18446744073709551616',
    ' 1',
    '1 ',
    '+1',
    '01',
    '-0',
    '0x10',
    '1e3',
    'nan',
  ],
  ...['inf', '-inf', '\0', '\xff\xfe', '*', '$', '-', '+', '(1', '[a', '1-1', '0-0', 'LIMIT', 'COUNT', 'WITHSCORES'],
  ...['STORE', 'GET', 'NX', 'XX', 'EX', 'MATCH', 'ASC', 'BY', 'x'.repeat(70), '99999999999999999999', '-'.repeat(3)],
];
const VALUES = [
  ...['', 'x', 'hello', '1', '-5', '10', '12345', '3.5', '9223372036854775807', 'foobar', '\0\xff\r\n', 'é', 'a b'],
  ...[
    'x'.repeat(44),
    'x'.repeat(45),
    'y'.repeat(64),
    'y'.repeat(65),
    'z'.repeat(300),
    '99999999999999999999',
    '1e5',
    '-0',
  ],
];
const MEMBERS = ['a', 'b', 'c', 'f', 'one', '1', '2', '127', '-129', '70000', 'x'.repeat(65), '\0\xff', '', 'p1', 'p2'];
const DOUBLES = [
  ...['0', '1', '-1', '1.5', '-2.25', '0.1', '1e3', '1e17', 'inf', '-inf', '+inf', '3.0', '1e-5', '4503599627370497'],
  ...['.5', '5.', '1e308', '-0'],
];
const PATTERNS = ['*', 'a*', '?', '[a-c]*', 'h?llo', '*\\*', '[^a]', 'w_*', 'hash_*->f', '#', 'nosort', '['];
const IDS = [
  '*',
  '1-1',
  '5',
  '0-0',
  '10-*',
  '1700000000000-0',
  '99-7',
  '-',
  '+',
  '$',
  '>',
  '0',
  '18446744073709551615-1',
];
const TEXTS: Readonly<Record<string, readonly string[]>> = {
  id: IDS,
  'last-id': IDS,
  lastid: IDS,
  start: ['0', '-1', '1', '-', '(1', '5', '-100'],
  end: ['-1', '0', '2', '+', '(3', '100'],
  stop: ['-1', '0', '2', '100', '-2'],
  min: ['-inf', '0', '1', '(1', '-', '[a', '(b', '-1'],
  max: ['+inf', '5', '(3', '1', '+', '[c', '(f', 'inf'],
  group: ['g1', 'g2', 'no-group'],
  groupname: ['g1', 'g2'],
  consumer: ['alice', 'bob'],
  consumername: ['alice', 'bob'],
  encoding: ['u8', 'i8', 'u63', 'i64', 'u1', 'i5', 'u64', 'i65'],
  unit: ['m', 'km', 'ft', 'mi'],
  channel: ['ch1', 'ch2'],
  'serialized-value': ['', 'x', '\0\x01a\x0a\0aaaaaaaa'],
  script: ['return 1', 'return redis.call("get", "a")', 'return {1,2,{3}}', 'syntax error ('],
  sha1: ['e0e1f9fabfc9d4800c877a703b823ac0578ff8db', 'ffffffffffffffffffffffffffffffffffffffff', 'x'],
  'library-name': ['fuzzed', 'other'],
  'function-code': ['#!lua name=other\nredis.register_function("other", function() return 1 end)', 'x', '#!lua\n'],
  path: ['/'],
};

/** Names of all commands that take part, `object|encoding` for a subcommand. */
const NAMES: readonly string[] = commandTable.flatMap((spec) =>
  LEFT_OUT.has(spec.name)
    ? []
    : [spec.name, ...(spec.subcommands ?? []).map(({ name }) => name)].filter((name) => !LEFT_OUT.has(name)),
);

export class Grammar {
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** A command, mostly as documented. */
  command(): string[] {
    const name = this.pick(NAMES);
    const lex = /lex/.test(name);
    const words: string[] = name.split('|').map((part) => (this.chance(3) ? part.toUpperCase() : part));
    for (const argument of commandArguments(name)) this.#argument(argument, words, name);
    if (lex || words.some((word) => word.toUpperCase() === 'BYLEX')) this.#ontoLexKeys(words);
    this.#countKeys(words);
    return this.chance(7) ? this.#spoil(words, name.includes('|') ? 2 : 1) : words;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)];
  }

  chance(oneIn: number): boolean {
    return this.#random.below(oneIn) === 0;
  }

  key(): string {
    return this.pick(KEYS);
  }

  #argument(argument: CommandArgument, words: string[], command: string): void {
    const flags = argument.flags ?? [];
    if (flags.includes('optional') && !this.chance(3)) return;
    const { token } = argument;
    const times = flags.includes('multiple') ? 1 + this.#random.below(3) : 1;
    for (let i = 0; i < times; i++) {
      if (token !== undefined && argument.type !== 'pure-token' && (i === 0 || flags.includes('multiple_token'))) {
        words.push(this.#case(token));
      }
      this.#value(argument, words, command);
    }
  }

  #value(argument: CommandArgument, words: string[], command: string): void {
    const parts = argument.arguments ?? [];
    switch (argument.type) {
      case 'pure-token':
        words.push(this.#case(argument.token ?? ''));
        return;
      case 'oneof':
        this.#argument(this.pick(parts), words, command);
        return;
      case 'block':
        for (const part of parts) this.#argument(part, words, command);
        return;
      case 'key':
        words.push(this.key());
        return;
      case 'integer':
        words.push(this.#integer(argument.name));
        return;
      case 'double':
        words.push(this.#double(argument.name));
        return;
      case 'unix-time':
        words.push(this.#unixTime(argument.name));
        return;
      case 'pattern':
        words.push(this.pick(PATTERNS));
        return;
      default:
        words.push(this.#text(argument.name));
    }
  }

  #text(name: string): string {
    const own = TEXTS[name.toLowerCase()];
    if (own !== undefined && !this.chance(12)) return this.pick(own);
    if (/member|field|element|pivot/i.test(name)) return this.pick(MEMBERS);
    return this.chance(3) ? this.pick(MEMBERS) : this.pick(VALUES);
  }

  #integer(name: string): string {
    if (name === 'numkeys') return 'numkeys';
    if (name === 'cursor') return '0';
    if (/db|index1|index2/i.test(name)) return this.pick(['0', '1', '1', '0', '15', '16', '-1']);
    if (/second|ttl/.test(name) && !this.chance(8))
      return this.pick(['1', '2', '10', '100', '1000', '5000', '0', '-1']);
    if (/count|limit|offset|bit/i.test(name) && !this.chance(8)) return String(this.#random.below(20) - 1);
    return this.pick(INTEGERS);
  }

  #double(name: string): string {
    if (/longitude/.test(name)) return this.pick(['13.361389', '15.087269', '2.5', '-180', '180.1', '0']);
    if (/latitude/.test(name)) return this.pick(['38.115556', '37.502669', '48.5', '85', '86', '0']);
    if (/radius|width|height/.test(name)) return this.pick(['100', '0', '2000', '-1', '1.5']);
    return this.chance(10) ? this.pick(BAD_WORDS) : this.pick(DOUBLES);
  }

  #unixTime(name: string): string {
    const ms = 1_700_000_000_000 + this.pick([-1000, 0, 1000, 5000, 60_000, 1_000_000]);
    return String(/milli/.test(name) ? ms : ms / 1000);
  }

  #case(token: string): string {
    return this.chance(3) ? token.toLowerCase() : token;
  }

  #ontoLexKeys(words: string[]): void {
    for (let i = 1; i < words.length; i++) if (KEYS.includes(words[i])) words[i] = this.pick(LEX_KEYS);
  }

  /** How many keys follow is known only behind them. */
  #countKeys(words: string[]): void {
    const at = words.indexOf('numkeys');
    if (at === -1) return;
    let count = 0;
    while (KEYS.includes(words[at + 1 + count]) || LEX_KEYS.includes(words[at + 1 + count])) count++;
    words[at] = this.chance(15) ? this.pick(['0', '-1', '2', 'x', '9223372036854775807']) : String(count);
  }

  #spoil(words: string[], first: number): string[] {
    const at = first + this.#random.below(Math.max(1, words.length - first));
    const spoilt = [...words];
    const bad = this.pick(BAD_WORDS);
    switch (this.#random.below(5)) {
      case 0:
        spoilt.splice(at, 1);
        break;
      case 1:
        spoilt.splice(at, 0, words[at] ?? bad);
        break;
      case 2:
        spoilt.splice(at, 0, bad);
        break;
      case 3:
        spoilt.length = Math.max(1, at);
        break;
      default:
        if (at < spoilt.length) spoilt[at] = bad;
    }
    return spoilt;
  }
}
