// Units of the command line, and a bridge over memory instead of devices.
import { describe, expect, it } from 'vitest';
import { MemoryWire } from '../../../io-engine/memory-wire.ts';
import { VirtualScheduler } from '../../../test/sim/virtual-scheduler.ts';
import { UsageError } from '../tool.ts';
import { Bridge } from './bridge.ts';
import { parseRate, parseShare, parseSize, parseTime } from './units.ts';

describe('units', () => {
  it('are read as people write them', () => {
    expect(parseTime('10ms', 'delay')).toBe(10_000);
    expect(parseTime('0.5 ms', 'delay')).toBe(500);
    expect(parseRate('100mbit', 'rate')).toBe(1e8);
    expect(parseSize('512kb', 'queue')).toBe(524_288);
    expect(parseShare('0.1%', 'loss')).toBeCloseTo(0.001);
    expect(parseShare('0.25', 'loss')).toBe(0.25);
  });

  it('are refused with what is wanted', () => {
    expect(() => parseTime('10', 'delay')).toThrow(UsageError);
    expect(() => parseTime('10h', 'delay')).toThrow(/--delay wants a number with its unit \(us, ms, s\), not '10h'/);
    expect(() => parseShare('101%', 'loss')).toThrow(/--loss wants 0% to 100%/);
  });
});

describe('bridge', () => {
  /** host A - wire - bridge - wire - host B, in virtual time. */
  function bridged(impairment: object, count: number, mtu = 0) {
    const left = new MemoryWire({ wake: 'advance', ends: [{ txRing: 1024 }, { rxRing: 1024 }] });
    const right = new MemoryWire({ wake: 'advance', ends: [{ txRing: 1024 }, { rxRing: 1024 }] });
    let nowUs = 0;
    const scheduler = new VirtualScheduler();
    const options = { impairments: [impairment, {}] as const, seed: 3, inFlight: 4096, mtu };
    const bridge = new Bridge([left.ends[1], right.ends[0]], options, () => nowUs, scheduler);
    for (let i = 0; i < count; i++) {
      const at = left.ends[0].reserve();
      left.ends[0].memory.fill(0, at, at + 100);
      left.ends[0].memory[at] = i;
      left.ends[0].commit(100, 0);
    }
    left.ends[0].flush();
    const arrivals: [number, number][] = [];
    for (; nowUs < 100_000; nowUs += 100) {
      left.advance(nowUs);
      scheduler.advance(nowUs);
      bridge.tick();
      right.advance(nowUs);
      const end = right.ends[1];
      const frames = end.receive();
      for (let i = 0; i < frames; i++) arrivals.push([end.memory[end.batch.offset[i]], nowUs]);
    }
    return { arrivals, counters: bridge.counters };
  }

  it('forwards every frame, in order, after its delay', () => {
    const { arrivals, counters } = bridged({ delayUs: 20_000 }, 50);
    expect(arrivals.map(([number]) => number)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    for (const [, at] of arrivals) expect(at).toBeGreaterThanOrEqual(20_000);
    expect(counters.forwarded).toBe(50);
  });

  it('takes packets up to its MTU and says nothing about longer ones', () => {
    expect(bridged({}, 20, 86).counters).toMatchObject({ forwarded: 20, tooLong: 0 });
    const narrow = bridged({}, 20, 85);
    expect(narrow.counters).toMatchObject({ forwarded: 0, tooLong: 20 });
    expect(narrow.arrivals).toEqual([]);
  });

  it('spaces frames by its rate, drops what its queue does not hold, loses its share', () => {
    const slow = bridged({ rate: 8_000_000, queueBytes: 2000 }, 50);
    // A byte a microsecond, a hundred bytes a frame.
    const times = slow.arrivals.map(([, at]) => at);
    expect(times.at(-1)! - times[0]).toBe((times.length - 1) * 100);
    expect(slow.counters.forwarded + slow.counters.queueFull).toBe(50);
    expect(slow.counters.queueFull).toBeGreaterThan(20);
    const lossy = bridged({ loss: 0.5 }, 200);
    expect(lossy.counters.lost).toBeGreaterThan(60);
    expect(lossy.counters.lost + lossy.arrivals.length).toBe(200);
  });
});
