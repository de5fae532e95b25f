// Explicit congestion notification (RFC 3168): negotiation, marks, echoes and one reduction a window.
import { describe, expect, it } from 'vitest';
import type { StackConfig } from '../../../stack/config.ts';
import { ACK, CWR, ECE, SYN } from '../../../stack/wire/tcp.ts';
import { TwoStacks } from './two-stacks.ts';

type Ecn = StackConfig['ecn'];

const ECT_0 = 2;
const CE = 3;

/** Two stacks and the ECN bits of every TCP packet between them; `mark` says which become CE on their way. */
function network(a: Ecn, b: Ecn) {
  const net = new TwoStacks({
    wire: { impairment: { delayUs: 10_000, rate: 100_000_000, queueBytes: 1 << 20 } },
    a: { ecn: a, sendBuffer: 1 << 20 },
    b: { ecn: b, receiveBuffer: 1 << 20 },
  });
  const codePoints: { from: number; length: number; ecn: number }[] = [];
  const state = { net, codePoints, mark: (_from: number, _length: number) => false };
  net.wire.filter = (from, _to, bytes, offset, length) => {
    if (bytes[offset + 23] !== 6) return true;
    const ecn = bytes[offset + 15] & 3;
    const payload = length - 34 - (bytes[offset + 46] >> 4) * 4;
    codePoints.push({ from, length: payload, ecn });
    if (ecn === ECT_0 && state.mark(from, payload)) {
      // ECT(0) to CE: the header's sum grows by one (RFC 1624).
      bytes[offset + 15] |= CE;
      const at = offset + 24;
      const sum = ((bytes[at] << 8) | bytes[at + 1]) - 1;
      bytes[at] = sum >> 8;
      bytes[at + 1] = sum;
    }
    return true;
  };
  net.watch();
  return state;
}

describe('negotiation (RFC 3168 6.1.1)', () => {
  const cases: [Ecn, Ecn, boolean][] = [
    ['on', 'accept', true],
    ['on', 'on', true],
    ['on', 'off', false],
    ['accept', 'accept', false],
    ['off', 'on', false],
  ];
  it.each(cases)('%s and %s: %s', (a, b, isUsed) => {
    const { net, codePoints } = network(a, b);
    const [client] = net.connect();
    const syns = net.seen.filter(({ flags }) => (flags & SYN) !== 0).map(({ flags }) => flags & (ECE | CWR | ACK));
    expect(syns).toEqual([a === 'on' ? ECE | CWR : 0, isUsed ? ACK | ECE : ACK]);
    client.write(new Uint8Array(5000));
    net.run(200);
    // Neither SYN nor bare ACKs are ECN-capable (6.1.4); data is.
    for (const { length, ecn } of codePoints) expect(ecn).toBe(isUsed && length > 0 ? ECT_0 : 0);
    expect(net.a.stats.tcpEcnConnections).toBe(isUsed ? 1 : 0);
  });

  it('asks once: the SYN that is sent again goes without (6.1.1.1)', () => {
    const { net } = network('on', 'accept');
    let first = true;
    net.wire.filter = (from) => {
      const drop = from === 0 && first;
      first = false;
      return !drop;
    };
    const [client, server] = net.connect();
    const syns = net.seen.filter(({ from }) => from === 0).slice(0, 2);
    expect(syns.map(({ flags }) => flags)).toEqual([SYN | ECE | CWR, SYN]);
    client.write('x');
    net.run(100);
    expect(server.text).toBe('x');
  });
});

describe('marks (RFC 3168 6.1.2, 6.1.3)', () => {
  it('are echoed until CWR, and slow the sender down once a window', () => {
    const state = network('on', 'accept');
    const { net } = state;
    const [client, server] = net.connect();
    let got = 0;
    server.onReadable = (_socket, _bytes, _offset, length) => {
      got += length;
      return length;
    };
    const c = client.socket.connection!;
    client.write(new Uint8Array(250_000));
    net.run(45);
    const { cwnd } = c;
    let left = 5;
    state.mark = (from, length) => from === 0 && length > 0 && left-- > 0;
    net.run(25);
    net.seen.length = 0;
    net.run(1000, () => got === 250_000);
    expect(net.b.stats.tcpInCe).toBe(5);
    expect(net.a.stats.tcpEcnReductions).toBe(1);
    expect(net.a.stats.tcpOutCwr).toBe(1);
    expect(net.a.stats.tcpRetransSegs).toBe(0);
    expect(c.ssthresh).toBeLessThan(cwnd * 1.6);
    // After CWR arrived nothing is echoed any more.
    const cwr = net.seen.findIndex(({ from, flags }) => from === 0 && (flags & CWR) !== 0);
    const lastEcho = net.seen.findLastIndex(({ from, flags }) => from === 1 && (flags & ECE) !== 0);
    expect(net.seen[lastEcho].atUs - net.seen[Math.max(cwr, 0)].atUs).toBeLessThan(12_000);
  });

  it('what is sent again is not ECN-capable (6.1.5)', () => {
    const { net, codePoints } = network('on', 'accept');
    const [client] = net.connect();
    client.write('tail');
    const { filter } = net.wire;
    net.wire.filter = () => false;
    net.run(20);
    net.wire.filter = filter;
    codePoints.length = 0;
    net.run(2000, () => codePoints.some(({ from, length }) => from === 0 && length === 4));
    expect(codePoints.find(({ length }) => length === 4)).toEqual({ from: 0, length: 4, ecn: 0 });
  });
});
