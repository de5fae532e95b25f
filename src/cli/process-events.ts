// What happens to the server's process from outside: signals that end it, output nobody reads any more, and bugs that
// nothing caught. Only wiredis-server imports it.
import type { Config } from '../core/config.ts';
import type { ShutdownRequest } from '../core/server-parts.ts';
import type { Log } from '../platform/log.ts';
import type { RunningServer } from '../server.ts';

/**
 * SIGTERM and SIGINT shut down, with the next cron; a second SIGINT until then does not wait. SIGUSR2 hands over to a
 * new process.
 */
export function handleSignals(running: RunningServer): void {
  let closing = false;
  const shutDown = (signal: string, flags: readonly string[]): void => {
    const { server } = running;
    const { log } = server;
    if ((closing || server.scheduledShutdown !== null) && signal === 'SIGINT') {
      log.warning('You insist... exiting now.');
      process.exit(1);
    }
    if (server.loading) {
      log.warning(`Received ${signal} during loading, exiting now.`);
      closing = running.shutdown(signalRequest(flags)) === null;
      return;
    }
    log.warning(`Received ${signal} scheduling shutdown...`);
    server.scheduledShutdown = signalRequest(flags);
  };
  const { config } = running.server;
  process.on('SIGTERM', () => shutDown('SIGTERM', config.shutdownOnSigterm));
  process.on('SIGINT', () => shutDown('SIGINT', config.shutdownOnSigint));
  process.on('SIGUSR2', () => {
    // Why it could not be done is in the log.
    running.handOver().catch(() => {});
  });
  // As in Redis: a terminal that goes away does not end the server.
  process.on('SIGHUP', () => {});
}

/** A relay, or the parent of several. */
export interface Ending {
  readonly log: Log;
  shutdown(): void;
  /** For a process that does not wait. */
  endChild(): void;
}

/** The relay's: SIGTERM and SIGINT let replies finish; a second SIGINT until then does not wait. */
export function endOnSignals(relay: Ending): void {
  const { log } = relay;
  let closing = false;
  const shutDown = (signal: string): void => {
    if (closing && signal === 'SIGINT') {
      log.warning('You insist... exiting now.');
      relay.endChild();
      process.exit(1);
    }
    closing = true;
    log.warning(`Received ${signal}, shutting down...`);
    relay.shutdown();
  };
  process.on('SIGTERM', () => shutDown('SIGTERM'));
  process.on('SIGINT', () => shutDown('SIGINT'));
  process.on('SIGUSR2', () => log.warning('A relay is not handed over: restart it, its clients reconnect'));
  process.on('SIGHUP', () => {});
}

function signalRequest(flags: readonly string[]): ShutdownRequest {
  return {
    save: flags.includes('save') ? 'save' : flags.includes('nosave') ? 'nosave' : 'default',
    now: flags.includes('now'),
    force: flags.includes('force'),
  };
}

/** A log that is piped to something that has ended must not end the server. */
export function surviveClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}

interface Crashing {
  readonly config: Config;
  readonly log: Log;
  removePidFile(): void;
}

/**
 * An error that nothing caught: the state is unknown, so the process reports it and ends with exit code 1, without
 * saving.
 * @param running the server, once there is one.
 */
export function reportCrashes(version: string, running: () => Crashing | null): void {
  process.on('uncaughtException', (error: unknown) => {
    const server = running();
    const report = server?.config.crashLogEnabled === false ? messageOf(error) : crashReport(error, version);
    if (server === null) process.stderr.write(`${report}\n`);
    else server.log.warning(report);
    server?.removePidFile();
    process.exit(1);
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** One block that can be cut out of the log as it is. */
function crashReport(error: unknown, version: string): string {
  const stack = error instanceof Error && error.stack !== undefined ? error.stack : messageOf(error);
  return [
    '=== WIREDIS BUG REPORT START: Cut & paste starting from here ===',
    `wiredis ${version} crashed: ${messageOf(error)}`,
    `node ${process.version} ${process.platform} ${process.arch}, up ${Math.round(process.uptime())} seconds, pid ${process.pid}`,
    stack,
    '=== WIREDIS BUG REPORT END ===',
  ].join('\n');
}
