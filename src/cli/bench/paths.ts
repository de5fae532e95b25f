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
  /** Where its server is found; absent: at the link's address. */
  readonly address?: string;
  /** @param nodeFlags for Node, where the server is ours. */
  command(lab: Lab, port: number, nodeFlags?: readonly string[]): string[];
}

export const REFERENCE_PATH = 'redis';
/** The bridge's own address on the tap's link, for a kernel that answers there. */
const BRIDGE_ADDRESS = '10.77.2.3';

const serverScript = join(dirname(fileURLToPath(import.meta.url)), '..', 'wiredis-server.js');

/** What every server is told alike: where, without a password, and to keep everything in memory. */
function place(lab: Lab, link: LinkName, port: number, address = lab.plan.links[link].serverAddress): string[] {
  const where = ['--bind', address, '--port', String(port)];
  return [...where, '--protected-mode', 'no', '--save', '', '--appendonly', 'no'];
}

function userspace(engine: string, link: 'direct' | 'tap', summary: string, needsRoot: boolean): Path {
  return {
    name: engine,
    summary,
    link,
    needsRoot,
    byDefault: engine !== 'auto',
    command: (lab, port, nodeFlags = []) => [
      ...[process.execPath, ...nodeFlags, serverScript, '--transport', 'userspace'],
      ...['--netdev', lab.netdevFile(link)],
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
    command: (lab, port, nodeFlags = []) => [
      ...[process.execPath, ...nodeFlags, serverScript, '--transport', 'kernel', ...place(lab, 'kernel', port)],
    ],
  },
  {
    name: 'redis-bridge',
    summary: "redis-server over kernel sockets at the tap's bridge; only when named",
    link: 'tap',
    needsRoot: true,
    byDefault: false,
    address: BRIDGE_ADDRESS,
    command: (lab, port) => [
      ...['sh', '-c', 'ip address replace "$0" dev "$1"; shift; exec redis-server "$@"'],
      ...[`${BRIDGE_ADDRESS}/24`, lab.plan.bridge, ...place(lab, 'tap', port, BRIDGE_ADDRESS)],
    ],
  },
  userspace('afxdp', 'direct', 'user space over AF_XDP', true),
  userspace('afpacket', 'direct', 'user space over AF_PACKET rings', false),
  userspace('pcap', 'direct', 'user space over libpcap', false),
  userspace('tap', 'tap', 'user space over a tap device, bridged', true),
  {
    name: 'relay',
    summary: 'redis-server behind user space over AF_XDP (core relay), both on one core',
    link: 'direct',
    needsRoot: true,
    byDefault: false,
    command: (lab, port, nodeFlags = []) => {
      const address = lab.plan.links.direct.serverAddress;
      const front = [
        process.execPath,
        ...nodeFlags,
        serverScript,
        '--netdev',
        lab.netdevFile('direct'),
        '--engine',
        'afxdp',
      ];
      const where = ['--bind', address, '--port', String(port), '--protected-mode', 'no'];
      return [...front, ...where, '--core', 'relay', '--relay-spawn', "redis-server --save '' --appendonly no"];
    },
  },
  userspace('auto', 'direct', 'user space over the engine that --engine auto picks; only when named', false),
];

const isRedis = (path: Path): boolean => path.name.startsWith(REFERENCE_PATH);

/** Why `path` cannot be measured in this lab; null when it can. */
export function obstacle(path: Path, lab: Lab): string | null {
  if (isRedis(path) && !hasProgram('redis-server')) return 'apt-get install redis-server';
  if (!isRedis(path) && !existsSync(serverScript)) return `not built: ${serverScript} is missing`;
  if (path.needsRoot && lab.notes.holder !== null) return 'needs root';
  if (!lab.has(path.link)) return `the lab has no ${path.link} link`;
  return null;
}

const OUTPUT_KEPT = 1_000_000;

export interface StartSettings {
  /** Behind the usual ones, for the server. */
  readonly words?: readonly string[];
  readonly nodeFlags?: readonly string[];
}

/** A server that answers PING from the client's host. */
export class RunningServer {
  readonly address: string;
  readonly port: number;
  readonly #lab: Lab;
  readonly #child: ChildProcess;
  readonly #directory: string;
  /** What it has said so far, its last words at least. */
  #output = '';

  private constructor(lab: Lab, child: ChildProcess, directory: string, address: string, port: number) {
    this.#lab = lab;
    this.#child = child;
    this.#directory = directory;
    this.address = address;
    this.port = port;
    const listen = (chunk: Buffer) => (this.#output = (this.#output + chunk).slice(-OUTPUT_KEPT));
    child.stdout!.on('data', listen);
    child.stderr!.on('data', listen);
  }

  /** Of the server itself: all words before it exec. */
  get pid(): number {
    return this.#child.pid!;
  }

  get output(): string {
    return this.#output;
  }

  /** @throws CliError with the server's last words when it does not come to answer within 15 s. */
  static async start(lab: Lab, path: Path, port: number, settings: StartSettings = {}): Promise<RunningServer> {
    const directory = mkdtempSync(join(tmpdir(), 'wiredis-bench-'));
    const command = [...path.command(lab, port, settings.nodeFlags), ...(settings.words ?? [])];
    const child = lab.start('server', command, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
    const address = path.address ?? lab.plan.links[path.link].serverAddress;
    const server = new RunningServer(lab, child, directory, address, port);
    for (let attempt = 0; attempt < 150; attempt++) {
      if (child.exitCode !== null || child.signalCode !== null) break;
      if ((await server.ask('PING')).trim() === 'PONG') {
        await lab.pinReceiveThreads();
        return server;
      }
      await sleep(100);
    }
    await server.stop();
    throw new CliError(
      'SERVER_FAILED',
      `${path.name} does not answer: ${server.output.trim().split('\n').at(-1) ?? ''}`,
    );
  }

  /** redis-cli's output for one command, asked from the client's host; empty when there is no answer. */
  async ask(...words: string[]): Promise<string> {
    const command = ['timeout', '5', 'redis-cli', '-h', this.address, '-p', String(this.port), ...words];
    return (await this.#lab.run('client', command)).stdout;
  }

  /** A field of INFO as a number; null: it has none. */
  async fact(name: string): Promise<number | null> {
    const value = new RegExp(`^${name}:(.*)$`, 'm').exec(await this.ask('INFO', 'everything'));
    return value === null ? null : Number.parseFloat(value[1]);
  }

  /** What was done before has left something to do: that is not the next run's. */
  async settle(): Promise<void> {
    await sleep(200);
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
