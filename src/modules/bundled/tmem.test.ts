// tmem: an ephemeral pool in bytes, what maxmemory takes from it, and strings that come back after their eviction.
import { cpSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { OurServer } from '../../../test/support/our-server.ts';
import type { Peer } from '../../../test/support/redis-server.ts';
import { itemsOf } from '../../../test/support/replies.ts';

const OK = { type: '+', text: 'OK' };
const servers: OurServer[] = [];
const peers: Peer[] = [];

async function start(directives: Record<string, string | number> = {}): Promise<Peer> {
  const server = await OurServer.start({ 'module-add': 'tmem', ...directives });
  servers.push(server);
  const peer = server.connect();
  peers.push(peer);
  return peer;
}

async function info(peer: Peer): Promise<Record<string, number>> {
  const lines = String(await peer.ask('TMEMINFO')).matchAll(/^tmem_(\w+):(\d+)\r$/gm);
  return Object.fromEntries([...lines].map(([, name, value]) => [name, Number(value)]));
}

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.close();
  for (const server of servers.splice(0)) await server.stop();
});

describe('the pool', () => {
  it('keeps what is put, every byte of it, in any case of the name', async () => {
    const peer = await start();
    const binary = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i))
      .join('')
      .repeat(8);
    expect(await peer.ask('tmemPut', 'k\0\xff', binary)).toEqual(OK);
    expect(await peer.ask('TMEMGET', 'k\0\xff')).toBe(binary);
    expect(await peer.ask('TMEMPUT', 'k\0\xff', '')).toEqual(OK);
    expect(await peer.ask('TMEMGET', 'k\0\xff')).toBe('');
    expect(await peer.ask('TMEMGET', 'other')).toBeNull();
    expect(await peer.ask('TMEMINVAL', 'k\0\xff')).toEqual(OK);
    expect(await peer.ask('TMEMINVAL', 'k\0\xff')).toEqual(OK);
    expect(await peer.ask('TMEMGET', 'k\0\xff')).toBeNull();
    expect(await info(peer)).toMatchObject({
      puts: 2,
      gets: 4,
      hits: 2,
      misses: 2,
      invalidations: 1,
      pages: 0,
      bytes: 0,
    });
    // It is no part of the dataset.
    expect(await peer.ask('DBSIZE')).toEqual({ type: ':', text: '0' });
  });

  it('takes pages of 1 MiB and no more', async () => {
    const peer = await start();
    const page = 'x'.repeat(1024 ** 2);
    expect(await peer.ask('TMEMPUT', 'k', page)).toEqual(OK);
    expect(await peer.ask('TMEMGET', 'k')).toBe(page);
    expect(await peer.ask('TMEMPUT', 'k', `${page}x`)).toEqual({ error: 'ERR a page holds 1 MiB at most' });
    expect(await peer.ask('TMEMPUT', 'k')).toMatchObject({ error: expect.stringContaining('wrong number') });
  });

  it('never says no: the page not used for longest goes', async () => {
    const peer = await start({ 'tmem-max-bytes': '10kb' });
    for (const key of ['a', 'b', 'c']) await peer.ask('TMEMPUT', key, key.repeat(3000));
    expect(await peer.ask('TMEMGET', 'a')).toBe('a'.repeat(3000));
    expect(await peer.ask('TMEMPUT', 'd', 'd'.repeat(3000))).toEqual(OK);
    expect(await peer.ask('TMEMGET', 'b')).toBeNull();
    expect(await peer.ask('TMEMGET', 'a')).toBe('a'.repeat(3000));
    const now = await info(peer);
    expect(now).toMatchObject({ pages: 3, evictions: 1, max_bytes: 10240 });
    expect(now.bytes).toBeLessThanOrEqual(10240);
    // More than the whole pool: gone at once, and no error.
    expect(await peer.ask('TMEMPUT', 'e', 'e'.repeat(20_000))).toEqual(OK);
    expect(await peer.ask('TMEMGET', 'e')).toBeNull();
    expect(await peer.ask('CONFIG', 'SET', 'tmem-max-bytes', '4kb')).toEqual(OK);
    expect(await info(peer)).toMatchObject({ pages: 1 });
    expect(await peer.ask('CONFIG', 'SET', 'tmem-max-bytes', '0')).toEqual(OK);
    expect(await peer.ask('TMEMPUT', 'f', 'f')).toEqual(OK);
    expect(await info(peer)).toMatchObject({ pages: 0, bytes: 0 });
  });

  it('tells times in nanoseconds', async () => {
    const peer = await start();
    const times = itemsOf(await peer.ask('TMEMPUTTIME', 'k', 'v'));
    expect([times[0], times[2]]).toEqual(['redisTime', 'poolTime']);
    const [redis, pool] = [times[1], times[3]].map((one) => Number((one as { text: string }).text));
    expect(pool).toBeGreaterThan(0);
    expect(redis).toBeGreaterThanOrEqual(pool);
    expect(itemsOf(await peer.ask('TMEMGETTIME', 'k')).length).toBe(4);
    expect(await peer.ask('TMEMGETTIME', 'none')).toBeNull();
    expect(await peer.ask('TMEMGET', 'k')).toBe('v');
  });
});

