// What a server knows of its clients as plain data, so that another process goes on with their connections and none of
// them notices: who they are, what they wait for, watch, listen to and track, requests half received and replies half
// sent. Also what the server counts. Texts are Latin-1. Between two ticks only. For src/handover/ and the simulator.
import type { Connection } from '../transports/transport.ts';
import type { BlockKind, Waiting } from './blocking.ts';
import type { Client, InTransit } from './client.ts';
import type { Command } from './command-table.ts';
import { type ArgVector, WordList } from './nested-call.ts';
import type { PausePurpose } from './pause.ts';
import type { Server } from './server.ts';
import type { SlowEntry } from './slowlog.ts';
import type { TrackingOptions } from './tracking.ts';
import { Transaction } from './transaction.ts';

interface QueuedState {
  /** Words of its name: a container's command has two. */
  readonly name: string;
  readonly flags: number;
  readonly words: readonly Uint8Array[];
}

interface TransactionState {
  readonly active: boolean;
  readonly touched: boolean;
  readonly broken: boolean;
  readonly queue: readonly QueuedState[];
  readonly watched: readonly (readonly [name: string, expired: boolean])[];
}

interface TrackingState {
  readonly options: TrackingOptions;
  readonly prefixes: readonly string[];
  readonly caching: boolean;
  readonly brokenRedirect: boolean;
}

/** One client. */
export interface ClientState {
  readonly id: number;
  readonly name: string;
  readonly user: string;
  readonly authenticated: boolean;
  readonly protocol: 2 | 3;
  readonly db: number;
  readonly replyMode: number;
  readonly monitor: boolean;
  readonly noEvict: boolean;
  readonly createdAt: number;
  readonly lastInteraction: number;
  readonly writeOffset: number;
  readonly lastCommand: string;
  readonly transaction: TransactionState | null;
  readonly channels: readonly string[];
  readonly patterns: readonly string[];
  readonly shardChannels: readonly string[];
  readonly tracking: TrackingState | null;
  readonly inTransit: InTransit;
}

export interface SessionState {
  readonly nextClientId: number;
  readonly clients: readonly ClientState[];
  /** Who waits, longest first. */
  readonly waiting: readonly Waiting[];
  readonly tracked: readonly (readonly [key: string, clients: readonly number[]])[];
  readonly pauses: readonly { readonly purpose: PausePurpose; readonly all: boolean; readonly untilMs: number }[];
}

/** Waits that end with the process that has begun them. */
const NOT_RESUMABLE: readonly BlockKind[] = ['module', 'shutdown'];

/** Whether somebody waits for something that only this process can bring. */
export function hasUnmovableWaits(server: Server): boolean {
  return NOT_RESUMABLE.some((kind) => server.blocking.count(kind) > 0);
}

/** Whether a client's session can go on elsewhere: replication makes its links anew. */
function canGoOn(client: Client): boolean {
  return client.link === null && !client.gone;
}

/** @param moves whether its connection goes on as well. */
export function exportSessions(server: Server, moves: (client: Client) => boolean): SessionState {
  const clients = [...server.clients.values()].filter((client) => canGoOn(client) && moves(client));
  const ids = new Set(clients.map(({ id }) => id));
  return {
    nextClientId: server.nextClientId,
    clients: clients.map(clientState),
    waiting: server.blocking.waiting.filter(({ client }) => ids.has(client)),
    tracked: server.tracking.readers,
    pauses: server.pauses.inForce.filter(({ purpose }) => purpose === 'client'),
  };
}

function clientState(client: Client): ClientState {
  const { subscriptions, tracking, transaction } = client;
  return {
    id: client.id,
    name: client.name,
    user: client.user.name,
    authenticated: client.authenticated,
    protocol: client.protocol,
    db: client.db.index,
    replyMode: client.replyMode,
    monitor: client.monitor,
    noEvict: client.noEvict,
    createdAt: client.createdAt,
    lastInteraction: client.lastInteraction,
    writeOffset: client.writeOffset,
    lastCommand: client.lastCommand === null ? '' : fullName(client.lastCommand),
    transaction: transaction === null ? null : transactionState(transaction),
    channels: [...(subscriptions?.channels ?? [])],
    patterns: [...(subscriptions?.patterns ?? [])],
    shardChannels: [...(subscriptions?.shardChannels ?? [])],
    tracking:
      tracking === null
        ? null
        : {
            options: { ...tracking.options },
            prefixes: [...tracking.prefixes],
            caching: tracking.caching,
            brokenRedirect: tracking.brokenRedirect,
          },
    inTransit: client.inTransit,
  };
}

function transactionState({ active, broken, queue, touched, watched }: Transaction): TransactionState {
  return {
    active,
    touched,
    broken,
    queue: queue.map(({ command, flags, words }) => ({ name: fullName(command), flags, words: listOf(words) })),
    watched: [...watched],
  };
}

function listOf({ argc, bytes, lengths, offsets }: ArgVector): Uint8Array[] {
  return Array.from({ length: argc }, (_, i) => bytes.slice(offsets[i], offsets[i] + lengths[i]));
}

function fullName({ calledAs, parent }: Command): string {
  return parent === null ? calledAs : `${parent.calledAs} ${calledAs}`;
}

function commandNamed(server: Server, name: string): Command | null {
  const [first, second] = name.split(' ');
  const command = server.commands.named(first);
  return second === undefined ? command : (command?.subcommands?.named(second) ?? null);
}

