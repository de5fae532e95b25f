// The filter that parts flows among several sockets: every flow has exactly one taker, and
// takers get about as many each.
import { describe, expect, it } from 'vitest';
import { runClassicBpf } from '../../test/support/classic-bpf.ts';
import { frameFilter } from './packet-filter.ts';

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);

interface Packet {
  readonly protocol?: number;
  readonly port?: number;
  readonly source?: number;
  /** In 32-bit words. */
  readonly headerLength?: number;
  readonly fragment?: number;
  readonly etherType?: number;
}

function frameOf({ protocol = 6, port = 40000, source = 1, headerLength = 5, ...rest }: Packet): Uint8Array {
  const frame = new Uint8Array(14 + 60 + 20);
  const view = new DataView(frame.buffer);
  frame.set(MAC);
  view.setUint16(12, rest.etherType ?? 0x0800);
  view.setUint8(14, 0x40 | headerLength);
  view.setUint16(20, rest.fragment ?? 0x4000);
  view.setUint8(23, protocol);
  view.setUint32(26, 0x0a4d0000 | source);
  view.setUint16(14 + 4 * headerLength, port);
  view.setUint16(16 + 4 * headerLength, 6379);
  return frame;
}

const programs = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => frameFilter(MAC, 0, false, { index, count }));
const takers = (count: number, packet: Packet): number[] => {
  const frame = frameOf(packet);
  return programs(count).flatMap((program, index) => (runClassicBpf(program, frame) > 0 ? [index] : []));
};

describe('a share of the flows', () => {
  it.each([2, 3, 4, 7])('among %i every flow has one taker, and they have about as many', (count) => {
    const taken = new Array<number>(count).fill(0);
    const all = programs(count);
    for (let source = 1; source <= 3; source++) {
      // As a kernel picks them for its connections: even ones.
      for (let port = 32768; port < 34768; port += 2) {
        const frame = frameOf({ port, source });
        const accepting = all.flatMap((program, index) => (runClassicBpf(program, frame) > 0 ? [index] : []));
        expect(accepting).toHaveLength(1);
        taken[accepting[0]]++;
      }
    }
    for (const flows of taken) {
      expect(flows).toBeGreaterThan((3000 / count) * 0.85);
      expect(flows).toBeLessThan((3000 / count) * 1.15);
    }
  });

  it('keeps a flow that has IP options where it is without', () => {
    expect(takers(4, { headerLength: 8 })).toEqual(takers(4, { headerLength: 5 }));
    expect(takers(4, { protocol: 17 })).toHaveLength(1);
  });

  it('gives what is nobody’s flow to all, and fragments to none', () => {
    expect(takers(3, { etherType: 0x0806 })).toEqual([0, 1, 2]);
    expect(takers(3, { protocol: 1 })).toEqual([0, 1, 2]);
    expect(takers(3, { fragment: 0x2000 })).toEqual([]);
    expect(takers(3, { fragment: 0x00b9 })).toEqual([]);
  });
});
