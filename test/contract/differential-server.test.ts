// Real redis-server 7.0.15 and our server over sockets: the same sessions, cut at random places, are answered byte for
// byte the same and end the same way. Skipped where redis-server 7.0 is not installed.
import { connect } from 'node:net';
import { setImmediate as nextTick } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { directiveNames } from '../../src/core/config.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { OurServer } from '../support/our-server.ts';
import { type Peer, RedisServer, redisInstalled } from '../support/redis-server.ts';
import { itemsOf, type Reply, request } from '../support/replies.ts';
import { BREAKS, SESSIONS, seededSession, sharedRequest } from './session-scripts.ts';

const SEEDS = Number(process.env.DIFFERENTIAL_RUNS ?? 300);

/** Sends the pieces one after the other, then FIN. @returns all that came until the server's FIN, Latin-1. */
function converse(port: number, pieces: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let got = '';
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    socket.setEncoding('latin1');
    socket.setTimeout(5000, () => socket.destroy(new Error(`the server did not end the connection; it sent ${got}`)));
    socket.on('error', reject);
    socket.on('data', (text: string) => {
      got += text;
    });
    socket.on('end', () => {
      socket.end();
      resolve(got);
    });
    socket.on('connect', async () => {
      for (const piece of pieces) {
        if (piece !== '') await new Promise((sent) => socket.write(piece, 'latin1', sent));
        // The servers shall see the pieces one by one.
        for (let i = 0; i < 3; i++) await nextTick();
      }
      socket.end();
    });
  });
}

function cut(random: SeededRandom, text: string): string[] {
  const places = Array.from({ length: random.below(6) }, () => random.below(text.length + 1)).sort((a, b) => a - b);
  return [0, ...places].map((from, i) => text.slice(from, places[i] ?? text.length));
}

/** Numbers of connections differ from server to server. */
const comparable = (text: string): string => text.replace(/(\$2\r\nid\r\n):\d+/g, '$1:N');

/** A server pair, started with the same directives. */
class Pair {
  readonly real: RedisServer;
  readonly ours: OurServer;

  private constructor(real: RedisServer, ours: OurServer) {
    this.real = real;
    this.ours = ours;
  }

  static async start(directives: Readonly<Record<string, string | number>> = {}): Promise<Pair> {
    return new Pair(await RedisServer.start(directives), await OurServer.start(directives));
  }

  /** @param text cut anywhere. @param end behind it, in one piece: nothing is unread when the server closes. */
  async expectSame(text: string, end: string, random: SeededRandom, context: string): Promise<void> {
    const pieces = [request(['FLUSHALL']), ...cut(random, text), end];
    const [wanted, got] = await Promise.all([converse(this.real.port, pieces), converse(this.ours.port, pieces)]);
    expect(comparable(got), context).toBe(comparable(wanted));
  }

  async stop(): Promise<void> {
    await Promise.all([this.real.stop(), this.ours.stop()]);
  }
}

