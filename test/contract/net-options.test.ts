// What Node documents of `net`, second part: every member, and the options and events of opening and closing; run over
// Node's own and over ours. What only a newer Node has is asked of ours alone.
import { once } from 'node:events';
import nodeNet from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NetError } from '../../src/net/errors.ts';
import type { NetSocket } from '../../src/net/socket.ts';
import { NET_SIDES, type NetBench, text, tick } from '../support/net-bench.ts';

type Lookup = (name: string, options: { all?: boolean }, done: (...results: unknown[]) => void) => void;

/** A `lookup` that finds these, whatever the name. */
const finding =
  (...addresses: string[]): Lookup =>
  (_name, options, done) => {
    const found = addresses.map((address) => ({ address, family: nodeNet.isIP(address) }));
    if (options.all === true) setImmediate(done, null, found);
    else setImmediate(done, null, found[0].address, found[0].family);
  };

const errorOf = (emitter: { once(event: 'error', listener: (error: Error) => void): unknown }): Promise<NetError> =>
  new Promise((done) => emitter.once('error', (error) => done(error as NetError)));

/** Node's since 22.13. */
const hasBlockListOption = (name: string): boolean => {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return name !== 'node:net' || major > 22 || (major === 22 && minor >= 13);
};

describe.each(NET_SIDES)('%s', (name, open) => {
  let net: NetBench;
  beforeEach(() => {
    net = open();
  });
  afterEach(() => net.close());

  describe('members', () => {
    test('the module', () => {
      const kinds = Object.fromEntries(
        [
          ...['BlockList', 'SocketAddress', 'Server', 'Socket', 'connect', 'createConnection', 'createServer', 'isIP'],
          ...['isIPv4', 'isIPv6', 'getDefaultAutoSelectFamily', 'setDefaultAutoSelectFamily'],
          ...['getDefaultAutoSelectFamilyAttemptTimeout', 'setDefaultAutoSelectFamilyAttemptTimeout'],
        ].map((member) => [member, typeof net.client[member as 'Socket']]),
      );
      expect(new Set(Object.values(kinds)), JSON.stringify(kinds)).toEqual(new Set(['function']));
    });

    test('a server', async () => {
      const [server] = await net.serve({}, () => {});
      const methods = ['address', 'close', 'getConnections', 'listen', 'ref', 'unref', Symbol.asyncDispose] as const;
      for (const method of methods) expect(server[method], String(method)).toBeTypeOf('function');
      expect(server.listening).toBe(true);
      expect(server.maxConnections).toBeUndefined();
      expect(server).toBeInstanceOf(net.server.Server);
    });

    test('a socket', async () => {
      const [near] = await net.pair();
      const methods = [
        ...(['address', 'connect', 'destroy', 'destroySoon', 'end', 'pause', 'ref', 'resetAndDestroy'] as const),
        ...(['resume', 'setEncoding', 'setKeepAlive', 'setNoDelay', 'setTimeout', 'unref', 'write'] as const),
      ];
      for (const method of methods) expect(near[method], method).toBeTypeOf('function');
      const numbers = ['bufferSize', 'bytesRead', 'bytesWritten', 'localPort', 'remotePort'] as const;
      for (const member of numbers) expect(near[member], member).toBeTypeOf('number');
      const texts = ['localAddress', 'localFamily', 'remoteAddress', 'remoteFamily', 'readyState'] as const;
      for (const member of texts) expect(near[member], member).toBeTypeOf('string');
      for (const member of ['connecting', 'destroyed', 'pending'] as const) expect(near[member], member).toBe(false);
      expect(near.timeout).toBeUndefined();
    });

    test('both ends are instances of Socket', async () => {
      const [near, far] = await net.pair();
      expect(near).toBeInstanceOf(net.client.Socket);
      expect(far).toBeInstanceOf(net.server.Socket);
    });
  });

  describe('connecting', () => {
    test('connectionAttempt tells address, port and family before connect does', async () => {
      const [, port] = await net.serve({}, () => {});
      const socket = net.dial(port);
      const events: unknown[] = [];
      socket.on('connectionAttempt', (...what) => events.push(what));
      socket.on('connect', () => events.push('connect'));
      await once(socket, 'ready');
      expect(events).toEqual([[net.host, port, 4], 'connect']);
    });

    test('connectionAttemptFailed has the error that follows', async () => {
      const [server, port] = await net.serve({}, () => {});
      server.close();
      await once(server, 'close');
      const socket = net.client.connect(port, net.host);
      const failed: unknown[] = [];
      socket.on('connectionAttemptFailed', (...what) => failed.push(...what));
      const error = await errorOf(socket);
      expect(failed).toEqual([net.host, port, 4, error]);
    });

    test('a name with addresses of both families: the next is tried when one fails', async () => {
      const [, port] = await net.serve({}, (far) => far.end('here'));
      const socket = net.dial(port, { host: 'two.example', lookup: finding('::1', net.host) });
      const looked: unknown[] = [];
      socket.on('lookup', (...what) => looked.push(what));
      expect(await text(socket)).toBe('here');
      expect(looked).toEqual([
        [null, '::1', 6, 'two.example'],
        [null, net.host, 4, 'two.example'],
      ]);
      expect(socket.autoSelectFamilyAttemptedAddresses).toEqual([`::1:${port}`, `${net.host}:${port}`]);
    });

    test('every address fails: an AggregateError with the code of the first', async () => {
      const [server, port] = await net.serve({}, () => {});
      server.close();
      await once(server, 'close');
      const socket = net.client.connect({ port, host: 'two.example', lookup: finding(net.host, '::1') });
      const error = (await errorOf(socket)) as NetError & AggregateError;
      expect(error).toBeInstanceOf(AggregateError);
      expect(error.code).toBe('ECONNREFUSED');
      expect(error.errors.map(({ syscall }) => syscall)).toEqual(['connect', 'connect']);
    });

    test('autoSelectFamily: false takes the first address and no other', async () => {
      const [, port] = await net.serve({}, () => {});
      const socket = net.dial(port, {
        host: 'two.example',
        autoSelectFamily: false,
        lookup: finding(net.host, '::1'),
      });
      await once(socket, 'connect');
      expect(socket.autoSelectFamilyAttemptedAddresses).toBeUndefined();
    });

    test('a lookup that fails: its error, told of by lookup too', async () => {
      const problem = Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
      const socket = net.client.connect({
        port: 1,
        host: 'no.example',
        lookup: ((_name, _options, done) => setImmediate(done, problem)) as Lookup,
      });
      const told = once(socket, 'lookup').catch(() => []);
      expect(await errorOf(socket)).toBe(problem);
      expect((await told)[0]).toBe(problem);
    });

    test('localAddress and localPort are the near end', async () => {
      let from = 0;
      const [server, port] = await net.serve({}, (far) => {
        from = far.remotePort!;
        far.end();
      });
      const [spare, localPort] = await net.serve({}, () => {});
      spare.close();
      await once(spare, 'close');
      const accepted = once(server, 'connection');
      const probe = net.dial(port);
      await once(probe, 'connect');
      const localAddress = probe.localAddress;
      await accepted;
      const again = once(server, 'connection');
      const socket = net.dial(port, { localAddress, localPort });
      await Promise.all([once(socket, 'connect'), again]);
      expect([socket.localAddress, socket.localPort, from]).toEqual([localAddress, localPort, localPort]);
    });

    test('a localAddress that is none throws; one that is not ours is a failed bind', async () => {
      const [, port] = await net.serve({}, () => {});
      expect(() => net.client.connect({ port, host: net.host, localAddress: 'here' })).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_IP_ADDRESS' }),
      );
      const socket = net.client.connect({ port, host: net.host, localAddress: '192.0.2.1' });
      expect(await errorOf(socket)).toMatchObject({ code: 'EADDRNOTAVAIL', syscall: 'bind', address: '192.0.2.1' });
    });

    test('a socket that was closed connects again', async () => {
      let served = 0;
      const [, port] = await net.serve({}, (far) => far.end(`hello ${++served}`));
      const socket = new net.client.Socket();
      let got = '';
      socket.on('data', (chunk) => (got += String(chunk)));
      for (const expected of ['hello 1', 'hello 2']) {
        got = '';
        socket.connect(port, net.host);
        await once(socket, 'close');
        expect([got, socket.bytesRead, socket.destroyed]).toEqual([expected, 7, true]);
      }
    });

    test('pending: before the connection and after it', async () => {
      const [near] = await net.pair();
      expect(new net.client.Socket().pending).toBe(true);
      expect(near.pending).toBe(false);
      near.destroy();
      expect(near.pending).toBe(true);
    });

    test.skipIf(!hasBlockListOption(name))('blockList: a blocked address is ERR_IP_BLOCKED', async () => {
      const [, port] = await net.serve({}, () => {});
      const blockList = new net.client.BlockList();
      blockList.addAddress(net.host);
      const socket = net.client.connect({ port, host: net.host, blockList });
      expect((await errorOf(socket)).code).toBe('ERR_IP_BLOCKED');
    });
  });

  describe('listening', () => {
    test.skipIf(!hasBlockListOption(name))('blockList: who is on it is turned away', async () => {
      const blockList = new net.server.BlockList();
      blockList.addSubnet('0.0.0.0', 0);
      let heard = 0;
      const [, port] = await net.serve({ blockList } as object, () => heard++);
      const socket = net.dial(port);
      socket.on('error', () => {});
      socket.resume();
      await once(socket, 'close');
      expect(heard).toBe(0);
    });

    test('without a host: every address, and address() says so', async () => {
      const server = net.server.createServer({}, (far) => far.end('any'));
      server.listen(0);
      await once(server, 'listening');
      net.cleanup.push(() => server.close());
      const { address, family, port } = server.address() as nodeNet.AddressInfo;
      expect([
        ['::', 'IPv6'],
        ['0.0.0.0', 'IPv4'],
      ]).toContainEqual([address, family]);
      expect(await text(net.dial(port))).toBe('any');
    });

    test('address() is null before listening and after close()', async () => {
      const server = net.server.createServer();
      expect(server.address()).toBeNull();
      server.listen(0, net.host);
      await once(server, 'listening');
      server.close();
      expect(server.address()).toBeNull();
    });

    test('a name is looked up; one that nobody has is an error of getaddrinfo', async () => {
      const server = net.server.createServer();
      server.listen(0, 'nobody..invalid');
      expect((await errorOf(server)).syscall).toBe('getaddrinfo');
      expect(server.listening).toBe(false);
    });

    test('options without a port throw ERR_INVALID_ARG_VALUE', () => {
      const server = net.server.createServer();
      expect(() => server.listen({})).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }));
    });

    test('after an error, and after close() at once, it listens again', async () => {
      const [, taken] = await net.serve({}, () => {});
      const server = net.server.createServer();
      server.listen(taken, net.host);
      await errorOf(server);
      server.listen(0, net.host);
      server.close();
      server.listen(0, net.host);
      await once(server, 'listening');
      expect(server.listening).toBe(true);
      server.close();
      await once(server, 'close');
    });

    test.each(['before', 'after'])('an AbortSignal that is aborted %s listen() closes the server', async (when) => {
      const abort = new AbortController();
      const server = net.server.createServer();
      if (when === 'before') abort.abort();
      const closed = once(server, 'close');
      server.listen({ port: 0, host: net.host, signal: abort.signal });
      if (when === 'after') {
        await once(server, 'listening');
        abort.abort();
      }
      await closed;
      expect(server.listening).toBe(false);
    });

    test('closing one that does not listen emits close all the same', async () => {
      const server = net.server.createServer();
      const closed = once(server, 'close');
      server.close();
      await closed;
    });
  });

  describe('reading', () => {
    test('onread: false pauses in the midst of what has come; resume goes on, the end comes last', async () => {
      const [, port] = await net.serve({}, (far) => far.end('abcdefghijkl'));
      const got: string[] = [];
      let socket!: NetSocket;
      await new Promise<void>((done) => {
        socket = net.client.connect({
          port,
          host: net.host,
          onread: {
            buffer: Buffer.alloc(4),
            callback: (length: number, into: Buffer) => {
              got.push(into.subarray(0, length).toString());
              setTimeout(done, 20);
              return false;
            },
          },
        });
      });
      net.cleanup.push(() => socket.destroy());
      socket.on('end', () => got.push('end'));
      expect(got).toEqual(['abcd']);
      const ended = once(socket, 'end');
      for (let i = 0; i < 100 && !got.includes('end'); i++) {
        socket.resume();
        await tick();
      }
      await ended;
      expect(got).toEqual(['abcd', 'efgh', 'ijkl', 'end']);
    });
  });

  test('setTimeout wants a number that is a time', async () => {
    const [near] = await net.pair();
    expect(() => near.setTimeout('soon' as unknown as number)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
    expect(() => near.setTimeout(-1)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    expect(() => near.setTimeout(1, 'listener' as unknown as () => void)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
  });

  // An address that swallows everything: only on a network of our own there surely is one.
  test.runIf(name === 'wiredis/net')('an address that does not answer is left after its time', async () => {
    const [, port] = await net.serve({}, (far) => far.end('second'));
    const socket = net.dial(port, {
      host: 'two.example',
      autoSelectFamilyAttemptTimeout: 20,
      lookup: finding('10.9.0.99', net.host),
    });
    const late: unknown[] = [];
    socket.on('connectionAttemptTimeout', (...what) => late.push(what));
    expect(await text(socket)).toBe('second');
    expect(late).toEqual([['10.9.0.99', port, 4]]);
  });
});
