import { describe, expect, it } from 'vitest';
import { ACK, FIN, type Made, made, RST, SYN } from '../../../test/support/captured.ts';
import { type ConnectionReport, Explainer } from './explain.ts';

function explain(packets: readonly Made[], stallMs = 20): ConnectionReport[] {
  const explainer = new Explainer(stallMs * 1000, 0);
  for (const packet of packets) explainer.packet(made(packet));
  return explainer.reports();
}

const OPENED: readonly Made[] = [
  { flags: SYN, seq: 99, ms: 0 },
  { side: 1, flags: SYN | ACK, seq: 499, ack: 100, ms: 2 },
  { seq: 100, ack: 500, ms: 4 },
];
/** The client asks with 10 bytes. */
const ASKED: readonly Made[] = [...OPENED, { seq: 100, ack: 500, payload: 'x'.repeat(10), ms: 5 }];
const data = (side: 0 | 1, seq: number, ms: number, length = 100): Made => ({
  side,
  seq,
  ack: side === 0 ? 500 : 110,
  payload: 'y'.repeat(length),
  ms,
});
const kinds = ({ stalls }: ConnectionReport): [string, number][] =>
  stalls.map(({ kind, durationUs }) => [kind, durationUs / 1000]);

describe('explain', () => {
  it('tells how a connection began and ended', () => {
    const [report] = explain([...ASKED, data(1, 500, 6), { side: 1, flags: FIN | ACK, seq: 600, ack: 110, ms: 30 }]);
    expect(report).toMatchObject({
      client: '10.0.0.2:40000',
      server: '10.0.0.1:6379',
      began: 'handshake',
      ended: 'FIN by the server',
      rttUs: 2000,
      fromClient: { packets: 3, bytes: 10, retransmissions: 0 },
      fromServer: { packets: 3, bytes: 100 },
      stalls: [],
    });
    expect(explain([{ flags: SYN, seq: 1 }])[0]).toMatchObject({ began: 'never answered', ended: 'open' });
    expect(
      explain([
        { flags: SYN, seq: 1 },
        { side: 1, flags: RST | ACK, ack: 2, ms: 1 },
      ])[0],
    ).toMatchObject({
      began: 'refused',
      ended: 'RST by the server',
    });
    expect(explain([data(1, 500, 6)])[0]).toMatchObject({ began: 'before the capture' });
  });

  it('keeps connections between the same ports apart', () => {
    const again = OPENED.map((packet) => ({ ...packet, seq: packet.seq! + 90_000, ms: 100 }));
    const reports = explain([...ASKED, { side: 1, flags: RST | ACK, seq: 500, ack: 110, ms: 6 }, ...again]);
    expect(reports.map(({ ended, fromClient }) => [ended, fromClient.bytes])).toEqual([
      ['RST by the server', 10],
      ['open', 0],
    ]);
  });

  it('blames the server for a late answer, and nobody for a client that thinks', () => {
    const [report] = explain([...ASKED, data(1, 500, 55), { seq: 110, ack: 600, ms: 56 }, data(0, 110, 900)]);
    expect(kinds(report)).toEqual([['server', 50]]);
    expect(report.stalledUs.server).toBe(50_000);
  });

  it('sees a timeout: the same data after a long silence', () => {
    const [report] = explain([...ASKED, data(1, 500, 6), data(1, 500, 206), { seq: 110, ack: 600, ms: 208 }]);
    expect(kinds(report)).toEqual([['loss', 200]]);
    expect(report.fromServer).toMatchObject({
      retransmissions: 1,
      retransmittedBytes: 100,
      timeouts: 1,
      lostBefore: 0,
      bytes: 100,
    });
  });

  it('sees a fast retransmission after duplicate acknowledgements', () => {
    const ack = { seq: 110, ack: 500 };
    const [report] = explain([
      ...ASKED,
      ...[500, 600, 700, 800].map((seq, i) => data(1, seq, 6 + i)),
      ...[10, 11, 12].map((ms) => ({ ...ack, ms })),
      data(1, 500, 13),
    ]);
    expect(report.fromServer).toMatchObject({ retransmissions: 1, timeouts: 0, duplicateAcks: 3 });
    expect(report.stalls).toEqual([]);
  });

  it('sees what was lost before the point of capture, what was overtaken, and what it lacks', () => {
    const [late] = explain([...ASKED, data(1, 500, 6), data(1, 700, 7), data(1, 600, 40), data(1, 800, 41)]);
    expect(late.fromServer).toMatchObject({ lostBefore: 1, reordered: 0, retransmissions: 0, bytes: 400 });
    expect(kinds(late)).toEqual([['loss', 33]]);
    const [soon] = explain([...ASKED, data(1, 500, 6), data(1, 700, 7), data(1, 600, 8)]);
    expect(soon.fromServer).toMatchObject({ lostBefore: 0, reordered: 1, notCaptured: 0 });
    const [never] = explain([...ASKED, data(1, 500, 6), data(1, 700, 7)]);
    expect(never.fromServer).toMatchObject({ bytes: 200, notCaptured: 100 });
  });

  it('blames a reader whose window is closed, and not the one who waits', () => {
    const [report] = explain([
      ...ASKED,
      data(1, 500, 6),
      { seq: 110, ack: 600, window: 0, ms: 7 },
      // Probes do not open it.
      { side: 1, seq: 599, ack: 110, payload: 'y', ms: 200 },
      { seq: 110, ack: 600, window: 0, ms: 201 },
      { seq: 110, ack: 600, window: 5000, ms: 507 },
      data(1, 600, 508),
    ]);
    expect(kinds(report)).toEqual([['window', 500]]);
    expect(report.stalls[0].because).toContain('the client did not read');
    expect(report.fromClient.zeroWindows).toBe(1);
    expect(report.fromServer.retransmissions).toBe(0);
  });

  it('blames an acknowledgement that was waited for', () => {
    const [report] = explain([...ASKED, data(1, 500, 6), { seq: 110, ack: 600, ms: 46 }, data(1, 600, 47)]);
    expect(kinds(report)).toEqual([['acknowledgement', 40]]);
    expect(report.stalls[0].because).toContain("the client's acknowledgement was slow");
  });

  it('blames an unanswered SYN', () => {
    const syn = OPENED[0];
    const [report] = explain([syn, { ...syn, ms: 1000 }, ...OPENED.slice(1).map((p) => ({ ...p, ms: 1002 }))]);
    expect(kinds(report)).toEqual([['handshake', 1000]]);
    expect(report).toMatchObject({ began: 'handshake', rttUs: 2000, fromClient: { timeouts: 1 } });
  });

  it('counts what the capturing stack decided', () => {
    const comments = [
      'conn 7',
      'conn 7; retransmission: timeout (rto 200 ms, in a row 1)',
      'dropped: tcp-bad-checksum',
    ];
    const [report] = explain(comments.map((comment, i) => ({ ...data(1, 500 + 100 * i, i), comment })));
    expect(report.decisions).toEqual({ 'retransmission: timeout': 1, 'dropped: tcp-bad-checksum': 1 });
  });

  it('goes over the wrap of sequence numbers', () => {
    const [report] = explain([data(1, 0x7fffffff - 49, 1), data(1, 0x7fffffff + 51, 2), data(1, 0x7fffffff - 49, 3)]);
    expect(report.fromServer).toMatchObject({ bytes: 200, retransmissions: 1, notCaptured: 0 });
  });
});
