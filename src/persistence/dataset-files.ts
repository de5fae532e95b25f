// The dataset's files: the dump file and the append-only file, their loading, and the one save that may go on in the
// background. Commands, save points, the cron and SHUTDOWN ask here. The composition root makes one.
import { existsSync, mkdirSync, renameSync, rmSync, statSync, unlink } from 'node:fs';
import { rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { JobKind, MasterLoad, PersistenceControl } from '../core/persistence.ts';
import { REDIS_VERSION, type Server, ServerStartError } from '../core/server.ts';
import { AofFileLoad } from './aof-loader.ts';
import { AofManifest } from './aof-manifest.ts';
import { AppendOnlyFile, reasonOf } from './append-only-file.ts';
import { BackgroundFile } from './background-file.ts';
import { CommandFormat } from './command-writer.ts';
import { loadFromMaster } from './master-load.ts';
import { loadSnapshot, SnapshotError, saveSnapshot, syncDirectory, writeSnapshot } from './snapshot.ts';
import { rdbFormat, SnapshotJob, type SnapshotJobParts, type SnapshotSink } from './snapshot-job.ts';

/** After so many rewrites that failed in a row automatic ones wait, minutes doubling up to the limit. */
const REWRITE_FAILURES_MAX = 3;
const REWRITE_DELAY_MINUTES_MAX = 60;
/** Between two writes that are tried after one has failed, seconds. */
const RETRY_SECONDS = 1;

/** What the process does between two slices of a load. */
export interface LoadPace {
  pause(): Promise<void>;
  /** True ends the load where it is. */
  abandoned(): boolean;
  /** `key-load-delay`, microseconds a key of a dump file, and how it is waited. */
  keyDelayUs?(): number;
  wait?(milliseconds: number): Promise<void>;
}

/** What is done in the background, as `INFO` and who gives it up see it. */
interface Job {
  readonly keysDone: number;
  readonly keysTotal: number;
  abort(): void;
}

interface RunningJob {
  readonly kind: JobKind;
  readonly startedAt: number;
  readonly job: Job;
}

/** A rewrite whose manifest is on its way to the disk. */
const PREPARATION: Job = { keysDone: 0, keysTotal: 0, abort() {} };

export class DatasetFiles implements PersistenceControl {
  readonly aof: AppendOnlyFile;
  readonly #server: Server;
  #manifest: AofManifest;
  #running: RunningJob | null = null;
  /** The manifest is on its way to the disk, though what for may be given up: nothing else may change it before. */
  #filing = false;
  /** Tells who waits for the save in the background that it was given up. */
  #onSaveStopped: () => void = () => {};
  #retriedAt = 0;
  #rewriteDelayMinutes = 0;
  #nextRewriteAt = 0;
  #isStill = false;

  /** @param exit ends the process at once, when an append-only file that promised safety cannot be written. */
  constructor(server: Server, exit: () => void) {
    this.#server = server;
    this.#manifest = new AofManifest({ directory: '', file: '' });
    this.aof = new AppendOnlyFile({
      config: server.config,
      clock: server.clock,
      log: server.log,
      facts: server.persistence,
      flushSleepUs: () => server.debug.aofFlushSleepUs,
      errorChanged: () => server.updateDiskGate(),
      exit,
    });
  }

  /** Path of something in `dir`. */
  #inDir(name: string): string {
    return join(this.#server.config.dir, name);
  }

  get #second(): number {
    return Math.floor(this.#server.clock.unixMs / 1000);
  }

  // --- the dump file ---

  save(): string | null {
    const server = this.#server;
    const { clock, config, keyspace, log, persistence } = server;
    persistence.saves++;
    try {
      saveSnapshot(keyspace, config, REDIS_VERSION, server.replication.dumpFields);
    } catch (error) {
      if (!(error instanceof SnapshotError)) throw error;
      log.warning(error.message);
      return error.message;
    }
    clock.update();
    server.dirty = 0;
    server.lastSaveOk = true;
    persistence.lastSaveTime = this.#second;
    log.notice('DB saved on disk');
    return null;
  }

  startSave(onEnd: (error: Error | null) => void = () => {}): boolean {
    const server = this.#server;
    const { config, log, persistence } = server;
    const dirtyBefore = server.dirty;
    persistence.saves++;
    persistence.saveScheduled = false;
    persistence.lastSaveTry = this.#second;
    const target = this.#inDir(config.dbfilename);
    const temporary = this.#inDir(`temp-${process.pid}-bg.rdb`);
    const sink = this.#openFile(temporary, target, config.rdbSaveIncrementalFsync);
    if (sink === null) {
      log.warning('Background saving error');
      server.lastSaveOk = false;
      return false;
    }
    const withIdleTime = config.maxmemoryPolicy.endsWith('lru');
    this.#onSaveStopped = () => onEnd(new Error('stopped'));
    this.startJob(
      'rdb',
      sink,
      rdbFormat({ redisVersion: REDIS_VERSION, withIdleTime, aux: server.replication.dumpFields }, config.rdbchecksum),
      (error) => {
        persistence.lastSaveSeconds = this.#endJob();
        if (error === null) {
          server.dirty -= dirtyBefore;
          persistence.lastSaveTime = this.#second;
          log.notice('DB saved on disk');
          log.notice('Background saving terminated with success');
        } else {
          log.warning(`Write error saving DB on disk: ${reasonOf(error)}`);
          log.warning('Background saving error');
        }
        server.lastSaveOk = error === null;
        onEnd(error);
      },
    );
    log.notice(`Background saving started by pid ${process.pid}`);
    return true;
  }

  #openFile(temporary: string, target: string, incrementalSync: boolean): BackgroundFile | null {
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
  stopJob(kind: JobKind): void {
    if (this.#running?.kind !== kind) return;
    this.#running.job.abort();
    this.#endJob();
    if (kind === 'rdb') this.#onSaveStopped();
  }

  stopSave(): void {
    this.stopJob('rdb');
  }

  // --- the one job ---

  /**
   * Starts to write the dataset as it is now to a sink, in the background. Only while `server.persistence.job` is null.
   * @param onEnd is to call nothing that starts another job. The job is over when it is called.
   */
  startJob(
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
        if (kind === 'replicas') this.#endJob();
        onEnd(error);
      },
    });
    persistence.jobs++;
    this.#beginJob(kind, job);
  }

  #beginJob(kind: JobKind, job: Job): RunningJob {
    const startedAt = this.#second;
    const running = { kind, startedAt, job };
    this.#running = running;
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
  #endJob(): number {
    const { clock, persistence } = this.#server;
    clock.update();
    const seconds = this.#running === null ? -1 : this.#second - this.#running.startedAt;
    this.#running = null;
    persistence.job = null;
    return seconds;
  }

  // --- at intervals ---

  /** Before any reply of a tick leaves. */
  beforeOutput(): void {
    if (this.#server.persistence.aofState !== 'off' && !this.#isStill) this.aof.flush(false);
  }

  /** Everything is written, and nothing from here on: another process may go on with the append-only file. */
  standStill(): void {
    if (this.#server.persistence.aofState !== 'off') this.aof.flush(true);
    this.#isStill = true;
  }

  /** None has. */
  goOn(): void {
    this.#isStill = false;
  }

  cron(): void {
    const { config, persistence } = this.#server;
    const second = this.#second;
    if (persistence.aofState !== 'off') this.#flushFromCron(second);
    if (persistence.job !== null) return;
    if (persistence.rewriteScheduled && !this.#rewriteLimited(second)) this.startRewrite();
    else if (persistence.saveScheduled && persistence.mayTrySaving(second)) this.startSave();
    else if (persistence.aofState === 'on' && config.autoAofRewritePercentage > 0 && this.#grown()) {
      if (!this.#rewriteLimited(second)) this.startRewrite();
    }
  }

  #flushFromCron(second: number): void {
    if (this.aof.failing) {
      if (second - this.#retriedAt < RETRY_SECONDS) return;
      this.#retriedAt = second;
    }
    this.aof.flush(false);
  }

  #grown(): boolean {
    const { config, log, persistence } = this.#server;
    if (persistence.aofCurrentSize <= config.autoAofRewriteMinSize) return false;
    const base = persistence.aofBaseSize || 1;
    const growth = Math.floor((persistence.aofCurrentSize * 100) / base) - 100;
    if (growth < config.autoAofRewritePercentage) return false;
    log.notice(`Starting automatic rewriting of AOF on ${growth}% growth`);
    return true;
  }

  /** Rewrites that fail again and again must not leave a new increment behind each time. */
  #rewriteLimited(second: number): boolean {
    const { log, persistence } = this.#server;
    if (persistence.rewriteFailures < REWRITE_FAILURES_MAX) {
      this.#rewriteDelayMinutes = 0;
      this.#nextRewriteAt = 0;
      return false;
    }
    if (this.#nextRewriteAt !== 0) {
      if (second < this.#nextRewriteAt) return true;
      this.#nextRewriteAt = 0;
      return false;
    }
    this.#rewriteDelayMinutes = Math.min(Math.max(1, this.#rewriteDelayMinutes * 2), REWRITE_DELAY_MINUTES_MAX);
    this.#nextRewriteAt = second + this.#rewriteDelayMinutes * 60;
    log.warning(
      `Background AOF rewrite has repeatedly failed and triggered the limit, will retry in ${this.#rewriteDelayMinutes} minutes`,
    );
    return true;
  }

  // --- rewriting the append-only file ---

  startRewrite(): boolean {
    const { config, log, persistence } = this.#server;
    if (this.#running !== null) return false;
    persistence.rewriteScheduled = this.#filing;
    if (this.#filing) return true;
    try {
      this.#makeDirectory();
    } catch (error) {
      log.warning(`Can't open or create append-only dir ${config.appenddirname}: ${reasonOf(error)}`);
      persistence.lastRewriteOk = false;
      return false;
    }
    if (persistence.aofState === 'off') this.#manifest = this.#manifestOnDisk();
    if (persistence.aofState === 'on' && config.appendfsync !== 'always') {
      void this.#file(() => this.#prepareRewrite());
      return true;
    }
    return this.#beginRewrite(null);
  }

  /** The manifest with the next increment goes to the disk while commands go to the one before. */
  async #prepareRewrite(): Promise<void> {
    const { log } = this.#server;
    const next = this.#manifest.copy();
    const { name } = next.addIncrement();
    const running = this.#beginJob('aof', PREPARATION);
    try {
      await next.prepare();
    } catch (error) {
      if (this.#running !== running) return;
      log.warning(`Can't open the append-only file ${name}: ${reasonOf(error)}`);
      this.#endJob();
      this.#rewriteFailed();
      return;
    }
    if (this.#running !== running) {
      next.discard();
      return;
    }
    this.#endJob();
    // Who wants every write on the disk may have said so meanwhile.
    this.#beginRewrite(this.#server.config.appendfsync === 'always' ? null : next);
  }

  async #file<T>(change: () => Promise<T>): Promise<T> {
    this.#filing = true;
    try {
      return await change();
    } finally {
      this.#filing = false;
    }
  }

  /** @param prepared the manifest with the next increment, if it is on the disk. */
  #beginRewrite(prepared: AofManifest | null): boolean {
    const { config, log, persistence } = this.#server;
    this.aof.selectedDb = -1;
    this.aof.flush(true);
    if (persistence.aofState !== 'off' && !this.#openIncrement(prepared)) {
      persistence.lastRewriteOk = false;
      return false;
    }
    const temporary = this.#inDir(`temp-rewriteaof-bg-${process.pid}.aof`);
    const written = this.#inDir(`temp-rewriteaof-${process.pid}.aof`);
    const sink = this.#openFile(written, temporary, config.aofRewriteIncrementalFsync);
    if (sink === null) {
      this.#rewriteFailed();
      return false;
    }
    persistence.rewrites++;
    const rdb = config.aofUseRdbPreamble;
    const withIdleTime = config.maxmemoryPolicy.endsWith('lru');
    const format = rdb
      ? rdbFormat({ redisVersion: REDIS_VERSION, withIdleTime, aofBase: true }, config.rdbchecksum)
      : { format: new CommandFormat(config.aofTimestampEnabled ? this.#second : 0), checksum: null };
    this.startJob('aof', sink, format, (error) => void this.#rewritten(error, temporary, rdb));
    log.notice(`Background append only file rewriting started by pid ${process.pid}`);
    return true;
  }

  #makeDirectory(): void {
    const path = this.#inDir(this.#server.config.appenddirname);
    if (existsSync(path)) return;
    mkdirSync(path, { mode: 0o755 });
    syncDirectory(dirname(path));
  }

  #manifestOnDisk(): AofManifest {
    const { appenddirname, appendfilename } = this.#server.config;
    return AofManifest.load({ directory: this.#inDir(appenddirname), file: appendfilename });
  }

  /** From here on commands go to a new file, as the base will hold what came before. */
  #openIncrement(prepared: AofManifest | null): boolean {
    const { log, persistence } = this.#server;
    const waiting = persistence.aofState === 'wait';
    const next = prepared ?? this.#manifest.copy();
    const name = waiting ? next.temporaryIncrement : (prepared?.increments.at(-1) ?? next.addIncrement()).name;
    try {
      const file = this.aof.open(next.pathOf(name), true);
      if (prepared !== null) this.#placePrepared(prepared);
      else if (!waiting) next.persist();
      this.aof.switchTo(file, 0);
    } catch (error) {
      log.warning(`Can't open the append-only file ${name}: ${reasonOf(error)}`);
      return false;
    }
    if (waiting) this.#server.propagation.addSink(this.aof);
    else this.#manifest = next;
    log.notice(`Creating AOF incr file ${name} on background rewrite`);
    return true;
  }

  /** Its place in the directory may be on the disk a moment later: with `everysec` more than that may be lost. */
  #placePrepared(manifest: AofManifest): void {
    manifest.putInPlace();
    manifest.settle().catch((error: unknown) => {
      this.#server.log.warning(`Fail to fsync the AOF directory: ${reasonOf(error)}`);
    });
  }

  async #rewritten(error: Error | null, temporary: string, rdb: boolean): Promise<void> {
    const { log, persistence } = this.#server;
    const running = this.#running;
    let adopted = false;
    if (error === null) {
      log.notice(`Successfully created the temporary AOF base file ${basename(temporary)}`);
      log.notice('Background AOF rewrite terminated with success');
      adopted = await this.#file(() => this.#adopt(temporary, rdb));
      if (this.#running !== running) return;
    } else {
      log.warning(`Write error writing append only file on disk: ${reasonOf(error)}`);
      log.warning('Background AOF rewrite terminated with error');
    }
    persistence.lastRewriteSeconds = this.#endJob();
    if (!adopted) this.#rewriteFailed();
  }

  /** The new base takes its place, and what it replaces goes. The job goes on until it has: it may be given up. */
  async #adopt(temporary: string, rdb: boolean): Promise<boolean> {
    const { log, persistence } = this.#server;
    const running = this.#running;
    const waiting = persistence.aofState === 'wait';
    const next = this.#manifest.copy();
    const base = next.addBase(rdb);
    const made: string[] = [];
    try {
      await rename(temporary, next.pathOf(base.name));
      made.push(next.pathOf(base.name));
      log.notice(`Successfully renamed the temporary AOF base file ${basename(temporary)} into ${base.name}`);
      const increment = waiting ? next.addIncrement() : null;
      next.retireIncrements(persistence.aofState === 'off' ? 0 : 1);
      await next.prepare();
      if (this.#running !== running) throw new Error('the rewrite is given up');
      if (increment !== null) {
        renameSync(next.pathOf(next.temporaryIncrement), next.pathOf(increment.name));
        made.push(next.pathOf(increment.name));
        log.notice(
          `Successfully renamed the temporary AOF incr file ${next.temporaryIncrement} into ${increment.name}`,
        );
      }
      next.putInPlace();
    } catch (error) {
      log.warning(`Error trying to put the new AOF base file ${base.name} in its place: ${reasonOf(error)}`);
      next.discard();
      for (const path of made) rmSync(path, { force: true });
      return false;
    }
    this.#manifest = next;
    if (persistence.aofState !== 'off') {
      persistence.aofCurrentSize = statSync(next.pathOf(base.name)).size + this.aof.size;
      persistence.aofBaseSize = persistence.aofCurrentSize;
    }
    persistence.lastRewriteOk = true;
    persistence.rewriteFailures = 0;
    if (waiting) persistence.aofState = 'on';
    await this.#deleteHistory(running);
    log.notice('Background AOF rewrite finished successfully');
    return true;
  }

  #rewriteFailed(): void {
    const { persistence } = this.#server;
    persistence.lastRewriteOk = false;
    persistence.rewriteFailures++;
    if (persistence.aofState !== 'wait') return;
    this.#dropTemporaryIncrement();
    persistence.rewriteScheduled = true;
  }

  /** What was gathered while the first base was written is worthless without it. */
  #dropTemporaryIncrement(): void {
    const { log, propagation } = this.#server;
    propagation.removeSink(this.aof);
    this.aof.forget();
    const path = this.#manifest.pathOf(this.#manifest.temporaryIncrement);
    log.notice(`Removing the temp incr aof file ${this.#manifest.temporaryIncrement} in the background`);
    unlink(path, () => {});
  }

  /** `aof-disable-auto-gc` leaves old files where they are. @param running what may be given up meanwhile. */
  async #deleteHistory(running: RunningJob | null): Promise<void> {
    const { config, log } = this.#server;
    const next = this.#manifest.copy();
    const old = next.history;
    next.history = [];
    try {
      await next.settle();
      if (this.#running !== running || old.length === 0 || config.aofDisableAutoGc) return;
      await next.prepare();
      if (this.#running !== running) return;
      next.putInPlace();
      this.#manifest = next;
      await next.settle();
    } catch (error) {
      log.warning(`Can't remove history files from the AOF manifest: ${reasonOf(error)}`);
      return;
    }
    for (const { name } of old) {
      log.notice(`Removing the history file ${name} in the background`);
      unlink(next.pathOf(name), () => {});
    }
  }

  // --- switching it on and off ---

  setAppendOnly(on: boolean): boolean {
    const { log, persistence } = this.#server;
    if (on === (persistence.aofState !== 'off')) return true;
    if (!on) {
      this.#switchOff();
      return true;
    }
    this.#manifest = this.#manifestOnDisk();
    persistence.aofState = 'wait';
    this.aof.clearErrors();
    const { current } = this.#server;
    const obstacle =
      this.#running?.kind === 'rdb'
        ? 'but there is already another background operation'
        : current?.inExec === true
          ? 'during a transaction'
          : null;
    if (obstacle !== null) {
      persistence.rewriteScheduled = true;
      log.warning(`AOF was enabled ${obstacle}. An AOF background was scheduled to start when possible.`);
      return true;
    }
    // A rewrite that goes on gathers no increment for us.
    this.stopJob('aof');
    if (this.startRewrite()) return true;
    persistence.aofState = 'off';
    persistence.rewriteScheduled = false;
    log.warning(
      "Redis needs to enable the AOF but can't trigger a background AOF rewrite operation. Check the above logs for " +
        'more info about the error.',
    );
    return false;
  }

  #switchOff(): void {
    const { log, persistence, propagation } = this.#server;
    const waiting = persistence.aofState === 'wait';
    propagation.removeSink(this.aof);
    this.aof.close();
    persistence.aofState = 'off';
    persistence.rewriteScheduled = false;
    if (this.#running?.kind === 'aof') log.notice('Killing AOF child: the rewrite in the background is given up');
    this.stopJob('aof');
    if (waiting) rmSync(this.#manifest.pathOf(this.#manifest.temporaryIncrement), { force: true });
    this.#server.updateDiskGate();
  }

  // --- loading ---

  /** Loads the dataset as the configuration says, and opens the append-only file. @throws errors for a person. */
  async load(pace: LoadPace): Promise<void> {
    try {
      await this.#load(pace);
    } catch (error) {
      if (error instanceof Error && 'code' in error) this.#server.log.warning(error.message);
      throw error;
    }
  }

  async #load(pace: LoadPace): Promise<void> {
    const { config, log, persistence } = this.#server;
    if (!config.appendonly) {
      await this.#loadDump(pace);
      return;
    }
    this.#manifest = this.#manifestOnDisk();
    this.#upgrade();
    const began = this.#server.stopwatch();
    if (await this.#loadParts(pace)) {
      const seconds = ((this.#server.stopwatch() - began) / 1e6).toFixed(3);
      log.notice(`DB loaded from append only file: ${seconds} seconds`);
    }
    if (pace.abandoned()) return;
    this.#openAtStart();
    persistence.aofState = 'on';
    this.#server.propagation.addSink(this.aof);
  }

  async #loadDump(pace: LoadPace): Promise<void> {
    const { config, keyspace, log, persistence, stopwatch } = this.#server;
    const began = stopwatch();
    const { replication } = this.#server;
    replication.beforeLoad();
    const loaded = await loadSnapshot(keyspace, config, pace, {
      keepExpired: replication.isReplica,
      onExpired: (db, key) => replication.expiredOnLoad(db, key),
      onEmpty: (key) => log.notice(`rdbLoadObject skipping empty key: ${Buffer.from(key).toString('latin1')}`),
    });
    if (pace.abandoned()) return;
    replication.afterLoad(loaded?.aux ?? new Map());
    if (loaded === null) return;
    persistence.lastLoadKeysLoaded = loaded.keysLoaded;
    persistence.lastLoadKeysExpired = loaded.keysExpired;
    const skipped = loaded.emptyKeysSkipped > 0 ? `, empty keys skipped: ${loaded.emptyKeysSkipped}` : '';
    log.notice(`Done loading RDB, keys loaded: ${loaded.keysLoaded}, keys expired: ${loaded.keysExpired}${skipped}.`);
    log.notice(`DB loaded from disk: ${((stopwatch() - began) / 1e6).toFixed(3)} seconds`);
  }

  /** A file of the time before there were several becomes the base. */
  #upgrade(): void {
    const { appenddirname, appendfilename } = this.#server.config;
    const manifest = this.#manifest;
    const moved = manifest.pathOf(appendfilename);
    const halfDone = manifest.increments.length === 0 && manifest.base?.name === appendfilename && !existsSync(moved);
    const old = this.#inDir(appendfilename);
    if (!existsSync(old) || !(manifest.isEmpty || halfDone)) return;
    this.#makeDirectory();
    manifest.adoptBase(appendfilename);
    manifest.persist();
    renameSync(old, moved);
    this.#server.log.notice(
      `Successfully migrated an old-style AOF file (${appendfilename}) into the AOF directory (${appenddirname}).`,
    );
  }

  /** @returns false when there was nothing. @throws AofError */
  async #loadParts(pace: LoadPace): Promise<boolean> {
    const { persistence } = this.#server;
    const load = this.#partLoads();
    for (;;) {
      const step = load.next();
      if (step.done === true) return step.value;
      await pace.pause();
      if (pace.abandoned()) {
        load.return(false);
        return persistence.aofCurrentSize > 0;
      }
    }
  }

  /** Loads base and increments; yields between slices. */
  *#partLoads(): Generator<void, boolean, void> {
    const { log, persistence, stopwatch } = this.#server;
    const { parts } = this.#manifest;
    if (parts.length === 0) return false;
    for (const { name } of parts) {
      if (!existsSync(this.#manifest.pathOf(name))) {
        throw new ServerStartError(`Unable to obtain the AOF file ${name} length. stat: No such file or directory`);
      }
    }
    for (const [i, part] of parts.entries()) {
      const path = this.#manifest.pathOf(part.name);
      const began = stopwatch();
      const load = new AofFileLoad(this.#server, path, part.name);
      try {
        while (load.slice()) yield;
      } finally {
        load.close();
      }
      if (load.truncated && i < parts.length - 1) {
        throw new ServerStartError('Fatal error: the truncated file is not the last file');
      }
      const kind = part === this.#manifest.base ? 'base' : 'incr';
      log.notice(`DB loaded from ${kind} file ${part.name}: ${((stopwatch() - began) / 1e6).toFixed(3)} seconds`);
    }
    const sizes = parts.map(({ name }) => statSync(this.#manifest.pathOf(name)).size);
    persistence.aofCurrentSize = sizes.reduce((sum, size) => sum + size, 0);
    persistence.aofBaseSize = this.#manifest.base === null ? 0 : sizes[0];
    return true;
  }

  /**
   * Goes on with the append-only file of another process that has the same dataset. @throws ServerStartError when it
   * cannot be opened.
   */
  continueAppendOnly(): void {
    const { persistence } = this.#server;
    this.#manifest = this.#manifestOnDisk();
    this.#openAtStart();
    const sizes = this.#manifest.parts.map(({ name }) => statSync(this.#manifest.pathOf(name)).size);
    persistence.aofCurrentSize = sizes.reduce((sum, size) => sum + size, 0);
    persistence.aofBaseSize = this.#manifest.base === null ? 0 : sizes[0];
    persistence.aofState = 'on';
    this.#server.propagation.addSink(this.aof);
  }

  #openAtStart(): void {
    const { config, keyspace, log } = this.#server;
    try {
      this.#makeDirectory();
      const manifest = this.#manifest;
      if (manifest.isEmpty) {
        const base = manifest.addBase(config.aofUseRdbPreamble);
        const rdb = config.aofUseRdbPreamble ? null : new CommandFormat(0);
        writeSnapshot(
          keyspace,
          manifest.pathOf(base.name),
          config,
          { redisVersion: REDIS_VERSION, aofBase: true },
          rdb,
        );
        log.notice(`Creating AOF base file ${base.name} on server start`);
      }
      const fresh = manifest.increments.length === 0;
      const { name } = manifest.increments.at(-1) ?? manifest.addIncrement();
      const file = this.aof.open(manifest.pathOf(name), false);
      if (fresh) manifest.persist();
      this.aof.switchTo(file, statSync(manifest.pathOf(name)).size);
      log.notice(`${fresh ? 'Creating' : 'Opening'} AOF incr file ${name} on server start`);
    } catch (error) {
      if (error instanceof SnapshotError) throw error;
      throw new ServerStartError(`Can't open the append-only file: ${reasonOf(error)}`);
    }
    if (this.#manifest.history.length > 0) void this.#file(() => this.#deleteHistory(null));
  }

  /** DEBUG LOADAOF: the databases as the append-only file has them, at once. @returns what went wrong, or null. */
  loadAofNow(): string | null {
    const server = this.#server;
    if (server.persistence.aofState === 'on') this.aof.flush(true);
    server.keyspace.clear(false);
    server.keyspace.functions?.clear();
    const { loading } = server;
    server.loading = true;
    try {
      const load = this.#partLoads();
      while (load.next().done !== true);
      return null;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      server.log.warning(error.message);
      return 'Error trying to load the AOF files, check server logs.';
    } finally {
      server.loading = loading;
    }
  }

  loadFromMaster(load: MasterLoad): Promise<ReadonlyMap<string, string> | null> {
    return loadFromMaster(this.#server, load);
  }

  // --- the end ---

  /** Before the server goes down. @returns false when the dataset would be lost. */
  prepareForExit(force: boolean): boolean {
    const { log, persistence } = this.#server;
    if (this.#running !== null && this.#running.kind !== 'aof') {
      log.warning('There is a child saving an .rdb. Killing it!');
      this.stopJob(this.#running.kind);
    }
    if (this.#running?.kind === 'aof') {
      if (persistence.aofState === 'wait') {
        log.warning(force ? 'Writing initial AOF. Exit anyway.' : "Writing initial AOF, can't exit.");
        if (!force) return false;
      }
      log.warning('There is a child rewriting the AOF. Killing it!');
      this.stopJob('aof');
    }
    if (persistence.aofState !== 'off') {
      log.notice('Calling fsync() on the AOF file.');
      this.aof.syncNow();
    }
    return true;
  }
}
