// The only place where the server reads the time. `update()` runs once a tick; everyone else reads fields.

// By name and not as the global of that name, which is a getter that every use calls.
import { performance } from 'node:perf_hooks';

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

export class SystemClock implements ServerClock {
  nowMs = 0;
  nowUs = 0;
  unixMs = Date.now();

  update(): void {
    this.updateSinceStart();
    this.unixMs = Date.now();
  }

  updateSinceStart(): void {
    // performance.now() is monotonic and, unlike hrtime.bigint(), allocates nothing that outlives the call.
    const sinceStart = performance.now();
    this.nowMs = sinceStart | 0;
    this.nowUs = (sinceStart * 1000) | 0;
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
