import { describe, expect, it } from 'vitest';
import { page } from './chart.ts';
import { coreTimeBetween, parseCoreTicks } from './cpu.ts';
import { combine, document } from './document.ts';
import { benchmarkWords, fillCommands, type Load, parseBenchmark, readBenchmark, withoutPreparation } from './load.ts';
import { type Results, tables } from './report.ts';
import { coreValues, median, type Row, type Sample, summarise, type Values } from './sample.ts';
import { LOAD_COLUMNS } from './scenario.ts';
import { scenariosWith } from './scenarios/index.ts';
import { judge, TARGETS } from './targets.ts';

const load: Load = { test: 'get', requests: 1000, clients: 50, pipeline: 1, valueBytes: 3, keyspace: 100 };

const CSV = `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
"LPUSH (needed to benchmark LRANGE)","90909.09","0.283","0.072","0.279","0.359","0.455","0.551"
"LRANGE_100 (first 100 elements)","64516.13","0.497","0.248","0.455","0.815","0.943","1.295"
`;

describe('redis-benchmark', () => {
  it('is called with random keys only over a filled keyspace', () => {
    expect(benchmarkWords('10.0.0.1', 6379, load).join(' ')).toBe(
      'redis-benchmark --csv -h 10.0.0.1 -p 6379 -t get -n 1000 -c 50 -P 1 -d 3 -r 100',
    );
    expect(benchmarkWords('10.0.0.1', 6379, { ...load, keyspace: 0 })).not.toContain('-r');
    expect(withoutPreparation(load)).toBe(load);
    const long = { ...load, test: 'lrange_100', keyspace: 0 };
    expect(benchmarkWords('10.0.0.1', 6379, withoutPreparation(long)).join(' ')).toBe(
      'redis-benchmark --csv -h 10.0.0.1 -p 6379 -n 1000 -c 50 -P 1 -d 3 lrange mylist 0 99',
    );
  });

  it('answers with one row a test', () => {
    expect(parseBenchmark(CSV)).toHaveLength(2);
    expect(parseBenchmark(CSV)[1]).toEqual({
      test: 'LRANGE_100 (first 100 elements)',
      requestsPerSecond: 64516.13,
      p50Ms: 0.455,
      p95Ms: 0.815,
      p99Ms: 0.943,
      maxMs: 1.295,
    });
  });

  it('fails in words', () => {
    const stderr = 'WARNING: Could not fetch server CONFIG\nError from server: ERR unknown command\n';
    expect(() => readBenchmark({ code: 0, stdout: CSV, stderr })).toThrow('Error from server: ERR unknown command');
    expect(() => readBenchmark({ code: 1, stdout: '', stderr: '' })).toThrow('exit code 1');
    expect(readBenchmark({ code: 0, stdout: CSV, stderr: 'WARNING: Could not fetch server CONFIG\n' })).toHaveLength(2);
  });

  it('finds every key that it may draw', () => {
    expect(fillCommands(0, 2, 'ab').toString()).toBe(
      '*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$2\r\nab\r\n*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$2\r\nab\r\n',
    );
  });
});

describe('core time', () => {
  const stat = (user: number, softirq: number) =>
    `cpu  9 9 9 9 9 9 9 0 0 0\ncpu0 1 1 1 1 1 1 1 0 0 0\ncpu1 ${user} 2 30 400 5 6 ${softirq} 0 0 0\ncpu10 7 7 7 7 7 7 7 0 0 0\n`;

  it('is the difference of one core, in microseconds by class', () => {
    const time = coreTimeBetween(parseCoreTicks(stat(10, 7), 1), parseCoreTicks(stat(14, 9), 1));
    expect(time).toEqual({ userUs: 40_000, systemUs: 0, irqUs: 0, softirqUs: 20_000, busyUs: 60_000, idleUs: 0 });
  });

  it('does not mix up cores', () => {
    expect(parseCoreTicks(stat(10, 7), 1)).toEqual({ user: 12, system: 30, irq: 6, softirq: 7, idle: 405 });
    expect(() => parseCoreTicks(stat(10, 7), 2)).toThrow('no core 2');
  });
});

const core = (busyUs: number) => ({ userUs: busyUs, systemUs: 0, irqUs: 0, softirqUs: 0, busyUs, idleUs: busyUs });

