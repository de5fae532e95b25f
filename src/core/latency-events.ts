// The latency monitor: what took longer than `latency-monitor-threshold`, by kind of event, the latest samples of each.
// Whoever does something that can stall the server calls `add` with its time. Anyone in core/ and above may.
import type { ServerClock } from '../platform/clock.ts';

/** Samples kept of an event: one a second at most. */
const SAMPLES = 160;

export interface LatencySample {
  /** Unix time, seconds. */
  readonly time: number;
  /** Milliseconds, whole. */
  latency: number;
}

export class LatencySeries {
  /** Oldest first. */
  readonly samples: LatencySample[] = [];
  /** Worst ever, milliseconds. */
  max = 0;

  add(time: number, latency: number): void {
    this.max = Math.max(this.max, latency);
    const last = this.samples.at(-1);
    if (last !== undefined && last.time === time) {
      last.latency = Math.max(last.latency, latency);
      return;
    }
    this.samples.push({ time, latency });
    if (this.samples.length > SAMPLES) this.samples.shift();
  }
}

export class LatencyEvents {
  readonly #clock: ServerClock;
  readonly #threshold: () => number;
  readonly events = new Map<string, LatencySeries>();

  /** @param threshold `latency-monitor-threshold`, milliseconds; 0: nothing is kept. */
  constructor(clock: ServerClock, threshold: () => number) {
    this.#clock = clock;
    this.#threshold = threshold;
  }

  /** @param spentUs microseconds it took. */
  add(event: string, spentUs: number): void {
    const threshold = this.#threshold();
    const latency = Math.floor(spentUs / 1000);
    if (threshold === 0 || latency < threshold) return;
    let series = this.events.get(event);
    if (series === undefined) {
      series = new LatencySeries();
      this.events.set(event, series);
    }
    series.add(Math.floor(this.#clock.unixMs / 1000), latency);
  }

  /** @param name in any case; null: all. @returns how many there were. */
  reset(name: string | null): number {
    let count = 0;
    for (const event of [...this.events.keys()]) {
      if (name !== null && event !== name.toLowerCase()) continue;
      this.events.delete(event);
      count++;
    }
    return count;
  }
}
