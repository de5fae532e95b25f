// The snapshot that a master sends: taken into a file as it comes, and loaded when it is whole, so that a transfer that
// breaks leaves what is here as it is. With `repl-diskless-load swapdb` the file is loaded beside what is here, which
// goes on being served, and takes its place in the end. Only master-link.ts imports it.
import { closeSync, fsyncSync, ftruncateSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Server } from '../core/server.ts';
import type { MasterLink } from './master-link.ts';

const MARK_LENGTH = 40;

interface TransferParts {
  readonly id: string;
  readonly offset: number;
  /** @param atOnce try again now rather than with the next cron. */
  readonly fail: (atOnce: boolean) => void;
  /** @param db that the stream has selected; -1: none. @param rest of the stream that has come. */
  readonly done: (db: number, rest: Uint8Array) => void;
}

export class SnapshotTransfer {
  /** Bytes in all, 0: not known; and read so far. */
  size = 0;
  read = 0;
  /** Its end is told by a mark rather than by its length. */
  marked = false;
  /** It is whole. */
  loading = false;
  /** The connection ended while it was loaded. */
  connectionLost = false;
  readonly #server: Server;
  readonly #link: MasterLink;
  readonly #parts: TransferParts;
  readonly #path: string;
  #file = -1;
  #header = '';
  #started = false;
  #mark = Buffer.alloc(0);
  /** The latest bytes, as many as a mark has. */
  #tail = Buffer.alloc(0);
  #rest = new Uint8Array(0);
  #aborted = false;
  /** The file is only passed through: the dataset is replaced as if it came straight from the connection. */
  #diskless = false;

  constructor(server: Server, link: MasterLink, parts: TransferParts) {
    this.#server = server;
    this.#link = link;
    this.#parts = parts;
    this.#path = join(server.config.dir, `temp-${Math.floor(server.clock.unixMs / 1000)}.${process.pid}.rdb`);
  }

  receive(bytes: Uint8Array, offset: number, length: number): void {
    if (this.loading) {
      // Of the stream already, in spite of a paused connection.
      this.#rest = Buffer.concat([this.#rest, bytes.subarray(offset, offset + length)]);
      return;
    }
    let at = offset;
    const end = offset + length;
    while (!this.#started && at < end) {
      const byte = bytes[at++];
      if (byte !== 10) this.#header += String.fromCharCode(byte);
      else if (!this.#begin(this.#header.replace(/\r$/, ''))) return;
    }
    if (this.#started && at < end) this.#take(bytes, at, end - at);
  }

  /** @param line the header: `$length` or `$EOF:mark`; an empty one keeps the connection alive. */
  #begin(line: string): boolean {
    const { log } = this.#server;
    this.#header = '';
    if (line === '') return true;
    const problem = line.startsWith('-')
      ? `MASTER aborted replication with an error: ${line.slice(1)}`
      : line.startsWith('$')
        ? null
        : `Bad protocol from MASTER, the first byte is not '$' (we received '${line}'), are you sure the host and port are right?`;
    if (problem !== null) {
      log.warning(problem);
      this.#parts.fail(true);
      return false;
    }
    if (line.startsWith('$EOF:')) {
      this.marked = true;
      this.#mark = Buffer.from(line.slice(5), 'latin1');
      log.notice('MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to disk');
    } else {
      this.size = Number(line.slice(1));
      log.notice(`MASTER <-> REPLICA sync: receiving ${this.size} bytes from master to disk`);
    }
    this.#started = true;
    this.#beginLoading();
    try {
      this.#file = openSync(this.#path, 'w', 0o644);
    } catch (error) {
      log.warning(`Opening the temp file needed for MASTER <-> REPLICA synchronization: ${String(error)}`);
      this.#parts.fail(false);
      return false;
    }
    return true;
  }

  /** With `repl-diskless-load` the whole transfer counts as loading, as clients of Redis know it. */
  #beginLoading(): void {
    const { config, databases } = this.#server;
    const { replDisklessLoad } = config;
    this.#diskless =
      replDisklessLoad === 'swapdb' || (replDisklessLoad === 'on-empty-db' && databases.every((db) => db.size === 0));
    if (!this.#diskless) return;
    this.#server.log.notice('MASTER <-> REPLICA sync: Loading DB in memory');
    this.#server.loading = true;
    this.#server.asyncLoading = this.#servesMeanwhile;
  }

  /** What is here is an older state of the same history: clients may go on reading it. */
  get #servesMeanwhile(): boolean {
    return this.#server.config.replDisklessLoad === 'swapdb' && this.#parts.id === this.#link.currentId;
  }

