// Replication between redis-server 7.0.15 and us, in every direction: after a load of all kinds of writes the datasets
// are the same to the digest, links that are cut are gone on with where they were, and roles change hands. Skipped where
// redis-server 7.0 is not installed.
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { OurServer } from '../support/our-server.ts';
import { type Peer, RedisServer, redisInstalled } from '../support/redis-server.ts';

type AnyServer = OurServer | RedisServer;
type Kind = 'ours' | 'redis';

const NO_DELAY = { 'repl-diskless-sync-delay': 0, 'repl-ping-replica-period': 1 };
const WAIT_MS = 15_000;

const running: AnyServer[] = [];
const peers: Peer[] = [];

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.close();
  for (const server of running.splice(0)) await server.stop();
});

async function start(kind: Kind, directives: Readonly<Record<string, string | number>> = {}): Promise<AnyServer> {
  const all = { ...NO_DELAY, 'enable-debug-command': 'yes', ...directives };
  const server = await (kind === 'ours' ? OurServer.start(all) : RedisServer.start(all));
  running.push(server);
  return server;
}

function connect(server: AnyServer): Peer {
  const peer = server.connect();
  peers.push(peer);
  return peer;
}

const ask = async (peer: Peer, ...words: string[]): Promise<string> => {
  const [{ bytes }] = await peer.run([words]);
  return bytes.toString('latin1');
};

const field = async (peer: Peer, name: string, section = 'replication'): Promise<string> =>
  new RegExp(`^${name}:(.*)\r$`, 'm').exec(await ask(peer, 'INFO', section))?.[1] ?? '';

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function follow(replica: Peer, master: AnyServer): Promise<void> {
  expect(await ask(replica, 'REPLICAOF', '127.0.0.1', String(master.port))).toBe('+OK\r\n');
  await until('the link is up', async () => (await field(replica, 'master_link_status')) === 'up');
}

async function caughtUp(master: Peer, replica: Peer): Promise<void> {
  await until('the replica has everything', async () => {
    const offset = await field(master, 'master_repl_offset');
    return (await field(replica, 'slave_repl_offset')) === offset;
  });
}

/** Writes of every kind, the same for the same seed: what depends on time or chance, transactions, scripts, databases. */
function writes(count: number, seed: number): string[][] {
  let state = seed;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % limit;
  };
  const key = (type: string): string => `${type}:${below(20)}`;
  const kinds: (() => string[][])[] = [
    () => [['SET', key('s'), 'x'.repeat(below(200)), 'PX', String(1 + below(5000))]],
    () => [['SET', key('s'), String(below(1000))]],
    () => [['INCRBYFLOAT', key('f'), '0.1']],
    () => [['EXPIRE', key('h'), String(below(10))]],
    () => [['RPUSH', key('l'), 'a', 'b', String(below(99))]],
    () => [['LMOVE', key('l'), key('l'), 'LEFT', 'RIGHT']],
    () => [['BLPOP', key('l'), '0.001']],
    () => [['HSET', key('h'), `f${below(9)}`, String(below(99))]],
    () => [['SADD', key('set'), String(below(50)), `m${below(50)}`]],
    () => [['SPOP', key('set')]],
    () => [['SPOP', key('set'), '3']],
    () => [['ZADD', key('z'), String(below(100)), `m${below(30)}`]],
    () => [['ZPOPMIN', key('z')]],
    () => [['GETEX', key('s'), 'EX', '100']],
    () => [['SETRANGE', key('s'), String(below(30)), 'patch']],
    () => [['PFADD', key('p'), `e${below(500)}`]],
    () => [['COPY', key('l'), key('copy'), 'REPLACE']],
    () => [['RENAME', key('s'), key('s')]],
    () => [['UNLINK', key('h'), key('z')]],
    () => [['SELECT', String(below(3))]],
    () => [['MULTI'], ['INCR', 'multi'], ['SELECT', '2'], ['LPUSH', 'list', 'x'], ['EXEC']],
    () => [
      [
        'EVAL',
        "redis.call('INCR', KEYS[1]) redis.call('LPUSH', KEYS[2], redis.call('TIME')[1]) return redis.call('SPOP', KEYS[3])",
        '3',
        'counter',
        key('l'),
        key('set'),
      ],
    ],
    () => [
      [
        'FUNCTION',
        'LOAD',
        'REPLACE',
        `#!lua name=lib${below(3)}\nredis.register_function('f${below(1000)}', function() return ${below(99)} end)`,
      ],
    ],
  ];
  return Array.from({ length: count }, () => kinds[below(kinds.length)]()).flat();
}

