// What a module is given when it is loaded: the server as far as modules may reach it. One for each version of a
// module; what it has set going (timers, pools) ends with it. Imported by src/modules; authors see it through api.ts.
import type { Call } from '../core/call.ts';
import type { Client } from '../core/client.ts';
import type { Database } from '../core/database.ts';
import type { VictimStore } from '../core/keyspace.ts';
import type { MemoryPool } from '../core/memory-pools.ts';
import { RAN, UNKNOWN_COMMAND, WordList } from '../core/nested-call.ts';
import { PROPAGATE_REPLICAS } from '../core/propagation.ts';
import type { Server } from '../core/server.ts';
import type { Alarm } from '../platform/timers.ts';
import { ReplyWriter } from '../resp/reply-writer.ts';
import { CommandError, type ReplyValue, replyValue } from './reply-value.ts';

/** A word of a command: text (sent as UTF-8), bytes, or a number. */
export type Word = string | Uint8Array | number;

export interface Timer {
  cancel(): void;
}

/** A client that waits for the module. */
export interface Waiting {
  /** False once it has its reply, ran out of time or went away. */
  readonly waits: boolean;
  /** Replies and lets the client go on. @returns whether it was still waiting. */
  answer(write: (reply: ReplyWriter) => void): boolean;
}

export interface WaitOptions {
  /** Milliseconds; absent or 0: for ever. */
  readonly timeoutMs?: number;
  /** The reply when time runs out, and where waiting is not allowed (MULTI, scripts); absent: a null array. */
  readonly onTimeout?: (reply: ReplyWriter) => void;
  /** The client stopped waiting, for whatever reason. */
  readonly onEnd?: () => void;
}

/** What the context needs of its module. */
export interface Owner {
  readonly name: string;
  readonly args: readonly string[];
  setting(name: string): unknown;
  failed(where: string, error: unknown): void;
}

export class ModuleContext {
  readonly #server: Server;
  readonly #owner: Owner;
  readonly #alarms = new Set<Alarm>();
  readonly #pools: MemoryPool[] = [];
  #victims: VictimStore | null = null;
  #client: Client | null = null;
  /** Reply and words of nested commands, one pair a depth. */
  readonly #spare: { reply: ReplyWriter; words: WordList }[] = [];
  #depth = 0;
  #waiting = 0;

  constructor(server: Server, owner: Owner) {
    this.#server = server;
    this.#owner = owner;
  }

  /** The words behind the path. */
  get args(): readonly string[] {
    return this.#owner.args;
  }

  /** Unix time in milliseconds, as the server sees it: it stands still during a command. */
  get unixMs(): number {
    return this.#server.clock.unixMs;
  }

  /** Microseconds; only differences mean something. */
  stopwatch(): number {
    return this.#server.stopwatch();
  }

  /** Writes a line to the server's log. */
  log(message: string, level: 'debug' | 'verbose' | 'notice' | 'warning' = 'notice'): void {
    this.#server.log[level](`<${this.#owner.name}> ${message}`);
  }

  /** The value of one of the module's settings, or of a directive of redis.conf, as CONFIG GET has it. */
  setting<T = unknown>(name: string): T {
    return this.#owner.setting(name) as T;
  }

  // --- commands ---

  /**
   * Runs a command and gives its reply. It is told to replicas and the append-only file as itself; the command that
   * runs it is then not, unless it says `call.forcePropagation()` or `call.propagateAs(...)`.
   * @param call in whose database; null: database 0.
   * @throws CommandError with the error reply.
   */
  command(call: Call | null, ...words: readonly Word[]): ReplyValue {
    const spare = this.#take();
    try {
      const client = this.#clientFor(call);
      this.#run(client, words, spare.words, spare.reply);
      return replyValue(spare.reply.bytes);
    } finally {
      this.#depth--;
      call?.dontPropagate();
    }
  }

  /** Runs a command for the client itself, in its protocol: what it replies is the reply. */
  forward(call: Call, ...words: readonly Word[]): void {
    const spare = this.#take();
    try {
      this.#run(call.client, words, spare.words, call.reply);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      call.reply.error(error.message);
    } finally {
      this.#depth--;
      call.dontPropagate();
    }
  }

  #take(): { reply: ReplyWriter; words: WordList } {
    const spare = (this.#spare[this.#depth] ??= { reply: new ReplyWriter(), words: new WordList() });
    this.#depth++;
    spare.reply.reset();
    spare.words.reset();
    return spare;
  }