describe('maxmemory', () => {
  it('takes from the pool before it refuses or evicts', async () => {
    const peer = await start({ 'tmem-max-bytes': '8mb' });
    for (let i = 0; i < 6; i++) await peer.ask('TMEMPUT', `page${i}`, 'x'.repeat(1_000_000));
    await peer.ask('SET', 'k', 'v');
    // Room for the dataset and half of the pool.
    const { server } = servers[0];
    server.measureMemory();
    const limit = server.usedMemory - 3_000_000;
    expect(await peer.ask('CONFIG', 'SET', 'maxmemory', String(limit))).toEqual(OK);
    expect(await peer.ask('SET', 'more', 'x'.repeat(100_000))).toEqual(OK);
    expect(await peer.ask('SET', 'more2', 'x'.repeat(100_000))).toEqual(OK);
    const now = await info(peer);
    expect(now.pages).toBeLessThan(4);
    expect(now.pages).toBeGreaterThan(0);
    expect(server.eviction.evictedKeys).toBe(0);
    // The oldest went.
    expect(await peer.ask('TMEMGET', 'page0')).toBeNull();
    expect(await peer.ask('TMEMGET', 'page5')).not.toBeNull();
    expect(await peer.ask('GET', 'k')).toBe('v');
    // A put does not fail for lack of memory.
    await peer.ask('CONFIG', 'SET', 'maxmemory', '1');
    expect(await peer.ask('SET', 'k', 'v')).toMatchObject({ error: expect.stringContaining('OOM') });
    expect(await peer.ask('TMEMPUT', 'k', 'v')).toEqual(OK);
  });
});

