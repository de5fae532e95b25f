// From the words of a request to the function that runs it: look-up, arity, and the checks Redis makes before a
// command may run. In the common case all of them are two comparisons with zero. Also what is counted per command.

import { LapTimer } from '../platform/stopwatch.ts';
import { NO_REPLICAS, READ_ONLY } from '../replication/replication.ts';
import type { RequestParser } from '../resp/parser.ts';
import type { ReplyWriter } from '../resp/reply-writer.ts';
import { ALLOWED } from './acl/permission.ts';
import { refusalOfCommand } from './acl/refusals.ts';
import type { Ending } from './blocking.ts';
import { Call } from './call.ts';
import {
  type Client,
  GATE_ACL,
  GATE_REPLICA,
  GATE_SUBSCRIBED,
  GATE_TRACKING,
  HELD_BY_PAUSE,
  REPLY_ON,
  REPLY_SKIP_NEXT,
  REPLY_SKIPPING,
} from './client.ts';
import {
  type Command,
  type CommandTable,
  FLAG_ADMIN,
  FLAG_ALLOW_BUSY,
  FLAG_DENYOOM,
  FLAG_LOADING,
  FLAG_MAY_REPLICATE,
  FLAG_NO_ASYNC_LOADING,
  FLAG_NO_AUTH,
  FLAG_NO_MULTI,
  FLAG_QUICK,
  FLAG_READONLY,
  FLAG_SKIP_MONITOR,
  FLAG_SKIP_SLOWLOG,
  FLAG_STALE,
  FLAG_WRITE,
} from './command-table.ts';
import { OUT_OF_MEMORY } from './errors.ts';
import { WordList } from './nested-call.ts';
import type { Server } from './server.ts';

const PREVIEW_LENGTH = 128;
/** Replies longer than this are not quick to write: the command's time is taken on its own. */
const QUICK_REPLY_LENGTH = 4096;
/** `slowlog-log-slower-than` below this, microseconds: each command's time is taken on its own. */
const FINE_SLOWLOG_US = 1000;

/** Between two lines of the log about web requests. */
const ABORT_LOG_MS = 60_000;

/** Bits of `Dispatcher.gate`: what must be looked at before a command runs. */
export const GATE_AUTH = 1;
export const GATE_LOADING = 2;
export const GATE_MEMORY = 4;
export const GATE_PAUSE = 8;
export const GATE_MONITOR = 16;
export const GATE_DISK = 32;
/** A replica, or a master that has too few of them. */
export const GATE_ROLE = 1 << 11;
/** A script does not come to an end. */
export const GATE_BUSY = 1 << 10;

/** What becomes of a command that was looked at closely. */
const RUN = 0;
const WAIT = 1;
const ANSWERED = 2;

const WHILE_SUBSCRIBED = /^([ps]?(un)?subscribe|ping|quit|reset)$/;

export class Dispatcher {
  readonly server: Server;
  readonly table: CommandTable;
  /** GATE_* bits that apply to all clients. */
  gate = 0;
  /** AFTER_* bits: what is to be done when the command that runs has ended. */
  afterwards = 0;
  /** Commands that only these transaction words escape while MULTI queues. */
  #unqueued: ReadonlySet<Command> = new Set();
  /** What a subscribed client may still do in RESP2. */
  #whileSubscribed: ReadonlySet<Command> = new Set();
  #exec: Command | null = null;
  #ping: Command | null = null;

  #call = new Call();
  /** Quick commands run since the time was last taken; their time is shared out when it is taken next. */
  #untimed: Command[] = [];
  #untimedCount = 0;
  #timer: LapTimer;
  #lastAbortMs = 0;

  constructor(server: Server, table: CommandTable) {
    this.server = server;
    this.table = table;
    this.#call.server = server;
    this.#call.reply = server.reply;
    this.#timer = new LapTimer(server.stopwatch);
    this.commandsChanged();
  }

  /** The table's commands are others than before. */
  commandsChanged(): void {
    const { table } = this;
    // By the row's name: a command may have been renamed.
    const names = ['exec', 'discard', 'multi', 'watch', 'quit', 'reset'];
    this.#unqueued = new Set(table.all.filter((command) => names.includes(command.spec.name)));
    this.#whileSubscribed = new Set(table.all.filter((command) => WHILE_SUBSCRIBED.test(command.spec.name)));
    this.#exec = table.all.find((command) => command.spec.name === 'exec') ?? null;
    this.#ping = table.all.find((command) => command.spec.name === 'ping') ?? null;
  }

