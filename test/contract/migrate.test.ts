// MIGRATE between our server and a real redis-server, both ways. Skipped where redis-server 7.0 is not installed.
import { createServer, type Server as NetServer } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { OurServer } from '../support/our-server.ts';
import { freePort, type Peer, RedisServer, redisInstalled } from '../support/redis-server.ts';
import { itemsOf } from '../support/replies.ts';

const LOCALHOST = '127.0.0.1';
const OK = { type: '+', text: 'OK' };

describe.skipIf(!redisInstalled)('MIGRATE', () => {
  let theirs: RedisServer;
  let ours: OurServer;
  let real: Peer;
  let mine: Peer;

  beforeAll(async () => {
    theirs = await RedisServer.start();
    ours = await OurServer.start({ 'enable-debug-command': 'yes' });
    real = theirs.connect();
    mine = ours.connect();
  });

  afterAll(async () => {
    real.close();
    mine.close();
    await ours.stop();
    await theirs.stop();
  });

  beforeEach(async () => {
    await real.run([['flushall'], ['config', 'set', 'requirepass', '']]);
    await mine.ask('flushall');
  });

  const migrate = (...words: string[]): Promise<unknown> =>
    mine.ask('migrate', LOCALHOST, String(theirs.port), ...words);

  it('moves keys with their time to live, copies them, and replaces', async () => {
    await mine.run([
      ['set', 'a', 'hello', 'ex', '1000'],
      ['zadd', 'z', '1.5', 'x', '2', 'y'],
      ['rpush', 'l', ...Array.from({ length: 500 }, (_, i) => `element ${i}`)],
    ]);
    const [before] = await mine.run([['debug', 'digest-value', 'a', 'z', 'l']]);
    expect(await migrate('', '0', '1000', 'keys', 'a', 'missing', 'z')).toEqual(OK);
    expect(await mine.ask('exists', 'a', 'z', 'l')).toEqual({ type: ':', text: '1' });
    expect(Number(((await real.ask('ttl', 'a')) as { text: string }).text)).toBeGreaterThan(990);
    expect(await migrate('l', '0', '1000', 'copy')).toEqual(OK);
    expect(await mine.ask('exists', 'l')).toEqual({ type: ':', text: '1' });
    const [after] = await real.run([['debug', 'digest-value', 'a', 'z', 'l']]);
    expect(itemsOf(after.reply)).toEqual(itemsOf(before.reply));
    expect(await migrate('l', '0', '1000')).toEqual({
      error: 'ERR Target instance replied with error: BUSYKEY Target key name already exists.',
    });
    expect(await migrate('l', '0', '1000', 'replace')).toEqual(OK);
    expect(await mine.ask('dbsize')).toEqual({ type: ':', text: '0' });
    expect(await migrate('l', '0', '1000')).toEqual({ type: '+', text: 'NOKEY' });
  });

  it('takes keys that redis-server sends', async () => {
    await real.run([['hset', 'h', 'f', 'v']]);
    expect(await real.ask('migrate', LOCALHOST, String(ours.port), 'h', '3', '1000')).toEqual(OK);
    await mine.ask('select', '3');
    expect(await mine.ask('hget', 'h', 'f')).toBe('v');
    await mine.ask('select', '0');
  });

  it('gives passwords, and keeps what was refused', async () => {
    await mine.ask('set', 'a', '1');
    await real.ask('config', 'set', 'requirepass', 'secret');
    // The connection that was kept came before the password.
    await real.ask('client', 'kill', 'type', 'normal');
    expect(await migrate('a', '0', '1000')).toEqual({
      error: 'ERR Target instance replied with error: NOAUTH Authentication required.',
    });
    expect(await migrate('a', '0', '1000', 'auth', 'wrong')).toMatchObject({
      error: expect.stringContaining('WRONGPASS'),
    });
    expect(await mine.ask('exists', 'a')).toEqual({ type: ':', text: '1' });
    expect(await migrate('a', '0', '1000', 'auth2', 'default', 'secret')).toEqual(OK);
    await real.ask('auth', 'secret');
    expect(await real.ask('get', 'a')).toBe('1');
  });

  it('uses its connection again, and makes another when the old one was closed meanwhile', async () => {
    const cached = async (): Promise<string> =>
      /migrate_cached_sockets:(\d+)/.exec(String(await mine.ask('info', 'stats')))?.[1] ?? '';
    const connections = async (): Promise<number> =>
      Number(/total_connections_received:(\d+)/.exec(String(await real.ask('info', 'stats')))?.[1]);
    await mine.ask('set', 'a', '1');
    expect(await migrate('a', '0', '1000')).toEqual(OK);
    expect(await cached()).toBe('1');
    const before = await connections();
    for (const key of ['b', 'c', 'd']) {
      await mine.ask('set', key, '1');
      expect(await migrate(key, '0', '1000')).toEqual(OK);
    }
    expect(await connections()).toBe(before);
    await real.ask('client', 'kill', 'type', 'normal');
    await mine.ask('set', 'e', '1');
    expect(await migrate('e', '0', '1000')).toEqual(OK);
    expect(await connections()).toBe(before + 1);
    expect(await real.ask('exists', 'a', 'b', 'c', 'd', 'e')).toEqual({ type: ':', text: '5' });
  });

  it('keeps the key when nobody answers, or answers something else', async () => {
    await mine.ask('set', 'a', '1');
    const port = await freePort();
    expect(await mine.ask('migrate', LOCALHOST, String(port), 'a', '0', '500')).toEqual({
      error: 'IOERR error or timeout connecting to the client',
    });
    for (const [answer, timeout] of [
      ['', '100'],
      ['HTTP/1.1 400 Bad Request\r\n\r\n\r\n', '1000'],
    ]) {
      const server = await listen(port, answer);
      expect(await mine.ask('migrate', LOCALHOST, String(port), 'a', '0', timeout)).toEqual({
        error: 'IOERR error or timeout reading to target instance',
      });
      await new Promise((done) => server.close(done));
    }
    expect(await mine.ask('get', 'a')).toBe('1');
    expect(await migrate('x', '0', '1000', 'keys', 'a')).toMatchObject({
      error: expect.stringContaining('empty string'),
    });
  });

  it('keeps a key that was changed while it was on its way', async () => {
    await mine.ask('set', 'a', '1');
    const other = ours.connect();
    const port = await freePort();
    const server = await listen(port, '+OK\r\n+OK\r\n', () => other.ask('set', 'a', '2'));
    expect(await mine.ask('migrate', LOCALHOST, String(port), 'a', '0', '1000')).toMatchObject({
      error: expect.stringContaining('changed'),
    });
    expect(await mine.ask('get', 'a')).toBe('2');
    other.close();
    await new Promise((done) => server.close(done));
  });

  /** A server that gives this answer to whatever it hears, after having done something. */
  async function listen(
    port: number,
    answer: string,
    first: () => Promise<unknown> = async () => {},
  ): Promise<NetServer> {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', async () => {
        await first();
        if (answer !== '') socket.end(answer);
      });
    });
    await new Promise<void>((done) => server.listen(port, LOCALHOST, done));
    return server;
  }
});
