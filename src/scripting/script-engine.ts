// A sandbox with the redis.* API, and how a compiled script or function is run in it: keys and arguments in, the reply
// out, interrupted when it takes too long. EVAL has one, functions have another. Only src/scripting imports it.
import { createHash } from 'node:crypto';
import { ALLOWED } from '../core/acl/permission.ts';
import type { Call } from '../core/call.ts';
import { type ArgVector, REFUSED, UNKNOWN_COMMAND, WRONG_ARITY } from '../core/nested-call.ts';
import { PROPAGATE_ALL, PROPAGATE_AOF, PROPAGATE_REPLICAS } from '../core/propagation.ts';
import { REDIS_VERSION, type Server } from '../core/server.ts';
import { formatDouble } from '../data/number-format.ts';
import { ReplyWriter } from '../resp/reply-writer.ts';
import { bitLibrary } from './bit-library.ts';
import { addCjson } from './cjson-library.ts';
import { addCmsgpack } from './cmsgpack-library.ts';
import { LuaToReply, writeError } from './lua-to-reply.ts';
import {
  type CFunction,
  LUA_GCSTEP,
  LUA_GLOBALSINDEX,
  LUA_MASKCOUNT,
  LUA_MASKLINE,
  LUA_REGISTRYINDEX,
  LUA_TBOOLEAN,
  LUA_TNUMBER,
  LUA_TSTRING,
  LUA_TTABLE,
  type LuaApi,
  type LuaWasm,
  luaWasm,
  type Pointer,
} from './lua-wasm.ts';
import type { MathRandom } from './math-random.ts';
import { pushError, ReplyToLua } from './reply-to-lua.ts';
import { Sandbox } from './sandbox.ts';
import { ScriptRun } from './script-run.ts';
import { structLibrary } from './struct-library.ts';

/** Instructions between two looks at the time. */
const HOOK_COUNT = 100_000;
/** Runs between two steps of Lua's collector, and the size of a step. */
const GC_PERIOD = 50;
const NUMBER_LENGTH_MAX = 32;
const LEVELS = ['debug', 'verbose', 'notice', 'warning'] as const;
const WRITE_ARITY = 'ERR Wrong number of args calling Redis command from script';

/** What a run of more than its time does: serves others. @returns whether the script shall end. */
export type Interrupt = (run: ScriptRun) => boolean;

export class ScriptEngine implements ArgVector {
  readonly wasm: LuaWasm = luaWasm();
  readonly sandbox: Sandbox;
  readonly L: Pointer;
  readonly run: ScriptRun;
  /** Whether `run` is going on. */
  running = false;

  // The words of the command that is being called: they lie in Lua's strings.
  bytes: Uint8Array = this.wasm.bytes;
  argc = 0;
  offsets = new Int32Array(64);
  lengths = new Int32Array(64);

  readonly #api: LuaApi = this.wasm.api;
  readonly #server: Server;
  readonly #interrupt: Interrupt;
  readonly #reply = new ReplyWriter();
  readonly #toLua = new ReplyToLua(this.wasm);
  readonly #toReply = new LuaToReply(this.wasm);
  readonly #hook: number;
  readonly #keys = this.wasm.cString('KEYS');
  readonly #argv = this.wasm.cString('ARGV');
  /** Room for numbers among the words, as text. */
  #numbers: Pointer = 0;
  #numbersLength = 0;
  #calling = false;
  #runs = 0;

