// What COMMAND tells beyond a command's row, read from the generated file when first asked for, and where the keys of
// a request are, by key specifications.
import type { Call } from '../core/call.ts';
import { ARGUMENTS_JSON, DETAILS_JSON } from './command-metadata.ts';

export interface KeySpec {
  readonly flags: readonly string[];
  readonly notes?: string;
  readonly begin_search: {
    readonly type: string;
    readonly spec: { readonly index?: number; readonly keyword?: string; readonly startfrom?: number };
  };
  readonly find_keys: {
    readonly type: string;
    readonly spec: {
      readonly lastkey?: number;
      readonly keystep?: number;
      readonly limit?: number;
      readonly keynumidx?: number;
      readonly firstkey?: number;
    };
  };
}

export interface CommandDetails {
  readonly categories: readonly string[];
  readonly tips: readonly string[];
  readonly keySpecs: readonly KeySpec[];
}

export interface CommandArgument {
  readonly name: string;
  readonly type: string;
  readonly flags?: readonly string[];
  readonly key_spec_index?: number;
  readonly token?: string;
  readonly since?: string;
  readonly deprecated_since?: string;
  readonly arguments?: readonly CommandArgument[];
}

type Row = readonly [categories: string[], tips: string[], keySpecs: KeySpec[]];
let rows: Readonly<Record<string, Row>> | null = null;
let syntax: Readonly<Record<string, readonly CommandArgument[]>> | null = null;
const NO_DETAILS: CommandDetails = { categories: [], tips: [], keySpecs: [] };

export function commandDetails(name: string): CommandDetails {
  rows ??= JSON.parse(DETAILS_JSON) as Record<string, Row>;
  const row = rows[name];
  return row === undefined ? NO_DETAILS : { categories: row[0], tips: row[1], keySpecs: row[2] };
}

export function commandArguments(name: string): readonly CommandArgument[] {
  syntax ??= JSON.parse(ARGUMENTS_JSON) as Record<string, readonly CommandArgument[]>;
  return syntax[name] ?? [];
}

export interface KeyPosition {
  /** Index among the words. */
  readonly position: number;
  readonly flags: readonly string[];
}

/**
 * Keys among the call's words `first` .. `argc - 1`, the command's name being word `first`.
 * @returns null when the words do not fit the specification.
 */
export function findKeys(call: Call, first: number, specs: readonly KeySpec[]): KeyPosition[] | null {
  const count = call.argc - first;
  const found: KeyPosition[] = [];
  for (const spec of specs) {
    const start = beginning(call, first, count, spec);
    if (start < 0) continue;
    const range = keyRange(call, first, count, start, spec);
    if (range === null) return null;
    for (let position = range.from; position <= range.to; position += range.step) {
      if (position >= count) return null;
      found.push({ position: first + position, flags: keyFlags(call, first, spec) });
    }
  }
  return found;
}

/** Words of a call that are keys. */
export function keyWords(call: Call): number[] {
  const keys = keysBeyondSpecs(call, 0) ?? findKeys(call, 0, commandDetails(call.spec.name).keySpecs) ?? [];
  return keys.map(({ position }) => position);
}

/**
 * Keys of SORT and MIGRATE, whose specifications are incomplete: what STORE or KEYS names has to be looked for.
 * @returns null for other commands.
 */
export function keysBeyondSpecs(call: Call, first: number): KeyPosition[] | null {
  if (call.is(first, 'sort')) return keysOfSort(call, first);
  return call.is(first, 'migrate') ? keysOfMigrate(call, first) : null;
}

function keysOfSort(call: Call, first: number): KeyPosition[] {
  const keys: KeyPosition[] = [{ position: first + 1, flags: ['RO', 'access'] }];
  let stored = 0;
  for (let i = first + 2; i < call.argc; i++) {
    if (call.is(i, 'limit')) i += 2;
    else if (call.is(i, 'get') || call.is(i, 'by')) i++;
    else if (call.is(i, 'store') && i + 1 < call.argc) stored = ++i;
  }
  if (stored > 0) keys.push({ position: stored, flags: ['OW', 'update'] });
  return keys;
}

function keysOfMigrate(call: Call, first: number): KeyPosition[] {
  const flags = ['RW', 'access', 'delete'];
  for (let i = first + 6; i < call.argc; i++) {
    if (!call.is(i, 'keys') || call.lengths[first + 3] > 0) continue;
    return Array.from({ length: call.argc - i - 1 }, (_, k) => ({ position: i + 1 + k, flags }));
  }
  return [{ position: first + 3, flags }];
}

/** What happens to the key; of SET and BITFIELD the other words decide. */
function keyFlags(call: Call, first: number, spec: KeySpec): readonly string[] {
  if (!spec.flags.includes('variable_flags')) return spec.flags;
  const has = (...words: string[]): boolean => {
    for (let i = first + 2; i < call.argc; i++) if (words.some((word) => call.is(i, word))) return true;
    return false;
  };
  if (call.is(first, 'set')) return has('get') ? ['RW', 'access', 'update'] : ['OW', 'update'];
  return has('set', 'incrby') ? ['RW', 'access', 'update'] : ['RO', 'access'];
}

/** Word, counted from the command's name, at which the search begins; -1: these keys are absent. */
function beginning(call: Call, first: number, count: number, spec: KeySpec): number {
  const { type, spec: begin } = spec.begin_search;
  if (type === 'index') return begin.index ?? -1;
  if (type !== 'keyword') return -1;
  const keyword = (begin.keyword ?? '').toLowerCase();
  const startFrom = begin.startfrom ?? 1;
  const step = startFrom > 0 ? 1 : -1;
  const from = startFrom > 0 ? startFrom : count + startFrom;
  for (let i = from; i >= 1 && i < count; i += step) if (call.is(first + i, keyword)) return i + 1;
  return -1;
}

function keyRange(
  call: Call,
  first: number,
  count: number,
  start: number,
  spec: KeySpec,
): { from: number; to: number; step: number } | null {
  const { type, spec: find } = spec.find_keys;
  const step = find.keystep ?? 1;
  if (type === 'range') {
    const last = find.lastkey ?? 0;
    if (last >= 0) return { from: start, to: start + last, step };
    const limit = find.limit ?? 0;
    const to = limit <= 1 ? count + last : start + Math.floor((count - start) / limit) + last;
    return { from: start, to, step };
  }
  if (type !== 'keynum') return null;
  const at = start + (find.keynumidx ?? 0);
  if (at >= count) return null;
  const keys = Number(call.latin1(first + at));
  if (!Number.isInteger(keys) || keys < 0) return null;
  const from = start + (find.firstkey ?? 1);
  return { from, to: from + (keys - 1) * step, step };
}
