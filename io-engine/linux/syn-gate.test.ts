// The gate inside both programs that have it, run by the kernel itself on frames of ours (BPF_PROG_TEST_RUN).
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attribute, createMap, loadProgram } from './bpf.ts';
import { addressOf, bpf, close, errno, pinned } from './libc.ts';
import { gatedFrameFilter } from './packet-filter.ts';
import { KernelSynGate } from './syn-gate.ts';
import { redirectProgram } from './xdp-program.ts';

const MAC = Uint8Array.of(2, 0, 0, 0xff, 0xfe, 1);
const BPF_PROG_TEST_RUN = 10;
const BPF_MAP_TYPE_XSKMAP = 17;
const PER_SECOND = 100;
const SLICE_MS = 135;

const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;

interface Shape {
  readonly version?: 4 | 6;
  readonly flags?: number;
  readonly port?: number;
  readonly seq?: number;
  /** Extra words in the IPv4 header. */
  readonly options?: number;
  readonly fragmentOffset?: number;
  readonly tag?: number;
}

function frameOf({ version = 4, flags = SYN, port = 1, seq = 1, options = 0, fragmentOffset = 0, tag }: Shape) {
  const type = [
    ...(tag === undefined ? [] : [0x81, 0, tag >> 8, tag & 255]),
    ...(version === 4 ? [8, 0] : [0x86, 0xdd]),
  ];
  const tcp = new Uint8Array(20);
  const view = new DataView(tcp.buffer);
  view.setUint16(0, port);
  view.setUint16(2, 6379);
  view.setInt32(4, seq);
  view.setUint16(12, (5 << 12) | flags);
  const length = 20 + options * 4;
  const ip4 = [0x45 + options, 0, 0, length + 20, 0, 0, fragmentOffset >> 8, fragmentOffset & 255, 64, 6, 0, 0];
  const ip =
    version === 4
      ? [...ip4, 198, 18, 3, 4, 10, 77, 0, 1, ...new Array(options * 4).fill(1)]
      : [0x60, 0, 0, 0, 0, 20, 6, 64, ...new Array(32).fill(0xfd)];
  const bytes = pinned(Math.max(64, 14 + ip.length + 20 + 4));
  bytes.set([...MAC, 2, 0, 0, 0, 0, 9, ...type, ...ip, ...tcp]);
  return bytes;
}

let privileged = true;
try {
  KernelSynGate.open().close();
} catch {
  privileged = false;
}

/** The kernel's trial run hands socket filters no Ethernet header: the program runs as one of traffic control. */
const kinds = [
  { name: 'XDP', type: 6, attach: 37, accepted: 2, dropped: 1 },
  { name: 'a packet socket', type: 3, attach: 0, accepted: 0x40000, dropped: 0 },
];

describe.skipIf(!privileged).each(kinds)(
  'the gate in the program of $name',
  ({ name, type, attach, accepted, dropped }) => {
    let gate: KernelSynGate;
    let map: number;
    const programs: number[] = [];
    let program: number;
    let tagged: number;

    beforeAll(() => {
      gate = KernelSynGate.open();
      map = createMap(BPF_MAP_TYPE_XSKMAP, 4, 1);
      const load = (typeOffset: number): number => {
        if (type === 3) programs.push(loadProgram(1, gatedFrameFilter(MAC, 0, true, gate), 0));
        const code = type === 6 ? redirectProgram(map, gate, typeOffset) : gatedFrameFilter(MAC, 0, true, gate);
        const fd = loadProgram(type, code, attach);
        programs.push(fd);
        return fd;
      };
      program = load(12);
      tagged = load(16);
    });

    afterAll(() => {
      for (const fd of [...programs, map]) close(fd);
      gate.close();
    });

    function run(frame: Uint8Array, fd = program): number {
      const request = attribute((view) => {
        view.setUint32(0, fd, true);
        view.setUint32(8, frame.length, true);
        view.setBigUint64(16, addressOf(frame), true);
        view.setUint32(32, 1, true);
      });
      if (bpf(BPF_PROG_TEST_RUN, request) < 0) throw new Error(`test run: ${errno()}`);
      return new DataView(request.buffer).getUint32(4, true);
    }

    const passes = (shape: Shape, fd = program): boolean => {
      const result = run(frameOf(shape), fd);
      expect([accepted, dropped]).toContain(result);
      return result === accepted;
    };

    it('lets everything in while there is no limit', () => {
      const before = gate.held;
      for (let seq = 0; seq < 1000; seq++) expect(passes({ seq })).toBe(true);
      expect(gate.held).toBe(before);
    });

    it.each([4, 6] as const)('of IPv%i lets in so many SYNs, and those that come again', async (version) => {
      const before = gate.held;
      gate.limit(PER_SECOND);
      await sleep(SLICE_MS);
      const came = Array.from({ length: 500 }, (_, i) => passes({ version, seq: 7777 * i, port: 1000 + i }));
      const fresh = came.filter((passed) => passed).length;
      expect(fresh).toBeGreaterThan(0);
      expect(fresh).toBeLessThan(250);
      expect(gate.held - before).toBe(500 - fresh);
      const client = came.lastIndexOf(false);
      const again = { version, seq: 7777 * client, port: 1000 + client };
      let seq = 1 << 30;
      /** What comes after so many that its slice of time has none left; a slice may end just before it. */
      const last = (shape: Shape): boolean => {
        for (let i = 0; i < 50; i++) passes({ version, seq: seq++, port: 60_000 });
        return passes(shape);
      };
      expect([0, 1, 2].map(() => last(again))).toContain(false);
      await sleep(700);
      expect([1, 2, 3].map((i) => last({ ...again, seq: again.seq + i }))).toContain(false);
      expect([0, 1, 2].map(() => last(again))).toEqual([true, true, true]);
      gate.limit(0);
      expect(passes({ version })).toBe(true);
    });

    it('holds nothing but SYNs back', () => {
      gate.limit(1);
      const spent = Array.from({ length: 100 }, (_, seq) => passes({ seq })).filter((passed) => passed).length;
      expect(spent).toBeLessThan(20);
      for (const flags of [ACK, SYN | ACK, SYN | RST, SYN | FIN, RST, 0]) {
        for (const version of [4, 6] as const) {
          for (let i = 0; i < 20; i++) expect(passes({ version, flags })).toBe(true);
        }
      }
      for (let i = 0; i < 20; i++) expect(passes({ fragmentOffset: 5 })).toBe(true);
      // A SYN behind IP options is found all the same, urgent or pushed as it may be.
      const odd = Array.from({ length: 20 }, (_, seq) => passes({ options: 3, seq, flags: SYN | 0x28 }));
      expect(odd.filter((passed) => passed).length).toBeLessThan(10);
      gate.limit(0);
    });

    it.skipIf(name !== 'XDP')('looks behind a VLAN tag', () => {
      gate.limit(1);
      const came = Array.from({ length: 100 }, (_, seq) => passes({ seq, tag: 42 }, tagged));
      expect(came.filter((passed) => passed).length).toBeLessThan(20);
      gate.limit(0);
    });
  },
);
