// `--maxclients` is real: as many idle clients as WIREDIS_CONNECTIONS says (3,000; scripts/bench/connections.sh: 100,000)
// on another host, held by one server. What each costs the server's process is printed and bounded; all of them are
// alive, and others are served as before.
import type { ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { describeLab, dist, eventually, LabServer, linkOf, openLab, PORT, root } from './fixture.ts';

const COUNT = Number(process.env.WIREDIS_CONNECTIONS ?? 3000);
/** Of the whole server: stack, core and what V8 keeps for later. */
const BYTES_MAX = 8192;
/** The server's: a client has some 64,000 ports towards each. */
const ADDRESSES = ['10.77.0.1', '10.77.0.11', '10.77.0.12', '10.77.0.13'];

describeLab('very many clients', () => {
  let lab: Lab;
  let server: LabServer;

  beforeAll(async () => {
    lab = await openLab();
    // The stack of our clients takes the place of the kernel on the client's end; one kernel address is left for redis-cli.
    server = await LabServer.start(lab, {
      over: 'afpacket',
      bind: ADDRESSES.join(' '),
      arguments: ['--maxclients', String(COUNT + 100), '--timeout', '0', '--tcp-keepalive', '0'],
      netdev: [
        ...ADDRESSES.slice(1).map((address) => `address = ${address}/24`),
        `max-connections = ${COUNT + 1000}`,
      ].join('\n'),
    });
  });

  afterAll(async () => {
    await server?.stop();
    await lab?.down();
  });

  async function memory(): Promise<{ rss: number; heap: number }> {
    const info = await server.info();
    return { rss: Number(info.get('used_memory_rss')), heap: Number(info.get('used_memory')) };
  }

  /** Its next line. */
  async function line(child: ChildProcess, said: { text: string }, timeoutMs: number): Promise<Record<string, number>> {
    await eventually(
      async () => (child.exitCode === null ? said.text : Promise.reject(new Error('the clients ended'))),
      (text) => text.includes('\n'),
      timeoutMs,
    );
    const [first] = said.text.split('\n', 1);
    said.text = said.text.slice(first.length + 1);
    return JSON.parse(first);
  }

  it(`${COUNT} idle clients: all alive, their memory bounded, others served`, async () => {
    const { veth } = linkOf(lab, 'afpacket');
    const netdev = join(server.directory, 'clients.conf');
    writeFileSync(
      netdev,
      `interface = ${veth}\naddress = 10.77.0.100/24\nmac = 02:00:00:00:0c:01\nmax-connections = ${COUNT + 1000}\nrx-ring = 8192\n`,
    );
    const before = await memory();
    const script = join(root, 'test', 'lab', 'clients', 'idle-clients.js');
    const words = [process.execPath, '--max-old-space-size=4096', script, dist, netdev, String(PORT), String(COUNT)];
    const clients = lab.start('client', [...words, ...ADDRESSES], { stdio: ['pipe', 'pipe', 'inherit'] });
    const said = { text: '' };
    clients.stdout!.on('data', (chunk) => (said.text += chunk));
    try {
      const opened = await line(clients, said, 540_000);
      expect(opened).toMatchObject({ open: COUNT, failed: 0 });
      const info = await server.info();
      expect(Number(info.get('connected_clients'))).toBe(COUNT + 1);
      expect(info.get('rejected_connections')).toBe('0');
      const after = await memory();
      clients.stdin!.write('\n');
      const alive = await line(clients, said, 60_000);
      expect(alive.answered).toBe(alive.asked);
      const benchmark = await lab.run('client', [
        'redis-benchmark',
        '-h',
        ADDRESSES[0],
        '-t',
        'get',
        '-n',
        '5000',
        '-q',
      ]);
      expect(benchmark.stdout).toMatch(/GET: [\d.]+ requests per second/);
      const each = {
        rss: Math.round((after.rss - before.rss) / COUNT),
        heap: Math.round((after.heap - before.heap) / COUNT),
      };
      const vm = readFileSync(`/proc/${server.pid}/status`, 'utf8').match(/Threads:\s+\d+/)?.[0];
      console.log(JSON.stringify({ clients: COUNT, ...opened, before, after, bytesEach: each, vm }));
      expect(each.rss).toBeLessThan(BYTES_MAX);
    } finally {
      clients.stdin!.end();
      clients.kill();
    }
    // Their host says nothing any more, or RST: the server is as it was.
    expect((await server.cli(['PING'])).stdout.trim()).toBe('PONG');
  });
});
