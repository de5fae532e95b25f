// Two hosts with a bad network between them: three namespaces, two veths, and `wiredis impair` in the middle one. The far
// host is the kernel's or ours, whichever its one interface is given to. Used by tool.ts.
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep } from '../../platform/sleep.ts';
import { must, requirePrograms, run, start, stopProcesses } from '../lab/process.ts';
import { CliError } from '../tool.ts';
import type { Measured } from './endpoint.ts';

const here = dirname(fileURLToPath(import.meta.url));
const wiredis = join(here, '..', 'wiredis.js');
const endpoint = join(here, 'endpoint.js');

const NETWORK = '10.79.0.0/24';
const NEAR_ADDRESS = '10.79.0.1';
const FAR_KERNEL = '10.79.0.2';
const FAR_OURS = '10.79.0.3';
const PORT = 5001;

/** What the network does in one cell of the table. */
export interface Cell {
  readonly rttMs: number;
  readonly lossPercent: number;
  readonly reorderPercent: number;
}

/** Who sends to whom; the near host is always Linux. */
export const FLOWS = ['linux', 'wiredis-sends', 'wiredis-receives', 'bbr'] as const;
export type Flow = (typeof FLOWS)[number];

export interface Link {
  /** As `wiredis impair` takes them. */
  readonly rate: string;
  readonly queue: string;
  /** Longer packets vanish; left out: none is too long. */
  readonly mtu?: number;
}

/** One figure of the table. */
export interface Transfer {
  readonly flow: Flow;
  /** At a time; the figure is one connection's. */
  readonly connections: number;
  readonly seconds: number;
  /** Of the network's faults. */
  readonly seed: number;
}

export class GoodputLab {
  readonly #name: string;
  readonly #directory: string;
  readonly #children = new Set<ChildProcess>();

  constructor(name: string) {
    this.#name = name;
    this.#directory = mkdtempSync(join(tmpdir(), 'wiredis-goodput-'));
  }

