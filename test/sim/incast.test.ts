// A hundred hosts behind one switch: every byte arrives whatever the switch drops, a run can be repeated, and what
// docs/scaling.md says of incast is so. WIREDIS_INCAST=1 prints that document's table (scripts/incast.sh).
import { describe, expect, it } from 'vitest';
import { type IncastOptions, simulateIncast } from './incast.ts';

const BASE: IncastOptions = {
  seed: 1,
  servers: 100,
  replyBytes: 1024,
  rounds: 5,
  rate: 10e9,
  delayUs: 2,
  queueBytes: 256 * 1024,
  serviceUs: 20,
};

describe('incast', () => {
  it('small replies of a hundred hosts fit the queue: nothing is lost', () => {
    const result = simulateIncast(BASE);
    expect(result).toMatchObject({ drops: 0, timeouts: 0, retransmitted: 0 });
    expect(result.medianUs).toBeLessThan(1000);
  });

  it('large ones do not: frames are dropped, and every byte arrives all the same', () => {
    const result = simulateIncast({ ...BASE, replyBytes: 32 * 1024 });
    expect(result.drops).toBeGreaterThan(0);
    expect(result.retransmitted).toBeGreaterThanOrEqual(result.drops);
    expect(result.longestUs).toBeGreaterThan(result.leastUs);
  });

  it('the same seed gives the same run', () => {
    const options = { ...BASE, servers: 40, replyBytes: 16 * 1024, queueBytes: 64 * 1024 };
    expect(simulateIncast(options)).toEqual(simulateIncast(options));
  });

  it.runIf(process.env.WIREDIS_INCAST === '1')('the table of docs/scaling.md', { timeout: 3_600_000 }, () => {
    const KIB = 1024;
    const rows: [string, Partial<IncastOptions>][] = [];
    for (const servers of [10, 30, 100]) {
      for (const reply of [1, 4, 16, 64]) {
        rows.push([`${servers} x ${reply} KiB`, { servers, replyBytes: reply * KIB }]);
      }
    }
    const small = { replyBytes: 4 * KIB };
    rows.push(['100 x 4 KiB, rto-min = 20ms', { ...small, netdev: 'rto-min = 20ms' }]);
    rows.push(['100 x 4 KiB, rto-min = 5ms', { ...small, netdev: 'rto-min = 5ms' }]);
    const hard = { replyBytes: 16 * KIB };
    rows.push(['100 x 16 KiB, rto-min = 20ms', { ...hard, netdev: 'rto-min = 20ms' }]);
    rows.push(['100 x 16 KiB, rto-min = 5ms', { ...hard, netdev: 'rto-min = 5ms' }]);
    rows.push(['100 x 16 KiB, queue of 1 MiB', { ...hard, queueBytes: KIB * KIB }]);
    rows.push(['100 x 16 KiB, queue of 2 MiB', { ...hard, queueBytes: 2 * KIB * KIB }]);
    rows.push(['100 x 16 KiB, 25 Gbit/s', { ...hard, rate: 25e9 }]);
    rows.push(['100 x 16 KiB, servers spread over 1 ms', { ...hard, serviceUs: 1000 }]);
    rows.push(['100 x 16 KiB, spread over 2 ms', { ...hard, serviceUs: 2000 }]);
    const lines = rows.map(([name, options]) => {
      const run = simulateIncast({ ...BASE, rounds: 20, ...options });
      const ms = (us: number): string => (us / 1000).toFixed(2);
      const cells = [name, ms(run.leastUs), ms(run.medianUs), ms(run.longestUs), run.drops, run.retransmitted];
      return `| ${[...cells, run.timeouts, Math.round(run.queuedBytesMax / KIB)].join(' | ')} |`;
    });
    const heading =
      'replies | cable alone, ms | median round, ms | longest, ms | dropped | sent again | timeouts | queue, KiB';
    console.log([`| ${heading} |`, '|---|---|---|---|---|---|---|---|', ...lines].join('\n'));
  });
});
