// A Lua state with the globals that Redis gives to scripts, all of them read-only. Stock Lua has no read-only tables, so
// what scripts see of each protected table is an empty one in front of it: reading falls through, writing raises, and
// the functions that go past metamethods know about it. Only src/scripting imports it.
import {
  type CFunction,
  FIRST_UPVALUE,
  LUA_GCCOUNT,
  LUA_GLOBALSINDEX,
  LUA_REGISTRYINDEX,
  LUA_TSTRING,
  LUA_TTABLE,
  type LuaApi,
  type LuaWasm,
  type Pointer,
} from './lua-wasm.ts';

/** More than Lua's stack ever takes. */
const UNPACK_MAX = 1_000_000;
const READ_ONLY = 'Attempt to modify a readonly table';
/** In Lua's base library, and nothing for scripts: files, output. */
const REMOVED = ['dofile', 'loadfile', 'print'];
/** There with `lua-enable-deprecated-api` only. */
const DEPRECATED = ['newproxy', 'setfenv', 'getfenv'];

// struct Table in Lua 5.1 with 32-bit pointers: where its hash part and the length of its array part are.
const TABLE_NODE = 16;
const TABLE_ARRAY_LENGTH = 28;

/** Where an error came from is told by the function that raised it, or by its caller when that is a C function. */
const ERROR_HANDLER = `
local getinfo, tostring, type = debug.getinfo, tostring, type
return function (err)
  local where = getinfo(2, 'nSl')
  if where and where.what == 'C' then where = getinfo(3, 'nSl') end
  if type(err) ~= 'table' then err = { err = 'ERR ' .. tostring(err) } end
  if where then
    err['source'] = where.source
    err['line'] = where.currentline
  end
  return err
end`;

interface ProtectedTable {
  /** References in the registry: what is behind, and what scripts see. */
  readonly real: number;
  readonly front: number;
  /** Address of the front. */
  readonly address: Pointer;
  /** The hash part of an empty table. */
  readonly emptyNode: Pointer;
}

export class Sandbox {
  readonly wasm: LuaWasm;
  readonly L: Pointer;
  /** Reference of the function that adds source and line to an error. */
  readonly errorHandler: number;
  readonly #api: LuaApi;
  readonly #byFront = new Map<Pointer, ProtectedTable>();
  readonly #byReal = new Map<Pointer, ProtectedTable>();
  readonly #readOnly: number;
  /** The table of globals itself. */
  #globals = 0;

  /** @param deprecated whether `lua-enable-deprecated-api` is on. */
  constructor(wasm: LuaWasm, deprecated: boolean) {
    this.wasm = wasm;
    const api = (this.#api = wasm.api);
    const L = (this.L = api.luaL_newstate());
    if (L === 0) throw new Error('no memory for a Lua state');
    this.#readOnly = wasm.cFunction((state) => wasm.raise(state, READ_ONLY));
    api.luaopen_base(L);
    api.luaopen_table(L);
    api.luaopen_string(L);
    api.luaopen_math(L);
    api.luaopen_debug(L);
    api.lua_settop(L, 0);
    this.errorHandler = this.#compileErrorHandler();
    for (const name of [...REMOVED, 'debug', ...(deprecated ? [] : DEPRECATED)]) this.#setGlobal(name, null);
    this.#replaceFunctions();
  }

  close(): void {
    this.#api.lua_close(this.L);
  }

  get memoryBytes(): number {
    return this.#api.lua_gc(this.L, LUA_GCCOUNT, 0) * 1024;
  }

  // --- filling the globals, before `protect` ---

  #compileErrorHandler(): number {
    const { L, wasm } = this;
    const api = this.#api;
    const code = wasm.copyIn(Buffer.from(ERROR_HANDLER), 0, ERROR_HANDLER.length);
    api.luaL_loadbuffer(L, code, ERROR_HANDLER.length, wasm.cString('@err_handler_def'));
    api.lua_call(L, 0, 1);
    return api.luaL_ref(L, LUA_REGISTRYINDEX);
  }

