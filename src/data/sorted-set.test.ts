import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundaryText, bytesOf, smallText, textOf } from '../../test/support/collection-values.ts';
import { Arena } from './arena.ts';
import { EntryList } from './dict.ts';
import { Element } from './element.ts';
import { LexRange, ScoreRange } from './ranges.ts';
import { SortedSet } from './sorted-set.ts';

type Model = Map<string, number>;

const byOrder = ([a, x]: [string, number], [b, y]: [string, number]): number => x - y || (a < b ? -1 : a > b ? 1 : 0);
const ordered = (model: Model): [string, number][] => {
  const finite = [...model].map(([member, score]): [string, number] => [member, score]);
  return finite.sort((p, q) => (p[1] === q[1] ? byOrder([p[0], 0], [q[0], 0]) : p[1] < q[1] ? -1 : 1));
};

function contents(zset: SortedSet): [string, number][] {
  const element = new Element();
  const out: [string, number][] = [];
  for (let node = zset.first(); node !== 0; node = zset.next(node)) {
    zset.member(node, element);
    out.push([textOf(element), zset.score(node)]);
  }
  return out;
}

function backwards(zset: SortedSet): [string, number][] {
  const element = new Element();
  const out: [string, number][] = [];
  for (let node = zset.last(); node !== 0; node = zset.previous(node)) {
    zset.member(node, element);
    out.push([textOf(element), zset.score(node)]);
  }
  return out.reverse();
}

function add(zset: SortedSet, model: Model, member: string, score: number): void {
  const bytes = bytesOf(member);
  const entry = zset.find(bytes, 0, bytes.length);
  expect(entry !== 0).toBe(model.has(member));
  if (entry === 0) zset.insert(bytes, 0, bytes.length, score);
  else zset.setScore(entry, score);
  model.set(member, score);
}

const score = fc.oneof(
  fc.integer({ min: -5, max: 5 }),
  fc.constantFrom(0.1, -0.5, 1e17, 2 ** 53, -(2 ** 52), 3.0000000000000004, Infinity, -Infinity, 5e-324),
  fc.double({ noNaN: true }).map((value) => value + 0),
);
const member = fc.oneof(
  smallText,
  boundaryText.map((text) => text.slice(0, 200)),
);
const step = fc.tuple(fc.integer({ min: 0, max: 9 }), member, score, fc.nat());

describe('sorted set', () => {
  for (const [name, limit] of [
    ['listpack', 1e9],
    ['skiplist', 0],
    ['converted on the way', 8],
  ] as const) {
    it(`is a map ordered by score and member: ${name}`, () => {
      const arena = new Arena();
      fc.assert(
        fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
          const before = arena.used;
          const zset = new SortedSet(arena);
          const model: Model = new Map();
          for (const [kind, text, value, where] of steps) {
            if (kind <= 6) {
              add(zset, model, text, value);
            } else if (kind <= 8) {
              const bytes = bytesOf(text);
              const entry = zset.find(bytes, 0, bytes.length);
              if (entry !== 0) zset.deleteEntry(entry);
              expect(entry !== 0).toBe(model.delete(text));
            } else if (model.size > 0) {
              const start = where % model.size;
              const count = Math.min(1 + (where % 4), model.size - start);
              for (const [gone] of ordered(model).slice(start, start + count)) model.delete(gone);
              zset.deleteRange(start, count);
            }
            if (zset.length > limit) zset.toSkiplist();
          }
          const expected = ordered(model);
          expect(contents(zset)).toEqual(expected);
          expect(backwards(zset)).toEqual(expected);
          expect(zset.length).toBe(expected.length);
          const element = new Element();
          for (const [rank, [text, value]] of expected.entries()) {
            const bytes = bytesOf(text);
            const entry = zset.find(bytes, 0, bytes.length);
            expect(zset.rankOf(entry)).toBe(rank);
            expect(zset.entryScore(entry)).toBe(value);
            zset.member(zset.nodeAt(rank), element);
            expect(textOf(element)).toBe(text);
          }
          const twin = zset.clone(arena);
          expect(contents(twin)).toEqual(expected);
          twin.toSkiplist();
          twin.toListpack();
          expect(contents(twin)).toEqual(expected);
          twin.release();
          zset.release();
          expect(arena.used).toBe(before);
        }),
        { numRuns: 150, seed: 7 },
      );
    });
  }

  for (const large of [false, true]) {
    it(`counts ranges of scores and members: ${large ? 'skiplist' : 'listpack'}`, () => {
      fc.assert(
        fc.property(
          fc.array(fc.tuple(member, fc.integer({ min: -4, max: 4 })), { maxLength: 40 }),
          fc.integer({ min: -5, max: 5 }),
          fc.integer({ min: -5, max: 5 }),
          fc.boolean(),
          fc.boolean(),
          member,
          member,
          (pairs, min, max, minExclusive, maxExclusive, low, high) => {
            const zset = new SortedSet(new Arena());
            if (large) zset.toSkiplist();
            const model: Model = new Map();
            for (const [text, value] of pairs) add(zset, model, text, value);
            const scores = Object.assign(new ScoreRange(), { min, max, minExclusive, maxExclusive });
            const within = [...model.values()].filter(
              (value) => (minExclusive ? value > min : value >= min) && (maxExclusive ? value < max : value <= max),
            );
            const found = zset.countBelowScore(scores, true) - zset.countBelowScore(scores, false);
            expect(Math.max(0, found)).toBe(within.length);

            for (const text of model.keys()) add(zset, model, text, 0);
            const range = new LexRange();
            Object.assign(range.min, { bytes: bytesOf(low), length: low.length, exclusive: minExclusive });
            Object.assign(range.max, { bytes: bytesOf(high), length: high.length, exclusive: maxExclusive });
            const names = [...model.keys()].filter(
              (text) => (minExclusive ? text > low : text >= low) && (maxExclusive ? text < high : text <= high),
            );
            expect(Math.max(0, zset.countBelowMember(range, true) - zset.countBelowMember(range, false))).toBe(
              names.length,
            );
          },
        ),
        { numRuns: 200, seed: 8 },
      );
    });
  }

  it('scans and samples every entry of a large set', () => {
    const zset = new SortedSet(new Arena());
    zset.toSkiplist();
    const model: Model = new Map();
    for (let i = 0; i < 5000; i++) add(zset, model, `member:${i}`, (i * 7919) % 1000);
    const handles = new EntryList();
    const element = new Element();
    let cursor = 0;
    do cursor = zset.scan(cursor, handles);
    while (cursor !== 0);
    const seen = new Set<string>();
    for (let i = 0; i < handles.length; i++) {
      zset.entryMember(handles.refs[i], element);
      seen.add(textOf(element));
    }
    expect(seen.size).toBe(5000);
    let state = 1;
    const random = { int32: () => (state = (Math.imul(state, 1664525) + 1013904223) | 0) };
    for (const count of [10, 4000, 5000]) {
      handles.length = 0;
      zset.sample(count, random, handles);
      expect(new Set(handles.refs.subarray(0, handles.length)).size).toBe(count);
    }
  });
});