  constructor(server: Server, random: MathRandom, interrupt: Interrupt, extra: Readonly<Record<string, CFunction>>) {
    this.#server = server;
    this.#interrupt = interrupt;
    this.run = new ScriptRun(server, server.nested.createClient('lua'));
    const sandbox = (this.sandbox = new Sandbox(this.wasm, false));
    this.L = sandbox.L;
    const { wasm } = this;
    addCjson(sandbox);
    addCmsgpack(sandbox);
    sandbox.addLibrary('struct', structLibrary(wasm));
    sandbox.addLibrary('bit', bitLibrary(wasm));
    sandbox.addLibrary(
      'math',
      random.library(wasm, () => this.running),
    );
    sandbox.addLibrary('redis', { ...this.#redisLibrary(), ...extra });
    this.#api.lua_getfield(this.L, LUA_GLOBALSINDEX, wasm.cString('redis'));
    this.addConstants();
    const replicas = PROPAGATE_REPLICAS;
    const targets = { REPL_NONE: 0, REPL_AOF: PROPAGATE_AOF, REPL_SLAVE: replicas, REPL_REPLICA: replicas };
    for (const [name, value] of Object.entries(targets)) sandbox.setField(name, value);
    sandbox.setField('REPL_ALL', PROPAGATE_ALL);
    this.#api.lua_settop(this.L, 0);
    this.#hook = wasm.hook((L) => this.#onHook(L));
    this.#setHook();
  }

  close(): void {
    this.sandbox.close();
    if (this.#numbersLength > 0) this.#api.free(this.#numbers);
  }

  #setHook(): void {
    this.#api.lua_sethook(this.L, this.#hook, LUA_MASKCOUNT, HOOK_COUNT);
  }

  #onHook(L: Pointer): void {
    if (!this.running) {
      this.onLoadHook(L);
      return;
    }
    if (!this.#interrupt(this.run)) return;
    this.#server.log.warning('Lua script killed by user with SCRIPT KILL.');
    // From now on at every line, so that a script that catches the error does not go on.
    this.endNow(L, 'ERR Script killed by user with SCRIPT KILL...');
  }

  /** Called at times while the code of a library runs. */
  onLoadHook: (L: Pointer) => void = () => {};

  /** Raises an error that no pcall outlives. */
  endNow(L: Pointer, text: string): void {
    this.#api.lua_sethook(L, this.#hook, LUA_MASKLINE, 0);
    pushError(this.wasm, L, text);
    this.#api.lua_error(L);
  }

  /** After `endNow`. */
  resetHook(): void {
    this.#setHook();
  }

  // --- running ---

  /**
   * Runs the function with reference `ref` for `call`, whose words from 3 on are `keyCount` keys and the arguments.
   * `this.run` has been prepared.
   */
  invoke(call: Call, ref: number, keyCount: number): void {
    const { L, run } = this;
    const api = this.#api;
    const { allowed } = this.#server.propagation;
    this.running = true;
    try {
      api.lua_settop(L, 0);
      api.lua_rawgeti(L, LUA_REGISTRYINDEX, this.sandbox.errorHandler);
      api.lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
      this.#pushWords(call, 3, keyCount);
      if (run.isEval) this.sandbox.setProtectedGlobal(this.#keys);
      this.#pushWords(call, 3 + keyCount, call.argc - 3 - keyCount);
      if (run.isEval) this.sandbox.setProtectedGlobal(this.#argv);
      const status = api.lua_pcall(L, run.isEval ? 0 : 2, 1, 1);
      if (++this.#runs % GC_PERIOD === 0) api.lua_gc(L, LUA_GCSTEP, GC_PERIOD);
      if (status !== 0) this.#replyError(call);
      else this.#toReply.write(L, call.reply, run.client.protocol);
      api.lua_settop(L, 0);
      if (run.killed) this.#setHook();
      this.sandbox.clean();
    } finally {
      this.running = false;
      this.#calling = false;
      this.#server.propagation.allowed = allowed;
    }
  }

  #pushWords(call: Call, first: number, count: number): void {
    const { L, wasm } = this;
    const api = this.#api;
    api.lua_createtable(L, count, 0);
    for (let i = 0; i < count; i++) {
      wasm.pushBytes(L, call.bytes, call.offsets[first + i], call.lengths[first + i]);
      api.lua_rawseti(L, -2, i + 1);
    }
  }

  #replyError(call: Call): void {
    const { L, wasm } = this;
    const { name } = this.run;
    const text = this.#toLua.errorText(L);
    if (text === null && this.#api.lua_type(L, -1) !== LUA_TTABLE) {
      const what = this.#api.lua_isstring(L, -1) !== 0 ? wasm.cStringAt(L, -1) : 'execution failure';
      call.reply.error(`ERR Error running script ${name}, ${what.slice(0, 100)}`);
      return;
    }
    const source = this.#errorField('source');
    const line = this.#errorField('line');
    this.#api.lua_getfield(L, -1, wasm.cString('ignore_error_stats_update'));
    const counted = this.#api.lua_type(L, -1) === LUA_TBOOLEAN && this.#api.lua_toboolean(L, -1) !== 0;
    const place = source === null || line === null ? '' : ` script: ${name}, on ${source}:${line}.`;
    writeError(call.reply, (text ?? 'ERR unknown error') + place, counted);
  }

  #errorField(name: string): string | null {
    const { L, wasm } = this;
    this.#api.lua_getfield(L, -1, wasm.cString(name));
    const text = this.#api.lua_isstring(L, -1) !== 0 ? wasm.cStringAt(L, -1) : null;
    this.#api.lua_settop(L, -2);
    return text;
  }

  // --- redis.* ---

  #redisLibrary(): Record<string, CFunction> {
    return {
      call: (L) => this.#command(L, true),
      pcall: (L) => this.#command(L, false),
      setresp: (L) => this.#setResp(L),
      sha1hex: (L) => this.#sha1hex(L),
      error_reply: (L) => this.#errorReply(L),
      status_reply: (L) => this.#statusReply(L),
      set_repl: (L) => this.#setRepl(L),
      acl_check_cmd: (L) => this.#aclCheckCommand(L),
    };
  }

  /** redis.log, its levels and the version, into the table on top of the stack. */
  addConstants(): void {
    const { sandbox } = this;
    sandbox.setField('log', (L) => this.#log(L));
    for (const [i, level] of LEVELS.entries()) sandbox.setField(`LOG_${level.toUpperCase()}`, i);
    const [major, minor, patch] = REDIS_VERSION.split('.').map(Number);
    sandbox.setField('REDIS_VERSION_NUM', (major << 16) | (minor << 8) | patch);
    sandbox.setField('REDIS_VERSION', REDIS_VERSION);
  }

  raiseError(L: Pointer, text: string): never {
    pushError(this.wasm, L, text);
    return this.#api.lua_error(L);
  }

  /** redis.call and redis.pcall. */
  #command(L: Pointer, raise: boolean): number {
    const api = this.#api;
    if (!this.running) this.raiseError(L, 'ERR redis.call/pcall can only be called inside a script invocation');
    const problem = this.#readWords(L);
    if (problem !== null) {
      pushError(this.wasm, L, problem);
      return raise ? api.lua_error(L) : 1;
    }
    const { run } = this;
    const reply = this.#reply;
    reply.reset();
    reply.protocol = run.client.protocol;
    this.#calling = true;
    const status = this.#server.nested.run(run.client, this, reply, run.check);
    this.#calling = false;
    // The words were Lua's strings until here.
    api.lua_settop(L, 0);
    let failed = false;
    if (status === UNKNOWN_COMMAND) failed = this.#pushRefusal(L, 'ERR Unknown Redis command called from script');
    else if (status === WRONG_ARITY) failed = this.#pushRefusal(L, WRITE_ARITY);
    else if (status === REFUSED) failed = this.#pushRefusal(L, this.#server.nested.refusal);
    else {
      failed = reply.bytes[0] === 45;
      this.#toLua.push(L, reply.bytes, reply.length);
      reply.shrinkTo(REPLY_KEEP_MAX);
    }
    return failed && raise ? api.lua_error(L) : 1;
  }

  #pushRefusal(L: Pointer, text: string): true {
    this.#server.stats.countError(text);
    pushError(this.wasm, L, text);
    this.#api.lua_pushboolean(L, 1);
    this.#api.lua_setfield(L, -2, this.wasm.cString('ignore_error_stats_update'));
    return true;
  }

