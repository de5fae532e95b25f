import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CommandHarness } from '../../test/support/command-harness.ts';
import { genericCommands } from '../commands/generic.ts';
import { hashCommands } from '../commands/hash.ts';
import { listCommands } from '../commands/list.ts';
import { setCommands } from '../commands/set.ts';
import { sortedSetCommands } from '../commands/sorted-set.ts';
import { stringCommands } from '../commands/string.ts';
import { type LoadResult, loadSnapshot, type SaveResult, saveSnapshot } from './snapshot.ts';

const commands = [
  ...stringCommands,
  ...genericCommands,
  ...listCommands,
  ...hashCommands,
  ...setCommands,
  ...sortedSetCommands,
];

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'wiredis-rdb-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const save = (harness: CommandHarness, changes: object = {}): SaveResult =>
  saveSnapshot(harness.keyspace, { ...harness.config, dir, ...changes }, '7.0.15');
const load = (harness: CommandHarness): Promise<LoadResult | null> =>
  loadSnapshot(harness.keyspace, { ...harness.config, dir });

/** One key at least of every type and encoding. */
function fill(harness: CommandHarness): void {
  const { run } = { run: (line: string) => harness.run(...line.split(' ')) };
  const long = 'compressible '.repeat(100).trim().replaceAll(' ', '_');
  for (const text of [
    '0',
    '-1',
    '127',
    '-128',
    '300',
    '-32768',
    '70000',
    '2147483647',
    '2147483648',
    '-9223372036854775808',
  ]) {
    run(`set int:${text} ${text}`);
  }
  run('set empty ');
  run('set text hello');
  run(`set long ${long}`);
  run('set volatile v px 5000');
  run('set binary \x00\xff\xfe\r\n');
  run('rpush list a b c 1 2 3');
  for (let i = 0; i < 2000; i++) run(`rpush list:long element:${i} ${i}`);
  run('sadd set:ints 1 2 3 -5 100000 9000000000');
  run('sadd set a b c 1');
  for (let i = 0; i < 1000; i++) run(`sadd set:long ${i} m${i}`);
  run('hset hash f v n 12');
  for (let i = 0; i < 1000; i++) run(`hset hash:long field:${i} ${i}`);
  run('zadd zset 1 a 2.5 b inf c -inf d 0.1 e');
  for (let i = 0; i < 1000; i++) run(`zadd zset:long ${i / 7} m${i}`);
  run('pexpire zset 100000');
}

/** Every key with its type, time to live and payload; order-free types sorted. */
function contents(harness: CommandHarness): Map<string, string> {
  const sorted = (reply: string): string => reply.split('\r\n').sort().join('|');
  const result = new Map<string, string>();
  for (const key of harness
    .run('keys', '*')
    .split('\r\n')
    .filter((_, i) => i > 0 && i % 2 === 0)) {
    const type = harness.run('type', key).slice(1, -2);
    const value =
      type === 'string'
        ? harness.run('get', key)
        : type === 'list'
          ? harness.run('lrange', key, '0', '-1')
          : type === 'set'
            ? sorted(harness.run('smembers', key))
            : type === 'hash'
              ? sorted(harness.run('hgetall', key))
              : harness.run('zrange', key, '0', '-1', 'withscores');
    result.set(key, [type, harness.run('object', 'encoding', key), harness.run('pexpiretime', key), value].join('\n'));
  }
  return result;
}

