import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { serverOf } from '../../../test/support/server-harness.ts';
import { commandDetails } from '../../commands/command-details.ts';
import { commandTable } from '../../commands/table.ts';
import type { CommandSpec } from '../command.ts';
import { Command } from '../command-table.ts';
import type { KeySpec } from '../key-specs.ts';
import { Server } from '../server.ts';
import { mergeSelectors, parseUserLine } from './rule-words.ts';

/** A server with all commands and what is known about them. */
function setUp() {
  const { server: plain, clock, scheduler } = serverOf(commandTable);
  const { config, keyspace, log, random, stopwatch } = plain;
  const parts = { config, keyspace, log, random, stopwatch, clock, scheduler, commands: commandTable };
  return new Server({ ...parts, details: commandDetails });
}

let server: Server;
beforeEach(() => {
  server = setUp();
});

const lineOf = (name: string): string | undefined => server.acl.lines.find((line) => line.startsWith(`user ${name} `));
const setUser = (rules: string): string | null => server.acl.setUser('u', rules.split(' '));

describe('rules', () => {
  test('a new user may do nothing, and the default user everything', () => {
    expect(setUser('on')).toBeNull();
    expect(server.acl.lines).toEqual(['user default on nopass ~* &* +@all', 'user u on resetchannels -@all']);
    expect(server.acl.defaultUser.isUnrestricted).toBe(true);
  });

  test.each([
    ['on ~a %R~b %W~a &c -@all +get +config|set', 'user u on ~a %R~b resetchannels &c -@all +config|set +get'],
    ['off nopass ~* &* +@all -debug', 'user u off nopass ~* &* +@all -debug'],
    ['on -@all +select|0 +select|1 +@hash', 'user u on resetchannels -@all +@hash +select|0 +select|1'],
    [
      'on (~a +get) ( ~b +set )',
      'user u on resetchannels -@all (~a resetchannels -@all +get) (~b resetchannels -@all +set)',
    ],
    ['on >p nopass reset', 'user u off sanitize-payload resetchannels -@all'],
  ])('%s is described', (rules, expected) => {
    expect(setUser(rules)).toBeNull();
    expect(lineOf('u')).toBe(expected);
    // What is described makes the same user again.
    const described = expected.split(' ').slice(2);
    expect(server.acl.setUser('again', described)).toBeNull();
    expect(lineOf('again')).toBe(expected.replace('user u', 'user again'));
  });

  test('either all rules hold or none', () => {
    expect(setUser('on ~a +get')).toBeNull();
    const before = lineOf('u');
    expect(setUser('off +set ~b +nothing')).toBe(
      "Error in ACL SETUSER modifier '+nothing': Unknown command or category name in ACL",
    );
    expect(lineOf('u')).toBe(before);
  });

  test('passwords are kept as what cannot be turned back', () => {
    expect(setUser('on >secret')).toBeNull();
    expect(lineOf('u')).not.toContain('secret');
    const user = server.acl.find('u');
    expect(user?.accepts(Buffer.from('secret'))).toBe(true);
    expect(user?.accepts(Buffer.from('secres'))).toBe(false);
    expect(setUser('<secret')).toBeNull();
    expect(user?.accepts(Buffer.from('secret'))).toBe(false);
  });

  test('selectors are put together again', () => {
    expect(mergeSelectors(['(~a', '+get)', 'on'])).toEqual(['(~a +get)', 'on']);
    expect(mergeSelectors(['on', '(~a'])).toEqual({ unmatched: '(~a' });
  });

  test('lines of redis.conf are judged as far as they can be', () => {
    const [one] = [parseUserLine(['u', 'on', '+module.command'], [])];
    expect(one).toEqual({ name: 'u', rules: ['on', '+module.command'] });
    expect(parseUserLine(['u', '%~a'], [])).toBe("Error in user declaration '%~a': Syntax error");
    expect(parseUserLine(['u'], [{ name: 'u', rules: [] }])).toContain('Duplicate user');
  });
});

