// The global `struct` of scripts: packs numbers and strings into bytes by a format, as Roberto Ierusalimschy's library
// does with C's sizes on x86-64. `d`, `f`: doubles and floats; `b` `h` `i` `l` `T`: integers; `s` `c`: strings.
import { ByteBuilder } from './byte-builder.ts';
import type { CFunction, LuaWasm, Pointer } from './lua-wasm.ts';

const INTEGER_SIZE_MAX = 32;
const INT_MAX = 0x7fffffff;
const MAX_ALIGN = 8;
const SIZES: Readonly<Record<string, number>> = { B: 1, b: 1, H: 2, h: 2, L: 8, l: 8, T: 8, f: 4, d: 8, x: 1 };
const INTEGERS = 'bBhHlLTiI';

/** Reads a format one option at a time, and keeps what its options set. */
class Format {
  littleEndian = true;
  /** The option just read, the bytes it takes, and the padding before it. */
  option = '';
  size = 0;
  padding = 0;
  readonly #wasm: LuaWasm;
  readonly #L: Pointer;
  readonly #text: string;
  #at = 0;
  #align = 1;

  constructor(wasm: LuaWasm, L: Pointer) {
    this.#wasm = wasm;
    this.#L = L;
    this.#text = wasm.cText(wasm.api.luaL_checklstring(L, 1, 0));
  }

  /** @param position bytes so far. @returns false at the end. */
  next(position: number): boolean {
    if (this.#at >= this.#text.length) return false;
    this.option = this.#text[this.#at++];
    this.size = this.#optionSize();
    this.padding = this.#paddingAt(position);
    return true;
  }

  #number(fallback: number): number {
    let value = -1;
    for (; this.#at < this.#text.length; this.#at++) {
      const digit = this.#text.charCodeAt(this.#at) - 48;
      if (digit < 0 || digit > 9) break;
      value = Math.max(value, 0) * 10 + digit;
      if (value > INT_MAX) this.#wasm.raise(this.#L, 'integral size overflow');
    }
    return value < 0 ? fallback : value;
  }

  #optionSize(): number {
    if (this.option === 'c') return this.#number(1);
    if (this.option !== 'i' && this.option !== 'I') return SIZES[this.option] ?? 0;
    const size = this.#number(4);
    if (size > INTEGER_SIZE_MAX) {
      this.#wasm.raise(this.#L, `integral size ${size} is larger than limit of ${INTEGER_SIZE_MAX}`);
    }
    return size;
  }

  #paddingAt(position: number): number {
    if (this.size === 0 || this.option === 'c') return 0;
    const size = Math.min(this.size, this.#align);
    return (size - (position & (size - 1))) & (size - 1);
  }

  /** An option that is no item: byte order, alignment, a space. */
  control(): void {
    if (this.option === '>') this.littleEndian = false;
    else if (this.option === '<') this.littleEndian = true;
    else if (this.option === '!') {
      const align = this.#number(MAX_ALIGN);
      if (align <= 0 || (align & (align - 1)) !== 0) {
        this.#wasm.raise(this.#L, `alignment ${align} is not a power of 2`);
      }
      this.#align = align;
    } else if (this.option !== ' ') {
      this.#wasm.argumentError(this.#L, 1, `invalid format option '${this.option}'`);
    }
  }
}

/** C's conversion of a double to a 64-bit integer. */
function toInt64(value: number): bigint {
  const whole = Math.trunc(value);
  return whole >= -(2 ** 63) && whole < 2 ** 64 ? BigInt.asUintN(64, BigInt(whole)) : 1n << 63n;
}

class StructLibrary {
  readonly #wasm: LuaWasm;
  readonly #out = new ByteBuilder();
  readonly #view = new DataView(new ArrayBuffer(8));

  constructor(wasm: LuaWasm) {
    this.#wasm = wasm;
  }

  pack(L: Pointer): number {
    const { api } = this.#wasm;
    const out = this.#out;
    const format = new Format(this.#wasm, L);
    let argument = 2;
    // What the argument behind the last one is called in an error.
    api.lua_pushnil(L);
    out.reset();
    while (format.next(out.length)) {
      for (let i = 0; i < format.padding; i++) out.byte(0);
      const { littleEndian, option, size } = format;
      if (INTEGERS.includes(option)) this.#putInteger(api.luaL_checknumber(L, argument++), size, littleEndian);
      else if (option === 'x') out.byte(0);
      else if (option === 'f' || option === 'd') {
        this.#putFloat(api.luaL_checknumber(L, argument++), size, littleEndian);
      } else if (option === 'c' || option === 's') this.#putString(L, argument++, size, option === 's');
      else format.control();
    }
    out.push(this.#wasm, L);
    return 1;
  }

  #putInteger(value: number, size: number, littleEndian: boolean): void {
    const out = this.#out;
    out.ensure(size);
    let rest = toInt64(value);
    for (let i = 0; i < size; i++) {
      out.bytes[out.length + (littleEndian ? i : size - 1 - i)] = Number(rest & 0xffn);
      rest >>= 8n;
    }
    out.length += size;
  }

  #putFloat(value: number, size: number, littleEndian: boolean): void {
    if (size === 4) this.#view.setFloat32(0, value, littleEndian);
    else this.#view.setFloat64(0, value, littleEndian);
    for (let i = 0; i < size; i++) this.#out.byte(this.#view.getUint8(i));
  }

