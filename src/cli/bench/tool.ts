// `wiredis bench`: redis-server and every transport and engine that works here, in one lab, alternating, so that
// a slow minute of the machine hits all of them. Progress goes to stderr, the table to stdout, everything to a file.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SystemClock } from '../../platform/clock.ts';
import { sleep } from '../../platform/sleep.ts';
import { buildLab } from '../lab/build.ts';
import { Lab } from '../lab/lab.ts';
import { defaultCores } from '../lab/plan.ts';
import { requirePrograms } from '../lab/process.ts';
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
import { coreTimeBetween, readCoreTicks } from './cpu.ts';
import { benchmarkWords, fillKeyspace, type Load, readBenchmark } from './load.ts';
import { obstacle, type Path, paths, RunningServer, redisVersion } from './paths.ts';
import { machine, type Sample, summarise, table } from './report.ts';

const help = `Usage: wiredis bench [options]

Brings up a lab of its own (see 'wiredis lab'), runs redis-benchmark against redis-server and wiredis-server over
every path that works here, alternating, and prints medians over the rounds: requests per second, latency, and the
busy time of the server's and the client's core per request, each with its ratio to redis-server's ('x').
The server's core is billed whole: user, system, interrupts and receive work. Writes JSON to the output folder.

Paths: ${paths.map((path) => `${path.name} (${path.summary})`).join(',\n       ')}

Options:
  --paths LIST      names from above, comma-separated (default: all that work here)
  --tests LIST      redis-benchmark's names for -t (default get,set)
  --rounds N        rounds, each with a fresh server that is warmed up before each run (default 5)
  --requests N      requests a run at pipeline 1; ten times as many when pipelined (default 200000)
  --clients N       connections (default 50)
  --pipeline LIST   pipeline depths (default 1,16)
  --value-bytes N   size of values (default 3)
  --keyspace N      keys filled before and drawn from at random; 0: one key (default 1000000)
  --lab PREFIX      use this lab, which is up, and leave it up (default: one of its own)
  --output FOLDER   for the JSON file (default bench/results)
  --quick           three rounds of few requests over a small keyspace: does it work, not how fast is it;
                    the table leaves out the cores' time, which needs longer runs`;

interface Plan {
  readonly paths: readonly Path[];
  readonly loads: readonly Load[];
  readonly rounds: number;
  readonly output: string;
  /** Without the columns that need long runs. */
  readonly brief: boolean;
  /** A lab that is up already, or null. */
  readonly lab: string | null;
}

const PORT = 6379;
const WARM_UP_REQUESTS_MIN = 20_000;
const progress = (line: string): void => void process.stderr.write(`bench: ${line}\n`);

export const bench: Tool = {
  help,
  async run(args: string[]): Promise<number> {
    const plan = readPlan(args);
    requirePrograms(['redis-benchmark', 'redis-cli']);
    const clock = new SystemClock();
    const own = plan.lab === null;
    const lab = own
      ? await buildLab({ name: `wiredis-bench-${process.pid}`, cores: defaultCores(), progress })
      : await Lab.attach(plan.lab!);
    const interrupted = own ? takeDownOnSignal(lab) : null;
    try {
      const usable = plan.paths.filter((path) => {
        const reason = obstacle(path, lab);
        if (reason !== null) progress(`skipping ${path.name}: ${reason}`);
        return reason === null;
      });
      const { samples, failures } = await measure(lab, { ...plan, paths: usable });
      report(plan, lab, samples, clock);
      return samples.length > 0 && failures === 0 ? EXIT_OK : EXIT_FAILED;
    } finally {
      interrupted?.forget();
      if (own) await lab.down();
    }
  },
};

