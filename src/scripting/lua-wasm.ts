// PUC Lua 5.1 as WebAssembly: loads the module of the package wasmoon-lua5.1 by itself, synchronously, and gives its C
// API as it is. The package's own JavaScript decodes strings, which would not be binary-safe. All Lua states of the
// process live in one linear memory; words of commands are read and written there without a copy in between. Only
// src/scripting imports it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

export const LUA_REGISTRYINDEX = -10000;
export const LUA_GLOBALSINDEX = -10002;

export const LUA_TNIL = 0;
export const LUA_TBOOLEAN = 1;
export const LUA_TLIGHTUSERDATA = 2;
export const LUA_TNUMBER = 3;
export const LUA_TSTRING = 4;
export const LUA_TTABLE = 5;
export const LUA_TFUNCTION = 6;

export const LUA_MASKLINE = 4;
export const LUA_MASKCOUNT = 8;

export const LUA_GCCOLLECT = 2;
export const LUA_GCCOUNT = 3;
export const LUA_GCSTEP = 5;

/** A lua_State, a C string, any address in the linear memory. */
export type Pointer = number;
/** The first upvalue of the running C function. */
export const FIRST_UPVALUE = LUA_GLOBALSINDEX - 1;

/** The exports of the module, in C's own names and argument order. `char *` arguments end in a zero byte. */
export interface LuaApi {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  readonly __indirect_function_table: {
    readonly length: number;
    get(index: number): (...args: number[]) => number;
    set(index: number, f: unknown): void;
    grow(count: number): number;
  };
  __wasm_call_ctors(): void;
  malloc(bytes: number): Pointer;
  free(at: Pointer): void;
  stackSave(): number;
  stackRestore(at: number): void;
  setThrew(threw: number, value: number): void;

  luaL_newstate(): Pointer;
  lua_close(L: Pointer): void;
  luaopen_base(L: Pointer): number;
  luaopen_table(L: Pointer): number;
  luaopen_string(L: Pointer): number;
  luaopen_math(L: Pointer): number;
  luaopen_debug(L: Pointer): number;

  lua_gettop(L: Pointer): number;
  lua_settop(L: Pointer, index: number): void;
  lua_pushvalue(L: Pointer, index: number): void;
  lua_remove(L: Pointer, index: number): void;
  lua_insert(L: Pointer, index: number): void;
  lua_replace(L: Pointer, index: number): void;
  lua_checkstack(L: Pointer, extra: number): number;
  lua_type(L: Pointer, index: number): number;
  lua_typename(L: Pointer, type: number): Pointer;
  lua_isnumber(L: Pointer, index: number): number;
  lua_isstring(L: Pointer, index: number): number;
  lua_tonumber(L: Pointer, index: number): number;
  lua_toboolean(L: Pointer, index: number): number;
  lua_tolstring(L: Pointer, index: number, length: Pointer): Pointer;
  lua_touserdata(L: Pointer, index: number): Pointer;
  lua_tocfunction(L: Pointer, index: number): number;
  lua_topointer(L: Pointer, index: number): Pointer;
  lua_objlen(L: Pointer, index: number): number;
  lua_pushnil(L: Pointer): void;
  lua_pushnumber(L: Pointer, value: number): void;
  lua_pushboolean(L: Pointer, value: number): void;
  lua_pushlstring(L: Pointer, at: Pointer, length: number): void;
  lua_pushcclosure(L: Pointer, f: number, upvalues: number): void;
  lua_pushlightuserdata(L: Pointer, at: Pointer): void;
  lua_createtable(L: Pointer, items: number, fields: number): void;
  lua_newuserdata(L: Pointer, bytes: number): Pointer;
  lua_gettable(L: Pointer, index: number): void;
  lua_settable(L: Pointer, index: number): void;
  lua_getfield(L: Pointer, index: number, name: Pointer): void;
  lua_setfield(L: Pointer, index: number, name: Pointer): void;
  lua_rawget(L: Pointer, index: number): void;
  lua_rawset(L: Pointer, index: number): void;
  lua_rawgeti(L: Pointer, index: number, n: number): void;
  lua_rawseti(L: Pointer, index: number, n: number): void;
  lua_getmetatable(L: Pointer, index: number): number;
  lua_setmetatable(L: Pointer, index: number): number;
  lua_next(L: Pointer, index: number): number;
  lua_concat(L: Pointer, count: number): void;
  lua_call(L: Pointer, args: number, results: number): void;
  lua_pcall(L: Pointer, args: number, results: number, handler: number): number;
  lua_error(L: Pointer): never;
  lua_gc(L: Pointer, what: number, data: number): number;
  lua_sethook(L: Pointer, hook: number, mask: number, count: number): number;
  luaL_where(L: Pointer, level: number): void;
  luaL_argerror(L: Pointer, arg: number, message: Pointer): never;
  luaL_typerror(L: Pointer, arg: number, name: Pointer): never;
  luaL_checklstring(L: Pointer, arg: number, length: Pointer): Pointer;
  luaL_checknumber(L: Pointer, arg: number): number;
  luaL_checkinteger(L: Pointer, arg: number): number;
  luaL_optinteger(L: Pointer, arg: number, fallback: number): number;
  luaL_checkstack(L: Pointer, extra: number, message: Pointer): void;
  luaL_loadbuffer(L: Pointer, at: Pointer, length: number, name: Pointer): number;
  luaL_ref(L: Pointer, table: number): number;
  luaL_unref(L: Pointer, table: number, ref: number): void;
}

