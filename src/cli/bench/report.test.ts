import { describe, expect, it } from 'vitest';
import { coreTimeBetween, parseCoreTicks } from './cpu.ts';
import { benchmarkWords, fillCommands, type Load, parseBenchmark, readBenchmark } from './load.ts';
import { median, type Sample, summarise, table } from './report.ts';

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
    expect(fillCommands(2, 'ab').toString()).toBe(
      '*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$2\r\nab\r\n*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$2\r\nab\r\n',
    );
  });
});

describe('core time', () => {
  const stat = (user: number, softirq: number) =>
    `cpu  9 9 9 9 9 9 9 0 0 0\ncpu0 1 1 1 1 1 1 1 0 0 0\ncpu1 ${user} 2 30 400 5 6 ${softirq} 0 0 0\ncpu10 7 7 7 7 7 7 7 0 0 0\n`;

  it('is the difference of one core, in microseconds by class', () => {
    const time = coreTimeBetween(parseCoreTicks(stat(10, 7), 1), parseCoreTicks(stat(14, 9), 1));
    expect(time).toEqual({ userUs: 40_000, systemUs: 0, irqUs: 0, softirqUs: 20_000, busyUs: 60_000 });
  });

  it('does not mix up cores', () => {
    expect(parseCoreTicks(stat(10, 7), 1)).toEqual({ user: 12, system: 30, irq: 6, softirq: 7, idle: 405 });
    expect(() => parseCoreTicks(stat(10, 7), 2)).toThrow('no core 2');
  });
});

describe('summary', () => {
  const sample = (path: string, round: number, rate: number, serverMs: number): Sample => ({
    path,
    round,
    load,
    requests: 1000,
    result: { test: 'GET', requestsPerSecond: rate, p50Ms: 1, p95Ms: 1, p99Ms: 2, maxMs: 3 },
    serverCore: { userUs: serverMs * 1000, systemUs: 0, irqUs: 0, softirqUs: 0, busyUs: serverMs * 1000 },
    clientCore: { userUs: 0, systemUs: 10_000, irqUs: 0, softirqUs: 0, busyUs: 10_000 },
  });
  const samples = [
    ...[100, 80, 120].map((rate, round) => sample('redis', round, rate, 10)),
    ...[150, 300, 200].map((rate, round) => sample('afxdp', round, rate, 5)),
  ];

  it('takes medians and compares them with redis-server', () => {
    const [redis, afxdp] = summarise(samples);
    expect([redis.requestsPerSecond, redis.rateRatio, redis.spread]).toEqual([100, 1, 0.4]);
    expect([afxdp.requestsPerSecond, afxdp.rateRatio, afxdp.rounds]).toEqual([200, 2, 3]);
    expect([afxdp.serverUs, afxdp.clientUs]).toEqual([5, 10]);
    expect([afxdp.serverRatio, afxdp.bothRatio]).toEqual([0.5, 0.75]);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });

  it('has no ratio without the reference', () => {
    const [only] = summarise(samples.filter((one) => one.path === 'afxdp'));
    expect([only.rateRatio, only.serverRatio, only.bothRatio]).toEqual([null, null, null]);
  });

  it('prints a row each, columns aligned', () => {
    const lines = table(summarise(samples), false).split('\n');
    expect(lines).toHaveLength(3);
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(lines[2]).toMatch(/^GET +1 +afxdp +200 +75% +2\.00x/);
    expect(lines[0]).toContain('server us/req');
  });

  it('leaves out what needs long runs when brief', () => {
    const [header] = table(summarise(samples), true).split('\n');
    expect(header.split(/ {2,}/)).toEqual(['test', 'P', 'path', 'rps', 'x', 'p50 ms', 'p99 ms']);
  });
});
