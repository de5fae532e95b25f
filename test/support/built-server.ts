// wiredis-server as a process of its own, built for the test: for what a server in the test's process cannot show,
// such as what others see while its event loop stands still.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort, Peer } from './redis-server.ts';

let built = '';

/** Builds once per test file. @returns the folder. */
export function build(): string {
  if (built !== '') return built;
  built = mkdtempSync(join(tmpdir(), 'wiredis-built-'));
  const compiler = join('node_modules', 'typescript', 'bin', 'tsc');
  execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', built]);
  writeFileSync(join(built, 'package.json'), '{ "type": "module" }');
  symlinkSync(resolve('node_modules'), join(built, 'node_modules'));
  process.once('exit', () => rmSync(built, { recursive: true, force: true }));
  return built;
}

export class BuiltServer {
  readonly port: number;
  readonly #folder: string;
  readonly #process: ChildProcess;

  /** What it has logged so far. */
  readonly log: () => string;

  private constructor(port: number, folder: string, child: ChildProcess, log: () => string) {
    this.log = log;
    this.port = port;
    this.#folder = folder;
    this.#process = child;
  }

  /** @param directives of redis.conf. */
  static async start(directives: Readonly<Record<string, string | number>> = {}): Promise<BuiltServer> {
    const script = join(build(), 'src', 'cli', 'wiredis-server.js');
    const folder = mkdtempSync(join(tmpdir(), 'built-server-'));
    const port = await freePort();
    const all = { port, bind: '127.0.0.1', save: '', transport: 'kernel', dir: folder, ...directives };
    const words = Object.entries(all).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const child = spawn(process.execPath, [script, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
    let log = '';
    await new Promise<void>((ready, failed) => {
      child.stdout.on('data', (data: Buffer) => {
        log += data.toString();
        if (log.includes('Ready to accept connections')) ready();
      });
      child.on('exit', () => failed(new Error(`the server did not start: ${log}`)));
    });
    return new BuiltServer(port, folder, child, () => log);
  }

  get pid(): number {
    return this.#process.pid!;
  }

  connect(): Peer {
    return new Peer(this.port);
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((done) => child.once('exit', done));
      child.kill('SIGKILL');
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
