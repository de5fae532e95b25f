// Replication: whether this server is a master or a replica, the identity of its history (two ids and an offset), its
// replicas, and the stream that they get: what Propagation tells, or, of a replica that has replicas, what its own
// master sent, byte for byte. The server has one; commands and INFO ask it.
import type { Call } from '../core/call.ts';
import type { Client } from '../core/client.ts';
import type { Database } from '../core/database.ts';
import { encodeWords, PROPAGATE_REPLICAS, type PropagationSink } from '../core/propagation.ts';
import type { Server } from '../core/server.ts';
import { Failover } from './failover.ts';
import { FullSync } from './full-sync.ts';
import { MasterLink } from './master-link.ts';
import { Replica } from './replica.ts';
import { StreamBuffer } from './stream-buffer.ts';
import { WaitingClients } from './waiting-clients.ts';

export const NO_ID = '0'.repeat(40);
const PING = encodeWords(['PING']);
const GET_ACK = encodeWords(['REPLCONF', 'GETACK', '*']);
const NEWLINE = Buffer.from('\n');

/** A place in a master's history from which this server could go on. */
export interface KnownHistory {
  readonly id: string;
  readonly offset: number;
  readonly db: Database;
}

/** Where a server is in its history: plain data. */
export interface HistoryPlace {
  readonly id: string;
  readonly id2: string;
  readonly id2Offset: number;
  readonly offset: number;
  readonly master: { readonly host: string; readonly port: number } | null;
  /** That the stream has selected. */
  readonly db: number;
}

export class Replication implements PropagationSink {
  readonly target = PROPAGATE_REPLICAS;
  /** As PropagationSink. */
  selectedDb = -1;
  readonly server: Server;
  /** 40 hexadecimal digits each. */
  id: string;
  id2 = NO_ID;
  /** Up to which offset `id2` is our history too, plus one. */
  id2Offset = -1;
  readonly stream: StreamBuffer;
  readonly replicas: Replica[] = [];
  readonly fullSync: FullSync;
  readonly failover: Failover;
  readonly waiting: WaitingClients;
  readonly stats = { full: 0, partial: 0, partialRefused: 0 };
  /** Replicas that acknowledged something within `min-replicas-max-lag`. */
  goodReplicas = 0;
  /** The master; null: this server is one. */
  link: MasterLink | null = null;
  #noReplicasSince: number;
  #sinking = false;
  /** The run in which nobody could be there yet counts as done: the first PING comes a whole period after the start. */
  #cronRuns = 1;
  #cronAt = 0;
  #ackWanted = false;
  /** Another process reads the stream, to go on in place of this one. */
  isFollowed = false;

  constructor(server: Server, id: string) {
    this.server = server;
    this.id = id;
    this.stream = new StreamBuffer(server.config.replBacklogSize);
    this.fullSync = new FullSync(this);
    this.failover = new Failover(this);
    this.waiting = new WaitingClients(this);
    this.#noReplicasSince = this.second;
  }

  get second(): number {
    return Math.floor(this.server.clock.unixMs / 1000);
  }

  get isReplica(): boolean {
    return this.link !== null;
  }

  get offset(): number {
    return this.stream.offset;
  }

  /** CONFIG RESETSTAT. */
  resetStats(): void {
    Object.assign(this.stats, { full: 0, partial: 0, partialRefused: 0 });
  }

  // --- history ---

  changeId(): void {
    this.id = this.server.createHexId();
  }

  clearId2(): void {
    this.id2 = NO_ID;
    this.id2Offset = -1;
  }

  /** What we were part of stays valid up to here; from here on the history is our own. */
  shiftId(): void {
    this.id2 = this.id;
    this.id2Offset = this.offset + 1;
    this.changeId();
    this.server.log.warning(
      `Setting secondary replication ID to ${this.id2}, valid up to offset: ${this.id2Offset}. New replication ID is ${this.id}`,
    );
  }

  createBacklog(): void {
    this.stream.create();
    this.#updateSink();
  }

  freeBacklog(): void {
    this.stream.free();
    this.#updateSink();
  }

  /** `repl-backlog-size` and the like may have changed. */
  configChanged(): void {
    const { config } = this.server;
    if (config.replBacklogSize < 16 * 1024) config.replBacklogSize = 16 * 1024;
    this.stream.limit = config.replBacklogSize;
    if (this.stream.active) this.stream.trim();
    this.countGoodReplicas();
  }

