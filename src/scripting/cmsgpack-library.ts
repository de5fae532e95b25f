// The global `cmsgpack` of scripts: MessagePack, with the choices of lua-cmsgpack 0.4: numbers without a fraction are
// integers, others floats where nothing is lost, a table with the keys 1 to n is an array, and tables nested deeper
// than sixteen become nil.
import { ByteBuilder } from './byte-builder.ts';
import {
  LUA_GLOBALSINDEX,
  LUA_TBOOLEAN,
  LUA_TNUMBER,
  LUA_TSTRING,
  LUA_TTABLE,
  type LuaWasm,
  type Pointer,
} from './lua-wasm.ts';
import type { Sandbox } from './sandbox.ts';

const NESTING_MAX = 16;
const INT_MAX = 0x7fffffff;
const TWO_32 = 2 ** 32;
const TWO_63 = 2 ** 63;

class Packer {
  readonly #wasm: LuaWasm;
  readonly #out = new ByteBuilder();
  readonly #view = new DataView(new ArrayBuffer(8));

  constructor(wasm: LuaWasm) {
    this.#wasm = wasm;
  }

  pack(L: Pointer): number {
    const { api } = this.#wasm;
    const count = api.lua_gettop(L);
    if (count === 0) this.#wasm.argumentError(L, 0, 'MessagePack pack needs input.');
    this.#out.reset();
    for (let i = 1; i <= count; i++) {
      api.luaL_checkstack(L, 1, this.#wasm.cString('in function mp_check'));
      api.lua_pushvalue(L, i);
      this.#value(L, 0);
    }
    this.#out.push(this.#wasm, L);
    return 1;
  }

  /** Packs the value on top of the stack, and pops it. */
  #value(L: Pointer, level: number): void {
    const { api } = this.#wasm;
    const type = api.lua_type(L, -1);
    if (type === LUA_TSTRING) this.#string(L);
    else if (type === LUA_TNUMBER) this.#number(api.lua_tonumber(L, -1));
    else if (type === LUA_TBOOLEAN) this.#out.byte(api.lua_toboolean(L, -1) !== 0 ? 0xc3 : 0xc2);
    else if (type === LUA_TTABLE && level < NESTING_MAX) this.#table(L, level);
    else this.#out.byte(0xc0);
    api.lua_settop(L, -2);
  }

  #string(L: Pointer): void {
    const { api, lengthOut } = this.#wasm;
    const out = this.#out;
    const at = api.lua_tolstring(L, -1, lengthOut);
    const length = this.#wasm.words[lengthOut >> 2];
    if (length < 32) out.byte(0xa0 | length);
    else this.#header(length, 0xd9, 0xda, 0xdb);
    out.append(this.#wasm.bytes, at, length);
  }

