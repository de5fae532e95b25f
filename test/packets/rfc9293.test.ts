// The table of RFC 9293's requirements names files that exist, and leaves no requirement out.
import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const root = new URL('../../', import.meta.url).pathname;
const rows = readFileSync(`${root}test/stack/rfc9293.md`, 'utf8')
  .split('\n')
  .filter((line) => /^\| (MUST|SHLD|MAY|REC)-/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()));

it('names a file that exists, or says why there is none', () => {
  for (const [, number, section, requirement, shown] of rows) {
    expect(section, number).toMatch(/^3\.\d/);
    expect(requirement.length, number).toBeGreaterThan(2);
    const files = shown.match(/`test\/[^`]+`/g) ?? [];
    if (files.length === 0) expect(shown, number).toMatch(/^not (applicable|shown yet): .{8}/);
    for (const file of files) expect(existsSync(root + file.replaceAll('`', '')), `${number}: ${file}`).toBe(true);
  }
});

it('has every number once', () => {
  const numbers = rows.map(([, number]) => number);
  expect(new Set(numbers).size).toBe(numbers.length);
  const counts = { MUST: 69, SHLD: 31, MAY: 18 };
  const wanted = Object.entries(counts).flatMap(([kind, count]) =>
    Array.from({ length: count }, (_, i) => `${kind}-${i + 1}`),
  );
  expect(wanted.filter((number) => !numbers.includes(number))).toEqual([]);
});
