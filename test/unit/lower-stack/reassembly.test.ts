// Fragments of IPv4 datagrams (RFC 791 3.2, RFC 815, RFC 1122 3.3.2, RFC 5722).
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { REASSEMBLY_BYTES_MAX, REASSEMBLY_MS, REASSEMBLY_SOURCE_BYTES_MAX } from '../../../stack/reassembly.ts';
import { arpFrame, HOST_IP, icmpMessage, ipv4Frame, LowerHost, PEER_IP } from './host.ts';

const MORE = 0x2000;

/** Bytes that differ by place. */
const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255);

/** A datagram in pieces; `cuts` are the places between them, multiples of eight. */
function fragments(payload: Uint8Array, cuts: readonly number[], protocol = 6): Uint8Array[] {
  const places = [0, ...cuts, payload.length];
  return places.slice(0, -1).map((start, i) => {
    const end = places[i + 1];
    const fragment = (start >> 3) | (end < payload.length ? MORE : 0);
    return ipv4Frame({ fragment, protocol, payload: payload.slice(start, end) });
  });
}

function openHost(): LowerHost {
  const host = new LowerHost();
  // A neighbour that is known, so that answers leave at once.
  host.receive(arpFrame({ operation: 1, senderIp: PEER_IP, targetIp: HOST_IP }));
  host.sent();
  return host;
}

