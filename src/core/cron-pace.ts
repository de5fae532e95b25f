// How long the server sleeps between two crons: 1/hz of a second, twice that when nobody has asked it for anything in the
// last second and nothing waits for the cron. Waking costs two system calls in Node's loop, so this is what an idle server
// costs its machine. The first command after such a rest meets a cron that is one period late, no more.
import type { Server } from './server.ts';

const QUIET_SECONDS = 1;

export class CronPace {
  #commands = -1;
  #clients = 0;
  #quietRuns = 0;

  /** Called once a cron. @returns milliseconds until the next. */
  next(server: Server): number {
    const { hz } = server.config;
    const intervalMs = Math.round(1000 / hz);
    const { commandsProcessed } = server.stats;
    const quiet = commandsProcessed === this.#commands && server.clients.size === this.#clients && !hasDuties(server);
    this.#commands = commandsProcessed;
    this.#clients = server.clients.size;
    this.#quietRuns = quiet ? this.#quietRuns + 1 : 0;
    return this.#quietRuns > hz * QUIET_SECONDS ? intervalMs * 2 : intervalMs;
  }
}

/** What a cron has to see to at its usual pace though no command comes. */
function hasDuties(server: Server): boolean {
  const { replication } = server;
  return (
    server.loading ||
    server.persistence.job !== null ||
    server.pendingShutdown.active ||
    server.pauses.active ||
    replication.isReplica ||
    replication.replicas.length > 0 ||
    server.databases.some((db) => db.expiries.size > 0)
  );
}
