// What a server is put together from, and what the process around it does for it: types only. Anyone in src/ may import it.
import type { ServerClock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import type { Random } from '../platform/random.ts';
import type { Stopwatch } from '../platform/stopwatch.ts';
import type { Scheduler } from '../platform/timers.ts';
import type { Connection, ConnectionHandler, TransportName } from '../transports/transport.ts';
import type { CommandDetails, CommandSpec } from './command.ts';
import type { Config, NamedDirective } from './config.ts';
import type { Keyspace } from './keyspace.ts';
import type { PersistenceControl } from './persistence.ts';

/** What the process around the server does for it; all optional in tests. */
export interface ServerHooks {
  /** SHUTDOWN: save or not, close everything, exit. @returns an error reply, or null when it has begun. */
  shutdown?(request: ShutdownRequest): string | null;
  /** As `shutdown`, when replicas have been waited for. */
  finishShutdown?(request: ShutdownRequest): string | null;
  /** A directive changed that the process cares about: bind, port, loglevel... @throws DirectiveError */
  configChanged?(named: NamedDirective): void;
  /** The files of the dataset. */
  readonly persistence?: PersistenceControl;
  /** DEBUG RELOAD, at once. @returns what went wrong, or null. */
  reload?(request: ReloadRequest): string | null;
  /**
   * DEBUG LOADAOF: writes the append-only file out, empties the dataset and loads the file, at once.
   * @returns what went wrong, or null.
   */
  loadAof?(): string | null;
  /** What `configChanged` has begun and not ended, if anything: resolves to what went wrong, or null. Asked once. */
  pendingChange?(): Promise<string | null> | null;
  /** Opens a connection to another server over the transport in use; rejects when there is none to be had. */
  connect?(
    host: string,
    port: number,
    attach: (connection: Connection) => ConnectionHandler,
    signal: AbortSignal,
  ): Promise<Connection>;
  /** Takes what clients have sent and sends what is for them, without waiting: while a script does not end. */
  serveClients?(): void;
  /** The server has become a master or a replica. */
  roleChanged?(): void;
  /** Facts about the transport for INFO: names and values. */
  transportFacts?(): readonly (readonly [name: string, value: string | number])[];
}

/** DEBUG RELOAD's steps: write the dump file, empty the dataset, load the file; `merge`: over keys that are there. */
export interface ReloadRequest {
  readonly save: boolean;
  readonly flush: boolean;
  readonly merge: boolean;
}

export interface ShutdownRequest {
  readonly save: 'default' | 'save' | 'nosave';
  readonly now: boolean;
  readonly force: boolean;
}

export interface ServerParts {
  readonly config: Config;
  readonly keyspace: Keyspace;
  readonly commands: readonly CommandSpec[];
  readonly clock: ServerClock;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly stopwatch: Stopwatch;
  readonly log: Log;
  readonly hooks?: ServerHooks;
  readonly transport?: TransportName;
  /** `rename-command`: from, to. */
  readonly renames?: readonly (readonly [string, string])[];
  /** Absolute path of redis.conf; absent: none. */
  readonly configFile?: string;
  /** Details of Redis's commands, by name; absent: none has any. */
  readonly details?: (name: string) => CommandDetails;
}
