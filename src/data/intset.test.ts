import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundaryText, bytesOf } from '../../test/support/collection-values.ts';
import { INT64_DIGITS_MAX, int64, int64ToNumber, parseInt64, setInt64, writeInt64 } from './int64.ts';
import * as intset from './intset.ts';

const BASE = 3;

const isCanonical = (text: string): boolean =>
  /^(0|-?[1-9][0-9]{0,18})$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text);

function halves(value: bigint): [high: number, low: number] {
  return [Number(BigInt.asIntN(32, value >> 32n)), Number(BigInt.asIntN(32, value))];
}

function contents(bytes: Uint8Array): bigint[] {
  const out: bigint[] = [];
  for (let i = 0; i < intset.count(bytes, BASE); i++) {
    intset.read(bytes, BASE, i);
    out.push((BigInt(int64.high) << 32n) | BigInt(int64.low >>> 0));
  }
  return out;
}

describe('int64', () => {
  it('takes exactly the decimals that are written back the same', () => {
    fc.assert(
      fc.property(boundaryText, (text) => {
        const bytes = bytesOf(`..${text}`);
        const isInteger = parseInt64(bytes, 2, text.length);
        expect(isInteger).toBe(isCanonical(text));
        if (!isInteger) return;
        const { high, low } = int64;
        expect([high, low]).toEqual(halves(BigInt(text)));
        expect(int64ToNumber(high, low)).toBe(Number(text));
        const digits = new Uint8Array(INT64_DIGITS_MAX);
        expect(Buffer.from(digits.subarray(0, writeInt64(high, low, digits, 0))).toString('latin1')).toBe(text);
      }),
      { numRuns: 3000, seed: 1 },
    );
  });

  it('splits safe integers', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        setInt64(value);
        expect([int64.high, int64.low]).toEqual(halves(BigInt(value)));
      }),
      { numRuns: 500, seed: 2 },
    );
  });
});

describe('intset', () => {
  it('has the bytes that Redis writes', () => {
    const bytes = new Uint8Array(64);
    intset.initialize(bytes, BASE);
    intset.insert(bytes, BASE, 0, 7);
    intset.insert(bytes, BASE, -1, -2);
    expect([...bytes.subarray(BASE, BASE + intset.totalBytes(bytes, BASE))]).toEqual([
      2, 0, 0, 0, 2, 0, 0, 0, 0xfe, 0xff, 7, 0,
    ]);
    intset.insert(bytes, BASE, 0, 40000);
    expect(bytes[BASE]).toBe(4);
    expect(contents(bytes)).toEqual([-2n, 7n, 40000n]);
  });

  it('is a sorted set of integers', () => {
    const value = fc.oneof(
      fc.bigInt({ min: -40n, max: 40n }),
      fc.bigInt({ min: -33000n, max: 33000n }),
      fc.bigInt({ min: -(2n ** 31n) - 2n, max: 2n ** 31n + 2n }),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), value), { maxLength: 80 }), (steps) => {
        const bytes = new Uint8Array(1024);
        intset.initialize(bytes, BASE);
        const model = new Set<bigint>();
        for (const [adds, member] of steps) {
          const [high, low] = halves(member);
          if (adds) {
            const room = intset.bytesWith(bytes, BASE, high, low);
            const isNew = !model.has(member);
            expect(intset.insert(bytes, BASE, high, low)).toBe(isNew);
            if (isNew) expect(intset.totalBytes(bytes, BASE)).toBe(room);
            model.add(member);
          } else {
            expect(intset.remove(bytes, BASE, high, low)).toBe(model.delete(member));
          }
          expect(intset.find(bytes, BASE, high, low) >= 0).toBe(model.has(member));
        }
        expect(contents(bytes)).toEqual([...model].sort((a, b) => (a < b ? -1 : 1)));
        if (model.size > 0) expect(intset.isValid(bytes, BASE, intset.totalBytes(bytes, BASE))).toBe(true);
      }),
      { numRuns: 300, seed: 3 },
    );
  });
});
