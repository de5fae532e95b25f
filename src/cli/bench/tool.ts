// `wiredis bench`: scenarios over redis-server and every transport and engine that works here, in one lab. Progress goes to
// stderr, tables to stdout, everything to a file, and docs/performance.md is made from such a file.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SystemClock } from '../../platform/clock.ts';
import { Lab } from '../lab/lab.ts';
import { buildOwnLab } from '../lab/own.ts';
import { requirePrograms, run } from '../lab/process.ts';
import {
  CliError,
  EXIT_FAILED,
  EXIT_OK,
  nearestName,
  parseOptions,
  type Tool,
  UsageError,
  wholeNumber,
} from '../tool.ts';
import { page } from './chart.ts';
import { combine, document, readResults } from './document.ts';
import { TESTS } from './load.ts';
import { obstacle, type Path, paths, RunningServer, redisVersion } from './paths.ts';
import { machine, type Results, tables } from './report.ts';
import { type Row, type Sample, summarise } from './sample.ts';
import type { Effort, Scenario } from './scenario.ts';
import { scenariosWith } from './scenarios/index.ts';
import type { LoadSettings } from './scenarios/throughput.ts';
import { judge } from './targets.ts';

/** For the list of scenarios: names and summaries do not depend on it. */
const NO_LOADS: LoadSettings = { tests: [], pipelines: [], requests: 0, clients: 0, valueBytes: 0, keyspace: 0 };

const help = `Usage: wiredis bench [options]

Brings up a lab of its own (see 'wiredis lab') and measures redis-server and wiredis-server over every path that works
here, alternating, in rounds: medians of requests per second, latency, and the busy time of the server's and the
client's core per request, with the ratio to redis-server's ('x'). The server's core is billed whole: user, system,
interrupts and receive work. Writes a JSON file and a page of charts to the output folder.

Scenarios:
${scenariosWith(NO_LOADS)
  .map(({ name, summary }) => `  ${name.padEnd(17)} ${summary}`)
  .join('\n')}

Paths:
${paths.map(({ name, summary }) => `  ${name.padEnd(17)} ${summary}`).join('\n')}

Options:
  --scenario LIST   names from above, comma-separated, or 'all' (default throughput)
  --paths LIST      names from above, comma-separated (default: the scenario's own, as far as they work here)
  --rounds N        rounds (default 5)
  --lab PREFIX      use this lab, which is up, and leave it up (default: one of its own)
  --output FOLDER   for the files (default bench/results)
  --quick           few requests, small keyspaces, three rounds of throughput and one of the rest: does it work, not how
                    fast is it; tables leave out the cores' time, which needs longer runs
  --document FILES  measures nothing: writes docs/performance.md from results files (comma-separated: of each scenario the
                    last one) and bench/tried.md

Options of the scenario throughput:
  --tests LIST      redis-benchmark's names for -t (default get,set)
  --requests N      requests a run at pipeline 1; ten times as many when pipelined (default 200000)
  --clients N       connections (default 50)
  --pipeline LIST   pipeline depths (default 1,16)
  --value-bytes N   size of values (default 3)
  --keyspace N      keys filled before and drawn from at random; 0: one key (default 1000000)`;

interface Plan {
  readonly scenarios: readonly Scenario[];
  /** Null: each scenario's own. */
  readonly paths: readonly Path[] | null;
  readonly rounds: number;
  readonly output: string;
  readonly effort: Effort;
  /** A lab that is up already, or null. */
  readonly lab: string | null;
  readonly command: string;
}

const PORT = 6379;
const DOCUMENT = join('docs', 'performance.md');
const TRIED = join('bench', 'tried.md');
const progress = (line: string): void => void process.stderr.write(`bench: ${line}\n`);

const options = {
  scenario: { type: 'string', default: 'throughput' },
  paths: { type: 'string' },
  tests: { type: 'string', default: 'get,set' },
  rounds: { type: 'string' },
  requests: { type: 'string' },
  clients: { type: 'string', default: '50' },
  pipeline: { type: 'string', default: '1,16' },
  'value-bytes': { type: 'string', default: '3' },
  keyspace: { type: 'string' },
  output: { type: 'string', default: join('bench', 'results') },
  lab: { type: 'string' },
  quick: { type: 'boolean', default: false },
  document: { type: 'string' },
} as const;

