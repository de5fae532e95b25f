// Bulk transfers through bad networks on the virtual clock: where nothing is lost the link is kept busy, whether the network
// reorders or not. What a transfer cannot have is its slow start, half a second where the round trip is 100 ms.
// WIREDIS_BULK=1 prints the cells of scripts/goodput, ours to ours.
import { describe, expect, it } from 'vitest';
import { type BulkOptions, type BulkResult, simulateBulk } from './bulk.ts';

const BASE: BulkOptions = {
  seed: 1,
  rttMs: 20,
  loss: 0,
  reorder: 0,
  rate: 100e6,
  queueBytes: 512 * 1024,
  connections: 1,
  seconds: 5,
};
const SEEDS = [1, 2, 3];

function mean(runs: readonly BulkResult[], of: (run: BulkResult) => number): number {
  return runs.reduce((sum, run) => sum + of(run), 0) / runs.length;
}

const bulk = (options: Partial<BulkOptions>): BulkResult[] =>
  SEEDS.map((seed) => simulateBulk({ ...BASE, seed, ...options }));

describe('bulk transfers', () => {
  // What is left when the slow start is taken away, and a little for the one recovery behind it.
  const least = new Map([
    [20, 0.97],
    [100, 0.85],
  ]);
  for (const [rttMs, share] of least) {
    for (const reorder of [0, 0.05]) {
      it(`fill the link: ${rttMs} ms, ${reorder * 100} % reordered by a quarter of it`, () => {
        const runs = bulk({ rttMs, reorder });
        expect(mean(runs, (run) => run.share)).toBeGreaterThan(share);
        // Once the network is known to reorder, nothing is sent again but what a queue dropped.
        for (const { retransmitted, dropped, timeouts } of runs) {
          expect(retransmitted - dropped).toBeLessThan(20);
          expect(timeouts).toBe(0);
        }
      });
    }
  }

  it('a recovery does not run dry, and is no burst when it is over: a queue half as long as the path overflows once', () => {
    const [run] = bulk({ rttMs: 100 });
    expect(run.recoveries).toBeLessThanOrEqual(2);
    expect(run.dropped).toBeLessThan(300);
  });

  it('the same seed gives the same run', () => {
    const options = { ...BASE, loss: 0.01, reorder: 0.05, seconds: 2 };
    expect(simulateBulk(options)).toEqual(simulateBulk(options));
  });

  it.runIf(process.env.WIREDIS_BULK === '1')('every cell', { timeout: 3_600_000 }, () => {
    const lines: string[] = [];
    for (const reorder of [0, 0.05]) {
      for (const rttMs of [1, 20, 100]) {
        for (const loss of [0, 0.001, 0.01, 0.03]) {
          const runs = bulk({ rttMs, loss, reorder });
          const counts = (['retransmitted', 'recoveries', 'undos', 'timeouts', 'dropped', 'lost'] as const).map(
            (name) => mean(runs, (run) => run[name]).toFixed(0),
          );
          const rate = (mean(runs, (run) => run.rate) / 1e6).toFixed(2);
          const cell = [`${rttMs} ms`, `${loss * 100} %`, `${reorder * 100} %`, rate];
          lines.push(`| ${[...cell, mean(runs, (run) => run.share).toFixed(2), ...counts].join(' | ')} |`);
        }
      }
    }
    process.stdout.write(`${lines.join('\n')}\n`);
  });
});
