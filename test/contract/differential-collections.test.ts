// The same seeded commands to real redis-server 7.0.15 and to our command files: replies are compared byte for byte, but
// for the order in which sets and hashes give their members. Skipped where redis-server 7.0 is not installed.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashCommands } from '../../src/commands/hash.ts';
import { listCommands } from '../../src/commands/list.ts';
import { setCommands } from '../../src/commands/set.ts';
import { sortedSetCommands } from '../../src/commands/sorted-set.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { CommandHarness } from '../support/command-harness.ts';
import { type Peer, RedisServer, redisInstalled } from '../support/redis-server.ts';
import type { Reply } from '../support/replies.ts';
import { type Kind, sequence } from './collection-sequences.ts';

const commands = [...listCommands, ...hashCommands, ...setCommands, ...sortedSetCommands];

/** Small limits, so that short sequences cross them. */
const LIMITS = {
  'hash-max-listpack-entries': 6,
  'hash-max-listpack-value': 20,
  'set-max-intset-entries': 6,
  'zset-max-listpack-entries': 6,
  'zset-max-listpack-value': 20,
};

const key = (reply: Reply): string => JSON.stringify(reply);

/** Sorts what has no order: members of sets, fields of hashes with their values. */
function withoutOrder(name: string, words: readonly string[], reply: Reply): Reply {
  if (reply === null || typeof reply === 'string' || !('items' in reply)) return reply;
  const sorted = (items: Reply[], step: number): Reply[] => {
    const groups: Reply[][] = [];
    for (let i = 0; i < items.length; i += step) groups.push(items.slice(i, i + step));
    return groups.sort((a, b) => (key({ type: '', items: a }) < key({ type: '', items: b }) ? -1 : 1)).flat();
  };
  if (/^(smembers|sinter|sunion|sdiff|hkeys|hvals|spop|srandmember)$/.test(name)) {
    return { type: reply.type, items: sorted(reply.items, 1) };
  }
  if (name === 'hrandfield') {
    const flat = reply.items.some((item) => item !== null && typeof item === 'object') ? 1 : words.length === 4 ? 2 : 1;
    return { type: reply.type, items: sorted(reply.items, flat) };
  }
  if (name === 'hgetall') return { type: reply.type, items: sorted(reply.items, 2) };
  if (/^[shz]scan$/.test(name) && reply.items.length === 2) {
    const [cursor, found] = reply.items;
    if (found !== null && typeof found === 'object' && 'items' in found) {
      return { type: '*', items: [cursor, { type: '*', items: sorted(found.items, name === 'sscan' ? 1 : 2) }] };
    }
  }
  return reply;
}

describe.skipIf(!redisInstalled)('collections against redis-server 7.0', () => {
  let server: RedisServer;
  let peer: Peer;

  beforeAll(async () => {
    server = await RedisServer.start({ 'list-max-listpack-size': 3, ...LIMITS });
    peer = server.connect();
  });

  afterAll(async () => {
    peer.close();
    await server.stop();
  });

  async function compare(kind: Kind, protocol: 2 | 3, seed: number, length: number): Promise<void> {
    const ours = new CommandHarness(commands, seed);
    ours.reply.protocol = protocol;
    ours.config.listMaxListpackSize = 3;
    ours.config.hashMaxListpackEntries = 6;
    ours.config.hashMaxListpackValue = 20;
    ours.config.setMaxIntsetEntries = 6;
    ours.config.zsetMaxListpackEntries = 6;
    ours.config.zsetMaxListpackValue = 20;
    await peer.run([['FLUSHALL'], ['HELLO', String(protocol)], ['CONFIG', 'RESETSTAT']]);
    const batch = sequence(kind, new SeededRandom(seed), length);
    const asked = batch.flatMap((words) => [words, ['OBJECT', 'ENCODING', words[1] ?? ''], ['INFO', 'persistence']]);
    const theirs = await peer.run(asked);
    let dirtyBefore = -1;
    for (const [i, words] of batch.entries()) {
      const context = `seed ${seed}, command ${i}: ${JSON.stringify(words)}`;
      const name = words[0].toLowerCase();
      const expected = theirs[i * 3];
      const dirty = ours.dirty;
      const actual = ours.ask(...words);
      expect(withoutOrder(name, words, actual), context).toEqual(withoutOrder(name, words, expected.reply));
      const encoding = theirs[i * 3 + 1].reply;
      const isCollection = typeof encoding === 'string' && !/^(int|embstr|raw)$/.test(encoding);
      expect(ours.encodingOf(words[1] ?? ''), context).toBe(isCollection ? encoding : null);
      const info = theirs[i * 3 + 2].reply;
      const text = typeof info === 'string' ? info : info !== null && 'text' in info ? info.text : '';
      const changes = /rdb_changes_since_last_save:(\d+)/.exec(text);
      if (changes !== null) {
        if (dirtyBefore >= 0)
          expect(ours.dirty - dirty, `changes counted, ${context}`).toBe(Number(changes[1]) - dirtyBefore);
        dirtyBefore = Number(changes[1]);
      }
    }
  }

  for (const kind of ['list', 'hash', 'set', 'sorted-set'] as const) {
    for (const protocol of [2, 3] as const) {
      it(`${kind}, RESP${protocol}`, async () => {
        const runs = Number(process.env.DIFFERENTIAL_RUNS ?? 3);
        for (let seed = 1; seed <= runs; seed++) await compare(kind, protocol, seed * 100 + protocol, 700);
      });
    }
  }
});
