// A shutdown that waits for replicas to get what they do not have yet, up to `shutdown-timeout`. Writes wait meanwhile,
// and so do the clients that asked for it: they hear of it only when it is called off or fails. core/ and the commands
// import it; the server's cron asks it whether the time has come.
import type { Call } from './call.ts';
import type { Server } from './server.ts';
import type { ShutdownRequest } from './server-parts.ts';

const FAILED = 'ERR Errors trying to SHUTDOWN. Check logs.';

export class PendingShutdown {
  readonly #server: Server;
  #request: ShutdownRequest | null = null;
  #untilMs = 0;

  constructor(server: Server) {
    this.#server = server;
  }

  get active(): boolean {
    return this.#request !== null;
  }

  get millisecondsLeft(): number {
    return this.#untilMs - this.#server.clock.unixMs;
  }

  /** @returns whether there is something to wait for. */
  begin(request: ShutdownRequest): boolean {
    const server = this.#server;
    const { clock, config, log, pauses, replication } = server;
    if (request.now || config.shutdownTimeout === 0 || replication.laggingReplicas.length === 0) return false;
    this.#request = request;
    this.#untilMs = clock.unixMs + config.shutdownTimeout * 1000;
    if (!pauses.active) replication.sendGetAck();
    server.pauseClients(false, Number.POSITIVE_INFINITY, 'shutdown');
    log.notice('Waiting for replicas before shutting down.');
    return true;
  }

  /** The client has asked for it. */
  wait(call: Call): void {
    call.block({ kind: 'shutdown', timeoutMs: 0, onTimeout: (reply) => reply.error(FAILED) });
  }

  cron(): void {
    const request = this.#request;
    const { hooks, replication } = this.#server;
    if (request === null || (this.millisecondsLeft > 0 && replication.laggingReplicas.length > 0)) return;
    this.#logLag();
    if ((hooks.finishShutdown?.(request) ?? null) !== null) this.cancel();
    else this.#request = null;
  }

  #logLag(): void {
    const { log, replication } = this.#server;
    const { laggingReplicas, offset, replicas, second } = replication;
    for (const { ackOffset, ackTime, name, state, stateName } of laggingReplicas) {
      const lag = state === 'online' ? second - ackTime : 0;
      log.warning(
        `Lagging replica ${name} reported offset ${offset - ackOffset} behind master, lag=${lag}, state=${stateName}.`,
      );
    }
    if (replicas.length === 0) return;
    const inSync = replicas.length - laggingReplicas.length;
    log.notice(`${inSync} of ${replicas.length} replicas are in sync when shutting down.`);
  }

  /** It does not come to it: everything goes on. */
  cancel(): void {
    const server = this.#server;
    if (this.#request === null) return;
    this.#request = null;
    for (const client of [...server.clients.values()]) {
      if (client.blocked?.request.kind !== 'shutdown') continue;
      server.blocking.unblock(client, (reply) => reply.error(FAILED), 'uncounted');
    }
    server.unpauseClients('shutdown');
  }
}
