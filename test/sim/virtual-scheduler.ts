// The event loop of the simulator: alarms and soon-tasks on virtual time, in a fixed order.
import type { Alarm, Scheduler } from '../../src/platform/timers.ts';

class VirtualAlarm implements Alarm {
  readonly onAlarm: () => void;
  readonly #now: () => number;
  /** Microseconds of virtual time; -1: not armed. */
  atUs = -1;

  constructor(onAlarm: () => void, now: () => number) {
    this.onAlarm = onAlarm;
    this.#now = now;
  }

  arm(delayMs: number): void {
    this.atUs = this.#now() + delayMs * 1000;
  }

  disarm(): void {
    this.atUs = -1;
  }
}

export class VirtualScheduler implements Scheduler {
  readonly #alarms: VirtualAlarm[] = [];
  #tasks: (() => void)[] = [];
  #nowUs = 0;

  createAlarm(onAlarm: () => void): Alarm {
    const alarm = new VirtualAlarm(onAlarm, () => this.#nowUs);
    this.#alarms.push(alarm);
    return alarm;
  }

  soon(task: () => void): void {
    this.#tasks.push(task);
  }

  /** Earliest time at which there is something to run, microseconds; -1: nothing is planned. */
  nextUs(): number {
    if (this.#tasks.length > 0) return this.#nowUs;
    let next = -1;
    for (const { atUs } of this.#alarms) if (atUs >= 0 && (next < 0 || atUs < next)) next = atUs;
    return next;
  }

  /** Moves on to `nowUs` and runs what is due. */
  advance(nowUs: number): void {
    this.#nowUs = nowUs;
    const tasks = this.#tasks;
    this.#tasks = [];
    for (const task of tasks) task();
    for (const alarm of this.#alarms) {
      if (alarm.atUs < 0 || alarm.atUs > nowUs) continue;
      alarm.atUs = -1;
      alarm.onAlarm();
    }
  }
}
