import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundaryText, bytesOf, smallText, textOf } from '../../test/support/collection-values.ts';
import { Arena } from './arena.ts';
import { Element } from './element.ts';
import { List, ListCursor } from './list.ts';
import * as listpack from './listpack.ts';
import { setPackedThreshold } from './quicklist.ts';

const sinkOf = (out: string[]) => ({
  bulk(bytes: Uint8Array, offset: number, length: number): void {
    out.push(Buffer.from(bytes.buffer, bytes.byteOffset + offset, length).toString('latin1'));
  },
});

function contents(list: List): string[] {
  const out: string[] = [];
  list.emit(0, list.length, sinkOf(out));
  return out;
}

function backwards(list: List): string[] {
  const out: string[] = [];
  list.emitBackwards(-1, list.length, sinkOf(out));
  return out.reverse();
}

function checkNodes(list: List): void {
  let entries = 0;
  let nodes = 0;
  let bytes = 0;
  let previous = 0;
  for (let node = list.head; node !== 0; node = list.nextNode(node)) {
    expect(list.previousNode(node)).toBe(previous);
    if (!list.isPlain(node)) {
      const valid = listpack.isValid(list.arena.bytesOf(node), list.payloadOf(node), list.payloadBytes(node), 1);
      expect(valid).toBe(true);
    }
    expect(list.countOf(node)).toBeGreaterThan(0);
    entries += list.countOf(node);
    bytes += list.arena.capacityOf(node);
    nodes++;
    previous = node;
  }
  expect(list.tail).toBe(previous);
  expect([list.length, list.nodes, list.nodeBytes]).toEqual([entries, nodes, bytes]);
}

const text = fc.oneof(smallText, boundaryText);
const step = fc.tuple(fc.integer({ min: 0, max: 9 }), fc.nat(), text);

function apply(list: List, model: string[], [kind, where, value]: [number, number, string]): void {
  const bytes = bytesOf(value);
  const index = model.length === 0 ? 0 : where % model.length;
  if (kind === 0) {
    list.pushHead(bytes, 0, bytes.length);
    model.unshift(value);
  } else if (kind <= 2) {
    list.pushTail(bytes, 0, bytes.length);
    model.push(value);
  } else if (model.length === 0) {
    expect(list.peek(true, new Element())).toBe(false);
  } else if (kind === 3) {
    list.drop(where % 2 === 0);
    if (where % 2 === 0) model.shift();
    else model.pop();
  } else if (kind === 4) {
    expect(list.set(index, bytes, 0, bytes.length)).toBe(true);
    model[index] = value;
  } else if (kind <= 7) {
    const cursor = new ListCursor();
    const element = new Element();
    list.seek(index, cursor);
    list.insert(cursor, kind !== 6, bytes, 0, bytes.length);
    list.read(cursor, element);
    expect(textOf(element)).toBe(model[index]);
    model.splice(kind !== 6 ? index : index + 1, 0, value);
  } else if (kind === 8) {
    const count = 1 + (where % Math.min(3, model.length - index));
    list.removeRange(index, count);
    model.splice(index, count);
  } else {
    const wanted = model[index];
    const needle = bytesOf(wanted);
    const limit = where % 3;
    const fromHead = where % 2 === 0;
    let left = limit === 0 ? model.length : limit;
    const keep = (element: string) => element !== wanted || left-- <= 0;
    const rest = fromHead ? model.filter(keep) : [...model].reverse().filter(keep).reverse();
    expect(list.removeEqual(fromHead, limit, needle, 0, needle.length)).toBe(model.length - rest.length);
    model.splice(0, model.length, ...rest);
  }
}

describe('list', () => {
  for (const [fill, threshold] of [
    [-2, 0],
    [-1, 0],
    [1, 0],
    [3, 0],
    [128, 0],
    [-1, 100],
    [2, 3],
  ]) {
    it(`is a sequence with list-max-listpack-size ${fill}, plain nodes from ${threshold || 'the default'} on`, () => {
      setPackedThreshold(threshold);
      const arena = new Arena();
      fc.assert(
        fc.property(fc.array(step, { minLength: 1, maxLength: 120 }), (steps) => {
          const before = arena.used;
          const list = new List(arena, fill);
          const model: string[] = [];
          for (const one of steps) apply(list, model, one);
          checkNodes(list);
          expect(contents(list)).toEqual(model);
          expect(backwards(list)).toEqual(model);
          const element = new Element();
          for (const index of [0, 1, -1, -2, model.length >> 1, model.length, -model.length - 1]) {
            expect(list.get(index, element) ? textOf(element) : undefined).toBe(model.at(index));
          }
          const twin = list.clone(arena);
          expect(contents(twin)).toEqual(model);
          twin.release();
          list.release();
          expect(arena.used).toBe(before);
        }),
        { numRuns: 100, seed: fill + threshold },
      );
      setPackedThreshold(0);
    });
  }

  it('keeps nodes within the limit, and the list dense after inserts in the middle', () => {
    const list = new List(new Arena(), -1);
    const element = new Uint8Array(100).fill(120);
    const cursor = new ListCursor();
    for (let i = 0; i < 1000; i++) {
      if (i > 2) {
        list.seek(i >> 1, cursor);
        list.insert(cursor, true, element, 0, element.length);
      } else {
        list.pushTail(element, 0, element.length);
      }
    }
    for (let node = list.head; node !== 0; node = list.nextNode(node)) {
      expect(list.payloadBytes(node)).toBeLessThanOrEqual(4096);
    }
    checkNodes(list);
    expect(list.nodes).toBeLessThan(60);
  });

  it('joins nodes up to the size that Redis takes the joined one for, which is four bytes less than it has', () => {
    for (const [size, nodes] of [
      [8180, 2],
      [8181, 3],
    ]) {
      const list = new List(new Arena(), 2);
      const large = new Uint8Array(size).fill(120);
      for (const element of [bytesOf('a'), bytesOf(''), large]) list.pushTail(element, 0, element.length);
      expect(list.nodes).toBe(2);
      const cursor = new ListCursor();
      list.seek(1, cursor);
      list.insert(cursor, true, bytesOf('b'), 0, 1);
      expect(list.nodes, `${size} bytes`).toBe(nodes);
    }
  });

  it('takes both ends of a long list in constant time and space', () => {
    const arena = new Arena();
    const list = new List(arena, -2);
    const element = bytesOf('xxxxxxxx');
    const before = arena.used;
    for (let i = 0; i < 200_000; i++) list.pushTail(element, 0, 8);
    expect(arena.used - before).toBeLessThan(200_000 * 11.5);
    for (let i = 0; i < 200_000; i++) list.drop(true);
    expect(list.length).toBe(0);
    expect(arena.used).toBe(before);
  });
});
