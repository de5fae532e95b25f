// Runs commands without a server around them: words in, reply bytes out. For tests of command files.
import { Call } from '../../src/core/call.ts';
import type { CommandSpec } from '../../src/core/command.ts';
import { createConfig } from '../../src/core/config.ts';
import { Keyspace } from '../../src/core/keyspace.ts';
import type { Server } from '../../src/core/server.ts';
import { Arena } from '../../src/data/arena.ts';
import { ManualClock } from '../../src/platform/clock.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { ReplyWriter } from '../../src/resp/reply-writer.ts';

/** A reply, parsed: errors as `{ error }`, other one-line types with their type byte, aggregates with theirs. */
export type Reply =
  | string
  | null
  | { error: string }
  | { type: string; items: Reply[] }
  | { type: string; text: string };

export class CommandHarness {
  readonly arena = new Arena();
  readonly config = createConfig();
  readonly keyspace: Keyspace;
  readonly reply = new ReplyWriter();
  /** Keyspace events so far, as `event key`. */
  readonly events: string[] = [];
  readonly #commands: Map<string, CommandSpec>;
  readonly #call = new Call();

  constructor(commands: readonly CommandSpec[], seed = 1) {
    const random = new SeededRandom(seed);
    const clock = new ManualClock();
    this.keyspace = new Keyspace(this.arena, clock, random);
    this.keyspace.notifyFlags = -1;
    this.keyspace.hooks = {
      ...this.keyspace.hooks,
      keyEvent: (_class, event, _db, bytes, offset, length) => {
        this.events.push(`${event} ${Buffer.from(bytes.buffer, bytes.byteOffset + offset, length).toString('latin1')}`);
      },
    };
    this.#commands = new Map(commands.map((spec) => [spec.name, spec]));
    const { arena, config } = this;
    const parts = {
      arena,
      config,
      random,
      clock,
      keyspace: this.keyspace,
      databases: this.keyspace.databases,
      dirty: 0,
    };
    this.#call.server = parts as unknown as Server;
    this.#call.db = this.keyspace.databases[0];
    this.#call.reply = this.reply;
  }

  get dirty(): number {
    return this.#call.server.dirty;
  }

  /** @param words Latin-1. @returns the reply's bytes. */
  run(...words: string[]): Buffer {
    const call = this.#call;
    const text = words.join('');
    call.bytes = Uint8Array.from(`..${text}`, (character) => character.charCodeAt(0));
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
    call.argc = words.length;
    this.reply.reset();
    const spec = this.#commands.get(words[0].toLowerCase());
    if (spec?.run === undefined) throw new Error(`no command ${words[0]}`);
    call.spec = spec;
    if (spec.arity > 0 ? words.length !== spec.arity : words.length < -spec.arity) {
      this.reply.error(`ERR wrong number of arguments for '${spec.name}' command`);
    } else {
      spec.run(call);
    }
    return Buffer.from(this.reply.bytes.slice(0, this.reply.length));
  }

  /** OBJECT ENCODING of a collection's key, null when there is none. */
  encodingOf(key: string): string | null {
    const bytes = Buffer.from(key, 'latin1');
    return this.#call.db.getCollection(bytes, 0, bytes.length)?.encoding() ?? null;
  }
}

/** Parses one reply. @returns it and where the next one starts; null when it is not complete. */
export function parseReply(bytes: Buffer, start: number): { reply: Reply; end: number } | null {
  const lineEnd = bytes.indexOf('\r\n', start, 'latin1');
  if (lineEnd === -1) return null;
  const type = String.fromCharCode(bytes[start]);
  const text = bytes.toString('latin1', start + 1, lineEnd);
  const behind = lineEnd + 2;
  if (type === '-') return { reply: { error: text }, end: behind };
  if (type === '_') return { reply: null, end: behind };
  if (type === '$' || type === '=') {
    const length = Number(text);
    if (length === -1) return { reply: null, end: behind };
    if (bytes.length < behind + length + 2) return null;
    return { reply: bytes.toString('latin1', behind, behind + length), end: behind + length + 2 };
  }
  if (!'*~%>'.includes(type)) return { reply: { type, text }, end: behind };
  if (text === '-1') return { reply: { type: '*-1', text: '' }, end: behind };
  const items: Reply[] = [];
  let end = behind;
  for (let rest = Number(text) * (type === '%' ? 2 : 1); rest > 0; rest--) {
    const item = parseReply(bytes, end);
    if (item === null) return null;
    items.push(item.reply);
    end = item.end;
  }
  return { reply: { type, items }, end };
}