  #putString(L: Pointer, argument: number, size: number, terminated: boolean): void {
    const { api, lengthOut } = this.#wasm;
    const at = api.luaL_checklstring(L, argument, lengthOut);
    const length = this.#wasm.words[lengthOut >> 2];
    // The argument that is named is the next one, as in C.
    this.#wasm.checkArgument(L, length >= size, argument + 1, 'string too short');
    this.#out.append(this.#wasm.bytes, at, size === 0 ? length : size);
    if (terminated) this.#out.byte(0);
  }

  unpack(L: Pointer): number {
    const wasm = this.#wasm;
    const { api, lengthOut } = wasm;
    const format = new Format(wasm, L);
    const data = api.luaL_checklstring(L, 2, lengthOut);
    const length = wasm.words[lengthOut >> 2];
    let at = api.luaL_optinteger(L, 3, 1) - 1;
    wasm.checkArgument(L, at >= 0, 3, 'offset must be 1 or greater');
    let results = 0;
    while (format.next(at)) {
      const { littleEndian, option } = format;
      let { size } = format;
      at += format.padding;
      wasm.checkArgument(L, at + size <= length, 2, 'data string too short');
      api.luaL_checkstack(L, 2, wasm.cString('too many results'));
      if (INTEGERS.includes(option)) {
        const signed = option >= 'a';
        api.lua_pushnumber(L, this.#getInteger(data + at, size, signed, littleEndian));
        results++;
      } else if (option === 'f' || option === 'd') {
        api.lua_pushnumber(L, this.#getFloat(data + at, size, littleEndian));
        results++;
      } else if (option === 'c') {
        if (size === 0) {
          if (results === 0 || api.lua_isnumber(L, -1) === 0) wasm.raise(L, "format 'c0' needs a previous size");
          const wanted = api.lua_tonumber(L, -1);
          size = Math.trunc(wanted);
          api.lua_settop(L, -2);
          results--;
          wasm.checkArgument(L, size >= 0 && at + size <= length, 2, 'data string too short');
        }
        api.lua_pushlstring(L, data + at, size);
        results++;
      } else if (option === 's') {
        const end = wasm.bytes.subarray(0, data + length).indexOf(0, data + at);
        if (end < 0) wasm.raise(L, 'unfinished string in data');
        api.lua_pushlstring(L, data + at, end - data - at);
        size = end - data - at + 1;
        results++;
      } else if (option !== 'x') format.control();
      at += size;
    }
    api.lua_pushnumber(L, at + 1);
    return results + 1;
  }

  #getInteger(at: Pointer, size: number, signed: boolean, littleEndian: boolean): number {
    const { bytes } = this.#wasm;
    let value = 0n;
    for (let i = 0; i < size; i++) {
      value = BigInt.asUintN(64, (value << 8n) | BigInt(bytes[littleEndian ? at + size - 1 - i : at + i]));
    }
    if (!signed) return Number(value);
    const mask = BigInt.asUintN(64, ~0n << BigInt((size * 8 - 1) & 63));
    if ((value & mask) !== 0n) value |= mask;
    return Number(BigInt.asIntN(64, value));
  }

  #getFloat(at: Pointer, size: number, littleEndian: boolean): number {
    for (let i = 0; i < size; i++) this.#view.setUint8(i, this.#wasm.bytes[at + i]);
    return size === 4 ? this.#view.getFloat32(0, littleEndian) : this.#view.getFloat64(0, littleEndian);
  }

  size(L: Pointer): number {
    const wasm = this.#wasm;
    const format = new Format(wasm, L);
    let position = 0;
    while (format.next(position)) {
      position += format.padding;
      if (format.option === 's') wasm.argumentError(L, 1, "option 's' has no fixed size");
      if (format.option === 'c' && format.size === 0) wasm.argumentError(L, 1, "option 'c0' has no fixed size");
      if (!/[0-9A-Za-z]/.test(format.option)) format.control();
      position += format.size;
    }
    wasm.api.lua_pushnumber(L, position);
    return 1;
  }
}

export function structLibrary(wasm: LuaWasm): Record<string, CFunction> {
  const library = new StructLibrary(wasm);
  return {
    pack: (L) => library.pack(L),
    unpack: (L) => library.unpack(L),
    size: (L) => library.size(L),
  };
}
