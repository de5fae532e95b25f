// The global `cjson` of scripts: JSON as lua-cjson 2.1.0 writes and reads it, with its settings, which `cjson.new()`
// gives anew. The settings of a module are a userdata that its functions have as their upvalue.
import { formatGeneral } from '../data/number-format.ts';
import { ByteBuilder } from './byte-builder.ts';
import { CjsonDecoder } from './cjson-decoder.ts';
import {
  FIRST_UPVALUE,
  LUA_GLOBALSINDEX,
  LUA_TBOOLEAN,
  LUA_TLIGHTUSERDATA,
  LUA_TNIL,
  LUA_TNUMBER,
  LUA_TSTRING,
  LUA_TTABLE,
  type LuaWasm,
  type Pointer,
} from './lua-wasm.ts';
import type { Sandbox } from './sandbox.ts';

const INT_MAX = 0x7fffffff;

// Settings, and where in the userdata they are, in words.
const SPARSE_CONVERT = 0;
const SPARSE_RATIO = 1;
const SPARSE_SAFE = 2;
const ENCODE_MAX_DEPTH = 3;
const ENCODE_INVALID_NUMBERS = 4;
const NUMBER_PRECISION = 5;
const KEEP_BUFFER = 6;
const DECODE_INVALID_NUMBERS = 7;
const DECODE_MAX_DEPTH = 8;
const DEFAULTS = [0, 2, 10, 1000, 0, 14, 1, 1, 1000];

const SWITCH = ['off', 'on'];
const INVALID_NUMBERS = ['off', 'on', 'null'];

/** What a byte of a string is written as; empty: as it is. */
const ESCAPED = Array.from({ length: 256 }, (_, byte) => {
  const names: Readonly<Record<number, string>> = {
    8: '\\b',
    9: '\\t',
    10: '\\n',
    12: '\\f',
    13: '\\r',
    34: '\\"',
    47: '\\/',
    92: '\\\\',
  };
  if (names[byte] !== undefined) return names[byte];
  return byte < 32 || byte === 127 ? `\\u${byte.toString(16).padStart(4, '0')}` : '';
});

class CjsonLibrary {
  readonly #wasm: LuaWasm;
  readonly #out = new ByteBuilder();
  readonly #decoder: CjsonDecoder;
  readonly #functions: readonly (readonly [name: string, f: number])[];
  #settings: Pointer = 0;

  constructor(wasm: LuaWasm) {
    this.#wasm = wasm;
    this.#decoder = new CjsonDecoder(wasm);
    const all: Record<string, (L: Pointer) => number> = {
      encode: (L) => this.#encode(L),
      decode: (L) => this.#decode(L),
      encode_sparse_array: (L) => {
        this.#arguments(L, 3);
        this.#choice(L, 1, SPARSE_CONVERT, SWITCH);
        this.#integer(L, 2, SPARSE_RATIO, 0, INT_MAX);
        this.#integer(L, 3, SPARSE_SAFE, 0, INT_MAX);
        return 3;
      },
      encode_max_depth: (L) => this.#oneInteger(L, ENCODE_MAX_DEPTH, INT_MAX),
      decode_max_depth: (L) => this.#oneInteger(L, DECODE_MAX_DEPTH, INT_MAX),
      encode_number_precision: (L) => this.#oneInteger(L, NUMBER_PRECISION, 14),
      encode_keep_buffer: (L) => this.#oneChoice(L, KEEP_BUFFER, SWITCH),
      encode_invalid_numbers: (L) => this.#oneChoice(L, ENCODE_INVALID_NUMBERS, INVALID_NUMBERS),
      decode_invalid_numbers: (L) => this.#oneChoice(L, DECODE_INVALID_NUMBERS, SWITCH),
      new: (L) => this.pushModule(L),
    };
    this.#functions = Object.entries(all).map(([name, f]) => [name, wasm.cFunction(f)]);
  }