describe('commands of modules', () => {
  const allWords: KeySpec = {
    flags: ['RW', 'access', 'update'],
    begin_search: { type: 'index', spec: { index: 1 } },
    find_keys: { type: 'range', spec: { lastkey: -1, keystep: 1, limit: 0 } },
  };
  const spec: CommandSpec = {
    name: 'mod.set',
    arity: -2,
    flags: ['write'],
    keys: [1, -1, 1],
    group: 'module',
    since: '1',
    summary: '',
    details: { categories: [], tips: [], keySpecs: [allWords] },
    run: (call) => call.reply.ok(),
  };
  const words = (text: string) => {
    const bytes = Buffer.from(text.replaceAll(' ', ''), 'latin1');
    const all = text.split(' ');
    let at = 0;
    const offsets = Int32Array.from(all, (word) => (at += word.length) - word.length);
    return { bytes, argc: all.length, offsets, lengths: Int32Array.from(all, (word) => word.length) };
  };

  test('are known to rules once they are there, and their keys are looked at', () => {
    expect(setUser('on ~a* +mod.set')).toContain('Unknown command');
    server.commands.change(new Map([['mod.set', new Command(spec, 'mod.set', null, 'mod')]]));
    expect(setUser('on ~a* +mod.set')).toBeNull();
    expect(lineOf('u')).toBe('user u on ~a* resetchannels -@all +mod.set');
    const user = server.acl.find('u')!;
    expect(server.acl.check(user, spec, words('mod.set a1 a2'))).toBe(0);
    expect(server.acl.check(user, spec, words('mod.set a1 b'))).not.toBe(0);
    expect(server.acl.deniedWord).toBe(2);
  });

  test('are allowed to who may run all, those to come too', () => {
    expect(setUser('on ~* &* +@all -get')).toBeNull();
    expect(server.acl.check(server.acl.find('u')!, spec, words('mod.set x'))).toBe(0);
  });
});

test('what no client sent is under no rule', () => {
  server.acl.defaultUser.apply('-get', { commands: server.acl.commands, allChannels: false });
  const client = server.nested.createClient('aof');
  expect([client.user.isUnrestricted, client.gate]).toEqual([true, 0]);
  expect(server.acl.find(client.user.name)).toBeNull();
});

describe('the file', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'wiredis-acl-'));
    path = join(folder, 'users.acl');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('is written and read back', () => {
    setUser('on >p ~a (~b +get) +@all -@admin');
    const before = server.acl.lines;
    expect(server.acl.save(path)).toBeNull();
    expect(readFileSync(path, 'latin1')).toBe(`${before.join('\n')}\n`);
    expect(readdirSync(folder)).toEqual(['users.acl']);
    server.acl.deleteUser('u');
    expect(server.acl.load(path)).toBeNull();
    expect(server.acl.lines).toEqual(before);
  });

  test('with any fault changes nothing', () => {
    setUser('on');
    const before = server.acl.lines;
    writeFileSync(path, 'user x on\n\nuser y on +nothing %~a &* &b\nuser x on\nnobody\nuser z (+get\n');
    const problem = server.acl.load(path);
    expect(problem).toContain(`${path}:3: Error in applying operation '+nothing'`);
    expect(problem).toContain(`${path}:3: Syntax error. WARNING: Duplicate user 'x' found on line 4. `);
    expect(problem).toContain(`${path}:5 should start with user keyword`);
    expect(problem).toContain(`${path}:6: Unmatched parenthesis`);
    expect(server.acl.lines).toEqual(before);
    expect(server.acl.load(join(folder, 'none'))).toContain('No such file or directory');
    expect(server.acl.save(join(folder, 'none', 'x'))).toBe('No such file or directory');
  });

  test('nobody is let in until the users are known', () => {
    server.acl.suspend();
    expect(server.authRequired).toBe(true);
    expect(server.acl.start([{ name: 'u', rules: ['on', '+nothing'] }], '')).toContain("'+nothing'");
    expect(server.acl.start([{ name: 'u', rules: ['on', '+get'] }], '')).toBeNull();
    expect(server.authRequired).toBe(false);
    expect(lineOf('default')).toBe('user default on nopass ~* &* +@all');
    expect(server.acl.start([{ name: 'default', rules: ['on', '>p'] }], '')).toBeNull();
    expect(server.authRequired).toBe(true);
  });
});
