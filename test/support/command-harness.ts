// Runs command rows on a keyspace of their own, without server, clients or network: words in, reply out. The clock
// stands until a test moves it, and chance has a seed.
import { Call } from '../../src/core/call.ts';
import type { Client } from '../../src/core/client.ts';
import type { CommandSpec } from '../../src/core/command.ts';
import { createConfig } from '../../src/core/config.ts';
import { DebugSwitches } from '../../src/core/debug-switches.ts';
import { Keyspace } from '../../src/core/keyspace.ts';
import { Propagation } from '../../src/core/propagation.ts';
import type { Server } from '../../src/core/server.ts';
import { Arena } from '../../src/data/arena.ts';
import { ManualClock } from '../../src/platform/clock.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { ReplyWriter } from '../../src/resp/reply-writer.ts';
import { itemsOf, type Reply, wholeReply } from './replies.ts';

export class CommandHarness {
  readonly clock = new ManualClock();
  readonly arena = new Arena();
  readonly config = createConfig();
  readonly keyspace: Keyspace;
  readonly reply = new ReplyWriter();
  /** Keyspace events so far, as `event key`. */
  readonly events: string[] = [];
  readonly #call = new Call();
  readonly #commands = new Map<string, CommandSpec>();

  constructor(commands: readonly CommandSpec[], seed = 1) {
    for (const spec of commands) {
      this.#commands.set(spec.name, spec);
      for (const child of spec.subcommands ?? []) this.#commands.set(child.name.replace('|', ' '), child);
    }
    const { arena, clock, config } = this;
    const random = new SeededRandom(seed);
    const keyspace = new Keyspace(arena, clock, random);
    keyspace.notifyFlags = -1;
    keyspace.hooks = {
      ...keyspace.hooks,
      keyEvent: (_class, event, _db, bytes, offset, length) => {
        this.events.push(`${event} ${Buffer.from(bytes.slice(offset, offset + length)).toString('latin1')}`);
      },
    };
    this.keyspace = keyspace;
    // The parts of a server that commands on keys use.
    const debug = new DebugSwitches();
    const { databases } = keyspace;
    const propagation = new Propagation();
    const log = { verbose() {} };
    const parts = { arena, clock, config, debug, keyspace, log, random, databases, propagation, hooks: {}, dirty: 0 };
    this.#call.server = parts as unknown as Server;
    this.#call.client = { caller: null } as unknown as Client;
    this.#call.reply = this.reply;
    this.select(0);
  }

  /** Changes counted so far. */
  get dirty(): number {
    return this.#call.server.dirty;
  }

  select(index: number): void {
    this.#call.db = this.keyspace.databases[index];
  }

  /** @param words Latin-1. @returns the reply's bytes, Latin-1. */
  run(...words: string[]): string {
    const { reply } = this;
    const name = words[0].toLowerCase();
    const spec = this.#commands.get(`${name} ${(words[1] ?? '').toLowerCase()}`) ?? this.#commands.get(name);
    if (spec?.run === undefined) throw new Error(`no command ${name}`);
    reply.reset();
    if (spec.arity > 0 ? words.length !== spec.arity : words.length < -spec.arity) {
      reply.error(`ERR wrong number of arguments for '${spec.name}' command`);
    } else {
      this.#place(words);
      this.#call.spec = spec;
      spec.run(this.#call);
    }
    return Buffer.from(reply.bytes.slice(0, reply.length)).toString('latin1');
  }

  /** As `run`; parsed. */
  ask(...words: string[]): Reply {
    return wholeReply(this.run(...words));
  }

  /** As `run`; the items of an aggregate reply. */
  items(...words: string[]): Reply[] {
    return itemsOf(this.ask(...words));
  }

  /** OBJECT ENCODING of a collection's key, null when there is none. */
  encodingOf(key: string): string | null {
    const bytes = Buffer.from(key, 'latin1');
    return this.#call.db.getCollection(bytes, 0, bytes.length)?.encoding() ?? null;
  }

  /** Puts the words where a parser would leave them: not at the start of the bytes. */
  #place(words: readonly string[]): void {
    const call = this.#call;
    call.bytes = new Uint8Array(Buffer.from(`..${words.join('')}`, 'latin1'));
    call.argc = words.length;
    if (words.length > call.offsets.length) {
      call.offsets = new Int32Array(words.length * 2);
      call.lengths = new Int32Array(words.length * 2);
    }
    let at = 2;
    for (const [i, word] of words.entries()) {
      call.offsets[i] = at;
      call.lengths[i] = word.length;
      at += word.length;
    }
  }
}
