// Rewriting the append-only file: commands go to a new increment, the dataset as it is then becomes the new base, and the
// manifest names both in the end. What has to be on the disk is waited for in the background, unless `appendfsync` is
// `always`. Imported by dataset-files.ts.
import { existsSync, mkdirSync, renameSync, rmSync, statSync, unlink } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { REDIS_VERSION, type Server } from '../core/server.ts';
import { AofManifest } from './aof-manifest.ts';
import { type AppendOnlyFile, reasonOf } from './append-only-file.ts';
import type { BackgroundJobs, Job, RunningJob } from './background-jobs.ts';
import { CommandFormat } from './command-writer.ts';
import { syncDirectory } from './snapshot.ts';
import { rdbFormat } from './snapshot-job.ts';

/** After so many rewrites that failed in a row automatic ones wait, minutes doubling up to the limit. */
const REWRITE_FAILURES_MAX = 3;
const REWRITE_DELAY_MINUTES_MAX = 60;

/** A rewrite whose manifest is on its way to the disk. */
const PREPARATION: Job = { keysDone: 0, keysTotal: 0, abort() {} };

export class AofRewrites {
  manifest = new AofManifest({ directory: '', file: '' });
  readonly #server: Server;
  readonly #aof: AppendOnlyFile;
  readonly #jobs: BackgroundJobs;
  /** The manifest is on its way to the disk, though what for may be given up: nothing else may change it before. */
  #filing = false;
  #delayMinutes = 0;
  #nextAt = 0;

  constructor(server: Server, aof: AppendOnlyFile, jobs: BackgroundJobs) {
    this.#server = server;
    this.#aof = aof;
    this.#jobs = jobs;
  }

  /** Path of something in `dir`. */
  #inDir(name: string): string {
    return join(this.#server.config.dir, name);
  }

  get #second(): number {
    return Math.floor(this.#server.clock.unixMs / 1000);
  }

  /** At start: history that a crash has left behind goes. */
  deleteHistory(): void {
    if (this.manifest.history.length > 0) void this.#file(() => this.#removeHistory(null));
  }

