import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../src/platform/random.ts';
import { FlowTable } from './flow-table.ts';
import { halfSipHash, SipHash } from './keyed-hash.ts';

describe('FlowTable', () => {
  it('agrees with a Map through any sequence of changes', () => {
    const random = new SeededRandom(7);
    const table = new FlowTable<number>(1, 2);
    const model = new Map<string, number>();
    for (let i = 0; i < 8_000; i++) {
      const ip = 0x0a000000 + random.below(20);
      const port = 1024 + random.below(60);
      const key = `${ip}:${port}`;
      if (random.below(2) === 0) {
        table.set(ip, port, 6379, 1, i);
        model.set(key, i);
      } else {
        expect(table.delete(ip, port, 6379, 1)).toBe(model.delete(key));
      }
      expect(table.size).toBe(model.size);
      const other = 1024 + random.below(60);
      expect(table.find(ip, other, 6379, 1)).toBe(model.get(`${ip}:${other}`) ?? null);
    }
  });

  it('tells all four numbers apart', () => {
    const table = new FlowTable<string>(3, 4);
    table.set(1, 40000, 6379, 9, 'it');
    expect(table.find(1, 40000, 6379, 9)).toBe('it');
    for (const [a, b, c, d] of [
      [2, 40000, 6379, 9],
      [1, 40001, 6379, 9],
      [1, 40000, 6380, 9],
      [1, 40000, 6379, 8],
    ]) {
      expect(table.find(a, b, c, d)).toBeNull();
    }
  });
});

describe('keyed hashes', () => {
  it('HalfSipHash-1-3 depends on the key and spreads ports evenly', () => {
    expect(halfSipHash(1, 2, 3, 4, 5)).not.toBe(halfSipHash(1, 3, 3, 4, 5));
    const buckets = new Int32Array(64);
    for (let port = 0; port < 64_000; port++) buckets[halfSipHash(11, 22, 0x0a000001, port, 7) & 63]++;
    expect(Math.min(...buckets)).toBeGreaterThan(850);
    expect(Math.max(...buckets)).toBeLessThan(1150);
  });

  it('SipHash-2-4 gives the published vector', () => {
    // Key 00..0f, message of 8 bytes 00..07: 0x93f5f5799a932462, from the authors' vectors.
    const hash = new SipHash([0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c]);
    expect(hash.hash(0x03020100, 0x07060504) >>> 0).toBe(0x9a932462);
  });
});
