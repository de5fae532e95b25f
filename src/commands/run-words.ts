// Runs commands on a keyspace without server, clients or network, for the tests beside the command files.
import { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { createConfig } from '../core/config.ts';
import { Keyspace } from '../core/keyspace.ts';
import type { Server } from '../core/server.ts';
import { Arena } from '../data/arena.ts';
import { ManualClock } from '../platform/clock.ts';
import { SeededRandom } from '../platform/random.ts';
import { ReplyWriter } from '../resp/reply-writer.ts';

export class CommandRunner {
  readonly clock = new ManualClock();
  readonly arena = new Arena();
  readonly keyspace = new Keyspace(this.arena, this.clock, new SeededRandom(1));
  readonly config = createConfig();
  readonly call = new Call();
  readonly reply = new ReplyWriter();
  /** Keyspace events since the last look, as `event key`. */
  readonly events: string[] = [];
  readonly #commands = new Map<string, CommandSpec>();

  constructor(commands: readonly CommandSpec[]) {
    for (const spec of commands) {
      this.#commands.set(spec.name, spec);
      for (const child of spec.subcommands ?? []) this.#commands.set(child.name.replace('|', ' '), child);
    }
    this.keyspace.notifyFlags = -1;
    this.keyspace.hooks = {
      keyModified() {},
      keyReady() {},
      keyExpired() {},
      keyEvent: (_class, event, _db, bytes, offset, length) => {
        this.events.push(`${event} ${Buffer.from(bytes.slice(offset, offset + length)).toString('latin1')}`);
      },
      databaseChanged() {},
    };
    const { keyspace, clock, arena, config } = this;
    // The parts of a server that commands on keys use.
    const server = { keyspace, clock, arena, config, random: keyspace.random, databases: keyspace.databases, dirty: 0 };
    this.call.server = server as unknown as Server;
    this.call.db = keyspace.databases[0];
    this.call.reply = this.reply;
  }

  get dirty(): number {
    return this.call.server.dirty;
  }

  /** @param words Latin-1. @returns the raw reply, Latin-1. */
  run(...words: string[]): string {
    const { call, reply } = this;
    const name = words[0].toLowerCase();
    const spec = this.#commands.get(`${name} ${(words[1] ?? '').toLowerCase()}`) ?? this.#commands.get(name);
    if (spec?.run === undefined) throw new Error(`no command ${name}`);
    const fits = spec.arity >= 0 ? words.length === spec.arity : words.length >= -spec.arity;
    if (!fits) return `-ERR wrong number of arguments for '${spec.name}' command\r\n`;
    this.#place(words);
    call.spec = spec;
    reply.reset();
    spec.run(call);
    return Buffer.from(reply.bytes.slice(0, reply.length)).toString('latin1');
  }

  #place(words: string[]): void {
    const { call } = this;
    call.bytes = Buffer.from(words.join(''), 'latin1');
    call.bytes = new Uint8Array(call.bytes);
    call.argc = words.length;
    if (words.length > call.offsets.length) {
      call.offsets = new Int32Array(words.length);
      call.lengths = new Int32Array(words.length);
    }
    let at = 0;
    words.forEach((word, i) => {
      call.offsets[i] = at;
      call.lengths[i] = word.length;
      at += word.length;
    });
  }
}
