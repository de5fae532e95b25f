// Clients that wait: for keys (BLPOP, XREAD BLOCK), for replicas (WAIT), for modules, for the end of SHUTDOWN. A command
// that cannot go on calls `call.block` with a step that may be tried again; when a key it names becomes ready, the step
// runs with the same words, after the command, transaction or script that made it so, oldest client first. A server in
// which nobody waits pays one comparison per new collection. Only src/core and src/commands import it.
import type { Alarm } from '../platform/timers.ts';
import { ReplyWriter } from '../resp/reply-writer.ts';
import { Call } from './call.ts';
import { type Client, HELD_BY_BLOCK, REPLY_ON } from './client.ts';
import type { Command } from './command-table.ts';
import type { Database } from './database.ts';
import { databaseOfName, keyName, keyOfName } from './key-name.ts';
import { WordList } from './nested-call.ts';
import type { Server } from './server.ts';

/** What a client waits for. `list`, `zset` and `stream` wait for keys; the others for whoever calls `unblock`. */
export type BlockKind = 'list' | 'zset' | 'stream' | 'wait' | 'module' | 'shutdown';

export interface BlockRequest {
  readonly kind: BlockKind;
  /** Milliseconds; 0: for ever. */
  readonly timeoutMs: number;
  /** Which words are keys, and the type (TYPE_*) that they have to hold. Absent: `unblock` alone ends the waiting. */
  readonly keys?: { readonly first: number; readonly last: number; readonly step?: number; readonly type: number };
  /**
   * Tries again with the same words; the key of `word` holds the type. @returns false, with nothing replied, when
   * there is still nothing for this client: it keeps its place.
   */
  readonly serve?: (call: Call, word: number) => boolean;
  /** The reply when time runs out; a null array if absent. Also the reply where waiting is not allowed. */
  readonly onTimeout?: (reply: ReplyWriter) => void;
  /** The error when a key is deleted or holds another type; absent: waits on. */
  readonly goneError?: string;
  /** The client stopped waiting, for whatever reason. */
  readonly onEnd?: () => void;
}

/** A client that waits, as plain data: another process runs its command again, and waits for the rest of the time. */
export interface Waiting {
  readonly client: number;
  readonly kind: BlockKind;
  readonly db: number;
  readonly words: readonly Uint8Array[];
  readonly muted: boolean;
  readonly deadlineMs: number;
}

/**
 * How the end of a wait counts: as the rest of its command's call, as that of one that failed, or not at all, as when time
 * has run out: nobody has done anything for the client then.
 */
export type Ending = 'call' | 'failed' | 'uncounted';

/** One client that waits. */
export class Blocked {
  readonly client: Client;
  readonly command: Command;
  readonly db: Database;
  readonly words: WordList;
  readonly request: BlockRequest;
  /** Its command's reply is not sent (CLIENT REPLY). */
  readonly muted: boolean;
  /** Unix time, milliseconds; 0: none. */
  readonly deadlineMs: number;
  /** What its command took until it waited, microseconds. */
  spentUs = 0;
  /** Keys by `keyName`, and the word that each is. */
  readonly wordOfKey = new Map<string, number>();

  /** @param again as it was when the client began to wait, in another process; null: it begins now. */
  constructor(call: Call, request: BlockRequest, again: Waiting | null) {
    this.client = call.client;
    this.command = call.client.lastCommand!;
    this.db = call.db;
    this.words = WordList.of(call);
    this.request = request;
    this.muted = again?.muted ?? call.client.replyMode !== REPLY_ON;
    this.deadlineMs = again?.deadlineMs ?? (request.timeoutMs > 0 ? call.server.clock.unixMs + request.timeoutMs : 0);
  }
}

const FORCED = 'UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)';
/** The longest delay an alarm takes. */
const DELAY_MS_MAX = 0x7fffffff;

export class Blocking {
  readonly #server: Server;
  /** Who waits for a key, oldest first. */
  readonly #byKey = new Map<string, Set<Blocked>>();
  /** Keys that became ready, in that order. */
  #ready = new Set<string>();
  /** Who waits with a deadline, earliest first. */
  readonly #timeouts: Blocked[] = [];
  readonly #counts = new Map<BlockKind, number>();
  #alarm: Alarm | null = null;
  #alarmMs = 0;
  #wantGone = 0;
  readonly #call = new Call();
  readonly #reply = new ReplyWriter();
  /** The client that is being served; null: none. */
  receiver: Client | null = null;
  /** Everyone who waits, in the order in which they began. */
  readonly #all = new Set<Blocked>();
  /** A wait that is begun once more. */
  #again: Waiting | null = null;

  constructor(server: Server) {
    this.#server = server;
    this.#call.server = server;
    this.#call.reply = this.#reply;
  }

