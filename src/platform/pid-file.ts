// The `pidfile` directive. As in Redis, a daemon has one in any case, and one that cannot be written is no reason not
// to serve. The composition roots import it.
import { unlinkSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Log } from './log.ts';

/** Redis's, for a daemon that was given none. */
const DEFAULT_PID_FILE = '/var/run/redis.pid';

interface PidFileSettings {
  pidfile: string;
  readonly daemonize: boolean;
}

export class PidFile {
  readonly #log: Log;
  #path = '';

  constructor(log: Log) {
    this.#log = log;
  }

  /** @param settings `pidfile` is set to the path that a daemon gets by default. */
  write(settings: PidFileSettings): void {
    if (settings.pidfile === '' && settings.daemonize) settings.pidfile = DEFAULT_PID_FILE;
    if (settings.pidfile === '') return;
    const path = resolve(settings.pidfile);
    try {
      writeFileSync(path, `${process.pid}\n`);
      this.#path = path;
    } catch (error) {
      this.#log.warning(`Failed to write PID file: ${messageOf(error)}`);
    }
  }

  remove(): void {
    if (this.#path === '') return;
    try {
      unlinkSync(this.#path);
    } catch (error) {
      this.#log.warning(`Failed to remove PID file: ${messageOf(error)}`);
    }
    this.#path = '';
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
