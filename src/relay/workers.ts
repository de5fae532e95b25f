// `workers N`: this process serves nobody; it holds what the workers share (the Redis server of relay-spawn, the XDP
// program), starts them, passes on the frames that all have to hear, starts again one that died, and ends them all.
// Composition only.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Config } from '../core/config.ts';
import { ServerStartError } from '../core/server.ts';
import type { Log } from '../platform/log.ts';
import { PidFile } from '../platform/pid-file.ts';
import type { Scheduler } from '../platform/timers.ts';
import { type ChildAccount, RedisChild } from './child.ts';
import { RestartPolicy } from './restart-policy.ts';
import { seatEnvironment, type WorkerNews, type WorkerSeat } from './worker-seat.ts';

/** Besides `shutdown-timeout`, what a worker may take to end. */
const STOP_GRACE_MS = 5000;

/** An interface made ready for several processes. */
export interface SharedDevice {
  readonly engine: 'afxdp' | 'afpacket';
  /** Descriptor for workers to inherit; -1: none. */
  readonly map: number;
  readonly generic: boolean;
  close(): void;
}

export interface WorkersParts {
  readonly log: Log;
  readonly scheduler: Scheduler;
  readonly device: SharedDevice;
  /** Program, arguments and standard input of this process: a worker's are the same. */
  readonly command: readonly string[];
  readonly input: string;
}

export class Workers {
  readonly config: Config;
  readonly log: Log;
  /** Called when everything has ended. @param failed whether something had to be given up. */
  onStopped: (failed: boolean) => void = () => {};
  readonly #parts: WorkersParts;
  readonly #child: RedisChild | null;
  readonly #workers: Worker[];
  readonly #pidFile: PidFile;
  #stopping = false;

