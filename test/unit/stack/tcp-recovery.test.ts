// How losses are found and repaired, and how cwnd moves (RFC 5681, 5682, 6298, 6928, 6937, 8985, 9406, 9438, 2883, 4015),
// over a wire of which a test takes single frames away.
import { describe, expect, it } from 'vitest';
import { CWND_MAX } from '../../../stack/tcp/congestion.ts';
import { ACK } from '../../../stack/wire/tcp.ts';
import { inject } from './inject.ts';
import { PORT, type SeenSegment, TwoStacks, type TwoStacksOptions } from './two-stacks.ts';

const SEGMENT = 1448;

interface Wire extends TwoStacksOptions {
  readonly delayUs?: number;
  readonly rate?: number;
  readonly queueBytes?: number;
  readonly congestion?: 'cubic' | 'newreno';
}

/** A connection that can have a megabyte out; `lose` takes data segments away by number, each as often as it is named. */
function bulk({
  delayUs = 10_000,
  rate = 200_000_000,
  queueBytes = 1 << 20,
  congestion = 'cubic',
  ...rest
}: Wire = {}) {
  const net = new TwoStacks({
    wire: { impairment: { delayUs, rate, queueBytes }, inFlight: 4096 },
    ends: [
      { rxRing: 1024, txRing: 1024 },
      { rxRing: 1024, txRing: 1024 },
    ],
    a: { sendBuffer: 1 << 20, congestion },
    b: { receiveBuffer: 1 << 20 },
    ...rest,
  });
  const [client, server] = net.connect();
  server.onReadable = (_socket, _bytes, _offset, length) => {
    got += length;
    return length;
  };
  let got = 0;
  const c = client.socket.connection!;
  const base = c.sndNxt;
  net.watch();
  // The socket takes what it has room for; the rest follows.
  let left = 0;
  const zeros = new Uint8Array(1 << 20);
  const write = (bytes: number) => {
    left += bytes;
    left -= client.socket.write(zeros, 0, Math.min(left, zeros.length));
  };
  net.onTick = (stack) => {
    if (stack === net.a && left > 0) write(0);
  };
  const gone: number[] = [];
  net.wire.filter = (from, _to, bytes, offset, length) => {
    if (from !== 0 || length < 100) return true;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const at = gone.indexOf(((view.getInt32(offset + 38) - base) | 0) / SEGMENT);
    if (at >= 0) gone.splice(at, 1);
    return at < 0;
  };
  return {
    net,
    client,
    server,
    c,
    lose: (...numbers: number[]) => gone.push(...numbers),
    write: (segments: number) => write(segments * SEGMENT),
    writeBytes: write,
    received: () => got / SEGMENT,
    arrived: (segments: number, ms = 10_000) => net.run(ms, () => got >= segments * SEGMENT),
    data: (): SeenSegment[] => net.seen.filter(({ from, length }) => from === 0 && length > 0),
    number: ({ seq }: SeenSegment) => ((seq - base) | 0) / SEGMENT,
  };
}

