// Reads an RDB file into the databases, record by record, so that a big one can be loaded in slices. Whatever cannot
// be kept (modules, types that are missing) ends the load with an error that names it: nothing is dropped
// silently. Imported by snapshot.ts.
import type { Database } from '../core/database.ts';
import type { Keyspace } from '../core/keyspace.ts';
import { Element } from '../data/element.ts';
import {
  MODULE_STATE,
  OPCODE_AUX,
  OPCODE_EOF,
  OPCODE_EXPIRETIME,
  OPCODE_EXPIRETIME_MS,
  OPCODE_FREQ,
  OPCODE_FUNCTION_2,
  OPCODE_FUNCTION_PRE_GA,
  OPCODE_IDLE,
  OPCODE_MODULE_AUX,
  OPCODE_RESIZEDB,
  OPCODE_SELECTDB,
  RDB_STRING,
  RDB_VERSION,
} from './rdb-format.ts';
import type { RdbInput } from './rdb-input.ts';
import { type EncodingLimits, isVoid, readCollection } from './rdb-value-reader.ts';

const HEADER_BYTES = 9;

/** The code of a library, behind its opcode. Redis 7.0's release candidates wrote name and engine apart from it. */
export function readFunctions(input: RdbInput, opcode: number): Uint8Array {
  if (opcode === OPCODE_FUNCTION_2) return textOf(input);
  const name = textOf(input);
  const engine = textOf(input);
  if (input.count() !== 0) textOf(input);
  return Buffer.concat([Buffer.from('#!'), engine, Buffer.from(' name='), name, Buffer.from('\n'), textOf(input)]);
}

function textOf(input: RdbInput): Uint8Array {
  const text = new Element();
  input.string(text);
  return text.copy();
}

/** How many keys without contents are named. */
const EMPTY_KEYS_NAMED = 10;

export class RdbReader {
  keysLoaded = 0;
  /** Keys that had expired and were left out. */
  keysExpired = 0;
  /** Keys with a collection of nothing. */
  emptyKeysSkipped = 0;
  /** Keys that are there already give way; otherwise they make the file invalid. */
  replaceKeys = false;
  /** Keys that have expired are kept: what follows in an append-only file may depend on them. */
  keepExpired = false;
  /** Told of each key that had expired. */
  onExpired: ((db: number, key: Uint8Array) => void) | null = null;
  /** The first few keys that held nothing. */
  onEmpty: ((key: Uint8Array) => void) | null = null;
  /** Looks for what packed values may not hold: see `sanitize-dump-payload`. */
  sanitize = false;
  /** Fields that describe the file, by name. */
  readonly aux = new Map<string, string>();
  readonly #input: RdbInput;
  readonly #keyspace: Keyspace;
  readonly #limits: EncodingLimits;
  readonly #text = new Element();
  #db: Database;
  #version = 0;
  // What the opcodes before a key said of it.
  #expiry = -1;
  #idle = -1;
  #frequency = -1;

