// What is measured, and how rounds become rows: medians, spread, and ratios to redis-server in the same run. The results
// file holds both; the table, the charts, the targets and docs/performance.md read the rows.
import type { CoreTime } from './cpu.ts';
import { REFERENCE_PATH } from './paths.ts';

interface QuantityFacts {
  readonly title: string;
  readonly digits: number;
  readonly better: 'more' | 'less';
}

/** Everything that a scenario may measure. Times per request are of a whole core: user, system, interrupts. */
export const QUANTITIES = {
  rate: { title: 'rps', digits: 0, better: 'more' },
  p50Ms: { title: 'p50 ms', digits: 3, better: 'less' },
  p99Ms: { title: 'p99 ms', digits: 3, better: 'less' },
  maxMs: { title: 'max ms', digits: 1, better: 'less' },
  serverUs: { title: 'server us/req', digits: 2, better: 'less' },
  serverUserUs: { title: 'user', digits: 2, better: 'less' },
  serverSystemUs: { title: 'sys', digits: 2, better: 'less' },
  serverSoftirqUs: { title: 'softirq', digits: 2, better: 'less' },
  serverIdle: { title: 'server idle', digits: 2, better: 'more' },
  clientUs: { title: 'client us/req', digits: 2, better: 'less' },
  clientIdle: { title: 'client idle', digits: 2, better: 'more' },
  bothUs: { title: 'both us/req', digits: 2, better: 'less' },
  drops: { title: 'frames lost', digits: 0, better: 'less' },
  systemCalls: { title: 'system calls/req', digits: 3, better: 'less' },
  heapBytes: { title: 'heap bytes/req', digits: 2, better: 'less' },
  rssBytesPerKey: { title: 'RSS bytes/key', digits: 1, better: 'less' },
} as const satisfies Readonly<Record<string, QuantityFacts>>;

export type Quantity = keyof typeof QUANTITIES;
export type Values = Partial<Record<Quantity, number>>;

/** One run of one test over one path. */
export interface Sample {
  readonly scenario: string;
  /** `GET`, `fill`... */
  readonly test: string;
  /** Requests on their way per connection. */
  readonly pipeline: number;
  readonly path: string;
  readonly round: number;
  readonly values: Values;
}

export interface Row extends Omit<Sample, 'round'> {
  readonly rounds: number;
  /** Of each quantity: (max - min) / median over the rounds. */
  readonly spread: Values;
  /** Of each quantity: to the reference path's median; absent without one. */
  readonly ratios: Values;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Values of the two cores, per request. */
export function coreValues(server: CoreTime, client: CoreTime, requests: number): Values {
  const per = (us: number): number => us / requests;
  return {
    serverUs: per(server.busyUs),
    serverUserUs: per(server.userUs),
    serverSystemUs: per(server.systemUs),
    serverSoftirqUs: per(server.softirqUs + server.irqUs),
    serverIdle: idleShare(server),
    clientUs: per(client.busyUs),
    clientIdle: idleShare(client),
    bothUs: per(server.busyUs + client.busyUs),
  };
}

function idleShare({ idleUs, busyUs }: CoreTime): number {
  return idleUs + busyUs > 0 ? idleUs / (idleUs + busyUs) : 0;
}

const isSameTest = (a: Omit<Row, 'rounds' | 'spread' | 'ratios'>, b: Sample | Row): boolean =>
  a.scenario === b.scenario && a.test === b.test && a.pipeline === b.pipeline;

/** One row per scenario, test, pipeline and path, in the samples' order. */
export function summarise(samples: readonly Sample[]): Row[] {
  const groups: Sample[][] = [];
  for (const sample of samples) {
    const group = groups.find(([first]) => first.path === sample.path && isSameTest(first, sample));
    if (group === undefined) groups.push([sample]);
    else group.push(sample);
  }
  const rows = groups.map(rowOf);
  return rows.map((row) => {
    const reference = rows.find((other) => other.path === REFERENCE_PATH && isSameTest(row, other));
    return reference === undefined ? row : { ...row, ratios: ratiosOf(row.values, reference.values) };
  });
}

function rowOf(group: readonly Sample[]): Row {
  const { scenario, test, pipeline, path } = group[0];
  const values: Values = {};
  const spread: Values = {};
  for (const quantity of quantitiesOf(group[0].values)) {
    const all = group.map((sample) => sample.values[quantity] ?? 0);
    const middle = median(all);
    values[quantity] = middle;
    spread[quantity] = middle > 0 ? (Math.max(...all) - Math.min(...all)) / middle : 0;
  }
  return { scenario, test, pipeline, path, rounds: group.length, values, spread, ratios: {} };
}

function ratiosOf(values: Values, reference: Values): Values {
  const ratios: Values = {};
  for (const quantity of quantitiesOf(values)) {
    const base = reference[quantity] ?? 0;
    if (base > 0) ratios[quantity] = (values[quantity] ?? 0) / base;
  }
  return ratios;
}

function quantitiesOf(values: Values): Quantity[] {
  return Object.keys(values) as Quantity[];
}