describe('windows', () => {
  it('begins with ten segments (RFC 6928 2)', () => {
    const { net, write, data } = bulk();
    write(100);
    net.run(10);
    expect(data().length).toBe(10);
  });

  it('doubles a round trip in slow start, by what was acknowledged (RFC 5681 3.1, RFC 9406 4.2)', () => {
    const { net, write, c } = bulk();
    write(400);
    net.run(25);
    expect(c.cwnd).toBe(20 * SEGMENT);
    net.run(20);
    expect(c.cwnd).toBe(40 * SEGMENT);
  });

  it('does not grow a window that is not used (RFC 7661 4.4)', () => {
    const { net, write, c } = bulk();
    for (let i = 0; i < 50; i++) {
      write(1);
      net.run(50);
    }
    expect(c.cwnd).toBe(10 * SEGMENT);
  });

  it('starts again after silence (RFC 5681 4.1)', () => {
    const { net, write, arrived, c, data } = bulk();
    write(300);
    arrived(300);
    expect(c.cwnd).toBeGreaterThan(40 * SEGMENT);
    net.run(5000);
    const before = data().length;
    write(300);
    net.run(5);
    expect(data().length - before).toBe(10);
  });

  it('leaves slow start when round trips grow, before anything is lost (RFC 9406 4.2)', () => {
    const { net, client, c } = bulk({ rate: 20_000_000, queueBytes: 1 << 20 });
    const more = new Uint8Array(1 << 16);
    net.onTick = (stack) => {
      if (stack === net.a) client.socket.write(more, 0, more.length);
    };
    net.run(2000);
    expect(c.ssthresh).toBeLessThan(CWND_MAX);
    expect(net.a.stats.tcpRetransSegs).toBe(0);
  });

  it('slows down when acknowledgements come without a gap, which is before a short queue overflows by half a window', () => {
    // Round trips tell when it is too late: the queue holds half of what the path does.
    const { net, client, c } = bulk({ delayUs: 25_000, rate: 50_000_000, queueBytes: 150_000 });
    const more = new Uint8Array(1 << 16);
    net.onTick = (stack) => {
      if (stack === net.a) client.socket.write(more, 0, more.length);
    };
    net.tick();
    net.run(1500);
    const path = (50_000_000 * 0.05) / 8 / 1514;
    expect(c.ssthresh).toBeLessThan(CWND_MAX);
    expect(c.cwnd / SEGMENT).toBeGreaterThan(path * 0.7);
    expect(net.a.stats.tcpRetransSegs).toBeLessThan(path / 2);
  });

  it('slow start goes on where the network reorders: what is reported counts', () => {
    const impairment = { delayUs: 25_000, rate: 100_000_000, queueBytes: 1 << 20, reorder: 0.05, reorderUs: 12_000 };
    const { net, write, c } = bulk({ wire: { impairment, inFlight: 4096 } });
    write(5000);
    net.run(350);
    expect(c.cwnd / SEGMENT).toBeGreaterThan(250);
  });

  it('CUBIC keeps 0.7 of the window and is back within K (RFC 9438 4.2, 4.6)', () => {
    const { net, client, c, lose, number, data } = bulk();
    const more = new Uint8Array(1 << 18);
    net.onTick = (stack) => {
      if (stack === net.a && c.sendRing.length < 1 << 19) client.socket.write(more, 0, more.length);
    };
    net.run(100);
    lose(Math.max(...data().map(number)) + 1);
    expect(net.run(500, () => c.ssthresh < CWND_MAX)).toBe(true);
    const { wMax } = c.flight!;
    expect(c.ssthresh / SEGMENT / wMax).toBeGreaterThan(0.6);
    expect(c.ssthresh / SEGMENT / wMax).toBeLessThanOrEqual(0.71);
    const k = Math.cbrt((wMax * 0.3) / 0.4);
    net.run(100 + k * 1000);
    expect(c.cwnd / SEGMENT).toBeGreaterThan(wMax * 0.9);
    expect(net.a.stats.tcpTimeouts).toBe(0);
  });

  it('CUBIC leaves room for others when a loss comes before the window is back (RFC 9438 4.7)', () => {
    const { net, client, c, lose, number, data } = bulk();
    const more = new Uint8Array(1 << 18);
    net.onTick = (stack) => {
      if (stack === net.a && c.sendRing.length < 1 << 19) client.socket.write(more, 0, more.length);
    };
    const loseNext = (): number => {
      const { tcpFastRetransmits } = net.a.stats;
      lose(Math.max(...data().map(number)) + 1);
      let window = 0;
      const isFound = (): boolean => {
        if (net.a.stats.tcpFastRetransmits > tcpFastRetransmits) return true;
        window = c.cwnd;
        return false;
      };
      expect(net.run(500, isFound)).toBe(true);
      net.run(100);
      return window / SEGMENT;
    };
    net.run(100);
    const first = loseNext();
    expect(c.flight!.wMax / first).toBeCloseTo(1, 1);
    const second = loseNext();
    expect(second).toBeLessThan(first);
    // (1 + 0.7) / 2 of the window, where the first time it was the window.
    expect(c.flight!.wMax / second).toBeCloseTo(0.85, 1);
  });

  it('NewReno keeps half of it and adds a segment a round trip (RFC 5681 3.1, 3.2)', () => {
    const { net, client, c, lose, number, data } = bulk({ congestion: 'newreno' });
    const more = new Uint8Array(1 << 18);
    net.onTick = (stack) => {
      if (stack === net.a && c.sendRing.length < 1 << 19) client.socket.write(more, 0, more.length);
    };
    net.run(100);
    lose(Math.max(...data().map(number)) + 1);
    net.run(200, () => c.ssthresh < CWND_MAX);
    net.run(100, () => c.flight!.phase === 0);
    const before = c.cwnd;
    expect(before).toBe(c.ssthresh);
    net.run(200);
    expect((c.cwnd - before) / SEGMENT).toBeGreaterThanOrEqual(8);
    expect((c.cwnd - before) / SEGMENT).toBeLessThanOrEqual(11);
  });

  it('comes down to ssthresh in proportion, sending all the while (RFC 6937 3)', () => {
    const { net, write, lose, arrived, data, number } = bulk();
    write(200);
    lose(70);
    arrived(200);
    const again = data().findIndex((segment, i) => number(segment) === 70 && i > 71);
    const at = data()[again].atUs;
    // In the round trip of the recovery there is new data too, not half a window of silence first.
    const inRecovery = data().filter(({ atUs }) => atUs >= at && atUs < at + 20_000);
    expect(inRecovery.length).toBeGreaterThan(10);
    expect(net.a.stats.tcpRetransSegs).toBe(1);
  });
});

