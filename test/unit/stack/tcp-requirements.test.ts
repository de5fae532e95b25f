// Requirements of RFC 9293 that a packet script cannot ask for: several frames in one tick, several starts of a stack,
// many initial sequence numbers. The table is test/stack/rfc9293.md.
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/platform/clock.ts';
import { SeededRandom } from '../../../src/platform/random.ts';
import { Ipv6Book } from '../../../stack/ipv6-book.ts';
import type { StackError } from '../../../stack/tcp/connect.ts';
import { Iss } from '../../../stack/tcp/iss.ts';
import { IP_A, IP_B, PORT, Recorder, TwoStacks } from './two-stacks.ts';

describe('initial sequence numbers (3.4.1, RFC 6528 3)', () => {
  const make = (seed: number) => {
    const clock = new ManualClock();
    const random = new SeededRandom(seed);
    return { clock, iss: new Iss(clock, random, new Ipv6Book(random)) };
  };

  it('come from a clock of 4 microseconds (MUST-8)', () => {
    const { clock, iss } = make(1);
    const first = iss.sequence(1, 80, 2, 1000);
    clock.advanceUs(40_000);
    expect((iss.sequence(1, 80, 2, 1000) - first) | 0).toBe(10_000);
  });

  it('differ for each part of the four-tuple (SHLD-1)', () => {
    const { iss } = make(1);
    const numbers = [
      iss.sequence(1, 80, 2, 1000),
      iss.sequence(3, 80, 2, 1000),
      iss.sequence(1, 81, 2, 1000),
      iss.sequence(1, 80, 4, 1000),
      iss.sequence(1, 80, 2, 1001),
    ];
    expect(new Set(numbers).size).toBe(numbers.length);
    // Neighbouring ports are as far from each other as any: over many pairs every bit flips half of the time.
    const flips = new Array(32).fill(0);
    for (let port = 1000; port < 3000; port++) {
      const change = iss.sequence(1, 80, 2, port) ^ iss.sequence(1, 80, 2, port + 1);
      for (let bit = 0; bit < 32; bit++) flips[bit] += (change >>> bit) & 1;
    }
    for (const count of flips) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  it('depend on a key that each start draws (MUST-9)', () => {
    expect(make(1).iss.sequence(1, 80, 2, 1000)).not.toBe(make(2).iss.sequence(1, 80, 2, 1000));
  });
});

describe('the local end of an active open', () => {
  const OTHER = 0x0a000009;
  const codeOf = (open: () => unknown): string => {
    try {
      open();
      return 'opened';
    } catch (error) {
      return (error as StackError).code;
    }
  };

  it('may be named, address and port (MUST-43), and the connection keeps it (MUST-45)', () => {
    const addresses = [IP_A, OTHER].map((ip) => ({ ip, prefixLength: 24 }));
    const net = new TwoStacks({ a: { addresses }, b: { arp: [{ ip: OTHER, mac: Uint8Array.of(2, 0, 0, 0, 0, 1) }] } });
    const server = new Recorder();
    net.b.listen(PORT, 16, (socket) => server.attach(socket));
    const client = new Recorder();
    client.attach(net.a.connect(IP_B, PORT, client, OTHER, 12345));
    net.run(100, () => client.opened && server.opened);
    expect([server.socket.remoteIp, server.socket.remotePort]).toEqual([OTHER, 12345]);
    expect(codeOf(() => net.a.connect(IP_B, PORT, new Recorder(), OTHER, 12345))).toBe('EADDRINUSE');
    expect(codeOf(() => net.a.connect(IP_B, PORT, new Recorder(), IP_A, 12345))).toBe('opened');
  });

  it('may be one in TIME-WAIT when timestamps tell old from new, a second later (RFC 6191)', () => {
    const net = new TwoStacks();
    let server = new Recorder();
    net.b.listen(PORT, 16, (socket) => {
      server = new Recorder().attach(socket);
      server.endOnEnd = true;
      return server;
    });
    const open = (): Recorder => {
      const client = new Recorder();
      client.attach(net.a.connect(IP_B, PORT, client, 0, 40_000));
      return client;
    };
    const first = open();
    net.run(100, () => first.opened);
    const { sndNxt } = first.socket.connection!;
    first.socket.end();
    net.run(100, () => first.closed);
    expect(net.a.tcp.timeWaits).toBe(1);
    net.run(900);
    expect(codeOf(open)).toBe('EADDRINUSE');
    net.run(200);
    const second = open();
    expect(net.a.tcp.timeWaits).toBe(0);
    expect((second.socket.connection!.iss - sndNxt) | 0).toBeGreaterThan(65_535);
    net.run(100, () => second.opened);
    second.write('new');
    net.run(100, () => server.text === 'new');
    expect(server.text).toBe('new');
  });

  it('is not one in TIME-WAIT without timestamps', () => {
    const net = new TwoStacks();
    const [client, server] = net.connect();
    const { localPort } = client.socket;
    client.socket.end();
    server.socket.end();
    net.run(100, () => client.closed);
    Object.assign(net.a.tcp.flows.find(IP_B, PORT, localPort, IP_A)!, { hasTimestamps: false });
    net.run(5000);
    expect(codeOf(() => net.a.connect(IP_B, PORT, new Recorder(), 0, localPort))).toBe('EADDRINUSE');
  });
});

it('no open to a broadcast or multicast address (MUST-46)', () => {
  const { a } = new TwoStacks();
  const refused = (address: number) => {
    try {
      a.connect(address, 80, new Recorder());
      return null;
    } catch (error) {
      return (error as StackError).code;
    }
  };
  for (const address of [0xffffffff | 0, 0x0a0000ff, 0xe0000001 | 0, 0x0a000000]) {
    expect(refused(address)).toBe('ENETUNREACH');
  }
  expect(a.connections).toBe(0);
});

it('what comes together is taken before anything is sent, and acknowledged once (MUST-58, MUST-59)', () => {
  const net = new TwoStacks().watch();
  const [client, server] = net.connect();
  const before = net.seen.length;
  // Eight segments leave in one flush and arrive in one batch.
  client.write(new Uint8Array(8 * 1460));
  net.a.flush();
  net.run(1);
  const answers = net.seen.slice(before).filter(({ from }) => from === 1);
  expect(server.received.length).toBe(8 * 1460);
  expect(answers.length).toBe(1);
});
