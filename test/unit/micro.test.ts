// The regression gate for speed: pieces of the hot path take no more than their limits say, and no memory.
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../micro/limits.ts';
import { measure } from '../micro/measure.ts';
import { PIECES } from '../micro/pieces.ts';

/** A piece that seems too slow is measured again: a neighbour can take half of a core's cache for a second. */
const TRIES = 4;

describe('the hot path', () => {
  it.each(PIECES.map((make) => make()))('$name: $operation', { timeout: 60_000 }, (piece) => {
    const limit = LIMITS[piece.name];
    let { turns, heapBytes } = measure(piece);
    for (let i = 1; i < TRIES && (turns > limit.turns || heapBytes > limit.heapBytes); i++) {
      const again = measure(piece);
      turns = Math.min(turns, again.turns);
      heapBytes = Math.min(heapBytes, again.heapBytes);
    }
    expect(heapBytes, 'bytes of heap per operation').toBeLessThanOrEqual(limit.heapBytes);
    expect(turns, 'turns of the reference loop').toBeLessThanOrEqual(limit.turns);
  });
});
