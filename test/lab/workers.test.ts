// `workers 2`: two processes serve one address, each its part of the connections, over two AF_XDP queues and over two AF_PACKET
// sockets with a filter. Either may die: the other's connections go on, and the dead one comes back.
import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildLab } from '../../src/cli/lab/build.ts';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { defaultCores } from '../../src/cli/lab/plan.ts';
import { askServer } from '../../src/cli/observe/server-option.ts';
import type { RelayServerFacts } from '../../src/relay/relay-server.ts';
import { describeLab, eventually, LabServer, OVER } from './fixture.ts';

const ENGINES = OVER.filter((over) => over === 'afxdp' || over === 'afpacket');
const CLIENTS = 32;

/** Lines that redis-cli in a pipe has answered. */
class Client {
  readonly child: ChildProcess;
  #answers = '';

  constructor(lab: Lab, address: string) {
    this.child = lab.start('client', ['redis-cli', '-h', address], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stdin!.on('error', () => {});
    this.child.stdout!.on('data', (chunk) => (this.#answers += chunk));
    this.child.stderr!.on('data', (chunk) => (this.#answers += chunk));
  }

  /** What it says; an error when the connection was lost. */
  async ask(line: string): Promise<string> {
    const before = this.#answers.length;
    this.child.stdin!.write(`${line}\n`);
    return eventually(
      async () => this.#answers.slice(before),
      (answer) => answer.endsWith('\n'),
      30_000,
    );
  }
}

describeLab('workers', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await buildLab({ name: `wdtest-${process.pid}-w`, cores: defaultCores(), queues: 2, progress: () => {} });
  });
  afterAll(() => lab?.down());

  const factsOf = (pid: number): Promise<RelayServerFacts> => askServer<RelayServerFacts>(String(pid), 'relay');

  it.each(ENGINES)('over %s: both serve, one is killed, the other goes on', async (over) => {
    const words = ['--core', 'relay', '--workers', '2', '--relay-spawn', "redis-server --save ''"];
    const server = await LabServer.start(lab, { over, arguments: words });
    const clients: Client[] = [];
    try {
      const [, ...pids] = /workers over \w+: pids (\d+), (\d+)/.exec(
        await eventually(
          async () => server.output,
          (text) => text.includes('2 workers over'),
          30_000,
        ),
      )!;
      const [first, second] = pids.map(Number);
      for (let i = 0; i < CLIENTS; i++) clients.push(new Client(lab, server.address));
      const answers = await Promise.all(clients.map((client) => client.ask('INCR n')));
      expect(answers.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: CLIENTS }, (_, i) => i + 1));
      const before = [await factsOf(first), await factsOf(second)];
      for (const { clients: count } of before) expect(count).toBeGreaterThan(0);
      expect(before[0].clients + before[1].clients).toBe(CLIENTS);

      process.kill(first, 'SIGKILL');
      const again = await eventually(
        async () => new RegExp(`Relay to .* PID: (?!${first}$|${second}$)(\\d+)$`, 'm').exec(server.output)?.[1] ?? '',
        (pid) => pid !== '',
        30_000,
      );
      expect(server.output).toContain(`Worker 0 (pid ${first}) has ended with SIGKILL: its connections are gone`);
      expect((await factsOf(second)).clients).toBe(before[1].clients);
      const kept = (await Promise.all(clients.map((client) => client.ask('PING')))).filter(
        (text) => !text.startsWith('Error: '),
      );
      expect(kept).toEqual(Array.from({ length: before[1].clients }, () => 'PONG\n'));
      for (let i = 0; i < CLIENTS; i++) clients.push(new Client(lab, server.address));
      const late = await Promise.all(clients.slice(CLIENTS).map((client) => client.ask('PING')));
      expect(late).toEqual(Array.from({ length: CLIENTS }, () => 'PONG\n'));
      expect((await factsOf(Number(again))).clients).toBeGreaterThan(0);
      const ping = await lab.run('client', ['ping', '-n', '-c', '5', '-i', '0.2', '-W', '2', server.address]);
      expect(ping.stdout).toContain('5 received');
      expect(ping.stdout).not.toContain('DUP');
      for (const { child } of clients) child.stdin!.end();
      expect(await server.stop()).toBe(0);
      expect(server.output).toContain('All workers have ended');
    } finally {
      for (const { child } of clients) child.kill('SIGKILL');
      await server.stop();
    }
  });

  it('the embedded core is refused', async () => {
    const words = ['--workers', '2'];
    await expect(LabServer.start(lab, { over: 'afxdp', arguments: words })).rejects.toThrow(
      "workers 2 wants 'core relay': the embedded core is one thread, as Redis is",
    );
  });
});
