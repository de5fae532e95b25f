// scripts/count-tests.js makes the last line of scripts/test.sh: nothing that failed may be missing from it.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const script = join(import.meta.dirname, '..', '..', 'scripts', 'count-tests.js');

describe('count-tests', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'wiredis-count-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const put = (file: string, content = '') => writeFileSync(join(folder, file), content);
  const run = (...statuses: string[]) => ({
    name: join(process.cwd(), 'a.test.ts'),
    status: statuses.includes('failed') ? 'failed' : 'passed',
    message: '',
    assertionResults: statuses.map((status, i) => ({ status, fullName: `test ${i}` })),
  });

  it('adds up steps and runs', () => {
    put('lint.passed');
    put('unit.json', JSON.stringify({ testResults: [run('passed', 'passed', 'pending')] }));
    const output = execFileSync(process.execPath, [script, folder], { encoding: 'utf8' });
    expect(output).toBe('skipped: a.test.ts: test 2\n3 passed, 0 failed, 1 skipped\n');
  });

  it('leaves skipped out when nothing was', () => {
    put('lint.passed');
    expect(execFileSync(process.execPath, [script, folder], { encoding: 'utf8' })).toBe('1 passed, 0 failed\n');
  });

  it('counts what passes at the second try, and names it', () => {
    put('unit.json', JSON.stringify({ testResults: [run('passed', 'failed', 'failed')] }));
    const again = execFileSync(process.execPath, [script, '--again', folder], { encoding: 'utf8' });
    expect(again).toBe('a.test.ts\n');
    put('again.json', JSON.stringify({ testResults: [run('passed', 'passed', 'failed')] }));
    const { status, stdout } = spawnSync(process.execPath, [script, folder], { encoding: 'utf8' });
    const lines = [
      'FAILED: a.test.ts: test 2',
      'passed at the second try: a.test.ts: test 1',
      '2 passed, 1 failed',
      '',
    ];
    expect([status, stdout]).toEqual([1, lines.join('\n')]);
  });

  it('runs nothing again when more than tests failed, or many files', () => {
    put('unit.json', JSON.stringify({ testResults: [run('failed')] }));
    put('lint.failed');
    expect(execFileSync(process.execPath, [script, '--again', folder], { encoding: 'utf8' })).toBe('');
    rmSync(join(folder, 'lint.failed'));
    const failing = (name: string) => ({ ...run('failed'), name: join(process.cwd(), name) });
    const many = ['a', 'b', 'c', 'd', 'e', 'f'].map((letter) => failing(`${letter}.test.ts`));
    put('unit.json', JSON.stringify({ testResults: many }));
    expect(execFileSync(process.execPath, [script, '--again', folder], { encoding: 'utf8' })).toBe('');
  });

  it.each([
    ['a step', () => put('build.failed'), 'FAILED: build'],
    ['a test', () => put('unit.json', JSON.stringify({ testResults: [run('failed')] })), 'FAILED: a.test.ts: test 0'],
    ['a run that ended early', () => put('lab.exit'), 'FAILED: lab: vitest did not finish'],
    [
      'a file that does not load',
      () =>
        put('unit.json', JSON.stringify({ testResults: [{ ...run(), status: 'failed', message: 'no such\nmodule' }] })),
      'FAILED: a.test.ts: no such',
    ],
    [
      'an error outside the tests',
      () => {
        put('unit.json', JSON.stringify({ testResults: [run()] }));
        put('unit.exit');
      },
      'FAILED: unit: vitest failed',
    ],
  ])('counts %s that failed', (_what, arrange, line) => {
    arrange();
    const { status, stdout } = spawnSync(process.execPath, [script, folder], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([1, `${line}\n0 passed, 1 failed\n`]);
  });
});
