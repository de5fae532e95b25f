// A run beside the reference, for people: a table while it goes on, and docs/compatibility.md from the last whole run of
// each mode. Imported by test/redis only.
import { EXPLAINED, type LeftOut } from './left-out.ts';
import type { Comparison } from './reference.ts';

export interface UnitReport extends Comparison {
  readonly seconds: number;
  /** `done`, or why the unit did not come to its end. */
  readonly ending: string;
  /** What the suite itself leaves out in this mode, with its reason. */
  readonly ignored: readonly string[];
  /** What went wrong outside of any test; empty when nothing did. */
  readonly complaint: string;
}

export interface RunReport {
  /** As in the document's headings. */
  readonly title: string;
  /** The command that made it. */
  readonly command: string;
  /** Day of the run. */
  readonly date: string;
  readonly units: readonly UnitReport[];
  /** Not run, not counted. */
  readonly leftOut: readonly LeftOut[];
}

export const TABLE_HEADING = row('unit', 'passed', 'redis-server', 'seconds', 'ending');

export function tableRow(unit: UnitReport): string {
  return row(unit.unit, unit.passed, unit.expected, unit.seconds.toFixed(1), unit.ending);
}

function row(unit: string, ...cells: readonly (string | number)[]): string {
  const [passed, expected, seconds, ending] = cells.map(String);
  return `${unit.padEnd(38)} ${passed.padStart(6)} ${expected.padStart(13)} ${seconds.padStart(8)}  ${ending}`.trimEnd();
}

export function totals(units: readonly UnitReport[]): { passed: number; expected: number; seconds: number } {
  const total = { passed: 0, expected: 0, seconds: 0 };
  for (const unit of units) {
    total.passed += unit.passed;
    total.expected += unit.expected;
    total.seconds += unit.seconds;
  }
  return total;
}

/** `2,012 / 2,029 (99.2 %)` */
export function rate(units: readonly UnitReport[]): string {
  const { passed, expected } = totals(units);
  const percent = expected === 0 ? 100 : Math.floor((passed / expected) * 1000) / 10;
  return `${thousands(passed)} / ${thousands(expected)} (${percent.toFixed(1)} %)`;
}

function thousands(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

export function compatibilityDocument(runs: readonly RunReport[]): string {
  return `${[
    '# Compatibility with Redis 7.0.15',
    '',
    "Made by `scripts/redis-suite.sh`; do not edit. Redis's own test suite runs against wiredis, and each test that real",
    'redis-server 7.0.15 passes with the same command is looked for by name. A test that hangs, or that is not reached',
    'because another one hung, counts as failed.',
    '',
    '| mode | passed | of redis-server’s | date | command |',
    '|---|---|---|---|---|',
    ...runs.map((run) => {
      const { passed, expected } = totals(run.units);
      return `| ${run.title} | ${thousands(passed)} | ${thousands(expected)} (${rate(run.units).replace(/.*\(|\)/g, '')}) | ${run.date} | \`${run.command}\` |`;
    }),
    '',
    ...runs.flatMap(runSection),
  ].join('\n')}`;
}

function runSection(run: RunReport): string[] {
  const shown = run.units.filter((unit) => unit.expected > 0);
  const failing = shown.filter((unit) => unit.missed.length > 0);
  return [
    `## ${run.title}`,
    '',
    `${rate(run.units)} in ${Math.round(totals(run.units).seconds)} s.`,
    '',
    '| unit | passed | redis-server | seconds |',
    '|---|---|---|---|',
    ...shown.map((unit) => `| ${unit.unit} | ${unit.passed} | ${unit.expected} | ${unit.seconds.toFixed(1)} |`),
    '',
    '### Failing tests',
    '',
    ...(failing.length === 0 ? ['None.', ''] : failing.flatMap(failingTests)),
    '### Left out of the count',
    '',
    ...run.leftOut.map(([name, reason]) => `- ${code(name)}: ${reason}.`),
    '',
    '### What the suite leaves out in this mode',
    '',
    ...skips(run.units),
    '',
  ];
}

function failingTests(unit: UnitReport): string[] {
  const ending = unit.ending === 'done' ? '' : ` (${unit.ending})`;
  return [
    `- ${unit.unit}${ending}`,
    ...unit.missed.map(({ name, reason }) => {
      const explanation = EXPLAINED.get(name);
      const behind = explanation === undefined ? '' : `: ${explanation}`;
      return `  - ${code(name)}${reason === '' ? '' : `: ${code(shorten(reason))}`}${behind}`;
    }),
    '',
  ];
}

function skips(units: readonly UnitReport[]): string[] {
  const lines: string[] = [];
  for (const unit of units) {
    for (const [text, count] of counted(unit.ignored)) {
      lines.push(`- ${unit.unit}: ${text}${count > 1 ? ` (${count} times)` : ''}`);
    }
  }
  return lines.length === 0 ? ['Nothing.'] : lines;
}

function counted(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return counts;
}

const SHOWN_REASON_LENGTH = 160;

function shorten(text: string): string {
  return text.length > SHOWN_REASON_LENGTH ? `${text.slice(0, SHOWN_REASON_LENGTH)}...` : text;
}

/** A code span holds what it is told, unless a backquote ends it. */
function code(text: string): string {
  return `\`${text.replaceAll('`', "'")}\``;
}
