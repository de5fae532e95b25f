// Big values that change while they are written: what is written is what they were, no command and no step takes long, and
// no memory is left behind. Every type, as an RDB file and as commands.
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { CommandHarness } from '../../test/support/command-harness.ts';
import { copiedBytes } from '../../test/support/copied-bytes.ts';
import { commandTable } from '../commands/table.ts';
import { datasetDigest } from '../core/dataset-digest.ts';
import { Keyspace } from '../core/keyspace.ts';
import { Arena } from '../data/arena.ts';
import { ManualClock } from '../platform/clock.ts';
import { SeededRandom } from '../platform/random.ts';
import { REQUEST, RequestParser } from '../resp/parser.ts';
import { CommandFormat } from './command-writer.ts';
import { DatasetWalk } from './dataset-walk.ts';
import { RdbInput } from './rdb-input.ts';
import { RdbOutput } from './rdb-output.ts';
import { RdbReader } from './rdb-reader.ts';
import { RdbFormat } from './rdb-writer.ts';

type Form = 'rdb' | 'commands';
/** WIREDIS_WALKS: more of them. */
const RUNS = Number(process.env.WIREDIS_WALKS ?? 6);
const FORMS: readonly Form[] = ['rdb', 'commands'];

class Walked {
  readonly harness = new CommandHarness(commandTable);
  readonly form: Form;
  /** Of the walk that was started last. */
  out = RdbOutput.kept();
  #chunks: Buffer[] = [];

  constructor(form: Form) {
    this.form = form;
  }

  start(): DatasetWalk {
    this.#chunks = [];
    const drain = (bytes: Uint8Array, length: number): void => {
      this.#chunks.push(Buffer.from(bytes.slice(0, length)));
    };
    const out = new RdbOutput(drain, true, null, 4096);
    this.out = out;
    const format =
      this.form === 'rdb' ? new RdbFormat({ redisVersion: '7.0.15', withIdleTime: false }, null) : new CommandFormat(0);
    return new DatasetWalk(this.harness.keyspace, format, out);
  }

  digest(): string {
    return datasetDigest(this.harness.keyspace);
  }