  /** Fields of a dump file, from which this server or another can go on: none if there is no history. */
  get dumpFields(): readonly (readonly [string, string])[] {
    const db = this.#dumpDb();
    if (db < 0) return [];
    return [
      ['repl-stream-db', String(db)],
      ['repl-id', this.id],
      ['repl-offset', String(this.offset)],
    ];
  }

  #dumpDb(): number {
    const { link } = this;
    if (link === null) return this.stream.active ? Math.max(0, this.selectedDb) : -1;
    return link.stream?.client.db.index ?? link.cached?.db.index ?? -1;
  }

  /** Before the dump file is loaded at the start. */
  beforeLoad(): void {
    if (!this.isReplica) this.stream.create();
  }

  /** A key of the dump file has expired: who goes on from that file has it still. */
  expiredOnLoad(db: number, key: Uint8Array): void {
    if (!this.stream.active || this.isReplica) return;
    if (this.selectedDb !== db) {
      this.selectedDb = db;
      this.#append(encodeWords(['SELECT', String(db)]));
    }
    this.#append(encodeWords(['DEL', key]));
  }

  /** After the dump file was loaded at the start. @param fields what it says of itself. */
  afterLoad(fields: ReadonlyMap<string, string>): void {
    const id = fields.get('repl-id') ?? '';
    const offset = Number(fields.get('repl-offset') ?? -1);
    const db = this.server.databases[Number(fields.get('repl-stream-db') ?? -1)];
    if (id.length !== 40 || !(offset >= 0) || db === undefined) {
      this.freeBacklog();
      this.selectedDb = -1;
      return;
    }
    if (this.link !== null) {
      this.id = id;
      this.stream.offset = offset;
      this.link.cached = { id, offset, db };
      return;
    }
    this.id2 = id;
    this.id2Offset = offset + 1;
    this.stream.rebase(offset);
    this.#noReplicasSince = this.second;
    this.#updateSink();
  }

  // --- the stream ---

  #updateSink(): void {
    const wanted = this.stream.active && this.link === null;
    if (wanted === this.#sinking) return;
    this.#sinking = wanted;
    if (wanted) this.server.propagation.addSink(this);
    else this.server.propagation.removeSink(this);
  }

  feed(_db: number, bytes: Uint8Array, offset: number, length: number): void {
    this.#feed(bytes, offset, length);
    const { actor } = this.server;
    if (actor !== null) actor.writeOffset = this.offset;
  }

  /** What the master sent and was carried out here. */
  feedFromMaster(bytes: Uint8Array, offset: number, length: number): void {
    if (this.stream.active) this.#feed(bytes, offset, length);
    else this.stream.offset += length;
  }

  #append(bytes: Uint8Array): void {
    this.#feed(bytes, 0, bytes.length);
  }

  #feed(bytes: Uint8Array, offset: number, length: number): void {
    const added = this.stream.append(bytes, offset, length);
    const { replicas } = this;
    for (let i = 0; i < replicas.length; i++) replicas[i].pull();
    if (!added) return;
    for (const replica of [...replicas]) if (replica.reader !== null) replica.client.checkOutputLimit();
  }

  /** DEBUG REPLICATE. */
  feedWords(words: readonly Uint8Array[]): void {
    if (this.#sinking) this.#append(encodeWords(words));
  }

  /** Asks the replicas for their offsets before the tick's output leaves. */
  requestAcks(): void {
    this.#ackWanted = true;
  }

  beforeOutput(): void {
    if (!this.#ackWanted || this.server.pauses.active) return;
    this.#ackWanted = false;
    this.sendGetAck();
  }

  sendGetAck(): void {
    if (this.#sinking && this.replicas.length > 0) this.#append(GET_ACK);
  }

  // --- replicas ---

  /** The client's own record, made when it first says something of itself as a replica. */
  static of(client: Client): Replica {
    client.replica ??= new Replica(client);
    return client.replica;
  }

  add(replica: Replica): void {
    replica.client.link = 'replica';
    replica.client.updateGate();
    this.replicas.push(replica);
  }

  /** The client is gone; it need not have been a replica. */
  forget(client: Client): void {
    if (client.link === 'master') this.link?.clientGone(client);
    const { replica } = client;
    if (replica === null) return;
    const at = this.replicas.indexOf(replica);
    if (at < 0) return;
    const { state } = replica;
    this.replicas.splice(at, 1);
    replica.forget();
    if (state === 'wait-end') this.fullSync.waiterGone();
    if (this.replicas.length === 0) this.#noReplicasSince = this.second;
    this.countGoodReplicas();
    if (state === 'online') this.server.log.warning(`Connection with replica ${replica.name} lost.`);
  }

  disconnectReplicas(): void {
    for (const { client } of [...this.replicas]) client.close();
  }

  /** REPLCONF ACK. */
  acknowledged(replica: Replica, offset: number): void {
    if (offset > replica.ackOffset) replica.ackOffset = offset;
    replica.ackTime = this.second;
    if (replica.startsOnAck && replica.state === 'online') {
      replica.startsOnAck = false;
      replica.pull();
    }
    this.waiting.check();
  }

  /** How many replicas have carried out everything up to there. */
  countAcknowledged(offset: number): number {
    let count = 0;
    for (const { ackOffset, state } of this.replicas) if (state === 'online' && ackOffset >= offset) count++;
    return count;
  }

  countGoodReplicas(): void {
    const { config } = this.server;
    let good = 0;
    for (const { ackTime, state } of this.replicas) {
      if (state === 'online' && this.second - ackTime <= config.minReplicasMaxLag) good++;
    }
    this.goodReplicas = good;
    this.server.updateRoleGate();
  }

  /** `min-replicas-to-write`. */
  get tooFewReplicas(): boolean {
    const { minReplicasMaxLag, minReplicasToWrite } = this.server.config;
    if (this.isReplica || minReplicasMaxLag === 0 || minReplicasToWrite === 0) return false;
    return this.goodReplicas < minReplicasToWrite;
  }

  findReplica(host: string, port: number): Replica | null {
    return (
      this.replicas.find((one) => one.address.toLowerCase() === host.toLowerCase() && one.listeningPort === port) ??
      null
    );
  }

  // --- roles ---

  /** REPLICAOF. */
  becomeReplica(host: string, port: number): void {
    const { server } = this;
    const before = this.link;
    let history: KnownHistory | null = null;
    if (before === null) {
      server.log.notice(
        'Before turning into a replica, using my own master parameters to synthesize a cached master: I may be able ' +
          'to synchronize with the new master with just a partial transfer.',
      );
      history = { id: this.id, offset: this.offset, db: server.databases[0] };
    } else history = before.stop();
    server.blocking.disconnectAll();
    this.link = new MasterLink(this, host, port, history);
    this.#roleChanged();
    server.log.notice(`Connecting to MASTER ${host}:${port}`);
    this.link.connect();
  }

  /** REPLICAOF NO ONE. */
  becomeMaster(): void {
    const { link, server } = this;
    if (link === null) return;
    this.link = null;
    if (link.stop() !== null) server.log.notice('Discarding previously cached master state.');
    this.shiftId();
    this.disconnectReplicas();
    this.selectedDb = -1;
    this.#noReplicasSince = this.second;
    this.#roleChanged();
    link.restoreAppendOnly();
  }

  #roleChanged(): void {
    const { server } = this;
    server.config.replicaof = this.link === null ? null : { host: this.link.host, port: this.link.port };
    this.#updateSink();
    server.updateExpiryMode();
    server.updateRoleGate();
    server.log.role = this.link === null ? 'M' : 'S';
    server.hooks.roleChanged?.();
  }

  /** At the start, before anything is loaded: `replicaof`. */
  startAsConfigured(): void {
    const { config } = this.server;
    if (config.replicaof === null) return;
    this.link = new MasterLink(this, config.replicaof.host, config.replicaof.port, null);
    this.#roleChanged();
  }

  /** Everything is loaded: the master is connected to. */
  connectAtStart(): void {
    const { link, server } = this;
    if (link === null) return;
    server.log.notice(`Connecting to MASTER ${link.host}:${link.port}`);
    link.connect();
  }

  /** The server goes down. */
  stop(): void {
    this.link?.stop();
  }

  // --- another process goes on ---

  /** Every link ends: they are made again, and go on from the backlog. */
  dropLinks(): void {
    this.disconnectReplicas();
    this.link?.stop();
  }

  /** What `dropLinks` ended begins anew; nobody has gone on. */
  linkAgain(): void {
    const { link, server } = this;
    if (link === null) return;
    this.link = new MasterLink(this, link.host, link.port, link.cached);
    this.link.connect();
    server.updateRoleGate();
  }

  /** The place in the history where this server is, with its master if it has one. */
  get place(): HistoryPlace {
    const { id, id2, id2Offset, link, offset } = this;
    const master = link === null ? null : { host: link.host, port: link.port };
    return { id, id2, id2Offset, offset, master, db: Math.max(0, this.#dumpDb()) };
  }

  /** Takes up the history that another process had; its stream follows by `feedFromMaster`. */
  takeUp({ id, id2, id2Offset, offset }: HistoryPlace): void {
    this.id = id;
    this.id2 = id2;
    this.id2Offset = id2Offset;
    this.stream.offset = offset;
    this.createBacklog();
  }

  /** The other process is gone: this one is the master, or the replica, that it was. */
  goOn({ master, db }: HistoryPlace): void {
    const { server } = this;
    this.selectedDb = -1;
    this.#noReplicasSince = this.second;
    if (master === null) return;
    const history = { id: this.id, offset: this.offset, db: server.databases[db] };
    this.link = new MasterLink(this, master.host, master.port, history);
    this.#roleChanged();
    this.link.connect();
  }

  /** Another server's history is what we have from now on: ours is of no use to replicas. */
  leaveHistory(): void {
    this.disconnectReplicas();
    this.freeBacklog();
  }

  // --- at intervals ---

  /** Called by the server's cron; the work is done once a second, or ten times in a failover. */
  cron(): void {
    // What a replica that is gone has left goes bit by bit.
    if (this.stream.active) this.stream.trim();
    const { unixMs } = this.server.clock;
    this.link?.drain();
    const period = this.failover.state === 'none' ? 1000 : 100;
    if (unixMs - this.#cronAt < period && unixMs >= this.#cronAt) return;
    this.#cronAt = unixMs;
    this.failover.cron();
    this.link?.cron();
    this.#pingReplicas();
    this.#dropTimedOut();
    this.#freeIdleBacklog();
    this.fullSync.startIfDue();
    this.fullSync.removeFile();
    this.countGoodReplicas();
    this.#cronRuns++;
  }

  #pingReplicas(): void {
    const { config, pauses } = this.server;
    if (this.replicas.length === 0) return;
    if (this.#sinking && this.#cronRuns % config.replPingReplicaPeriod === 0) {
      // A pause for a failover waits for equal offsets.
      if (!(this.failover.state !== 'none' && pauses.active)) this.#append(PING);
    }
    for (const replica of this.replicas) {
      const waits = replica.state === 'wait-start' || (replica.state === 'wait-end' && !this.fullSync.toSockets);
      if (waits) replica.client.send(NEWLINE, 1);
    }
  }

  #dropTimedOut(): void {
    const { config, log } = this.server;
    for (const replica of [...this.replicas]) {
      const { ackTime, oldProtocol, state, stuckSince } = replica;
      if (state === 'online' && !oldProtocol && this.second - ackTime > config.replTimeout) {
        log.warning(`Disconnecting timedout replica (streaming sync): ${replica.name}`);
        replica.client.close();
      } else if (state === 'wait-end' && stuckSince !== 0 && this.second - stuckSince > config.replTimeout) {
        log.warning(`Disconnecting timedout replica (full sync): ${replica.name}`);
        replica.client.close();
      }
    }
  }

  #freeIdleBacklog(): void {
    const { replBacklogTtl } = this.server.config;
    if (this.replicas.length > 0 || this.isFollowed || replBacklogTtl === 0 || !this.stream.active || this.isReplica)
      return;
    if (this.second - this.#noReplicasSince <= replBacklogTtl) return;
    // Without a backlog the offset stands still: the id must not stand for what follows.
    this.changeId();
    this.clearId2();
    this.freeBacklog();
    this.server.log.notice(`Replication backlog freed after ${replBacklogTtl} seconds without connected replicas.`);
  }

  /** Why this command may not run here now, or null. */
  refusal(call: Call, writes: boolean, worksWhenStale: boolean): string | null {
    const { config } = this.server;
    if (call.client.obeyed) return null;
    if (writes && this.tooFewReplicas) return NO_REPLICAS;
    if (this.link === null) return null;
    if (writes && config.replicaReadOnly) return READ_ONLY;
    if (!worksWhenStale && this.isStale) return MASTER_DOWN;
    return null;
  }

  /** A replica without its master that is not to answer with what it has. */
  get isStale(): boolean {
    return this.link !== null && this.link.state !== 'connected' && !this.server.config.replicaServeStaleData;
  }

  /** Before the server goes down: replicas that lag behind. */
  get laggingReplicas(): Replica[] {
    return this.replicas.filter((replica) => replica.ackOffset !== this.offset);
  }
}

export const NO_REPLICAS = 'NOREPLICAS Not enough good replicas to write.';
export const READ_ONLY = "READONLY You can't write against a read only replica.";
const MASTER_DOWN = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
