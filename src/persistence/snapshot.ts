// The dataset on disk: SAVE writes an RDB file beside the old one and puts it in its place only when every byte is on
// the disk, so that a failure leaves the old file; loading refuses a file that is not whole. The composition root and
// the SAVE command import it.
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EXPIRY_IGNORE, type Keyspace } from '../core/keyspace.ts';
import { Crc64 } from './crc64.ts';
import type { DatasetFormat } from './dataset-format.ts';
import { RdbError } from './rdb-format.ts';
import { RdbInput } from './rdb-input.ts';
import { RdbOutput } from './rdb-output.ts';
import { RdbReader } from './rdb-reader.ts';
import type { EncodingLimits } from './rdb-value-reader.ts';
import { RdbFormat, type RdbWriteOptions, writeDataset } from './rdb-writer.ts';

export interface SaveSettings {
  /** Directory of the file, which is also the temporary file's. */
  readonly dir: string;
  readonly dbfilename: string;
  readonly rdbcompression: boolean;
  readonly rdbchecksum: boolean;
  readonly maxmemoryPolicy: string;
}

export interface LoadSettings extends EncodingLimits {
  readonly dir: string;
  readonly dbfilename: string;
  readonly rdbchecksum: boolean;
  readonly sanitizeDumpPayload: string;
}

/** A snapshot that could not be written or read; the message names the file and what is wrong. */
export class SnapshotError extends Error {
  readonly code = 'SNAPSHOT';

  constructor(message: string) {
    super(message);
    this.name = 'SnapshotError';
  }
}

export interface SaveResult {
  readonly keys: number;
  readonly bytes: number;
}

/** What becomes of some keys when a file is loaded. */
export interface LoadOptions {
  /** Over keys that are there. */
  readonly replaceKeys?: boolean;
  /** Expired keys are loaded too: someone else decides when they go. */
  readonly keepExpired?: boolean;
  /** Told of each key that had expired. */
  readonly onExpired?: (db: number, key: Uint8Array) => void;
  /** Told of the first few keys that held nothing. */
  readonly onEmpty?: (key: Uint8Array) => void;
}

