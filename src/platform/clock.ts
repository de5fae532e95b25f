// The only place where the server reads the time. `update()` runs once a tick; everyone else reads fields.

// By name and not as the globals of those names, which are getters that every use calls.
import { performance } from 'node:perf_hooks';
import { hrtime } from 'node:process';

export interface ServerClock {
  /** Milliseconds since start, int32, wraps. */
  readonly nowMs: number;
  /** Microseconds since start, int32, wraps. */
  readonly nowUs: number;
  /** Wall clock, milliseconds since the Unix epoch. */
  readonly unixMs: number;
  /** The wall clock as of now and not of this tick, whole microseconds: for captures. */
  preciseUnixUs(): number;
  update(): void;
  /** Moves on for who measures and waits; the wall clock, which a command must see stand still, stays. */
  updateSinceStart(): void;
}

/** How often the wall clock is asked itself, milliseconds. */
const WALL_CLOCK_MS = 10;

/** Milliseconds, of a clock that is never set; its array does not outlive the call, so that nothing is allocated. */
function monotonicMs(): number {
  const [seconds, nanoseconds] = hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

export class SystemClock implements ServerClock {
  nowMs = 0;
  nowUs = 0;
  unixMs = Date.now();
  readonly #startMs = monotonicMs() - performance.now();
  /** From the time since start to the wall clock, as far as its whole milliseconds have told. */
  #wallOffsetMs = this.unixMs - performance.now();
  #wallAskedMs = 0;

  update(): void {
    const sinceStart = this.#advance();
    if (((this.nowMs - this.#wallAskedMs) | 0) >= WALL_CLOCK_MS) this.#askWallClock(sinceStart);
    this.unixMs = Math.floor(sinceStart + this.#wallOffsetMs);
  }

  updateSinceStart(): void {
    this.#advance();
  }

  #advance(): number {
    const sinceStart = monotonicMs() - this.#startMs;
    this.nowMs = sinceStart | 0;
    this.nowUs = (sinceStart * 1000) | 0;
    return sinceStart;
  }

  /**
   * Date.now() allocates its result, and cuts fractions off: the offset is what agrees with it and with what was known
   * before. The process may have been kept waiting before or after the question.
   */
  #askWallClock(sinceStart: number): void {
    this.#wallAskedMs = this.nowMs;
    const unixMs = Date.now();
    const least = unixMs - (monotonicMs() - this.#startMs);
    this.#wallOffsetMs = Math.max(least, Math.min(this.#wallOffsetMs, unixMs + 0.999 - sinceStart));
  }

  preciseUnixUs(): number {
    return Math.floor((performance.timeOrigin + performance.now()) * 1000);
  }
}

/** A clock that moves when told to, for tests and the simulator. */
export class ManualClock implements ServerClock {
  nowMs = 0;
  nowUs = 0;
  unixMs: number;
  #elapsedUs = 0;

  constructor(unixMs = 1_700_000_000_000) {
    this.unixMs = unixMs;
  }

  update(): void {}
  updateSinceStart(): void {}

  preciseUnixUs(): number {
    return this.unixMs * 1000;
  }

  /** @param microseconds how far to move on; whole. */
  advanceUs(microseconds: number): void {
    this.#elapsedUs += microseconds;
    this.nowUs = this.#elapsedUs | 0;
    const elapsedMs = Math.floor(this.#elapsedUs / 1000);
    this.unixMs += elapsedMs - this.#lastMs;
    this.#lastMs = elapsedMs;
    this.nowMs = elapsedMs | 0;
  }

  #lastMs = 0;
}
