// What modules want to find again after a restart: the commands that bring it back, kept in dump files as fields that
// describe the file (redis-server passes over them) and in rewritten append-only files as commands. State of a module
// that is not loaded is kept as it came. Imported by modules.ts; persistence reaches it by way of the keyspace.
import type { ModuleStates } from '../core/keyspace.ts';
import { RAN, WordList } from '../core/nested-call.ts';
import type { Server } from '../core/server.ts';
import { REQUEST, RequestParser } from '../resp/parser.ts';
import { ReplyWriter } from '../resp/reply-writer.ts';
import type { Word } from './context.ts';
import type { LoadedModule } from './loaded-module.ts';

const LIMITS = { unauthenticated: false, bulkLengthMax: Number.MAX_SAFE_INTEGER };

export class States implements ModuleStates {
  readonly #server: Server;
  readonly #modules: ReadonlyMap<string, LoadedModule>;
  /** Of modules that are not loaded, by name. */
  readonly #kept = new Map<string, Uint8Array>();

  constructor(server: Server, modules: ReadonlyMap<string, LoadedModule>) {
    this.#server = server;
    this.#modules = modules;
  }

  *states(): Iterable<readonly [string, Uint8Array]> {
    for (const module of this.#modules.values()) {
      const state = stateOf(module);
      if (state !== null && state.length > 0) yield [module.name, state];
    }
    yield* this.#kept;
  }

  load(name: string, commands: Uint8Array): void {
    if (this.#modules.has(name)) this.#run(name, commands);
    else this.#kept.set(name, commands);
  }

  /** The module has come: it gets what was kept for it. */
  deliver(name: string): void {
    const commands = this.#kept.get(name);
    if (commands === undefined) return;
    this.#kept.delete(name);
    this.#run(name, commands);
  }

  /** The module goes: its state stays. */
  keep(module: LoadedModule): void {
    const state = stateOf(module);
    if (state !== null && state.length > 0) this.#kept.set(module.name, state);
  }

  #run(name: string, commands: Uint8Array): void {
    const { log, nested, propagation } = this.#server;
    const client = nested.createClient(name);
    const reply = new ReplyWriter();
    const parser = new RequestParser();
    parser.begin(0, LIMITS);
    const { paused } = propagation;
    // Everyone has it from the file, as this server has.
    propagation.paused = true;
    const { dirty } = this.#server;
    while (parser.parse(commands, commands.length) === REQUEST) {
      const { argc, lengths, offsets, source } = parser;
      reply.reset();
      const status = nested.run(client, WordList.of({ bytes: source, argc, offsets, lengths }), reply);
      const failed = status !== RAN || reply.bytes[0] === 45; /* - */
      if (failed) {
        const text = Buffer.from(reply.bytes.subarray(1, reply.length)).toString('latin1').trim();
        log.warning(`State of module [${name}] was not taken: ${text}`);
      }
    }
    this.#server.dirty = dirty;
    propagation.paused = paused;
  }
}

function stateOf(module: LoadedModule): Uint8Array | null {
  const { definition, context } = module;
  if (definition.persist === undefined) return null;
  try {
    const parts: Uint8Array[] = [];
    for (const words of definition.persist(context)) {
      parts.push(encoded(words));
    }
    return Buffer.concat(parts);
  } catch (error) {
    module.failed('persist', error);
    return null;
  }
}

/** A command as RESP. */
function encoded(words: readonly Word[]): Uint8Array {
  const parts = [Buffer.from(`*${words.length}\r\n`)];
  for (const word of words) {
    const bytes = typeof word === 'object' ? word : Buffer.from(String(word), 'utf8');
    parts.push(Buffer.from(`$${bytes.length}\r\n`), Buffer.from(bytes), Buffer.from('\r\n'));
  }
  return Buffer.concat(parts);
}
