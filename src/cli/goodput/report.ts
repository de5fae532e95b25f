// The table of a goodput run as Markdown. Used by tool.ts; pure.
import type { Cell, Flow } from './lab.ts';

export interface CellResult {
  readonly cell: Cell;
  /** At a time. */
  readonly connections: number;
  /** Median bits a second by flow; a flow that was not measured is missing. */
  readonly rates: ReadonlyMap<Flow, number>;
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

/** The whole document. @param command what was run, as one would type it. */
export function documentText(command: string, machine: string, facts: string, results: readonly CellResult[]): string {
  return [
    '# TCP goodput beside Linux',
    '',
    `Megabits a second of one bulk transfer. Made by \`${command}\` on ${machine}.`,
    '',
    `Both stacks send through the same bridge (\`wiredis impair\`) in the same run, alternating; ${facts}`,
    'Linux uses cubic, in the last column bbr; wiredis uses cubic over afpacket. Segmentation offload is off on every link.',
    'x is the ratio to Linux to Linux in the same row.',
    '',
    table(results),
    '',
  ].join('\n');
}
