// How long a save in the background holds others up: many keys, a big value of each type, and values of large elements are
// saved, as BGSAVE does it, while commands write to them. Every piece of work between two turns of the event loop is timed.
// Run by scripts/bench/snapshots.sh.
//   snapshot-slices-run.js [ELEMENTS]      (1000000, of each value; of the large ones, a MiB each, one for 4096; of the huge ones one for 65536)
import koffi from 'koffi';
import { commandTable } from '../../src/commands/table.ts';
import { rdbFormat, SnapshotJob } from '../../src/persistence/snapshot-job.ts';
import { systemStopwatch } from '../../src/platform/stopwatch.ts';
import { SystemScheduler } from '../../src/platform/timers.ts';
import { CommandHarness } from './command-harness.ts';

const elements = Number(process.argv[2] ?? 1_000_000);
const AT_ONCE = 1000;
/** Commands between two slices of the save. */
const WRITES = 20;

const LARGE = Math.max(2, elements >> 12);
/** Of 16 MiB each. */
const HUGE = Math.max(2, elements >> 16);
const MIB = 1 << 20;
/** Half of it can be compressed. */
const large = (i: number): string => `${i}${'x'.repeat(MIB / 2)}${noise.slice(i % 1000)}`;
const noise = Array.from({ length: MIB / 2 }, (_, i) =>
  String.fromCharCode((Math.imul(i, 0x9e3779b1) >>> 24) & 127),
).join('');

interface Kind {
  readonly name: string;
  /** How many there are of what it is made of. */
  readonly count: number;
  /** Words that add elements `from` up to `to`; several commands. */
  fill(from: number, to: number): string[][];
  /** @param i of an element. @param n how many writes were before. */
  write(i: number, n: number): string[];
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

const KINDS: readonly Kind[] = [
  {
    name: 'keys',
    count: elements,
    fill: (from, to) => [['MSET', ...range(from, to).flatMap((i) => [`key:${i}`, `value ${i}`])]],
    write: (i) => ['SET', `key:${i}`, 'another value'],
  },
  {
    name: 'hash',
    count: elements,
    fill: (from, to) => [['HSET', 'key', ...range(from, to).flatMap((i) => [`field:${i}`, `value ${i}`])]],
    write: (i) => ['HSET', 'key', `field:${i}`, 'another value'],
  },
  {
    name: 'set',
    count: elements,
    fill: (from, to) => [['SADD', 'key', ...range(from, to).map((i) => `member:${i}`)]],
    write: (i) => [i % 2 === 0 ? 'SADD' : 'SREM', 'key', `member:${i % 2 === 0 ? -i : i}`],
  },
  {
    name: 'zset',
    count: elements,
    fill: (from, to) => [['ZADD', 'key', ...range(from, to).flatMap((i) => [String(i), `member:${i}`])]],
    write: (i) => ['ZINCRBY', 'key', '100', `member:${i}`],
  },
  {
    name: 'list',
    count: elements,
    fill: (from, to) => [['RPUSH', 'key', ...range(from, to).map((i) => `element ${i}`)]],
    write: (i) => (i % 2 === 0 ? ['LPOP', 'key'] : ['RPUSH', 'key', 'another element']),
  },
  {
    name: 'stream',
    count: elements,
    fill: (from, to) => range(from, to).map((i) => ['XADD', 'key', `${i + 1}-1`, 'field', `value ${i}`]),
    write: (i) => (i % 2 === 0 ? ['XDEL', 'key', `${i}-1`] : ['XADD', 'key', '*', 'field', 'value']),
  },
  {
    name: 'list that is trimmed',
    count: elements,
    fill: (from, to) => [['RPUSH', 'key', ...range(from, to).map((i) => `element ${i}`)]],
    write: (_i, n) => (n === 40 ? ['LTRIM', 'key', '10', '20'] : ['RPUSH', 'key', 'another element']),
  },
  {
    name: 'list of large elements',
    count: LARGE,
    fill: (from, to) => range(from, to).map((i) => ['RPUSH', 'key', large(i)]),
    write: (i, n) => (n % 20 === 0 ? ['LSET', 'key', String(i), 'small'] : ['RPUSH', 'key', 'another element']),
  },
  {
    name: 'hash of large values',
    count: LARGE,
    fill: (from, to) => range(from, to).map((i) => ['HSET', 'key', `field:${i}`, large(i)]),
    write: (i, n) => (n % 20 === 0 ? ['HSET', 'key', `field:${i}`, 'small'] : ['HSET', 'key', 'a', 'another value']),
  },
  {
    name: 'large strings',
    count: LARGE,
    fill: (from, to) => range(from, to).map((i) => ['SET', `key:${i}`, large(i)]),
    write: (i, n) => (n % 20 === 0 ? ['SETRANGE', `key:${i}`, '7', 'new'] : ['SET', `small:${i}`, 'value']),
  },
  {
    name: 'strings of 100 KiB',
    count: LARGE * 10,
    fill: (from, to) =>
      range(from, to).map((i) => ['SET', `key:${i}`, large(i).slice(MIB / 2 - 50 * 1024, MIB / 2 + 50 * 1024)]),
    write: (i, n) => (n % 20 === 0 ? ['SETRANGE', `key:${i}`, '7', 'new'] : ['SET', `small:${i}`, 'value']),
  },
  {
    name: 'huge elements of a hash, set and list',
    count: HUGE,
    fill: (from, to) =>
      range(from, to).flatMap((i) => [
        ['HSET', 'hash', `field:${i}`, large(i).repeat(16)],
        ['SADD', 'set', large(i).repeat(16)],
        ['RPUSH', 'list', large(i).repeat(16)],
      ]),
    write: (i, n) =>
      n % 400 === 0
        ? ['HSET', 'hash', `field:${i}`, 'small']
        : n % 400 === 20
          ? ['LTRIM', 'list', '1', '-1']
          : ['RPUSH', 'list', 'another element'],
  },
  {
    name: 'huge string',
    count: LARGE,
    // From its end on: it has its size at once.
    fill: (from, to) => range(from, to).map((i) => ['SETRANGE', 'key', String((LARGE - 1 - i) * MIB), large(i)]),
    write: (i, n) => (n === 40 ? ['SETRANGE', 'key', '7', 'new'] : ['SET', `small:${i}`, 'value']),
  },
];

const CLOCK_THREAD_CPUTIME_ID = 3;
const clockGettime = koffi.load(null).func('int clock_gettime(int clock, void *time)');
const threadTime = new BigInt64Array(2);

/** What this thread has had of a processor, microseconds. */
function threadUs(): number {
  clockGettime(CLOCK_THREAD_CPUTIME_ID, threadTime);
  return Number(threadTime[0]) * 1e6 + Number(threadTime[1]) / 1e3;
}

/** Of pieces of work: time by the clock and by the processor, microseconds. The clock goes on while others compute. */
class Times {
  readonly #clock: number[] = [];
  readonly #processor: number[] = [];

