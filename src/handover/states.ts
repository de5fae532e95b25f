// What the two processes tell each other, as plain data that versions may add to; and what of it a server knows. For
// src/handover/ and server.ts.
import type { Persistence } from '../core/persistence.ts';
import type { Server } from '../core/server.ts';
import type { CountersState, SessionState } from '../core/session-state.ts';
import { keyHashSeed } from '../data/key-hash.ts';
import type { HistoryPlace } from '../replication/replication.ts';
import type { SuspendedTransport } from '../transports/userspace.ts';
import { changedSettings, moduleSettingsOf, type Setting } from './settings.ts';

/** Raised when an older version could not read it. */
export const PROTOCOL = 1;

/** Before anything else. */
export interface Hello {
  readonly protocol: number;
  readonly pid: number;
  readonly settings: readonly Setting[];
  /** Path and arguments of each module; null: they are elsewhere on that host, its own configuration says where. */
  readonly modules: readonly (readonly string[])[] | null;
  readonly keyHash: readonly [number, number];
}

export interface FinalState {
  readonly place: HistoryPlace;
  readonly transport: SuspendedTransport;
  readonly sessions: SessionState;
  readonly counters: CountersState;
  readonly moduleSettings: readonly Setting[];
  /** ACL LIST. */
  readonly users: readonly string[];
  readonly scripts: readonly Uint8Array[];
  readonly persistence: Readonly<Record<string, number | boolean>>;
  readonly appendOnly: boolean;
}

/** Facts about files that hold in whatever process. */
const PERSISTENCE_FACTS: readonly (keyof Persistence)[] = [
  'lastSaveTime',
  'lastSaveOk',
  'lastSaveTry',
  'lastSaveSeconds',
  'saves',
  'lastRewriteOk',
  'lastRewriteSeconds',
  'rewrites',
  'rewriteFailures',
];

/** Settings of one machine. */
const OF_THE_MACHINE = new Set(['dir', 'logfile', 'pidfile', 'unixsocket', 'netdev', 'control-socket', 'move-listen']);

/** @param isNear the other process is on this host. */
export function helloOf(server: Server, before: ReadonlyMap<string, string>, isNear: boolean): Hello {
  const { config } = server;
  const changed = changedSettings(config, before);
  return {
    protocol: PROTOCOL,
    pid: process.pid,
    settings: isNear ? changed : changed.filter(([name]) => !OF_THE_MACHINE.has(name)),
    modules: isNear ? (server.modules?.loaded ?? []).map(({ path, args }) => [path, ...args]) : null,
    keyHash: keyHashSeed(),
  };
}

export function moduleSettings(server: Server): Setting[] {
  return moduleSettingsOf(server.config);
}

export function persistenceFacts({ persistence }: Server): Record<string, number | boolean> {
  return Object.fromEntries(PERSISTENCE_FACTS.map((name) => [name, persistence[name] as number | boolean]));
}

export function applyPersistenceFacts(
  { persistence }: Server,
  facts: Readonly<Record<string, number | boolean>>,
): void {
  const known = PERSISTENCE_FACTS.filter((name) => name in facts);
  Object.assign(persistence, Object.fromEntries(known.map((name) => [name, facts[name]])));
}