  /** Digest of what was written, loaded elsewhere. */
  written(): string {
    const bytes = Buffer.concat(this.#chunks);
    return this.form === 'rdb' ? digestOfRdb(bytes, this.harness) : digestOfCommands(bytes);
  }
}

function digestOfRdb(bytes: Buffer, { config }: CommandHarness): string {
  const keyspace = new Keyspace(new Arena(), new ManualClock(), new SeededRandom(2));
  const input = RdbInput.fromBytes(bytes, 0, bytes.length);
  input.verifyChecksum = false;
  const reader = new RdbReader(input, keyspace, config);
  while (reader.next());
  return datasetDigest(keyspace);
}

function digestOfCommands(bytes: Buffer): string {
  const harness = new CommandHarness(commandTable);
  const parser = new RequestParser();
  parser.begin(0, { unauthenticated: false, bulkLengthMax: 2 ** 29 });
  while (parser.parse(bytes, bytes.length) === REQUEST) {
    const words = Array.from({ length: parser.argc }, (_, i) =>
      bytes.toString('latin1', parser.offsets[i], parser.offsets[i] + parser.lengths[i]),
    );
    if (words[0] === 'SELECT') harness.select(Number(words[1]));
    else harness.run(...words);
  }
  expect(parser.position).toBe(bytes.length);
  return datasetDigest(harness.keyspace);
}

const SIZE = 700;
const names = Array.from({ length: SIZE }, (_, i) => `m${i}`);
const fresh = Array.from({ length: 400 }, (_, i) => `new${i}`);

function fill(harness: CommandHarness): void {
  harness.run('SADD', 'set', ...names);
  harness.run('ZADD', 'zset', ...names.flatMap((name, i) => [String(i >> 2), name]));
  harness.run('HSET', 'hash', ...names.flatMap((name, i) => [name, `value ${i}`]));
  for (let i = 0; i < SIZE; i += 9) harness.run('HSET', 'hash', `m${i}`, 'large'.repeat(5000));
  harness.config.listMaxListpackSize = 100;
  for (let i = 0; i < 4; i++) harness.run('RPUSH', 'list', ...names.map((name) => `${name}-${'x'.repeat(i)}`));
  harness.run('RPUSH', 'list', 'p'.repeat(9000));
  for (let i = 1; i <= 900; i++) harness.run('XADD', 'stream', `${i}-1`, 'field', `value ${i}`);
  harness.run('XGROUP', 'CREATE', 'stream', 'g', '0');
  harness.run('XGROUP', 'CREATE', 'stream', 'idle', '$');
  harness.run('XREADGROUP', 'GROUP', 'g', 'a', 'COUNT', '500', 'STREAMS', 'stream', '>');
  harness.run('XREADGROUP', 'GROUP', 'g', 'b', 'COUNT', '200', 'STREAMS', 'stream', '>');
  harness.run('PEXPIREAT', 'zset', '1800000000000');
  for (let i = 0; i < 20; i++) harness.run('SET', `k${i}`, 'v');
  harness.run('SET', 'text', LONG_TEXT);
  harness.run('SETBIT', 'bits', '2400000', '1');
  harness.run('PEXPIREAT', 'bits', '1800000000000');
}

/** Some pieces and a bit. */
const LONG_TEXT = 'abcdefghijk'.repeat(30_000);

const member = fc.constantFrom(...names, 'absent');
const entry = fc.integer({ min: 1, max: 900 }).map((i) => `${i}-1`);
const index = fc.integer({ min: -2900, max: 2900 }).map(String);
const big = fc.constantFrom('set', 'zset', 'hash', 'list', 'stream', 'text', 'bits');
const long = fc.constantFrom('text', 'bits');
const place = fc.constantFrom('0', '7', '65535', '65536', '200000', '290000', '350000');
const text = fc.constantFrom('', 'small', 'y'.repeat(300), 'z'.repeat(9000), 'w'.repeat(40_000));
const c = (value: string): fc.Arbitrary<string> => fc.constant(value);
const several = (...words: string[]): fc.Arbitrary<string[]> => fc.constant(words);

const change = fc.oneof(
  fc.tuple(c('SADD'), c('set'), fc.string()),
  several('SADD', 'set', ...fresh),
  fc.tuple(c('SREM'), c('set'), member),
  several('SREM', 'set', ...names.slice(50)),
  fc.tuple(c('SPOP'), c('set'), fc.constantFrom('1', '60')),
  fc.tuple(c('ZADD'), c('zset'), fc.integer({ min: -5, max: 200 }).map(String), member),
  fc.tuple(c('ZINCRBY'), c('zset'), fc.constantFrom('0.5', '-300', '300'), member),
  fc.tuple(c('ZREM'), c('zset'), member),
  fc.tuple(c('ZREMRANGEBYRANK'), c('zset'), fc.constantFrom('0', '300', '-100'), fc.constantFrom('20', '-1')),
  fc.tuple(c('ZPOPMAX'), c('zset'), fc.constantFrom('1', '100')),
  fc.tuple(c('HSET'), c('hash'), member, text),
  several('HSET', 'hash', ...fresh.flatMap((f) => [f, f])),
  fc.tuple(c('HDEL'), c('hash'), member),
  several('HDEL', 'hash', ...names.slice(30)),
  fc.tuple(c('LPUSH'), c('list'), text),
  fc.tuple(c('RPUSH'), c('list'), text),
  fc.tuple(c('LPOP'), c('list'), fc.constantFrom('1', '250')),
  fc.tuple(c('RPOP'), c('list'), fc.constantFrom('1', '250')),
  fc.tuple(c('LSET'), c('list'), index, text),
  fc.tuple(c('LINSERT'), c('list'), fc.constantFrom('BEFORE', 'AFTER'), c('m350-xx'), text),
  fc.tuple(c('LREM'), c('list'), fc.constantFrom('0', '1', '-1'), fc.constantFrom('m3-x', 'm699-xxx')),
  fc.tuple(c('LTRIM'), c('list'), fc.constantFrom('0', '800'), fc.constantFrom('-1', '-800')),
  fc.tuple(c('XADD'), c('stream'), c('*'), c('field'), text),
  fc.tuple(c('XDEL'), c('stream'), entry),
  fc.tuple(c('XTRIM'), c('stream'), c('MAXLEN'), fc.constantFrom('850', '300', '0')),
  fc.tuple(c('XTRIM'), c('stream'), c('MINID'), entry),
  fc.tuple(c('XACK'), c('stream'), c('g'), entry, entry),
  fc.tuple(
    c('XREADGROUP'),
    c('GROUP'),
    c('g'),
    fc.constantFrom('a', 'c'),
    c('COUNT'),
    c('100'),
    c('STREAMS'),
    c('stream'),
    c('>'),
  ),
  fc.tuple(c('XCLAIM'), c('stream'), c('g'), fc.constantFrom('a', 'b', 'd'), c('0'), entry, entry),
  fc.tuple(c('XGROUP'), c('DELCONSUMER'), c('stream'), c('g'), fc.constantFrom('a', 'b')),
  fc.tuple(c('XGROUP'), c('DESTROY'), c('stream'), c('g')),
  fc.tuple(c('XGROUP'), c('SETID'), c('stream'), c('g'), c('100')),
  fc.tuple(c('SETRANGE'), long, place, text),
  fc.tuple(c('SETBIT'), long, fc.constantFrom('0', '524288', '2400000', '2800000'), fc.constantFrom('0', '1')),
  fc.tuple(c('BITFIELD'), long, c('SET'), c('u32'), fc.constantFrom('524280', '1000', '3000000'), c('4000000000')),
  fc.tuple(c('APPEND'), long, text),
  fc.tuple(c('APPEND'), long, c(LONG_TEXT)),
  fc.tuple(c('SET'), long, fc.constantFrom(LONG_TEXT, 'z'.repeat(330_000), 'z'.repeat(200_000), 'small')),
  fc.tuple(c('GETDEL'), long),
  fc.tuple(c('PERSIST'), c('bits')),
  fc.tuple(c('RENAME'), big, c('moved')),
  fc.tuple(c('COPY'), big, c('copied'), c('REPLACE')),
  fc.tuple(c('DEL'), big),
  fc.tuple(c('UNLINK'), big),
  fc.tuple(c('PERSIST'), c('zset')),
  fc.tuple(c('SET'), big, c('a string')),
  fc.tuple(c('DUMP'), big),
  fc.tuple(c('FLUSHALL')),
  fc.tuple(c('SWAPDB'), c('0'), c('1')),
);

describe.each(FORMS)('big values that change while they are written as %s', (form) => {
  it('are written as they were, and leave no memory behind', () => {
    const empty = new CommandHarness(commandTable).arena.used;
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(12), change), { maxLength: 40 }), (script) => {
        const walked = new Walked(form);
        const { harness } = walked;
        fill(harness);
        const before = walked.digest();
        const walk = walked.start();
        for (const [steps, words] of script) {
          for (let i = 0; i < steps; i++) walk.step();
          harness.run(...words);
        }
        while (walk.step());
        expect(walk.keysDone).toBe(27);
        expect(walked.written()).toBe(before);
        harness.run('FLUSHALL');
        expect([harness.arena.used, harness.arena.held]).toEqual([empty, 0]);
      }),
      { seed: 11, numRuns: RUNS },
    );
  }, 120_000);

  it('are not copied when they are strings, whatever is done to them', () => {
    const walked = new Walked(form);
    const { harness } = walked;
    const huge = LONG_TEXT.repeat(20);
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) harness.run('SET', key, huge);
    const before = walked.digest();
    const walk = walked.start();
    for (let i = 0; i < 30; i++) walk.step();
    for (const words of [
      ['SETRANGE', 'a', '3000000', 'patch'],
      ['SETBIT', 'b', '3000000', '1'],
      ['BITFIELD', 'c', 'INCRBY', 'u64', '30000', '7'],
      ['SET', 'd', 'small'],
      ['DEL', 'e'],
      ['GETEX', 'f', 'PERSIST'],
      ['PEXPIRE', 'g', '1000'],
      // Again: what is kept is kept.
      ['SETRANGE', 'a', '3000001', 'PATCH'],
      ['SET', 'a', 'small'],
    ]) {
      const copied = copiedBytes(() => void harness.run(...words));
      // GETEX replies with the value.
      if (words[0] !== 'GETEX') expect(copied, words.join(' ')).toBeLessThan(2 * 64 * 1024 + 10_000);
    }
    while (walk.step());
    expect(walked.written()).toBe(before);
    expect(harness.arena.held).toBe(0);
  });

  it('are not copied when they are large elements of a hash or a set, whatever is done to them', () => {
    const walked = new Walked(form);
    const { harness } = walked;
    const large = (i: number): string => `${i}${'x'.repeat(400_000)}`;
    for (let i = 0; i < 30; i++) {
      harness.run('HSET', 'h', `f${i}`, large(i));
      harness.run('HSET', 'gone', `f${i}`, large(i));
      harness.run('SADD', 's', large(i));
    }
    const before = walked.digest();
    const walk = walked.start();
    walk.step();
    for (let i = 0; i < 30; i++) {
      for (const words of [
        ['HSET', 'h', `f${i}`, i % 2 === 0 ? 'small' : large(77).slice(0, 400_002)],
        i === 20 ? ['DEL', 'gone'] : ['HDEL', 'gone', `f${i}`],
        ['SREM', 's', large(i)],
      ]) {
        const payload = words[0] === 'HSET' ? (words.at(-1) as string).length : 0;
        const copied = copiedBytes(() => void harness.run(...words)) - payload;
        expect(copied, words.slice(0, 2).join(' ')).toBeLessThan(50_000);
      }
      walk.step();
    }
    while (walk.step());
    expect(walked.written()).toBe(before);
    expect(harness.arena.held).toBe(0);
    harness.run('FLUSHALL');
    expect(harness.arena.used).toBe(new CommandHarness(commandTable).arena.used);
  });

  it('are known as kept for the snapshot alone once they are deleted', () => {
    const walked = new Walked(form);
    const { harness } = walked;
    fill(harness);
    const { arena } = harness;
    const { used } = arena;
    const before = walked.digest();
    const walk = walked.start();
    for (let i = 0; i < 3; i++) walk.step();
    harness.run('DEL', 'set', 'zset', 'hash', 'list', 'stream', 'text', 'bits');
    expect(arena.held).toBeGreaterThan(used / 4);
    expect(arena.used - arena.held).toBeLessThan(used / 4);
    while (walk.step());
    expect(arena.held).toBe(0);
    expect(arena.used).toBeLessThan(used / 4);
    expect(walked.written()).toBe(before);
  });

  it('may be given up at any time', () => {
    const empty = new CommandHarness(commandTable).arena.used;
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(12), change), { maxLength: 20 }), (script) => {
        const walked = new Walked(form);
        const { harness } = walked;
        fill(harness);
        const walk = walked.start();
        for (const [steps, words] of script) {
          for (let i = 0; i < steps; i++) walk.step();
          harness.run(...words);
        }
        walk.abort();
        const before = walked.digest();
        const next = walked.start();
        harness.run('DEL', 'set', 'zset', 'hash', 'list', 'stream', 'text', 'bits');
        while (next.step());
        expect(walked.written()).toBe(before);
        harness.run('FLUSHALL');
        expect([harness.arena.used, harness.arena.held]).toEqual([empty, 0]);
      }),
      { seed: 12, numRuns: RUNS >> 1 },
    );
  }, 120_000);

  it('take a bounded piece of work at a time, whatever their size', () => {
    const walked = new Walked(form);
    const { harness } = walked;
    fillHuge(harness);
    const before = walked.digest();
    const work = { strings: 0, bytes: 0 };
    const string = vi.spyOn(RdbOutput.prototype, 'string').mockImplementation(function (this: RdbOutput, ...range) {
      work.strings++;
      return writeString.apply(this, range);
    });
    const raw = vi.spyOn(RdbOutput.prototype, 'raw').mockImplementation(function (this: RdbOutput, ...range) {
      work.bytes += range[2];
      return writeRaw.apply(this, range);
    });
    let most = { strings: 0, bytes: 0 };
    const measure = (task: () => void): void => {
      work.strings = 0;
      work.bytes = 0;
      task();
      most = { strings: Math.max(most.strings, work.strings), bytes: Math.max(most.bytes, work.bytes) };
    };
    try {
      const random = new SeededRandom(4);
      const walk = walked.start();
      let more = true;
      while (more) {
        for (const words of writesTo(random.below(HUGE))) measure(() => void harness.run(...words));
        for (let i = 0; i < 20 && more; i++) {
          measure(() => {
            more = walk.step();
          });
        }
      }
    } finally {
      string.mockRestore();
      raw.mockRestore();
    }
    expect(walked.written()).toBe(before);
    // Of 16,000 elements and more each. A slice of a hash is 256 fields with their values and what is left of a bucket.
    expect(most.strings).toBeLessThan(700);
    expect(most.bytes).toBeLessThan(128 * 1024);
  }, 120_000);

  it('take a bounded piece of work at a time, however large their elements and however many large values', () => {
    const walked = new Walked(form);
    const { harness } = walked;
    fillLarge(harness);
    const before = walked.digest();
    const walk = walked.start();
    let most = 0;
    let more = true;
    const step = (): void => {
      const work = walked.out.work;
      more = walk.step();
      most = Math.max(most, walked.out.work - work);
    };
    for (let i = 0; more; i++) {
      for (let n = 0; n <= i % 5; n++) step();
      if (i < 20 * LARGE_ELEMENTS) {
        harness.run('HSET', 'hash', `small:${i}`, 'other');
        harness.run('SREM', 'set', `small:${i}`);
        harness.run('ZREM', 'zset', `small:${i}`);
      }
      if (i % 3 === 0 && i < 3 * LARGE_ELEMENTS) for (const words of changesOfLarge(i / 3)) harness.run(...words);
    }
    expect(walked.written()).toBe(before);
    expect(harness.arena.held).toBe(0);
    // A slice, and a string that is just short enough to be compressed at once.
    expect(most).toBeGreaterThan(64 * 1024);
    expect(most).toBeLessThan(256 * 1024);
  }, 120_000);

  it('may be given up while a large element is half written', () => {
    for (let steps = 1; steps < 400; steps += 13) {
      const walked = new Walked(form);
      const { harness } = walked;
      fillLarge(harness, 3);
      const walk = walked.start();
      for (let n = 0; n < steps; n++) walk.step();
      for (const words of changesOfLarge(0)) harness.run(...words);
      walk.step();
      walk.abort();
      harness.run('FLUSHALL');
      expect([harness.arena.used, harness.arena.held]).toEqual([new CommandHarness(commandTable).arena.used, 0]);
    }
  }, 120_000);
});

