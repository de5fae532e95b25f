// From samples to a table and a JSON file: medians, spread, and the ratio to the reference path.
import { cpus, release } from 'node:os';
import type { CoreTime } from './cpu.ts';
import type { Load, LoadResult } from './load.ts';
import { REFERENCE_PATH } from './paths.ts';

/** One run of one test over one path. */
export interface Sample {
  readonly path: string;
  readonly round: number;
  readonly load: Load;
  /** All that were made while the cores' time was taken. */
  readonly requests: number;
  readonly result: LoadResult;
  readonly serverCore: CoreTime;
  readonly clientCore: CoreTime;
}

export interface Row {
  readonly test: string;
  readonly pipeline: number;
  readonly path: string;
  readonly rounds: number;
  readonly requestsPerSecond: number;
  /** (max - min) / median of the rounds' requests per second. */
  readonly spread: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The server core's busy time per request, and its parts, microseconds. */
  readonly serverUs: number;
  readonly serverUserUs: number;
  readonly serverSystemUs: number;
  readonly serverSoftirqUs: number;
  readonly clientUs: number;
  /** Of the reference path's median; null when it was not measured. */
  readonly rateRatio: number | null;
  readonly serverRatio: number | null;
  readonly bothRatio: number | null;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** One row per test, pipeline and path, in the samples' order. */
export function summarise(samples: readonly Sample[]): Row[] {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = `${sample.result.test}\0${sample.load.pipeline}\0${sample.path}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [sample]);
    else group.push(sample);
  }
  const rows = [...groups.values()].map(rowOf);
  return rows.map((row) => {
    const reference = rows.find(
      (other) => other.path === REFERENCE_PATH && other.test === row.test && other.pipeline === row.pipeline,
    );
    if (reference === undefined) return row;
    return {
      ...row,
      rateRatio: ratio(row.requestsPerSecond, reference.requestsPerSecond),
      serverRatio: ratio(row.serverUs, reference.serverUs),
      bothRatio: ratio(row.serverUs + row.clientUs, reference.serverUs + reference.clientUs),
    };
  });
}

function rowOf(group: readonly Sample[]): Row {
  const of = (pick: (sample: Sample) => number) => median(group.map(pick));
  const perRequest = (pick: (time: CoreTime) => number, core: 'serverCore' | 'clientCore') =>
    of((sample) => pick(sample[core]) / sample.requests);
  const rates = group.map((sample) => sample.result.requestsPerSecond);
  return {
    test: group[0].result.test,
    pipeline: group[0].load.pipeline,
    path: group[0].path,
    rounds: group.length,
    requestsPerSecond: median(rates),
    spread: (Math.max(...rates) - Math.min(...rates)) / median(rates),
    p50Ms: of((sample) => sample.result.p50Ms),
    p99Ms: of((sample) => sample.result.p99Ms),
    serverUs: perRequest((time) => time.busyUs, 'serverCore'),
    serverUserUs: perRequest((time) => time.userUs, 'serverCore'),
    serverSystemUs: perRequest((time) => time.systemUs, 'serverCore'),
    serverSoftirqUs: perRequest((time) => time.softirqUs + time.irqUs, 'serverCore'),
    clientUs: perRequest((time) => time.busyUs, 'clientCore'),
    rateRatio: null,
    serverRatio: null,
    bothRatio: null,
  };
}

function ratio(value: number, reference: number): number | null {
  return reference > 0 ? value / reference : null;
}

interface Column {
  readonly title: string;
  readonly text: boolean;
  /** Left out of the brief table: needs long runs to mean something. */
  readonly long: boolean;
  readonly cell: (row: Row) => string;
}

const COLUMNS: readonly Column[] = [
  { title: 'test', text: true, long: false, cell: (row) => row.test.replace(/ .*/, '') },
  { title: 'P', text: true, long: false, cell: (row) => String(row.pipeline) },
  { title: 'path', text: true, long: false, cell: (row) => row.path },
  { title: 'rps', text: false, long: false, cell: (row) => Math.round(row.requestsPerSecond).toLocaleString('en-US') },
  { title: 'spread', text: false, long: true, cell: (row) => `${(row.spread * 100).toFixed(0)}%` },
  { title: 'x', text: false, long: false, cell: (row) => times(row.rateRatio) },
  { title: 'p50 ms', text: false, long: false, cell: (row) => row.p50Ms.toFixed(3) },
  { title: 'p99 ms', text: false, long: false, cell: (row) => row.p99Ms.toFixed(3) },
  { title: 'server us/req', text: false, long: true, cell: (row) => row.serverUs.toFixed(2) },
  { title: 'x', text: false, long: true, cell: (row) => times(row.serverRatio) },
  { title: '(usr sys irq)', text: false, long: true, cell: serverParts },
  { title: 'client us/req', text: false, long: true, cell: (row) => row.clientUs.toFixed(2) },
  { title: 'both x', text: false, long: true, cell: (row) => times(row.bothRatio) },
];

function serverParts(row: Row): string {
  return [row.serverUserUs, row.serverSystemUs, row.serverSoftirqUs].map((us) => us.toFixed(1)).join(' ');
}

/** A table for the terminal, grouped by test. @param brief without the columns that need long runs. */
export function table(rows: readonly Row[], brief: boolean): string {
  const columns = COLUMNS.filter((column) => !(brief && column.long));
  const cells = [...rows].sort(byTest(rows)).map((row) => columns.map((column) => column.cell(row)));
  const textColumns = columns.filter((column) => column.text).length;
  return alignColumns([columns.map((column) => column.title), ...cells], textColumns);
}

/** Tests in the order they were first run, then pipelines, then paths as measured. */
function byTest(rows: readonly Row[]): (a: Row, b: Row) => number {
  const first = (row: Row) => rows.findIndex((other) => other.test === row.test && other.pipeline === row.pipeline);
  return (a, b) => first(a) - first(b) || rows.indexOf(a) - rows.indexOf(b);
}

function times(value: number | null): string {
  return value === null ? '-' : `${value.toFixed(2)}x`;
}

/** @param textColumns how many columns, from the left, are aligned left. */
export function alignColumns(rows: readonly (readonly string[])[], textColumns: number): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const pad = (cell: string, column: number) =>
    column < textColumns ? cell.padEnd(widths[column]) : cell.padStart(widths[column]);
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}

/** What the numbers were measured on. */
export function machine(): Readonly<Record<string, string | number>> {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    kernel: release(),
    node: process.version,
  };
}
