// Load: what redis-benchmark is called with, what it answers, and a keyspace filled before it starts.
import type { Lab } from '../lab/lab.ts';
import type { Result } from '../lab/process.ts';
import { CliError } from '../tool.ts';
import type { RunningServer } from './paths.ts';

/** One row of redis-benchmark's --csv. */
export interface LoadResult {
  /** As redis-benchmark names it, e.g. `GET` or `LRANGE_100 (first 100 elements)`. */
  readonly test: string;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface Load {
  /** A name for redis-benchmark's -t. */
  readonly test: string;
  /** The words of a request, in place of those that `test` stands for. */
  readonly request?: readonly string[];
  readonly requests: number;
  readonly clients: number;
  readonly pipeline: number;
  readonly valueBytes: number;
  /** Random keys are drawn from this many; 0: one key. */
  readonly keyspace: number;
  /** A new connection for every request. */
  readonly reconnects?: boolean;
}

/** What redis-benchmark's -t knows. */
export const TESTS: readonly string[] = (
  'ping ping_inline ping_mbulk set get incr lpush rpush lpop rpop sadd hset spop zadd zpopmin lrange lrange_100 lrange_300 ' +
  'lrange_500 lrange_600 mset'
).split(' ');

/** Keys that one run of redis-cli --pipe sets. */
const FILL_KEYS_MAX = 500_000;

/**
 * A load without what redis-benchmark begins it with, which counts as much as the load itself: the tests lrange_N push N requests'
 * worth of elements first. They have to be there, of a warm-up.
 */
export function withoutPreparation(load: Load): Load {
  const count = /^lrange_(\d+)$/.exec(load.test)?.[1];
  return count === undefined ? load : { ...load, request: ['lrange', 'mylist', '0', String(Number(count) - 1)] };
}

export function benchmarkWords(address: string, port: number, load: Load): string[] {
  return [
    ...['redis-benchmark', '--csv', '-h', address, '-p', String(port)],
    ...(load.request === undefined ? ['-t', load.test] : []),
    ...['-n', String(load.requests), '-c', String(load.clients), '-P', String(load.pipeline)],
    ...['-d', String(load.valueBytes)],
    ...(load.keyspace > 0 ? ['-r', String(load.keyspace)] : []),
    ...(load.reconnects === true ? ['-k', '0'] : []),
    ...(load.request ?? []),
  ];
}

/** @throws CliError when it failed or reported an error, with what it said. */
export function readBenchmark(result: Result): LoadResult[] {
  const rows = parseBenchmark(result.stdout);
  const complaint = result.stderr
    .split('\n')
    .map((line) => line.trim())
    .find((line) => line !== '' && !/^WARNING: Could not fetch server CONFIG/.test(line));
  const failed = /^(Error|Could not connect|ERR|Server closed)/m.exec(`${result.stdout}\n${result.stderr}`);
  if (result.code !== 0 || rows.length === 0 || failed !== null) {
    throw new CliError('LOAD_FAILED', `redis-benchmark failed: ${complaint ?? `exit code ${result.code}`}`);
  }
  return rows;
}

/** Rows of --csv output; header and anything else are passed over. */
export function parseBenchmark(text: string): LoadResult[] {
  const rows: LoadResult[] = [];
  for (const line of text.split('\n')) {
    const fields = [...line.matchAll(/"([^"]*)"/g)].map((match) => match[1]);
    if (fields.length !== 8 || fields[0] === 'test') continue;
    const [requestsPerSecond, , , p50Ms, p95Ms, p99Ms, maxMs] = fields.slice(1).map(Number);
    rows.push({ test: fields[0], requestsPerSecond, p50Ms, p95Ms, p99Ms, maxMs });
  }
  return rows;
}

/** Sets every key that redis-benchmark's -r may draw, through redis-cli --pipe, and checks that all arrived. */
export async function fillKeyspace(lab: Lab, server: RunningServer, keys: number, valueBytes: number): Promise<void> {
  const value = 'x'.repeat(valueBytes);
  for (let from = 0; from < keys; from += FILL_KEYS_MAX) {
    const count = Math.min(FILL_KEYS_MAX, keys - from);
    const words = ['redis-cli', '-h', server.address, '-p', String(server.port), '--pipe'];
    const result = await lab.run('client', words, fillCommands(from, count, value));
    const outcome = /errors: (\d+), replies: (\d+)/.exec(result.stdout);
    if (outcome === null || outcome[1] !== '0' || Number(outcome[2]) !== count) {
      throw new CliError('LOAD_FAILED', `filling ${count} keys failed: ${(result.stderr || result.stdout).trim()}`);
    }
  }
}

/** SET of key:000000000000 and on, as redis-benchmark spells them, in RESP. */
export function fillCommands(from: number, count: number, value: string): Buffer {
  const tail = `\r\n$${value.length}\r\n${value}\r\n`;
  const parts: string[] = [];
  for (let i = from; i < from + count; i++) {
    parts.push(`*3\r\n$3\r\nSET\r\n$16\r\nkey:${String(i).padStart(12, '0')}${tail}`);
  }
  return Buffer.from(parts.join(''), 'latin1');
}