/** What is used of WebAssembly: Node's types leave it out. */
interface WasmModule {
  readonly kind?: 'module';
}
type WasmImports = Record<string, Record<string, unknown>>;
declare const WebAssembly: {
  Module: {
    new (bytes: Uint8Array): WasmModule;
    imports(module: WasmModule): readonly { readonly module: string; readonly name: string }[];
  };
  Instance: new (module: WasmModule, imports: WasmImports) => { readonly exports: Record<string, unknown> };
};

/** A C function in JavaScript. @returns how many results are on top of the stack. */
export type CFunction = (L: Pointer) => number;

/** What lua_error throws through JavaScript frames; only the module's own setjmp catches it. */
const LONG_JUMP = { longjmp: true };
const PAGE = 65536;
const MEMORY_MAX = 2 ** 31 - PAGE;
/** Of C functions within C functions, 200 at most, each with a string buffer: the module's own 64 KiB are too few. */
const C_STACK_LENGTH = 1024 * 1024;
const ENOSYS = 52;

// (import "e" "f" (func (param i32) (result i32))) (export "f" (func 0)), and the same for (param i32 i32).
const HEADER = [0, 97, 115, 109, 1, 0, 0, 0];
const REST = [2, 7, 1, 1, 101, 1, 102, 0, 0, 7, 5, 1, 1, 102, 0, 0];
const FUNCTION_ADAPTER = Uint8Array.from([...HEADER, 1, 6, 1, 96, 1, 127, 1, 127, ...REST]);
const HOOK_ADAPTER = Uint8Array.from([...HEADER, 1, 6, 1, 96, 2, 127, 127, 0, ...REST]);

export class LuaWasm {
  readonly api: LuaApi;
  /** The linear memory. Replaced when it grows: which only Lua code and calls of the API can make it. */
  bytes!: Uint8Array;
  words!: Int32Array;
  /** Room for one size_t that a call gives back. */
  readonly lengthOut: Pointer;

  readonly #strings = new Map<string, Pointer>();
  readonly #functionAdapter = new WebAssembly.Module(FUNCTION_ADAPTER);
  readonly #hookAdapter = new WebAssembly.Module(HOOK_ADAPTER);
  #scratch = 0;
  #scratchLength = 0;

  constructor() {
    const path = createRequire(import.meta.url).resolve('wasmoon-lua5.1');
    const module = new WebAssembly.Module(readFileSync(join(dirname(path), 'liblua5.1.wasm')));
    const instance = new WebAssembly.Instance(module, this.#imports(module));
    this.api = instance.exports as unknown as LuaApi;
    this.#refreshViews();
    this.api.__wasm_call_ctors();
    this.api.stackRestore((this.api.malloc(C_STACK_LENGTH) + C_STACK_LENGTH) & ~15);
    this.lengthOut = this.api.malloc(8);
  }

  #imports(module: WasmModule): WasmImports {
    const imports: WasmImports = {};
    // Files, time and processes: only the libraries `io` and `os` ask for them, which are never opened.
    for (const { module: from, name } of WebAssembly.Module.imports(module))
      (imports[from] ??= {})[name] = () => ENOSYS;
    Object.assign(imports.env, {
      invoke_vii: (f: number, a: number, b: number): void => this.#invoke(f, a, b),
      _emscripten_throw_longjmp: (): never => {
        throw LONG_JUMP;
      },
      emscripten_memcpy_js: (to: Pointer, from: Pointer, length: number): void => {
        this.bytes.copyWithin(to >>> 0, from >>> 0, (from >>> 0) + (length >>> 0));
      },
      emscripten_resize_heap: (wanted: number): number => (this.#grow(wanted >>> 0) ? 1 : 0),
      exit: (): never => {
        throw new Error('Lua has called exit');
      },
    });
    return imports;
  }

  /** The protected call of C's setjmp: a long jump ends it, anything else thrown goes on. */
  #invoke(f: number, a: number, b: number): void {
    const { api } = this;
    const stack = api.stackSave();
    try {
      api.__indirect_function_table.get(f)(a, b);
    } catch (thrown) {
      api.stackRestore(stack);
      if (thrown !== LONG_JUMP) throw thrown;
      api.setThrew(1, 0);
    }
  }