  /** Sets a global to a C function, or with null takes it away. */
  #setGlobal(name: string, f: CFunction | null): void {
    const api = this.#api;
    if (f === null) api.lua_pushnil(this.L);
    else api.lua_pushcclosure(this.L, this.wasm.cFunction(f), 0);
    api.lua_setfield(this.L, LUA_GLOBALSINDEX, this.wasm.cString(name));
  }

  /** Makes the error handler a global. */
  shareErrorHandler(name: string): void {
    this.#api.lua_rawgeti(this.L, LUA_REGISTRYINDEX, this.errorHandler);
    this.#api.lua_setfield(this.L, LUA_GLOBALSINDEX, this.wasm.cString(name));
  }

  /** Makes a global table of C functions, or adds them to one that is there. */
  addLibrary(name: string, functions: Readonly<Record<string, CFunction>>): void {
    const { L, wasm } = this;
    const api = this.#api;
    api.lua_getfield(L, LUA_GLOBALSINDEX, wasm.cString(name));
    if (api.lua_type(L, -1) !== LUA_TTABLE) {
      api.lua_settop(L, -2);
      api.lua_createtable(L, 0, 0);
    }
    for (const [field, f] of Object.entries(functions)) this.setField(field, f);
    api.lua_setfield(L, LUA_GLOBALSINDEX, wasm.cString(name));
  }

  /** Sets a field of the table on top of the stack. */
  setField(name: string, value: CFunction | number | string): void {
    const { L, wasm } = this;
    const api = this.#api;
    if (typeof value === 'number') api.lua_pushnumber(L, value);
    else if (typeof value === 'string') wasm.pushLatin1(L, value);
    else api.lua_pushcclosure(L, wasm.cFunction(value), 0);
    api.lua_setfield(L, -2, wasm.cString(name));
  }

  /** Reading what is not in the table on top of the stack becomes an error. */
  forbidMissing(): void {
    const { L, wasm } = this;
    const api = this.#api;
    api.lua_createtable(L, 0, 1);
    api.lua_pushcclosure(L, wasm.cFunction(this.#missing), 0);
    api.lua_setfield(L, -2, wasm.cString('__index'));
    api.lua_setmetatable(L, -2);
  }

  readonly #missing: CFunction = (L) => {
    const { wasm } = this;
    const api = this.#api;
    if (api.lua_gettop(L) !== 2) wasm.raise(L, 'Wrong number of arguments to luaProtectedTableError');
    if (api.lua_isstring(L, -1) === 0) {
      wasm.raise(L, 'Second argument to luaProtectedTableError must be a string or number');
    }
    const name = wasm.cStringAt(L, -1);
    return wasm.raise(L, `Script attempted to access nonexistent global variable '${name}'`);
  };

  // --- protection ---

  /** Ends the set-up: globals and all tables in them become read-only, and chunks loaded from now on see them so. */
  protect(): void {
    const { L } = this;
    const api = this.#api;
    this.wasm.pushLatin1(L, '');
    if (api.lua_getmetatable(L, -1) !== 0) this.protectTable();
    api.lua_settop(L, 0);
    api.lua_pushvalue(L, LUA_GLOBALSINDEX);
    this.forbidMissing();
    api.lua_pushvalue(L, -1);
    this.#globals = api.luaL_ref(L, LUA_REGISTRYINDEX);
    this.protectTable();
    api.lua_replace(L, LUA_GLOBALSINDEX);
    api.lua_settop(L, 0);
  }

  /** Replaces the table on top of the stack by its read-only front; so are tables in it, and its metatable. */
  protectTable(): void {
    const { L } = this;
    const api = this.#api;
    const address = api.lua_topointer(L, -1);
    const known = this.#byReal.get(address) ?? this.#byFront.get(address);
    if (known === undefined) this.#createFront(address);
    else {
      api.lua_settop(L, -2);
      api.lua_rawgeti(L, LUA_REGISTRYINDEX, known.front);
    }
  }

  /** Stack: real -> front. */
  #createFront(realAddress: Pointer): void {
    const { L, wasm } = this;
    const api = this.#api;
    api.lua_createtable(L, 0, 0);
    const address = api.lua_topointer(L, -1);
    const emptyNode = wasm.words[(address + TABLE_NODE) >> 2];
    api.lua_createtable(L, 0, 2);
    api.lua_pushvalue(L, -3);
    api.lua_setfield(L, -2, wasm.cString('__index'));
    api.lua_pushcclosure(L, this.#readOnly, 0);
    api.lua_setfield(L, -2, wasm.cString('__newindex'));
    api.lua_setmetatable(L, -2);
    const front = api.luaL_ref(L, LUA_REGISTRYINDEX);
    api.lua_pushvalue(L, -1);
    const real = api.luaL_ref(L, LUA_REGISTRYINDEX);
    const table = { real, front, address, emptyNode };
    this.#byFront.set(address, table);
    this.#byReal.set(realAddress, table);
    this.#protectFields();
    if (api.lua_getmetatable(L, -1) !== 0) {
      this.protectTable();
      api.lua_settop(L, -2);
    }
    api.lua_settop(L, -2);
    api.lua_rawgeti(L, LUA_REGISTRYINDEX, front);
  }

  /** The tables in the table on top of the stack. */
  #protectFields(): void {
    const { L } = this;
    const api = this.#api;
    api.lua_checkstack(L, 8);
    api.lua_pushnil(L);
    while (api.lua_next(L, -2) !== 0) {
      if (api.lua_type(L, -1) === LUA_TTABLE) {
        this.protectTable();
        api.lua_pushvalue(L, -2);
        api.lua_insert(L, -2);
        // Changing a field that exists does not disturb the traversal.
        api.lua_rawset(L, -4);
      } else api.lua_settop(L, -2);
    }
  }

  /** Sets a global from the value on top of the stack: KEYS and ARGV. */
  setProtectedGlobal(name: Pointer): void {
    const { L } = this;
    const api = this.#api;
    api.lua_rawgeti(L, LUA_REGISTRYINDEX, this.#globals);
    api.lua_insert(L, -2);
    api.lua_setfield(L, -2, name);
    api.lua_settop(L, -2);
  }

  /** What reading globals falls through to; of the functions' state, which has other globals while it loads. */
  setGlobalsSource(ref: number | null): void {
    const { L, wasm } = this;
    const api = this.#api;
    api.lua_pushvalue(L, LUA_GLOBALSINDEX);
    api.lua_getmetatable(L, -1);
    api.lua_rawgeti(L, LUA_REGISTRYINDEX, ref ?? this.#globals);
    api.lua_setfield(L, -2, wasm.cString('__index'));
    api.lua_settop(L, -3);
  }

  /** After a script: what `table.insert` and the like have put into a front, past its metatable, is taken out again. */
  clean(): void {
    const { words } = this.wasm;
    for (const { address, emptyNode, front } of this.#byFront.values()) {
      const untouched =
        words[(address + TABLE_NODE) >> 2] === emptyNode && words[(address + TABLE_ARRAY_LENGTH) >> 2] === 0;
      if (!untouched) this.#empty(front);
    }
  }

  #empty(front: number): void {
    const { L } = this;
    const api = this.#api;
    api.lua_rawgeti(L, LUA_REGISTRYINDEX, front);
    api.lua_pushnil(L);
    while (api.lua_next(L, -2) !== 0) {
      api.lua_settop(L, -2);
      api.lua_pushvalue(L, -1);
      api.lua_pushnil(L);
      api.lua_rawset(L, -4);
    }
    api.lua_settop(L, -2);
  }

  // --- functions that look past metamethods, or compile ---

  #replaceFunctions(): void {
    this.#wrap('next', (L, original) => this.#withReal(L, original));
    this.#wrap('rawget', (L, original) => this.#withReal(L, original));
    this.#wrap('rawset', (L, original) => this.#unlessReadOnly(L, original, 3));
    this.#wrap('setmetatable', (L, original) => this.#unlessReadOnly(L, original, 2));
    this.#wrap('getmetatable', (L, original) => this.#getMetatable(L, original));
    this.#replacePairs();
    this.#wrap('unpack', (L, original) => this.#unpack(L, original));
    this.#wrap('loadstring', (L, original) => this.#loadString(L, original));
    this.#setGlobal('load', (L) => this.#load(L));
    this.#setGlobal('pcall', (L) => this.#pcall(L));
  }

  /** @param around gets the C function that it replaces, to call in the same frame. */
  #wrap(name: string, around: (L: Pointer, original: (L: Pointer) => number) => number): void {
    const { L, wasm } = this;
    const api = this.#api;
    api.lua_getfield(L, LUA_GLOBALSINDEX, wasm.cString(name));
    const original = api.__indirect_function_table.get(api.lua_tocfunction(L, -1)) as (L: Pointer) => number;
    api.lua_settop(L, -2);
    this.#setGlobal(name, (state) => around(state, original));
  }

  #protectedAt(L: Pointer, index: number): ProtectedTable | undefined {
    return this.#byFront.get(this.#api.lua_topointer(L, index));
  }

  #withReal(L: Pointer, original: (L: Pointer) => number): number {
    const table = this.#protectedAt(L, 1);
    if (table !== undefined) {
      this.#api.lua_rawgeti(L, LUA_REGISTRYINDEX, table.real);
      this.#api.lua_replace(L, 1);
    }
    return original(L);
  }

  #unlessReadOnly(L: Pointer, original: (L: Pointer) => number, args: number): number {
    if (this.#api.lua_gettop(L) >= args && this.#protectedAt(L, 1) !== undefined) {
      this.wasm.pushLatin1(L, READ_ONLY);
      return this.#api.lua_error(L);
    }
    return original(L);
  }

  #getMetatable(L: Pointer, original: (L: Pointer) => number): number {
    const api = this.#api;
    const table = this.#protectedAt(L, 1);
    if (table === undefined && api.lua_type(L, 1) !== LUA_TSTRING) return original(L);
    if (table !== undefined) api.lua_rawgeti(L, LUA_REGISTRYINDEX, table.real);
    else api.lua_pushvalue(L, 1);
    if (api.lua_getmetatable(L, -1) === 0) api.lua_pushnil(L);
    else api.lua_rawgeti(L, LUA_REGISTRYINDEX, this.#byReal.get(api.lua_topointer(L, -1))!.front);
    return 1;
  }

  #replacePairs(): void {
    const { L, wasm } = this;
    const api = this.#api;
    // Upvalues: the plain `next` for plain tables, and the one that knows protected tables.
    const pairs = wasm.cFunction((state) => {
      if (api.lua_type(state, 1) !== LUA_TTABLE) api.luaL_typerror(state, 1, wasm.cString('table'));
      api.lua_pushvalue(state, this.#protectedAt(state, 1) === undefined ? FIRST_UPVALUE : FIRST_UPVALUE - 1);
      api.lua_pushvalue(state, 1);
      api.lua_pushnil(state);
      return 3;
    });
    // `pairs` itself holds the plain `next` as its upvalue: it gives it away for an empty table.
    api.lua_getfield(L, LUA_GLOBALSINDEX, wasm.cString('pairs'));
    api.lua_createtable(L, 0, 0);
    api.lua_call(L, 1, 1);
    api.lua_getfield(L, LUA_GLOBALSINDEX, wasm.cString('next'));
    api.lua_pushcclosure(L, pairs, 2);
    api.lua_setfield(L, LUA_GLOBALSINDEX, wasm.cString('pairs'));
  }

  /** Lua 5.1 counts the results in an int, which may overflow. */
  #unpack(L: Pointer, original: (L: Pointer) => number): number {
    const api = this.#api;
    const argc = api.lua_gettop(L);
    const from = argc < 2 ? 1 : api.lua_tonumber(L, 2) | 0;
    const to = argc < 3 ? api.lua_objlen(L, 1) : api.lua_tonumber(L, 3) | 0;
    if (to - from >= UNPACK_MAX) this.wasm.raise(L, 'too many results to unpack');
    return original(L);
  }

  /** Redis's pcall: of an error that is a table with a text, callers get the text. */
  #pcall(L: Pointer): number {
    const api = this.#api;
    const argc = api.lua_gettop(L);
    api.lua_pushboolean(L, 1);
    api.lua_insert(L, 1);
    if (api.lua_pcall(L, argc - 1, -1, 0) !== 0) {
      api.lua_remove(L, 1);
      if (api.lua_type(L, -1) === LUA_TTABLE) {
        api.lua_getfield(L, -1, this.wasm.cString('err'));
        if (api.lua_isstring(L, -1) !== 0) api.lua_replace(L, -2);
      }
      api.lua_pushboolean(L, 0);
      api.lua_insert(L, 1);
    }
    return api.lua_gettop(L);
  }

  // --- compiling: source only, compiled chunks could break out ---

  /** Compiles bytes of the linear memory. @returns 0 with the function on the stack, or else the message. */
  compile(L: Pointer, at: Pointer, length: number, name: Pointer): number {
    const { wasm } = this;
    if (length === 0 || wasm.bytes[at] !== ESCAPE) return this.#api.luaL_loadbuffer(L, at, length, name);
    // Behind a space it is read as source, and refused as such.
    const copy = wasm.bytes.slice(at, at + length);
    const scratch = wasm.scratch(length + 1);
    wasm.bytes[scratch] = 32;
    wasm.bytes.set(copy, scratch + 1);
    return this.#api.luaL_loadbuffer(L, scratch, length + 1, name);
  }

  #loadString(L: Pointer, original: (L: Pointer) => number): number {
    const api = this.#api;
    const { lengthOut, words, bytes } = this.wasm;
    if (api.lua_type(L, 1) !== LUA_TSTRING) return original(L);
    const at = api.lua_tolstring(L, 1, lengthOut);
    if (bytes[at] !== ESCAPE) return original(L);
    const length = words[lengthOut >> 2];
    const name = api.lua_isstring(L, 2) !== 0 ? api.lua_tolstring(L, 2, 0) : at;
    return this.#loaded(L, this.compile(L, at, length, name));
  }

  #loaded(L: Pointer, status: number): number {
    if (status === 0) return 1;
    this.#api.lua_pushnil(L);
    this.#api.lua_insert(L, -2);
    return 2;
  }

  /** Calls its argument until there is no more source. */
  #load(L: Pointer): number {
    const { wasm } = this;
    const api = this.#api;
    if (api.lua_type(L, 1) !== 6 /* LUA_TFUNCTION */) api.luaL_typerror(L, 1, wasm.cString('function'));
    const name = api.lua_isstring(L, 2) !== 0 ? api.lua_tolstring(L, 2, 0) : wasm.cString('=(load)');
    let source = '';
    for (;;) {
      api.lua_pushvalue(L, 1);
      const status = api.lua_pcall(L, 0, 1, 0);
      if (status !== 0) return this.#loaded(L, status);
      const type = api.lua_type(L, -1);
      if (type !== 0 && api.lua_isstring(L, -1) === 0) {
        wasm.pushLatin1(L, 'reader function must return a string');
        return this.#loaded(L, 1);
      }
      const piece = type === 0 ? '' : wasm.latin1At(L, -1);
      api.lua_settop(L, -2);
      if (piece === '') break;
      source += piece;
    }
    wasm.pushLatin1(L, source);
    return this.#loaded(L, this.compile(L, api.lua_tolstring(L, -1, 0), source.length, name));
  }
}

/** First byte of a compiled chunk. */
const ESCAPE = 27;
