// The same seeded string and key commands to real redis-server 7.0.15 and to our command files: replies are compared
// byte for byte. Now and then every key travels both ways by DUMP and RESTORE, and the real server compares what came
// back with what it has. Skipped where redis-server 7.0 is not installed.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { genericCommands } from '../../src/commands/generic.ts';
import { hashCommands } from '../../src/commands/hash.ts';
import { listCommands } from '../../src/commands/list.ts';
import { setCommands } from '../../src/commands/set.ts';
import { sortedSetCommands } from '../../src/commands/sorted-set.ts';
import { stringCommands } from '../../src/commands/string.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { CommandHarness } from '../support/command-harness.ts';
import { type Peer, RedisServer, redisInstalled } from '../support/redis-server.ts';
import { itemsOf } from '../support/replies.ts';
import { KEYS, stringSequence } from './string-sequences.ts';

const commands = [
  ...stringCommands,
  ...genericCommands,
  ...listCommands,
  ...hashCommands,
  ...setCommands,
  ...sortedSetCommands,
];

const BATCHES = Number(process.env.DIFFERENTIAL_RUNS ?? 200);
const BATCH_LENGTH = 50;
/** How far two servers' ideas of when a key expires may be apart, milliseconds. */
const CLOCK_SLACK = 10_000;

describe.skipIf(!redisInstalled)('strings and keys against redis-server 7.0', () => {
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

  function expectSame(words: readonly string[], ours: string, theirs: string, context: string): void {
    const unit = words[0] === 'expiretime' ? 1000 : words[0] === 'pexpiretime' ? 1 : 0;
    const [mine, real] = [Number(ours.slice(1)), Number(theirs.slice(1))];
    if (unit > 0 && mine > 0 && real > 0) expect(Math.abs(mine - real) * unit, context).toBeLessThan(CLOCK_SLACK);
    else expect(ours, context).toBe(theirs);
  }

  async function compareBatch(ours: CommandHarness, batch: readonly string[][], context: string): Promise<void> {
    ours.clock.unixMs = Date.now();
    const theirs = await peer.run(batch);
    for (const [i, words] of batch.entries()) {
      const where = `${context}, command ${i}: ${JSON.stringify(words)}`;
      expectSame(words, ours.run(...words), theirs[i].bytes.toString('latin1'), where);
    }
  }

  /** Ours is restored there, theirs here and back there: the real server finds all three the same. */
  async function exchange(ours: CommandHarness, key: string, context: string): Promise<void> {
    const [theirs, expiry] = (
      await peer.run([
        ['dump', key],
        ['pexpiretime', key],
      ])
    ).map(({ reply }) => reply);
    const mine = ours.ask('dump', key);
    expect(mine === null, `presence, ${context}`).toBe(theirs === null);
    if (mine === null || theirs === null) return;
    const time = (expiry as { text: string }).text;
    const options = [time === '-1' ? '0' : time];
    expect(ours.run('restore', 'copy', '0', theirs as string, 'replace'), context).toBe('+OK\r\n');
    const back = ours.ask('dump', 'copy') as string;
    const answers = await peer.run([
      ['restore', 'from-us', ...options, mine as string, 'replace', 'absttl'],
      ['restore', 'and-back', ...options, back, 'replace', 'absttl'],
      ['debug', 'digest-value', key, 'from-us', 'and-back'],
      ['del', 'from-us', 'and-back'],
    ]);
    expect(answers[0].reply, context).toEqual({ type: '+', text: 'OK' });
    expect(answers[1].reply, context).toEqual({ type: '+', text: 'OK' });
    expect(new Set(itemsOf(answers[2].reply).map((digest) => JSON.stringify(digest))).size, context).toBe(1);
    ours.run('del', 'copy');
  }

  for (const [protocol, seed] of [
    [2, 1],
    [3, 2],
  ] as const) {
    it(`replies and payloads, RESP${protocol}`, async () => {
      const ours = new CommandHarness(commands);
      ours.reply.protocol = protocol;
      const emptyArena = ours.arena.used;
      await peer.run([['flushall'], ['hello', String(protocol)]]);
      const random = new SeededRandom(seed);
      for (let i = 0; i < BATCHES; i++) {
        const context = `seed ${seed}, batch ${i}`;
        await compareBatch(ours, stringSequence(random, BATCH_LENGTH), context);
        for (const key of KEYS) await exchange(ours, key, `${context}, key ${key}`);
      }
      for (const database of ours.keyspace.databases) database.clear();
      expect(ours.arena.used).toBe(emptyArena);
    });
  }
});
