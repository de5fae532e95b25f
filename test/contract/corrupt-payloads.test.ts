// RESTORE of payloads that were damaged, with a checksum that fits: each is refused, or makes a value that every command
// can read, change and dump. Whatever is thrown here would have ended a server.
import { describe, expect, it } from 'vitest';
import { genericCommands } from '../../src/commands/generic.ts';
import { hashCommands } from '../../src/commands/hash.ts';
import { listCommands } from '../../src/commands/list.ts';
import { setCommands } from '../../src/commands/set.ts';
import { sortedSetCommands } from '../../src/commands/sorted-set.ts';
import { streamCommands } from '../../src/commands/stream.ts';
import { stringCommands } from '../../src/commands/string.ts';
import { Crc64 } from '../../src/persistence/crc64.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { CommandHarness } from '../support/command-harness.ts';

const commands = [
  ...genericCommands,
  ...hashCommands,
  ...listCommands,
  ...setCommands,
  ...sortedSetCommands,
  ...streamCommands,
  ...stringCommands,
];
const CHECKSUM_BYTES = 8;
const LONG = 'x'.repeat(80);

/** Values in every encoding, as the commands that make them. */
const MAKERS: readonly (readonly string[])[][] = [
  [['SET', 'k', LONG.repeat(9)]],
  [['RPUSH', 'k', ...Array.from({ length: 40 }, (_, i) => String(i * i * 997))]],
  [['RPUSH', 'k', 'a', LONG, '5', '70000', '-1']],
  [['SADD', 'k', '1', '2', '30000', '-70000']],
  [['SADD', 'k', '12345678901', '2']],
  [['SADD', 'k', 'a', 'b', LONG]],
  [['HSET', 'k', 'a', '1', 'b', LONG, '3', '4']],
  [['HSET', 'k', 'a', LONG.repeat(2), 'b', '1', 'c', '2']],
  [['ZADD', 'k', '1', 'a', '2.5', 'b', '-inf', 'c', '1e9', '7']],
  [['ZADD', 'k', ...Array.from({ length: 20 }, (_, i) => [String(i), `member ${i}`]).flat()]],
  [
    ...Array.from({ length: 30 }, (_, i) => [
      'XADD',
      'k',
      `${i + 1}-1`,
      'f',
      String(i * 1000),
      ...(i % 3 ? [] : ['g', LONG]),
    ]),
    ['XDEL', 'k', '3-1', '4-1'],
    ['XGROUP', 'CREATE', 'k', 'g', '0'],
    ['XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', '5', 'STREAMS', 'k', '>'],
    ['XREADGROUP', 'GROUP', 'g', 'd', 'COUNT', '5', 'STREAMS', 'k', '>'],
  ],
];

