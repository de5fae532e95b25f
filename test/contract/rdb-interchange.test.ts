// Dump files travel between redis-server 7.0.15 and us: what one saves the other loads with the same values, encodings,
// times and databases. Skipped where redis-server 7.0 is not installed.
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { OurServer } from '../support/our-server.ts';
import { type Peer, RedisServer, redisInstalled } from '../support/redis-server.ts';
import { itemsOf, type Reply } from '../support/replies.ts';

type AnyServer = OurServer | RedisServer;

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const long = 'compressible '.repeat(400);
/** Nothing in it repeats. */
const noise = String.fromCharCode(...numbers(5000).map((i) => Math.imul(i + 1, 0x9e3779b1) >>> 24));

/** Commands that make one key at least of every type and encoding, in several databases. */
const DATASET: readonly (readonly string[])[] = [
  // Integers at every size the format has, and what only looks like one.
  ...[
    ...['0', '-1', '127', '128', '-128', '-129', '32767', '32768', '-32769', '2147483647', '2147483648', '-2147483649'],
    ...['9223372036854775807', '-9223372036854775808', '9223372036854775808', '007', '-0', '1.5'],
  ].map((text) => ['SET', `int:${text}`, text]),
  ...[0, 1, 20, 44, 45, 63, 64, 16383, 16384, 100_000].map((n) => ['SET', `length:${n}`, 'x'.repeat(n)]),
  ['SET', 'long', long],
  ['SET', 'noise', noise],
  ['SET', 'binary\0\xff\r\nkey', '\x00\xff\xfe\r\n'],
  ['SET', '', 'empty key'],
  ['APPEND', 'raw', 'short'],
  ['SET', 'k'.repeat(70_000), 'long key'],
  ['SET', 'volatile', 'v', 'PXAT', '9999999999999'],
  ['SET', 'soon', 'v', 'EX', '3600'],
  // Lists: one node, several, an element larger than a node.
  ['RPUSH', 'list', 'a', '1', '-70000', '', '\xff\0', '9223372036854775807'],
  ['RPUSH', 'list:long', ...numbers(3000).map((i) => `element:${i}:${'x'.repeat(i % 50)}`)],
  ['RPUSH', 'list:huge', 'before', noise.repeat(4), 'between', long, long, 'behind'],
  ['PEXPIREAT', 'list', '9999999999998'],
  ['SADD', 'set:int16', '1', '2', '-300'],
  ['SADD', 'set:int32', '1', '70000', '-70000'],
  ['SADD', 'set:int64', '1', '9000000000', '-9223372036854775808'],
  ['SADD', 'set', 'a', '1', '', '\xff\0', 'x'.repeat(100)],
  ['SADD', 'set:ints', ...numbers(2000).map((i) => String(i * 1000003))],
  ['SADD', 'set:long', ...numbers(2000).map((i) => `member:${i}`)],
  ['HSET', 'hash', 'f', 'v', 'n', '12', '', '', '\xff\0', '-9223372036854775808'],
  ['HSET', 'hash:value', 'f', 'x'.repeat(65)],
  ['HSET', 'hash:long', ...numbers(1500).flatMap((i) => [`field:${i}`, String(i)])],
  ['PEXPIREAT', 'hash', '9999999999997'],
  ['ZADD', 'zset', '1', 'a', '2.5', 'b', '+inf', 'c', '-inf', 'd', '0.1', 'e', '-0', 'f', '1e300', 'g', '1e-300', 'h'],
  ['ZADD', 'zset:value', '3', 'x'.repeat(65), '3', 'y'],
  ['ZADD', 'zset:long', ...numbers(1500).flatMap((i) => [String(i / 7), `member:${i}`])],
  ['PEXPIREAT', 'zset:long', '9999999999996'],
  ['SELECT', '3'],
  ['SET', 'elsewhere', '3'],
  ['SELECT', '15'],
  ['RPUSH', 'elsewhere', '15'],
  ['SELECT', '0'],
];

