// When a child process that ended is started again: after growing pauses, and not at all when it keeps ending early. Only
// src/relay/ imports it.
import type { Alarm, Scheduler } from '../platform/timers.ts';

/** Doubled with each early end. */
const PAUSE_FIRST_MS = 100;
const PAUSE_MAX_MS = 5000;
/** Ends in a row, each before it ran for so long, until it is given up. */
export const ENDS_MAX = 8;
const RAN_WELL_MS = 30_000;

export class RestartPolicy {
  readonly #ranWell: Alarm;
  #earlyEnds = 0;

  constructor(scheduler: Scheduler) {
    this.#ranWell = scheduler.createAlarm(() => {
      this.#earlyEnds = 0;
    }, true);
  }

  started(): void {
    this.#ranWell.arm(RAN_WELL_MS);
  }

  /** It has ended. @returns milliseconds to wait before it is started again; -1: it is given up. */
  ended(): number {
    this.#ranWell.disarm();
    this.#earlyEnds++;
    if (this.#earlyEnds >= ENDS_MAX) return -1;
    return Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS << (this.#earlyEnds - 1));
  }

  stop(): void {
    this.#ranWell.disarm();
  }
}
