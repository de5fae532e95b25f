// A whole dataset as an RDB file, version 10: header, databases with their keys, checksum. Imported by snapshot.ts.
import type { Database } from '../core/database.ts';
import type { Keyspace } from '../core/keyspace.ts';
import { EntryList } from '../data/dict.ts';
import type { Crc64 } from './crc64.ts';
import {
  CHECKSUM_BYTES,
  OPCODE_AUX,
  OPCODE_EOF,
  OPCODE_EXPIRETIME_MS,
  OPCODE_FREQ,
  OPCODE_IDLE,
  OPCODE_RESIZEDB,
  OPCODE_SELECTDB,
  RDB_VERSION,
} from './rdb-format.ts';
import type { RdbOutput } from './rdb-output.ts';
import { rdbTypeOf, writeValue } from './rdb-value-writer.ts';

export interface RdbWriteOptions {
  readonly redisVersion: string;
  /** Keys carry when they were last used: an LRU policy is on. */
  readonly withIdleTime: boolean;
}

const entries = new EntryList();

/** Writes everything but the flush. @param checksum the one `out` counts with; null: eight zeros. @returns keys written. */
export function writeRdb(out: RdbOutput, keyspace: Keyspace, options: RdbWriteOptions, checksum: Crc64 | null): number {
  out.latin1(`REDIS${String(RDB_VERSION).padStart(4, '0')}`);
  writeAux(out, 'redis-ver', options.redisVersion);
  writeAux(out, 'redis-bits', '64');
  writeAux(out, 'ctime', String(Math.floor(keyspace.clock.unixMs / 1000)));
  writeAux(out, 'used-mem', String(keyspace.arena.used));
  writeAux(out, 'aof-base', '0');
  let keys = 0;
  for (const db of keyspace.databases) if (db.size > 0) keys += writeDatabase(out, db, options);
  out.byte(OPCODE_EOF);
  out.flush();
  const trailer = new Uint8Array(CHECKSUM_BYTES);
  checksum?.write(trailer, 0);
  out.raw(trailer, 0, CHECKSUM_BYTES);
  return keys;
}

function writeAux(out: RdbOutput, name: string, value: string): void {
  out.byte(OPCODE_AUX);
  out.text(name);
  out.text(value);
}

function writeDatabase(out: RdbOutput, db: Database, options: RdbWriteOptions): number {
  out.byte(OPCODE_SELECTDB);
  out.size(db.index);
  out.byte(OPCODE_RESIZEDB);
  out.size(db.size);
  out.size(db.expiries.size);
  let keys = 0;
  for (let bucket = 0; bucket < db.dict.bucketCount; bucket++) {
    entries.length = 0;
    db.dict.bucketEntries(bucket, entries);
    for (let i = 0; i < entries.length; i++) writeEntry(out, db, entries.refs[i], options);
    keys += entries.length;
  }
  return keys;
}

function writeEntry(out: RdbOutput, db: Database, entry: number, options: RdbWriteOptions): void {
  const { keyspace } = db;
  const expiry = db.expiryOf(entry);
  if (expiry !== -1) {
    out.byte(OPCODE_EXPIRETIME_MS);
    out.int64(expiry);
  }
  if (keyspace.lfu) {
    out.byte(OPCODE_FREQ);
    out.byte(keyspace.decayed(db.accessOf(entry)));
  } else if (options.withIdleTime) {
    out.byte(OPCODE_IDLE);
    out.size(keyspace.idleSeconds(db.accessOf(entry)));
  }
  out.byte(rdbTypeOf(db, entry));
  out.string(db.bytesOf(entry), db.keyOffset(entry), db.keyLength(entry));
  writeValue(out, db, entry);
}
