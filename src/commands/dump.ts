// DUMP and RESTORE: one value in RDB's form with version and checksum behind it, exactly Redis's payload. generic.ts
// lists them.
import type { Call } from '../core/call.ts';
import type { Database } from '../core/database.ts';
import { keyModified } from '../core/lookup.ts';
import { NOTIFY_GENERIC } from '../core/notify-flags.ts';
import type { Collection } from '../data/collection.ts';
import { Element } from '../data/element.ts';
import { Crc64 } from '../persistence/crc64.ts';
import { CHECKSUM_BYTES, RDB_STRING, RDB_VERSION, RdbError } from '../persistence/rdb-format.ts';
import { RdbInput } from '../persistence/rdb-input.ts';
import { RdbOutput } from '../persistence/rdb-output.ts';
import { isVoid, readCollection } from '../persistence/rdb-value-reader.ts';
import { rdbTypeOf, writeValue } from '../persistence/rdb-value-writer.ts';
import { alreadyExpired } from './expiry-words.ts';
import { propagateDeletion } from './key-deletion.ts';

export const TRAILER_BYTES = 2 + CHECKSUM_BYTES;

export function dump(call: Call): void {
  const { db } = call;
  const entry = db.findForRead(call.bytes, call.offsets[1], call.lengths[1]);
  if (entry === 0) {
    call.reply.null();
    return;
  }
  const payload = dumpPayload(db, entry, call.server.config.rdbcompression);
  call.reply.bulk(payload, 0, payload.length);
}

/** An entry's value as DUMP gives it and RESTORE takes it. */
export function dumpPayload(db: Database, entry: number, compress: boolean): Uint8Array {
  const out = new RdbOutput(null, compress);
  out.byte(rdbTypeOf(db, entry));
  writeValue(out, db, entry);
  return finishPayload(out);
}

/** Puts version and checksum behind what was written. @returns all of it. */
export function finishPayload(out: RdbOutput): Uint8Array {
  out.byte(RDB_VERSION & 255);
  out.byte(RDB_VERSION >> 8);
  const checksum = new Crc64();
  checksum.update(out.bytes, 0, out.length);
  const trailer = new Uint8Array(CHECKSUM_BYTES);
  checksum.write(trailer, 0);
  out.raw(trailer, 0, CHECKSUM_BYTES);
  return out.bytes.subarray(0, out.length);
}

interface RestoreOptions {
  replace: boolean;
  absoluteTtl: boolean;
  idleSeconds: number;
  frequency: number;
}

/** @returns null after an error was replied. */
function parseOptions(call: Call): RestoreOptions | null {
  const options: RestoreOptions = { replace: false, absoluteTtl: false, idleSeconds: -1, frequency: -1 };
  for (let i = 4; i < call.argc; i++) {
    const hasNext = i + 1 < call.argc;
    if (call.is(i, 'replace')) options.replace = true;
    else if (call.is(i, 'absttl')) options.absoluteTtl = true;
    else if (call.is(i, 'idletime') && hasNext && options.frequency === -1) {
      options.idleSeconds = call.integer(++i);
      if (Number.isNaN(options.idleSeconds)) return null;
      if (options.idleSeconds < 0) return refuse(call, 'ERR Invalid IDLETIME value, must be >= 0');
    } else if (call.is(i, 'freq') && hasNext && options.idleSeconds === -1) {
      options.frequency = call.integer(++i);
      if (Number.isNaN(options.frequency)) return null;
      if (options.frequency < 0 || options.frequency > 255) {
        return refuse(call, 'ERR Invalid FREQ value, must be >= 0 and <= 255');
      }
    } else {
      call.syntaxError();
      return null;
    }
  }
  return options;
}

function refuse(call: Call, message: string): null {
  call.reply.error(message);
  return null;
}