  /** @returns false when the client has to wait and the request must be kept. */
  execute(client: Client, parser: RequestParser): boolean {
    const call = this.#call;
    call.client = client;
    call.db = client.db;
    call.bytes = parser.source;
    call.argc = parser.argc;
    call.offsets = parser.offsets;
    call.lengths = parser.lengths;
    const { reply } = call;
    const mark = reply.length;
    if (client.replyMode === REPLY_SKIP_NEXT) client.replyMode = REPLY_SKIPPING;
    const muted = client.replyMode !== REPLY_ON;

    const command = this.#find(call);
    if (command !== null) {
      client.lastCommand = command;
      if ((this.gate | client.gate | (client.transaction === null ? 0 : -1)) === 0) {
        this.#run(call, command);
      } else {
        const verdict = this.#admit(call, command);
        if (verdict === RUN) this.#run(call, command);
        else if (verdict === WAIT) {
          if (client.replyMode === REPLY_SKIPPING) client.replyMode = REPLY_SKIP_NEXT;
          this.server.pauses.hold(client);
          client.hold(HELD_BY_PAUSE);
          return false;
        }
      }
    }
    if (muted) this.#dropReply(client, mark);
    if ((client.gate & GATE_TRACKING) !== 0) forgetCaching(client);
    if (this.afterwards !== 0) this.server.afterCommand();
    return true;
  }

