// The table of a goodput run as Markdown. Used by tool.ts; pure.
import type { Cell, Flow } from './lab.ts';

export interface CellResult {
  readonly cell: Cell;
  /** At a time. */
  readonly connections: number;
  /** Bits a second by flow, one a round; a flow that was not measured is missing. */
  readonly samples: ReadonlyMap<Flow, readonly number[]>;
}

/** Standard error of the middle of `samples`, as a share of it; null: measured once. */
export function uncertainty(samples: readonly number[]): number | null {
  const { length } = samples;
  const mean = samples.reduce((sum, value) => sum + value, 0) / length;
  if (length < 2 || mean === 0) return null;
  const variance = samples.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (length - 1);
  return Math.sqrt(variance / length) / mean;
}

/** Those that are compared with Linux to Linux. */
export const OURS = ['wiredis-sends', 'wiredis-receives'] as const;

/** Ours beside Linux's in the same row. */
export interface Comparison {
  readonly ratio: number;
  /** In 95 of 100 tables the true ratio is no further off; null: measured once. */
  readonly within: number | null;
}

export function compare({ samples }: CellResult, flow: Flow): Comparison | null {
  const ours = samples.get(flow) ?? [];
  const theirs = samples.get('linux') ?? [];
  if (ours.length === 0 || theirs.length === 0 || median(theirs) === 0) return null;
  const ratio = median(ours) / median(theirs);
  const errors = [uncertainty(ours), uncertainty(theirs)];
  if (errors[0] === null || errors[1] === null) return { ratio, within: null };
  const t = STUDENT[Math.min(ours.length + theirs.length - 2, STUDENT.length) - 1];
  return { ratio, within: t * ratio * Math.hypot(errors[0], errors[1]) };
}

/** Student's t for 95 % by degrees of freedom, from 1 on: two rounds that happen to agree prove little. */
const STUDENT = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.2, 2.18, 2.16, 2.14, 2.13, 2.12, 2];

function mbit(rate: number | undefined): string {
  if (rate === undefined) return '-';
  return rate >= 1e7 ? (rate / 1e6).toFixed(1) : (rate / 1e6).toFixed(2);
}

function ratioText(comparison: Comparison | null): string {
  if (comparison === null) return '-';
  const { ratio, within } = comparison;
  return within === null ? ratio.toFixed(2) : `${ratio.toFixed(2)} ± ${within.toFixed(2)}`;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function table(results: readonly CellResult[]): string {
  const head = [
    '| round trip | loss | reordered | at a time | rounds | Linux to Linux | wiredis to Linux | x | Linux to wiredis | x | Linux to Linux, bbr |',
    '|---|---|---|---|---|---|---|---|---|---|---|',
  ];
  const rows = results.map((result) => {
    const { cell, connections, samples } = result;
    const rate = (flow: Flow): string => mbit(samples.has(flow) ? median(samples.get(flow)!) : undefined);
    const columns = [
      `${cell.rttMs} ms`,
      `${cell.lossPercent} %`,
      `${cell.reorderPercent} %`,
      String(connections),
      String(samples.get('linux')?.length ?? '-'),
      rate('linux'),
      rate('wiredis-sends'),
      ratioText(compare(result, 'wiredis-sends')),
      rate('wiredis-receives'),
      ratioText(compare(result, 'wiredis-receives')),
      rate('bbr'),
    ];
    return `| ${columns.join(' | ')} |`;
  });
  return [...head, ...rows].join('\n');
}

/** Where we are behind, in words. */
export function shortfalls(results: readonly CellResult[]): string {
  let measured = 0;
  let near = 0;
  const clear: { ratio: number; text: string }[] = [];
  for (const result of results) {
    const { cell } = result;
    const where = `${cell.rttMs} ms, ${cell.lossPercent} % lost, ${cell.reorderPercent} % reordered`;
    for (const flow of OURS) {
      const comparison = compare(result, flow);
      if (comparison === null) continue;
      measured++;
      const { ratio, within } = comparison;
      if (ratio >= 1) continue;
      const who = flow === 'wiredis-sends' ? 'sending' : 'receiving';
      if (ratio + (within ?? 0) >= 1) near++;
      else clear.push({ ratio, text: `- ${who}: ${where}: ${ratioText(comparison)}` });
    }
  }
  const behind = near + clear.length;
  if (behind === 0) return `wiredis is not behind Linux in any of ${measured} comparisons.`;
  const within = near === 0 ? '' : `, in ${near} of them by no more than the figures are uncertain by`;
  const rest = clear.length === 0 ? '.' : near > 0 ? '. The others:' : ':';
  const lines = [`wiredis is behind Linux in ${behind} of ${measured} comparisons${within}${rest}`];
  clear.sort((a, b) => a.ratio - b.ratio);
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
    'uses cubic over afpacket. Segmentation offload is off on every link. Figures are medians of the rounds, x is the ratio to Linux to',
    'Linux in the same row, with its 95 % confidence interval by the differences between rounds (Student).',
    '',
    table(results),
    '',
    '## Where we lose',
    '',
    shortfalls(results),
    '',
  ].join('\n');
}
