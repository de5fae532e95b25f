// Programs written for node:net, unchanged over the user-space stack: Node's http and https, tls, and ioredis by a
// connector of its own.
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NetServer } from '../../src/net/server.ts';
import type { NetSocket } from '../../src/net/socket.ts';
import { type NetPair, openNetPair } from '../support/net-pair.ts';
import { undiciAgent } from '../support/undici.ts';

let net: NetPair;

beforeEach(() => {
  net = openNetPair();
});

afterEach(async () => {
  await net.close();
});

const asNodeSocket = (socket: NetSocket): Socket => socket as unknown as Socket;

async function listen(server: NetServer): Promise<number> {
  server.listen(0, net.host);
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

/** Serves http over the user-space stack. */
async function serveHttp(handler: http.RequestListener): Promise<[number, http.Server]> {
  const web = http.createServer(handler);
  const port = await listen(net.server.createServer({}, (socket) => web.emit('connection', socket)));
  return [port, web];
}

async function body(response: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function request(port: number, options: http.RequestOptions, content?: Buffer): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const req = http.request(
      {
        host: net.host,
        port,
        createConnection: (target) => asNodeSocket(net.client.connect(target as { port: number; host: string })),
        ...options,
      },
      resolve,
    );
    req.on('error', reject);
    req.end(content);
  });
}

/** A key and a certificate that nobody trusts. */
function certificate(): { key: Buffer; cert: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), 'wiredis-tls-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const words = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=wiredis.test';
    execFileSync('openssl', [...words.split(' '), '-keyout', key, '-out', cert], { stdio: 'ignore' });
    return { key: readFileSync(key), cert: readFileSync(cert) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('http', () => {
  test('GET and POST, with headers and a megabyte of body each way', async () => {
    const [port] = await serveHttp(async (req, res) => {
      const content = await body(req);
      res.setHeader('x-digest', createHash('sha256').update(content).digest('hex'));
      res.end(content);
    });
    const content = randomBytes(1 << 20);
    const response = await request(port, { method: 'POST', path: '/echo' }, content);
    expect(response.statusCode).toBe(200);
    expect(response.headers['x-digest']).toBe(createHash('sha256').update(content).digest('hex'));
    expect((await body(response)).equals(content)).toBe(true);
  });

  test('a keep-alive agent uses one connection for many requests', async () => {
    const peers = new Set<number | undefined>();
    const [port] = await serveHttp((req, res) => {
      peers.add(req.socket.remotePort);
      res.end(req.url);
    });
    class UserspaceAgent extends http.Agent {
      override createConnection(options: http.ClientRequestArgs): Socket {
        return asNodeSocket(net.client.connect({ port: options.port as number, host: net.host }));
      }
    }
    const agent = new UserspaceAgent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 10; i++) {
      const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
        http.get({ host: net.host, port, path: `/${i}`, agent }, resolve).on('error', reject);
      });
      expect(String(await body(response))).toBe(`/${i}`);
    }
    expect(peers.size).toBe(1);
    agent.destroy();
  });

  test('a request that is given up destroys the connection on both sides', async () => {
    let seen!: (req: http.IncomingMessage) => void;
    const arrived = new Promise<http.IncomingMessage>((resolve) => {
      seen = resolve;
    });
    const [port] = await serveHttp((req) => seen(req));
    const req = http.get({
      host: net.host,
      port,
      createConnection: () => asNodeSocket(net.client.connect({ port, host: net.host })),
    });
    req.on('error', () => {});
    const far = await arrived;
    const closed = once(far.socket, 'close');
    req.destroy();
    await closed;
  });

  test('upgrade hands the socket over', async () => {
    const [port, web] = await serveHttp(() => {});
    web.on('upgrade', (_req, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
      socket.pipe(socket);
    });
    const req = http.get({
      host: net.host,
      port,
      headers: { connection: 'Upgrade', upgrade: 'echo' },
      createConnection: () => asNodeSocket(net.client.connect({ port, host: net.host })),
    });
    const [, socket] = (await once(req, 'upgrade')) as [http.IncomingMessage, Socket];
    socket.write('hello');
    const [echo] = await once(socket, 'data');
    expect(String(echo)).toBe('hello');
    socket.destroy();
  });
});