describe('reassembly', () => {
  it('any order, any cuts: the datagram is delivered once, whole (RFC 815)', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 9, max: 1400 }),
        fc.uniqueArray(fc.integer({ min: 1, max: 174 }), { maxLength: 12 }),
        fc.infiniteStream(fc.nat()),
        (length, eighths, order) => {
          const payload = pattern(length);
          const cuts = eighths.map((n) => n * 8).filter((cut) => cut < length);
          cuts.sort((a, b) => a - b);
          const host = new LowerHost();
          const pieces = fragments(payload, cuts);
          while (pieces.length > 0) {
            const [piece] = pieces.splice(order.next().value % pieces.length, 1);
            expect(host.receive(piece)).toEqual(['ok']);
            // Duplicates change nothing.
            if (pieces.length > 0) expect(host.receive(piece)).toEqual(['ok']);
          }
          expect(host.tcp.segments.map((segment) => Buffer.from(segment.payload).equals(payload))).toEqual([true]);
          expect(host.ip.reassembly.bytesHeld).toBe(0);
          if (cuts.length > 0) expect(host.stats.ipReasmOKs).toBe(1);
        },
      ),
      { numRuns: 200, seed: 7 },
    );
  });

  it('the checksum of a whole is never taken on trust', () => {
    const host = new LowerHost('rx-checksum = auto');
    host.receive(...fragments(pattern(100), [48]));
    expect(host.tcp.segments.map((segment) => segment.isChecksumTrusted)).toEqual([false]);
  });

  it('an echo request in pieces is answered in one (RFC 1122, 3.2.2.6)', () => {
    const host = openHost();
    host.receive(...fragments(icmpMessage(8, 0, 0x12340001, pattern(1000)), [400, 800], 1));
    expect(host.sentLines()).toEqual([expect.stringMatching(/echo reply/)]);
  });

  it.each([1473, 1480, 4000, 65507])('an echo request of %i bytes gets them all back, in fragments', (length) => {
    const host = openHost();
    const data = pattern(length);
    const cuts = Array.from({ length: Math.floor((length + 7) / 1480) }, (_, i) => (i + 1) * 1480);
    for (let round = 1; round <= 2; round++) {
      host.receive(...fragments(icmpMessage(8, 0, 0x12340001, data), cuts, 1));
      const sent = host.sent();
      expect(sent).toHaveLength(cuts.length + 1);
      const words = sent.map((frame) => (frame[20] << 8) | frame[21]);
      expect(words).toEqual(sent.map((_, i) => (i < cuts.length ? MORE : 0) | (i * 185)));
      expect(new Set(sent.map((frame) => (frame[18] << 8) | frame[19])).size).toBe(1);
      const whole = Buffer.concat(sent.map((frame) => frame.subarray(34)));
      expect(whole.equals(icmpMessage(0, 0, 0x12340001, data))).toBe(true);
      expect(host.stats).toMatchObject({ icmpOutEchoReps: round, icmpOutMsgs: round });
    }
  });

  it.each([
    ['overlapping at the front', [0 | MORE, 1 | MORE], [16, 16]],
    ['overlapping at the back', [2 | MORE, 0 | MORE], [16, 24]],
    ['one inside the other', [0 | MORE, 1 | MORE], [64, 8]],
    ['two ends at different places', [4, 8], [8, 8]],
    ['something behind the end', [4, 6 | MORE], [8, 8]],
    ['an end before what is there', [8 | MORE, 2], [8, 8]],
    ['a middle piece that is no multiple of eight', [0 | MORE], [13]],
    ['an empty piece', [0 | MORE], [0]],
    ['longer than a datagram can be', [0x1fff], [64]],
  ])('%s: the datagram is given up and counted', (_what, offsets, lengths) => {
    const host = new LowerHost();
    const pieces = offsets.map((fragment, i) => ipv4Frame({ fragment, payload: pattern(lengths[i]) }));
    const results = host.receive(...pieces);
    expect(results.at(-1)).toBe('ipv4-fragment');
    expect(host.stats.ipReasmFails).toBe(1);
    expect(host.ip.reassembly.bytesHeld).toBe(0);
    expect(host.tcp.segments).toEqual([]);
  });

  it('times out after a minute; with its first fragment there, the sender is told (RFC 792)', () => {
    const host = openHost();
    host.receive(ipv4Frame({ fragment: MORE, payload: pattern(64) }));
    host.advance(REASSEMBLY_MS - 1);
    expect(host.stats.ipReasmFails).toBe(0);
    host.sent();
    host.advance(1);
    expect(host.stats.ipReasmFails).toBe(1);
    expect(host.stats.icmpOutTimeExcds).toBe(1);
    expect(host.ip.reassembly.bytesHeld).toBe(0);
    const told = host.sent().filter((frame) => frame[23] === 1);
    expect(told.map((frame) => [frame[34], frame[35]])).toEqual([[11, 1]]);
  });

  it('without the first fragment nobody is told', () => {
    const host = openHost();
    host.receive(ipv4Frame({ fragment: MORE | 4, payload: pattern(64) }));
    host.advance(REASSEMBLY_MS);
    expect(host.stats.icmpOutTimeExcds).toBe(0);
    expect(host.stats.ipReasmFails).toBe(1);
  });

  it('memory is bounded: the oldest datagrams make way', () => {
    const host = new LowerHost();
    for (let i = 0; i < 5000; i++) {
      const frame = ipv4Frame({
        fragment: MORE,
        from: `10.0.0.${2 + (i % 200)}`,
        payload: pattern(1400),
        protocol: 6 + (i >> 8),
      });
      host.receive(frame);
    }
    expect(host.ip.reassembly.bytesHeld).toBeLessThanOrEqual(REASSEMBLY_BYTES_MAX);
    expect(host.stats.ipReasmFails).toBeGreaterThan(0);
    host.advance(REASSEMBLY_MS + 1);
    expect(host.ip.reassembly.bytesHeld).toBe(0);
  });

  it('one source fills its own share only, and pushes out nobody else', () => {
    const host = openHost();
    const echo = icmpMessage(8, 0, 7, pattern(992));
    const [first, second] = fragments(echo, [504], 1);
    host.receive(first);
    // Beginnings without an end, each of another datagram.
    for (let i = 0; i < 200; i++) {
      for (let piece = 1; piece < 11; piece++) {
        host.receive(
          ipv4Frame({ fragment: MORE | (piece * 175), from: '10.0.0.66', payload: pattern(1400), protocol: 30 + i }),
        );
      }
    }
    expect(host.ip.reassembly.bytesHeld).toBeLessThan(REASSEMBLY_SOURCE_BYTES_MAX + 4096);
    expect(host.stats.ipReasmFails).toBeGreaterThan(50);
    host.sent();
    host.receive(second);
    expect(host.sent()).toHaveLength(1);
  });

  it('a datagram of very many pieces is given up', () => {
    const host = new LowerHost();
    for (let i = 0; i < 129; i++) host.receive(ipv4Frame({ fragment: MORE | (i * 2), payload: pattern(8) }));
    expect(host.stats.ipReasmFails).toBe(1);
    expect(host.ip.reassembly.bytesHeld).toBe(0);
  });
});
