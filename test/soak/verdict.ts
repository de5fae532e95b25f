// What a soak has to show: nothing grows after the warm-up, nothing fails, nobody stays. For the tests here and in test/lab.
import { expect } from 'vitest';

export const SECONDS = Number(process.env.WIREDIS_SOAK_SECONDS ?? 45);

/** Of redis.conf, for a server that is soaked. */
export const SOAK_DIRECTIVES: Readonly<Record<string, string>> = {
  maxmemory: '16mb',
  'maxmemory-policy': 'allkeys-lru',
  appendonly: 'yes',
  appendfsync: 'everysec',
  'client-output-buffer-limit': 'normal 8mb 0 0 pubsub 2mb 1mb 5',
};

interface Sample {
  readonly second: number;
  readonly used: number;
  readonly resident: number;
  /** The arena and V8's heap. */
  readonly allocated: number;
  readonly clients: number;
  readonly expired: number;
  readonly evicted: number;
  readonly snapshot: boolean;
  readonly rewrite: boolean;
}

interface End {
  readonly counts: Readonly<Record<string, number>>;
  readonly errors: readonly [string, number][];
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly p999: number };
  readonly left: Readonly<Record<string, number>>;
}

const MIB = 1024 ** 2;
/** Growth between the first third and the last third behind the warm-up, as a part and in bytes, that is not a leak yet. */
const ALLOWED = { used: [0.05, 4 * MIB], allocated: [0.1, 12 * MIB], resident: [0.1, 24 * MIB] } as const;

const median = (numbers: number[]): number => numbers.sort((a, b) => a - b)[numbers.length >> 1];

/** The lowest of a few samples: heaps go up and down between collections, and what stays is what counts. */
function floorOf(samples: readonly Sample[], what: keyof typeof ALLOWED): number {
  const lows: number[] = [];
  for (let i = 0; i < samples.length; i += 3) lows.push(Math.min(...samples.slice(i, i + 3).map((one) => one[what])));
  return median(lows);
}

/** @param output of load.js. @throws when the soak failed. @returns lines for people. */
export function judge(output: string): string[] {
  const rows = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { sample?: Sample; end?: End });
  const samples = rows.flatMap(({ sample }) => (sample === undefined ? [] : [sample]));
  const end = rows.at(-1)?.end;
  if (end === undefined) throw new Error(`the load did not end: ${output.slice(-500)}`);
  const last = samples[samples.length - 1];
  const lines = [
    `${SECONDS} s: ${JSON.stringify(end.counts)}, expired ${last.expired}, evicted ${last.evicted}`,
    `latency of a single command: ${JSON.stringify(end.latencyMs)} ms`,
  ];
  const settled = samples.slice(Math.ceil(samples.length * 0.4));
  const third = Math.ceil(settled.length / 3);
  for (const what of ['used', 'allocated', 'resident'] as const) {
    const before = floorOf(settled.slice(0, third), what);
    const after = floorOf(settled.slice(-third), what);
    lines.push(`${what}: ${(before / MIB).toFixed(1)} MiB, later ${(after / MIB).toFixed(1)} MiB`);
    const [part, bytes] = ALLOWED[what];
    expect(after, `${what} grows\n${lines.join('\n')}`).toBeLessThan(before * (1 + part) + bytes);
  }
  expect(end.errors).toEqual([]);
  expect(end.left).toEqual({ clients: 1, blocked: 0, channels: 0, patterns: 0 });
  expect(samples.every(({ snapshot, rewrite }) => snapshot && rewrite)).toBe(true);
  for (const name of ['heard', 'unblocked', 'timedOut', 'slow', 'died', 'snapshots', 'rewrites']) {
    expect(end.counts[name], name).toBeGreaterThan(0);
  }
  expect(last.expired).toBeGreaterThan(0);
  expect(last.evicted).toBeGreaterThan(0);
  return lines;
}
