// Opening, data, closing, resets and limits of the TCP, over a wire without faults.
import { describe, expect, it } from 'vitest';
import { CLOSE_ABORTED, CLOSE_OK, CLOSE_REFUSED, CLOSE_RESET, CLOSE_TIMED_OUT } from '../../../stack/close-reasons.ts';
import { ACK, FIN, RST, SYN } from '../../../stack/wire/tcp.ts';
import { IP_A, IP_B, PORT, Recorder, TwoStacks } from './two-stacks.ts';

describe('opening (RFC 9293 3.5)', () => {
  it('shakes hands in three segments and tells both sides once', () => {
    const net = new TwoStacks().watch();
    const [client, server] = net.connect();
    expect(net.seen.map(({ flags }) => flags)).toEqual([SYN, SYN | ACK, ACK]);
    expect(client.log).toEqual(['open']);
    expect(server.log).toEqual(['open']);
    expect(server.socket.remoteIp).toBe(IP_A);
    expect(client.socket.remoteIp).toBe(IP_B);
    expect(client.socket.localPort).toBe(server.socket.remotePort);
  });

  it('delivers what was written before it was established', () => {
    const net = new TwoStacks();
    const server = new Recorder();
    net.b.listen(PORT, 16, (socket) => server.attach(socket));
    const client = new Recorder();
    client.attach(net.a.connect(IP_B, PORT, client));
    expect(client.write('early')).toBe(5);
    net.run(100);
    expect(server.text).toBe('early');
  });

  it('opens simultaneously from both sides (RFC 9293 figure 7)', () => {
    const net = new TwoStacks({ wire: { impairment: { delayUs: 5000 } } });
    const a = new Recorder();
    const b = new Recorder();
    a.attach(net.a.connect(IP_B, 40000, a));
    // The other side opens towards exactly that pair.
    b.attach(net.b.connect(IP_A, a.socket.localPort, b));
    const mine = b.socket.connection!;
    net.b.tcp.flows.delete(IP_A, mine.remotePort, mine.localPort, IP_B);
    mine.localPort = 40000;
    net.b.tcp.flows.set(IP_A, mine.remotePort, 40000, IP_B, mine);
    net.run(1000, () => a.opened && b.opened);
    expect([a.opened, b.opened]).toEqual([true, true]);
    a.write('from a');
    b.write('from b');
    net.run(1000);
    expect([a.text, b.text]).toEqual(['from b', 'from a']);
  });

  it('refuses a port nobody listens on', () => {
    const net = new TwoStacks();
    const client = new Recorder();
    client.attach(net.a.connect(IP_B, 1, client));
    net.run(100);
    expect(client.log).toEqual([`close ${CLOSE_REFUSED}`]);
  });

  it('refuses what the application does not accept', () => {
    const net = new TwoStacks();
    net.b.listen(PORT, 16, () => null);
    const client = new Recorder();
    client.attach(net.a.connect(IP_B, PORT, client));
    net.run(100);
    expect(client.log).toEqual(['open', `close ${CLOSE_RESET}`]);
    expect(net.b.connections).toBe(0);
  });

  it('gives up when nobody answers', () => {
    const net = new TwoStacks({ wire: { impairment: { loss: 1 } } }).watch();
    const client = new Recorder();
    client.attach(net.a.connect(IP_B, PORT, client));
    net.run(600_000, () => client.closed);
    expect(client.log).toEqual([`close ${CLOSE_TIMED_OUT}`]);
    expect(net.seen.length).toBe(8);
    // Doubling from one second (RFC 6298 2.1, 5.5).
    expect(net.seen[2].atUs - net.seen[1].atUs).toBe(2_000_000);
  });

  it('drops half-open connections whose ACK never comes', () => {
    const net = new TwoStacks();
    const server = new Recorder();
    const listener = net.b.listen(PORT, 16, (socket) => server.attach(socket));
    net.wire.filter = (from) => from === 0;
    net.a.connect(IP_B, PORT, new Recorder());
    net.run(100);
    expect(listener.handshakes).toBe(1);
    net.wire.filter = () => false;
    net.run(120_000);
    expect(listener.handshakes).toBe(0);
    expect(net.b.tcp.flows.size).toBe(0);
    expect(server.opened).toBe(false);
  });

  it('a server that has just started loses no SYN-ACK of those who know its address already', () => {
    const rings = [
      { txRing: 1024, rxRing: 1024 },
      { txRing: 1024, rxRing: 1024 },
    ];
    const net = new TwoStacks({ ends: rings, b: { arp: [] }, wire: { impairment: { delayUs: 1000 } } });
    net.b.listen(PORT, 511, (socket) => new Recorder().attach(socket));
    const clients = Array.from({ length: 300 }, () => new Recorder());
    for (const client of clients) client.attach(net.a.connect(IP_B, PORT, client));
    net.run(100);
    expect(clients.filter(({ opened }) => opened).length).toBe(300);
  });

  it('bounds the SYN queue and the number of connections', () => {
    const net = new TwoStacks({ a: { maxConnections: 5000 }, b: { maxConnections: 5000 } });
    const listener = net.b.listen(PORT, 16, () => new Recorder());
    net.wire.filter = (from) => from === 0;
    for (let i = 0; i < 300; i++) {
      net.a.connect(IP_B, PORT, new Recorder());
      net.settle();
    }
    expect(listener.handshakes).toBe(128);
    const full = new TwoStacks({ b: { maxConnections: 3 } });
    full.b.listen(PORT, 16, (socket) => new Recorder().attach(socket));
    const clients = Array.from({ length: 5 }, () => new Recorder());
    for (const client of clients) client.attach(full.a.connect(IP_B, PORT, client));
    full.run(500);
    expect(clients.filter(({ opened }) => opened).length).toBe(3);
    expect(full.b.connections).toBe(3);
  });
});

