// math.random and math.randomseed of scripts: POSIX's lrand48 with its default state, so that a seed gives the same
// numbers as in Redis. One generator serves all scripts of a server.
import type { CFunction, LuaWasm } from './lua-wasm.ts';

const MAX = 0x7fffffff;
const HALF = 2 ** 24;
// The multiplier 0x5DEECE66D, in halves of 24 bits.
const A_HIGH = 0x5de;
const A_LOW = 0xece66d;
const INCREMENT = 0xb;

export class MathRandom {
  // 48 bits: 0x1234ABCD330E at first.
  #high = 0x1234ab;
  #low = 0xcd330e;

  #seed(seed: number): void {
    const bits = seed >>> 0;
    this.#high = bits >>> 8;
    this.#low = ((bits & 0xff) << 16) | 0x330e;
  }

  /** 31 random bits. */
  #next(): number {
    const low = A_LOW * this.#low + INCREMENT;
    const carry = Math.floor(low / HALF);
    this.#high = (A_HIGH * this.#low + ((A_LOW * this.#high) % HALF) + carry) % HALF;
    this.#low = low % HALF;
    return this.#high * 128 + (this.#low >>> 17);
  }

  library(wasm: LuaWasm, running: () => boolean): Record<string, CFunction> {
    const { api } = wasm;
    return {
      random: (L) => {
        if (!running()) wasm.raise(L, 'math.random can only be called inside a script invocation');
        const fraction = (this.#next() % MAX) / MAX;
        const argc = api.lua_gettop(L);
        if (argc === 0) api.lua_pushnumber(L, fraction);
        else if (argc > 2) wasm.raise(L, 'wrong number of arguments');
        else {
          const from = argc === 1 ? 1 : api.luaL_checkinteger(L, 1);
          const to = api.luaL_checkinteger(L, argc);
          wasm.checkArgument(L, from <= to, argc, 'interval is empty');
          api.lua_pushnumber(L, Math.floor(fraction * (to - from + 1)) + from);
        }
        return 1;
      },
      randomseed: (L) => {
        if (!running()) wasm.raise(L, 'math.randomseed can only be called inside a script invocation');
        this.#seed(api.luaL_checkinteger(L, 1));
        return 0;
      },
    };
  }
}