  /** Unless CLIENT REPLY has ended it: the command's reply is not sent. */
  #dropReply(client: Client, mark: number): void {
    if (client.replyMode === REPLY_ON) return;
    if (client.replyMode === REPLY_SKIPPING) client.replyMode = REPLY_ON;
    const { reply } = this.server;
    if (mark <= reply.length) reply.length = mark;
  }

  // --- finding ---

  /** The command the words name, its arity checked; null when an error was replied. */
  #find(call: Call): Command | null {
    const found = this.table.find(call.bytes, call.offsets[0], call.lengths[0]);
    if (found === null) {
      if (isWebRequest(call)) return this.#abort(call.client);
      return this.#refuse(call, null, unknownCommand(call));
    }
    let command = found;
    if (found.subcommands !== null && call.argc > 1) {
      const sub = found.subcommands.find(call.bytes, call.offsets[1], call.lengths[1]);
      if (sub === null) return this.#refuse(call, null, unknownSubcommand(call, found));
      command = sub;
    }
    const { arity } = command;
    if (arity > 0 ? call.argc !== arity : call.argc < -arity) {
      return this.#refuse(call, command, `ERR wrong number of arguments for '${command.spec.name}' command`);
    }
    if (command.run === null) return this.#refuse(call, command, unknownCommand(call));
    return command;
  }

  #refuse(call: Call, command: Command | null, message: string): null {
    const { client, server } = call;
    let text = message;
    if (command !== null && command === this.#exec) {
      // An EXEC that cannot run ends the transaction all the same.
      if (client.transaction !== null) server.watches.unwatch(client.transaction);
      client.transaction = null;
      text = `EXECABORT Transaction discarded because of: ${message.replace(/^ERR /, '')}`;
    } else if (client.transaction?.active === true) client.transaction.broken = true;
    if (command !== null) command.rejectedCalls++;
    call.reply.error(text);
    server.stats.countError(text);
    return null;
  }

  /** A browser was made to talk to us: the words behind may be commands that someone else chose. */
  #abort(client: Client): null {
    const { log, clock } = this.server;
    if (clock.unixMs - this.#lastAbortMs > ABORT_LOG_MS) {
      this.#lastAbortMs = clock.unixMs;
      log.warning(
        `Connection aborted: ${client.address} sent POST or Host:, which web clients do. A web page may be trying ` +
          'to run commands here by way of its visitors (cross-protocol scripting).',
      );
    }
    client.close();
    return null;
  }

  // --- checks ---

  /** CLIENT PAUSE applies to this command of this client. */
  #mustWait(call: Call, command: Command, flags: number): boolean {
    if ((this.gate & GATE_PAUSE) === 0) return false;
    if (this.server.pauses.all) return true;
    const writing = FLAG_WRITE | FLAG_MAY_REPLICATE;
    if ((flags & writing) !== 0) return true;
    return command === this.#exec && call.client.transaction?.has(writing) === true;
  }

  /** RUN, or WAIT: the clients are paused, or ANSWERED: an error or QUEUED was replied. */
  #admit(call: Call, command: Command): number {
    const { client, server } = call;
    const { gate } = this;
    const flags = this.#flagsOf(call, command);
    if (server.tracking.clients > 0) server.tracking.limitKeys();
    if ((gate & GATE_AUTH) !== 0 && !client.authenticated && (command.flags & FLAG_NO_AUTH) === 0) {
      this.#refuse(call, command, 'NOAUTH Authentication required.');
      return ANSWERED;
    }
    const queueing = client.transaction?.active === true;
    if (queueing && (command.flags & FLAG_NO_MULTI) !== 0) {
      this.#refuse(call, command, 'ERR Command not allowed inside a transaction');
      return ANSWERED;
    }
    if ((client.gate & GATE_ACL) !== 0 && this.#isDenied(call, command, queueing)) return ANSWERED;
    if (
      (gate & GATE_MEMORY) !== 0 &&
      (gate & GATE_BUSY) === 0 &&
      !server.makeRoom() &&
      this.#needsMemory(client, command, flags)
    ) {
      this.#refuse(call, command, OUT_OF_MEMORY);
      return ANSWERED;
    }
    if ((gate & GATE_DISK) !== 0 && this.#needsDisk(call, command, flags)) {
      this.#refuse(call, command, server.diskError ?? '');
      return ANSWERED;
    }
    const byRole = (gate & GATE_ROLE) === 0 ? null : this.#roleRefusal(call, command, flags);
    if (byRole !== null) {
      this.#refuse(call, command, byRole);
      return ANSWERED;
    }
    if ((client.gate & GATE_SUBSCRIBED) !== 0 && !this.#whileSubscribed.has(command)) {
      const name = command.spec.name;
      const message = `ERR Can't execute '${name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`;
      this.#refuse(call, command, message);
      return ANSWERED;
    }
    if ((gate & GATE_LOADING) !== 0 && this.#waitsForLoad(command)) {
      this.#refuse(call, command, 'LOADING Redis is loading the dataset in memory');
      return ANSWERED;
    }
    if ((gate & GATE_BUSY) !== 0 && (command.flags & FLAG_ALLOW_BUSY) === 0) {
      this.#refuse(call, command, server.busyError);
      return ANSWERED;
    }
    if ((client.gate & GATE_REPLICA) !== 0) {
      const keys = FLAG_MAY_REPLICATE | FLAG_WRITE | FLAG_READONLY;
      if ((flags & keys) !== 0) this.#refuse(call, command, "ERR Replica can't interact with the keyspace");
      return (flags & keys) === 0 ? RUN : ANSWERED;
    }
    if (this.#mustWait(call, command, flags)) return WAIT;
    if (!queueing || this.#unqueued.has(command)) return RUN;
    client.transaction?.add(call, command, flags);
    call.reply.simple('QUEUED');
    return ANSWERED;
  }

  /** The client's user may not do this, and was told so. */
  #isDenied(call: Call, command: Command, queueing: boolean): boolean {
    const denied = this.server.acl.admit(call.client, command.spec, call, queueing ? 'multi' : 'toplevel');
    if (denied === ALLOWED) return false;
    this.#refuse(call, command, refusalOfCommand(denied, command.spec.name));
    return true;
  }

  /** A queue may grow without end: nothing is queued when memory is short. */
  #needsMemory(client: Client, command: Command, flags: number): boolean {
    if ((flags & FLAG_DENYOOM) !== 0) return true;
    if (client.transaction?.active !== true) return false;
    return command === this.#exec ? client.transaction.has(FLAG_DENYOOM) : !this.#unqueued.has(command);
  }

  #waitsForLoad({ flags }: Command): boolean {
    return this.server.asyncLoading ? (flags & FLAG_NO_ASYNC_LOADING) !== 0 : (flags & FLAG_LOADING) === 0;
  }

  /** What a command may not do here because of the server's role. */
  #roleRefusal(call: Call, command: Command, flags: number): string | null {
    const { transaction } = call.client;
    const executing = command === this.#exec && transaction !== null;
    const writes = (flags & FLAG_WRITE) !== 0 || (executing && transaction.has(FLAG_WRITE));
    const worksWhenStale = (flags & FLAG_STALE) !== 0 && !(executing && transaction.hasWithout(FLAG_STALE));
    return this.server.replication.refusal(call, writes, worksWhenStale);
  }

  /** PING too: who watches the server by it shall notice. */
  #needsDisk(call: Call, command: Command, flags: number): boolean {
    if ((flags & FLAG_WRITE) !== 0 || command === this.#ping) return true;
    return command === this.#exec && call.client.transaction?.has(FLAG_WRITE) === true;
  }

  /** A script may say of itself what it does. */
  #flagsOf(call: Call, command: Command): number {
    const { flagsOf } = command.spec;
    return flagsOf === undefined ? command.flags : flagsOf(call, command.flags);
  }

  /** Why no command of `client` may write now, or null; for what is checked in the middle of a script. */
  writeRefusal(client: Client): string | null {
    if (client.obeyed) return null;
    const { config, replication } = this.server;
    if (replication.isReplica && config.replicaReadOnly) return READ_ONLY;
    return this.server.diskError ?? (replication.tooFewReplicas ? NO_REPLICAS : null);
  }

  // --- running and counting ---

  #run(call: Call, command: Command): void {
    const { reply, server } = call;
    const { config } = server;
    const lengthBefore = reply.length;
    const quick =
      (command.flags & FLAG_QUICK) !== 0 &&
      (config.slowlogLogSlowerThan > FINE_SLOWLOG_US || config.slowlogLogSlowerThan < 0);
    if (!quick) this.takeTime();
    this.#perform(call, command);
    this.#untimed[this.#untimedCount++] = command;
    if (!quick || reply.length - lengthBefore > QUICK_REPLY_LENGTH) {
      const { blocked } = call.client;
      const spent = this.takeTime(config.latencyTracking && blocked === null) / 1000;
      if (config.latencyMonitorThreshold > 0) server.latency.add(latencyEvent(command), spent);
      // Who waits is logged when he is served.
      if (blocked !== null) blocked.spentUs = spent;
      else this.#logSlow(call, command, spent);
    }
  }

  #perform(call: Call, command: Command): void {
    const { reply, server } = call;
    reply.countedErrors = reply.errors;
    call.spec = command.spec;
    if (call.redacted !== null) call.redacted = null;
    if (server.propagation.wanted === 0) command.run!(call);
    else this.#propagated(call, command.run!);
    if (server.tracking.clients > 0 && (command.flags & FLAG_READONLY) !== 0) server.rememberKeys(call);
    if ((this.gate & GATE_MONITOR) !== 0 && (command.flags & (FLAG_SKIP_MONITOR | FLAG_ADMIN)) === 0) {
      server.feedMonitors(call);
    }
    server.stats.commandsProcessed++;
    // An error that a nested command has replied is that command's.
    if (reply.errors !== reply.countedErrors) {
      command.failedCalls++;
      if (reply.lastError !== '') server.stats.countError(reply.lastError);
      reply.countedErrors = reply.errors;
    }
  }

  /** Runs a step whose effects are told to the append-only file and replicas. */
  #propagated<T>(call: Call, step: (call: Call) => T): T {
    const { server } = call;
    const { propagation, dirty } = server;
    call.forcedTargets = 0;
    call.deniedTargets = 0;
    propagation.begin();
    const result = step(call);
    propagation.endCommand(call, dirty);
    return result;
  }

  /** Runs a command within another one, which goes on afterwards: its time is measured on its own. */
  runNested(call: Call, command: Command): void {
    const { server } = this;
    const began = server.stopwatch();
    this.#perform(call, command);
    const spent = server.stopwatch() - began;
    command.record(1, spent * 1000, server.config.latencyTracking);
    server.latency.add(latencyEvent(command), spent);
    this.#logSlow(call, command, spent);
  }

  /**
   * A command that waited goes on with `step`: it was counted as a call when it came, its time and errors come now.
   * @param spentBefore microseconds that it took until it waited.
   * @returns whether `step` replied.
   */
  resume(call: Call, command: Command, step: (call: Call) => boolean, ending: Ending, spentBefore: number): boolean {
    const { reply, server } = call;
    const began = server.stopwatch();
    reply.countedErrors = reply.errors;
    if (!(server.propagation.wanted === 0 ? step(call) : this.#propagated(call, step))) return false;
    const spent = server.stopwatch() - began;
    const hasError = reply.errors !== reply.countedErrors;
    if (hasError) server.stats.countError(reply.lastError);
    if (ending === 'uncounted') return true;
    if (hasError || ending === 'failed') command.failedCalls++;
    command.timeUs += spent;
    if (server.config.latencyTracking) command.recordLatency(spentBefore + spent, 1);
    server.latency.add('command-unblocking', spent);
    // Redis has lost the words by then: CLIENT UNBLOCK leaves no entry that names the command.
    if (ending === 'call') this.#logSlow(call, command, spentBefore + spent);
    return true;
  }

  /** Keeps a command that took long. */
  #logSlow(call: Call, command: Command, spentUs: number): void {
    const { slowlogLogSlowerThan, slowlogMaxLen } = this.server.config;
    if (slowlogLogSlowerThan < 0 || spentUs < slowlogLogSlowerThan) return;
    if ((command.flags & FLAG_SKIP_SLOWLOG) === 0) this.server.slowlog.add(call, spentUs, slowlogMaxLen);
  }

  /** Copies the words of the command that runs: the bytes they lie in will be gone. */
  detach(): void {
    const call = this.#call;
    const { bytes, lengths, offsets } = WordList.of(call);
    call.bytes = bytes;
    call.lengths = lengths;
    call.offsets = offsets;
  }

  /**
   * Puts the batch that is running aside, so that others can be served in the middle of one of its commands.
   * @returns what brings it back.
   */
  suspend(reply: ReplyWriter): () => void {
    const call = this.#call;
    const untimed = this.#untimed;
    const untimedCount = this.#untimedCount;
    const timer = this.#timer;
    const { afterwards } = this;
    this.#call = new Call();
    this.#call.server = this.server;
    this.#call.reply = reply;
    this.#untimed = [];
    this.#untimedCount = 0;
    this.#timer = new LapTimer(this.server.stopwatch);
    this.afterwards = 0;
    return () => {
      this.#call = call;
      this.#untimed = untimed;
      this.#untimedCount = untimedCount;
      this.#timer = timer;
      this.afterwards |= afterwards;
    };
  }

  /** Starts a client's batch: time before it belongs to no command. */
  beginBatch(): void {
    this.#untimedCount = 0;
    this.#timer.start();
  }

  /** Shares the time since it was last taken among the commands run since. @returns the share, nanoseconds, whole. */
  takeTime(histogram = this.server.config.latencyTracking): number {
    const count = this.#untimedCount;
    const share = this.#timer.lap(count === 0 ? 1 : count);
    const untimed = this.#untimed;
    for (let i = 0; i < count; i++) untimed[i].record(1, share, histogram);
    this.#untimedCount = 0;
    return share;
  }
}

function latencyEvent(command: Command): string {
  return command.isFast ? 'fast-command' : 'command';
}

/** CLIENT CACHING is about the next command, or transaction, alone. */
function forgetCaching(client: Client): void {
  if (client.tracking === null || client.transaction?.active === true) return;
  if (client.lastCommand?.spec.name.startsWith('client|') !== true) client.tracking.caching = false;
}

/** Never a command, and how a form sent by a browser starts or goes on. */
function isWebRequest(call: Call): boolean {
  return call.is(0, 'post') || call.is(0, 'host:');
}

function unknownCommand(call: Call): string {
  let preview = '';
  for (let i = 1; i < call.argc && preview.length < PREVIEW_LENGTH; i++) {
    preview += `'${call.cText(i).slice(0, PREVIEW_LENGTH - preview.length)}' `;
  }
  return `ERR unknown command '${call.cText(0).slice(0, PREVIEW_LENGTH)}', with args beginning with: ${preview}`;
}

function unknownSubcommand(call: Call, container: Command): string {
  return `ERR unknown subcommand '${call.cText(1).slice(0, PREVIEW_LENGTH)}'. Try ${container.spec.name.toUpperCase()} HELP.`;
}
