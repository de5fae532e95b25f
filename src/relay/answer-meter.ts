// How long an upstream takes to answer: from a client's first bytes to the first that come back. Bytes are not read here, so
// a pipeline counts as one answer. A relay has one from the moment somebody wants to know. src/observe reads it.
import { LatencyHistogram } from '../core/latency-histogram.ts';

export class AnswerMeter {
  /** Microseconds. */
  readonly stopwatch: () => number;
  readonly latency = new LatencyHistogram();
  answers = 0;
  timeUs = 0;

  constructor(stopwatch: () => number) {
    this.stopwatch = stopwatch;
  }

  /** @param askedUs what the stopwatch said when the client spoke. */
  answered(askedUs: number): void {
    const tookUs = Math.max(0, this.stopwatch() - askedUs);
    this.latency.record(tookUs, 1);
    this.answers++;
    this.timeUs += tookUs;
  }
}
