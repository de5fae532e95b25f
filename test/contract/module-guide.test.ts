// The guide's worked example is run as it stands: docs/modules.md, with the package as a module finds it when installed.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BuiltServer, build } from '../support/built-server.ts';
import { itemsOf } from '../support/replies.ts';

let folder: string;
let data: string;
const servers: BuiltServer[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'guide-'));
  data = join(folder, 'data');
  const installed = join(folder, 'node_modules', 'wiredis');
  mkdirSync(installed, { recursive: true });
  mkdirSync(data);
  cpSync('package.json', join(installed, 'package.json'));
  symlinkSync(build(), join(installed, 'dist'));
  const [, code] = /```js\n([\s\S]*?)```/.exec(readFileSync('docs/modules.md', 'utf8'))!;
  writeFileSync(join(folder, 'votes.mjs'), code);
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function start(): Promise<BuiltServer> {
  const loadmodule = join(folder, 'votes.mjs');
  const server = await BuiltServer.start({ loadmodule, 'votes-max': 3, dir: data, 'enable-module-command': 'yes' });
  servers.push(server);
  return server;
}

const integer = (value: number) => ({ type: ':', text: String(value) });

it('the worked example does what the guide says', { timeout: 60_000 }, async () => {
  const server = await start();
  const peer = server.connect();
  expect(await peer.ask('VOTE', 'election', 'ada')).toEqual(integer(1));
  expect(await peer.ask('VOTES.WINNER', 'election')).toBe('ada');
  expect(await peer.ask('VOTES.WINNER', 'none')).toBeNull();
  await peer.run([
    ['VOTE', 'election', 'bob'],
    ['VOTE', 'election', 'bob'],
  ]);
  expect(await peer.ask('VOTES.WINNER', 'election')).toBe('bob');
  expect(await peer.ask('HGETALL', 'election')).toMatchObject({ items: ['ada', '1', 'bob', '2'] });
  expect(await peer.ask('VOTE', 'election', 'bob')).toEqual(integer(3));
  expect(await peer.ask('VOTE', 'election', 'bob')).toEqual({ error: 'ERR enough votes' });
  await peer.ask('SET', 's', 'x');
  expect(await peer.ask('VOTE', 's', 'bob')).toMatchObject({ error: expect.stringContaining('WRONGTYPE') });

  const listener = server.connect();
  await listener.ask('SUBSCRIBE', 'votes:second');
  const waiter = server.connect();
  const news = waiter.ask('VOTES.NEXT');
  while (!String(await peer.ask('INFO', 'clients')).includes('blocked_clients:1'));
  await peer.ask('VOTES.MOTTO', 'vote for ');
  await peer.ask('VOTE', 'second', 'eve');
  expect(await news).toBe('vote for eve');
  const [message] = await listener.run([['PING'], ['PING']]);
  expect(itemsOf(message.reply)).toEqual(['message', 'votes:second', 'eve']);
  // A second without news.
  expect(await waiter.ask('VOTES.NEXT')).toMatchObject({ type: '*-1' });
  expect(await peer.ask('SAVE')).toEqual({ type: '+', text: 'OK' });

  const again = (await start()).connect();
  const next = again.ask('VOTES.NEXT');
  const voter = servers[1].connect();
  while (!String(await voter.ask('INFO', 'clients')).includes('blocked_clients:1'));
  expect(await voter.ask('VOTE', 'second', 'eve')).toEqual(integer(2));
  expect(await next).toBe('vote for eve');
  expect(await voter.ask('MODULE', 'UNLOAD', 'votes')).toEqual({ type: '+', text: 'OK' });
  for (const one of [peer, listener, waiter, again, voter]) one.close();
});
