// A scenario: one question about speed, the paths it is asked of, and how one run answers it. tool.ts runs them in rounds,
// a path at a time and alternating, so that a slow minute of the machine hits all of them.
import type { Lab } from '../lab/lab.ts';
import { coreTimeBetween, readCoreTicks } from './cpu.ts';
import { benchmarkWords, fillKeyspace, type Load, readBenchmark, withoutPreparation } from './load.ts';
import type { Path, RunningServer } from './paths.ts';
import { coreValues, type Quantity, type Sample, type Values } from './sample.ts';

/** How much work a run is: `quick` asks whether it works, not how fast it is. */
export type Effort = 'quick' | 'full';

export interface Context {
  readonly lab: Lab;
  readonly path: Path;
  readonly effort: Effort;
  /** For scenarios that need something of the reference's run in the same round. */
  readonly notes: Map<string, number>;
  /** A fresh server, stopped when the run is over. @param nodeFlags for paths that are ours. */
  serve(settings?: {
    readonly words?: readonly string[];
    readonly nodeFlags?: readonly string[];
  }): Promise<RunningServer>;
  progress(line: string): void;
}

export type Measured = Pick<Sample, 'test' | 'pipeline' | 'values'>;

export interface Scenario {
  /** As in --scenario. */
  readonly name: string;
  /** One line: what is asked. */
  readonly summary: string;
  /** Paths it is asked of, unless --paths says otherwise; the reference first. */
  readonly paths: readonly string[];
  /** Columns of its table; the first is the one whose spread is shown. */
  readonly columns: readonly Quantity[];
  /** Rounds at most: what is slow and hardly varies need not be repeated. */
  readonly roundsMax?: number;
  run(context: Context): Promise<Measured[]>;
}

export const LOAD_COLUMNS: readonly Quantity[] = [
  ...(['rate', 'p50Ms', 'p99Ms', 'serverUs', 'serverUserUs', 'serverSystemUs', 'serverSoftirqUs'] as const),
  ...(['clientUs', 'bothUs'] as const),
];

/** About a second of it. */
const WARM_UP_REQUESTS_MAX = 100_000;
const WARM_UP_PIPELINED_MAX = 300_000;

/** A filled keyspace, and then each load, warmed up. */
export async function runLoads(context: Context, loads: readonly Load[]): Promise<Measured[]> {
  const server = await context.serve();
  await fillKeyspace(context.lab, server, loads[0].keyspace, loads[0].valueBytes);
  const measured: Measured[] = [];
  for (const load of loads) {
    await warmUp(context, server, load);
    measured.push(await runLoad(context, server, load));
  }
  return measured;
}

/**
 * A server's first requests are its slowest: code is compiled, tables and rings are touched for the first time. After 20,000 requests
 * one at a time V8 still compiled a dozen functions in the second that was measured, on the core that serves.
 */
export async function warmUp({ lab }: Context, server: RunningServer, load: Load): Promise<void> {
  const requests = Math.min(load.requests, load.pipeline === 1 ? WARM_UP_REQUESTS_MAX : WARM_UP_PIPELINED_MAX);
  readBenchmark(await lab.run('client', benchmarkWords(server.address, server.port, { ...load, requests })));
}

/** Runs a load and looks at both cores before and after. @returns what it answered, and their values for so many requests. */
export async function withCores<T>(lab: Lab, run: () => Promise<T>): Promise<[T, (requests: number) => Values]> {
  const { server, client } = lab.notes.cores;
  const before = [readCoreTicks(server), readCoreTicks(client)];
  const answer = await run();
  const [serverTime, clientTime] = [server, client].map((core, i) => coreTimeBetween(before[i], readCoreTicks(core)));
  return [answer, (requests) => coreValues(serverTime, clientTime, requests)];
}

/** One run of redis-benchmark, with the time of both cores. */
export async function runLoad(context: Context, server: RunningServer, load: Load): Promise<Measured> {
  const { lab, path } = context;
  await server.settle();
  const words = benchmarkWords(server.address, server.port, withoutPreparation(load));
  const [output, coresOver] = await withCores(lab, () => lab.run('client', words));
  const [{ requestsPerSecond, p50Ms, p99Ms, maxMs }] = readBenchmark(output);
  const cores = coresOver(load.requests);
  context.progress(`${path.name}: ${load.test} P=${load.pipeline} ${Math.round(requestsPerSecond)} rps`);
  const values: Values = { rate: requestsPerSecond, p50Ms, p99Ms, maxMs, ...cores };
  return { test: load.test.toUpperCase(), pipeline: load.pipeline, values };
}
