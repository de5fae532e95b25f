// How waiting counts in the end: real redis-server 7.0.15 and our server keep the same commands in the slow log, the latency
// histograms and the statistics of commands, however a wait ends. Skipped where redis-server 7.0 is not installed.
import { describe, expect, it } from 'vitest';
import { Peer, redisInstalled } from '../support/redis-server.ts';
import { serverPair } from '../support/server-pair.ts';

/** What waits, and what is done about it once it does: nothing, words, or the end that CLIENT UNBLOCK is told. */
interface Wait {
  readonly words: string;
  readonly after?: readonly string[];
  readonly unblock?: 'TIMEOUT' | 'ERROR';
}

const WAITS: Readonly<Record<string, Wait>> = {
  'a list that stays empty': { words: 'BLPOP k 0.05' },
  'a list that is pushed to': { words: 'BLPOP k 0', after: ['RPUSH k v'] },
  'a command that Redis calls fast': { words: 'BZPOPMIN z 0.05' },
  'a sorted set that is added to': { words: 'BZPOPMAX z 0', after: ['ZADD z 1 m'] },
  'a stream that gets nothing': { words: 'XREAD BLOCK 50 STREAMS s $' },
  'a group whose stream is deleted': { words: 'XREADGROUP GROUP g c BLOCK 0 STREAMS x >', after: ['DEL x'] },
  'a move to a key of another type': { words: 'BLMOVE k text LEFT LEFT 0', after: ['RPUSH k v'] },
  'replicas that are not there': { words: 'WAIT 1 50' },
  'CLIENT UNBLOCK': { words: 'BRPOP k 0', unblock: 'TIMEOUT' },
  'CLIENT UNBLOCK of replicas': { words: 'WAIT 1 0', unblock: 'TIMEOUT' },
  'CLIENT UNBLOCK with an error': { words: 'BLMPOP 0 1 k LEFT', unblock: 'ERROR' },
  'nothing to wait for': { words: 'BLPOP full 0' },
};

const PREPARATION: readonly string[] = [
  'FLUSHALL',
  'SET text t',
  'RPUSH full v v v',
  'XGROUP CREATE x g $ MKSTREAM',
  'CONFIG SET slowlog-log-slower-than 0',
  'CONFIG RESETSTAT',
  'SLOWLOG RESET',
];

interface Outcome {
  readonly reply: string;
  /** How often the slow log has it. */
  readonly logged: number;
  /** Calls that its latency histogram has. */
  readonly measured: string;
  /** Its line of INFO, without times. */
  readonly stats: string;
}

async function outcomeOf(port: number, { words, after = [], unblock }: Wait): Promise<Outcome> {
  const control = new Peer(port);
  const waiting = new Peer(port);
  const tell = async (peer: Peer, line: string): Promise<string> =>
    (await peer.run([line.split(' ')]))[0].bytes.toString('latin1');
  const ask = (line: string): Promise<string> => tell(control, line);
  for (const line of PREPARATION) await ask(line);
  const id = (await tell(waiting, 'CLIENT ID')).slice(1, -2);
  const reply = tell(waiting, words);
  if (after.length > 0 || unblock !== undefined) {
    await expect.poll(() => ask('INFO clients')).toContain('blocked_clients:1');
    for (const line of after) await ask(line);
    if (unblock !== undefined) await ask(`CLIENT UNBLOCK ${id} ${unblock}`);
  }
  const text = await reply;
  const name = words.split(' ')[0];
  const logged = (await ask('SLOWLOG GET -1')).split(`\r\n$${name.length}\r\n${name}\r\n`).length - 1;
  const measured = await ask(`LATENCY HISTOGRAM ${name}`);
  const stats = new RegExp(`cmdstat_${name.toLowerCase()}:.*`).exec(await ask('INFO commandstats'));
  waiting.close();
  control.close();
  return {
    reply: text,
    logged,
    measured: /calls\r\n:(\d+)/.exec(measured)?.[1] ?? measured,
    stats: (stats?.[0] ?? '').replace(/usec[^,]*=[^,]*,/g, ''),
  };
}

describe.skipIf(!redisInstalled)('a wait counts as in redis-server', () => {
  const pair = serverPair();

  it.each(Object.entries(WAITS))('%s', async (_name, wait) => {
    const [wanted, got] = await pair.both((port) => outcomeOf(port, wait));
    expect(wanted.stats).toContain('calls=1');
    expect(got).toEqual(wanted);
  });
});