describe('summary', () => {
  const sample = (path: string, round: number, rate: number, serverUs: number, pipeline = 1): Sample => ({
    ...{ scenario: 'throughput', test: 'GET', pipeline, path, round },
    values: { rate, p50Ms: 1, p99Ms: 2, ...coreValues(core(serverUs * 1000), core(10_000), 1000) },
  });
  const samples = [
    ...[100, 80, 120].map((rate, round) => sample('redis', round, rate, 10)),
    ...[150, 300, 200].map((rate, round) => sample('afxdp', round, rate, 5)),
  ];
  const columns = { name: 'throughput', summary: 'GET', columns: LOAD_COLUMNS };

  it('takes medians and compares them with redis-server', () => {
    const [redis, afxdp] = summarise(samples);
    expect([redis.values.rate, redis.ratios.rate, redis.spread.rate]).toEqual([100, 1, 0.4]);
    expect([afxdp.values.rate, afxdp.ratios.rate, afxdp.rounds]).toEqual([200, 2, 3]);
    expect([afxdp.values.serverUs, afxdp.values.clientUs, afxdp.values.serverIdle]).toEqual([5, 10, 0.5]);
    expect([afxdp.ratios.serverUs, afxdp.ratios.bothUs]).toEqual([0.5, 0.75]);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });

  it('has no ratio without the reference', () => {
    expect(summarise(samples.filter((one) => one.path === 'afxdp'))[0].ratios).toEqual({});
  });

  it('is a table, without the columns that short runs cannot fill', () => {
    const rows = summarise(samples);
    expect(tables([columns], rows, true).split('\n')[0]).toMatch(/^test +P +path +rps +x +p50 ms +p99 ms$/);
    const [header, redis, afxdp] = tables([columns], rows, false).split('\n');
    expect(header).toMatch(/^test +P +path +rps +spread +x +.*server us\/req +x +user/);
    expect(redis).toMatch(/^GET +1 +redis +100 +40% +1.00x/);
    expect(afxdp).toMatch(/^GET +1 +afxdp +200 +75% +2.00x/);
  });

  it('is judged by the worst of what a target names', () => {
    const both = ['GET', 'SET'].flatMap((test) => samples.map((one) => ({ ...one, test })));
    const slow = both.map((one) =>
      one.test === 'SET' && one.path === 'afxdp' ? { ...one, values: { ...one.values, rate: 110 } } : one,
    );
    const outcome = (rows: readonly Sample[]) =>
      judge(summarise(rows)).find(({ target }) => target.title === 'Throughput, P=1, afxdp');
    expect(outcome(both)).toMatchObject({ value: 2, met: true });
    expect(outcome(slow)).toMatchObject({ value: 1.1, met: false });
    expect(outcome(samples)).toMatchObject({ value: null, met: null });
  });

  it('becomes a document that says what was lost, missed and not measured', () => {
    const rows = summarise([...samples, ...samples.map((one) => ({ ...one, test: 'SET' }))]);
    const kernel: Values = { rate: 50, serverUs: 20 };
    const lost = { ...rows[0], path: 'kernel', values: kernel, ratios: { rate: 0.5, serverUs: 2 } };
    const results: Results = {
      ...{ when: '2026-01-02T03:04:05Z', command: 'bench --scenario all', warnings: [], samples },
      ...{ machine: { cpu: 'a & b' }, failures: ['throughput, tap: no tap here'], rows: [...rows, lost] },
    };
    const text = document([columns], results, '## What was tried\n\n- nothing');
    expect(text).toContain('| Throughput, P=1, afxdp | redis | >= 1.35x | 2x | yes |');
    expect(text).toContain('| Server core per request, P=1, afxdp | redis | <= 0.40x | 0.50x | **no** |');
    expect(text).toContain('not measured');
    expect(text).toContain("- kernel, GET: rps 50, 0.50x of redis-server's");
    expect(text).toContain('- throughput, tap: no tap here');
    expect(text.trimEnd().endsWith('- nothing')).toBe(true);
    expect(page([columns], results)).toContain('cpu a &#38; b');
    expect(page([columns], results).match(/<rect /g)).toHaveLength(rows.length * 2 + 2);
  });

  it('takes from several files what the last one with a scenario says', () => {
    const file = (command: string, scenario: string, rate: number): Results => ({
      ...{ when: '2026-01-02T03:04:05Z', command, warnings: [], failures: [command], machine: {}, samples: [] },
      rows: [{ scenario, values: { rate } } as unknown as Row],
    });
    const all = combine([file('one', 'a', 1), file('two', 'b', 2), file('three', 'a', 3)]);
    expect(all.rows.map(({ scenario, values }) => [scenario, values.rate])).toEqual([
      ['b', 2],
      ['a', 3],
    ]);
    expect(all.command).toBe('one`, then `wiredis two`, then `wiredis three');
    expect(all.failures).toEqual(['one', 'two', 'three']);
  });

  it('has targets that some scenario measures, on a path of its own', () => {
    const settings = { tests: ['get'], pipelines: [1], requests: 1, clients: 1, valueBytes: 1, keyspace: 0 };
    const scenarios = scenariosWith(settings);
    for (const target of TARGETS) {
      const scenario = scenarios.find(({ name }) => name === target.scenario);
      expect(scenario?.paths, target.title).toContain(target.path);
      if (target.against !== undefined) expect(scenario?.paths, target.title).toContain(target.against);
    }
  });
});
