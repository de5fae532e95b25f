// The goodput table: medians, ratios, gaps.
import { expect, it } from 'vitest';
import type { Flow } from './lab.ts';
import { documentText, median, table } from './report.ts';

const cell = { rttMs: 20, lossPercent: 0.1, reorderPercent: 5 };

it('compares each direction with Linux to Linux in the same row', () => {
  const rates = new Map<Flow, number>([
    ['linux', 50e6],
    ['wiredis-sends', 60e6],
    ['wiredis-receives', 5e6],
  ]);
  expect(table([{ cell, connections: 4, rates }]).split('\n')[2]).toBe(
    '| 20 ms | 0.1 % | 5 % | 4 | 50.0 | 60.0 | 1.20 | 5.00 | 0.10 | - |',
  );
});

it('says by which command it was made', () => {
  const text = documentText('scripts/goodput --seconds 4', 'a machine', 'some facts.', []);
  expect(text).toContain('Made by `scripts/goodput --seconds 4` on a machine');
});

it('takes the middle', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});
