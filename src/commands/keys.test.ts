import { beforeEach, describe, expect, it } from 'vitest';
import { CommandHarness } from '../../test/support/command-harness.ts';
import { genericCommands } from './generic.ts';
import { setCommands } from './set.ts';
import { stringCommands } from './string.ts';

let harness: CommandHarness;
/** Words split at spaces. */
const run = (line: string): string => harness.run(...line.split(' '));
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;
const OK = '+OK\r\n';
const NULL = '$-1\r\n';

beforeEach(() => {
  harness = new CommandHarness([...stringCommands, ...genericCommands, ...setCommands]);
});

describe('string commands', () => {
  it('SET with its options', () => {
    expect(run('set k v')).toBe(OK);
    expect(run('set k w nx')).toBe(NULL);
    expect(run('set k w xx get')).toBe(bulk('v'));
    expect(run('set other w xx')).toBe(NULL);
    expect(run('set k x ex 100')).toBe(OK);
    expect(run('ttl k')).toBe(':100\r\n');
    expect(run('set k y keepttl')).toBe(OK);
    expect(run('ttl k')).toBe(':100\r\n');
    expect(run('set k z')).toBe(OK);
    expect(run('ttl k')).toBe(':-1\r\n');
    expect(run('set k z ex 0')).toBe("-ERR invalid expire time in 'set' command\r\n");
    expect(run('set k z ex x')).toBe('-ERR value is not an integer or out of range\r\n');
    expect(run('set k z ex 1 px 1')).toBe('-ERR syntax error\r\n');
    expect(run('set k z nx xx')).toBe('-ERR syntax error\r\n');
    run('sadd s a');
    expect(run('set s v get')).toMatch(/^-WRONGTYPE/);
    expect(run('set s v')).toBe(OK);
    expect(run('type s')).toBe('+string\r\n');
  });

  it('counts changes and tells of events', () => {
    run('set k 1 ex 10');
    run('incr k');
    run('mset a 1 b 2');
    run('getdel k');
    run('get missing');
    expect(harness.events).toEqual([
      ...['new k', 'set k', 'expire k', 'incrby k', 'new a', 'set a', 'new b', 'set b', 'del k', 'keymiss missing'],
    ]);
    expect(harness.dirty).toBe(5);
  });

  it('INCR and kin are exact up to the ends of int64', () => {
    run('set k 9007199254740991');
    expect(run('incr k')).toBe(':9007199254740992\r\n');
    expect(run('incr k')).toBe(':9007199254740993\r\n');
    expect(run('get k')).toBe(bulk('9007199254740993'));
    expect(run('incrby k 9223372036854775807')).toBe('-ERR increment or decrement would overflow\r\n');
    run('set k 9223372036854775806');
    expect(run('incr k')).toBe(':9223372036854775807\r\n');
    expect(run('incr k')).toBe('-ERR increment or decrement would overflow\r\n');
    expect(run('decrby k -9223372036854775808')).toBe('-ERR decrement would overflow\r\n');
    run('set k 01');
    expect(run('incr k')).toBe('-ERR value is not an integer or out of range\r\n');
    expect(run('incrbyfloat f 10.5')).toBe(bulk('10.5'));
    expect(run('incrbyfloat f 0.1')).toBe(bulk('10.6'));
    expect(run('object encoding f')).toBe(bulk('embstr'));
  });

  it('APPEND, SETRANGE and GETRANGE', () => {
    expect(run('append k hello')).toBe(':5\r\n');
    expect(run('append k _world')).toBe(':11\r\n');
    expect(run('object encoding k')).toBe(bulk('raw'));
    expect(run('setrange k 13 !')).toBe(':14\r\n');
    expect(run('get k')).toBe(bulk('hello_world\0\0!'));
    expect(run('getrange k -3 -1')).toBe(bulk('\0\0!'));
    expect(run('getrange k 5 3')).toBe(bulk(''));
    expect(run('setrange k 536870912 x')).toBe('-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n');
    for (let i = 0; i < 1000; i++) harness.run('append', 'grows', 'x'.repeat(i));
    expect(run('strlen grows')).toBe(`:${(999 * 1000) / 2}\r\n`);
  });

  it('LCS', () => {
    run('mset a ohmytext b mynewtext');
    expect(run('lcs a b')).toBe(bulk('mytext'));
    expect(run('lcs a b len')).toBe(':6\r\n');
    const matches =
      '*2\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n*3\r\n*2\r\n:2\r\n:3\r\n*2\r\n:0\r\n:1\r\n:2\r\n';
    expect(run('lcs a b idx withmatchlen')).toBe(`*4\r\n${bulk('matches')}${matches}${bulk('len')}:6\r\n`);
  });

  it('writes in place and leaves nothing behind', () => {
    const before = harness.arena.used;
    run('set key abcdefgh');
    const used = harness.arena.used;
    for (let i = 0; i < 100; i++) run(`set key abcdefg${i % 10}`);
    expect(harness.arena.used).toBe(used);
    run('del key');
    expect(harness.arena.used).toBe(before);
  });
});

