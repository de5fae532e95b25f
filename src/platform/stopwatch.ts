// Measures how long commands take. Apart from the clock because the clock stands still within a tick.

// By name and not as the global of that name, which is a getter that every use calls.
import { performance } from 'node:perf_hooks';

/** Microseconds since some start; only differences mean something. */
export type Stopwatch = () => number;

export const systemStopwatch: Stopwatch = () => performance.now() * 1000;

/** Stops the whole process for a while: DEBUG SLEEP, and nothing else. */
export function blockMs(durationMs: number): void {
  if (durationMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}
