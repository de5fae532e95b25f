// `wiredis bench` end to end, small: every path it names is measured, the file holds what the table says, and the
// lab is gone afterwards, also when it is interrupted.
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Row } from '../../src/cli/bench/sample.ts';
import { must, run, start } from '../../src/cli/lab/process.ts';
import { cliScript, describeLab, eventually, OVER } from './fixture.ts';

describeLab('wiredis bench', () => {
  let output: string;
  beforeAll(() => {
    output = mkdtempSync(join(tmpdir(), 'wiredis-bench-test-'));
  });
  afterAll(() => rmSync(output, { recursive: true }));

  const SMALL = ['--quick', '--requests', '2000', '--keyspace', '1000', '--pipeline', '1,4', '--tests', 'get,lpush'];

  it('measures every path and leaves a file, and no lab', async () => {
    const paths = [...new Set(['redis', ...OVER])];
    const words = ['bench', ...SMALL, '--paths', paths.join(','), '--output', output];
    const before = await benchLabs();
    const result = await run([process.execPath, cliScript, ...words]);
    expect(result.code, result.stderr).toBe(0);
    const [header, ...table] = result.stdout.trim().split('\n');
    expect(header).toMatch(/^test +P +path +rps +x +p50 ms +p99 ms$/);
    expect(table).toHaveLength(paths.length * 4);

    const [page, file] = readdirSync(output).sort();
    expect(readFileSync(join(output, page), 'utf8')).toContain('<svg ');
    const content = JSON.parse(readFileSync(join(output, file), 'utf8'));
    const rows: Row[] = content.rows;
    expect(rows.map((row) => row.path).sort()).toEqual(paths.flatMap((path) => [path, path, path, path]).sort());
    for (const row of rows) {
      expect(row.values.rate).toBeGreaterThan(100);
      expect(row.ratios.rate).toBeGreaterThan(0);
    }
    expect(content.machine).toMatchObject({ node: process.version });
    expect((await benchLabs()).filter((name) => !before.includes(name))).toEqual([]);
  });

  it('opens connections by a client of its own, beside redis-benchmark', async () => {
    const paths = ['redis', OVER[0]];
    const results = mkdtempSync(join(output, 'connections-'));
    const words = ['bench', '--quick', '--scenario', 'connections', '--paths', paths.join(','), '--output', results];
    const result = await run([process.execPath, cliScript, ...words]);
    expect(result.code, result.stderr).toBe(0);
    const file = readdirSync(results).find((name) => name.endsWith('.json'))!;
    const { rows } = JSON.parse(readFileSync(join(results, file), 'utf8')) as { rows: Row[] };
    const named = (test: string) => rows.filter((row) => row.test === test).map((row) => row.path);
    expect(named('CONNECT+GET')).toEqual(paths);
    expect(named('CONNECT+GET, redis-benchmark')).toEqual(paths);
    for (const { values } of rows) expect(values.rate).toBeGreaterThan(10);
  });

  it('takes its lab down when interrupted', async () => {
    const { child, exited } = await startLong();
    child.kill('SIGINT');
    expect(await exited).toBe(1);
    expect(await benchLabs()).not.toContain(`wiredis-bench-${child.pid}`);
  });

  it('takes down what a killed one left', async () => {
    const { child, exited } = await startLong();
    child.kill('SIGKILL');
    await exited;
    const lab = `wiredis-bench-${child.pid}`;
    expect(await benchLabs()).toContain(lab);
    const words = ['bench', '--quick', '--requests', '1000', '--paths', 'redis', '--output', output];
    const { code, stderr } = await run([process.execPath, cliScript, ...words]);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`${lab}: left by a process that is gone`);
    expect(await benchLabs()).not.toContain(lab);
  });

  async function benchLabs(): Promise<string[]> {
    return [...new Set((await must(['ip', 'netns', 'list'])).match(/wiredis-bench-\d+/g))];
  }

  /** A bench that goes on for long, with its lab up. */
  async function startLong(): Promise<{ child: ChildProcess; exited: Promise<number | null> }> {
    const words = ['bench', '--paths', 'redis', '--rounds', '50', '--output', output];
    const child = start([process.execPath, cliScript, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
    let progress = '';
    child.stderr!.on('data', (chunk) => (progress += chunk));
    const exited = new Promise<number | null>((resolve) => child.on('exit', resolve));
    await eventually(
      async () => progress,
      (text) => text.includes('steering'),
      10_000,
    );
    return { child, exited };
  }
});