/** What clients do with a value of each type; the last ones take it apart. */
const USES: Readonly<Record<string, readonly (readonly string[])[]>> = {
  string: [
    ['GET', 'k'],
    ['APPEND', 'k', 'x'],
    ['GETRANGE', 'k', '0', '-1'],
  ],
  list: [
    ['LRANGE', 'k', '0', '-1'],
    ['LPOS', 'k', 'a'],
    ['LSET', 'k', '0', LONG],
    ['LINSERT', 'k', 'BEFORE', '5', 'new'],
    ['RPUSH', 'k', 'tail'],
    ['LREM', 'k', '1', '5'],
    ['RPOP', 'k'],
    ['LTRIM', 'k', '2', '-2'],
  ],
  set: [
    ['SMEMBERS', 'k'],
    ['SADD', 'k', '5', '99999999999', 'word'],
    ['SRANDMEMBER', 'k', '-5'],
    ['SREM', 'k', '2'],
    ['SPOP', 'k'],
  ],
  hash: [
    ['HGETALL', 'k'],
    ['HSCAN', 'k', '0'],
    ['HSET', 'k', 'a', 'other', 'new', LONG],
    ['HRANDFIELD', 'k', '-4', 'WITHVALUES'],
    ['HDEL', 'k', 'b'],
  ],
  zset: [
    ['ZRANGE', 'k', '0', '-1', 'WITHSCORES'],
    ['ZREVRANGEBYSCORE', 'k', '+inf', '-inf'],
    ['ZADD', 'k', '3', 'a', '4', 'new'],
    ['ZRANK', 'k', 'b'],
    ['ZPOPMIN', 'k'],
    ['ZREMRANGEBYRANK', 'k', '1', '2'],
  ],
  stream: [
    ['XRANGE', 'k', '-', '+'],
    ['XREVRANGE', 'k', '+', '-'],
    ['XINFO', 'STREAM', 'k', 'FULL'],
    ['XPENDING', 'k', 'g', '-', '+', '10'],
    ['XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 'k', '0'],
    ['XAUTOCLAIM', 'k', 'g', 'e', '0', '-'],
    ['XADD', 'k', '*', 'f', 'new'],
    ['XDEL', 'k', '7-1', '8-1'],
    ['XTRIM', 'k', 'MAXLEN', '3'],
    ['XGROUP', 'DELCONSUMER', 'k', 'g', 'e'],
  ],
};

/** Puts a checksum behind the payload that fits it. */
function seal(payload: Uint8Array): string {
  const checksum = new Crc64();
  checksum.update(payload, 0, payload.length - CHECKSUM_BYTES);
  checksum.write(payload, payload.length - CHECKSUM_BYTES);
  return Buffer.from(payload).toString('latin1');
}

function damage(payload: Uint8Array, random: SeededRandom): Uint8Array {
  const at = (): number => random.below(Math.max(1, payload.length - CHECKSUM_BYTES - 2));
  if (random.below(10) === 0) {
    // A piece is missing.
    const from = at();
    const to = Math.min(payload.length - CHECKSUM_BYTES - 2, from + 1 + random.below(4));
    return Uint8Array.from([...payload.subarray(0, from), ...payload.subarray(to)]);
  }
  const damaged = payload.slice();
  for (let rest = 1 + random.below(3); rest > 0; rest--) {
    damaged[at()] = random.below(3) === 0 ? [0, 0xff, 0x81, 0xc3, 0x7f][random.below(5)] : random.below(256);
  }
  return damaged;
}

function use(ours: CommandHarness): void {
  const type = ours.ask('TYPE', 'k');
  const name = type !== null && typeof type === 'object' && 'text' in type ? type.text : '';
  expect(Object.keys(USES)).toContain(name);
  for (const words of USES[name]) ours.ask(...words);
  ours.ask('DUMP', 'k');
  ours.ask('COPY', 'k', 'twin', 'REPLACE');
  for (const words of USES[name]) ours.ask(...words);
}

describe('damaged payloads', () => {
  for (const [n, makers] of MAKERS.entries()) {
    it(`are refused or usable: ${makers[0].slice(0, 3).join(' ').slice(0, 40)} (${n})`, () => {
      const runs = Number(process.env.CORRUPT_RUNS ?? 1500);
      const ours = new CommandHarness(commands);
      // Small, so that more than one encoding comes up.
      ours.config.listMaxListpackSize = 16;
      ours.config.zsetMaxListpackEntries = 8;
      ours.config.rdbcompression = n % 2 === 0;
      ours.clock.unixMs = Date.now();
      for (const words of makers) ours.ask(...words);
      const whole = new Uint8Array(Buffer.from(ours.ask('DUMP', 'k') as string, 'latin1'));
      const random = new SeededRandom(n + 1);
      let restored = 0;
      for (let run = 0; run < runs; run++) {
        const payload = seal(damage(whole, random));
        ours.ask('DEL', 'k', 'twin');
        const reply = ours.ask('RESTORE', 'k', '0', payload);
        if (reply !== null && typeof reply === 'object' && 'error' in reply) {
          expect(reply.error).toMatch(/^ERR /);
        } else if (ours.items('KEYS', 'k').length > 0) {
          use(ours);
          restored++;
        }
      }
      ours.ask('DEL', 'k', 'twin');
      expect(restored).toBeGreaterThan(0);
    });
  }
});
