// What /metrics tells: the server's own figures under redis_exporter's names, the stack's under node_exporter's, and
// histograms of command latency. Everything is read when it is asked for. observe-server.ts imports it.
import { Registry } from 'prom-client';
import type { Command } from '../core/command-table.ts';
import { infoText } from '../core/info.ts';
import type { Server } from '../core/server.ts';
import type { Transport } from '../transports/transport.ts';
import { COUNTERS, GAUGES } from './info-metrics.ts';
import { fillRegistry, histogramSamples, type Sample } from './snapshot-metric.ts';
import { LATENCY_LIMITS_US, transportSamples } from './transport-metrics.ts';

export class Metrics {
  readonly contentType: string;
  readonly #server: Server;
  readonly #transport: Transport;
  readonly #registry = new Registry();

  constructor(server: Server, transport: Transport) {
    this.#server = server;
    this.#transport = transport;
    this.contentType = this.#registry.contentType;
  }

  /** The whole page, in Prometheus's text format. */
  async text(): Promise<string> {
    fillRegistry(this.#registry, samplesOf(this.#server, this.#transport));
    return this.#registry.metrics();
  }
}

/** Every sample; apart from the text, for tests and for whoever wants figures. */
export function samplesOf(server: Server, transport: Transport): Sample[] {
  const fields = infoFields(server);
  return [
    { name: 'redis_up', help: 'Whether the server answers', type: 'gauge', value: 1 },
    instanceInfo(fields),
    ...fieldSamples(fields),
    ...databaseSamples(server),
    ...errorSamples(server),
    ...commandSamples(server),
    {
      name: 'redis_slowlog_length',
      help: 'Entries of the slow log',
      type: 'gauge',
      value: server.slowlog.entries.length,
    },
    ...transportSamples(transport),
    processUptime(fields),
  ];
}

function infoFields(server: Server): Map<string, string> {
  const fields = new Map<string, string>();
  const sections = ['server', 'clients', 'memory', 'persistence', 'stats', 'replication', 'cpu', 'cluster', 'wiredis'];
  for (const line of infoText(server, sections).split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}

function instanceInfo(fields: ReadonlyMap<string, string>): Sample {
  const names = [
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
  const labels = Object.fromEntries(names.map((name) => [name, fields.get(name) ?? '']));
  return { name: 'redis_instance_info', help: 'What this server is', type: 'gauge', labels, value: 1 };
}

/** `ok` and `err` are 1 and 0, as in redis_exporter. */
function numberOf(text: string): number {
  if (text === 'ok') return 1;
  if (text === 'err' || text === 'fail') return 0;
  return Number(text);
}

function fieldSamples(fields: ReadonlyMap<string, string>): Sample[] {
  const samples: Sample[] = [];
  for (const [field, text] of fields) {
    const gauge = GAUGES[field];
    const name = gauge ?? COUNTERS[field];
    const value = numberOf(text);
    if (name === undefined || Number.isNaN(value)) continue;
    samples.push({
      name: `redis_${name}`,
      help: `${field} of INFO`,
      type: gauge === undefined ? 'counter' : 'gauge',
      value,
    });
  }
  return samples;
}

function databaseSamples({ databases }: Server): Sample[] {
  return databases
    .filter((db) => db.size > 0)
    .flatMap((db): Sample[] => {
      const labels = { db: `db${db.index}` };
      return [
        { name: 'redis_db_keys', help: 'Keys by database', type: 'gauge', labels, value: db.size },
        { name: 'redis_db_keys_expiring', help: 'Keys that expire', type: 'gauge', labels, value: db.expiries.size },
        {
          name: 'redis_db_avg_ttl_seconds',
          help: 'Mean time to live, estimated',
          type: 'gauge',
          labels,
          value: db.averageTtlMs / 1000,
        },
      ];
    });
}

function errorSamples({ stats }: Server): Sample[] {
  return [...stats.errorsByCode].map(([err, value]) => ({
    name: 'redis_errors_total',
    help: 'Error replies by their first word',
    type: 'counter',
    labels: { err },
    value,
  }));
}

/** Commands and subcommands that were called or refused. */
export function usedCommands(server: Server): Command[] {
  return server.commands.all
    .flatMap((command) => [command, ...(command.subcommands?.all ?? [])])
    .filter((command) => command.calls + command.rejectedCalls + command.failedCalls > 0);
}

function commandSamples(server: Server): Sample[] {
  return usedCommands(server).flatMap((command): Sample[] => {
    const labels = { cmd: command.spec.name };
    const counter = (name: string, help: string, value: number): Sample => ({
      name: `redis_${name}_total`,
      help,
      type: 'counter',
      labels,
      value,
    });
    const histogram = command.histogram;
    return [
      counter('commands', 'Calls by command', command.calls),
      counter('commands_duration_seconds', 'Time spent by command', command.timeUs / 1e6),
      counter('commands_rejected_calls', 'Calls refused before they ran', command.rejectedCalls),
      counter('commands_failed_calls', 'Calls that replied with an error', command.failedCalls),
      ...(histogram === null
        ? []
        : histogramSamples(
            { name: 'redis_commands_latencies_usec', help: 'Time of each call, microseconds', labels },
            LATENCY_LIMITS_US,
            { upTo: (limit) => histogram.countUpTo(limit), total: histogram.total, sum: command.timeUs },
          )),
    ];
  });
}

function processUptime(fields: ReadonlyMap<string, string>): Sample {
  const started = Number(fields.get('server_time_usec')) / 1e6 - Number(fields.get('uptime_in_seconds'));
  return {
    name: 'redis_start_time_seconds',
    help: 'When the server started, Unix time',
    type: 'gauge',
    value: Math.floor(started),
  };
}