const LARGE_ELEMENTS = 12;
const largeElement = (i: number): string => `${i}:${'large '.repeat(70_000)}`;

function fillLarge(harness: CommandHarness, count = LARGE_ELEMENTS): void {
  for (let i = 0; i < count; i++) {
    harness.run('HSET', 'hash', `f${i}`, largeElement(i));
    harness.run('HSET', 'hash', largeElement(i), 'value of a large field');
    harness.run('RPUSH', 'list', largeElement(i), `small ${i}`);
    harness.run('RPUSH', 'other', largeElement(i));
    harness.run('SADD', 'set', largeElement(i), `small ${i}`);
    harness.run('ZADD', 'zset', String(i), largeElement(i), String(-i), `small ${i}`);
    harness.run('SET', `string:${i}`, largeElement(i));
  }
  for (let i = 0; i < count * 20; i++) {
    harness.run('HSET', 'hash', `small:${i}`, 'value');
    harness.run('SADD', 'set', `small:${i}`);
    harness.run('ZADD', 'zset', String(i % 7), `small:${i}`);
  }
  // Many in each bucket, each of them short enough to be written whole.
  for (let i = 0; i < count * 10; i++) harness.run('SET', `short:${i}`, `${i}${'short '.repeat(20_000)}`);
}

function changesOfLarge(i: number): string[][] {
  return [
    ['HSET', 'hash', `f${i}`, 'small'],
    ['HDEL', 'hash', `f${i + 1}`, largeElement(i)],
    ['LSET', 'list', String(i), 'small'],
    ['LSET', 'list', '-1', largeElement(99)],
    ['LPOP', 'other'],
    ['RPUSH', 'other', 'small'],
    ['SREM', 'set', largeElement(i)],
    ['ZINCRBY', 'zset', '100', largeElement(i + 1)],
    ['ZREM', 'zset', largeElement(i)],
    ['SETRANGE', `string:${i}`, '70000', 'patch'],
    ['DEL', `string:${i + 1}`, `short:${i}`],
  ];
}

