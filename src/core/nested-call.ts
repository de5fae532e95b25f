// Commands that run within something else than a client's own batch: EXEC's queue, scripts, modules, the stream of a
// replication master, an append-only file. Words in, reply into any writer. Nested commands may nest again: each depth
// has a Call of its own, and the words stay where the caller has them. Anyone above core/ may import this.
import type { ReplyWriter } from '../resp/reply-writer.ts';
import type { Connection } from '../transports/transport.ts';
import { Call } from './call.ts';
import { Client } from './client.ts';
import type { Command } from './command-table.ts';
import type { Server } from './server.ts';

/** The words of a command: ranges of `bytes`, the name first. They must stay as they are while it runs. */
export interface ArgVector {
  readonly bytes: Uint8Array;
  readonly argc: number;
  readonly offsets: Int32Array<ArrayBuffer>;
  readonly lengths: Int32Array<ArrayBuffer>;
}

/**
 * What the origin of a nested command demands before it runs: a script other things than a module; a replication
 * master and an append-only file nothing at all, so they give none.
 * @returns null when it may run, or the error's text with its code ("ERR ...").
 */
export type NestedCheck = (call: Call, command: Command) => string | null;

export const RAN = 0;
export const UNKNOWN_COMMAND = 1;
export const WRONG_ARITY = 2;
/** The check said no: `refusal` has its words. */
export const REFUSED = 3;
export type NestedStatus = typeof RAN | typeof UNKNOWN_COMMAND | typeof WRONG_ARITY | typeof REFUSED;

export class NestedCalls {
  /** Why the latest command was REFUSED. */
  refusal = '';
  readonly #server: Server;
  readonly #calls: Call[] = [];
  #depth = 0;

  constructor(server: Server) {
    this.#server = server;
  }

  /**
   * Finds the command that the words name and runs it as `client`, in the client's database and protocol. What it
   * replies, errors included, is appended to `reply`; nothing is when the status is not RAN.
   */
  run(client: Client, words: ArgVector, reply: ReplyWriter, check: NestedCheck | null = null): NestedStatus {
    const command = this.find(words);
    if (command === null) return UNKNOWN_COMMAND;
    const { arity } = command;
    if (arity > 0 ? words.argc !== arity : words.argc < -arity) {
      command.rejectedCalls++;
      return WRONG_ARITY;
    }
    if (command.run === null) return UNKNOWN_COMMAND;
    client.lastCommand = command;
    return this.runCommand(client, command, words, reply, check);
  }

  /** The command, or subcommand, that the words name; null: there is none. A container is found without its words. */
  find(words: ArgVector): Command | null {
    const { argc, bytes, lengths, offsets } = words;
    const found = argc === 0 ? null : this.#server.commands.find(bytes, offsets[0], lengths[0]);
    if (found === null || found.subcommands === null || argc === 1) return found;
    return found.subcommands.find(bytes, offsets[1], lengths[1]);
  }

  /** As `run`, for a command that was found before and fits its words. */
  runCommand(
    client: Client,
    command: Command,
    words: ArgVector,
    reply: ReplyWriter,
    check: NestedCheck | null = null,
  ): NestedStatus {
    const depth = this.#depth++;
    const call = this.#calls[depth] ?? this.#createCall(depth);
    call.client = client;
    call.db = client.db;
    call.reply = reply;
    call.spec = command.spec;
    call.bytes = words.bytes;
    call.argc = words.argc;
    call.offsets = words.offsets;
    call.lengths = words.lengths;
    try {
      const refusal = check === null ? null : check(call, command);
      if (refusal !== null) {
        command.rejectedCalls++;
        this.refusal = refusal;
        return REFUSED;
      }
      this.#server.dispatcher.runNested(call, command);
      return RAN;
    } finally {
      this.#depth = depth;
    }
  }

  #createCall(depth: number): Call {
    const call = new Call();
    call.server = this.#server;
    this.#calls[depth] = call;
    return call;
  }

  /**
   * A client that nobody is connected as, for commands that no client sent. It is in no list, its commands never
   * wait, and what is sent to it goes nowhere.
   * @param name in place of its address, where MONITOR prints one: `lua`.
   */
  createClient(name: string): Client {
    const client = new Client(this.#server, new NoConnection(name), 0);
    client.authenticated = true;
    client.user = this.#server.acl.superuser;
    client.updateGate();
    client.inExec = true;
    return client;
  }
}

/** Words that are put together one after another; `reset` keeps the memory. */
export class WordList implements ArgVector {
  /** A copy of the words. */
  static of(words: ArgVector): WordList {
    const list = new WordList();
    let total = 0;
    for (let i = 0; i < words.argc; i++) total += words.lengths[i];
    list.bytes = new Uint8Array(total);
    for (let i = 0; i < words.argc; i++) list.addBytes(words.bytes, words.offsets[i], words.lengths[i]);
    return list;
  }

  bytes = new Uint8Array(256);
  argc = 0;
  offsets = new Int32Array(16);
  lengths = new Int32Array(16);
  #end = 0;

  reset(): this {
    this.argc = 0;
    this.#end = 0;
    return this;
  }

  /** @param text Latin-1. */
  add(text: string): this {
    const at = this.#room(text.length);
    for (let i = 0; i < text.length; i++) this.bytes[at + i] = text.charCodeAt(i);
    return this;
  }

  addBytes(source: Uint8Array, offset: number, length: number): this {
    const at = this.#room(length);
    this.bytes.set(source.subarray(offset, offset + length), at);
    return this;
  }

  #room(length: number): number {
    const at = this.#end;
    this.#end += length;
    if (this.#end > this.bytes.length) {
      const grown = new Uint8Array(this.#end * 2);
      grown.set(this.bytes.subarray(0, at));
      this.bytes = grown;
    }
    if (this.argc === this.offsets.length) {
      this.offsets = doubled(this.offsets);
      this.lengths = doubled(this.lengths);
    }
    this.offsets[this.argc] = at;
    this.lengths[this.argc++] = length;
    return at;
  }
}

function doubled(table: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(table.length * 2);
  grown.set(table);
  return grown;
}

class NoConnection implements Connection {
  readonly remoteAddress: string;
  readonly remotePort = 0;
  readonly localAddress = '';
  readonly localPort = 0;
  readonly queuedBytes = 0;

  constructor(name: string) {
    this.remoteAddress = name;
  }

  write(_bytes: Uint8Array, _offset: number, length: number): number {
    return length;
  }

  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
  close(): void {}
  setNoDelay(): void {}
  setKeepAlive(): void {}
}