async function load(peer: Peer, count: number, seed: number): Promise<void> {
  const all = writes(count, seed);
  for (let at = 0; at < all.length; at += 50) await peer.run(all.slice(at, at + 50));
}

/** The code of each library; servers list them in any order. */
async function functions(peer: Peer): Promise<string[]> {
  const list = await ask(peer, 'FUNCTION', 'LIST', 'WITHCODE');
  return (list.match(/#!lua[^$]*end\)/g) ?? []).sort();
}

async function expectSame(master: Peer, ...others: Peer[]): Promise<void> {
  // What has expired is gone from replicas only when the master says so.
  for (const db of ['0', '1', '2']) {
    await ask(master, 'SELECT', db);
    await ask(master, 'EVAL', "for _, k in ipairs(redis.call('KEYS', '*')) do redis.call('TTL', k) end", '0');
  }
  await ask(master, 'SET', 'last', 'one');
  for (const other of others) await caughtUp(master, other);
  await until('the datasets are the same', async () => {
    const digests = await Promise.all([master, ...others].map((peer) => ask(peer, 'DEBUG', 'DIGEST')));
    return digests.every((digest) => digest === digests[0]);
  });
  expect(await functions(others[0])).toEqual(await functions(master));
}

const pairs: [Kind, Kind][] = [
  ['redis', 'ours'],
  ['ours', 'redis'],
  ['ours', 'ours'],
];

describe.skipIf(!redisInstalled)('replication', () => {
  it.each(pairs)(
    '%s as master, %s as replica: a snapshot under writes, the stream, and a link that is cut',
    async (masterKind, replicaKind) => {
      const master = await start(masterKind);
      const replica = await start(replicaKind);
      const [toMaster, toReplica] = [connect(master), connect(replica)];
      await load(toMaster, 400, 1);
      const during = load(connect(master), 600, 2);
      await follow(toReplica, master);
      await during;
      await expectSame(toMaster, toReplica);
      expect(await ask(toReplica, 'SET', 'x', '1')).toMatch(/^-READONLY/);
      expect(await ask(toMaster, 'CLIENT', 'KILL', 'TYPE', 'replica')).toBe(':1\r\n');
      await load(toMaster, 300, 3);
      await until('it went on', async () => (await field(toMaster, 'sync_partial_ok', 'stats')) === '1');
      expect(await ask(toReplica, 'CLIENT', 'KILL', 'TYPE', 'master')).toBe(':1\r\n');
      await until('it went on again', async () => (await field(toMaster, 'sync_partial_ok', 'stats')) === '2');
      await load(toMaster, 200, 4);
      await expectSame(toMaster, toReplica);
      expect(await field(toMaster, 'sync_full', 'stats')).toBe('1');
    },
  );

  it.each(pairs)(
    '%s as master, %s as replica: a snapshot by way of the disk, and WAIT',
    async (masterKind, replicaKind) => {
      const master = await start(masterKind, { 'repl-diskless-sync': 'no' });
      const replica = await start(replicaKind, { appendonly: 'yes' });
      const [toMaster, toReplica] = [connect(master), connect(replica)];
      await load(toMaster, 300, 5);
      await ask(toReplica, 'SET', 'own', 'data');
      await follow(toReplica, master);
      await ask(toMaster, 'SET', 'k', 'v');
      expect(await ask(toMaster, 'WAIT', '1', '5000')).toBe(':1\r\n');
      expect(await ask(toReplica, 'GET', 'k')).toBe('$1\r\nv\r\n');
      expect(await ask(toReplica, 'EXISTS', 'own')).toBe(':0\r\n');
      expect(await ask(toMaster, 'WAIT', '2', '50')).toBe(':1\r\n');
      await expectSame(toMaster, toReplica);
      await until('the append-only file is whole', async () => {
        return (await field(toReplica, 'aof_rewrite_in_progress', 'persistence')) === '0';
      });
      const digest = await ask(toReplica, 'DEBUG', 'DIGEST');
      expect(await ask(toReplica, 'DEBUG', 'LOADAOF')).toBe('+OK\r\n');
      expect(await ask(toReplica, 'DEBUG', 'DIGEST')).toBe(digest);
    },
  );

  it('a chain passes on what its first master sent, and a middle that becomes the master keeps its replica', async () => {
    const first = await start('redis');
    const middle = await start('ours');
    const last = await start('redis');
    const [toFirst, toMiddle, toLast] = [connect(first), connect(middle), connect(last)];
    await load(toFirst, 200, 6);
    await follow(toMiddle, first);
    await follow(toLast, middle);
    await load(toFirst, 300, 7);
    await expectSame(toFirst, toMiddle, toLast);
    expect(await field(toLast, 'master_replid')).toBe(await field(toFirst, 'master_replid'));
    const id = await field(toMiddle, 'master_replid');
    expect(await ask(toMiddle, 'REPLICAOF', 'NO', 'ONE')).toBe('+OK\r\n');
    expect(await field(toMiddle, 'master_replid2')).toBe(id);
    await until('the last goes on', async () => (await field(toLast, 'master_link_status')) === 'up');
    // The first one has written nothing since: it can follow without a snapshot.
    await follow(toFirst, middle);
    await load(toMiddle, 200, 8);
    await expectSame(toMiddle, toFirst, toLast);
    expect(await field(toMiddle, 'sync_full', 'stats')).toBe('1');
    expect(await field(toMiddle, 'sync_partial_ok', 'stats')).toBe('2');
  });

  it.each(pairs)('FAILOVER hands the role of %s to %s and back', async (firstKind, secondKind) => {
    const first = await start(firstKind);
    const second = await start(secondKind);
    const [toFirst, toSecond] = [connect(first), connect(second)];
    await load(toFirst, 100, 9);
    await follow(toSecond, first);
    for (const [from, to] of [
      [toFirst, toSecond],
      [toSecond, toFirst],
    ]) {
      await caughtUp(from, to);
      expect(await ask(from, 'FAILOVER')).toBe('+OK\r\n');
      await until('the roles have changed', async () => {
        const roles = [await field(from, 'role'), await field(to, 'role')];
        return roles.join() === 'slave,master' && (await field(from, 'master_link_status')) === 'up';
      });
      await load(to, 100, 10);
      await expectSame(to, from);
    }
    expect(await field(toFirst, 'sync_full', 'stats')).toBe('1');
    expect(await field(toSecond, 'sync_full', 'stats')).toBe('0');
  });

  it.each(['redis', 'ours'] as const)(
    'a replica of %s that is started again goes on from its dump file',
    async (kind) => {
      const master = await start(kind);
      const before = await OurServer.start(NO_DELAY);
      const [toMaster, toBefore] = [connect(master), connect(before)];
      await load(toMaster, 200, 11);
      await follow(toBefore, master);
      await load(toMaster, 50, 12);
      await caughtUp(toMaster, toBefore);
      const kept = mkdtempSync(join(tmpdir(), 'replica-'));
      expect(await ask(toBefore, 'SAVE')).toBe('+OK\r\n');
      copyFileSync(join(before.directory, 'dump.rdb'), join(kept, 'dump.rdb'));
      await before.stop();
      await load(toMaster, 100, 13);
      const directives = { ...NO_DELAY, 'enable-debug-command': 'yes', replicaof: `127.0.0.1 ${master.port}` };
      const again = await OurServer.start(directives, (dir) =>
        copyFileSync(join(kept, 'dump.rdb'), join(dir, 'dump.rdb')),
      );
      rmSync(kept, { recursive: true });
      running.push(again);
      const toAgain = connect(again);
      await until('the link is up', async () => (await field(toAgain, 'master_link_status')) === 'up');
      await expectSame(toMaster, toAgain);
      expect(await field(toMaster, 'sync_full', 'stats')).toBe('1');
      expect(await field(toMaster, 'sync_partial_ok', 'stats')).toBe('1');
    },
  );

  it('a replica hides what has expired, and deletes it when its master says so', async () => {
    const master = await start('ours');
    const replica = await start('ours');
    const [toMaster, toReplica] = [connect(master), connect(replica)];
    await follow(toReplica, master);
    await ask(toMaster, 'DEBUG', 'SET-ACTIVE-EXPIRE', '0');
    await ask(toMaster, 'SET', 'k', 'v', 'PX', '30');
    await caughtUp(toMaster, toReplica);
    await until('it has expired', async () => (await ask(toReplica, 'GET', 'k')) === '$-1\r\n');
    expect(await ask(toReplica, 'DBSIZE')).toBe(':1\r\n');
    expect(await ask(toMaster, 'GET', 'k')).toBe('$-1\r\n');
    await until('it is gone', async () => (await ask(toReplica, 'DBSIZE')) === ':0\r\n');
  });

  it('what was kept for a replica goes when the replica has gone, though nothing is written any more', async () => {
    const master = await start('ours', { 'repl-backlog-size': 16384, 'rdb-key-save-delay': 1_000_000 });
    const peer = connect(master);
    for (let i = 0; i < 20; i++) await ask(peer, 'SET', `held:${i}`, 'x');
    const stuck = connect(master);
    const reply = stuck.run([['PSYNC', '?', '-1']]).catch(() => null);
    await until('its snapshot is being made', async () => (await field(peer, 'slave0')).includes('wait_bgsave'));
    for (let i = 0; i < 100; i++) await ask(peer, 'SET', 'key', 'v'.repeat(100_000));
    expect(Number(await field(peer, 'repl_backlog_histlen'))).toBeGreaterThan(10_000_000);
    await ask(peer, 'CLIENT', 'KILL', 'TYPE', 'replica');
    await until('it is given back', async () => Number(await field(peer, 'repl_backlog_histlen')) < 100_000);
    await reply;
  });

  it('min-replicas-to-write and replica-serve-stale-data refuse what they are to refuse', async () => {
    const master = await start('ours', { 'min-replicas-to-write': 1 });
    const replica = await start('ours', { 'replica-serve-stale-data': 'no' });
    const [toMaster, toReplica] = [connect(master), connect(replica)];
    expect(await ask(toMaster, 'SET', 'k', 'v')).toBe('-NOREPLICAS Not enough good replicas to write.\r\n');
    await follow(toReplica, master);
    await until('writes are taken', async () => (await ask(toMaster, 'SET', 'k', 'v')) === '+OK\r\n');
    await caughtUp(toMaster, toReplica);
    expect(await ask(toReplica, 'GET', 'k')).toBe('$1\r\nv\r\n');
    await ask(toReplica, 'REPLICAOF', '127.0.0.1', '1');
    expect(await ask(toReplica, 'GET', 'k')).toMatch(/^-MASTERDOWN/);
    expect(await ask(toReplica, 'PING')).toMatch(/^-MASTERDOWN/);
    expect(await ask(toReplica, 'ROLE')).toMatch(/^\*5\r\n\$5\r\nslave\r\n/);
    await until('writes are refused', async () => (await ask(toMaster, 'SET', 'k', 'v')).startsWith('-NOREPLICAS'));
  });

  it.each(['redis', 'ours'] as const)('CLIENT PAUSE on a replica (%s) holds what its master sends', async (kind) => {
    const master = await start('ours');
    const replica = await start(kind);
    const [toMaster, toReplica] = [connect(master), connect(replica)];
    await follow(toReplica, master);
    await ask(toMaster, 'SET', 'k', 'before');
    await caughtUp(toMaster, toReplica);
    for (const how of ['WRITE', 'ALL']) {
      const pausing = connect(replica);
      await ask(pausing, 'CLIENT', 'PAUSE', how === 'ALL' ? '1500' : '100000', how);
      await ask(toMaster, 'SET', 'k', how);
      if (how === 'WRITE') {
        const offset = Number(await field(toMaster, 'master_repl_offset'));
        await until('it was received', async () => Number(await field(pausing, 'slave_read_repl_offset')) >= offset);
        expect(await ask(pausing, 'GET', 'k')).toBe('$6\r\nbefore\r\n');
        expect(Number(await field(pausing, 'slave_repl_offset'))).toBeLessThan(offset);
        expect(await ask(pausing, 'CLIENT', 'UNPAUSE')).toBe('+OK\r\n');
      }
      await caughtUp(toMaster, toReplica);
      expect(await ask(toReplica, 'GET', 'k')).toBe(`$${how.length}\r\n${how}\r\n`);
    }
  });

  it('a replica that cannot save goes on applying with replica-ignore-disk-write-errors', async () => {
    const master = await start('ours');
    const replica = (await start('ours', {
      save: '900 1',
      'replica-ignore-disk-write-errors': 'yes',
    })) as OurServer;
    const [toMaster, toReplica] = [connect(master), connect(replica)];
    await follow(toReplica, master);
    replica.server.lastSaveOk = false;
    expect(await ask(toReplica, 'PING')).toMatch(/^-MISCONF/);
    await ask(toMaster, 'SET', 'k', 'v');
    await caughtUp(toMaster, toReplica);
    expect(await ask(toReplica, 'GET', 'k')).toBe('$1\r\nv\r\n');
  });
});
