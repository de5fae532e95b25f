import { readFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import koffi from 'koffi';
import { describe, expect, it, vi } from 'vitest';
import { Arena, SEGMENT_BYTES } from '../../src/data/arena.ts';
import { DatasetMemory } from './dataset-memory.ts';
import { addressOf } from './libc.ts';

const MIB = 1024 * 1024;
const PAGE_BYTES = 4096;

const mincore = koffi.load(null).func('int mincore(uintptr_t address, ulong length, _Out_ uint8_t *pages)');

/** Pages of a range that are in memory. */
function residentPages(address: number, length: number): number {
  const pages = new Uint8Array(length / PAGE_BYTES);
  expect(mincore(address, length, pages)).toBe(0);
  return pages.filter((page) => (page & 1) !== 0).length;
}

/** What is in memory of this process, bytes. */
function resident(): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
}

describe.skipIf(process.platform !== 'linux')('memory for the dataset', () => {
  it('is zeroed, of the length asked for, and starts at a cache line', () => {
    const source = new DatasetMemory(SEGMENT_BYTES, 4 * SEGMENT_BYTES);
    for (const bytes of [64, 8192, 1 << 20, SEGMENT_BYTES, SEGMENT_BYTES, SEGMENT_BYTES]) {
      const memory = source.take(bytes);
      expect(memory.length).toBe(bytes);
      expect(memory.every((byte) => byte === 0)).toBe(true);
      expect(Number(addressOf(memory)) % 64).toBe(0);
    }
  });

  it('gives segments that do not overlap, across reservations', () => {
    const source = new DatasetMemory(SEGMENT_BYTES, 2 * SEGMENT_BYTES);
    const segments = Array.from({ length: 5 }, () => source.take(SEGMENT_BYTES));
    segments.forEach((segment, i) => {
      segment[0] = segment[SEGMENT_BYTES - 1] = i + 1;
    });
    segments.forEach((segment, i) => {
      expect([segment[0], segment[SEGMENT_BYTES - 1]]).toEqual([i + 1, i + 1]);
    });
  });

  it('has a segment that came back used again, zeroed, and meanwhile the kernel has its pages', () => {
    const source = new DatasetMemory(SEGMENT_BYTES, 8 * SEGMENT_BYTES);
    const segments = Array.from({ length: 8 }, () => source.take(SEGMENT_BYTES).fill(7));
    const full = resident();
    for (const segment of segments) source.give(segment);
    expect(full - resident()).toBeGreaterThan(100 * MIB);
    for (let i = 0; i < 8; i++) {
      const again = source.take(SEGMENT_BYTES);
      expect(segments.includes(again)).toBe(true);
      expect(again.every((byte) => byte === 0)).toBe(true);
    }
  });

  it('has the next segment in memory before anybody touches it, as soon as there are two', async () => {
    const source = new DatasetMemory(SEGMENT_BYTES, 4 * SEGMENT_BYTES);
    const first = Number(addressOf(source.take(SEGMENT_BYTES)));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(residentPages(first + SEGMENT_BYTES, SEGMENT_BYTES)).toBe(0);
    source.take(SEGMENT_BYTES);
    const all = SEGMENT_BYTES / PAGE_BYTES;
    await vi.waitFor(() => expect(residentPages(first + 2 * SEGMENT_BYTES, SEGMENT_BYTES)).toBe(all), 20_000);
    const third = source.take(SEGMENT_BYTES);
    expect(Number(addressOf(third))).toBe(first + 2 * SEGMENT_BYTES);
    expect(third.every((byte) => byte === 0)).toBe(true);
  });

  it('has V8 collect its heap once a reservation, not every few segments', async () => {
    const collections: number[] = [];
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries())
        collections.push((entry as unknown as { detail: { kind: number } }).detail.kind);
    });
    const MAJOR = 4;
    observer.observe({ entryTypes: ['gc'] });
    const arena = new Arena(new DatasetMemory(SEGMENT_BYTES));
    const before = arena.reserved;
    while (arena.reserved - before < 640 * MIB) arena.alloc(32 * 1024);
    // The observer hears of what has been in a turn of its own.
    await new Promise((resolve) => setTimeout(resolve, 50));
    observer.disconnect();
    expect(collections.filter((kind) => kind === MAJOR).length).toBeLessThanOrEqual(3);
  });

  it('comes and goes in large pieces', () => {
    const arena = new Arena(new DatasetMemory(SEGMENT_BYTES));
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
