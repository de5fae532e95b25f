// Real client libraries on our server and on redis-server, over loopback: what they print is the same.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClientProgram, clientPrograms } from '../support/client-programs.ts';
import { OurServer } from '../support/our-server.ts';
import { RedisServer, redisInstalled } from '../support/redis-server.ts';

const run = promisify(execFile);
const TIMEOUT_MS = 60_000;

describe.skipIf(!redisInstalled)('client libraries', () => {
  let our: OurServer;
  let redis: RedisServer;
  beforeAll(async () => {
    our = await OurServer.start();
    redis = await RedisServer.start();
  });
  afterAll(async () => {
    await our?.stop();
    await redis?.stop();
  });

  async function output(program: ClientProgram, port: number): Promise<string> {
    const [file, ...words] = program.command('127.0.0.1', port);
    return (await run(file, words, { timeout: TIMEOUT_MS, maxBuffer: 2 ** 24 })).stdout;
  }

  for (const program of clientPrograms()) {
    const { name, obstacle, shows } = program;
    it.skipIf(obstacle !== null)(
      obstacle === null ? name : `${name} [skipped: ${obstacle}]`,
      async () => {
        const expected = await output(program, redis.port);
        expect(expected).toContain(shows);
        expect(await output(program, our.port)).toBe(expected);
      },
      2 * TIMEOUT_MS,
    );
  }
});
