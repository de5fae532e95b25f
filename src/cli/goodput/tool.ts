// `wiredis goodput`: how much of a bad network our TCP makes use of, beside the kernel's, cell by cell.
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { dirname, resolve } from 'node:path';
import { systemStopwatch } from '../../platform/stopwatch.ts';
import { parseRate, parseSize } from '../impair/units.ts';
import { onInterrupt } from '../interrupt.ts';
import { isPrivileged } from '../lab/privilege.ts';
import { CliError, EXIT_OK, parseOptions, type Tool, UsageError, wholeNumber } from '../tool.ts';
import { type Cell, FLOWS, type Flow, GoodputLab, type Link } from './lab.ts';
import { type CellResult, compare, documentText, OURS, shortfalls, table } from './report.ts';

/** Of a transfer: three programs that start. */
const START_S = 1.8;
/** Rounds of every cell, and the share of the time that they get: the rest is for what is least certain then. */
const ROUNDS = 2;
const ROUNDS_SHARE = 0.75;

const CONNECTIONS_MAX = 16;
/** At a time where nothing is lost but much is reordered. */
const REORDERED = 4;

const help = `Usage: wiredis goodput [options]

Makes two hosts with a bad network between them (network namespaces, 'wiredis impair' in the middle) and runs bulk
transfers through it: Linux to Linux, wiredis to Linux, Linux to wiredis, each in every combination of round trip,
loss and reordering. Progress goes to stderr, the table to stdout and to a file. Needs root.

Options:
  --rtt LIST        round trips in ms (default 1,20,100)
  --loss LIST       percent of frames lost each way (default 0,0.1,1,3)
  --reorder LIST    percent of frames that are overtaken (default 0,5)
  --minutes N       the whole run at most (default 24)
  --seconds N       a transfer, from the first byte on (default: what the minutes allow)
  --rounds N        transfers a cell and direction; medians are reported (default: two, and until the minutes are over
                    more of the cells whose figures are least certain)
  --connections N   at a time, figures are one connection's (default: as many as do not fill the link, at most 16,
                    where losses limit them; 1 where nothing is lost, 4 if reordered)
  --flows LIST      who sends (default linux,wiredis-sends,wiredis-receives,bbr, the last where the kernel has it)
  --rate RATE       of the link (default 100mbit)
  --queue SIZE      before the link (default 512kb)
  --seed N          of the first round's faults (default 1)
  --name PREFIX     of the namespaces (default wiredis-goodput)
  --output FILE     Markdown (default docs/tcp-goodput.md)`;

async function run(args: string[]): Promise<number> {
  const text = (otherwise: string) => ({ type: 'string', default: otherwise }) as const;
  const { values } = parseOptions({
    args,
    options: {
      rtt: text('1,20,100'),
      loss: text('0,0.1,1,3'),
      reorder: text('0,5'),
      minutes: text('24'),
      seconds: text('0'),
      rounds: text('0'),
      connections: text('0'),
      rate: text('100mbit'),
      queue: text('512kb'),
      seed: text('1'),
      flows: text(FLOWS.join(',')),
      name: text('wiredis-goodput'),
      output: text('docs/tcp-goodput.md'),
    },
  });
  parseSize(values.queue, 'queue');
  const link = { rate: values.rate, queue: values.queue };
  const rate = parseRate(values.rate, 'rate');
  const minutes = wholeNumber(values.minutes, 'minutes', 1);
  const givenRounds = wholeNumber(values.rounds, 'rounds', 0);
  const givenSeconds = wholeNumber(values.seconds, 'seconds', 0);
  const connections = wholeNumber(values.connections, 'connections', 0);
  const seed = wholeNumber(values.seed, 'seed', 0);
  const wanted = flowsOf(values.flows);
  const cells = combine(numbers(values.rtt, 'rtt'), numbers(values.loss, 'loss'), numbers(values.reorder, 'reorder'));
  if (!isPrivileged()) throw new CliError('NO_PRIVILEGE', 'goodput needs root: it makes network namespaces');

  const lab = new GoodputLab(values.name);
  const interrupted = new Promise<never>((_resolve, reject) => {
    onInterrupt(() => reject(new CliError('INTERRUPTED', 'interrupted')));
  });
  const measureAll = async (): Promise<[CellResult[], Plan]> => {
    await lab.up();
    const hasBbr = await lab.has('bbr');
    const flows = wanted.filter((flow) => flow !== 'bbr' || hasBbr);
    const rounds = givenRounds === 0 ? ROUNDS : givenRounds;
    const transfers = cells.length * flows.reduce((sum, flow) => sum + (flow === 'bbr' ? 1 : rounds), 0);
    const share = givenRounds === 0 ? ROUNDS_SHARE : 1;
    const seconds = secondsOf(transfers, minutes * share, givenSeconds);
    const more = givenRounds === 0 ? ', then where figures are least certain' : '';
    process.stderr.write(`${transfers} transfers of ${seconds} s${more}: at most ${minutes} minutes\n`);
    const deadlineUs = systemStopwatch() + minutes * 60e6;
    const plan: Plan = { lab, link, flows, rounds, seconds, seed, deadlineUs };
    const connectionsOf = (cell: Cell): number => (connections > 0 ? connections : connectionsFor(cell, rate));
    const results = await measureCells(plan, cells, connectionsOf);
    if (givenRounds === 0 && results.length === cells.length) await measureUncertain(plan, results);
    return [results, plan];
  };
  try {
    const [results, { seconds }] = await Promise.race([measureAll(), interrupted]);
    const command = ['scripts/goodput', ...args].join(' ');
    const missing =
      results.length < cells.length ? ` The time was over after ${results.length} of ${cells.length} rows.` : '';
    const facts = `the link carries ${link.rate} with a queue of ${link.queue}; ${seconds} s a transfer.${missing}`;
    const file = resolve(values.output);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, documentText(command, machine(), facts, results));
    process.stdout.write(`${table(results)}\n\n${shortfalls(results)}\n`);
    return EXIT_OK;
  } finally {
    await lab.down();
  }
}

