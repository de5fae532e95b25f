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
}

const START_TIMEOUT_MS = 20_000;

/** What the suite asks of any server: everything switched on, nothing saved by itself. */
const SWITCHES = [
  ...['--save', '', '--enable-debug-command', 'yes', '--enable-protected-configs', 'yes'],
  ...['--enable-module-command', 'yes', '--daemonize', 'no'],
];

/** The words for `core relay`, with a redis-server behind it that has what the suite asks for. */
function coreWords(core: string): string[] {
  if (core === 'embedded') return SWITCHES;
  const command = ['redis-server', ...SWITCHES].map((word) => (word === '' ? '""' : word)).join(' ');
  return ['--core', 'relay', '--relay-spawn', command];
}

/** @param script wiredis-server.js, or null for the redis-server that is installed. */
export function kernelPlace(script: string | null, port: number, core = 'embedded'): Place {
  const program = script === null ? ['redis-server'] : [process.execPath, script, '--transport', 'kernel'];
  return {
    host: '127.0.0.1',
    port,
    client: (command) => [...command],
    server: [...program, '--bind', '127.0.0.1', '--port', String(port), ...coreWords(core)],
  };
}

export function userspacePlace(lab: Lab, script: string, engine: string, port: number, core = 'embedded'): Place {
  const link = engine === 'tap' ? 'tap' : 'direct';
  const host = lab.plan.links[link].serverAddress;
  const where = ['--transport', 'userspace', '--netdev', lab.netdevFile(link), '--engine', engine, '--bind', host];
  return {
    host,
    port,
    client: (command) => lab.argv('client', command),
    server: lab.argv('server', [
      ...[process.execPath, script, ...where, '--port', String(port), '--protected-mode', 'no', ...coreWords(core)],
    ]),
  };
}

export class SuiteServer {
  readonly #child: ChildProcess;
  readonly #directory: string;
  /** The last of what it printed. */
  output = '';

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
  static async start(place: Place): Promise<SuiteServer> {
    const directory = mkdtempSync(join(tmpdir(), 'wiredis-suite-'));
    const [program, ...words] = place.server;
    const child = spawn(program, words, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
    const server = new SuiteServer(child, directory);
    for (let waitedMs = 0; waitedMs < START_TIMEOUT_MS && server.alive; waitedMs += 50) {
      if (server.output.includes('Ready to accept connections')) return server;
      await sleep(50);
    }
    const said = server.output.trim().split('\n').slice(-3).join(' / ');
    await server.stop();
    throw new Error(`the server did not start: ${said}`);
  }

  /** @returns whether it was still there to be stopped. */
  async stop(): Promise<boolean> {
    const wasAlive = this.alive;
    if (wasAlive) {
      const exited = new Promise((resolve) => this.#child.once('exit', resolve));
      await stopProcesses([this.#child.pid!], 5000);
      await exited;
    }
    rmSync(this.#directory, { recursive: true, force: true });
    return wasAlive;
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
