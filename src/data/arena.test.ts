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
    const what = fc.constantFrom('alloc', 'alloc', 'free', 'free', 'extend', 'grow');
    const step = fc.record({ size, what, which: fc.nat(1_000_000) });
    fc.assert(
      fc.property(fc.array(step, { minLength: 50, maxLength: 400 }), (steps) => {
        const arena = new Arena();
        const live: { ref: number; mark: number }[] = [];
        let sum = 0;
        let mark = 0;
        for (const { size, what, which } of steps) {
          if (what === 'extend' && live.length > 0) {
            const { ref, mark: stamped } = live[which % live.length];
            expect(intact(arena, ref, stamped)).toBe(true);
            const before = arena.capacityOf(ref);
            if (arena.extend(ref, before + size, which % 100_000)) {
              expect(arena.capacityOf(ref)).toBeGreaterThanOrEqual(before + size);
              sum += arena.capacityOf(ref) - before;
              stamp(arena, ref, stamped);
            } else expect(arena.capacityOf(ref)).toBe(before);
          } else if (what === 'free' && live.length > 0) {
            const [gone] = live.splice(which % live.length, 1);
            expect(intact(arena, gone.ref, gone.mark)).toBe(true);
            sum -= arena.capacityOf(gone.ref);
            arena.free(gone.ref);
          } else {
            mark = (mark + 1) & 255;
            const ref = what === 'grow' ? arena.allocGrowing(size, which) : arena.alloc(size);
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

  it('makes a block longer in its place while nothing is behind it', () => {
    const arena = new Arena();
    const first = arena.alloc(100_000);
    expect(arena.extend(first, 300_000, 0)).toBe(true);
    expect(arena.capacityOf(first)).toBe(37 * 8192);
    const second = arena.alloc(100_000);
    expect(arena.extend(first, 310_000, 0)).toBe(false);
    expect(arena.extend(second, 200_000, 1 << 20)).toBe(true);
    expect(arena.capacityOf(second)).toBe((25 + 128) * 8192);
    expect(arena.extend(second, 16 << 20, 0)).toBe(false);
    arena.free(second);
    expect(arena.extend(first, 310_000, 0)).toBe(true);
    expect(arena.extend(arena.alloc(1000), 1100, 0)).toBe(false);
    expect(arena.reserved).toBe(16 << 20);
  });

  it('has a block beyond a segment grow where it is, and counts no more than it has', () => {
    const arena = new Arena();
    const ref = arena.allocGrowing(20 << 20, 1 << 20);
    expect([arena.used, arena.reserved]).toEqual([20 << 20, 20 << 20]);
    expect(arena.extend(ref, 400 << 20, 0)).toBe(true);
    expect([arena.used, arena.reserved, arena.capacityOf(ref)]).toEqual([400 << 20, 400 << 20, 400 << 20]);
    expect(arena.extend(ref, 600 << 20, 0)).toBe(false);
    const fixed = arena.alloc(20 << 20);
    expect(arena.extend(fixed, 21 << 20, 0)).toBe(false);
    arena.free(ref);
    arena.free(fixed);
    expect([arena.used, arena.reserved]).toEqual([0, 0]);
  });

  it('takes what addresses there are', () => {
    const most = 64 << 20;
    const arena = new Arena({
      take(bytes) {
        if (bytes > most) throw new RangeError('Array buffer allocation failed');
        return new Uint8Array(bytes);
      },
    });
    const twice = arena.allocGrowing(20 << 20, 0);
    expect(arena.extend(twice, 40 << 20, 0)).toBe(true);
    expect(arena.extend(twice, 41 << 20, 0)).toBe(false);
    const exact = arena.allocGrowing(40 << 20, 0);
    expect(arena.extend(exact, 41 << 20, 0)).toBe(false);
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
