// The same seeded bitmap, bitfield, HyperLogLog, geo and SORT commands to real redis-server 7.0.15 and to our command
// files: replies are compared byte for byte, and after each batch the digests and encodings of all keys. Skipped where
// redis-server 7.0 is not installed.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandTable } from '../../src/commands/table.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { CommandHarness } from '../support/command-harness.ts';
import { type Peer, RedisServer, redisInstalled } from '../support/redis-server.ts';
import { BIT_GEO_KEYS, bitGeoSequence, DISTANCES } from './bit-geo-sequences.ts';

const BATCHES = Number(process.env.DIFFERENTIAL_RUNS ?? 500);
const BATCH_LENGTH = 60;

describe.skipIf(!redisInstalled)('bits, geo and sorting against redis-server 7.0', () => {
  let server: RedisServer;
  let peer: Peer;

  beforeAll(async () => {
    server = await RedisServer.start();
    peer = server.connect();
  });

  afterAll(async () => {
    peer.close();
    await server.stop();
  });

  for (const [protocol, seed] of [
    [2, 11],
    [3, 12],
  ] as const) {
    it(`replies and values, RESP${protocol}`, async () => {
      const ours = new CommandHarness(commandTable);
      ours.config.enableDebugCommand = 'yes';
      ours.reply.protocol = protocol;
      const emptyArena = ours.arena.used;
      await peer.run([['flushall'], ['hello', String(protocol)]]);
      const random = new SeededRandom(seed);
      for (let i = 0; i < BATCHES; i++) {
        const batch = bitGeoSequence(random, BATCH_LENGTH);
        batch.push(['debug', 'digest-value', ...BIT_GEO_KEYS]);
        batch.push(['zrange', DISTANCES, '0', '-1', 'withscores']);
        for (const key of BIT_GEO_KEYS) batch.push(['object', 'encoding', key], ['strlen', key]);
        const theirs = await peer.run(batch);
        for (const [k, words] of batch.entries()) {
          const where = `seed ${seed}, batch ${i}, command ${k}: ${JSON.stringify(words)}`;
          expect(comparable(words, ours.run(...words)), where).toBe(
            comparable(words, theirs[k].bytes.toString('latin1')),
          );
        }
      }
      for (const database of ours.keyspace.databases) database.clear();
      expect(ours.arena.used).toBe(emptyArena);
    });
  }

  /** Members of a set that is not sorted come in the order of the table; distances may differ in the last digit. */
  function comparable(words: readonly string[], reply: string): string {
    if (words[0] === 'zrange') {
      return reply.replace(/\$\d+\r\n|,/g, '').replace(/\d+\.\d+/g, (number) => Number(number).toPrecision(12));
    }
    const unordered = /^sort/.test(words[0]) && words[1] === 's1' && words.includes('nosort');
    return unordered ? `${reply.split('\r\n').length}` : reply;
  }
});
