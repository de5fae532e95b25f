// A token bucket: so many a second, so many at once. For what anybody can make us send. Used by stack/ only.
import type { Clock } from './clock.ts';

export class RateLimit {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #refilledMs: number;

  constructor(clock: Clock, perSecond: number, burst: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#refilledMs = clock.nowMs;
  }

  /** @returns whether one more is allowed now. */
  take(): boolean {
    const elapsedMs = (this.#clock.nowMs - this.#refilledMs) | 0;
    const earned = Math.floor((Math.max(0, elapsedMs) * this.#perSecond) / 1000);
    if (earned > 0 || elapsedMs < 0) {
      this.#tokens = Math.min(this.#burst, this.#tokens + earned);
      this.#refilledMs = this.#clock.nowMs;
    }
    if (this.#tokens === 0) return false;
    this.#tokens--;
    return true;
  }
}
