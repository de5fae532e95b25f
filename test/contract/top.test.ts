// `wiredis top` on a real terminal: script(1) gives it one. Keys, resizing, a dumb terminal, and a clean screen afterwards.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram } from '../../src/cli/lab/process.ts';
import type { TopReading } from '../../src/observe/top-feed.ts';
import { BuiltServer, build } from '../support/built-server.ts';
import { Peer } from '../support/redis-server.ts';

const CLEAR_LINE = '\x1b[K';

let server: BuiltServer;
let peer: Peer;

beforeAll(async () => {
  server = await BuiltServer.start();
  peer = new Peer(server.port);
  await peer.ask('SET', 'a', 'b');
}, 60_000);

afterAll(async () => {
  peer?.close();
  await server?.stop();
});

const cli = (): string => join(build(), 'src', 'cli', 'wiredis.js');

/** The tool on a terminal of its own. */
class Screen {
  said = '';
  code: number | null = null;
  readonly #child: ChildProcess;

  constructor(prepare: string, words: string, env: Record<string, string> = {}) {
    const command = `${prepare}; exec ${process.execPath} ${cli()} top --server ${server.pid} --interval 0.2 ${words}`;
    this.#child = spawn('script', ['-qec', command, '/dev/null'], {
      env: { ...process.env, TERM: 'xterm', NO_COLOR: '', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stdout!.on('data', (data) => (this.said += data));
    this.#child.on('exit', (code) => {
      this.code = code ?? -1;
    });
  }

  press(key: string): void {
    this.#child.stdin!.write(key);
  }

  /** The lines of the latest whole screen. */
  get lines(): string[] {
    const screens = this.said.split('\x1b[H').filter((screen) => screen.includes('\x1b[J'));
    const latest = (screens.at(-1) ?? '').split('\x1b[J')[0];
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal is told.
    return latest.split(/\r+\n/).map((line) => line.replace(CLEAR_LINE, '').replace(/\x1b\[\d+m/g, ''));
  }

  async shows(what: RegExp | ((lines: string[]) => boolean)): Promise<string[]> {
    const holds = (): boolean =>
      what instanceof RegExp ? what.test(this.lines.join('\n')) : this.lines.length > 1 && what(this.lines);
    await expect
      .poll(holds, { timeout: 15_000, message: `${what} in ${JSON.stringify(this.said.slice(-2000))}` })
      .toBe(true);
    return this.lines;
  }

  async quit(): Promise<void> {
    this.press('q');
    await expect.poll(() => this.code, { timeout: 10_000 }).toBe(0);
  }
}

describe.skipIf(!hasProgram('script'))('wiredis top on a terminal', () => {
  it('fills the screen, obeys keys, and leaves it as it was', async () => {
    const screen = new Screen('stty cols 100 rows 30', '');
    const lines = await screen.shows(/s sort \(traffic\)/);
    expect(lines[0]).toMatch(/^wiredis 127\.0\.0\.1 port \d+ {2}kernel sockets/);
    expect(lines.at(-1)).toHaveLength(100);
    expect(lines.length).toBeLessThanOrEqual(30);
    expect(screen.said).toContain('\x1b[?1049h');
    expect(screen.said).toContain('\x1b[1mwiredis');
    screen.press('s');
    await screen.shows(/s sort \(received\)/);
    screen.press('p');
    await screen.shows(/paused/);
    const still = screen.lines;
    await peer.ask('SET', 'a', 'c');
    await new Promise((done) => setTimeout(done, 700));
    expect(screen.lines).toEqual(still);
    screen.press('p');
    await screen.shows(/p pause/);
    await screen.quit();
    expect(screen.said.endsWith('\x1b[?25h\x1b[?1049l')).toBe(true);
  });

  it('follows the size of its window', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'wiredis-top-'));
    const word = join(folder, 'shrink');
    const later = `until [ -e ${word} ] || [ ! -d ${folder} ]; do sleep 0.1; done; stty cols 50 rows 8 </dev/tty`;
    const screen = new Screen(`stty cols 120 rows 40; { ${later}; } & true`, '');
    await screen.shows((lines) => lines.at(-1)?.length === 120);
    writeFileSync(word, '');
    const small = await screen.shows((lines) => lines.at(-1)?.length === 50);
    expect(small.length).toBeLessThanOrEqual(8);
    expect(small.filter((line) => line.length > 50)).toEqual([]);
    await screen.quit();
    rmSync(folder, { recursive: true });
  });

  it.each([
    ['--no-colour', {}],
    ['', { NO_COLOR: '1' }],
  ])('has no colours when told so (%s %o)', async (words, env) => {
    const screen = new Screen('stty cols 100 rows 30', words, env);
    await screen.shows(/s sort/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal is told.
    expect(screen.said).not.toMatch(/\x1b\[\d+m/);
    await screen.quit();
  });

  it('prints one screen after the other where nothing can be drawn over', async () => {
    const screen = new Screen('true', '', { TERM: 'dumb' });
    await expect.poll(() => screen.said.split('commands/s').length, { timeout: 15_000 }).toBeGreaterThan(3);
    expect(screen.said).not.toContain('\x1b');
    screen.press('\x03');
    await expect.poll(() => screen.code, { timeout: 10_000 }).toBe(0);
  });
});

describe('wiredis top for programs', () => {
  const run = (...words: string[]): string =>
    execFileSync(process.execPath, [cli(), 'top', '--server', String(server.pid), '--interval', '0.2', ...words], {
      encoding: 'utf8',
    });

  it('has one look as text', () => {
    const text = run('--once');
    expect(text).toMatch(/^wiredis 127\.0\.0\.1 port \d+ {2}kernel sockets {2}up /);
    expect(text).toMatch(/^Id +Address/m);
    expect(text).not.toContain('\x1b');
  });

  it('has one look as JSON', () => {
    const { server: identity, reading, connections } = JSON.parse(run('--once', '--json')) as TopReading;
    expect(identity).toMatchObject({ transport: 'kernel', engine: null, pid: server.pid, port: server.port });
    expect(reading.clients).toBe(1);
    expect(reading.latency).toHaveProperty('p99');
    expect(connections).toHaveLength(1);
    expect(connections[0].command).toBe('set');
  });

  it('says what is wrong with a wish', () => {
    expect(() => run('--sort', 'beauty')).toThrow(/--sort wants one of traffic/);
  });
});
