// A command's reply, RESP bytes, as Lua values: what redis.call gives to a script. Anyone in src/scripting imports it.
import { LUA_TTABLE, type LuaWasm, type Pointer } from './lua-wasm.ts';

const CR = 13;

export class ReplyToLua {
  readonly #wasm: LuaWasm;
  #bytes: Uint8Array = new Uint8Array(0);
  /** Where the same bytes are in the linear memory. */
  #base = 0;
  #at = 0;
  readonly #ok: Pointer;
  readonly #err: Pointer;

  constructor(wasm: LuaWasm) {
    this.#wasm = wasm;
    this.#ok = wasm.cString('ok');
    this.#err = wasm.cString('err');
  }

  /** Pushes the one reply in `bytes[0, length)`. */
  push(L: Pointer, bytes: Uint8Array, length: number): void {
    this.#bytes = bytes;
    this.#base = this.#wasm.copyIn(bytes, 0, length);
    this.#at = 0;
    this.#push(L);
  }

  #push(L: Pointer): void {
    const { api } = this.#wasm;
    api.lua_checkstack(L, 6);
    const kind = this.#bytes[this.#at++];
    const start = this.#at;
    switch (kind) {
      case 36 /* $ */:
        this.#pushBulk(L);
        return;
      case 58 /* : */:
        api.lua_pushnumber(L, this.#number());
        return;
      case 42 /* * */:
        this.#pushArray(L);
        return;
      case 43 /* + */:
        api.lua_createtable(L, 0, 1);
        api.lua_pushlstring(L, this.#base + start, this.#line() - start);
        api.lua_setfield(L, -2, this.#ok);
        return;
      case 45 /* - */:
        this.#pushError(L);
        return;
      case 95 /* _ */:
        this.#line();
        api.lua_pushnil(L);
        return;
      case 35 /* # */:
        api.lua_pushboolean(L, this.#bytes[start] === 116 ? 1 : 0);
        this.#line();
        return;
      default:
        this.#pushWrapped(L, kind);
    }
  }

  /** What Lua has no type for comes in a table that names its type. */
  #pushWrapped(L: Pointer, kind: number): void {
    const { api } = this.#wasm;
    const start = this.#at;
    switch (kind) {
      case 44 /* , */:
        api.lua_createtable(L, 0, 1);
        api.lua_pushnumber(L, this.#double());
        this.#setField(L, 'double');
        return;
      case 40 /* ( */:
        api.lua_createtable(L, 0, 1);
        api.lua_pushlstring(L, this.#base + start, this.#line() - start);
        this.#setField(L, 'big_number');
        return;
      case 37 /* % */:
        this.#pushMap(L);
        return;
      case 126 /* ~ */:
        this.#pushSet(L);
        return;
      case 61 /* = */:
        this.#pushVerbatim(L);
        return;
      case 124 /* | */:
        {
          // Attributes are not shown to scripts.
          const top = api.lua_gettop(L);
          for (let left = this.#number() * 2; left > 0; left--) {
            this.#push(L);
            api.lua_settop(L, top);
          }
          this.#push(L);
          return;
        }
      default:
        this.#pushArray(L);
    }
  }

  #setField(L: Pointer, name: string): void {
    this.#wasm.api.lua_setfield(L, -2, this.#wasm.cString(name));
  }

  /** @returns where the line ends; what follows is read next. */
  #line(): number {
    const bytes = this.#bytes;
    let end = this.#at;
    while (bytes[end] !== CR) end++;
    this.#at = end + 2;
    return end;
  }

  #number(): number {
    const bytes = this.#bytes;
    const negative = bytes[this.#at] === 45;
    const start = negative ? this.#at + 1 : this.#at;
    const end = this.#line();
    if (end - start > 15) return Number(this.#text(negative ? start - 1 : start, end));
    let value = 0;
    for (let at = start; at < end; at++) value = value * 10 + (bytes[at] - 48);
    return negative ? -value : value;
  }

  #double(): number {
    const start = this.#at;
    const text = this.#text(start, this.#line());
    if (text === 'inf') return Number.POSITIVE_INFINITY;
    if (text === '-inf') return Number.NEGATIVE_INFINITY;
    return Number(text);
  }

  #text(start: number, end: number): string {
    return this.#wasm.latin1(this.#base + start, end - start);
  }

  #pushBulk(L: Pointer): void {
    const length = this.#number();
    // Lua cannot keep a nil in a table: absent is false.
    if (length < 0) this.#wasm.api.lua_pushboolean(L, 0);
    else {
      this.#wasm.api.lua_pushlstring(L, this.#base + this.#at, length);
      this.#at += length + 2;
    }
  }

  #pushArray(L: Pointer): void {
    const { api } = this.#wasm;
    const count = this.#number();
    if (count < 0) {
      api.lua_pushboolean(L, 0);
      return;
    }
    api.lua_createtable(L, count, 0);
    for (let i = 1; i <= count; i++) {
      this.#push(L);
      api.lua_rawseti(L, -2, i);
    }
  }

  #pushError(L: Pointer): void {
    const start = this.#at;
    pushError(this.#wasm, L, this.#text(start, this.#line()));
    this.#wasm.api.lua_pushboolean(L, 1);
    this.#setField(L, 'ignore_error_stats_update');
  }

  #pushMap(L: Pointer): void {
    const { api } = this.#wasm;
    const pairs = this.#number();
    api.lua_createtable(L, 0, 1);
    api.lua_createtable(L, 0, pairs);
    for (let i = 0; i < pairs; i++) {
      this.#push(L);
      this.#push(L);
      api.lua_settable(L, -3);
    }
    this.#setField(L, 'map');
  }

  #pushSet(L: Pointer): void {
    const { api } = this.#wasm;
    const count = this.#number();
    api.lua_createtable(L, 0, 1);
    api.lua_createtable(L, 0, count);
    for (let i = 0; i < count; i++) {
      this.#push(L);
      api.lua_pushboolean(L, 1);
      api.lua_settable(L, -3);
    }
    this.#setField(L, 'set');
  }

  #pushVerbatim(L: Pointer): void {
    const { api } = this.#wasm;
    const length = this.#number();
    const start = this.#base + this.#at;
    this.#at += length + 2;
    api.lua_createtable(L, 0, 1);
    api.lua_createtable(L, 0, 2);
    api.lua_pushlstring(L, start + 4, length - 4);
    this.#setField(L, 'string');
    api.lua_pushlstring(L, start, 3);
    this.#setField(L, 'format');
    this.#setField(L, 'verbatim_string');
  }

  /** The text of the error in the table on top of the stack, or null when it is none. */
  errorText(L: Pointer): string | null {
    const { api } = this.#wasm;
    if (api.lua_type(L, -1) !== LUA_TTABLE) return null;
    api.lua_getfield(L, -1, this.#err);
    const text = api.lua_isstring(L, -1) !== 0 ? this.#wasm.cStringAt(L, -1) : null;
    api.lua_settop(L, -2);
    return text;
  }
}

/** Pushes an error as scripts get it. @param text with its code; one without a space gets ERR in front. */
export function pushError(wasm: LuaWasm, L: Pointer, text: string): void {
  const coded = text.includes(' ') ? text : `ERR ${text}`;
  const end = coded.indexOf('\0');
  wasm.api.lua_createtable(L, 0, 1);
  wasm.pushLatin1(L, (end < 0 ? coded : coded.slice(0, end)).replace(/^([^ ]* )[\r\n]+|[\r\n]+$/g, '$1'));
  wasm.api.lua_setfield(L, -2, wasm.cString('err'));
}
