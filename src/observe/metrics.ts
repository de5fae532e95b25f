// What /metrics tells: the server's own figures under redis_exporter's names, the stack's under node_exporter's, and
// histograms of command latency. Everything is read when it is asked for. observe-server.ts imports it.
import type { Command } from '../core/command-table.ts';
import { type Field, infoFields } from '../core/info.ts';
import type { LatencyHistogram } from '../core/latency-histogram.ts';
import type { Server } from '../core/server.ts';
import type { Transport } from '../transports/transport.ts';
import { COUNTERS, GAUGES } from './info-metrics.ts';
import { MetricsPage } from './metrics-page.ts';
import { counter, gauge, histogram, Samples, type Series, SeriesBook } from './series.ts';
import { LATENCY_LIMITS_US, TransportMetrics } from './transport-metrics.ts';

const SECTIONS = ['server', 'clients', 'memory', 'persistence', 'stats', 'replication', 'cpu', 'cluster'];

export class Metrics {
  readonly #server: Server;
  readonly #page = new MetricsPage();
  readonly #databases = new SeriesBook(databaseSeries);
  readonly #errors = new SeriesBook((err) =>
    counter('redis_errors_total', 'Error replies by their first word', { err }),
  );
  readonly #commands = new WeakMap<Command, CommandSeries>();
  readonly #network: TransportMetrics;
  #instance = gauge('', '');
  #scrapeUs = 0;

  constructor(server: Server, transport: Transport) {
    this.#server = server;
    this.#network = new TransportMetrics(transport);
  }

  get contentType(): string {
    return this.#page.contentType;
  }

  /** The whole page, in Prometheus's text format. */
  async text(): Promise<string> {
    const { stopwatch } = this.#server;
    const began = stopwatch();
    const samples = this.read();
    samples.add(SCRAPE_SECONDS, this.#scrapeUs / 1e6);
    const text = await this.#page.text(samples);
    this.#scrapeUs = stopwatch() - began;
    return text;
  }

  /** Every series with its value; apart from the text, for whoever wants figures. */
  read(): Samples {
    const server = this.#server;
    const facts = server.hooks.transportFacts?.() ?? [];
    const fields = infoFields(server, SECTIONS);
    const samples = new Samples();
    samples.add(UP, 1);
    this.#addInstance(samples, fields, facts);
    addFields(samples, fields);
    this.#addDatabases(samples);
    for (const [err, count] of server.stats.errorsByCode) samples.add(this.#errors.get(err), count);
    for (const command of usedCommands(server)) this.#addCommand(samples, command);
    samples.add(SLOWLOG_LENGTH, server.slowlog.entries.length);
    this.#network.add(samples, facts);
    samples.add(START_TIME, Math.floor(server.startedAt / 1000));
    return samples;
  }

  #addInstance(samples: Samples, fields: readonly Field[], facts: readonly Field[]): void {
    const all = new Map([...fields, ['transport', this.#server.transport] as const, ...facts]);
    const labels = Object.fromEntries(INSTANCE_LABELS.map((name) => [name, all.get(name) ?? '']));
    // It changes seldom: as long as it is the same, so is the page.
    if (INSTANCE_LABELS.some((name) => labels[name] !== this.#instance.labels[name]))
      this.#instance = gauge('redis_instance_info', 'What this server is', labels);
    samples.add(this.#instance, 1);
  }

  #addDatabases(samples: Samples): void {
    for (const db of this.#server.databases) {
      if (db.size === 0) continue;
      const { keys, expiring, ttl } = this.#databases.get(`db${db.index}`);
      samples.add(keys, db.size);
      samples.add(expiring, db.expiries.size);
      samples.add(ttl, db.averageTtlMs / 1000);
    }
  }

  #addCommand(samples: Samples, command: Command): void {
    let series = this.#commands.get(command);
    if (series === undefined) {
      series = new CommandSeries(command.spec.name);
      this.#commands.set(command, series);
    }
    series.add(samples, command);
  }
}

const UP = gauge('redis_up', 'Whether the server answers');
const SLOWLOG_LENGTH = gauge('redis_slowlog_length', 'Entries of the slow log');
const START_TIME = gauge('redis_start_time_seconds', 'When the server started, Unix time');
const SCRAPE_SECONDS = gauge('wiredis_scrape_seconds', 'How long the scrape before this one held the server up');
const INSTANCE_LABELS = [
  'redis_version',
  'redis_mode',
  'os',
  'tcp_port',
  'role',
  'maxmemory_policy',
  'run_id',
  'transport',
  'engine',
];

/** Of the fields of INFO. */
const FIELDS: ReadonlyMap<string, Series> = new Map([
  ...Object.entries(GAUGES).map(([field, name]) => [field, gauge(`redis_${name}`, `${field} of INFO`)] as const),
  ...Object.entries(COUNTERS).map(([field, name]) => [field, counter(`redis_${name}`, `${field} of INFO`)] as const),
]);

function addFields(samples: Samples, fields: readonly Field[]): void {
  for (const [field, value] of fields) {
    const series = FIELDS.get(field);
    if (series === undefined) continue;
    const number = numberOf(value);
    if (!Number.isNaN(number)) samples.add(series, number);
  }
}

/** `ok` and `err` are 1 and 0, as in redis_exporter. */
function numberOf(value: string | number): number {
  if (value === 'ok') return 1;
  if (value === 'err' || value === 'fail') return 0;
  return Number(value);
}

function databaseSeries(db: string): Readonly<Record<'keys' | 'expiring' | 'ttl', Series>> {
  return {
    keys: gauge('redis_db_keys', 'Keys by database', { db }),
    expiring: gauge('redis_db_keys_expiring', 'Keys that expire', { db }),
    ttl: gauge('redis_db_avg_ttl_seconds', 'Mean time to live, estimated', { db }),
  };
}

/** Commands and subcommands that were called or refused. */
export function usedCommands(server: Server): Command[] {
  const used: Command[] = [];
  const keep = (command: Command): void => {
    if (command.calls + command.rejectedCalls + command.failedCalls > 0) used.push(command);
  };
  for (const command of server.commands.all) {
    keep(command);
    if (command.subcommands !== null) for (const subcommand of command.subcommands.all) keep(subcommand);
  }
  return used;
}

/** A command's series, and its histogram as of the last scrape: most commands are not called between two. */
class CommandSeries {
  readonly #calls: Series;
  readonly #seconds: Series;
  readonly #rejected: Series;
  readonly #failed: Series;
  readonly #histogram: readonly Series[];
  #times: LatencyHistogram | null = null;
  #total = 0;
  #counts: readonly number[] = [];

  constructor(cmd: string) {
    const of = (name: string, help: string): Series => counter(`redis_${name}_total`, help, { cmd });
    this.#calls = of('commands', 'Calls by command');
    this.#seconds = of('commands_duration_seconds', 'Time spent by command');
    this.#rejected = of('commands_rejected_calls', 'Calls refused before they ran');
    this.#failed = of('commands_failed_calls', 'Calls that replied with an error');
    this.#histogram = histogram('redis_commands_latencies_usec', 'Time of each call, microseconds', LATENCY_LIMITS_US, {
      cmd,
    });
  }

  add(samples: Samples, command: Command): void {
    samples.add(this.#calls, command.calls);
    samples.add(this.#seconds, command.timeUs / 1e6);
    samples.add(this.#rejected, command.rejectedCalls);
    samples.add(this.#failed, command.failedCalls);
    const times = command.histogram;
    if (times === null) return;
    if (times !== this.#times || times.total !== this.#total) {
      this.#times = times;
      this.#counts = times.countsUpTo(LATENCY_LIMITS_US);
      this.#total = times.total;
    }
    samples.addHistogram(this.#histogram, this.#counts, times.total, command.timeUs);
  }
}
