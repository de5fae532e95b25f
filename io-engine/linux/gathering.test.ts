import { describe, expect, it } from 'vitest';
import { FRAMES_ENOUGH, Gathering } from './gathering.ts';

const WAIT_US = 50;

/** Frames a millisecond that a load sends, to a reader who waits or not. */
type Load = (waits: boolean) => number;

/** Wakes up 20 times a millisecond for three seconds; the share of wake-ups that waited in the last two. */
function shareOfWaits(load: Load, waiting = 1, gathering = new Gathering(WAIT_US)): number {
  let frames = 0;
  let waits = 0;
  let waited = false;
  for (let i = 1; i <= 60_000; i++) {
    frames += load(waited) / 20;
    waited = gathering.pays(i * 50, frames, waiting);
    if (i > 20_000 && waited) waits++;
  }
  return waits / 40_000;
}

describe('gathering frames', () => {
  it('waits when that makes clients faster', () => {
    expect(shareOfWaits((waits) => (waits ? 80 : 60))).toBeGreaterThan(0.9);
  });

  it('waits when that costs nothing', () => {
    expect(shareOfWaits(() => 100)).toBeGreaterThan(0.9);
  });

  it('does not hold up few clients who wait for their answers', () => {
    expect(shareOfWaits((waits) => (waits ? 70 : 90))).toBeLessThan(0.1);
    expect(shareOfWaits((waits) => (waits ? 37 : 45))).toBeLessThan(0.1);
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

  /** Whether frames are held back after a second of ticks, 20 a millisecond, each after a wait of `restUs`. */
  function holdsAfter(restUs: number, framesPerMs: number, gathering = new Gathering(WAIT_US)): boolean {
    for (let i = 1; i <= 20_000; i++) {
      if (gathering.pays(i * 50, Math.floor((i * framesPerMs) / 20), 1)) gathering.rested(restUs);
    }
    return gathering.holds;
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
    expect(gathering.holds).toBe(false);
  });

  it('never waits at 0', () => {
    expect(shareOfWaits(() => 1000, 1, new Gathering(0))).toBe(0);
  });
});
