// The dataset's files between real redis-server 7.0.15 and our server: what one writes, the other loads, and Redis's
// own checkers find no fault with ours. Skipped where redis-server 7.0 is not installed.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { OurServer } from '../support/our-server.ts';
import { type Peer, RedisServer, redisInstalled } from '../support/redis-server.ts';

interface Running {
  readonly directory: string;
  connect(): Peer;
  stop(): Promise<void>;
}

type Directives = Record<string, string | number>;

const debug = { 'enable-debug-command': 'yes' };
const running: Running[] = [];
const peers: Peer[] = [];

async function start(kind: 'real' | 'ours', directives: Directives = {}, from?: string): Promise<[Running, Peer]> {
  const prepare = (directory: string): void => {
    if (from !== undefined) cpSync(from, directory, { recursive: true });
  };
  const all = { ...debug, ...directives };
  const server = kind === 'real' ? await RedisServer.start(all, prepare) : await OurServer.start(all, prepare);
  running.push(server);
  const peer = server.connect();
  peers.push(peer);
  return [server, peer];
}

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.close();
  for (const server of running.splice(0)) await server.stop();
});

async function infoField(peer: Peer, name: string): Promise<string> {
  const text = String(await peer.ask('INFO', 'persistence'));
  return new RegExp(`^${name}:(.*)\r$`, 'm').exec(text)?.[1] ?? '';
}

