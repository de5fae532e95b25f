// Measures how long commands take. Apart from the clock because the clock stands still within a tick.

// By name and not as the global of that name, which is a getter that every use calls.
import { hrtime } from 'node:process';

/** Microseconds since some start; only differences mean something. */
export type Stopwatch = () => number;

/** The array that is asked for does not outlive the call, so that nothing is allocated where this is inlined. */
function look(us: Float64Array, at: number): void {
  const [seconds, nanoseconds] = hrtime();
  us[at] = seconds * 1e6 + nanoseconds / 1e3;
}

const seen = new Float64Array(1);

export const systemStopwatch: Stopwatch = () => {
  look(seen, 0);
  return seen[0];
};

const LAST = 0;
const NOW = 1;

/**
 * A stopwatch for what every request does. It keeps what it has read: a fraction that one function returns to another is
 * an object of V8's heap, 16 bytes, wherever the call is not inlined.
 */
export class LapTimer {
  readonly #us = new Float64Array(2);
  readonly #stopwatch: Stopwatch;

  constructor(stopwatch: Stopwatch) {
    this.#stopwatch = stopwatch;
  }

  start(): void {
    this.#look(LAST);
  }

  /** @returns nanoseconds since the last lap for each of `count`, whole: up to two seconds no object either. */
  lap(count: number): number {
    const us = this.#us;
    this.#look(NOW);
    const share = Math.round(((us[NOW] - us[LAST]) * 1000) / count);
    us[LAST] = us[NOW];
    return share;
  }

  #look(at: number): void {
    if (this.#stopwatch === systemStopwatch) look(this.#us, at);
    else this.#us[at] = this.#stopwatch();
  }
}

/** Stops the whole process for a while: DEBUG SLEEP, and nothing else. */
export function blockMs(durationMs: number): void {
  if (durationMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}
