// An open device goes from one engine to another without losing a frame: those that came before, in between and after,
// and those that were sent. Both ends are in this process; that descriptors reach another one is the lab's to show.
import { describe, expect, it } from 'vitest';
import { adoptEngine } from '../../io-engine/adopt.ts';
import { sendFrame } from '../../io-engine/frame-copies.ts';
import { EngineError, type FrameEngine } from '../../io-engine/frame-engine.ts';
import { openEngine } from '../../io-engine/open.ts';
import type { EngineChoice, EngineOptions } from '../../io-engine/options.ts';
import { PLAIN_OPTIONS } from '../support/engine-options.ts';
import { ENGINE_IP, FrameMaker } from './frame-engine-suite.ts';
import { PacketSocket } from './packet-socket.ts';
import { createVethPair, enterPrivateNetwork, FAR, macOf, NEAR, removeVethPair, setMtu } from './private-network.ts';

const unavailable = enterPrivateNetwork();

const options = (engine: EngineChoice, name = NEAR): EngineOptions => ({
  ...PLAIN_OPTIONS,
  engine,
  interface: name,
  rxRing: 512,
  txRing: 256,
  addresses: [{ ip: ENGINE_IP, prefixLength: 24 }],
});

/** The number that the maker wrote into a frame. */
const numberOf = (frame: Uint8Array): string => Buffer.from(frame.subarray(14 + 28)).toString('hex');

function readAll(engine: FrameEngine, frames: FrameMaker): string[] {
  const seen: string[] = [];
  for (;;) {
    const count = engine.receive();
    const { offset, length } = engine.batch;
    for (let i = 0; i < count; i++) {
      const frame = engine.memory.slice(offset[i], offset[i] + length[i]);
      if (frames.isOurs(frame)) seen.push(numberOf(frame));
    }
    if (count < engine.batch.capacity) return seen;
  }
}

describe.skipIf(unavailable !== null)(unavailable ?? 'an open device', () => {
  it.each([
    ['afxdp', 1500],
    ['afxdp', 9000],
    ['afpacket', 1500],
  ] as const)('%s with an mtu of %i goes from one engine to another', async (choice, mtu) => {
    createVethPair();
    setMtu(mtu);
    const peer = new PacketSocket(FAR);
    try {
      // Long and short ones in turns; a long one has up to three slots of the ring.
      const length = (number: number): number => (number % 3 === 0 ? 74 : mtu + 14 - number);
      const first = await openEngine({ ...options(choice), rxRing: mtu > 1500 ? 2048 : 512 });
      const frames = new FrameMaker('ethernet', macOf(NEAR), macOf(FAR));
      const send = (from: number, to: number): string[] =>
        Array.from({ length: to - from }, (_, i) => {
          const frame = frames.toEngine(from + i, length(i));
          peer.send(frame);
          return numberOf(frame);
        });
      const exchange = (engine: FrameEngine): void => {
        const sent = Array.from({ length: 100 }, (_, i) => frames.fromEngine(i, length(i)));
        for (const frame of sent) sendFrame(engine, frame);
        const came = peer.receive().filter((frame) => frames.isOurs(frame));
        expect(came.map(numberOf)).toEqual(sent.map(numberOf));
      };
      // More than once around the rings.
      for (let round = 0; round < 5; round++) {
        const sent = send(round * 200, round * 200 + 200);
        expect(readAll(first, frames)).toEqual(sent);
        exchange(first);
      }
      const early = send(1000, 1150);
      const handed = structuredClone(first.handOver!());
      const late = send(1150, 1300);
      const second = adoptEngine(handed, { ...options(choice), rxRing: 64, txRing: 64 });
      expect(readAll(second, frames)).toEqual([...early, ...late]);
      for (let round = 0; round < 5; round++) {
        const sent = send(2000 + round * 200, 2200 + round * 200);
        expect(readAll(second, frames)).toEqual(sent);
        exchange(second);
      }
      expect(second.link).toEqual(first.link);
      // With everything that was opened under privileges: nothing new.
      expect(second.handedFds).toEqual(handed.fds);
      // So does the gate for SYNs, where there is one.
      const gate = second.synGate;
      expect(gate === null).toBe(first.synGate === null);
      if (gate) {
        const syn = Uint8Array.from([...macOf(NEAR), ...macOf(FAR), 8, 0, 0x45, ...new Array(45).fill(0)]);
        syn[23] = 6;
        syn[47] = 2;
        const flood = () => {
          for (let i = 0; i < 50; i++) peer.send(syn);
          return readAll(second, frames).length;
        };
        gate.limit(1);
        flood();
        expect(gate.held).toBeGreaterThan(40);
        gate.limit(0);
        const { held } = gate;
        flood();
        expect(gate.held).toBe(held);
      }
      // It waits, too.
      const woken = new Promise<void>((resolve) => second.wait(() => resolve()));
      send(9000, 9001);
      await woken;
      second.close();
    } finally {
      peer.close();
      removeVethPair();
    }
  });

  it('goes on where it was when nobody comes for it', async () => {
    createVethPair();
    const peer = new PacketSocket(FAR);
    try {
      const engine = await openEngine(options('afpacket'));
      const frames = new FrameMaker('ethernet', macOf(NEAR), macOf(FAR));
      engine.wait(() => {});
      engine.handOver!();
      const woken = new Promise<void>((resolve) => engine.wait(() => resolve()));
      peer.send(frames.toEngine(1));
      await woken;
      expect(readAll(engine, frames)).toHaveLength(1);
      engine.close();
    } finally {
      peer.close();
      removeVethPair();
    }
  });

  it('is refused for another interface, and where a device is one process’s only', async () => {
    const handed = { name: 'tap', interface: NEAR, fds: [], values: {} } as const;
    expect(() => adoptEngine(handed, options('tap'))).toThrow(EngineError);
    expect(() => adoptEngine(handed, options('tap', 'other0'))).toThrow(/the interface is other0 now and was wt-near/);
  });
});