  /** Number of keys that someone waits for: 0 lets callers skip everything. */
  get size(): number {
    return this.#byKey.size;
  }

  get hasReady(): boolean {
    return this.#ready.size > 0;
  }

  get clientsInTimeoutTable(): number {
    return this.#timeouts.length;
  }

  /** Number of clients that wait. */
  count(kind?: BlockKind): number {
    if (kind !== undefined) return this.#counts.get(kind) ?? 0;
    let sum = 0;
    for (const count of this.#counts.values()) sum += count;
    return sum;
  }

  // --- blocking ---

  /** The client waits; where it may not (EXEC, scripts, modules), it gets the reply of a timeout at once. */
  block(call: Call, request: BlockRequest): void {
    const { client } = call;
    if (client.inExec) {
      timeoutReply(call.reply, request);
      return;
    }
    const blocked = new Blocked(call, request, this.#again);
    client.blocked = blocked;
    this.#all.add(blocked);
    this.#counts.set(request.kind, this.count(request.kind) + 1);
    if (request.keys !== undefined) this.#await(call, blocked, request.keys);
    if (request.goneError !== undefined) this.#countGoneWanted(1);
    if (blocked.deadlineMs > 0) this.#addTimeout(blocked);
    client.hold(HELD_BY_BLOCK);
  }

  #await(call: Call, blocked: Blocked, keys: NonNullable<BlockRequest['keys']>): void {
    for (let i = keys.first; i <= keys.last; i += keys.step ?? 1) {
      const name = keyName(call.db.index, call.bytes, call.offsets[i], call.lengths[i]);
      if (blocked.wordOfKey.has(name)) continue;
      blocked.wordOfKey.set(name, i);
      const waiting = this.#byKey.get(name);
      if (waiting === undefined) this.#byKey.set(name, new Set([blocked]));
      else waiting.add(blocked);
    }
  }

  #countGoneWanted(change: number): void {
    this.#wantGone += change;
    this.#server.keyspace.deletionsWanted = this.#wantGone > 0;
  }

  // --- another process goes on ---