export const bench: Tool = {
  help,
  async run(args: string[]): Promise<number> {
    const { values } = parseOptions({ args, options });
    if (values.document !== undefined) return writeDocument(values.document);
    const plan = readPlan(values, ['bench', ...args].join(' '));
    requirePrograms(['redis-benchmark', 'redis-cli']);
    const own = plan.lab === null;
    const lab = own ? await buildOwnLab('wiredis-bench', progress) : await Lab.attach(plan.lab!);
    const interrupted = own ? takeDownOnSignal(lab) : null;
    // What this tool does between runs must not hold the server up.
    await run(['taskset', '-a', '-p', '-c', String(lab.notes.cores.client), String(process.pid)]);
    try {
      const { samples, failures } = await new Run(lab, plan).measure();
      report(plan, lab, samples, failures);
      return samples.length > 0 && failures.length === 0 ? EXIT_OK : EXIT_FAILED;
    } finally {
      interrupted?.forget();
      if (own) await lab.down();
    }
  },
};

function readPlan(
  values: ReturnType<typeof parseOptions<{ options: typeof options }>>['values'],
  command: string,
): Plan {
  const { quick } = values;
  const rounds = wholeNumber(values.rounds ?? (quick ? '3' : '5'), 'rounds', 1);
  const settings: LoadSettings = {
    requests: wholeNumber(values.requests ?? (quick ? '60000' : '200000'), 'requests', 1),
    keyspace: wholeNumber(values.keyspace ?? (quick ? '100000' : '1000000'), 'keyspace', 0),
    clients: wholeNumber(values.clients, 'clients', 1),
    valueBytes: wholeNumber(values['value-bytes'], 'value-bytes', 1),
    pipelines: values.pipeline.split(',').map((depth) => wholeNumber(depth, 'pipeline', 1)),
    tests: chooseNames('test', values.tests, TESTS),
  };
  const all = scenariosWith(settings);
  return {
    scenarios: values.scenario === 'all' ? all : choose('scenario', values.scenario, all),
    paths: values.paths === undefined ? null : choose('path', values.paths, paths),
    rounds,
    output: resolve(values.output),
    effort: quick ? 'quick' : 'full',
    lab: values.lab ?? null,
    command,
  };
}

function choose<T extends { readonly name: string }>(kind: string, list: string, all: readonly T[]): T[] {
  const names = all.map(({ name }) => name);
  return chooseNames(kind, list, names).map((name) => all[names.indexOf(name)]);
}

/** @throws UsageError unless every word of the list is a name. */
function chooseNames(kind: string, list: string, names: readonly string[]): string[] {
  return list.split(',').map((word) => {
    const name = word.trim();
    if (names.includes(name)) return name;
    const nearest = nearestName(name, names);
    throw new UsageError(`unknown ${kind} '${name}'; ${nearest ? `did you mean '${nearest}'?` : names.join(', ')}`);
  });
}

/** One run of the tool in a lab: every scenario, round by round. */
class Run {
  readonly #lab: Lab;
  readonly #plan: Plan;
  readonly #samples: Sample[] = [];
  readonly #failures: string[] = [];

  constructor(lab: Lab, plan: Plan) {
    this.#lab = lab;
    this.#plan = plan;
  }

