// Which words of a command are keys, and what happens to them there: Redis's key specifications, and the few commands
// whose specifications do not tell all. For COMMAND GETKEYS, access rules, tracking and scripts; anyone above core/
// may import it.
import type { ArgVector } from './nested-call.ts';

/** One rule about where keys are, as COMMAND INFO prints it. */
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

export interface KeyPosition {
  /** Index among the words. */
  readonly position: number;
  /** Redis's names: `RO`, `RW`, `OW`, `RM`, `access`, `update`, `insert`, `delete`. */
  readonly flags: readonly string[];
}

/** What a command does with the value of a key: bits, which may be none (EXISTS). */
export const KEY_READ = 1;
export const KEY_WRITE = 2;

export function keyAccess(flags: readonly string[]): number {
  let access = 0;
  for (const flag of flags) {
    if (flag === 'access') access |= KEY_READ;
    else if (flag === 'update' || flag === 'insert' || flag === 'delete') access |= KEY_WRITE;
  }
  return access;
}

/** Whether any of these says where keys are; of a sharded channel they only say in which slot it lies. */
export function hasKeys(specs: readonly KeySpec[]): boolean {
  return specs.some(isAboutKeys);
}

function isAboutKeys(spec: KeySpec): boolean {
  return !spec.flags.includes('not_key');
}

/**
 * Keys among the words `first` .. `argc - 1`, the command's name being word `first`.
 * @param name the command's, lower case.
 * @returns none when the words do not fit: what is wrong with them is for the command to say.
 */
export function findKeys(words: ArgVector, name: string, specs: readonly KeySpec[], first = 0): KeyPosition[] {
  return keysBySpecs(words, name, specs, first) ?? keysBeyondSpecs(words, name, specs, first);
}

/** @returns null when the specifications do not tell all, or the words do not fit. */
function keysBySpecs(words: ArgVector, name: string, specs: readonly KeySpec[], first: number): KeyPosition[] | null {
  const count = words.argc - first;
  const found: KeyPosition[] = [];
  for (const spec of specs) {
    if (!isAboutKeys(spec)) continue;
    if (spec.begin_search.type === 'unknown') return null;
    const start = beginning(words, first, count, spec);
    if (start < 0) continue;
    const range = keyRange(words, first, count, start, spec);
    if (range === null || range.to < range.from || range.to >= count) return null;
    if (spec.flags.includes('incomplete')) return null;
    const flags = keyFlags(words, first, name, spec);
    for (let position = range.from; position <= range.to; position += range.step) {
      found.push({ position: first + position, flags });
    }
  }
  return found;
}

/** Commands whose keys have to be looked for in their own way. */
function keysBeyondSpecs(words: ArgVector, name: string, specs: readonly KeySpec[], first: number): KeyPosition[] {
  if (name === 'sort') return keysOfSort(words, first);
  if (name === 'sort_ro') return [{ position: first + 1, flags: READ }];
  if (name === 'migrate') return keysOfMigrate(words, first);
  const counted = specs.find(({ find_keys: { type } }) => type === 'keynum');
  return counted === undefined ? [] : keysByLooseCount(words, first, specs, counted);
}

/**
 * Where the number of keys is none by Redis's own rules, it is read once more as C's atoi does, and nothing is said about what
 * happens to the keys. The command itself refuses such a number.
 */
function keysByLooseCount(words: ArgVector, first: number, specs: readonly KeySpec[], counted: KeySpec): KeyPosition[] {
  const { keynumidx = 0, firstkey = 1 } = counted.find_keys.spec;
  const start = first + (counted.begin_search.spec.index ?? 1);
  const count = Number(/^\s*([+-]?\d+)/.exec(latin1(words, start + keynumidx))?.[1] ?? 0);
  if (count < 1 || count > words.argc - start - firstkey) return [];
  const keys = Array.from({ length: count }, (_, i) => ({ position: start + firstkey + i, flags: [] }));
  const stored = specs.find(({ find_keys: { type } }) => type === 'range');
  return stored === undefined
    ? keys
    : [...keys, { position: first + (stored.begin_search.spec.index ?? 1), flags: [] }];
}

