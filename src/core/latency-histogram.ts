// Distribution of a command's times for INFO latencystats: buckets that grow by an eighth, microseconds.

const STEPS = 8;
/** Up to 2^30 us, about 18 minutes; longer counts as that. */
const BUCKETS = STEPS * 31;
const UPPER_EDGES: readonly number[] = Array.from({ length: BUCKETS }, (_, bucket) => upperEdge(bucket));

export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;

  record(timeUs: number, times: number): void {
    const value = Math.min(timeUs, 0x3fffffff) | 0;
    const exponent = 31 - Math.clz32(value | 1);
    const step = exponent < 3 ? value & (STEPS - 1) & ((1 << exponent) - 1) : (value >> (exponent - 3)) & (STEPS - 1);
    this.#counts[exponent * STEPS + step] += times;
    this.#total += times;
  }

  /** Counts another one's values too. */
  add(other: LatencyHistogram): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) this.#counts[bucket] += other.#counts[bucket];
    this.#total += other.#total;
  }

  /** What has come on top of an earlier state of it; from nothing when it was reset meanwhile. */
  since(earlier: LatencyHistogram): LatencyHistogram {
    const fresh = new LatencyHistogram();
    if (earlier.#total > this.#total) return this;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = Math.max(0, this.#counts[bucket] - earlier.#counts[bucket]);
      fresh.#counts[bucket] = count;
      fresh.#total += count;
    }
    return fresh;
  }

  get total(): number {
    return this.#total;
  }

  /** Calls that took at most so many microseconds, as far as buckets tell. */
  countUpTo(limitUs: number): number {
    let count = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (this.#counts[bucket] > 0 && UPPER_EDGES[bucket] <= limitUs) count += this.#counts[bucket];
    }
    return count;
  }

  /** The same for several limits, ascending. */
  countsUpTo(limitsUs: readonly number[]): number[] {
    const counts: number[] = [];
    let count = 0;
    for (let bucket = 0; bucket < BUCKETS && counts.length < limitsUs.length; bucket++) {
      if (this.#counts[bucket] === 0) continue;
      while (counts.length < limitsUs.length && UPPER_EDGES[bucket] > limitsUs[counts.length]) counts.push(count);
      count += this.#counts[bucket];
    }
    while (counts.length < limitsUs.length) counts.push(count);
    return counts;
  }

  /** @param percent 0-100. @returns upper edge of the bucket where that share of all calls is reached, microseconds. */
  percentile(percent: number): number {
    const wanted = Math.max(1, Math.ceil((this.#total * percent) / 100));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket];
      if (seen >= wanted) return UPPER_EDGES[bucket];
    }
    return 0;
  }
}

function upperEdge(bucket: number): number {
  const exponent = Math.floor(bucket / STEPS);
  const step = bucket % STEPS;
  if (exponent < 3) return (1 << exponent) + step;
  return (1 << exponent) + (step + 1) * (1 << (exponent - 3)) - 1;
}
