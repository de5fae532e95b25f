// A script that does not come to an end, over the user-space stack: who is connected by it or by the socket file is served
// meanwhile, whatever the script's own request lay in, by TLS too. The other host is in this process, whose event loop
// stands still: it has its turns beside the server's.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectLocal, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterEach, beforeEach, expect, it } from 'vitest';
import * as calls from '../../io-engine/linux/libc.ts';
import { Net } from '../../src/net/net.ts';
import { silentLog } from '../../src/platform/log.ts';
import { SystemScheduler } from '../../src/platform/timers.ts';
import { createServer, RunningServer, systemWorld } from '../../src/server.ts';
import type { Connection, ConnectionHandler } from '../../src/transports/transport.ts';
import type { UserspaceTransport } from '../../src/transports/userspace.ts';
import { configOf } from '../support/config-of.ts';
import { openUserspacePair, PAIR_HOST } from '../support/userspace-pair.ts';

const BUSY = '-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n';
const BUSY_FUNCTION = '-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.\r\n';
const KILLED = /^-ERR Script killed by user with SCRIPT KILL.*\r\n/;
const LOOP = 'while true do end';
/** Without an end a failed test would hang. */
const LOOP_MS = 20_000;

let folder: string;
let running: RunningServer;
let other: UserspaceTransport;
let clients: Client[];
/** Called once, when the server serves others within a command. */
let whenBusy: () => void = () => {};

/** A client on the other host; `onReply` may run while the server is in its loop. */
class Client implements ConnectionHandler {
  connection!: Connection;
  text = '';
  closed = false;
  onReply: () => void = () => {};

  static async connect(onOpen: (client: Client) => void = () => {}): Promise<Client> {
    const client = new Client();
    await other.connect('10.9.0.1', 6379, (connection) => {
      client.connection = connection;
      clients.push(client);
      onOpen(client);
      return client;
    });
    return client;
  }

