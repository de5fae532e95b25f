import { describe, expect, it } from 'vitest';
import { LongBlocks } from './long-blocks.ts';

describe('long blocks', () => {
  it('are used again, for what is about as long', () => {
    const blocks = new LongBlocks();
    const first = blocks.take(100_000);
    expect(first.length).toBe(114_688);
    blocks.give(first.subarray(0, 7));
    expect(blocks.idleBytes).toBe(114_688);
    expect(blocks.take(70_000).buffer).not.toBe(first.buffer);
    expect(blocks.take(99_000).buffer).toBe(first.buffer);
    expect(blocks.idleBytes).toBe(0);
    expect(blocks.take(99_000).buffer).not.toBe(first.buffer);
  });

  it('hold copies', () => {
    const blocks = new LongBlocks();
    const source = new Uint8Array(300_000).map((_, i) => i * 7);
    for (const [from, to] of [
      [5, 100_005],
      [9, 99_009],
      [1, 1000],
    ] as const) {
      const copy = blocks.copy(source, from, to);
      expect(copy).toEqual(source.slice(from, to));
      blocks.give(copy);
    }
    expect(blocks.idleBytes).toBe(114_688);
  });

  it('waste a quarter at most', () => {
    const blocks = new LongBlocks();
    for (let length = 16_385; length <= 8 << 20; length = Math.ceil(length * 1.07)) {
      const { length: capacity } = blocks.take(length);
      expect(capacity).toBeGreaterThanOrEqual(length);
      expect(capacity).toBeLessThanOrEqual(length * 1.25);
    }
  });

  it('are as long as was asked for, and nobody keeps them, where they are short or very long', () => {
    const blocks = new LongBlocks();
    for (const length of [0, 1000, 16 * 1024, (8 << 20) + 1, 100_000_000]) {
      const block = blocks.take(length);
      expect(block.length).toBe(length);
      blocks.give(block);
    }
    blocks.give(new Uint8Array(99_999));
    expect(blocks.idleBytes).toBe(0);
  });

  it('are kept while they are needed, and not without limit', () => {
    const blocks = new LongBlocks();
    const held = Array.from({ length: 400 }, () => blocks.take(131_072));
    for (const block of held) blocks.give(block);
    expect(blocks.idleBytes).toBe(32 * 1024 * 1024);
    blocks.trim();
    // In use meanwhile: one, at most.
    blocks.give(blocks.take(131_072));
    blocks.trim();
    expect(blocks.idleBytes).toBe(131_072);
    blocks.trim();
    expect(blocks.idleBytes).toBe(0);
  });
});