/**
 * Goes on with sessions. The server has the dataset, the users, the settings and the modules that they had.
 * @param connections by their clients' numbers; a session without one is over.
 * @returns the clients, by their numbers; `resumeSessions` lets them go on.
 */
export function importSessions(
  server: Server,
  state: SessionState,
  connections: ReadonlyMap<number, Connection>,
): Map<number, Client> {
  const clients = new Map<number, Client>();
  for (const one of state.clients) {
    const connection = connections.get(one.id);
    if (connection === undefined) continue;
    const client = server.addClient(connection, one.id);
    clients.set(one.id, client);
    restoreClient(server, client, one);
  }
  server.nextClientId = state.nextClientId;
  server.tracking.readers = state.tracked;
  for (const { purpose, all, untilMs } of state.pauses) {
    server.pauseClients(all, Math.max(1, untilMs - server.clock.unixMs), purpose);
  }
  return clients;
}

function restoreClient(server: Server, client: Client, state: ClientState): void {
  const user = server.acl.find(state.user);
  client.name = state.name;
  client.user = user ?? server.acl.defaultUser;
  client.authenticated = user !== null && state.authenticated;
  client.protocol = state.protocol;
  client.db = server.databases[state.db] ?? server.databases[0];
  client.replyMode = state.replyMode;
  client.noEvict = state.noEvict;
  client.createdAt = state.createdAt;
  client.lastInteraction = state.lastInteraction;
  client.writeOffset = state.writeOffset;
  client.lastCommand = commandNamed(server, state.lastCommand);
  for (const channel of state.channels) server.pubsub.subscribe(client, channel, false);
  for (const channel of state.shardChannels) server.pubsub.subscribe(client, channel, true);
  for (const pattern of state.patterns) server.pubsub.subscribePattern(client, pattern);
  if (state.transaction !== null) restoreTransaction(server, client, state.transaction);
  if (state.tracking !== null) {
    const { options, prefixes, caching, brokenRedirect } = state.tracking;
    server.tracking.enable(client, options, prefixes);
    if (client.tracking !== null) Object.assign(client.tracking, { caching, brokenRedirect });
  }
  if (state.monitor) server.startMonitor(client);
  client.updateGate();
}

function restoreTransaction(server: Server, client: Client, state: TransactionState): void {
  const transaction = new Transaction();
  client.transaction = transaction;
  transaction.active = state.active;
  transaction.touched = state.touched;
  transaction.broken = state.broken;
  for (const { name, flags, words } of state.queue) {
    const command = commandNamed(server, name);
    const list = new WordList();
    for (const word of words) list.addBytes(word, 0, word.length);
    if (command === null) transaction.broken = true;
    else transaction.queue.push({ command, flags, words: list });
  }
  for (const [name, expired] of state.watched) server.watches.watchAgain(transaction, name, expired);
}

/** Everyone waits again, gets the rest of his replies, and goes on with the request that he was sending. */
export function resumeSessions(server: Server, state: SessionState, clients: ReadonlyMap<number, Client>): void {
  for (const waiting of state.waiting) {
    const client = clients.get(waiting.client);
    if (client !== undefined) server.blocking.waitAgain(client, waiting);
  }
  for (const { id, inTransit } of state.clients) {
    const client = clients.get(id);
    if (client === undefined) continue;
    const { lastInteraction } = client;
    client.restore(inTransit);
    client.lastInteraction = lastInteraction;
  }
  server.settle();
}

// --- what is counted ---

export interface CountersState {
  readonly stats: Readonly<Record<string, number>>;
  readonly keyspace: Readonly<Record<string, number>>;
  readonly errors: readonly (readonly [code: string, count: number])[];
  readonly commands: readonly (readonly [name: string, calls: number, us: number, rejected: number, failed: number])[];
  readonly slowlog: readonly SlowEntry[];
  readonly dirty: number;
  readonly startedAt: number;
  readonly runId: string;
}

export function exportCounters(server: Server): CountersState {
  const { commands, keyspace, slowlog, stats } = server;
  const counted = commands.all
    .flatMap((command) => [command, ...(command.subcommands?.all ?? [])])
    .filter(({ calls, rejectedCalls, failedCalls }) => calls + rejectedCalls + failedCalls > 0);
  return {
    stats: numbersOf(stats),
    keyspace: numbersOf(keyspace.stats),
    errors: [...stats.errorsByCode],
    commands: counted.map((c) => [fullName(c), c.calls, c.timeUs, c.rejectedCalls, c.failedCalls]),
    slowlog: [...slowlog.entries],
    dirty: server.dirty,
    startedAt: server.startedAt,
    runId: server.runId,
  };
}

function numbersOf(record: object): Record<string, number> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => typeof value === 'number'));
}

export function importCounters(server: Server, state: CountersState): void {
  const known = (record: object, values: Readonly<Record<string, number>>): Record<string, number> =>
    Object.fromEntries(Object.entries(values).filter(([name]) => name in record));
  Object.assign(server.stats, known(server.stats, state.stats));
  Object.assign(server.keyspace.stats, known(server.keyspace.stats, state.keyspace));
  for (const [code, count] of state.errors) server.stats.errorsByCode.set(code, count);
  for (const [name, calls, us, rejected, failed] of state.commands) {
    const command = commandNamed(server, name);
    if (command === null) continue;
    command.calls = calls;
    command.timeUs = us;
    command.rejectedCalls = rejected;
    command.failedCalls = failed;
  }
  server.slowlog.restore(state.slowlog);
  server.dirty = state.dirty;
  server.startedAt = state.startedAt;
  server.runId = state.runId;
}
