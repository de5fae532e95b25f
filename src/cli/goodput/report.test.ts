// The goodput table: medians, ratios, gaps.
import { expect, it } from 'vitest';
import type { Flow } from './lab.ts';
import { documentText, median, shortfalls, table, uncertainty } from './report.ts';
import { connectionsFor } from './tool.ts';

const cell = { rttMs: 20, lossPercent: 0.1, reorderPercent: 5 };

function result(linux: number[], sends: number[], receives: number[] = []) {
  const samples = new Map<Flow, number[]>([
    ['linux', linux],
    ['wiredis-sends', sends],
  ]);
  if (receives.length > 0) samples.set('wiredis-receives', receives);
  return { cell, connections: 4, samples };
}

it('compares each direction with Linux to Linux in the same row', () => {
  expect(table([result([50e6], [60e6], [5e6])]).split('\n')[2]).toBe(
    '| 20 ms | 0.1 % | 5 % | 4 | 1 | 50.0 | 60.0 | 1.20 | 5.00 | 0.10 | - |',
  );
});

it('tells how certain a ratio is', () => {
  // Standard errors of 10 % and none, 4.3 of them with two degrees of freedom.
  expect(table([result([50e6, 50e6], [45e6, 55e6])]).split('\n')[2]).toContain(
    '| 2 | 50.0 | 50.0 | 1.00 ± 0.43 | - | - |',
  );
});

it('says by which command it was made', () => {
  const text = documentText('scripts/goodput --seconds 4', 'a machine', 'some facts.', []);
  expect(text).toContain('Made by `scripts/goodput --seconds 4` on a machine');
});

it('says in words where we are behind', () => {
  expect(shortfalls([result([50, 50], [60, 60], [51, 51])])).toBe(
    'wiredis is not behind Linux in any of 2 comparisons.',
  );
  const text = shortfalls([
    result([49, 51], [60, 60], [40, 40]),
    // Far apart: 0.9 says nothing. Close: 0.98 does.
    result([45, 55], [40, 50], [60, 60]),
    result([50, 50], [49, 49]),
  ]);
  expect(text).toContain(
    'behind Linux in 3 of 5 comparisons, in 1 of them by no more than the figures are uncertain by',
  );
  expect(text.split('\n').slice(2)).toEqual([
    '- receiving: 20 ms, 0.1 % lost, 5 % reordered: 0.80 ± 0.07',
    '- sending: 20 ms, 0.1 % lost, 5 % reordered: 0.98 ± 0.00',
  ]);
});

it('calls nothing noise that was measured once', () => {
  expect(shortfalls([result([50], [49])])).toBe(
    'wiredis is behind Linux in 1 of 1 comparisons:\n\n- sending: 20 ms, 0.1 % lost, 5 % reordered: 0.98',
  );
});

it('knows the standard error of rounds', () => {
  expect(uncertainty([90, 110])).toBeCloseTo(0.1);
  expect(uncertainty([100])).toBeNull();
});

it('measures several connections only where losses are the limit', () => {
  const of = (rttMs: number, lossPercent: number, reorderPercent = 0) =>
    connectionsFor({ rttMs, lossPercent, reorderPercent }, 1e8);
  expect([of(100, 0), of(20, 0), of(1, 1), of(20, 0.1), of(100, 0.1), of(100, 3)]).toEqual([1, 1, 1, 2, 11, 16]);
  expect(of(100, 0, 5)).toBe(4);
});

it('takes the middle', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});