/** Waits until nothing goes on in the background. */
async function idle(peer: Peer): Promise<void> {
  const busy = /(rdb_bgsave_in_progress|aof_rewrite_in_progress|aof_rewrite_scheduled):1/;
  while (busy.test(String(await peer.ask('INFO', 'persistence')))) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const digest = async (peer: Peer): Promise<string> => String(await peer.ask('DEBUG', 'DIGEST'));

async function fill(peer: Peer): Promise<void> {
  const many = Array.from({ length: 1000 }, (_, i) => `m${i}`);
  await peer.run([
    ...many.map((name) => ['SET', name, `value of ${name}`]),
    ['SADD', 'set', ...many],
    ['SADD', 'ints', '1', '2', '-300000'],
    ['SADD', 'wide', '1', '12345678901234'],
    ['HSET', 'hash', ...many.flatMap((field) => [field, field])],
    ['HSET', 'small', 'a', '1', 'b', 'x'.repeat(50)],
    ['ZADD', 'zset', ...many.flatMap((member, i) => [String(i / 7), member])],
    ['ZADD', 'zsmall', '-inf', 'a', '1.5', 'b', '+inf', 'c'],
    ['RPUSH', 'list', ...many],
    ['RPUSH', 'plain', 'y'.repeat(20_000), '1', '-5000000000'],
    ['SET', 'bytes', '\x00\xff\r\n'],
    ['SET', 'long', 'abc'.repeat(200_000)],
    ['SET', 'number', '12345'],
    ['EXPIREAT', 'm1', '4000000000'],
    ['PEXPIREAT', 'hash', '4000000000123'],
    ['SELECT', '11'],
    ['SET', 'other', 'database'],
    ['RPUSH', 'l', 'a', 'b'],
    ['SELECT', '0'],
  ]);
}

/** Writes of all kinds while something goes on. */
async function churn(peer: Peer, round: number): Promise<void> {
  await peer.run([
    ['APPEND', `m${round}`, '!'],
    ['SREM', 'set', `m${round}`],
    ['HSET', 'hash', `new${round}`, '1'],
    ['ZINCRBY', 'zset', '1', `m${round}`],
    ['RPOPLPUSH', 'list', 'list2'],
    ['SETRANGE', 'long', '500000', 'patched'],
    ['DEL', `m${round + 500}`],
    ['MULTI'],
    ['SET', 'a', String(round)],
    ['SPOP', 'set'],
    ['SELECT', '11'],
    ['INCR', 'counter'],
    ['SELECT', '0'],
    ['EXEC'],
  ]);
}

const aofDirectory = (server: Running): string => join(server.directory, 'appendonlydir');

function checkAof(server: Running): void {
  const manifest = join(aofDirectory(server), 'appendonly.aof.manifest');
  expect(execFileSync('redis-check-aof', [manifest], { encoding: 'utf8' })).toContain(
    'All AOF files and manifest are valid',
  );
}

describe.skipIf(!redisInstalled)('BGSAVE', () => {
  it('writes what was there when it began, while writes go on', async () => {
    const [ours, peer] = await start('ours', { 'rdb-key-save-delay': 300 });
    await fill(peer);
    const before = await digest(peer);
    expect(await peer.ask('BGSAVE')).toEqual({ type: '+', text: 'Background saving started' });
    expect(await peer.ask('BGSAVE')).toEqual({ error: 'ERR Background save already in progress' });
    expect(await peer.ask('SAVE')).toEqual({ error: 'ERR Background save already in progress' });
    let rounds = 0;
    for (; (await infoField(peer, 'rdb_bgsave_in_progress')) === '1' && rounds < 400; rounds++)
      await churn(peer, rounds);
    await idle(peer);
    expect(rounds).toBeGreaterThan(10);
    expect(await infoField(peer, 'rdb_last_bgsave_status')).toBe('ok');
    expect(Number(await infoField(peer, 'rdb_changes_since_last_save'))).toBeGreaterThan(rounds);
    const dump = join(ours.directory, 'dump.rdb');
    expect(execFileSync('redis-check-rdb', [dump], { encoding: 'utf8' })).toContain('RDB looks OK');
    expect(readdirSync(ours.directory)).toEqual(['dump.rdb']);
    const [, realPeer] = await start('real', {}, ours.directory);
    expect(await digest(realPeer)).toBe(before);
  });

  it('takes its time for keys that change before their turn, too', async () => {
    const [, peer] = await start('ours', { 'rdb-key-save-delay': 200_000 });
    for (let i = 0; i < 100; i++) await peer.ask('SET', `k${i}`, 'before');
    await peer.ask('BGSAVE');
    for (let i = 0; i < 100; i++) await peer.ask('SET', `k${i}`, 'after');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await infoField(peer, 'rdb_bgsave_in_progress')).toBe('1');
    await peer.ask('CONFIG', 'SET', 'rdb-key-save-delay', '0');
    await idle(peer);
    expect(await infoField(peer, 'rdb_last_bgsave_status')).toBe('ok');
  });

  it('an LFU policy, and what redis-server wrote with it', async () => {
    const policy = { 'maxmemory-policy': 'allkeys-lfu' };
    const [ours, peer] = await start('ours', policy);
    await fill(peer);
    for (let i = 0; i < 50; i++) await peer.ask('GET', 'm5');
    await peer.ask('BGSAVE');
    await idle(peer);
    const [, realPeer] = await start('real', policy, ours.directory);
    expect(await realPeer.ask('OBJECT', 'FREQ', 'm5')).toEqual(await peer.ask('OBJECT', 'FREQ', 'm5'));
    expect(await digest(realPeer)).toBe(await digest(peer));
  });

  it('FLUSHALL ends it', async () => {
    const [ours, peer] = await start('ours', { 'rdb-key-save-delay': 10_000 });
    await fill(peer);
    await peer.ask('BGSAVE');
    await peer.ask('FLUSHALL');
    expect(await infoField(peer, 'rdb_bgsave_in_progress')).toBe('0');
    expect(readdirSync(ours.directory)).toEqual([]);
  });

  it('a directory that cannot be written', async () => {
    const [ours, peer] = await start('ours', { dbfilename: 'taken' });
    mkdirSync(join(ours.directory, 'taken'));
    await fill(peer);
    await peer.ask('CONFIG', 'SET', 'save', '3600 1');
    await peer.ask('BGSAVE');
    await idle(peer);
    expect(await infoField(peer, 'rdb_last_bgsave_status')).toBe('err');
    expect(JSON.stringify(await peer.ask('SET', 'a', '1'))).toContain('MISCONF Redis is configured to save RDB');
    expect(readdirSync(ours.directory)).toEqual(['taken']);
  });
});

