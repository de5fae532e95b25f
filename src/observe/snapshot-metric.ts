// A bridge to prom-client: metrics whose values are read when somebody scrapes, not counted beside what the server counts
// anyway. The registry formats and escapes; nothing here runs between scrapes. src/observe imports it.
import type { Metric, MetricObject, MetricType, Registry } from 'prom-client';

export type SampleType = 'gauge' | 'counter' | 'histogram';

export interface Sample {
  readonly name: string;
  readonly help: string;
  readonly type: SampleType;
  readonly labels?: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Of a histogram's parts: name with `_bucket`, `_sum` or `_count`. */
  readonly series?: string;
}

/** Puts what a read gave into the registry, in place of the read before. */
export function fillRegistry(registry: Registry, samples: readonly Sample[]): void {
  registry.clear();
  const families = new Map<string, Sample[]>();
  for (const sample of samples) {
    const family = families.get(sample.name);
    if (family === undefined) families.set(sample.name, [sample]);
    else family.push(sample);
  }
  for (const family of families.values()) registry.registerMetric(new Family(family) as unknown as Metric);
}

/** One metric with its label sets, in the shape that prom-client's registry asks for. */
class Family {
  readonly name: string;
  readonly #samples: readonly Sample[];

  constructor(samples: readonly Sample[]) {
    this.name = samples[0].name;
    this.#samples = samples;
  }

  async get(): Promise<MetricObject> {
    const [{ name, help, type }] = this.#samples;
    const values = this.#samples.map(({ labels, value, series }) => ({
      value,
      labels: { ...labels },
      ...(series === undefined ? {} : { metricName: series }),
    }));
    return { name, help, type: type as unknown as MetricType, values, aggregator: 'sum' } as unknown as MetricObject;
  }
}

/** Parts of a histogram. @param upTo how many values are at most `limit`. */
export function histogramSamples(
  of: { readonly name: string; readonly help: string; readonly labels?: Readonly<Record<string, string>> },
  limits: readonly number[],
  read: { readonly upTo: (limit: number) => number; readonly total: number; readonly sum: number },
): Sample[] {
  const { name, help, labels = {} } = of;
  const part = (series: string, value: number, more: Readonly<Record<string, string | number>> = {}): Sample => ({
    name,
    help,
    type: 'histogram',
    labels: { ...labels, ...more },
    value,
    series: `${name}_${series}`,
  });
  return [
    ...limits.map((limit) => part('bucket', read.upTo(limit), { le: limit })),
    part('bucket', read.total, { le: '+Inf' }),
    part('sum', read.sum),
    part('count', read.total),
  ];
}
