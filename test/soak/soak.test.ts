// The soak over the kernel's sockets on loopback, WIREDIS_SOAK_SECONDS long (default 45); scripts/soak.sh runs it at length.
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BuiltServer } from '../support/built-server.ts';
import { judge, SECONDS, SOAK_DIRECTIVES } from './verdict.ts';

let server: BuiltServer;
beforeAll(async () => {
  server = await BuiltServer.start(SOAK_DIRECTIVES);
}, 120_000);
afterAll(() => server?.stop());

it('a mixed load leaves memory flat, nobody behind and no error', { timeout: SECONDS * 1500 + 60_000 }, async () => {
  const words = [resolve('test/soak/load.js'), '127.0.0.1', String(server.port), String(SECONDS)];
  const { stdout } = await promisify(execFile)(process.execPath, words, { maxBuffer: 2 ** 26 });
  const lines = judge(stdout);
  console.log(lines.join('\n'));
  expect(lines.length).toBeGreaterThan(3);
});
