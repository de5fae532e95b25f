// Functions: libraries of Lua code that register functions by name, loaded once and called by FCALL. A set of libraries
// can be built beside the one in use (FUNCTION RESTORE, a dump file) and take its place. Only scripting.ts, the commands
// and persistence import it.
import type { Server } from '../core/server.ts';
import { splitArgs } from '../resp/split-args.ts';
import { LUA_REGISTRYINDEX, LUA_TFUNCTION, LUA_TNIL, LUA_TTABLE, type Pointer } from './lua-wasm.ts';
import type { MathRandom } from './math-random.ts';
import { type Interrupt, ScriptEngine } from './script-engine.ts';
import { scriptFlag } from './script-flags.ts';

const ENGINE = 'LUA';
/** A library only registers its functions: it may not take longer. */
const LOAD_TIMEOUT_MS = 500;
const BAD_NAME =
  'Library names can only contain letters, numbers, or underscores(_) and must be at least one character long';

export interface LibraryFunction {
  readonly name: string;
  readonly description: string | null;
  readonly flags: number;
  /** The Lua function, in the registry. */
  readonly ref: number;
  readonly library: Library;
}

export interface Library {
  readonly name: string;
  /** Latin-1, its first line included. */
  readonly code: string;
  readonly functions: Map<string, LibraryFunction>;
}

/** Libraries whose functions' names do not collide. */
export class LibrarySet {
  readonly libraries = new Map<string, Library>();
  /** By name in lower case. */
  readonly functions = new Map<string, LibraryFunction>();

  link(library: Library): void {
    this.libraries.set(library.name, library);
    for (const one of library.functions.values()) this.functions.set(one.name.toLowerCase(), one);
  }

  unlink(library: Library): void {
    this.libraries.delete(library.name);
    for (const name of library.functions.keys()) this.functions.delete(name.toLowerCase());
  }

  /** A function of these that is here already. */
  collision(functions: Iterable<LibraryFunction>): string | null {
    for (const { name } of functions) if (this.functions.has(name.toLowerCase())) return name;
    return null;
  }
}

export class LibraryStore {
  readonly engine: ScriptEngine;
  #set = new LibrarySet();
  readonly #server: Server;
  /** The library whose code is running to register its functions. */
  #loading: Library | null = null;
  #loadEndsUs = 0;
  /** What the code of a library sees as its globals. */
  readonly #loadGlobals: number;

  constructor(server: Server, random: MathRandom, interrupt: Interrupt) {
    this.#server = server;
    this.engine = new ScriptEngine(server, random, interrupt, {});
    this.engine.onLoadHook = (L) => {
      if (this.#loadEndsUs > 0 && server.stopwatch() > this.#loadEndsUs) {
        this.engine.endNow(L, 'ERR FUNCTION LOAD timeout');
      }
    };
    this.#loadGlobals = this.#createLoadGlobals();
    this.engine.sandbox.protect();
  }

  /** A table with nothing but `redis`, which has what makes sense while loading. */
  #createLoadGlobals(): number {
    const { L, sandbox, wasm } = this.engine;
    const { api } = wasm;
    api.lua_createtable(L, 0, 1);
    api.lua_createtable(L, 0, 8);
    sandbox.setField('register_function', (state) => this.#register(state));
    this.engine.addConstants();
    sandbox.forbidMissing();
    api.lua_setfield(L, -2, wasm.cString('redis'));
    sandbox.forbidMissing();
    sandbox.protectTable();
    return api.luaL_ref(L, LUA_REGISTRYINDEX);
  }

  get libraries(): ReadonlyMap<string, Library> {
    return this.#set.libraries;
  }

  get functionCount(): number {
    return this.#set.functions.size;
  }

  /** Bytes that libraries cost beside what Lua has. */
  get memoryBytes(): number {
    let sum = 0;
    for (const { code, functions, name } of this.#set.libraries.values()) {
      sum += 96 + code.length + name.length + functions.size * 120;
    }
    return sum;
  }

  find(name: string): LibraryFunction | undefined {
    return this.#set.functions.get(name.toLowerCase());
  }

