// The package's entry `wiredis/net`: sockets of the user-space stack with the shape of `node:net`, for any program.
import { SystemClock } from '../platform/clock.ts';
import { Log, type LogLevel, standardOutput } from '../platform/log.ts';
import { SystemRandom } from '../platform/random.ts';
import { SystemScheduler } from '../platform/timers.ts';
import { openUserspace, type UserspaceSettings } from '../transports/userspace-open.ts';
import { Net } from './net.ts';

export type { Net } from './net.ts';
export type { NetServer, ServerOptions } from './server.ts';
export type { ConnectOptions, NetSocket, SocketOptions } from './socket.ts';

export interface OpenNetOptions {
  /** Replaces the file's `engine`. */
  readonly engine?: UserspaceSettings['engine'];
  /** Lines about the engine and the link on standard output from this level on; `warning` when absent. */
  readonly loglevel?: LogLevel;
}

/**
 * Opens the interface that a netdev.conf names and starts a stack on it.
 * @throws an Error with a stable `code` whose message is one line that says what to do.
 */
export async function openNet(netdevFile: string, options: OpenNetOptions = {}): Promise<Net> {
  const scheduler = new SystemScheduler();
  const log = new Log(standardOutput);
  log.level = options.loglevel ?? 'warning';
  const transport = await openUserspace({
    netdevFile,
    engine: options.engine ?? 'auto',
    clock: new SystemClock(),
    scheduler,
    random: new SystemRandom(),
    log,
  });
  return new Net(transport, scheduler);
}