  /** Takes the arguments on the stack as words of a command. @returns what is wrong with them, or null. */
  #readWords(L: Pointer): string | null {
    const api = this.#api;
    const { lengthOut } = this.wasm;
    const argc = api.lua_gettop(L);
    if (argc === 0) return 'ERR Please specify at least one argument for this redis lib call';
    if (this.#calling) return 'ERR luaRedisGenericCommand() recursive call detected.';
    if (argc > this.offsets.length) {
      this.offsets = new Int32Array(argc * 2);
      this.lengths = new Int32Array(argc * 2);
    }
    const { lengths, offsets } = this;
    let numbers = 0;
    for (let i = 0; i < argc; i++) {
      const type = api.lua_type(L, i + 1);
      if (type === LUA_TSTRING) {
        offsets[i] = api.lua_tolstring(L, i + 1, lengthOut);
        lengths[i] = this.wasm.words[lengthOut >> 2];
      } else if (type === LUA_TNUMBER) {
        if (numbers === 0) this.#reserveNumbers(argc * NUMBER_LENGTH_MAX);
        offsets[i] = this.#numbers + numbers;
        lengths[i] = this.#writeNumber(offsets[i], api.lua_tonumber(L, i + 1));
        numbers += lengths[i];
      } else {
        api.lua_settop(L, 0);
        return 'ERR Lua redis lib command arguments must be strings or integers';
      }
    }
    this.bytes = this.wasm.bytes;
    this.argc = argc;
    return null;
  }

