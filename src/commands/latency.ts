// LATENCY and its subcommands. Only server.ts imports this file.
import type { Call } from '../core/call.ts';
import type { CommandFlag, CommandSpec } from '../core/command.ts';
import type { Command } from '../core/command-table.ts';
import { latencyReport } from './latency-doctor.ts';
import { latencyGraph } from './latency-graph.ts';
import { helpRow, rowsOf } from './rows.ts';

function history(call: Call): void {
  const samples = call.server.latency.events.get(call.latin1(2))?.samples ?? [];
  call.reply.array(samples.length);
  for (const { time, latency } of samples) {
    call.reply.array(2);
    call.reply.integer(time);
    call.reply.integer(latency);
  }
}

function latest(call: Call): void {
  const { events } = call.server.latency;
  call.reply.array(events.size);
  for (const [event, { max, samples }] of events) {
    const last = samples[samples.length - 1];
    call.reply.array(4);
    call.reply.bulkLatin1(event);
    call.reply.integer(last.time);
    call.reply.integer(last.latency);
    call.reply.integer(max);
  }
}

function graph(call: Call): void {
  const { reply, server } = call;
  const event = call.latin1(2);
  const series = server.latency.events.get(event);
  if (series === undefined) reply.error(`ERR No samples available for event '${event}'`);
  else reply.verbatim(latencyGraph(event, series, Math.floor(server.clock.unixMs / 1000)), 'txt');
}

function reset(call: Call): void {
  const { latency } = call.server;
  let count = call.argc === 2 ? latency.reset(null) : 0;
  for (let i = 2; i < call.argc; i++) count += latency.reset(call.latin1(i));
  call.reply.integer(count);
}

// --- HISTOGRAM ---

/** Upper edges of the buckets, powers of two of 1.024 us with what a histogram of two digits adds. */
const EDGES_US: readonly number[] = Array.from({ length: 30 }, (_, k) =>
  Math.floor((1024 * 2 ** k * (129 / 128)) / 1000),
);

function histogramReply(call: Call, command: Command): boolean {
  const { histogram, spec } = command;
  if (histogram === null) return false;
  const { reply } = call;
  reply.bulkLatin1(spec.name);
  reply.map(2);
  reply.bulkLatin1('calls');
  reply.integer(histogram.total);
  reply.bulkLatin1('histogram_usec');
  const mark = reply.openDeferred();
  let before = 0;
  let buckets = 0;
  for (const edge of EDGES_US) {
    const count = histogram.countUpTo(edge);
    if (count === before) continue;
    reply.integer(edge);
    reply.integer(count);
    before = count;
    buckets++;
  }
  reply.closeMap(mark, buckets);
  return true;
}

function histogram(call: Call): void {
  const { commands } = call.server;
  const named: Command[] = [];
  if (call.argc === 2) named.push(...commands.all);
  for (let i = 2; i < call.argc; i++) {
    const [name, sub] = call.latin1(i).split('|');
    const found = commands.named(name);
    const command = sub === undefined ? found : (found?.subcommands?.named(sub) ?? null);
    if (command !== null) named.push(command);
  }
  const mark = call.reply.openDeferred();
  let count = 0;
  for (const command of named) {
    for (const one of [command, ...(command.subcommands?.all ?? [])]) if (histogramReply(call, one)) count++;
  }
  call.reply.closeMap(mark, count);
}

const HELP = [
  'DOCTOR',
  '    What was slow, and what may help, for people to read.',
  'GRAPH <event>',
  '    A picture of the samples of <event>.',
  'HISTOGRAM [COMMAND ...]',
  '    How many calls of each command took how long, of all commands if none is named.',
  'HISTORY <event>',
  '    Times and latencies of <event>.',
  'LATEST',
  '    The latest latency of each event.',
  'RESET [<event> ...]',
  '    Drops the samples of these events, of all if none is named.',
];

const admin: readonly CommandFlag[] = ['admin', 'noscript', 'loading', 'stale'];
const row = rowsOf('server', 'latency|');

export const latencyCommand: CommandSpec = {
  name: 'latency',
  arity: -2,
  flags: [],
  keys: [0, 0, 0],
  group: 'server',
  since: '2.8.13',
  summary: 'Holds the commands about what took long.',
  subcommands: [
    row('doctor', 2, admin, '2.8.13', 'Tells what was slow and what may help.', (call) =>
      call.reply.verbatim(latencyReport(call.server), 'txt'),
    ),
    row('graph', 3, admin, '2.8.13', 'Draws the latencies of an event.', graph),
    helpRow(row, '2.8.13', HELP),
    row('histogram', -2, admin, '7.0.0', 'Tells how long commands took.', histogram),
    row('history', 3, admin, '2.8.13', 'Tells the latencies of an event.', history),
    row('latest', 2, admin, '2.8.13', 'Tells the latest latencies of all events.', latest),
    row('reset', -2, admin, '2.8.13', 'Drops latencies.', reset),
  ],
};
