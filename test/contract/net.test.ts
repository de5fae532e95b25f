// What Node documents of `net`, run over Node's own and over ours: one suite, two implementations.
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NetError } from '../../src/net/errors.ts';
import type { NetSocket } from '../../src/net/socket.ts';
import { NET_SIDES, type NetBench, text, tick } from '../support/net-bench.ts';

describe.each(NET_SIDES)('%s', (_name, open) => {
  let net: NetBench;
  beforeEach(() => {
    net = open();
  });
  afterEach(() => net.close());
  const serve: NetBench['serve'] = (...args) => net.serve(...args);
  const dial: NetBench['dial'] = (...args) => net.dial(...args);
  const pair: NetBench['pair'] = (...args) => net.pair(...args);

  describe('server', () => {
    test('listening is told, address() gives address, family and port', async () => {
      const [server, port] = await serve({}, () => {});
      expect(server.listening).toBe(true);
      expect(port).toBeGreaterThan(0);
      expect(server.address()).toEqual({ address: net.host, family: 'IPv4', port });
    });

    test('a port that is taken: error EADDRINUSE with syscall, address and port', async () => {
      const [, port] = await serve({}, () => {});
      const second = net.server.createServer();
      second.listen(port, net.host);
      const [error] = (await once(second, 'error')) as [NetError];
      expect(error).toMatchObject({ code: 'EADDRINUSE', syscall: 'listen', address: net.host, port });
      expect(error.message).toBe(`listen EADDRINUSE: address already in use ${net.host}:${port}`);
      expect(second.listening).toBe(false);
    });

    test('an address that is not ours: error EADDRNOTAVAIL', async () => {
      const server = net.server.createServer();
      server.listen(0, '192.0.2.1');
      const [error] = (await once(server, 'error')) as [NetError];
      expect(error).toMatchObject({ code: 'EADDRNOTAVAIL', syscall: 'listen' });
    });

    test('listen({ port, host, backlog }, callback)', async () => {
      const server = net.server.createServer();
      net.cleanup.push(() => server.close());
      await new Promise<void>((done) => {
        server.listen({ port: 0, host: net.host, backlog: 16 }, done);
      });
      expect(server.listening).toBe(true);
    });

    test('listening twice throws ERR_SERVER_ALREADY_LISTEN', async () => {
      const [server] = await serve({}, () => {});
      expect(() => server.listen(0, net.host)).toThrow(expect.objectContaining({ code: 'ERR_SERVER_ALREADY_LISTEN' }));
    });

    test('a bad port throws ERR_SOCKET_BAD_PORT', () => {
      const server = net.server.createServer();
      expect(() => server.listen(65536)).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_BAD_PORT' }));
      expect(() => net.client.connect(-1, net.host)).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_BAD_PORT' }));
    });

    test('connect without a port throws ERR_MISSING_ARGS', () => {
      expect(() => net.client.connect({})).toThrow(expect.objectContaining({ code: 'ERR_MISSING_ARGS' }));
    });

    test('close waits for the connections that exist', async () => {
      const [server, port] = await serve({}, () => {});
      const accepted = once(server, 'connection');
      const near = dial(port);
      await accepted;
      let closed = false;
      server.close(() => {
        closed = true;
      });
      expect(server.listening).toBe(false);
      await tick();
      await tick();
      expect(closed).toBe(false);
      const done = once(server, 'close');
      near.end();
      near.resume();
      await done;
      expect(closed).toBe(true);
    });

    test('closing one that does not listen gives ERR_SERVER_NOT_RUNNING', async () => {
      const server = net.server.createServer();
      const error = await new Promise<NetError | undefined>((done) => {
        server.close((problem) => done(problem as NetError));
      });
      expect(error?.code).toBe('ERR_SERVER_NOT_RUNNING');
    });

    test('a closed server can listen again', async () => {
      const server = net.server.createServer();
      for (let i = 0; i < 2; i++) {
        server.listen(0, net.host);
        await once(server, 'listening');
        const gone = once(server, 'close');
        server.close();
        await gone;
      }
      expect(server.listening).toBe(false);
    });

    test('getConnections counts', async () => {
      const [server, port] = await serve({}, () => {});
      const seen = once(server, 'connection');
      await once(dial(port), 'connect');
      await seen;
      const count = await new Promise<number>((done) => {
        server.getConnections((_error, n) => done(n));
      });
      expect(count).toBe(1);
    });

    test('maxConnections: the one too many is refused and told of by drop', async () => {
      const [server, port] = await serve({}, () => {});
      server.maxConnections = 1;
      const seen = once(server, 'connection');
      await once(dial(port), 'connect');
      await seen;
      const dropped = once(server, 'drop');
      const refused = dial(port);
      refused.on('error', () => {});
      refused.resume();
      const [data] = await dropped;
      expect(data).toMatchObject({ localPort: port, remoteFamily: 'IPv4' });
      await once(refused, 'close');
    });

    test('pauseOnConnect: nothing is read before resume()', async () => {
      const [near, far] = await pair({ pauseOnConnect: true });
      let got = '';
      far.on('data', (chunk) => {
        got += String(chunk);
      });
      expect(far.isPaused()).toBe(true);
      near.write('later');
      await new Promise((done) => setTimeout(done, 30));
      expect(got).toBe('');
      const data = once(far, 'data');
      far.resume();
      await data;
      expect(got).toBe('later');
    });
  });

  describe('connecting', () => {
    test('connect and ready come, in this order; connecting and readyState follow', async () => {
      const [, port] = await serve({}, () => {});
      const socket = dial(port);
      expect(socket.connecting).toBe(true);
      expect(socket.pending).toBe(true);
      expect(socket.readyState).toBe('opening');
      const events: string[] = [];
      socket.on('connect', () => events.push('connect'));
      socket.on('ready', () => events.push('ready'));
      await once(socket, 'ready');
      expect(events).toEqual(['connect', 'ready']);
      expect(socket.connecting).toBe(false);
      expect(socket.pending).toBe(false);
      expect(socket.readyState).toBe('open');
    });

    test('connect(port, host, listener)', async () => {
      const [, port] = await serve({}, () => {});
      await new Promise<void>((done) => {
        const socket = net.client.connect(port, net.host, done);
        net.cleanup.push(() => socket.destroy());
      });
    });

    test('new Socket().connect()', async () => {
      const [, port] = await serve({}, (far) => far.end('hello'));
      const socket = new net.client.Socket();
      expect(socket.readyState).toBe('open');
      socket.connect(port, net.host);
      expect(await text(socket)).toBe('hello');
    });

    test('addresses and ports of both ends', async () => {
      const [near, far] = await pair();
      expect(near.remoteAddress).toBe(net.host);
      expect(near.remotePort).toBe(far.localPort);
      expect(near.localPort).toBe(far.remotePort);
      expect(near.remoteFamily).toBe('IPv4');
      expect(far.address()).toEqual({ address: net.host, family: 'IPv4', port: far.localPort });
    });

    test('nobody listens: error ECONNREFUSED, then close with hadError', async () => {
      const [server, port] = await serve({}, () => {});
      server.close();
      await once(server, 'close');
      const socket = net.client.connect(port, net.host);
      const events: unknown[] = [];
      socket.on('error', (error) => events.push((error as NetError).code));
      const [hadError] = await once(socket, 'close').catch(() => [true]);
      events.push(hadError);
      expect(events[0]).toBe('ECONNREFUSED');
      expect(socket.destroyed).toBe(true);
    });

    test('the refusal is an error as Node makes it', async () => {
      const [server, port] = await serve({}, () => {});
      server.close();
      await once(server, 'close');
      const socket = net.client.connect(port, net.host);
      const error = await new Promise<NetError>((done) => {
        socket.once('error', (problem) => done(problem as NetError));
      });
      expect(error.message).toBe(`connect ECONNREFUSED ${net.host}:${port}`);
      expect(error).toMatchObject({ code: 'ECONNREFUSED', errno: -111, syscall: 'connect', address: net.host, port });
    });

    test('written and ended before the connection is there: delivered all the same', async () => {
      let got!: Promise<string>;
      const arrived = new Promise<void>((done) => {
        serve({}, (far) => {
          got = text(far);
          done();
        }).then(([, port]) => {
          const socket = dial(port);
          socket.write('early ');
          socket.end('bird');
          socket.resume();
        });
      });
      await arrived;
      expect(await got).toBe('early bird');
    });

    test('destroyed while connecting: close, no connect', async () => {
      const [, port] = await serve({}, () => {});
      const socket = dial(port);
      let connected = false;
      socket.on('connect', () => {
        connected = true;
      });
      socket.destroy();
      await once(socket, 'close');
      await new Promise((done) => setTimeout(done, 20));
      expect(connected).toBe(false);
    });

    test('an AbortSignal destroys the socket', async () => {
      const abort = new AbortController();
      const [, port] = await serve({}, () => {});
      const socket = dial(port, { signal: abort.signal });
      const failed = new Promise<Error>((done) => {
        socket.once('error', done);
      });
      abort.abort();
      expect((await failed).name).toBe('AbortError');
    });

    test('a custom lookup is asked for names, and told of', async () => {
      const [, port] = await serve({}, (far) => far.end());
      const asked: string[] = [];
      const socket = dial(port, {
        host: 'redis.example',
        lookup: (name: string, options: { all?: boolean }, done: (...results: unknown[]) => void) => {
          asked.push(name);
          if (options.all === true) setImmediate(done, null, [{ address: net.host, family: 4 }]);
          else setImmediate(done, null, net.host, 4);
        },
      });
      const told = once(socket, 'lookup');
      await once(socket, 'connect');
      expect(asked).toEqual(['redis.example']);
      expect((await told)[1]).toBe(net.host);
    });
  });

  describe('data', () => {
    test('bytes arrive whole and in order, strings in their encoding', async () => {
      const [near, far] = await pair();
      const all = text(far);
      near.write('grün ');
      near.write(Buffer.from([0x68, 0x69]));
      near.write('2068c3b6', 'hex');
      near.end();
      expect(await all).toBe('grün hi hö');
    });

    test('a megabyte each way at once', async () => {
      const [near, far] = await pair({ allowHalfOpen: true }, { allowHalfOpen: true });
      const bytes = Buffer.alloc(1 << 20);
      for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 7919) >>> 3;
      const read = async (socket: NetSocket): Promise<Buffer> => {
        const chunks: Buffer[] = [];
        for await (const chunk of socket) chunks.push(chunk as Buffer);
        return Buffer.concat(chunks);
      };
      const both = Promise.all([read(near), read(far)]);
      near.end(bytes);
      far.end(bytes);
      const [a, b] = await both;
      expect(a.equals(bytes)).toBe(true);
      expect(b.equals(bytes)).toBe(true);
    });

    test('write returns false above the mark; drain follows when the reader goes on', async () => {
      const [near, far] = await pair();
      far.pause();
      const chunk = Buffer.alloc(256 * 1024);
      let written = 0;
      while (near.write(chunk) && written < 400) written++;
      // What the kernel or the stack holds is bounded: in the end write says no.
      for (let i = 0; i < 64; i++) near.write(chunk);
      expect(near.writableNeedDrain).toBe(true);
      const drained = once(near, 'drain');
      far.resume();
      await drained;
      expect(near.writableLength).toBe(0);
    });

    test('a paused reader reads nothing; resume goes on', async () => {
      const [near, far] = await pair();
      let got = 0;
      far.on('data', (chunk: Buffer) => {
        got += chunk.length;
      });
      far.pause();
      near.write('x'.repeat(1000));
      await new Promise((done) => setTimeout(done, 30));
      expect(got).toBe(0);
      far.resume();
      while (got < 1000) await tick();
      expect(got).toBe(1000);
    });

    test('write callbacks come in order, bytesWritten and bytesRead count', async () => {
      const [near, far] = await pair();
      const order: number[] = [];
      const all = text(far);
      near.write('12345', () => order.push(1));
      near.write('678', () => order.push(2));
      near.end(() => order.push(3));
      expect(await all).toBe('12345678');
      await tick();
      expect(order).toEqual([1, 2, 3]);
      expect(near.bytesWritten).toBe(8);
      expect(far.bytesRead).toBe(8);
    });

    test('setEncoding gives strings', async () => {
      const [near, far] = await pair();
      far.setEncoding('utf8');
      near.end('zürich');
      const chunks: unknown[] = [];
      for await (const chunk of far) chunks.push(chunk);
      expect(chunks.join('')).toBe('zürich');
      expect(typeof chunks[0]).toBe('string');
    });

    test('onread: data comes in the given buffer', async () => {
      const buffer = Buffer.alloc(64);
      const got: string[] = [];
      let done!: () => void;
      const arrived = new Promise<void>((resolve) => {
        done = resolve;
      });
      const [, port] = await serve({}, (far) => far.write('into the buffer'));
      const socket = net.client.connect({
        port,
        host: net.host,
        onread: {
          buffer,
          callback: (length: number, into: Buffer) => {
            got.push(into.subarray(0, length).toString());
            done();
            return true;
          },
        },
      });
      net.cleanup.push(() => socket.destroy());
      await arrived;
      expect(got.join('')).toBe('into the buffer');
    });

    test('pipe: an echo server', async () => {
      const [, port] = await serve({ allowHalfOpen: true }, (far) => far.pipe(far));
      const socket = dial(port);
      socket.end('echo me');
      expect(await text(socket)).toBe('echo me');
    });
  });

  describe('the end', () => {
    test('end: the other side sees end, and ends itself', async () => {
      const [near, far] = await pair();
      const closed = Promise.all([once(near, 'close'), once(far, 'close')]);
      const ended = once(far, 'end');
      far.resume();
      near.resume();
      near.end();
      await ended;
      const [[nearHadError], [farHadError]] = await closed;
      expect([nearHadError, farHadError]).toEqual([false, false]);
    });

    test('allowHalfOpen: after the end of the peer writing goes on', async () => {
      const [near, far] = await pair({ allowHalfOpen: true });
      const answer = text(near);
      far.resume();
      const ended = once(far, 'end');
      near.end('question');
      await ended;
      expect(far.writable).toBe(true);
      expect(far.readyState).toBe('writeOnly');
      far.end('answer');
      expect(await answer).toBe('answer');
    });

    test('destroy: close without error, the other side sees the end', async () => {
      const [near, far] = await pair();
      far.resume();
      const seen = once(far, 'end');
      near.destroy();
      const [hadError] = await once(near, 'close');
      expect(hadError).toBe(false);
      expect(near.readyState).toBe('closed');
      await seen;
    });

    test('destroy(error): error, then close with hadError', async () => {
      const [near] = await pair();
      const events: unknown[] = [];
      near.removeAllListeners('error');
      near.on('error', (error) => events.push(error.message));
      near.on('close', (hadError: boolean) => events.push(hadError));
      const gone = new Promise<void>((done) => {
        near.once('close', () => done());
      });
      near.destroy(new Error('enough'));
      await gone;
      expect(events).toEqual(['enough', true]);
    });

    test('what was written before destroy() arrives', async () => {
      const [near, far] = await pair();
      const all = text(far);
      near.write('last words');
      await tick();
      near.destroy();
      expect(await all).toBe('last words');
    });

    test('resetAndDestroy: the other side gets ECONNRESET', async () => {
      const [near, far] = await pair();
      const failed = new Promise<NetError>((done) => {
        far.once('error', (error) => done(error as NetError));
      });
      far.resume();
      near.resetAndDestroy();
      const error = await failed;
      expect(error).toMatchObject({ code: 'ECONNRESET', syscall: 'read', errno: -104 });
      expect(error.message).toBe('read ECONNRESET');
    });

    test('writing after end is an error', async () => {
      const [near] = await pair();
      near.removeAllListeners('error');
      near.end();
      const failed = new Promise<NetError>((done) => {
        near.once('error', (error) => done(error as NetError));
      });
      near.write('too late');
      expect((await failed).code).toBe('ERR_STREAM_WRITE_AFTER_END');
    });

    test('the peer has closed for good: writing ends with EPIPE or ECONNRESET', async () => {
      const [near, far] = await pair({ allowHalfOpen: true });
      far.resume();
      const ended = once(far, 'end');
      near.destroy();
      await ended;
      const failed = new Promise<NetError>((done) => {
        far.once('error', (error) => done(error as NetError));
      });
      const timer = setInterval(() => far.write('anyone?'), 5);
      net.cleanup.push(() => clearInterval(timer));
      expect(['EPIPE', 'ECONNRESET']).toContain((await failed).code);
    });

    test('destroySoon writes what waits, then destroys', async () => {
      const [near, far] = await pair();
      const all = text(far);
      near.write('x'.repeat(300_000));
      (near as unknown as { destroySoon(): void }).destroySoon();
      expect((await all).length).toBe(300_000);
      expect(near.destroyed).toBe(true);
    });
  });

  describe('options', () => {
    test('setTimeout tells of silence and leaves the socket open', async () => {
      const [near] = await pair();
      near.setTimeout(20);
      expect(near.timeout).toBe(20);
      await once(near, 'timeout');
      expect(near.destroyed).toBe(false);
      near.setTimeout(0);
    });

    test('traffic puts the timeout off', async () => {
      const [near, far] = await pair();
      let early = false;
      near.setTimeout(1000, () => {
        early = true;
      });
      near.resume();
      for (let i = 0; i < 14; i++) {
        far.write('.');
        await new Promise((done) => setTimeout(done, 100));
      }
      expect(early).toBe(false);
      near.setTimeout(0);
    });

    test('setters give the socket back, before and after it is connected', async () => {
      const [, port] = await serve({}, () => {});
      const socket = dial(port);
      expect(socket.setNoDelay(true)).toBe(socket);
      expect(socket.setKeepAlive(true, 1000)).toBe(socket);
      await once(socket, 'connect');
      expect(socket.setNoDelay(false).setKeepAlive(false).setTimeout(0)).toBe(socket);
      expect(socket.ref().unref()).toBe(socket);
    });

    test('what a listener throws reaches nobody else', async () => {
      const [near, far] = await pair();
      const all = text(far);
      const caught = new Promise<Error>((done) => {
        const before = process.listeners('uncaughtException');
        process.removeAllListeners('uncaughtException');
        process.once('uncaughtException', (error) => {
          for (const listener of before) process.on('uncaughtException', listener);
          done(error);
        });
      });
      near.once('timeout', () => {
        throw new Error('mine');
      });
      near.setTimeout(10);
      expect((await caught).message).toBe('mine');
      near.end('still here');
      expect(await all).toBe('still here');
    });
  });
});
