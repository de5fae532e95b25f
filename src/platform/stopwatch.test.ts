import { describe, expect, it } from 'vitest';
import { LapTimer, systemStopwatch } from './stopwatch.ts';

describe('a lap timer', () => {
  it('shares the time since the last lap, in whole nanoseconds', () => {
    let us = 7.25;
    const timer = new LapTimer(() => us);
    timer.start();
    us += 3;
    expect(timer.lap(2)).toBe(1500);
    us += 0.0016;
    expect(timer.lap(1)).toBe(2);
    us += 100;
    timer.start();
    us += 1;
    expect(timer.lap(3)).toBe(333);
  });

  it('goes by the system', () => {
    const timer = new LapTimer(systemStopwatch);
    const began = systemStopwatch();
    timer.start();
    while (systemStopwatch() - began < 200);
    const spentNs = timer.lap(1);
    expect(spentNs).toBeGreaterThan(0);
    expect(spentNs).toBeLessThanOrEqual((systemStopwatch() - began) * 1000);
    expect(Number.isInteger(spentNs)).toBe(true);
  });
});