/** Streams with groups, several commands to each of three keys. */
const STREAMS: readonly (readonly string[])[] = [
  ...numbers(450).map((i) => [
    'XADD',
    'stream',
    `${i + 1}-${i % 3}`,
    'f',
    String(i * i),
    ...(i % 4 ? [] : ['g', long]),
  ]),
  ['XDEL', 'stream', '3-2', '200-1', '450-2'],
  ['XGROUP', 'CREATE', 'stream', 'group', '0'],
  ['XREADGROUP', 'GROUP', 'group', 'a', 'COUNT', '90', 'STREAMS', 'stream', '>'],
  ['XREADGROUP', 'GROUP', 'group', 'b', 'COUNT', '5', 'STREAMS', 'stream', '>'],
  ['XACK', 'stream', 'group', '7-0', '8-1'],
  ['XGROUP', 'CREATE', 'stream', '77', '$', 'ENTRIESREAD', '4000000000'],
  ['XGROUP', 'CREATE', 'stream:empty', 'group', '$', 'MKSTREAM'],
  ['XGROUP', 'CREATECONSUMER', 'stream:empty', 'group', 'idle'],
  ['XADD', 'stream:end', '18446744073709551615-18446744073709551615', '1', '2'],
];
const STREAM_KEYS = 3;

const ENCODINGS = ['embstr', 'hashtable', 'int', 'intset', 'listpack', 'quicklist', 'raw', 'skiplist', 'stream'];

async function fill(peer: Peer, commands: readonly (readonly string[])[] = [...DATASET, ...STREAMS]): Promise<void> {
  for (const [i, { reply }] of (await peer.run(commands)).entries()) {
    if (reply !== null && typeof reply === 'object' && 'error' in reply) {
      throw new Error(`${commands[i].slice(0, 2)}: ${reply.error}`);
    }
  }
}

const READ: Readonly<Record<string, (key: string) => string[]>> = {
  string: (key) => ['GET', key],
  list: (key) => ['LRANGE', key, '0', '-1'],
  set: (key) => ['SMEMBERS', key],
  hash: (key) => ['HGETALL', key],
  zset: (key) => ['ZRANGE', key, '0', '-1', 'WITHSCORES'],
  stream: (key) => ['XINFO', 'STREAM', key, 'FULL', 'COUNT', '0'],
};

/** Members of sets and fields of hashes have no order. */
function inOrder(type: string, value: Reply): Reply[] {
  if (type === 'string') return [value];
  const items = itemsOf(value);
  if (type === 'set') return items.sort();
  if (type !== 'hash') return items;
  return numbers(items.length / 2)
    .map((i) => `${items[2 * i]}=${items[2 * i + 1]}`)
    .sort();
}

/** Every key of every database: type, encoding, expiry and value. */
async function contents(peer: Peer): Promise<Map<string, { encoding: Reply; [fact: string]: unknown }>> {
  const found = new Map<string, { encoding: Reply; [fact: string]: unknown }>();
  for (let database = 0; database < 16; database++) {
    await peer.ask('SELECT', String(database));
    const keys = (itemsOf(await peer.ask('KEYS', '*')) as string[]).sort();
    const types = (await peer.run(keys.map((key) => ['TYPE', key]))).map(
      ({ reply }) => (reply as { text: string }).text,
    );
    const facts = await peer.run(
      keys.flatMap((key) => [
        ['OBJECT', 'ENCODING', key],
        ['PEXPIRETIME', key],
      ]),
    );
    const values = await peer.run(keys.map((key, i) => READ[types[i]](key)));
    for (const [i, key] of keys.entries()) {
      const [encoding, expiry] = facts.slice(2 * i, 2 * i + 2).map(({ reply }) => reply);
      found.set(`${database}:${key}`, { type: types[i], encoding, expiry, value: inOrder(types[i], values[i].reply) });
    }
  }
  await peer.ask('SELECT', '0');
  return found;
}

const dumpOf = (server: AnyServer): string => join(server.directory, 'dump.rdb');
const take = (server: AnyServer) => (directory: string) => copyFileSync(dumpOf(server), join(directory, 'dump.rdb'));
const OK = { type: '+', text: 'OK' };

const VARIANTS: readonly Readonly<Record<string, string | number>>[] = [
  {},
  { rdbcompression: 'no', rdbchecksum: 'no', 'list-max-listpack-size': 3 },
  { 'maxmemory-policy': 'allkeys-lru', 'list-compress-depth': 1 },
];

