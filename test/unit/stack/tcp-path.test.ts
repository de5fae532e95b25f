// Segments that the path does not take (RFC 1191, 4821, 5927), peers that never answer (RFC 5482), and buffers that grow with
// the path.
import { describe, expect, it } from 'vitest';
import { CLOSE_TIMED_OUT } from '../../../stack/close-reasons.ts';
import { ICMP_PACKET_TOO_BIG } from '../../../stack/icmp.ts';
import { IP_A, IP_B, PORT, TwoStacks, type TwoStacksOptions } from './two-stacks.ts';

function transfer(options: TwoStacksOptions = {}) {
  const net = new TwoStacks({ wire: { impairment: { delayUs: 5000 } }, ...options });
  const [client, server] = net.connect();
  const c = client.socket.connection!;
  net.watch();
  const data = Uint8Array.from({ length: 60_000 }, (_, i) => i * 7 + (i >> 8));
  const arrives = (ms: number) => net.run(ms, () => server.received.length === data.length);
  const tooBig = (seq: number, mtu: number) =>
    net.a.tcp.onIcmpError(ICMP_PACKET_TOO_BIG, IP_A, c.localPort, IP_B, PORT, seq, mtu);
  const check = () => expect(Uint8Array.from(server.received)).toEqual(data);
  return { net, client, server, c, data, arrives, tooBig, check };
}

/** A router in between that takes packets of up to `mtu` bytes. */
function narrow(net: TwoStacks, mtu: number, onDrop: (seq: number) => void = () => {}): void {
  net.wire.filter = (from, _to, bytes, offset, length) => {
    if (from !== 0 || length - 14 <= mtu) return true;
    onDrop(new DataView(bytes.buffer, bytes.byteOffset).getInt32(offset + 38));
    return false;
  };
}

describe('fragmentation needed (RFC 1191, RFC 5927)', () => {
  it('lowers the MSS and sends again at once, as no sign of congestion (RFC 1191 6.4)', () => {
    const { net, client, c, data, arrives, tooBig, check } = transfer();
    const told: number[] = [];
    narrow(net, 1000, (seq) => told.push(seq));
    client.write(data);
    net.run(1);
    tooBig(told[0], 1000);
    expect(arrives(1000)).toBe(true);
    check();
    expect(c.mss).toBe(1000 - 40 - 12);
    expect(net.a.stats.tcpTimeouts).toBe(0);
    expect(net.a.stats.tcpFastRetransmits).toBe(0);
    expect(c.cwnd).toBeGreaterThanOrEqual(14480);
  });

  it('is believed only of segments in flight (RFC 5927 4.1)', () => {
    const { client, net, c, data, tooBig } = transfer();
    client.write(data);
    net.run(1);
    for (const seq of [c.sndUna - 1, c.sndNxt, c.sndNxt + 100_000]) tooBig(seq, 600);
    expect(c.mss).toBe(1448);
  });

  it('is not believed against segments of that size that arrived, until one times out (RFC 5927 7.2)', () => {
    const { client, net, c, data, arrives, tooBig } = transfer();
    client.write(data);
    arrives(1000);
    net.run(50);
    client.write(data);
    net.run(1);
    tooBig(c.sndUna, 700);
    expect(c.mss).toBe(1448);
    net.wire.filter = (from) => from !== 0;
    net.run(1000);
    expect(c.mss).toBe(700 - 52);
  });

  it('does not go below 552 bytes', () => {
    const { client, net, c, data, tooBig } = transfer();
    client.write(data);
    net.run(1);
    tooBig(c.sndUna, 68);
    expect(c.mss).toBe(552 - 52);
  });
});

describe('black holes (RFC 4821 7.7)', () => {
  it('are found out by timeouts of full segments', () => {
    const { net, client, c, data, arrives, check } = transfer();
    narrow(net, 1100);
    client.write(data);
    net.run(20_000, () => net.a.stats.tcpBlackHoles === 2);
    expect(c.mss).toBe(1064 - 52);
    expect(arrives(20_000)).toBe(true);
    check();
  });
});