  #take(bytes: Uint8Array, offset: number, length: number): void {
    const taken = this.marked ? length : Math.min(length, this.size - this.read);
    try {
      for (let at = 0; at < taken; ) at += writeSync(this.#file, bytes, offset + at, taken - at);
    } catch (error) {
      this.#server.log.warning(
        `Write error or short write writing to the DB dump file needed for MASTER <-> REPLICA synchronization: ${String(error)}`,
      );
      this.#parts.fail(true);
      return;
    }
    this.read += taken;
    if (taken < length) this.#rest = bytes.slice(offset + taken, offset + length);
    if (!this.marked) {
      if (this.read === this.size) this.#complete();
      return;
    }
    const latest = bytes.subarray(offset + Math.max(0, taken - MARK_LENGTH), offset + taken);
    this.#tail = Buffer.concat([this.#tail, latest]).subarray(-MARK_LENGTH);
    if (this.#tail.equals(this.#mark)) this.#complete();
  }

  #complete(): void {
    this.loading = true;
    this.#link.stopReading();
    void this.#load();
  }

  async #load(): Promise<void> {
    const { config, hooks, log } = this.#server;
    const swaps = this.#diskless && config.replDisklessLoad === 'swapdb';
    const serving = swaps && this.#servesMeanwhile;
    try {
      if (this.marked) ftruncateSync(this.#file, this.read - MARK_LENGTH);
      fsyncSync(this.#file);
      closeSync(this.#file);
      this.#file = -1;
      hooks.persistence?.stopSave();
      this.#link.switchAppendOnlyOff();
      const diskless = this.#diskless;
      const path = diskless ? this.#path : join(config.dir, config.dbfilename);
      if (!diskless) renameSync(this.#path, path);
      if (!swaps) this.#link.beforeReplace();
      const aux = await hooks.persistence?.loadFromMaster({
        path,
        beside: swaps,
        serving,
        pause: () => this.#link.ping(),
        abandoned: () => this.#aborted,
        beforeReplace: () => {
          if (swaps) this.#link.beforeReplace();
        },
      });
      if (diskless) unlinkQuietly(this.#path);
      if (this.#aborted) return;
      if (aux === null || aux === undefined) {
        this.#link.restoreAppendOnly();
        this.#parts.fail(false);
        return;
      }
      if (!diskless) this.#removeFile(path);
      this.#parts.done(Number(aux.get('repl-stream-db') ?? -1), this.#rest);
      if (this.connectionLost) this.#link.connectionEnded();
    } catch (error) {
      log.warning(`Failed trying to load the MASTER synchronization DB from disk: ${String(error)}`);
      unlinkQuietly(this.#path);
      if (this.#aborted) return;
      this.#link.restoreAppendOnly();
      this.#parts.fail(false);
    }
  }

  /** `rdb-del-sync-files`: the file is no dump of a server that keeps none. */
  #removeFile(path: string): void {
    const { config, log } = this.#server;
    if (!config.rdbDelSyncFiles || config.save.length > 0 || config.appendonly) return;
    log.notice('Removing the RDB file obtained from the master. This replica has persistence disabled');
    unlinkQuietly(path);
  }

  /** No more of it. */
  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    if (this.#diskless && !this.loading) {
      this.#server.log.warning(
        `Internal error in RDB reading offset ${this.read}: the transfer ended before it was whole`,
      );
      this.#server.loading = false;
      this.#server.asyncLoading = false;
    }
    if (this.#file !== -1) {
      closeSync(this.#file);
      unlinkQuietly(this.#path);
    }
    this.#file = -1;
  }
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was never made, or has its place already.
  }
}
