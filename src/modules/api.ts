// What modules are written with, published as `wiredis/module`: types, readers and writers of values, kinds of settings,
// and places on Earth. It keeps no state, so that a module may bring a copy of its own. docs/modules.md is the guide.
import type { Call } from '../core/call.ts';
import { bool, type Directive, number, text } from '../core/directive.ts';
import {
  keyModified as modified,
  readCollection,
  readString,
  removeIfEmpty,
  WRONG,
  writeCollection,
} from '../core/lookup.ts';
import { Hash } from '../data/hash.ts';
import { List } from '../data/list.ts';
import { SetValue } from '../data/set.ts';
import { formatPackedScore, SortedSet } from '../data/sorted-set.ts';
import { TYPE_HASH, TYPE_LIST, TYPE_SET, TYPE_ZSET } from '../data/value-type.ts';
import type { ModuleDefinition } from './definition.ts';

export { Call } from '../core/call.ts';
export type { CommandFlag, CommandGroup, CommandSpec } from '../core/command.ts';
export type { Database } from '../core/database.ts';
export type { Directive as Setting } from '../core/directive.ts';
export { DirectiveError as SettingError } from '../core/directive.ts';
export { NOT_A_FLOAT, NOT_AN_INTEGER, SYNTAX, WRONG_TYPE } from '../core/errors.ts';
export type { VictimStore } from '../core/keyspace.ts';
export type { MemoryPool } from '../core/memory-pools.ts';
export { Element } from '../data/element.ts';
export * as geo from '../data/geo.ts';
export { formatDouble, parseDouble } from '../data/number-format.ts';
export { ScoreRange } from '../data/ranges.ts';
export type { ReplyWriter } from '../resp/reply-writer.ts';
export type { Timer, Waiting, WaitOptions, Word } from './context.ts';
export { ModuleContext } from './context.ts';
export { API_VERSION, type ModuleCommand, type ModuleDefinition } from './definition.ts';
export { CommandError, type ReplyValue } from './reply-value.ts';
export { Hash, List, SetValue, SortedSet };

/** The definition as it is; for the types' sake. */
export function defineModule<T extends ModuleDefinition>(definition: T): T {
  return definition;
}

/** Classes of keyspace events, as `notify-keyspace-events` has them. */
export {
  NOTIFY_GENERIC,
  NOTIFY_HASH,
  NOTIFY_LIST,
  NOTIFY_MODULE,
  NOTIFY_SET,
  NOTIFY_STRING,
  NOTIFY_ZSET,
} from '../core/notify-flags.ts';

// --- values ---
// Each looks up the key of word `i`. null: the key is missing; undefined: it holds another type, and WRONGTYPE was
// replied. A value is to be used during the call only.

/** A string, where it lies. */
export function stringAt(call: Call, i: number): Uint8Array | null | undefined {
  const entry = readString(call, i);
  if (entry === WRONG) return undefined;
  if (entry === 0) return null;
  const { db } = call;
  const start = db.valueOffset(entry);
  return db.bytesOf(entry).subarray(start, start + db.valueLength(entry));
}

/** Makes the key hold a string, whatever it held. Tell of it with `changed`. */
export function setString(call: Call, i: number, value: Uint8Array): void {
  call.db.setString(call.bytes, call.offsets[i], call.lengths[i], value, 0, value.length);
}

export function hashAt(call: Call, i: number): Hash | null | undefined {
  return readCollection<Hash>(call, i, TYPE_HASH);
}

export function listAt(call: Call, i: number): List | null | undefined {
  return readCollection<List>(call, i, TYPE_LIST);
}

export function setAt(call: Call, i: number): SetValue | null | undefined {
  return readCollection<SetValue>(call, i, TYPE_SET);
}

export function sortedSetAt(call: Call, i: number): SortedSet | null | undefined {
  return readCollection<SortedSet>(call, i, TYPE_ZSET);
}

/** The hash for a command that writes; a missing key gets an empty one, which must not stay empty. */
export function hashToWrite(call: Call, i: number): Hash | undefined {
  return writeCollection(call, i, TYPE_HASH, () => new Hash(call.server.arena));
}

/** The sorted set for a command that writes; a missing key gets an empty one, which must not stay empty. */
export function sortedSetToWrite(call: Call, i: number): SortedSet | undefined {
  return writeCollection(call, i, TYPE_ZSET, () => new SortedSet(call.server.arena));
}

/** Sets a field, and the hash's encoding as the configuration has it. @returns whether the field is new. */
export function setField(call: Call, hash: Hash, field: Uint8Array, value: Uint8Array): boolean {
  const { hashMaxListpackEntries, hashMaxListpackValue } = call.server.config;
  if (hash.isPacked && Math.max(field.length, value.length) > hashMaxListpackValue) hash.toTable();
  const isNew = hash.set(field, 0, field.length, value, 0, value.length);
  if (isNew && hash.isPacked && hash.length > hashMaxListpackEntries) hash.toTable();
  return isNew;
}

/** Adds a member or gives it another score, and sets the encoding as the configuration has it. @returns whether it is new. */
export function setScore(call: Call, zset: SortedSet, member: Uint8Array, score: number): boolean {
  const entry = zset.find(member, 0, member.length);
  if (entry !== 0) {
    if (zset.entryScore(entry) !== score) zset.setScore(entry, score);
    return false;
  }
  const { zsetMaxListpackEntries, zsetMaxListpackValue } = call.server.config;
  const tooLong = Math.max(member.length, formatPackedScore(score).length) > zsetMaxListpackValue;
  if (zset.isPacked && (tooLong || zset.length >= zsetMaxListpackEntries)) zset.toSkiplist();
  zset.insert(member, 0, member.length, score);
  return true;
}

/** The key of word `i` was changed: WATCH, client tracking, notifications and persistence hear of it. */
export function changed(call: Call, i: number, notifyClass: number, event: string): void {
  modified(call, i, notifyClass, event);
}

/** Deletes the key of word `i` if nothing is left in its value. @returns whether it did. */
export const dropIfEmpty = removeIfEmpty;

// --- settings ---

/** A size in bytes: `100`, `1mb`. */
export function memorySetting(fallback: number, min = 0, max: number = Number.MAX_SAFE_INTEGER): Directive<number> {
  return number(fallback, min, max, { as: 'memory' });
}

export function numberSetting(fallback: number, min: number, max: number): Directive<number> {
  return number(fallback, min, max);
}

/** `yes` or `no`. */
export function boolSetting(fallback: boolean): Directive<boolean> {
  return bool(fallback);
}

/** @param check what is wrong with a value, or null. */
export function textSetting(fallback: string, check?: (value: string) => string | null): Directive<string> {
  return check === undefined ? text(fallback) : text(fallback, { check });
}
