// Scripts and functions in a server without network: what redis-server is not needed for to know.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Client } from '../core/client.ts';
import { createConfig } from '../core/config.ts';
import { WordList } from '../core/nested-call.ts';
import { PROPAGATE_AOF } from '../core/propagation.ts';
import type { Server } from '../core/server.ts';
import { silentLog } from '../platform/log.ts';
import { ReplyWriter } from '../resp/reply-writer.ts';
import { createServer, systemWorld } from '../server.ts';
import { scriptingOf } from './scripting.ts';

let server: Server;
let client: Client;

beforeEach(() => {
  const config = createConfig();
  server = createServer({ config }, { ...systemWorld(config), log: silentLog }, 'kernel');
  client = server.nested.createClient('test');
});

/** @param words Latin-1. @returns the reply, Latin-1. */
function run(...words: string[]): string {
  const list = words.reduce((all, word) => all.add(word), new WordList());
  const reply = new ReplyWriter();
  server.nested.run(client, list, reply);
  return Buffer.from(reply.bytes.subarray(0, reply.length)).toString('latin1');
}

const evaluate = (script: string): string => run('EVAL', script, '0');

describe('EVAL', () => {
  it('hands every byte through, both ways', () => {
    const all = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join('');
    expect(run('EVAL', "redis.call('set', KEYS[1], ARGV[1]) return redis.call('get', KEYS[1])", '1', all, all)).toBe(
      `$256\r\n${all}\r\n`,
    );
  });

  it('survives strings of megabytes', () => {
    expect(evaluate("return #string.rep('x', 20000000)")).toBe(':20000000\r\n');
    expect(run('EVAL', 'return #ARGV[1]', '0', 'y'.repeat(5_000_000))).toBe(':5000000\r\n');
  });

  it('keeps a compiled script until SCRIPT FLUSH', () => {
    const sha = run('SCRIPT', 'LOAD', 'return 5').slice(5, 45);
    expect(run('EVALSHA', sha.toUpperCase(), '0')).toBe(':5\r\n');
    expect(scriptingOf(server).scripts.size).toBe(1);
    run('SCRIPT', 'FLUSH');
    expect(run('EVALSHA', sha, '0')).toMatch(/^-NOSCRIPT/);
    expect(scriptingOf(server).scripts.memoryBytes).toBe(0);
  });

  it('what is put into a protected table past its metatable is gone with the script', () => {
    evaluate("table.insert(string, 'leak') return string[1]");
    expect(evaluate('return string[1]')).toBe('$-1\r\n');
  });

  it('lets no compiled chunk in', () => {
    expect(evaluate("return (loadstring(string.dump(function() return 1 end)) == nil) and 'refused'")).toBe(
      '$7\r\nrefused\r\n',
    );
    expect(run('EVAL', '\x1bLua', '0')).toMatch(/^-ERR Error compiling script/);
  });

  it('goes on after the stack was used up', () => {
    expect(evaluate('local function f() return f() + 1 end return f()')).toMatch(/stack overflow/);
    expect(evaluate('local t = {} t[1] = t return t')).toMatch(/reached lua stack limit/);
    expect(evaluate('return 1')).toBe(':1\r\n');
  });

  it('tells its effects as one, and only to whom redis.set_repl says', () => {
    const told: string[] = [];
    server.propagation.addSink({
      target: PROPAGATE_AOF,
      selectedDb: 0,
      feed(_db, bytes, offset, length) {
        const text = Buffer.from(bytes.subarray(offset, offset + length)).toString('latin1');
        told.push(
          text
            .split('\r\n')
            .filter((_line, i) => i > 0 && i % 2 === 0)
            .join(' '),
        );
      },
    });
    evaluate("redis.call('set', 'a', 1) redis.call('get', 'a') redis.call('incr', 'a') return 1");
    expect(told.splice(0)).toEqual(['MULTI', 'set a 1', 'incr a', 'EXEC']);
    evaluate(
      "redis.set_repl(redis.REPL_REPLICA) redis.call('set', 'b', 1) redis.set_repl(redis.REPL_ALL) redis.call('set', 'c', 1)",
    );
    expect(told.splice(0)).toEqual(['set c 1']);
    evaluate("return redis.call('get', 'a')");
    expect(told).toEqual([]);
  });
});

describe('functions', () => {
  const library = "#!lua name=lib\nredis.register_function('f', function(keys) return keys[1] end)";

  it('are dumped and restored, over others only when told to', () => {
    run('FUNCTION', 'LOAD', library);
    const payload = run('FUNCTION', 'DUMP')
      .replace(/^\$\d+\r\n/, '')
      .slice(0, -2);
    expect(run('FUNCTION', 'RESTORE', payload)).toBe('-ERR Library lib already exists\r\n');
    expect(run('FUNCTION', 'RESTORE', payload, 'REPLACE')).toBe('+OK\r\n');
    run('FUNCTION', 'FLUSH');
    expect(run('FCALL', 'f', '1', 'k')).toBe('-ERR Function not found\r\n');
    expect(run('FUNCTION', 'RESTORE', payload)).toBe('+OK\r\n');
    expect(run('FCALL', 'F', '1', 'k')).toBe('$1\r\nk\r\n');
  });

  it('a library that fails leaves the one it was to replace', () => {
    run('FUNCTION', 'LOAD', library);
    expect(run('FUNCTION', 'LOAD', 'REPLACE', '#!lua name=lib\nerror("no")')).toMatch(
      /^-ERR Error registering functions/,
    );
    expect(run('FCALL', 'f', '1', 'k')).toBe('$1\r\nk\r\n');
  });
});