  measure(task: () => void): void {
    const used = threadUs();
    const began = systemStopwatch();
    task();
    this.#clock.push(systemStopwatch() - began);
    this.#processor.push(threadUs() - used);
  }

  text(): string {
    return `${this.#clock.length}; clock ${quantiles(this.#clock)}; processor ${quantiles(this.#processor)}`;
  }
}

function quantiles(times: number[]): string {
  const sorted = times.sort((a, b) => a - b);
  const at = (q: number): string => ((sorted[Math.floor((sorted.length - 1) * q)] ?? 0) / 1000).toFixed(2);
  return `p50 ${at(0.5)} p99 ${at(0.99)} longest ${at(1)} ms`;
}

for (const kind of KINDS) {
  const harness = new CommandHarness(commandTable);
  harness.keyspace.notifyFlags = 0;
  const { count } = kind;
  for (let from = 0; from < count; from += AT_ONCE) {
    for (const words of kind.fill(from, Math.min(count, from + AT_ONCE))) harness.run(...words);
  }
  const slices = new Times();
  const commands = new Times();
  const system = new SystemScheduler();
  let ended = false;
  let bytes = 0;
  const began = systemStopwatch();
  // Beginning is a piece of work, too.
  slices.measure(() => {
    new SnapshotJob({
      ...rdbFormat({ redisVersion: '7.0.15', withIdleTime: false }, true),
      keyspace: harness.keyspace,
      scheduler: {
        soon: (task) => system.soon(() => slices.measure(task)),
        createAlarm: (task, keepsAlive) => system.createAlarm(task, keepsAlive),
      },
      stopwatch: systemStopwatch,
      sink: {
        write: (_piece, length) => {
          bytes += length;
        },
        queuedBytes: 0,
        error: null,
        onProgress: () => {},
        finish: async () => {},
        abort: () => {},
      },
      compress: true,
      keyDelayUs: () => 0,
      onEnd: () => {
        ended = true;
      },
    });
  });
  for (let turn = 0; !ended; turn++) {
    for (let i = 0; i < WRITES; i++) {
      const n = turn * WRITES + i;
      const words = kind.write((n * 7919) % count, n);
      commands.measure(() => void harness.run(...words));
    }
    await new Promise((done) => setImmediate(done));
  }
  const seconds = ((systemStopwatch() - began) / 1e6).toFixed(1);
  console.log(`${kind.name}, ${count}: saved in ${seconds} s, ${(bytes / 2 ** 20).toFixed(0)} MiB`);
  console.log(`  slices of the save: ${slices.text()}`);
  console.log(`  commands:           ${commands.text()}`);
}
