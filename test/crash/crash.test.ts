// Crash safety over the kernel's sockets: with `appendfsync always` no acknowledged write is lost by SIGKILL at any
// moment, nor by a disk that fills up, and no file is left that does not load. scripts/crash.sh runs it at length.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram } from '../../src/cli/lab/process.ts';
import { freePort, Peer } from '../support/redis-server.ts';
import {
  type Acknowledged,
  crashDirectives,
  crashRounds,
  DISKS,
  fullDiskDirectives,
  fullDiskRounds,
  ROUNDS,
  type Victim,
  verify,
} from './rounds.ts';
import { mayMount, SmallDisk } from './small-disk.ts';

const build = mkdtempSync(join(tmpdir(), 'wiredis-crash-build-'));
const script = join(build, 'src', 'cli', 'wiredis-server.js');
let folder = '';
let latest: Server | null = null;

beforeAll(() => {
  const compiler = join('node_modules', 'typescript', 'bin', 'tsc');
  execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', build]);
  writeFileSync(join(build, 'package.json'), '{ "type": "module" }');
  symlinkSync(resolve('node_modules'), join(build, 'node_modules'));
}, 60_000);

afterAll(() => rmSync(build, { recursive: true, force: true }));

afterEach(async () => {
  await latest?.kill();
  latest = null;
});

/** wiredis-server as a process, in `folder`. */
class Server implements Victim {
  readonly #port: number;
  readonly #child: ChildProcess;
  output = '';

  private constructor(port: number, child: ChildProcess) {
    this.#port = port;
    this.#child = child;
    child.stdout!.on('data', (data) => (this.output += data));
    child.stderr!.on('data', (data) => (this.output += data));
  }

  static async start(directives: readonly string[]): Promise<Server> {
    const port = await freePort();
    const words = [script, '--transport', 'kernel', '--port', String(port), '--dir', folder, ...directives];
    const server = new Server(port, spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] }));
    latest = server;
    while (!server.output.includes('Ready to accept')) {
      if (server.ended) throw new Error(`the server did not start: ${server.output}`);
      await sleep(10);
    }
    return server;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  async ask(...words: string[]): Promise<string> {
    const peer = new Peer(this.#port);
    const reply = await peer.ask(...words);
    peer.close();
    if (reply === null || typeof reply === 'string') return reply ?? '';
    return 'items' in reply ? reply.items.join('\n') : JSON.stringify(reply);
  }

  write(seed: number): Promise<string> {
    const writer = spawn(process.execPath, ['test/crash/writer.js', '127.0.0.1', String(this.#port), String(seed)]);
    let printed = '';
    writer.stdout.on('data', (data) => (printed += data));
    return new Promise((resolve) => writer.on('close', () => resolve(printed)));
  }

  async end(): Promise<void> {
    while (!this.ended) await sleep(10);
    expect(this.exitCode, this.output).toBe(1);
  }

  async kill(): Promise<void> {
    if (this.ended) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await gone;
  }
}

describe('a server that is killed', () => {
  it(
    `loses nothing that it acknowledged (${ROUNDS} times)`,
    async () => {
      folder = mkdtempSync(join(tmpdir(), 'wiredis-crash-'));
      try {
        await crashRounds((round) => Server.start(crashDirectives(round)));
        const manifest = join(folder, 'appendonlydir', 'appendonly.aof.manifest');
        expect(existsSync(manifest)).toBe(true);
        if (hasProgram('redis-check-aof')) execFileSync('redis-check-aof', [manifest]);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    60_000 + ROUNDS * 10_000,
  );
});

describe.skipIf(!mayMount)('a disk that fills up', () => {
  let disk: SmallDisk;

  const onSmallDisk = async (body: () => Promise<void>): Promise<void> => {
    disk = new SmallDisk(256);
    folder = disk.folder;
    try {
      await body();
    } finally {
      await latest?.kill();
      disk.remove();
    }
  };

  it(
    `costs nothing that was acknowledged (${DISKS} times)`,
    () =>
      fullDiskRounds((where, round) => {
        folder = where;
        return Server.start(fullDiskDirectives(round));
      }),
    60_000 + DISKS * 60_000,
  );

  it(
    'ends a server that promised safety, and nothing acknowledged is lost',
    () =>
      onSmallDisk(async () => {
        const directives = [...crashDirectives(1), '--auto-aof-rewrite-percentage', '0'];
        const server = await Server.start(directives);
        const acknowledged = JSON.parse(await server.write(3)) as Acknowledged[];
        while (!server.ended) await sleep(10);
        expect(server.exitCode).toBe(1);
        expect(server.output).toContain("Can't recover from AOF write error when the AOF fsync policy is 'always'");
        disk.grow(8 * 1024);
        const next = await Server.start(directives);
        await verify(next, acknowledged);
      }),
    60_000,
  );

  it(
    'makes a server refuse writes until there is room again',
    () =>
      onSmallDisk(async () => {
        const directives = [...crashDirectives(1), '--auto-aof-rewrite-percentage', '0', '--appendfsync', 'everysec'];
        const server = await Server.start(directives);
        const value = 'v'.repeat(20_000);
        let stored = 0;
        while ((await server.ask('RPUSH', 'l', value)).startsWith('{"type":":"')) stored++;
        expect(await server.ask('SET', 'a', '1')).toContain(
          'MISCONF Errors writing to the AOF file: No space left on device',
        );
        expect(await server.ask('LLEN', 'l')).toContain(String(stored));
        disk.grow(8 * 1024);
        for (let waited = 0; (await server.ask('SET', 'a', '1')).includes('MISCONF') && waited < 200; waited++)
          await sleep(100);
        expect(await server.ask('SET', 'a', '2')).toContain('OK');
        await sleep(200);
        await server.kill();
        const next = await Server.start(directives);
        expect(await next.ask('GET', 'a')).toBe('2');
        expect(await next.ask('LLEN', 'l')).toContain(String(stored));
      }),
    60_000,
  );

  it(
    'leaves the old dump file as it was',
    () =>
      onSmallDisk(async () => {
        const server = await Server.start(['--save', '']);
        await server.ask('SET', 'a', '1');
        expect(await server.ask('SAVE')).toContain('OK');
        const before = readFileSync(join(folder, 'dump.rdb'));
        for (let i = 0; i < 40; i++)
          await server.ask(
            'SET',
            `k${i}`,
            Buffer.from(Array.from({ length: 10_000 }, (_, n) => (n * n * 31 + i) % 251)).toString('latin1'),
          );
        await server.ask('CONFIG', 'SET', 'rdbcompression', 'no');
        await server.ask('BGSAVE');
        while ((await server.ask('INFO', 'persistence')).includes('rdb_bgsave_in_progress:1')) await sleep(10);
        expect(await server.ask('INFO', 'persistence')).toContain('rdb_last_bgsave_status:err');
        expect(server.output).toContain('Write error saving DB on disk: No space left on device');
        expect(await server.ask('SAVE')).toContain('ERR');
        expect(readFileSync(join(folder, 'dump.rdb')).equals(before)).toBe(true);
        await server.kill();
        const next = await Server.start(['--save', '']);
        expect(await next.ask('GET', 'a')).toBe('1');
      }),
    60_000,
  );
});
