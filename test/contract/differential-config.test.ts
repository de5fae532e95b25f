// CONFIG SET of every directive with words that sit on edges, on real redis-server 7.0.15 and on ours: the same error or
// the same value in force. Skipped where redis-server 7.0 is not installed.
import { describe, expect, it } from 'vitest';
import { allDirectives, directiveNames } from '../../src/core/config.ts';
import { redisInstalled } from '../support/redis-server.ts';
import { itemsOf } from '../support/replies.ts';
import { serverPair } from '../support/server-pair.ts';

const WORDS: readonly string[] = [
  ...['', '0', '-1', '1', '7', '10', 'yes', 'No', 'abc', '12abc', '1.5', '-1.5', '+1', ' 1', '01', '0777', '0888'],
  ...['1b', '1k', '1gb', '10%', '101%', '-10%', '2147483648', '4294967296', '9223372036854775807'],
  ...['-9223372036854775809', '99999999999999999999', 'everysec', 'ALWAYS', 'volatile-lru'],
  ...['local', '100 200', '3600 1 300', 'normal 0 0 0', 'normal 1 2', 'pubsub 32mb 8mb 60 replica 1 2 3', 'x 1 2 3'],
  ...['1 2 3', 'notice', 'KEA', 'Z', 'a b', '"q', '127.0.0.1', '/nonexistent/x'],
];
/** What a change would do to this machine or to the connection, what stands for the build, and a limit of Redis's own. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  ...['bind', 'port', 'tls-port', 'dir', 'requirepass', 'maxclients', 'maxmemory-clients', 'timeout', 'activedefrag'],
  ...['appendonly', 'logfile', 'save', 'oom-score-adj', 'oom-score-adj-values', 'enable-debug-command'],
  // Redis wants certificates first.
  ...['tls-cluster', 'tls-replication', 'tls-auth-clients'],
]);

describe.skipIf(!redisInstalled)('CONFIG SET of our server and of redis-server 7.0', () => {
  const pair = serverPair();

  const onBoth = (...words: string[]): Promise<unknown[]> => Promise.all(pair.peers.map((peer) => peer.ask(...words)));

  const compared = directiveNames.filter((name) => !LEFT_OUT.has(name) && !/^(tls|unixsocket)/.test(name));

  it.each(compared)('%s', async (name) => {
    const before = await Promise.all(pair.peers.map((peer) => peer.ask('CONFIG', 'GET', name)));
    // Ours alone has it.
    if (itemsOf(before[0]).length === 0) return;
    expect(before[1], 'at first').toEqual(before[0]);
    for (const word of WORDS) {
      const [wanted, got] = await onBoth('CONFIG', 'SET', name, word);
      expect(got, `CONFIG SET ${name} '${word}'`).toEqual(wanted);
      const [inForce, oursInForce] = await onBoth('CONFIG', 'GET', name);
      expect(oursInForce, `after CONFIG SET ${name} '${word}'`).toEqual(inForce);
    }
    await onBoth('CONFIG', 'SET', name, String(itemsOf(before[0])[1]));
  });

  it('nearly all directives are compared', () => {
    expect(compared.length).toBeGreaterThan(150);
    expect(allDirectives.length).toBeGreaterThan(compared.length);
  });
});