describe('probing upwards (RFC 4821 7.3 to 7.6)', () => {
  const MTU = 1400;

  /** Data for as long as it takes. */
  function bulk() {
    const all = transfer();
    const more = new Uint8Array(1 << 16);
    const { net, client, server } = all;
    server.appetite = Number.POSITIVE_INFINITY;
    server.onReadable = (_socket, _bytes, _offset, length) => length;
    net.onTick = (stack) => {
      if (stack === net.a && client.opened) client.socket.write(more, 0, more.length);
    };
    net.tick();
    return all;
  }

  it('finds what a silent path takes, and the lost probes are no sign of congestion', () => {
    const { net, c } = bulk();
    narrow(net, MTU);
    net.run(20_000, () => net.a.stats.tcpBlackHoles === 1);
    const { tcpFastRetransmits } = net.a.stats;
    const timeouts = net.a.stats.tcpTimeouts;
    net.run(5000);
    expect(c.mss).toBeLessThanOrEqual(MTU - 52);
    expect(c.mss).toBeGreaterThan(MTU - 52 - 16);
    expect(net.a.stats.tcpPathProbes).toBeGreaterThan(2);
    expect(net.a.stats.tcpPathProbes).toBeLessThan(8);
    expect([net.a.stats.tcpFastRetransmits, net.a.stats.tcpTimeouts]).toEqual([tcpFastRetransmits, timeouts]);
  });

  it('takes what a router says of a probe for the next one', () => {
    const { net, c, tooBig } = bulk();
    let isTelling = false;
    narrow(net, MTU, (seq) => isTelling && tooBig(seq, MTU));
    net.run(20_000, () => net.a.stats.tcpBlackHoles === 1);
    isTelling = true;
    net.run(5000);
    expect(c.mss).toBeGreaterThan(MTU - 52 - 16);
    expect(c.mss).toBeLessThanOrEqual(MTU - 52);
  });

  it('tries the whole again after ten minutes, when the path may be another (RFC 1191 6.3)', () => {
    const { net, client, c, data, arrives, tooBig } = transfer();
    client.write(data);
    net.run(1);
    tooBig(c.sndUna, 1000);
    expect(arrives(1000)).toBe(true);
    expect(c.mss).toBe(1000 - 52);
    net.run(9 * 60_000);
    client.write(data);
    net.run(1000);
    expect([c.mss, net.a.stats.tcpPathProbes]).toEqual([1000 - 52, 0]);
    net.run(2 * 60_000);
    client.write(data);
    net.run(1000);
    expect([c.mss, net.a.stats.tcpPathProbes]).toEqual([1448, 1]);
  });
});

// RFC 8899 is for datagrams; what it asks of a packetization layer holds for TCP where RFC 4821 says the same, or nothing.
describe('what a layer that probes may believe (RFC 8899)', () => {
  it('no message raises the size (RFC 8899 3, item 6; 4.6.2)', () => {
    const { client, net, c, data, tooBig } = transfer();
    client.write(data);
    net.run(1);
    tooBig(c.sndUna, 1000);
    expect(c.mss).toBe(1000 - 52);
    for (const mtu of [1001, 1500, 9000, 65535]) tooBig(c.sndUna, mtu);
    expect(c.mss).toBe(1000 - 52);
    expect(c.flight?.mssHigh).toBe(1000 - 52);
  });

  it('the size found is tried again after PMTU_RAISE_TIMER, 600 s, and not before (RFC 8899 5.1.1)', () => {
    const { net, client, c, data, arrives, tooBig } = transfer();
    client.write(data);
    net.run(1);
    tooBig(c.sndUna, 1000);
    expect(arrives(1000)).toBe(true);
    net.run(597_000);
    client.write(data);
    net.run(1000);
    expect(net.a.stats.tcpPathProbes).toBe(0);
    net.run(3000);
    client.write(data);
    net.run(1000);
    expect([net.a.stats.tcpPathProbes, c.mss]).toEqual([1, 1448]);
  });
});

