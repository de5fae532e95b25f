// The file that grows: commands of a tick are gathered and written with one call before the tick's replies leave. What
// `appendfsync` says decides when they are on the disk: before the replies, once a second by a thread of libuv's pool,
// or whenever the system likes. A write that fails keeps the bytes and is tried again; with `always` the process ends,
// since replies that were promised to be safe must not leave. Imported by dataset-files.ts.
import { closeSync, fdatasync, fdatasyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import type { Config } from '../core/config.ts';
import type { Persistence } from '../core/persistence.ts';
import { PROPAGATE_AOF, type PropagationSink } from '../core/propagation.ts';
import { copyBytes } from '../data/bytes.ts';
import type { ServerClock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { blockMs } from '../platform/stopwatch.ts';

/** A sync that takes longer than this holds writes up no longer, seconds. */
const POSTPONE_SECONDS_MAX = 2;
const ERROR_LOG_SECONDS = 30;
const INITIAL_BYTES = 64 * 1024;
const KEPT_BYTES = 1 << 20;

export interface AppendOnlyFileParts {
  readonly config: Config;
  readonly clock: ServerClock;
  readonly log: Log;
  readonly facts: Persistence;
  /** DEBUG AOF-FLUSH-SLEEP, microseconds. */
  readonly flushSleepUs: () => number;
  /** `facts.aofError` has changed. */
  readonly errorChanged: () => void;
  /** Ends the process at once: what was promised cannot be kept. */
  readonly exit: () => void;
}

export class AppendOnlyFile implements PropagationSink {
  readonly target = PROPAGATE_AOF;
  selectedDb = -1;
  /** Bytes in the open file. */
  size = 0;
  readonly #parts: AppendOnlyFileParts;
  #file = -1;
  #bytes = new Uint8Array(INITIAL_BYTES);
  #length = 0;
  #syncedSize = 0;
  /** Unix times, seconds. */
  #lastSync = 0;
  #postponedSince = 0;
  #lastErrorLog = 0;
  #timestamp = 0;
  #syncing = 0;
  #writeError: string | null = null;
  #syncError: string | null = null;

  constructor(parts: AppendOnlyFileParts) {
    this.#parts = parts;
  }

  get #second(): number {
    return Math.floor(this.#parts.clock.unixMs / 1000);
  }

  /** Whether there is something to write. */
  get waiting(): boolean {
    return this.#length > 0;
  }

  feed(_db: number, bytes: Uint8Array, offset: number, length: number): void {
    if (this.#parts.config.aofTimestampEnabled && this.#timestamp < this.#second) this.#annotate();
    this.#append(bytes, offset, length);
  }

  #annotate(): void {
    this.#timestamp = this.#second;
    const line = Buffer.from(`#TS:${this.#timestamp}\r\n`, 'latin1');
    this.#append(line, 0, line.length);
  }

  #append(bytes: Uint8Array, offset: number, length: number): void {
    if (this.#length + length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + length));
      copyBytes(grown, 0, this.#bytes, 0, this.#length);
      this.#bytes = grown;
    }
    copyBytes(this.#bytes, this.#length, bytes, offset, length);
    this.#length += length;
    this.#parts.facts.aofBufferLength = this.#length;
  }

  // --- files ---

  /**
   * Goes on in this file.
   * @param size bytes that are in it. The one before is synced and closed in the background.
   */
  switchTo(file: number, size: number): void {
    const before = this.#file;
    this.#file = file;
    this.size = size;
    this.#syncedSize = size;
    this.#lastSync = this.#second;
    this.selectedDb = -1;
    if (before !== -1) this.#syncLater(before, () => closeSync(before));
  }

  /** @param path is created if need be. @param fresh empties what is there. @throws the system's error. */
  open(path: string, fresh: boolean): number {
    return openSync(path, fresh ? 'w' : 'a', 0o644);
  }

  /** Writes and syncs what there is, and closes. */
  close(): void {
    if (this.#file === -1) return;
    this.flush(true);
    try {
      fdatasyncSync(this.#file);
    } catch (error) {
      this.#parts.log.warning(`Fail to fsync the AOF file: ${reasonOf(error)}`);
    }
    closeSync(this.#file);
    this.#file = -1;
    this.size = 0;
    this.#syncedSize = 0;
    this.forget();
    this.clearErrors();
  }

  /** Drops what waits to be written. */
  forget(): void {
    this.#length = 0;
    this.#postponedSince = 0;
    this.selectedDb = -1;
    this.#parts.facts.aofBufferLength = 0;
  }

  clearErrors(): void {
    this.#writeError = null;
    this.#syncError = null;
    this.#showError();
  }

  /** Everything on the disk. */
  syncNow(): void {
    if (this.#file === -1) return;
    this.flush(true);
    try {
      fdatasyncSync(this.#file);
      this.#syncedSize = this.size;
    } catch (error) {
      this.#parts.log.warning(`Fail to fsync the AOF file: ${reasonOf(error)}.`);
    }
  }

  // --- writing ---

  /** Before replies leave, and from the cron. @param force though a sync is under way. */
  flush(force: boolean): void {
    if (this.#file === -1) return;
    const { appendfsync } = this.#parts.config;
    if (this.#length === 0) {
      if (appendfsync !== 'no' && this.#syncedSize !== this.size) this.#syncIfDue();
      return;
    }
    if (appendfsync === 'everysec' && !force && this.#syncing > 0 && this.#postpones()) return;
    const sleepUs = this.#parts.flushSleepUs();
    if (sleepUs > 0) blockMs(sleepUs / 1000);
    if (this.#write()) this.#syncIfDue();
  }

  /** A write would wait for the sync that is under way: not for two seconds yet. */
  #postpones(): boolean {
    const second = this.#second;
    if (this.#postponedSince === 0) this.#postponedSince = second;
    if (second - this.#postponedSince < POSTPONE_SECONDS_MAX) return true;
    this.#parts.facts.aofDelayedSyncs++;
    this.#parts.log.notice(
      'Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for fsync to ' +
        'complete, this may slow down Redis.',
    );
    return false;
  }

  /** Since when a write has been put off; 0: none is. */
  get postponedSince(): number {
    return this.#postponedSince;
  }

  get failing(): boolean {
    return this.#writeError !== null;
  }

  /** @returns whether all was written. */
  #write(): boolean {
    const { facts, log } = this.#parts;
    let written = 0;
    try {
      while (written < this.#length) {
        written += writeSync(this.#file, this.#bytes, written, this.#length - written);
      }
    } catch (error) {
      this.#writeFailed(written, reasonOf(error));
      return false;
    }
    this.#postponedSince = 0;
    this.size += written;
    facts.aofCurrentSize += written;
    this.#length = 0;
    facts.aofBufferLength = 0;
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = new Uint8Array(INITIAL_BYTES);
    if (this.#writeError !== null) {
      log.warning('AOF write error looks solved, Redis can write again.');
      this.#writeError = null;
      this.#showError();
    }
    return true;
  }

  #writeFailed(written: number, reason: string): void {
    const { config, facts, log, exit } = this.#parts;
    const mayLog = this.#second - this.#lastErrorLog > ERROR_LOG_SECONDS;
    if (mayLog) {
      this.#lastErrorLog = this.#second;
      log.warning(`Error writing to the AOF file: ${reason}`);
    }
    if (written > 0 && !this.#cutBack(mayLog)) {
      // What is in the file stays there: the rest has to follow it.
      this.#bytes.copyWithin(0, written, this.#length);
      this.#length -= written;
      this.size += written;
      facts.aofCurrentSize += written;
    }
    if (config.appendfsync === 'always') {
      log.warning("Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...");
      exit();
    }
    this.#writeError = reason;
    this.#showError();
  }

  /** Takes half a write back. */
  #cutBack(mayLog: boolean): boolean {
    try {
      ftruncateSync(this.#file, this.size);
      return true;
    } catch (error) {
      if (mayLog) {
        this.#parts.log.warning(
          'Could not remove short write from the append-only file.  Redis may refuse to load the AOF the next time it ' +
            `starts.  ftruncate: ${reasonOf(error)}`,
        );
      }
      return false;
    }
  }

  #showError(): void {
    const { errorChanged, facts } = this.#parts;
    facts.aofError = this.#writeError ?? this.#syncError;
    errorChanged();
  }

  // --- syncing ---

  #syncIfDue(): void {
    const { config, exit, facts, log } = this.#parts;
    if (config.noAppendfsyncOnRewrite && facts.job !== null) return;
    if (config.appendfsync === 'always') {
      try {
        fdatasyncSync(this.#file);
      } catch (error) {
        log.warning(
          `Can't persist AOF for fsync error when the AOF fsync policy is 'always': ${reasonOf(error)}. Exiting...`,
        );
        exit();
      }
      this.#syncedSize = this.size;
      this.#lastSync = this.#second;
    } else if (config.appendfsync === 'everysec' && this.#second > this.#lastSync) {
      if (this.#syncing === 0) {
        this.#syncLater(this.#file, () => {});
        this.#syncedSize = this.size;
      }
      this.#lastSync = this.#second;
    }
  }

  #syncLater(file: number, done: () => void): void {
    const { facts, log } = this.#parts;
    this.#syncing++;
    facts.aofPendingSyncs++;
    fdatasync(file, (error) => {
      this.#syncing--;
      facts.aofPendingSyncs--;
      const reason = error === null ? null : reasonOf(error);
      if (reason !== null && this.#syncError === null) log.warning(`Fail to fsync the AOF file: ${reason}`);
      if (reason !== this.#syncError) {
        this.#syncError = reason;
        this.#showError();
      }
      done();
    });
  }
}

/** As strerror would say it. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const known: Readonly<Record<string, string>> = {
    ENOSPC: 'No space left on device',
    EACCES: 'Permission denied',
    EROFS: 'Read-only file system',
    EIO: 'Input/output error',
    EDQUOT: 'Disk quota exceeded',
    ENOENT: 'No such file or directory',
    EISDIR: 'Is a directory',
  };
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return known[code] ?? text;
}
