// The Redis server that the relay starts itself (`relay-spawn`): on a socket file that nobody else can reach, its log
// lines passed on, started again when it dies, with growing pauses, and given up when it keeps dying. Composition only.
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, chownSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Log } from '../platform/log.ts';
import type { Alarm, Scheduler } from '../platform/timers.ts';
import { ENDS_MAX, RestartPolicy } from './restart-policy.ts';

/** How often it is asked whether it answers yet. */
const PROBE_MS = 20;
/** Saving a large dataset takes its time. */
const STOP_MS = 60_000;

const LOG_LINE = /^\d+:[A-Z] \d+ \w+ \d+ [\d:.]+ ([-.*#]) (.*)$/;

export interface ChildParts {
  readonly log: Log;
  readonly scheduler: Scheduler;
}

export interface ChildAccount {
  readonly uid: number;
  readonly gid: number;
}

export class RedisChild {
  /** Where it listens. */
  readonly path: string;
  /** Called when it has ended and is not started again. @param failed whether it was given up, and not told to end. */
  onGone: (failed: boolean) => void = () => {};
  /** Times it was started again. */
  restarts = 0;
  readonly #parts: ChildParts;
  readonly #words: readonly string[];
  readonly #folder: string;
  readonly #again: Alarm;
  readonly #policy: RestartPolicy;
  #account: ChildAccount | null = null;
  #process: ChildProcess | null = null;
  #stopping = false;
  #onExit: () => void = () => {};

  /** @param command the program and its arguments; those of a private socket are added. */
  constructor(command: readonly string[], parts: ChildParts) {
    this.#parts = parts;
    // Only this user may enter it.
    this.#folder = mkdtempSync(join(tmpdir(), 'wiredis-relay-'));
    this.path = join(this.#folder, 'redis.sock');
    this.#words = [...underParent(), ...command, ...privateDirectives(command, this.path)];
    this.#again = parts.scheduler.createAlarm(() => {
      this.restarts++;
      this.#spawn();
    });
    this.#policy = new RestartPolicy(parts.scheduler);
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** Whether it runs or is about to be started. */
  get isSupervised(): boolean {
    return !this.#stopping;
  }

  /** It is that user's, as is its socket. */
  runAs(account: ChildAccount): void {
    this.#account = account;
    chownSync(this.#folder, account.uid, account.gid);
  }

  /** Starts it; resolves with whether it answers, false when it was given up first. */
  start(): Promise<boolean> {
    return new Promise((resolve) => {
      const probe = this.#parts.scheduler.createAlarm(() => {
        if (this.#stopping) return resolve(false);
        const socket = connect(this.path);
        socket.once('connect', () => {
          socket.destroy();
          resolve(true);
        });
        socket.once('error', () => probe.arm(PROBE_MS));
      });
      this.#spawn();
      probe.arm(PROBE_MS);
    });
  }

  /** SIGTERM, and SIGKILL after a minute. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#again.disarm();
    const child = this.#process;
    if (child !== null) {
      const { log, scheduler } = this.#parts;
      const patience = scheduler.createAlarm(() => {
        log.warning(`The Redis server (pid ${child.pid}) did not end within a minute: killed`);
        child.kill('SIGKILL');
      });
      patience.arm(STOP_MS);
      const exited = new Promise<void>((resolve) => {
        this.#onExit = resolve;
      });
      child.kill('SIGTERM');
      await exited;
      patience.disarm();
    }
    this.#removeFolder();
  }

  /** SIGTERM, without waiting. */
  tellToEnd(): void {
    this.#stopping = true;
    this.#process?.kill('SIGTERM');
  }

  #removeFolder(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #spawn(): void {
    const { log } = this.#parts;
    const [program, ...words] = this.#words;
    // A group of its own: Ctrl-C in a terminal is for us, and we let replies finish before it is told.
    const child = spawn(program, words, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(this.#account ?? {}),
    });
    this.#process = child;
    this.#passOn(child.stdout);
    this.#passOn(child.stderr);
    let reason = '';
    child.once('error', (error) => {
      reason = error.message;
      // A program that was never started has no exit.
      if (child.pid === undefined) this.#ended(child, null, reason);
    });
    child.once('exit', (code, signal) => this.#ended(child, code, signal ?? `exit code ${code}`));
    if (child.pid === undefined) return;
    log.notice(`Started the Redis server behind the relay, pid ${child.pid}`);
    this.#policy.started();
  }

  #passOn(stream: Readable | null): void {
    if (stream === null) return;
    const { log } = this.#parts;
    createInterface({ input: stream }).on('line', (line) => {
      const [, mark, text] = LOG_LINE.exec(line) ?? ['', '*', line];
      if (text.trim() === '') return;
      const said = `redis: ${text}`;
      if (mark === '#') log.warning(said);
      else if (mark === '*') log.notice(said);
      else if (mark === '-') log.verbose(said);
      else log.debug(said);
    });
  }

  #ended(child: ChildProcess, code: number | null, how: string): void {
    const { log } = this.#parts;
    this.#process = null;
    if (this.#stopping) {
      this.#policy.stop();
      log.notice(`The Redis server (pid ${child.pid}) has ended: ${how}`);
      this.#onExit();
      return;
    }
    // SHUTDOWN, or a SIGTERM of its own: it was told to.
    if (code === 0) this.#giveUp(`The Redis server (pid ${child.pid}) was shut down`, false);
    // As shells and setpriv say it: there is no such program, or it cannot be run.
    else if (code === 126 || code === 127 || child.pid === undefined) {
      this.#giveUp(`The command of relay-spawn cannot be run: ${how}`, true);
    } else this.#startAgain(child, how);
  }

  #startAgain(child: ChildProcess, how: string): void {
    const pauseMs = this.#policy.ended();
    if (pauseMs < 0) {
      this.#giveUp(`The Redis server has ended ${ENDS_MAX} times in a row, last with ${how}: given up`, true);
      return;
    }
    const { log } = this.#parts;
    log.warning(`The Redis server (pid ${child.pid}) has ended with ${how}; started again in ${pauseMs} ms`);
    this.#again.arm(pauseMs);
  }

  #giveUp(why: string, failed: boolean): void {
    this.#parts.log.warning(why);
    this.#stopping = true;
    this.#removeFolder();
    this.onGone(failed);
  }
}

/** What makes it ours alone; a port is only open when the command itself says so. */
function privateDirectives(command: readonly string[], path: string): string[] {
  const port = command.includes('--port') ? [] : ['--port', '0'];
  return [...port, '--unixsocket', path, '--unixsocketperm', '700', '--daemonize', 'no', '--supervised', 'no'];
}

/** Where the system has the program for it, the child gets SIGTERM should we die without telling it. */
function underParent(): string[] {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const program = join(folder, 'setpriv');
    try {
      accessSync(program, constants.X_OK);
      return [program, '--pdeathsig', 'TERM', '--'];
    } catch {
      // Not here.
    }
  }
  return [];
}
