// What every io-engine has to do, written once and run over each of them. A fixture says how to open the engine with
// somebody at the other side, and which parts of the contract its kind of device cannot have, with the reason.
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import koffi from 'koffi';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { queueFrame, receiveBatch } from '../../io-engine/frame-copies.ts';
import { type FrameEngine, NO_FRAME, RX_CHECKSUM_TRUSTED } from '../../io-engine/frame-engine.ts';

/** Parts that only some devices have. */
export type Feature =
  /** The other side can send at any time. */
  | 'live-input'
  /** What is sent arrives somewhere. */
  | 'output'
  /** The other side can send a frame longer than a slot. */
  | 'oversize'
  /** The option `rxChecksum`. */
  | 'rx-checksum';

export interface PairOptions {
  /** Sent by the other side as soon as the engine is open, in order. */
  readonly incoming?: (frames: FrameMaker) => readonly Uint8Array[];
  readonly rxRing?: number;
  readonly txRing?: number;
  readonly rxChecksum?: 'auto' | 'trust';
}

export interface Peer {
  send(frame: Uint8Array): void;
  /** Everything the engine sent since the last call. */
  receive(): Uint8Array[];
  /** Sends one frame longer than a slot of the engine. */
  sendOversize?(): void;
}

export interface Pair {
  readonly engine: FrameEngine;
  readonly peer: Peer;
  readonly frames: FrameMaker;
  close(): void;
}

export interface Fixture {
  readonly name: string;
  /** Why this engine cannot be tested here; null: it can. */
  readonly unavailable: string | null;
  /** Parts of the contract that this kind of device cannot have, and why. */
  readonly without: Partial<Record<Feature, string>>;
  /** Of packets that it is to carry besides those that every engine does, bytes. */
  readonly lengths?: readonly number[];
  setUp?(): void;
  tearDown?(): void;
  open(options: PairOptions): Promise<Pair>;
}

const PORT = 4242;
const HEADERS = 40;
const PATIENCE_MS = 10_000;

/** Numbered frames of one pair: valid IPv4, TCP to a port nobody has, with a checksum the kernel silently refuses. */
export class FrameMaker {
  readonly #medium: 'ethernet' | 'ip';
  readonly #engineMac: Uint8Array;
  readonly #peerMac: Uint8Array;

  constructor(medium: 'ethernet' | 'ip', engineMac: Uint8Array, peerMac: Uint8Array) {
    this.#medium = medium;
    this.#engineMac = engineMac;
    this.#peerMac = peerMac;
  }

  get linkHeader(): number {
    return this.#medium === 'ethernet' ? 14 : 0;
  }

  /** @param length of the whole frame, bytes */
  toEngine(number: number, length = 60 + this.linkHeader): Uint8Array {
    return this.#make(number, length, this.#engineMac, this.#peerMac, PEER_IP, ENGINE_IP);
  }

  fromEngine(number: number, length = 60 + this.linkHeader): Uint8Array {
    return this.#make(number, length, this.#peerMac, this.#engineMac, ENGINE_IP, PEER_IP);
  }

  /** Other hosts and the kernel talk too: only our frames count. */
  isOurs(frame: Uint8Array): boolean {
    const at = this.linkHeader;
    return frame.length >= at + HEADERS && frame[at] === 0x45 && ((frame[at + 22] << 8) | frame[at + 23]) === PORT;
  }

  #make(number: number, length: number, to: Uint8Array, from: Uint8Array, source: number, destination: number) {
    const frame = new Uint8Array(length);
    const at = this.linkHeader;
    const view = new DataView(frame.buffer, at);
    if (at > 0) {
      frame.set(to, 0);
      frame.set(from, 6);
      frame[12] = 0x08;
    }
    view.setUint16(0, 0x4500);
    view.setUint16(2, length - at);
    view.setUint16(4, (number & 0x7fff) + 1);
    view.setUint16(6, 0x4000);
    view.setUint16(8, 0x4006);
    view.setUint32(12, source);
    view.setUint32(16, destination);
    view.setUint16(10, ipChecksum(view));
    view.setUint16(20, PORT);
    view.setUint16(22, PORT);
    view.setUint32(24, number);
    view.setUint16(32, 0x5010);
    for (let i = at + HEADERS; i < length; i++) frame[i] = number * 7 + i;
    return frame;
  }
}