  /** Commands without spaces in their words, or words. */
  send(...commands: (string | string[])[]): void {
    if (this.closed) return;
    for (const command of commands) {
      const words = typeof command === 'string' ? command.split(' ') : command;
      const text = `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
      const bytes = Buffer.from(text, 'latin1');
      expect(this.connection.write(bytes, 0, bytes.length)).toBe(bytes.length);
    }
  }

  onData(bytes: Uint8Array, offset: number, length: number): void {
    this.text += Buffer.from(bytes.slice(offset, offset + length)).toString('latin1');
    this.onReply();
  }

  onDrain(): void {}
  onEnd(): void {}

  onClose(): void {
    this.closed = true;
    this.onReply();
  }

  until(done: (text: string) => boolean): Promise<string> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (done(this.text)) resolve(this.text);
      };
      this.onReply = check;
      check();
    });
  }
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wiredis-busy-'));
  clients = [];
  execFileSync(
    'openssl',
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=s -keyout s.key -out s.crt'.split(
      ' ',
    ),
    { cwd: folder, stdio: 'ignore' },
  );
  const config = configOf({
    bind: PAIR_HOST,
    save: '',
    'protected-mode': 'no',
    'busy-reply-threshold': 5,
    unixsocket: join(folder, 'socket'),
    'tls-port': 6390,
    'tls-auth-clients': 'no',
    'tls-cert-file': join(folder, 's.crt'),
    'tls-key-file': join(folder, 's.key'),
  });
  const [here, there] = openUserspacePair({ seed: 8 });
  other = there;
  const server = createServer({ config }, { ...systemWorld(config), log: silentLog }, 'userspace');
  running = new RunningServer(server, here, undefined, calls);
  await running.start();
  const { serveClients } = server.hooks;
  const loopEndsAt = performance.now() + LOOP_MS;
  server.hooks.serveClients = () => {
    const now = whenBusy;
    whenBusy = () => {};
    now();
    if (performance.now() > loopEndsAt) throw new Error('nobody has ended the loop');
    other.serveNow();
    serveClients?.();
    other.serveNow();
  };
});

afterEach(async () => {
  for (const { connection } of clients) connection.destroy();
  const stopped = new Promise<void>((done) => {
    running.onStopped = done;
  });
  if (running.shutdown({ save: 'nosave', now: true, force: true }) === null) await stopped;
  await other.close(0);
  rmSync(folder, { recursive: true, force: true });
});

it('others are told so and end it; what its client had sent behind it is run afterwards', async () => {
  const [runner, killer] = [await Client.connect(), await Client.connect()];
  const replies: string[] = [];
  killer.onReply = () => {
    replies.push(killer.text);
    killer.text = '';
    if (replies.length === 1) killer.send('GET x', 'FUNCTION KILL', 'SCRIPT KILL');
  };
  // One after the other in the same batch of frames.
  whenBusy = () => killer.send('PING');
  runner.send(['EVAL', LOOP, '0'], 'SET x y', 'GET x');
  const text = await runner.until((all) => all.endsWith('$1\r\ny\r\n'));
  expect(text.replace(KILLED, '')).toBe('+OK\r\n$1\r\ny\r\n');
  expect(replies.join('')).toBe(`${BUSY}${BUSY}${BUSY}+OK\r\n`);
  killer.send('GET x');
  expect(await killer.until((all) => all !== '')).toBe('$1\r\ny\r\n');
});

it('a request that is half there is completed afterwards, and inline ones too', async () => {
  const [runner, killer] = [await Client.connect(), await Client.connect()];
  killer.onReply = () => {
    if (killer.text.endsWith(BUSY)) {
      const rest = Buffer.from('3\r\n$3\r\nSET\r\n$1\r\nh\r\n$1\r\n1\r\n');
      runner.connection.write(rest, 0, rest.length);
      killer.send('SCRIPT KILL');
    }
  };
  const bytes = Buffer.from(`EVAL "${LOOP}" 0\r\nECHO inline\r\n*`);
  whenBusy = () => killer.send('PING');
  runner.connection.write(bytes, 0, bytes.length);
  const text = await runner.until((all) => all.endsWith('+OK\r\n'));
  expect(text.replace(KILLED, '')).toBe('$6\r\ninline\r\n+OK\r\n');
  expect(killer.text).toBe(`${BUSY}+OK\r\n`);
});

it('words and keys stay what they were while thousands of frames pass', async () => {
  const [runner, killer] = [await Client.connect(), await Client.connect()];
  let pings = 0;
  killer.onReply = () => {
    const lines = killer.text.split('\r\n');
    killer.text = lines.pop() ?? '';
    const count = lines.filter((line) => `${line}\r\n` === BUSY).length;
    pings += count;
    if (pings < 3000) for (let i = 0; i < count; i++) killer.send(`GET ${'z'.repeat(1000)}`);
    else if (count > 0) killer.send('SCRIPT KILL');
  };
  const member = 'm'.repeat(700);
  whenBusy = () => killer.send(...Array.from({ length: 20 }, () => `GET ${'z'.repeat(1000)}`));
  runner.send(
    'MULTI',
    ['EVAL', LOOP, '1', member, 'argument'],
    `SADD s ${member}`,
    'EXEC',
    'SMEMBERS s',
    'SLOWLOG GET 20',
  );
  const text = await runner.until((all) => all.includes(':1\r\n*1\r\n$700\r\n') && all.includes('argument'));
  expect(text).toContain(`:1\r\n*1\r\n$700\r\n${member}\r\n`);
  expect(pings).toBeGreaterThanOrEqual(3000);
});

it('a runner that goes away meanwhile ends nothing, and is forgotten afterwards', async () => {
  const [runner, killer] = [await Client.connect(), await Client.connect()];
  let busy = 0;
  const ended = new Promise<void>((resolve) => {
    killer.onReply = () => {
      if (killer.text === '+OK\r\n') resolve();
      if (!killer.text.endsWith(BUSY)) return;
      killer.text = '';
      busy++;
      if (busy === 1) runner.connection.destroy();
      killer.send(busy < 5 ? 'PING' : 'SCRIPT KILL');
    };
  });
  whenBusy = () => killer.send('PING');
  runner.send(['EVAL', LOOP, '0'], 'SET x y');
  await ended;
  killer.text = '';
  killer.send('CLIENT LIST');
  const list = await killer.until((all) => all.includes('cmd=client|list'));
  expect(list.match(/ addr=/g)?.length).toBe(1);
  expect(running.server.busyError).toBe('');
});

it('a function is shown by FUNCTION STATS and ended by FUNCTION KILL, and new clients come in', async () => {
  const [runner, killer] = [await Client.connect(), await Client.connect()];
  runner.send(['FUNCTION', 'LOAD', `#!lua name=l\nredis.register_function('f', function() ${LOOP} end)`]);
  await runner.until((all) => all === '$1\r\nl\r\n');
  runner.text = '';
  let late: Promise<Client> | null = null;
  let stats = '';
  killer.onReply = () => {
    if (killer.text === BUSY_FUNCTION) {
      killer.text = '';
      killer.send('FUNCTION STATS');
    } else if (stats === '' && killer.text.endsWith('functions_count\r\n:1\r\n')) {
      stats = killer.text;
      late = Client.connect((client) => {
        client.onReply = () => {
          if (client.text === BUSY_FUNCTION) client.send('FUNCTION KILL');
        };
        client.send('PING');
      });
    }
  };
  whenBusy = () => killer.send('PING');
  runner.send('FCALL f 1 key');
  expect(await runner.until((all) => all !== '')).toContain('Script killed by user');
  expect(stats).toContain('$5\r\nFCALL\r\n$1\r\nf\r\n$1\r\n1\r\n$3\r\nkey\r\n');
  expect((await late!).text).toBe(`${BUSY_FUNCTION}+OK\r\n`);
});

it('a script that has written is ended by SHUTDOWN NOSAVE alone', async () => {
  const [runner, killer] = [await Client.connect(), await Client.connect()];
  killer.onReply = () => {
    if (killer.text === BUSY) killer.send('SCRIPT KILL');
    else if (killer.text.includes('UNKILLABLE') && !killer.text.endsWith(`\r\n${BUSY}`)) killer.send('SHUTDOWN');
    else if (killer.text.endsWith(`\r\n${BUSY}`)) killer.send('SHUTDOWN NOSAVE');
  };
  const stopped = new Promise<void>((done) => {
    running.onStopped = done;
  });
  whenBusy = () => killer.send('PING');
  runner.send(['EVAL', `redis.call('set', 'x', 'y') ${LOOP}`, '0']);
  await stopped;
  running.shutdown = () => 'is done';
  await killer.until(() => killer.closed);
  expect(killer.text).toMatch(/^-BUSY.*\r\n-UNKILLABLE.*\r\n-BUSY.*\r\n$/);
});

it('a client on the socket file is served, and may run the script', async () => {
  const killer = await Client.connect();
  const local = connectLocal(join(folder, 'socket'));
  let text = '';
  local.on('data', (chunk) => {
    text += chunk;
  });
  local.write('PING\r\n');
  await once(local, 'data');
  // Its replies of the loop's time leave the kernel when this process has an event loop again.
  const runner = await Client.connect();
  let busy = 0;
  killer.onReply = () => {
    if (!killer.text.endsWith(BUSY)) return;
    killer.text = '';
    killer.send(++busy < 10 ? 'PING' : 'SCRIPT KILL');
  };
  local.write('GET x\r\n');
  whenBusy = () => killer.send('PING');
  runner.send(['EVAL', LOOP, '0']);
  await runner.until((all) => KILLED.test(all));
  while (!/x?\r\n.*\r\n/s.test(text)) await once(local, 'data');
  expect(text.replace('+PONG\r\n', '')).toMatch(/^(-BUSY.*|\$-1)\r\n$/);
  text = '';
  busy = 0;
  killer.text = '';
  whenBusy = () => killer.send('PING');
  local.write(`EVAL "${LOOP}" 0\r\nECHO behind\r\n`);
  while (!text.includes('behind')) await once(local, 'data');
  expect(text.replace(KILLED, '')).toBe('$6\r\nbehind\r\n');
  expect(busy).toBe(10);
  local.destroy();
});

it('a TLS client is told so and ends the script, and one that has run it loses nothing', async () => {
  const net = new Net(other, new SystemScheduler());
  const [runner, watcher, killer] = [await secureClient(net), await secureClient(net), await secureClient(net)];
  // Node's TLS has one piece on its way for each of them while this process, the other host too, stands in the loop.
  whenBusy = () => {
    watcher.socket.write('GET x\r\n');
    runner.socket.write('ECHO behind\r\n');
    whenBusy = () => killer.socket.write('SCRIPT KILL\r\n');
  };
  runner.socket.write(`EVAL "${LOOP}" 0\r\nECHO with\r\n`);
  await runner.until(/behind\r\n$/);
  expect(runner.text().replace(KILLED, '')).toBe('$4\r\nwith\r\n$6\r\nbehind\r\n');
  await Promise.all([watcher.until(/BUSY.*\r\n$/), killer.until(/OK\r\n$/)]);
  expect([watcher.text(), killer.text()]).toEqual([BUSY, '+OK\r\n']);
  for (const { socket } of [runner, watcher, killer]) socket.destroy();
});

async function secureClient(net: Net) {
  const socket = tls.connect({
    socket: net.connect({ host: '10.9.0.1', port: 6390, allowHalfOpen: true }) as unknown as Socket,
    rejectUnauthorized: false,
  });
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  await once(socket, 'secureConnect');
  return {
    socket,
    text: () => text,
    async until(done: RegExp): Promise<void> {
      while (!done.test(text)) await once(socket, 'data');
    },
  };
}
