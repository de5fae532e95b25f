// The text of /metrics. prom-client writes it, with all that the format asks for, whenever a series has come or gone; as long as
// they are the same, only values are put into what it wrote: formatting a thousand lines takes it milliseconds of the
// server's own thread. metrics.ts imports it.
import { type Metric, type MetricObject, type MetricType, Registry } from 'prom-client';
import type { Samples, Series } from './series.ts';

/** A place in the text: what stands before it, and which series' value comes there. */
interface Place {
  readonly before: string;
  readonly index: number;
}

export class MetricsPage {
  readonly #registry = new Registry();
  #series: readonly Series[] = [];
  #places: readonly Place[] = [];

  get contentType(): string {
    return this.#registry.contentType;
  }

  async text({ series, values }: Samples): Promise<string> {
    if (!sameSeries(series, this.#series)) {
      this.#places = placesIn(await this.#written(series));
      this.#series = series;
    }
    let text = '';
    for (const { before, index } of this.#places) text += before + valueText(values[index]);
    return `${text}\n`;
  }

  /** The page with each series' number in place of its value. */
  #written(series: readonly Series[]): Promise<string> {
    const families = new Map<string, { series: Series; index: number }[]>();
    series.forEach((one, index) => {
      const family = families.get(one.name);
      if (family === undefined) families.set(one.name, [{ series: one, index }]);
      else family.push({ series: one, index });
    });
    this.#registry.clear();
    for (const family of families.values()) {
      const [{ name, help, type }] = family.map((member) => member.series);
      const values = family.map(({ series: { labels, line }, index }) => ({ labels, metricName: line, value: index }));
      const metric = { name, help, type: type as unknown as MetricType, values, aggregator: 'sum' };
      const get = async (): Promise<MetricObject> => metric as unknown as MetricObject;
      this.#registry.registerMetric({ name, get } as unknown as Metric);
    }
    return this.#registry.metrics();
  }
}

function sameSeries(a: readonly Series[], b: readonly Series[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function placesIn(text: string): Place[] {
  const places: Place[] = [];
  let before = '';
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) {
      before += `${line}\n`;
      continue;
    }
    const at = line.lastIndexOf(' ') + 1;
    places.push({ before: before + line.slice(0, at), index: Number(line.slice(at)) });
    before = '\n';
  }
  return places;
}

/** As prom-client writes them. */
function valueText(value: number): string {
  if (Number.isNaN(value)) return 'Nan';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}
