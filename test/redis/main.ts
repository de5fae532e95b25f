// The program behind scripts/redis-suite.sh: which units, on which transport, against which server; one after another,
// each with a fresh server; then the comparison, the stored result and docs/compatibility.md.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { buildOwnLab } from '../../src/cli/lab/own.ts';
import { DRAWN_UNITS, LEFT_OUT_ELSEWHERE, LEFT_OUT_EXTERNAL, LEFT_OUT_OWN, type LeftOut } from './left-out.ts';
import { byKind, compare, counted, type ReferenceUnit, readReference, readUnitOrder } from './reference.ts';
import {
  compatibilityDocument,
  type RunReport,
  rate,
  TABLE_HEADING,
  tableRow,
  totals,
  type UnitReport,
} from './report.ts';
import { type Limits, runUnit, type UnitRun } from './run-unit.ts';
import { OUTSIDE, type UnitOutcome } from './runner-output.ts';
import { type Kind, kernelPlace, type Place, portTaken, SuiteServer, userspacePlace } from './servers.ts';
import { OWN_SERVER_UNITS, prepareTree } from './suite-tree.ts';

interface Options extends Kind {
  /** The repository. */
  readonly root: string;
  /** Folder with the unpacked suite, results and logs. */
  readonly cache: string;
  /** wiredis-server.js; null: the redis-server that is installed. */
  readonly script: string | null;
  readonly units: readonly string[] | null;
  readonly transport: string;
  readonly engine: string;
  readonly port: number;
  readonly ownServers: boolean;
  readonly record: boolean;
  /** A run of some units takes their place in the stored one. */
  readonly merge: boolean;
  readonly limits: Limits;
}