  #grow(wanted: number): boolean {
    const { memory } = this.api;
    const now = memory.buffer.byteLength;
    if (wanted > MEMORY_MAX) return false;
    const target = Math.min(MEMORY_MAX, Math.max(wanted, Math.ceil(now * 1.2)));
    for (const length of [target, wanted]) {
      try {
        memory.grow(Math.ceil((length - now) / PAGE));
        this.#refreshViews();
        return true;
      } catch {
        // Less may still be had.
      }
    }
    return false;
  }

  #refreshViews(): void {
    const { buffer } = this.api.memory;
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
  }

  /** Makes a JavaScript function callable by Lua. @returns its number, for `lua_pushcclosure`; never given back. */
  cFunction(f: CFunction): number {
    return this.#addFunction(this.#functionAdapter, f);
  }

  hook(f: (L: Pointer, debug: Pointer) => void): number {
    return this.#addFunction(this.#hookAdapter, f);
  }

  #addFunction(adapter: WasmModule, f: unknown): number {
    const instance = new WebAssembly.Instance(adapter, { e: { f } });
    const table = this.api.__indirect_function_table;
    const index = table.grow(1);
    table.set(index, instance.exports.f);
    return index;
  }

  /** @param text a constant, Latin-1. @returns it as a C string that stays. */
  cString(text: string): Pointer {
    let at = this.#strings.get(text);
    if (at === undefined) {
      at = this.api.malloc(text.length + 1);
      for (let i = 0; i < text.length; i++) this.bytes[at + i] = text.charCodeAt(i);
      this.bytes[at + text.length] = 0;
      this.#strings.set(text, at);
    }
    return at;
  }

  /** Memory to put `length` bytes into, good until the next call. */
  scratch(length: number): Pointer {
    if (length > this.#scratchLength) {
      if (this.#scratchLength > 0) this.api.free(this.#scratch);
      this.#scratchLength = Math.max(4096, length);
      this.#scratch = this.api.malloc(this.#scratchLength);
    } else if (this.#scratchLength > SCRATCH_KEEP_MAX && length <= SCRATCH_KEEP_MAX) {
      this.api.free(this.#scratch);
      this.#scratchLength = 0;
      return this.scratch(length);
    }
    return this.#scratch;
  }

  /** A copy of bytes from outside, as `scratch`. */
  copyIn(source: Uint8Array, offset: number, length: number): Pointer {
    const at = this.scratch(length);
    const { bytes } = this;
    if (length > 64) bytes.set(source.subarray(offset, offset + length), at);
    else for (let i = 0; i < length; i++) bytes[at + i] = source[offset + i];
    return at;
  }

  pushBytes(L: Pointer, source: Uint8Array, offset: number, length: number): void {
    this.api.lua_pushlstring(L, this.copyIn(source, offset, length), length);
  }

  /** @param text Latin-1. */
  pushLatin1(L: Pointer, text: string): void {
    const at = this.scratch(text.length);
    const { bytes } = this;
    for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
    this.api.lua_pushlstring(L, at, text.length);
  }

  /** The string, or number as a string, at an index. */
  latin1At(L: Pointer, index: number): string {
    const at = this.api.lua_tolstring(L, index, this.lengthOut);
    return at === 0 ? '' : this.latin1(at, this.words[this.lengthOut >> 2]);
  }

  /** As `latin1At`, up to the first zero byte, as C sees it. */
  cStringAt(L: Pointer, index: number): string {
    const text = this.latin1At(L, index);
    const end = text.indexOf('\0');
    return end < 0 ? text : text.slice(0, end);
  }

  latin1(at: Pointer, length: number): string {
    return Buffer.from(this.bytes.buffer, at, length).toString('latin1');
  }

  /** The C string at an address. */
  cText(at: Pointer): string {
    let end = at;
    while (this.bytes[end] !== 0) end++;
    return this.latin1(at, end - at);
  }

  /** luaL_error: raises a message with the position of the function that called the running C function. */
  raise(L: Pointer, message: string): never {
    this.api.luaL_where(L, 1);
    this.pushLatin1(L, message);
    this.api.lua_concat(L, 2);
    return this.api.lua_error(L);
  }

  /** luaL_argcheck. */
  checkArgument(L: Pointer, holds: boolean, argument: number, message: string): void {
    if (!holds) this.argumentError(L, argument, message);
  }

  /** luaL_argerror: raises a message that names the argument and the function. */
  argumentError(L: Pointer, argument: number, message: string): never {
    this.pushLatin1(L, message);
    return this.api.luaL_argerror(L, argument, this.api.lua_tolstring(L, -1, 0));
  }
}

const SCRATCH_KEEP_MAX = 1024 * 1024;

let loaded: LuaWasm | null = null;

/** After a trap the memory of all states is suspect: who asks next gets a new Lua. */
export function abandonLua(): void {
  loaded = null;
}

/** The process's Lua; loaded when first asked for. */
export function luaWasm(): LuaWasm {
  loaded ??= new LuaWasm();
  return loaded;
}
