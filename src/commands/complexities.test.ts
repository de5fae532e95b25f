import { describe, expect, it } from 'vitest';
import { complexityOf } from './complexities.ts';
import { commandTable } from './table.ts';

/** Redis tells none of these. */
const WITHOUT = ['debug', 'lolwut', 'monitor', 'pfdebug', 'pfselftest', 'psync', 'sync'];
const OWN = /^(wiredis|wdnet)/;

describe('complexities', () => {
  it('are told of every command but a few', () => {
    const names = commandTable.flatMap(({ name, subcommands }) => [
      name,
      ...(subcommands ?? []).map((sub) => sub.name),
    ]);
    const without = names.filter((name) => complexityOf(name) === undefined && !OWN.test(name));
    expect(without.sort()).toEqual(WITHOUT);
  });
});