export function restore(call: Call): void {
  const { bytes, offsets, lengths, db, reply } = call;
  const options = parseOptions(call);
  if (options === null) return;
  if (!options.replace && db.find(bytes, offsets[1], lengths[1]) !== 0) {
    reply.error('BUSYKEY Target key name already exists.');
    return;
  }
  const ttl = call.integer(2);
  if (Number.isNaN(ttl)) return;
  if (ttl < 0) {
    reply.error('ERR Invalid TTL value, must be >= 0');
    return;
  }
  if (!payloadValid(bytes, offsets[3], lengths[3], call.server.debug.skipChecksum)) {
    reply.error('ERR DUMP payload version or checksum are wrong');
    return;
  }
  const now = db.keyspace.clock.unixMs;
  const expiry = ttl === 0 || options.absoluteTtl ? ttl : ttl + now;
  const value = readPayload(call);
  if (value === null) {
    reply.error('ERR Bad data format');
    return;
  }
  const existed = options.replace && db.delete(bytes, offsets[1], lengths[1]);
  if (expiry !== 0 && alreadyExpired(call, expiry)) {
    if (!(value instanceof Element)) value.release();
    if (existed) {
      keyModified(call, 1, NOTIFY_GENERIC, 'del');
      propagateDeletion(call, false);
    }
    reply.ok();
    return;
  }
  const entry =
    value instanceof Element
      ? db.setString(bytes, offsets[1], lengths[1], value.bytes, value.offset, value.length)
      : db.addCollection(bytes, offsets[1], lengths[1], value);
  if (expiry !== 0) db.setExpiry(entry, expiry);
  if (expiry !== 0 && !options.absoluteTtl && call.propagates) propagateAbsolute(call, expiry);
  if (db.keyspace.lfu && options.frequency >= 0) {
    db.setAccess(entry, db.keyspace.accessWithFrequency(options.frequency));
  } else if (!db.keyspace.lfu && options.idleSeconds >= 0) {
    db.setAccess(entry, db.keyspace.accessIdleFor(options.idleSeconds));
  }
  keyModified(call, 1, NOTIFY_GENERIC, 'restore');
  reply.ok();
}

/** The command as it was, but that its time to live counts from 1970. */
function propagateAbsolute(call: Call, expiry: number): void {
  const words: (Uint8Array | number | string)[] = [call.word(0), call.word(1), expiry, call.word(3)];
  for (let i = 4; i < call.argc; i++) words.push(call.word(i));
  call.propagateAs(...words, 'ABSTTL');
}

/** Whether version and checksum behind a payload are right. */
export function payloadValid(bytes: Uint8Array, offset: number, length: number, anyChecksum: boolean): boolean {
  if (length < TRAILER_BYTES) return false;
  const trailer = offset + length - TRAILER_BYTES;
  const version = bytes[trailer] | (bytes[trailer + 1] << 8);
  if (version > RDB_VERSION) return false;
  if (anyChecksum) return true;
  const checksum = new Crc64();
  checksum.update(bytes, offset, length - CHECKSUM_BYTES);
  return checksum.equals(bytes, trailer + 2);
}

/** The value of word 3; null when it is not valid. */
function readPayload(call: Call): Collection | Element | null {
  const input = RdbInput.fromBytes(call.bytes, call.offsets[3], call.lengths[3] - TRAILER_BYTES);
  try {
    const type = input.byte();
    if (type !== RDB_STRING) {
      const { arena, config } = call.server;
      const value = readCollection(input, type, arena, config, isSuspicious(call));
      if (!isVoid(value)) return value;
      value.release();
      return null;
    }
    const text = new Element();
    input.string(text);
    return text;
  } catch (error) {
    if (!(error instanceof RdbError)) throw error;
    call.server.log.verbose(error.message);
    return null;
  }
}

/** Whether `sanitize-dump-payload` wants this client's payloads looked at closely. */
function isSuspicious(call: Call): boolean {
  const { sanitizeDumpPayload } = call.server.config;
  const { obeyed, user } = call.client;
  return sanitizeDumpPayload === 'yes' || (sanitizeDumpPayload === 'clients' && !obeyed && user.sanitize !== 'skip');
}