  /** A type's byte and a length of 1, 2 or 4 bytes; 0: there is no such type. */
  #header(length: number, one: number, two: number, four: number): void {
    const out = this.#out;
    const bytes = one !== 0 && length <= 0xff ? 1 : length <= 0xffff ? 2 : 4;
    out.byte(bytes === 1 ? one : bytes === 2 ? two : four);
    out.bigEndian(length, bytes);
  }

  #number(value: number): void {
    if (value >= -TWO_63 && value < TWO_63 && Math.trunc(value) === value) this.#integer(value);
    else if (Math.fround(value) === value) {
      this.#view.setFloat32(0, value);
      this.#out.byte(0xca);
      this.#copyView(4);
    } else {
      this.#view.setFloat64(0, value);
      this.#out.byte(0xcb);
      this.#copyView(8);
    }
  }

  #copyView(count: number): void {
    for (let i = 0; i < count; i++) this.#out.byte(this.#view.getUint8(i));
  }

  #integer(value: number): void {
    const out = this.#out;
    if (value >= 0 ? value <= 127 : value >= -32) {
      out.byte(value & 0xff);
      return;
    }
    const limits = value >= 0 ? [0xff, 0xffff, 0xffffffff] : [0x80, 0x8000, 0x80000000];
    const size = limits.findIndex((limit) => Math.abs(value) <= limit);
    const first = value >= 0 ? 0xcc : 0xd0;
    out.byte(first + (size < 0 ? 3 : size));
    if (size >= 0) out.bigEndian(value, 1 << size);
    else {
      const high = Math.floor(value / TWO_32);
      out.bigEndian(high, 4);
      out.bigEndian(value - high * TWO_32, 4);
    }
  }

  #table(L: Pointer, level: number): void {
    if (this.#isArray(L)) this.#array(L, level);
    else this.#map(L, level);
  }

  /** Whether the keys are 1 to n, all of them. */
  #isArray(L: Pointer): boolean {
    const { api } = this.#wasm;
    const top = api.lua_gettop(L);
    api.luaL_checkstack(L, 2, this.#wasm.cString('in function table_is_an_array'));
    let count = 0;
    let max = 0;
    api.lua_pushnil(L);
    while (api.lua_next(L, -2) !== 0) {
      api.lua_settop(L, -2);
      const key = api.lua_type(L, -1) === LUA_TNUMBER ? api.lua_tonumber(L, -1) : 0;
      if (!(key > 0 && key <= INT_MAX && Math.trunc(key) === key)) {
        api.lua_settop(L, top);
        return false;
      }
      if (key > max) max = key;
      count++;
    }
    api.lua_settop(L, top);
    return max === count;
  }

  #array(L: Pointer, level: number): void {
    const { api } = this.#wasm;
    const length = api.lua_objlen(L, -1);
    if (length <= 15) this.#out.byte(0x90 | length);
    else this.#header(length, 0, 0xdc, 0xdd);
    api.luaL_checkstack(L, 1, this.#wasm.cString('in function mp_encode_lua_table_as_array'));
    for (let i = 1; i <= length; i++) {
      api.lua_pushnumber(L, i);
      api.lua_gettable(L, -2);
      this.#value(L, level + 1);
    }
  }

  #map(L: Pointer, level: number): void {
    const { api } = this.#wasm;
    api.luaL_checkstack(L, 3, this.#wasm.cString('in function mp_encode_lua_table_as_map'));
    let length = 0;
    api.lua_pushnil(L);
    while (api.lua_next(L, -2) !== 0) {
      api.lua_settop(L, -2);
      length++;
    }
    if (length <= 15) this.#out.byte(0x80 | length);
    else this.#header(length, 0, 0xde, 0xdf);
    api.lua_pushnil(L);
    while (api.lua_next(L, -2) !== 0) {
      api.lua_pushvalue(L, -2);
      this.#value(L, level + 1);
      this.#value(L, level + 1);
    }
  }
}

/** Reads the string that is the first argument, where it lies. */
class Unpacker {
  readonly #wasm: LuaWasm;
  #at = 0;
  #end = 0;

  constructor(wasm: LuaWasm) {
    this.#wasm = wasm;
  }

  unpack(L: Pointer): number {
    return this.#unpack(L, 0, 0);
  }

  unpackOne(L: Pointer): number {
    const { api } = this.#wasm;
    const offset = api.luaL_optinteger(L, 2, 0);
    api.lua_settop(L, 1);
    return this.#unpack(L, 1, offset);
  }

  unpackLimit(L: Pointer): number {
    const { api } = this.#wasm;
    const limit = api.luaL_checkinteger(L, 2);
    const offset = api.luaL_optinteger(L, 3, 0);
    api.lua_settop(L, 1);
    return this.#unpack(L, limit, offset);
  }

  #unpack(L: Pointer, limit: number, offset: number): number {
    const wasm = this.#wasm;
    const { api, lengthOut } = wasm;
    const all = limit === 0 && offset === 0;
    const start = api.luaL_checklstring(L, 1, lengthOut);
    const length = wasm.words[lengthOut >> 2];
    if (offset < 0 || limit < 0) {
      wasm.raise(L, `Invalid request to unpack with offset of ${offset} and limit of ${length}.`);
    }
    if (offset > length) wasm.raise(L, `Start offset ${offset} greater than input length ${length}.`);
    this.#at = start + offset;
    this.#end = start + length;
    let count = 0;
    while (this.#at < this.#end && (all || count < limit)) {
      this.#value(L);
      count++;
    }
    if (all) return count;
    api.luaL_checkstack(L, 1, wasm.cString('in function mp_unpack_full'));
    api.lua_pushnumber(L, this.#at === this.#end ? -1 : this.#at - start);
    api.lua_insert(L, 2);
    return count + 1;
  }

  /** Takes `count` bytes. @returns where they are. */
  #take(L: Pointer, count: number): Pointer {
    const at = this.#at;
    if (this.#end - at < count) this.#wasm.raise(L, 'Missing bytes in input.');
    this.#at += count;
    return at;
  }

