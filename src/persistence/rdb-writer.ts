// A whole dataset as an RDB file, version 10: header, databases with their keys, checksum. Imported by snapshot.ts and
// the jobs that save in the background.
import type { Database } from '../core/database.ts';
import type { Keyspace } from '../core/keyspace.ts';
import { EntryList } from '../data/dict.ts';
import type { Crc64 } from './crc64.ts';
import type { DatasetFormat, Saving } from './dataset-format.ts';
import {
  CHECKSUM_BYTES,
  MODULE_STATE,
  OPCODE_AUX,
  OPCODE_EOF,
  OPCODE_EXPIRETIME_MS,
  OPCODE_FREQ,
  OPCODE_FUNCTION_2,
  OPCODE_IDLE,
  OPCODE_RESIZEDB,
  OPCODE_SELECTDB,
  RDB_VERSION,
} from './rdb-format.ts';
import type { RdbOutput } from './rdb-output.ts';
import { openValue, rdbTypeOf, writeValue } from './rdb-value-writer.ts';

export interface RdbWriteOptions {
  readonly redisVersion: string;
  /** Keys carry when they were last used: an LRU policy is on. */
  readonly withIdleTime: boolean;
  /** The file is the base of an append-only file. */
  readonly aofBase?: boolean;
  /** More fields that describe the file: replication's. */
  readonly aux?: readonly (readonly [name: string, value: string])[];
  /** Functions are left out. */
  readonly withoutFunctions?: boolean;
}

export class RdbFormat implements DatasetFormat {
  readonly #options: RdbWriteOptions;
  readonly #checksum: Crc64 | null;
  readonly #sized = new Set<number>();

  /** @param checksum the one the output counts with; null: eight zeros. */
  constructor(options: RdbWriteOptions, checksum: Crc64 | null) {
    this.#options = options;
    this.#checksum = checksum;
  }

  begin(out: RdbOutput, keyspace: Keyspace): void {
    const { redisVersion, aofBase = false, aux = [] } = this.#options;
    out.latin1(`REDIS${String(RDB_VERSION).padStart(4, '0')}`);
    writeAux(out, 'redis-ver', redisVersion);
    writeAux(out, 'redis-bits', '64');
    writeAux(out, 'ctime', String(Math.floor(keyspace.clock.unixMs / 1000)));
    writeAux(out, 'used-mem', String(keyspace.arena.used));
    for (const [name, value] of aux) writeAux(out, name, value);
    for (const [name, commands] of keyspace.moduleStates?.states() ?? []) {
      writeAux(
        out,
        `${MODULE_STATE}${Buffer.from(name, 'utf8').toString('latin1')}`,
        Buffer.from(commands).toString('latin1'),
      );
    }
    writeAux(out, 'aof-base', aofBase ? '1' : '0');
    if (this.#options.withoutFunctions === true) return;
    for (const code of keyspace.functions?.codes() ?? []) writeFunctions(out, code);
  }

  database(out: RdbOutput, index: number, keys: number, expiries: number): void {
    out.byte(OPCODE_SELECTDB);
    out.size(index);
    if (this.#sized.has(index)) return;
    this.#sized.add(index);
    out.byte(OPCODE_RESIZEDB);
    out.size(keys);
    out.size(expiries);
  }

  entry(out: RdbOutput, db: Database, entry: number): void {
    this.#head(out, db, entry);
    writeValue(out, db, entry);
  }

  open(out: RdbOutput, db: Database, entry: number): Saving | null {
    this.#head(out, db, entry);
    return openValue(out, db, entry);
  }

  /** Everything before the value. */
  #head(out: RdbOutput, db: Database, entry: number): void {
    const { keyspace } = db;
    const expiry = db.expiryOf(entry);
    if (expiry !== -1) {
      out.byte(OPCODE_EXPIRETIME_MS);
      out.int64(expiry);
    }
    if (keyspace.lfu) {
      out.byte(OPCODE_FREQ);
      out.byte(keyspace.decayed(db.accessOf(entry)));
    } else if (this.#options.withIdleTime) {
      out.byte(OPCODE_IDLE);
      out.size(keyspace.idleSeconds(db.accessOf(entry)));
    }
    out.byte(rdbTypeOf(db, entry));
    out.string(db.bytesOf(entry), db.keyOffset(entry), db.keyLength(entry));
  }

  end(out: RdbOutput): void {
    out.byte(OPCODE_EOF);
    out.flush();
    const trailer = new Uint8Array(CHECKSUM_BYTES);
    this.#checksum?.write(trailer, 0);
    out.raw(trailer, 0, CHECKSUM_BYTES);
  }
}

function writeAux(out: RdbOutput, name: string, value: string): void {
  out.byte(OPCODE_AUX);
  out.text(name);
  out.text(value);
}

/** One library of functions. */
export function writeFunctions(out: RdbOutput, code: Uint8Array): void {
  out.byte(OPCODE_FUNCTION_2);
  out.string(code, 0, code.length);
}

/** Writes the whole dataset in one go, everything but the last flush. @returns keys written. */
export function writeDataset(out: RdbOutput, keyspace: Keyspace, format: DatasetFormat): number {
  const entries = new EntryList();
  let keys = 0;
  format.begin(out, keyspace);
  for (const db of keyspace.databases) {
    if (db.size === 0) continue;
    format.database(out, db.index, db.size, db.expiries.size);
    for (let bucket = 0; bucket < db.dict.bucketCount; bucket++) {
      entries.length = 0;
      db.dict.bucketEntries(bucket, entries);
      for (let i = 0; i < entries.length; i++) format.entry(out, db, entries.refs[i]);
      keys += entries.length;
    }
  }
  format.end(out);
  return keys;
}
