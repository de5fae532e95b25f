import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundaryText, bytesOf, smallText, textOf } from '../../test/support/collection-values.ts';
import { Arena } from './arena.ts';
import { EntryList } from './dict.ts';
import { Element } from './element.ts';
import { Hash } from './hash.ts';
import { SetValue } from './set.ts';

let state = 1;
const random = { int32: () => (state = (Math.imul(state, 1664525) + 1013904223) | 0) };
const text = fc.oneof(smallText, boundaryText);

const sinkOf = (out: string[]) => ({
  bulk(bytes: Uint8Array, offset: number, length: number): void {
    out.push(Buffer.from(bytes.buffer, bytes.byteOffset + offset, length).toString('latin1'));
  },
});

function fieldsOf(hash: Hash): Map<string, string> {
  const out: string[] = [];
  hash.emit(true, true, sinkOf(out));
  const fields = new Map<string, string>();
  for (let i = 0; i < out.length; i += 2) fields.set(out[i], out[i + 1]);
  return fields;
}

describe('hash', () => {
  for (const [name, limit] of [
    ['listpack', 1e9],
    ['table', 0],
    ['converted on the way', 6],
  ] as const) {
    it(`is a map: ${name}`, () => {
      const arena = new Arena();
      const step = fc.tuple(fc.integer({ min: 0, max: 3 }), text, text);
      fc.assert(
        fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
          const before = arena.used;
          const hash = new Hash(arena);
          const model = new Map<string, string>();
          const element = new Element();
          for (const [kind, field, value] of steps) {
            const f = bytesOf(field);
            const v = bytesOf(value);
            if (kind < 3) {
              expect(hash.set(f, 0, f.length, v, 0, v.length)).toBe(!model.has(field));
              model.set(field, value);
            } else {
              expect(hash.delete(f, 0, f.length)).toBe(model.delete(field));
            }
            if (hash.length > limit) hash.toTable();
            const handle = hash.find(f, 0, f.length);
            expect(handle !== 0).toBe(model.has(field));
            if (handle !== 0) {
              hash.value(handle, element);
              expect(textOf(element)).toBe(model.get(field));
            }
          }
          expect(fieldsOf(hash)).toEqual(model);
          expect(hash.length).toBe(model.size);
          const names: string[] = [];
          hash.emit(true, false, sinkOf(names));
          const values: string[] = [];
          hash.emit(false, true, sinkOf(values));
          expect(names.map((field, i) => [field, values[i]])).toEqual([...fieldsOf(hash)]);
          const twin = hash.clone(arena);
          expect(fieldsOf(twin)).toEqual(model);
          twin.release();
          if (model.size > 0) {
            hash.field(hash.random(random), element);
            expect(model.has(textOf(element))).toBe(true);
          }
          hash.release();
          expect(arena.used).toBe(before);
        }),
        { numRuns: 150, seed: 1 },
      );
    });
  }
});

describe('set', () => {
  it('is a set, and an intset as long as it may be', () => {
    const arena = new Arena();
    const isInteger = (member: string) =>
      /^(0|-?[1-9][0-9]{0,18})$/.test(member) && BigInt.asIntN(64, BigInt(member)) === BigInt(member);
    const member = fc.oneof({ weight: 20, arbitrary: fc.bigInt({ min: -40000n, max: 40000n }).map(String) }, text);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), member), { maxLength: 60 }), (steps) => {
        const before = arena.used;
        const set = new SetValue(arena);
        const model = new Set<string>();
        let converted = false;
        for (const [kind, name] of steps) {
          const bytes = bytesOf(name);
          if (kind < 3) {
            expect(set.add(bytes, 0, bytes.length, 20)).toBe(!model.has(name));
            model.add(name);
            if (!isInteger(name) || model.size > 20) converted = true;
          } else {
            expect(set.delete(bytes, 0, bytes.length)).toBe(model.delete(name));
          }
          expect(set.has(bytes, 0, bytes.length)).toBe(model.has(name));
          expect(set.encoding()).toBe(converted ? 'hashtable' : 'intset');
        }
        const element = new Element();
        const membersOf = (from: SetValue, fill: (handles: EntryList) => void): string[] => {
          const handles = new EntryList();
          fill(handles);
          return Array.from(handles.refs.subarray(0, handles.length), (handle) => {
            from.member(handle, element);
            return textOf(element);
          }).sort();
        };
        const expected = [...model].sort();
        expect(
          membersOf(set, (handles) => {
            for (let at = 0; at !== -1; ) at = set.walk(at, handles);
          }),
        ).toEqual(expected);
        expect(membersOf(set, (handles) => set.sample(model.size, random, handles))).toEqual(expected);
        const twin = set.clone(arena);
        expect(
          membersOf(twin, (handles) => {
            for (let at = 0; at !== -1; ) at = twin.walk(at, handles);
          }),
        ).toEqual(expected);
        twin.release();
        set.release();
        expect(arena.used).toBe(before);
      }),
      { numRuns: 300, seed: 2 },
    );
  });

  it('draws members evenly', () => {
    for (const prefix of ['', 'm']) {
      const set = new SetValue(new Arena());
      for (let i = 0; i < 20; i++) set.add(bytesOf(prefix + i), 0, (prefix + i).length, 512);
      const element = new Element();
      const counts = new Map<string, number>();
      for (let i = 0; i < 20_000; i++) {
        set.member(set.random(random), element);
        counts.set(textOf(element), (counts.get(textOf(element)) ?? 0) + 1);
      }
      expect(counts.size).toBe(20);
      for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(200);
    }
  });
});
