// What is discarded is freed in slices, all of it, and counted.
import { describe, expect, it } from 'vitest';
import { CommandHarness } from '../../test/support/command-harness.ts';
import { commandTable } from '../commands/table.ts';
import { SeededRandom } from '../platform/random.ts';
import { Keyspace } from './keyspace.ts';

interface Fixture {
  readonly redis: CommandHarness;
  /** Runs the tasks that were put off, each as a tick. @returns how many there were. */
  readonly runTicks: () => number;
}

function setUp(): Fixture {
  const redis = new CommandHarness(commandTable);
  const tasks: (() => void)[] = [];
  let timeUs = 0;
  // Each look at the clock finds 600 us gone: two steps a slice.
  redis.keyspace.lazyFree.runtime = { soon: (task) => tasks.push(task), stopwatch: () => (timeUs += 600) };
  return {
    redis,
    runTicks: () => {
      let ticks = 0;
      for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
        task();
        ticks++;
      }
      return ticks;
    },
  };
}

describe('lazy freeing', () => {
  it('takes large values of every type apart in slices', () => {
    const { redis, runTicks } = setUp();
    const { lazyFree } = redis.keyspace;
    const empty = redis.arena.used;
    for (let i = 0; i < 20_000; i++) {
      redis.run('SADD', 's', `member${i}`);
      redis.run('HSET', 'h', `field${i}`, 'value');
      redis.run('ZADD', 'z', String(i), `member${i}`);
      redis.run('RPUSH', 'l', `element${i}`);
    }
    redis.run('SET', 'string', 'x'.repeat(100_000));
    const full = redis.arena.used;
    expect(redis.run('UNLINK', 's', 'h', 'z', 'l', 'string')).toBe(':5\r\n');
    expect(redis.run('DBSIZE')).toBe(':0\r\n');
    expect(lazyFree.pending).toBe(3);
    expect(redis.arena.used).toBeGreaterThan(full / 3);
    expect(runTicks()).toBeGreaterThan(20);
    expect([lazyFree.pending, lazyFree.freed]).toEqual([0, 3]);
    redis.run('FLUSHALL');
    expect(redis.arena.used).toBe(empty);
  });

  it('empties a database at once and frees its keys later', () => {
    const { redis, runTicks } = setUp();
    const { lazyFree } = redis.keyspace;
    const empty = redis.arena.used;
    for (let i = 0; i < 5000; i++) redis.run('SET', `key${i}`, 'value', 'EX', '100');
    for (let i = 0; i < 200; i++) redis.run('RPUSH', 'list', 'x'.repeat(500));
    const full = redis.arena.used;
    expect(redis.run('FLUSHALL', 'ASYNC')).toBe('+OK\r\n');
    expect([redis.run('DBSIZE'), redis.run('EXISTS', 'key1')]).toEqual([':0\r\n', ':0\r\n']);
    expect([lazyFree.pending, redis.arena.used > full * 0.9]).toEqual([5001, true]);
    redis.run('SET', 'key1', 'again');
    runTicks();
    expect([lazyFree.pending, lazyFree.freed]).toEqual([0, 5001]);
    expect(redis.ask('GET', 'key1')).toBe('again');
    redis.run('FLUSHDB', 'SYNC');
    expect(redis.arena.used).toBe(empty);
  });

  it('is what the lazyfree directives ask for, and for small values never worth it', () => {
    const { redis, runTicks } = setUp();
    const { lazyFree } = redis.keyspace;
    const fill = (): void => {
      for (let i = 0; i < 1000; i++) redis.run('SADD', 'big', `member${i}`);
      redis.run('SADD', 'small', 'a', 'b');
    };
    fill();
    redis.run('DEL', 'big', 'small');
    expect(lazyFree.pending).toBe(0);
    redis.config.lazyfreeLazyUserDel = true;
    fill();
    redis.run('DEL', 'big', 'small');
    expect(lazyFree.pending).toBe(1);
    redis.keyspace.lazyServerDel = true;
    fill();
    redis.run('SET', 'big', 'x');
    expect(lazyFree.pending).toBe(2);
    runTicks();
    expect(lazyFree.pending).toBe(0);
    expect(redis.run('FLUSHALL', 'LATER')).toBe('-ERR syntax error\r\n');
  });

  it('FLUSHALL SYNC takes the memory as a whole, unless somebody else has a part of it', () => {
    const { redis, runTicks } = setUp();
    const { arena } = redis;
    const empty = arena.used;
    const fill = (): void => {
      for (let i = 0; i < 2000; i++) redis.run('SET', `key${i}`, 'value', 'EX', '100');
      for (let i = 0; i < 300; i++) redis.run('ZADD', 'z', String(i), `member${i}`);
      redis.run('SET', 'huge', 'x'.repeat(20_000_000));
      redis.run('XADD', 'x', '*', 'f', 'v');
    };
    for (const owner of ['nobody', 'nobody', 'a value that goes bit by bit', 'another keyspace', 'nobody']) {
      const other = owner === 'another keyspace' ? new Keyspace(arena, redis.clock, new SeededRandom(1)) : null;
      other?.databases[0].setString(Buffer.from('theirs'), 0, 6, Buffer.from('value'), 0, 5);
      const left = arena.used - empty;
      fill();
      redis.select(3);
      fill();
      redis.select(0);
      let removed = 4006;
      if (owner === 'a value that goes bit by bit') {
        redis.run('UNLINK', 'z');
        removed--;
      }
      const before = redis.dirty;
      expect(redis.run('FLUSHALL', 'SYNC')).toBe('+OK\r\n');
      expect(redis.dirty - before).toBe(removed);
      runTicks();
      expect(arena.used - left).toBe(empty);
      expect(redis.run('DBSIZE')).toBe(':0\r\n');
      if (owner === 'nobody') expect(arena.reserved).toBeLessThanOrEqual(1 << 24);
      if (other === null) continue;
      expect(other.databases[0].peek(Buffer.from('theirs'), 0, 6)).not.toBe(0);
      for (const db of other.databases) db.release();
      other.leave();
    }
    fill();
    expect(redis.run('STRLEN', 'huge')).toBe(':20000000\r\n');
    expect(redis.run('ZSCORE', 'z', 'member299')).toBe('$3\r\n299\r\n');
  });
});