describe.skipIf(!redisInstalled)('our server and redis-server 7.0', () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await Pair.start({ 'enable-debug-command': 'yes' });
  });
  afterAll(() => pair.stop());

  for (const [name, text] of Object.entries(SESSIONS)) {
    it(name, async () => {
      const random = new SeededRandom(name.length);
      const protocol3 = request(['HELLO', '3']);
      for (const start of ['', protocol3]) {
        for (let i = 0; i < 3; i++) await pair.expectSame(start + text, '', random, name);
      }
    });
  }

  for (const [i, end] of BREAKS.entries()) {
    it(`break ${i}: ${JSON.stringify(end.slice(0, 40))}`, async () => {
      await pair.expectSame(request(['SET', 'k', 'v']), end, new SeededRandom(i), end.slice(0, 80));
      if (end.length > 60_000) return;
      await pair.expectSame(
        request(['MULTI']),
        `${end}\r\nPING\r\n`,
        new SeededRandom(i),
        `${end.slice(0, 80)} and more`,
      );
    });
  }

  it('web requests end the connection, and nothing behind them is run', async () => {
    for (const { port } of [pair.real, pair.ours]) {
      for (const first of ['POST / HTTP/1.1\r\n', 'Host: here\r\n', request(['post', 'x'])]) {
        await converse(port, [request(['SET', 'k', 'v'])]);
        const got = await converse(port, [`${first}${request(['SET', 'k', 'changed'])}`]).catch(() => '');
        expect(got, first).toBe('');
        expect(await converse(port, ['GET k\r\n']), first).toBe('$1\r\nv\r\n');
      }
    }
  });

  it('seeded sessions', async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new SeededRandom(seed);
      const { text, end } = seededSession(random, 60);
      await pair.expectSame(text, end, random, `seed ${seed}`);
    }
  });

  it('several connections that watch and change the same keys', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const random = new SeededRandom(seed);
      const connections = Array.from({ length: 3 }, () => [pair.real.connect(), pair.ours.connect()]);
      for (const peer of connections[0]) await peer.ask('FLUSHALL');
      for (let i = 0; i < 300; i++) {
        const words = sharedRequest(random);
        const [theirs, ours] = await Promise.all(
          connections[random.below(connections.length)].map(async (peer) => (await peer.run([words]))[0].bytes),
        );
        const context = `seed ${seed}, request ${i}: ${JSON.stringify(words)}`;
        expect(comparable(ours.toString('latin1')), context).toBe(comparable(theirs.toString('latin1')));
      }
      for (const peer of connections.flat()) peer.close();
    }
  });

  describe('facts without an order', () => {
    let real: Peer;
    let ours: Peer;
    beforeAll(() => {
      real = pair.real.connect();
      ours = pair.ours.connect();
    });
    afterAll(() => {
      real.close();
      ours.close();
    });

    /** Names and values of a map reply, sorted; `null` stands for what is the server's own. */
    function settings(reply: Reply, own: RegExp): [string, Reply][] {
      const items = itemsOf(reply);
      const pairs = items
        .filter((_, i) => i % 2 === 0)
        .map((name, i): [string, Reply] => [String(name), items[2 * i + 1]]);
      return pairs
        .map(([name, value]): [string, Reply] => [name, own.test(name) ? null : value])
        .sort(([a], [b]) => (a < b ? -1 : 1));
    }

    it('CONFIG GET', async () => {
      const own = /^(port|dir|pidfile|logfile|enable-debug-command)$/;
      const patterns = [
        '*max*',
        'list-*',
        'save',
        'SAVE',
        'client-output-buffer-limit',
        '*-listpack-*',
        'a*',
        'b*',
        't[ic]*',
        'hz',
        '??',
        'nope*',
      ];
      for (const pattern of [...patterns.map((one) => [one]), ['maxmemory', 'max*', 'hz']]) {
        const [wanted, got] = await Promise.all([real, ours].map((peer) => peer.ask('CONFIG', 'GET', ...pattern)));
        expect(settings(got, own), pattern.join(' ')).toEqual(settings(wanted, own));
      }
      const wanted = settings(await real.ask('CONFIG', 'GET', '*'), /./).map(([name]) => name);
      expect(directiveNames.filter((name) => wanted.includes(name))).toEqual(wanted);
    });

    it('COMMAND COUNT and INFO', async () => {
      const names = itemsOf(await ours.ask('COMMAND', 'LIST')) as string[];
      const count = await ours.ask('COMMAND', 'COUNT');
      const containers = names.filter((name) => !name.includes('|'));
      expect(count).toEqual({ type: ':', text: String(containers.length) });
      for (const protocol of ['2', '3']) {
        for (const peer of [real, ours]) await peer.ask('HELLO', protocol);
        const [wanted, got] = await Promise.all([real, ours].map((peer) => peer.ask('COMMAND', 'INFO', ...names)));
        for (const [i, name] of names.entries()) {
          const [theirs, mine] = [wanted, got].map((reply) => itemsOf(itemsOf(reply)[i]));
          // Subcommands, the last field, come in any order, and we do not have all of them.
          expect(mine.slice(0, 9), name).toEqual(theirs.slice(0, 9));
        }
      }
    });
  });
});

describe.skipIf(!redisInstalled)('our server and redis-server 7.0 with a password', () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await Pair.start({ requirepass: 'secret' });
  });
  afterAll(() => pair.stop());

  const sessions: readonly (readonly [string[], ...string[][]])[] = [
    [
      ['GET', 'k'],
      ['nope'],
      ['GET'],
      ['CLIENT', 'nope'],
      ['AUTH', 'wrong'],
      ['AUTH', 'default', 'wrong'],
      ['GET', 'k'],
    ],
    [['AUTH', 'secret'], ['SET', 'k', 'v'], ['AUTH', 'wrong'], ['GET', 'k'], ['RESET'], ['GET', 'k'], ['PING']],
    [
      ['AUTH', 'default', 'secret'],
      ['GET', 'k'],
      ['AUTH', 'nobody', 'secret'],
      ['GET', 'k'],
      ['AUTH', 'a', 'b', 'c'],
    ],
    [
      ['HELLO'],
      ['HELLO', '3'],
      ['HELLO', '3', 'AUTH', 'default', 'wrong'],
      ['PING'],
      ['HELLO', '4'],
      ['HELLO', '3', 'AUTH', 'default', 'secret'],
      ['GET', 'k'],
    ],
    [
      ['HELLO', '3', 'SETNAME', 'me'],
      ['HELLO', '2', 'AUTH', 'default', 'secret', 'SETNAME', 'me'],
      ['CLIENT', 'GETNAME'],
    ],
    [
      ['MULTI'],
      ['EXEC'],
      ['PING'],
      ['ECHO', 'x'],
      ['SELECT', '1'],
      ['CLIENT', 'SETNAME', 'x'],
      ['COMMAND', 'COUNT'],
      ['RESET'],
      ['QUIT'],
    ],
    [
      ['AUTH', 'secret'],
      ['MULTI'],
      ['AUTH', 'wrong'],
      ['GET', 'k'],
      ['EXEC'],
      ['MULTI'],
      ['RESET'],
      ['EXEC'],
      ['AUTH', 'secret'],
      ['EXEC'],
    ],
  ];
  for (const [i, session] of sessions.entries()) {
    it(`session ${i}`, () => pair.expectSame(session.map(request).join(''), '', new SeededRandom(i), String(i)));
  }

  for (const end of ['*11\r\n', '*10\r\n$16385\r\n', '*1\r\n$16385\r\n', '*1\r\n$16384\r\n']) {
    it(`limits before AUTH: ${JSON.stringify(end)}`, () => pair.expectSame('', end, new SeededRandom(1), end));
  }
});
