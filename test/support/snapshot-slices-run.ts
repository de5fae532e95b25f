// How long a save in the background holds others up: a big value of each type is saved, as BGSAVE does it, while commands
// write to it. Every piece of work between two turns of the event loop is timed. Run by scripts/bench/snapshots.sh.
//   snapshot-slices-run.js [ELEMENTS]      (1000000, of each value)
import { commandTable } from '../../src/commands/table.ts';
import { rdbFormat, SnapshotJob } from '../../src/persistence/snapshot-job.ts';
import { systemStopwatch } from '../../src/platform/stopwatch.ts';
import { SystemScheduler } from '../../src/platform/timers.ts';
import { CommandHarness } from './command-harness.ts';

const elements = Number(process.argv[2] ?? 1_000_000);
const AT_ONCE = 1000;
/** Commands between two slices of the save. */
const WRITES = 20;

interface Kind {
  readonly name: string;
  /** Words that add elements `from` up to `to`; several commands. */
  fill(from: number, to: number): string[][];
  write(i: number): string[];
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

const KINDS: readonly Kind[] = [
  {
    name: 'hash',
    fill: (from, to) => [['HSET', 'key', ...range(from, to).flatMap((i) => [`field:${i}`, `value ${i}`])]],
    write: (i) => ['HSET', 'key', `field:${i}`, 'another value'],
  },
  {
    name: 'set',
    fill: (from, to) => [['SADD', 'key', ...range(from, to).map((i) => `member:${i}`)]],
    write: (i) => [i % 2 === 0 ? 'SADD' : 'SREM', 'key', `member:${i % 2 === 0 ? -i : i}`],
  },
  {
    name: 'zset',
    fill: (from, to) => [['ZADD', 'key', ...range(from, to).flatMap((i) => [String(i), `member:${i}`])]],
    write: (i) => ['ZINCRBY', 'key', '100', `member:${i}`],
  },
  {
    name: 'list',
    fill: (from, to) => [['RPUSH', 'key', ...range(from, to).map((i) => `element ${i}`)]],
    write: (i) => (i % 2 === 0 ? ['LPOP', 'key'] : ['RPUSH', 'key', 'another element']),
  },
  {
    name: 'stream',
    fill: (from, to) => range(from, to).map((i) => ['XADD', 'key', `${i + 1}-1`, 'field', `value ${i}`]),
    write: (i) => (i % 2 === 0 ? ['XDEL', 'key', `${i}-1`] : ['XADD', 'key', '*', 'field', 'value']),
  },
];

/** Of pieces of work: time by the clock and by the processor, microseconds. The clock goes on while others compute. */
class Times {
  readonly #clock: number[] = [];
  readonly #processor: number[] = [];

  measure(task: () => void): void {
    const used = process.cpuUsage();
    const began = systemStopwatch();
    task();
    this.#clock.push(systemStopwatch() - began);
    const { user, system } = process.cpuUsage(used);
    this.#processor.push(user + system);
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
  for (let from = 0; from < elements; from += AT_ONCE) {
    for (const words of kind.fill(from, Math.min(elements, from + AT_ONCE))) harness.run(...words);
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
        write: (piece) => {
          bytes += piece.length;
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
      const words = kind.write(Math.floor(((turn * WRITES + i) * 7919) % elements));
      commands.measure(() => void harness.run(...words));
    }
    await new Promise((done) => setImmediate(done));
  }
  const seconds = ((systemStopwatch() - began) / 1e6).toFixed(1);
  console.log(`${kind.name} of ${elements}: saved in ${seconds} s, ${(bytes / 2 ** 20).toFixed(0)} MiB`);
  console.log(`  slices of the save: ${slices.text()}`);
  console.log(`  commands:           ${commands.text()}`);
}