  /** @throws RdbError when it is no RDB file. */
  constructor(input: RdbInput, keyspace: Keyspace, limits: EncodingLimits) {
    this.#input = input;
    this.#keyspace = keyspace;
    this.#limits = limits;
    this.#db = keyspace.databases[0];
    const at = input.take(HEADER_BYTES);
    const header = Buffer.from(input.bytes.slice(at, at + HEADER_BYTES)).toString('latin1');
    if (!header.startsWith('REDIS')) input.fail('Wrong signature: this is no RDB file');
    this.#version = Number(header.slice(5));
    if (!(this.#version >= 1 && this.#version <= RDB_VERSION))
      input.fail(`Can't handle RDB format version ${header.slice(5)}`);
  }

  /** Reads one record. @returns false at the end of the file. @throws RdbError */
  next(): boolean {
    const input = this.#input;
    const opcode = input.byte();
    switch (opcode) {
      case OPCODE_EOF:
        if (this.#version >= 5 && !input.checksumMatches()) input.fail('Wrong RDB checksum (RDB CRC error)');
        return false;
      case OPCODE_AUX:
        this.#field(input.text(), input.text());
        return true;
      case OPCODE_SELECTDB:
        this.#select(input.count());
        return true;
      case OPCODE_RESIZEDB:
        input.count();
        input.count();
        return true;
      case OPCODE_EXPIRETIME_MS:
        this.#expiry = input.int64();
        return true;
      case OPCODE_EXPIRETIME: {
        const at = input.take(4);
        this.#expiry = new DataView(input.bytes.buffer, input.bytes.byteOffset + at, 4).getInt32(0, true) * 1000;
        return true;
      }
      case OPCODE_IDLE:
        this.#idle = input.count();
        return true;
      case OPCODE_FREQ:
        this.#frequency = input.byte();
        return true;
      case OPCODE_FUNCTION_2:
      case OPCODE_FUNCTION_PRE_GA:
        this.#functions(readFunctions(input, opcode));
        return true;
      case OPCODE_MODULE_AUX:
        return input.fail('The dump holds data of a module, which this server does not support');
      default:
        this.#key(opcode);
        return true;
    }
  }

  #field(name: string, value: string): void {
    if (!name.startsWith(MODULE_STATE)) this.aux.set(name, value);
    else {
      const module = Buffer.from(name.slice(MODULE_STATE.length), 'latin1').toString('utf8');
      this.#keyspace.moduleStates?.load(module, Buffer.from(value, 'latin1'));
    }
  }

  #functions(code: Uint8Array): void {
    const problem = this.#keyspace.functions?.load(code, this.replaceKeys) ?? null;
    if (problem !== null) this.#input.fail(`Failed creating function: ${problem}`);
  }

  #select(index: number): void {
    const db = this.#keyspace.databases[index];
    if (db === undefined) this.#input.fail(`The dump holds database ${index}; raise the directive 'databases'`);
    this.#db = db;
  }

  #key(type: number): void {
    const input = this.#input;
    const text = this.#text;
    input.string(text);
    const key = text.copy();
    const db = this.#db;
    const expired = !this.keepExpired && this.#expiry !== -1 && this.#expiry < this.#keyspace.clock.unixMs;
    let entry = 0;
    if (type === RDB_STRING) {
      input.string(text);
      if (!expired) {
        this.#assertNew(key);
        entry = db.setString(key, 0, key.length, text.bytes, text.offset, text.length);
      }
    } else {
      const value = readCollection(input, type, this.#keyspace.arena, this.#limits, this.sanitize);
      if (expired || isVoid(value)) {
        if (!expired) this.#skipEmpty(key);
        value.release();
      } else {
        this.#assertNew(key);
        entry = db.addCollection(key, 0, key.length, value);
      }
    }
    if (entry !== 0) this.#finish(entry);
    else if (expired) {
      this.keysExpired++;
      this.onExpired?.(db.index, key);
    }
    this.#expiry = -1;
    this.#idle = -1;
    this.#frequency = -1;
  }

  #skipEmpty(key: Uint8Array): void {
    if (this.emptyKeysSkipped++ < EMPTY_KEYS_NAMED) this.onEmpty?.(key);
  }

  #assertNew(key: Uint8Array): void {
    const existing = this.#db.dict.find(key, 0, key.length);
    if (existing === 0) return;
    if (this.replaceKeys) {
      this.#db.deleteEntry(existing);
      return;
    }
    this.#input.fail(`RDB has duplicated key '${Buffer.from(key).toString('latin1')}' in DB ${this.#db.index}`);
  }

  #finish(entry: number): void {
    this.keysLoaded++;
    const keyspace = this.#keyspace;
    if (this.#expiry !== -1) this.#db.setExpiry(entry, this.#expiry);
    if (keyspace.lfu) {
      if (this.#frequency >= 0) this.#db.setAccess(entry, keyspace.accessWithFrequency(this.#frequency));
    } else if (this.#idle >= 0) this.#db.setAccess(entry, keyspace.accessIdleFor(this.#idle));
  }
}
