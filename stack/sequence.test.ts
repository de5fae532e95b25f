import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as sequence from './sequence.ts';

describe('sequence numbers', () => {
  it('order across both places where an int32 wraps', () => {
    for (const edge of [0x7fffffff, -1, 0]) {
      const next = (edge + 1) | 0;
      expect(sequence.before(edge, next)).toBe(true);
      expect(sequence.after(next, edge)).toBe(true);
      expect(sequence.later(edge, next)).toBe(next);
      expect(sequence.earlier(edge, next)).toBe(edge);
      expect(sequence.distance(next, edge)).toBe(1);
    }
  });

  it('keep their order for every distance below half the space', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 0x7fffffff }), (start, step) => {
        const end = (start + step) | 0;
        return (
          sequence.before(start, end) &&
          sequence.after(end, start) &&
          sequence.atOrBefore(start, end) &&
          !sequence.atOrAfter(start, end) &&
          sequence.distance(end, start) === step
        );
      }),
    );
  });
});
