// What COMMAND DOCS tells of each command of Redis, beside redis-server's: the same fields in the same order but for the
// history, and the same complexity but for its explanation. Skipped where redis-server 7.0 is not installed.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OurServer } from '../support/our-server.ts';
import { type Peer, RedisServer, redisInstalled } from '../support/redis-server.ts';
import { itemsOf, type Reply } from '../support/replies.ts';

type Docs = Map<string, Map<string, Reply>>;

const pairs = (reply: Reply): [string, Reply][] => {
  const items = itemsOf(reply);
  return items.flatMap((item, i) => (i % 2 === 0 ? [[String(item), items[i + 1]] as [string, Reply]] : []));
};

async function docsOf(peer: Peer): Promise<Docs> {
  const docs: Docs = new Map();
  const collect = (reply: Reply): void => {
    for (const [name, entry] of pairs(reply)) {
      const fields = new Map(pairs(entry));
      docs.set(name, fields);
      if (fields.has('subcommands')) collect(fields.get('subcommands') as Reply);
    }
  };
  collect(await peer.ask('COMMAND', 'DOCS'));
  return docs;
}

describe.skipIf(!redisInstalled)('COMMAND DOCS beside redis-server 7.0', () => {
  let theirs: RedisServer;
  let ours: OurServer;
  let docs: [Docs, Docs];

  beforeAll(async () => {
    theirs = await RedisServer.start();
    ours = await OurServer.start();
    const peers = [theirs.connect(), ours.connect()];
    docs = [await docsOf(peers[0]), await docsOf(peers[1])];
    for (const peer of peers) peer.close();
  });
  afterAll(async () => {
    await ours?.stop();
    await theirs?.stop();
  });

  it('has the same fields in the same order', () => {
    const told = [
      'summary',
      'since',
      'group',
      'complexity',
      'doc_flags',
      'deprecated_since',
      'replaced_by',
      'arguments',
    ];
    // Not a formula in redis-server's.
    const without = ['debug', 'pfdebug', 'pfselftest'];
    const fields = (from: Docs, name: string): string[] =>
      [...(from.get(name)?.keys() ?? [])].filter((field) => told.includes(field));
    expect(docs[0].size).toBeGreaterThan(300);
    for (const name of docs[0].keys()) {
      const expected = fields(docs[0], name).filter((field) => field !== 'complexity' || !without.includes(name));
      expect(fields(docs[1], name), name).toEqual(expected);
    }
  });

  it('has the same formulas', () => {
    let compared = 0;
    for (const [name, entry] of docs[0]) {
      const complexity = docs[1].get(name)?.get('complexity');
      if (complexity === undefined || !String(complexity).startsWith('O(')) continue;
      const expected = String(entry.get('complexity')).replaceAll(' ', '');
      if (!expected.includes('O(')) continue;
      compared++;
      expect(expected, name).toContain(String(complexity).replaceAll(' ', ''));
    }
    expect(compared).toBeGreaterThan(300);
  });
});