  async measure(): Promise<{ readonly samples: readonly Sample[]; readonly failures: readonly string[] }> {
    for (const scenario of this.#plan.scenarios) await this.#scenario(scenario);
    return { samples: this.#samples, failures: this.#failures };
  }

  /** A B C A B C ...: a server at a time, so that none disturbs another; a path that fails is named and left out. */
  async #scenario(scenario: Scenario): Promise<void> {
    const { effort, rounds } = this.#plan;
    const brief = effort === 'quick' && scenario.name !== 'throughput';
    const own = Math.min(rounds, brief ? 1 : (scenario.roundsMax ?? rounds));
    let usable = this.#pathsOf(scenario);
    for (let round = 1; round <= own; round++) {
      const notes = new Map<string, number>();
      for (const path of usable) {
        const label = `${scenario.name}, round ${round}/${own}, `;
        try {
          await this.#measure(scenario, path, round, notes, label);
        } catch (error) {
          if (!(error instanceof CliError)) throw error;
          progress(`${label}${path.name}: ${error.message}; left out from here on`);
          this.#failures.push(`${scenario.name}, ${path.name}: ${error.message}`);
          usable = usable.filter((other) => other !== path);
        }
      }
    }
  }

  #pathsOf(scenario: Scenario): Path[] {
    const chosen = this.#plan.paths ?? scenario.paths.map((name) => paths.find((path) => path.name === name)!);
    return chosen.filter((path) => {
      const reason = obstacle(path, this.#lab);
      if (reason !== null) progress(`${scenario.name}: skipping ${path.name}: ${reason}`);
      return reason === null;
    });
  }

  async #measure(
    scenario: Scenario,
    path: Path,
    round: number,
    notes: Map<string, number>,
    label: string,
  ): Promise<void> {
    const lab = this.#lab;
    const servers: RunningServer[] = [];
    try {
      const measured = await scenario.run({
        ...{ lab, path, effort: this.#plan.effort, notes },
        progress: (line) => progress(`${label}${line}`),
        async serve(settings) {
          const server = await RunningServer.start(lab, path, PORT, settings);
          servers.push(server);
          return server;
        },
      });
      for (const one of measured) this.#samples.push({ scenario: scenario.name, path: path.name, round, ...one });
    } finally {
      for (const server of servers) await server.stop();
    }
  }
}

function report(plan: Plan, lab: Lab, samples: readonly Sample[], failures: readonly string[]): void {
  const rows = summarise(samples);
  const brief = plan.effort === 'quick';
  if (rows.length > 0) process.stdout.write(`${tables(plan.scenarios, rows, brief)}\n`);
  if (!brief) showTargets(rows);
  const clock = new SystemClock();
  clock.update();
  const when = new Date(clock.unixMs).toISOString();
  const results: Results = {
    when,
    command: plan.command,
    machine: { ...machine(), redisServer: redisVersion(), ...lab.notes.cores },
    warnings: lab.notes.warnings,
    failures,
    rows,
    samples,
  };
  const file = join(plan.output, `bench-${when.replace(/[:.]/g, '-')}`);
  mkdirSync(plan.output, { recursive: true });
  writeFileSync(`${file}.json`, `${JSON.stringify(results, null, 2)}\n`);
  writeFileSync(`${file}.html`, page(plan.scenarios, results));
  progress(`written to ${file}.json and .html`);
}

function showTargets(rows: readonly Row[]): void {
  for (const { target, value, met } of judge(rows)) {
    if (value === null) continue;
    const sign = target.atLeast ? '>=' : '<=';
    progress(`${met ? 'met' : 'MISSED'}: ${target.title}: ${value.toFixed(2)} (target ${sign} ${target.limit})`);
  }
}

/** @param files comma-separated. */
function writeDocument(files: string): number {
  const results = combine(files.split(',').map(readResults));
  const tried = existsSync(TRIED) ? readFileSync(TRIED, 'utf8') : '';
  writeFileSync(DOCUMENT, document(scenariosWith(NO_LOADS), results, tried));
  progress(`written to ${DOCUMENT}`);
  return EXIT_OK;
}

/** Ctrl-C leaves no lab behind either. */
function takeDownOnSignal(lab: Lab): { forget(): void } {
  const stop = (signal: NodeJS.Signals): void => {
    progress(`${signal}: taking the lab down`);
    lab.down().finally(() => process.exit(EXIT_FAILED));
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  return {
    forget() {
      process.off('SIGINT', stop).off('SIGTERM', stop);
    },
  };
}