export const ENGINE_IP = 0x0a4d0001;
export const PEER_IP = 0x0a4d0002;

function ipChecksum(header: DataView): number {
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += header.getUint16(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Copies of our frames, until there are `count` or patience is at its end. */
async function collect(pair: Pair, count: number, onBatch?: (size: number) => void): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = [];
  const deadline = performance.now() + PATIENCE_MS;
  while (frames.length < count && performance.now() < deadline) {
    const batch = receiveBatch(pair.engine);
    onBatch?.(batch.length);
    frames.push(...batch.filter((frame) => pair.frames.isOurs(frame)));
    if (batch.length === 0) await nextTurn();
  }
  return frames;
}

/** Copies of our frames that are there or arrive within a moment, however many. */
async function collectAll(pair: Pair): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = [];
  for (let idle = 0; idle < 3; ) {
    const batch = receiveBatch(pair.engine);
    frames.push(...batch.filter((frame) => pair.frames.isOurs(frame)));
    idle = batch.length > 0 ? 0 : idle + 1;
    if (batch.length === 0) await sleep(5);
  }
  return frames;
}

async function collectAtPeer(pair: Pair, count: number): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = [];
  const deadline = performance.now() + PATIENCE_MS;
  while (frames.length < count && performance.now() < deadline) {
    frames.push(...pair.peer.receive().filter((frame) => pair.frames.isOurs(frame)));
    if (frames.length < count) await nextTurn();
  }
  return frames;
}

const numbered = <T>(count: number, make: (number: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));

/** Reserves as the stack does while the device is still busy with what was sent before. */
async function queuePatiently(engine: FrameEngine, frame: Uint8Array): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!queueFrame(engine, frame)) {
    if (performance.now() > deadline) throw new Error('the transmit ring does not recover');
    engine.flush();
    await nextTurn();
  }
}

export function describeFrameEngine(fixture: Fixture): void {
  if (fixture.unavailable !== null) {
    describe.skip(`${fixture.name} (skipped: ${fixture.unavailable})`, () => {
      it('is not available', () => {});
    });
    return;
  }
  const missing = Object.entries(fixture.without).map(([feature, reason]) => `, no ${feature}: ${reason}`);
  describe(`${fixture.name}${missing.join('')}`, () => {
    const open: Pair[] = [];
    beforeAll(() => fixture.setUp?.());
    afterEach(() => {
      for (const pair of open.splice(0)) pair.close();
    });
    afterAll(() => fixture.tearDown?.());

    const openPair = async (options: PairOptions = {}): Promise<Pair> => {
      const pair = await fixture.open(options);
      open.push(pair);
      return pair;
    };
    /** A case that needs a feature: not a case of this device where the fixture says so. */
    const needs = (feature: Feature, title: string, run: () => Promise<void>): void => {
      if (fixture.without[feature] === undefined) it(title, run);
    };

    const lengths = [46, 61, 64, 127, 576, 1499, 1500, ...(fixture.lengths ?? [])];
    describeInput(openPair, needs, lengths);
    describeOutput(openPair, needs, lengths);
    describeWaiting(openPair, needs);
    describeLife(openPair, needs);
  });
}

type OpenPair = (options?: PairOptions) => Promise<Pair>;
type Needs = (feature: Feature, title: string, run: () => Promise<void>) => void;

