// A module's command as the server runs it: an error that it throws, and a reply that it forgets, become an error
// reply and a count, and words that were queued before a reload find the command of now. Imported by module.ts.
import type { Call } from '../core/call.ts';
import type { ModuleCommand } from './definition.ts';

/** What the guard needs to know of the module. */
export interface Guarded {
  readonly name: string;
  /** False once it was unloaded, or another version took its place. */
  readonly open: boolean;
  /** A command has failed by a bug of the module. */
  failed(command: string, error: unknown): void;
}

export function guarded(module: Guarded, command: ModuleCommand): (call: Call) => void {
  const run = command.run!;
  return (call) => {
    if (!module.open) {
      runAgain(call, command.name);
      return;
    }
    const { client, reply } = call;
    const mark = reply.length;
    let problem: unknown = null;
    try {
      // A promise would reply when the client's turn is over.
      const result: unknown = run(call);
      if (result instanceof Promise) {
        result.catch((error: unknown) => module.failed(command.name, error));
        problem = new Error('a command must not be asynchronous');
      } else if (reply.length > mark || client.blocked != null) return;
      else problem = new Error('the command gave no reply');
    } catch (error) {
      problem = error;
    }
    module.failed(command.name, problem);
    const text = `ERR Module [${module.name}] failed in '${command.name}': ${messageOf(problem)}`;
    if (client.blocked != null) {
      call.server.blocking.unblock(client, (late) => late.error(asLatin1(text)));
      return;
    }
    reply.length = mark;
    reply.error(asLatin1(text));
  };
}

/** Words were found to name a command of a version that is gone by now: MULTI's queue. */
function runAgain(call: Call, name: string): void {
  const { server } = call;
  call.dontPropagate();
  const command = server.nested.find(call);
  if (command === null || command.run === null || command.spec === call.spec) {
    call.reply.error(`ERR unknown command '${name}': its module was unloaded`);
    return;
  }
  const { arity } = command;
  if (arity > 0 ? call.argc !== arity : call.argc < -arity) {
    call.reply.error(`ERR wrong number of arguments for '${name}' command`);
  } else server.nested.runCommand(call.client, command, call, call.reply);
}

/** What is wrong, on one line. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s*[\r\n]+\s*/g, ' ');
}

/** Error lines are Latin-1: UTF-8's bytes, one a character. */
function asLatin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
