// What the lab's tests share: a lab of their own, servers in it, programs on the client's host, and what tcpdump and
// the kernel's counters say about the traffic. The servers under test are the built ones (dist/), run as a user would.
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe } from 'vitest';
import { buildLab } from '../../src/cli/lab/build.ts';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { defaultCores, type LinkPlan } from '../../src/cli/lab/plan.ts';
import { isPrivileged } from '../../src/cli/lab/privilege.ts';
import { hasProgram, type Result, stopProcesses } from '../../src/cli/lab/process.ts';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
/** WIREDIS_DIST: a build in another folder. */
export const dist = process.env.WIREDIS_DIST ?? join(root, 'dist');
const serverScriptOf = (built: string): string => join(built, 'src', 'cli', 'wiredis-server.js');
export const serverScript = serverScriptOf(dist);
export const cliScript = join(dist, 'src', 'cli', 'wiredis.js');
/** A Redis client over `wiredis/net`, for links that Linux's own TCP is not on; its words: configuration, host, port, commands. */
export const netClient = [
  process.execPath,
  join(root, 'test', 'lab', 'clients', 'net-redis.js'),
  join(dist, 'src', 'net', 'index.js'),
] as const;

export type Engine = 'afxdp' | 'afpacket' | 'pcap' | 'tap';

/** `redis`: redis-server over the kernel; `kernel`: wiredis over the kernel; else an engine. */
export type Over = 'redis' | 'kernel' | Engine;

/**
 * What the suites run over. WIREDIS_LAB_OVER=afxdp,tap picks some; `redis` and `kernel` are taken too: a suite that
 * fails over `redis` is wrong itself.
 */
export const OVER = (process.env.WIREDIS_LAB_OVER?.split(',') ?? [
  'afxdp',
  'afpacket',
  'pcap',
  'tap',
]) as readonly Over[];

/** The lab's link that a server uses. */
export function linkOf(lab: Lab, over: Over): LinkPlan {
  if (over === 'redis' || over === 'kernel') return lab.plan.links.kernel;
  return over === 'tap' ? lab.plan.links.tap : lab.plan.links.direct;
}

/** Linux leaves checksums and segmentation to the device on these links; here it does them before we look. */
export async function fillInChecksums(lab: Lab, over: Over): Promise<void> {
  const off = ['tx', 'off', 'tso', 'off', 'gso', 'off'];
  await lab.must('server', ['ethtool', '-K', linkOf(lab, over).veth, ...off]);
}

/** Requests a redis-benchmark test: enough to see a fault, or as many as the claim says. */
export const REQUESTS = process.env.WIREDIS_LAB_FULL === '1' ? 100_000 : 20_000;

function findObstacle(): string | null {
  if (!isPrivileged()) return 'needs root';
  const missing = ['ip', 'ethtool', 'redis-server', 'redis-cli', 'redis-benchmark', 'tcpdump'].filter(
    (n) => !hasProgram(n),
  );
  if (missing.length > 0) return `needs ${missing.join(', ')}`;
  return existsSync(serverScript) || OVER.every((over) => over === 'redis') ? null : 'needs a build: npm run build';
}

/** Why the lab's tests cannot run here; null when they can. */
export const obstacle: string | null = findObstacle();

/** A `describe` that is skipped, with the reason in its name, where there can be no lab. */
export function describeLab(name: string, body: () => void): void {
  describe.skipIf(obstacle !== null)(obstacle === null ? name : `${name} [skipped: ${obstacle}]`, body);
}

let labs = 0;

export function openLab(): Promise<Lab> {
  return buildLab({ name: `wdtest-${process.pid}-${labs++}`, cores: defaultCores(), progress: () => {} });
}