function describeInput(openPair: OpenPair, needs: Needs, lengths: readonly number[]): void {
  it('receives frames of every length from least to MTU, whole and in order', async () => {
    const make = (frames: FrameMaker) => lengths.map((length, i) => frames.toEngine(i, length + frames.linkHeader));
    const pair = await openPair({ incoming: make });
    expect(await collect(pair, lengths.length)).toEqual(make(pair.frames));
  });

  it('hands over more waiting frames than a batch holds, batch by batch', async () => {
    const count = 200;
    const make = (frames: FrameMaker) => numbered(count, (i) => frames.toEngine(i, 100 + i));
    const pair = await openPair({ incoming: make });
    await sleep(30);
    const sizes: number[] = [];
    expect(await collect(pair, count, (size) => sizes.push(size))).toEqual(make(pair.frames));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(pair.engine.batch.capacity);
    expect(sizes[0]).toBe(Math.min(pair.engine.batch.capacity, count));
  });

  needs('live-input', 'keeps a batch readable until the next receive', async () => {
    const pair = await openPair({ incoming: (frames) => numbered(20, (i) => frames.toEngine(i, 200)) });
    const { engine, frames } = pair;
    let count = 0;
    await expect.poll(() => (count = engine.receive()), { timeout: PATIENCE_MS, interval: 5 }).toBeGreaterThan(0);
    for (let i = 0; i < 150; i++) pair.peer.send(frames.toEngine(1000 + i, 300));
    await sleep(20);
    const { offset, length } = engine.batch;
    const held = numbered(count, (i) => engine.memory.slice(offset[i], offset[i] + length[i])).filter((frame) =>
      frames.isOurs(frame),
    );
    expect(held).toEqual(numbered(held.length, (i) => frames.toEngine(i, 200)));
    const rest = await collect(pair, 170 - held.length);
    expect(rest.at(-1)).toEqual(frames.toEngine(1149, 300));
  });

  needs('live-input', 'goes on after its receive ring overflowed', async () => {
    const pair = await openPair({ rxRing: 64 });
    for (let i = 0; i < 1000; i++) pair.peer.send(pair.frames.toEngine(i));
    await sleep(20);
    let last = -1;
    for (const frame of await collectAll(pair)) {
      const number = new DataView(frame.buffer, pair.frames.linkHeader).getUint32(24);
      expect(number).toBeGreaterThan(last);
      last = number;
    }
    expect(last).toBeGreaterThanOrEqual(0);
    pair.peer.send(pair.frames.toEngine(5000));
    expect((await collect(pair, 1)).at(-1)).toEqual(pair.frames.toEngine(5000));
  });

  needs('rx-checksum', 'vouches for checksums when told to trust them', async () => {
    const pair = await openPair({ rxChecksum: 'trust' });
    pair.peer.send(pair.frames.toEngine(0));
    const deadline = performance.now() + PATIENCE_MS;
    while (pair.engine.receive() === 0 && performance.now() < deadline) await nextTurn();
    expect(pair.engine.batch.flags[0]).toBe(RX_CHECKSUM_TRUSTED);
  });

  needs('oversize', 'counts a frame longer than a slot and does not deliver it', async () => {
    const pair = await openPair();
    pair.peer.sendOversize?.();
    pair.peer.send(pair.frames.toEngine(7));
    expect(await collect(pair, 1)).toEqual([pair.frames.toEngine(7)]);
    expect(pair.engine.counters.rxTruncated).toBe(1);
  });
}

