// Measures how long commands take. Apart from the clock because the clock stands still within a tick.

/** Microseconds since some start; only differences mean something. */
export type Stopwatch = () => number;

export const systemStopwatch: Stopwatch = () => performance.now() * 1000;
