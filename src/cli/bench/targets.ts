// What this project set out to reach, as data, and whether a run reached it. Generous to nobody: what was not measured is
// said to be so, and what falls short is shown with its number.
import type { Quantity, Row } from './sample.ts';

interface Place {
  readonly scenario: string;
  /** Every one of them has to reach the target; the worst counts. */
  readonly tests: readonly string[];
  readonly pipeline: number;
  readonly path: string;
  readonly quantity: Quantity;
}

export interface Target extends Place {
  readonly title: string;
  /** Path that is compared with; absent: the value itself counts. */
  readonly against?: string;
  readonly limit: number;
  readonly atLeast: boolean;
}

export interface Outcome {
  readonly target: Target;
  /** The worst of the tests; null: not measured. */
  readonly value: number | null;
  readonly met: boolean | null;
}

const GET_SET = ['GET', 'SET'];
const COMMANDS = ['LPUSH', 'RPOP', 'SADD', 'HSET', 'INCR', 'ZADD', 'LRANGE_100'];
const throughput = { scenario: 'throughput', tests: GET_SET, pipeline: 1, path: 'afxdp', against: 'redis' } as const;
const most = { atLeast: false } as const;
const least = { atLeast: true } as const;

export const TARGETS: readonly Target[] = [
  { ...throughput, ...most, title: 'Server core per request, P=1, afxdp', quantity: 'serverUs', limit: 0.4 },
  { ...throughput, ...most, title: 'Both cores per request, P=1, afxdp', quantity: 'bothUs', limit: 0.6 },
  {
    ...throughput,
    ...most,
    title: 'Server core per request, P=1, afpacket',
    path: 'afpacket',
    quantity: 'serverUs',
    limit: 0.7,
  },
  {
    ...throughput,
    ...most,
    title: 'Server core per request, P=1, pcap',
    path: 'pcap',
    quantity: 'serverUs',
    limit: 1.3,
  },
  { ...throughput, ...least, title: 'Throughput, P=1, afxdp', quantity: 'rate', limit: 1.35 },
  {
    ...throughput,
    ...least,
    title: 'Throughput of GET, P=16, afxdp',
    tests: ['GET'],
    pipeline: 16,
    quantity: 'rate',
    limit: 1.7,
  },
  {
    ...throughput,
    ...least,
    title: 'Throughput of SET, P=16, afxdp',
    tests: ['SET'],
    pipeline: 16,
    quantity: 'rate',
    limit: 1.6,
  },
  {
    ...throughput,
    ...most,
    title: 'Server core per request, P=1, afxdp, against our own kernel transport',
    against: 'kernel',
    quantity: 'serverUs',
    limit: 0.25,
  },
  { ...throughput, ...least, title: 'Throughput, P=1, kernel transport', path: 'kernel', quantity: 'rate', limit: 0.7 },
  {
    ...{ scenario: 'commands', tests: COMMANDS, pipeline: 1, path: 'afxdp', against: 'redis', ...least },
    title: 'Throughput of seven other commands, P=1, afxdp (the worst)',
    quantity: 'rate',
    limit: 1.1,
  },
  {
    ...{ scenario: 'commands', tests: COMMANDS, pipeline: 16, path: 'afxdp', against: 'redis', ...least },
    title: 'Throughput of seven other commands, P=16, afxdp (the worst)',
    quantity: 'rate',
    limit: 1.2,
  },
  {
    ...{ scenario: 'half-load', tests: ['GET'], pipeline: 1, path: 'afxdp', against: 'redis', ...most },
    title: "p99 latency at half of redis-server's peak, afxdp",
    quantity: 'p99Ms',
    limit: 0.7,
  },
  {
    ...{ scenario: 'bulk', tests: ['SET'], pipeline: 4, path: 'afxdp', against: 'redis', ...least },
    title: 'Throughput of 500 clients with 4 KiB values, P=4, afxdp',
    quantity: 'rate',
    limit: 1,
  },
  {
    ...{ scenario: 'bulk', tests: ['SET'], pipeline: 4, path: 'afxdp', ...most },
    title: 'Frames lost in that, afxdp',
    quantity: 'drops',
    limit: 0,
  },
  {
    ...{ scenario: 'bulk', tests: ['SET'], pipeline: 4, path: 'afxdp', ...most },
    title: 'Longest stall in that, afxdp, ms',
    quantity: 'maxMs',
    limit: 100,
  },
  {
    ...{ scenario: 'connections', tests: ['CONNECT+GET'], pipeline: 1, path: 'afxdp', against: 'redis', ...least },
    title: 'New connections per second, afxdp',
    quantity: 'rate',
    limit: 3,
  },
  {
    ...{ scenario: 'large-values', tests: ['GET 1 MiB'], pipeline: 1, path: 'tap', against: 'redis-bridge', ...least },
    title: 'GET of 1 MiB values, tap',
    quantity: 'rate',
    limit: 1,
  },
  {
    ...{ scenario: 'many-connections', tests: ['rate kept'], pipeline: 1, path: 'afxdp', ...least },
    title: 'Throughput with 10,000 connections over that with 50, afxdp',
    quantity: 'rate',
    limit: 0.8,
  },
  {
    ...{ scenario: 'system-calls', tests: ['GET'], pipeline: 16, path: 'afxdp', ...most },
    title: 'System calls per request, P=16, afxdp',
    quantity: 'systemCalls',
    limit: 0.1,
  },
  {
    ...{ scenario: 'system-calls', tests: ['GET'], pipeline: 1, path: 'afxdp', ...most },
    title: 'System calls per request, P=1, afxdp',
    quantity: 'systemCalls',
    limit: 0.1,
  },
  {
    ...{ scenario: 'dataset', tests: ['fill'], pipeline: 1, path: 'afxdp', against: 'redis', ...most },
    title: 'Memory of 10 million keys',
    quantity: 'rssBytesPerKey',
    limit: 1,
  },
  {
    ...{ scenario: 'dataset', tests: ['fill', 'read'], pipeline: 1, path: 'afxdp', ...most },
    title: 'Longest wait while filling and reading them, ms',
    quantity: 'maxMs',
    limit: 5,
  },
  {
    ...{ scenario: 'heap', tests: GET_SET, pipeline: 16, path: 'afxdp', ...most },
    title: "Bytes of V8's heap per request, P=16, afxdp",
    quantity: 'heapBytes',
    limit: 0,
  },
];

/** Each target with what the rows say. */
export function judge(rows: readonly Row[]): Outcome[] {
  return TARGETS.map((target) => {
    const values = target.tests.map((test) => measured(rows, target, test));
    if (values.some((value) => value === null)) return { target, value: null, met: null };
    const worst = target.atLeast ? Math.min(...(values as number[])) : Math.max(...(values as number[]));
    return { target, value: worst, met: target.atLeast ? worst >= target.limit : worst <= target.limit };
  });
}

function measured(rows: readonly Row[], target: Target, test: string): number | null {
  const find = (path: string): number | undefined =>
    rows.find(
      (row) =>
        row.scenario === target.scenario && row.test === test && row.pipeline === target.pipeline && row.path === path,
    )?.values[target.quantity];
  const value = find(target.path);
  if (value === undefined) return null;
  if (target.against === undefined) return value;
  const base = find(target.against);
  return base === undefined || base === 0 ? null : value / base;
}
