import { expect, it } from 'vitest';
import type { SynGate } from '../../io-engine/frame-engine.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { TimerWheel } from '../timer-wheel.ts';
import { SynLimit } from './syn-limit.ts';

/** A second of a flood of random SYNs; how many were answered. */
function flood(limit: SynLimit, random: SeededRandom, fromMs: number, perMs: number): number {
  let answered = 0;
  for (let ms = fromMs; ms < fromMs + 1000; ms++) {
    for (let i = 0; i < perMs; i++) {
      if (limit.mayAnswer(random.int32(), random.below(65536), 6379, random.int32(), ms)) answered++;
    }
  }
  return answered;
}

it('few are answered as they come', () => {
  const limit = new SynLimit(new SeededRandom(1), 0);
  const random = new SeededRandom(2);
  for (let second = 0; second < 6; second++) {
    const answered = flood(limit, random, second * 1000, 100);
    // Those that are taken for others are very few.
    expect(answered).toBeGreaterThanOrEqual(4000);
    expect(answered).toBeLessThan(4020);
  }
});

it('a SYN that comes again after one, two or four seconds is answered, in the midst of a flood', () => {
  const limit = new SynLimit(new SeededRandom(1), 0);
  const random = new SeededRandom(3);
  let answered = 0;
  let first = 0;
  const clients = Array.from({ length: 50 }, (_, i) => ({ ip: random.int32(), port: 40_000 + i, seq: random.int32() }));
  const ask = (nowMs: number) =>
    clients.filter(({ ip, port, seq }) => limit.mayAnswer(ip, port, 6379, seq, nowMs)).length;
  flood(limit, random, 0, 60);
  for (let i = 0; i < 500; i++) limit.mayAnswer(random.int32(), i, 6379, i, 1090);
  first = ask(1090);
  flood(limit, random, 1010, 60); // until 2010
  for (let i = 0; i < 500; i++) limit.mayAnswer(random.int32(), i, 6379, i, 2190);
  answered = ask(2190);
  expect(first).toBeLessThan(5);
  // Others have taken the places of some: those get in with their third.
  expect(answered).toBeGreaterThan(44);
});

it('forgets in time, whatever the clock does', () => {
  const limit = new SynLimit(new SeededRandom(1), 0x7fff_ffff);
  const spend = (nowMs: number) => {
    for (let i = 0; i < 400; i++) limit.mayAnswer(i, i, 1, i + nowMs, nowMs);
  };
  const from = 0x7fff_ffff;
  spend(from);
  expect(limit.mayAnswer(9, 9, 9, 9, from)).toBe(false);
  const later = (from + 1500) | 0;
  spend(later);
  expect(limit.mayAnswer(9, 9, 9, 9, later)).toBe(true);
  const muchLater = (later + 60_000) | 0;
  spend(muchLater);
  expect(limit.mayAnswer(9, 9, 9, 9, muchLater)).toBe(false);
});

it("leaves it to the engine's gate, counts what that holds back, and opens it when the flood is over", () => {
  const limits: number[] = [];
  const gate = { held: 0xffff_fff0, limit: (perSecond: number) => void limits.push(perSecond) } satisfies SynGate;
  const timers = new TimerWheel(0);
  let held = 0;
  const onHeld = (count: number) => {
    held += count;
  };
  const random = new SeededRandom(4);
  const limit = new SynLimit(new SeededRandom(1), 0, { gate, timers, onHeld });
  for (let i = 0; i < 400; i++) expect(limit.mayAnswer(random.int32(), 1, 2, random.int32(), 0)).toBe(true);
  expect(limits).toEqual([]);
  expect(limit.mayAnswer(random.int32(), 1, 2, random.int32(), 0)).toBe(false);
  expect(limits).toEqual([4000]);
  // What it lets in is answered, up to a bound: it might not work.
  let answered = 0;
  for (let i = 0; i < 20_000; i++) if (limit.mayAnswer(random.int32(), 1, 2, random.int32(), 150)) answered++;
  expect(answered).toBeGreaterThan(2000);
  expect(answered).toBeLessThan(3000);
  gate.held = 84; // past 2^32
  const until = (ms: number) => {
    for (; nowMs < ms; nowMs += 50) timers.advance(nowMs + 50);
  };
  let nowMs = 0;
  until(300);
  expect(held).toBe(100);
  until(5000);
  gate.held = 90;
  until(12_000);
  expect(limits).toEqual([4000]);
  until(16_000);
  expect(limits).toEqual([4000, 0]);
  expect(held).toBe(106);
  expect(timers.size).toBe(0);
  // The next flood.
  for (let i = 0; i < 401; i++) limit.mayAnswer(random.int32(), 1, 2, random.int32(), 20_000);
  expect(limits).toEqual([4000, 0, 4000]);
});
