// Keys as commands meet them: word `i` of the call looked up with the type checked, and the one place that tells the
// rest of the server that a key changed. Commands import it.
import type { Collection } from '../data/collection.ts';
import { TYPE_STRING } from '../data/value-type.ts';
import type { Call } from './call.ts';
import { WRONG_TYPE } from './errors.ts';
import { NOTIFY_GENERIC } from './notify-flags.ts';

/** The key exists and is not a string; the error reply is written. */
export const WRONG = -1;

/** @returns the string's entry, 0 when the key is missing, WRONG when it is no string. Counts a hit or miss. */
export function readString(call: Call, i: number): number {
  const entry = call.db.findForRead(call.bytes, call.offsets[i], call.lengths[i]);
  return entry === 0 || call.db.typeOf(entry) === TYPE_STRING ? entry : wrongType(call);
}

/** As `readString`, for a command that writes. */
export function writeString(call: Call, i: number): number {
  const entry = call.db.find(call.bytes, call.offsets[i], call.lengths[i]);
  return entry === 0 || call.db.typeOf(entry) === TYPE_STRING ? entry : wrongType(call);
}

function wrongType(call: Call): number {
  call.reply.error(WRONG_TYPE);
  return WRONG;
}

/** @returns the collection, null when the key is missing, undefined when WRONGTYPE was replied. Counts a hit or miss. */
export function readCollection<T extends Collection>(call: Call, i: number, type: number): T | null | undefined {
  const { db } = call;
  const entry = db.findForRead(call.bytes, call.offsets[i], call.lengths[i]);
  if (entry === 0) return null;
  return typed<T>(call, entry, type);
}

/**
 * As `readCollection`, of a command that looks keys up as a reader does and yet changes what it finds: XACK and others.
 */
export function readToChange<T extends Collection>(call: Call, i: number, type: number): T | null | undefined {
  return toChange(call, call.db.findForRead(call.bytes, call.offsets[i], call.lengths[i]), type);
}

/** As `readToChange`, of an entry found before. */
export function toChange<T extends Collection>(call: Call, entry: number, type: number): T | null | undefined {
  const { db } = call;
  if (entry === 0) return null;
  if (db.keyspace.snapshot !== null) db.beforeChange(entry);
  return typed<T>(call, entry, type);
}

/**
 * As `readCollection`, for a command that writes.
 * @param create makes the collection of a missing key, which is added at once; null: a missing key stays missing.
 */
export function writeCollection<T extends Collection>(
  call: Call,
  i: number,
  type: number,
  create: (call: Call) => T,
): T | undefined;
export function writeCollection<T extends Collection>(
  call: Call,
  i: number,
  type: number,
  create: ((call: Call) => T) | null,
): T | null | undefined;
export function writeCollection<T extends Collection>(
  call: Call,
  i: number,
  type: number,
  create: ((call: Call) => T) | null,
): T | null | undefined {
  const { db } = call;
  const entry = db.find(call.bytes, call.offsets[i], call.lengths[i]);
  if (entry !== 0) return typed<T>(call, entry, type);
  if (create === null) return null;
  const collection = create(call);
  db.addCollection(call.bytes, call.offsets[i], call.lengths[i], collection);
  return collection;
}

function typed<T extends Collection>(call: Call, entry: number, type: number): T | undefined {
  if (call.db.typeOf(entry) === type) return call.db.collectionOf(entry) as T;
  call.reply.error(WRONG_TYPE);
  return undefined;
}

/** The key of word `i` was changed: watchers, tracking, notifications, and one more change since the last save. */
export function keyModified(call: Call, i: number, notifyClass: number, event: string): void {
  const { db } = call;
  const offset = call.offsets[i];
  const length = call.lengths[i];
  db.keyspace.hooks.keyModified(db, call.bytes, offset, length);
  db.keyspace.event(notifyClass, event, db, call.bytes, offset, length);
  call.server.dirty++;
}

/** Deletes the key of word `i` when its collection is empty. @returns whether it did. */
export function removeIfEmpty(call: Call, i: number, collection: Collection): boolean {
  if (collection.length > 0) return false;
  const { db } = call;
  const offset = call.offsets[i];
  const length = call.lengths[i];
  db.delete(call.bytes, offset, length);
  db.keyspace.event(NOTIFY_GENERIC, 'del', db, call.bytes, offset, length);
  return true;
}