  #unsigned(L: Pointer, count: number): number {
    const at = this.#take(L, count);
    const { bytes } = this.#wasm;
    let value = 0;
    for (let i = 0; i < count; i++) value = value * 256 + bytes[at + i];
    return value;
  }

  #value(L: Pointer): void {
    const { api } = this.#wasm;
    const message = 'too many return values at once; use unpack_one or unpack_limit instead.';
    api.luaL_checkstack(L, 1, this.#wasm.cString(message));
    const type = this.#unsigned(L, 1);
    if (type < 0x80) api.lua_pushnumber(L, type);
    else if (type >= 0xe0) api.lua_pushnumber(L, type - 256);
    else if (type < 0x90) this.#hash(L, type & 0x0f);
    else if (type < 0xa0) this.#array(L, type & 0x0f);
    else if (type < 0xc0) this.#string(L, type & 0x1f);
    else this.#coded(L, type);
  }

  #coded(L: Pointer, type: number): void {
    const { api } = this.#wasm;
    if (type === 0xc0) api.lua_pushnil(L);
    else if (type === 0xc2 || type === 0xc3) api.lua_pushboolean(L, type - 0xc2);
    else if (type === 0xca || type === 0xcb) api.lua_pushnumber(L, this.#float(L, type === 0xca ? 4 : 8));
    else if (type >= 0xcc && type <= 0xce) api.lua_pushnumber(L, this.#unsigned(L, 1 << (type - 0xcc)));
    else if (type >= 0xd0 && type <= 0xd2) api.lua_pushnumber(L, this.#signed(L, 1 << (type - 0xd0)));
    else if (type === 0xcf || type === 0xd3) {
      const high = this.#unsigned(L, 4);
      api.lua_pushnumber(L, (type === 0xcf ? high : high | 0) * TWO_32 + this.#unsigned(L, 4));
    } else if (type >= 0xd9 && type <= 0xdb) this.#string(L, this.#unsigned(L, 1 << (type - 0xd9)));
    else if (type === 0xdc || type === 0xdd) this.#array(L, this.#unsigned(L, type === 0xdc ? 2 : 4));
    else if (type === 0xde || type === 0xdf) this.#hash(L, this.#unsigned(L, type === 0xde ? 2 : 4));
    else this.#wasm.raise(L, 'Bad data format in input.');
  }

  #signed(L: Pointer, count: number): number {
    const shift = 32 - count * 8;
    return ((this.#unsigned(L, count) | 0) << shift) >> shift;
  }

  #float(L: Pointer, count: number): number {
    const at = this.#take(L, count);
    const view = new DataView(this.#wasm.bytes.buffer, at, count);
    return count === 4 ? view.getFloat32(0) : view.getFloat64(0);
  }

  #string(L: Pointer, length: number): void {
    this.#wasm.api.lua_pushlstring(L, this.#take(L, length), length);
  }

  #array(L: Pointer, length: number): void {
    const { api } = this.#wasm;
    api.lua_createtable(L, 0, 0);
    api.luaL_checkstack(L, 2, this.#wasm.cString('in function mp_decode_to_lua_array'));
    for (let i = 1; i <= length; i++) {
      this.#value(L);
      api.lua_rawseti(L, -2, i);
    }
  }

  #hash(L: Pointer, length: number): void {
    const { api } = this.#wasm;
    api.lua_createtable(L, 0, 0);
    for (let i = 0; i < length; i++) {
      this.#value(L);
      this.#value(L);
      api.lua_settable(L, -3);
    }
  }
}

export function addCmsgpack(sandbox: Sandbox): void {
  const { L, wasm } = sandbox;
  const packer = new Packer(wasm);
  const unpacker = new Unpacker(wasm);
  wasm.api.lua_createtable(L, 0, 8);
  sandbox.setField('pack', (state) => packer.pack(state));
  sandbox.setField('unpack', (state) => unpacker.unpack(state));
  sandbox.setField('unpack_one', (state) => unpacker.unpackOne(state));
  sandbox.setField('unpack_limit', (state) => unpacker.unpackLimit(state));
  sandbox.setField('_NAME', 'cmsgpack');
  sandbox.setField('_VERSION', 'lua-cmsgpack 0.4.0');
  sandbox.setField('_COPYRIGHT', 'Copyright (C) 2012, Salvatore Sanfilippo');
  sandbox.setField('_DESCRIPTION', 'MessagePack C implementation for Lua');
  wasm.api.lua_setfield(L, LUA_GLOBALSINDEX, wasm.cString('cmsgpack'));
}
