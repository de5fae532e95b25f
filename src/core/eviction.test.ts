// Eviction by policy, on a keyspace of its own: who goes, who stays, and who is told.
import { describe, expect, it } from 'vitest';
import { Arena } from '../data/arena.ts';
import { ManualClock } from '../platform/clock.ts';
import { SeededRandom } from '../platform/random.ts';
import { createConfig } from './config.ts';
import { EVICTION_FAILED, EVICTION_OK, EVICTION_RUNNING, Eviction } from './eviction.ts';
import { Keyspace } from './keyspace.ts';

class Fixture {
  readonly clock = new ManualClock();
  readonly config = createConfig();
  readonly keyspace = new Keyspace(new Arena(), this.clock, new SeededRandom(7));
  readonly deleted: string[] = [];
  readonly events: string[] = [];
  readonly later: (() => void)[] = [];
  timeUs = 0;
  mayEvict = true;
  readonly eviction = new Eviction({
    keyspace: this.keyspace,
    config: this.config,
    // Each look takes 10 us.
    stopwatch: () => (this.timeUs += 10),
    soon: (task) => this.later.push(task),
    measure: () => {},
    reclaim: () => {},
    usedMemory: () => this.keyspace.arena.used,
    deleted: (_db, key, lazy) => this.deleted.push(`${lazy ? 'lazy ' : ''}${Buffer.from(key).toString('latin1')}`),
    mayEvict: () => this.mayEvict,
  });

  constructor() {
    this.keyspace.notifyFlags = -1;
    this.keyspace.hooks = {
      ...this.keyspace.hooks,
      keyEvent: (_class, event, _db, bytes, offset, length) => {
        if (event !== 'new')
          this.events.push(`${event} ${Buffer.from(bytes.slice(offset, offset + length)).toString()}`);
      },
    };
  }

  add(name: string, expiry = -1, index = 0): void {
    const key = Buffer.from(name);
    const db = this.keyspace.databases[index];
    const entry = db.setString(key, 0, key.length, new Uint8Array(400), 0, 400);
    if (expiry !== -1) db.setExpiry(entry, expiry);
  }

  fill(prefix: string, count: number, expiry = -1): void {
    for (let i = 0; i < count; i++) this.add(`${prefix}${i}`, expiry);
  }

  left(prefix: string, count: number): number {
    const db = this.keyspace.databases[0];
    let found = 0;
    for (let i = 0; i < count; i++) {
      const key = Buffer.from(`${prefix}${i}`);
      if (db.dict.find(key, 0, key.length) !== 0) found++;
    }
    return found;
  }

  /** Limits memory to a share of what is used and evicts. */
  squeeze(share: number): number {
    this.config.maxmemory = Math.floor(this.keyspace.arena.used * share);
    this.config.maxmemoryEvictionTenacity = 100;
    return this.eviction.perform();
  }
}

describe('eviction', () => {
  it('fails under noeviction, and where no key may go', () => {
    const { eviction, ...fixture } = new Fixture();
    expect(eviction.perform()).toBe(EVICTION_OK);
    const full = new Fixture();
    full.fill('a', 100);
    expect(full.squeeze(0.5)).toBe(EVICTION_FAILED);
    full.config.maxmemoryPolicy = 'volatile-lru';
    expect(full.eviction.perform()).toBe(EVICTION_FAILED);
    expect(full.left('a', 100)).toBe(100);
    full.mayEvict = false;
    expect(full.eviction.perform()).toBe(EVICTION_OK);
    expect(fixture.deleted).toEqual([]);
  });

  it('takes the keys that were not used for longest', () => {
    const one = new Fixture();
    one.config.maxmemoryPolicy = 'allkeys-lru';
    one.fill('old', 500);
    one.clock.advanceUs(60_000_000);
    one.fill('new', 500);
    expect(one.squeeze(0.6)).toBe(EVICTION_OK);
    expect(one.keyspace.arena.used).toBeLessThanOrEqual(one.config.maxmemory);
    expect(one.left('new', 500)).toBeGreaterThan(490);
    expect(one.left('old', 500)).toBeLessThan(150);
    expect(one.deleted.length).toBe(one.eviction.evictedKeys);
    expect(one.events).toEqual(one.deleted.map((key) => `evicted ${key}`));
  });

  it('takes the keys that are used least often', () => {
    const one = new Fixture();
    one.config.maxmemoryPolicy = 'allkeys-lfu';
    one.keyspace.lfu = true;
    one.fill('rare', 500);
    one.fill('often', 500);
    const db = one.keyspace.databases[0];
    for (let i = 0; i < 500; i++) {
      const key = Buffer.from(`often${i}`);
      for (let use = 0; use < 100; use++) db.find(key, 0, key.length);
    }
    one.squeeze(0.6);
    expect(one.left('often', 500)).toBeGreaterThan(470);
  });

  it('takes the keys that expire first, and no others, under volatile-ttl', () => {
    const one = new Fixture();
    one.config.maxmemoryPolicy = 'volatile-ttl';
    one.fill('forever', 300);
    one.fill('soon', 300, one.clock.unixMs + 1000);
    one.fill('late', 300, one.clock.unixMs + 1_000_000);
    expect(one.squeeze(0.75)).toBe(EVICTION_OK);
    expect([one.left('forever', 300), one.left('late', 300) > 290]).toEqual([300, true]);
    expect(one.squeeze(0.2)).toBe(EVICTION_FAILED);
    expect([one.left('forever', 300), one.left('late', 300), one.left('soon', 300)]).toEqual([300, 0, 0]);
  });

  it('takes any key of any database at random', () => {
    const one = new Fixture();
    one.config.maxmemoryPolicy = 'allkeys-random';
    one.config.lazyfreeLazyEviction = true;
    one.fill('a', 300);
    for (let i = 0; i < 300; i++) one.add(`b${i}`, -1, 3);
    one.squeeze(0.5);
    expect(one.deleted.every((key) => /^lazy [ab]/.test(key))).toBe(true);
    expect(one.left('a', 300)).toBeLessThan(250);
    expect(one.keyspace.databases[3].size).toBeLessThan(250);
    one.config.maxmemoryPolicy = 'volatile-random';
    expect(one.squeeze(0.5)).toBe(EVICTION_FAILED);
  });

  it('stops when its time is used and goes on later', () => {
    const one = new Fixture();
    one.config.maxmemoryPolicy = 'allkeys-lru';
    one.fill('a', 2000);
    one.config.maxmemory = 10_000;
    one.config.maxmemoryEvictionTenacity = 1;
    expect(one.eviction.perform()).toBe(EVICTION_RUNNING);
    const first = one.eviction.evictedKeys;
    expect(first).toBeLessThan(200);
    expect(one.later.length).toBe(1);
    while (one.later.length > 0) one.later.pop()?.();
    expect(one.eviction.perform()).toBe(EVICTION_OK);
    expect(one.keyspace.arena.used).toBeLessThanOrEqual(10_000);
    expect(one.eviction.totalExceededUs).toBeGreaterThan(0);
    expect(one.eviction.currentExceededUs).toBe(0);
  });
});
