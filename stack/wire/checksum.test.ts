import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { combine, copyAndSum, finish, pseudoHeaderSum, sum } from './checksum.ts';

/** RFC 1071, word by word, in exact arithmetic. */
function naiveChecksum(bytes: Uint8Array, offset: number, length: number, initial = 0): number {
  let total = initial;
  for (let i = 0; i < length; i++) total += i % 2 === 0 ? bytes[offset + i] * 256 : bytes[offset + i];
  while (total > 0xffff) total = (total % 0x10000) + Math.floor(total / 0x10000);
  return 0xffff - total;
}

const data = fc.uint8Array({ minLength: 0, maxLength: 3000 });

describe('checksum', () => {
  it('gives the sum of the example in RFC 1071, section 3', () => {
    const bytes = new Uint8Array([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
    expect(finish(sum(bytes, 0, 8, 0))).toBe(~0xddf2 & 0xffff);
  });

  it('agrees with the naive one for every length, offset and initial value', () => {
    fc.assert(
      fc.property(data, fc.nat(20), fc.nat(0x1ffff), (bytes, skip, initial) => {
        const offset = Math.min(skip, bytes.length);
        const length = bytes.length - offset;
        expect(finish(sum(bytes, offset, length, initial))).toBe(naiveChecksum(bytes, offset, length, initial));
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it('does not overflow on the largest packets', () => {
    const bytes = new Uint8Array(200_001).fill(0xff);
    for (const length of [65535, 65536, 65537, 131072, 200_001]) {
      expect(finish(sum(bytes, 0, length, 0xffff))).toBe(naiveChecksum(bytes, 0, length, 0xffff));
    }
  });

  it('copies what it sums, at any alignment, and nothing beside it', () => {
    fc.assert(
      fc.property(data, fc.nat(9), fc.nat(9), (bytes, fromOffset, toOffset) => {
        const from = new Uint8Array(fromOffset + bytes.length);
        from.set(bytes, fromOffset);
        const to = new Uint8Array(toOffset + bytes.length + 9).fill(0xa5);
        const partial = copyAndSum(to, toOffset, from, fromOffset, bytes.length, 7);
        expect(finish(partial)).toBe(naiveChecksum(bytes, 0, bytes.length, 7));
        expect(to.slice(toOffset, toOffset + bytes.length)).toEqual(bytes);
        expect(to.slice(0, toOffset).every((byte) => byte === 0xa5)).toBe(true);
        expect(to.slice(toOffset + bytes.length).every((byte) => byte === 0xa5)).toBe(true);
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  it('sums a range that is itself a view into a larger buffer', () => {
    const backing = new Uint8Array(300).map((_, i) => i * 7);
    const view = backing.subarray(13, 213);
    expect(finish(sum(view, 3, 150, 0))).toBe(naiveChecksum(backing, 16, 150));
  });

  it('combines two pieces wherever the cut is', () => {
    fc.assert(
      fc.property(data, fc.nat(3000), (bytes, at) => {
        const cut = Math.min(at, bytes.length);
        const whole = combine(sum(bytes, 0, cut, 0), cut, sum(bytes, cut, bytes.length - cut, 0));
        expect(finish(whole)).toBe(naiveChecksum(bytes, 0, bytes.length));
      }),
      { seed: 3, numRuns: 300 },
    );
  });

  it('sums the pseudo-header of RFC 9293', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), fc.nat(255), fc.nat(70_000), (source, destination, protocol, length) => {
        const header = new Uint8Array(12);
        const view = new DataView(header.buffer);
        view.setInt32(0, source);
        view.setInt32(4, destination);
        view.setUint32(8, length);
        const expected = naiveChecksum(header, 0, 12, protocol);
        expect(finish(pseudoHeaderSum(source, destination, protocol, length))).toBe(expected);
      }),
      { seed: 4 },
    );
  });
});
