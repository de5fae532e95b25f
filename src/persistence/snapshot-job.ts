// A snapshot that is written while commands go on: a short slice of the walk each turn of the event loop, its bytes to a
// sink that never blocks (a file, a replica's socket). It waits while the sink has much to do, and for
// `rdb-key-save-delay`. Imported by background saves and by replication.
import type { Keyspace } from '../core/keyspace.ts';
import type { Stopwatch } from '../platform/stopwatch.ts';
import type { Alarm, Scheduler } from '../platform/timers.ts';
import { Crc64 } from './crc64.ts';
import type { DatasetFormat } from './dataset-format.ts';
import { DatasetWalk } from './dataset-walk.ts';
import { RdbOutput } from './rdb-output.ts';
import { RdbFormat, type RdbWriteOptions } from './rdb-writer.ts';

/** Where a job's bytes go. */
export interface SnapshotSink {
  /** Takes a copy of the bytes; never blocks. */
  write(bytes: Uint8Array, length: number): void;
  /** Bytes taken that have not gone yet. */
  readonly queuedBytes: number;
  /** Why nothing more can be written. */
  readonly error: Error | null;
  /** Set by the job: some bytes have gone, or an error came. */
  onProgress: () => void;
  /** No more comes: resolves when all is where it belongs. */
  finish(): Promise<void>;
  /** Gives up; what was written is worthless. */
  abort(): void;
}

export interface SnapshotJobParts {
  readonly keyspace: Keyspace;
  readonly scheduler: Scheduler;
  readonly stopwatch: Stopwatch;
  readonly sink: SnapshotSink;
  readonly compress: boolean;
  readonly checksum: Crc64 | null;
  readonly format: DatasetFormat;
  /** `rdb-key-save-delay`: microseconds after each key; -n: one microsecond after n keys. */
  readonly keyDelayUs: () => number;
  /** All is written and `sink.finish()` is through, or it failed. Not called after `abort`. */
  readonly onEnd: (error: Error | null) => void;
}

/** What a walk may take of one turn of the event loop. */
const SLICE_US = 1000;
/** Sink backlog above which the walk waits. */
const QUEUED_MAX = 4 << 20;
/** Checksum and write of this much are well below a millisecond. */
const BUFFER_BYTES = 64 * 1024;
/** The least and the most that is waited at a time: the setting may change meanwhile. */
const DELAY_MIN_US = 1000;
const DELAY_MAX_US = 100_000;

export class SnapshotJob {
  readonly #parts: SnapshotJobParts;
  readonly #walk: DatasetWalk;
  readonly #alarm: Alarm;
  #waitingForSink = false;
  #ended = false;
  /** Waiting time that keys have caused and nobody has waited, microseconds. */
  #owedUs = 0;
  /** Keys that this was counted for: written in their turn or before it. */
  #keysCounted = 0;

  /** Begins: what is in the keyspace now is what will be written. */
  constructor(parts: SnapshotJobParts) {
    this.#parts = parts;
    const { sink } = parts;
    const drain = (bytes: Uint8Array, length: number): void => sink.write(bytes, length);
    const out = new RdbOutput(drain, parts.compress, parts.checksum, BUFFER_BYTES);
    this.#alarm = parts.scheduler.createAlarm(() => this.#slice());
    this.#walk = new DatasetWalk(parts.keyspace, parts.format, out);
    sink.onProgress = () => this.#sinkProgressed();
    parts.scheduler.soon(() => this.#slice());
  }

  get keysDone(): number {
    return this.#walk.keysDone;
  }

  get keysTotal(): number {
    return this.#walk.keysTotal;
  }

  #slice(): void {
    if (this.#ended) return;
    const { scheduler, sink, stopwatch } = this.#parts;
    if (sink.error !== null) {
      this.#fail(sink.error);
      return;
    }
    const began = stopwatch();
    for (;;) {
      if (this.#delay()) return;
      if (!this.#walk.step()) {
        void this.#finish();
        return;
      }
      if (sink.queuedBytes > QUEUED_MAX) {
        this.#waitingForSink = true;
        return;
      }
      if (stopwatch() - began > SLICE_US) break;
    }
    scheduler.soon(() => this.#slice());
  }

  /** `rdb-key-save-delay`. @returns whether the walk goes on later. */
  #delay(): boolean {
    const delay = this.#parts.keyDelayUs();
    const { keysDone } = this.#walk;
    const perKey = delay < 0 ? -1 / delay : delay;
    this.#owedUs = perKey === 0 ? 0 : this.#owedUs + (keysDone - this.#keysCounted) * perKey;
    this.#keysCounted = keysDone;
    if (this.#owedUs < DELAY_MIN_US) return false;
    const waitUs = Math.min(this.#owedUs, DELAY_MAX_US);
    this.#owedUs -= waitUs;
    this.#alarm.arm(Math.ceil(waitUs / 1000));
    return true;
  }

  #sinkProgressed(): void {
    const { sink } = this.#parts;
    if (!this.#waitingForSink || (sink.error === null && sink.queuedBytes > QUEUED_MAX / 2)) return;
    this.#waitingForSink = false;
    this.#slice();
  }

  async #finish(): Promise<void> {
    const { onEnd, sink } = this.#parts;
    try {
      await sink.finish();
    } catch (error) {
      if (!this.#ended) this.#fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (this.#ended) return;
    this.#ended = true;
    onEnd(null);
  }

  #fail(error: Error): void {
    this.#stop();
    this.#parts.onEnd(error);
  }

  #stop(): void {
    this.#ended = true;
    this.#alarm.disarm();
    this.#walk.abort();
    this.#parts.sink.abort();
  }

  /** Gives up. */
  abort(): void {
    if (!this.#ended) this.#stop();
  }
}

/** The parts that make a job write an RDB file. */
export function rdbFormat(
  options: RdbWriteOptions,
  withChecksum: boolean,
): Pick<SnapshotJobParts, 'format' | 'checksum'> {
  const checksum = withChecksum ? new Crc64() : null;
  return { checksum, format: new RdbFormat(options, checksum) };
}
