import { expect, test } from 'vitest';
import { CommandTable } from '../core/command-table.ts';
import { LatencyHistogram } from '../core/latency-histogram.ts';
import { commandDetails } from './command-details.ts';
import { commandTable } from './table.ts';

test('every command is found by its bytes in any case, and nothing else is', () => {
  const table = new CommandTable(commandTable);
  expect(table.all.length).toBe(commandTable.length);
  for (const { name } of commandTable) {
    const mixed = [...name].map((char, i) => (i % 2 === 0 ? char.toUpperCase() : char)).join('');
    const bytes = new Uint8Array(Buffer.from(`xx${mixed}yy`));
    expect(table.find(bytes, 2, name.length)?.spec.name).toBe(name);
    expect(table.find(bytes, 1, name.length)).toBe(null);
  }
  // Folding the case must not take other characters for letters: '\x07' is 'g' without the bits that differ in case.
  expect(table.named('\x07et')).toBe(null);
});

test('names are unique, each row has a function or subcommands, and metadata exists', () => {
  const names = commandTable.flatMap((row) => [row.name, ...(row.subcommands ?? []).map((sub) => sub.name)]);
  expect(new Set(names).size).toBe(names.length);
  for (const row of commandTable) {
    expect(row.run !== undefined || (row.subcommands ?? []).length > 0).toBe(true);
    expect(commandDetails(row.name).categories.length, row.name).toBeGreaterThan(0);
    for (const sub of row.subcommands ?? []) {
      expect(sub.name.startsWith(`${row.name}|`)).toBe(true);
      expect(commandDetails(sub.name).categories.length, sub.name).toBeGreaterThan(0);
    }
  }
});

test('rename-command renames, removes and refuses', () => {
  const table = new CommandTable(commandTable);
  expect(table.rename('get', 'fetch')).toBe(null);
  expect(table.named('get')).toBe(null);
  expect(table.named('FETCH')?.spec.name).toBe('get');
  expect(table.rename('set', '')).toBe(null);
  expect(table.named('set')).toBe(null);
  expect(table.rename('nope', 'x')).toBe('No such command in rename-command');
  expect(table.rename('ping', 'echo')).toBe('Target command name already exists');
});

test('percentiles are within an eighth of the truth', () => {
  const histogram = new LatencyHistogram();
  for (let value = 1; value <= 10_000; value++) histogram.record(value, 1);
  for (const percent of [1, 50, 99, 99.9, 100]) {
    const truth = percent * 100;
    expect(histogram.percentile(percent)).toBeGreaterThanOrEqual(truth);
    expect(histogram.percentile(percent)).toBeLessThanOrEqual(truth * 1.126 + 1);
  }
  expect(histogram.total).toBe(10_000);
  expect(new LatencyHistogram().percentile(50)).toBe(0);
});
