// Frames that nobody would send: whatever comes in, input neither throws nor gets stuck, every frame is either
// taken or counted under one reason, and the host stays able to answer.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ARP_REQUEST } from '../../../stack/wire/arp.ts';
import {
  arpFrame,
  fixIpv4Checksum,
  HOST_IP,
  HOST_MAC,
  icmpMessage,
  ipv4Frame,
  ipv4Packet,
  LowerHost,
  mac,
  PEER_IP,
} from './host.ts';

const GOOD: readonly Uint8Array[] = [
  ipv4Frame(),
  ipv4Frame({ options: [148, 4, 0, 0, 1, 1, 1, 0] }),
  ipv4Frame({ protocol: 17 }),
  ipv4Frame({ protocol: 1, payload: icmpMessage(8, 0, 1, new Uint8Array(40)) }),
  ipv4Frame({ protocol: 1, payload: icmpMessage(3, 4, 1400, ipv4Packet({ from: HOST_IP, to: PEER_IP })) }),
  ipv4Frame({ protocol: 1, payload: icmpMessage(11, 0, 0, ipv4Packet({ from: HOST_IP, options: [1, 1, 1, 1] })) }),
  arpFrame({ operation: ARP_REQUEST, senderIp: PEER_IP, targetIp: HOST_IP }),
];

const edit = fc.tuple(fc.nat(1600), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 127, 128, 255)));
/** A good frame with a few bytes changed, perhaps cut or lengthened, perhaps with its IP checksum made right again. */
const mutated = fc
  .record({
    base: fc.constantFrom(...GOOD),
    edits: fc.array(edit, { maxLength: 6 }),
    length: fc.option(fc.nat(90)),
    fix: fc.boolean(),
  })
  .map(({ base, edits, length, fix }) => {
    const frame = new Uint8Array(length ?? base.length);
    frame.set(base.subarray(0, frame.length));
    for (const [at, value] of edits) if (frame.length > 0) frame[at % frame.length] = value;
    if (fix && frame.length >= 34) fixIpv4Checksum(frame, 14);
    return frame;
  });
const noise = fc.uint8Array({ maxLength: 120 }).map((bytes) => {
  bytes.set(mac(HOST_MAC).subarray(0, Math.min(6, bytes.length)));
  return bytes;
});

function total(drops: Record<string, number>): number {
  const { 'icmp-rate-limited': limited = 0, 'output-full': full = 0, ...counted } = drops;
  // Those two are about our answer; the frame itself has been counted or taken besides.
  expect(limited + full).toBeGreaterThanOrEqual(0);
  const own = ['neighbor-queue-full', 'neighbor-unreachable'];
  return Object.entries(counted).reduce((sum, [name, count]) => sum + (own.includes(name) ? 0 : count), 0);
}

describe.each(['ethernet', 'ip'] as const)('any frames on %s', (medium) => {
  it('are taken or counted, and the host lives on', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(mutated, mutated, noise), { maxLength: 40 }), (frames) => {
        const host = new LowerHost('', { medium });
        const cut = medium === 'ip' ? 14 : 0;
        const names = frames.filter((frame) => frame.length > cut).flatMap((frame) => host.receive(frame.slice(cut)));
        expect(names).not.toContain(undefined);
        expect(total(host.drops())).toBe(names.filter((name) => name !== 'ok').length);
        host.advance(7000);
        host.sent();
        const echo = ipv4Frame({ protocol: 1, payload: icmpMessage(8, 0, 1, new Uint8Array(3)), from: '10.0.0.3' });
        const ask = arpFrame({ operation: ARP_REQUEST, senderIp: '10.0.0.3', targetIp: HOST_IP });
        const live = medium === 'ip' ? [echo.slice(cut)] : [ask, echo];
        expect(new Set(host.receive(...live))).toEqual(new Set(['ok']));
        expect(host.sentLines()).toContain(`${HOST_IP} > 10.0.0.3: icmp echo reply id 0 seq 1 length 11`);
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});

describe('frames at the end of the array', () => {
  it('are not read past', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(mutated, fc.nat(255), (frame, filler) => {
        const results = [0, filler].map((fill) => {
          const host = new LowerHost();
          const memory = new Uint8Array(frame.length + 64).fill(fill);
          memory.set(frame, 3);
          const status = host.ip.input(memory, 3, frame.length, 0);
          return {
            status,
            drops: host.drops(),
            errors: host.tcp.errors,
            segments: host.tcp.segments,
            neighbors: host.ip.neighbors.list(),
          };
        });
        expect(results[0]).toEqual(results[1]);
      }),
      { seed: 2, numRuns: 2000 },
    );
  });
});