  #reserveNumbers(length: number): void {
    if (length <= this.#numbersLength) return;
    if (this.#numbersLength > 0) this.#api.free(this.#numbers);
    this.#numbers = this.#api.malloc(length);
    this.#numbersLength = length;
  }

  #writeNumber(at: Pointer, value: number): number {
    const text = formatDouble(value);
    const { bytes } = this.wasm;
    for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
    return text.length;
  }

  #setResp(L: Pointer): number {
    const api = this.#api;
    if (!this.running) this.raiseError(L, 'ERR redis.setresp can only be called inside a script invocation');
    if (api.lua_gettop(L) !== 1) this.raiseError(L, 'ERR redis.setresp() requires one argument.');
    const protocol = Math.trunc(api.lua_tonumber(L, -1));
    if (protocol !== 2 && protocol !== 3) this.raiseError(L, 'ERR RESP version must be 2 or 3.');
    this.run.client.protocol = protocol;
    return 0;
  }

  #sha1hex(L: Pointer): number {
    const { lengthOut } = this.wasm;
    if (this.#api.lua_gettop(L) !== 1) this.raiseError(L, 'ERR wrong number of arguments');
    const at = this.#api.lua_tolstring(L, 1, lengthOut);
    const { bytes, words } = this.wasm;
    const length = at === 0 ? 0 : words[lengthOut >> 2];
    this.wasm.pushLatin1(L, sha1(bytes, at, length));
    return 1;
  }

  /** Whether the one argument is a string; otherwise an error is on the stack. */
  #isOneString(L: Pointer): boolean {
    if (this.#api.lua_gettop(L) === 1 && this.#api.lua_type(L, -1) === LUA_TSTRING) return true;
    pushError(this.wasm, L, 'ERR wrong number or type of arguments');
    return false;
  }

  #errorReply(L: Pointer): number {
    if (!this.#isOneString(L)) return 1;
    pushError(this.wasm, L, this.wasm.cStringAt(L, -1).replace(/^-/, ''));
    return 1;
  }

  #statusReply(L: Pointer): number {
    if (!this.#isOneString(L)) return 1;
    this.#api.lua_createtable(L, 0, 1);
    this.#api.lua_pushvalue(L, 1);
    this.#api.lua_setfield(L, -2, this.wasm.cString('ok'));
    return 1;
  }

  #setRepl(L: Pointer): number {
    const api = this.#api;
    if (!this.running) this.raiseError(L, 'ERR redis.set_repl can only be called inside a script invocation');
    if (api.lua_gettop(L) !== 1) this.raiseError(L, 'ERR redis.set_repl() requires two arguments.');
    const targets = Math.trunc(api.lua_tonumber(L, -1));
    if ((targets & ~PROPAGATE_ALL) !== 0) {
      this.raiseError(L, 'ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.');
    }
    this.#server.propagation.allowed = targets;
    return 0;
  }

  #aclCheckCommand(L: Pointer): number {
    if (!this.running) this.raiseError(L, 'ERR redis.acl_check_cmd can only be called inside a script invocation');
    const problem = this.#readWords(L);
    if (problem !== null) this.raiseError(L, problem);
    const command = this.#server.nested.find(this);
    if (command === null) this.raiseError(L, 'ERR Invalid command passed to redis.acl_check_cmd()');
    const allowed = this.#server.acl.check(this.run.call.client.user, command.spec, this) === ALLOWED;
    this.#api.lua_pushboolean(L, allowed ? 1 : 0);
    return 1;
  }

  #log(L: Pointer): number {
    const { wasm } = this;
    const api = this.#api;
    const argc = api.lua_gettop(L);
    if (argc < 2) this.raiseError(L, 'ERR redis.log() requires two arguments or more.');
    if (api.lua_isnumber(L, 1) === 0) this.raiseError(L, 'ERR First argument must be a number (log level).');
    const level = LEVELS[Math.trunc(api.lua_tonumber(L, 1))];
    if (level === undefined) this.raiseError(L, 'ERR Invalid debug level.');
    const parts: string[] = [];
    for (let i = 2; i <= argc; i++) if (api.lua_isstring(L, i) !== 0) parts.push(wasm.latin1At(L, i));
    this.#server.log[level](parts.join(' '));
    return 0;
  }
}

/** A larger reply's memory is given back. */
const REPLY_KEEP_MAX = 1024 * 1024;

export function sha1(bytes: Uint8Array, offset: number, length: number): string {
  return createHash('sha1')
    .update(bytes.subarray(offset, offset + length))
    .digest('hex');
}
