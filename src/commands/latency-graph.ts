// The picture LATENCY GRAPH draws: a bar a sample, four rows high, its age written downwards below. For latency.ts.
import type { LatencySample, LatencySeries } from '../core/latency-events.ts';

const COLUMNS = 80;
const ROWS = 4;
/** A bar ends in one of these, by how far it reaches into its row. */
const TIPS = '_o#';
const STEPS = TIPS.length * ROWS;

/** How long ago in the largest unit that fits. */
function age(seconds: number): string {
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

/** What a bar of `step` shows in a row, the highest being 0. */
function barAt(step: number, row: number): string {
  const above = step - (ROWS - row - 1) * TIPS.length;
  if (above < 0) return ' ';
  return above < TIPS.length ? TIPS[above] : '|';
}

function block(samples: readonly LatencySample[], low: number, high: number, now: number): string {
  const span = Math.max(high - low, 1);
  const steps = samples.map(({ latency }) => Math.min(Math.floor(((latency - low) * STEPS) / span), STEPS - 1));
  const labels = samples.map(({ time }) => age(now - time));
  const lines: string[] = [];
  for (let row = 0; row < ROWS; row++) lines.push(steps.map((step) => barAt(step, row)).join(''));
  lines.push(' '.repeat(samples.length));
  const longest = Math.max(...labels.map((label) => label.length));
  for (let i = 0; i < longest; i++) lines.push(labels.map((label) => label[i] ?? ' ').join(''));
  return `${lines.join('\n')}\n`;
}

/** @param now Unix time, seconds. */
export function latencyGraph(event: string, series: LatencySeries, now: number): string {
  const { max, samples } = series;
  const latencies = samples.map(({ latency }) => latency);
  const high = Math.max(...latencies);
  const low = Math.min(...latencies);
  const head = `${event} - high ${high} ms, low ${low} ms (all time high ${max} ms)\n${'-'.repeat(COLUMNS)}\n`;
  const blocks: string[] = [];
  for (let at = 0; at < samples.length; at += COLUMNS)
    blocks.push(block(samples.slice(at, at + COLUMNS), low, high, now));
  return head + blocks.join('\n');
}
