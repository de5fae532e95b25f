import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { byKind, compare, counted, readReference, readUnitOrder } from './reference.ts';
import { compatibilityDocument, rate, type UnitReport } from './report.ts';
import { runUnit } from './run-unit.ts';
import { OUTSIDE, parseRunnerOutput } from './runner-output.ts';

const here = dirname(fileURLToPath(import.meta.url));

const RUN = [
  '[ready]: 4711',
  'Testing unit/scan',
  '[\x1b[0;32mok\x1b[0m]: SCAN basic (12 ms)',
  '[ok]: SCAN basic (3 ms)',
  '[err]: SCAN COUNT in tests/unit/scan.tcl',
  "Expected '1' to be equal to '2' (context: type eval)",
  '[ignore]: SCAN big: large memory flag not provided',
  '[1/1 done]: unit/scan (4 seconds)',
  '',
  '*** [err]: SCAN COUNT in tests/unit/scan.tcl',
  "Expected '1' to be equal to '2' (context: type eval)",
].join('\n');

test('each test ends in one line of the runner, with its reason when it failed', () => {
  expect(parseRunnerOutput(RUN)).toEqual({
    passed: ['SCAN basic', 'SCAN basic'],
    failed: [{ name: 'SCAN COUNT', reason: "Expected '1' to be equal to '2' (context: type eval)" }],
    ignored: ['SCAN big: large memory flag not provided'],
    done: true,
    timedOut: false,
    stuckIn: null,
  });
});

test('a runner that stops says why outside of a test, or where it hung', () => {
  const stopped = parseRunnerOutput(
    "[exception]: Executing test client: ERR unknown command 'function'.\n  while executing\n",
  );
  expect(stopped.failed).toEqual([{ name: OUTSIDE, reason: "ERR unknown command 'function'. while executing" }]);
  expect(stopped.done).toBe(false);
  const hung = parseRunnerOutput(
    '[\x1b[1;31mTIMEOUT\x1b[0m]: clients state report follows.\nsock1 => (IN PROGRESS) BLPOP: one\n',
  );
  expect(hung.timedOut).toBe(true);
  expect(hung.stuckIn).toBe('BLPOP: one');
});

test('a name counts as often as both have it; what was not seen counts as failed', () => {
  const reference = { unit: 'u', passed: ['a', 'a', 'b', 'c', 'd'], ignored: [] };
  const failed = [{ name: 'b', reason: 'no' }];
  const outcome = { passed: ['a', 'x'], failed, ignored: [], done: false, timedOut: false, stuckIn: 'c' };
  expect(compare(reference, outcome)).toEqual({
    unit: 'u',
    expected: 5,
    passed: 1,
    missed: [
      { name: 'a', reason: "not reached: 'c' hung" },
      { name: 'b', reason: 'no' },
      { name: 'c', reason: 'hung' },
      { name: 'd', reason: "not reached: 'c' hung" },
    ],
  });
});

test('the reference has the 2,029 tests that redis-server passes', () => {
  const units = readReference(join(here, 'suite-tests.tsv'), readUnitOrder(join(here, 'suite-units.tsv')));
  expect(units.reduce((sum, { passed }) => sum + passed.length, 0)).toBe(2029);
  expect(units[0].unit).toBe('unit/printver');
  expect(units.find(({ unit }) => unit === 'unit/tls')).toMatchObject({ passed: [] });
});

test('the document names each failing test and why the suite leaves others out', () => {
  const unit: UnitReport = {
    unit: 'unit/scan',
    expected: 2000,
    passed: 1999,
    missed: [{ name: 'SCAN `x`', reason: 'no' }],
    seconds: 4.2,
    ending: 'done',
    ignored: ['Not supported on external server', 'Not supported on external server'],
    complaint: '',
  };
  expect(rate([unit])).toBe('1,999 / 2,000 (99.9 %)');
  const leftOut = [['needs a fork', 'there is none']] as const;
  const document = compatibilityDocument([
    { title: 'External', command: 'x', date: '2026-01-02', units: [unit], leftOut },
  ]);
  expect(document).toContain('| External | 1,999 | 2,000 (99.9 %) | 2026-01-02 | `x` |');
  expect(document).toContain("- unit/scan\n  - `SCAN 'x'`: `no`");
  expect(document).toContain('- unit/scan: Not supported on external server (2 times)');
  expect(document).toContain('- `needs a fork`: there is none.');
});

test('what is left out is not expected, and units that draw their tests count each kind once', () => {
  const unit = { unit: 'integration/psync2', passed: ['Set #1 as master', 'Set #4 as master', 'fork'], ignored: [] };
  expect(counted(unit, ['fork'], ['integration/psync2']).passed).toEqual(['Set #N as master']);
  expect(counted(unit, ['fork'], []).passed).toEqual(['Set #1 as master', 'Set #4 as master']);
  expect(byKind(['Set #1 as master', 'Set #2 as master', 'x'], ['Set #3 as master'])).toEqual(['x']);
});

test('a runner that goes silent is given up, with all that it started', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'wiredis-suite-test-'));
  try {
    const script = join(folder, 'runner.sh');
    writeFileSync(script, 'echo "[ok]: first (1 ms)"; sleep 60 & echo $! >pid; sleep 60\n');
    const limits = { noProgressSeconds: 1, capSeconds: 1 };
    const run = await runUnit(['sh', script], folder, limits);
    expect(run.ending).toBe('cut off after 1 s');
    expect(run.outcome.passed).toEqual(['first']);
    expect(run.seconds).toBeLessThan(10);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
