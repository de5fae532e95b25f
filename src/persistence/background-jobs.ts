// The one job in the background: a snapshot that is written for a dump file, for the append-only file or for replicas, as
// INFO shows it and as who gives it up finds it. dataset-files.ts makes one and hands it to aof-rewrites.ts.
import type { JobKind } from '../core/persistence.ts';
import type { Server } from '../core/server.ts';
import { reasonOf } from './append-only-file.ts';
import { BackgroundFile } from './background-file.ts';
import { SnapshotJob, type SnapshotJobParts, type SnapshotSink } from './snapshot-job.ts';

/** What is done in the background, as `INFO` and who gives it up see it. */
export interface Job {
  readonly keysDone: number;
  readonly keysTotal: number;
  abort(): void;
}

export interface RunningJob {
  readonly kind: JobKind;
  readonly startedAt: number;
  readonly job: Job;
}

export class BackgroundJobs {
  running: RunningJob | null = null;
  /** Tells who waits for a dump file that it was given up. */
  onSaveStopped: () => void = () => {};
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
  }

  get #second(): number {
    return Math.floor(this.#server.clock.unixMs / 1000);
  }

  /** @returns null when it cannot be created, which is logged. */
  openFile(temporary: string, target: string, incrementalSync: boolean): BackgroundFile | null {
    try {
      return new BackgroundFile(temporary, target, incrementalSync);
    } catch (error) {
      this.#server.log.warning(
        `Failed opening the temp file ${temporary} (in server root dir ${process.cwd()}) for saving: ${reasonOf(error)}`,
      );
      return null;
    }
  }

  /** @param kind `rdb`: what a save in the background is writing is of no use any more. */
  stop(kind: JobKind): void {
    if (this.running?.kind !== kind) return;
    this.running.job.abort();
    this.end();
    if (kind === 'rdb') this.onSaveStopped();
  }

  /**
   * Starts to write the dataset as it is now to a sink, in the background. Only while `server.persistence.job` is null.
   * @param onEnd is to call nothing that starts another job. The job is over when it is called.
   */
  start(
    kind: JobKind,
    sink: SnapshotSink,
    format: Pick<SnapshotJobParts, 'format' | 'checksum'>,
    onEnd: (error: Error | null) => void,
  ): void {
    const { config, keyspace, persistence, scheduler, stopwatch } = this.#server;
    const job = new SnapshotJob({
      ...format,
      keyspace,
      scheduler,
      stopwatch,
      sink,
      compress: kind !== 'aof' || config.aofUseRdbPreamble ? config.rdbcompression : false,
      keyDelayUs: () => config.rdbKeySaveDelay,
      onEnd: (error) => {
        if (kind === 'replicas') this.end();
        onEnd(error);
      },
    });
    persistence.jobs++;
    this.begin(kind, job);
  }

  /** A job of another kind than a snapshot, or a part of one. */
  begin(kind: JobKind, job: Job): RunningJob {
    const startedAt = this.#second;
    const running = { kind, startedAt, job };
    this.running = running;
    this.#server.persistence.job = {
      kind,
      startedAt,
      get keysDone() {
        return job.keysDone;
      },
      get keysTotal() {
        return job.keysTotal;
      },
    };
    return running;
  }

  /** @returns seconds it took. */
  end(): number {
    const { clock, persistence } = this.#server;
    clock.update();
    const seconds = this.running === null ? -1 : this.#second - this.running.startedAt;
    this.running = null;
    persistence.job = null;
    return seconds;
  }
}