describe('data', () => {
  it('answers a request with one segment that carries the ACK', () => {
    const net = new TwoStacks();
    const [client, server] = net.connect();
    server.echo = true;
    net.watch();
    for (let i = 0; i < 50; i++) {
      client.write(`request ${i}\r\n`);
      net.settle();
      expect(client.text.endsWith(`request ${i}\r\n`)).toBe(true);
    }
    expect(net.seen.filter(({ from }) => from === 1).length).toBe(50);
    expect(net.seen.filter(({ from, length }) => from === 1 && length === 0).length).toBe(0);
  });

  it('delays a lone ACK, but not every second full segment (RFC 5681 4.2)', () => {
    const net = new TwoStacks({ wire: { impairment: { delayUs: 1000 } } });
    const [client, server] = net.connect();
    for (let i = 0; i < 20; i++) {
      client.write('x');
      net.run(100);
    }
    net.watch();
    client.write('y');
    net.run(39);
    expect(net.seen.filter(({ from }) => from === 1).length).toBe(0);
    net.run(10);
    expect(net.seen.filter(({ from }) => from === 1).length).toBe(1);
    net.seen.length = 0;
    client.write(new Uint8Array(2 * 1448));
    net.run(10);
    expect(net.seen.filter(({ from }) => from === 1).length).toBe(1);
    expect(server.received.length).toBe(21 + 2 * 1448);
  });

  it('keeps what a reader leaves, closes the window, probes, and opens it again', () => {
    const net = new TwoStacks({ wire: { impairment: { delayUs: 500 } } }).watch();
    const [client, server] = net.connect();
    server.socket.pause();
    const data = Uint8Array.from({ length: 200_000 }, (_, i) => i * 7);
    let sent = 0;
    const feed = () => {
      sent += client.socket.write(data, sent, data.length - sent);
    };
    feed();
    net.onTick = feed;
    net.run(5000);
    expect(server.received.length).toBe(0);
    expect(server.socket.connection!.unread).toBeGreaterThan(65_000);
    expect(net.seen.at(-1)!.window).toBe(0);
    expect(net.a.stats.tcpZeroWindowProbes).toBeGreaterThan(2);
    // A closed window never ends a connection while the peer answers (RFC 9293 3.8.6.1).
    net.run(3_600_000);
    expect(client.closed).toBe(false);
    server.socket.resume();
    net.run(10_000, () => server.received.length === data.length);
    expect(Uint8Array.from(server.received)).toEqual(data);
    expect(net.a.stats.tcpRetransSegs).toBe(0);
  });

  it('offers again what a handler did not take', () => {
    const net = new TwoStacks();
    const [client, server] = net.connect();
    server.appetite = 3;
    client.write('abcdefgh');
    net.run(100);
    expect(server.text).toBe('abc');
    client.write('ij');
    net.run(100);
    expect(server.text).toBe('abcdef');
    server.appetite = 100;
    server.socket.resume();
    net.run(100);
    expect(server.text).toBe('abcdefghij');
  });

  it('refuses more than the send buffer and says when there is room', () => {
    const net = new TwoStacks({ wire: { impairment: { delayUs: 1000 } } });
    const [client, server] = net.connect();
    expect(client.write(new Uint8Array(100_000))).toBe(65536);
    expect(client.write('x')).toBe(0);
    net.run(2000);
    expect(client.log).toContain('writable');
    expect(client.socket.queuedBytes).toBe(0);
    expect(server.received.length).toBe(65536);
  });

  it('owns no buffer while idle', () => {
    const net = new TwoStacks();
    const [client, server] = net.connect();
    server.echo = true;
    client.write(new Uint8Array(30_000));
    net.run(5000);
    expect(client.received.length).toBe(30_000);
    expect(net.a.tcp.blocks.used + net.b.tcp.blocks.used).toBe(0);
  });

  it('uses TSO and checksum offload where the device has them', () => {
    const end = { txChecksumOffload: true, tsoPayloadMax: 65_000 };
    const net = new TwoStacks({ ends: [end, end], a: { sendBuffer: 1 << 20 }, b: { receiveBuffer: 1 << 20 } });
    const [client, server] = net.connect();
    net.watch();
    const data = Uint8Array.from({ length: 250_000 }, (_, i) => i * 13);
    expect(client.write(data)).toBe(data.length);
    net.run(2000);
    expect(Uint8Array.from(server.received)).toEqual(data);
    expect(Math.max(...net.seen.map(({ length }) => length))).toBeGreaterThan(30_000);
    expect(net.seen.filter(({ length }) => length > 0 && length % 1448 !== 0).length).toBeLessThan(3);
    expect(net.a.stats.tcpRetransSegs).toBe(0);
  });

  it('works across the wrap of the clock and of sequence numbers', () => {
    for (const edge of [0x80000000, 0]) {
      const net = new TwoStacks({ startUs: 0x7fff_f000 });
      const sequence = net.a.tcp.iss.sequence;
      net.a.tcp.iss.sequence = () => (edge - 5000) | 0;
      net.b.tcp.iss.sequence = () => (edge - 3000) | 0;
      const [client, server] = net.connect();
      server.echo = true;
      const data = Uint8Array.from({ length: 40_000 }, (_, i) => i * 3);
      client.write(data);
      net.run(10_000);
      expect(Uint8Array.from(client.received)).toEqual(data);
      net.a.tcp.iss.sequence = sequence;
    }
  });
});

