// One connected client. Requests are parsed and run in the bytes the transport hands in; only what is left of an
// incomplete one is copied to a query buffer. Replies of a batch go to the connection at once; what it does not take
// waits in `#output`. An idle client owns no buffer.

import { forgetHashes } from '../data/key-hash.ts';
import type { LogFacts } from '../platform/log.ts';
import type { Replica } from '../replication/replica.ts';
import { AHEAD_BYTES_MIN, AHEAD_MAX, LookAhead } from '../resp/look-ahead.ts';
import { BROKEN, INCOMPLETE, REQUEST, type RequestLimits, type RequestParser } from '../resp/parser.ts';
import { REPLY_MAX, type ReplyWriter } from '../resp/reply-writer.ts';
import type { CloseReason, Connection, ConnectionHandler } from '../transports/transport.ts';
import type { User } from './acl/user.ts';
import type { Blocked } from './blocking.ts';
import { BufferUse } from './buffer-use.ts';
import type { Call } from './call.ts';
import { clientInfoLine } from './client-info.ts';
import type { Command } from './command-table.ts';
import type { OutputBufferLimit } from './config-directives.ts';
import type { Database } from './database.ts';
import type { Subscriptions } from './pubsub.ts';
import type { Server } from './server.ts';
import type { ClientTracking } from './tracking.ts';
import type { Transaction } from './transaction.ts';

/** Replies longer than this are handed to the connection before the batch ends. */
const FLUSH_LENGTH = 64 * 1024;
/** With more output waiting than this the client's requests are left unread. */
const OUTPUT_HIGH_WATER = 64 * 1024 * 1024;
/** Of a client that still has to authenticate. */
const UNAUTHENTICATED_OUTPUT_MAX = 1024;
const OUTPUT_LOW_WATER = OUTPUT_HIGH_WATER / 2;

/** More than this behind the end of a session is not what was under way when it ended. */
const DROPPED_MAX = 64 * 1024;

/** Fewer keys lie in the processor's caches anyway, about. */
const AHEAD_KEYS_MIN = 20_000;
const AHEAD_NEVER = 0x3fffffff;
/** Of the batch at hand; one for all clients. */
const ahead = new LookAhead();

/** Why requests are not run: CLIENT PAUSE, too much output waiting, a command that waits, or one that lets others be served. */
export const HELD_BY_PAUSE = 1;
export const HELD_BY_OUTPUT = 2;
export const HELD_BY_BLOCK = 4;
export const HELD_BY_SERVICE = 8;

/** Bits of `Client.gate`: what must be looked at before a command of this client runs. */
export const GATE_SUBSCRIBED = 1;
/** The keys it reads are remembered. */
export const GATE_TRACKING = 2;
/** It is a replica: it gets the stream, and has nothing to do with keys. */
export const GATE_REPLICA = 4;
/** Its user may not do everything. */
export const GATE_ACL = 8;

export type ClientType = 'normal' | 'master' | 'replica' | 'pubsub';

/** Which of `client-output-buffer-limit`'s classes a type belongs to. */
const LIMIT_CLASS: Readonly<Record<ClientType, number>> = { normal: 0, master: 0, replica: 1, pubsub: 2 };

export const REPLY_ON = 0;
export const REPLY_OFF = 1;
/** Drops the reply of the next command; becomes REPLY_SKIPPING when that starts. */
export const REPLY_SKIP_NEXT = 2;
export const REPLY_SKIPPING = 3;

const NO_BYTES = new Uint8Array(0);

/** What of a session is under way in either direction. */
export interface InTransit {
  readonly query: Uint8Array;
  readonly output: Uint8Array;
  /** False: too much output waits for its requests to be read. */
  readonly readsOn: boolean;
  /** It ends when the output is out. */
  readonly closing: boolean;
}