function describeOutput(openPair: OpenPair, needs: Needs, lengths: readonly number[]): void {
  needs('output', 'sends frames of every length from least to MTU, whole and in order', async () => {
    const pair = await openPair();
    const sent = lengths.map((length, i) => pair.frames.fromEngine(i, length + pair.frames.linkHeader));
    for (const frame of sent) expect(queueFrame(pair.engine, frame)).toBe(true);
    pair.engine.flush();
    expect(await collectAtPeer(pair, sent.length)).toEqual(sent);
  });

  it('gives the same slot until it is committed, and room for a whole frame', async () => {
    const { engine } = await openPair();
    const offset = engine.reserve();
    expect(offset).toBeGreaterThanOrEqual(0);
    expect(engine.reserve()).toBe(offset);
    expect(offset + engine.link.frameCapacity).toBeLessThanOrEqual(engine.memory.length);
    engine.flush();
    expect(engine.reserve()).toBe(offset);
    engine.commit(60, 0);
    expect(engine.reserve()).not.toBe(offset);
    engine.flush();
  });

  it('says NO_FRAME while the transmit ring is full, counts it, and recovers', async () => {
    const { engine, frames } = await openPair({ txRing: 32 });
    let queued = 0;
    while (queued < 100_000 && queueFrame(engine, frames.fromEngine(queued))) queued++;
    expect(engine.reserve()).toBe(NO_FRAME);
    expect(queued).toBeLessThanOrEqual(32);
    expect(queued).toBeGreaterThan(0);
    expect(engine.counters.txFull).toBe(2);
    engine.flush();
    await queuePatiently(engine, frames.fromEngine(queued));
    engine.flush();
  });

  needs('output', 'loses nothing when the ring filled up in between', async () => {
    const pair = await openPair({ txRing: 32 });
    const sent = numbered(300, (i) => pair.frames.fromEngine(i, 60 + pair.frames.linkHeader + i));
    const got: Uint8Array[] = [];
    for (const frame of sent) {
      await queuePatiently(pair.engine, frame);
      got.push(...pair.peer.receive().filter((candidate) => pair.frames.isOurs(candidate)));
    }
    pair.engine.flush();
    got.push(...(await collectAtPeer(pair, sent.length - got.length)));
    expect(got).toEqual(sent);
  });

  it('counts what it carries', async () => {
    const make = (frames: FrameMaker) => numbered(10, (i) => frames.toEngine(i, 100));
    const pair = await openPair({ incoming: make });
    expect(await collect(pair, 10)).toHaveLength(10);
    for (let i = 0; i < 5; i++) queueFrame(pair.engine, pair.frames.fromEngine(i, 80));
    pair.engine.flush();
    // Neighbours may have said something too: at least ours.
    const { counters } = pair.engine;
    expect(counters.rxFrames).toBeGreaterThanOrEqual(10);
    expect(counters.rxBytes).toBeGreaterThanOrEqual(1000);
    expect(counters).toMatchObject({ txFrames: 5, txBytes: 400, txErrors: 0, txFull: 0, rxTruncated: 0, rxDropped: 0 });
  });
}

function describeWaiting(openPair: OpenPair, needs: Needs): void {
  it('wakes when frames are there, again while some are left, and lets promises run', async () => {
    const pair = await openPair({ incoming: (frames) => numbered(3, (i) => frames.toEngine(i)) });
    const { engine } = pair;
    const got: Uint8Array[] = [];
    let calls = 0;
    let callsBeforeMicrotask = -1;
    await new Promise<void>((resolve, reject) => {
      const impatient = setTimeout(() => reject(new Error(`woken ${calls} times, ${got.length} frames`)), PATIENCE_MS);
      engine.wait(() => {
        calls++;
        if (calls === 1) void Promise.resolve().then(() => (callsBeforeMicrotask = calls));
        // The first call leaves everything where it is.
        if (calls > 1) got.push(...receiveBatch(engine).filter((frame) => pair.frames.isOurs(frame)));
        if (got.length < 3) return;
        clearTimeout(impatient);
        resolve();
      });
    });
    expect(calls).toBeGreaterThanOrEqual(2);
    expect(got).toEqual(numbered(3, (i) => pair.frames.toEngine(i)));
    expect(callsBeforeMicrotask).toBe(1);
    expect(engine.counters.wakeups).toBeGreaterThanOrEqual(1);
  });

  needs('live-input', 'wakes again and again, and only the reader given last', async () => {
    const pair = await openPair();
    const { engine, peer, frames } = pair;
    let replaced = 0;
    engine.wait(() => {
      replaced++;
      engine.receive();
    });
    for (let round = 0; round < 5; round++) {
      const woken = new Promise<Uint8Array[]>((resolve, reject) => {
        const impatient = setTimeout(() => reject(new Error(`not woken in round ${round}`)), PATIENCE_MS);
        engine.wait(() => {
          const ours = receiveBatch(engine).filter((frame) => frames.isOurs(frame));
          if (ours.length === 0) return;
          clearTimeout(impatient);
          resolve(ours);
        });
      });
      await sleep(5);
      peer.send(frames.toEngine(round));
      expect(await woken).toEqual([frames.toEngine(round)]);
    }
    expect(replaced).toBe(0);
  });

  needs('live-input', 'calls nobody while nothing arrives', async () => {
    const { engine, frames, peer } = await openPair();
    let calls = 0;
    engine.wait(() => {
      calls++;
      engine.receive();
    });
    peer.send(frames.toEngine(1));
    await expect.poll(() => calls, { timeout: PATIENCE_MS }).toBeGreaterThan(0);
    await sleep(50);
    const quiet = calls;
    await sleep(50);
    expect(calls).toBe(quiet);
  });
}

