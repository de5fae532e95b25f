// Segments that are wrong, old or hostile (RFC 5961, RFC 7323 5, RFC 9293 3.10.7), and losses: who sends what again, when.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { DROP_TCP_NO_BUFFER } from '../../../stack/stats.ts';
import { ACK, FIN, PSH, RST, SYN } from '../../../stack/wire/tcp.ts';
import { inject } from './inject.ts';
import { PORT, Recorder, TwoStacks } from './two-stacks.ts';

/** A connection, and what an outsider would have to guess of it. */
function established(options: ConstructorParameters<typeof TwoStacks>[0] = {}) {
  const net = new TwoStacks(options);
  const [client, server] = net.connect();
  const c = client.socket.connection!;
  net.watch();
  const ports = { sourcePort: client.socket.localPort, destinationPort: PORT };
  const fromServer = { sourcePort: PORT, destinationPort: client.socket.localPort, from: 1 };
  const timestamps = [(net.nowMs + c.tsOffset) | 0, 0] as const;
  return { net, client, server, c, ports, fromServer, timestamps };
}

describe('data out of order', () => {
  it('takes no more than a window a connection and the pool in all; who is in order is served', () => {
    const limit = 1 << 20;
    const net = new TwoStacks({ b: { bufferMemory: limit } });
    const [honest, heard] = net.connect();
    const hostile = Array.from({ length: 40 }, () => net.connect()[0].socket.connection!);
    const attack = (gap: number): void => {
      for (const c of hostile) {
        inject(net, {
          sourcePort: c.localPort,
          destinationPort: PORT,
          seq: c.sndNxt + gap,
          ack: c.rcvNxt,
          flags: ACK | PSH,
          payload: 'x'.repeat(1000),
          timestamps: [(net.nowMs + c.tsOffset) | 0, 0],
        });
        net.settle();
        expect(net.b.tcp.blocks.used).toBeLessThanOrEqual(limit);
      }
    };
    const [first] = hostile;
    const kept = (c: typeof first) => net.b.tcp.flows.find(0x0a000001, c.localPort, PORT, 0x0a000002);
    for (let round = 0; round < 20; round++) attack(60_000 - round * 2500);
    const buffer = (kept(first) as typeof first).receiveBuffer;
    expect(buffer.bytes.length).toBeGreaterThan(0);
    expect(buffer.bytes.length).toBeLessThanOrEqual(64 * 1024);
    expect(net.b.stats.drops[DROP_TCP_NO_BUFFER]).toBeGreaterThan(100);
    honest.write('in order all the same');
    net.settle();
    expect(heard.text).toBe('in order all the same');
    for (const c of hostile) net.a.tcp.end(c, 0);
    for (const c of hostile) net.b.tcp.end(kept(c) as typeof c, 0);
    net.settle();
    expect(net.b.tcp.blocks.used).toBe(0);
  });
});

