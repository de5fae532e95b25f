// The same seeded stream commands to real redis-server 7.0.15 and to our command files: replies, changes counted and
// dumped payloads are compared. What tells the time of day is left out: idle and seen times, times of delivery. Skipped
// where redis-server 7.0 is not installed.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { genericCommands } from '../../src/commands/generic.ts';
import { listCommands } from '../../src/commands/list.ts';
import { streamCommands } from '../../src/commands/stream.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { CommandHarness } from '../support/command-harness.ts';
import { type Peer, RedisServer, redisInstalled } from '../support/redis-server.ts';
import type { Reply } from '../support/replies.ts';
import { streamSequence } from './stream-sequences.ts';

const commands = [...genericCommands, ...listCommands, ...streamCommands];
const NODE_ENTRIES = 7;
const NODE_BYTES = 600;

/** Integers that may be milliseconds, since 1970 or since a moment ago. */
function withoutTimes(reply: Reply): Reply {
  if (reply === null || typeof reply === 'string' || 'error' in reply) return reply;
  if ('items' in reply) return { type: reply.type, items: reply.items.map((item) => withoutTimes(item)) };
  if (reply.type !== ':') return reply;
  const value = Number(reply.text);
  return value > 1.7e12 && value < 3e12 ? { type: ':', text: 'now' } : reply;
}

/** Leaves out how long something was idle. */
function withoutIdle(words: readonly string[], reply: Reply): Reply {
  const cleaned = withoutTimes(reply);
  if (cleaned === null || typeof cleaned === 'string' || !('items' in cleaned)) return cleaned;
  const name = words[0].toLowerCase();
  if (name === 'xpending' && words.length > 3) {
    for (const item of cleaned.items) {
      if (item !== null && typeof item === 'object' && 'items' in item) item.items[2] = null;
    }
  }
  if (name === 'xinfo' && words[1].toLowerCase() === 'consumers') {
    for (const item of cleaned.items) {
      if (item !== null && typeof item === 'object' && 'items' in item) item.items[5] = null;
    }
  }
  return cleaned;
}

function changesOf(reply: Reply): number {
  const text = typeof reply === 'string' ? reply : reply !== null && 'text' in reply ? reply.text : '';
  return Number(/rdb_changes_since_last_save:(\d+)/.exec(text)?.[1]);
}

describe.skipIf(!redisInstalled)('streams against redis-server 7.0', () => {
  let server: RedisServer;
  let peer: Peer;

  beforeAll(async () => {
    server = await RedisServer.start({
      'stream-node-max-entries': NODE_ENTRIES,
      'stream-node-max-bytes': NODE_BYTES,
      // There is more than one way to compress the same bytes.
      rdbcompression: 'no',
    });
    peer = server.connect();
  });

  afterAll(async () => {
    peer.close();
    await server.stop();
  });

  function harness(protocol: 2 | 3, seed: number): CommandHarness {
    const ours = new CommandHarness(commands, seed);
    ours.reply.protocol = protocol;
    ours.config.streamNodeMaxEntries = NODE_ENTRIES;
    ours.config.streamNodeMaxBytes = NODE_BYTES;
    ours.config.rdbcompression = false;
    ours.clock.unixMs = Date.now();
    return ours;
  }

  /** Payloads go both ways and come back as they were. */
  async function exchangeDumps(ours: CommandHarness, context: string): Promise<void> {
    for (const key of ['s1', 's2', 's3']) {
      const theirs = await peer.ask('DUMP', key);
      const own = ours.ask('DUMP', key);
      if (typeof theirs !== 'string' || typeof own !== 'string') {
        expect(own, `dump of ${key}, ${context}`).toEqual(theirs);
        continue;
      }
      expect(own.length, `dump of ${key}, ${context}`).toBe(theirs.length);
      expect(ours.ask('RESTORE', 'back', '0', theirs, 'REPLACE')).toEqual({ type: '+', text: 'OK' });
      expect(ours.ask('DUMP', 'back'), `${key} there and back, ${context}`).toBe(theirs);
      expect(await peer.ask('RESTORE', 'back', '0', own, 'REPLACE')).toEqual({ type: '+', text: 'OK' });
      expect(await peer.ask('DUMP', 'back'), `${key} over there and back, ${context}`).toBe(own);
    }
  }

  async function compare(protocol: 2 | 3, seed: number, length: number): Promise<void> {
    const ours = harness(protocol, seed);
    await peer.run([['FLUSHALL'], ['HELLO', String(protocol)]]);
    const batch = streamSequence(new SeededRandom(seed), length);
    const asked = batch.flatMap((words) => [words, ['INFO', 'persistence']]);
    const theirs = await peer.run(asked);
    let dirtyBefore = -1;
    for (const [i, words] of batch.entries()) {
      const context = `seed ${seed}, command ${i}: ${JSON.stringify(words)}`;
      const dirty = ours.dirty;
      const actual = ours.ask(...words);
      expect(withoutIdle(words, actual), context).toEqual(withoutIdle(words, theirs[i * 2].reply));
      const changes = changesOf(theirs[i * 2 + 1].reply);
      if (dirtyBefore >= 0) expect(ours.dirty - dirty, `changes counted, ${context}`).toBe(changes - dirtyBefore);
      dirtyBefore = changes;
    }
    await exchangeDumps(ours, `seed ${seed}`);
  }

  for (const protocol of [2, 3] as const) {
    it(`RESP${protocol}`, async () => {
      const runs = Number(process.env.DIFFERENTIAL_RUNS ?? 4);
      for (let seed = 1; seed <= runs; seed++) await compare(protocol, seed * 100 + protocol, 700);
    });
  }
});
