// The way to the master: connects, says who this replica is, asks to go on where it was or for a snapshot, takes that,
// and hands the stream behind it to MasterStream. A link that breaks is made again; what was known of the history stays
// for the next attempt. Only replication.ts makes one.
import type { Client } from '../core/client.ts';
import { encodeWords } from '../core/propagation.ts';
import type { Server } from '../core/server.ts';
import type { CloseReason, Connection, ConnectionHandler } from '../transports/transport.ts';
import { type AttemptState, HandshakeLines, handshakeWords } from './handshake.ts';
import { MasterStream } from './master-stream.ts';
import type { KnownHistory, Replication } from './replication.ts';
import { SnapshotTransfer } from './snapshot-transfer.ts';

/** As ROLE names them. */
export type LinkState = 'connect' | 'connecting' | 'handshake' | 'sync' | 'connected';

const NEWLINE = Buffer.from('\n');

export class MasterLink {
  readonly host: string;
  readonly port: number;
  state: LinkState = 'connect';
  /** From where to go on; null: a snapshot is needed. */
  cached: KnownHistory | null;
  /** While connected. */
  stream: MasterStream | null = null;
  /** The snapshot that is coming in. */
  transfer: SnapshotTransfer | null = null;
  /** Unix time, seconds; 0: it never was up. */
  downSince = 0;
  readonly #replication: Replication;
  readonly #server: Server;
  #attempt: Attempt | null = null;
  #stopped = false;
  /** The append-only file was switched off for the time of a snapshot. */
  #appendOnlyIsOff = false;

  constructor(replication: Replication, host: string, port: number, cached: KnownHistory | null) {
    this.#replication = replication;
    this.#server = replication.server;
    this.host = host;
    this.port = port;
    this.cached = cached;
  }

