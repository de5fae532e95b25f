import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Arena } from './arena.ts';
import { Dict, EntryList } from './dict.ts';
import { forgetHashes } from './key-hash.ts';

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

class Seeded {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  int32(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) | 0;
  }
}

function put(dict: Dict, key: string, value: string): boolean {
  const k = bytesOf(key);
  const v = bytesOf(value);
  return dict.set(k, 0, k.length, v, 0, v.length);
}

function has(dict: Dict, key: string): boolean {
  const k = bytesOf(key);
  return dict.find(k, 0, k.length) !== 0;
}

function remove(dict: Dict, key: string): boolean {
  const k = bytesOf(key);
  return dict.delete(k, 0, k.length);
}

function keyText(dict: Dict, ref: number): string {
  const start = dict.keyOffset(ref);
  return Buffer.from(dict.bytesOf(ref).slice(start, start + dict.keyLength(ref))).toString('latin1');
}

function valueText(dict: Dict, ref: number): string {
  const start = dict.valueOffset(ref);
  return Buffer.from(dict.bytesOf(ref).slice(start, start + dict.valueLength(ref))).toString('latin1');
}

function contents(dict: Dict): Map<string, string> {
  const out = new EntryList();
  for (let i = 0; i < dict.bucketCount; i++) dict.bucketEntries(i, out);
  const map = new Map<string, string>();
  for (let i = 0; i < out.length; i++) map.set(keyText(dict, out.refs[i]), valueText(dict, out.refs[i]));
  expect(map.size).toBe(out.length);
  return map;
}

