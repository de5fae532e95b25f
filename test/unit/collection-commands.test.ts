// What a comparison with a real server cannot show: random picks, scans while the collection changes, keyspace events,
// memory given back.
import { describe, expect, it } from 'vitest';
import { hashCommands } from '../../src/commands/hash.ts';
import { listCommands } from '../../src/commands/list.ts';
import { setCommands } from '../../src/commands/set.ts';
import { sortedSetCommands } from '../../src/commands/sorted-set.ts';
import { CommandHarness } from '../support/command-harness.ts';
import type { Reply } from '../support/replies.ts';

const commands = [...listCommands, ...hashCommands, ...setCommands, ...sortedSetCommands];

class Session extends CommandHarness {
  constructor(seed = 1) {
    super(commands, seed);
  }
}

const members = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

describe('random picks', () => {
  for (const [encoding, prefix, count] of [
    ['intset', '', 100],
    ['hashtable', 'm', 100],
    ['hashtable', '', 2000],
  ] as const) {
    it(`SPOP and SRANDMEMBER: ${encoding} of ${count}`, () => {
      const session = new Session();
      const left = new Set(members(count, prefix));
      session.ask('SADD', 's', ...left);
      expect(session.encodingOf('s')).toBe(encoding);
      for (const wanted of [1, 10, count - 5]) {
        const drawn = session.items('SRANDMEMBER', 's', String(wanted)) as string[];
        expect(new Set(drawn).size).toBe(wanted);
        expect(drawn.every((member) => left.has(member))).toBe(true);
      }
      expect(session.items('SRANDMEMBER', 's', '-300')).toHaveLength(300);
      for (let i = 0; i < 20; i++) expect(left.delete(session.ask('SPOP', 's') as string)).toBe(true);
      for (const member of session.items('SPOP', 's', '30')) expect(left.delete(member as string)).toBe(true);
      expect((session.items('SMEMBERS', 's') as string[]).sort()).toEqual([...left].sort());
      while (left.size > 0) expect(left.delete(session.ask('SPOP', 's') as string)).toBe(true);
      expect(session.ask('SPOP', 's')).toBeNull();
      expect(session.events.at(-1)).toBe('del s');
    });
  }

  it('HRANDFIELD and ZRANDMEMBER give pairs that belong together', () => {
    for (const count of [20, 700]) {
      for (const protocol of [2, 3] as const) {
        const session = new Session();
        session.reply.protocol = protocol;
        const numbers = members(count, '');
        session.ask('HSET', 'h', ...numbers.flatMap((n) => [`f${n}`, n]));
        session.ask('ZADD', 'z', ...numbers.flatMap((n) => [n, `f${n}`]));
        for (const wanted of [5, count - 3, count + 5, -40]) {
          for (const words of [
            ['HRANDFIELD', 'h', String(wanted), 'WITHVALUES'],
            ['ZRANDMEMBER', 'z', String(wanted), 'WITHSCORES'],
          ]) {
            const items = session.items(...words);
            const flat = items.flatMap((item) =>
              item !== null && typeof item === 'object' && 'items' in item ? item.items : [item],
            );
            const texts = flat.map((item) =>
              item !== null && typeof item === 'object' && 'text' in item ? item.text : item,
            ) as string[];
            const fields = texts.filter((_, i) => i % 2 === 0);
            expect(texts.filter((_, i) => i % 2 === 1)).toEqual(fields.map((field) => field.slice(1)));
            expect(fields).toHaveLength(wanted < 0 ? -wanted : Math.min(wanted, count));
            if (wanted > 0) expect(new Set(fields).size).toBe(fields.length);
          }
        }
      }
    }
  });
});

describe('scans', () => {
  for (const [scan, add, remove] of [
    ['SSCAN', 'SADD', 'SREM'],
    ['HSCAN', 'HSET', 'HDEL'],
    ['ZSCAN', 'ZADD', 'ZREM'],
  ]) {
    it(`${scan} meets every element that stays while others come and go`, () => {
      const session = new Session();
      const store = (name: string): Reply =>
        add === 'HSET'
          ? session.ask(add, 'k', name, 'v')
          : add === 'ZADD'
            ? session.ask(add, 'k', '1', name)
            : session.ask(add, 'k', name);
      for (const name of members(1000, 'stay')) store(name);
      for (const name of members(2000, 'go')) store(name);
      const seen = new Set<string>();
      let cursor = '0';
      let step = 0;
      do {
        const [next, found] = session.items(scan, 'k', cursor, 'COUNT', '7') as [string, { items: string[] }];
        for (const name of found.items) seen.add(name);
        cursor = next;
        // shrinks first, grows later: the table is resized both ways below the scan
        for (let i = 0; i < 20; i++, step++) {
          if (step < 2000) session.ask(remove, 'k', `go${step}`);
          else if (step < 6000) store(`new${step}`);
        }
      } while (cursor !== '0');
      for (const name of members(1000, 'stay')) expect(seen.has(name), name).toBe(true);
    });
  }
});

describe('events and counts of changes', () => {
  it('come as from Redis', () => {
    const session = new Session();
    session.ask('RPUSH', 'l', 'a', 'b', 'c');
    session.ask('LMOVE', 'l', 'm', 'LEFT', 'RIGHT');
    session.ask('LPOP', 'm');
    session.ask('HSET', 'h', 'f', '1', 'g', '2');
    session.ask('HINCRBY', 'h', 'f', '4');
    session.ask('HDEL', 'h', 'f', 'g', 'x');
    session.ask('SADD', 's', '1', '2', '2');
    session.ask('SMOVE', 's', 't', '1');
    session.ask('SINTERSTORE', 's', 's', 't');
    session.ask('ZADD', 'z', '1', 'a', '2', 'b');
    session.ask('ZINCRBY', 'z', '1', 'a');
    session.ask('ZREMRANGEBYRANK', 'z', '0', '-1');
    expect(session.events.filter((event) => !/^(new|keymiss)/.test(event))).toEqual([
      'rpush l',
      'rpush m',
      'lpop l',
      'lpop m',
      'del m',
      'hset h',
      'hincrby h',
      'hdel h',
      'del h',
      'sadd s',
      'srem s',
      'sadd t',
      'del s',
      'zadd z',
      'zincr z',
      'zremrangebyrank z',
      'del z',
    ]);
    expect(session.dirty).toBe(3 + 1 + 1 + 2 + 1 + 2 + 2 + 2 + 1 + 2 + 1 + 2);
  });
});

describe('memory', () => {
  it('goes back when the elements go', () => {
    const session = new Session();
    session.ask('RPUSH', 'warm', 'x');
    session.ask('LPOP', 'warm');
    const before = session.arena.used;
    const names = members(3000, 'element:');
    session.ask('RPUSH', 'l', ...names);
    session.ask('HSET', 'h', ...names.flatMap((name) => [name, name]));
    session.ask('SADD', 's', ...names);
    session.ask('ZADD', 'z', ...names.flatMap((name, i) => [String(i), name]));
    session.ask('ZUNIONSTORE', 'u', '2', 's', 'z');
    session.ask('SUNIONSTORE', 'v', 's', 's');
    expect(session.arena.used).toBeGreaterThan(before);
    session.ask('LTRIM', 'l', '1', '0');
    session.ask('HDEL', 'h', ...names);
    session.ask('SPOP', 's', '3000');
    session.ask('SREM', 'v', ...names);
    session.ask('ZREMRANGEBYSCORE', 'z', '-inf', '+inf');
    session.ask('ZPOPMAX', 'u', '3000');
    expect(session.arena.used).toBe(before);
  });
});
