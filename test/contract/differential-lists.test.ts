// Long lists against redis-server 7.0: both ends pushed and popped in long runs, so that nodes of every size fill up, are cut
// and move, with changes in the middle between. Replies are compared, then each list's DUMP, byte for byte, which shows
// where a node ends; and now and then a save goes on meanwhile, whose file redis-server has to load as what was there when
// it began. Skipped where redis-server 7.0 is not installed. DIFFERENTIAL_RUNS: how many sequences.
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/platform/random.ts';
import { OurServer } from '../support/our-server.ts';
import { type Peer, RedisServer, redisInstalled } from '../support/redis-server.ts';
import type { Reply } from '../support/replies.ts';

type Words = string[];

const RUNS = Number(process.env.DIFFERENTIAL_RUNS ?? 3);
const COMMANDS = 2000;
const BATCH = 100;
const KEYS = ['l0', 'l1', 'l2'];
const NUMBERS = [
  '0',
  '127',
  '128',
  '-4096',
  '4096',
  '32768',
  '-8388609',
  '2147483648',
  '9223372036854775807',
  '007',
  '',
];
const SIZES = [1, 8, 20, 63, 64, 200, 1000, 4000, 4096, 5000, 8180, 9000];

/** What a few dozen commands in a row have in common. */
interface Mood {
  readonly left: boolean;
  readonly grows: boolean;
  readonly size: number;
  readonly many: number;
}