describe('closing (RFC 9293 3.6)', () => {
  it('in order, from either side, with data in between', () => {
    for (const first of ['client', 'server']) {
      const net = new TwoStacks();
      const [client, server] = net.connect();
      const [active, passive] = first === 'client' ? [client, server] : [server, client];
      active.write('last words');
      active.socket.end();
      net.run(100);
      expect(passive.text).toBe('last words');
      expect(passive.log.at(-1)).toBe('end');
      expect(active.closed).toBe(false);
      // Half-closed: the other direction still works.
      passive.write('still here');
      net.run(100);
      expect(active.text).toBe('still here');
      passive.socket.end();
      net.run(100);
      expect(active.log.slice(-2)).toEqual(['end', `close ${CLOSE_OK}`]);
      expect(passive.log.at(-1)).toBe(`close ${CLOSE_OK}`);
      const [activeStack, passiveStack] = first === 'client' ? [net.a, net.b] : [net.b, net.a];
      expect([activeStack.tcp.timeWaits, passiveStack.tcp.timeWaits]).toEqual([1, 0]);
      net.run(61_000);
      expect([net.a.tcp.flows.size, net.b.tcp.flows.size]).toEqual([0, 0]);
    }
  });

  it('from both sides at once', () => {
    const net = new TwoStacks({ wire: { impairment: { delayUs: 2000 } } });
    const [client, server] = net.connect();
    client.socket.end();
    server.socket.end();
    net.run(1000);
    expect([client.log, server.log]).toEqual([
      ['open', 'end', 'close 0'],
      ['open', 'end', 'close 0'],
    ]);
    expect([net.a.tcp.timeWaits, net.b.tcp.timeWaits]).toEqual([1, 1]);
  });

  it('from both sides at once, with FIN and the ACK of ours in one batch: the FIN is acknowledged', () => {
    const net = new TwoStacks().watch();
    const [client, server] = net.connect();
    net.seen.length = 0;
    const advance = (): void => net.wire.advance(net.clock.nowUs);
    client.socket.end();
    server.socket.end();
    net.a.flush();
    net.b.flush();
    advance();
    net.a.poll();
    net.a.flush();
    advance();
    // Both are there when it looks, and the ACK that it owes has no connection any more to wait in.
    net.b.poll();
    net.b.flush();
    net.run(1000);
    expect([client.log.at(-1), server.log.at(-1)]).toEqual([`close ${CLOSE_OK}`, `close ${CLOSE_OK}`]);
    expect(net.seen.map(({ from, flags }) => [from, flags])).toEqual([
      [0, FIN | ACK],
      [1, FIN | ACK],
      [0, ACK],
      [1, ACK],
    ]);
  });

  it('sends FIN behind everything queued', () => {
    const net = new TwoStacks({ wire: { impairment: { delayUs: 1000, loss: 0.05 } } });
    const [client, server] = net.connect();
    client.write(new Uint8Array(60_000));
    client.socket.end();
    expect(client.write('late')).toBe(0);
    net.run(60_000, () => server.ended);
    expect(server.received.length).toBe(60_000);
  });

  it('lets a reader finish what came before FIN, whatever the connection does', () => {
    const net = new TwoStacks();
    const [client, server] = net.connect();
    server.socket.pause();
    client.write('unread');
    client.socket.end();
    server.socket.end();
    net.run(1000);
    expect(client.closed).toBe(true);
    expect(server.closed).toBe(false);
    server.socket.resume();
    net.run(10);
    expect(server.log).toEqual(['open', 'data 6', 'end', 'close 0']);
  });

  it('answers with RST when aborted', () => {
    const net = new TwoStacks().watch();
    const [client, server] = net.connect();
    server.socket.abort();
    expect(server.closed).toBe(false);
    net.run(10);
    expect(server.log.at(-1)).toBe(`close ${CLOSE_ABORTED}`);
    expect(client.log.at(-1)).toBe(`close ${CLOSE_RESET}`);
    expect(net.seen.at(-1)!.flags & RST).toBe(RST);
    expect([net.a.tcp.flows.size, net.b.tcp.flows.size]).toEqual([0, 0]);
    expect(client.write('x')).toBe(0);
  });

  it('may be aborted from within every callback', () => {
    for (const when of ['onOpen', 'onReadable', 'onEnd'] as const) {
      const net = new TwoStacks();
      const server = new Recorder();
      const original = server[when].bind(server) as (...args: unknown[]) => number;
      (server as unknown as Record<string, unknown>)[when] = (...args: unknown[]) => {
        const result = original(...args);
        server.socket.abort();
        return result;
      };
      net.b.listen(PORT, 16, (socket) => server.attach(socket));
      const client = new Recorder();
      client.attach(net.a.connect(IP_B, PORT, client));
      client.write('data');
      client.socket.end();
      net.run(1000);
      expect(server.reason).toBe(CLOSE_ABORTED);
      expect(client.closed).toBe(true);
      expect(net.b.connections).toBe(0);
      expect(net.b.tcp.blocks.used).toBe(0);
    }
  });

  it('ends with a timeout when the peer vanishes', () => {
    const net = new TwoStacks();
    const [client] = net.connect();
    net.wire.filter = () => false;
    client.write('anyone?');
    net.run(3_600_000, () => client.closed);
    expect(client.reason).toBe(CLOSE_TIMED_OUT);
    expect(net.a.tcp.flows.size).toBe(0);
  });

  it('finds a dead idle peer by keepalive, and keeps a live one', () => {
    const net = new TwoStacks({ a: { keepaliveMs: 10_000 } });
    const [client] = net.connect();
    net.run(600_000);
    expect(client.closed).toBe(false);
    expect(net.a.stats.tcpKeepalives).toBeGreaterThan(50);
    net.wire.filter = () => false;
    // At most 10 s until the first probe, and three thirds of that for the answers.
    net.run(21_000);
    expect(client.reason).toBe(CLOSE_TIMED_OUT);
  });

  it('a socket has a keepalive of its own', () => {
    const net = new TwoStacks();
    const [client] = net.connect();
    client.socket.setKeepAlive(3000);
    net.run(10_000);
    expect(net.a.stats.tcpKeepalives).toBeGreaterThan(1);
    client.socket.setKeepAlive(0);
    net.wire.filter = () => false;
    net.run(60_000);
    expect(client.closed).toBe(false);
  });

  it('leaves a half-closed connection open for as long as its application waits (RFC 9293 3.6)', () => {
    const net = new TwoStacks();
    const [client, server] = net.connect();
    client.socket.end();
    net.run(600_000);
    expect(client.closed).toBe(false);
    server.write('late');
    net.run(100);
    expect(client.text).toBe('late');
  });

  it('ends FIN-WAIT-2 of one that was let go when the peer is silent for a minute', () => {
    const net = new TwoStacks();
    const [client] = net.connect();
    client.socket.end();
    client.socket.letGo();
    net.run(10_000);
    expect(client.closed).toBe(false);
    net.wire.filter = () => false;
    net.run(120_000);
    expect(client.reason).toBe(CLOSE_TIMED_OUT);
  });

  it('gives an orphan three timeouts, however long they are', () => {
    const net = new TwoStacks();
    const [client, server] = net.connect();
    client.socket.end();
    net.run(10);
    // A lost acknowledgement was taken for a round trip of six seconds.
    server.socket.connection!.rtoMs = 18_000;
    net.wire.filter = (from) => from === 0;
    server.socket.end();
    server.socket.letGo();
    net.run(100_000);
    expect(server.closed).toBe(false);
    net.wire.filter = null;
    net.run(60_000);
    expect([client.reason, server.reason]).toEqual([CLOSE_OK, CLOSE_OK]);
  });

  it('gives a pair in TIME-WAIT to a new SYN (RFC 6191)', () => {
    const net = new TwoStacks();
    const [client, server] = net.connect();
    const port = client.socket.localPort;
    server.socket.end();
    net.run(10);
    client.socket.end();
    net.run(10);
    expect(net.b.tcp.timeWaits).toBe(1);
    const again = new Recorder();
    net.b.listen(PORT, 16, (socket) => again.attach(socket));
    net.a.tcp.iss.portOffset = () => port - 32768;
    net.a.tcp.portCounters.fill(0);
    const second = new Recorder();
    second.attach(net.a.connect(IP_B, PORT, second));
    expect(second.socket.localPort).toBe(port);
    net.run(100);
    expect([second.opened, again.opened]).toEqual([true, true]);
    expect(net.b.tcp.timeWaits).toBe(0);
    second.write('hello');
    net.run(100);
    expect(again.text).toBe('hello');
    expect(net.seen.every(({ flags }) => (flags & FIN) === 0)).toBe(true);
  });
});