describe('snapshot', () => {
  it('gives back what it was given, every type and encoding', async () => {
    for (const changes of [{}, { rdbcompression: false, rdbchecksum: false }]) {
      const source = new CommandHarness(commands);
      fill(source);
      source.select(5);
      source.run('set', 'elsewhere', 'x');
      source.select(0);
      const { keys, bytes } = save(source, changes);
      expect(readFileSync(join(dir, 'dump.rdb')).length).toBe(bytes);
      expect(readdirSync(dir)).toEqual(['dump.rdb']);
      const target = new CommandHarness(commands);
      expect(await load(target)).toMatchObject({ keysLoaded: keys, keysExpired: 0, emptyKeysSkipped: 0, bytes });
      expect(contents(target)).toEqual(contents(source));
      expect(target.keyspace.databases[5].size).toBe(1);
    }
  });

  it('gives back strings longer than what is read of a file at a time', async () => {
    const pattern = Buffer.from(Uint32Array.from({ length: 2 ** 18 }, (_, i) => i * 2654435761).buffer);
    for (const size of [2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1, 3 * 2 ** 20 + 7]) {
      const source = new CommandHarness(commands);
      const long = pattern.toString('latin1').repeat(4).slice(0, size);
      source.run('set', 'before', 'x');
      source.run('set', 'long', long);
      source.run('rpush', 'list', long, 'y');
      source.run('set', 'behind', 'z');
      save(source);
      const target = new CommandHarness(commands);
      expect(await load(target)).toMatchObject({ keysLoaded: 4 });
      expect(target.run('get', 'long') === source.run('get', 'long')).toBe(true);
      expect(target.run('lindex', 'list', '0') === source.run('lindex', 'list', '0')).toBe(true);
      expect(target.run('get', 'behind')).toBe(source.run('get', 'behind'));
    }
  });

  it('passes redis-check-rdb, where that is installed', () => {
    const source = new CommandHarness(commands);
    fill(source);
    save(source);
    let output = '';
    try {
      output = execFileSync('redis-check-rdb', [join(dir, 'dump.rdb')]).toString();
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') return;
      throw error;
    }
    expect(output).toContain('\\o/ RDB looks OK! \\o/');
  });

  it('leaves out what has expired', async () => {
    const source = new CommandHarness(commands);
    fill(source);
    save(source);
    const target = new CommandHarness(commands);
    target.clock.advanceUs(6_000_000);
    expect((await load(target))?.keysExpired).toBe(1);
    expect(target.run('exists', 'volatile')).toBe(':0\r\n');
  });

  it('is nothing when there is no file', async () => {
    expect(await load(new CommandHarness(commands))).toBeNull();
  });

  it('refuses a file cut off or changed anywhere, naming file and offset', async () => {
    const source = new CommandHarness(commands);
    source.run('set', 'key', 'value');
    source.run('rpush', 'list', 'a', 'b');
    source.run('sadd', 'set', '1', 'b');
    source.run('zadd', 'zset', '1', 'b');
    save(source);
    const path = join(dir, 'dump.rdb');
    const whole = readFileSync(path);
    const target = new CommandHarness(commands);
    const refuses = async (what: string): Promise<void> => {
      await expect(load(target), what).rejects.toThrow(/dump\.rdb: .* at offset \d+$/);
      target.run('flushall');
    };
    for (let at = 0; at < whole.length; at++) {
      writeFileSync(path, whole.subarray(0, at));
      await refuses(`cut at ${at}`);
      const changed = Buffer.from(whole);
      changed[at] ^= 1;
      writeFileSync(path, changed);
      await refuses(`changed at ${at}`);
    }
  });

  it('leaves the old file when it cannot write the new one', () => {
    const source = new CommandHarness(commands);
    fill(source);
    expect(() => saveSnapshot(source.keyspace, { ...source.config, dir: join(dir, 'missing') }, '7.0.15')).toThrow(
      /Cannot write .*missing/,
    );
    writeFileSync(join(dir, 'dump.rdb'), 'old');
    expect(() => save(source, { dbfilename: 'a/b.rdb' })).toThrow(/Cannot write/);
    expect(readFileSync(join(dir, 'dump.rdb')).toString()).toBe('old');
    expect(readdirSync(dir)).toEqual(['dump.rdb']);
  });

  it.each([
    [500, 400],
    [-4, 0],
    [30_000, 24_000],
  ])('waits while it loads with key-load-delay %i', async (delayUs, waitedMs) => {
    const harness = new CommandHarness(commands);
    for (let i = 0; i < 800; i++) harness.run('set', `k${i}`, 'v');
    save(harness);
    const other = new CommandHarness(commands);
    let waited = 0;
    let pauses = 0;
    const pace = {
      pause: () => {
        pauses++;
      },
      keyDelayUs: () => delayUs,
      wait: async (milliseconds: number) => {
        waited += milliseconds;
      },
    };
    expect((await loadSnapshot(other.keyspace, { ...other.config, dir }, pace))?.keysLoaded).toBe(800);
    expect(waited).toBe(waitedMs);
    // Others are served at least once a millisecond of waiting, or once a key.
    expect(pauses).toBeGreaterThanOrEqual(Math.min(waitedMs, 800));
  });
});
