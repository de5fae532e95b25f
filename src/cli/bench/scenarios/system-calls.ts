// System calls of the server per request, counted by the kernel's own trace point (perf): strace would slow the server down
// to a rate at which nothing is shared between requests.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requirePrograms, start } from '../../lab/process.ts';
import { CliError } from '../../tool.ts';
import { benchmarkWords, fillKeyspace, type Load, readBenchmark } from '../load.ts';
import { type Context, type Measured, type Scenario, warmUp } from '../scenario.ts';

export const systemCalls: Scenario = {
  name: 'system-calls',
  summary: "the server's system calls per request, under full load",
  paths: ['redis', 'afxdp', 'afpacket', 'kernel'],
  columns: ['systemCalls'],
  roundsMax: 1,
  async run(context) {
    requirePrograms(['perf']);
    const server = await context.serve();
    const keyspace = 10_000;
    await fillKeyspace(context.lab, server, keyspace, 3);
    const measured: Measured[] = [];
    for (const [pipeline, full] of [
      [1, 200_000],
      [16, 2_000_000],
    ]) {
      const requests = context.effort === 'quick' ? full / 20 : full;
      const load: Load = { test: 'get', pipeline, clients: 50, valueBytes: 3, keyspace, requests };
      await warmUp(context, server, load);
      const calls = await countCalls(context, server.pid, benchmarkWords(server.address, server.port, load));
      context.progress(
        `${context.path.name}: ${(calls / requests).toFixed(3)} system calls a request at P=${pipeline}`,
      );
      measured.push({ test: 'GET', pipeline, values: { systemCalls: calls / requests } });
    }
    return measured;
  },
};

/** System calls that `pid` makes while `words` run on the client. */
async function countCalls({ lab }: Context, pid: number, words: readonly string[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'wiredis-perf-'));
  try {
    const report = join(folder, 'report');
    const perf = ['perf', 'stat', '-x,', '-e', 'raw_syscalls:sys_enter', '-p', String(pid), '-o', report, '--'];
    const child = start([...perf, ...lab.argv('client', words)], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout!.on('data', (chunk) => (stdout += chunk));
    child.stderr!.on('data', (chunk) => (stderr += chunk));
    const code = await new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? -1)));
    readBenchmark({ code, stdout, stderr });
    const count = /^(\d+),.*raw_syscalls:sys_enter/m.exec(readFileSync(report, 'utf8'));
    if (count === null)
      throw new CliError('NO_PERF', 'perf cannot count system calls here: root and tracefs are needed');
    return Number(count[1]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