describe('a tick', () => {
  /** How many frames a poll takes of 100 that wait, and whether it leaves the rest to the next. */
  function framesOfTicks(lengths: readonly number[]): number[] {
    const net = new TwoStacks();
    const [client, server] = net.connect();
    client.socket.connection!.cwnd = 1 << 20;
    for (const length of lengths) {
      client.write(new Uint8Array(length));
      net.a.flush();
    }
    net.wire.advance(net.clock.nowUs);
    const ticks: number[] = [];
    for (let frames = net.b.poll(); frames > 0; frames = net.b.poll()) {
      ticks.push(frames);
      net.b.flush();
    }
    expect(server.received.length).toBe(lengths.reduce((sum, length) => sum + length, 0));
    return ticks;
  }

  it('answers 32 requests before it looks at the next ones', () => {
    expect(framesOfTicks(Array(100).fill(40))).toEqual([32, 32, 32, 4]);
  });

  it('does not end amid what somebody sends in full segments, up to 128 KiB', () => {
    const mss = 1448;
    // A writer of 4 KiB and more, thirty times: two segments that are full, one that is not.
    expect(framesOfTicks(Array(14).fill([mss, mss, 500]).flat())).toEqual([42]);
    const [first = 0] = framesOfTicks(Array(40).fill(mss));
    expect(first).toBe(40);
  });
});
