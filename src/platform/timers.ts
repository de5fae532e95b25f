// The only place that schedules: the event loop for a real server, virtual time for the simulator.

/** A timer that can be armed again and again without allocating. */
export interface Alarm {
  /** Fires once, `delayMs` from now, replacing any earlier arming. */
  arm(delayMs: number): void;
  disarm(): void;
}

export interface Scheduler {
  /**
   * @param onAlarm called when an armed time has come.
   * @param background an armed alarm does not keep the process alive.
   */
  createAlarm(onAlarm: () => void, background?: boolean): Alarm;
  /** Runs `task` after the current tick's callbacks, before the loop sleeps. */
  soon(task: () => void): void;
}

/** Resolves after that time. */
export function waitFor(scheduler: Scheduler, milliseconds: number): Promise<void> {
  return new Promise((done) => scheduler.createAlarm(done).arm(milliseconds));
}

export class SystemScheduler implements Scheduler {
  createAlarm(onAlarm: () => void, background = false): Alarm {
    return new SystemAlarm(onAlarm, background);
  }

  soon(task: () => void): void {
    setImmediate(task);
  }
}

class SystemAlarm implements Alarm {
  readonly #onAlarm: () => void;
  readonly #background: boolean;
  #timer: NodeJS.Timeout | null = null;
  #delayMs = -1;

  constructor(onAlarm: () => void, background: boolean) {
    this.#onAlarm = onAlarm;
    this.#background = background;
  }

  arm(delayMs: number): void {
    if (this.#timer !== null && this.#delayMs === delayMs) {
      this.#timer.refresh();
      return;
    }
    this.disarm();
    this.#delayMs = delayMs;
    this.#timer = setTimeout(this.#onAlarm, delayMs);
    if (this.#background) this.#timer.unref();
  }

  disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