export class Client implements ConnectionHandler, RequestLimits {
  readonly id: number;
  readonly server: Server;
  readonly connection: Connection;
  /** Unix time, milliseconds. */
  createdAt: number;
  // A number from the beginning: a field that was undefined once has an object made for every value.
  lastInteraction = 0;
  db: Database;
  protocol: 2 | 3 = 2;
  authenticated: boolean;
  /** Whose permissions it has; the default user's until it says who it is. */
  user: User;
  name = '';
  replyMode = REPLY_ON;
  monitor = false;
  /** The other end of replication; null: a client like any other. */
  link: 'replica' | 'master' | null = null;
  /** What it said of itself as a replica, and how far it is; null: nothing. */
  replica: Replica | null = null;
  /** Offset in the replication stream of the latest change it made: for WAIT. */
  writeOffset = 0;
  noEvict = false;
  transaction: Transaction | null = null;
  /** EXEC is running its queue: commands must neither wait nor turn the connection into a stream. */
  inExec = false;
  lastCommand: Command | null = null;
  /** GATE_* bits; `updateGate` sets them. */
  gate = 0;
  /** Channels and patterns it listens to; null: none. */
  subscriptions: Subscriptions | null = null;
  /** It is told when keys change that it may hold; null: it did not ask for it. */
  tracking: ClientTracking | null = null;
  /** Its latest command waits: BLPOP and the like. */
  blocked: Blocked | null = null;
  /** Of a script's own client: who called the script. */
  caller: Client | null = null;
  /** The call that runs that script. */
  callerCall: Call | null = null;
  /** Stands for a replication master or a file: what it says is done, whatever the limits. */
  obeyed = false;
  /** Nothing more is read; the connection ends when the output is out. */
  closing = false;
  /** `onClose` came. */
  gone = false;

  /** Its share of the common buffers. */
  readonly bufferUse: BufferUse;
  #held = 0;
  #query: Uint8Array<ArrayBuffer> | null = null;
  #queryLength = 0;
  /** Length of what is being run where it was received. */
  #batchBytes = 0;
  /** Parser of the incomplete request in `#query`. */
  #parser: RequestParser | null = null;
  #output: Uint8Array<ArrayBuffer>[] = [];
  #outputOffset = 0;
  #outputBytes = 0;
  #overSoftLimitSince = -1;
  /** It was closed because it did not read. */
  #overLimit = false;
  #ended = false;
  /** Bytes that came behind the end of the session. */
  #dropped = 0;
  /** Messages that came while the replies of this client's own batch are not sent. */
  #aside: Uint8Array[] = [];
  /** Made when somebody asks: most connections of those that last for one request are never named. */
  #address: string | null = null;
  #localAddress: string | null = null;

  constructor(server: Server, connection: Connection, id: number) {
    this.id = id;
    this.server = server;
    this.connection = connection;
    this.createdAt = server.clock.unixMs;
    this.lastInteraction = this.createdAt;
    this.bufferUse = new BufferUse(server.clock.nowMs);
    this.db = server.databases[0];
    this.user = server.acl.defaultUser;
    this.authenticated = !server.authRequired;
    this.updateGate();
  }

  // --- limits the parser asks for ---

  get unauthenticated(): boolean {
    return this.server.authRequired && !this.authenticated;
  }

  get bulkLengthMax(): number {
    return this.server.config.protoMaxBulkLen;
  }

  // --- who it is ---

  /** `ip:port` of the peer. */
  get address(): string {
    if (this.#address === null) {
      const { remoteAddress, remotePort } = this.connection;
      this.#address = joinAddress(remoteAddress, remotePort);
    }
    return this.#address;
  }

  /** `ip:port` of our side. */
  get localAddress(): string {
    if (this.#localAddress === null) {
      const { localAddress, localPort } = this.connection;
      this.#localAddress = joinAddress(localAddress, localPort);
    }
    return this.#localAddress;
  }

  /** For the log, about this connection. */
  get logFacts(): LogFacts {
    return { connection: this.id, address: this.address };
  }

  /** To be called when what GATE_* bits stand for has changed. */
  updateGate(): void {
    this.gate =
      (this.subscriptions !== null && this.protocol === 2 ? GATE_SUBSCRIBED : 0) |
      (this.tracking !== null ? GATE_TRACKING : 0) |
      (this.link === 'replica' ? GATE_REPLICA : 0) |
      (this.user.isUnrestricted ? 0 : GATE_ACL);
  }

  // --- figures for CLIENT LIST and INFO ---

