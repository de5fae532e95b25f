import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../platform/random.ts';
import { countBits, findBit, readBits, writeBits } from './bits.ts';

/** The bits of a range as a text of 0 and 1. */
function text(bytes: Uint8Array, offset: number, length: number): string {
  return Array.from(bytes.subarray(offset, offset + length), (byte) => byte.toString(2).padStart(8, '0')).join('');
}

describe('bits of byte ranges', () => {
  const random = new SeededRandom(5);
  const fill = (): Uint8Array => {
    const bytes = new Uint8Array(80);
    // Long runs of one value, so that whole words are skipped.
    let value = 0;
    for (let i = 0; i < bytes.length; i++) {
      if (random.below(6) === 0) value = [0, 255, random.below(256)][random.below(3)];
      bytes[i] = value;
    }
    return bytes;
  };

  it('are counted and found as one by one', () => {
    for (let round = 0; round < 500; round++) {
      const bytes = fill();
      const offset = random.below(20);
      const length = 1 + random.below(60);
      const bits = text(bytes, offset, length);
      expect(countBits(bytes, offset, length)).toBe(bits.replaceAll('0', '').length);
      const from = random.below(length * 8);
      const to = from + random.below(length * 8 - from);
      for (const bit of [0, 1]) {
        const found = bits.slice(0, to + 1).indexOf(String(bit), from);
        expect(findBit(bytes, offset, from, to, bit), `${bits} ${from} ${to}`).toBe(found);
      }
    }
  });

  it('are read and written as integers of any width at any place', () => {
    for (let round = 0; round < 500; round++) {
      const bytes = fill();
      const width = 1 + random.below(64);
      const position = random.below(100);
      const before = text(bytes, 3, 60);
      expect(readBits(bytes, 3, 63, position, width)).toBe(BigInt(`0b${before.slice(position, position + width)}`));
      const value = (BigInt(random.int32()) << 32n) | BigInt(random.int32() >>> 0);
      writeBits(bytes, 3, position, width, value);
      const wanted = BigInt.asUintN(width, value).toString(2).padStart(width, '0');
      expect(text(bytes, 3, 60)).toBe(before.slice(0, position) + wanted + before.slice(position + width));
    }
  });

  it('behind the end are zero', () => {
    expect(readBits(Uint8Array.of(255, 255), 0, 1, 4, 8)).toBe(0xf0n);
    expect(readBits(new Uint8Array(0), 0, 0, 1000, 64)).toBe(0n);
  });
});
