// `wiredis netstat`, `arp`, `route` and `top` on a server over its own stack, under load: what they say is compared with what
// the lab knows: the client's kernel (ss, its hardware address), losses and refusals made on purpose.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { hasProgram, type Result } from '../../src/cli/lab/process.ts';
import type { TopReading } from '../../src/observe/top-feed.ts';
import type { ConnectionFacts, NeighborFacts, RouteFacts, StackFacts } from '../../src/transports/userspace.ts';
import { cliScript, describeLab, eventually, fillInChecksums, LabServer, linkOf, OVER, openLab } from './fixture.ts';

const over = OVER.find((name) => name === 'afxdp' || name === 'afpacket');
const CLIENTS = 4;
/** Every tenth large segment to the client is lost. */
const LOSSY = `table ip lossy {
  counter lost { }
  chain input {
    type filter hook input priority -300;
    tcp sport 6379 ip length > 1000 numgen inc mod 10 == 3 counter name lost drop
  }
}
`;

type Shown = StackFacts & { readonly connections: readonly ConnectionFacts[] };

describeLab('tools on a running server', () => {
  let lab: Lab;
  let server: LabServer;
  let load: ChildProcess | null = null;
  let loadSaid = '';

  beforeAll(async () => {
    lab = await openLab();
    if (over === undefined) return;
    // What is lost is to be one segment at a time.
    await fillInChecksums(lab, over);
    server = await LabServer.start(lab, { over, arguments: ['--save', ''] });
    const words = ['-t', 'set', '-n', '100000000', '-c', String(CLIENTS), '-d', '2000', '-q'];
    load = lab.start('client', ['redis-benchmark', '-h', server.address, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [load.stdout!, load.stderr!]) stream.on('data', (data) => (loadSaid += data));
    await eventually(netstat, ({ connections }) => connections.length >= CLIENTS, 20_000);
  });

  afterAll(async () => {
    load?.kill('SIGKILL');
    await server?.stop();
    await lab?.down();
  });

  const tool = (name: string, ...words: string[]): Promise<Result> =>
    lab.run('server', ['timeout', '30', process.execPath, cliScript, name, '--server', String(server.pid), ...words]);
  async function text(name: string, ...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await tool(name, ...words);
    expect(code, stderr).toBe(0);
    return stdout;
  }
  const json = async <T>(name: string, ...words: string[]): Promise<T> =>
    JSON.parse(await text(name, '--json', ...words)) as T;
  const netstat = (): Promise<Shown> => json<Shown>('netstat');

  /** One that goes on until Ctrl-C, for so many seconds. */
  async function watch(seconds: number, ...words: string[]): Promise<string> {
    const all = ['timeout', '-s', 'INT', String(seconds), process.execPath, cliScript, 'netstat'];
    return (await lab.run('server', [...all, '--server', String(server.pid), '--watch', ...words])).stdout;
  }

  describe.skipIf(over === undefined)(`over ${over}`, () => {
    it("netstat has the connections that the client's kernel has", async () => {
      // `ESTAB 0 2040 10.77.0.2:40000 10.77.0.1:6379`
      const ss = await lab.must('client', ['ss', '-Htn', 'state', 'established', `dst ${server.address}`]);
      const ports = ss
        .trim()
        .split('\n')
        .map((line) => Number(/:(\d+)\s+\S+:6379/.exec(line)?.[1]));
      expect(ports).toHaveLength(CLIENTS);
      const { connections, listeners, engine, addresses, connections: rows } = await netstat();
      expect(engine).toBe(over);
      expect(addresses[0]).toContain(server.address);
      expect(rows.map(({ remotePort }) => remotePort).sort()).toEqual(ports.sort());
      for (const c of connections) {
        expect(c).toMatchObject({
          state: 'ESTABLISHED',
          localPort: 6379,
          remoteAddress: linkOf(lab, over!).clientAddress,
        });
        expect(c.bytesIn).toBeGreaterThan(c.bytesOut);
        expect(c.rttUs).toBeGreaterThan(0);
        expect(c.mss).toBe(1448);
        expect(c.id).toBeGreaterThan(0);
      }
      expect(listeners).toEqual([{ address: server.address, port: 6379, backlog: 511, handshakes: 0, waiting: 0 }]);
      const ids = (await server.cli(['CLIENT', 'LIST'])).stdout.match(/(?<=^id=)\d+/gm)?.map(Number) ?? [];
      for (const { id } of connections) expect(ids).toContain(id);
    });

    it('netstat as text has what was asked for', async () => {
      const all = await text('netstat');
      expect(all).toMatch(
        new RegExp(`^\\S+ {2}${over} {2}${server.address}/24 {2}mtu 1500 {2}connections ${CLIENTS} of `),
      );
      expect(all).toMatch(/^Listening +Backlog +Half-open +Waiting$/m);
      expect(all.match(/ESTABLISHED/g)).toHaveLength(CLIENTS);
      expect(await text('netstat', '-c')).not.toContain('Listening');
      expect(await text('netstat', '-l')).not.toContain('ESTABLISHED');
      expect(await text('netstat', '-c', '--limit', '1')).toContain(`... and ${CLIENTS - 1} more: --limit`);
      const counters = await text('netstat', '-s');
      for (const name of ['tcpInSegs', 'ipInReceives', 'engine.rxFrames'])
        expect(counters).toMatch(new RegExp(`^${name} +[1-9]`, 'm'));
    });

    it('netstat --watch says what the counters gained', async () => {
      const shown = (await watch(4, '--statistics', '--interval', '0.5')).split(/^(?=\S+ {2}af)/m);
      expect(shown.length).toBeGreaterThan(2);
      expect(shown[0]).not.toContain('Gained');
      const [, total, gained] = /^tcpInSegs +(\d+) +(\d+)$/m.exec(shown[1]) ?? [];
      expect(Number(gained)).toBeGreaterThan(0);
      expect(Number(total)).toBeGreaterThan(Number(gained));
      const lines = (await watch(3, '--json', '--interval', '0.5')).trim().split('\n');
      expect(lines.length).toBeGreaterThan(1);
      const seen = lines.map((line) => (JSON.parse(line) as Shown).counters.tcpInSegs);
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
    });

    it('netstat counts refusals by reason', async () => {
      const refused = async (): Promise<number> => (await netstat()).drops['tcp-no-listener'] ?? 0;
      const before = await refused();
      // One SYN each.
      const connect = ['timeout', '10', 'bash', '-c', `exec 3<>/dev/tcp/${server.address}/6399`];
      for (let i = 0; i < 3; i++) expect((await lab.run('client', connect)).stderr).toContain('refused');
      expect(await refused()).toBe(before + 3);
      expect(await text('netstat', '--drops')).toMatch(new RegExp(`^tcp-no-listener +${before + 3}$`, 'm'));
    });

    it.skipIf(!hasProgram('nft'))('netstat counts what was sent again, on the connection that lost it', async () => {
      await server.cli(['SETRANGE', 'large', '1000000', 'x']);
      const rules = await lab.run('client', ['nft', '-f', '-'], LOSSY);
      expect(rules.code, rules.stderr).toBe(0);
      const before = (await netstat()).counters.tcpRetransSegs;
      const child = lab.start('client', ['redis-cli', '-h', server.address], { stdio: ['pipe', 'pipe', 'ignore'] });
      let got = 0;
      child.stdout!.on('data', (data) => (got += data.length));
      child.stdin!.write('CLIENT SETNAME slow\nGET large\n');
      await eventually(
        async () => got,
        (length) => length > 1_000_000,
        60_000,
      );
      const lost = Number(
        /packets (\d+)/.exec(await lab.must('client', ['nft', 'list', 'counter', 'ip', 'lossy', 'lost']))?.[1],
      );
      await lab.must('client', ['nft', 'delete', 'table', 'ip', 'lossy']);
      const { connections, counters } = await netstat();
      const [unlucky] = connections.filter(({ bytesOut }) => bytesOut > 1_000_000);
      // Each loss was mended by one segment; a few more went out for nothing.
      expect(lost).toBeGreaterThan(50);
      expect(unlucky.retransmissions).toBeGreaterThanOrEqual(lost);
      expect(counters.tcpRetransSegs - before).toBeGreaterThanOrEqual(lost);
      expect(await text('netstat', '-c')).toMatch(
        new RegExp(`^${unlucky.id} +ESTABLISHED .* ${unlucky.retransmissions} +STE? `, 'm'),
      );
      const ended = once(child, 'exit');
      child.stdin!.end();
      await ended;
    });

    it("arp has the client's hardware address", async () => {
      const { veth, clientAddress } = linkOf(lab, over!);
      const mac = (await lab.must('client', ['cat', `/sys/class/net/${veth}/address`])).trim();
      const neighbors = await json<NeighborFacts[]>('arp');
      expect(neighbors).toContainEqual({ address: clientAddress, family: 'ipv4', mac, state: 'reachable' });
      expect(await text('arp')).toMatch(new RegExp(`^${clientAddress} +${mac} +reachable +\\S+$`, 'm'));
    });

    it('route has the network of the link', async () => {
      const routes = await json<RouteFacts[]>('route');
      expect(JSON.stringify(routes)).toContain('10.77.0.0/24');
      expect(await text('route')).toMatch(/10\.77\.0\.0\/24/);
    });

    it('top has the rates of the load, and who makes it', async () => {
      // Times of a machine that does other things too: a part can be nothing in one reading, not in all.
      const {
        reading,
        connections,
        server: identity,
      } = await eventually(
        () => json<TopReading>('top', '--once'),
        ({ reading: { budget } }) => ['receive', 'commands', 'transmit'].every((part) => budget[part] > 0),
        30_000,
      );
      expect(identity).toMatchObject({ engine: over, port: 6379, pid: server.pid });
      expect(reading.commands).toBeGreaterThan(0);
      expect(reading.bytesIn).toBeGreaterThan(reading.commands * 2000);
      expect(reading.clients).toBe(CLIENTS);
      expect(reading.busiest[0].name).toBe('set');
      expect(reading.latency.p50).toBeGreaterThan(0);
      expect(reading.latency.p99).toBeGreaterThanOrEqual(reading.latency.p50);
      expect(connections).toHaveLength(CLIENTS);
      const moved = connections.map(({ received, sent }) => received! + sent!);
      expect(moved).toEqual([...moved].sort((a, b) => b - a));
      for (const { received, sent, command } of connections) {
        expect(received! / sent!).toBeGreaterThan(100);
        expect(command).toBe('set');
      }
      expect(await text('top', '--once')).toMatch(/^core \d+% \[.*\] {2}\w+ \d+%/m);
    });

    it('none of them has cost a request', async () => {
      expect(load!.exitCode).toBeNull();
      expect(loadSaid).not.toMatch(/error/i);
      expect((await server.cli(['PING'])).stdout.trim()).toBe('PONG');
    });

    it.each([
      ['netstat', '--watch', '--interval', '0.2'],
      ['top', '--json', '--interval', '0.2'],
      ['top', '--interval', '0.2'],
      ['capture', '--decode'],
    ])('%s ends when its reader has seen enough, and says when there is no room', async (...words) => {
      const line = [process.execPath, cliScript, ...words, '--server', String(server.pid)].join(' ');
      const shell = (script: string): Promise<Result> => lab.run('server', ['bash', '-c', script]);
      const read = await shell(`set -o pipefail; timeout 20 ${line} | head -n 1`);
      expect(read.code, read.stderr).toBe(0);
      const full = await shell(`timeout 20 ${line} > /dev/full`);
      expect([full.code, full.stderr]).toEqual([
        1,
        expect.stringContaining('wiredis: cannot write to standard output: ENOSPC'),
      ]);
    });

    it('netstat --relay says that this is none', async () => {
      const { code, stderr } = await tool('netstat', '--relay');
      expect([code, stderr]).toEqual([1, "wiredis: this server is no relay ('core relay')\n"]);
    });

    it('end as they would when nobody hears what they have to say', async () => {
      const child = spawn(process.execPath, [cliScript, 'nosuchtool'], { stdio: 'pipe' });
      child.stdout.destroy();
      child.stderr.destroy();
      expect((await once(child, 'exit'))[0]).toBe(2);
    });

    it('say in one line when there is nobody to ask', async () => {
      for (const name of ['netstat', 'arp', 'route', 'top']) {
        const words = [cliScript, name, '--server', '/nowhere/at/all.sock'];
        const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'] });
        let said = '';
        child.stderr.on('data', (data) => (said += data));
        const [code] = await once(child, 'close');
        expect([code, said]).toEqual([
          1,
          'wiredis: no server answers at /nowhere/at/all.sock (ENOENT): is it running?\n',
        ]);
      }
    });
  });
});
