// A metric's one line on the page, apart from its value: made once and kept, so that a scrape makes numbers and nothing else.
// metrics.ts and its parts import it.

export type SeriesType = 'gauge' | 'counter' | 'histogram';

export interface Series {
  /** Of the family. */
  readonly name: string;
  readonly help: string;
  readonly type: SeriesType;
  readonly labels: Readonly<Record<string, string | number>>;
  /** Of a histogram's parts: the name with `_bucket`, `_sum` or `_count`; else the family's. */
  readonly line: string;
}

export function gauge(name: string, help: string, labels: Series['labels'] = {}): Series {
  return { name, help, type: 'gauge', labels, line: name };
}

export function counter(name: string, help: string, labels: Series['labels'] = {}): Series {
  return { name, help, type: 'counter', labels, line: name };
}

/** Parts of a histogram: a bucket for each limit and one for all, sum, count. */
export function histogram(
  name: string,
  help: string,
  limits: readonly number[],
  labels: Series['labels'] = {},
): Series[] {
  const part = (line: string, more: Series['labels'] = {}): Series => ({
    name,
    help,
    type: 'histogram',
    labels: { ...labels, ...more },
    line: `${name}_${line}`,
  });
  return [...[...limits, '+Inf'].map((le) => part('bucket', { le })), part('sum'), part('count')];
}

/** What a scrape reads: series and their values, side by side. */
export class Samples {
  readonly series: Series[] = [];
  readonly values: number[] = [];

  add(series: Series, value: number): void {
    this.series.push(series);
    this.values.push(value);
  }

  /** @param series as `histogram` makes them. @param upTo how many were at most each limit. */
  addHistogram(series: readonly Series[], upTo: ArrayLike<number>, total: number, sum: number): void {
    const limits = series.length - 3;
    for (let i = 0; i < limits; i++) this.add(series[i], upTo[i]);
    this.add(series[limits], total);
    this.add(series[limits + 1], sum);
    this.add(series[limits + 2], total);
  }
}

/** Series by a name, each made when it is first asked for. */
export class SeriesBook<T> {
  readonly #known = new Map<string, T>();
  readonly #make: (name: string) => T;

  constructor(make: (name: string) => T) {
    this.#make = make;
  }

  get(name: string): T {
    let series = this.#known.get(name);
    if (series === undefined) {
      series = this.#make(name);
      this.#known.set(name, series);
    }
    return series;
  }
}
