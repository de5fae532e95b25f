// Bars for the results, as one HTML file that needs nothing else: a group a test, a bar a path, the ratio to
// redis-server beside it.
import { type Columns, type Results, times, valueText } from './report.ts';
import { QUANTITIES, type Quantity, type Row } from './sample.ts';

const ROW = 22;
const LABEL_WIDTH = 120;
const BAR_WIDTH = 460;
const WIDTH = LABEL_WIDTH + BAR_WIDTH + 150;
const COLOURS = ['#8a8f98', '#d9822b', '#2b7bb9', '#3c9d6b', '#8f5fb0', '#b8557a', '#5b6b8c'];

export function page(scenarios: readonly Columns[], results: Results): string {
  const facts = Object.entries(results.machine).map(([name, value]) => `${name} ${value}`);
  const charts = scenarios.flatMap((scenario) => {
    const rows = results.rows.filter((row) => row.scenario === scenario.name);
    const [main] = scenario.columns;
    const shown = scenario.columns.includes('serverUs') && main !== 'serverUs' ? [main, 'serverUs' as const] : [main];
    return rows.length === 0
      ? []
      : [`<h2>${escapeHtml(scenario.summary)}</h2>`, ...shown.map((quantity) => bars(rows, quantity))];
  });
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>wiredis bench ${escapeHtml(results.when)}</title>
<style>body{font:14px system-ui,sans-serif;margin:2em auto;max-width:${WIDTH}px;color:#222}h2{font-size:16px;margin-top:2em}
svg{display:block;margin:.5em 0}text{font:12px system-ui,sans-serif}</style>
<h1>wiredis ${escapeHtml(results.command)}</h1>
<p>${escapeHtml(results.when)}. ${escapeHtml(facts.join(', '))}</p>
${charts.join('\n')}
</html>
`;
}

/** A chart of one quantity. */
function bars(rows: readonly Row[], quantity: Quantity): string {
  const paths = [...new Set(rows.map(({ path }) => path))];
  const groups = [...new Set(rows.map(groupOf))];
  const parts: string[] = [];
  let y = 24;
  for (const group of groups) {
    const own = rows.filter((row) => groupOf(row) === group && row.values[quantity] !== undefined);
    if (own.length === 0) continue;
    // Each group has its own scale: pipelined rates would flatten the others.
    const largest = Math.max(...own.map((row) => row.values[quantity] ?? 0), Number.MIN_VALUE);
    parts.push(`<text x="0" y="${y + 12}" font-weight="bold">${escapeHtml(group)}</text>`);
    y += ROW;
    for (const row of own) {
      const width = Math.max(1, ((row.values[quantity] ?? 0) / largest) * BAR_WIDTH);
      const colour = COLOURS[paths.indexOf(row.path) % COLOURS.length];
      const ratio = row.ratios[quantity] === undefined ? '' : ` (${times(row.ratios[quantity])})`;
      parts.push(
        `<text x="${LABEL_WIDTH - 8}" y="${y + 13}" text-anchor="end">${escapeHtml(row.path)}</text>`,
        `<rect x="${LABEL_WIDTH}" y="${y + 2}" width="${width.toFixed(1)}" height="${ROW - 6}" fill="${colour}"/>`,
        `<text x="${(LABEL_WIDTH + width + 6).toFixed(1)}" y="${y + 13}">${valueText(row.values, quantity)}${ratio}</text>`,
      );
      y += ROW;
    }
    y += 8;
  }
  const { title, better } = QUANTITIES[quantity];
  const heading = `<text x="0" y="14" fill="#666">${escapeHtml(title)}, ${better} is better</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" role="img">${heading}${parts.join('')}</svg>`;
}

function groupOf({ test, pipeline }: Row): string {
  return pipeline === 1 ? test : `${test}, P=${pipeline}`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