/** Text that `probe` finds acceptable, or an error with the last one, after at most `timeoutMs`. */
export async function eventually<T>(
  probe: () => Promise<T>,
  accept: (value: T) => boolean,
  timeoutMs: number,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (accept(value)) return value;
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms; last: ${JSON.stringify(value)}`);
    await sleep(100);
  }
}

export interface ServerOptions {
  readonly over: Over;
  /** Redis directives, as `--name value`. */
  readonly arguments?: readonly string[];
  /** Lines added to the lab's netdev.conf. */
  readonly netdev?: string;
  /** The address that the netdev.conf gives the server, where it is not the lab's. */
  readonly address?: string;
  /** What it binds, where that is more than its address. */
  readonly bind?: string;
  /** A build in another folder. */
  readonly dist?: string;
  /** Working directory, kept; else one of its own that goes when it stops. */
  readonly directory?: string;
}

export const PORT = 6379;

/** The command line of a server; `netdevPath` where its netdev.conf is. */
export function serverCommand(lab: Lab, options: ServerOptions, netdevPath: string): string[] {
  const { over } = options;
  const place = [
    '--bind',
    ...(options.bind ?? options.address ?? linkOf(lab, over).serverAddress).split(' '),
    '--port',
    String(PORT),
    '--protected-mode',
    'no',
  ];
  const common = [...place, ...(options.arguments ?? [])];
  if (over === 'redis') return ['redis-server', ...common];
  const words = [process.execPath, serverScriptOf(options.dist ?? dist)];
  if (over === 'kernel') return [...words, '--transport', 'kernel', ...common];
  return [...words, '--transport', 'userspace', '--netdev', netdevPath, '--engine', over, ...common];
}

/** A server that answers PING from the client's host. */
export class LabServer {
  readonly lab: Lab;
  readonly address: string;
  readonly directory: string;
  readonly #child: ChildProcess;
  readonly #keepDirectory: boolean;
  #output = '';

  private constructor(lab: Lab, options: ServerOptions) {
    this.lab = lab;
    this.address = options.address ?? linkOf(lab, options.over).serverAddress;
    this.#keepDirectory = options.directory !== undefined;
    this.directory = options.directory ?? mkdtempSync(join(tmpdir(), 'wiredis-lab-test-'));
    let netdevPath = lab.netdevFile(options.over === 'tap' ? 'tap' : 'direct');
    if (options.netdev !== undefined) {
      const base = readFileSync(netdevPath, 'utf8');
      netdevPath = join(this.directory, 'netdev.conf');
      writeFileSync(netdevPath, `${base}${options.netdev}\n`);
    }
    this.#child = lab.start('server', serverCommand(lab, options, netdevPath), {
      cwd: this.directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const listen = (chunk: Buffer) => (this.#output += chunk);
    this.#child.stdout!.on('data', listen);
    this.#child.stderr!.on('data', listen);
  }

  static async start(lab: Lab, options: ServerOptions): Promise<LabServer> {
    const server = new LabServer(lab, options);
    try {
      await eventually(
        () => (server.hasEnded() ? Promise.reject(new Error('it ended')) : server.cli(['PING'], 1)),
        (reply) => reply.stdout.trim() === 'PONG',
        30_000,
      );
    } catch (error) {
      await server.stop();
      throw new Error(`${options.over} does not answer (${(error as Error).message}); it said:\n${server.#output}`);
    }
    await lab.pinReceiveThreads();
    return server;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Everything it has printed. */
  get output(): string {
    return this.#output;
  }

  hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** redis-cli on the client's host, one command as words. */
  cli(words: readonly string[], timeoutSeconds = 20): Promise<Result> {
    return this.lab.run('client', ['timeout', String(timeoutSeconds), 'redis-cli', '-h', this.address, ...words]);
  }

  /** One command as a line, as typed; the reply as redis-cli shows it to a person. */
  async typed(line: string): Promise<string> {
    return (await this.lab.run('client', ['timeout', '20', 'redis-cli', '--no-raw', '-h', this.address], `${line}\n`))
      .stdout;
  }

  /** Fields of INFO. */
  async info(): Promise<Map<string, string>> {
    return parseInfo((await this.cli(['INFO', 'everything'])).stdout);
  }

  /** SIGTERM. @returns its exit code, or the signal that ended it. */
  async stop(): Promise<number | string> {
    const exited = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    if (!this.hasEnded()) {
      await stopProcesses([this.pid], 10_000);
      await exited;
    }
    if (!this.#keepDirectory) rmSync(this.directory, { recursive: true, force: true });
    return this.#child.exitCode ?? this.#child.signalCode ?? -1;
  }
}

export function parseInfo(text: string): Map<string, string> {
  const rows = text.split(/\r?\n/).filter((row) => row.includes(':') && !row.startsWith('#'));
  return new Map(rows.map((row) => [row.slice(0, row.indexOf(':')), row.slice(row.indexOf(':') + 1)]));
}

/** tcpdump on the client's end of a link; `filter` keeps it cheap under load. */
export class Capture {
  readonly #child: ChildProcess;
  #text = '';
  #complaints = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout!.on('data', (chunk) => (this.#text += chunk));
    child.stderr!.on('data', (chunk) => (this.#complaints += chunk));
  }

  static async start(lab: Lab, device: string, filter: string): Promise<Capture> {
    const words = ['tcpdump', '-i', device, '-n', '-vvv', '-l', '-B', '65536', filter];
    const capture = new Capture(lab.start('client', words, { stdio: ['ignore', 'pipe', 'pipe'] }));
    await eventually(
      async () => capture.#complaints,
      (text) => text.includes('listening on'),
      10_000,
    );
    return capture;
  }

  /** One string a packet. @throws when tcpdump itself lost packets: then it proves nothing. */
  async stop(): Promise<string[]> {
    await sleep(300); // what is in its buffer
    const exited = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGINT');
    await exited;
    const dropped = /(\d+) packets dropped by kernel/.exec(this.#complaints);
    if (dropped?.[1] !== '0') throw new Error(`tcpdump lost packets: ${this.#complaints}`);
    return this.#text.split(/\n(?=\S)/).filter((packet) => packet.trim() !== '');
  }
}

/** `tcp[...]` looks at IPv4 only. */
export const RST_FILTER = '(tcp[tcpflags] & tcp-rst != 0 or (ip6 proto 6 and ip6[53] & 4 != 0))';

/** Packets whose IP or TCP checksum tcpdump finds wrong. */
export function badChecksums(packets: readonly string[]): string[] {
  return packets.filter((packet) => /incorrect|bad cksum/.test(packet));
}

/** Segments that the client's kernel refused for their checksum since the namespace exists. */
export async function checksumErrors(lab: Lab): Promise<number> {
  const snmp = await lab.must('client', ['cat', '/proc/net/snmp']);
  const [names, values] = snmp
    .split('\n')
    .filter((row) => row.startsWith('Tcp:'))
    .map((row) => row.split(' '));
  return Number(values[names.indexOf('InCsumErrors')]);
}

/** Runs a script of test/lab/clients on the client's host and reads the JSON it prints. @param input for its stdin. */
export async function runClient(
  lab: Lab,
  script: string,
  words: readonly string[],
  input?: string | Uint8Array,
): Promise<unknown> {
  const path = join(root, 'test', 'lab', 'clients', script);
  const result = await lab.run('client', ['timeout', '60', process.execPath, path, ...words], input);
  if (result.code !== 0) throw new Error(`${script} failed (${result.code}): ${result.stderr}`);
  return JSON.parse(result.stdout);
}
