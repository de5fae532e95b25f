import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Arena } from './arena.ts';

/** Fills a block with a pattern of its own, up to its full capacity at the ends. */
function stamp(arena: Arena, ref: number, mark: number): void {
  const bytes = arena.bytesOf(ref);
  const start = arena.offsetOf(ref);
  const capacity = arena.capacityOf(ref);
  bytes.fill(mark, start, start + Math.min(capacity, 4096));
  bytes.fill(mark, start + Math.max(0, capacity - 4096), start + capacity);
}

function intact(arena: Arena, ref: number, mark: number): boolean {
  const bytes = arena.bytesOf(ref);
  const start = arena.offsetOf(ref);
  const capacity = arena.capacityOf(ref);
  const near = Math.min(capacity, 4096);
  for (let i = 0; i < near; i++)
    if (bytes[start + i] !== mark || bytes[start + capacity - 1 - i] !== mark) return false;
  return true;
}

describe('Arena', () => {
  it('gives blocks of at least the size asked for, with little waste', () => {
    const arena = new Arena();
    for (const size of [
      1,
      15,
      16,
      17,
      96,
      511,
      512,
      513,
      576,
      577,
      1024,
      1025,
      32767,
      32768,
      32769,
      100_000,
      1 << 24,
    ]) {
      const ref = arena.alloc(size);
      expect(ref).toBeGreaterThan(0);
      expect(arena.capacityOf(ref)).toBeGreaterThanOrEqual(size);
      expect(arena.capacityOf(ref)).toBe(Arena.capacityFor(size));
      expect(arena.capacityOf(ref) - size).toBeLessThan(Math.max(16, size / 4));
      arena.free(ref, size);
    }
    expect(arena.used).toBe(0);
  });

  it('never lets two blocks overlap and counts to zero (property)', () => {
    const size = fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 0, max: 700 }) },
      { weight: 3, arbitrary: fc.integer({ min: 700, max: 40_000 }) },
      { weight: 1, arbitrary: fc.integer({ min: 40_000, max: 3_000_000 }) },
    );
    const step = fc.record({ size, drop: fc.boolean(), which: fc.nat(1_000_000) });
    fc.assert(
      fc.property(fc.array(step, { minLength: 50, maxLength: 400 }), (steps) => {
        const arena = new Arena();
        const live: { ref: number; mark: number }[] = [];
        let sum = 0;
        let mark = 0;
        for (const { size, drop, which } of steps) {
          if (drop && live.length > 0) {
            const [gone] = live.splice(which % live.length, 1);
            expect(intact(arena, gone.ref, gone.mark)).toBe(true);
            sum -= arena.capacityOf(gone.ref);
            arena.free(gone.ref);
          } else {
            mark = (mark + 1) & 255;
            const ref = arena.alloc(size);
            stamp(arena, ref, mark);
            live.push({ ref, mark });
            sum += arena.capacityOf(ref);
          }
          expect(arena.used).toBe(sum);
        }
        for (const { ref, mark } of live) {
          expect(intact(arena, ref, mark)).toBe(true);
          arena.free(ref);
        }
        expect(arena.used).toBe(0);
      }),
      { seed: 7, numRuns: 60 },
    );
  });

  it('reuses what was freed', () => {
    const arena = new Arena();
    const refs = Array.from({ length: 100_000 }, (_, i) => arena.alloc(40 + (i % 100)));
    const reserved = arena.reserved;
    for (let round = 0; round < 5; round++) {
      for (const ref of refs) arena.free(ref);
      expect(arena.used).toBe(0);
      for (let i = 0; i < refs.length; i++) refs[i] = arena.alloc(3000 - ((i * 7) % 2960) < 40 ? 40 : 40 + (i % 100));
    }
    expect(arena.reserved).toBe(reserved);
  });

  it('gives empty segments back and takes blocks beyond a segment', () => {
    const arena = new Arena();
    const big = arena.alloc(100 << 20);
    expect(arena.bytesOf(big).length).toBe(100 << 20);
    expect(arena.offsetOf(big)).toBe(0);
    arena.free(big);
    expect(arena.reserved).toBe(0);
    const runs = Array.from({ length: 20 }, () => arena.alloc(6 << 20));
    expect(arena.reserved).toBe(10 * (16 << 20));
    for (const ref of runs) arena.free(ref);
    expect(arena.reserved).toBe(16 << 20);
    expect(arena.used).toBe(0);
  });
});