describe.skipIf(!redisInstalled)('append-only file', () => {
  const on = { appendonly: 'yes', 'auto-aof-rewrite-percentage': 0 };

  for (const preamble of ['yes', 'no']) {
    it(`is read by redis-server, after rewrites under load (RDB preamble: ${preamble})`, async () => {
      const [ours, peer] = await start('ours', { ...on, 'aof-use-rdb-preamble': preamble, 'rdb-key-save-delay': 100 });
      await fill(peer);
      for (let round = 0; round < 3; round++) {
        expect(await peer.ask('BGREWRITEAOF')).toEqual({
          type: '+',
          text: 'Background append only file rewriting started',
        });
        for (let i = 0; i < 20; i++) await churn(peer, round * 20 + i);
        await idle(peer);
        await churn(peer, 100 + round);
      }
      expect(await infoField(peer, 'aof_last_bgrewrite_status')).toBe('ok');
      // Old files are deleted in the background.
      await expect
        .poll(() => readdirSync(aofDirectory(ours)).sort())
        .toEqual([
          `appendonly.aof.4.base.${preamble === 'yes' ? 'rdb' : 'aof'}`,
          'appendonly.aof.4.incr.aof',
          'appendonly.aof.manifest',
        ]);
      checkAof(ours);
      const expected = await digest(peer);
      const [, realPeer] = await start('real', on, ours.directory);
      expect(await digest(realPeer)).toBe(expected);
      const [, again] = await start('ours', on, ours.directory);
      expect(await digest(again)).toBe(expected);
      await peer.ask('DEBUG', 'LOADAOF');
      expect(await digest(peer)).toBe(expected);
    });

    it(`of redis-server is read (RDB preamble: ${preamble})`, async () => {
      const [real, realPeer] = await start('real', {
        ...on,
        'aof-use-rdb-preamble': preamble,
        'aof-timestamp-enabled': 'yes',
        appendfsync: 'always',
      });
      await fill(realPeer);
      await realPeer.ask('BGREWRITEAOF');
      for (let i = 0; i < 10; i++) await churn(realPeer, i);
      await idle(realPeer);
      await churn(realPeer, 77);
      const [, peer] = await start('ours', on, real.directory);
      expect(await digest(peer)).toBe(await digest(realPeer));
    });
  }

  it('is switched on and off while writes go on', async () => {
    const [ours, peer] = await start('ours', { 'rdb-key-save-delay': 200, 'auto-aof-rewrite-percentage': 0 });
    await fill(peer);
    expect(await peer.ask('CONFIG', 'SET', 'appendonly', 'yes')).toEqual({ type: '+', text: 'OK' });
    expect(await infoField(peer, 'aof_enabled')).toBe('1');
    for (let i = 0; i < 10; i++) await churn(peer, i);
    await idle(peer);
    for (let i = 10; i < 20; i++) await churn(peer, i);
    const expected = await digest(peer);
    expect(await peer.ask('CONFIG', 'SET', 'appendonly', 'no')).toEqual({ type: '+', text: 'OK' });
    await churn(peer, 21);
    checkAof(ours);
    const [, realPeer] = await start('real', on, ours.directory);
    expect(await digest(realPeer)).toBe(expected);
  });

  it('times, and keys that expire', async () => {
    const [ours, peer] = await start('ours', { ...on, 'aof-timestamp-enabled': 'yes' });
    await peer.run([
      ['SET', 'gone', '1', 'PX', '30'],
      ['SET', 'kept', '1', 'EX', '1000'],
      ['SET', 'soon', '1'],
      ['PEXPIRE', 'soon', '60000'],
      ['INCRBYFLOAT', 'f', '0.1'],
    ]);
    const increment = join(aofDirectory(ours), 'appendonly.aof.1.incr.aof');
    await expect.poll(() => readFileSync(increment, 'latin1'), { timeout: 10_000 }).toContain('DEL\r\n$4\r\ngone');
    expect(readFileSync(increment, 'latin1')).toMatch(/^#TS:\d+\r\n\*2\r\n\$6\r\nSELECT\r\n/);
    checkAof(ours);
    const [, realPeer] = await start('real', on, ours.directory);
    expect(await realPeer.ask('PEXPIRETIME', 'soon')).toEqual(await peer.ask('PEXPIRETIME', 'soon'));
    expect(await digest(realPeer)).toBe(await digest(peer));
  });

  it('a tail that was cut off, within a command or a transaction', async () => {
    const [ours, peer] = await start('ours', on);
    await peer.run([['SET', 'a', '1'], ['MULTI'], ['SET', 'b', '2'], ['SET', 'c', '3'], ['EXEC'], ['SET', 'd', '4']]);
    const increment = 'appendonlydir/appendonly.aof.1.incr.aof';
    const whole = statSync(join(ours.directory, increment)).size;
    for (const [cut, keys] of [
      [1, 3],
      [20, 3],
      [35, 1],
      [60, 1],
      [whole - 3, 0],
    ]) {
      const cutOff = async (kind: 'real' | 'ours'): Promise<[string, number]> => {
        const copy = await start(kind, on);
        const { directory } = copy[0];
        cpSync(join(ours.directory, 'appendonlydir'), join(directory, 'next', 'appendonlydir'), { recursive: true });
        truncateSync(join(directory, 'next', increment), whole - cut);
        const [server, other] = await start(kind, on, join(directory, 'next'));
        const size = Number((await other.run([['DBSIZE']]))[0].bytes.toString('latin1').slice(1));
        expect(size).toBe(keys);
        return [await digest(other), statSync(join(server.directory, increment)).size];
      };
      expect(await cutOff('ours')).toEqual(await cutOff('real'));
    }
    const half = join(ours.directory, 'half');
    cpSync(join(ours.directory, 'appendonlydir'), join(half, 'appendonlydir'), { recursive: true });
    truncateSync(join(half, increment), whole - 5);
    await expect(start('ours', { ...on, 'aof-load-truncated': 'no' }, half)).rejects.toThrow(
      /Unexpected end of file reading the append only file/,
    );
    appendFileSync(join(half, increment), 'garbage\r\n');
    writeFileSync(join(half, increment), 'garbage\r\n');
    await expect(start('ours', on, half)).rejects.toThrow(/Bad file format reading the append only file/);
  });

  it('an old single file moves into the directory', async () => {
    const [real, realPeer] = await start('real', { ...on, 'aof-use-rdb-preamble': 'yes' });
    await fill(realPeer);
    await realPeer.ask('BGREWRITEAOF');
    await idle(realPeer);
    await churn(realPeer, 1);
    const old = join(real.directory, 'old');
    mkdirSync(old);
    // As Redis 6 wrote it: an RDB file, and commands behind it.
    const directory = aofDirectory(real);
    const names = readdirSync(directory);
    copyFileSync(join(directory, names.find((name) => name.includes('.base.'))!), join(old, 'appendonly.aof'));
    const increment = readFileSync(join(directory, names.find((name) => name.includes('.incr.'))!));
    appendFileSync(join(old, 'appendonly.aof'), increment);
    const [ours, peer] = await start('ours', on, old);
    expect(await digest(peer)).toBe(await digest(realPeer));
    expect(existsSync(join(ours.directory, 'appendonly.aof'))).toBe(false);
    expect(readFileSync(join(aofDirectory(ours), 'appendonly.aof.manifest'), 'latin1')).toBe(
      'file appendonly.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n',
    );
    await peer.ask('BGREWRITEAOF');
    await idle(peer);
    checkAof(ours);
  });

  it('is rewritten by itself when it has grown', async () => {
    const [ours, peer] = await start('ours', {
      appendonly: 'yes',
      'auto-aof-rewrite-percentage': 100,
      'auto-aof-rewrite-min-size': 10_000,
    });
    for (let i = 0; i < 20; i++) await peer.ask('SET', 'k', 'v'.repeat(1000));
    for (let i = 0; i < 100 && (await infoField(peer, 'aof_rewrites')) === '0'; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await idle(peer);
    expect(await infoField(peer, 'aof_last_bgrewrite_status')).toBe('ok');
    expect(readdirSync(aofDirectory(ours))).toContain('appendonly.aof.2.base.rdb');
  });
});
