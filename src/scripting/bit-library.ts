// The global `bit` of scripts: operations on 32-bit integers, numbers taken modulo 2^32.
import type { CFunction, LuaWasm, Pointer } from './lua-wasm.ts';

/** Adding it leaves a double's integer, rounded to even, in the low bits of its mantissa. */
const BIAS = 2 ** 52 + 2 ** 51;
const scratch = new Float64Array(1);
const lowBits = new Int32Array(scratch.buffer);

export function bitLibrary(wasm: LuaWasm): Record<string, CFunction> {
  const { api } = wasm;
  const number = wasm.cString('number');

  const bits = (L: Pointer, index: number): number => {
    scratch[0] = api.lua_tonumber(L, index) + BIAS;
    const value = lowBits[0];
    if (value === 0 && api.lua_isnumber(L, index) === 0) api.luaL_typerror(L, index, number);
    return value;
  };
  const push = (L: Pointer, value: number): number => {
    api.lua_pushnumber(L, value | 0);
    return 1;
  };
  const folded =
    (combine: (a: number, b: number) => number): CFunction =>
    (L) => {
      let value = bits(L, 1);
      for (let i = api.lua_gettop(L); i > 1; i--) value = combine(value, bits(L, i));
      return push(L, value);
    };
  const shifted =
    (shift: (value: number, count: number) => number): CFunction =>
    (L) => {
      const value = bits(L, 1);
      return push(L, shift(value, bits(L, 2) & 31));
    };

  return {
    tobit: (L) => push(L, bits(L, 1)),
    bnot: (L) => push(L, ~bits(L, 1)),
    band: folded((a, b) => a & b),
    bor: folded((a, b) => a | b),
    bxor: folded((a, b) => a ^ b),
    lshift: shifted((value, count) => value << count),
    rshift: shifted((value, count) => value >>> count),
    arshift: shifted((value, count) => value >> count),
    rol: shifted((value, count) => (value << count) | (value >>> (32 - count))),
    ror: shifted((value, count) => (value << (32 - count)) | (value >>> count)),
    bswap: (L) => {
      const value = bits(L, 1);
      return push(L, (value >>> 24) | ((value >>> 8) & 0xff00) | ((value & 0xff00) << 8) | (value << 24));
    },
    tohex: (L) => {
      const value = bits(L, 1) >>> 0;
      const wanted = api.lua_gettop(L) < 2 ? 8 : bits(L, 2);
      const count = Math.min(8, Math.abs(wanted));
      const text = count === 0 ? '' : value.toString(16).padStart(8, '0').slice(-count);
      wasm.pushLatin1(L, wanted < 0 ? text.toUpperCase() : text);
      return 1;
    },
  };
}
