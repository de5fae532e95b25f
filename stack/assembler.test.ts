import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Assembler, RANGES_MAX } from './assembler.ts';

describe('Assembler', () => {
  it('is a set of sequence numbers, also around the wrap', () => {
    const range = fc.record({ start: fc.integer({ min: 0, max: 200 }), length: fc.integer({ min: 1, max: 20 }) });
    fc.assert(
      fc.property(
        fc.array(range, { maxLength: 30 }),
        fc.constantFrom(0, 0x7fffff80, -100),
        fc.integer({ min: 0, max: 220 }),
        (ranges, base, cut) => {
          const assembler = new Assembler();
          const model = new Set<number>();
          for (const { start, length } of ranges) {
            if (!assembler.add((base + start) | 0, (base + start + length) | 0)) continue;
            for (let i = 0; i < length; i++) model.add(start + i);
          }
          const covered = (from: number, to: number) => [...model].filter((i) => i >= from && i < to).length;
          expect(assembler.total).toBe(model.size);
          expect(assembler.covered((base + 50) | 0, (base + 120) | 0)).toBe(covered(50, 120));
          let end = cut;
          while (model.has(end)) end++;
          expect(assembler.endOfRangeAt((base + cut) | 0)).toBe((base + end) | 0);
          assembler.removeBefore((base + cut) | 0);
          expect(assembler.total).toBe(covered(cut, 1000));
          for (let i = 1; i < assembler.count; i++) {
            expect((assembler.starts[i] - assembler.ends[i - 1]) | 0).toBeGreaterThan(0);
          }
        },
      ),
    );
  });

  it('refuses one range too many but still joins', () => {
    const assembler = new Assembler();
    for (let i = 0; i < RANGES_MAX; i++) expect(assembler.add(i * 10, i * 10 + 5)).toBe(true);
    expect(assembler.add(99_000, 99_001)).toBe(false);
    expect(assembler.add(5, 10)).toBe(true);
    expect(assembler.count).toBe(RANGES_MAX - 1);
    expect(assembler.add(99_000, 99_001)).toBe(true);
  });

  it('names ranges latest first (RFC 2018 4)', () => {
    const assembler = new Assembler();
    assembler.add(100, 200);
    assembler.add(300, 400);
    assembler.add(500, 600);
    assembler.add(200, 210);
    const order: number[] = [];
    for (let turn = 0x7fffffff, i = assembler.mostRecent(turn); i >= 0; i = assembler.mostRecent(turn)) {
      order.push(assembler.starts[i]);
      turn = assembler.turnOf(i);
    }
    expect(order).toEqual([100, 500, 300]);
  });
});
