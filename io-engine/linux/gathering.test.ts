import { describe, expect, it } from 'vitest';
import { FRAMES_ENOUGH, Gathering, waitsUpTo } from './gathering.ts';

const WAIT_US = 50;

/** Frames a millisecond that a load sends, to a reader who waits that long. */
type Load = (waitUs: number) => number;

/** Wakes up 20 times a millisecond for three seconds; the share of wake-ups that waited in the last two. */
function shareOfWaits(load: Load, waiting = 1, gathering = new Gathering(WAIT_US)): number {
  let frames = 0;
  let waits = 0;
  let waitedUs = 0;
  for (let i = 1; i <= 60_000; i++) {
    frames += load(waitedUs) / 20;
    waitedUs = gathering.pays(i * 50, frames, waiting) ? gathering.waitUs : 0;
    if (i > 20_000 && waitedUs > 0) waits++;
  }
  return waits / 40_000;
}

describe('gathering frames', () => {
  it('waits when that makes clients faster', () => {
    expect(shareOfWaits((waitUs) => (waitUs > 0 ? 80 : 60))).toBeGreaterThan(0.9);
  });

  it('waits when that costs nothing', () => {
    expect(shareOfWaits(() => 100)).toBeGreaterThan(0.9);
  });

  it('does not hold up few clients who wait for their answers', () => {
    expect(shareOfWaits((waitUs) => (waitUs > 0 ? 70 : 90))).toBeLessThan(0.1);
    expect(shareOfWaits((waitUs) => (waitUs > 0 ? 37 : 45))).toBeLessThan(0.1);
  });

  it('does not try when a wait would bring next to nothing', () => {
    expect(shareOfWaits(() => 30)).toBe(0);
  });

  it('does not wait when there is enough to do', () => {
    expect(shareOfWaits(() => 100, FRAMES_ENOUGH)).toBe(0);
  });

  it('does not wait for the first frames after a lull, and learns anew', () => {
    const gathering = new Gathering(WAIT_US);
    expect(shareOfWaits(() => 100, 1, gathering)).toBeGreaterThan(0.9);
    expect(gathering.pays(13_000_000, 300_001, 1)).toBe(false);
  });

  /** How long it waits at last, given what each wait brings: frames a millisecond, and the share of time left over. */
  function chosen(brings: (waitUs: number) => readonly [rate: number, idle: number]): number {
    const gathering = new Gathering(100);
    const spent = new Map<number, number>();
    let frames = 0;
    for (let i = 1; i <= 60_000; i++) {
      const [rate, idle] = brings(gathering.waitUs);
      frames += (rate / 20) * (0.95 + 0.1 * ((i * 7919) % 1000) * 0.001);
      gathering.rested(idle * 50);
      gathering.pays(i * 50, frames, 1);
      if (i > 20_000) spent.set(gathering.waitUs, (spent.get(gathering.waitUs) ?? 0) + 1);
    }
    return [...spent].sort(([, a], [, b]) => b - a)[0]?.[0] ?? -1;
  }

  it('waits as long as clients are fastest with', () => {
    for (const best of waitsUpTo(100)) expect(chosen((waitUs) => [150 - Math.abs(waitUs - best) / 2, 0])).toBe(best);
  });

  it('waits longer where that is as fast and leaves time over, not where the core is full all the same', () => {
    expect(chosen((waitUs) => [waitUs === 0 ? 103 : 100, waitUs / 200])).toBe(100);
    expect(chosen((waitUs) => [waitUs === 0 ? 103 : 100, 0.02])).toBe(0);
  });

  it('finds another wait when the clients change', () => {
    const gathering = new Gathering(100);
    let frames = 0;
    const serve = (untilMs: number, fromMs: number, load: Load): number => {
      for (let i = fromMs * 20 + 1; i <= untilMs * 20; i++) {
        frames += load(gathering.waitUs) / 20;
        gathering.pays(i * 50, frames, 1);
      }
      return gathering.waitUs;
    };
    expect(serve(2995, 0, (waitUs) => 100 + waitUs)).toBe(100);
    const trial = 10;
    const seen = [0, trial, 2 * trial].map((ms) => serve(9000 + ms, 2995, (waitUs) => 300 - waitUs));
    expect(seen.filter((waitUs) => waitUs === 0).length).toBeGreaterThan(1);
  });

  /** Whether frames are held back after a second of ticks, 20 a millisecond, each after a wait of `restUs`. */
  function holdsAfter(restUs: number, framesPerMs: number, gathering = new Gathering(WAIT_US)): boolean {
    for (let i = 1; i <= 20_000; i++) {
      if (gathering.pays(i * 50, Math.floor((i * framesPerMs) / 20), 1)) gathering.rested(restUs);
    }
    return gathering.holdUs > 0;
  }

  it('has the device keep frames back where waiting leaves the core time to spare', () => {
    expect(holdsAfter(30, 100)).toBe(true);
    expect(holdsAfter(5, 100)).toBe(false);
  });

  it('has nothing kept back at rates that fill a short ring, or when it does not wait', () => {
    expect(holdsAfter(30, 400)).toBe(false);
    expect(holdsAfter(30, 10)).toBe(false);
  });

  it('has nothing kept back any more after a lull', () => {
    const gathering = new Gathering(WAIT_US);
    expect(holdsAfter(30, 100, gathering)).toBe(true);
    gathering.pays(5_000_000, 100_001, 1);
    expect(gathering.holdUs).toBe(0);
  });

  it('never waits at 0', () => {
    expect(shareOfWaits(() => 1000, 1, new Gathering(0))).toBe(0);
  });
});
