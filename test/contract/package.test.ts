// The package as `npm pack` makes it, installed into a clean prefix: both commands run from there, with a server that
// answers, its metrics and its page. Needs the packages' registry, or npm's cache of it.
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, Peer } from '../support/redis-server.ts';

const run = promisify(execFile);
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { files: string[]; version: string };
let folder = '';
let bin = '';
let problem = '';
let server: ChildProcess | null = null;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wiredis-package-'));
  const source = join(folder, 'source');
  for (const name of ['package.json', ...manifest.files.filter((name) => name !== 'dist')]) {
    if (existsSync(name)) cpSync(name, join(source, name), { recursive: true });
  }
  const compiler = resolve('node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', join(source, 'dist')]);
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel', 'error'];
  await run('npm', ['pack', source, '--pack-destination', folder, ...quiet], { cwd: folder });
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))!;
  const prefix = join(folder, 'prefix');
  const install = ['install', '-g', '--prefix', prefix, '--prefer-offline', '--omit=optional', join(folder, tarball)];
  try {
    await run('npm', [...install, ...quiet], { cwd: folder, timeout: 150_000 });
  } catch (error) {
    // Without a registry there is nothing to be tested; anything else is a fault.
    const text = String((error as { stderr?: string }).stderr);
    if (!/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENOTCACHED/.test(text)) throw error;
    problem = text;
  }
  bin = join(prefix, 'bin');
}, 240_000);

afterAll(() => {
  server?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

describe('the package', () => {
  it('installs into a clean prefix and serves from there', async (context) => {
    if (problem !== '') context.skip(`no registry: ${problem.split('\n')[0]}`);
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