const SUITE = 'redis-7.0.15';
/** A HyperLogLog test takes half a minute on an idle machine. */
const NO_PROGRESS_SECONDS = 120;
const CAP_SECONDS = 600;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      root: { type: 'string' },
      cache: { type: 'string' },
      dist: { type: 'string' },
      server: { type: 'string', default: 'wiredis' },
      units: { type: 'string' },
      transport: { type: 'string', default: 'kernel' },
      engine: { type: 'string', default: 'auto' },
      core: { type: 'string', default: 'embedded' },
      upstream: { type: 'string', default: 'unix' },
      port: { type: 'string', default: '21000' },
      jobs: { type: 'string', default: '1' },
      'own-servers': { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
      merge: { type: 'boolean', default: false },
      'no-progress': { type: 'string', default: String(NO_PROGRESS_SECONDS) },
      cap: { type: 'string', default: String(CAP_SECONDS) },
    },
  });
  if (values.jobs !== '1') throw new Error('--jobs: units run one by one, only 1 is possible');
  if (!['kernel', 'userspace'].includes(values.transport)) throw new Error('--transport wants kernel or userspace');
  const { core, upstream } = values;
  if (core !== 'embedded' && core !== 'relay') throw new Error('--core wants embedded or relay');
  if (upstream !== 'unix' && upstream !== 'tcp') throw new Error('--upstream wants unix or tcp');
  if (core === 'embedded' && upstream === 'tcp') throw new Error('--upstream wants --core relay');
  if (core === 'relay' && (values['own-servers'] || values.server === 'redis'))
    throw new Error('--core relay is for wiredis as an external server');
  if (!['wiredis', 'redis'].includes(values.server)) throw new Error('--server wants wiredis or redis');
  if (values['own-servers'] && values.transport !== 'kernel')
    throw new Error('--own-servers runs on the kernel transport');
  if (values.record && (values.server !== 'redis' || !values['own-servers']))
    throw new Error('--record wants --server redis --own-servers');
  const number = (name: 'port' | 'no-progress' | 'cap'): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} wants a whole number`);
    return value;
  };
  return {
    root: values.root!,
    cache: values.cache!,
    script: values.server === 'redis' ? null : join(values.dist!, 'src', 'cli', 'wiredis-server.js'),
    units: values.units === undefined ? null : values.units.split(',').map(fullName),
    transport: values.transport,
    engine: values.engine,
    core,
    upstream,
    port: number('port'),
    ownServers: values['own-servers'],
    record: values.record,
    merge: values.merge,
    limits: { noProgressSeconds: number('no-progress'), capSeconds: number('cap') },
  };
}

/** `type/list` for `unit/type/list`. */
function fullName(unit: string): string {
  return unit.startsWith('unit/') || unit.startsWith('integration/') ? unit : `unit/${unit}`;
}

function chooseUnits(options: Options): ReferenceUnit[] {
  const data = join(options.root, 'test', 'redis');
  const own = join(data, 'own-servers.tsv');
  const referenceUnits = options.ownServers
    ? readReference(options.record || !existsSync(own) ? '/dev/null' : own, OWN_SERVER_UNITS)
    : readReference(join(data, 'suite-tests.tsv'), readUnitOrder(join(data, 'suite-units.tsv')));
  const leftOut = leftOutOf(options).map(([name]) => name);
  const all = referenceUnits.map((unit) => counted(unit, leftOut, DRAWN_UNITS));
  if (options.units === null) return all;
  return options.units.map((unit) => {
    const found = all.find((candidate) => candidate.unit === unit);
    if (found === undefined) throw new Error(`--units: there is no '${unit}' in this mode`);
    return found;
  });
}

function leftOutOf({ ownServers, script, transport }: Options): readonly LeftOut[] {
  if (transport === 'userspace') return [...LEFT_OUT_EXTERNAL, ...LEFT_OUT_ELSEWHERE];
  if (!ownServers) return LEFT_OUT_EXTERNAL;
  return script === null ? [] : LEFT_OUT_OWN;
}

/** One unit after another; `place` is null when the units start their own servers. */
class SuiteRun {
  readonly #options: Options;
  readonly #folder: string;
  readonly #logs: string;
  readonly #place: Place | null;
  /** What was seen, as rows of a reference. */
  readonly seen: string[] = [];

  constructor(options: Options, folder: string, place: Place | null) {
    this.#options = options;
    this.#folder = folder;
    this.#place = place;
    this.#logs = join(options.cache, 'logs');
    mkdirSync(this.#logs, { recursive: true });
  }

  async unit(reference: ReferenceUnit): Promise<UnitReport> {
    const { run, ending } =
      this.#place === null ? await this.#alone(reference.unit) : await this.#external(reference.unit, this.#place);
    writeFileSync(join(this.#logs, `${reference.unit.replaceAll('/', '-')}.log`), run.output);
    this.#note(reference.unit, run);
    const comparison = compare(reference, DRAWN_UNITS.includes(reference.unit) ? kinds(run.outcome) : run.outcome);
    const complaint = run.outcome.failed.find(({ name }) => name === OUTSIDE)?.reason ?? '';
    return { ...comparison, seconds: run.seconds, ending, ignored: run.outcome.ignored, complaint };
  }

  /** @param unit as `--single` wants it. */
  #runner(unit: string): string[] {
    // Not only not counted: some leave their settings behind where they stop.
    const skipped = leftOutOf(this.#options).flatMap(([name]) => ['--skiptest', name]);
    const words = ['--single', unit, '--durable', '--dont-clean', '--clients', '1'];
    return ['tclsh', 'tests/test_helper.tcl', ...words, ...skipped];
  }

  async #external(unit: string, place: Place): Promise<{ run: UnitRun; ending: string }> {
    const server = await SuiteServer.start(place);
    try {
      const where = ['--host', place.host, '--port', String(place.port), '--baseport', String(place.port + 1)];
      const argv = place.client([...this.#runner(unit), ...where, '--portcount', '400']);
      const run = await runUnit(argv, this.#folder, this.#options.limits);
      const { alive } = server;
      if (!alive) writeFileSync(join(this.#logs, `${unit.replaceAll('/', '-')}.server.log`), server.output);
      return { run, ending: alive ? run.ending : 'the server ended' };
    } finally {
      await server.stop();
    }
  }

  async #alone(unit: string): Promise<{ run: UnitRun; ending: string }> {
    const argv = [...this.#runner(unit), '--baseport', String(this.#options.port), '--portcount', '400'];
    const run = await runUnit(argv, this.#folder, this.#options.limits);
    return { run, ending: run.ending };
  }

  #note(unit: string, { outcome }: UnitRun): void {
    const add = (status: string, name: string, detail: string): void =>
      void this.seen.push([unit, status, name, detail].map((cell) => cell.replaceAll('\t', ' ')).join('\t'));
    for (const name of outcome.passed) add('ok', name, '');
    for (const { name, reason } of outcome.failed) add('err', name, reason);
    for (const text of outcome.ignored) add('ignore', text, '');
  }
}

function kinds(outcome: UnitOutcome): UnitOutcome {
  const failed = outcome.failed.map(({ name }) => name);
  return { ...outcome, passed: byKind(outcome.passed, failed) };
}

async function runAll(options: Options, units: readonly ReferenceUnit[], run: SuiteRun): Promise<UnitReport[]> {
  const reports: UnitReport[] = [];
  say(TABLE_HEADING);
  for (const reference of units) {
    const report = await run.unit(reference);
    reports.push(report);
    say(tableRow(report));
    if (options.units !== null) for (const line of missedLines(report)) say(line);
  }
  const { seconds } = totals(reports);
  say(`total: ${rate(reports)} in ${Math.round(seconds)} s`);
  return reports;
}

function missedLines(report: UnitReport): string[] {
  const reached = report.missed.filter(({ reason }) => !reason.startsWith('not reached'));
  const lines = reached.map(({ name, reason }) => `    ${name}: ${reason}`);
  if (report.complaint !== '') lines.push(`    outside of a test: ${report.complaint}`);
  if (reached.length < report.missed.length)
    lines.push(`    not reached: ${report.missed.length - reached.length} tests`);
  return lines;
}

/** `external-kernel`, `external-afxdp`, `own-servers` */
function modeName(options: Options): string {
  if (options.ownServers) return 'own-servers';
  const way = options.transport === 'kernel' ? 'kernel' : options.engine;
  if (options.core === 'embedded') return `external-${way}`;
  return options.upstream === 'unix' ? `relay-${way}` : `relay-tcp-${way}`;
}

function describeMode(options: Options): string {
  if (options.ownServers) return 'Units that start their own servers, kernel sockets';
  const relay = `redis-server behind the relay${options.upstream === 'tcp' ? ', by TCP' : ''}`;
  const which = options.core === 'relay' ? relay : 'External server';
  return options.transport === 'kernel'
    ? `${which}, kernel sockets`
    : `${which}, user-space stack over ${options.engine}, from another host`;
}

/** The words a person gave. */
function commandLine(options: Options): string {
  const words = ['scripts/redis-suite.sh'];
  if (options.ownServers) words.push('--own-servers');
  if (options.transport !== 'kernel') words.push('--transport', options.transport, '--engine', options.engine);
  if (options.core !== 'embedded') words.push('--core', options.core);
  if (options.upstream !== 'unix') words.push('--upstream', options.upstream);
  if (options.script === null) words.push('--server', 'redis');
  if (options.record) words.push('--record');
  const { noProgressSeconds, capSeconds } = options.limits;
  if (noProgressSeconds !== NO_PROGRESS_SECONDS) words.push('--no-progress', String(noProgressSeconds));
  if (capSeconds !== CAP_SECONDS) words.push('--cap', String(capSeconds));
  return words.join(' ');
}

/** Keeps the run and writes the document from the last whole run of each mode. */
function publish(options: Options, reports: readonly UnitReport[]): void {
  const results = join(options.cache, 'results');
  const file = join(results, `${modeName(options)}.json`);
  mkdirSync(results, { recursive: true });
  const units = options.units === null ? reports : merged(file, reports);
  const date = new Date().toISOString().slice(0, 10);
  const report: RunReport = {
    title: describeMode(options),
    command: commandLine(options),
    date,
    units,
    leftOut: leftOutOf(options),
  };
  writeFileSync(file, JSON.stringify(report));
  const runs = readdirSync(results)
    .sort()
    .map((name) => JSON.parse(readFileSync(join(results, name), 'utf8')) as RunReport);
  const folder = join(options.root, 'docs');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'compatibility.md'), compatibilityDocument(runs));
  say('docs/compatibility.md is written');
}

/** The stored run with these units in it. */
function merged(file: string, reports: readonly UnitReport[]): UnitReport[] {
  const { units } = JSON.parse(readFileSync(file, 'utf8')) as RunReport;
  return units.map((stored) => reports.find(({ unit }) => unit === stored.unit) ?? stored);
}

/** Rows of units that were not run stay. */
function record(options: Options, units: readonly ReferenceUnit[], rows: readonly string[]): void {
  const file = join(options.root, 'test', 'redis', 'own-servers.tsv');
  const wereRun = new Set(units.map(({ unit }) => unit));
  const before = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  const kept = before.filter((row) => row.includes('\t') && !row.startsWith('#') && !wereRun.has(row.split('\t')[0]));
  const heading = [
    '# What redis-server 7.0.15 does in the units that start their own servers: unit, status, name, detail.',
    '# Made by: scripts/redis-suite.sh --own-servers --server redis --record',
  ];
  writeFileSync(file, `${[...heading, ...kept, ...rows].join('\n')}\n`);
}

async function main(): Promise<void> {
  const options = readOptions();
  const units = chooseUnits(options);
  // The port is what two runs at the same time cannot share.
  const folder = join(options.cache, `tree-${options.port}`);
  prepareTree(join(options.cache, SUITE), folder, options.script);
  let lab: Lab | null = null;
  let place: Place | null = null;
  if (options.transport === 'kernel' && !options.ownServers) {
    if (await portTaken(options.port)) throw new Error(`port ${options.port} is taken: choose one with --port`);
    place = kernelPlace(options.script, options.port, options);
  } else if (!options.ownServers) {
    if (options.script === null) throw new Error('--server redis has no user-space transport');
    lab = await buildOwnLab('wdsuite', () => {});
    place = userspacePlace(lab, options.script, options.engine, options.port, options);
  }
  try {
    const run = new SuiteRun(options, folder, place);
    const reports = await runAll(options, units, run);
    if (options.record) record(options, units, run.seen);
    else if ((options.units === null || options.merge) && options.script !== null) publish(options, reports);
    for (const [name, reason] of leftOutOf(options)) say(`left out: '${name}': ${reason}`);
    process.exitCode = reports.every((report) => report.missed.length === 0) ? 0 : 1;
  } finally {
    await lab?.down();
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`redis-suite: ${(error as Error).message}\n`);
  process.exitCode = 2;
});
