// A file that is written without ever blocking the event loop: pieces queue up and go out one after another through
// libuv's thread pool, and to the disk every few megabytes if wanted. At the end it is complete on the disk under its
// name, or not there at all. Buffers are filled again and again, so that a long file makes nothing for V8 to collect: it
// collects with the event loop waiting. A sink for snapshot jobs.
import { close, closeSync, fdatasync, fsync, open, openSync, rename, unlinkSync, write } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { SnapshotSink } from './snapshot-job.ts';

const syncEveryBytes = 4 << 20;
/** Of the buffers that are used again; longer pieces have one of their own. */
const BUFFER_BYTES = 64 * 1024;
const openLater = promisify(open);
const closeLater = promisify(close);
const fsyncLater = promisify(fsync);
const renameLater = promisify(rename);

interface Piece {
  readonly buffer: Uint8Array;
  readonly length: number;
}

export class BackgroundFile implements SnapshotSink {
  queuedBytes = 0;
  /** Bytes in the file. */
  length = 0;
  error: Error | null = null;
  onProgress: () => void = () => {};
  readonly #temporary: string;
  readonly #target: string;
  readonly #incrementalSync: boolean;
  #file: number;
  #queue: Piece[] = [];
  readonly #spare: Uint8Array[] = [];
  #writing = false;
  #unsynced = 0;
  #aborted = false;
  #onIdle: (() => void) | null = null;

  /** @param incrementalSync `rdb-save-incremental-fsync`. @throws the system's error when it cannot be created. */
  constructor(temporary: string, target: string, incrementalSync: boolean) {
    this.#temporary = temporary;
    this.#target = target;
    this.#incrementalSync = incrementalSync;
    this.#file = openSync(temporary, 'w', 0o644);
  }

  write(bytes: Uint8Array, length: number): void {
    if (this.error !== null || this.#aborted) return;
    const buffer =
      (length <= BUFFER_BYTES ? this.#spare.pop() : undefined) ?? new Uint8Array(Math.max(length, BUFFER_BYTES));
    buffer.set(bytes.length === length ? bytes : bytes.subarray(0, length));
    this.#queue.push({ buffer, length });
    this.queuedBytes += length;
    if (!this.#writing) this.#next();
  }

  #next(): void {
    const piece = this.#queue.shift();
    if (piece === undefined || this.#aborted) {
      this.#writing = false;
      if (this.#aborted) this.#discard();
      this.#onIdle?.();
      return;
    }
    this.#writing = true;
    this.#writeRest(piece, 0);
  }

  #writeRest(piece: Piece, from: number): void {
    const { buffer, length } = piece;
    write(this.#file, buffer, from, length - from, null, (error, written) => {
      if (error !== null) this.#fail(error);
      else if (from + written < length) this.#writeRest(piece, from + written);
      else this.#wrote(piece);
    });
  }

  #wrote({ buffer, length }: Piece): void {
    if (buffer.length === BUFFER_BYTES) this.#spare.push(buffer);
    this.queuedBytes -= length;
    this.length += length;
    this.#unsynced += length;
    if (this.#incrementalSync && this.#unsynced >= syncEveryBytes) {
      this.#unsynced = 0;
      fdatasync(this.#file, (error) => {
        if (error !== null) this.#fail(error);
        else this.#progress();
      });
    } else this.#progress();
  }

  #progress(): void {
    this.#next();
    this.onProgress();
  }

  #fail(error: Error): void {
    this.error = error;
    this.#queue = [];
    this.queuedBytes = 0;
    this.#writing = false;
    if (this.#aborted) this.#discard();
    this.#onIdle?.();
    this.onProgress();
  }

  async finish(): Promise<void> {
    if (this.#writing) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    if (this.error !== null) throw this.error;
    await fsyncLater(this.#file);
    if (this.#aborted) return;
    // Whoever gives up from here on must not close a descriptor that may be another file's by then.
    const file = this.#file;
    this.#file = -1;
    await closeLater(file);
    if (this.#aborted) return;
    await renameLater(this.#temporary, this.#target);
    await syncDirectoryLater(dirname(this.#target));
  }

  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#queue = [];
    // A write that is under way needs the descriptor; the name goes at once.
    unlinkQuietly(this.#temporary);
    if (!this.#writing) this.#discard();
  }

  #discard(): void {
    if (this.#file !== -1) closeSync(this.#file);
    this.#file = -1;
  }
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It never came to be, or the disk is gone: there is an error already that says more.
  }
}

/** A rename is on the disk only when its directory is. */
export async function syncDirectoryLater(directory: string): Promise<void> {
  const file = await openLater(directory, 'r');
  try {
    await fsyncLater(file);
  } finally {
    await closeLater(file);
  }
}
