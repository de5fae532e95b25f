import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Arena } from './arena.ts';
import { IdCursor, IdTree } from './id-tree.ts';
import { StreamId } from './stream-id.ts';

const idOf = (value: bigint): StreamId => {
  const id = new StreamId();
  const half = (shift: bigint): number => Number(BigInt.asIntN(32, value >> shift));
  id.set(half(96n), half(64n), half(32n), half(0n));
  return id;
};

const valueAt = (tree: IdTree, cursor: IdCursor): bigint => {
  const id = new StreamId();
  tree.readId(cursor, id);
  const bytes = new Uint8Array(16);
  id.encode(bytes, 0);
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
};

/** Ids that differ in any of their four halves, close together so that they meet again. */
const anyId = fc
  .tuple(fc.constantFrom(0n, 32n, 64n, 96n), fc.bigInt({ min: 0n, max: 300n }))
  .map(([shift, value]) => BigInt.asUintN(128, (value << shift) - (value % 2n)));

function contents(tree: IdTree, backwards: boolean): bigint[] {
  const cursor = new IdCursor();
  const found: bigint[] = [];
  let more = backwards ? tree.seekLast(cursor) : tree.seekFirst(cursor);
  while (more) {
    found.push(valueAt(tree, cursor));
    more = backwards ? tree.previous(cursor) : tree.next(cursor);
  }
  return found;
}

describe('a tree of stream ids', () => {
  it('is an ordered map, whatever is added and taken away', () => {
    const step = fc.record({ id: anyId, remove: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 600 }), fc.integer({ min: 0, max: 3 }), (steps, words) => {
        const arena = new Arena();
        const tree = new IdTree(arena, words);
        const model = new Map<bigint, number>();
        const cursor = new IdCursor();
        for (const [i, { id, remove }] of steps.entries()) {
          const isThere = model.has(id);
          if (remove) {
            expect(tree.seek(idOf(id), cursor)).toBe(isThere);
            const behind = [...model.keys()].filter((other) => other > id).sort((a, b) => (a < b ? -1 : 1))[0];
            if (isThere) tree.remove(cursor);
            expect(tree.isEnd(cursor) ? undefined : valueAt(tree, cursor)).toBe(behind);
            model.delete(id);
          } else {
            expect(tree.insert(idOf(id), cursor)).toBe(!isThere);
            expect(valueAt(tree, cursor)).toBe(id);
            for (let word = 0; word < words; word++) {
              if (!isThere) expect(tree.word(cursor, word)).toBe(0);
              tree.setWord(cursor, word, i + word);
            }
            model.set(id, i);
          }
        }
        const sorted = [...model.keys()].sort((a, b) => (a < b ? -1 : 1));
        expect(tree.size).toBe(sorted.length);
        expect(contents(tree, false)).toEqual(sorted);
        expect(contents(tree, true)).toEqual(sorted.reverse());
        for (const [id, written] of model) {
          expect(tree.seek(idOf(id), cursor)).toBe(true);
          for (let word = 0; word < words; word++) expect(tree.word(cursor, word)).toBe(written + word);
        }
        tree.release();
        expect(arena.used).toBe(0);
      }),
      { numRuns: 60, seed: 5 },
    );
  });

  it('keeps its entries when they come at the tail and go at the head, and gives memory back', () => {
    const arena = new Arena();
    const tree = new IdTree(arena, 1);
    const cursor = new IdCursor();
    let most = 0;
    for (let i = 0n; i < 30_000n; i++) {
      tree.insert(idOf(i), cursor);
      tree.setWord(cursor, 0, Number(i));
      if (tree.size > 1000) {
        tree.seekFirst(cursor);
        expect(tree.word(cursor, 0)).toBe(Number(i) - 1000);
        tree.remove(cursor);
      }
      most = Math.max(most, tree.memory);
    }
    expect(tree.size).toBe(1000);
    expect(most).toBeLessThan(64 * 1024);
    while (tree.seekLast(cursor)) tree.remove(cursor);
    expect(arena.used).toBe(0);
  });
});
