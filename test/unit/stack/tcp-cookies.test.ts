// A full SYN queue (RFC 4987): answered with cookies, which keep nothing here and yet the options.
import { describe, expect, it } from 'vitest';
import { OPTION_SACK, OPTION_TIMESTAMPS } from '../../../stack/tcp/connection.ts';
import { ACK, PSH, RST, SYN } from '../../../stack/wire/tcp.ts';
import { inject } from './inject.ts';
import { IP_B, PORT, Recorder, TwoStacks, type TwoStacksOptions } from './two-stacks.ts';

/** A listener whose queue strangers have filled: their SYN,ACKs go nowhere. */
function flooded(options: TwoStacksOptions = {}) {
  const net = new TwoStacks(options);
  const servers: Recorder[] = [];
  const listener = net.b.listen(PORT, 16, (socket) => {
    const server = new Recorder().attach(socket);
    servers.push(server);
    return server;
  });
  net.wire.filter = (from) => from === 0;
  for (let i = 0; i < 400; i++) {
    inject(net, { sourcePort: 2000 + i, destinationPort: PORT, seq: i * 99, flags: SYN, mss: 1460 });
    if (i % 50 === 49) net.settle();
  }
  net.wire.filter = null;
  return { net, listener, servers };
}

describe('SYN cookies (RFC 4987 3.6)', () => {
  it('bound the queue, and let new clients in with SACK, window scale and timestamps', () => {
    const { net, listener, servers } = flooded({ b: { receiveBuffer: 1 << 20 } });
    expect(listener.handshakes).toBe(128);
    expect(net.b.tcp.flows.size).toBe(128);
    expect(net.b.stats.tcpSynCookiesSent).toBe(272);
    const client = new Recorder();
    client.attach(net.a.connect(IP_B, PORT, client));
    net.run(100);
    expect(client.opened && servers.length === 1).toBe(true);
    const c = servers[0].socket.connection!;
    const mine = client.socket.connection!;
    const agreed = OPTION_TIMESTAMPS | OPTION_SACK;
    expect([c.options & agreed, c.sndWindShift, c.mss]).toEqual([agreed, mine.rcvWindShift, 1448]);
    client.write('question');
    servers[0].write('answer');
    net.run(100);
    expect([servers[0].text, client.text]).toEqual(['question', 'answer']);
    expect(net.b.stats.tcpSynCookiesReceived).toBe(1);
  });

  it('the first data brings the cookie when the ACK was lost', () => {
    const { net, servers } = flooded();
    const client = new Recorder();
    client.attach(net.a.connect(IP_B, PORT, client));
    let acks = 0;
    net.wire.filter = (from, _to, bytes, offset) => !(from === 0 && (bytes[offset + 47] & SYN) === 0 && acks++ === 0);
    net.run(20);
    expect(servers.length).toBe(0);
    client.write('late');
    net.run(100);
    expect(servers[0].text).toBe('late');
  });

  it('keep the MSS alone from a peer without timestamps', () => {
    const { net, servers } = flooded();
    net.watch();
    inject(net, { sourcePort: 9000, destinationPort: PORT, seq: 5000, flags: SYN, mss: 1300 });
    net.b.poll();
    net.b.flush();
    const answer = net.seen.find(({ from }) => from === 1)!;
    expect(answer.flags).toBe(SYN | ACK);
    const ports = { sourcePort: 9000, destinationPort: PORT };
    inject(net, { ...ports, seq: 5001, ack: answer.seq + 1, flags: ACK | PSH, payload: 'hello' });
    net.b.poll();
    expect(servers[0].text).toBe('hello');
    const c = servers[0].socket.connection!;
    expect([c.options, c.sndWindShift, c.rcvWindShift, c.mss]).toEqual([0, 0, 0, 1220]);
  });

  it('are refused when made up, and when old', () => {
    const { net, servers } = flooded();
    net.watch();
    const ports = { sourcePort: 9000, destinationPort: PORT };
    const answers = () => net.seen.filter(({ from }) => from === 1).map(({ flags }) => flags);
    inject(net, { ...ports, seq: 77, ack: 123456789, flags: ACK });
    net.b.poll();
    net.b.flush();
    expect(answers()).toEqual([RST]);
    expect(net.b.stats.tcpSynCookiesFailed).toBe(1);
    inject(net, { ...ports, seq: 5000, flags: SYN, mss: 1460 });
    net.b.poll();
    net.b.flush();
    const { seq } = net.seen.at(-1)!;
    net.run(200_000);
    inject(net, { ...ports, seq: 5001, ack: seq + 1, flags: ACK });
    net.b.poll();
    net.b.flush();
    expect(answers().at(-1)).toBe(RST);
    expect(servers.length).toBe(0);
  });

  it('are not given with syn-cookies = off', () => {
    const { net } = flooded({ b: { synCookies: 'off' } });
    expect(net.b.stats.tcpSynCookiesSent).toBe(0);
    expect(net.b.stats.tcpListenOverflows).toBe(272);
  });
});

describe('local ports (RFC 6056 3.3.4)', () => {
  it('go up by one towards one destination, and tell nothing about those towards another', () => {
    const net = new TwoStacks();
    const port = (remotePort: number) => net.a.connect(IP_B, remotePort, new Recorder()).localPort;
    const first = [port(1), port(1), port(1)];
    expect(first[1] - first[0]).toBe(1);
    expect(first[2] - first[1]).toBe(1);
    const others = Array.from({ length: 20 }, (_, i) => port(100 + i));
    expect(new Set(others.map((other) => other - first[2])).size).toBe(20);
    for (const other of [...first, ...others]) expect(other).toBeGreaterThanOrEqual(32768);
  });
});