  /** Seconds since the master was last heard; -1: not connected. */
  get lastIoSeconds(): number {
    const { stream } = this;
    if (stream === null) return -1;
    return Math.floor((this.#server.clock.unixMs - stream.client.lastInteraction) / 1000);
  }

  /** Seconds since anything came on this connection. */
  get silentSeconds(): number {
    return this.#attempt === null ? 0 : this.#replication.second - this.#attempt.lastIo;
  }

  /** Up to where the master's stream is carried out. */
  get offset(): number {
    return this.stream?.offset ?? this.cached?.offset ?? 1;
  }

  get readOffset(): number {
    return this.stream?.readOffset ?? this.cached?.offset ?? 1;
  }

  // --- connecting ---

  connect(): void {
    if (this.#stopped || this.#server.hooks.connect === undefined) return;
    const attempt = new Attempt(this, this.#replication);
    this.#attempt = attempt;
    this.state = 'connecting';
    this.#server.log.notice('MASTER <-> REPLICA sync started');
    attempt.start();
  }

  /** The link is given up, and tried again with the next cron, or at once. */
  failed(attempt: Attempt, atOnce = false): void {
    if (attempt !== this.#attempt) return;
    this.#attempt = null;
    attempt.close();
    this.transfer?.abort();
    this.transfer = null;
    this.state = 'connect';
    if (this.#stopped || !atOnce) return;
    this.#server.log.notice(`Reconnecting to MASTER ${this.host}:${this.port} after failure`);
    this.connect();
  }

  /** No more of this master. @returns from where its history can be gone on with, if it is known. */
  stop(): KnownHistory | null {
    this.#stopped = true;
    if (this.stream !== null) this.#keepHistory();
    this.#attempt?.close();
    this.#attempt = null;
    this.transfer?.abort();
    this.transfer = null;
    this.state = 'connect';
    return this.cached;
  }

  /** What is known of the master's history outlives the connection. */
  #keepHistory(): void {
    const { stream } = this;
    if (stream === null) return;
    this.#server.log.notice('Caching the disconnected master state.');
    this.cached = { id: stream.id, offset: stream.offset, db: stream.client.db };
    this.stream = null;
    this.downSince = this.#replication.second;
    const { client } = stream;
    client.onClose(null);
  }

  /** The connection ended by itself, or CLIENT KILL did it. */
  lost(attempt: Attempt): void {
    if (attempt !== this.#attempt) return;
    if (this.stream === null) {
      this.failed(attempt);
      return;
    }
    this.#server.log.warning('Connection with master lost.');
    this.#attempt = null;
    this.#keepHistory();
    attempt.close();
    this.state = 'connect';
    if (this.#stopped) return;
    this.#server.log.notice(`Reconnecting to MASTER ${this.host}:${this.port}`);
    this.connect();
  }

  /** The history that this server's data belongs to. */
  get currentId(): string {
    return this.#replication.id;
  }

  /** What comes next waits until the snapshot is loaded. */
  stopReading(): void {
    this.#attempt?.connection?.pause();
  }

  /** The connection ended while the snapshot was loaded. */
  connectionEnded(): void {
    if (this.#attempt !== null) this.lost(this.#attempt);
  }

  /** The master's client was closed here. */
  clientGone(client: Client): void {
    const attempt = this.#attempt;
    if (this.stream?.client !== client || attempt === null) return;
    // What closes it may be in the middle of a command.
    this.#server.scheduler.soon(() => this.lost(attempt));
  }

  // --- what the handshake ends in ---

  /** `+CONTINUE`: the stream goes on where it was. */
  goOn(attempt: Attempt, id: string): void {
    const replication = this.#replication;
    const { log } = this.#server;
    const { cached } = this;
    if (cached === null) {
      this.failed(attempt);
      return;
    }
    log.notice('Successful partial resynchronization with master.');
    const newId = id.length === 40 ? id : cached.id;
    if (newId !== cached.id) {
      // The master's own history has a new name from here on.
      replication.id2 = cached.id;
      replication.id2Offset = replication.offset + 1;
      replication.id = newId;
      log.notice(`Master replication ID changed to ${newId}`);
      replication.disconnectReplicas();
    }
    this.cached = null;
    this.#attach(attempt, newId, cached.offset, cached.db.index);
    if (!replication.stream.active) replication.createBacklog();
    log.notice('MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.');
  }

  /** A snapshot comes next. @param offset -1: of a master that knows no offsets. */
  takeSnapshot(attempt: Attempt, id: string, offset: number): void {
    this.state = 'sync';
    this.transfer = new SnapshotTransfer(this.#server, this, {
      id,
      offset,
      fail: (atOnce) => this.failed(attempt, atOnce),
      done: (db, rest) => this.#synchronized(attempt, id, offset, db, rest),
    });
  }

  /** The snapshot replaces what is here: nothing that was known holds any more. */
  beforeReplace(): void {
    if (this.cached !== null) this.#server.log.notice('Discarding previously cached master state.');
    this.cached = null;
    this.#replication.leaveHistory();
  }

  switchAppendOnlyOff(): void {
    const { hooks, persistence } = this.#server;
    if (persistence.aofState === 'off') return;
    this.#appendOnlyIsOff = true;
    hooks.persistence?.setAppendOnly(false);
  }

  restoreAppendOnly(): void {
    if (!this.#appendOnlyIsOff) return;
    this.#appendOnlyIsOff = false;
    if (this.#server.config.appendonly) this.#server.hooks.persistence?.setAppendOnly(true);
  }

  #synchronized(attempt: Attempt, id: string, offset: number, db: number, rest: Uint8Array): void {
    const replication = this.#replication;
    if (attempt !== this.#attempt) return;
    const wasMarked = this.transfer?.marked === true;
    this.transfer = null;
    replication.id = id === '' ? replication.server.createHexId() : id;
    replication.stream.offset = Math.max(0, offset);
    replication.clearId2();
    replication.createBacklog();
    const stream = this.#attach(attempt, replication.id, Math.max(0, offset), db);
    this.#server.log.notice('MASTER <-> REPLICA sync: Finished with success');
    this.restoreAppendOnly();
    if (wasMarked) this.sendAck();
    if (rest.length > 0) stream.receive(rest, 0, rest.length);
    attempt.resume();
  }

  #attach(attempt: Attempt, id: string, offset: number, db: number): MasterStream {
    const server = this.#server;
    const client = server.addClient(attempt.connection!);
    client.link = 'master';
    client.authenticated = true;
    client.user = server.acl.superuser;
    client.updateGate();
    client.obeyed = true;
    client.inExec = true;
    client.db = server.databases[Math.max(0, db)] ?? server.databases[0];
    const stream = new MasterStream(this.#replication, client, id, offset);
    this.stream = stream;
    this.state = 'connected';
    this.downSince = 0;
    attempt.stream = stream;
    server.updateRoleGate();
    return stream;
  }

  // --- at intervals ---

  sendAck(): void {
    const { stream } = this;
    if (stream === null) return;
    const bytes = encodeWords(['REPLCONF', 'ACK', String(stream.offset)]);
    stream.client.send(bytes, bytes.length);
  }

  /** A snapshot is being loaded: the master shall not take this replica for gone. */
  ping(): void {
    this.#attempt?.connection?.write(NEWLINE, 0, 1);
  }

  /** What was held back while a script ran. */
  drain(): void {
    if (this.stream?.drain() === false) this.#attempt?.broken();
  }

  cron(): void {
    const { config, log } = this.#server;
    const attempt = this.#attempt;
    const silent = attempt === null ? 0 : this.#replication.second - attempt.lastIo;
    if (
      attempt !== null &&
      this.state !== 'connected' &&
      silent > config.replTimeout &&
      this.transfer?.loading !== true
    ) {
      log.warning(
        this.state === 'sync'
          ? "Timeout receiving bulk data from MASTER... If the problem persists try to set the 'repl-timeout' parameter in redis.conf to a larger value."
          : 'Timeout connecting to the MASTER...',
      );
      this.failed(attempt, true);
    } else if (attempt !== null && this.state === 'connected' && this.lastIoSeconds > config.replTimeout) {
      log.warning('MASTER timeout: no data nor PING received...');
      this.lost(attempt);
    }
    if (this.state === 'connect') {
      log.notice(`Connecting to MASTER ${this.host}:${this.port}`);
      this.connect();
    }
    this.sendAck();
  }
}

/** One connection to the master, from its beginning to its end. */
export class Attempt implements ConnectionHandler {
  connection: Connection | null = null;
  stream: MasterStream | null = null;
  /** Unix time, seconds. */
  lastIo: number;
  readonly #link: MasterLink;
  readonly #replication: Replication;
  readonly #server: Server;
  readonly #abort = new AbortController();
  readonly #lines = new HandshakeLines();
  #state: AttemptState = 'ping';
  /** What the words sent ask for, in the order of the answers. */
  #awaited: string[] = [];
  #closed = false;

  constructor(link: MasterLink, replication: Replication) {
    this.#link = link;
    this.#replication = replication;
    this.#server = replication.server;
    this.lastIo = replication.second;
  }

  start(): void {
    const { hooks, log } = this.#server;
    const { host, port } = this.#link;
    const attach = (connection: Connection): ConnectionHandler => {
      this.connection = connection;
      return this;
    };
    hooks.connect!(host, port, attach, this.#abort.signal).then(
      () => this.#begin(),
      (error: unknown) => {
        if (this.#closed) return;
        log.warning(`Error condition on socket for SYNC: ${error instanceof Error ? error.message : String(error)}`);
        this.#link.failed(this);
      },
    );
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#abort.abort();
    this.connection?.close();
  }

  resume(): void {
    this.connection?.resume();
  }

  broken(): void {
    this.#link.lost(this);
  }

  #begin(): void {
    if (this.#closed) return;
    this.#server.log.notice('Non blocking connect for SYNC fired the event.');
    this.#link.state = 'handshake';
    this.#send('PING');
  }

  #send(...words: readonly (string | Uint8Array)[]): void {
    const bytes = encodeWords(words);
    this.connection?.write(bytes, 0, bytes.length);
  }

  onData(bytes: Uint8Array, offset: number, length: number): void {
    if (this.#closed) return;
    this.lastIo = this.#replication.second;
    if (this.stream !== null) {
      if (!this.stream.receive(bytes, offset, length)) this.broken();
      return;
    }
    const { transfer } = this.#link;
    if (transfer !== null) {
      transfer.receive(bytes, offset, length);
      return;
    }
    this.#handshake(bytes, offset, length);
  }

  /** Lines, up to the one behind which something else comes. */
  #handshake(bytes: Uint8Array, offset: number, length: number): void {
    const lines = this.#lines;
    lines.add(bytes, offset, length);
    for (;;) {
      const line = lines.next();
      if (line === null) return;
      if (line !== '') this.#line(line);
      if (this.#closed) return;
      const behind = this.stream !== null || this.#link.transfer !== null ? lines.takeRest() : null;
      if (behind === null) continue;
      if (behind.length > 0) this.onData(behind, 0, behind.length);
      return;
    }
  }

  #line(line: string): void {
    if (this.#state === 'ping') this.#pinged(line);
    else if (this.#state === 'introduction') this.#introduced(line);
    else this.#answered(line);
  }

  #pinged(line: string): void {
    const { log } = this.#server;
    const fine = line.startsWith('+') || /^-(NOAUTH|NOPERM|ERR operation not permitted)/.test(line);
    if (!fine) {
      log.warning(`Error reply to PING from master: '${line}'`);
      this.#link.failed(this);
      return;
    }
    log.notice('Master replied to PING, replication can continue...');
    this.#state = 'introduction';
    for (const [what, words] of handshakeWords(this.#server.config)) {
      this.#awaited.push(what);
      this.#send(...words);
    }
  }

  #introduced(line: string): void {
    const { log } = this.#server;
    const what = this.#awaited.shift();
    if (line.startsWith('-')) {
      if (what === 'AUTH') {
        log.warning(`Unable to AUTH to MASTER: ${line}`);
        this.#link.failed(this);
        return;
      }
      log.notice(`(Non critical) Master does not understand REPLCONF ${what}: ${line}`);
    }
    if (this.#awaited.length > 0) return;
    this.#state = 'psync';
    this.#askToSync();
  }

  #askToSync(): void {
    const { log } = this.#server;
    const { cached } = this.#link;
    const words = ['PSYNC', '?', '-1'];
    if (cached === null) log.notice('Partial resynchronization not possible (no cached master)');
    else {
      words[1] = cached.id;
      words[2] = String(cached.offset + 1);
      log.notice(`Trying a partial resynchronization (request ${words[1]}:${words[2]}).`);
    }
    if (this.#replication.failover.state === 'in-progress') words.push('FAILOVER');
    this.#send(...words);
  }

  #answered(line: string): void {
    const { log } = this.#server;
    const { failover } = this.#replication;
    const accepted = line.startsWith('+FULLRESYNC') || line.startsWith('+CONTINUE');
    if (failover.state === 'in-progress') {
      if (accepted) failover.end();
      else failover.abort('Failover target rejected psync request');
      if (this.#closed) return;
    }
    if (line.startsWith('+CONTINUE')) this.#link.goOn(this, line.split(' ')[1] ?? '');
    else if (line.startsWith('+FULLRESYNC')) this.#fullResync(line);
    else if (/^-(NOMASTERLINK|LOADING)/.test(line)) {
      log.notice(`Master is currently unable to PSYNC but should be in the future: ${line}`);
      this.#link.failed(this);
    } else {
      if (line.startsWith('-ERR')) log.notice(`Master does not support PSYNC or is in error state (reply: ${line})`);
      else log.warning(`Unexpected reply to PSYNC from master: ${line}`);
      log.notice('Retrying with SYNC...');
      this.#send('SYNC');
      this.#link.takeSnapshot(this, '', -1);
    }
  }

  #fullResync(line: string): void {
    const { log } = this.#server;
    const [, id = '', offset = ''] = line.split(' ');
    if (id.length !== 40 || !/^\d+$/.test(offset)) {
      log.warning('Master replied with wrong +FULLRESYNC syntax.');
      this.#link.takeSnapshot(this, '', -1);
      return;
    }
    log.notice(`Full resync from master: ${id}:${offset}`);
    this.#link.takeSnapshot(this, id, Number(offset));
  }

  onDrain(): void {
    this.stream?.client.onDrain();
  }

  onEnd(): void {
    this.#ended('connection lost');
  }

  onClose(_reason: CloseReason): void {
    this.#ended('connection lost');
    this.connection = null;
  }

  #ended(why: string): void {
    if (this.#closed) return;
    const { transfer } = this.#link;
    // What is being loaded is whole: the loss shows when the stream should begin.
    if (transfer?.loading === true) {
      transfer.connectionLost = true;
      return;
    }
    if (transfer !== null) this.#server.log.warning(`I/O error trying to sync with MASTER: ${why}`);
    this.#link.lost(this);
  }
}
