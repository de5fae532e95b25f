// `wiredis capture` and `wiredis explain` on a server over its own stack, under load: no request is lost while captures come
// and go, tshark opens what comes out, and what the two tools say is what the lab did: losses made with nftables on the
// client's host, its own tcpdump as the second witness.
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { hasProgram, type Result } from '../../src/cli/lab/process.ts';
import type { ConnectionReport } from '../../src/observe/capture/explain.ts';
import {
  cliScript,
  describeLab,
  eventually,
  LabServer,
  linkOf,
  netClient,
  OVER,
  openLab,
  PORT,
  serverCommand,
} from './fixture.ts';

const over = OVER.find((name) => name === 'afxdp' || name === 'afpacket');
const needs = (program: string): string => (hasProgram(program) ? '' : ` [skipped: needs ${program}]`);

/** The client's host loses every twentieth large segment of the server's, behind where tcpdump looks. */
const LOSSY = `table ip lossy {
  chain input {
    type filter hook input priority -300;
    tcp sport 6379 ip length > 1000 numgen inc mod 20 == 3 drop
  }
}
`;

/** A capture that has begun; `result` when it is over. */
interface Begun {
  readonly result: Promise<Result>;
  /** Ctrl-C. */
  end(): void;
}

async function beginCapture(
  lab: Lab,
  { pid }: { readonly pid?: number | undefined },
  ...words: string[]
): Promise<Begun> {
  const all = ['timeout', '60', process.execPath, cliScript, 'capture', '--server', String(pid), ...words];
  const child = lab.start('server', all, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout!.on('data', (data) => (stdout += data));
  child.stderr!.on('data', (data) => (stderr += data));
  const result = once(child, 'close').then(([code]) => ({ code: Number(code ?? -1), stdout, stderr }));
  await eventually(
    async () => stderr,
    (text) => text.includes('capturing on'),
    20_000,
  );
  return { result, end: () => void child.kill('SIGINT') };
}

/** One field of each packet, as tshark reads it. */
async function fields(lab: Lab, path: string, field: string, filter = ''): Promise<string[]> {
  const words = ['tshark', '-n', '-r', path, '-T', 'fields', '-e', field];
  return (await lab.must('server', filter === '' ? words : [...words, '-Y', filter])).split('\n').slice(0, -1);
}

describeLab('captures of a running server', () => {
  let lab: Lab;
  let server: LabServer;
  let folder = '';

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'wiredis-capture-'));
    lab = await openLab();
    if (over !== undefined)
      server = await LabServer.start(lab, { over, arguments: ['--save', '', '--enable-debug-command', 'yes'] });
  });

  afterAll(async () => {
    await server?.stop();
    await lab?.down();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A tool on the server's host. */
  const tool = (...words: string[]): Promise<Result> =>
    lab.run('server', ['timeout', '60', process.execPath, cliScript, ...words]);
  const capture = (...words: string[]): Promise<Result> => tool('capture', '--server', String(server.pid), ...words);
  const capturing = (...words: string[]): Promise<Begun> => beginCapture(lab, server, ...words);
  const file = (name: string): string => join(folder, name);

  const tshark = (name: string, field: string, filter = ''): Promise<string[]> =>
    fields(lab, file(name), field, filter);

  /** redis-benchmark on the client's host, again and again until `work` is done. Every run must go through. */
  async function underLoad<T>(words: readonly string[], work: () => Promise<T>): Promise<T> {
    const command = ['timeout', '120', 'redis-benchmark', '-h', server.address, '--csv', ...words];
    const working = work();
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    working.then(over, over);
    while (!isOver) {
      const { code, stdout, stderr } = await lab.run('client', command);
      expect(code, stderr).toBe(0);
      expect(stdout + stderr).not.toMatch(/error|reset/i);
      expect(stdout.split('\n').filter((line) => /^"(SET|GET)"/.test(line))).toHaveLength(1);
    }
    return working;
  }

  describe.skipIf(over === undefined)(`over ${over}`, () => {
    it('come and go under load without costing a request', async () => {
      await underLoad(['-t', 'set', '-n', '5000', '-c', '20'], async () => {
        for (let i = 0; i < 5; i++) {
          const { code, stderr } = await capture(file(`load-${i}.pcapng`), '--seconds', '0.5', 'tcp port 6379');
          expect(code, stderr).toBe(0);
          expect(stderr).toMatch(
            /^capturing on \S+\n[1-9]\d* packets captured, \d+ left out to keep the server going\n$/,
          );
        }
      });
      expect((await server.cli(['PING'])).stdout.trim()).toBe('PONG');
    });

    it.skipIf(!hasProgram('tshark'))(`open in tshark, comments and all${needs('tshark')}`, async () => {
      expect(await tshark('load-0.pcapng', 'frame.number', '_ws.malformed')).toEqual([]);
      const comments = await tshark('load-0.pcapng', 'frame.comment', 'tcp.len > 0');
      for (const comment of comments) expect(comment).toMatch(/^conn \d+/);
      // Each connection with its own number.
      const numbers = new Set(comments.map((comment) => Number.parseInt(comment.slice(5), 10)));
      expect(numbers.size).toBe(new Set(await tshark('load-0.pcapng', 'tcp.stream', 'tcp.len > 0')).size);
      expect(new Set(await tshark('load-0.pcapng', 'frame.packet_flags_direction', 'tcp')).size).toBe(2);
    });

    it('keep what the filter and the options say', async () => {
      const [snapped, ring] = await underLoad(['-t', 'set', '-n', '2000', '-c', '4', '-d', '500'], () =>
        Promise.all([
          capture(file('snap.pcapng'), '--snap', '60', '--count', '500', `src host ${server.address}`),
          capture(file('ring.pcapng'), '--file-size', '1', '--files', '2', '--count', '4000'),
        ]),
      );
      expect([snapped.code, ring.code]).toEqual([0, 0]);
      expect(snapped.stderr).toMatch(/\n500 packets captured, 0 left out/);
      expect(ring.stderr).toMatch(/\n4000 packets captured in 2 files, /);
      const names = readdirSync(folder).filter((name) => name.startsWith('ring-'));
      expect(names).toHaveLength(2);
      if (hasProgram('tshark')) {
        expect(new Set(await tshark('snap.pcapng', 'frame.cap_len'))).toEqual(new Set(['60']));
        expect(new Set(await tshark('snap.pcapng', 'ip.src'))).toEqual(new Set([server.address]));
        for (const name of names) expect(await tshark(name, 'frame.number', '_ws.malformed')).toEqual([]);
      }
      const wrong = await capture(file('never.pcapng'), 'port', '6379', 'und', 'host', 'x');
      expect(wrong.code).toBe(2);
      expect(wrong.stderr).toBe(
        "wiredis: filter, character 11: 'und' is not expected there: 'port 6379 ' >>> 'und host x'\n",
      );
    });

    it('show commands with the time from request to reply', async () => {
      const { result } = await capturing('--decode', '--count', '3', 'port', '6379');
      await server.cli(['SET', 'word', 'a value']);
      await server.cli(['DEBUG', 'SLEEP', '0.2']);
      await server.cli(['GET', 'word']);
      const { code, stdout } = await result;
      expect(code).toBe(0);
      const lines = stdout.trimEnd().split('\n');
      expect(lines).toHaveLength(3);
      expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{6} {2}[\d.]+:\d+ +[\d.]+(us|ms|s) {2}SET word "a value" {2}-> OK$/);
      expect(lines[1]).toMatch(/ 2\d\dms {2}DEBUG SLEEP 0\.2 {2}-> OK$/);
      expect(lines[2]).toMatch(/ GET word {2}-> "a value"$/);
    });

    it.skipIf(!hasProgram('nft'))(
      `say why segments were sent again, as tcpdump at the other end sees it${needs('nft')}`,
      async () => {
        await server.cli(['SETRANGE', 'large', '2000000', 'x']);
        const rules = await lab.run('client', ['nft', '-f', '-'], LOSSY);
        expect(rules.code, rules.stderr).toBe(0);
        const witness = lab.start(
          'client',
          ['tcpdump', '-B', '65536', '-i', linkOf(lab, over!).veth, '-U', '-w', file('theirs.pcap'), 'tcp port 6379'],
          { stdio: ['ignore', 'ignore', 'pipe'] },
        );
        let said = '';
        witness.stderr!.on('data', (data) => (said += data));
        await eventually(
          async () => said,
          (text) => text.includes('listening'),
          10_000,
        );
        const { result } = await capturing(file('lossy.pcapng'), '--seconds', '5', 'tcp port 6379');
        expect((await server.cli(['GET', 'large'])).stdout.length).toBe(2_000_002);
        expect((await result).code).toBe(0);
        const ended = once(witness, 'exit');
        witness.kill('SIGINT');
        await ended;
        await lab.must('client', ['nft', 'delete', 'table', 'ip', 'lossy']);

        const ours = JSON.parse((await tool('explain', file('lossy.pcapng'), '--json')).stdout)
          .connections as ConnectionReport[];
        const theirs = JSON.parse((await tool('explain', file('theirs.pcap'), '--json')).stdout)
          .connections as ConnectionReport[];
        const [mine] = ours.filter(({ fromServer }) => fromServer.bytes > 2_000_000);
        const [other] = theirs.filter(({ client }) => client === mine.client);
        expect(mine.fromServer.retransmissions).toBeGreaterThan(20);
        expect(other.fromServer).toMatchObject({
          bytes: mine.fromServer.bytes,
          retransmissions: mine.fromServer.retransmissions,
          lostBefore: 0,
          notCaptured: 0,
        });
        const again = Object.entries(mine.decisions).filter(([decision]) => decision.startsWith('retransmission:'));
        expect(again.reduce((sum, [, times]) => sum + times, 0)).toBe(mine.fromServer.retransmissions);
        expect(mine.decisions['retransmission: fast']).toBeGreaterThan(10);
        const text = (await tool('explain', file('lossy.pcapng'))).stdout;
        expect(text).toContain(`${mine.client} -> ${server.address}:6379`);
        expect(text).toMatch(/server: \d+ packets, 1\.9M bytes, \d+ sent again/);
      },
    );

    it('leave out what a slow disk does not take, not the traffic', async () => {
      // A reader that stands still until the load is over: the pipe is full, then the socket behind it.
      const waiting = `i=0; while [ ! -e ${file('go')} ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done`;
      const words = `${process.execPath} ${cliScript} capture - --server ${server.pid} --seconds 2`;
      const script = `${words} 2>${file('said')} | { ${waiting}; cat >/dev/null; }`;
      const over = lab.run('server', ['timeout', '100', 'sh', '-c', script]);
      const said = (): Promise<string> => lab.must('server', ['cat', file('said')]).catch(() => '');
      await eventually(said, (text) => text.includes('capturing on'), 20_000);
      const load = ['redis-benchmark', '-h', server.address, '-t', 'set', '-n', '10000', '-c', '4', '-d', '4000', '-q'];
      const { code, stdout, stderr } = await lab.run('client', ['timeout', '120', ...load]);
      expect(code).toBe(0);
      expect(stdout + stderr).not.toMatch(/error/i);
      await lab.must('server', ['touch', file('go')]);
      expect((await over).code).toBe(0);
      expect(await said()).toMatch(/packets captured, [1-9]\d* left out/);
    });
  });
});

