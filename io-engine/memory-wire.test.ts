import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { queueFrame, receiveAll, sendFrame } from './frame-copies.ts';
import { NO_FRAME, RX_CHECKSUM_TRUSTED } from './frame-engine.ts';
import { type FrameFate, MemoryWire, type MemoryWireOptions } from './memory-wire.ts';

const BROADCAST = [255, 255, 255, 255, 255, 255];

/** An IPv4 frame whose payload starts with a 32-bit number. */
function frame(number: number, length = 60, destination: readonly number[] = BROADCAST): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(destination, 0);
  bytes[12] = 0x08;
  new DataView(bytes.buffer).setUint32(14, number);
  return bytes;
}

const numberOf = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(14);

interface Trip {
  number: number;
  atUs: number;
}

/** Sends `count` frames, one every `spacingUs`, and follows virtual time until the wire is empty. */
function run(options: MemoryWireOptions, count: number, spacingUs = 10) {
  const wire = new MemoryWire({ wake: 'advance', ...options });
  const [a, b] = wire.ends;
  const fates: Partial<Record<FrameFate, number>> = {};
  const arrived: Trip[] = [];
  wire.observer = (fate) => {
    fates[fate] = (fates[fate] ?? 0) + 1;
  };
  b.wait(() => {
    for (const bytes of receiveAll(b)) arrived.push({ number: numberOf(bytes), atUs: wire.nowUs });
  });
  for (let i = 0; i < count; i++) {
    wire.advance(i * spacingUs);
    sendFrame(a, frame(i));
  }
  for (let at = wire.nextArrivalUs(); at >= 0; at = wire.nextArrivalUs()) wire.advance(at);
  return { wire, fates, arrived };
}

describe('MemoryWire without time', () => {
  it('has a flushed frame at the other end at once', () => {
    const wire = new MemoryWire();
    const [a, b] = wire.ends;
    queueFrame(a, frame(7));
    expect(b.receive()).toBe(0);
    a.flush();
    expect(receiveAll(b)).toEqual([frame(7)]);
    expect(receiveAll(a)).toEqual([]);
    wire.close();
  });

  it('wakes a reader from the event loop', async () => {
    const wire = new MemoryWire();
    const [a, b] = wire.ends;
    const got = new Promise<Uint8Array[]>((resolve) => b.wait(() => resolve(receiveAll(b))));
    sendFrame(a, frame(1));
    expect(await got).toEqual([frame(1)]);
    wire.close();
  });

  it('carries segments larger than the MTU between ends with TSO, trusted when checksums are offloaded', () => {
    const end = { txChecksumOffload: true, tsoPayloadMax: 60_000 };
    const wire = new MemoryWire({ ends: [end, end] });
    const [a, b] = wire.ends;
    const large = frame(1, 50_000);
    sendFrame(a, large);
    expect(b.receive()).toBe(1);
    expect(b.batch.length[0]).toBe(50_000);
    expect(b.batch.flags[0]).toBe(RX_CHECKSUM_TRUSTED);
    wire.close();
  });

  it('is a switch with more than two ends', () => {
    const wire = new MemoryWire({ ends: [{}, {}, {}] });
    const [a, b, c] = wire.ends;
    sendFrame(a, frame(1, 60, [...c.link.mac]));
    sendFrame(a, frame(2));
    expect(receiveAll(b).map(numberOf)).toEqual([2]);
    expect(receiveAll(c).map(numberOf)).toEqual([1, 2]);
    wire.close();
  });

  it('drops what a filter refuses', () => {
    const wire = new MemoryWire();
    const [a, b] = wire.ends;
    wire.filter = (_from, _to, bytes, offset, length) => numberOf(bytes.slice(offset, offset + length)) !== 1;
    for (let i = 0; i < 3; i++) sendFrame(a, frame(i));
    expect(receiveAll(b).map(numberOf)).toEqual([0, 2]);
    wire.close();
  });

  it('says NO_FRAME while the transmit ring is full', () => {
    const wire = new MemoryWire({ ends: [{ txRing: 4 }, {}] });
    const [a] = wire.ends;
    for (let i = 0; i < 4; i++) expect(queueFrame(a, frame(i))).toBe(true);
    expect(a.reserve()).toBe(NO_FRAME);
    expect(a.counters.txFull).toBe(1);
    a.flush();
    expect(a.reserve()).not.toBe(NO_FRAME);
    wire.close();
  });
});

