import { expect, test } from 'vitest';
import type { Alarm, Scheduler } from '../platform/timers.ts';
import { ENDS_MAX, RestartPolicy } from './restart-policy.ts';

test('pauses grow, a long run makes them short again, and early ends in a row are given up', () => {
  let ranWell: () => void = () => {};
  const alarm: Alarm = { arm() {}, disarm() {} };
  const scheduler: Scheduler = {
    createAlarm(onAlarm) {
      ranWell = onAlarm;
      return alarm;
    },
    soon() {},
  };
  const policy = new RestartPolicy(scheduler);
  const pauses = (count: number): number[] => Array.from({ length: count }, () => policy.ended());
  expect(pauses(7)).toEqual([100, 200, 400, 800, 1600, 3200, 5000]);
  ranWell();
  expect(pauses(ENDS_MAX)).toEqual([100, 200, 400, 800, 1600, 3200, 5000, -1]);
});