  #clientFor(call: Call | null): Client {
    this.#client ??= this.#server.nested.createClient(this.#owner.name);
    const client = this.#client;
    client.db = call?.db ?? this.#server.databases[0];
    client.caller = call?.client ?? null;
    return client;
  }

  #run(client: Client, words: readonly Word[], list: WordList, reply: ReplyWriter): void {
    for (const word of words) {
      const bytes = typeof word === 'object' ? word : Buffer.from(String(word), 'utf8');
      list.addBytes(bytes, 0, bytes.length);
    }
    const status = this.#server.nested.run(client, list, reply);
    if (status === RAN) return;
    const name = String(words[0]);
    throw new CommandError(
      status === UNKNOWN_COMMAND
        ? `ERR unknown command '${name}'`
        : `ERR wrong number of arguments for '${name.toLowerCase()}' command`,
    );
  }

  /** @returns how many clients got the message. */
  publish(channel: string | Uint8Array, message: string | Uint8Array): number {
    const { pubsub, propagation, push } = this.#server;
    const bytes = asBytes(message);
    const name = asBytes(channel);
    if (propagation.wanted !== 0)
      propagation.append(0, propagation.allowed & PROPAGATE_REPLICAS, ['PUBLISH', name, bytes]);
    return pubsub.publish(push, Buffer.from(name).toString('latin1'), false, bytes, 0, bytes.length);
  }

  /** Tells replicas and the append-only file of a change that no command of theirs has made. */
  propagate(db: Database, ...words: readonly (string | Uint8Array | number)[]): void {
    const { propagation } = this.#server;
    if (propagation.wanted !== 0) propagation.command(db.index, ...words);
  }

  /** The text of a script that SCRIPT LOAD or EVAL has brought; null: there is none of that SHA-1. */
  scriptBody(sha: string): Uint8Array | null {
    return this.#server.scripting?.scripts.bodyOf(sha) ?? null;
  }

  // --- waiting ---

  /** The client of `call` waits for `answer`; nothing may be replied by then. */
  wait(call: Call, options: WaitOptions = {}): Waiting {
    const { client } = call;
    const { blocking, scheduler } = this.#server;
    this.#waiting++;
    const ended = (): void => {
      this.#waiting--;
      options.onEnd?.();
    };
    const onTimeout = options.onTimeout === undefined ? {} : { onTimeout: options.onTimeout };
    call.block({ kind: 'module', timeoutMs: options.timeoutMs ?? 0, ...onTimeout, onEnd: ended });
    const { blocked } = client;
    // Where it may not wait it has its reply now.
    if (client.inExec) ended();
    const waits = (): boolean => !client.inExec && blocked !== null && client.blocked === blocked;
    return {
      get waits() {
        return waits();
      },
      answer: (write) => {
        if (!waits()) return false;
        blocking.unblock(client, write);
        scheduler.soon(() => this.#server.settle());
        return true;
      },
    };
  }

  /** Number of clients that wait for the module. */
  get waiting(): number {
    return this.#waiting;
  }

  // --- timers ---

  /** Runs a task once. */
  after(delayMs: number, task: () => void): Timer {
    return this.#schedule(delayMs, task, false);
  }

  /** Runs a task again and again, `delayMs` after it has ended. */
  every(delayMs: number, task: () => void): Timer {
    return this.#schedule(delayMs, task, true);
  }

  #schedule(delayMs: number, task: () => void, again: boolean): Timer {
    const { clock, scheduler } = this.#server;
    const alarm = scheduler.createAlarm(() => {
      if (!this.#alarms.has(alarm)) return;
      if (!again) this.#alarms.delete(alarm);
      clock.update();
      try {
        task();
      } catch (error) {
        this.#owner.failed('a timer', error);
      }
      this.#server.settle();
      if (this.#alarms.has(alarm)) alarm.arm(delayMs);
    }, true);
    this.#alarms.add(alarm);
    alarm.arm(delayMs);
    return {
      cancel: () => {
        this.#alarms.delete(alarm);
        alarm.disarm();
      },
    };
  }

  // --- memory ---

  /** Memory that `maxmemory` counts, and takes back before it evicts keys. */
  addMemoryPool(pool: MemoryPool): void {
    this.#pools.push(pool);
    this.#server.memoryPools.add(pool);
  }

  removeMemoryPool(pool: MemoryPool): void {
    this.#server.memoryPools.remove(pool);
  }

  /** Who gets the strings that `maxmemory` evicts, and gives them back when someone asks for their keys; null: nobody. */
  set victims(store: VictimStore | null) {
    const { keyspace } = this.#server;
    if (store !== null || keyspace.victims === this.#victims) keyspace.victims = store;
    this.#victims = store;
  }

  /** Database of that number. */
  database(index: number): Database {
    return this.#server.databases[index];
  }

  /** Everything that was set going ends. */
  close(): void {
    for (const alarm of this.#alarms) alarm.disarm();
    this.#alarms.clear();
    for (const pool of this.#pools) this.#server.memoryPools.remove(pool);
    if (this.#victims !== null) this.victims = null;
  }
}

function asBytes(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
}