  /** Of requests that are not run, or are just being run. */
  get queryBytes(): number {
    const before = this.#parser === null ? 0 : this.#parser.pendingFrom;
    return Math.max(this.#queryLength - before, this.#batchBytes);
  }

  get queryCapacity(): number {
    return this.#query === null ? this.#batchBytes : this.#query.length;
  }

  get outputBytes(): number {
    return this.#outputBytes;
  }

  get outputPieces(): number {
    return this.#output.length;
  }

  // --- input ---

  onData(bytes: Uint8Array, offset: number, length: number): void {
    if (this.closing) {
      this.#drop(length);
      return;
    }
    const { server } = this;
    server.stats.readsProcessed++;
    server.stats.netInputBytes += length;
    this.lastInteraction = server.clock.unixMs;
    this.bufferUse.request(this.#queryLength + length, server.clock.nowMs);
    if (this.#queryLength === 0) {
      const { parser } = server;
      const end = offset + length;
      this.#batchBytes = length;
      parser.begin(offset, this);
      this.#run(parser, bytes, end);
      this.#batchBytes = 0;
      if (!this.closing && parser.start < end) this.#keepRest(parser, bytes, end);
    } else if (this.#append(bytes, offset, length)) {
      this.#runQuery();
    }
    this.#flush();
    if (server.clientMemory.limit > 0) server.clientMemory.update(this);
    if (server.unsettled) server.settle();
  }

  /**
   * A peer that goes on sending to a session that has ended is told so by a reset, once it has all its replies; who does
   * not take them does not keep it open.
   */
  #drop(length: number): void {
    this.#dropped += length;
    const { connection } = this;
    const isDone = this.#overLimit || connection.queuedBytes === 0;
    if (this.#ended && this.#dropped > DROPPED_MAX && isDone) connection.destroy();
  }

  /** Runs every complete request in `bytes[parser.position, end)`. */
  #run(parser: RequestParser, bytes: Uint8Array, end: number): void {
    const { server } = this;
    const { reply } = server;
    const { hard } = this.#outputLimit();
    const flushAt = hard > 0 ? hard : FLUSH_LENGTH;
    reply.protocol = this.protocol;
    reply.max = hard > 0 ? hard : REPLY_MAX;
    server.beginBatch(this, bytes, end);
    forgetHashes();
    let known = 0;
    while (this.#held === 0 && !this.closing) {
      if (known-- === 0) known = this.#lookAhead(bytes, parser.position, end);
      const status = parser.parse(bytes, end);
      if (status === REQUEST) {
        if (!server.dispatcher.execute(this, parser)) {
          parser.begin(parser.start, this);
          break;
        }
        if (reply.length > flushAt || reply.overflow) this.#flush();
      } else if (status === INCOMPLETE) break;
      else if (status === BROKEN) this.#protocolError(parser.error);
    }
    // A request that was run is behind us even when nothing was parsed after it.
    if (this.#held !== 0 && parser.position > parser.start) parser.begin(parser.position, this);
    forgetHashes();
    server.endBatch();
  }

  /**
   * In a pipeline over a keyspace larger than the processor's caches: has the keys of the next requests fetched together.
   * @returns requests until it is worth looking again.
   */
  #lookAhead(bytes: Uint8Array, position: number, end: number): number {
    const { dict } = this.db;
    if (end - position < AHEAD_BYTES_MIN || dict.size < AHEAD_KEYS_MIN) return AHEAD_NEVER;
    ahead.scan(bytes, position, end);
    if (ahead.count > 1) dict.fetch(bytes, ahead.offsets, ahead.lengths, ahead.count);
    return ahead.count === AHEAD_MAX ? AHEAD_MAX - 1 : AHEAD_NEVER;
  }

  #protocolError(text: string): void {
    const { server } = this;
    server.log.verbose(`Protocol error (${text.slice(20)}) from client: ${this.infoLine()}`, this.logFacts);
    if (this.replyMode === REPLY_ON) server.reply.error(text);
    server.stats.countError(text);
    this.closeAfterReply();
  }

