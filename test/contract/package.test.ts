// The package as `npm pack` makes it, installed into a clean prefix: both commands run from there, with a server that
// answers, its metrics and its page. Needs the packages' registry, or npm's cache of it.
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installGlobally, manifest, packTarball } from '../support/package-tarball.ts';
import { freePort, Peer } from '../support/redis-server.ts';

const run = promisify(execFile);
let folder = '';
let tarball = '';
let bin = '';
let problem: string | null = null;
let server: ChildProcess | null = null;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wiredis-package-'));
  const prefix = join(folder, 'prefix');
  tarball = await packTarball(folder);
  problem = await installGlobally(process.execPath, tarball, prefix);
  bin = join(prefix, 'bin');
}, 240_000);

afterAll(() => {
  server?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

describe('the package', () => {
  it('holds what is run and what is read, and nothing else', () => {
    const paths = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
    const files = paths.map((path) => path.replace(/^package\//, ''));
    const kinds = new Set(files.map((file) => /^(dist\/[a-z-]+|docs|packaging)\//.exec(file)?.[1] ?? file));
    expect([...kinds].sort()).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'dist/io-engine',
      'dist/src',
      'dist/stack',
      'docs',
      'netdev.conf',
      'package.json',
      'packaging',
      'scripts/install-service.sh',
    ]);
    const ends = new Set(
      files.filter((file) => file.startsWith('dist/')).map((file) => /(\.d)?\.[a-z]+$/.exec(file)?.[0]),
    );
    expect([...ends].sort()).toEqual(['.d.ts', '.js']);
  });

  it('installs into a clean prefix and serves from there', async (context) => {
    if (problem !== null) context.skip(problem);
    expect((await run(join(bin, 'wiredis-server'), ['--version'])).stdout).toContain(
      `wiredis-server ${manifest.version}`,
    );
    expect((await run(join(bin, 'wiredis'), ['help'])).stdout).toContain('lab');
    const [port, metrics] = [await freePort(), await freePort()];
    const words = ['--transport', 'kernel', '--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--dir', folder];
    server = spawn(join(bin, 'wiredis-server'), [...words, '--metrics-port', `${metrics}`, '--log-format', 'json']);
    const lines: string[] = [];
    await new Promise<void>((ready, failed) => {
      server!.stdout!.on('data', (data: Buffer) => {
        lines.push(...data.toString().split('\n').filter(Boolean));
        if (lines.some((line) => line.includes('Ready to accept'))) ready();
      });
      server!.stderr!.on('data', (data: Buffer) => failed(new Error(data.toString())));
    });
    // Every line is an object, from the first on.
    expect(lines.map((line) => JSON.parse(line).level)).toEqual(expect.arrayContaining(['notice']));
    const peer = new Peer(port);
    expect(await peer.ask('SET', 'a', '1')).toBeDefined();
    peer.close();
    const page = await (await fetch(`http://127.0.0.1:${metrics}/`)).text();
    for (const [, path] of page.matchAll(/(?:src|href)="(\/[a-z]+\.(?:js|css))"/g)) {
      expect((await fetch(`http://127.0.0.1:${metrics}${path}`)).status, path).toBe(200);
    }
    for (const script of ['app', 'charts', 'connections', 'sequence', 'text', 'uplot']) {
      expect((await fetch(`http://127.0.0.1:${metrics}/${script}.js`)).status, script).toBe(200);
    }
    expect(await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text()).toContain(
      'redis_commands_total{cmd="set"} 1',
    );
  }, 60_000);
});
