// `core relay` over both transports: what one side does, the other sees. Behind it a redis-server, or a listener of the
// test's own where the moment matters.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import nodeNet, { type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as calls from '../../io-engine/linux/libc.ts';
import { screenLines } from '../../src/cli/observe/top-screen.ts';
import { Net } from '../../src/net/net.ts';
import { openStream } from '../../src/observe/control-client.ts';
import type { TopReading } from '../../src/observe/top-feed.ts';
import { SystemClock } from '../../src/platform/clock.ts';
import { Log } from '../../src/platform/log.ts';
import { SystemScheduler } from '../../src/platform/timers.ts';
import { RelayServer } from '../../src/relay/relay-server.ts';
import { refuseCoreSettings } from '../../src/relay/relay-settings.ts';
import { KernelTransport } from '../../src/transports/kernel.ts';
import type { Transport } from '../../src/transports/transport.ts';
import { configOf } from '../support/config-of.ts';
import { freePort, redisInstalled } from '../support/redis-server.ts';
import { openUserspacePair, PAIR_HOST } from '../support/userspace-pair.ts';

interface Ground {
  readonly transport: Transport;
  /** Where the relay listens. */
  readonly host: string;
  connect(port: number): Socket;
  close(): Promise<void>;
}

const scheduler = new SystemScheduler();
const clock = new SystemClock();

function kernelGround(): Ground {
  const transport = new KernelTransport({ clock, scheduler, keepAliveSeconds: () => 0 });
  const connect = (port: number): Socket => nodeNet.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  return { transport, host: '127.0.0.1', connect, close: async () => {} };
}

function userspaceGround(): Ground {
  const [transport, there] = openUserspacePair();
  const net = new Net(there, scheduler);
  const connect = (port: number): Socket =>
    net.connect({ port, host: PAIR_HOST, allowHalfOpen: true }) as unknown as Socket;
  return { transport, host: PAIR_HOST, connect, close: () => net.close() };
}

/** Everything until the end, or until the connection breaks. */
async function everything(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => (text += String(chunk)));
  await Promise.race([once(socket, 'end'), once(socket, 'close')]).catch(() => {});
  return text;
}

async function until(ready: () => boolean): Promise<void> {
  for (let waitedMs = 0; !ready(); waitedMs += 10) {
    if (waitedMs > 10_000) throw new Error('waited in vain');
    await sleep(10);
  }
}

/** The value once it stands still. */
async function settled(value: () => number): Promise<number> {
  let last = -1;
  for (let still = 0; still < 5; await sleep(100)) {
    still = value() === last ? still + 1 : 0;
    last = value();
  }
  return last;
}

/** More than all buffers on the way hold. */
const TOTAL = 12 * 1024 * 1024;

/** Sends TOTAL bytes, as the socket takes them, and ends it. @returns how many it was given so far. */
function sendAll(socket: Socket): () => number {
  const chunk = Buffer.alloc(64 * 1024, 'abcdefgh');
  let sent = 0;
  const pump = (): void => {
    while (sent < TOTAL) {
      sent += chunk.length;
      if (!socket.write(chunk)) return;
    }
    socket.end();
  };
  socket.on('drain', pump);
  pump();
  return () => sent;
}

/** What `sendAll` sent, until its end: how many bytes, and how many of those looked at are others. */
async function receiveAll(socket: Socket): Promise<{ received: number; wrong: number }> {
  let received = 0;
  let wrong = 0;
  socket.on('data', (piece: Buffer) => {
    for (let i = 0; i < piece.length; i += 1021) if (piece[i] !== 97 + ((received + i) % 8)) wrong++;
    received += piece.length;
  });
  await once(socket.resume(), 'end');
  return { received, wrong };
}

