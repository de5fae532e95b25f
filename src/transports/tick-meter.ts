// Where ticks spend their time, from one of every sixteen: three looks at the clock for each would cost more than what
// they tell is worth. Exists only while somebody wants metrics; src/transports/userspace.ts runs it.
import { LatencyHistogram } from '../core/latency-histogram.ts';
import type { TickBudget, TickTimes } from './transport.ts';

const ONE_OF = 16;

export class TickMeter implements TickBudget, TickTimes {
  inputUs = 0;
  persistenceUs = 0;
  outputUs = 0;
  readonly stopwatch: () => number;
  readonly #histogram = new LatencyHistogram();
  #countdown = 1;

  constructor(stopwatch: () => number) {
    this.stopwatch = stopwatch;
  }

  /** Whether the tick that begins is to be measured. */
  isDue(): boolean {
    if (--this.#countdown > 0) return false;
    this.#countdown = ONE_OF;
    return true;
  }

  /** Of a measured tick: moments between its parts, microseconds. It stands for its fifteen neighbours too. */
  add(beganUs: number, inputDoneUs: number, persistedUs: number, endedUs: number): void {
    this.inputUs += (inputDoneUs - beganUs) * ONE_OF;
    this.persistenceUs += (persistedUs - inputDoneUs) * ONE_OF;
    this.outputUs += (endedUs - persistedUs) * ONE_OF;
    this.#histogram.record(endedUs - beganUs, ONE_OF);
  }

  countsUpTo(limitsUs: readonly number[]): readonly number[] {
    return this.#histogram.countsUpTo(limitsUs);
  }

  get total(): number {
    return this.#histogram.total;
  }

  get sumUs(): number {
    return this.inputUs + this.persistenceUs + this.outputUs;
  }
}
