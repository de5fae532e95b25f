import { describe, expect, it } from 'vitest';
import { datasetMemory } from './dataset-memory.ts';
import { addressOf } from './libc.ts';

describe.skipIf(process.platform !== 'linux')('memory for the dataset', () => {
  it('is zeroed, of the length asked for, and starts at a cache line', () => {
    for (const bytes of [64, 8192, 1 << 20]) {
      const memory = datasetMemory(bytes);
      expect(memory.length).toBe(bytes);
      expect(memory.every((byte) => byte === 0)).toBe(true);
      expect(Number(addressOf(memory)) % 64).toBe(0);
    }
  });
});