describe('blind attacks (RFC 5961)', () => {
  it('RST only counts in the exact place; elsewhere in the window it is challenged', () => {
    const { net, server, c, ports } = established();
    inject(net, { ...ports, seq: c.sndNxt + 100, flags: RST });
    net.settle();
    expect(net.seen.map(({ from, flags }) => [from, flags])).toEqual([
      [0, RST],
      [1, ACK],
    ]);
    inject(net, { ...ports, seq: c.sndNxt - 1000, flags: RST });
    net.settle();
    expect(server.closed).toBe(false);
    inject(net, { ...ports, seq: c.sndNxt, flags: RST });
    net.settle();
    expect(server.log.at(-1)).toBe('close 1');
  });

  it('SYN is challenged wherever it falls, at a bounded rate', () => {
    const { net, server, c, ports, timestamps } = established();
    for (let i = 0; i < 1000; i++) inject(net, { ...ports, seq: c.sndNxt + i * 7919, flags: SYN, timestamps });
    for (let i = 0; i < 20; i++) net.settle();
    for (let i = 0; i < 1000; i++) {
      inject(net, { ...ports, seq: c.sndNxt + i * 7919, flags: SYN, timestamps });
      net.settle();
    }
    expect(server.closed).toBe(false);
    expect(net.b.stats.tcpChallengeAcks).toBeGreaterThan(40);
    expect(net.b.stats.tcpChallengeAcks).toBeLessThan(310);
  });

  it('challenges are counted for all connections together, and nobody can count them (RFC 5961 7)', () => {
    const { net } = established();
    const others = Array.from({ length: 4 }, () => net.connect()[1].socket.connection!);
    const inASecond = (): number => {
      const before = net.b.stats.tcpChallengeAcks;
      for (let i = 0; i < 100; i++) {
        for (const c of others) {
          const ports = { sourcePort: c.remotePort, destinationPort: c.localPort };
          const timestamps = [c.tsRecent, 0] as const;
          inject(net, { ...ports, seq: c.rcvNxt + 1 + i, flags: RST, timestamps });
        }
        net.settle();
      }
      net.run(1000);
      return net.b.stats.tcpChallengeAcks - before;
    };
    const counts = Array.from({ length: 8 }, inASecond);
    // A hundred on average, 50 to 149.
    for (const count of counts.slice(1)) {
      expect(count).toBeGreaterThanOrEqual(50);
      expect(count).toBeLessThan(150);
    }
    expect(new Set(counts).size).toBeGreaterThan(3);
    expect(net.b.connections).toBe(5);
  });

  it('data with an acknowledgement from another world is not taken', () => {
    const { net, server, c, ports, timestamps } = established();
    for (const ack of [c.rcvNxt + 100_000, c.rcvNxt - 200_000]) {
      inject(net, { ...ports, seq: c.sndNxt, ack, flags: ACK | PSH, payload: 'poison', timestamps });
      net.settle();
    }
    expect(server.text).toBe('');
  });

  it('PAWS drops old segments whose sequence number fits (RFC 7323 5.3)', () => {
    const { net, server, c, ports, timestamps } = established();
    const old = [timestamps[0] - 10_000, 0] as const;
    inject(net, { ...ports, seq: c.sndNxt, ack: c.rcvNxt, flags: ACK | PSH, payload: 'old', timestamps: old });
    inject(net, { ...ports, seq: c.sndNxt, ack: c.rcvNxt, flags: ACK | PSH, payload: 'no timestamp' });
    net.settle();
    expect(server.text).toBe('');
    inject(net, { ...ports, seq: c.sndNxt, ack: c.rcvNxt, flags: ACK | PSH, payload: 'new', timestamps });
    net.settle();
    expect(server.text).toBe('new');
  });

  it('segments for nobody are answered as RFC 9293 3.10.7.1 says, RST never', () => {
    const net = new TwoStacks().watch();
    const ports = { sourcePort: 5000, destinationPort: 6000 };
    inject(net, { ...ports, seq: 100, flags: SYN });
    inject(net, { ...ports, seq: 100, ack: 777, flags: ACK });
    inject(net, { ...ports, seq: 100, flags: RST });
    net.b.poll();
    net.b.flush();
    const answers = net.seen.filter(({ from }) => from === 1);
    expect(answers.map(({ seq, ack, flags }) => [seq, ack, flags])).toEqual([
      [0, 101, RST | ACK],
      [777, 0, RST],
    ]);
  });

  it('a listener takes no SYN with FIN and no bad checksum', () => {
    const net = new TwoStacks();
    const listener = net.b.listen(PORT, 16, () => new Recorder());
    inject(net, { sourcePort: 5000, destinationPort: PORT, seq: 1, flags: SYN | FIN });
    net.b.poll();
    expect(listener.handshakes).toBe(0);
    net.wire.impair({ corrupt: 1 });
    for (let i = 0; i < 50; i++) inject(net, { sourcePort: 5001 + i, destinationPort: PORT, seq: 1, flags: SYN });
    net.b.poll();
    expect(listener.handshakes).toBe(0);
  });
});