describe('key commands', () => {
  it('EXPIRE and its conditions', () => {
    run('set k v');
    expect(run('expire k 100 xx')).toBe(':0\r\n');
    expect(run('expire k 100 nx')).toBe(':1\r\n');
    expect(run('expire k 50 gt')).toBe(':0\r\n');
    expect(run('expire k 50 lt')).toBe(':1\r\n');
    expect(run('pttl k')).toBe(':50000\r\n');
    expect(run('expire k 50 nx gt')).toMatch(/^-ERR NX and XX, GT or LT/);
    expect(run('persist k')).toBe(':1\r\n');
    expect(run('expire k -1')).toBe(':1\r\n');
    expect(run('exists k')).toBe(':0\r\n');
    run('set k v px 10');
    harness.clock.advanceUs(20_000);
    expect(run('get k')).toBe(NULL);
    expect(run('ttl k')).toBe(':-2\r\n');
  });

  it('RENAME, COPY and MOVE take value and expiry along', () => {
    run('sadd s a b');
    run('expire s 100');
    expect(run('rename s t')).toBe(OK);
    expect(run('copy t u')).toBe(':1\r\n');
    expect(run('copy t u')).toBe(':0\r\n');
    expect(run('copy t t')).toBe('-ERR source and destination objects are the same\r\n');
    expect(run('ttl u')).toBe(':100\r\n');
    run('sadd u c');
    expect(run('scard t')).toBe(':2\r\n');
    expect(run('move t 3')).toBe(':1\r\n');
    expect(run('exists t')).toBe(':0\r\n');
    harness.select(3);
    expect(run('scard t')).toBe(':2\r\n');
    expect(run('ttl t')).toBe(':100\r\n');
    expect(run('renamenx missing x')).toBe('-ERR no such key\r\n');
    expect(run('swapdb 0 3')).toBe(OK);
    expect(run('scard u')).toBe(':3\r\n');
    expect(run('flushall')).toBe(OK);
    expect(harness.arena.used).toBe(16 * 64);
  });

  it('SCAN sees every key, by pattern and type too', () => {
    for (let i = 0; i < 500; i++) run(`set key:${i} v`);
    run('sadd set:1 a');
    const scan = (options: string): string[] => {
      const seen: string[] = [];
      let cursor = '0';
      do {
        const lines = run(`scan ${cursor} ${options}`.trim()).split('\r\n');
        cursor = lines[2];
        seen.push(...lines.slice(4).filter((_, i) => i % 2 === 1));
      } while (cursor !== '0');
      return seen;
    };
    expect(new Set(scan('')).size).toBe(501);
    expect(new Set(scan('match key:1? count 3')).size).toBe(10);
    expect(scan('type set')).toEqual(['set:1']);
    expect(scan('type nothing')).toEqual([]);
    expect(run('keys set*')).toBe(`*1\r\n${bulk('set:1')}`);
  });

  it('DUMP and RESTORE', () => {
    run('sadd s a b 3');
    const payload = harness
      .run('dump', 's')
      .replace(/^\$\d+\r\n/, '')
      .slice(0, -2);
    expect(harness.run('restore', 's', '0', payload)).toBe('-BUSYKEY Target key name already exists.\r\n');
    expect(harness.run('restore', 't', '5000', payload)).toBe(OK);
    expect(run('scard t')).toBe(':3\r\n');
    expect(run('pttl t')).toBe(':5000\r\n');
    expect(harness.run('restore', 'u', '0', `${payload.slice(0, -1)}x`)).toMatch(
      /^-ERR DUMP payload version or checksum/,
    );
    expect(run('dump missing')).toBe(NULL);
  });

  it('OBJECT', () => {
    run('mset i 12345 s short');
    harness.run('set', 'l', 'x'.repeat(45));
    expect(run('object encoding i')).toBe(bulk('int'));
    expect(run('object encoding s')).toBe(bulk('embstr'));
    expect(run('object encoding l')).toBe(bulk('raw'));
    harness.clock.advanceUs(7_000_000);
    expect(run('object idletime i')).toBe(':7\r\n');
    expect(run('touch i')).toBe(':1\r\n');
    expect(run('object idletime i')).toBe(':0\r\n');
    expect(run('object freq i')).toMatch(/^-ERR An LFU maxmemory policy is not selected/);
    harness.keyspace.lfu = true;
    run('set f v');
    for (let i = 0; i < 2000; i++) run('get f');
    expect(Number(run('object freq f').slice(1))).toBeGreaterThan(8);
    expect(run('object refcount missing')).toBe(NULL);
  });
});