function describeLife(openPair: OpenPair, needs: Needs): void {
  it('holds the process while it waits, and lets it go when closed; closing twice is harmless', async () => {
    const before = await settledHolders();
    const { engine } = await openPair();
    engine.wait(() => engine.receive());
    expect(await settledHolders()).toBeGreaterThan(before);
    engine.close();
    engine.close();
    expect(await settledHolders()).toBe(before);
  });

  needs('live-input', 'keeps nothing per frame', async () => {
    const pair = await openPair();
    const incoming = numbered(32, (i) => pair.frames.toEngine(i, 200));
    const outgoing = numbered(32, (i) => pair.frames.fromEngine(i, 200));
    const round = async (): Promise<void> => {
      for (const frame of incoming) pair.peer.send(frame);
      await nextTurn();
      while (pair.engine.receive() > 0);
      for (const frame of outgoing) queueFrame(pair.engine, frame);
      pair.engine.flush();
      pair.peer.receive();
    };
    for (let i = 0; i < 100; i++) await round();
    const before = liveHeap();
    for (let i = 0; i < 400; i++) await round();
    // 25,600 frames; a number kept for each would be 200 KB.
    expect(liveHeap() - before).toBeLessThan(100_000);
    expect(pair.engine.counters.rxFrames).toBeGreaterThan(10_000);
  });
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function liveHeap(): number {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

const UV_ASYNC = 1;
const UV_POLL = 8;
const UV_PREPARE = 9;

const libuv = koffi.load(null);
const walkCallback = koffi.proto('void WalkHandle(void *handle, void *argument)');
const defaultLoop = libuv.func('void *uv_default_loop()');
const walk = libuv.func('uv_walk', 'void', ['void *', koffi.pointer(walkCallback), 'void *']);
const handleType = libuv.func('int uv_handle_get_type(void *handle)');
const isActive = libuv.func('int uv_is_active(void *handle)');
const hasRef = libuv.func('int uv_has_ref(void *handle)');

/** The least of a few counts: the test runner's own timers come and go, and closing a handle takes a turn of the loop. */
async function settledHolders(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    await sleep(30);
    least = Math.min(least, countHolders());
  }
  return least;
}

/** Things that keep the process alive: libuv handles that engines use, and Node's timers. */
function countHolders(): number {
  let holders = process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
  walk(
    defaultLoop(),
    (handle: unknown) => {
      const type: number = handleType(handle);
      const counts = type === UV_ASYNC || type === UV_POLL || type === UV_PREPARE;
      if (counts && isActive(handle) === 1 && hasRef(handle) === 1) holders++;
    },
    null,
  );
  return holders;
}