  /** Starts one now, or has it scheduled. @returns false when it cannot be, which is logged. */
  start(): boolean {
    const { config, log, persistence } = this.#server;
    if (this.#jobs.running !== null) return false;
    persistence.rewriteScheduled = this.#filing;
    if (this.#filing) return true;
    try {
      this.makeDirectory();
    } catch (error) {
      log.warning(`Can't open or create append-only dir ${config.appenddirname}: ${reasonOf(error)}`);
      persistence.lastRewriteOk = false;
      return false;
    }
    if (persistence.aofState === 'off') this.manifest = this.manifestOnDisk();
    if (persistence.aofState === 'on' && config.appendfsync !== 'always') {
      void this.#file(() => this.#prepareRewrite());
      return true;
    }
    return this.#beginRewrite(null);
  }

  /** The manifest with the next increment goes to the disk while commands go to the one before. */
  async #prepareRewrite(): Promise<void> {
    const { log } = this.#server;
    const next = this.manifest.copy();
    const { name } = next.addIncrement();
    const running = this.#jobs.begin('aof', PREPARATION);
    try {
      await next.prepare();
    } catch (error) {
      if (this.#jobs.running !== running) return;
      log.warning(`Can't open the append-only file ${name}: ${reasonOf(error)}`);
      this.#jobs.end();
      this.#rewriteFailed();
      return;
    }
    if (this.#jobs.running !== running) {
      next.discard();
      return;
    }
    this.#jobs.end();
    // Who wants every write on the disk may have said so meanwhile.
    this.#beginRewrite(this.#server.config.appendfsync === 'always' ? null : next);
  }

  /** Nothing else may change the manifest before this has. */
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
    this.#aof.selectedDb = -1;
    this.#aof.flush(true);
    if (persistence.aofState !== 'off' && !this.#openIncrement(prepared)) {
      persistence.lastRewriteOk = false;
      return false;
    }
    const temporary = this.#inDir(`temp-rewriteaof-bg-${process.pid}.aof`);
    const written = this.#inDir(`temp-rewriteaof-${process.pid}.aof`);
    const sink = this.#jobs.openFile(written, temporary, config.aofRewriteIncrementalFsync);
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
    this.#jobs.start('aof', sink, format, (error) => void this.#rewritten(error, temporary, rdb));
    log.notice(`Background append only file rewriting started by pid ${process.pid}`);
    return true;
  }

  makeDirectory(): void {
    const path = this.#inDir(this.#server.config.appenddirname);
    if (existsSync(path)) return;
    mkdirSync(path, { mode: 0o755 });
    syncDirectory(dirname(path));
  }

  manifestOnDisk(): AofManifest {
    const { appenddirname, appendfilename } = this.#server.config;
    return AofManifest.load({ directory: this.#inDir(appenddirname), file: appendfilename });
  }

  /** From here on commands go to a new file, as the base will hold what came before. */
  #openIncrement(prepared: AofManifest | null): boolean {
    const { log, persistence } = this.#server;
    const waiting = persistence.aofState === 'wait';
    const next = prepared ?? this.manifest.copy();
    const name = waiting ? next.temporaryIncrement : (prepared?.increments.at(-1) ?? next.addIncrement()).name;
    try {
      const file = this.#aof.open(next.pathOf(name), true);
      if (prepared !== null) this.#placePrepared(prepared);
      else if (!waiting) next.persist();
      this.#aof.switchTo(file, 0);
    } catch (error) {
      log.warning(`Can't open the append-only file ${name}: ${reasonOf(error)}`);
      return false;
    }
    if (waiting) this.#server.propagation.addSink(this.#aof);
    else this.manifest = next;
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
    const running = this.#jobs.running;
    let adopted = false;
    if (error === null) {
      log.notice(`Successfully created the temporary AOF base file ${basename(temporary)}`);
      log.notice('Background AOF rewrite terminated with success');
      adopted = await this.#file(() => this.#adopt(temporary, rdb));
      if (this.#jobs.running !== running) return;
    } else {
      log.warning(`Write error writing append only file on disk: ${reasonOf(error)}`);
      log.warning('Background AOF rewrite terminated with error');
    }
    persistence.lastRewriteSeconds = this.#jobs.end();
    if (!adopted) this.#rewriteFailed();
  }

  /** The new base takes its place, and what it replaces goes. The job goes on until it has: it may be given up. */
  async #adopt(temporary: string, rdb: boolean): Promise<boolean> {
    const { log, persistence } = this.#server;
    const running = this.#jobs.running;
    const waiting = persistence.aofState === 'wait';
    const next = this.manifest.copy();
    const base = next.addBase(rdb);
    const made: string[] = [];
    try {
      await rename(temporary, next.pathOf(base.name));
      made.push(next.pathOf(base.name));
      log.notice(`Successfully renamed the temporary AOF base file ${basename(temporary)} into ${base.name}`);
      const increment = waiting ? next.addIncrement() : null;
      next.retireIncrements(persistence.aofState === 'off' ? 0 : 1);
      await next.prepare();
      if (this.#jobs.running !== running) throw new Error('the rewrite is given up');
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
    this.manifest = next;
    if (persistence.aofState !== 'off') {
      persistence.aofCurrentSize = statSync(next.pathOf(base.name)).size + this.#aof.size;
      persistence.aofBaseSize = persistence.aofCurrentSize;
    }
    persistence.lastRewriteOk = true;
    persistence.rewriteFailures = 0;
    if (waiting) persistence.aofState = 'on';
    await this.#removeHistory(running);
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
    propagation.removeSink(this.#aof);
    this.#aof.forget();
    const path = this.manifest.pathOf(this.manifest.temporaryIncrement);
    log.notice(`Removing the temp incr aof file ${this.manifest.temporaryIncrement} in the background`);
    unlink(path, () => {});
  }

  /**
   * `aof-disable-auto-gc` leaves old files where they are. A line of the manifest without its file does no harm; a file
   * without its line would stay for ever: so files go first. @param running what may be given up meanwhile.
   */
  async #removeHistory(running: RunningJob | null): Promise<void> {
    const { config, log } = this.#server;
    const next = this.manifest.copy();
    const old = next.history;
    next.history = [];
    try {
      await next.settle();
      if (this.#jobs.running !== running || old.length === 0 || config.aofDisableAutoGc) return;
      for (const { name } of old) {
        log.notice(`Removing the history file ${name} in the background`);
        await rm(next.pathOf(name), { force: true });
      }
      await next.prepare();
      if (this.#jobs.running !== running) {
        next.discard();
        return;
      }
      next.putInPlace();
      this.manifest = next;
      await next.settle();
    } catch (error) {
      log.warning(`Can't remove history files from the AOF manifest: ${reasonOf(error)}`);
    }
  }

  get hasGrown(): boolean {
    const { config, log, persistence } = this.#server;
    if (persistence.aofCurrentSize <= config.autoAofRewriteMinSize) return false;
    const base = persistence.aofBaseSize || 1;
    const growth = Math.floor((persistence.aofCurrentSize * 100) / base) - 100;
    if (growth < config.autoAofRewritePercentage) return false;
    log.notice(`Starting automatic rewriting of AOF on ${growth}% growth`);
    return true;
  }

  /** Rewrites that fail again and again must not leave a new increment behind each time. */
  isLimited(second: number): boolean {
    const { log, persistence } = this.#server;
    if (persistence.rewriteFailures < REWRITE_FAILURES_MAX) {
      this.#delayMinutes = 0;
      this.#nextAt = 0;
      return false;
    }
    if (this.#nextAt !== 0) {
      if (second < this.#nextAt) return true;
      this.#nextAt = 0;
      return false;
    }
    this.#delayMinutes = Math.min(Math.max(1, this.#delayMinutes * 2), REWRITE_DELAY_MINUTES_MAX);
    this.#nextAt = second + this.#delayMinutes * 60;
    log.warning(
      `Background AOF rewrite has repeatedly failed and triggered the limit, will retry in ${this.#delayMinutes} minutes`,
    );
    return true;
  }
}
