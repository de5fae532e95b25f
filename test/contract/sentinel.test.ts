// A real redis-sentinel watches a pair of ours: it finds the replica by itself, makes it the master when the master is
// gone, and turns the old one into a replica when it is back. Skipped where redis-sentinel 7.0 is not installed.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { OurServer } from '../support/our-server.ts';
import { freePort, Peer } from '../support/redis-server.ts';

const WAIT_MS = 60_000;
const installed = version().includes('v=7.0.');

function version(): string {
  try {
    return execFileSync('redis-sentinel', ['--version'], { encoding: 'utf8' });
  } catch {
    return '';
  }
}

class Sentinel {
  readonly port: number;
  readonly #directory: string;
  readonly #process: ChildProcess;

  private constructor(port: number, directory: string, child: ChildProcess) {
    this.port = port;
    this.#directory = directory;
    this.#process = child;
  }

  static async watch(masterPort: number): Promise<Sentinel> {
    const directory = mkdtempSync(join(tmpdir(), 'sentinel-'));
    const port = await freePort();
    const file = join(directory, 'sentinel.conf');
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${directory}`,
      `sentinel monitor pair 127.0.0.1 ${masterPort} 1`,
      'sentinel down-after-milliseconds pair 1500',
      'sentinel failover-timeout pair 10000',
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    const child = spawn('redis-sentinel', [file], { stdio: 'ignore' });
    return new Sentinel(port, directory, child);
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGKILL');
    await gone;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

const servers: OurServer[] = [];
let sentinel: Sentinel | null = null;

afterEach(async () => {
  await sentinel?.stop();
  for (const server of servers.splice(0)) await server.stop();
});

/** One request on a connection of its own: sentinel closes those of clients when roles change. */
async function ask(port: number, ...words: string[]): Promise<string> {
  const peer = new Peer(port);
  try {
    const [{ bytes }] = await peer.run([words]);
    return bytes.toString('latin1');
  } catch {
    return '';
  } finally {
    peer.close();
  }
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function start(directives: Readonly<Record<string, string | number>> = {}): Promise<OurServer> {
  const server = await OurServer.start({ 'repl-diskless-sync-delay': 0, ...directives });
  servers.push(server);
  return server;
}

describe.skipIf(!installed)('redis-sentinel', () => {
  it('fails over a pair of ours, and takes the old master back as a replica', { timeout: 180_000 }, async () => {
    const master = await start();
    const replica = await start();
    await ask(replica.port, 'REPLICAOF', '127.0.0.1', String(master.port));
    sentinel = await Sentinel.watch(master.port);
    const { port } = sentinel;
    const address = (): Promise<string> => ask(port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'pair');
    await until('sentinel knows the replica', async () => {
      return (await ask(port, 'SENTINEL', 'REPLICAS', 'pair')).includes(String(replica.port));
    });
    await ask(master.port, 'SET', 'k', 'v');
    expect(await ask(master.port, 'WAIT', '1', '5000')).toBe(':1\r\n');
    servers.splice(servers.indexOf(master), 1);
    await master.stop();
    await until('the replica is the master', async () => (await ask(replica.port, 'ROLE')).includes('master'));
    await until('sentinel says so', async () => (await address()).includes(String(replica.port)));
    expect(await ask(replica.port, 'GET', 'k')).toBe('$1\r\nv\r\n');
    expect(await ask(replica.port, 'SET', 'k', 'w')).toBe('+OK\r\n');
    await start({ port: master.port });
    await until('the old master follows', async () => (await ask(master.port, 'GET', 'k')) === '$1\r\nw\r\n');
    expect(await ask(master.port, 'ROLE')).toMatch(/^\*5\r\n\$5\r\nslave\r\n/);
  });
});
