import { describe, expect, it } from 'vitest';
import { Arena } from '../data/arena.ts';
import { ManualClock } from '../platform/clock.ts';
import { SeededRandom } from '../platform/random.ts';
import type { Database } from './database.ts';
import { ExpireCycle } from './expire.ts';
import { Keyspace } from './keyspace.ts';

const OPTIONS = { hz: 10, effort: 1 };

function cycleOf(keyspace: Keyspace): void {
  const cycle = new ExpireCycle(keyspace, OPTIONS);
  while (cycle.slice());
}

function build(): { clock: ManualClock; keyspace: Keyspace; db: Database } {
  const clock = new ManualClock();
  const keyspace = new Keyspace(new Arena(), clock, new SeededRandom(9));
  return { clock, keyspace, db: keyspace.databases[0] };
}

function put(db: Database, name: string, ttlMs: number): void {
  const key = Uint8Array.from(Buffer.from(name));
  const entry = db.setString(key, 0, key.length, key, 0, key.length);
  if (ttlMs > 0) db.setExpiry(entry, db.keyspace.clock.unixMs + ttlMs);
}

function holds(db: Database, name: string): boolean {
  const key = Uint8Array.from(Buffer.from(name));
  return db.dict.find(key, 0, key.length) !== 0;
}

describe('expiry', () => {
  it('a key is gone when its time has passed, and not before', () => {
    const { clock, keyspace, db } = build();
    put(db, 'k', 10);
    const key = Uint8Array.from(Buffer.from('k'));
    clock.advanceUs(10_000);
    expect(db.peek(key, 0, 1)).not.toBe(0);
    clock.advanceUs(1_000);
    expect(db.peek(key, 0, 1)).toBe(0);
    expect(db.size).toBe(0);
    expect(keyspace.stats.expiredKeys).toBe(1);
  });

  it('the active cycle deletes all expired keys of all databases and no other', () => {
    const { clock, keyspace } = build();
    const [first, , third] = keyspace.databases;
    for (let i = 0; i < 5000; i++) {
      put(first, `short:${i}`, 100 + i);
      put(third, `short:${i}`, 50);
      put(first, `long:${i}`, 3_600_000);
      put(first, `stays:${i}`, 0);
    }
    clock.advanceUs(10_000_000);
    for (let cycle = 0; cycle < 600; cycle++) cycleOf(keyspace);
    expect(third.size).toBe(0);
    expect(first.size).toBe(10_000);
    expect(first.expiries.size).toBe(5000);
    expect(holds(first, 'long:77')).toBe(true);
    expect(holds(first, 'short:77')).toBe(false);
    expect(keyspace.stats.expiredKeys).toBe(10_000);
    expect(first.averageTtlMs).toBeGreaterThan(3_000_000);
  });

  it('the active cycle stops when its time is used and goes on from there', () => {
    const { clock, keyspace, db } = build();
    for (let i = 0; i < 5000; i++) put(db, `k:${i}`, 10);
    clock.advanceUs(1_000_000);
    const slow = clock as ManualClock & { update(): void };
    slow.update = () => clock.advanceUs(30_000); // each look at the clock finds it a cycle's share later
    cycleOf(keyspace);
    const { expiredKeys } = keyspace.stats;
    expect(expiredKeys).toBeGreaterThan(0);
    expect(expiredKeys).toBeLessThan(1000);
    expect(keyspace.stats.expiredTimeCapReached).toBe(1);
    for (let i = 0; i < 50; i++) cycleOf(keyspace);
    expect(db.size).toBe(0);
  });

  it('a slice of the active cycle is a few hundred keys behind its millisecond, and the cycle has a quarter of the time', () => {
    const { clock, keyspace, db } = build();
    for (let i = 0; i < 50_000; i++) put(db, `k:${i}`, 10);
    clock.advanceUs(1_000_000);
    const slow = clock as ManualClock & { update(): void };
    slow.update = () => clock.advanceUs(400);
    const cycle = new ExpireCycle(keyspace, OPTIONS);
    const slices: number[] = [];
    for (let more = true; more; ) {
      const before = keyspace.stats.expiredKeys;
      more = cycle.slice();
      slices.push(keyspace.stats.expiredKeys - before);
    }
    // Three looks at the clock, and one when it has ended: 25 ms of 100.
    expect(Math.max(...slices)).toBe(3 * 320);
    expect(slices.length).toBe(16);
    expect(keyspace.stats.expiredTimeCapReached).toBe(1);
    expect(keyspace.stats.expireCycleUs).toBeGreaterThanOrEqual(25_000);
  });

  it('survives moves of entries and slots (churn against a model)', () => {
    const { clock, keyspace, db } = build();
    const random = new SeededRandom(4);
    const model = new Map<string, number>();
    for (let i = 0; i < 20_000; i++) {
      const name = `k${random.below(300)}`;
      const key = Uint8Array.from(Buffer.from(name));
      const value = new Uint8Array(random.below(200));
      const action = random.below(4);
      if (action === 0) {
        db.delete(key, 0, key.length);
        model.delete(name);
      } else if (action === 1) {
        db.setString(key, 0, key.length, value, 0, value.length, true);
        if (!model.has(name)) model.set(name, -1);
      } else if (model.has(name)) {
        const entry = db.peek(key, 0, key.length);
        const expiry = action === 2 ? clock.unixMs + 1 + random.below(1e6) : -1;
        if (expiry === -1) db.removeExpiry(entry);
        else db.setExpiry(entry, expiry);
        model.set(name, expiry);
      }
    }
    expect(db.size).toBe(model.size);
    let volatile = 0;
    for (const [name, expiry] of model) {
      const key = Uint8Array.from(Buffer.from(name));
      expect(db.expiryOf(db.peek(key, 0, key.length))).toBe(expiry);
      if (expiry !== -1) volatile++;
    }
    expect(db.expiries.size).toBe(volatile);
    db.clear();
    expect(keyspace.arena.used).toBe(16 * 64);
  });
});
