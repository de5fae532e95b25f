// Seeded sequences of stream commands, valid and invalid, for the comparison with redis-server.
import type { SeededRandom } from '../../src/platform/random.ts';

const GROUPS = ['g1', 'g2', 'no-group'];
const CONSUMERS = ['alice', 'bob', '7', 'carol'];
const BAD_IDS = [
  'x',
  '',
  '1-x',
  '-',
  '+',
  '1-',
  '-1',
  '99999999999999999999',
  '(',
  '1-2-3',
  ' 5',
  '+7-007',
  '1--01',
  '*',
];
const EDGE_IDS = ['0', '0-0', '0-1', '18446744073709551615', '18446744073709551615-18446744073709551615', '5'];
const BAD_COUNTS = ['0', '-1', 'x', '9223372036854775807', '-9223372036854775808', '1.5', '3'];
const VALUES = ['1', '-7', '127', '128', 'v', '', 'x'.repeat(70), '4096', '99999999999', '-0', 'y'.repeat(200)];

class Words {
  readonly random: SeededRandom;
  /** Where the ids have got to. */
  #ms = 1;

  constructor(random: SeededRandom) {
    this.random = random;
  }

  chance(oneIn: number): boolean {
    return this.random.below(oneIn) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.random.below(from.length)];
  }

  maybe(oneIn: number, ...words: string[]): string[] {
    return this.chance(oneIn) ? words : [];
  }

  some(make: () => string, most = 4): string[] {
    return Array.from({ length: 1 + this.random.below(most) }, make);
  }

  key(): string {
    if (this.chance(40)) return this.pick(['other-list', 'missing']);
    return this.pick(['s1', 's1', 's2', 's3']);
  }

  /** An id behind all others, most of the time. */
  newId(): string {
    // `*` asks two clocks.
    if (this.chance(25)) return this.id().replace('*', '5-*');
    if (this.chance(300)) return this.pick(EDGE_IDS);
    this.#ms += this.random.below(3);
    if (this.chance(4)) return `${this.#ms}-*`;
    return this.chance(3) ? `${this.#ms}-${this.random.below(300)}` : `${++this.#ms}`;
  }

  /** An id that may exist. */
  id(): string {
    if (this.chance(40)) return this.pick(BAD_IDS);
    if (this.chance(40)) return this.pick(EDGE_IDS);
    const ms = Math.max(1, this.#ms - this.random.below(40));
    return this.chance(3) ? `${ms}` : `${ms}-${this.random.below(4)}`;
  }

  bound(): string {
    if (this.chance(3)) return this.pick(['-', '+']);
    return (this.chance(5) ? '(' : '') + this.id();
  }

  count(): string {
    return this.chance(10) ? this.pick(BAD_COUNTS) : String(1 + this.random.below(8));
  }

  group(): string {
    return this.chance(12) ? 'no-group' : this.pick(GROUPS.slice(0, 2));
  }

  consumer(): string {
    return this.pick(CONSUMERS);
  }

  fields(): string[] {
    if (this.chance(40)) return this.some(() => 'odd', 2);
    const names = this.chance(3) ? this.some(() => this.pick(['f', 'g', '12', 'name']), 3) : ['f', '12'];
    return names.flatMap((name) => [name, this.pick(VALUES)]);
  }

  trim(): string[] {
    const threshold = this.chance(2)
      ? ['MAXLEN', ...this.operator(), this.chance(15) ? this.pick(BAD_COUNTS) : String(this.random.below(60))]
      : ['MINID', ...this.operator(), this.id()];
    const limit = this.maybe(5, 'LIMIT', this.pick(['0', '5', '20', '1000', '-1', 'x']));
    return this.chance(6) ? [...limit, ...threshold] : [...threshold, ...limit];
  }

  operator(): string[] {
    return this.pick([[], ['='], ['~'], ['~']]);
  }
}

type Make = (w: Words) => string[];

const add: Make = (w) => ['XADD', w.key(), w.newId(), ...w.fields()];
const readGroup: Make = (w) => [
  'XREADGROUP',
  'GROUP',
  w.group(),
  w.consumer(),
  ...w.maybe(2, 'COUNT', w.count()),
  ...w.maybe(5, 'NOACK'),
  'STREAMS',
  w.key(),
  w.chance(4) ? w.id() : '>',
];

