// Time and randomness as the stack sees them: handed in by whoever runs it, so that a simulator can.

/** Both counters are int32, wrap, and are compared as `(a - b) | 0`. They move only between ticks. */
export interface Clock {
  /** Milliseconds since some start. */
  readonly nowMs: number;
  /** Microseconds since some start. */
  readonly nowUs: number;
}

/** Source of unpredictable numbers: initial sequence secrets, ephemeral ports, identification fields. */
export interface RandomSource {
  /** A uniformly distributed int32. */
  int32(): number;
}
