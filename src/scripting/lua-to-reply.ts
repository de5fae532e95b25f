// What a script returns, as a reply to its caller. Anyone in src/scripting imports it.
import { formatDouble } from '../data/number-format.ts';
import type { ReplyWriter } from '../resp/reply-writer.ts';
import {
  LUA_TBOOLEAN,
  LUA_TNIL,
  LUA_TNUMBER,
  LUA_TSTRING,
  LUA_TTABLE,
  type LuaWasm,
  type Pointer,
} from './lua-wasm.ts';

const INT64_MIN = '-9223372036854775808';
const TWO_63 = 2 ** 63;

/** A number as the integer that C's cast to long long makes of it on x86-64. */
function writeTruncated(reply: ReplyWriter, value: number): void {
  const whole = Math.trunc(value);
  if (Number.isSafeInteger(whole)) reply.integer(whole + 0);
  else if (whole >= -TWO_63 && whole < TWO_63) reply.bigInteger(BigInt(whole));
  else reply.bigInteger(BigInt(INT64_MIN));
}

/** Tables within tables that are written: JavaScript's stack ends before Lua's, where Redis stops. */
const DEPTH_MAX = 2000;

export class LuaToReply {
  readonly #wasm: LuaWasm;
  #depth = 0;

  constructor(wasm: LuaWasm) {
    this.#wasm = wasm;
  }

  /**
   * Writes the value on top of the stack, and pops it.
   * @param protocol the script's own (`redis.setresp`), which decides what booleans are.
   */
  write(L: Pointer, reply: ReplyWriter, protocol: 2 | 3): void {
    const { api } = this.#wasm;
    if (this.#depth === DEPTH_MAX || api.lua_checkstack(L, 4) === 0) {
      reply.error('ERR reached lua stack limit');
      api.lua_settop(L, -2);
      return;
    }
    switch (api.lua_type(L, -1)) {
      case LUA_TSTRING:
        this.#string(L, reply);
        break;
      case LUA_TNUMBER:
        writeTruncated(reply, api.lua_tonumber(L, -1));
        break;
      case LUA_TBOOLEAN: {
        const value = api.lua_toboolean(L, -1) !== 0;
        if (protocol === 3) reply.boolean(value);
        else if (value) reply.integer(1);
        else reply.null();
        break;
      }
      case LUA_TTABLE:
        this.#depth++;
        this.#table(L, reply, protocol);
        this.#depth--;
        break;
      default:
        reply.null();
    }
    api.lua_settop(L, -2);
  }

  #string(L: Pointer, reply: ReplyWriter): void {
    const { api, bytes, lengthOut, words } = this.#wasm;
    const at = api.lua_tolstring(L, -1, lengthOut);
    reply.bulk(bytes, at, words[lengthOut >> 2]);
  }

  /** Pushes a field of the table on top when it is of that type. */
  #has(L: Pointer, name: string, type: number): boolean {
    const { api } = this.#wasm;
    api.lua_pushlstring(L, this.#wasm.cString(name), name.length);
    api.lua_rawget(L, -2);
    if (api.lua_type(L, -1) === type) return true;
    api.lua_settop(L, -2);
    return false;
  }

  #table(L: Pointer, reply: ReplyWriter, protocol: 2 | 3): void {
    const wasm = this.#wasm;
    const top = wasm.api.lua_gettop(L);
    if (this.#has(L, 'err', LUA_TSTRING)) this.#error(L, reply, wasm.cStringAt(L, -1));
    else if (this.#has(L, 'ok', LUA_TSTRING)) reply.simple(wasm.cStringAt(L, -1).replace(/[\r\n]/g, ' '));
    else if (this.#has(L, 'double', LUA_TNUMBER)) reply.double(formatDouble(wasm.api.lua_tonumber(L, -1)));
    else if (this.#has(L, 'big_number', LUA_TSTRING)) reply.bigNumber(wasm.latin1At(L, -1).replace(/[\r\n]/g, ' '));
    else if (!this.#verbatim(L, reply)) {
      wasm.api.lua_settop(L, top);
      if (this.#has(L, 'map', LUA_TTABLE)) this.#map(L, reply, protocol);
      else if (this.#has(L, 'set', LUA_TTABLE)) this.#set(L, reply, protocol);
      else this.#array(L, reply, protocol);
    }
    wasm.api.lua_settop(L, top);
  }

  #error(L: Pointer, reply: ReplyWriter, text: string): void {
    const { api } = this.#wasm;
    api.lua_getfield(L, -2, this.#wasm.cString('ignore_error_stats_update'));
    const counted = api.lua_type(L, -1) === LUA_TBOOLEAN && api.lua_toboolean(L, -1) !== 0;
    api.lua_settop(L, -2);
    writeError(reply, text, counted);
  }

  #verbatim(L: Pointer, reply: ReplyWriter): boolean {
    const { api, lengthOut } = this.#wasm;
    if (!this.#has(L, 'verbatim_string', LUA_TTABLE) || !this.#has(L, 'format', LUA_TSTRING)) return false;
    const format = this.#wasm.cStringAt(L, -1);
    api.lua_settop(L, -2);
    if (!this.#has(L, 'string', LUA_TSTRING)) return false;
    const at = api.lua_tolstring(L, -1, lengthOut);
    reply.verbatimBytes(format, this.#wasm.bytes, at, this.#wasm.words[lengthOut >> 2]);
    return true;
  }

  #map(L: Pointer, reply: ReplyWriter, protocol: 2 | 3): void {
    const { api } = this.#wasm;
    const mark = reply.openDeferred();
    let pairs = 0;
    api.lua_pushnil(L);
    while (api.lua_next(L, -2) !== 0) {
      api.lua_pushvalue(L, -2);
      this.write(L, reply, protocol);
      this.write(L, reply, protocol);
      pairs++;
    }
    reply.closeMap(mark, pairs);
  }

  #set(L: Pointer, reply: ReplyWriter, protocol: 2 | 3): void {
    const { api } = this.#wasm;
    const mark = reply.openDeferred();
    let count = 0;
    api.lua_pushnil(L);
    while (api.lua_next(L, -2) !== 0) {
      api.lua_settop(L, -2);
      api.lua_pushvalue(L, -1);
      this.write(L, reply, protocol);
      count++;
    }
    reply.closeSet(mark, count);
  }

  #array(L: Pointer, reply: ReplyWriter, protocol: 2 | 3): void {
    const { api } = this.#wasm;
    const mark = reply.openDeferred();
    let count = 0;
    for (;;) {
      api.lua_rawgeti(L, -1, count + 1);
      if (api.lua_type(L, -1) === LUA_TNIL) break;
      this.write(L, reply, protocol);
      count++;
    }
    api.lua_settop(L, -2);
    reply.closeArray(mark, count);
  }
}

/** @param counted whether statistics know of the error already: from the command that the script has called. */
export function writeError(reply: ReplyWriter, text: string, counted: boolean): void {
  reply.error(text.replace(/[\r\n]+$/, ''));
  if (counted) reply.lastError = '';
}