const HUGE = 16_000;
const writeString = RdbOutput.prototype.string;
const writeRaw = RdbOutput.prototype.raw;

function fillHuge(harness: CommandHarness): void {
  for (let from = 0; from < HUGE; from += 1000) {
    const some = Array.from({ length: 1000 }, (_, i) => `m${from + i}`);
    harness.run('SADD', 'set', ...some);
    harness.run('ZADD', 'zset', ...some.flatMap((name, i) => [String(from + i), name]));
    harness.run('HSET', 'hash', ...some.flatMap((name) => [name, 'value']));
    harness.run('RPUSH', 'list', ...some);
    for (let i = 1; i <= 1000; i++) harness.run('XADD', 'stream', `${from + i}-1`, 'field', 'value');
  }
  harness.run('XGROUP', 'CREATE', 'stream', 'g', '0');
  harness.run('XREADGROUP', 'GROUP', 'g', 'a', 'COUNT', '8000', 'STREAMS', 'stream', '>');
}

function writesTo(i: number): string[][] {
  return [
    ['HSET', 'hash', `m${i}`, 'other'],
    ['HDEL', 'hash', `m${i + 1}`],
    ['SADD', 'set', `n${i}`],
    ['SREM', 'set', `m${i}`],
    ['ZINCRBY', 'zset', '10', `m${i}`],
    ['ZREM', 'zset', `m${i + 1}`],
    ['LSET', 'list', String(i - HUGE), 'other'],
    ['LPOP', 'list'],
    ['RPUSH', 'list', 'x', 'y'],
    ['XDEL', 'stream', `${i}-1`],
    ['XADD', 'stream', '*', 'field', 'value'],
    ['XACK', 'stream', 'g', `${i}-1`],
  ];
}
