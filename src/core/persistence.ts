// What the server knows of its files: the latest saves and loads, what is under way, and what the process around it can
// be asked for. INFO, LASTSAVE, save points and the commands read it; src/persistence/ keeps it.
import type { SnapshotJobParts, SnapshotSink } from '../persistence/snapshot-job.ts';

/** Between attempts of save points while the disk fails. */
const SAVE_RETRY_SECONDS = 5;

type JobFormat = Pick<SnapshotJobParts, 'format' | 'checksum'>;

/** What a save in the background is for: the dump file, the append-only file, or replicas that get it straight. */
export type JobKind = 'rdb' | 'aof' | 'replicas';

/** A save in the background. */
export interface BackgroundJob {
  readonly kind: JobKind;
  /** Unix time, seconds. */
  readonly startedAt: number;
  readonly keysDone: number;
  readonly keysTotal: number;
}

export class Persistence {
  /** The save in the background that is under way: there is never more than one. */
  job: BackgroundJob | null = null;
  /** How many there have been. */
  jobs = 0;

  // --- RDB ---

  /** Unix time, seconds. */
  lastSaveTime: number;
  /** False from a failed save in the background to the next success. */
  lastSaveOk = true;
  /** When a save in the background was last tried, Unix time, seconds. */
  lastSaveTry = 0;
  /** Seconds the latest save in the background took; -1: none yet. */
  lastSaveSeconds = -1;
  saves = 0;
  /** BGSAVE SCHEDULE: as soon as nothing else is under way. */
  saveScheduled = false;
  lastLoadKeysLoaded = 0;
  lastLoadKeysExpired = 0;

  // --- append-only file ---

  /** `wait`: switched on, and written from the end of the first rewrite on. */
  aofState: 'off' | 'on' | 'wait' = 'off';
  rewriteScheduled = false;
  lastRewriteOk = true;
  /** Seconds the latest rewrite took; -1: none yet. */
  lastRewriteSeconds = -1;
  rewrites = 0;
  rewriteFailures = 0;
  /** Why nothing can be written to the append-only file; null: it can. */
  aofError: string | null = null;
  /** Bytes: all files together, after the latest rewrite, and what waits to be written. */
  aofCurrentSize = 0;
  aofBaseSize = 0;
  aofBufferLength = 0;
  /** Syncs in the background under way, and writes that one of them has held up for two seconds. */
  aofPendingSyncs = 0;
  aofDelayedSyncs = 0;

  constructor(lastSaveTime: number) {
    this.lastSaveTime = lastSaveTime;
  }

  /** After a save that failed the next one waits a little. @param second Unix time. */
  mayTrySaving(second: number): boolean {
    return this.lastSaveOk || second - this.lastSaveTry > SAVE_RETRY_SECONDS;
  }
}

/** A dump from a master. */
export interface MasterLoad {
  readonly path: string;
  /** Into other databases, which take the place of what is here when all is loaded. */
  readonly beside: boolean;
  /** Clients may read what is here meanwhile. */
  readonly serving: boolean;
  /** Called between two slices. */
  pause(): void;
  /** True ends the load where it is. */
  abandoned(): boolean;
  /** What was loaded beside is about to take its place. */
  beforeReplace(): void;
}

/** What the commands ask of the files. */
export interface PersistenceControl {
  /** SAVE. @returns what went wrong, or null. */
  save(): string | null;
  /**
   * Starts a save in the background; one that fails shows in `Persistence`.
   * @param onEnd told how it went, when it is over. @returns whether it has begun.
   */
  startSave(onEnd?: (error: Error | null) => void): boolean;
  /** Starts to write the dataset as it is now to a sink. Only while no job is under way; it is over when `onEnd` is called. */
  startJob(kind: JobKind, sink: SnapshotSink, format: JobFormat, onEnd: (error: Error | null) => void): void;
  /** Replaces the dataset by the dump that a master has sent. @returns the file's fields; null: it was given up. */
  loadFromMaster(load: MasterLoad): Promise<ReadonlyMap<string, string> | null>;
  /** Starts a rewrite of the append-only file. @returns whether it has begun. */
  startRewrite(): boolean;
  /** A save in the background is of no use any more: the dataset was emptied. */
  stopSave(): void;
  /** CONFIG SET appendonly. @returns whether it could be done. */
  setAppendOnly(on: boolean): boolean;
  /** Ten times a second or so. */
  cron(): void;
}