describe('user timeout (RFC 5482)', () => {
  it('gives a connection up whose data nobody acknowledges', () => {
    const { net, client } = transfer();
    client.socket.setUserTimeout(10_000);
    net.wire.filter = () => false;
    const start = net.nowMs;
    client.write('lost');
    net.run(120_000, () => client.closed);
    expect(client.reason).toBe(CLOSE_TIMED_OUT);
    expect(net.nowMs - start).toBeGreaterThanOrEqual(10_000);
    expect(net.nowMs - start).toBeLessThan(30_000);
  });
});

describe('buffers', () => {
  const MEGABYTE = 1 << 20;

  function longPath() {
    const net = new TwoStacks({
      wire: { impairment: { delayUs: 50_000, rate: 200_000_000, queueBytes: MEGABYTE }, inFlight: 8192 },
      ends: [
        { rxRing: 2048, txRing: 2048 },
        { rxRing: 2048, txRing: 2048 },
      ],
      a: { sendBuffer: 8 * MEGABYTE },
      b: { receiveBuffer: 8 * MEGABYTE },
    });
    const [client, server] = net.connect();
    const zeros = new Uint8Array(MEGABYTE);
    net.onTick = (stack) => {
      if (stack === net.a && client.socket.connection !== null) client.socket.write(zeros, 0, zeros.length);
    };
    return { net, client, server };
  }

  it('grow until a long fat path is full', () => {
    const { net, server, client } = longPath();
    let got = 0;
    server.onReadable = (_socket, _bytes, _offset, length) => {
      got += length;
      return length;
    };
    net.run(3000);
    got = 0;
    net.run(2000);
    // 200 Mbit/s for two seconds, less headers.
    expect(got).toBeGreaterThan(0.9 * 50_000_000 * (1448 / 1514));
    expect(server.socket.connection!.rcvSpace).toBeGreaterThan(3 * MEGABYTE);
    expect(client.socket.queuedBytes).toBeGreaterThan(2 * MEGABYTE);
  });

  /** Bulk from a peer in the same rack: what he may send is in front of us at once. */
  function nearPeer() {
    const net = new TwoStacks({
      wire: { impairment: { delayUs: 100 }, inFlight: 8192 },
      ends: [
        { rxRing: 4096, txRing: 4096 },
        { rxRing: 4096, txRing: 4096 },
      ],
      a: { sendBuffer: 8 * MEGABYTE },
      b: { receiveBuffer: 8 * MEGABYTE },
    });
    const [client, server] = net.connect();
    const zeros = new Uint8Array(MEGABYTE);
    let most = zeros.length;
    net.onTick = (stack) => {
      if (stack === net.a && client.socket.connection !== null) client.socket.write(zeros, 0, most);
    };
    let got = 0;
    server.onReadable = (_socket, _bytes, _offset, length) => {
      got += length;
      return length;
    };
    const c = server.socket.connection!;
    client.socket.write(zeros, 0, most);
    return { net, c, got: () => got, writeAtMost: (bytes: number) => (most = bytes) };
  }

  it('shrink where they would only make the queue before us longer, and grow again', () => {
    const { net, c, got, writeAtMost } = nearPeer();
    net.run(200);
    expect(c.rcvSpace).toBe(64 * 1024);
    const before = got();
    net.run(100);
    // The whole window each round trip, all the same.
    expect(got() - before).toBeGreaterThan(0.9 * 500 * 64 * 1024);
    writeAtMost(1000);
    net.run(3000);
    expect(net.b.tcp.nearSpace).toBeGreaterThan(256 * 1024);
  });

  it('are not taken back from a far peer by one who is near', () => {
    const { net, server } = longPath();
    net.run(3000);
    const space = server.socket.connection!.rcvSpace;
    net.b.tcp.nearSpace = 64 * 1024;
    net.run(1000);
    expect(server.socket.connection!.rcvSpace).toBeGreaterThanOrEqual(space);
  });

  it('do not grow for a reader who does not read', () => {
    const { net, server } = longPath();
    server.socket.pause();
    net.run(3000);
    expect(server.socket.connection!.rcvSpace).toBe(MEGABYTE / 4);
    expect(net.b.tcp.blocks.used).toBeLessThanOrEqual(MEGABYTE / 2);
  });
});
