// Text tables for a terminal: columns as wide as they need, numbers to the right. For the tools that print lists.

export type Cell = string | number;

/** Lines without a newline; the first is the heading. */
export function tableLines(heading: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  const isNumber = heading.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'));
  const all = [heading, ...rows.map((row) => row.map(String))];
  const widths = heading.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  return all.map((row) =>
    row
      .map((cell, column) => (isNumber[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join('  ')
      .trimEnd(),
  );
}

/** 1536 -> 1.5K. */
export function shortBytes(bytes: number): string {
  let value = bytes;
  for (const unit of ['', 'K', 'M', 'G']) {
    if (value < 1024 || unit === 'G')
      return unit === '' ? String(value) : `${value < 10 ? value.toFixed(1) : Math.round(value)}${unit}`;
    value /= 1024;
  }
  return String(bytes);
}

/** 82100 -> 82.1k. */
export function shortCount(count: number): string {
  if (count < 1000) return String(Math.round(count));
  if (count < 1_000_000) return `${(count / 1000).toPrecision(3)}k`;
  return `${(count / 1_000_000).toPrecision(3)}M`;
}

/** 1530 -> 1.53ms. */
export function shortMicroseconds(us: number): string {
  if (us <= 0) return '-';
  if (us < 1000) return `${Math.round(us)}us`;
  if (us < 1_000_000) return `${(us / 1000).toPrecision(3)}ms`;
  return `${(us / 1_000_000).toPrecision(3)}s`;
}