const READ = ['RO', 'access'];
const OVERWRITE = ['OW', 'update'];
const CHANGE = ['RW', 'access', 'update'];

/** The last STORE counts. */
function keysOfSort(words: ArgVector, first: number): KeyPosition[] {
  const keys: KeyPosition[] = [{ position: first + 1, flags: READ }];
  let stored = 0;
  for (let i = first + 2; i < words.argc; i++) {
    if (is(words, i, 'limit')) i += 2;
    else if (is(words, i, 'get') || is(words, i, 'by')) i++;
    else if (is(words, i, 'store') && i + 1 < words.argc) stored = i + 1;
  }
  if (stored > 0) keys.push({ position: stored, flags: OVERWRITE });
  return keys;
}

/** One key in its place, or an empty word there and keys behind KEYS; both is an error, and names no key. */
function keysOfMigrate(words: ArgVector, first: number): KeyPosition[] {
  const flags = ['RW', 'access', 'delete'];
  for (let i = first + 6; i < words.argc; i++) {
    if (is(words, i, 'auth')) i++;
    else if (is(words, i, 'auth2')) i += 2;
    else if (is(words, i, 'keys')) {
      const count = words.lengths[first + 3] > 0 ? 0 : words.argc - i - 1;
      return Array.from({ length: count }, (_, k) => ({ position: i + 1 + k, flags }));
    }
  }
  return [{ position: first + 3, flags }];
}

/** What happens to the key; of SET and BITFIELD the other words decide. */
function keyFlags(words: ArgVector, first: number, name: string, spec: KeySpec): readonly string[] {
  if (!spec.flags.includes('variable_flags')) return spec.flags;
  if (name === 'set') return has(words, first + 3, 'get') ? CHANGE : OVERWRITE;
  return name === 'bitfield' && onlyReads(words, first) ? READ : CHANGE;
}

/** Whether every operation of BITFIELD is GET; words that do not fit might be anything. */
function onlyReads(words: ArgVector, first: number): boolean {
  let i = first + 2;
  while (i < words.argc) {
    const rest = words.argc - i - 1;
    if (is(words, i, 'get') && rest >= 2) i += 3;
    else if (is(words, i, 'overflow') && rest >= 1) i += 2;
    else return false;
  }
  return true;
}

function has(words: ArgVector, from: number, option: string): boolean {
  for (let i = from; i < words.argc; i++) if (is(words, i, option)) return true;
  return false;
}

/** Word, counted from the command's name, at which the search begins; -1: these keys are absent. */
function beginning(words: ArgVector, first: number, count: number, spec: KeySpec): number {
  const { type, spec: begin } = spec.begin_search;
  if (type === 'index') return begin.index ?? -1;
  if (type !== 'keyword') return -1;
  const keyword = (begin.keyword ?? '').toLowerCase();
  const startFrom = begin.startfrom ?? 1;
  const from = startFrom > 0 ? startFrom : count + startFrom;
  // Where the search ends the keyword would have no key behind it, or be the command's first word.
  const end = startFrom > 0 ? count - 1 : 1;
  const step = from <= end ? 1 : -1;
  for (let i = from; i !== end && i >= 1 && i < count; i += step) if (is(words, first + i, keyword)) return i + 1;
  return -1;
}

function keyRange(
  words: ArgVector,
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
  const number = latin1(words, first + at);
  if (!/^(0|[1-9]\d{0,8})$/.test(number)) return null;
  const keys = Number(number);
  const from = start + (find.firstkey ?? 1);
  return { from, to: from + (keys - 1) * step, step };
}

function latin1({ bytes, lengths, offsets }: ArgVector, i: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + offsets[i], lengths[i]).toString('latin1');
}

/** Whether word `i` is `lowerCase`, in any case. */
function is(words: ArgVector, i: number, lowerCase: string): boolean {
  return words.lengths[i] === lowerCase.length && latin1(words, i).toLowerCase() === lowerCase;
}