function readPlan(args: string[]): Plan {
  const { values } = parseOptions({
    args,
    options: {
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
    },
  });
  const rounds = wholeNumber(values.rounds ?? (values.quick ? '3' : '5'), 'rounds', 1);
  const requests = wholeNumber(values.requests ?? (values.quick ? '20000' : '200000'), 'requests', 1);
  const keyspace = wholeNumber(values.keyspace ?? (values.quick ? '10000' : '1000000'), 'keyspace', 0);
  const clients = wholeNumber(values.clients, 'clients', 1);
  const valueBytes = wholeNumber(values['value-bytes'], 'value-bytes', 1);
  const pipelines = values.pipeline.split(',').map((depth) => wholeNumber(depth, 'pipeline', 1));
  const loads = values.tests.split(',').flatMap((test) =>
    pipelines.map(
      (pipeline): Load => ({
        test: test.trim(),
        requests: pipeline === 1 ? requests : requests * 10,
        clients,
        pipeline,
        valueBytes,
        keyspace,
      }),
    ),
  );
  return {
    paths: choosePaths(values.paths),
    loads,
    rounds,
    output: resolve(values.output),
    brief: values.quick,
    lab: values.lab ?? null,
  };
}

function choosePaths(list: string | undefined): readonly Path[] {
  if (list === undefined) return paths.filter((path) => path.byDefault);
  const names = paths.map((path) => path.name);
  return list.split(',').map((word) => {
    const path = paths.find((candidate) => candidate.name === word.trim());
    if (path !== undefined) return path;
    const nearest = nearestName(word, names);
    throw new UsageError(`unknown path '${word}'; ${nearest ? `did you mean '${nearest}'?` : names.join(', ')}`);
  });
}

/** A B C A B C ...: a server at a time, so that none disturbs another; a path that fails is named and left out. */
async function measure(lab: Lab, plan: Plan): Promise<{ readonly samples: Sample[]; readonly failures: number }> {
  const samples: Sample[] = [];
  const failed = new Set<Path>();
  for (let round = 1; round <= plan.rounds; round++) {
    for (const path of plan.paths.filter((candidate) => !failed.has(candidate))) {
      const label = `round ${round}/${plan.rounds}, ${path.name}`;
      try {
        samples.push(...(await measurePath(lab, path, plan.loads, round, label)));
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        progress(`${label}: ${error.message}; left out from here on`);
        failed.add(path);
      }
    }
  }
  return { samples, failures: failed.size };
}

async function measurePath(
  lab: Lab,
  path: Path,
  loads: readonly Load[],
  round: number,
  label: string,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const server = await RunningServer.start(lab, path, PORT);
  try {
    await fillKeyspace(lab, server.address, server.port, loads[0]);
    const { server: serverCore, client: clientCore } = lab.notes.cores;
    for (const load of loads) {
      await warmUp(lab, server, load);
      await sleep(200); // what filling and the run before left to do is not this run's
      const before = [readCoreTicks(serverCore), readCoreTicks(clientCore)];
      const output = await lab.run('client', benchmarkWords(server.address, server.port, load));
      const after = [readCoreTicks(serverCore), readCoreTicks(clientCore)];
      // A test such as lrange_100 has a row for the pushing that it starts with; the last one was asked for.
      const results = readBenchmark(output);
      const result = results.at(-1)!;
      progress(`${label}: ${load.test} P=${load.pipeline} ${Math.round(result.requestsPerSecond)} rps`);
      samples.push({
        path: path.name,
        round,
        load,
        requests: load.requests * results.length,
        result,
        serverCore: coreTimeBetween(before[0], after[0]),
        clientCore: coreTimeBetween(before[1], after[1]),
      });
    }
  } finally {
    await server.stop();
  }
  return samples;
}

/** A server's first requests are its slowest: code is compiled, tables and rings are touched for the first time. */
async function warmUp(lab: Lab, server: RunningServer, load: Load): Promise<void> {
  const requests = Math.max(WARM_UP_REQUESTS_MIN, Math.round(load.requests / 5));
  readBenchmark(await lab.run('client', benchmarkWords(server.address, server.port, { ...load, requests })));
}

function report(plan: Plan, lab: Lab, samples: readonly Sample[], clock: SystemClock): void {
  const rows = summarise(samples);
  if (rows.length > 0) process.stdout.write(`${table(rows, plan.brief)}\n`);
  clock.update();
  const when = new Date(clock.unixMs).toISOString();
  const file = join(plan.output, `bench-${when.replace(/[:.]/g, '-')}.json`);
  mkdirSync(plan.output, { recursive: true });
  const content = {
    when,
    machine: { ...machine(), redisServer: redisVersion(), ...lab.notes.cores },
    warnings: lab.notes.warnings,
    rows,
    samples,
  };
  writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`);
  progress(`written to ${file}`);
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
