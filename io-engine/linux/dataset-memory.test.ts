import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/data/arena.ts';
import { datasetMemory } from './dataset-memory.ts';
import { addressOf } from './libc.ts';

describe.skipIf(process.platform !== 'linux')('memory for the dataset', () => {
  it('is zeroed, of the length asked for, and starts at a cache line', () => {
    for (const bytes of [64, 8192, 1 << 20]) {
      const memory = datasetMemory.take(bytes);
      expect(memory.length).toBe(bytes);
      expect(memory.every((byte) => byte === 0)).toBe(true);
      expect(Number(addressOf(memory)) % 64).toBe(0);
    }
  });

  it('comes and goes in large pieces', () => {
    const arena = new Arena(datasetMemory);
    for (let i = 0; i < 30; i++) {
      const ref = arena.alloc(160_000_000);
      const at = arena.offsetOf(ref);
      arena.bytesOf(ref)[at + 159_999_999] = i;
      expect(arena.bytesOf(ref)[at + 159_999_999]).toBe(i);
      arena.free(ref);
    }
    expect(arena.reserved).toBe(0);
  });
});
