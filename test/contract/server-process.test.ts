// wiredis-server as a process, over the kernel's sockets: how it starts, how it is told to end, what it leaves behind.
// It is built for the test, since that is how it is run.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { freePort } from '../support/redis-server.ts';

const build = mkdtempSync(join(tmpdir(), 'wiredis-build-'));
const script = join(build, 'src', 'cli', 'wiredis-server.js');
let folder = '';
let port = 0;
let child: ChildProcess | null = null;

beforeAll(() => {
  const compiler = join('node_modules', 'typescript', 'bin', 'tsc');
  execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', build]);
  writeFileSync(join(build, 'package.json'), '{ "type": "module" }');
  symlinkSync(resolve('node_modules'), join(build, 'node_modules'));
  return () => rmSync(build, { recursive: true });
}, 60_000);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wiredis-process-'));
  port = await freePort();
});

afterEach(() => {
  if (child?.exitCode === null) child.kill('SIGKILL');
  child = null;
  rmSync(folder, { recursive: true, force: true });
});

const words = (...more: string[]): string[] => [
  '--transport',
  'kernel',
  '--port',
  String(port),
  '--dir',
  folder,
  ...more,
];
const logFile = (): string => readFileSync(join(folder, 'server.log'), 'utf8');

async function until(what: () => boolean, ms = 15_000): Promise<void> {
  for (let waited = 0; !what(); waited += 10) {
    if (waited > ms) throw new Error(`waited in vain for ${what}`);
    await sleep(10);
  }
}

/** Starts the server; its log is in server.log. @param nodeOptions come before the script. */
async function start(more: readonly string[] = [], nodeOptions: readonly string[] = []): Promise<ChildProcess> {
  const args = [...nodeOptions, script, ...words('--logfile', 'server.log', ...more)];
  const started = spawn(process.execPath, args, { stdio: 'ignore' });
  child = started;
  await until(
    () => started.exitCode !== null || (existsSync(join(folder, 'server.log')) && logFile().includes('Ready')),
  );
  return started;
}

const exitOf = (process: ChildProcess): Promise<number | null> =>
  process.exitCode !== null
    ? Promise.resolve(process.exitCode)
    : new Promise((resolve) => process.once('exit', (code) => resolve(code)));

