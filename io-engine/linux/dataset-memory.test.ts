import { describe, expect, it } from 'vitest';
import { datasetMemory } from './dataset-memory.ts';
import { addressOf } from './libc.ts';
import { externalMemory } from './v8-memory.ts';

describe.skipIf(process.platform !== 'linux')('memory for the dataset', () => {
  it('is zeroed, of the length asked for, and starts at a cache line', () => {
    for (const bytes of [64, 8192, 1 << 20]) {
      const memory = datasetMemory.take(bytes);
      expect(memory.length).toBe(bytes);
      expect(memory.every((byte) => byte === 0)).toBe(true);
      expect(Number(addressOf(memory)) % 64).toBe(0);
      datasetMemory.give(memory);
    }
  });

  it('is nothing that the collector counts, until it is given back', () => {
    const before = externalMemory.add(0);
    const memory = datasetMemory.take(1 << 26);
    expect(Math.abs(externalMemory.add(0) - before)).toBeLessThan(1 << 24);
    datasetMemory.give(memory);
    if (externalMemory.isKnown) expect(externalMemory.add(0) - before).toBeGreaterThan(1 << 25);
  });
});
