// Rows as a table for the terminal, one a scenario; and the results file that everything else is made from.
import { cpus, release, totalmem } from 'node:os';
import { QUANTITIES, type Quantity, type Row, type Sample, type Values } from './sample.ts';

/** What `wiredis bench` leaves behind. */
export interface Results {
  /** ISO 8601. */
  readonly when: string;
  /** The words behind `wiredis`. */
  readonly command: string;
  readonly machine: Readonly<Record<string, string | number | null>>;
  /** What the lab could not do here. */
  readonly warnings: readonly string[];
  /** Scenarios and paths that failed, with the reason. */
  readonly failures: readonly string[];
  readonly rows: readonly Row[];
  readonly samples: readonly Sample[];
}

/** What the table needs to know of a scenario. */
export interface Columns {
  readonly name: string;
  readonly summary: string;
  readonly columns: readonly Quantity[];
}

/** Quantities whose ratio to the reference stands beside them. */
const WITH_RATIO: readonly Quantity[] = ['rate', 'serverUs', 'bothUs', 'p99Ms', 'systemCalls', 'rssBytesPerKey'];
/** Read from clocks of 10 ms: short runs give noise. */
const NEEDS_LONG_RUNS: readonly Quantity[] = [
  ...(['serverUs', 'serverUserUs', 'serverSystemUs', 'serverSoftirqUs', 'clientUs', 'bothUs'] as const),
  ...(['serverIdle', 'clientIdle'] as const),
];

/** One table a scenario, with its name above where there are several. @param brief without what needs long runs. */
export function tables(scenarios: readonly Columns[], rows: readonly Row[], brief: boolean): string {
  const parts = scenarios.flatMap((scenario) => {
    const own = rows.filter((row) => row.scenario === scenario.name);
    if (own.length === 0) return [];
    const title = scenarios.length > 1 ? `${scenario.name}: ${scenario.summary}\n` : '';
    return [title + alignColumns(cellsOf(scenario, own, brief), 3)];
  });
  return parts.join('\n\n');
}

/** Header and rows as text, grouped by test. */
export function cellsOf({ columns }: Columns, rows: readonly Row[], brief: boolean): string[][] {
  const shown = columns.filter((quantity) => !(brief && NEEDS_LONG_RUNS.includes(quantity)));
  const hasRatio = (quantity: Quantity) =>
    WITH_RATIO.includes(quantity) &&
    rows.some(({ ratios }) => ratios[quantity] !== undefined) &&
    !(brief && quantity === 'p99Ms');
  const [main] = columns;
  const header = ['test', 'P', 'path'];
  for (const quantity of shown) {
    header.push(QUANTITIES[quantity].title);
    if (quantity === main && !brief) header.push('spread');
    if (hasRatio(quantity)) header.push('x');
  }
  const cells = [...rows].sort(byTest(rows)).map((row) => {
    const line = [row.test, String(row.pipeline), row.path];
    for (const quantity of shown) {
      line.push(valueText(row.values, quantity));
      if (quantity === main && !brief) line.push(`${((row.spread[quantity] ?? 0) * 100).toFixed(0)}%`);
      if (hasRatio(quantity)) line.push(times(row.ratios[quantity]));
    }
    return line;
  });
  return [header, ...cells];
}

export function valueText(values: Values, quantity: Quantity): string {
  const value = values[quantity];
  if (value === undefined) return '-';
  const { digits } = QUANTITIES[quantity];
  // A ratio shown as a rate (what many connections keep of it) is below 10.
  const shown = digits === 0 && value < 10 && value % 1 !== 0 ? 2 : digits;
  return value.toLocaleString('en-US', { minimumFractionDigits: shown, maximumFractionDigits: shown });
}

export function times(ratio: number | undefined): string {
  return ratio === undefined ? '-' : `${ratio.toFixed(2)}x`;
}

/** Tests in the order they were first run, then pipelines, then paths as measured. */
function byTest(rows: readonly Row[]): (a: Row, b: Row) => number {
  const first = (row: Row) => rows.findIndex((other) => other.test === row.test && other.pipeline === row.pipeline);
  return (a, b) => first(a) - first(b) || rows.indexOf(a) - rows.indexOf(b);
}

/** @param textColumns how many columns, from the left, are aligned left. */
function alignColumns(rows: readonly (readonly string[])[], textColumns: number): string {
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
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
  };
}
