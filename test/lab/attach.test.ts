// Whoever looks costs nobody a reply: each tool comes and goes on a server over its own stack while clients that check every
// reply, in order and byte for byte, and never connect again keep it busy. The stack must not have dropped a packet of theirs.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import type { StackFacts } from '../../src/transports/userspace.ts';
import { cliScript, describeLab, eventually, LabServer, OVER, openLab, PORT, root } from './fixture.ts';

const METRICS = 9121;
const CLIENTS = 8;
const PIPELINE = 16;
const TIMES = 5;
const busyClients = join(root, 'test', 'handover', 'clients.js');

/** Clients on the other host that miss nothing. */
class BusyClients {
  readonly lines: { readonly commands?: number; readonly error?: string }[] = [];
  readonly #child: ChildProcess;

  constructor(lab: Lab, host: string) {
    const words = [process.execPath, busyClients, host, String(PORT), String(CLIENTS), String(PIPELINE)];
    this.#child = lab.start('client', words, { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface(this.#child.stdout!).on('line', (line) => this.lines.push(JSON.parse(line)));
  }

  /** Commands answered so far. */
  async commands(): Promise<number> {
    const told = this.lines.length;
    this.#child.stdin!.write('\n');
    const lines = await eventually(
      async () => this.lines,
      (all) => all.length > told,
      30_000,
    );
    const { error, commands = 0 } = lines[lines.length - 1];
    expect(error).toBeUndefined();
    return commands;
  }

  async end(): Promise<{ readonly code: number | null; readonly error?: string | undefined }> {
    const exited = this.#child.exitCode === null ? once(this.#child, 'exit') : null;
    this.#child.stdin!.end();
    await exited;
    return { code: this.#child.exitCode, error: this.lines.at(-1)?.error };
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** By reason; not what a client sent twice because a busy machine answered late. */
function dropped({ drops }: StackFacts): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(drops).filter(([reason]) => reason !== 'tcp-not-acceptable'));
}

describeLab('tools that come and go', () => {
  for (const over of OVER.filter((name) => name === 'afxdp' || name === 'afpacket')) {
    describe(`over ${over}`, () => {
      let lab: Lab;
      let server: LabServer;
      let clients: BusyClients | undefined;
      let folder = '';

      beforeAll(async () => {
        folder = mkdtempSync(join(tmpdir(), 'wiredis-attach-'));
        lab = await openLab();
        server = await LabServer.start(lab, { over, arguments: ['--metrics-port', String(METRICS), '--save', ''] });
        clients = new BusyClients(lab, server.address);
        const { lines } = clients;
        await eventually(
          async () => lines.length,
          (told) => told > 0,
          30_000,
        );
      });

      afterAll(async () => {
        clients?.kill();
        await server?.stop();
        await lab?.down();
        rmSync(folder, { recursive: true, force: true });
      });

      const tool = (...words: string[]): Promise<string> =>
        lab.must('server', ['timeout', '60', process.execPath, cliScript, ...words, '--server', String(server.pid)]);
      const stack = async (): Promise<StackFacts> => JSON.parse(await tool('netstat', '--json'));
      /** Ends by itself, or is ended in the middle of something. */
      async function interrupted(afterMs: number, words: readonly string[]): Promise<void> {
        const child = lab.start('server', words, { stdio: ['ignore', 'ignore', 'ignore'] });
        const ended = once(child, 'exit');
        await new Promise((resolve) => setTimeout(resolve, afterMs));
        child.kill('SIGKILL');
        await ended;
      }
      const url = (path: string): string => `http://127.0.0.1:${METRICS}${path}`;

      async function lossless(body: () => Promise<void>): Promise<void> {
        const before = await stack();
        const answered = await clients!.commands();
        for (let i = 0; i < TIMES; i++) await body();
        expect(await clients!.commands()).toBeGreaterThan(answered);
        const after = await stack();
        expect(dropped(after)).toEqual(dropped(before));
        expect(after.engineCounters.rxDropped).toBe(before.engineCounters.rxDropped);
        expect(after.counters.tcpEstabResets).toBe(before.counters.tcpEstabResets);
      }

      const watching = (name: string, ...words: string[]): string[] => {
        const head = [process.execPath, cliScript, name, '--server', String(server.pid)];
        return [...head, ...words];
      };

      it('netstat --watch', () =>
        lossless(() => interrupted(1500, watching('netstat', '--watch', '--interval', '0.1'))));

      it('top', () => lossless(() => interrupted(1500, watching('top', '--json', '--interval', '0.1'))));

      it('capture to a file, with its end and without', () =>
        lossless(async () => {
          await tool('capture', join(folder, 'one.pcapng'), '--count', '500', 'port', String(PORT));
          await interrupted(1500, watching('capture', join(folder, 'two.pcapng')));
        }));

      it('capture --decode', () =>
        lossless(async () => {
          expect(await tool('capture', '--decode', '--count', '20', 'port', String(PORT))).toMatch(
            /(ECHO|INCR) .* -> /,
          );
        }));

      it('a scrape of /metrics', () =>
        lossless(async () => {
          for (let i = 0; i < 4; i++)
            expect(await lab.must('server', ['curl', '-sS', '-m', '20', url('/metrics')])).toContain('\nredis_up 1\n');
        }));

      it('the web page, its readings and a sequence plot', () =>
        lossless(async () => {
          expect(await lab.must('server', ['curl', '-sS', '-m', '20', url('/')])).toContain('<title>wiredis</title>');
          const table = await lab.must('server', ['curl', '-sS', '-m', '20', url('/api/connections')]);
          const { rows } = JSON.parse(table) as { rows: { id: number }[] };
          expect(rows.length).toBeGreaterThanOrEqual(CLIENTS);
          const streams = [url('/api/live'), url(`/api/connections/${rows[0].id}/sequence`)];
          await Promise.all(streams.map((one) => interrupted(1200, ['curl', '-sSN', one])));
        }));

      it('nobody missed a reply, and all connections are the first ones', async () => {
        expect(await clients!.end()).toEqual({ code: 0, error: undefined });
      });
    });
  }
});
