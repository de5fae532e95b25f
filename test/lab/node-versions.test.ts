// The package, installed into a clean prefix by each Node that it is for: both commands, over the kernel's sockets and over
// AF_XDP (which is koffi's test too). A Node comes from npm's registry into a cache outside of the repository, and what
// cannot be had is skipped, with the reason. WIREDIS_NODE_VERSIONS=22,24 picks some.
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { must } from '../../src/cli/lab/process.ts';
import { installGlobally, manifest, npm, packTarball, tryRegistry } from '../support/package-tarball.ts';
import { describeLab, eventually, openLab, PORT } from './fixture.ts';

const VERSIONS = (process.env.WIREDIS_NODE_VERSIONS ?? '20,22,24,26').split(',');
const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'wiredis', 'node');

/**
 * A Node of that major version, in the cache from now on.
 * @returns its path, or why it cannot be had.
 */
async function fetchNode(major: string): Promise<{ readonly node: string } | { readonly problem: string }> {
  const place = join(CACHE, `${major}-${process.arch}`);
  const node = join(place, 'bin', 'node');
  if (existsSync(node)) return { node };
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'new-'));
  try {
    // The binary as Node's project builds it, in the package that `npm i node` uses.
    const words = ['pack', `node-linux-${process.arch}@${major}`, '--pack-destination', folder, '--prefer-offline'];
    const problem = await tryRegistry(() => npm(process.execPath, words, folder));
    if (problem !== null) return { problem };
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))!;
    await must(['tar', '-xzf', join(folder, tarball), '-C', folder, 'package/bin/node']);
    if (!existsSync(node)) {
      rmSync(place, { recursive: true, force: true });
      renameSync(join(folder, 'package'), place);
    }
    return { node };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describeLab('the package', () => {
  let lab: Lab;
  let folder = '';
  let tarball = '';
  beforeAll(async () => {
    lab = await openLab();
    folder = mkdtempSync(join(tmpdir(), 'wiredis-nodes-'));
    tarball = await packTarball(folder);
  });
  afterAll(async () => {
    await lab?.down();
    rmSync(folder, { recursive: true, force: true });
  });

  it.for(VERSIONS)('on Node %s', async (major, context) => {
    const fetched = await fetchNode(major);
    if ('problem' in fetched) return context.skip(`Node ${major}: ${fetched.problem}`);
    const { node } = fetched;
    expect((await must([node, '--version'])).trim()).toMatch(new RegExp(`^v${major}\\.`));
    const prefix = join(folder, `prefix-${major}`);
    const problem = await installGlobally(node, tarball, prefix);
    if (problem !== null) return context.skip(problem);
    const path = [join(prefix, 'bin'), dirname(node), process.env.PATH].join(delimiter);
    const command = (...words: string[]): string[] => ['env', `PATH=${path}`, ...words];

    expect(await must(command('wiredis-server', '--version'))).toContain(`wiredis-server ${manifest.version}`);
    expect(await must(command('wiredis', 'help'))).toContain('doctor');
    const { direct, kernel } = lab.plan.links;
    const over: readonly (readonly [address: string, words: readonly string[]])[] = [
      [kernel.serverAddress, ['--transport', 'kernel']],
      [direct.serverAddress, ['--netdev', lab.netdevFile('direct'), '--engine', 'afxdp']],
    ];
    for (const [address, words] of over) {
      const all = [
        'wiredis-server',
        ...words,
        '--bind',
        address,
        '--protected-mode',
        'no',
        '--save',
        '',
        '--dir',
        folder,
      ];
      const server = lab.start('server', command(...all), { stdio: ['ignore', 'pipe', 'pipe'] });
      try {
        await serves(server, address);
        const doctor = command('wiredis', 'doctor', '--server', String(server.pid), '--peer', direct.clientAddress);
        const found = await lab.run('server', doctor);
        expect(found.code, found.stdout + found.stderr).toBe(0);
        expect(found.stdout).toContain(`Node ${major}.`);
        if (address === direct.serverAddress) expect(found.stdout).toMatch(/pass {2}peer .* answers in/);
      } finally {
        await stop(server);
      }
    }
  });

  async function serves(server: ChildProcess, address: string): Promise<void> {
    let said = '';
    for (const stream of [server.stdout!, server.stderr!]) stream.on('data', (data) => (said += data));
    await eventually(
      () => (server.exitCode === null ? Promise.resolve(said) : Promise.reject(new Error(`it ended: ${said}`))),
      (log) => log.includes('Ready to accept connections'),
      30_000,
    );
    const cli = ['timeout', '10', 'redis-cli', '-h', address, '-p', String(PORT)];
    const value = 'x'.repeat(50_000);
    expect((await lab.run('client', [...cli, '-x', 'SET', 'a'], value)).stdout).toBe('OK\n');
    expect((await lab.run('client', [...cli, 'GET', 'a'])).stdout.trim()).toBe(value);
    expect((await lab.run('client', [...cli, 'EVAL', 'return redis.call("STRLEN", "a")', '0'])).stdout).toBe('50000\n');
    const load = await lab.run('client', ['redis-benchmark', '-h', address, '-n', '5000', '-t', 'get', '-q']);
    expect(load.code).toBe(0);
  }

  async function stop(server: ChildProcess): Promise<void> {
    if (server.exitCode === null && server.signalCode === null) {
      const gone = new Promise((resolve) => server.once('exit', resolve));
      server.kill('SIGTERM');
      await gone;
    }
    expect(server.exitCode).toBe(0);
  }
});