/** What all cells have in common. */
interface Plan {
  readonly lab: GoodputLab;
  readonly link: Link;
  readonly flows: readonly Flow[];
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  readonly deadlineUs: number;
}

/** Cell by cell, each told of when it is done, until the time is over. */
async function measureCells(
  plan: Plan,
  cells: readonly Cell[],
  connectionsOf: (cell: Cell) => number,
): Promise<MutableResult[]> {
  const results: MutableResult[] = [];
  for (const cell of cells) {
    const result = await measureCell(plan, cell, connectionsOf(cell));
    if (result === null) break;
    results.push(result);
    const leftMinutes = Math.max(0, (plan.deadlineUs - systemStopwatch()) / 60e6).toFixed(1);
    const row = table(results).split('\n').at(-1);
    process.stderr.write(`${row} ${results.length} of ${cells.length}, ${leftMinutes} min left\n`);
  }
  return results;
}

/** Null: the time is over. */
async function measureCell(plan: Plan, cell: Cell, connections: number): Promise<MutableResult | null> {
  const result = { cell, connections, samples: new Map<Flow, number[]>() };
  for (let round = 0; round < plan.rounds; round++) if (!(await measureRound(plan, result))) return null;
  return result;
}

type MutableResult = CellResult & { readonly samples: Map<Flow, number[]> };

/** One more round of a cell; BBR, which nothing is compared with, has only the first. @returns false: the time is over. */
async function measureRound({ lab, link, flows, seconds, seed, deadlineUs }: Plan, result: MutableResult) {
  const { cell, connections, samples } = result;
  const round = samples.get(flows[0])?.length ?? 0;
  // All or nothing: a ratio is of the same rounds.
  const rates = new Map<Flow, number>();
  for (const flow of flows) {
    if (flow === 'bbr' && round > 0 && flows.length > 1) continue;
    const transfer = { flow, connections, seconds, seed: seed + round };
    if (systemStopwatch() > deadlineUs) return false;
    const measure = (): Promise<number> => lab.measure(cell, link, transfer);
    // A program that did not come up on a busy machine gets a second chance.
    rates.set(flow, await measure().catch(measure));
  }
  for (const [flow, bits] of rates) samples.set(flow, [...(samples.get(flow) ?? []), bits]);
  return true;
}

/** More rounds, each of the cell whose ratios are least certain, whatever they say, until the time is over. */
async function measureUncertain(plan: Plan, results: readonly MutableResult[]): Promise<void> {
  const of = (result: CellResult): number => Math.max(...OURS.map((flow) => compare(result, flow)?.within ?? 0));
  for (;;) {
    const result = results.toSorted((a, b) => of(b) - of(a))[0];
    if (of(result) === 0 || !(await measureRound(plan, result))) return;
    process.stderr.write(`${table([result]).split('\n').at(-1)}\n`);
  }
}

/** Of one transfer, so that all of them take no longer than that. */
function secondsOf(transfers: number, minutes: number, given: number): number {
  const longest = Math.floor((minutes * 60) / transfers - START_S);
  const seconds = given === 0 ? longest : given;
  if (longest >= Math.max(seconds, 1)) return seconds;
  throw new UsageError(`${transfers} transfers of ${Math.max(seconds, 1)} s take more than ${minutes} minutes`);
}

function machine(): string {
  return `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}, Linux ${release()}, Node ${process.version}`;
}

function flowsOf(list: string): Flow[] {
  const words = list.split(',');
  const unknown = words.find((word) => !FLOWS.some((flow) => flow === word));
  if (unknown !== undefined) throw new UsageError(`--flows knows ${FLOWS.join(', ')}, not '${unknown}'`);
  return FLOWS.filter((flow) => words.includes(flow));
}

function numbers(list: string, option: string): number[] {
  return list.split(',').map((word) => {
    if (!/^\d+(\.\d+)?$/.test(word))
      throw new UsageError(`--${option} wants numbers with commas between, not '${list}'`);
    return Number(word);
  });
}

/**
 * One connection that loses one segment in a hundred is mostly luck; several at a time, which together leave the link half
 * empty and so do not disturb each other, tell more in the same time. What one of them reaches: Mathis et al. 1997.
 */
export function connectionsFor({ rttMs, lossPercent, reorderPercent }: Cell, rate: number): number {
  // Reordering makes the end of slow start a matter of luck.
  if (lossPercent === 0) return reorderPercent > 0 ? REORDERED : 1;
  const each = (1.22 * 1448 * 8) / (Math.max(rttMs, 1) / 1000) / Math.sqrt(lossPercent / 100);
  return Math.max(1, Math.min(CONNECTIONS_MAX, Math.floor(rate / 2 / each)));
}

function combine(rtts: readonly number[], losses: readonly number[], reorders: readonly number[]): Cell[] {
  const cells: Cell[] = [];
  for (const reorderPercent of reorders) {
    for (const rttMs of rtts) {
      for (const lossPercent of losses) cells.push({ rttMs, lossPercent, reorderPercent });
    }
  }
  return cells;
}

export const goodput: Tool = { help, run };
