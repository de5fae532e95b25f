// The whole server over kernel sockets: starts, answers, saves at shutdown, and finds its data again.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, createServer as createNetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Config, createConfig } from './core/config.ts';
import { ServerStartError } from './core/server.ts';
import { silentLog } from './platform/log.ts';
import { isPersonsError, type RunningServer, startServer, systemWorld } from './server.ts';

const home = process.cwd();
let folder = '';
let running: RunningServer | null = null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wiredis-server-'));
});

afterEach(async () => {
  if (running !== null) await stopped(running, 'nosave');
  running = null;
  process.chdir(home);
  rmSync(folder, { recursive: true });
});

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createNetServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(address !== null && typeof address === 'object' ? address.port : 0));
    });
  });
}

async function start(change: (config: Config) => void = () => {}): Promise<RunningServer> {
  const config = createConfig();
  config.transport = 'kernel';
  config.bind = ['127.0.0.1', '-::1'];
  config.port = await freePort();
  config.dir = folder;
  change(config);
  running = await startServer({ config }, { ...systemWorld(config), log: silentLog });
  return running;
}

function stopped(server: RunningServer, save: 'default' | 'nosave'): Promise<void> {
  return new Promise((resolve) => {
    server.onStopped = resolve;
    server.shutdown({ save, now: false, force: false });
  });
}

/** Sends inline commands and collects until `wanted` is there or the server has closed. */
function talk(
  port: number,
  text: string,
  wanted: string,
): Promise<{ got: string; socket: Socket; ended: Promise<void> }> {
  return new Promise((resolve, reject) => {
    let got = '';
    const socket = createConnection({ host: '127.0.0.1', port });
    const ended = new Promise<void>((done) => socket.once('end', () => done()));
    socket.setEncoding('latin1');
    socket.on('error', reject);
    socket.on('data', (chunk: string) => {
      got += chunk;
      if (got.length >= wanted.length) resolve({ got, socket, ended });
    });
    socket.write(text);
  });
}

test('answers, saves at shutdown, ends its connections with FIN, and loads again', async () => {
  const first = await start((config) => {
    config.pidfile = join(folder, 'server.pid');
  });
  expect(readFileSync(join(folder, 'server.pid'), 'utf8')).toBe(`${process.pid}\n`);
  const wanted = '+OK\r\n:2\r\n+PONG\r\n';
  const { got, ended } = await talk(first.server.config.port, 'SET k v\r\nRPUSH l a b\r\nPING\r\n', wanted);
  expect(got).toBe(wanted);
  await stopped(first, 'default');
  await ended;
  expect(existsSync(join(folder, 'dump.rdb'))).toBe(true);
  expect(existsSync(join(folder, 'server.pid'))).toBe(false);

  const second = await start();
  const answer = '$1\r\nv\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n';
  const again = await talk(second.server.config.port, 'GET k\r\nLRANGE l 0 -1\r\n', answer);
  expect(again.got).toBe(answer);
  expect(second.server.persistence.lastLoadKeysLoaded).toBe(2);
  again.socket.destroy();
});

test('SHUTDOWN NOSAVE closes without a file', async () => {
  const server = await start();
  const closed = new Promise<void>((resolve) => {
    server.onStopped = resolve;
  });
  const { ended } = await talk(server.server.config.port, 'SET k v\r\nSHUTDOWN NOSAVE\r\n', '+OK\r\n');
  await Promise.all([ended, closed]);
  running = null;
  expect(existsSync(join(folder, 'dump.rdb'))).toBe(false);
});

test('a port in use is one clear line', async () => {
  const server = await start();
  const { port } = server.server.config;
  await expect(
    start((config) => {
      config.port = port;
    }),
  ).rejects.toThrow(`127.0.0.1:${port}: another process listens there: choose another port or stop it (EADDRINUSE)`);
});

test('CONFIG SET port moves the listener; connections stay', async () => {
  const server = await start();
  const from = server.server.config.port;
  const to = await freePort();
  const { socket } = await talk(from, `CONFIG SET port ${to}\r\n`, '+OK\r\n');
  let reply = '';
  for (let tries = 0; reply === '' && tries < 1000; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    reply = await talk(to, 'PING\r\n', '+PONG\r\n').then(
      (result) => {
        result.socket.destroy();
        return result.got;
      },
      () => '',
    );
  }
  expect(reply).toBe('+PONG\r\n');
  await expect(talk(from, 'PING\r\n', '+PONG\r\n')).rejects.toThrow('ECONNREFUSED');
  const pong = new Promise<string>((resolve) => socket.once('data', (chunk: string) => resolve(chunk)));
  socket.write('PING\r\n');
  expect(await pong).toBe('+PONG\r\n');
  socket.destroy();
});

test('half a command and a vanished client leave nothing', async () => {
  const server = await start();
  const { port } = server.server.config;
  const sockets = Array.from({ length: 20 }, () => createConnection({ host: '127.0.0.1', port }));
  await Promise.all(
    sockets.map((socket) => new Promise((resolve) => socket.write('*2\r\n$3\r\nGET\r\n$50\r\nhalf', resolve))),
  );
  for (const socket of sockets) socket.resetAndDestroy();
  await expect.poll(() => server.server.clients.size, { timeout: 10_000 }).toBe(0);
});

test("errors for a person: ours and those of system calls, not Node's own about a call", () => {
  expect(isPersonsError(new ServerStartError('no'))).toBe(true);
  expect(isPersonsError(Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES', errno: -13 }))).toBe(
    true,
  );
  expect(isPersonsError(Object.assign(new Error('no start line'), { code: 'ERR_OSSL_PEM_NO_START_LINE' }))).toBe(true);
  expect(isPersonsError(new TypeError('x is undefined'))).toBe(false);
  let thrown: unknown = null;
  try {
    Buffer.alloc('1' as unknown as number);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  expect(isPersonsError(thrown)).toBe(false);
});
