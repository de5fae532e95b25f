import { expect, it } from 'vitest';
import { SeededRandom } from '../../src/platform/random.ts';
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
    // 4,000 fresh ones, and those whose bit another one has set.
    expect(answered).toBeGreaterThanOrEqual(4000);
    expect(answered).toBeLessThan(13_000);
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
  expect(answered).toBe(50);
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