describe('loss', () => {
  /** Sends `segments` segments of which the `lost`-th data segments vanish once. */
  function transfer(lost: readonly number[], segments: number, sack: boolean) {
    const { net, client, server, c } = established({
      wire: { impairment: { delayUs: 5000 } },
      a: { sendBuffer: 1 << 20 },
      b: { receiveBuffer: 1 << 20 },
    });
    if (!sack) {
      c.options &= ~2;
      server.socket.connection!.options &= ~2;
    }
    const first = c.sndNxt;
    const gone = new Set(lost);
    net.wire.filter = (from, _to, bytes, offset) => {
      if (from !== 0) return true;
      const seq =
        (bytes[offset + 38] << 24) | (bytes[offset + 39] << 16) | (bytes[offset + 40] << 8) | bytes[offset + 41];
      return !gone.delete(((seq - first) | 0) / 1448);
    };
    const data = Uint8Array.from({ length: segments * 1448 }, (_, i) => i * 11 + (i >> 8));
    const started = net.nowMs;
    client.write(data);
    net.run(5000, () => server.received.length === data.length);
    expect(Uint8Array.from(server.received)).toEqual(data);
    return { net, tookMs: net.nowMs - started };
  }

  it('one segment: fast retransmit, no timeout, nothing else again (RFC 5681 3.2)', () => {
    for (const sack of [true, false]) {
      const { net } = transfer([2], 30, sack);
      expect(net.a.stats.tcpFastRetransmits).toBe(1);
      expect(net.a.stats.tcpRetransSegs).toBe(1);
      expect(net.a.stats.tcpTimeouts).toBe(0);
    }
  });

  it('several segments of a window: exactly those again, by SACK within a few round trips, by NewReno one each', () => {
    for (const sack of [true, false]) {
      const { net, tookMs } = transfer([20, 22, 25, 26], 60, sack);
      expect(net.a.stats.tcpTimeouts).toBe(0);
      expect(net.a.stats.tcpFastRetransmits).toBe(1);
      expect(net.a.stats.tcpRetransSegs).toBe(4);
      expect(tookMs).toBeLessThan(sack ? 90 : 130);
    }
  });

  it('two duplicate ACKs release two new segments (limited transmit, RFC 3042 2)', () => {
    const { net } = transfer([8], 12, true);
    expect(net.a.stats.tcpTimeouts).toBe(0);
    expect(net.a.stats.tcpRetransSegs).toBe(1);
  });

  it('the last segment: a probe, then the timer, with back-off while it is lost again (RFC 8985 7, RFC 6298 5)', () => {
    const { net, client, server, c } = established({ wire: { impairment: { delayUs: 1000 } } });
    let left = 3;
    net.wire.filter = (from) => from !== 0 || left-- <= 0;
    client.write('tail');
    net.run(10_000, () => server.text === 'tail');
    const times = net.seen
      .filter(({ from, length }) => from === 0 && length === 4)
      .map(({ atUs }) => Math.round(atUs / 1000));
    expect(times.length).toBe(4);
    // RTO is rto-min above the round trip of 2 ms.
    expect(times[1] - times[0]).toBe(202);
    expect(times[2] - times[1]).toBe(202);
    expect(times[3] - times[2]).toBe(404);
    expect([net.a.stats.tcpLossProbes, net.a.stats.tcpTimeouts]).toEqual([1, 2]);
    net.run(100);
    expect(c.backoff).toBe(0);
  });

  it('out-of-order data is reported in SACK blocks at once', () => {
    const { net, c, ports, server, timestamps } = established();
    const segment = (at: number, payload: string) =>
      inject(net, { ...ports, seq: c.sndNxt + at, ack: c.rcvNxt, flags: ACK, payload, timestamps });
    segment(10, 'kkkk');
    segment(20, 'uuuu');
    segment(30, 'EEEE');
    net.b.poll();
    net.b.flush();
    expect(net.seen.filter(({ from }) => from === 1).map(({ sackCount }) => sackCount)).toEqual([1, 2, 3]);
    segment(0, 'abcdefghij');
    net.b.poll();
    expect(server.text).toBe('abcdefghijkkkk');
  });
});

it('allocates nothing per request in the steady state', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const net = new TwoStacks();
  const [client, server] = net.connect();
  const request = new Uint8Array(64);
  let replies = 0;
  server.onReadable = (socket, bytes, offset, length) => socket.write(bytes, offset, length);
  client.onReadable = (_socket, _bytes, _offset, length) => {
    replies++;
    return length;
  };
  const rounds = (count: number) => {
    for (let i = 0; i < count; i++) {
      client.socket.write(request, 0, 64);
      net.a.flush();
      net.b.poll();
      net.b.flush();
      net.a.poll();
    }
  };
  // Code is compiled in steps and what the first ones allocate says nothing: the best of some batches counts.
  let least = Number.POSITIVE_INFINITY;
  for (let batch = 0; batch < 10 && least > 2; batch++) {
    rounds(20_000);
    collect();
    const before = process.memoryUsage().heapUsed;
    rounds(5000);
    least = Math.min(least, (process.memoryUsage().heapUsed - before) / 5000);
  }
  expect(replies % 5000).toBe(0);
  expect(least).toBeLessThan(8);
});
