// JSON text to Lua values, with the leniency and the error texts of lua-cjson 2.1.0: numbers are what strtod takes, the
// text ends at a zero byte, null is a null pointer. Only cjson-library.ts imports it.
import type { LuaWasm, Pointer } from './lua-wasm.ts';

export interface DecodeSettings {
  readonly depthMax: number;
  /** Numbers that JSON does not know: hexadecimal, NaN, Infinity. */
  readonly invalidNumbers: boolean;
}

const NUMBER =
  /[+-]?(?:0x[\da-f]*\.?[\da-f]*(?:p[+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan(?:\(\w*\))?)/iy;
const PUNCTUATION: Readonly<Record<string, string>> = {
  '{': 'T_OBJ_BEGIN',
  '}': 'T_OBJ_END',
  '[': 'T_ARR_BEGIN',
  ']': 'T_ARR_END',
  ',': 'T_COMMA',
  ':': 'T_COLON',
};
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  t: '\t',
  n: '\n',
  f: '\f',
  r: '\r',
};

export class CjsonDecoder {
  readonly #wasm: LuaWasm;
  #text = '';
  #at = 0;
  #depth = 0;
  #settings: DecodeSettings = { depthMax: 0, invalidNumbers: false };

  // The token just read: its type as messages name it (or the error's text), where it began, and its value.
  #type = '';
  #failed = false;
  #index = 0;
  #number = 0;
  #string = '';

  constructor(wasm: LuaWasm) {
    this.#wasm = wasm;
  }

  /** Pushes the value of the string at index 1. */
  decode(L: Pointer, settings: DecodeSettings): number {
    const wasm = this.#wasm;
    const { lengthOut } = wasm;
    wasm.checkArgument(L, wasm.api.lua_gettop(L) === 1, 1, 'expected 1 argument');
    const at = wasm.api.luaL_checklstring(L, 1, lengthOut);
    this.#text = wasm.latin1(at, wasm.words[lengthOut >> 2]);
    this.#at = 0;
    this.#depth = 0;
    this.#settings = settings;
    if (this.#text.length >= 2 && (this.#text[0] === '\0' || this.#text[1] === '\0')) {
      wasm.raise(L, 'JSON parser does not support UTF-16 or UTF-32');
    }
    this.#next();
    this.#value(L);
    this.#next();
    if (!this.#is('T_END')) this.#unexpected(L, 'the end');
    this.#text = '';
    return 1;
  }

  #unexpected(L: Pointer, expected: string): never {
    this.#wasm.raise(L, `Expected ${expected} but found ${this.#type} at character ${this.#index + 1}`);
  }

  // --- tokens ---

  #is(type: string): boolean {
    return this.#type === type;
  }

  #next(): void {
    const text = this.#text;
    let at = this.#at;
    while (text[at] === ' ' || text[at] === '\t' || text[at] === '\n' || text[at] === '\r') at++;
    this.#at = this.#index = at;
    this.#failed = false;
    const char = text[at] ?? '\0';
    const punctuation = PUNCTUATION[char];
    if (punctuation !== undefined) {
      this.#type = punctuation;
      this.#at++;
    } else if (char === '\0') this.#type = 'T_END';
    else if (char === '"') this.#readString();
    else if (char === '-' || (char >= '0' && char <= '9')) {
      if (!this.#settings.invalidNumbers && this.#isInvalidNumber()) this.#fail('invalid number');
      else this.#readNumber();
    } else this.#readWord();
  }

  #fail(reason: string): void {
    this.#type = reason;
    this.#failed = true;
    this.#index = this.#at;
  }

  #readWord(): void {
    for (const [word, type] of [
      ['true', 'T_BOOLEAN'],
      ['false', 'T_BOOLEAN'],
      ['null', 'T_NULL'],
    ] as const) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#type = type;
      this.#number = word === 'true' ? 1 : 0;
      this.#at += word.length;
      return;
    }
    const first = this.#text[this.#at];
    const numberLike = first === '+' || first === 'i' || first === 'I' || first === 'n' || first === 'N';
    if (numberLike && this.#settings.invalidNumbers && this.#isInvalidNumber()) this.#readNumber();
    else this.#fail('invalid token');
  }

  /** What strtod takes and JSON does not. */
  #isInvalidNumber(): boolean {
    const rest = this.#text.slice(this.#at, this.#at + 8);
    if (rest.startsWith('+')) return true;
    const unsigned = rest.replace(/^-/, '');
    if (unsigned.startsWith('0')) return /^0[x0-9]/i.test(unsigned);
    return /^(inf|nan)/i.test(unsigned);
  }

  #readNumber(): void {
    NUMBER.lastIndex = this.#at;
    const found = NUMBER.exec(this.#text);
    if (found === null) {
      this.#fail('invalid number');
      return;
    }
    const { length, value } = strtod(found[0]);
    this.#type = 'T_NUMBER';
    this.#number = value;
    this.#at += length;
  }

  #readString(): void {
    const text = this.#text;
    this.#at++;
    let value = '';
    let start = this.#at;
    for (;;) {
      const char = text[this.#at] ?? '\0';
      if (char === '"') break;
      if (char === '\0') {
        this.#fail('unexpected end of string');
        return;
      }
      if (char !== '\\') {
        this.#at++;
        continue;
      }
      value += text.slice(start, this.#at);
      const letter = text[this.#at + 1];
      if (letter === 'u') {
        const decoded = this.#unicodeEscape();
        if (decoded === null) {
          this.#fail('invalid unicode escape code');
          return;
        }
        value += decoded;
      } else if (ESCAPES[letter] === undefined) {
        this.#fail('invalid escape code');
        return;
      } else {
        value += ESCAPES[letter];
        this.#at += 2;
      }
      start = this.#at;
    }
    this.#string = value + text.slice(start, this.#at);
    this.#at++;
    this.#type = 'T_STRING';
  }

  /** Reads \uXXXX, or two of them for a surrogate pair. @returns UTF-8 as Latin-1, or null. */
  #unicodeEscape(): string | null {
    const unit = this.#hex4(this.#at + 2);
    if (unit < 0) return null;
    let codepoint = unit;
    let length = 6;
    if ((unit & 0xf800) === 0xd800) {
      if ((unit & 0x400) !== 0 || !this.#text.startsWith('\\u', this.#at + 6)) return null;
      const low = this.#hex4(this.#at + 8);
      if (low < 0 || (low & 0xfc00) !== 0xdc00) return null;
      codepoint = (((unit & 0x3ff) << 10) | (low & 0x3ff)) + 0x10000;
      length = 12;
    }
    this.#at += length;
    return Buffer.from(String.fromCodePoint(codepoint), 'utf8').toString('latin1');
  }

  #hex4(at: number): number {
    const digits = this.#text.slice(at, at + 4);
    return /^[\da-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : -1;
  }

  // --- values ---

  /** Pushes the value that begins with the token just read. */
  #value(L: Pointer): void {
    const { api } = this.#wasm;
    if (this.#failed) this.#unexpected(L, 'value');
    switch (this.#type) {
      case 'T_STRING':
        this.#wasm.pushLatin1(L, this.#string);
        break;
      case 'T_NUMBER':
        api.lua_pushnumber(L, this.#number);
        break;
      case 'T_BOOLEAN':
        api.lua_pushboolean(L, this.#number);
        break;
      case 'T_OBJ_BEGIN':
        this.#object(L);
        break;
      case 'T_ARR_BEGIN':
        this.#array(L);
        break;
      case 'T_NULL':
        api.lua_pushlightuserdata(L, 0);
        break;
      default:
        this.#unexpected(L, 'value');
    }
  }

  #descend(L: Pointer, slots: number): void {
    this.#depth++;
    if (this.#depth <= this.#settings.depthMax && this.#wasm.api.lua_checkstack(L, slots) !== 0) return;
    this.#wasm.raise(L, `Found too many nested data structures (${this.#depth}) at character ${this.#at}`);
  }

  #object(L: Pointer): void {
    const { api } = this.#wasm;
    this.#descend(L, 3);
    api.lua_createtable(L, 0, 0);
    this.#next();
    if (!this.#is('T_OBJ_END')) {
      for (;;) {
        if (!this.#is('T_STRING')) this.#unexpected(L, 'object key string');
        this.#wasm.pushLatin1(L, this.#string);
        this.#next();
        if (!this.#is('T_COLON')) this.#unexpected(L, 'colon');
        this.#next();
        this.#value(L);
        api.lua_rawset(L, -3);
        this.#next();
        if (this.#is('T_OBJ_END')) break;
        if (!this.#is('T_COMMA')) this.#unexpected(L, 'comma or object end');
        this.#next();
      }
    }
    this.#depth--;
  }

  #array(L: Pointer): void {
    const { api } = this.#wasm;
    this.#descend(L, 2);
    api.lua_createtable(L, 0, 0);
    this.#next();
    if (!this.#is('T_ARR_END')) {
      for (let i = 1; ; i++) {
        this.#value(L);
        api.lua_rawseti(L, -2, i);
        this.#next();
        if (this.#is('T_ARR_END')) break;
        if (!this.#is('T_COMMA')) this.#unexpected(L, 'comma or array end');
        this.#next();
      }
    }
    this.#depth--;
  }
}

/** @param text what looks like a number to strtod. @returns its value, and how many characters of it are one. */
function strtod(text: string): { value: number; length: number } {
  const [, sign, rest] = /^([+-]?)(.*)$/s.exec(text)!;
  const factor = sign === '-' ? -1 : 1;
  if (/^inf/i.test(rest)) return { value: factor * Number.POSITIVE_INFINITY, length: text.length };
  if (/^nan/i.test(rest)) return { value: Number.NaN, length: text.length };
  const hex = /^0x([\da-f]*)\.?([\da-f]*)(?:p([+-]?\d+))?$/i.exec(rest);
  if (hex === null) return { value: factor * Number(rest), length: text.length };
  const digits = hex[1] + hex[2];
  // Only the zero of `0x` is a number then.
  if (digits === '') return { value: factor * 0, length: sign.length + 1 };
  const value = Number(`0x${digits}`) * 2 ** (Number(hex[3] ?? 0) - 4 * hex[2].length);
  return { value: factor * value, length: text.length };
}
