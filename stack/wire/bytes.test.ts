import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copyBytes } from './bytes.ts';

describe('copyBytes', () => {
  it('copies the range and nothing else, for every length and alignment, known arrays and new ones', () => {
    const kept = new Uint8Array(2048).map((_, i) => i * 37);
    fc.assert(
      fc.property(fc.nat(1000), fc.nat(9), fc.nat(9), fc.boolean(), (length, fromOffset, toOffset, isNew) => {
        const from = isNew ? kept.slice() : kept;
        const backing = new Uint8Array(2064).fill(0xa5);
        const to = backing.subarray(8);
        copyBytes(to, toOffset, from, fromOffset, length);
        expect(to.slice(toOffset, toOffset + length)).toEqual(kept.slice(fromOffset, fromOffset + length));
        expect(backing.slice(0, 8 + toOffset).every((byte) => byte === 0xa5)).toBe(true);
        expect(to.slice(toOffset + length).every((byte) => byte === 0xa5)).toBe(true);
      }),
      { seed: 1, numRuns: 400 },
    );
  });

  it('copies again into the same array', () => {
    const [from, to] = [new Uint8Array(100).fill(7), new Uint8Array(100)];
    for (let i = 0; i < 3; i++) {
      to.fill(0);
      copyBytes(to, 1, from, 0, 99);
      expect(to).toEqual(Uint8Array.of(0, ...from.slice(1)));
    }
  });
});
