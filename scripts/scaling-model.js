#!/usr/bin/env node
// The model of docs/scaling.md: what a request costs by part, fitted to a results file of `npm run bench` whose scenario
// throughput has GET at two pipeline depths at least, and what follows for faster networks. Prints the tables of that document;
// with --document it also puts them there, in place of those with the same heading.
//   node scripts/scaling-model.js RESULTS.json [--document docs/scaling.md]
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const { values: options, positionals } = parseArgs({
  options: { document: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  allowPositionals: true,
});
const usage = 'usage: node scripts/scaling-model.js RESULTS.json (from npm run bench) [--document docs/scaling.md]';
if (options.help) {
  console.log(usage);
  process.exit(0);
}
const [file] = positionals;
if (file === undefined) {
  console.error(usage);
  process.exit(2);
}
const parsed = JSON.parse(readFileSync(file, 'utf8'));
/** Older files have the values in the row itself, and one scenario. */
const allRows = parsed.rows
  .filter(({ scenario = 'throughput' }) => scenario === 'throughput')
  .map((row) => ({ ...row, ...row.values }));
const rowsOf = (path) =>
  allRows.filter((row) => row.path === path && row.test === 'GET').sort((a, b) => a.pipeline - b.pipeline);

/** The kernel's part: driver, softirq, NAPI thread, system calls. */
const kernelUs = (row) => row.serverSystemUs + row.serverSoftirqUs;

/** `each` a request, `segment` shared by the requests of one segment: two depths give two equations. */
function solve(low, high, of) {
  const segment = (of(low) - of(high)) / (1 / low.pipeline - 1 / high.pipeline);
  return { segment, each: of(low) - segment / low.pipeline };
}

const at = ({ segment, each }, depth) => segment / depth + each;
const tables = [];
const print = (title, heading, rows) => {
  const lines = [`| ${heading.join(' | ')} |`, `|${heading.map(() => '---').join('|')}|`];
  tables.push([...lines, ...rows.map((row) => `| ${row.join(' | ')} |`)]);
  console.log(`\n${title}\n\n${tables.at(-1).join('\n')}`);
};
const us = (value) => value.toFixed(2);
const short = (rate) => (rate >= 1e6 ? `${(rate / 1e6).toFixed(2)}M` : `${Math.round(rate / 1000)}k`);

const models = new Map();
for (const path of ['redis', 'afxdp', 'afpacket', 'relay']) {
  const rows = rowsOf(path);
  if (rows.length < 2) continue;
  const [low, high] = [rows[0], rows[rows.length - 1]];
  models.set(path, { user: solve(low, high, (row) => row.serverUserUs), kernel: solve(low, high, kernelUs), rows });
}
if (!models.has('afxdp')) {
  console.error(`${file} has no GET over afxdp at two pipeline depths`);
  process.exit(1);
}

print(
  "Parts of a GET on the server's core, microseconds",
  ['path', 'user, a segment', 'user, a request', 'kernel, a segment', 'kernel, a request'],
  [...models].map(([path, { user, kernel }]) => [
    path,
    ...[user.segment, user.each, kernel.segment, kernel.each].map(us),
  ]),
);

const checks = [...models].flatMap(([path, { user, kernel, rows }]) =>
  rows.slice(1, -1).map((row) => {
    const predicted = at(user, row.pipeline) + at(kernel, row.pipeline);
    const measured = row.serverUserUs + kernelUs(row);
    return [path, row.pipeline, us(predicted), us(measured), `${Math.round((predicted / measured - 1) * 100)} %`];
  }),
);
if (checks.length > 0) {
  print('Depths that the fit has not seen', ['path', 'P', 'predicted, us', 'measured, us', 'off by'], checks);
}

// --- prediction ---

const { user, kernel } = models.get('afxdp');
/** Ethernet, IPv4, TCP with timestamps; then preamble, gap and check sequence on the cable. */
const HEADERS = 14 + 20 + 32;
const ON_CABLE = 24;
const MSS = 1448;
const KEY = 16;
const requestBytes = `*2\r\n$3\r\nGET\r\n$${KEY}\r\n`.length + KEY + 2;
const replyBytes = (value) => `$${value}\r\n\r\n`.length + value;

/** Requests a second that a cable's one direction takes. */
function lineRate(gigabits, depth, bytes) {
  const total = bytes * depth;
  const frames = Math.max(1, Math.ceil(total / MSS));
  return (gigabits * 1e9) / 8 / ((total + frames * (HEADERS + ON_CABLE)) / depth);
}

/** Frames beyond the first cost a segment each: what a long reply is cut into. */
function costUs(parts, depth, value) {
  const frames = Math.max(1, Math.ceil((replyBytes(value) * depth) / MSS));
  return parts.reduce((sum, part) => sum + (part.segment * (1 + (frames - 1) / 2)) / depth + part.each, 0);
}

const cases = [
  [1, 3],
  [1, 100],
  [1, 1024],
  [16, 3],
  [16, 100],
  [16, 1024],
];
print(
  'GETs a second of one core: from copy mode, whose kernel part is all billed, to zero-copy with the driver on another core',
  [
    'P',
    'value, bytes',
    'core: from',
    'core: to',
    'cable 10 Gbit/s',
    '25 Gbit/s',
    '100 Gbit/s',
    'cores to fill 10',
    '25',
    '100',
  ],
  cases.map(([depth, value]) => {
    const from = 1e6 / costUs([user, kernel], depth, value);
    const to = 1e6 / costUs([user], depth, value);
    const lines = [10, 25, 100].map((gigabits) =>
      Math.min(lineRate(gigabits, depth, replyBytes(value)), lineRate(gigabits, depth, requestBytes)),
    );
    const cores = lines.map((line) => `${Math.ceil(line / to)} - ${Math.ceil(line / from)}`);
    return [depth, value, short(from), short(to), ...lines.map(short), ...cores];
  }),
);

// --- machines ---

/** Half of a core is kept for peaks, failovers and saves; a master has one replica on another machine. */
const LOAD = 0.5;
const CORES = 16;
const redis = models.get('redis');
const relay = models.get('relay');
/** Core time of redis-server behind a socket file: its user part, and the socket's, for which the kernel's TCP part stands as a bound. */
const behindUs = (depth) => at(redis.user, depth) + at(redis.kernel, depth);
if (redis !== undefined) {
  const rows = [];
  for (const depth of [1, 16]) {
    const front = relay === undefined ? at(user, depth) + at(kernel, depth) : 0;
    const both = relay === undefined ? front + behindUs(depth) : at(relay.user, depth) + at(relay.kernel, depth);
    const perMachine = (CORES * LOAD * 1e6) / both;
    const direct = (CORES * LOAD * 1e6) / behindUs(depth);
    const counts = [1e6, 10e6, 100e6].map(
      (rate) => `${2 * Math.ceil(rate / perMachine)} (${2 * Math.ceil(rate / direct)})`,
    );
    rows.push([depth, us(both), short(perMachine), ...counts]);
  }
  print(
    `Machines of ${CORES} cores, half used, a replica each, for Redis Cluster behind wiredis; in brackets: redis-server on kernel TCP alone`,
    ['P', 'core time a GET, us', 'a machine', '1M/s', '10M/s', '100M/s'],
    rows,
  );
}

/** The document's table with that first line, to its last one, becomes the new one. */
function replaceTable(lines, table) {
  const from = lines.indexOf(table[0]);
  if (from < 0) {
    console.error(`${options.document} has no table with the heading ${table[0]}`);
    process.exitCode = 1;
    return;
  }
  const length = lines.slice(from).findIndex((line) => !line.startsWith('|'));
  lines.splice(from, length < 0 ? lines.length : length, ...table);
}

if (options.document !== undefined) {
  const lines = readFileSync(options.document, 'utf8').split('\n');
  for (const table of tables) replaceTable(lines, table);
  writeFileSync(options.document, lines.join('\n'));
  console.log(`\n${options.document} has these tables now; the sentences between them are for a person to read again`);
}