describe('MemoryWire on virtual time', () => {
  it('delivers after the delay, not before', () => {
    const wire = new MemoryWire({ wake: 'advance', impairment: { delayUs: 500 } });
    const [a, b] = wire.ends;
    sendFrame(a, frame(1));
    expect(wire.nextArrivalUs()).toBe(500);
    wire.advance(499);
    expect(b.receive()).toBe(0);
    wire.advance(500);
    expect(b.receive()).toBe(1);
    expect(wire.nextArrivalUs()).toBe(-1);
  });

  it('keeps order under jitter', () => {
    const { arrived } = run({ impairment: { delayUs: 100, jitterUs: 5000 } }, 200);
    expect(arrived.map((trip) => trip.number)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  it('reorders when asked to, and loses nothing by it', () => {
    const { arrived, fates } = run({ impairment: { delayUs: 100, reorder: 0.1, reorderUs: 55 } }, 500);
    const numbers = arrived.map((trip) => trip.number);
    expect(numbers).not.toEqual(numbers.toSorted((x, y) => x - y));
    expect(numbers.toSorted((x, y) => x - y)).toEqual(Array.from({ length: 500 }, (_, i) => i));
    expect(fates.reordered).toBeGreaterThan(20);
  });

  it('loses, duplicates and corrupts about as often as told', () => {
    const { fates, arrived } = run({ impairment: { delayUs: 10, loss: 0.1, duplicate: 0.05, corrupt: 0.02 } }, 4000);
    expect(fates.lost).toBeGreaterThan(300);
    expect(fates.lost).toBeLessThan(500);
    expect(fates.duplicated).toBeGreaterThan(120);
    expect(fates.corrupted).toBeGreaterThan(40);
    expect(arrived.length).toBe(4000 - (fates.lost ?? 0) + (fates.duplicated ?? 0));
  });

  it('flips exactly one bit, behind the Ethernet header, and takes the trust away', () => {
    const wire = new MemoryWire({ impairment: { corrupt: 1 }, ends: [{ txChecksumOffload: true }, {}] });
    const [a, b] = wire.ends;
    sendFrame(a, frame(3));
    expect(b.receive()).toBe(1);
    const got = b.memory.slice(b.batch.offset[0], b.batch.offset[0] + 60);
    const wrongBits = frame(3).reduce((bits, byte, i) => bits + popcount(byte ^ got[i]), 0);
    expect(wrongBits).toBe(1);
    expect(got.slice(0, 14)).toEqual(frame(3).slice(0, 14));
    expect(b.batch.flags[0]).toBe(0);
    wire.close();
  });

  it('loses an ARP frame instead of corrupting it', () => {
    const wire = new MemoryWire({ impairment: { corrupt: 1 } });
    const [a, b] = wire.ends;
    const arp = frame(1);
    arp[13] = 6;
    sendFrame(a, arp);
    expect(b.receive()).toBe(0);
    wire.close();
  });

  it('spaces frames out at the given rate and drops what the queue cannot hold', () => {
    // 60 bytes at 480 kbit/s take one millisecond; the queue holds four frames.
    const { arrived, fates } = run({ impairment: { rate: 480_000, queueBytes: 240 } }, 10, 0);
    expect(arrived.map((trip) => trip.atUs)).toEqual([1000, 2000, 3000, 4000]);
    expect(fates['queue-full']).toBe(6);
  });

  it('accounts for every frame, whatever the impairment', () => {
    const probability = fc.double({ min: 0, max: 1, noNaN: true });
    const impairments = fc.record({
      delayUs: fc.nat(1000),
      jitterUs: fc.nat(1000),
      loss: probability,
      duplicate: probability,
      reorder: probability,
      reorderUs: fc.nat(2000),
      corrupt: probability,
      rate: fc.constantFrom(0, 1_000_000, 100_000_000),
      queueBytes: fc.integer({ min: 100, max: 10_000 }),
    });
    fc.assert(
      fc.property(impairments, fc.integer(), fc.integer({ min: 1, max: 64 }), (impairment, seed, inFlight) => {
        const { fates, arrived, wire } = run({ seed, impairment, inFlight, ends: [{}, { rxRing: 32 }] }, 100);
        const { sent = 0, duplicated = 0, lost = 0, delivered = 0 } = fates;
        const full = (fates['queue-full'] ?? 0) + (fates['ring-full'] ?? 0);
        expect(delivered + lost + full).toBe(sent + duplicated);
        expect(arrived.length).toBe(delivered);
        expect(wire.inFlight).toBe(0);
      }),
      { seed: 1, numRuns: 60 },
    );
  });

  it('gives the same run for the same seed, another for another', () => {
    const impairment = { delayUs: 50, jitterUs: 200, loss: 0.05, duplicate: 0.05, reorder: 0.05, corrupt: 0.05 };
    const first = run({ seed: 42, impairment }, 500);
    const again = run({ seed: 42, impairment }, 500);
    const other = run({ seed: 43, impairment }, 500);
    expect(again.arrived).toEqual(first.arrived);
    expect(again.fates).toEqual(first.fates);
    expect(other.arrived).not.toEqual(first.arrived);
  });

  it('impairs one direction only when told so', () => {
    const wire = new MemoryWire();
    const [a, b] = wire.ends;
    wire.impair({ loss: 1 }, 0, 1);
    sendFrame(a, frame(1));
    sendFrame(b, frame(2));
    expect(receiveAll(b)).toEqual([]);
    expect(receiveAll(a).map(numberOf)).toEqual([2]);
    wire.close();
  });

  it('calls a reader again until it has read everything', () => {
    const wire = new MemoryWire({ wake: 'advance', ends: [{}, { batch: 4 }] });
    const [a, b] = wire.ends;
    const batches: number[] = [];
    b.wait(() => batches.push(b.receive()));
    for (let i = 0; i < 10; i++) sendFrame(a, frame(i));
    while (wire.nextArrivalUs() >= 0) wire.advance(wire.nextArrivalUs());
    expect(batches).toEqual([4, 4, 2]);
  });
});

function popcount(byte: number): number {
  let count = 0;
  for (let rest = byte; rest > 0; rest >>= 1) count += rest & 1;
  return count;
}