  /** Everyone who waits, longest first. */
  get waiting(): Waiting[] {
    return [...this.#all].map(({ client, db, deadlineMs, muted, request, words }) => ({
      client: client.id,
      kind: request.kind,
      db: db.index,
      words: wordsOf(words),
      muted,
      deadlineMs,
    }));
  }

  /** Has the client wait once more: its command finds the dataset as it left it. Should it not have to wait, it is answered. */
  waitAgain(client: Client, waiting: Waiting): void {
    const server = this.#server;
    const words = new WordList();
    for (const word of waiting.words) words.addBytes(word, 0, word.length);
    const { db } = client;
    client.db = server.databases[waiting.db];
    this.#again = waiting;
    this.#reply.reset();
    this.#reply.protocol = client.protocol;
    server.nested.run(client, words, this.#reply);
    this.#again = null;
    client.db = db;
    if (client.blocked === null && !waiting.muted) client.deliver(this.#reply);
    this.#reply.reset();
  }

  // --- ready keys ---

  /** The key holds something new, or something else, or nothing any more. */
  keyReady(db: number, bytes: Uint8Array, offset: number, length: number): void {
    const name = keyName(db, bytes, offset, length);
    if (this.#byKey.has(name)) this.#markReady(name);
  }

  /** A whole database changed; -1: all. */
  databaseChanged(db: number): void {
    for (const name of this.#byKey.keys()) if (db < 0 || databaseOfName(name) === db) this.#markReady(name);
  }

  #markReady(name: string): void {
    this.#ready.add(name);
    this.#server.dispatcher.afterwards |= AFTER_READY_KEYS;
  }

  /** Serves who waits for ready keys; what that makes ready (BLMOVE) is served too. Never while a command runs. */
  serveReady(): void {
    // What made the keys ready may have taken a while, and they may have expired by now.
    this.#server.clock.update();
    while (this.#ready.size > 0) {
      const ready = this.#ready;
      this.#ready = new Set();
      for (const name of ready) this.#serveKey(name);
    }
  }

  #serveKey(name: string): void {
    const waiting = this.#byKey.get(name);
    if (waiting === undefined) return;
    const db = this.#server.databases[databaseOfName(name)];
    const key = keyOfName(name);
    for (const blocked of waiting) {
      const { request } = blocked;
      const entry = db.peek(key, 0, key.length);
      if (entry !== 0 && db.typeOf(entry) === request.keys?.type) {
        this.#serve(blocked, blocked.wordOfKey.get(name)!);
      } else if (request.goneError !== undefined) {
        this.unblock(blocked.client, (reply) => reply.error(request.goneError!));
      }
    }
  }

  #serve(blocked: Blocked, word: number): void {
    this.#answer(blocked, (call) => blocked.request.serve?.(call, word) === true, 'call');
  }

  // --- ends of waiting ---

  /** Ends a client's waiting with a reply; nothing happens when it does not wait. */
  unblock(client: Client, answer: (reply: ReplyWriter) => void, ending: Ending = 'call'): void {
    const { blocked } = client;
    if (blocked === null) return;
    const step = (call: Call): boolean => {
      answer(call.reply);
      return true;
    };
    this.#answer(blocked, step, ending);
  }

  /** With the reply of a client whose time has run out. */
  timeOut(client: Client, ending: Ending): void {
    const { blocked } = client;
    if (blocked !== null) this.unblock(client, (reply) => timeoutReply(reply, blocked.request), ending);
  }

  /** Runs a step that replies to a client that waits; when it has, the client goes on. */
  #answer(blocked: Blocked, step: (call: Call) => boolean, ending: Ending): void {
    const { client, command, spentUs } = blocked;
    const reply = this.#reply;
    const call = this.#callOf(blocked);
    const before = this.receiver;
    reply.reset();
    reply.protocol = client.protocol;
    this.receiver = client;
    const done = this.#server.dispatcher.resume(call, command, step, ending, spentUs);
    this.receiver = before;
    if (!done) return;
    this.#remove(blocked);
    if (!blocked.muted) client.deliver(reply);
    reply.reset();
    this.#server.continueLater(client, HELD_BY_BLOCK);
  }

  #callOf(blocked: Blocked): Call {
    const { client, command, words } = blocked;
    const call = this.#call;
    call.client = client;
    call.db = blocked.db;
    call.spec = command.spec;
    call.bytes = words.bytes;
    call.argc = words.argc;
    call.offsets = words.offsets;
    call.lengths = words.lengths;
    return call;
  }

  /** The client is going away: it gets no reply and is served no more. */
  forget(client: Client): void {
    if (client.blocked !== null) this.#remove(client.blocked);
  }

  /** The server became a replica: what its clients wait for will not come. */
  disconnectAll(): void {
    for (const client of [...this.#server.clients.values()]) {
      if (client.blocked === null) continue;
      this.unblock(client, (reply) => reply.error(FORCED), 'uncounted');
      client.closeAfterReply();
    }
  }

  #remove(blocked: Blocked): void {
    const { client, request } = blocked;
    client.blocked = null;
    this.#all.delete(blocked);
    this.#counts.set(request.kind, this.count(request.kind) - 1);
    for (const name of blocked.wordOfKey.keys()) {
      const waiting = this.#byKey.get(name);
      waiting?.delete(blocked);
      if (waiting?.size === 0) this.#byKey.delete(name);
    }
    if (request.goneError !== undefined) this.#countGoneWanted(-1);
    if (blocked.deadlineMs > 0) this.#timeouts.splice(this.#timeouts.indexOf(blocked), 1);
    request.onEnd?.();
  }

  // --- timeouts ---

  #addTimeout(blocked: Blocked): void {
    const timeouts = this.#timeouts;
    let at = timeouts.length;
    while (at > 0 && timeouts[at - 1].deadlineMs > blocked.deadlineMs) at--;
    timeouts.splice(at, 0, blocked);
    this.#armAlarm();
  }

  #armAlarm(): void {
    const next = this.#timeouts[0]?.deadlineMs ?? 0;
    if (next === 0 || (this.#alarmMs !== 0 && this.#alarmMs <= next)) return;
    this.#alarm ??= this.#server.scheduler.createAlarm(() => this.#onAlarm());
    this.#alarmMs = next;
    this.#alarm.arm(Math.min(Math.max(1, next - this.#server.clock.unixMs), DELAY_MS_MAX));
  }

  #onAlarm(): void {
    const { clock } = this.#server;
    clock.update();
    this.#alarmMs = 0;
    for (let first = this.#timeouts[0]; first !== undefined; first = this.#timeouts[0]) {
      if (first.deadlineMs > clock.unixMs) break;
      // A module's own answer to that is work of its command.
      this.timeOut(first.client, first.request.kind === 'module' ? 'call' : 'uncounted');
    }
    this.#armAlarm();
    this.#server.settle();
  }

  /** No alarm stays behind: the server stops. */
  stop(): void {
    this.#alarm?.disarm();
    this.#alarmMs = 0;
  }
}

/** Bit of `Dispatcher.afterwards`. */
const AFTER_READY_KEYS = 1;

function wordsOf({ argc, bytes, lengths, offsets }: WordList): Uint8Array[] {
  return Array.from({ length: argc }, (_, i) => bytes.slice(offsets[i], offsets[i] + lengths[i]));
}

function timeoutReply(reply: ReplyWriter, request: BlockRequest): void {
  if (request.onTimeout === undefined) reply.nullArray();
  else request.onTimeout(reply);
}