  /** The code of each library, as dump files have it. */
  *codes(): Iterable<Uint8Array> {
    for (const { code } of this.#set.libraries.values()) yield Buffer.from(code, 'latin1');
  }

  // --- changing the set ---

  /**
   * Compiles a library and adds it.
   * @param set where; the one in use unless given.
   * @param timed whether its code may only take a while.
   * @returns its name, or what is wrong, after "ERR ".
   */
  load(code: string, replace: boolean, set: LibrarySet = this.#set, timed = true): { name: string } | string {
    const header = readHeader(code);
    if (typeof header === 'string') return header;
    const { engine, name } = header;
    if (!isName(name)) return BAD_NAME;
    if (engine.toUpperCase() !== ENGINE) return `Engine '${engine}' not found`;
    const old = set.libraries.get(name);
    if (old !== undefined && !replace) return `Library '${name}' already exists`;
    const library: Library = { name, code, functions: new Map() };
    if (old !== undefined) set.unlink(old);
    const problem = this.#create(library, code.slice(header.length), timed) ?? this.#check(library, set);
    if (problem !== null) {
      this.#release(library);
      if (old !== undefined) set.link(old);
      return problem;
    }
    set.link(library);
    if (old !== undefined) this.#release(old);
    return { name };
  }

  #check(library: Library, set: LibrarySet): string | null {
    if (library.functions.size === 0) return 'No functions registered';
    const taken = set.collision(library.functions.values());
    return taken === null ? null : `Function ${taken} already exists`;
  }

  /** @returns false when there is none of that name. */
  delete(name: string): boolean {
    const library = this.#set.libraries.get(name);
    if (library === undefined) return false;
    this.#set.unlink(library);
    this.#release(library);
    return true;
  }

  /** Puts a new set in the place of the one in use. */
  replaceAll(set: LibrarySet = new LibrarySet()): void {
    const old = this.#set;
    this.#set = set;
    this.discard(old);
  }

  /** Forgets a set that was built and is not wanted. */
  discard(set: LibrarySet): void {
    for (const library of set.libraries.values()) this.#release(library);
  }

  /** Adds all libraries of another set, or none. @returns what is wrong, or null. */
  join(added: LibrarySet, replace: boolean): string | null {
    const set = this.#set;
    const replaced: Library[] = [];
    const problem = (): string | null => {
      for (const { name } of added.libraries.values()) {
        const old = set.libraries.get(name);
        if (old === undefined) continue;
        if (!replace) return `Library ${name} already exists`;
        set.unlink(old);
        replaced.push(old);
      }
      const taken = set.collision(added.functions.values());
      return taken === null ? null : `Function ${taken} already exists`;
    };
    const found = problem();
    if (found !== null) for (const library of replaced) set.link(library);
    else {
      for (const library of replaced) this.#release(library);
      for (const library of added.libraries.values()) set.link(library);
    }
    return found;
  }

