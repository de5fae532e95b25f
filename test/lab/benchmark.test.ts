// redis-benchmark, its whole default list, over every engine: no error, no missing reply, no RST, no bad checksum.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseBenchmark } from '../../src/cli/bench/load.ts';
import type { Lab } from '../../src/cli/lab/lab.ts';
import {
  badChecksums,
  Capture,
  checksumErrors,
  describeLab,
  fillInChecksums,
  LabServer,
  linkOf,
  OVER,
  openLab,
  REQUESTS,
  RST_FILTER,
} from './fixture.ts';

/** Names in --csv output of redis-benchmark 7's default list. */
const DEFAULT_LIST = [
  ...['PING_INLINE', 'PING_MBULK', 'SET', 'GET', 'INCR', 'LPUSH', 'RPUSH', 'LPOP', 'RPOP', 'SADD', 'HSET', 'SPOP'],
  ...['ZADD', 'ZPOPMIN', 'LPUSH', 'LRANGE_100', 'LRANGE_300', 'LRANGE_500', 'LRANGE_600', 'MSET'],
];

describeLab('redis-benchmark', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab?.down());

  async function load(server: LabServer, words: readonly string[]): Promise<string[]> {
    const command = ['timeout', '300', 'redis-benchmark', '--csv', '-h', server.address, ...words];
    const result = await lab.run('client', command);
    expect(result.stderr).toBe('');
    expect(result.code, result.stdout).toBe(0);
    expect(result.stdout).not.toMatch(/error/i);
    return parseBenchmark(result.stdout).map((row) => row.test.split(' ')[0]);
  }

  describe.each(OVER)('over %s', (engine) => {
    let server: LabServer;
    let device: string;
    beforeAll(async () => {
      device = linkOf(lab, engine).veth;
      server = await LabServer.start(lab, { over: engine, arguments: ['--save', ''] });
    });
    afterAll(() => server?.stop());

    it.each([
      ['-P 1', ['-c', '50', '-n', String(REQUESTS), '-P', '1'], DEFAULT_LIST],
      ['-P 16', ['-c', '50', '-n', String(REQUESTS), '-P', '16'], DEFAULT_LIST],
      ['64 KiB values', ['-d', '65536', '-t', 'set,get', '-n', String(REQUESTS / 5)], ['SET', 'GET']],
    ])('finishes with %s', async (_name, words, tests) => {
      const resets = await Capture.start(lab, device, RST_FILTER);
      const refusedBefore = await checksumErrors(lab);
      expect(await load(server, words)).toEqual(tests);
      expect(await resets.stop()).toEqual([]);
      expect((await checksumErrors(lab)) - refusedBefore).toBe(0);
    });

    it('sends right checksums', async () => {
      await fillInChecksums(lab, engine);
      const packets = await Capture.start(lab, device, `tcp and src host ${server.address}`);
      await load(server, ['-n', '500', '-c', '10', '-t', 'get,lrange_100']);
      await load(server, ['-n', '50', '-c', '5', '-d', '20000', '-t', 'set,get']);
      const seen = await packets.stop();
      expect(seen.length).toBeGreaterThan(500);
      expect(badChecksums(seen)).toEqual([]);
    });
  });
});
