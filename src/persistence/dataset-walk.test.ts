// A walk sees the dataset as it was when it began, whatever is done meanwhile: property test against a plain copy.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CommandHarness } from '../../test/support/command-harness.ts';
import { commandTable } from '../commands/table.ts';
import { datasetDigest } from '../core/dataset-digest.ts';
import { Keyspace } from '../core/keyspace.ts';
import { Arena } from '../data/arena.ts';
import { ManualClock } from '../platform/clock.ts';
import { SeededRandom } from '../platform/random.ts';
import { Crc64 } from './crc64.ts';
import { DatasetWalk } from './dataset-walk.ts';
import { RdbInput } from './rdb-input.ts';
import { RdbOutput } from './rdb-output.ts';
import { RdbReader } from './rdb-reader.ts';
import { RdbFormat } from './rdb-writer.ts';

const options = { redisVersion: '7.0.15', withIdleTime: false };

class Walked {
  readonly harness = new CommandHarness(commandTable);
  chunks: Buffer[] = [];

  start(): DatasetWalk {
    this.chunks = [];
    const checksum = new Crc64();
    const drain = (bytes: Uint8Array, length: number): void => {
      this.chunks.push(Buffer.from(bytes.slice(0, length)));
    };
    const out = new RdbOutput(drain, true, checksum, 4096);
    return new DatasetWalk(this.harness.keyspace, new RdbFormat(options, checksum), out);
  }

  digest(): string {
    return datasetDigest(this.harness.keyspace);
  }

  /** Digest of what was written, loaded elsewhere. */
  written(): string {
    const clock = new ManualClock();
    const keyspace = new Keyspace(new Arena(), clock, new SeededRandom(2));
    const input = RdbInput.fromBytes(Buffer.concat(this.chunks), 0, Buffer.concat(this.chunks).length);
    input.verifyChecksum = false;
    const reader = new RdbReader(input, keyspace, this.harness.config);
    while (reader.next());
    return datasetDigest(keyspace);
  }
}

const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);

const change = fc.oneof(
  fc.tuple(fc.constant('SET'), fc.constantFrom(...keys), fc.string()),
  fc.tuple(fc.constant('APPEND'), fc.constantFrom(...keys), fc.constant('x'.repeat(200))),
  fc.tuple(fc.constant('DEL'), fc.constantFrom(...keys)),
  fc.tuple(fc.constant('PEXPIREAT'), fc.constantFrom(...keys), fc.constantFrom('1', '1800000000000')),
  fc.tuple(fc.constant('PERSIST'), fc.constantFrom(...keys)),
  fc.tuple(fc.constant('RENAME'), fc.constantFrom(...keys), fc.constantFrom(...keys)),
  fc.tuple(fc.constant('COPY'), fc.constantFrom(...keys), fc.constantFrom(...keys), fc.constant('REPLACE')),
  fc.tuple(fc.constant('SADD'), fc.constant('bigset'), fc.string()),
  fc.tuple(fc.constant('SREM'), fc.constant('bigset'), fc.constantFrom('m1', 'm500')),
  fc.tuple(fc.constant('ZADD'), fc.constant('bigzset'), fc.constant('3'), fc.constantFrom('m1', 'other')),
  fc.tuple(fc.constant('HSET'), fc.constant('bighash'), fc.string(), fc.string()),
  fc.tuple(fc.constant('LPOP'), fc.constant('biglist')),
  fc.tuple(fc.constant('RPUSH'), fc.constant('biglist'), fc.string()),
  fc.tuple(fc.constant('DEL'), fc.constantFrom('bigset', 'bigzset', 'bighash', 'biglist')),
  fc.tuple(fc.constant('SETRANGE'), fc.constant('bigstring'), fc.constant('260000'), fc.string()),
  fc.tuple(fc.constant('MOVE'), fc.constantFrom(...keys), fc.constant('1')),
  fc.tuple(fc.constant('SWAPDB'), fc.constant('0'), fc.constant('1')),
  fc.tuple(fc.constant('FLUSHDB')),
  fc.tuple(fc.constant('select'), fc.constantFrom('0', '1')),
);

