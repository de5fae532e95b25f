// The server itself: settings, databases, clients and what is counted, and the work done at intervals. It knows no
// command and no transport by name: both are handed in, so that a test can build a two-command server in a simulator.
import type { Arena } from '../data/arena.ts';
import type { Modules } from '../modules/modules.ts';
import type { ServerClock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import type { Random } from '../platform/random.ts';
import type { Stopwatch } from '../platform/stopwatch.ts';
import type { Scheduler } from '../platform/timers.ts';
import { Replication } from '../replication/replication.ts';
import { RequestParser } from '../resp/parser.ts';
import { ReplyWriter } from '../resp/reply-writer.ts';
import type { Scripting } from '../scripting/scripting.ts';
import type { Connection, ConnectionHandler, TransportName } from '../transports/transport.ts';
import { Acl } from './acl/acl.ts';
import { RuleCommands } from './acl/rule-commands.ts';
import { Blocking } from './blocking.ts';
import type { Call } from './call.ts';
import { Client, HELD_BY_PAUSE, HELD_BY_SERVICE } from './client.ts';
import { ClientMemory } from './client-memory.ts';
import { type CommandDetails, type CommandSpec, NO_DETAILS } from './command.ts';
import { CommandTable } from './command-table.ts';
import type { Config, NamedDirective } from './config.ts';
import { Cron } from './cron.ts';
import type { Database } from './database.ts';
import { DebugSwitches } from './debug-switches.ts';
import { DirectiveError } from './directive.ts';
import {
  Dispatcher,
  GATE_AUTH,
  GATE_BUSY,
  GATE_DISK,
  GATE_LOADING,
  GATE_MEMORY,
  GATE_MONITOR,
  GATE_PAUSE,
  GATE_ROLE,
} from './dispatch.ts';
import { EVICTION_FAILED, Eviction } from './eviction.ts';
import { findKeys, type KeyPosition } from './key-specs.ts';
import { EXPIRY_DELETE, EXPIRY_HIDE, type Keyspace } from './keyspace.ts';
import { keyspaceHooks } from './keyspace-hooks.ts';
import { LatencyEvents } from './latency-events.ts';
import { LongBlocks } from './long-blocks.ts';
import { MemoryPools } from './memory-pools.ts';
import { monitorLine } from './monitor.ts';
import { type ArgVector, NestedCalls } from './nested-call.ts';
import { type PausePurpose, Pauses } from './pause.ts';
import { PendingShutdown } from './pending-shutdown.ts';
import { Persistence } from './persistence.ts';
import { Propagation } from './propagation.ts';
import { PubSub } from './pubsub.ts';
import { rejection } from './rejected-connection.ts';
import { RequestPools } from './request-pools.ts';
import type { ServerHooks, ServerParts, ShutdownRequest } from './server-parts.ts';
import { Slowlog } from './slowlog.ts';
import { Stats } from './stats.ts';
import { Tracking } from './tracking.ts';
import { Watches } from './transaction.ts';

/** The version whose behaviour this is. */
export const REDIS_VERSION = '7.0.15';

const SAVE_ERROR =
  "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may " +
  'modify the data set are disabled, because this instance is configured to report errors during writes if RDB ' +
  'snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.';
/** Clients whose memory may be summed up for each millisecond that passes. */
const CLIENTS_MEASURED_PER_MS = 1000;

/** A server that cannot start as configured; the message is one line. */
export class ServerStartError extends Error {
  readonly code = 'CANNOT_START';
}

export class Server {
  readonly config: Config;
  readonly keyspace: Keyspace;
  readonly arena: Arena;
  readonly databases: Database[];
  readonly clock: ServerClock;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly stopwatch: Stopwatch;
  readonly log: Log;
  /** Who watches over the process, as INFO names it. */
  supervisedBy: 'no' | 'systemd' | 'upstart' = 'no';
  /** Set by the process around the server before it starts. */
  hooks: ServerHooks;
  readonly transport: TransportName;
  readonly configFile: string;
  readonly commands: CommandTable;
  readonly dispatcher: Dispatcher;
  /** Runs commands that no client sent, or sent earlier. */
  readonly nested: NestedCalls;
  readonly stats = new Stats();
  readonly slowlog = new Slowlog();
  readonly latency: LatencyEvents;
  /** Users and what they may do. */
  readonly acl: Acl;
  readonly watches = new Watches();
  readonly blocking: Blocking;
  readonly pubsub = new PubSub();
  readonly clientMemory: ClientMemory;
  readonly tracking: Tracking;
  readonly debug = new DebugSwitches();
  readonly eviction: Eviction;
  /** Bytes outside the arena, by kind, and in all. */
  readonly memory = { clients: 0, replicas: 0, tables: 0, overhead: 0, startup: 0 };
  /** Caches that `maxmemory` counts, and takes from first. */
  readonly memoryPools = new MemoryPools();
  /** What changes, for the append-only file and replicas. */
  readonly propagation = new Propagation();
  readonly persistence: Persistence;
  /** 40 hexadecimal digits, new at each start; what goes on in another process has not started anew. */
  runId: string;
  readonly replication: Replication;
  /** Unix time, milliseconds. */
  startedAt: number;

  /** Replies of the batch that is running. */
  reply = new ReplyWriter();
  /** For what is sent to others than the caller. */
  readonly push = new ReplyWriter();
  /** What connections have not taken of long replies, and what is there of long requests, lies here. */
  readonly longBlocks = new LongBlocks();
  readonly requestPools = new RequestPools(this.longBlocks);
  readonly clients = new Map<number, Client>();
  readonly monitors = new Set<Client>();
  /** The client whose batch is running. */
  current: Client | null = null;
  parser = new RequestParser();
  /** Changes since the last save. */
  dirty = 0;
  /** CLIENT PAUSE and its like. */
  readonly pauses: Pauses;
  /** What a signal has asked for, until the next cron; SHUTDOWN ABORT calls it off. */
  scheduledShutdown: ShutdownRequest | null = null;
  /** What is done at intervals. */
  readonly #cron = new Cron(this);
  /** SHUTDOWN waits for replicas. */
  readonly pendingShutdown = new PendingShutdown(this);
  /** Called once before any reply of a tick leaves; the transport's owner wires it. */
  beforeOutput: () => void = () => {};

  /** Scripts and functions, from when they are first needed. */
  scripting: Scripting | null = null;
  /** Loaded modules; null where the server is put together without. */
  modules: Modules | null = null;
  /** What clients are told while a script does not end. */
  busyError = '';

  #nextClientId = 1;
  #loading = false;
  readonly #details: (name: string) => CommandDetails;
  #measuredMs = 0;

  constructor(parts: ServerParts) {
    this.config = parts.config;
    this.keyspace = parts.keyspace;
    this.arena = parts.keyspace.arena;
    this.databases = parts.keyspace.databases;
    this.clock = parts.clock;
    this.random = parts.random;
    this.scheduler = parts.scheduler;
    this.stopwatch = parts.stopwatch;
    this.log = parts.log;
    this.hooks = parts.hooks ?? {};
    this.transport = parts.transport ?? 'kernel';
    this.configFile = parts.configFile ?? '';
    this.commands = new CommandTable(parts.commands);
    this.#details = parts.details ?? (() => NO_DETAILS);
    const fromModule = (name: string): CommandSpec | null => {
      const spec = this.commands.named(name)?.spec;
      return spec?.name === name ? spec : null;
    };
    this.acl = new Acl(this, new RuleCommands(parts.commands, (spec) => this.detailsOf(spec), fromModule));
    for (const [from, to] of parts.renames ?? []) {
      const problem = this.commands.rename(from, to);
      if (problem !== null) throw new ServerStartError(`${problem}: '${from}'`);
    }
    this.startedAt = this.clock.unixMs;
    this.persistence = new Persistence(Math.floor(this.startedAt / 1000));
    this.runId = this.createHexId();
    this.dispatcher = new Dispatcher(this, this.commands);
    this.nested = new NestedCalls(this);
    this.keyspace.lazyFree.runtime = { soon: (task) => this.scheduler.soon(task), stopwatch: this.stopwatch };
    this.eviction = new Eviction({
      keyspace: this.keyspace,
      config: this.config,
      stopwatch: this.stopwatch,
      soon: (task) => this.scheduler.soon(task),
      usedMemory: () => this.usedMemory - this.bytesNotEvictedFor,
      measure: () => this.#measureAgain(),
      reclaim: (bytes) => this.memoryPools.shrink(bytes),
      deleted: (db, key, lazy) => {
        if (this.propagation.wanted !== 0) this.propagation.command(db.index, lazy ? 'UNLINK' : 'DEL', key);
      },
      mayEvict: () =>
        !this.#loading &&
        (this.dispatcher.gate & GATE_PAUSE) === 0 &&
        !(this.replication.isReplica && this.config.replicaIgnoreMaxmemory),
    });
    this.latency = new LatencyEvents(this.clock, () => this.config.latencyMonitorThreshold);
    this.pauses = new Pauses(this.clock);
    this.clientMemory = new ClientMemory(this);
    this.blocking = new Blocking(this);
    this.tracking = new Tracking(this);
    this.replication = new Replication(this, this.createHexId());
    this.keyspace.hooks = keyspaceHooks(this);
    if (this.config.requirepass !== '') this.acl.setDefaultPassword(this.config.requirepass);
    this.applyConfig();
  }

  /** 40 random hexadecimal digits. */
  createHexId(): string {
    let id = '';
    for (let i = 0; i < 5; i++) id += (this.random.int32() >>> 0).toString(16).padStart(8, '0');
    return id;
  }

  // --- settings ---

  get authRequired(): boolean {
    return this.acl.authRequired;
  }

  /** Why no write is accepted: nothing is that could not be kept. null: it is. */
  get diskError(): string | null {
    const { config, persistence } = this;
    if (config.stopWritesOnBgsaveError && config.save.length > 0 && !persistence.lastSaveOk) return SAVE_ERROR;
    const problem = persistence.aofState === 'off' ? null : persistence.aofError;
    return problem === null ? null : `MISCONF Errors writing to the AOF file: ${problem}`;
  }

  /** To be called when what `diskError` depends on has changed. */
  updateDiskGate(): void {
    this.#setGate(GATE_DISK, this.diskError !== null);
  }

  /** How the latest save in the background went. */
  set lastSaveOk(ok: boolean) {
    this.persistence.lastSaveOk = ok;
    this.updateDiskGate();
  }

  /** Another process may be about to go on in place of this one: nothing is done at intervals. */
  isStill = false;

  /** A dump is being loaded beside the dataset, which is served meanwhile. */
  asyncLoading = false;

  /** To be called when the default user has changed. */
  updateAuthGate(): void {
    this.#setGate(GATE_AUTH, this.authRequired);
  }

  get loading(): boolean {
    return this.#loading;
  }

  set loading(value: boolean) {
    this.#loading = value;
    this.propagation.paused = value;
    this.#setGate(GATE_LOADING, value);
  }

  /** To be called when the role or what it forbids has changed: replicas take no writes, and so on. */
  updateRoleGate(): void {
    const { config, keyspace, replication } = this;
    const writable = replication.isReplica && !config.replicaReadOnly;
    if (writable !== (keyspace.ownVolatile !== null)) keyspace.ownVolatile = writable ? new Set() : null;
    this.#setGate(GATE_ROLE, replication.isReplica || (config.minReplicasToWrite > 0 && replication.tooFewReplicas));
  }

  /** To be called when that which decides over expired keys has changed. Not while a dump is being loaded. */
  updateExpiryMode(): void {
    const hidden = this.replication.isReplica || this.pauses.active;
    this.keyspace.expiryMode = hidden ? EXPIRY_HIDE : EXPIRY_DELETE;
  }

  /** Takes over everything that is kept outside the config for speed. */
  applyConfig(): void {
    const { config, keyspace } = this;
    this.updateAuthGate();
    this.#setGate(GATE_MEMORY, config.maxmemory > 0);
    this.updateDiskGate();
    keyspace.notifyFlags = config.notifyKeyspaceEvents;
    keyspace.lazyExpire = config.lazyfreeLazyExpire;
    keyspace.lazyServerDel = config.lazyfreeLazyServerDel;
    keyspace.lfu = config.maxmemoryPolicy.endsWith('lfu');
    keyspace.lfuLogFactor = config.lfuLogFactor;
    keyspace.lfuDecayTime = config.lfuDecayTime;
    if (config.hz < 1) config.hz = 1;
    if (config.hz > 500) config.hz = 500;
    this.replication.configChanged();
    this.slowlog.trim(config.slowlogMaxLen);
    // Negative: percent of maxmemory.
    const { maxmemory, maxmemoryClients } = config;
    this.clientMemory.setLimit(maxmemoryClients < 0 ? (-maxmemoryClients * maxmemory) / 100 : maxmemoryClients);
  }

  /** A directive got a new value by CONFIG SET. @throws DirectiveError when it cannot take effect. */
  configChanged(named: NamedDirective): void {
    if (named.name === 'dir') this.#changeDirectory();
    if (named.name === 'requirepass') this.acl.setDefaultPassword(this.config.requirepass);
    this.applyConfig();
    if (named.name === 'maxmemory') {
      this.measureMemory();
      this.eviction.performLater();
    }
    this.modules?.settingChanged(named);
    this.hooks.configChanged?.(named);
  }

  #changeDirectory(): void {
    try {
      process.chdir(this.config.dir);
      this.config.dir = process.cwd();
    } catch (error) {
      throw new DirectiveError(
        error instanceof Error && 'code' in error && error.code === 'ENOENT'
          ? 'No such file or directory'
          : String(error),
      );
    }
  }

  #setGate(bit: number, on: boolean): void {
    if (on) this.dispatcher.gate |= bit;
    else this.dispatcher.gate &= ~bit;
  }

  // --- clients ---

  /** Takes a new connection, or answers why not. */
  readonly accept = (connection: Connection): ConnectionHandler | null => {
    this.stats.connectionsReceived++;
    const refused = rejection(this, connection);
    if (refused !== null) {
      this.stats.connectionsRejected++;
      return refused;
    }
    const client = this.addClient(connection);
    if (this.log.isVerbose) this.log.verbose(`Accepted ${client.address}`, client.logFacts);
    return client;
  };

  /** What the next client will be called. */
  get nextClientId(): number {
    return this.#nextClientId;
  }

  set nextClientId(id: number) {
    this.#nextClientId = id;
  }

  /** A client on a connection that was accepted, or that this server has opened. @param id it had in another process. */
  addClient(connection: Connection, id = this.#nextClientId++): Client {
    const client = new Client(this, connection, id);
    this.clients.set(client.id, client);
    return client;
  }

  /** The client is gone, or as good as: what it still gets is on its way. */
  forget(client: Client): void {
    this.clients.delete(client.id);
    this.replication.forget(client);
    this.blocking.forget(client);
    this.pauses.forget(client);
    this.clientMemory.forget(client);
    this.pubsub.forget(client);
    this.tracking.disable(client);
    if (client.transaction !== null) this.watches.unwatch(client.transaction);
    this.stopMonitor(client);
  }

  /** @param bytes where the client's requests lie, up to `end`. */
  beginBatch(client: Client, bytes: Uint8Array, end: number): void {
    this.current = client;
    this.#batch = bytes;
    this.#batchEnd = end;
    this.dispatcher.beginBatch();
  }

  endBatch(): void {
    this.dispatcher.takeTime();
    this.current = null;
  }

  /** The bytes that the current client's requests are run from. */
  #batch: Uint8Array = new Uint8Array(0);
  #batchEnd = 0;

  // --- between commands and batches ---

  /** Clients that may go on, with what held them. */
  #continuing: { client: Client; reason: number }[] = [];
  #settling = false;
  #evicting = false;

  /** The client whose command is running, or being served after having waited; null: none. */
  get actor(): Client | null {
    // Keys are evicted before the command runs, and nobody's doing.
    if (this.#evicting) return null;
    return this.blocking.receiver ?? this.current;
  }

  /** Categories, tips and key specifications of a command. */
  detailsOf(spec: CommandSpec): CommandDetails {
    return spec.details ?? this.#details(spec.name);
  }

  /** Which words are keys, the command's name being word `first`. */
  keysOf(words: ArgVector, spec: CommandSpec, first = 0): KeyPosition[] {
    return findKeys(words, spec.name, this.detailsOf(spec).keySpecs, first);
  }

  /** A client that tracks has read something. */
  rememberKeys(call: Call): void {
    // What a script reads are the keys it was called with, and only if it does read.
    if (call.spec.group === 'scripting') return;
    const reader = call.client.callerCall ?? call;
    if (reader.client.tracking !== null) {
      this.tracking.remember(
        reader,
        this.keysOf(reader, reader.spec).map(({ position }) => position),
      );
    }
  }

  /** A command, transaction or script has ended: what it made possible for others happens now. */
  afterCommand(): void {
    const { blocking, dispatcher, tracking } = this;
    dispatcher.afterwards = 0;
    tracking.sendPending();
    if (!blocking.hasReady) return;
    blocking.serveReady();
    tracking.sendPending();
    dispatcher.afterwards = 0;
  }

  /** The client's requests run on as soon as no batch is running: `settle`. */
  continueLater(client: Client, reason: number): void {
    this.#continuing.push({ client, reason });
  }

  /** Whether `settle` has something to do. */
  get unsettled(): boolean {
    return this.#continuing.length > 0 || this.tracking.hasBroadcast || this.clientMemory.isOver;
  }

  /**
   * Lets everything go on that waited for the end of a batch or a timer. For whoever changes keys or ends a client's
   * waiting outside of a client's batch; never within one.
   */
  settle(): void {
    if (this.dispatcher.afterwards !== 0) this.afterCommand();
    if (this.#settling) return;
    this.#settling = true;
    for (let i = 0; i < this.#continuing.length; i++) {
      const { client, reason } = this.#continuing[i];
      client.release(reason);
    }
    this.#continuing = [];
    this.#settling = false;
    if (this.tracking.hasBroadcast) this.tracking.broadcast();
    if (this.clientMemory.isOver) this.clientMemory.evict();
  }

  /** A script does not come to an end: clients are told `error`; null: it has. */
  setBusy(error: string | null): void {
    this.#setGate(GATE_BUSY, error !== null);
    this.busyError = error ?? '';
    if (error !== null || this.#interrupted === null) return;
    this.continueLater(this.#interrupted, HELD_BY_SERVICE);
    this.#interrupted = null;
  }

  /** The client in whose command others were served. */
  #interrupted: Client | null = null;

  /** Lets other clients be served in the middle of a command, until `setBusy(null)`. */
  serveClients(): void {
    if (this.hooks.serveClients === undefined) return;
    const { current, parser, reply } = this;
    if (current !== null && this.#interrupted === null) {
      this.#interrupted = current;
      this.dispatcher.detach();
      current.interrupt(parser, this.#batch, this.#batchEnd);
    }
    this.reply = new ReplyWriter();
    this.parser = this.requestPools.takeParser();
    this.current = null;
    const resume = this.dispatcher.suspend(this.reply);
    this.hooks.serveClients();
    resume();
    this.requestPools.returnParser(this.parser);
    this.reply = reply;
    this.parser = parser;
    this.current = current;
  }

  /** Bytes of the buffers that all clients share: replies being written and query buffers at rest. */
  get sharedBufferBytes(): number {
    return this.reply.bytes.length + this.push.bytes.length + this.requestPools.idleBytes + this.longBlocks.idleBytes;
  }

  // --- monitors ---

  startMonitor(client: Client): void {
    client.monitor = true;
    this.monitors.add(client);
    this.#setGate(GATE_MONITOR, true);
  }

  stopMonitor(client: Client): void {
    client.monitor = false;
    this.monitors.delete(client);
    this.#setGate(GATE_MONITOR, this.monitors.size > 0);
  }

  feedMonitors(call: Call): void {
    if (this.#loading) return;
    const { push } = this;
    push.reset();
    push.simple(monitorLine(call));
    for (const client of this.monitors) client.deliver(push);
    push.reset();
  }

  // --- pause ---

  /** @param durationMs from now; a longer or wider pause for the same purpose that is in force stays so. */
  pauseClients(all: boolean, durationMs: number, purpose: PausePurpose = 'client'): void {
    const wasActive = this.pauses.active;
    this.pauses.begin(purpose, all, durationMs);
    if (wasActive) return;
    this.#setGate(GATE_PAUSE, true);
    // Keys whose time has come are hidden, and stay: their deletion would be a write.
    if (this.keyspace.expiryMode === EXPIRY_DELETE) this.keyspace.expiryMode = EXPIRY_HIDE;
  }

  unpauseClients(purpose: PausePurpose = 'client'): void {
    if (!this.pauses.active) return;
    this.pauses.end(purpose);
    this.#afterPause();
  }

  endExpiredPauses(): void {
    if (this.pauses.active && this.pauses.endExpired()) this.#afterPause();
  }

  /** A pause has ended: who was held tries again, and waits on if another pause is in force. */
  #afterPause(): void {
    if (!this.pauses.active) {
      this.#setGate(GATE_PAUSE, false);
      if (this.keyspace.expiryMode === EXPIRY_HIDE) this.updateExpiryMode();
    }
    for (const client of this.pauses.heldClients) this.continueLater(client, HELD_BY_PAUSE);
    this.replication.link?.drain();
  }

  // --- memory ---

  /** Bytes that `maxmemory` limits: keys and values, exact, and all else as of the latest `measureMemory`. */
  get usedMemory(): number {
    return this.arena.used + this.memory.overhead + this.memoryPools.bytes;
  }

  /** What is kept for replicas that lag behind, or for a snapshot: evicting keys for it would only make it more. */
  get bytesNotEvictedFor(): number {
    return this.arena.held + Math.max(0, this.replication.stream.memory - this.config.replBacklogSize);
  }

  /** `measureMemory` unless it was done just now; the more clients there are, the longer that lasts. */
  #measureAgain(): void {
    const age = (this.clock.nowMs - this.#measuredMs) | 0;
    if (age * CLIENTS_MEASURED_PER_MS >= this.clients.size || age < 0) this.measureMemory();
  }

  /**
   * Counts what lies outside the arena: clients, tables of expiries, objects of values. Buffers that all clients
   * share are none of the dataset's business: they are in `allocator_allocated`.
   */
  measureMemory(): void {
    const { memory } = this;
    memory.clients = 0;
    memory.replicas = 0;
    for (const client of this.clients.values()) {
      if (client.link === 'replica') memory.replicas += client.memoryBytes;
      else memory.clients += client.memoryBytes;
    }
    memory.tables = 0;
    for (const db of this.databases) memory.tables += db.heapBytes;
    memory.overhead = memory.clients + memory.replicas + memory.tables + this.replication.stream.memory;
    this.#measuredMs = this.clock.nowMs;
    this.stats.memoryPeak = Math.max(this.stats.memoryPeak, this.usedMemory);
  }

  /** Whether a command that needs memory may run, after having evicted what `maxmemory-policy` allows. */
  makeRoom(): boolean {
    this.#evicting = true;
    const hasRoom = this.eviction.perform() !== EVICTION_FAILED;
    this.#evicting = false;
    return hasRoom;
  }

  // --- at intervals ---

  /** What the server needs by itself: to be called before a dataset is loaded. */
  noteStartup(): void {
    if (this.memory.startup > 0) return;
    this.measureMemory();
    this.memory.startup = this.usedMemory;
  }

  start(): void {
    this.noteStartup();
    this.#cron.start();
  }

  stop(): void {
    this.#cron.stop();
    this.blocking.stop();
    this.modules?.stop();
  }
}
