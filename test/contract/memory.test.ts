// MEMORY and INFO memory: fields and replies as redis-server has them, figures that add up. Skipped where redis-server
// 7.0 is not installed.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OurServer } from '../support/our-server.ts';
import { type Peer, RedisServer, redisInstalled } from '../support/redis-server.ts';
import { itemsOf, type Reply } from '../support/replies.ts';

describe.skipIf(!redisInstalled)('memory', () => {
  let theirs: RedisServer;
  let ours: OurServer;
  let real: Peer;
  let mine: Peer;

  beforeAll(async () => {
    theirs = await RedisServer.start();
    ours = await OurServer.start();
    real = theirs.connect();
    mine = ours.connect();
  });

  afterAll(async () => {
    real.close();
    mine.close();
    await ours.stop();
    await theirs.stop();
  });

  const both = async (...words: string[]): Promise<readonly [Reply, Reply]> => [
    await mine.ask(...words),
    await real.ask(...words),
  ];
  const numberOf = (reply: Reply): number => Number((reply as { text: string }).text);
  /** Names of a flat map, and those of maps within. */
  const names = (reply: Reply): unknown[] =>
    itemsOf(reply).map((item, i) =>
      i % 2 === 0 ? item : typeof item === 'object' && item !== null && 'items' in item ? names(item) : 0,
    );

  it('MEMORY STATS has the fields of redis-server, in its order', async () => {
    for (const peer of [mine, real])
      await peer.run([
        ['set', 'a', 'b'],
        ['select', '3'],
        ['set', 'c', 'd'],
        ['select', '0'],
      ]);
    const [our, their] = await both('memory', 'stats');
    expect(names(our)).toEqual(names(their));
  });

  it('MEMORY USAGE grows with the value, and refuses what redis-server refuses', async () => {
    const usage = async (key: string): Promise<number> => numberOf(await mine.ask('memory', 'usage', key));
    await mine.run([
      ['set', 's', 'x'],
      ['set', 't', 'x'.repeat(10_000)],
      ['rpush', 'l', ...Array(2000).fill('element')],
    ]);
    expect(await usage('s')).toBeLessThan(100);
    expect(await usage('t')).toBeGreaterThan(10_000);
    expect(await usage('l')).toBeGreaterThan(2000 * 8);
    // What Redis's suite asks of servers with jemalloc: a shorter value leaves nothing of the longer one behind.
    await mine.run([
      ['set', 'trimmed', 'A'.repeat(100_000)],
      ['set', 'trimmed', 'A'.repeat(33_000)],
    ]);
    expect(await usage('trimmed')).toBeLessThan(42_000);
    for (const words of [
      ['missing'],
      ['s', 'samples'],
      ['s', 'samples', '-1'],
      ['s', 'samples', 'x'],
      ['s', 'x', '1'],
    ]) {
      const [our, their] = await both('memory', 'usage', ...words);
      expect(our, words.join(' ')).toEqual(their);
    }
  });

  it('INFO memory has the fields of redis-server, and its parts add up', async () => {
    const [our, their] = await both('info', 'memory');
    const fields = (text: Reply): Map<string, string> =>
      new Map(
        (text as string)
          .split('\r\n')
          .filter((line) => line.includes(':'))
          .map((line) => line.split(':') as [string, string]),
      );
    const figures = fields(our);
    expect([...figures.keys()].filter((name) => !fields(their).has(name))).toEqual([]);
    const missing = [...fields(their).keys()].filter((name) => !figures.has(name));
    expect(missing).toEqual([]);
    const figure = (name: string): number => Number(figures.get(name));
    expect(figure('used_memory')).toBe(figure('used_memory_dataset') + figure('used_memory_overhead'));
    expect(figure('used_memory_peak')).toBeGreaterThanOrEqual(figure('used_memory'));
    expect(figure('used_memory')).toBeGreaterThan(figure('used_memory_startup'));
  });
});