  /** Copies what is left of the request at `parser.start` to a query buffer of our own, large enough for it. */
  #keepRest(parser: RequestParser, bytes: Uint8Array, end: number): void {
    const { server } = this;
    this.#keep(bytes, parser.start, end, parser);
    parser.rebase();
    server.parser = server.requestPools.takeParser();
  }

  #keep(bytes: Uint8Array, start: number, end: number, parser: RequestParser): void {
    const rest = end - start;
    this.#query = this.server.requestPools.takeQueryBuffer(Math.max(rest, parser.needed - start));
    this.#query.set(bytes.subarray(start, end));
    this.#queryLength = rest;
    this.#parser = parser;
  }

  /** @returns false when the client had to be closed. */
  #append(bytes: Uint8Array, offset: number, length: number): boolean {
    const { server } = this;
    const total = this.#queryLength + length;
    if (total > server.config.clientQueryBufferLimit) {
      server.log.warning(`Closing client that reached max query buffer length: ${this.infoLine()}`, this.logFacts);
      server.stats.clientQueryBufferLimitDisconnections++;
      this.close();
      return false;
    }
    let query = this.#query!;
    const wanted = Math.max(total, this.#parser!.needed);
    if (wanted > query.length) {
      // A bulk whose length is known gets its room once; otherwise double.
      const grown = server.requestPools.takeQueryBuffer(wanted > total ? wanted : wanted * 2);
      grown.set(query.subarray(0, this.#queryLength));
      server.requestPools.returnQueryBuffer(query);
      this.#query = query = grown;
    }
    query.set(bytes.subarray(offset, offset + length), this.#queryLength);
    this.#queryLength = total;
    return true;
  }

  #runQuery(): void {
    if (this.#held !== 0 || this.#queryLength === 0) return;
    const parser = this.#parser!;
    const query = this.#query!;
    this.#run(parser, query, this.#queryLength);
    // `close` inside the batch has given the buffer back already.
    if (this.#query !== query) return;
    const { start } = parser;
    if (this.closing || start >= this.#queryLength) {
      this.#releaseQuery();
    } else if (start > 0) {
      query.copyWithin(0, start, this.#queryLength);
      this.#queryLength -= start;
      parser.rebase();
    }
  }

  #releaseQuery(): void {
    if (this.#query !== null) this.server.requestPools.returnQueryBuffer(this.#query);
    if (this.#parser !== null) this.server.requestPools.returnParser(this.#parser);
    this.#query = null;
    this.#parser = null;
    this.#queryLength = 0;
  }

  /**
   * Stops running requests for a reason (HELD_*). What arrives is kept, up to `client-query-buffer-limit`: the
   * connection is read on, so that a peer that goes away is noticed. Only too much output closes the window.
   */
  hold(reason: number): void {
    if (reason === HELD_BY_OUTPUT && (this.#held & HELD_BY_OUTPUT) === 0) this.connection.pause();
    this.#held |= reason;
  }

  release(reason: number): void {
    if ((this.#held & reason) === 0) return;
    this.#held &= ~reason;
    if (reason === HELD_BY_PAUSE) this.server.pauses.forget(this);
    // Also when it is closing: what still comes is dropped, so that the peer can finish.
    if (reason === HELD_BY_SERVICE || (reason === HELD_BY_OUTPUT && !this.closing)) this.#resumeInput();
    if (this.#held !== 0 || this.closing) return;
    this.#runQuery();
    this.#flush();
  }

  #resumeInput(): void {
    if ((this.#held & (HELD_BY_OUTPUT | HELD_BY_SERVICE)) === 0 && !this.gone) this.connection.resume();
  }

  /**
   * The command that runs goes on for long, and others are served meanwhile: requests behind it wait, in a buffer of our
   * own, as the bytes they came in will be gone. Ended by `release(HELD_BY_SERVICE)`.
   * @param parser what reads this batch. @param end where its bytes end.
   */
  interrupt(parser: RequestParser, bytes: Uint8Array, end: number): void {
    this.connection.pause();
    this.#held |= HELD_BY_SERVICE;
    if (this.#queryLength > 0) return;
    if (parser.position < end) {
      const next = this.server.requestPools.takeParser();
      next.begin(0, this);
      this.#keep(bytes, parser.position, end, next);
    }
    parser.begin(end, this);
  }

  // --- output ---

  /** Hands the replies gathered so far to the connection. */
  #flush(): void {
    const { reply } = this.server;
    if (reply.length > 0 || reply.overflow) {
      if (this.link === 'replica') this.#refuseReply(reply);
      else if (reply.overflow || this.#outputBytes + reply.length > reply.max) this.#closeOverLimit();
      else if (!this.gone) this.send(reply.bytes, reply.length);
      this.bufferUse.reply(reply.length);
      reply.reset();
    }
    if (this.#aside.length > 0 && this.server.current !== this) this.#sendAside();
    this.#endIfDone();
  }

  /** A reply would stand in the middle of the stream: who provokes one is no replica. */
  #refuseReply(reply: ReplyWriter): void {
    const { log } = this.server;
    const name = this.lastCommand?.spec.name ?? '';
    const text = Buffer.from(reply.bytes.slice(0, reply.length)).toString('latin1');
    if (text.startsWith('-')) {
      const error = text.slice(1, text.indexOf('\r'));
      log.warning(
        `== CRITICAL == This master is sending an error to its replica: '${error}' after processing the command '${name}'`,
      );
    }
    log.warning(`Replica generated a reply to command '${name}', disconnecting it: ${this.infoLine()}`);
    this.close();
  }

  #sendAside(): void {
    for (const bytes of this.#aside) if (!this.gone) this.send(bytes, bytes.length);
    this.#aside = [];
  }

  /** Sends what another client's command or the server has for this one, behind its own replies. */
  deliver(writer: ReplyWriter): void {
    if (this.gone || this.closing) return;
    const { server } = this;
    if (server.current !== this) this.send(writer.bytes, writer.length);
    else if (this.replyMode === REPLY_ON) server.reply.append(writer.bytes, 0, writer.length);
    else this.#aside.push(writer.bytes.slice(0, writer.length));
  }

  send(bytes: Uint8Array, length: number): void {
    const { stats } = this.server;
    stats.writesProcessed++;
    stats.netOutputBytes += length;
    const taken = this.#output.length === 0 ? this.connection.write(bytes, 0, length) : 0;
    if (taken === length) return;
    this.#output.push(this.server.longBlocks.copy(bytes, taken, length));
    this.#outputBytes += length - taken;
    if (this.#outputBytes > OUTPUT_HIGH_WATER) this.hold(HELD_BY_OUTPUT);
    if (this.server.clientMemory.limit > 0) this.server.clientMemory.update(this);
    this.checkOutputLimit();
  }

  /** `client-output-buffer-limit` of its class: closes at once above the hard limit, above the soft one after its seconds. */
  checkOutputLimit(): void {
    const { server } = this;
    const limit = this.#outputLimit();
    const bytes = this.#outputBytes + (this.replica?.reader?.heldBytes ?? 0);
    // A replica that may go on from the backlog must be able to be that far behind.
    const hard = this.link === 'replica' ? Math.max(limit.hard, server.config.replBacklogSize) : limit.hard;
    // Who has not said who he is cannot make the server keep much.
    let over = (limit.hard > 0 && bytes >= hard) || (bytes > UNAUTHENTICATED_OUTPUT_MAX && this.unauthenticated);
    if (limit.soft > 0 && bytes >= limit.soft) {
      const now = server.clock.unixMs;
      if (this.#overSoftLimitSince < 0) this.#overSoftLimitSince = now;
      else if (now - this.#overSoftLimitSince > limit.softSeconds * 1000) over = true;
    } else {
      this.#overSoftLimitSince = -1;
    }
    if (over && !this.gone) this.#closeOverLimit();
  }

  #outputLimit(): OutputBufferLimit {
    return this.server.config.clientOutputBufferLimit[LIMIT_CLASS[this.type]];
  }

  #closeOverLimit(): void {
    const { server } = this;
    server.log.warning(
      `Client ${this.infoLine()} scheduled to be closed ASAP for overcoming of output buffer limits.`,
      this.logFacts,
    );
    server.stats.clientOutputBufferLimitDisconnections++;
    this.#overLimit = true;
    this.close();
  }

  onDrain(): void {
    const output = this.#output;
    let done = 0;
    while (done < output.length) {
      const piece = output[done];
      const length = piece.length - this.#outputOffset;
      const taken = this.connection.write(piece, this.#outputOffset, length);
      // It was closed in between, and all pieces are given back.
      if (this.#output !== output) return;
      this.#outputBytes -= taken;
      if (taken < length) {
        this.#outputOffset += taken;
        break;
      }
      this.#outputOffset = 0;
      done++;
    }
    if (done > 0) for (const piece of output.splice(0, done)) this.server.longBlocks.give(piece);
    if (this.#outputBytes < OUTPUT_LOW_WATER) this.release(HELD_BY_OUTPUT);
    if (this.#outputBytes === 0) this.replica?.onDrain();
    this.#endIfDone();
    if (this.server.unsettled) this.server.settle();
  }

  #dropOutput(): void {
    for (const piece of this.#output) this.server.longBlocks.give(piece);
    this.#output = [];
    this.#outputBytes = 0;
  }

  /** Whether `timeout` applies: not to who waits for something to come. */
  get mayIdleOut(): boolean {
    return this.blocked === null && this.subscriptions === null && !this.monitor && this.link === null;
  }

  // --- the end ---

  /** No more requests; FIN follows the replies. */
  closeAfterReply(): void {
    if (this.closing) return;
    this.closing = true;
    if (this.server.current !== this) this.#endIfDone();
  }

  #endIfDone(): void {
    if (!this.closing || this.#ended || this.#output.length > 0) return;
    this.#ended = true;
    this.server.forget(this);
    // What still arrives is read and dropped, so that the peer can finish.
    if ((this.#held & HELD_BY_OUTPUT) !== 0) this.connection.resume();
    // Who did not read would leave his window closed and keep what is sent already.
    if (this.#overLimit) this.connection.destroy();
    else this.connection.end();
  }

  /** Ends the connection now; output that waits is dropped, except what the connection has. */
  close(): void {
    if (this.gone) return;
    this.closeAfterReply();
    this.server.forget(this);
    this.#dropOutput();
    if (this.server.current !== this) this.#endIfDone();
  }

  onEnd(): void {
    // Who has gone is served no more; what he sent before waiting goes out.
    this.server.blocking.forget(this);
    this.closeAfterReply();
    this.#endIfDone();
  }

  onClose(reason: CloseReason): void {
    this.gone = true;
    if (this.server.log.isVerbose) {
      this.server.log.verbose(
        `Client closed connection ${this.address}${reason === null ? '' : `: ${reason}`}`,
        this.logFacts,
      );
    }
    this.closing = true;
    this.#dropOutput();
    // Its own batch may be on the stack.
    if (this.server.current !== this && (this.#held & HELD_BY_SERVICE) === 0) this.#releaseQuery();
    this.server.forget(this);
  }

  // --- another process goes on with it ---

  /** What has come and was not run, and what waits to be sent. Copies. */
  get inTransit(): InTransit {
    const start = this.#parser?.start ?? 0;
    const output = Buffer.concat(this.#output).subarray(this.#outputOffset);
    return {
      query: this.#query?.slice(start, this.#queryLength) ?? NO_BYTES,
      output: Uint8Array.from(output),
      readsOn: (this.#held & HELD_BY_OUTPUT) === 0,
      closing: this.closing,
    };
  }

  /** Goes on with what was in transit; everything else of the session is as it was. */
  restore({ query, output, readsOn, closing }: InTransit): void {
    if (output.length > 0) this.send(output, output.length);
    if (!readsOn && this.#outputBytes >= OUTPUT_LOW_WATER) this.hold(HELD_BY_OUTPUT);
    else if ((this.#held & HELD_BY_OUTPUT) === 0) this.connection.resume();
    if (closing) this.closeAfterReply();
    else if (query.length > 0) this.onData(query, 0, query.length);
  }

  // --- figures ---

  /** Memory the client costs, bytes: its own state and its buffers. */
  get memoryBytes(): number {
    let sum = CLIENT_OVERHEAD + this.queryCapacity + this.#outputBytes + this.argumentBytes;
    if (this.transaction !== null) sum += this.transaction.memoryBytes + this.transaction.watchedBytes;
    if (this.subscriptions !== null) sum += this.subscriptions.memoryBytes;
    if (this.tracking !== null) sum += this.tracking.memoryBytes;
    return sum;
  }

  /** Words that are kept for a command that waits, bytes. */
  get argumentBytes(): number {
    return this.blocked?.words.bytes.length ?? 0;
  }

  /** What CLIENT LIST says of it. */
  infoLine(): string {
    return clientInfoLine(this);
  }

  /** CLIENT PAUSE holds its next command back. */
  get isPaused(): boolean {
    return (this.#held & HELD_BY_PAUSE) !== 0;
  }

  /** As CLIENT KILL TYPE and the classes of limits know it. */
  get type(): ClientType {
    if (this.link !== null) return this.link;
    return this.subscriptions === null ? 'normal' : 'pubsub';
  }
}

/** About what V8 needs for a Client, its connection and their fields. */
const CLIENT_OVERHEAD = 1024;

/** Port 0: the path of a socket file, or the name of what runs commands without a connection. */
function joinAddress(host: string, port: number): string {
  if (port === 0) return host.startsWith('/') ? `${host}:0` : host;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