describe('tls', () => {
  test('a TLS session over a user-space socket, both ways', async () => {
    const identity = certificate();
    const port = await listen(
      // Half open: TLS over a stream of JavaScript's, unlike over a socket of Node's own, ends with the stream below it.
      net.server.createServer({ allowHalfOpen: true }, (socket) => {
        const secure = new tls.TLSSocket(asNodeSocket(socket), { isServer: true, ...identity });
        secure.on('error', () => {});
        secure.pipe(secure);
      }),
    );
    const plain = net.client.connect({ port, host: net.host });
    const secure = tls.connect({ socket: asNodeSocket(plain), rejectUnauthorized: false });
    await once(secure, 'secureConnect');
    expect(secure.getPeerCertificate().subject.CN).toBe('wiredis.test');
    const content = randomBytes(200_000);
    secure.end(content);
    const chunks: Buffer[] = [];
    for await (const chunk of secure) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).equals(content)).toBe(true);
  });

  test('https server and client', async () => {
    const web = https.createServer(certificate(), (req, res) => res.end(`secret ${req.url}`));
    const port = await listen(net.server.createServer({}, (socket) => web.emit('connection', socket)));
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const plain = net.client.connect({ port, host: net.host });
      const secure = tls.connect({ socket: asNodeSocket(plain), rejectUnauthorized: false });
      https.get({ host: net.host, port, path: '/page', createConnection: () => secure }, resolve).on('error', reject);
    });
    expect(String(await body(response))).toBe('secret /page');
  });
});

describe('ioredis', () => {
  test('with a connector over the stack: commands, a pipeline, reconnection', async () => {
    let served = 0;
    const port = await listen(
      net.server.createServer({}, (socket) => {
        served++;
        socket.on('error', () => {});
        // Enough of a server: every line that ends a command is answered.
        socket.on('data', (chunk: Buffer) => {
          const commands = String(chunk).match(/^\*\d+\r$/gm) ?? [];
          socket.write('+PONG\r\n'.repeat(commands.length));
        });
        if (served === 1) socket.once('data', () => setImmediate(() => socket.resetAndDestroy()));
      }),
    );
    class Connector {
      stream: NetSocket | null = null;
      connecting = false;
      firstError: Error | undefined;
      check(): boolean {
        return true;
      }
      disconnect(): void {
        this.connecting = false;
        this.stream?.end();
      }
      async connect(): Promise<Socket> {
        this.connecting = true;
        this.stream = net.client.connect({ port, host: net.host });
        return asNodeSocket(this.stream);
      }
    }
    const redis = new Redis({
      Connector: Connector as never,
      enableReadyCheck: false,
      disableClientInfo: true,
      retryStrategy: () => 1,
      maxRetriesPerRequest: 5,
    });
    redis.on('error', () => {});
    expect(await redis.ping()).toBe('PONG');
    const answers = await redis.pipeline().ping().ping().ping().exec();
    expect(answers?.map(([, answer]) => answer)).toEqual(['PONG', 'PONG', 'PONG']);
    expect(served).toBeGreaterThan(1);
    redis.disconnect();
  });
});

describe('fetch', () => {
  test("with undici's connect option: a page, a body each way, one connection for several requests", async () => {
    const peers = new Set<number | undefined>();
    const [port] = await serveHttp(async (req, res) => {
      peers.add(req.socket.remotePort);
      res.end(
        createHash('sha256')
          .update(await body(req))
          .digest('hex'),
      );
    });
    const Agent = undiciAgent();
    const agent = new Agent({
      connections: 1,
      connect: (
        options: { hostname: string; port: string },
        done: (error: Error | null, socket?: NetSocket) => void,
      ) => {
        const socket = net.client.connect({ host: options.hostname, port: options.port, noDelay: true });
        socket.once('connect', () => done(null, socket)).once('error', done);
      },
    });
    const content = randomBytes(300_000);
    for (let i = 0; i < 3; i++) {
      const options = { method: 'POST', body: content, dispatcher: agent } as RequestInit;
      const response = await fetch(`http://${net.host}:${port}/`, options);
      expect(await response.text()).toBe(createHash('sha256').update(content).digest('hex'));
    }
    expect(peers.size).toBe(1);
    await agent.close();
  });
});