describe('tmem-victim-cache', () => {
  const VALUE = 'v'.repeat(1000);

  /** A server that has evicted most of 300 keys. */
  async function evicted(directives: Record<string, string | number> = {}): Promise<Peer> {
    const peer = await start({ 'tmem-victim-cache': 'yes', 'maxmemory-policy': 'allkeys-random', ...directives });
    await peer.run(Array.from({ length: 300 }, (_, i) => ['SET', `key${i}`, VALUE + i]));
    const { server } = servers[servers.length - 1];
    server.measureMemory();
    await peer.ask('CONFIG', 'SET', 'maxmemory-eviction-tenacity', '100');
    await peer.ask('CONFIG', 'SET', 'maxmemory', String(server.usedMemory - 200_000));
    expect(server.eviction.evictedKeys).toBeGreaterThan(100);
    await peer.ask('CONFIG', 'SET', 'maxmemory', '0');
    return peer;
  }

  it('gives evicted strings back to whoever asks for them', async () => {
    const peer = await evicted();
    const { victims_kept: kept, pages } = await info(peer);
    expect(pages).toBe(kept);
    const answers = await peer.run(Array.from({ length: 300 }, (_, i) => ['GET', `key${i}`]));
    expect(answers.map(({ reply }) => reply)).toEqual(Array.from({ length: 300 }, (_, i) => VALUE + i));
    expect(await info(peer)).toMatchObject({ victims_restored: kept, pages: 0 });
    expect(await peer.ask('DBSIZE')).toEqual({ type: ':', text: '300' });
  });

  it('a key that is written or deleted after its eviction is not what it was', async () => {
    const peer = await evicted();
    const stays = new Set(itemsOf(await peer.ask('KEYS', '*')).map(String));
    const gone = Array.from({ length: 300 }, (_, i) => `key${i}`).filter((key) => !stays.has(key));
    expect(gone.length).toBeGreaterThan(100);
    expect(await peer.ask('DEL', gone[0])).toEqual({ type: ':', text: '1' });
    expect(await peer.ask('GET', gone[0])).toBeNull();
    await peer.ask('SET', gone[1], 'new');
    expect(await peer.ask('GET', gone[1])).toBe('new');
    expect(await peer.ask('APPEND', gone[2], 'x')).toMatchObject({ type: ':' });
    expect(await peer.ask('GET', gone[2])).toMatch(/^v{1000}\d+x$/);
    expect(await peer.ask('EXISTS', gone[3])).toEqual({ type: ':', text: '1' });
    await peer.ask('SWAPDB', '0', '5');
    expect(await peer.ask('GET', gone[4])).toBeNull();
    await peer.ask('SELECT', '5');
    expect(await peer.ask('GET', gone[4])).toMatch(/^v+\d+$/);
    await peer.ask('FLUSHDB');
    expect(await peer.ask('GET', gone[5])).toBeNull();
    expect(await info(peer)).toMatchObject({ pages: 0 });
  });

  it('keeps expiries', async () => {
    const peer = await start({ 'tmem-victim-cache': 'yes', 'maxmemory-policy': 'allkeys-lru' });
    await peer.run([
      ['SET', 'short', 'x', 'PX', '1000'],
      ['SET', 'long', 'x', 'PX', '100000'],
    ]);
    await peer.ask('CONFIG', 'SET', 'maxmemory', '1');
    expect(servers[0].server.eviction.evictedKeys).toBe(2);
    await new Promise((resolve) => setTimeout(resolve, 1050));
    await peer.ask('CONFIG', 'SET', 'maxmemory', '0');
    expect(await peer.ask('GET', 'short')).toBeNull();
    const left = Number(((await peer.ask('PTTL', 'long')) as { text: string }).text);
    expect(left).toBeGreaterThan(90_000);
    expect(left).toBeLessThanOrEqual(100_000);
  });

  it('an append-only file has what came back', async () => {
    const peer = await evicted({ appendonly: 'yes', appendfsync: 'always' });
    await peer.run(Array.from({ length: 300 }, (_, i) => ['GET', `key${i}`]));
    const other = await OurServer.start({ appendonly: 'yes' }, (to) =>
      cpSync(servers[0].directory, to, { recursive: true }),
    );
    servers.push(other);
    const reader = other.connect();
    peers.push(reader);
    expect(await reader.ask('DBSIZE')).toEqual({ type: ':', text: '300' });
    expect(await reader.ask('GET', 'key17')).toBe(`${VALUE}17`);
  });

  it('switched off, forgets them', async () => {
    const peer = await evicted();
    expect(await peer.ask('CONFIG', 'SET', 'tmem-victim-cache', 'no')).toEqual(OK);
    expect(await info(peer)).toMatchObject({ pages: 0 });
    const answers = await peer.run(Array.from({ length: 300 }, (_, i) => ['EXISTS', `key${i}`]));
    expect(answers.filter(({ reply }) => (reply as { text: string }).text === '0').length).toBeGreaterThan(100);
  });
});
