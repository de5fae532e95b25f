import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_FRAME } from '../frame-engine.ts';
import { layOut } from './xsk-memory.ts';
import { FrameAssembly, FrameParts } from './xsk-parts.ts';
import { ConsumerRing, ProducerRing } from './xsk-ring.ts';

const OFFSETS = { producer: 0, consumer: 64, flags: 128, descriptors: 192 };
const RING = 64;
const layout = layOut(9000, RING, RING);
/** Of a received part: the kernel keeps the rest of a chunk free. */
const PART = 3840;

const content = (number: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => number * 7 + i + (i >> 8));

/** As `toEqual`, which is slow with bytes. */
function expectSame(frames: readonly Uint8Array[], expected: readonly Uint8Array[]): void {
  const texts = (all: readonly Uint8Array[]) => all.map((bytes) => Buffer.from(bytes).toString('latin1'));
  expect(texts(frames)).toEqual(texts(expected));
}

interface Part {
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
}

/** What the kernel makes of frames. */
function partsOf(frames: readonly Uint8Array[], partLength = PART): Part[] {
  return frames.flatMap((frame) =>
    Array.from({ length: Math.ceil(frame.length / partLength) }, (_, i) => ({
      bytes: frame.subarray(i * partLength, (i + 1) * partLength),
      isLast: (i + 1) * partLength >= frame.length,
    })),
  );
}

/** What comes out when `looks` parts are looked at at a time; every batch is read at its end, as its chunks go back. */
function assemble(
  memory: Uint8Array,
  parts: readonly Part[],
  looks: readonly number[],
  assembly = new FrameAssembly(memory, layout),
): Uint8Array[] {
  const frames: Uint8Array[] = [];
  let chunk = 0;
  for (let i = 0, look = 0; i < parts.length; look++) {
    const end = Math.min(parts.length, i + looks[look % looks.length]);
    const batch: [at: number, length: number][] = [];
    for (; i < end && batch.length < layout.batch; i++) {
      const { bytes, isLast } = parts[i];
      chunk = (chunk + 37) % layout.rxChunks;
      const at = chunk * layout.chunkBytes + 256;
      memory.set(bytes, at);
      if (isLast && !assembly.isOpen) batch.push([at, bytes.length]);
      else {
        const whole = assembly.add(at, bytes.length, isLast);
        if (whole !== NO_FRAME) batch.push([whole, assembly.frameLength]);
      }
    }
    for (const [at, length] of batch) frames.push(memory.slice(at, at + length));
  }
  return frames;
}

describe('frames received in parts', () => {
  const memory = new Uint8Array(layout.length);

  it('come out whole and in order, wherever a look at the ring ends', () => {
    const lengths = fc.array(fc.oneof(fc.integer({ min: 60, max: 9018 }), fc.constantFrom(PART, PART + 1, 2 * PART)), {
      minLength: 1,
      maxLength: 20,
    });
    const looks = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(lengths, looks, fc.constantFrom(PART, 2048, 1000), (sizes, looked, partLength) => {
        const sent = sizes.map((length, i) => content(i, length));
        expectSame(assemble(memory, partsOf(sent, partLength), looked), sent);
      }),
      { numRuns: 40 },
    );
  });

  it('leave a full batch as it is while the next one begins', () => {
    const sent = Array.from({ length: layout.batch * 3 }, (_, i) => content(i, 9000));
    // A look ends with a full batch, or with one less and a frame that is open: as much as there can be.
    for (const look of [layout.batch * 3, layout.batch * 3 - 1]) {
      expectSame(assemble(memory, partsOf(sent), [look]), sent);
    }
  });

  it('are dropped and counted when they are longer than a slot; the next one is whole', () => {
    const sent = [layout.slotBytes + 1, layout.slotBytes, 65_000, 100].map((length, i) => content(i, length));
    const assembly = new FrameAssembly(memory, layout);
    memory.fill(0xee, layout.assembly);
    expectSame(assemble(memory, partsOf(sent), [5], assembly), [sent[1], sent[3]]);
    expect(assembly.tooLong).toBe(2);
    const unused = memory.subarray(layout.assembly + 2 * layout.slotBytes);
    expect(unused.every((byte) => byte === 0xee)).toBe(true);
  });

  it('go on in another process where one has begun', () => {
    const sent = [0, 1, 2].map((i) => content(i, 9000));
    const parts = partsOf(sent);
    const first = new FrameAssembly(memory, layout);
    expectSame(assemble(memory, parts.slice(0, 5), [9], first), [sent[0]]);
    expect(first.openFrame).toEqual([1, 2 * PART]);
    const second = new FrameAssembly(memory, layout, first.openFrame);
    expectSame(assemble(memory, parts.slice(5), [9], second), [sent[1], sent[2]]);
  });
});

describe('frames sent in parts', () => {
  const buffer = new ArrayBuffer(192 + RING * 16);
  const slotAt = (i: number): number => layout.rxChunks * layout.chunkBytes + i * layout.slotBytes;

  it.each([
    [60, [60]],
    [4095, [4095]],
    [4096, [4096]],
    [4097, [4096, 1]],
    [8192, [4096, 4096]],
    [8193, [4096, 4096, 1]],
    [9018, [4096, 4096, 826]],
  ])('of %i bytes are %j, side by side, and all but the last go on', (length, expected) => {
    const tx = new ProducerRing(buffer, OFFSETS, RING, 2);
    const kernel = new ConsumerRing(buffer, OFFSETS, RING, 2);
    new FrameParts(layout).push(tx, slotAt(3), length);
    tx.publish();
    expect(kernel.available()).toBe(expected.length);
    for (let i = 0; i < expected.length; i++) {
      expect(kernel.address(i)).toBe(slotAt(3) + i * 4096);
      expect(kernel.frameLength(i)).toBe(expected[i]);
      expect(kernel.goesOn(i)).toBe(i < expected.length - 1);
    }
    kernel.advance(expected.length);
  });

  it('give their slot back when the last of their parts is sent, in whatever order', () => {
    const tx = new ProducerRing(buffer, OFFSETS, RING, 2);
    const parts = new FrameParts(layout);
    parts.push(tx, slotAt(0), 9000);
    parts.push(tx, slotAt(1), 100);
    parts.push(tx, slotAt(20), 5000);
    expect(parts.finish(slotAt(0) + 4096)).toBe(NO_FRAME);
    expect(parts.finish(slotAt(1))).toBe(slotAt(1));
    expect(parts.finish(slotAt(20) + 4096)).toBe(NO_FRAME);
    expect(parts.finish(slotAt(0))).toBe(NO_FRAME);
    // A process that takes over knows what is under way.
    const next = new FrameParts(layout, parts.underWay);
    expect(next.finish(slotAt(0) + 8192)).toBe(slotAt(0));
    expect(next.finish(slotAt(20))).toBe(slotAt(20));
  });
});
