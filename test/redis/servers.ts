// The server a unit talks to: a fresh one each time, with a directory of its own, over kernel sockets on loopback or
// over the user-space stack in a lab's namespace. Imported by test/redis only.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { stopProcesses } from '../../src/cli/lab/process.ts';

export interface Place {
  readonly host: string;
  readonly port: number;
  /** The words that run `command` where the client is. */
  client(command: readonly string[]): string[];
  /** The words that start the server. */
  readonly server: readonly string[];
  /** Those of a redis-server that has to run before it. */
  readonly upstream: readonly string[] | null;
}

/** What the server is made of. */
export interface Kind {
  readonly core: 'embedded' | 'relay';
  /** How the relay reaches its redis-server: one that it starts itself, by a socket file, or one beside it, by TCP. */
  readonly upstream: 'unix' | 'tcp';
}

const START_TIMEOUT_MS = 20_000;

/** What the suite asks of any server: everything switched on, nothing saved by itself. */
const SWITCHES = [
  ...['--save', '', '--enable-debug-command', 'yes', '--enable-protected-configs', 'yes'],
  ...['--enable-module-command', 'yes', '--daemonize', 'no'],
];

/** Of the 500 ports of a run, one that neither our server nor the suite takes. */
const UPSTREAM_PORT_OFFSET = 450;

/** The words for the core; with `relay`, a redis-server is behind it that has what the suite asks for. */
function coreWords({ core, upstream }: Kind, port: number): string[] {
  if (core === 'embedded') return SWITCHES;
  if (upstream === 'tcp')
    return ['--core', 'relay', '--relay-upstream', `tcp:127.0.0.1:${port + UPSTREAM_PORT_OFFSET}`];
  const command = ['redis-server', ...SWITCHES].map((word) => (word === '' ? '""' : word)).join(' ');
  return ['--core', 'relay', '--relay-spawn', command];
}

/** The words that start the redis-server behind a relay which does not start it itself. */
function upstreamWords({ core, upstream }: Kind, port: number): string[] | null {
  if (core === 'embedded' || upstream === 'unix') return null;
  return ['redis-server', '--bind', '127.0.0.1', '--port', String(port + UPSTREAM_PORT_OFFSET), ...SWITCHES];
}

/** @param script wiredis-server.js, or null for the redis-server that is installed. */
export function kernelPlace(script: string | null, port: number, kind: Kind): Place {
  const program = script === null ? ['redis-server'] : [process.execPath, script, '--transport', 'kernel'];
  return {
    host: '127.0.0.1',
    port,
    client: (command) => [...command],
    server: [...program, '--bind', '127.0.0.1', '--port', String(port), ...coreWords(kind, port)],
    upstream: upstreamWords(kind, port),
  };
}

export function userspacePlace(lab: Lab, script: string, engine: string, port: number, kind: Kind): Place {
  const link = engine === 'tap' ? 'tap' : 'direct';
  const host = lab.plan.links[link].serverAddress;
  const where = ['--transport', 'userspace', '--netdev', lab.netdevFile(link), '--engine', engine, '--bind', host];
  const upstream = upstreamWords(kind, port);
  return {
    host,
    port,
    client: (command) => lab.argv('client', command),
    server: lab.argv('server', [
      ...[process.execPath, script, ...where, '--port', String(port), '--protected-mode', 'no'],
      ...coreWords(kind, port),
    ]),
    upstream: upstream === null ? null : lab.argv('server', upstream),
  };
}

/** A process with a directory of its own that says when it is ready. */
class Program {
  /** The last of what it printed. */
  output = '';
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
    const listen = (chunk: Buffer) => (this.output = (this.output + chunk).slice(-20_000));
    child.stdout!.on('data', listen);
    child.stderr!.on('data', listen);
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** @throws Error with its last words when it does not say that it is ready. */
  static async start([program, ...words]: readonly string[]): Promise<Program> {
    const directory = mkdtempSync(join(tmpdir(), 'wiredis-suite-'));
    const child = spawn(program, words, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
    const started = new Program(child, directory);
    for (let waitedMs = 0; waitedMs < START_TIMEOUT_MS && started.alive; waitedMs += 50) {
      if (started.output.includes('Ready to accept connections')) return started;
      await sleep(50);
    }
    const said = started.output.trim().split('\n').slice(-3).join(' / ');
    await started.stop();
    throw new Error(`the server did not start: ${said}`);
  }

  async stop(): Promise<void> {
    if (this.alive) {
      const exited = new Promise((resolve) => this.#child.once('exit', resolve));
      await stopProcesses([this.#child.pid!], 5000);
      await exited;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

export class SuiteServer {
  readonly #programs: readonly Program[];

  private constructor(programs: readonly Program[]) {
    this.#programs = programs;
  }

  /** Whether all of it is. */
  get alive(): boolean {
    return this.#programs.every((program) => program.alive);
  }

  /** The last of what was printed. */
  get output(): string {
    return this.#programs.map(({ output }) => output).join('');
  }

  /** @throws Error with its last words when it does not say that it is ready. */
  static async start({ server, upstream }: Place): Promise<SuiteServer> {
    const behind = upstream === null ? [] : [await Program.start(upstream)];
    try {
      return new SuiteServer([await Program.start(server), ...behind]);
    } catch (error) {
      for (const program of behind) await program.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    for (const program of this.#programs) await program.stop();
  }
}

/** Is something listening there already? */
export function portTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ port, host: '127.0.0.1' });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