describe('Dict', () => {
  it('behaves as a Map, whatever is done to it (property)', () => {
    const key = fc.integer({ min: 0, max: 400 }).map((n) => `key:${n}${n % 7 === 0 ? 'x'.repeat(n) : ''}`);
    const operation = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({ kind: fc.constant('set' as const), key, value: fc.string({ maxLength: 60 }) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('set' as const),
          key,
          value: fc.nat(9).map((n) => 'v'.repeat(n * 500)),
        }),
      },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), key, value: fc.constant('') }) },
    );
    fc.assert(
      fc.property(fc.array(operation, { minLength: 200, maxLength: 1500 }), fc.nat(3), (operations, extraWords) => {
        const arena = new Arena();
        const dict = new Dict(arena, extraWords);
        const model = new Map<string, string>();
        for (const { kind, key, value } of operations) {
          const latin1 = value.replace(/[^\x20-\x7e]/g, '?');
          if (kind === 'set') {
            expect(put(dict, key, latin1)).toBe(!model.has(key));
            model.set(key, latin1);
          } else {
            expect(remove(dict, key)).toBe(model.delete(key));
          }
          expect(dict.size).toBe(model.size);
        }
        expect(contents(dict)).toEqual(model);
        expect(dict.memory).toBe(arena.used);
        dict.release();
        expect(arena.used).toBe(0);
        expect(dict.memory).toBe(0);
      }),
      { seed: 11, numRuns: 40 },
    );
  });

  it('finds the same with keys fetched ahead, and after they were forgotten (property)', () => {
    const dict = new Dict(new Arena(), 2);
    for (let i = 0; i < 3000; i++) put(dict, `key:${i}`, 'v');
    fc.assert(
      fc.property(fc.array(fc.nat(5000), { minLength: 1, maxLength: 16 }), fc.nat(5000), (numbers, other) => {
        const keys = numbers.map((n) => `key:${n}`);
        const bytes = bytesOf(keys.join(''));
        const lengths = Int32Array.from(keys, (key) => key.length);
        const offsets = lengths.map((_, i) => lengths.subarray(0, i).reduce((sum, length) => sum + length, 0));
        dict.fetch(bytes, offsets, lengths, keys.length);
        for (const i of keys.keys()) {
          const found = dict.find(bytes, offsets[i], lengths[i]) !== 0;
          expect(found).toBe(numbers[i] < 3000);
          expect(dict.find(bytes, offsets[i], lengths[i]) !== 0).toBe(found);
          // A prefix that begins at the same place is another key.
          expect(dict.find(bytes, offsets[i], 4)).toBe(0);
        }
        forgetHashes();
        const last = bytesOf(`key:${other}`);
        bytes.set(last.subarray(0, bytes.length));
        const length = Math.min(last.length, bytes.length);
        expect(dict.find(bytes, 0, length)).toBe(dict.find(last, 0, length));
      }),
      { seed: 12, numRuns: 200 },
    );
  });

  it('grows to 100,000 and shrinks to nothing', () => {
    const arena = new Arena();
    const dict = new Dict(arena);
    for (let i = 0; i < 100_000; i++) put(dict, `key:${i}`, `value ${i}`);
    expect(dict.size).toBe(100_000);
    for (let i = 0; i < 100_000; i += 97) expect(has(dict, `key:${i}`)).toBe(true);
    expect(has(dict, 'key:100000')).toBe(false);
    const full = dict.memory;
    for (let i = 0; i < 100_000; i++) expect(remove(dict, `key:${i}`)).toBe(true);
    expect(dict.size).toBe(0);
    expect(dict.bucketCount).toBe(1);
    expect(dict.memory).toBeLessThan(full / 1000);
    dict.clear();
    put(dict, 'again', 'here');
    expect(has(dict, 'again')).toBe(true);
  });

  it('keeps the bytes of the value and the owner words when a value changes its length', () => {
    const dict = new Dict(new Arena(), 2);
    const key = bytesOf('k');
    let ref = dict.insert(key, 0, 1, 3);
    dict.bytesOf(ref).set(bytesOf('abc'), dict.valueOffset(ref));
    dict.setExtra(ref, 0, -5);
    dict.setExtra(ref, 1, 77);
    for (const length of [10, 200, 5000, 90_000, 12, 3]) {
      ref = dict.resizeValue(ref, length, 0);
      expect(dict.find(key, 0, 1)).toBe(ref);
      expect(dict.valueLength(ref)).toBe(length);
      expect(valueText(dict, ref).slice(0, 3)).toBe('abc');
      expect(dict.extra(ref, 0)).toBe(-5);
      expect(dict.extra(ref, 1)).toBe(77);
    }
  });

  it('SCAN returns what stays throughout, while the table grows and shrinks (property)', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 0, max: 60 }),
        (seed, stay, churn) => {
          const random = new Seeded(seed);
          const dict = new Dict(new Arena());
          for (let i = 0; i < stay; i++) put(dict, `stay:${i}`, '');
          const seen = new Set<string>();
          const out = new EntryList();
          let cursor = 0;
          let extra = 0;
          let growing = true;
          let steps = 0;
          do {
            out.length = 0;
            cursor = dict.scan(cursor, out);
            for (let i = 0; i < out.length; i++) seen.add(keyText(dict, out.refs[i]));
            for (let i = 0; i < churn; i++) {
              if (growing) put(dict, `extra:${extra++}`, '');
              else if (extra > 0) remove(dict, `extra:${--extra}`);
            }
            if ((random.int32() & 15) === 0) growing = !growing;
            if (extra > 20_000) growing = false;
            expect(++steps).toBeLessThan(100_000);
          } while (cursor !== 0);
          for (let i = 0; i < stay; i++) expect(seen.has(`stay:${i}`)).toBe(true);
        },
      ),
      { seed: 5, numRuns: 40 },
    );
  });

  it('draws every entry about equally often', () => {
    const random = new Seeded(42);
    const dict = new Dict(new Arena());
    const count = 1500;
    for (let i = 0; i < count; i++) put(dict, `m${i}`, '');
    const hits = new Map<string, number>();
    const draws = 200 * count;
    for (let i = 0; i < draws; i++) {
      const key = keyText(dict, dict.random(random));
      hits.set(key, (hits.get(key) ?? 0) + 1);
    }
    let chiSquare = 0;
    for (let i = 0; i < count; i++) chiSquare += ((hits.get(`m${i}`) ?? 0) - 200) ** 2 / 200;
    // 1499 degrees of freedom: mean 1499, deviation 55.
    expect(chiSquare).toBeLessThan(1499 + 5 * 55);
    for (let i = 1; i < count; i++) remove(dict, `m${i}`);
    expect(keyText(dict, dict.random(random))).toBe('m0');
    remove(dict, 'm0');
    expect(dict.random(random)).toBe(0);
  });
});
