// The goodput table: medians, ratios, gaps.
import { expect, it } from 'vitest';
import type { Flow } from './lab.ts';
import { documentText, median, shortfalls, spread, table } from './report.ts';
import { connectionsFor } from './tool.ts';

const cell = { rttMs: 20, lossPercent: 0.1, reorderPercent: 5 };

it('compares each direction with Linux to Linux in the same row', () => {
  const rates = new Map<Flow, number>([
    ['linux', 50e6],
    ['wiredis-sends', 60e6],
    ['wiredis-receives', 5e6],
  ]);
  expect(table([{ cell, connections: 4, rates, spreads: [] }]).split('\n')[2]).toBe(
    '| 20 ms | 0.1 % | 5 % | 4 | 50.0 | 60.0 | 1.20 | 5.00 | 0.10 | - |',
  );
});

it('says by which command it was made', () => {
  const text = documentText('scripts/goodput --seconds 4', 'a machine', 'some facts.', []);
  expect(text).toContain('Made by `scripts/goodput --seconds 4` on a machine');
});

it('says in words where we are behind', () => {
  const rates = (linux: number, sends: number, receives: number) =>
    new Map<Flow, number>([
      ['linux', linux],
      ['wiredis-sends', sends],
      ['wiredis-receives', receives],
    ]);
  const result = (...of: [number, number, number]) => ({
    cell,
    connections: 1,
    rates: rates(...of),
    spreads: [0.02, 0.05, 0.3],
  });
  expect(shortfalls([result(50, 60, 51)])).toBe('wiredis is not behind Linux in any of 2 comparisons.');
  const text = shortfalls([result(50, 60, 40), result(50, 49, 60)]);
  expect(text).toContain('behind Linux in 2 of 4 comparisons, in 1 of them by no more than the 5.0 % that rounds');
  expect(text.split('\n').slice(2)).toEqual(['- receiving: 20 ms, 0.1 % lost, 5 % reordered: 0.80']);
});

it('calls nothing noise that was measured once', () => {
  const rates = new Map<Flow, number>([
    ['linux', 50],
    ['wiredis-sends', 49],
  ]);
  expect(shortfalls([{ cell, connections: 1, rates, spreads: [] }])).toBe(
    'wiredis is behind Linux in 1 of 1 comparisons:\n\n- sending: 20 ms, 0.1 % lost, 5 % reordered: 0.98',
  );
});

it('knows how far apart rounds were', () => {
  expect(spread([100, 90, 110])).toEqual([0.2]);
  expect(spread([100])).toEqual([]);
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