  constructor(config: Config, parts: WorkersParts) {
    const { log, scheduler, device } = parts;
    this.config = config;
    this.log = log;
    this.#parts = parts;
    this.#pidFile = new PidFile(log);
    this.#child = config.relaySpawn.length === 0 ? null : new RedisChild(config.relaySpawn, { log, scheduler });
    const upstream = this.#child === null ? config.relayUpstream : `unix:${this.#child.path}`;
    const { engine, generic } = device;
    const count = config.workers;
    this.#workers = Array.from({ length: count }, (_, index) => {
      const worker = new Worker(parts, { index, count, engine, generic, upstream });
      worker.onFrame = (frame) => this.#passOn(worker, frame);
      worker.onGivenUp = () => void this.#stop(true);
      return worker;
    });
  }

  /** The Redis server of relay-spawn is that user's. Before `start`. */
  runChildAs(account: ChildAccount): void {
    this.#child?.runAs(account);
  }

  /** Resolves when all serve. @throws ServerStartError */
  async start(): Promise<void> {
    const { config, log } = this;
    try {
      if (this.#child !== null && !(await this.#child.start())) {
        throw new ServerStartError('The Redis server of relay-spawn does not start: its own words are in the log');
      }
      // One after the other: the first one asks the network whether the address is free.
      for (const worker of this.#workers) await worker.start();
    } catch (error) {
      await this.#close();
      throw error;
    }
    if (this.#child !== null) this.#child.onGone = (failed) => void this.#stop(failed);
    this.#pidFile.write(config);
    const pids = this.#workers.map(({ pid }) => pid).join(', ');
    log.notice(`${config.workers} workers over ${this.#parts.device.engine}: pids ${pids}. PID: ${process.pid}`);
  }

  /** Every worker lets its replies finish; `onStopped` follows. */
  shutdown(): void {
    void this.#stop(false);
  }

  /** For a process that does not wait. */
  endChild(): void {
    this.#child?.tellToEnd();
    for (const worker of this.#workers) worker.kill();
  }

  removePidFile(): void {
    this.#pidFile.remove();
  }

  #passOn(from: Worker, frame: Uint8Array): void {
    for (const worker of this.#workers) if (worker !== from) worker.tell(frame);
  }

  async #stop(failed: boolean): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    await this.#close();
    this.log.warning('All workers have ended, bye bye...');
    this.onStopped(failed);
  }

  async #close(): Promise<void> {
    const graceMs = this.config.shutdownTimeout * 1000 + STOP_GRACE_MS;
    await Promise.all(this.#workers.map((worker) => worker.stop(graceMs)));
    await this.#child?.stop();
    this.#parts.device.close();
    this.removePidFile();
  }
}

/** One of them, started again when it ends. */
class Worker {
  onFrame: (frame: Uint8Array) => void = () => {};
  onGivenUp: () => void = () => {};
  readonly #parts: WorkersParts;
  readonly #seat: WorkerSeat;
  readonly #policy: RestartPolicy;
  #process: ChildProcess | null = null;
  #wasReady = false;
  #stopping = false;
  #onExit: () => void = () => {};

  constructor(parts: WorkersParts, seat: WorkerSeat) {
    this.#parts = parts;
    this.#seat = seat;
    this.#policy = new RestartPolicy(parts.scheduler);
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Resolves when it serves. @throws ServerStartError when it ends first. */
  start(): Promise<void> {
    const child = this.#spawn();
    return new Promise((resolve, reject) => {
      let problem = '';
      child.on('message', (news: WorkerNews) => {
        if ('ready' in news) {
          this.#wasReady = true;
          resolve();
        } else if ('problem' in news) problem = news.problem;
      });
      child.once('exit', (code, signal) => {
        const why = problem === '' ? `ended with ${signal ?? `exit code ${code}`}` : problem;
        reject(new ServerStartError(`worker ${this.#seat.index}: ${why}`));
      });
      child.once('error', (error) => reject(new ServerStartError(`worker ${this.#seat.index}: ${error.message}`)));
    });
  }

  tell(frame: Uint8Array): void {
    const child = this.#process;
    if (child?.connected === true) child.send({ frame });
  }

  kill(): void {
    this.#process?.kill('SIGKILL');
  }

  /** SIGTERM, and SIGKILL after the grace. Resolves when it is gone. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#policy.stop();
    if (this.#process === null) return;
    const patience = this.#parts.scheduler.createAlarm(() => this.kill());
    patience.arm(graceMs);
    const exited = new Promise<void>((resolve) => {
      this.#onExit = resolve;
    });
    this.#process.kill('SIGTERM');
    await exited;
    patience.disarm();
  }

  #spawn(): ChildProcess {
    const { command, input, device } = this.#parts;
    const [program, ...words] = command;
    // A group of its own: Ctrl-C in a terminal is for the parent, who tells them.
    const child = spawn(program, words, {
      detached: true,
      serialization: 'advanced',
      stdio: ['pipe', 'inherit', 'inherit', 'ipc', device.map < 0 ? 'ignore' : device.map],
      env: seatEnvironment(this.#seat),
    });
    this.#process = child;
    child.stdin?.on('error', () => {
      // It ended without reading: its exit says why.
    });
    child.stdin?.end(input, 'latin1');
    child.on('message', (news: WorkerNews) => {
      if ('frame' in news) this.onFrame(news.frame);
    });
    child.once('error', () => this.#ended(child, 'it cannot be started'));
    child.once('exit', (code, signal) => this.#ended(child, signal ?? `exit code ${code}`));
    this.#policy.started();
    return child;
  }

  #ended(child: ChildProcess, how: string): void {
    if (this.#process !== child) return;
    this.#process = null;
    this.#onExit();
    if (this.#stopping || !this.#wasReady) return;
    const { log, scheduler } = this.#parts;
    const pauseMs = this.#policy.ended();
    const what = `Worker ${this.#seat.index} (pid ${child.pid}) has ended with ${how}`;
    if (pauseMs < 0) {
      log.warning(`${what}, again and again: given up`);
      this.onGivenUp();
      return;
    }
    log.warning(`${what}: its connections are gone; started again in ${pauseMs} ms`);
    const again = scheduler.createAlarm(() => {
      if (!this.#stopping) this.#spawn();
    });
    again.arm(pauseMs);
  }
}
