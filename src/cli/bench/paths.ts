// What is measured: redis-server and wiredis-server over each way a request can take. Each path says how its
// server is started in the lab and where the client finds it.
import { type ChildProcess, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep } from '../../platform/sleep.ts';
import type { Lab } from '../lab/lab.ts';
import type { LinkName } from '../lab/plan.ts';
import { hasProgram, stopProcesses } from '../lab/process.ts';
import { CliError } from '../tool.ts';

export interface Path {
  /** As in --paths and in the table. */
  readonly name: string;
  readonly summary: string;
  readonly link: LinkName;
  /** Needs real root (bpf, /dev/net/tun). */
  readonly needsRoot: boolean;
  /** Measured unless --paths says otherwise. */
  readonly byDefault: boolean;
  command(lab: Lab, port: number): string[];
}

export const REFERENCE_PATH = 'redis';

const serverScript = join(dirname(fileURLToPath(import.meta.url)), '..', 'wiredis-server.js');

/** What every server is told alike: where, without a password, and to keep everything in memory. */
function place(lab: Lab, link: LinkName, port: number): string[] {
  const where = ['--bind', lab.plan.links[link].serverAddress, '--port', String(port)];
  return [...where, '--protected-mode', 'no', '--save', '', '--appendonly', 'no'];
}

function userspace(engine: string, link: 'direct' | 'tap', summary: string, needsRoot: boolean): Path {
  return {
    name: engine,
    summary,
    link,
    needsRoot,
    byDefault: engine !== 'auto',
    command: (lab, port) => [
      ...[process.execPath, serverScript, '--transport', 'userspace', '--netdev', lab.netdevFile(link)],
      ...['--engine', engine, ...place(lab, link, port)],
    ],
  };
}

/** Every path, the reference first. */
export const paths: readonly Path[] = [
  {
    name: REFERENCE_PATH,
    summary: 'redis-server over kernel sockets',
    link: 'kernel',
    needsRoot: false,
    byDefault: true,
    command: (lab, port) => [...['redis-server', ...place(lab, 'kernel', port)]],
  },
  {
    name: 'kernel',
    summary: 'wiredis-server --transport kernel',
    link: 'kernel',
    needsRoot: false,
    byDefault: true,
    command: (lab, port) => [
      ...[process.execPath, serverScript, '--transport', 'kernel', ...place(lab, 'kernel', port)],
    ],
  },
  userspace('afxdp', 'direct', 'user space over AF_XDP', true),
  userspace('afpacket', 'direct', 'user space over AF_PACKET rings', false),
  userspace('pcap', 'direct', 'user space over libpcap', false),
  userspace('tap', 'tap', 'user space over a tap device, bridged', true),
  userspace('auto', 'direct', 'user space over the engine that --engine auto picks; only when named', false),
];

/** Why `path` cannot be measured in this lab; null when it can. */
export function obstacle(path: Path, lab: Lab): string | null {
  if (path.name === REFERENCE_PATH && !hasProgram('redis-server')) return 'apt-get install redis-server';
  if (path.name !== REFERENCE_PATH && !existsSync(serverScript)) return `not built: ${serverScript} is missing`;
  if (path.needsRoot && lab.notes.holder !== null) return 'needs root';
  if (!lab.has(path.link)) return `the lab has no ${path.link} link`;
  return null;
}

/** A server that answers PING from the client's host. */
export class RunningServer {
  readonly address: string;
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(child: ChildProcess, directory: string, address: string, port: number) {
    this.#child = child;
    this.#directory = directory;
    this.address = address;
    this.port = port;
  }

  /** @throws CliError with the server's last words when it does not come to answer within 15 s. */
  static async start(lab: Lab, path: Path, port: number): Promise<RunningServer> {
    const directory = mkdtempSync(join(tmpdir(), 'wiredis-bench-'));
    const child = lab.start('server', path.command(lab, port), { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const listen = (chunk: Buffer) => (output = (output + chunk).slice(-4000));
    child.stdout!.on('data', listen);
    child.stderr!.on('data', listen);
    const address = lab.plan.links[path.link].serverAddress;
    const server = new RunningServer(child, directory, address, port);
    for (let attempt = 0; attempt < 150; attempt++) {
      if (child.exitCode !== null || child.signalCode !== null) break;
      const ping = await lab.run('client', ['timeout', '1', 'redis-cli', '-h', address, '-p', String(port), 'PING']);
      if (ping.stdout.trim() === 'PONG') {
        await lab.pinReceiveThreads();
        return server;
      }
      await sleep(100);
    }
    await server.stop();
    throw new CliError('SERVER_FAILED', `${path.name} does not answer: ${output.trim().split('\n').at(-1) ?? ''}`);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await stopProcesses([this.#child.pid!], 10_000);
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** First line of `redis-server --version`, or null without one. */
export function redisVersion(): string | null {
  try {
    return /v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1] ?? null;
  } catch {
    return null;
  }
}
