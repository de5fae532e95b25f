// DEBUG's digests are Redis's own figures: these came from redis-server 7.0.15 with the same dataset.
import { describe, expect, it } from 'vitest';
import { CommandHarness } from '../../test/support/command-harness.ts';
import { commandTable } from './table.ts';

function harness(): CommandHarness {
  const redis = new CommandHarness(commandTable);
  redis.config.enableDebugCommand = 'yes';
  return redis;
}

describe('DEBUG', () => {
  it('digests values as redis-server does', () => {
    const redis = harness();
    redis.run('SET', 'a', '1');
    redis.run('SET', 'b', 'hello', 'EX', '1000');
    redis.run('RPUSH', 'l', '1', '2', 'three', '4.5');
    redis.run('SADD', 's', '1', '2', '3');
    redis.run('SADD', 's2', 'a', 'b', 'c');
    redis.run('HSET', 'h', 'f', 'v', 'g', '12');
    redis.run('ZADD', 'z', '1', 'a', '2.5', 'b', '-inf', 'c', '1e300', 'd');
    const digests = redis.items('DEBUG', 'DIGEST-VALUE', 'a', 'b', 'l', 's', 's2', 'h', 'z', 'missing');
    expect(digests.map((item) => (item as { text: string }).text)).toEqual([
      'b4fc66738120fba0b5aa500ab5c2bf89cea1c5da',
      'd037c4eb8a8b36b602fbced4000daeab0714c1e3',
      'c6f48049d1d31ba1b74828138254c2a2d4e1bc20',
      '2a462a3f51a1db89738ebbeef0c47ce1bbc85246',
      '593c2414786d75446e97f4ea5d4b731f3313da72',
      '8530acc75d5274eb0fc0da86f28ed5533274a6d4',
      '33dbd358ef8d47059c4c568f46298218b4262140',
      '0'.repeat(40),
    ]);
    redis.run('DEBUG', 'POPULATE', '100', 'k', '20');
    redis.select(3);
    redis.run('SET', 'q', 'r');
    expect(redis.run('DEBUG', 'DIGEST')).toBe('+511b4a9104d423ad24e886b9b03ac59da0aef724\r\n');
  });

  it('is refused unless the configuration allows it', () => {
    const redis = new CommandHarness(commandTable);
    expect(redis.run('DEBUG', 'DIGEST')).toMatch(/^-ERR DEBUG command not allowed/);
  });

  it('names the subcommand that is unknown or has the wrong number of words', () => {
    const redis = harness();
    const words = "-ERR unknown subcommand or wrong number of arguments for 'digest'. Try DEBUG HELP.\r\n";
    expect(redis.run('DEBUG', 'digest', 'x')).toBe(words);
    expect(redis.run('DEBUG', 'digest')).toBe(`+${'0'.repeat(40)}\r\n`);
  });
});
