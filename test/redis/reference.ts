// What real redis-server passes, and how a run of ours compares with it: name by name, as often as the name occurs
// (some units run one block with several settings under the same names). Imported by test/redis only.
import { readFileSync } from 'node:fs';
import type { Failure, UnitOutcome } from './runner-output.ts';

export interface ReferenceUnit {
  readonly unit: string;
  /** Names of the tests that redis-server passes, with repetitions. */
  readonly passed: readonly string[];
  readonly ignored: readonly string[];
}

export interface Comparison {
  readonly unit: string;
  readonly expected: number;
  /** Of the expected ones. */
  readonly passed: number;
  readonly missed: readonly Failure[];
}

/**
 * Reads lines of unit, status (ok, err, ignore), name and detail with tabs between; `#` starts a comment.
 * @param order units in the order to run them, also those that have no test of their own.
 */
export function readReference(file: string, order: readonly string[] = []): ReferenceUnit[] {
  const units = new Map<string, { unit: string; passed: string[]; ignored: string[] }>();
  const entry = (unit: string) => {
    let found = units.get(unit);
    if (found === undefined) units.set(unit, (found = { unit, passed: [], ignored: [] }));
    return found;
  };
  for (const unit of order) entry(unit);
  for (const [unit, status, name] of rows(file)) {
    const into = entry(unit);
    if (status === 'ok') into.passed.push(name);
    else if (status === 'ignore') into.ignored.push(name);
  }
  return [...units.values()];
}

/** Without tests that are not to be run, and with those of units that draw them by kind. */
export function counted(unit: ReferenceUnit, leftOut: readonly string[], drawn: readonly string[]): ReferenceUnit {
  const passed = unit.passed.filter((name) => !leftOut.includes(name));
  return { ...unit, passed: drawn.includes(unit.unit) ? byKind(passed) : passed };
}

/** First column of a table with a heading and a row TOTAL. */
export function readUnitOrder(file: string): string[] {
  return rows(file)
    .slice(1)
    .map(([unit]) => unit)
    .filter((unit) => unit !== 'TOTAL');
}

function rows(file: string): string[][] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split('\t'));
}

/** As a unit that draws what it does would have them: each kind of test once, and only where every one of it passed. */
export function byKind(names: readonly string[], failed: readonly string[] = []): string[] {
  const kind = (name: string): string => name.replace(/\d+/g, 'N');
  const bad = new Set(failed.map(kind));
  return [...new Set(names.map(kind))].filter((name) => !bad.has(name));
}

export function compare(reference: ReferenceUnit, outcome: UnitOutcome): Comparison {
  const left = countNames(outcome.passed.map(plain));
  const reasons = new Map<string, string[]>();
  for (const { name, reason } of outcome.failed) {
    reasons.set(plain(name), [...(reasons.get(plain(name)) ?? []), reason]);
  }
  const missed: Failure[] = [];
  let passed = 0;
  for (const name of reference.passed) {
    const have = left.get(plain(name)) ?? 0;
    if (have > 0) {
      left.set(plain(name), have - 1);
      passed++;
    } else {
      missed.push({ name, reason: reasons.get(plain(name))?.shift() ?? notReached(name, outcome) });
    }
  }
  return { unit: reference.unit, expected: reference.passed.length, passed, missed };
}

/** Tcl prints other characters as the locale has it. */
function plain(name: string): string {
  return name.replace(/[^ -~]/g, '');
}

function notReached(name: string, outcome: UnitOutcome): string {
  if (outcome.stuckIn === name) return 'hung';
  if (outcome.stuckIn !== null) return `not reached: '${outcome.stuckIn}' hung`;
  return 'not reached';
}

function countNames(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