  #host(which: 'near' | 'wire' | 'far'): string {
    return `${this.#name}-${which}`;
  }

  async up(): Promise<void> {
    requirePrograms(['ip', 'ethtool']);
    for (const which of ['near', 'wire', 'far'] as const) {
      await must(['ip', 'netns', 'add', this.#host(which)]);
      await this.#sh(
        which,
        'ip link set lo up; sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.tcp_no_metrics_save=1',
      );
    }
    for (const which of ['near', 'far'] as const) {
      const wire = this.#host('wire');
      await must([
        'ip',
        'link',
        'add',
        'link0',
        'netns',
        this.#host(which),
        'type',
        'veth',
        'peer',
        'name',
        which,
        'netns',
        wire,
      ]);
      await this.#sh(which, 'ethtool -K link0 tx off tso off gso off gro off sg off >/dev/null; ip link set link0 up');
      await this.#sh(
        'wire',
        `ethtool -K ${which} tx off tso off gso off gro off sg off >/dev/null; ip link set ${which} up`,
      );
    }
    await this.#sh('near', `ip address add ${NEAR_ADDRESS}/24 dev link0`);
    writeFileSync(this.#netdev, `interface = link0\nengine = afpacket\naddress = ${FAR_OURS}/24\n`);
  }

  get #netdev(): string {
    return join(this.#directory, 'netdev.conf');
  }

  /** Whether this kernel can send with that congestion control. */
  async has(congestion: string): Promise<boolean> {
    const result = await run(this.#inside('near', ['sysctl', '-n', 'net.ipv4.tcp_available_congestion_control']));
    return result.stdout.split(/\s+/).includes(congestion);
  }

  #inside(which: 'near' | 'wire' | 'far', argv: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.#host(which), ...argv];
  }

  #sh(which: 'near' | 'wire' | 'far', script: string): Promise<string> {
    return must(this.#inside(which, ['sh', '-c', script]));
  }

  /** Starts a program and waits for a line that holds `word`. */
  async #launch(which: 'near' | 'wire' | 'far', argv: readonly string[], word: string): Promise<Running> {
    const child = start(this.#inside(which, argv), { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.add(child);
    child.on('exit', () => this.#children.delete(child));
    const running = new Running(child);
    await running.line((line) => line.includes(word), 10_000);
    return running;
  }

  /** Transfers through a network as `cell` says. @returns bits a second that arrived over each connection. */
  async measure(cell: Cell, link: Link, transfer: Transfer): Promise<number> {
    const half = `${cell.rttMs / 2}ms`;
    const wire = await this.#launch(
      'wire',
      [
        ...[process.execPath, wiredis, 'impair', 'near', 'far', '--delay', half, '--seed', String(transfer.seed)],
        ...['--mtu', String(link.mtu ?? 0)],
        ...['--loss', `${cell.lossPercent}%`, '--rate', link.rate, '--queue', link.queue],
        // Held back for a quarter of a round trip: as RFC 8985 expects reordering to be.
        ...['--reorder', `${cell.reorderPercent}%`, '--reorder-by', `${Math.max(1, cell.rttMs / 4)}ms`],
      ],
      'joined',
    );
    try {
      return await this.#transfer(transfer);
    } finally {
      await this.#stop(wire);
    }
  }

  async #transfer({ flow, connections, seconds }: Transfer): Promise<number> {
    const isOurs = flow === 'wiredis-sends' || flow === 'wiredis-receives';
    const congestion = flow === 'bbr' ? 'bbr' : 'cubic';
    await this.#sh('far', `ip address flush dev link0${isOurs ? '' : `; ip address add ${FAR_KERNEL}/24 dev link0`}`);
    await this.#route('near', NEAR_ADDRESS, congestion);
    if (!isOurs) await this.#route('far', FAR_KERNEL, congestion);
    const address = isOurs ? FAR_OURS : FAR_KERNEL;
    const serve = ['serve', isOurs ? this.#netdev : 'kernel', address, String(PORT), String(seconds)];
    const far = await this.#launch('far', [process.execPath, endpoint, ...serve], 'ready');
    const role = flow === 'wiredis-receives' ? 'send' : 'fetch';
    const words = [role, 'kernel', address, String(PORT), String(seconds), String(connections)];
    const near = new Running(
      start(this.#inside('near', [process.execPath, endpoint, ...words]), { stdio: ['ignore', 'pipe', 'pipe'] }),
    );
    try {
      const line = await (role === 'send' ? far : near).line((text) => text.startsWith('{'), (seconds + 30) * 1000);
      const { bytes, seconds: took } = JSON.parse(line) as Measured;
      return (bytes * 8) / took / connections;
    } finally {
      await this.#stop(near);
      await this.#stop(far);
    }
  }

  /** Congestion control by route: the system-wide setting refuses some in a network namespace. */
  async #route(which: 'near' | 'far', source: string, congestion: string): Promise<void> {
    await this.#sh(which, `ip route replace ${NETWORK} dev link0 src ${source} congctl ${congestion}`);
  }

  async #stop({ child }: Running): Promise<void> {
    if (child.exitCode === null && child.pid !== undefined) await stopProcesses([child.pid], 2000);
  }

  async down(): Promise<void> {
    for (const child of this.#children) if (child.pid !== undefined) await stopProcesses([child.pid], 2000);
    for (const which of ['near', 'wire', 'far'] as const) await run(['ip', 'netns', 'del', this.#host(which)]);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** A program whose lines somebody waits for. */
class Running {
  readonly child: ChildProcess;
  readonly #lines: string[] = [];
  #rest = '';
  #errors = '';

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout!.on('data', (chunk: Buffer) => {
      const lines = (this.#rest + chunk.toString()).split('\n');
      this.#rest = lines.pop()!;
      this.#lines.push(...lines);
    });
    child.stderr!.on('data', (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString()).slice(-2000);
    });
  }

  /** @throws CliError when it ends, or says nothing of the kind for so long. */
  async line(wanted: (line: string) => boolean, timeoutMs: number): Promise<string> {
    for (let waited = 0; waited < timeoutMs; waited += 20) {
      const found = this.#lines.find(wanted);
      if (found !== undefined) return found;
      if (this.child.exitCode !== null || this.child.signalCode !== null) break;
      await sleep(20);
    }
    const words = this.child.spawnargs.slice(4).join(' ');
    throw new CliError('NO_ANSWER', `${words}: ${this.#errors.trim() || this.#lines.join('; ') || 'no answer'}`);
  }
}