async function open(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

/** Sends inline commands; resolves with everything up to a reply that ends in `last`, or the end. */
async function ask(text: string, last = '\r\n'): Promise<string> {
  const socket = await open();
  let got = '';
  socket.setEncoding('latin1');
  return new Promise((resolve) => {
    socket.on('data', (chunk: string) => {
      got += chunk;
      if (got.endsWith(last)) socket.destroy();
    });
    socket.on('close', () => resolve(got));
    socket.write(text);
  });
}

/** Enough keys for loading and saving to take a while. */
async function fill(): Promise<void> {
  const lines: string[] = [];
  for (let i = 0; i < 300_000; i++) lines.push(`SET key:${i} ${i * 7919}`);
  await ask(`${lines.join('\r\n')}\r\nECHO done\r\n`, 'done\r\n');
}

test('a redis.conf like a distribution\u2019s: daemon, pid file, log; a second one says why not', async () => {
  const conf = join(folder, 'redis.conf');
  const lines = ['bind 127.0.0.1 -::1', `port ${port}`, 'daemonize yes', 'pidfile server.pid', 'logfile server.log'];
  writeFileSync(conf, [...lines, `dir ${folder}`, 'io-threads 4', 'appendonly no'].join('\n'));
  const first = spawnSync(process.execPath, [script, conf, '--transport', 'kernel'], { encoding: 'utf8' });
  expect([first.status, first.stdout, first.stderr]).toEqual([0, '', '']);
  const pid = Number(readFileSync(join(folder, 'server.pid'), 'utf8'));
  try {
    expect(logFile()).toContain('# Settings without effect in this version: io-threads\n');
    expect(await ask('PING\r\n')).toBe('+PONG\r\n');
    const second = spawnSync(process.execPath, [script, conf, '--transport', 'kernel'], { encoding: 'utf8' });
    expect([second.status, second.stderr]).toEqual([1, expect.stringContaining('EADDRINUSE')]);
    expect(Number(readFileSync(join(folder, 'server.pid'), 'utf8'))).toBe(pid);
  } finally {
    process.kill(pid, 'SIGTERM');
  }
  await until(() => !existsSync(join(folder, 'server.pid')));
  await until(() => logFile().includes('bye bye'));
});

test('what must not be ignored stops the start, with its line', () => {
  const conf = join(folder, 'redis.conf');
  writeFileSync(conf, `port ${port}\ncluster-enabled yes\n`);
  const { status, stderr } = spawnSync(process.execPath, [script, conf], { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toContain(`at line 2 of ${conf}\n>>> 'cluster-enabled yes'\ncluster mode is not supported`);
});

test('SIGTERM while loading: exit code 0, the file stays as it was', async () => {
  const first = await start();
  await fill();
  await ask('SHUTDOWN\r\n');
  expect(await exitOf(first)).toBe(0);
  const before = readFileSync(join(folder, 'dump.rdb'));
  rmSync(join(folder, 'server.log'));
  const args = [
    script,
    ...words('--logfile', 'server.log', '--pidfile', 'server.pid', '--shutdown-on-sigterm', 'save'),
  ];
  const second = spawn(process.execPath, args, { stdio: 'ignore' });
  child = second;
  await until(() => existsSync(join(folder, 'server.pid')));
  second.kill('SIGTERM');
  expect(await exitOf(second)).toBe(0);
  expect(logFile()).toContain('Received SIGTERM during loading, exiting now.');
  expect(logFile()).not.toContain('Ready');
  expect(readFileSync(join(folder, 'dump.rdb')).equals(before)).toBe(true);
  expect(existsSync(join(folder, 'server.pid'))).toBe(false);
});

test('killed in the middle of SAVE: the old file stays', async () => {
  const server = await start();
  await ask('SET old value\r\n');
  expect(await ask('SAVE\r\n')).toBe('+OK\r\n');
  const before = readFileSync(join(folder, 'dump.rdb'));
  await fill();
  const socket = await open();
  socket.write('SAVE\r\n');
  await until(() => existsSync(join(folder, `temp-${server.pid}.rdb`)));
  server.kill('SIGKILL');
  await exitOf(server);
  expect(readFileSync(join(folder, 'dump.rdb')).equals(before)).toBe(true);
});

test('a dataset that cannot be saved keeps the server up', async () => {
  const elsewhere = join(folder, 'data');
  mkdirSync(elsewhere);
  const server = await start(['--save', '60 1', '--dir', elsewhere, '--logfile', join(folder, 'server.log')]);
  await ask('SET k v\r\n');
  rmSync(elsewhere, { recursive: true });
  expect(await ask('SAVE\r\n')).toContain('-ERR Cannot write');
  expect(await ask('SHUTDOWN\r\n')).toBe('-ERR Errors trying to SHUTDOWN. Check logs.\r\n');
  server.kill('SIGTERM');
  await until(() => logFile().includes('SIGTERM received but errors trying to shut down'));
  expect(await ask('GET k\r\n', 'v\r\n')).toBe('$1\r\nv\r\n');
  expect(await ask('SHUTDOWN ABORT\r\n')).toBe('-ERR No shutdown in progress.\r\n');
  expect(await ask('SHUTDOWN SAVE NOSAVE\r\n')).toBe('-ERR syntax error\r\n');
  expect(await ask('SHUTDOWN NOW FORCE\r\n')).toBe('');
  expect(await exitOf(server)).toBe(0);
});

test('a client that does not read, and a second SIGTERM, do not hold the exit', async () => {
  const server = await start(['--save', '']);
  await ask('SETRANGE big 20000000 x\r\n');
  const socket = await open();
  socket.pause();
  socket.write('GET big\r\nGET big\r\n');
  await sleep(100);
  server.kill('SIGTERM');
  await sleep(50);
  server.kill('SIGTERM');
  // It never reads: who waits for it waits for ever.
  expect(await exitOf(server)).toBe(0);
  socket.destroy();
});

test('nobody reads the log any more', async () => {
  const server = spawn(process.execPath, [script, ...words('--save', '')], { stdio: ['ignore', 'pipe', 'ignore'] });
  child = server;
  await new Promise((resolve) => server.stdout.once('data', resolve));
  server.stdout.destroy();
  for (let i = 1; i <= 3; i++) expect(await ask(`CONFIG SET list-compress-depth ${i}\r\n`)).toBe('+OK\r\n');
  server.kill('SIGTERM');
  expect(await exitOf(server)).toBe(0);
});

test('a bug is reported in one block, and the process ends with exit code 1', async () => {
  const bug = "data:text/javascript,process.once('SIGIO', () => { throw new Error('boom') })";
  const server = await start(['--pidfile', 'server.pid'], ['--import', bug]);
  server.kill('SIGIO');
  expect(await exitOf(server)).toBe(1);
  const report = /BUG REPORT START[\s\S]*BUG REPORT END/.exec(logFile())?.[0] ?? '';
  expect(report).toMatch(/^wiredis .* crashed: Error: boom$/m);
  expect(report).toMatch(/^node v[\d.]+ linux .*, up \d+ seconds, pid \d+$/m);
  expect(report).toMatch(/^ {4}at /m);
  expect(existsSync(join(folder, 'server.pid'))).toBe(false);
});