describe.each([
  ['kernel', kernelGround],
  ['userspace', userspaceGround],
])('relay over %s', (_name, openGround) => {
  let ground: Ground;
  let folder: string;
  let path: string;
  let port: number;
  let relay: RelayServer;
  let said: string;
  let cleanup: (() => void)[];
  let stopped: Promise<boolean>;

  beforeEach(async () => {
    ground = openGround();
    folder = mkdtempSync(join(tmpdir(), 'relay-test-'));
    path = join(folder, 'upstream.sock');
    port = await freePort();
    said = '';
    cleanup = [];
  });

  afterEach(async () => {
    for (const undo of cleanup) undo();
    relay.config.shutdownTimeout = 0;
    relay.shutdown();
    await stopped;
    await ground.close();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  async function start(directives: Readonly<Record<string, string | number>> = {}): Promise<void> {
    const own = { bind: ground.host, port, 'protected-mode': 'no', 'control-socket': '', core: 'relay' };
    const upstream = 'relay-spawn' in directives ? {} : { 'relay-upstream': `unix:${path}` };
    const log = new Log({ write: (line) => void (said += line) });
    const config = configOf({ ...own, ...upstream, ...directives });
    relay = new RelayServer(config, { clock, scheduler, log }, ground.transport, calls);
    stopped = new Promise((resolve) => {
      relay.onStopped = resolve;
    });
    await relay.start();
  }

  /** Plays the Redis server. */
  async function listen(onConnection: (socket: Socket) => void, where: string | number = path): Promise<void> {
    const server = nodeNet.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      cleanup.push(() => socket.destroy());
      onConnection(socket);
    });
    if (typeof where === 'string') server.listen(where);
    else server.listen(where, '127.0.0.1');
    await once(server, 'listening');
    cleanup.push(() => server.close());
  }

  function dial(): Socket {
    const socket = ground.connect(port);
    socket.on('error', () => {});
    cleanup.push(() => socket.destroy());
    return socket;
  }

  /** A client and the upstream's end of its connection. */
  async function pair(where: string | number = path): Promise<[client: Socket, upstream: Socket]> {
    let accepted!: (socket: Socket) => void;
    const far = new Promise<Socket>((resolve) => (accepted = resolve));
    await listen((socket) => accepted(socket), where);
    const client = dial();
    return [client, await far];
  }

  test('half-close travels both ways, bytes behind it still arrive', async () => {
    await start();
    const [client, upstream] = await pair();
    const heard = everything(upstream);
    client.end('PING\r\n');
    expect(await heard).toBe('PING\r\n');
    const answer = everything(client);
    upstream.end('+PONG\r\n');
    expect(await answer).toBe('+PONG\r\n');
    await until(() => relay.facts().clients === 0);
    expect(relay.facts()).toMatchObject({ accepted: 1, bytesIn: 6, bytesOut: 7, turnedAway: 0 });
  });

  test('the upstream that closes first: the client gets what it said, then the end', async () => {
    await start();
    const [client, upstream] = await pair();
    const answer = everything(client);
    upstream.write('+OK\r\n');
    upstream.destroySoon();
    expect(await answer).toBe('+OK\r\n');
    client.end();
    await until(() => relay.facts().clients === 0);
  });

  test('a reset of the client ends the upstream connection, over TCP as a reset', async () => {
    const upstreamPort = await freePort();
    await start({ 'relay-upstream': `tcp:127.0.0.1:${upstreamPort}` });
    const [client, upstream] = await pair(upstreamPort);
    client.write('x');
    await once(upstream, 'data');
    const broken = once(upstream, 'error') as Promise<[NodeJS.ErrnoException]>;
    client.resetAndDestroy();
    expect((await broken)[0].code).toBe('ECONNRESET');
    await until(() => relay.facts().clients === 0);
  });

  test('a reset of the upstream resets the client', async () => {
    const upstreamPort = await freePort();
    await start({ 'relay-upstream': `tcp:127.0.0.1:${upstreamPort}` });
    const [client, upstream] = await pair(upstreamPort);
    const broken = once(client, 'error') as Promise<[NodeJS.ErrnoException]>;
    client.write('x');
    await once(upstream, 'data');
    upstream.resetAndDestroy();
    expect((await broken)[0].code).toBe('ECONNRESET');
    await until(() => relay.facts().clients === 0);
  });

  test('a client that does not read stops the upstream; nothing is lost', async () => {
    await start();
    const [client, upstream] = await pair();
    client.pause();
    const sent = sendAll(upstream);
    expect(await settled(sent)).toBeLessThan(TOTAL);
    expect(await receiveAll(client)).toEqual({ received: TOTAL, wrong: 0 });
  });

  test('an upstream that does not read stops the client; nothing is lost', async () => {
    await start();
    const [client, upstream] = await pair();
    upstream.pause();
    sendAll(client);
    expect(await settled(() => relay.facts().bytesIn)).toBeLessThan(TOTAL);
    expect(await receiveAll(upstream)).toEqual({ received: TOTAL, wrong: 0 });
  });

  test('an upstream that is down: -LOADING after some tries, and a line in the log', async () => {
    await start();
    const client = dial();
    client.write('PING\r\n');
    expect(await everything(client)).toMatch(/^-LOADING The Redis server behind this relay .*\(ENOENT\).*\r\n$/);
    expect(said).toContain(`The upstream unix:${path} does not answer: ENOENT`);
    expect(relay.facts()).toMatchObject({ upstreamDown: true, turnedAway: 1, upstreamFailures: 7, clients: 0 });
  });

  test('an upstream that comes back in time: the client notices a pause only', async () => {
    await start();
    const client = dial();
    client.write('PING\r\n');
    await until(() => relay.facts().upstreamFailures > 2);
    expect(relay.facts().waiting).toBe(1);
    await listen((socket) => socket.on('data', () => socket.write('+PONG\r\n')));
    const [answer] = await once(client, 'data');
    expect(String(answer)).toBe('+PONG\r\n');
    expect(said).toContain('answers again');
    expect(relay.facts()).toMatchObject({ upstreamDown: false, waiting: 0, turnedAway: 0 });
  });

  test('what the upstream says before it hangs up arrives although the client goes on writing', async () => {
    await start();
    const [client, upstream] = await pair();
    const answer = everything(client);
    const writing = setInterval(() => client.write('x'.repeat(1000)), 1);
    cleanup.push(() => clearInterval(writing));
    await once(upstream, 'data');
    upstream.write('-ERR Protocol error\r\n', () => upstream.destroy());
    expect(await answer).toBe('-ERR Protocol error\r\n');
    clearInterval(writing);
    client.end();
    await until(() => relay.facts().clients === 0);
  });

  test('relay-forward: another port goes to an upstream of its own, and is reset when that is away', async () => {
    const [otherPort, upstreamPort] = [await freePort(), await freePort()];
    await start({ 'relay-forward': `${otherPort} tcp:127.0.0.1:${upstreamPort}` });
    const dialOther = (): Socket => {
      const socket = ground.connect(otherPort);
      cleanup.push(() => socket.destroy());
      return socket;
    };
    const lost = dialOther();
    const broken = once(lost, 'error') as Promise<[NodeJS.ErrnoException]>;
    expect((await broken)[0].code).toBe('ECONNRESET');
    await listen((socket) => socket.on('data', (bytes) => socket.end(bytes)), upstreamPort);
    const served = dialOther();
    served.end('RCmb');
    expect(await everything(served)).toBe('RCmb');
    expect(relay.facts()).toMatchObject({ accepted: 0, forwards: [{ port: otherPort, accepted: 2, turnedAway: 1 }] });
  });

  test('metrics-port', async () => {
    const metricsPort = await freePort();
    await listen((socket) => socket.on('data', () => socket.write('+PONG\r\n')));
    await start({ 'metrics-port': metricsPort });
    const client = dial();
    client.write('PING\r\n');
    await once(client, 'data');
    const url = `http://127.0.0.1:${metricsPort}`;
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toContain('wiredis_relay_clients{port="main"} 1\n');
    expect(text).toContain('wiredis_relay_bytes_from_upstream_total{port="main"} 7\n');
    expect(text.includes('node_netstat_Tcp_PassiveOpens')).toBe(ground.transport.name === 'userspace');
    expect(await (await fetch(`${url}/`)).text()).toContain('<title>wiredis</title>');
    // Measured since the port is open.
    expect(text).toContain('wiredis_relay_answer_usec_count 1\n');
    const { rows, total } = (await (await fetch(`${url}/api/connections`)).json()) as {
      total: number;
      rows: { address: string; tcp: object | null; memory: number | null }[];
    };
    expect(total).toBe(1);
    expect(rows).toMatchObject([{ id: 1, memory: null }]);
    expect(rows[0].tcp !== null).toBe(ground.transport.name === 'userspace');
    const sequence = await fetch(`${url}/api/connections/1/sequence`);
    expect(sequence.status).toBe(ground.transport.name === 'userspace' ? 200 : 404);
    await sequence.body?.cancel();
  });

  test('top: answers and how long they take, from when somebody looks', async () => {
    const control = join(folder, 'control.sock');
    await listen((socket) =>
      socket.on('data', () => {
        const answer = scheduler.createAlarm(() => socket.write('+PONG\r\n'));
        answer.arm(30);
        cleanup.push(() => answer.disarm());
      }),
    );
    await start({ 'control-socket': control });
    const client = dial();
    const ask = async (): Promise<void> => {
      client.write('PING\r\n');
      await once(client, 'data');
    };
    await ask();
    expect(relay.relay.meter).toBeNull();
    const stream = await openStream(control, 'top', { intervalMs: 500 });
    cleanup.push(() => stream.close());
    const next = stream.line();
    await expect.poll(() => relay.relay.meter).not.toBeNull();
    for (let i = 0; i < 3; i++) await ask();
    const { server, reading, connections } = (await next) as TopReading;
    expect(server).toMatchObject({ isRelay: true, port, pid: process.pid, transport: ground.transport.name });
    expect(reading).toMatchObject({ clients: 1, blocked: 0, errors: 0 });
    expect(reading.commands).toBeGreaterThan(0);
    expect(reading.bytesIn).toBeGreaterThan(0);
    // The upstream waits for that long; a timer may be a millisecond early.
    expect(reading.latency.p50).toBeGreaterThanOrEqual(28_000);
    expect(reading.busiest).toMatchObject([{ name: `${port} to unix:${path}` }]);
    expect(reading.busiest[0].meanUs).toBeGreaterThanOrEqual(28_000);
    expect(connections).toMatchObject([{ id: 1, command: '' }]);
    const text = screenLines(
      { server, reading, connections, seconds: 1 },
      { width: 200, height: 40, colour: false, sort: 'traffic', isPaused: false, isOverdue: false, keys: false },
    ).join('\n');
    expect(text).toMatch(/ relay {2}/);
    expect(text).toMatch(/^answers\/s [1-9]/m);
    expect(text).toMatch(/^upstream {2}p50 [\d.]+ms {2}p90 /m);
    expect(text).toMatch(/^Upstream +Answers\/s +Mean/m);
  });

  test('tls-port: TLS ends here, the upstream speaks plain', async () => {
    const tlsPort = await freePort();
    const words = '-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=relay';
    execFileSync('openssl', ['req', ...words.split(' '), '-keyout', 'key.pem', '-out', 'cert.pem'], {
      cwd: folder,
      stdio: 'ignore',
    });
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const files = { 'tls-cert-file': cert, 'tls-key-file': key, 'tls-ca-cert-file': cert };
    await listen((socket) => socket.on('data', (bytes) => socket.write(bytes)).on('end', () => socket.end()));
    await start({ 'tls-port': tlsPort, 'tls-auth-clients': 'no', ...files });
    const raw = ground.connect(tlsPort);
    cleanup.push(() => raw.destroy());
    const client = tls.connect({ socket: raw, ca: readFileSync(cert), checkServerIdentity: () => undefined });
    await once(client, 'secureConnect');
    const value = Buffer.alloc(1_000_000, 'abcdefgh');
    client.write(value);
    const pieces: Buffer[] = [];
    client.on('data', (piece: Buffer) => pieces.push(piece));
    await until(() => pieces.reduce((sum, piece) => sum + piece.length, 0) === value.length);
    expect(Buffer.concat(pieces).equals(value)).toBe(true);
    expect(relay.facts()).toMatchObject({ clients: 1, bytesIn: value.length, bytesOut: value.length });
    client.end();
    await until(() => relay.facts().clients === 0);
  });

  test('maxclients', async () => {
    await listen((socket) => socket.on('data', () => socket.write('+PONG\r\n')));
    await start({ maxclients: 2 });
    const clients = [dial(), dial()];
    for (const client of clients) {
      client.write('PING\r\n');
      await once(client, 'data');
    }
    expect(await everything(dial())).toBe('-ERR max number of clients reached\r\n');
    expect(relay.facts()).toMatchObject({ clients: 2, rejected: 1 });
  });

  test('shutdown: a reply on its way is delivered, what is idle ends at once, no new clients', async () => {
    let owed!: Socket;
    await listen((socket) =>
      socket.on('data', (chunk) => {
        if (String(chunk) === 'SLOW\r\n') owed = socket;
        else socket.write('+PONG\r\n');
      }),
    );
    await start();
    const [idle, slow] = [dial(), dial()];
    idle.write('PING\r\n');
    await once(idle, 'data');
    slow.write('SLOW\r\n');
    await until(() => owed !== undefined);
    const answer = everything(slow);
    relay.shutdown();
    await once(idle.resume(), 'end');
    idle.end();
    owed.write('+at last\r\n');
    expect(await answer).toBe('+at last\r\n');
    slow.end();
    expect(await stopped).toBe(false);
  });

  test('shutdown waits no longer than shutdown-timeout', async () => {
    await listen(() => {});
    await start({ 'shutdown-timeout': 1 });
    const client = dial();
    client.write('BLPOP nothing 0\r\n');
    await until(() => relay.facts().bytesIn > 0);
    const began = performance.now();
    relay.shutdown();
    client.resume().on('end', () => client.end());
    await stopped;
    expect(performance.now() - began).toBeGreaterThan(900);
    expect(performance.now() - began).toBeLessThan(6000);
  });

  describe.skipIf(!redisInstalled)('a redis-server of its own', { timeout: 60_000 }, () => {
    const command = 'redis-server --save "" --enable-debug-command yes';
    const ask = async (client: Socket, line: string): Promise<string> => {
      client.write(`${line}\r\n`);
      return String((await once(client, 'data'))[0]);
    };

    test('is started, serves, is started again when it dies, and ends with the relay', async () => {
      await start({ 'relay-spawn': command, dir: folder });
      const first = dial();
      expect(await ask(first, 'SET a 1')).toBe('+OK\r\n');
      // Its log comes by a pipe, and takes its time.
      await until(() => said.includes('redis: Running mode=standalone, port=0'));
      const { childPid } = relay.facts();
      process.kill(childPid!, 'SIGKILL');
      await everything(first);
      const second = dial();
      expect(await ask(second, 'GET a')).toBe('$-1\r\n');
      expect(said).toContain(`(pid ${childPid}) has ended with SIGKILL; started again in 100 ms`);
      expect(relay.facts().childRestarts).toBe(1);
      const last = relay.facts().childPid!;
      second.end();
      relay.shutdown();
      expect(await stopped).toBe(false);
      expect(() => process.kill(last, 0)).toThrow('ESRCH');
    });

    test('that takes its time to come back: a client waits for it', async () => {
      await start({ 'relay-spawn': `sh -c 'sleep 2; exec redis-server "$@"' redis --save ""` });
      const first = dial();
      expect(await ask(first, 'PING')).toBe('+PONG\r\n');
      process.kill(relay.facts().childPid!, 'SIGKILL');
      await everything(first);
      expect(await ask(dial(), 'PING')).toBe('+PONG\r\n');
      expect(relay.facts()).toMatchObject({ childRestarts: 1, turnedAway: 0 });
    });

    test('that dies before it has looked at a request: the next one serves it', async () => {
      await start({ 'relay-spawn': command });
      const childPid = relay.facts().childPid!;
      process.kill(childPid, 'SIGSTOP');
      const [early, silent, twice] = [dial(), dial(), dial()];
      early.write('INCR n\r\n');
      await until(() => relay.facts().bytesIn === 8);
      twice.write('INCR n\r\n');
      await until(() => relay.facts().bytesIn === 16);
      twice.write('INCR n\r\n');
      await until(() => relay.facts().bytesIn === 24);
      await until(() => relay.facts().clients === 3 && relay.facts().waiting === 0);
      const answered = once(early, 'data');
      const broken = once(twice, 'error') as Promise<[NodeJS.ErrnoException]>;
      process.kill(childPid, 'SIGKILL');
      expect(String((await answered)[0])).toBe(':1\r\n');
      // One of its two requests may have been served, for all we know.
      expect((await broken)[0].code).toBe('ECONNRESET');
      expect(await ask(silent, 'GET n')).toBe('$1\r\n1\r\n');
      expect(relay.facts()).toMatchObject({ childRestarts: 1, turnedAway: 0, clients: 2 });
    });

    test('SHUTDOWN from a client ends the relay too', async () => {
      await start({ 'relay-spawn': command });
      const client = dial();
      client.write('SHUTDOWN NOSAVE\r\n');
      await everything(client);
      client.end();
      expect(await stopped).toBe(false);
      expect(said).toContain('was shut down');
    });

    test('values of a megabyte and a pipeline arrive whole', async () => {
      await start({ 'relay-spawn': command });
      const client = dial();
      const value = 'v'.repeat(1_000_000);
      expect(await ask(client, `*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$${value.length}\r\n${value}`)).toBe('+OK\r\n');
      let text = '';
      client.on('data', (chunk) => (text += String(chunk)));
      client.write('GET b\r\n'.repeat(5) + 'PING\r\n'.repeat(1000));
      await until(() => text.endsWith('+PONG\r\n') && text.length === 5 * (value.length + 12) + 7000);
      expect(text.slice(0, 10)).toBe('$1000000\r\n');
    });
  });
});

