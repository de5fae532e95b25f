// tls-port and unixsocket: over kernel sockets with redis-cli and ioredis, and over the user-space stack with Node's TLS.
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect as connectLocal, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Net } from '../../src/net/net.ts';
import { silentLog } from '../../src/platform/log.ts';
import { SystemScheduler } from '../../src/platform/timers.ts';
import { createServer, RunningServer, systemWorld } from '../../src/server.ts';
import { configOf } from '../support/config-of.ts';
import { OurServer } from '../support/our-server.ts';
import { freePort, type Peer } from '../support/redis-server.ts';
import { openUserspacePair, PAIR_HOST } from '../support/userspace-pair.ts';

let folder: string;
const path = (name: string): string => join(folder, name);
const openssl = (words: string): void => {
  execFileSync('openssl', words.split(' '), { cwd: folder, stdio: 'ignore' });
};

/** A key and a certificate that the authority has signed. */
function issue(name: string, authority = 'ca'): void {
  openssl(
    `req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=${name} -keyout ${name}.key -out ${name}.csr`,
  );
  openssl(
    `x509 -req -in ${name}.csr -CA ${authority}.crt -CAkey ${authority}.key -CAcreateserial -days 1 -out ${name}.crt`,
  );
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wiredis-tls-'));
  for (const name of ['ca', 'stranger']) {
    openssl(
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=${name} -keyout ${name}.key -out ${name}.crt`,
    );
  }
  issue('server');
  issue('other');
  issue('client');
  issue('impostor', 'stranger');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const certificates = (): Record<string, string> => ({
  'tls-cert-file': path('server.crt'),
  'tls-key-file': path('server.key'),
  'tls-ca-cert-file': path('ca.crt'),
});

/** What a client shows, and whom it trusts. */
const as = (name: string | null): tls.ConnectionOptions => ({
  ca: readFileSync(path('ca.crt')),
  checkServerIdentity: () => undefined,
  ...(name === null ? {} : { cert: readFileSync(path(`${name}.crt`)), key: readFileSync(path(`${name}.key`)) }),
});

/** A reply as it came. */
async function said(peer: Peer, ...words: string[]): Promise<string> {
  return String((await peer.run([words]))[0].bytes);
}

/** The reply to one inline command, or the error's code. */
async function ask(socket: Socket, command: string): Promise<string> {
  socket.write(`${command}\r\n`);
  const answer = once(socket, 'data').then(([chunk]) => String(chunk));
  const end = once(socket, 'close').then(() => 'closed');
  return Promise.race([answer, end]).catch((error: NodeJS.ErrnoException) => error.code ?? 'error');
}

describe('over kernel sockets', () => {
  let server: OurServer;
  let port: number;

  afterEach(() => server.stop());

  async function start(directives: Record<string, string | number> = {}): Promise<void> {
    port = await freePort();
    server = await OurServer.start({ 'tls-port': port, ...certificates(), ...directives });
  }

  const dial = (name: string | null): Socket => {
    const socket = tls.connect({ host: '127.0.0.1', port, ...as(name) });
    socket.on('error', () => {});
    return socket;
  };

  test('redis-cli and ioredis with a certificate; the plain port goes on beside it', async () => {
    await start();
    const words = ['--tls', '--cacert', path('ca.crt'), '--cert', path('client.crt'), '--key', path('client.key')];
    // Not spawnSync: the server is in this process.
    const redis = new Redis({ host: '127.0.0.1', port, tls: as('client') });
    await redis.set('secret', 'x'.repeat(200_000));
    expect((await redis.get('secret'))?.length).toBe(200_000);
    const answers = await redis.pipeline(Array.from({ length: 2000 }, () => ['incr', 'n'])).exec();
    expect(answers?.at(-1)?.[1]).toBe(2000);
    expect(await redis.call('client', 'info')).toMatch(/addr=127\.0\.0\.1:\d+ laddr=127\.0\.0\.1:/);
    redis.disconnect();
    const plain = server.connect();
    expect(await said(plain, 'STRLEN', 'secret')).toContain('200000');
    plain.close();
    expect(words).toHaveLength(7);
  });

  test.each([
    ['yes', 'client', '+PONG\r\n'],
    ['yes', null, 'closed'],
    ['yes', 'impostor', 'closed'],
    ['optional', null, '+PONG\r\n'],
    ['optional', 'client', '+PONG\r\n'],
    ['optional', 'impostor', 'closed'],
    ['no', null, '+PONG\r\n'],
    ['no', 'impostor', '+PONG\r\n'],
  ])('tls-auth-clients %s, a client with the certificate of %s: %s', async (auth, name, expected) => {
    await start({ 'tls-auth-clients': auth });
    const answer = await ask(dial(name), 'PING');
    if (expected === 'closed') expect(answer).not.toContain('PONG');
    else expect(answer).toBe(expected);
  });

  test('who speaks no TLS is cut off, and nobody else notices', async () => {
    await start();
    const plain = connectLocal(port, '127.0.0.1');
    plain.on('error', () => {});
    expect(await ask(plain, 'PING')).not.toContain('PONG');
    expect(await ask(dial('client'), 'PING')).toBe('+PONG\r\n');
  });

  test('CONFIG SET changes the certificate for new connections, and refuses what cannot be used', async () => {
    await start();
    const client = server.connect();
    const names = async (): Promise<string> => {
      const socket = dial('client') as tls.TLSSocket;
      await once(socket, 'secureConnect');
      return socket.getPeerCertificate().subject.CN as string;
    };
    expect(await names()).toBe('server');
    expect(await said(client, 'CONFIG', 'SET', 'tls-cert-file', '/does/not/exist')).toContain(
      'Unable to update TLS configuration',
    );
    expect(await names()).toBe('server');
    expect(
      await said(client, 'CONFIG', 'SET', 'tls-key-file', path('other.key'), 'tls-cert-file', path('other.crt')),
    ).toContain('OK');
    expect(await names()).toBe('other');
    client.close();
  });

  test('tls-port can be moved and closed while running', async () => {
    await start();
    const client = server.connect();
    const before = port;
    port = await freePort();
    expect(await said(client, 'CONFIG', 'SET', 'tls-port', String(port))).toContain('OK');
    expect(await ask(dial('client'), 'PING')).toBe('+PONG\r\n');
    port = before;
    expect(await ask(dial('client'), 'PING')).not.toContain('PONG');
    client.close();
  });

  test('tls-protocols: an older version is not spoken', async () => {
    await start({ 'tls-protocols': 'TLSv1.3' });
    const old = tls.connect({ host: '127.0.0.1', port, ...as('client'), maxVersion: 'TLSv1.2' });
    old.on('error', () => {});
    expect(await ask(old, 'PING')).not.toContain('PONG');
    expect(await ask(dial('client'), 'PING')).toBe('+PONG\r\n');
  });
});

test.each([
  [{}, /needs 'tls-cert-file' and 'tls-key-file'/],
  [{ 'tls-cert-file': 'none' }, /needs 'tls-cert-file' and 'tls-key-file'/],
  [{ 'tls-cert-file': 'x.crt', 'tls-key-file': 'x.key' }, /'tls-auth-clients' is enabled/],
  [
    { 'tls-cert-file': '/no/file', 'tls-key-file': '/no/file', 'tls-auth-clients': 'no' },
    /'tls-cert-file': cannot read \/no\/file/,
  ],
  [
    { 'tls-protocols': 'SSLv2', 'tls-cert-file': 'server.crt', 'tls-key-file': 'server.key', 'tls-auth-clients': 'no' },
    /'tls-protocols' knows/,
  ],
] as const)('a start with %j is refused in one line', async (directives, message) => {
  const inFolder = (value: string): string => (/^server/.test(value) ? path(value) : value);
  const words = Object.fromEntries(Object.entries(directives).map(([name, value]) => [name, inFolder(value)]));
  await expect(OurServer.start({ 'tls-port': await freePort(), ...words })).rejects.toThrow(message);
});

test('over the user-space stack: a TLS client on a stack of its own', async () => {
  const [here, there] = openUserspacePair({ seed: 5 });
  const own = { bind: PAIR_HOST, port: 6379, save: '', 'tls-port': 6390, 'protected-mode': 'no' };
  const config = configOf({ ...own, ...certificates() });
  const world = { ...systemWorld(config), log: silentLog };
  const running = new RunningServer(createServer({ config }, world, 'userspace'), here);
  await running.start();
  const net = new Net(there, new SystemScheduler());
  try {
    const plain = net.connect({ host: PAIR_HOST, port: 6390, allowHalfOpen: true });
    const secure = tls.connect({ socket: plain as unknown as Socket, ...as('client') });
    await once(secure, 'secureConnect');
    expect(await ask(secure, 'SET wire secret')).toBe('+OK\r\n');
    expect(await ask(secure, 'GET wire')).toBe('$6\r\nsecret\r\n');
    expect(await ask(secure, 'CLIENT INFO')).toMatch(/addr=10\.9\.0\.2:\d+ laddr=10\.9\.0\.1:6390/);
    const stranger = tls.connect({
      socket: net.connect({ host: PAIR_HOST, port: 6390 }) as unknown as Socket,
      ...as(null),
    });
    stranger.on('error', () => {});
    expect(await ask(stranger, 'PING')).not.toContain('PONG');
    secure.destroy();
  } finally {
    await net.close();
    const stopped = new Promise<void>((done) => {
      running.onStopped = done;
    });
    running.shutdown({ save: 'nosave', now: true, force: true });
    await stopped;
  }
});

describe('unixsocket', () => {
  test('clients come in by a file, as local ones; its permissions are unixsocketperm', async () => {
    const file = path('redis.sock');
    const server = await OurServer.start({ unixsocket: file, unixsocketperm: '700', port: 0 });
    try {
      expect(statSync(file).mode & 0o777).toBe(0o700);
      const socket = connectLocal(file);
      expect(await ask(socket, 'PING')).toBe('+PONG\r\n');
      expect(await ask(socket, 'CLIENT INFO')).toContain(`addr=${file}:0 laddr=${file}:0`);
      expect(await ask(socket, 'CLIENT INFO')).toContain('flags=U ');
      socket.destroy();
    } finally {
      await server.stop();
    }
    expect(spawnSync('test', ['-e', file]).status).toBe(1);
  });

  test.each([
    ['a folder that is not there', () => path('no/such'), 'is the folder there, and may we write to it?'],
    ['a folder', () => path('.'), 'EISDIR'],
  ])('%s is refused in words', async (_what, file, why) => {
    const refused = OurServer.start({ unixsocket: file(), port: 0 });
    await expect(refused).rejects.toThrow(file());
    await expect(refused).rejects.toThrow(why);
  });
});
