// Measures how long commands take. Apart from the clock because the clock stands still within a tick.

// By name and not as the global of that name, which is a getter that every use calls.
import { hrtime } from 'node:process';

/** Microseconds since some start; only differences mean something. */
export type Stopwatch = () => number;

/** Read for every batch of requests: the array does not outlive the call, so that it costs 16 bytes and not `performance.now()`'s 64. */
export const systemStopwatch: Stopwatch = () => {
  const [seconds, nanoseconds] = hrtime();
  return seconds * 1e6 + nanoseconds / 1e3;
};

/** Stops the whole process for a while: DEBUG SLEEP, and nothing else. */
export function blockMs(durationMs: number): void {
  if (durationMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}
