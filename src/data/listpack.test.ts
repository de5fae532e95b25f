import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundaryText, bytesOf, textOf } from '../../test/support/collection-values.ts';
import { Element } from './element.ts';
import * as listpack from './listpack.ts';

const BASE = 5;

function listpackOf(...texts: string[]): Uint8Array {
  const bytes = new Uint8Array(2_000_000).fill(0xaa);
  listpack.initialize(bytes, BASE);
  for (const text of texts) {
    const element = bytesOf(text);
    listpack.append(bytes, BASE, element, 0, element.length);
  }
  return bytes;
}

function contents(bytes: Uint8Array): string[] {
  const element = new Element();
  const out: string[] = [];
  for (let at = listpack.first(bytes, BASE); at !== -1; at = listpack.next(bytes, at)) {
    listpack.read(bytes, at, element);
    out.push(textOf(element));
  }
  return out;
}

function contentsBackwards(bytes: Uint8Array): string[] {
  const element = new Element();
  const out: string[] = [];
  for (let at = listpack.last(bytes, BASE); at !== -1; at = listpack.prev(bytes, BASE, at)) {
    listpack.read(bytes, at, element);
    out.push(textOf(element));
  }
  return out.reverse();
}

const whole = (bytes: Uint8Array): number[] => [...bytes.subarray(BASE, BASE + listpack.totalBytes(bytes, BASE))];

describe('listpack', () => {
  it('has the bytes that Redis writes', () => {
    expect(whole(listpackOf())).toEqual([7, 0, 0, 0, 0, 0, 255]);
    expect(whole(listpackOf('127'))).toEqual([9, 0, 0, 0, 1, 0, 127, 1, 255]);
    expect(whole(listpackOf('128'))).toEqual([10, 0, 0, 0, 1, 0, 0xc0, 0x80, 2, 255]);
    expect(whole(listpackOf('-1'))).toEqual([10, 0, 0, 0, 1, 0, 0xdf, 0xff, 2, 255]);
    expect(whole(listpackOf('4096'))).toEqual([11, 0, 0, 0, 1, 0, 0xf1, 0, 16, 3, 255]);
    expect(whole(listpackOf('-32769'))).toEqual([12, 0, 0, 0, 1, 0, 0xf2, 0xff, 0x7f, 0xff, 4, 255]);
    expect(whole(listpackOf('2147483647'))).toEqual([13, 0, 0, 0, 1, 0, 0xf3, 255, 255, 255, 127, 5, 255]);
    expect(whole(listpackOf('-9223372036854775808'))).toEqual([
      17, 0, 0, 0, 1, 0, 0xf4, 0, 0, 0, 0, 0, 0, 0, 128, 9, 255,
    ]);
    expect(whole(listpackOf('ab'))).toEqual([11, 0, 0, 0, 1, 0, 0x82, 97, 98, 3, 255]);
    expect(whole(listpackOf('x'.repeat(64))).slice(6, 8)).toEqual([0xe0, 64]);
    expect(whole(listpackOf('x'.repeat(4096))).slice(6, 11)).toEqual([0xf0, 0, 16, 0, 0]);
    // 200 bytes of string, 2 of encoding: a back length of two bytes
    expect(whole(listpackOf('y'.repeat(200))).slice(-3)).toEqual([1, 0x80 | 74, 255]);
  });

  it('keeps every element byte for byte, both ways', () => {
    fc.assert(
      fc.property(fc.array(boundaryText, { maxLength: 40 }), (texts) => {
        const bytes = listpackOf(...texts);
        expect(contents(bytes)).toEqual(texts);
        expect(contentsBackwards(bytes)).toEqual(texts);
        expect(listpack.count(bytes, BASE)).toBe(texts.length);
        expect(listpack.isValid(bytes, BASE, listpack.totalBytes(bytes, BASE), 1)).toBe(true);
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  it('inserts, replaces and deletes like an array', () => {
    const step = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.nat(), boundaryText);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const bytes = listpackOf();
        const model: string[] = [];
        for (const [kind, where, text] of steps) {
          const element = bytesOf(text);
          const index = where % (model.length + 1);
          const at = index === model.length ? listpack.end(bytes, BASE) : listpack.seek(bytes, BASE, index);
          if (kind <= 1) {
            listpack.insert(bytes, BASE, at, element, 0, element.length);
            model.splice(index, 0, text);
          } else if (index < model.length && kind === 2) {
            listpack.replace(bytes, BASE, at, element, 0, element.length);
            model[index] = text;
          } else if (index < model.length) {
            const entries = 1 + (where % (model.length - index));
            listpack.removeRange(bytes, BASE, at, listpack.skip(bytes, at, entries), entries);
            model.splice(index, entries);
          }
          expect(listpack.isValid(bytes, BASE, listpack.totalBytes(bytes, BASE), 1)).toBe(true);
        }
        expect(contents(bytes)).toEqual(model);
        expect(contentsBackwards(bytes)).toEqual(model);
      }),
      { numRuns: 300, seed: 2 },
    );
  });

  it('finds what an array finds', () => {
    fc.assert(
      fc.property(fc.array(boundaryText, { maxLength: 30 }), boundaryText, (texts, wanted) => {
        const bytes = listpackOf(...texts);
        const element = bytesOf(wanted);
        const at = listpack.find(bytes, listpack.first(bytes, BASE), 0, element, 0, element.length);
        const index = texts.indexOf(wanted);
        expect(at).toBe(index < 0 ? -1 : listpack.seek(bytes, BASE, index));
        if (at !== -1) expect(listpack.equals(bytes, at, element, 0, element.length)).toBe(true);
      }),
      { numRuns: 300, seed: 3 },
    );
  });

  it('seeks from both ends and refuses what is outside', () => {
    const bytes = listpackOf('a', 'b', 'c');
    expect(listpack.seek(bytes, BASE, -1)).toBe(listpack.seek(bytes, BASE, 2));
    expect(listpack.seek(bytes, BASE, -3)).toBe(listpack.first(bytes, BASE));
    expect(listpack.seek(bytes, BASE, 3)).toBe(-1);
    expect(listpack.seek(bytes, BASE, -4)).toBe(-1);
  });

  it('counts beyond 65534 entries', () => {
    const texts = Array.from({ length: 65_600 }, (_, i) => String(i));
    const bytes = listpackOf(...texts);
    expect(listpack.count(bytes, BASE)).toBe(65_600);
    listpack.removeRange(
      bytes,
      BASE,
      listpack.first(bytes, BASE),
      listpack.skip(bytes, listpack.first(bytes, BASE), 100),
      100,
    );
    expect(listpack.count(bytes, BASE)).toBe(65_500);
    expect(listpack.count(bytes, BASE)).toBe(65_500);
  });

  it('rejects damaged bytes instead of reading past them', () => {
    fc.assert(
      fc.property(
        fc.array(boundaryText, { minLength: 1, maxLength: 5 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (texts, where, flip) => {
          const bytes = listpackOf(...texts.map((text) => text.slice(0, 100)));
          const blob = Uint8Array.from(whole(bytes));
          blob[where % blob.length] ^= flip;
          if (!listpack.isValid(blob, 0, blob.length, 1)) return;
          const element = new Element();
          let entries = 0;
          for (let at = listpack.first(blob, 0); at !== -1; at = listpack.next(blob, at), entries++) {
            listpack.read(blob, at, element);
            expect(at).toBeLessThan(blob.length);
          }
          expect(entries).toBe(listpack.count(blob, 0));
        },
      ),
      { numRuns: 500, seed: 4 },
    );
  });
});
