// Frames of several descriptors over AF_XDP: what the contract does not say of engines whose slots hold a frame each. Rings
// that are too full for one, floods of them, and both ways at once for as long as it takes to go round every ring.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { carriesParts } from '../../io-engine/af-xdp.ts';
import { queueFrame, receiveAll } from '../../io-engine/frame-copies.ts';
import { type FrameEngine, NO_FRAME } from '../../io-engine/frame-engine.ts';
import { openEngine } from '../../io-engine/open.ts';
import { PLAIN_OPTIONS } from '../support/engine-options.ts';
import { ENGINE_IP, FrameMaker } from './frame-engine-suite.ts';
import { PacketSocket } from './packet-socket.ts';
import { createVethPair, enterPrivateNetwork, FAR, macOf, NEAR, removeVethPair, setMtu } from './private-network.ts';

const MTU = 9000;
const FRAME = MTU + 14;

const unavailable = enterPrivateNetwork() ?? (carriesParts() ? null : 'needs Linux 6.6');

const text = (frame: Uint8Array): string => Buffer.from(frame).toString('latin1');

describe.skipIf(unavailable !== null)(unavailable ?? 'jumbo frames over afxdp', () => {
  let peer: PacketSocket;
  let frames: FrameMaker;
  let engine: FrameEngine;

  const open = (rxRing: number, txRing: number): Promise<FrameEngine> => {
    const addresses = [{ ip: ENGINE_IP, prefixLength: 24 }];
    return openEngine({ ...PLAIN_OPTIONS, engine: 'afxdp', interface: NEAR, addresses, rxRing, txRing });
  };
  const ours = (all: Uint8Array[]): string[] => all.filter((frame) => frames.isOurs(frame)).map(text);

  beforeEach(() => {
    createVethPair();
    setMtu(MTU);
    peer = new PacketSocket(FAR);
    frames = new FrameMaker('ethernet', macOf(NEAR), macOf(FAR));
  });

  afterEach(() => {
    engine.close();
    peer.close();
    removeVethPair();
  });

  it('find no slot when the ring has no room for a whole one, and none of them is torn', async () => {
    engine = await open(64, 64);
    const sent: Uint8Array[] = [];
    for (let i = 0; queueFrame(engine, frames.fromEngine(i, FRAME)); i++) sent.push(frames.fromEngine(i, FRAME));
    // Three descriptors each.
    expect(sent).toHaveLength(Math.floor(64 / 3));
    expect(engine.reserve()).toBe(NO_FRAME);
    expect(engine.counters.txFull).toBe(2);
    engine.flush();
    await sleep(20);
    expect(ours(peer.receive())).toEqual(sent.map(text));
    expect(engine.reserve()).not.toBe(NO_FRAME);
    expect(engine.counters).toMatchObject({ txFrames: 21, txBytes: 21 * FRAME, txErrors: 0 });
  });

  it('are lost whole and counted when they come faster than they are read', async () => {
    engine = await open(64, 64);
    const sent = Array.from({ length: 300 }, (_, i) => frames.toEngine(i, i % 5 === 0 ? 100 : FRAME - i));
    for (const frame of sent) peer.send(frame);
    await sleep(20);
    const came = ours(receiveAll(engine));
    const all = sent.map(text);
    expect(came.length).toBeGreaterThan(20);
    expect(came.filter((frame) => !all.includes(frame))).toEqual([]);
    expect(engine.counters).toMatchObject({ rxFrames: came.length, rxDropped: 300 - came.length, rxTruncated: 0 });
    peer.send(frames.toEngine(999, FRAME));
    await sleep(20);
    expect(ours(receiveAll(engine))).toEqual([text(frames.toEngine(999, FRAME))]);
  });

  it('go both ways among short ones, many times round the rings', async () => {
    engine = await open(256, 64);
    const length = (i: number): number => (i % 4 === 0 ? 60 : 60 + ((i * 1361) % (FRAME - 59)));
    let next = 0;
    for (let round = 0; round < 200; round++) {
      const numbers = Array.from({ length: 1 + (round % 20) }, () => next++);
      const incoming = numbers.map((i) => frames.toEngine(i, length(i)));
      const outgoing = numbers.map((i) => frames.fromEngine(i, length(i + 7)));
      for (const frame of incoming) peer.send(frame);
      for (const frame of outgoing) expect(queueFrame(engine, frame)).toBe(true);
      engine.flush();
      expect(ours(receiveAll(engine))).toEqual(incoming.map(text));
      expect(ours(peer.receive())).toEqual(outgoing.map(text));
    }
    expect(engine.counters).toMatchObject({
      rxFrames: next,
      txFrames: next,
      rxDropped: 0,
      rxTruncated: 0,
      txErrors: 0,
    });
  });
});