describe('settings', () => {
  const refusal = (directives: Record<string, string>): string => {
    try {
      refuseCoreSettings({ config: configOf(directives) });
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };

  test('who may do what is for the Redis server to say, and there has to be exactly one', () => {
    expect(refusal({ 'relay-upstream': 'unix:/x', requirepass: 'p' })).toContain('put requirepass into the redis.conf');
    expect(refusal({})).toContain('wants a Redis server');
    expect(refusal({ 'relay-upstream': 'unix:/x', 'relay-spawn': 'redis-server' })).toContain('leave relay-upstream');
    expect(refusal({ 'relay-spawn': 'redis-server --save ""' })).toBe('');
  });

  test('the upstream is a path or a host and a port', () => {
    for (const wrong of ['/run/redis.sock', 'tcp:host', 'tcp:host:0', 'http://x']) {
      expect(() => configOf({ 'relay-upstream': wrong })).toThrow('unix:PATH or tcp:HOST:PORT');
    }
    expect(configOf({ 'relay-forward': '16379 unix:/x' }).relayForward).toEqual([{ port: 16379, upstream: 'unix:/x' }]);
    for (const wrong of ['16379', '0 unix:/x', '70000 unix:/x', 'unix:/x 16379', '1 unix:/x 2']) {
      expect(() => configOf({ 'relay-forward': wrong })).toThrow('argument must be PORT and');
    }
    expect(configOf({ 'relay-spawn': 'redis-server --save ""' }).relaySpawn).toEqual(['redis-server', '--save', '']);
  });
});