export interface LoadResult {
  /** What the file says of itself. */
  readonly aux: ReadonlyMap<string, string>;
  readonly keysLoaded: number;
  readonly keysExpired: number;
  readonly emptyKeysSkipped: number;
  readonly bytes: number;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Writes the dataset. When this returns, the file of that name is complete and on the disk.
 * @throws SnapshotError when anything fails; the old file is then as it was.
 */
export function saveSnapshot(
  keyspace: Keyspace,
  settings: SaveSettings,
  redisVersion: string,
  aux: RdbWriteOptions['aux'] = [],
): SaveResult {
  const directory = settings.dir === '' ? '.' : settings.dir;
  return writeSnapshot(keyspace, join(directory, settings.dbfilename), settings, { redisVersion, aux });
}

/** A dump without keys, and without functions if bit 2 of `filter` is set: what some ask of replication. */
export function writeFiltered(keyspace: Keyspace, options: RdbWriteOptions, filter: number): Uint8Array {
  const checksum = new Crc64();
  let bytes: Uint8Array = new Uint8Array(0);
  const drain = (piece: Uint8Array, length: number): void => {
    bytes = Buffer.concat([bytes, piece.subarray(0, length)]);
  };
  const out = new RdbOutput(drain, false, checksum);
  const format = new RdbFormat({ ...options, withoutFunctions: (filter & 2) !== 0 }, checksum);
  format.begin(out, keyspace);
  format.end(out);
  out.flush();
  return bytes;
}

/** As `saveSnapshot`, to any path. @param format in place of an RDB file. */
export function writeSnapshot(
  keyspace: Keyspace,
  target: string,
  settings: SaveSettings,
  options: Pick<RdbWriteOptions, 'redisVersion' | 'aofBase' | 'aux'>,
  format: DatasetFormat | null = null,
): SaveResult {
  const directory = dirname(target);
  const temporary = join(directory, `temp-${process.pid}.rdb`);
  let file = -1;
  try {
    file = openSync(temporary, 'w', 0o644);
    const result = writeFile(file, keyspace, settings, options, format);
    fsyncSync(file);
    closeSync(file);
    file = -1;
    renameSync(temporary, target);
    syncDirectory(directory);
    return result;
  } catch (error) {
    discard(file, temporary);
    throw new SnapshotError(`Cannot write ${target}: ${reasonOf(error)}`);
  }
}

function writeFile(
  file: number,
  keyspace: Keyspace,
  settings: SaveSettings,
  options: Pick<RdbWriteOptions, 'redisVersion' | 'aofBase' | 'aux'>,
  format: DatasetFormat | null,
): SaveResult {
  const checksum = settings.rdbchecksum && format === null ? new Crc64() : null;
  const drain = (bytes: Uint8Array, length: number): void => {
    for (let at = 0; at < length; ) at += writeSync(file, bytes, at, length - at);
  };
  const out = new RdbOutput(drain, settings.rdbcompression, checksum);
  const withIdleTime = settings.maxmemoryPolicy.endsWith('lru');
  const keys = writeDataset(out, keyspace, format ?? new RdbFormat({ ...options, withIdleTime }, checksum));
  out.flush();
  return { keys, bytes: out.drained };
}

/** A rename is on the disk only when its directory is. */
export function syncDirectory(directory: string): void {
  const file = openSync(directory, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function discard(file: number, path: string): void {
  for (const step of [() => file !== -1 && closeSync(file), () => unlinkSync(path)]) {
    try {
      step();
    } catch {
      // There was no file, or the disk is gone: the error that led here is the one to report.
    }
  }
}

/** How the load goes on between slices: lets the event loop run, reports progress. */
export interface LoadPace {
  /** Called after every slice of about `SLICE_BYTES`. @param fraction of the file that is read, 0 to 1. */
  pause(fraction: number): Promise<void> | void;
  /** `key-load-delay`, microseconds; waited by `wait`. */
  keyDelayUs?(): number;
  wait?(milliseconds: number): Promise<void>;
  /** Asked after each pause: true ends the load where it is, as the server is going down. */
  abandoned?(): boolean;
}

const SLICE_BYTES = 2 << 20;
const SLICE_RECORDS = 20_000;
const DELAY_MIN_US = 1000;

/**
 * Loads the file into the keyspace, which is empty.
 * @returns null when there is no file. @throws SnapshotError when the file is not a whole and valid RDB file.
 */
export async function loadSnapshot(
  keyspace: Keyspace,
  settings: LoadSettings,
  pace: LoadPace = { pause() {} },
  options: LoadOptions = {},
): Promise<LoadResult | null> {
  const load = SnapshotLoad.open(keyspace, settings);
  if (load === null) return null;
  load.options = options;
  try {
    load.keyDelayUs = pace.keyDelayUs;
    while (load.slice()) {
      const owedMs = load.takeOwed();
      if (owedMs > 0) await pace.wait?.(owedMs);
      await pace.pause(load.fraction);
      if (pace.abandoned?.() === true) break;
    }
    return load.result;
  } finally {
    load.close();
  }
}

/**
 * As `loadSnapshot`, in one go.
 * @param replaceKeys over keys that are there.
 */
export function loadSnapshotNow(keyspace: Keyspace, settings: LoadSettings, replaceKeys: boolean): LoadResult | null {
  const load = SnapshotLoad.open(keyspace, settings);
  if (load === null) return null;
  load.options = { replaceKeys };
  try {
    while (load.slice());
    return load.result;
  } finally {
    load.close();
  }
}

/** A file that is being loaded, slice by slice. */
class SnapshotLoad {
  readonly #path: string;
  readonly #file: number;
  readonly #keyspace: Keyspace;
  readonly #expiryMode: number;
  readonly #bytes: number;
  readonly #input: RdbInput;
  readonly #settings: LoadSettings;
  #reader: RdbReader | null = null;
  options: LoadOptions = {};
  keyDelayUs: (() => number) | undefined;
  /** Waiting time that keys have caused and nobody has waited, microseconds. */
  #owedUs = 0;

  /** @returns null when there is no file. */
  static open(keyspace: Keyspace, settings: LoadSettings): SnapshotLoad | null {
    const path = join(settings.dir === '' ? '.' : settings.dir, settings.dbfilename);
    const file = openForReading(path);
    return file === -1 ? null : new SnapshotLoad(path, file, keyspace, settings);
  }

  private constructor(path: string, file: number, keyspace: Keyspace, settings: LoadSettings) {
    this.#path = path;
    this.#file = file;
    this.#keyspace = keyspace;
    this.#settings = settings;
    this.#bytes = fstatSync(file).size;
    this.#input = RdbInput.fromSource((into, offset, length) => readSync(file, into, offset, length, null));
    this.#input.verifyChecksum = settings.rdbchecksum;
    this.#expiryMode = keyspace.expiryMode;
    keyspace.expiryMode = EXPIRY_IGNORE;
  }

  /** @returns whether there is more. @throws SnapshotError */
  slice(): boolean {
    const input = this.#input;
    try {
      this.#reader ??= this.#open();
      const start = input.offset;
      const reader = this.#reader;
      const delay = this.keyDelayUs?.() ?? 0;
      // As for `rdb-key-save-delay`: -n is one microsecond after n keys.
      const perKey = delay < 0 ? -1 / delay : delay;
      for (let records = 0; records < SLICE_RECORDS && input.offset - start < SLICE_BYTES; records++) {
        const { keysLoaded } = reader;
        if (!reader.next()) return false;
        this.#owedUs += (reader.keysLoaded - keysLoaded) * perKey;
        if (this.#owedUs >= DELAY_MIN_US) break;
      }
      return true;
    } catch (error) {
      const place = error instanceof RdbError ? ` at offset ${error.offset}` : '';
      throw new SnapshotError(`Cannot load ${this.#path}: ${reasonOf(error)}${place}`);
    }
  }

  /** @returns milliseconds to wait before the next slice. */
  takeOwed(): number {
    const milliseconds = Math.floor(this.#owedUs / 1000);
    this.#owedUs -= milliseconds * 1000;
    return milliseconds;
  }

  #open(): RdbReader {
    const { keepExpired = false, onExpired = null, onEmpty = null, replaceKeys = false } = this.options;
    const reader = new RdbReader(this.#input, this.#keyspace, this.#settings);
    reader.replaceKeys = replaceKeys;
    reader.keepExpired = keepExpired;
    reader.onExpired = onExpired;
    reader.onEmpty = onEmpty;
    reader.sanitize = this.#settings.sanitizeDumpPayload === 'yes';
    return reader;
  }

  /** Of the file that is read, 0 to 1. */
  get fraction(): number {
    return Math.min(1, this.#input.offset / this.#bytes);
  }

  get result(): LoadResult {
    const reader = this.#reader;
    return {
      keysLoaded: reader?.keysLoaded ?? 0,
      keysExpired: reader?.keysExpired ?? 0,
      emptyKeysSkipped: reader?.emptyKeysSkipped ?? 0,
      bytes: this.#bytes,
      aux: reader?.aux ?? new Map(),
    };
  }

  close(): void {
    this.#keyspace.expiryMode = this.#expiryMode;
    closeSync(this.#file);
  }
}

function openForReading(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return -1;
    throw new SnapshotError(`Cannot load ${path}: ${reasonOf(error)}`);
  }
}
