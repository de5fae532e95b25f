// The table of a goodput run as Markdown. Used by tool.ts; pure.
import type { Cell, Flow } from './lab.ts';

export interface CellResult {
  readonly cell: Cell;
  /** At a time. */
  readonly connections: number;
  /** Median bits a second by flow; a flow that was not measured is missing. */
  readonly rates: ReadonlyMap<Flow, number>;
  /** How far apart the rounds of each flow were, as a share of their median; empty where there was one. */
  readonly spreads: readonly number[];
}

/** What `samples` of one flow differ by. */
export function spread(samples: readonly number[]): number[] {
  const middle = median(samples);
  return samples.length < 2 || middle === 0 ? [] : [(Math.max(...samples) - Math.min(...samples)) / middle];
}

function mbit(rate: number | undefined): string {
  if (rate === undefined) return '-';
  return rate >= 1e7 ? (rate / 1e6).toFixed(1) : (rate / 1e6).toFixed(2);
}

function ratio(ours: number | undefined, theirs: number | undefined): string {
  return ours === undefined || theirs === undefined || theirs === 0 ? '-' : (ours / theirs).toFixed(2);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function table(results: readonly CellResult[]): string {
  const head = [
    '| round trip | loss | reordered | at a time | Linux to Linux | wiredis to Linux | x | Linux to wiredis | x | Linux to Linux, bbr |',
    '|---|---|---|---|---|---|---|---|---|---|',
  ];
  const rows = results.map(({ cell, connections, rates }) => {
    const linux = rates.get('linux');
    const sends = rates.get('wiredis-sends');
    const receives = rates.get('wiredis-receives');
    const columns = [
      `${cell.rttMs} ms`,
      `${cell.lossPercent} %`,
      `${cell.reorderPercent} %`,
      String(connections),
      mbit(linux),
      mbit(sends),
      ratio(sends, linux),
      mbit(receives),
      ratio(receives, linux),
      mbit(rates.get('bbr')),
    ];
    return `| ${columns.join(' | ')} |`;
  });
  return [...head, ...rows].join('\n');
}

/** Where we are behind, in words. */
export function shortfalls(results: readonly CellResult[]): string {
  const behind = results.flatMap(({ cell, rates }) => {
    const linux = rates.get('linux') ?? 0;
    const where = `${cell.rttMs} ms, ${cell.lossPercent} % lost, ${cell.reorderPercent} % reordered`;
    return (['wiredis-sends', 'wiredis-receives'] as const).flatMap((flow) => {
      const rate = rates.get(flow);
      if (rate === undefined || rate >= linux) return [];
      const who = flow === 'wiredis-sends' ? 'sending' : 'receiving';
      return [{ share: rate / linux, text: `- ${who}: ${where}: ${ratio(rate, linux)}` }];
    });
  });
  const directions = results.flatMap(({ rates }) => [rates.get('wiredis-sends'), rates.get('wiredis-receives')]);
  const measured = directions.filter((rate) => rate !== undefined).length;
  if (behind.length === 0) return `wiredis is not behind Linux in any of ${measured} comparisons.`;
  const spreads = results.flatMap((result) => result.spreads);
  const noise = spreads.length === 0 ? 0 : median(spreads);
  const clear = behind.filter(({ share }) => share < 1 - noise).sort((a, b) => a.share - b.share);
  const near = behind.length - clear.length;
  const within =
    near === 0
      ? ''
      : `, in ${near} of them by no more than the ${(noise * 100).toFixed(1)} % that rounds of the same transfer differ by (the median)`;
  const lines = [
    `wiredis is behind Linux in ${behind.length} of ${measured} comparisons${within}${clear.length === 0 ? '.' : near > 0 ? '. The others:' : ':'}`,
  ];
  if (clear.length > 0) lines.push('', ...clear.map(({ text }) => text));
  return lines.join('\n');
}

/** The whole document. @param command what was run, as one would type it. */
export function documentText(command: string, machine: string, facts: string, results: readonly CellResult[]): string {
  return [
    '# TCP goodput beside Linux',
    '',
    `Megabits a second of bulk transfers, one connection's. Made by \`${command}\` on ${machine}.`,
    '',
    `All send through the same bridge (\`wiredis impair\`) in the same run, alternating; ${facts}`,
    'From the same seed the n-th packet in a direction meets the same fate, whoever sends it; a connection that reacts otherwise',
    'has other n-th packets, so what is left is averaged over rounds, and, where losses and not the link are the limit, over',
    'several connections at a time, so few that they leave the link half empty. Linux uses cubic, in the last column bbr; wiredis',
    'uses cubic over afpacket. Segmentation offload is off on every link. x is the ratio to Linux to Linux in the same row.',
    '',
    table(results),
    '',
    '## Where we lose',
    '',
    shortfalls(results),
    '',
  ].join('\n');
}