describeLab('captures of IPv6 and of a VLAN', () => {
  let lab: Lab;
  let folder = '';

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'wiredis-capture6-'));
    lab = await openLab();
  });
  afterAll(async () => {
    await lab?.down();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What tshark reads of all packets with data, when `work` is done; each of them has to belong to a connection. */
  async function seen(server: { readonly pid?: number | undefined }, filter: string, work: () => Promise<void>) {
    const path = join(folder, 'seen.pcapng');
    const { result, end } = await beginCapture(lab, server, path, filter);
    await work();
    end();
    const { code, stderr } = await result;
    expect(code, stderr).toBe(0);
    expect(await fields(lab, path, 'frame.number', '_ws.malformed')).toEqual([]);
    const comments = await fields(lab, path, 'frame.comment', 'tcp.len > 0');
    expect(comments.length).toBeGreaterThanOrEqual(2);
    for (const comment of comments) expect(comment).toMatch(/^conn \d+$/);
    const explained = await lab.must('server', [process.execPath, cliScript, 'explain', path, '--json']);
    return { path, connections: JSON.parse(explained).connections as ConnectionReport[] };
  }

  for (const engine of OVER.filter((name) => name === 'afxdp' || name === 'afpacket')) {
    it.skipIf(!hasProgram('tshark'))(`${engine}: IPv6 as tshark reads it${needs('tshark')}`, async () => {
      const { veth } = linkOf(lab, engine);
      await lab.must('client', ['sysctl', '-qw', `net.ipv6.conf.${veth}.disable_ipv6=0`]);
      await lab.must('client', ['ip', 'addr', 'add', 'fd77::2/64', 'dev', veth, 'nodad']);
      const options = { over: engine, netdev: 'address = fd77::1/64', address: 'fd77::1', bind: 'fd77::1' };
      const server = await LabServer.start(lab, options);
      try {
        const { path, connections } = await seen(server, 'ip6 and tcp port 6379', async () => {
          await server.cli(['SET', 'six', 'yes']);
          await server.cli(['GET', 'six']);
        });
        expect(new Set(await fields(lab, path, 'ipv6.src', 'tcp'))).toEqual(new Set(['fd77::1', 'fd77::2']));
        expect(await fields(lab, path, 'frame.number', 'not ipv6')).toEqual([]);
        expect(connections.map(({ client }) => client.replace(/\d+$/, ''))).toEqual(['[fd77::2]:', '[fd77::2]:']);
      } finally {
        await server.stop();
        await lab.run('client', ['sysctl', '-qw', `net.ipv6.conf.${veth}.disable_ipv6=1`]);
      }
    });

    it.skipIf(!hasProgram('tshark'))(`${engine}: a VLAN as tshark reads it${needs('tshark')}`, async () => {
      const { veth } = linkOf(lab, engine);
      const netdevFile = join(folder, `${engine}.conf`);
      const base = readFileSync(lab.netdevFile('direct'), 'utf8');
      writeFileSync(netdevFile, `${base.replace(/^address = .*$/m, 'address = 10.78.0.1/24')}\nvlan = 42\n`);
      const clientFile = join(folder, 'client.conf');
      writeFileSync(clientFile, `interface = ${veth}\naddress = 10.78.0.2/24\nvlan = 42\n`);
      const command = serverCommand(lab, { over: engine, address: '10.78.0.1' }, netdevFile);
      const server = lab.start('server', command, { cwd: folder, stdio: 'ignore' });
      const ended = once(server, 'exit');
      try {
        // Linux's own stack knows no VLAN everywhere, ours does.
        const words = [...netClient, clientFile, '10.78.0.1', String(PORT)];
        const ask = async (...commands: string[]) => JSON.parse(await lab.must('client', [...words, ...commands]));
        await eventually(
          () => ask('PING'),
          ({ error }) => error === undefined,
          20_000,
        );
        const { path, connections } = await seen(server, 'vlan 42 and tcp port 6379', async () => {
          expect((await ask('SET tagged yes', 'GET tagged')).received).toContain('yes');
        });
        expect(new Set(await fields(lab, path, 'vlan.id'))).toEqual(new Set(['42']));
        expect(new Set(await fields(lab, path, 'ip.src', 'tcp'))).toEqual(new Set(['10.78.0.1', '10.78.0.2']));
        expect(connections.map(({ client }) => client.replace(/\d+$/, ''))).toEqual(['10.78.0.2:']);
      } finally {
        server.kill('SIGKILL');
        await ended;
      }
    });
  }
});