describe.skipIf(!redisInstalled)('dump files between redis-server 7.0 and us', () => {
  const running: AnyServer[] = [];
  const peers: Peer[] = [];

  async function start(starting: Promise<AnyServer>): Promise<{ server: AnyServer; peer: Peer }> {
    const server = await starting;
    running.push(server);
    const peer = server.connect();
    peers.push(peer);
    return { server, peer };
  }

  afterEach(async () => {
    for (const peer of peers.splice(0)) peer.close();
    await Promise.all(running.splice(0).map((server) => server.stop()));
  });

  for (const directives of VARIANTS) {
    it(`ours is loaded there: ${JSON.stringify(directives)}`, async () => {
      const ours = await start(OurServer.start(directives));
      await fill(ours.peer);
      expect(await ours.peer.ask('SAVE')).toEqual(OK);
      expect(execFileSync('redis-check-rdb', [dumpOf(ours.server)]).toString()).toContain('\\o/ RDB looks OK! \\o/');
      const real = await start(RedisServer.start(directives, take(ours.server)));
      const loaded = await contents(real.peer);
      expect(loaded).toEqual(await contents(ours.peer));
      expect([...new Set([...loaded.values()].map(({ encoding }) => encoding))].sort()).toEqual(ENCODINGS);
      const named = DATASET.filter(([name]) => name !== 'SELECT');
      expect(loaded.size).toBe(named.length - named.filter(([name]) => name === 'PEXPIREAT').length + STREAM_KEYS);

      // The same commands to a real server make the same dataset, in its own words.
      const model = await start(RedisServer.start(directives));
      await fill(model.peer);
      expect(await real.peer.ask('DEBUG', 'DIGEST')).toEqual(await model.peer.ask('DEBUG', 'DIGEST'));
    });

    it(`theirs is loaded here, and back there: ${JSON.stringify(directives)}`, async () => {
      const real = await start(RedisServer.start(directives));
      // Elements over the threshold are list nodes of their own in the file.
      await fill(real.peer, [['DEBUG', 'QUICKLIST-PACKED-THRESHOLD', '1000'], ...DATASET, ...STREAMS]);
      expect(await real.peer.ask('SAVE')).toEqual(OK);
      const ours = await start(OurServer.start(directives, take(real.server)));
      expect(await contents(ours.peer)).toEqual(await contents(real.peer));

      expect(await ours.peer.ask('SAVE')).toEqual(OK);
      const back = await start(RedisServer.start(directives, take(ours.server)));
      expect(await back.peer.ask('DEBUG', 'DIGEST')).toEqual(await real.peer.ask('DEBUG', 'DIGEST'));
    });
  }

  it('use counts of the LFU policy come along both ways', async () => {
    const policy = { 'maxmemory-policy': 'allkeys-lfu', 'lfu-log-factor': 0, 'lfu-decay-time': 0 };
    const real = await start(RedisServer.start(policy));
    await fill(real.peer, [['SET', 'often', 'v'], ...numbers(50).map(() => ['GET', 'often']), ['SET', 'rarely', 'v']]);
    const counts = (peer: Peer) =>
      peer.run([
        ['OBJECT', 'FREQ', 'often'],
        ['OBJECT', 'FREQ', 'rarely'],
      ]);
    const wanted = (await counts(real.peer)).map(({ reply }) => reply);
    await real.peer.ask('SAVE');
    const ours = await start(OurServer.start(policy, take(real.server)));
    expect((await counts(ours.peer)).map(({ reply }) => reply)).toEqual(wanted);
    await ours.peer.ask('SAVE');
    const back = await start(RedisServer.start(policy, take(ours.server)));
    expect((await counts(back.peer)).map(({ reply }) => reply)).toEqual(wanted);
  });

  it('libraries of functions come along both ways', async () => {
    const real = await start(RedisServer.start());
    const library = "#!lua name=mylib\nredis.register_function('f', function() return 'found' end)";
    await fill(real.peer, [['FUNCTION', 'LOAD', library], ['SAVE']]);
    const ours = await start(OurServer.start({}, take(real.server)));
    expect(await ours.peer.ask('FCALL', 'f', '0')).toBe('found');
    await ours.peer.ask('SAVE');
    const back = await start(RedisServer.start({}, take(ours.server)));
    expect(await back.peer.ask('FCALL', 'f', '0')).toBe('found');
  });
});
