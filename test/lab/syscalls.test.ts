// What servers spend on system calls, as `wiredis doctor --syscalls` tells it of running ones.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { hasProgram, run } from '../../src/cli/lab/process.ts';
import { cliScript, describeLab, eventually, LabServer, type Over, openLab } from './fixture.ts';

interface Told {
  readonly transport: string;
  readonly requests: number;
  readonly total: number;
  readonly calls: Record<string, number>;
}

const TRANSPORTS: readonly (readonly [over: Over, transport: string])[] = [
  ['kernel', 'kernel'],
  ['afxdp', 'userspace'],
];
const SECONDS = 2;

describeLab('system calls', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab?.down());

  const doctor = (server: LabServer, ...words: string[]) =>
    run([
      process.execPath,
      cliScript,
      'doctor',
      '--syscalls',
      String(SECONDS),
      '--server',
      String(server.pid),
      ...words,
    ]);

  const told = async (server: LabServer): Promise<Told> => {
    const { code, stdout, stderr } = await doctor(server, '--json');
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout);
  };

  const needsStrace = hasProgram('strace') ? '' : ' [skipped: needs strace]';

  it.skipIf(needsStrace !== '').each(TRANSPORTS)(
    `an idle server over %s makes at most 20 a second${needsStrace}`,
    async (over, transport) => {
      const server = await LabServer.start(lab, { over });
      try {
        const idle = await eventually(
          () => told(server),
          ({ total }) => total / SECONDS <= 20,
          30_000,
        );
        expect(idle.transport).toBe(transport);
        expect(idle.requests).toBe(0);
        // It sleeps in epoll, and wakes for its cron.
        expect(idle.calls.epoll_pwait).toBeGreaterThan(0);
      } finally {
        await server.stop();
      }
    },
  );

  it.skipIf(needsStrace !== '').each(TRANSPORTS)(`those of requests over %s, by name${needsStrace}`, async (over) => {
    const server = await LabServer.start(lab, { over });
    try {
      const words = ['redis-benchmark', '-h', server.address, '-t', 'get', '-n', '100000000', '-c', '10', '-q'];
      const load = lab.start('client', words, { stdio: 'ignore' });
      try {
        const { requests, total, calls } = await told(server);
        expect(requests).toBeGreaterThan(100);
        expect(Object.values(calls).reduce((sum, count) => sum + count)).toBe(total);
        expect(Object.keys(calls)).toContain(over === 'kernel' ? 'write' : 'sendto');
        const table = (await doctor(server)).stdout;
        expect(table).toMatch(/transport \w+: \d+ requests in 2 s, counted by strace/);
        expect(table).toMatch(/^epoll_pwait +\d+ +[\d.]+ +[\d.]+$/m);
        expect(load.exitCode, 'attaching ends no client').toBe(null);
      } finally {
        load.kill('SIGKILL');
      }
    } finally {
      await server.stop();
    }
  });

  it.skipIf(needsStrace !== '')(`Ctrl-C shows what was counted, and lets the server go${needsStrace}`, async () => {
    const server = await LabServer.start(lab, { over: 'kernel' });
    const tracer = (): string | undefined =>
      /^TracerPid:\s+(\d+)/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1];
    try {
      const words = [cliScript, 'doctor', '--syscalls', '600', '--json', '--server', String(server.pid)];
      const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
      let said = '';
      child.stdout.on('data', (chunk) => (said += chunk));
      await expect.poll(tracer, { timeout: 20_000 }).not.toBe('0');
      child.kill('SIGTERM');
      const [code] = await once(child, 'close');
      expect(code).toBe(0);
      expect(JSON.parse(said)).toMatchObject({ by: 'strace', pid: server.pid });
      expect(JSON.parse(said).seconds).toBeLessThan(600);
      expect(tracer()).toBe('0');
    } finally {
      await server.stop();
    }
  });
});