class Sequence {
  readonly #random: SeededRandom;
  #mood!: Mood;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    this.#turn();
  }

  pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)];
  }

  #below(limit: number): number {
    return this.#random.below(limit);
  }

  #turn(): void {
    const size = this.pick(SIZES);
    const many = this.pick(size > 500 ? [1, 2] : [1, 3, 40]);
    this.#mood = { left: this.#below(2) === 0, grows: this.#below(5) < 3, size, many };
  }

  #element(): string {
    if (this.#below(4) === 0) return this.pick(NUMBERS);
    if (this.#below(12) === 0) return 'x'.repeat(this.pick(SIZES));
    return String.fromCharCode(97 + this.#below(8)).repeat(1 + this.#below(this.#mood.size));
  }

  #index(): string {
    return String(this.pick([0, -1, 1, -2, this.#below(40), -this.#below(40), this.#below(400), -this.#below(400)]));
  }

  /** Elements of moderate length are found again. */
  #known(): string {
    return this.#below(2) === 0
      ? this.pick(NUMBERS)
      : String.fromCharCode(97 + this.#below(8)).repeat(1 + this.#below(3));
  }

  next(): Words {
    if (this.#below(60) === 0) this.#turn();
    const { left, grows, many } = this.#mood;
    const key = this.pick(KEYS);
    const end = (): string => this.pick(['LEFT', 'RIGHT']);
    switch (this.#below(24)) {
      case 0:
        return ['LINSERT', key, this.pick(['BEFORE', 'AFTER']), this.#known(), this.#element()];
      case 1:
        return ['LSET', key, this.#index(), this.#element()];
      case 2:
        return ['LREM', key, this.pick(['0', '1', '-1', '2', '-3']), this.#known()];
      case 3:
        return this.#below(8) > 0
          ? ['LTRIM', key, String(this.#below(6)), String(-1 - this.#below(6))]
          : ['LTRIM', key, this.#index(), this.#index()];
      case 4:
        return ['LMOVE', key, this.pick(KEYS), end(), end()];
      case 5:
        return ['LRANGE', key, this.#index(), this.#index()];
      case 6:
        return ['LINDEX', key, this.#index()];
      case 7:
        return ['LPOS', key, this.#known(), 'RANK', this.pick(['1', '-1', '2']), 'COUNT', '0', 'MAXLEN', '300'];
      case 8:
        return ['LMPOP', '2', key, this.pick(KEYS), end(), 'COUNT', String(1 + this.#below(5))];
      case 9:
        return this.#below(40) > 0 ? ['LLEN', key] : ['DEL', key];
      case 10:
        return ['OBJECT', 'ENCODING', key];
      case 11:
        return this.#below(10) > 0 ? ['RPOPLPUSH', key, key] : ['COPY', key, this.pick(KEYS), 'REPLACE'];
      default: {
        const isPush = this.#below(6) > 0 ? grows : !grows;
        const side = this.#below(8) > 0 ? left : !left;
        if (!isPush) return [side ? 'LPOP' : 'RPOP', key, String(1 + this.#below(many))];
        return [side ? 'LPUSH' : 'RPUSH', key, ...Array.from({ length: 1 + this.#below(many) }, () => this.#element())];
      }
    }
  }
}

describe.skipIf(!redisInstalled)('long lists against redis-server 7.0', () => {
  let theirs: RedisServer;
  let ours: OurServer;
  let peers: [Peer, Peer];

  beforeAll(async () => {
    theirs = await RedisServer.start();
    ours = await OurServer.start({ 'enable-debug-command': 'yes' });
    peers = [theirs.connect(), ours.connect()];
  });
  afterAll(async () => {
    for (const peer of peers ?? []) peer.close();
    await ours?.stop();
    await theirs?.stop();
  });

  /** @param first sent to ours before the batch. @returns its replies. */
  async function same(batch: readonly Words[], context: string, first: readonly Words[] = []): Promise<Reply[]> {
    const [expected, all] = await Promise.all([peers[0].run(batch), peers[1].run([...first, ...batch])]);
    const actual = all.slice(first.length);
    for (const [i, { bytes, reply }] of expected.entries()) {
      if (bytes.equals(actual[i].bytes)) continue;
      const words = batch[i].map((word) => (word.length > 80 ? `${word.slice(0, 5)}...(${word.length})` : word));
      expect(actual[i].reply, `${context}, ${words.join(' ')}`).toEqual(reply);
    }
    return all.slice(0, first.length).map(({ reply }) => reply);
  }

  /** Goes on with the batch while ours saves. */
  async function saved(batch: readonly Words[], context: string): Promise<void> {
    const [digest, begun] = await same(batch, `${context}, while saving`, [['DEBUG', 'DIGEST'], ['BGSAVE']]);
    expect(begun).toEqual({ type: '+', text: 'Background saving started' });
    const persistence = async (): Promise<string> => JSON.stringify(await peers[1].ask('INFO', 'persistence'));
    await expect.poll(persistence, { timeout: 30_000 }).toContain('rdb_bgsave_in_progress:0');
    const file = join(ours.directory, 'dump.rdb');
    const loader = await RedisServer.start({}, (directory) => copyFileSync(file, join(directory, 'dump.rdb')));
    const peer = loader.connect();
    try {
      expect(await peer.ask('DEBUG', 'DIGEST'), context).toEqual(digest);
    } finally {
      peer.close();
      await loader.stop();
      rmSync(file);
    }
  }

  it.each(Array.from({ length: RUNS }, (_, i) => i + 1))('sequence %i', { timeout: 60_000 }, async (seed) => {
    const sequence = new Sequence(seed * 7919);
    const size = sequence.pick(['-2', '-2', '-1', '-5', '5', '128']);
    const threshold = sequence.pick(['0', '0', '0', '3000b', '100b']);
    const context = `seed ${seed}, list-max-listpack-size ${size}, packed threshold ${threshold}`;
    const settings = [
      ['FLUSHALL'],
      ['DEBUG', 'QUICKLIST-PACKED-THRESHOLD', threshold],
      // What two compressors find need not be the same.
      ['CONFIG', 'SET', 'list-max-listpack-size', size, 'rdbcompression', 'no'],
    ];
    await same(settings, context);
    for (let at = 0; at < COMMANDS; at += BATCH) {
      const batch = Array.from({ length: BATCH }, () => sequence.next());
      const where = `${context}, batch ${at / BATCH}`;
      await (at === COMMANDS / 2 ? saved(batch, where) : same(batch, where));
      // Which nodes are beside a plain one, that of an element beyond the threshold, is not compared.
      const asked = threshold === '0' ? ['DUMP', 'DEBUG DIGEST-VALUE'] : ['DEBUG DIGEST-VALUE'];
      await same(
        KEYS.flatMap((key) => asked.map((words) => [...words.split(' '), key])),
        where,
      );
    }
  });
});
