// redis-cli in its modes on our server, over loopback; each mode is tried on redis-server first, so that a test that is
// wrong itself is known.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliMode, cliModes } from '../support/cli-modes.ts';
import { OurServer } from '../support/our-server.ts';
import { RedisServer, redisInstalled } from '../support/redis-server.ts';

const scratch = mkdtempSync(join(tmpdir(), 'redis-cli-'));
writeFileSync(join(scratch, 'script.lua'), "return {KEYS[1], ARGV[1], redis.call('get', KEYS[1])}");

function run(mode: CliMode, port: number): Promise<{ code: number | null; output: string }> {
  const stop =
    mode.stopAfterSeconds === undefined ? [] : ['timeout', '-s', 'INT', String(mode.stopAfterSeconds), 'stdbuf', '-o0'];
  const [file, ...words] = [...stop, 'redis-cli', '-p', String(port), ...mode.words];
  const child = spawn(file, words, {
    env: { ...process.env, REDISCLI_HISTFILE: '/dev/null' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString('latin1')));
  child.stderr.on('data', (data: Buffer) => (output += data.toString('latin1')));
  child.stdin.end(mode.input ?? '');
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
}

describe.skipIf(!redisInstalled)('redis-cli', () => {
  let our: OurServer;
  let redis: RedisServer;
  beforeAll(async () => {
    our = await OurServer.start({ 'repl-diskless-sync-delay': 0 });
    redis = await RedisServer.start({ 'repl-diskless-sync-delay': 0 });
  });
  afterAll(async () => {
    await our?.stop();
    await redis?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  for (const mode of cliModes(scratch)) {
    it(mode.name, async () => {
      for (const { port } of [redis, our]) {
        const { code, output } = await run(mode, port);
        expect(output).toMatch(mode.shows);
        if (mode.stopAfterSeconds === undefined) expect(code).toBe(mode.code ?? 0);
      }
    });
  }
});
