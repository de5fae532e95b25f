// `wiredis goodput`: how much of a bad network our TCP makes use of, beside the kernel's, cell by cell.
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { dirname, resolve } from 'node:path';
import { parseRate, parseSize } from '../impair/units.ts';
import { isPrivileged } from '../lab/privilege.ts';
import { CliError, EXIT_OK, parseOptions, type Tool, UsageError, wholeNumber } from '../tool.ts';
import { type Cell, type Flow, GoodputLab } from './lab.ts';
import { type CellResult, documentText, median, table } from './report.ts';

const help = `Usage: wiredis goodput [options]

Makes two hosts with a bad network between them (network namespaces, 'wiredis impair' in the middle) and runs bulk
transfers through it: Linux to Linux, wiredis to Linux, Linux to wiredis, each in every combination of round trip,
loss and reordering. Progress goes to stderr, the table to stdout and to a file. Needs root.

Options:
  --rtt LIST        round trips in ms (default 1,20,100)
  --loss LIST       percent of frames lost each way (default 0,0.1,1,3)
  --reorder LIST    percent of frames that are overtaken (default 0,5)
  --seconds N       a transfer, from the first byte on (default 10)
  --rounds N        transfers a cell and direction; medians are reported (default 1)
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
      seconds: text('10'),
      rounds: text('1'),
      rate: text('100mbit'),
      queue: text('512kb'),
      seed: text('1'),
      name: text('wiredis-goodput'),
      output: text('docs/tcp-goodput.md'),
    },
  });
  parseRate(values.rate, 'rate');
  parseSize(values.queue, 'queue');
  const seconds = wholeNumber(values.seconds, 'seconds', 1);
  const rounds = wholeNumber(values.rounds, 'rounds', 1);
  const seed = wholeNumber(values.seed, 'seed', 0);
  const cells = combine(numbers(values.rtt, 'rtt'), numbers(values.loss, 'loss'), numbers(values.reorder, 'reorder'));
  if (!isPrivileged()) throw new CliError('NO_PRIVILEGE', 'goodput needs root: it makes network namespaces');

  const lab = new GoodputLab(values.name);
  const interrupted = new Promise<never>((_resolve, reject) => {
    process.once('SIGINT', () => reject(new CliError('INTERRUPTED', 'interrupted')));
  });
  const link = { rate: values.rate, queue: values.queue };
  const measureAll = async (): Promise<CellResult[]> => {
    await lab.up();
    const flows: Flow[] = ['linux', 'wiredis-sends', 'wiredis-receives'];
    if (await lab.has('bbr')) flows.push('bbr');
    const results: CellResult[] = [];
    for (const cell of cells) {
      const samples = new Map<Flow, number[]>(flows.map((flow) => [flow, []]));
      for (let round = 0; round < rounds; round++) {
        for (const flow of flows) samples.get(flow)!.push(await lab.measure(cell, link, flow, seconds, seed + round));
      }
      const rates = new Map([...samples].map(([flow, list]) => [flow, median(list)]));
      results.push({ cell, rates });
      process.stderr.write(`${table(results).split('\n').at(-1)}\n`);
    }
    return results;
  };
  try {
    const results = await Promise.race([measureAll(), interrupted]);
    const command = ['scripts/goodput', ...args].join(' ');
    const facts = `the link carries ${values.rate} with a queue of ${values.queue}; ${rounds} x ${seconds} s a figure.`;
    const machine = `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}, Linux ${release()}, Node ${process.version}`;
    const file = resolve(values.output);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, documentText(command, machine, facts, results));
    process.stdout.write(`${table(results)}\n`);
    return EXIT_OK;
  } finally {
    await lab.down();
  }
}

function numbers(list: string, option: string): number[] {
  return list.split(',').map((word) => {
    if (!/^\d+(\.\d+)?$/.test(word))
      throw new UsageError(`--${option} wants numbers with commas between, not '${list}'`);
    return Number(word);
  });
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