  #release(library: Library): void {
    const { L, wasm } = this.engine;
    for (const { ref } of library.functions.values()) wasm.api.luaL_unref(L, LUA_REGISTRYINDEX, ref);
    library.functions.clear();
  }

  // --- loading ---

  /** Runs the library's code. @returns what is wrong, or null. */
  #create(library: Library, code: string, timed: boolean): string | null {
    const { L, sandbox, wasm } = this.engine;
    const { api } = wasm;
    const at = wasm.copyIn(Buffer.from(code, 'latin1'), 0, code.length);
    if (sandbox.compile(L, at, code.length, wasm.cString('@user_function')) !== 0) {
      const message = wasm.cStringAt(L, -1);
      api.lua_settop(L, 0);
      return `Error compiling function: ${message}`;
    }
    sandbox.setGlobalsSource(this.#loadGlobals);
    this.#loading = library;
    this.#loadEndsUs = timed ? this.#server.stopwatch() + LOAD_TIMEOUT_MS * 1000 : 0;
    const status = api.lua_pcall(L, 0, 0, 0);
    this.#loading = null;
    const message = status === 0 ? '' : this.#errorMessage();
    api.lua_settop(L, 0);
    this.engine.resetHook();
    sandbox.setGlobalsSource(null);
    sandbox.clean();
    return status === 0 ? null : `Error registering functions: ${message}`;
  }

  #errorMessage(): string {
    const { L, wasm } = this.engine;
    if (wasm.api.lua_type(L, -1) !== LUA_TTABLE) return `ERR ${wasm.cStringAt(L, -1)}`;
    wasm.api.lua_getfield(L, -1, wasm.cString('err'));
    return wasm.cStringAt(L, -1);
  }

  /** redis.register_function, in both its forms. */
  #register(L: Pointer): number {
    const { engine } = this;
    const { api } = engine.wasm;
    const library = this.#loading;
    if (library === null) {
      return engine.raiseError(L, 'ERR redis.register_function can only be called on FUNCTION LOAD command');
    }
    const argc = api.lua_gettop(L);
    if (argc < 1 || argc > 2) engine.raiseError(L, 'ERR wrong number of arguments to redis.register_function');
    const found = argc === 1 ? this.#readNamed(L, library) : this.#readPositional(L, library);
    if (typeof found === 'string') return engine.raiseError(L, `ERR ${found}`);
    const problem = !isName(found.name)
      ? BAD_NAME
      : library.functions.has(found.name)
        ? 'Function already exists in the library'
        : null;
    if (problem !== null) {
      api.luaL_unref(L, LUA_REGISTRYINDEX, found.ref);
      engine.raiseError(L, `ERR ${problem}`);
    }
    library.functions.set(found.name, found);
    return 0;
  }

  #readPositional(L: Pointer, library: Library): LibraryFunction | string {
    const { api } = this.engine.wasm;
    if (api.lua_isstring(L, 1) === 0) return 'first argument to redis.register_function must be a string';
    if (api.lua_type(L, 2) !== LUA_TFUNCTION) return 'second argument to redis.register_function must be a function';
    const name = this.engine.wasm.latin1At(L, 1);
    const ref = api.luaL_ref(L, LUA_REGISTRYINDEX);
    return { name, description: null, flags: 0, ref, library };
  }

  #readNamed(L: Pointer, library: Library): LibraryFunction | string {
    const { api } = this.engine.wasm;
    if (api.lua_type(L, 1) !== LUA_TTABLE) {
      return 'calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).';
    }
    const found: NamedArguments = { name: null, description: null, flags: 0, ref: -1 };
    api.lua_pushnil(L);
    let problem: string | null = null;
    while (problem === null && api.lua_next(L, 1) !== 0) {
      problem = this.#readNamedArgument(L, found);
      api.lua_settop(L, 2);
    }
    if (problem === null && found.name === null) problem = 'redis.register_function must get a function name argument';
    if (problem === null && found.ref < 0) problem = 'redis.register_function must get a callback argument';
    if (problem === null) return { ...found, name: found.name ?? '', library };
    if (found.ref >= 0) api.luaL_unref(L, LUA_REGISTRYINDEX, found.ref);
    return problem;
  }

  /** Stack: table, key, value. @returns what is wrong, or null. */
  #readNamedArgument(L: Pointer, found: NamedArguments): string | null {
    const { wasm } = this.engine;
    const { api } = wasm;
    if (api.lua_isstring(L, 2) === 0) return 'named argument key given to redis.register_function is not a string';
    // A copy of the key: a number must stay one for the traversal.
    api.lua_pushvalue(L, 2);
    const key = wasm.cStringAt(L, -1).toLowerCase();
    api.lua_settop(L, 3);
    const isString = api.lua_isstring(L, 3) !== 0;
    switch (key) {
      case 'function_name':
        if (!isString) return 'function_name argument given to redis.register_function must be a string';
        found.name = wasm.latin1At(L, 3);
        return null;
      case 'description':
        if (!isString) return 'description argument given to redis.register_function must be a string';
        found.description = wasm.latin1At(L, 3);
        return null;
      case 'callback':
        if (api.lua_type(L, 3) !== LUA_TFUNCTION) {
          return 'callback argument given to redis.register_function must be a function';
        }
        if (found.ref >= 0) api.luaL_unref(L, LUA_REGISTRYINDEX, found.ref);
        found.ref = api.luaL_ref(L, LUA_REGISTRYINDEX);
        return null;
      case 'flags':
        if (api.lua_type(L, 3) !== LUA_TTABLE) {
          return 'flags argument to redis.register_function must be a table representing function flags';
        }
        return this.#readFlags(L, found) ? null : 'unknown flag given';
      default:
        return 'unknown argument given to redis.register_function';
    }
  }

  /** The names in the table on top of the stack. */
  #readFlags(L: Pointer, found: NamedArguments): boolean {
    const { wasm } = this.engine;
    const { api } = wasm;
    found.flags = 0;
    for (let i = 1; ; i++) {
      api.lua_pushnumber(L, i);
      api.lua_gettable(L, 3);
      const type = api.lua_type(L, -1);
      const flag = api.lua_isstring(L, -1) === 0 ? 0 : scriptFlag(wasm.cStringAt(L, -1).toLowerCase());
      api.lua_settop(L, 3);
      if (type === LUA_TNIL) return true;
      if (flag === 0) return false;
      found.flags |= flag;
    }
  }
}

interface NamedArguments {
  name: string | null;
  description: string | null;
  flags: number;
  ref: number;
}

interface Header {
  readonly engine: string;
  readonly name: string;
  /** Characters of the first line, without its end. */
  readonly length: number;
}

/** `#!lua name=mylib`. @returns what is wrong, or what it says. */
function readHeader(code: string): Header | string {
  if (!code.startsWith('#!')) return 'Missing library metadata';
  const length = code.indexOf('\n');
  const parts = length < 0 ? null : splitArgs(code.slice(0, length));
  if (parts === null || parts.length === 0) return 'Invalid library metadata';
  let name: string | null = null;
  for (const part of parts.slice(1)) {
    if (!/^name=/i.test(part)) return `Invalid metadata value given: ${part}`;
    if (name !== null) return 'Invalid metadata value, name argument was given multiple times';
    name = part.slice('name='.length);
  }
  if (name === null) return 'Library name was not given';
  return { engine: parts[0].slice(2), name, length };
}

function isName(name: string): boolean {
  return /^\w+$/.test(name);
}
