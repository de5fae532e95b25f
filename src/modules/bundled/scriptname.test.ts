// scriptname: names, running by name, and names after a restart, from a dump file and from an append-only file.
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { OurServer } from '../../../test/support/our-server.ts';
import type { Peer } from '../../../test/support/redis-server.ts';

const NO_SCRIPT = { error: 'NOSCRIPT Target SHA not found. Please use SCRIPT LOAD.' };
const NO_NAME = { error: 'NONAME Script name not found. Please use SCRIPTNAME SET.' };
const UNKNOWN = { error: 'ERR Unknown scriptName subcommand or arg count' };
const BODY = 'return {KEYS[1], ARGV[1], redis.call("INCR", KEYS[1])}';

const servers: OurServer[] = [];
const peers: Peer[] = [];

async function start(directives: Record<string, string> = {}, from?: string): Promise<Peer> {
  const server = await OurServer.start(
    { 'module-add': 'scriptname', 'enable-module-command': 'yes', ...directives },
    (to) => {
      if (from !== undefined) cpSync(from, to, { recursive: true });
    },
  );
  servers.push(server);
  const peer = server.connect();
  peers.push(peer);
  return peer;
}

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.close();
  for (const server of servers.splice(0)) await server.stop();
});

describe('SCRIPTNAME', () => {
  it('sets, tells and deletes names', async () => {
    const peer = await start();
    const sha = String(await peer.ask('SCRIPT', 'LOAD', BODY));
    expect(await peer.ask('SCRIPTNAME', 'GETALL')).toMatchObject({ items: [] });
    expect(await peer.ask('SCRIPTNAME', 'SET', 'mine', sha)).toBe('mine');
    expect(await peer.ask('scriptname', 'set', 'Mine\xff', sha.toUpperCase())).toBe('Mine\xff');
    expect(await peer.ask('SCRIPTNAME', 'GET', 'mine')).toBe(sha);
    expect(await peer.ask('SCRIPTNAME', 'GETALL')).toMatchObject({ items: ['mine', sha, 'Mine\xff', sha] });
    expect(await peer.ask('SCRIPTNAME', 'DEL', 'mine')).toBe(sha);
    expect(await peer.ask('SCRIPTNAME', 'DEL', 'mine')).toEqual(NO_NAME);
    expect(await peer.ask('SCRIPTNAME', 'GET', 'mine')).toEqual(NO_NAME);
  });

  it('refuses what is no script, and words that do not fit', async () => {
    const peer = await start();
    expect(await peer.ask('SCRIPTNAME', 'SET', 'a', 'a'.repeat(40))).toEqual(NO_SCRIPT);
    expect(await peer.ask('SCRIPTNAME', 'SET', 'a', 'short')).toEqual(NO_SCRIPT);
    for (const words of [['SET', 'a'], ['SET', 'a', 'b', 'c'], ['GET'], ['GETALL', 'x'], ['DEL'], ['WHAT', 'x']]) {
      expect(await peer.ask('SCRIPTNAME', ...words)).toEqual(UNKNOWN);
    }
  });
});

describe('EVALNAME', () => {
  it('runs by name and by SHA-1', async () => {
    const peer = await start();
    const sha = String(await peer.ask('SCRIPT', 'LOAD', BODY));
    await peer.ask('SCRIPTNAME', 'SET', 'mine', sha);
    const answer = (count: string) => ({ items: ['k', 'v', { type: ':', text: count }] });
    expect(await peer.ask('EVALNAME', 'mine', '1', 'k', 'v')).toMatchObject(answer('1'));
    expect(await peer.ask('EVALNAME', sha, '1', 'k', 'v')).toMatchObject(answer('2'));
    expect(await peer.ask('EVALNAME', 'none', '0')).toEqual(NO_SCRIPT);
    expect(await peer.ask('EVALNAME', 'b'.repeat(40), '0')).toEqual(NO_SCRIPT);
    expect(await peer.ask('EVALNAME', 'mine', '-1')).toEqual({ error: "ERR Number of keys can't be negative" });
    await peer.ask('SCRIPT', 'FLUSH');
    expect(await peer.ask('EVALNAME', 'mine', '1', 'k', 'v')).toEqual(NO_SCRIPT);
  });
});

describe('names survive', () => {
  async function named(peer: Peer): Promise<string> {
    const sha = String(await peer.ask('SCRIPT', 'LOAD', BODY));
    await peer.ask('SCRIPTNAME', 'SET', 'm\xffne', sha);
    await peer.ask('SCRIPTNAME', 'SET', 'gone', sha);
    await peer.ask('SCRIPTNAME', 'DEL', 'gone');
    return sha;
  }

  async function expectNamed(peer: Peer, sha: string): Promise<void> {
    expect(await peer.ask('SCRIPTNAME', 'GETALL')).toMatchObject({ items: ['m\xffne', sha] });
    expect(await peer.ask('EVALNAME', 'm\xffne', '1', 'n', 'v')).toMatchObject({ items: ['n', 'v', {}] });
  }

  it('a dump file', async () => {
    const before = await start();
    const sha = await named(before);
    expect(await before.ask('SAVE')).toEqual({ type: '+', text: 'OK' });
    await expectNamed(await start({}, servers[0].directory), sha);
  });

  it.each(['yes', 'no'])('an append-only file, rewritten or not (aof-use-rdb-preamble %s)', async (preamble) => {
    const aof = { appendonly: 'yes', appendfsync: 'always', 'aof-use-rdb-preamble': preamble };
    const before = await start(aof);
    const sha = await named(before);
    await expectNamed(await start(aof, servers[0].directory), sha);
    await before.ask('BGREWRITEAOF');
    const info = async () => String(await before.ask('INFO', 'persistence'));
    while (!(await info()).includes('aof_rewrites:1') || (await info()).includes('aof_rewrite_in_progress:1')) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // The old files go a little later: they must not vanish while they are copied.
    const old = () => readdirSync(join(servers[0].directory, 'appendonlydir')).some((name) => name.includes('.1.'));
    while (old()) await new Promise((resolve) => setTimeout(resolve, 20));
    await expectNamed(await start(aof, servers[0].directory), sha);
  });

  it('a reload, an unload, and a server without the module', async () => {
    const before = await start();
    const sha = await named(before);
    await before.ask('CONFIG', 'SET', 'module-add', 'scriptname');
    await expectNamed(before, sha);
    await before.ask('MODULE', 'UNLOAD', 'sh.matt.scriptName');
    await before.ask('SAVE');
    expect(readFileSync(join(servers[0].directory, 'dump.rdb'), 'latin1')).toContain(
      'wiredis-module-sh.matt.scriptName',
    );
    await before.ask('MODULE', 'LOAD', 'scriptname');
    await expectNamed(before, sha);

    const without = await start({ 'module-add': 'poong' }, servers[0].directory);
    await without.ask('SAVE');
    await without.ask('MODULE', 'LOAD', 'scriptname');
    await expectNamed(without, sha);
    await expectNamed(await start({}, servers[1].directory), sha);
  });
});