describe('RACK-TLP (RFC 8985)', () => {
  it('sends the lost ones again, and only those, in one round trip each (6.2)', () => {
    const { net, write, lose, arrived, data, number } = bulk();
    const holes = [30, 31, 35, 40, 44, 52, 60, 61, 62, 63];
    write(100);
    lose(...holes);
    expect(arrived(100, 300)).toBe(true);
    const counts = new Map<number, number>();
    for (const segment of data()) counts.set(number(segment), (counts.get(number(segment)) ?? 0) + 1);
    expect(
      [...counts]
        .filter(([, count]) => count > 1)
        .map(([n]) => n)
        .sort((a, b) => a - b),
    ).toEqual(holes);
    expect(net.a.stats.tcpTimeouts).toBe(0);
  });

  it('finds out that a retransmission was lost too, without the timer (3.3)', () => {
    const { net, write, lose, arrived } = bulk();
    write(300);
    lose(40, 40, 40);
    expect(arrived(300, 600)).toBe(true);
    expect(net.a.stats.tcpTimeouts).toBe(0);
    expect(net.a.stats.tcpLostRetransmits).toBe(2);
  });

  it('more holes than any list of ranges would hold (RFC 6675 5.1)', () => {
    const { net, write, lose, arrived } = bulk();
    write(600);
    for (let n = 100; n < 300; n += 2) lose(n);
    expect(arrived(600, 3000)).toBe(true);
    expect(net.a.stats.tcpTimeouts).toBe(0);
    expect(net.a.stats.tcpRetransSegs).toBe(100);
  });

  it('asks with a probe when the tail of a flight is lost (7.3)', () => {
    const { net, write, lose, arrived, data } = bulk();
    write(20);
    arrived(20);
    write(5);
    lose(23, 24);
    const start = net.nowMs;
    expect(arrived(25, 1000)).toBe(true);
    expect(net.nowMs - start).toBeLessThan(150);
    expect(net.a.stats.tcpTimeouts).toBe(0);
    expect(net.a.stats.tcpLossProbes).toBe(1);
    expect(data().length).toBe(27);
  });

  it('slows down when a probe repaired the only loss (7.4.2)', () => {
    const { net, write, lose, arrived, c } = bulk();
    write(20);
    arrived(20);
    net.run(50);
    write(3);
    lose(22);
    arrived(23, 1000);
    // The answer to the probe alone could be that to the original: what follows tells.
    write(2);
    net.run(100);
    expect(net.a.stats.tcpLossProbes).toBe(1);
    expect(c.ssthresh).toBeLessThan(CWND_MAX);
  });

  it('a loss is no reordering, whatever else the acknowledgement that tells of it covers (6.2 step 3)', () => {
    const { net, write, lose, arrived, c } = bulk();
    for (let i = 0; i < 10; i++) {
      write(40);
      // An odd and an even one: with delayed acknowledgements one of them is told of together with what came before it.
      lose(40 * i + 20, 40 * i + 25, 40 * i + 27);
      expect(arrived(40 * (i + 1), 1000)).toBe(true);
    }
    expect(net.a.stats.tcpRetransSegs).toBe(30);
    expect(c.flight!.reordering).toBe(false);
  });

  it('waits longer once reordering was seen, so that reordering costs nothing (6.2 step 4)', () => {
    const { net, client, c } = bulk({ delayUs: 20_000 });
    net.wire.impair({ delayUs: 20_000, reorder: 0.05, reorderUs: 6000 }, 0, 1);
    net.wire.impair({ delayUs: 20_000 }, 1, 0);
    const more = new Uint8Array(1 << 17);
    net.onTick = (stack) => {
      if (stack === net.a && c.sendRing.length < 1 << 18) client.socket.write(more, 0, more.length);
    };
    net.run(3000);
    const early = net.a.stats.tcpRetransSegs;
    const sentBefore = net.a.stats.tcpOutSegs;
    net.run(3000);
    expect(c.flight!.reordering).toBe(true);
    expect(net.a.stats.tcpOutSegs - sentBefore).toBeGreaterThan(3000);
    expect(net.a.stats.tcpRetransSegs - early).toBeLessThan((net.a.stats.tcpOutSegs - sentBefore) / 100);
  });
});

