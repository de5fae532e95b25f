// What a server has of scripting: EVAL's scripts, the libraries of functions, and the one script that may be running.
// Commands reach it by `scriptingOf`; it comes into being when first needed.
import type { Call } from '../core/call.ts';
import type { FunctionLibraries } from '../core/keyspace.ts';
import type { Server } from '../core/server.ts';
import { LibraryStore } from './libraries.ts';
import { abandonLua } from './lua-wasm.ts';
import { MathRandom } from './math-random.ts';
import { ScriptCache } from './script-cache.ts';
import { ScriptEngine } from './script-engine.ts';
import type { ScriptRun } from './script-run.ts';

/** What others are told while a script, or a function, does not come to an end. */
export const BUSY_SCRIPT = 'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.';
export const BUSY_FUNCTION = 'BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.';

/** What V8 throws when WebAssembly does what it must not, and when the stack is used up. */
const LUA_FAILED = /^RuntimeError|Maximum call stack size exceeded/;

export class Scripting {
  readonly server: Server;
  readonly scripts: ScriptCache;
  readonly evalEngine: ScriptEngine;
  readonly libraries: LibraryStore;

  constructor(server: Server) {
    this.server = server;
    const random = new MathRandom();
    const interrupt = (run: ScriptRun): boolean => this.#interrupt(run);
    this.evalEngine = new ScriptEngine(server, random, interrupt, {
      // Without the debugger there is nothing to stop at or to print on.
      breakpoint: (L) => {
        this.evalEngine.wasm.api.lua_pushboolean(L, 0);
        return 1;
      },
      debug: () => 0,
      replicate_commands: (L) => {
        this.evalEngine.wasm.api.lua_pushboolean(L, 1);
        return 1;
      },
    });
    this.evalEngine.sandbox.shareErrorHandler('__redis__err__handler');
    this.evalEngine.sandbox.protect();
    this.scripts = new ScriptCache(this.evalEngine);
    this.libraries = new LibraryStore(server, random, interrupt);
  }

  /** The script or function that is running. */
  get run(): ScriptRun | null {
    if (this.evalEngine.running) return this.evalEngine.run;
    return this.libraries.engine.running ? this.libraries.engine.run : null;
  }

  /** Lua has looked at the time. @returns whether the script shall end. */
  #interrupt(run: ScriptRun): boolean {
    const { server } = this;
    const threshold = server.config.busyReplyThreshold;
    if (!run.timedOut) {
      if (threshold <= 0 || run.durationMs < threshold) return false;
      const { call } = run;
      run.words = Array.from({ length: call.argc }, (_, i) => call.copy(i));
      run.timedOut = true;
      server.log.warning(
        `Slow script detected: still in execution after ${run.durationMs} milliseconds. You can try killing the ` +
          `script using the ${run.isEval ? 'SCRIPT KILL' : 'FUNCTION KILL'} command. Script name is: ${run.name}.`,
      );
      server.setBusy(run.isEval ? BUSY_SCRIPT : BUSY_FUNCTION);
    }
    server.serveClients();
    return run.killed;
  }

  /** Runs what was prepared. */
  invoke(engine: ScriptEngine, call: Call, ref: number, keys: number): void {
    try {
      engine.invoke(call, ref, keys);
    } catch (error) {
      // A trap, or no stack left: Lua's memory cannot be trusted any more. Anything else is a bug of a command.
      if (!(error instanceof Error) || !LUA_FAILED.test(`${error.name}: ${error.message}`)) throw error;
      this.#startAnew(error);
      call.reply.error(`ERR Error running script ${engine.run.name}, ${error.message}`);
    } finally {
      this.#ended(engine.run);
    }
  }

  #startAnew(error: Error): void {
    const { server } = this;
    server.log.warning(`Lua has failed (${error.message}): starting it anew, without the cached scripts`);
    abandonLua();
    const fresh = new Scripting(server);
    for (const { code } of this.libraries.libraries.values()) fresh.libraries.load(code, false, undefined, false);
    server.scripting = fresh;
  }

  /** After each run. */
  #ended(run: ScriptRun): void {
    if (run.timedOut) this.server.setBusy(null);
    run.end();
  }

  /** SCRIPT KILL and FUNCTION KILL. @returns the error to reply, or null. */
  kill(isEval: boolean): string | null {
    const { run } = this;
    if (run === null) return 'NOTBUSY No scripts in execution right now.';
    if (run.call.client.obeyed) {
      return 'UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be killed.';
    }
    if (run.wrote) {
      return (
        'UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the ' +
        'script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.'
      );
    }
    if (isEval !== run.isEval) return run.isEval ? BUSY_SCRIPT : BUSY_FUNCTION;
    run.killed = true;
    return null;
  }

  /** SHUTDOWN NOSAVE while a script is running: it must let go of the process. */
  endRun(): void {
    if (this.run !== null) this.run.killed = true;
  }
}

export function scriptingOf(server: Server): Scripting {
  server.scripting ??= new Scripting(server);
  return server.scripting;
}

/** The server's functions as dump files see them; asking does not bring them into being. */
export function functionLibraries(server: Server): FunctionLibraries {
  return {
    codes: () => server.scripting?.libraries.codes() ?? [],
    load(code, replace) {
      const text = Buffer.from(code).toString('latin1');
      const loaded = scriptingOf(server).libraries.load(text, replace, undefined, false);
      return typeof loaded === 'string' ? loaded : null;
    },
    clear: () => server.scripting?.libraries.replaceAll(),
  };
}