  /** Pushes a table of the functions with settings of their own. */
  pushModule(L: Pointer): number {
    const wasm = this.#wasm;
    const { api } = wasm;
    api.lua_createtable(L, 0, 16);
    const settings = api.lua_newuserdata(L, DEFAULTS.length * 4);
    wasm.words.set(DEFAULTS, settings >> 2);
    for (const [name, f] of this.#functions) {
      api.lua_pushvalue(L, -1);
      api.lua_pushcclosure(L, f, 1);
      api.lua_setfield(L, -3, wasm.cString(name));
    }
    api.lua_settop(L, -2);
    api.lua_pushlightuserdata(L, 0);
    api.lua_setfield(L, -2, wasm.cString('null'));
    for (const [name, text] of [
      ['_NAME', 'cjson'],
      ['_VERSION', '2.1.0'],
    ]) {
      wasm.pushLatin1(L, text);
      api.lua_setfield(L, -2, wasm.cString(name));
    }
    return 1;
  }

  // --- settings ---

  #setting(which: number): number {
    return this.#wasm.words[(this.#settings >> 2) + which];
  }

  /** Takes up the settings of the function that runs. */
  #begin(L: Pointer): void {
    this.#settings = this.#wasm.api.lua_touserdata(L, FIRST_UPVALUE);
  }

  #arguments(L: Pointer, max: number): void {
    const { api } = this.#wasm;
    this.#wasm.checkArgument(L, api.lua_gettop(L) <= max, max + 1, 'found too many arguments');
    api.lua_settop(L, max);
    this.#begin(L);
  }

  #oneInteger(L: Pointer, which: number, max: number): number {
    this.#arguments(L, 1);
    return this.#integer(L, 1, which, 1, max);
  }

  #oneChoice(L: Pointer, which: number, options: readonly string[]): number {
    this.#arguments(L, 1);
    return this.#choice(L, 1, which, options);
  }

  #integer(L: Pointer, index: number, which: number, min: number, max: number): number {
    const { api } = this.#wasm;
    if (api.lua_type(L, index) !== LUA_TNIL) {
      const value = api.luaL_checkinteger(L, index);
      const message = `expected integer between ${min} and ${max}`;
      this.#wasm.checkArgument(L, min <= value && value <= max, 1, message);
      this.#wasm.words[(this.#settings >> 2) + which] = value;
    }
    api.lua_pushnumber(L, this.#setting(which));
    return 1;
  }

  #choice(L: Pointer, index: number, which: number, options: readonly string[]): number {
    const { api } = this.#wasm;
    const type = api.lua_type(L, index);
    if (type === LUA_TBOOLEAN) this.#wasm.words[(this.#settings >> 2) + which] = api.lua_toboolean(L, index);
    else if (type !== LUA_TNIL) {
      const text = this.#wasm.cText(api.luaL_checklstring(L, index, 0));
      const value = options.indexOf(text);
      this.#wasm.checkArgument(L, value >= 0, index, `invalid option '${text}'`);
      this.#wasm.words[(this.#settings >> 2) + which] = value;
    }
    const value = this.#setting(which);
    if (value <= 1) api.lua_pushboolean(L, value);
    else this.#wasm.pushLatin1(L, options[value]);
    return 1;
  }

  #decode(L: Pointer): number {
    this.#begin(L);
    const depthMax = this.#setting(DECODE_MAX_DEPTH);
    return this.#decoder.decode(L, { depthMax, invalidNumbers: this.#setting(DECODE_INVALID_NUMBERS) !== 0 });
  }

  // --- encoding ---

  #encode(L: Pointer): number {
    this.#begin(L);
    this.#wasm.checkArgument(L, this.#wasm.api.lua_gettop(L) === 1, 1, 'expected 1 argument');
    this.#out.reset();
    this.#value(L, 0);
    this.#out.push(this.#wasm, L);
    return 1;
  }

  #refuse(L: Pointer, index: number, reason: string): never {
    const { api } = this.#wasm;
    const type = this.#wasm.cText(api.lua_typename(L, api.lua_type(L, index)));
    return this.#wasm.raise(L, `Cannot serialise ${type}: ${reason}`);
  }

  /** Writes the value on top of the stack, which stays there. */
  #value(L: Pointer, depth: number): void {
    const { api } = this.#wasm;
    switch (api.lua_type(L, -1)) {
      case LUA_TSTRING:
        this.#string(L, -1);
        break;
      case LUA_TNUMBER:
        this.#number(L, -1);
        break;
      case LUA_TBOOLEAN:
        this.#out.text(api.lua_toboolean(L, -1) !== 0 ? 'true' : 'false');
        break;
      case LUA_TTABLE:
        this.#table(L, depth + 1);
        break;
      case LUA_TNIL:
        this.#out.text('null');
        break;
      default:
        if (api.lua_type(L, -1) !== LUA_TLIGHTUSERDATA || api.lua_touserdata(L, -1) !== 0) {
          this.#refuse(L, -1, 'type not supported');
        }
        this.#out.text('null');
    }
  }

  #string(L: Pointer, index: number): void {
    const { api, lengthOut } = this.#wasm;
    const at = api.lua_tolstring(L, index, lengthOut);
    const { bytes, words } = this.#wasm;
    const end = at + words[lengthOut >> 2];
    const out = this.#out;
    out.ensure((end - at) * 6 + 2);
    out.bytes[out.length++] = 34;
    for (let i = at; i < end; i++) {
      const escaped = ESCAPED[bytes[i]];
      if (escaped === '') out.bytes[out.length++] = bytes[i];
      else for (let k = 0; k < escaped.length; k++) out.bytes[out.length++] = escaped.charCodeAt(k);
    }
    out.bytes[out.length++] = 34;
  }

  #number(L: Pointer, index: number): void {
    const value = this.#wasm.api.lua_tonumber(L, index);
    if (!Number.isFinite(value)) {
      const invalid = this.#setting(ENCODE_INVALID_NUMBERS);
      if (invalid === 0) this.#refuse(L, index, 'must not be NaN or Inf');
      if (invalid === 2) {
        this.#out.text('null');
        return;
      }
    }
    this.#out.text(formatGeneral(value, this.#setting(NUMBER_PRECISION)));
  }

  #table(L: Pointer, depth: number): void {
    const { api } = this.#wasm;
    if (depth > this.#setting(ENCODE_MAX_DEPTH) || api.lua_checkstack(L, 3) === 0) {
      this.#wasm.raise(L, `Cannot serialise, excessive nesting (${depth})`);
    }
    const length = this.#arrayLength(L);
    if (length > 0) this.#array(L, depth, length);
    else this.#object(L, depth);
  }

  /** The highest index of a table with none but positive whole keys; -1 for others and for one with large holes. */
  #arrayLength(L: Pointer): number {
    const { api } = this.#wasm;
    let max = 0;
    let items = 0;
    api.lua_pushnil(L);
    while (api.lua_next(L, -2) !== 0) {
      const key = api.lua_type(L, -2) === LUA_TNUMBER ? api.lua_tonumber(L, -2) : 0;
      if (!(key >= 1 && Math.floor(key) === key)) {
        api.lua_settop(L, -3);
        return -1;
      }
      if (key > max) max = key;
      items++;
      api.lua_settop(L, -2);
    }
    const ratio = this.#setting(SPARSE_RATIO);
    if (ratio > 0 && max > items * ratio && max > this.#setting(SPARSE_SAFE)) {
      if (this.#setting(SPARSE_CONVERT) === 0) this.#refuse(L, -1, 'excessively sparse array');
      return -1;
    }
    return max;
  }

  #array(L: Pointer, depth: number, length: number): void {
    const { api } = this.#wasm;
    this.#out.byte(91);
    for (let i = 1; i <= length; i++) {
      if (i > 1) this.#out.byte(44);
      api.lua_rawgeti(L, -1, i);
      this.#value(L, depth);
      api.lua_settop(L, -2);
    }
    this.#out.byte(93);
  }

  #object(L: Pointer, depth: number): void {
    const { api } = this.#wasm;
    const out = this.#out;
    out.byte(123);
    let first = true;
    api.lua_pushnil(L);
    while (api.lua_next(L, -2) !== 0) {
      if (!first) out.byte(44);
      first = false;
      const type = api.lua_type(L, -2);
      if (type === LUA_TNUMBER) {
        out.byte(34);
        this.#number(L, -2);
        out.text('":');
      } else if (type === LUA_TSTRING) {
        this.#string(L, -2);
        out.byte(58);
      } else this.#refuse(L, -2, 'table key must be a number or string');
      this.#value(L, depth);
      api.lua_settop(L, -2);
    }
    out.byte(125);
  }
}

export function addCjson(sandbox: Sandbox): void {
  const { L, wasm } = sandbox;
  new CjsonLibrary(wasm).pushModule(L);
  wasm.api.lua_setfield(L, LUA_GLOBALSINDEX, wasm.cString('cjson'));
}
