// poong, hmsetnx and bitallpos over a whole server, with the edges that their originals had.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { OurServer } from '../../../test/support/our-server.ts';
import type { Peer } from '../../../test/support/redis-server.ts';
import { itemsOf } from '../../../test/support/replies.ts';

let server: OurServer;
let peer: Peer;

beforeAll(async () => {
  server = await OurServer.start({ 'enable-module-command': 'yes', appendonly: 'yes', 'hash-max-listpack-entries': 4 });
  peer = server.connect();
  for (const name of ['poong', 'hmsetnx', 'bitallpos']) await peer.ask('MODULE', 'LOAD', name);
});
afterAll(async () => {
  peer.close();
  await server.stop();
});
beforeEach(async () => void (await peer.ask('FLUSHALL')));

const OK = { type: '+', text: 'OK' };
const WRONG_TYPE = { error: 'WRONGTYPE Operation against a key holding the wrong kind of value' };

describe('poong', () => {
  it.each(['POONG', 'poooooNG', 'pooong'])('%s', async (name) => {
    expect(await peer.ask(name)).toEqual({ type: '+', text: 'POOOOOOOOOONG' });
    expect(await peer.ask(name, 'x')).toMatchObject({ error: expect.stringContaining('wrong number of arguments') });
  });

  it('PINGER is PING', async () => {
    expect(await peer.ask('PINGER')).toEqual({ type: '+', text: 'PONG' });
  });
});

describe('HMSETNX', () => {
  it('sets all fields of a new hash', async () => {
    expect(await peer.ask('HMSETNX', 'h', 'a', '1', 'b', '2')).toEqual(OK);
    expect(await peer.ask('HGETALL', 'h')).toMatchObject({ items: ['a', '1', 'b', '2'] });
    expect(await peer.ask('OBJECT', 'ENCODING', 'h')).toBe('listpack');
    expect(await peer.ask('HMSETNX', 'h', 'c', '3', 'd', '4', 'e', '5')).toEqual(OK);
    expect(await peer.ask('OBJECT', 'ENCODING', 'h')).toBe('hashtable');
  });

  it('sets nothing when any field exists, wherever it stands', async () => {
    await peer.ask('HSET', 'h', 'b', 'old');
    for (const words of [
      ['b', '1'],
      ['a', '1', 'b', '2'],
      ['b', '1', 'c', '2'],
      ['a', '1', 'b', '2', 'c', '3'],
    ]) {
      expect(await peer.ask('HMSETNX', 'h', ...words)).toEqual({ type: ':', text: '0' });
    }
    expect(await peer.ask('HGETALL', 'h')).toMatchObject({ items: ['b', 'old'] });
  });

  it('takes the last value of a field given twice', async () => {
    expect(await peer.ask('HMSETNX', 'h', 'a', '1', 'a', '2')).toEqual(OK);
    expect(await peer.ask('HGETALL', 'h')).toMatchObject({ items: ['a', '2'] });
  });

  it('refuses a field without a value, too few words, and other types; no key is left behind', async () => {
    expect(await peer.ask('HMSETNX', 'h', 'a', '1', 'b')).toEqual({
      error: 'ERR wrong number of arguments for HMSETNX',
    });
    expect(await peer.ask('HMSETNX', 'h', 'a')).toEqual({
      error: "ERR wrong number of arguments for 'hmsetnx' command",
    });
    expect(await peer.ask('EXISTS', 'h')).toEqual({ type: ':', text: '0' });
    await peer.ask('SET', 's', 'x');
    expect(await peer.ask('HMSETNX', 's', 'a', '1')).toEqual(WRONG_TYPE);
  });

  it('touches watchers', async () => {
    await peer.ask('WATCH', 'h');
    const other = server.connect();
    await other.ask('HMSETNX', 'h', 'a', '1');
    other.close();
    await peer.run([['MULTI'], ['PING']]);
    expect(await peer.ask('EXEC')).toMatchObject({ type: '*-1' });
  });
});

describe('BITALLPOS', () => {
  const positions = async (...words: string[]) => itemsOf(await peer.ask('BITALLPOS', ...words)).map(Number);

  it('tells all bits, the highest first', async () => {
    await peer.ask('SET', 'k', '\x81\x00\xf0');
    expect(await positions('k')).toEqual([0, 7, 16, 17, 18, 19]);
    expect(await peer.ask('BITALLPOS', 'k', '0', '0')).toMatchObject({ items: ['0', '7'] });
  });

  it('takes offsets in bytes, negative ones from the end, and a limit', async () => {
    await peer.ask('SET', 'k', '\x01\x02\x04');
    expect(await positions('k', '1')).toEqual([14, 21]);
    expect(await positions('k', '1', '1')).toEqual([14]);
    expect(await positions('k', '-1')).toEqual([21]);
    expect(await positions('k', '-2', '-2')).toEqual([14]);
    expect(await positions('k', '-100', '100')).toEqual([7, 14, 21]);
    expect(await positions('k', '0', '-1', '2')).toEqual([7, 14]);
    expect(await positions('k', '0', '-1', '0')).toEqual([]);
    expect(await positions('k', '0', '-1', '-5')).toEqual([7, 14, 21]);
    expect(await positions('k', '2', '1')).toEqual([]);
    expect(await positions('k', '3')).toEqual([]);
  });

  it('of integers, empty strings and missing keys', async () => {
    await peer.ask('SET', 'n', '1');
    expect(await positions('n')).toEqual([2, 3, 7]);
    await peer.ask('SET', 'e', '');
    expect(await positions('e')).toEqual([]);
    expect(await positions('none')).toEqual([]);
    expect(await positions('none', '0', '5', '1')).toEqual([]);
  });

  it('refuses what is no number, too many words, and other types', async () => {
    for (const words of [['x'], ['0', 'x'], ['0', '1', '1.5']]) {
      expect(await peer.ask('BITALLPOS', 'k', ...words)).toEqual({
        error: 'ERR value is not an integer or out of range',
      });
    }
    expect(await peer.ask('BITALLPOS', 'k', '0', '1', '2', '3')).toEqual({ error: 'ERR syntax error' });
    await peer.ask('LPUSH', 'l', 'x');
    expect(await peer.ask('BITALLPOS', 'l')).toEqual(WRONG_TYPE);
  });
});

it('COMMAND tells of their keys and flags', async () => {
  const [info] = itemsOf(await peer.ask('COMMAND', 'INFO', 'hmsetnx'));
  expect(itemsOf(info).slice(0, 6)).toMatchObject([
    'hmsetnx',
    { text: '-4' },
    { items: [{ text: 'write' }, { text: 'denyoom' }, { text: 'module' }] },
    { text: '1' },
    { text: '1' },
    { text: '1' },
  ]);
  expect(await peer.ask('COMMAND', 'GETKEYS', 'hmsetnx', 'k', 'a', '1')).toMatchObject({ items: ['k'] });
});
