// The examples of docs/net.md do what the page says: its blocks, as they are printed but for their imports, on two hosts
// joined by a memory wire.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Net } from '../../src/net/net.ts';
import { type NetPair, openNetPair } from '../support/net-pair.ts';
import { undiciAgent } from '../support/undici.ts';

const page = readFileSync(new URL('../../docs/net.md', import.meta.url), 'utf8');
const [serverBlock, ...clientBlocks] = [...page.matchAll(/^```js (server|client)\n([\s\S]*?)^```$/gm)].map(
  ([, , body]) => body,
);

let pair: NetPair;
beforeEach(() => {
  pair = openNetPair();
});
afterEach(() => pair.close());

/** Runs a block. @returns what it printed first. */
async function run(block: string, net: Net): Promise<unknown> {
  const body = block.replaceAll(/^import .*\n/gm, '').replaceAll('192.0.2.10', pair.host);
  const AsyncFunction = (async () => {}).constructor as new (...words: string[]) => (...args: unknown[]) => unknown;
  return new Promise((resolve, reject) => {
    const names = { net, http, Redis, Agent: undiciAgent(), console: { log: resolve } };
    const done = new AsyncFunction(...Object.keys(names), body)(...Object.values(names));
    Promise.resolve(done).catch(reject);
    if (block === serverBlock) Promise.resolve(done).then(resolve);
  });
}

test.each(clientBlocks.map((block) => [/import .* from '(.*)'/.exec(block)![1], block]))('%s', async (name, block) => {
  await run(serverBlock, pair.server);
  // Enough of a Redis: every line that ends a command is answered.
  const redis = pair.server.createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      for (const _ of String(chunk).matchAll(/^\*\d+\r$/gm)) socket.write('+PONG\r\n');
    });
  });
  redis.listen(6379, pair.host);
  await once(redis, 'listening');
  expect(await run(block, pair.client)).toBe(name === 'ioredis' ? 'PONG' : 'hello from user space\n');
});
