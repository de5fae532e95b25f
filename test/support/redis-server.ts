// A real redis-server on loopback, with a port and a directory of its own, and a client that keeps each reply's bytes.
// Tests that need it are skipped where redis-server 7.0 is not installed.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseReply, type Reply, request } from './replies.ts';

export const redisInstalled = installedVersion().includes('v=7.0.');

function installedVersion(): string {
  try {
    return execFileSync('redis-server', ['--version'], { encoding: 'utf8' });
  } catch {
    return '';
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

export class RedisServer {
  readonly port: number;
  /** Its `dir`, removed by `stop`. */
  readonly directory: string;
  readonly #process: ChildProcess;

  private constructor(port: number, directory: string, child: ChildProcess) {
    this.port = port;
    this.directory = directory;
    this.#process = child;
  }

  /**
   * @param directives of redis.conf. @param prepare puts files into the directory before the server starts.
   * @param environment added to the process's own.
   */
  static async start(
    directives: Readonly<Record<string, string | number>> = {},
    prepare: (directory: string) => void = () => {},
    environment: NodeJS.ProcessEnv = {},
  ): Promise<RedisServer> {
    const directory = mkdtempSync(join(tmpdir(), 'redis-server-'));
    prepare(directory);
    const port = await freePort();
    const all = { port, bind: '127.0.0.1', save: '', dir: directory, 'enable-debug-command': 'yes', ...directives };
    const words = Object.entries(all).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const child = spawn('redis-server', words, {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, ...environment },
    });
    await new Promise<void>((resolve, reject) => {
      let log = '';
      child.stdout.on('data', (data: Buffer) => {
        log += data.toString();
        if (log.includes('Ready to accept connections')) resolve();
      });
      child.on('error', reject);
      child.on('exit', () => reject(new Error(`redis-server did not start: ${log}`)));
    });
    return new RedisServer(port, directory, child);
  }

  connect(): Peer {
    return new Peer(this.port);
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export interface Answer {
  readonly reply: Reply;
  readonly bytes: Buffer;
}

/** A client that sends requests in one write and waits for as many replies. */
export class Peer {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #chunks: Buffer[] = [];
  #wake: () => void = () => {};

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('error', () => this.#wake());
    this.#socket.on('close', () => this.#wake());
    this.#socket.on('data', (data: Buffer) => {
      this.#chunks.push(data);
      this.#wake();
    });
  }

  /** @param batch requests; their words are Latin-1. */
  run(batch: readonly (readonly string[])[]): Promise<Answer[]> {
    this.#socket.write(Buffer.from(batch.map(request).join(''), 'latin1'));
    return this.#take(batch.length);
  }

  /** The next reply or message, without a request. */
  async next(): Promise<Reply> {
    return (await this.#take(1))[0].reply;
  }

  async #take(count: number): Promise<Answer[]> {
    const answers: Answer[] = [];
    let at = 0;
    while (answers.length < count) {
      const parsed = at < this.#received.length ? parseReply(this.#received, at) : null;
      if (parsed !== null) {
        answers.push({ reply: parsed.reply, bytes: this.#received.subarray(at, parsed.end) });
        at = parsed.end;
        continue;
      }
      while (this.#chunks.length === 0) {
        if (this.#socket.destroyed) throw new Error('the server closed the connection');
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      this.#received = Buffer.concat([this.#received.subarray(at), ...this.#chunks]);
      this.#chunks = [];
      at = 0;
    }
    this.#received = this.#received.subarray(at);
    return answers;
  }

  async ask(...words: string[]): Promise<Reply> {
    return (await this.run([words]))[0].reply;
  }

  close(): void {
    this.#socket.destroy();
  }
}
