// The dataset's files: the dump file and the append-only file, their loading, and the one save that may go on in the
// background. Commands, save points, the cron and SHUTDOWN ask here. The composition root makes one.
import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { JobKind, MasterLoad, PersistenceControl } from '../core/persistence.ts';
import { REDIS_VERSION, type Server, ServerStartError } from '../core/server.ts';
import { AofFileLoad } from './aof-loader.ts';
import { AofRewrites } from './aof-rewrites.ts';
import { AppendOnlyFile, reasonOf } from './append-only-file.ts';
import { BackgroundJobs } from './background-jobs.ts';
import { CommandFormat } from './command-writer.ts';
import { loadFromMaster } from './master-load.ts';
import { loadSnapshot, SnapshotError, saveSnapshot, writeSnapshot } from './snapshot.ts';
import { rdbFormat } from './snapshot-job.ts';

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

export class DatasetFiles implements PersistenceControl {
  readonly aof: AppendOnlyFile;
  readonly #server: Server;
  readonly #jobs: BackgroundJobs;
  readonly #rewrites: AofRewrites;
  #retriedAt = 0;
  #isStill = false;

  /** @param exit ends the process at once, when an append-only file that promised safety cannot be written. */
  constructor(server: Server, exit: () => void) {
    this.#server = server;
    this.aof = new AppendOnlyFile({
      config: server.config,
      clock: server.clock,
      log: server.log,
      facts: server.persistence,
      flushSleepUs: () => server.debug.aofFlushSleepUs,
      errorChanged: () => server.updateDiskGate(),
      exit,
    });
    this.#jobs = new BackgroundJobs(server);
    this.#rewrites = new AofRewrites(server, this.aof, this.#jobs);
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
    const sink = this.#jobs.openFile(temporary, target, config.rdbSaveIncrementalFsync);
    if (sink === null) {
      log.warning('Background saving error');
      server.lastSaveOk = false;
      return false;
    }
    const withIdleTime = config.maxmemoryPolicy.endsWith('lru');
    this.#jobs.onSaveStopped = () => onEnd(new Error('stopped'));
    this.startJob(
      'rdb',
      sink,
      rdbFormat({ redisVersion: REDIS_VERSION, withIdleTime, aux: server.replication.dumpFields }, config.rdbchecksum),
      (error) => {
        persistence.lastSaveSeconds = this.#jobs.end();
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

  stopSave(): void {
    this.#jobs.stop('rdb');
  }

  startJob(...parts: Parameters<BackgroundJobs['start']>): void {
    this.#jobs.start(...parts);
  }

  stopJob(kind: JobKind): void {
    this.#jobs.stop(kind);
  }

  startRewrite(): boolean {
    return this.#rewrites.start();
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
    if (persistence.rewriteScheduled && !this.#rewrites.isLimited(second)) this.startRewrite();
    else if (persistence.saveScheduled && persistence.mayTrySaving(second)) this.startSave();
    else if (persistence.aofState === 'on' && config.autoAofRewritePercentage > 0 && this.#rewrites.hasGrown) {
      if (!this.#rewrites.isLimited(second)) this.startRewrite();
    }
  }

  #flushFromCron(second: number): void {
    if (this.aof.failing) {
      if (second - this.#retriedAt < RETRY_SECONDS) return;
      this.#retriedAt = second;
    }
    this.aof.flush(false);
  }

  // --- switching it on and off ---

  setAppendOnly(on: boolean): boolean {
    const { log, persistence } = this.#server;
    if (on === (persistence.aofState !== 'off')) return true;
    if (!on) {
      this.#switchOff();
      return true;
    }
    this.#rewrites.manifest = this.#rewrites.manifestOnDisk();
    persistence.aofState = 'wait';
    this.aof.clearErrors();
    const { current } = this.#server;
    const obstacle =
      this.#jobs.running?.kind === 'rdb'
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
    if (this.#jobs.running?.kind === 'aof') log.notice('Killing AOF child: the rewrite in the background is given up');
    this.stopJob('aof');
    if (waiting) rmSync(this.#rewrites.manifest.pathOf(this.#rewrites.manifest.temporaryIncrement), { force: true });
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
    this.#rewrites.manifest = this.#rewrites.manifestOnDisk();
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
    const manifest = this.#rewrites.manifest;
    const moved = manifest.pathOf(appendfilename);
    const halfDone = manifest.increments.length === 0 && manifest.base?.name === appendfilename && !existsSync(moved);
    const old = this.#inDir(appendfilename);
    if (!existsSync(old) || !(manifest.isEmpty || halfDone)) return;
    this.#rewrites.makeDirectory();
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
    const { parts } = this.#rewrites.manifest;
    if (parts.length === 0) return false;
    for (const { name } of parts) {
      if (!existsSync(this.#rewrites.manifest.pathOf(name))) {
        throw new ServerStartError(`Unable to obtain the AOF file ${name} length. stat: No such file or directory`);
      }
    }
    for (const [i, part] of parts.entries()) {
      const path = this.#rewrites.manifest.pathOf(part.name);
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
      const kind = part === this.#rewrites.manifest.base ? 'base' : 'incr';
      log.notice(`DB loaded from ${kind} file ${part.name}: ${((stopwatch() - began) / 1e6).toFixed(3)} seconds`);
    }
    const sizes = parts.map(({ name }) => statSync(this.#rewrites.manifest.pathOf(name)).size);
    persistence.aofCurrentSize = sizes.reduce((sum, size) => sum + size, 0);
    persistence.aofBaseSize = this.#rewrites.manifest.base === null ? 0 : sizes[0];
    return true;
  }

  /**
   * Goes on with the append-only file of another process that has the same dataset. @throws ServerStartError when it
   * cannot be opened.
   */
  continueAppendOnly(): void {
    const { persistence } = this.#server;
    this.#rewrites.manifest = this.#rewrites.manifestOnDisk();
    this.#openAtStart();
    const sizes = this.#rewrites.manifest.parts.map(({ name }) => statSync(this.#rewrites.manifest.pathOf(name)).size);
    persistence.aofCurrentSize = sizes.reduce((sum, size) => sum + size, 0);
    persistence.aofBaseSize = this.#rewrites.manifest.base === null ? 0 : sizes[0];
    persistence.aofState = 'on';
    this.#server.propagation.addSink(this.aof);
  }

  #openAtStart(): void {
    const { config, keyspace, log } = this.#server;
    try {
      this.#rewrites.makeDirectory();
      const manifest = this.#rewrites.manifest;
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
    this.#rewrites.deleteHistory();
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
    if (this.#jobs.running !== null && this.#jobs.running.kind !== 'aof') {
      log.warning('There is a child saving an .rdb. Killing it!');
      this.stopJob(this.#jobs.running.kind);
    }
    if (this.#jobs.running?.kind === 'aof') {
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