describe('for nothing', () => {
  it('a retransmission that was for nothing shows that the network reorders', () => {
    const { net, write, lose, arrived, data, number, c } = bulk();
    write(60);
    expect(arrived(60)).toBe(true);
    /** Segment `n` comes `ms` behind the others that were sent with it. */
    const late = (n: number, ms: number): void => {
      const tsVal = (net.nowMs + c.tsOffset) | 0;
      net.seen.length = 0;
      lose(n);
      write(20);
      net.run(100, () => data().some((segment) => number(segment) === n));
      net.run(ms);
      const ports = { sourcePort: c.localPort, destinationPort: PORT };
      const payload = '\0'.repeat(SEGMENT);
      const { seq } = data().find((segment) => number(segment) === n)!;
      inject(net, { ...ports, seq, ack: c.rcvNxt, flags: ACK, payload, timestamps: [tsVal, 0] });
      net.run(100);
    };
    late(65, 12);
    expect(net.a.stats).toMatchObject({ tcpFastRetransmits: 1, tcpUndos: 1 });
    late(85, 4);
    expect(net.a.stats).toMatchObject({ tcpFastRetransmits: 1, tcpRetransSegs: 1 });
    expect(arrived(100)).toBe(true);
  });

  it('reports what came twice (RFC 2883 4) and learns from such a report', () => {
    const { net, server, c } = bulk();
    const ports = { sourcePort: c.localPort, destinationPort: PORT };
    const timestamps = [(net.nowMs + c.tsOffset) | 0, 0] as const;
    inject(net, { ...ports, seq: c.sndNxt, ack: c.rcvNxt, flags: ACK, payload: 'twice', timestamps });
    net.run(30);
    inject(net, { ...ports, seq: c.sndNxt, ack: c.rcvNxt, flags: ACK, payload: 'twice', timestamps });
    net.run(30);
    const answer = net.seen.filter(({ from }) => from === 1).at(-1)!;
    expect(answer.sackCount).toBe(1);
    expect(answer.ack).toBe(server.socket.connection!.rcvNxt);
    expect(net.b.stats.tcpOutDsacks).toBe(1);
  });

  it('a timeout whose segments were only late is taken back (RFC 5682 2.1, RFC 4015 3.2)', () => {
    const { net, write, arrived, c } = bulk();
    write(200);
    arrived(200);
    net.run(50);
    const { cwnd } = c;
    write(30);
    net.run(1);
    // Everything is held up for much longer than the timeout, and then arrives.
    net.wire.impair({ delayUs: 900_000 }, 1, 0);
    net.run(2500, () => net.a.stats.tcpSpuriousTimeouts > 0);
    expect(net.a.stats.tcpTimeouts).toBeGreaterThan(0);
    expect(net.a.stats.tcpSpuriousTimeouts).toBe(1);
    expect(c.cwnd).toBeGreaterThanOrEqual(cwnd);
  });

  it('a real timeout is not taken back', () => {
    const { net, write, arrived, c } = bulk();
    write(100);
    arrived(100);
    net.run(50);
    net.wire.impair({ loss: 1 }, 0, 1);
    write(30);
    net.run(400);
    net.wire.impair({ delayUs: 10_000 });
    expect(arrived(130)).toBe(true);
    expect(net.a.stats.tcpTimeouts).toBeGreaterThan(0);
    expect(net.a.stats.tcpSpuriousTimeouts).toBe(0);
    expect(c.ssthresh).toBeLessThan(CWND_MAX);
  });

  it('backs off doubly while nothing is heard, and no further than two minutes (RFC 8961 4, RFC 6298 5.5)', () => {
    const { net, writeBytes, data } = bulk();
    net.wire.impair({ loss: 1 });
    writeBytes(100);
    net.run(600_000);
    const times = data().map(({ atUs }) => atUs / 1000);
    const gaps = times.slice(1).map((at, i) => at - times[i]);
    // The first is the probe, then the timer.
    for (let i = 2; i < gaps.length; i++) expect(gaps[i]).toBeCloseTo(Math.min(gaps[1] * 2 ** (i - 1), 120_000), -1);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(120_000);
  });
});
