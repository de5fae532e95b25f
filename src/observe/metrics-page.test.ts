import { describe, expect, it } from 'vitest';
import { LatencyHistogram } from '../core/latency-histogram.ts';
import { MetricsPage } from './metrics-page.ts';
import { counter, gauge, histogram, Samples, type Series } from './series.ts';

const UP = gauge('up', 'Whether it is');
const GETS = counter('calls_total', 'Calls', { cmd: 'get', odd: 'a "b"\n\\c' });
const SETS = counter('calls_total', 'Calls', { cmd: 'set' });
const TIMES = histogram('times', 'How long', [1, 3], { cmd: 'get' });

function samples(...pairs: readonly (readonly [Series, number])[]): Samples {
  const all = new Samples();
  for (const [series, value] of pairs) all.add(series, value);
  return all;
}

describe('the metrics page', () => {
  it('is what the format wants, family by family', async () => {
    const all = samples([GETS, 12.5], [UP, 1], [SETS, 3]);
    all.addHistogram(TIMES, [4, 5], 6, 70);
    expect(await new MetricsPage().text(all)).toBe(
      [
        '# HELP calls_total Calls',
        '# TYPE calls_total counter',
        'calls_total{cmd="get",odd="a \\"b\\"\\n\\\\c"} 12.5',
        'calls_total{cmd="set"} 3',
        '',
        '# HELP up Whether it is',
        '# TYPE up gauge',
        'up 1',
        '',
        '# HELP times How long',
        '# TYPE times histogram',
        'times_bucket{cmd="get",le="1"} 4',
        'times_bucket{cmd="get",le="3"} 5',
        'times_bucket{cmd="get",le="+Inf"} 6',
        'times_sum{cmd="get"} 70',
        'times_count{cmd="get"} 6',
        '',
      ].join('\n'),
    );
  });

  it('has new values in the same lines, and new lines when a series has come or gone', async () => {
    const page = new MetricsPage();
    const lines = async (all: Samples): Promise<string[]> =>
      (await page.text(all)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(await lines(samples([UP, 1], [SETS, 3]))).toEqual(['up 1', 'calls_total{cmd="set"} 3']);
    expect(await lines(samples([UP, 0], [SETS, 1e21]))).toEqual(['up 0', 'calls_total{cmd="set"} 1e+21']);
    const odd = samples([UP, Number.NaN], [SETS, Number.POSITIVE_INFINITY]);
    expect(await lines(odd)).toEqual(['up Nan', 'calls_total{cmd="set"} +Inf']);
    expect(await lines(samples([SETS, 7]))).toEqual(['calls_total{cmd="set"} 7']);
    expect(await lines(samples([SETS, 8], [UP, 1]))).toEqual(['calls_total{cmd="set"} 8', 'up 1']);
  });
});

describe('a latency histogram', () => {
  it('counts up to several limits as it does up to one', () => {
    const times = new LatencyHistogram();
    for (let i = 0; i < 5000; i++) times.record((i * 7919) % 30_000, 1);
    const limits = [0, 1, 2, 3, 7, 100, 1000, 1023, 4096, 29_999, 1 << 29];
    expect(times.countsUpTo(limits)).toEqual(limits.map((limit) => times.countUpTo(limit)));
  });

  it('adds up, and tells what has come since', () => {
    const [a, b] = [new LatencyHistogram(), new LatencyHistogram()];
    a.record(5, 2);
    b.record(900, 1);
    const sum = new LatencyHistogram();
    sum.add(a);
    sum.add(b);
    expect([sum.total, sum.percentile(50)]).toEqual([3, 5]);
    const fresh = sum.since(a);
    expect([fresh.total, fresh.percentile(50)]).toEqual([1, b.percentile(50)]);
    // Reset meanwhile.
    expect(b.since(sum).total).toBe(1);
  });
});
