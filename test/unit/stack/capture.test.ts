// Captures of a stack at work, over two stacks on a memory wire: what the comments say of losses, drops, probes and resets,
// read back from the pcapng that comes out.
import { describe, expect, it } from 'vitest';
import { BlockReader, BlockSplitter, type CapturedPacket } from '../../../io-engine/capture-file.ts';
import { compileFilter } from '../../../src/observe/capture/filter.ts';
import { Captures } from '../../../src/transports/userspace-capture.ts';
import { parseNetdevConf } from '../../../stack/config.ts';
import { ACK, SYN } from '../../../stack/wire/tcp.ts';
import { inject } from './inject.ts';
import { IP_A, PORT, Recorder, TwoStacks, type TwoStacksOptions } from './two-stacks.ts';

class Capture {
  readonly #pieces: Uint8Array[] = [];
  readonly #stop: () => void;

  constructor(captures: Captures, filter = '', snapLength = 0) {
    const sink = { backlog: 0, bytes: (bytes: Uint8Array) => this.#pieces.push(bytes) };
    this.#stop = captures.start({ matches: compileFilter(filter, 1), snapLength, sink });
  }

  stop(): CapturedPacket[] {
    this.#stop();
    const reader = new BlockReader();
    return new BlockSplitter()
      .push(Uint8Array.from(Buffer.concat(this.#pieces)))
      .flatMap((block) => reader.read(block) ?? []);
  }
}

/** The stack `a` is captured; its connections have the number 7. */
function capturing(
  options: TwoStacksOptions = {},
  idOf: (user: unknown) => number = () => 7,
): { net: TwoStacks; captures: Captures } {
  const net = new TwoStacks({ wire: { impairment: { delayUs: 1000 } }, ...options });
  const unixUs = (): number => net.clock.preciseUnixUs();
  return { net, captures: new Captures(net.a, net.wire.ends[0], unixUs, idOf) };
}

const comments = (packets: readonly CapturedPacket[]): string[] => packets.map(({ comment }) => comment);

describe('a capture of a running stack', () => {
  it('has every frame both ways with the number of its connection, and nothing when it is over', () => {
    const { net, captures } = capturing();
    const [client, server] = net.connect();
    const capture = new Capture(captures);
    client.write('question');
    net.run(100, () => server.text === 'question');
    net.run(100);
    const packets = capture.stop();
    expect(packets.map(({ direction, comment }) => [direction, comment])).toEqual([
      ['out', 'conn 7'],
      ['in', 'conn 7'],
    ]);
    expect(Buffer.from(packets[0].bytes).toString('latin1')).toContain('question');
    client.write('more');
    net.run(100);
    expect(capture.stop()).toHaveLength(2);
  });

  it('has the number of a connection whose first data comes together with the end of its handshake', () => {
    const { net, captures } = capturing({}, (user) => (user === null ? 0 : Number(user)));
    const accepted: Recorder[] = [];
    net.a.listen(PORT, 16, (socket) => {
      const server = new Recorder();
      server.echo = true;
      accepted.push(server);
      const events = server.attach(socket);
      socket.user = 40 + accepted.length;
      return events;
    });
    const all = new Capture(captures);
    const payloads = new Capture(captures, `dst port ${PORT} and greater 60`);
    const clients = [1, 2, 3].map((number) => {
      const client = new Recorder();
      client.onOpen = () => void client.write(`question ${number}, which is long enough`);
      return client.attach(net.b.connect(IP_A, PORT, client));
    });
    net.run(1000, () => clients.every(({ text }) => text.length > 0));
    const packets = all.stop();
    const withData = packets.filter(({ bytes }) => Buffer.from(bytes).includes('question'));
    // Each there and back, in the order in which they passed.
    expect(withData).toHaveLength(6);
    for (const { comment } of withData) expect(comment).toMatch(/^conn 4[123]$/);
    expect(new Set(comments(withData)).size).toBe(3);
    for (let i = 1; i < packets.length; i++) expect(packets[i].unixUs).toBeGreaterThanOrEqual(packets[i - 1].unixUs);
    expect(comments(payloads.stop()).filter((comment) => comment.startsWith('conn 4'))).toHaveLength(3);
  });

  it('serves several at a time, each with its own filter and snap length', () => {
    const { net, captures } = capturing();
    const [client, server] = net.connect();
    const all = new Capture(captures, '', 60);
    const none = new Capture(captures, 'port 1');
    const back = new Capture(captures, `src port ${PORT}`);
    server.echo = true;
    client.write('x'.repeat(500));
    net.run(100, () => client.received.length === 500);
    expect(none.stop()).toEqual([]);
    const [question, answer] = all.stop();
    expect(question).toMatchObject({ direction: 'out', originalLength: 566 });
    expect(question.bytes).toHaveLength(60);
    expect(answer).toMatchObject({ direction: 'in', originalLength: 566 });
    net.run(200);
    const answers = back.stop();
    expect(answers.every(({ direction }) => direction === 'in')).toBe(true);
    expect(answers[0].bytes.length).toBe(566);
  });

  it('says that a segment is sent again after a timeout, and how long that was', () => {
    const { net, captures } = capturing();
    const [client, server] = net.connect();
    const capture = new Capture(captures);
    let lose = 2;
    net.wire.filter = (from, _to, _bytes, _offset, length) => !(from === 0 && length > 100 && lose-- > 0);
    client.write('x'.repeat(100));
    net.run(5000, () => server.received.length === 100);
    const again = comments(capture.stop()).filter((comment) => comment.includes('retransmission'));
    expect(again[0]).toBe('conn 7; retransmission: tail loss probe (RFC 8985 7)');
    expect(again[1]).toMatch(/^conn 7; retransmission: timeout \(rto \d+ ms, in a row 1\)$/);
  });

  it('says that a segment is sent again because those behind it arrived', () => {
    const { net, captures } = capturing();
    const [client, server] = net.connect();
    const capture = new Capture(captures);
    let number = 0;
    net.wire.filter = (from, _to, _bytes, _offset, length) => !(from === 0 && length > 1000 && number++ === 1);
    client.write('x'.repeat(10_000));
    net.run(5000, () => server.received.length === 10_000);
    const again = comments(capture.stop()).filter((comment) => comment.includes('retransmission'));
    expect(again).toHaveLength(1);
    expect(again[0]).toMatch(/^conn 7; retransmission: fast, \d+ segments behind it were reported \(SACK\), cwnd \d+$/);
  });

  it('says that a SYN is sent again', () => {
    const { net, captures } = capturing();
    const capture = new Capture(captures);
    net.wire.filter = () => false;
    net.a.connect(0x0a000002, PORT, new Recorder());
    net.run(1500);
    expect(comments(capture.stop())).toEqual(['conn 7', 'conn 7; SYN again: no answer']);
  });

  it('says that a closed window is probed', () => {
    const { net, captures } = capturing({ b: { receiveBuffer: 8192 } });
    const [client, server] = net.connect();
    server.socket.pause();
    client.write('x'.repeat(20_000));
    net.run(1000);
    const capture = new Capture(captures);
    net.run(5000);
    expect(comments(capture.stop())).toContain('conn 7; window probe: the peer takes nothing');
  });

  it('says why a frame was dropped, also when an answer had left before that was decided', () => {
    const { net, captures } = capturing();
    const capture = new Capture(captures);
    inject(net, { from: 1, sourcePort: 999, destinationPort: 81, seq: 1, flags: SYN });
    net.run(10);
    // Not for us.
    const stray = new Uint8Array(60);
    stray.set([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 2, 8, 0]);
    net.wire.send(1, stray, new DataView(stray.buffer), 0, 60, 0);
    net.run(10);
    expect(capture.stop().map(({ direction, comment }) => [direction, comment])).toEqual([
      ['in', 'dropped: tcp-no-listener'],
      ['out', 'reset: it belongs to no connection'],
      ['in', 'dropped: ethernet-not-for-us'],
    ]);
  });

  it('says so of a segment with an old timestamp, its answer behind it', () => {
    const { net, captures } = capturing();
    const [client] = net.connect();
    const c = client.socket.connection!;
    const capture = new Capture(captures);
    const seq = c.rcvNxt;
    const timestamps = [c.tsRecent - 5, 0] as const;
    inject(net, {
      from: 1,
      sourcePort: PORT,
      destinationPort: c.localPort,
      seq,
      ack: c.sndNxt,
      flags: ACK,
      timestamps,
    });
    net.run(10);
    const [question, answer] = capture.stop();
    expect(question.comment).toBe('conn 7; dropped: tcp-old-timestamp');
    expect(answer).toMatchObject({ direction: 'out', comment: 'conn 7' });
    expect(answer.unixUs).toBeGreaterThanOrEqual(question.unixUs);
  });

  it('knows connections inside a VLAN', () => {
    const { net, captures } = capturing({ a: { vlan: 42 }, b: { vlan: 42 } });
    const capture = new Capture(captures, `vlan 42 and port ${PORT}`);
    const [client, server] = net.connect();
    client.write('x');
    net.run(100, () => server.text === 'x');
    const all = comments(capture.stop());
    expect(all.length).toBeGreaterThanOrEqual(4);
    expect(new Set(all)).toEqual(new Set(['conn 7']));
  });

  it('knows connections over IPv6', () => {
    const { ipv6 } = parseNetdevConf('interface = x\naddress = fd00::1/64', 'netdev.conf');
    const other = parseNetdevConf('interface = x\naddress = fd00::2/64', 'netdev.conf').ipv6;
    const { net, captures } = capturing({ a: { ipv6 }, b: { ipv6: other } });
    net.a.start();
    net.b.start();
    net.run(5000);
    const server = new Recorder();
    net.b.listen(PORT, 16, (socket) => server.attach(socket));
    const capture = new Capture(captures, 'ip6 and tcp');
    const client = new Recorder();
    client.attach(net.a.connect(net.a.ip.parse('fd00::2')!, PORT, client));
    net.run(5000, () => client.opened);
    client.write('x');
    net.run(100, () => server.text === 'x');
    const all = comments(capture.stop());
    expect(all.length).toBeGreaterThanOrEqual(4);
    expect(new Set(all)).toEqual(new Set(['conn 7']));
  });
});