function fill(harness: CommandHarness): void {
  const many = Array.from({ length: 600 }, (_, i) => `m${i}`);
  for (const key of keys.slice(0, 30)) harness.run('SET', key, `value of ${key}`);
  for (const key of keys.slice(0, 10)) harness.run('PEXPIREAT', key, '1800000000000');
  harness.run('SADD', 'bigset', ...many);
  harness.run('ZADD', 'bigzset', ...many.flatMap((member, i) => [String(i), member]));
  harness.run('HSET', 'bighash', ...many.flatMap((field, i) => [field, String(i)]));
  harness.run('RPUSH', 'biglist', ...many);
  harness.run('SET', 'bigstring', 'abc'.repeat(90_000));
  harness.select(1);
  for (const key of keys.slice(5, 15)) harness.run('RPUSH', key, 'a', 'b');
  harness.select(0);
}

describe('a walk over the dataset', () => {
  it('writes what was there when it began, whatever comes between its steps', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(6), change), { maxLength: 60 }), (script) => {
        const walked = new Walked();
        const { harness } = walked;
        fill(harness);
        const before = walked.digest();
        const walk = walked.start();
        expect(walk.keysTotal).toBe(45);
        for (const [steps, words] of script) {
          for (let i = 0; i < steps; i++) walk.step();
          if (words[0] === 'select') harness.select(Number(words[1]));
          else harness.run(...words);
        }
        while (walk.step());
        expect(walk.keysDone).toBe(45);
        expect(walked.written()).toBe(before);
        expect(harness.keyspace.snapshot).toBe(null);
      }),
      { seed: 7, numRuns: 40 },
    );
  });

  it('can be given up, and the next one is whole', () => {
    const walked = new Walked();
    fill(walked.harness);
    for (let round = 0; round < 16; round++) {
      const walk = walked.start();
      for (let i = 0; i < round; i++) walk.step();
      walked.harness.run('SET', `round${round}`, 'x');
      walk.abort();
      walked.harness.run('SET', `after${round}`, 'x');
      const before = walked.digest();
      if (round % 3 !== 0) continue;
      const next = walked.start();
      walked.harness.run('FLUSHALL');
      fill(walked.harness);
      while (next.step());
      expect(walked.written()).toBe(before);
    }
  });

  it('hands on a bounded piece at a time, however large an element is and whatever is done to it', () => {
    const walked = new Walked();
    const { harness } = walked;
    const large = (name: string): string => name + 'abc'.repeat(400_000);
    for (const name of ['a', 'b', 'c', 'd']) {
      harness.run('SET', `string:${name}`, large(name));
      harness.run('HSET', `hash:${name}`, 'field', large(name));
      harness.run('RPUSH', `list:${name}`, ...['1', '2', '3', '4'].map(large));
    }
    harness.run('RPUSH', 'long', ...Array.from({ length: 20_000 }, (_, i) => `element ${i}`));
    const before = walked.digest();
    const sizes = (): number => walked.chunks.reduce((sum, { length }) => sum + length, 0);
    let most = 0;
    const measure = (task: () => void): void => {
      const handedOn = sizes();
      task();
      most = Math.max(most, sizes() - handedOn);
    };
    const walk = walked.start();
    const changes = ['a', 'b', 'c'].flatMap((name) => [
      ['SETRANGE', `string:${name}`, '3', 'xyz'],
      ['HSET', `hash:${name}`, 'field', 'small'],
      ['LTRIM', `list:${name}`, '1', '1'],
    ]);
    for (const words of [...changes, ['LTRIM', 'long', '5', '6'], ['DEL', 'string:d', 'hash:d', 'list:d']]) {
      measure(() => void walk.step());
      measure(() => void harness.run(...words));
    }
    for (let more = true; more; ) {
      measure(() => {
        more = walk.step();
      });
    }
    expect(walked.written()).toBe(before);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(2 * 64 * 1024);
  });

  it('keeps no memory of a database that was emptied', () => {
    const walked = new Walked();
    fill(walked.harness);
    const walk = walked.start();
    walk.step();
    walked.harness.run('FLUSHALL');
    expect(walked.harness.arena.used).toBeGreaterThan(100_000);
    while (walk.step());
    const empty = new CommandHarness(commandTable).arena.used;
    expect(walked.harness.arena.used).toBe(empty);
  });
});
