import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockPool, ReceiveBuffer, SendRing } from './byte-ring.ts';

const LIMIT = 16 * 1024;

describe('BlockPool', () => {
  it('hands out powers of two, reuses them, and stops at its limit', () => {
    const pool = new BlockPool(8192);
    const small = pool.take(1)!;
    expect(small.length).toBe(2048);
    pool.give(small);
    expect(pool.take(2048)).toBe(small);
    expect(pool.take(2049)!.length).toBe(4096);
    expect(pool.take(4096)).toBeNull();
    expect([pool.used, pool.refused]).toEqual([6144, 1]);
  });
});

describe('SendRing', () => {
  it('behaves as a queue of bytes, whatever is appended and dropped', () => {
    const operation = fc.record({ append: fc.integer({ min: 0, max: 5000 }), drop: fc.integer({ min: 0, max: 5000 }) });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const pool = new BlockPool(1 << 20);
        const ring = new SendRing();
        let model: number[] = [];
        let next = 0;
        for (const { append, drop } of operations) {
          const source = Uint8Array.from({ length: append + 3 }, () => next++);
          const taken = ring.append(pool, LIMIT, source, 3, append);
          expect(taken).toBe(Math.min(append, LIMIT - model.length));
          model = model.concat([...source.subarray(3, 3 + taken)]);
          const gone = Math.min(drop, model.length);
          if (gone > 0) ring.drop(pool, gone);
          model = model.slice(gone);
          expect(ring.length).toBe(model.length);
          for (let i = 0; i < model.length; i += 97) expect(ring.bytes[ring.indexOf(i)]).toBe(model[i]);
          if (model.length === 0) expect(pool.used).toBe(0);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('takes what fits its block when the pool has no more', () => {
    const pool = new BlockPool(2048);
    const ring = new SendRing();
    expect(ring.append(pool, LIMIT, new Uint8Array(1000), 0, 1000)).toBe(1000);
    expect(ring.append(pool, LIMIT, new Uint8Array(2000), 0, 2000)).toBe(1048);
    expect(ring.append(pool, LIMIT, new Uint8Array(1), 0, 1)).toBe(0);
  });
});

describe('ReceiveBuffer', () => {
  it('keeps in-order bytes contiguous and out-of-order bytes in their place', () => {
    const piece = fc.record({
      skip: fc.integer({ min: 0, max: 3000 }),
      length: fc.integer({ min: 1, max: 3000 }),
      read: fc.integer({ min: 0, max: 9000 }),
    });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const pool = new BlockPool(1 << 20);
        const buffer = new ReceiveBuffer();
        const byteAt = (i: number) => (i * 31 + (i >> 8)) & 0xff;
        let read = 0;
        let edge = 0;
        for (const { skip, length, read: appetite } of pieces) {
          const make = (from: number, count: number) => Uint8Array.from({ length: count }, (_, i) => byteAt(from + i));
          // Out of order first, then what closes the gap.
          if (skip > 0) {
            expect(buffer.write(pool, skip, make(edge + skip, length), 0, length)).toBe(true);
            expect(buffer.write(pool, 0, make(edge, skip), 0, skip)).toBe(true);
          } else {
            expect(buffer.write(pool, 0, make(edge, length), 0, length)).toBe(true);
          }
          buffer.advance(skip + length);
          edge += skip + length;
          const count = Math.min(appetite, buffer.unread);
          for (let i = 0; i < count; i += 89) expect(buffer.bytes[buffer.start + i]).toBe(byteAt(read + i));
          if (count > 0) buffer.consume(pool, count);
          read += count;
          expect(buffer.unread).toBe(edge - read);
        }
        if (buffer.unread > 0) buffer.consume(pool, buffer.unread);
        expect(pool.used).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('has room for a whole request at once when a segment comes, while memory is ample', () => {
    const sizeAfter = (limit: number, length: number): number => {
      const buffer = new ReceiveBuffer();
      buffer.write(new BlockPool(limit), 0, new Uint8Array(length), 0, length);
      return buffer.bytes.length;
    };
    expect(sizeAfter(1 << 20, 1448)).toBe(32 * 1024);
    expect(sizeAfter(1 << 20, 100)).toBe(2048);
    expect(sizeAfter(48 * 1024, 1448)).toBe(2048);
  });

  it('takes nothing when there is no memory', () => {
    const buffer = new ReceiveBuffer();
    expect(buffer.write(new BlockPool(0), 0, new Uint8Array(1), 0, 1)).toBe(false);
    expect(buffer.unread).toBe(0);
  });
});