const makers: Make[] = [
  add,
  add,
  add,
  add,
  (w) => ['XADD', w.key(), ...w.maybe(2, 'NOMKSTREAM'), ...w.trim(), w.newId(), ...w.fields()],
  (w) => ['XLEN', w.key()],
  (w) => ['XRANGE', w.key(), w.bound(), w.bound(), ...w.maybe(2, 'COUNT', w.count()), ...w.maybe(40, 'x')],
  (w) => ['XREVRANGE', w.key(), w.bound(), w.bound(), ...w.maybe(2, 'COUNT', w.count())],
  (w) => ['XRANGE', w.key(), '-', '+'],
  (w) => ['XREVRANGE', w.key(), '+', '-'],
  (w) => ['XDEL', w.key(), ...w.some(() => w.id(), 6)],
  (w) => ['XTRIM', w.key(), ...w.trim(), ...w.maybe(40, 'x')],
  (w) => [
    'XSETID',
    w.key(),
    w.chance(2) ? w.newId() : w.id(),
    ...w.maybe(3, 'ENTRIESADDED', w.pick(['1000', '0', '-1', 'x', '9223372036854775807'])),
    ...w.maybe(3, 'MAXDELETEDID', w.id()),
    ...w.maybe(40, 'x'),
  ],
  (w) => [
    'XREAD',
    ...w.maybe(2, 'COUNT', w.count()),
    ...w.maybe(40, 'NOACK'),
    'STREAMS',
    w.key(),
    w.key(),
    w.chance(30) ? '>' : w.id(),
    w.chance(5) ? '$' : w.id(),
    ...w.maybe(40, 'x'),
  ],
  readGroup,
  readGroup,
  readGroup,
  (w) => ['XREADGROUP', 'GROUP', w.group(), w.consumer(), 'COUNT', '3', 'STREAMS', 's1', 's2', '>', w.pick(['>', '0'])],
  (w) => ['XACK', w.key(), w.group(), ...w.some(() => w.id(), 6)],
  (w) => ['XPENDING', w.key(), w.group()],
  (w) => [
    'XPENDING',
    w.key(),
    w.group(),
    ...w.maybe(4, 'IDLE', w.pick(['0', 'x', '100000000'])),
    w.bound(),
    w.bound(),
    w.count(),
    ...w.maybe(2, w.consumer()),
    ...w.maybe(40, 'x', 'y'),
  ],
  (w) => [
    'XCLAIM',
    w.key(),
    w.group(),
    w.consumer(),
    w.pick(['0', '0', '0', '100000000', '-5', 'x']),
    ...w.some(() => w.id(), 5),
    ...w.maybe(4, 'TIME', w.pick(['1000', '-1', 'x', '1700000000000'])),
    ...w.maybe(4, 'RETRYCOUNT', w.pick(['0', '7', '-1', 'x', '9223372036854775807'])),
    ...w.maybe(2, 'FORCE'),
    ...w.maybe(3, 'JUSTID'),
    ...w.maybe(8, 'LASTID', w.id()),
    ...w.maybe(40, 'ODD'),
  ],
  (w) => [
    'XAUTOCLAIM',
    w.key(),
    w.group(),
    w.consumer(),
    w.pick(['0', '0', '0', '100000000', 'x']),
    w.bound(),
    ...w.maybe(2, 'COUNT', w.count()),
    ...w.maybe(3, 'JUSTID'),
    ...w.maybe(40, 'x'),
  ],
  (w) => [
    'XGROUP',
    'CREATE',
    w.key(),
    w.group(),
    w.chance(3) ? '$' : w.id(),
    ...w.maybe(2, 'MKSTREAM'),
    ...w.maybe(4, 'ENTRIESREAD', w.pick(['-1', '0', '5', '-2', 'x', '9223372036854775807'])),
    ...w.maybe(40, 'x'),
  ],
  (w) => ['XGROUP', 'SETID', w.key(), w.group(), w.chance(3) ? '$' : w.id(), ...w.maybe(4, 'ENTRIESREAD', '3')],
  (w) => ['XGROUP', 'CREATECONSUMER', w.key(), w.group(), w.consumer()],
  (w) => (w.chance(3) ? ['XGROUP', 'DELCONSUMER', w.key(), w.group(), w.consumer()] : ['XLEN', w.key()]),
  (w) => (w.chance(8) ? ['XGROUP', 'DESTROY', w.key(), w.group()] : ['XLEN', w.key()]),
  (w) => ['XINFO', 'STREAM', w.key()],
  (w) => ['XINFO', 'STREAM', w.key(), 'FULL', ...w.maybe(2, 'COUNT', w.count()), ...w.maybe(30, 'x')],
  (w) => ['XINFO', 'GROUPS', w.key()],
  (w) => ['XINFO', 'CONSUMERS', w.key(), w.group()],
  (w) => ['COPY', w.key(), 's3', ...w.maybe(2, 'REPLACE')],
  (w) => (w.chance(30) ? ['DEL', w.key()] : ['TYPE', w.key()]),
];

export function streamSequence(random: SeededRandom, length: number): string[][] {
  const words = new Words(random);
  const before = [
    ['RPUSH', 'other-list', 'a'],
    ['XGROUP', 'CREATE', 's1', 'g1', '0', 'MKSTREAM'],
    ['XGROUP', 'CREATE', 's1', 'g2', '$'],
    ['XGROUP', 'CREATE', 's2', 'g1', '$', 'MKSTREAM'],
  ];
  return [...before, ...Array.from({ length }, () => words.pick(makers)(words))];
}
