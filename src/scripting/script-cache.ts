// EVAL's scripts: compiled once, found by their text or by its SHA-1, kept until SCRIPT FLUSH. Only scripting.ts and the
// commands import it.
import type { Call } from '../core/call.ts';
import { hashKey } from '../data/key-hash.ts';
import { LUA_GCCOLLECT, LUA_REGISTRYINDEX } from './lua-wasm.ts';
import { type ScriptEngine, sha1 } from './script-engine.ts';
import { readShebang } from './script-flags.ts';

const SHA_LENGTH = 40;
/** About what a script costs beside its text. */
const SCRIPT_OVERHEAD = 168;

export interface Script {
  readonly sha: string;
  readonly body: Uint8Array;
  readonly flags: number;
  /** The compiled function, in Lua's registry. */
  readonly ref: number;
}

export class ScriptCache {
  readonly #engine: ScriptEngine;
  readonly #bySha = new Map<string, Script>();
  /** By a hash of the text: who sends the text again does not pay for its SHA-1. */
  readonly #byText = new Map<number, Script>();
  #bytes = 0;

  constructor(engine: ScriptEngine) {
    this.#engine = engine;
  }

  get size(): number {
    return this.#bySha.size;
  }

  get memoryBytes(): number {
    return this.#bytes;
  }

  /** The script whose text is word `i`, when it was compiled before. */
  findText(call: Call, i: number): Script | undefined {
    const { bytes } = call;
    const offset = call.offsets[i];
    const length = call.lengths[i];
    const script = this.#byText.get(hashKey(bytes, offset, length));
    return script !== undefined && sameBytes(script.body, bytes, offset, length) ? script : undefined;
  }

  /** The script whose SHA-1 is word `i`, in any case. */
  findSha(call: Call, i: number): Script | undefined {
    if (call.lengths[i] !== SHA_LENGTH) return undefined;
    const sha = call.latin1(i);
    return this.#bySha.get(sha) ?? this.#bySha.get(sha.toLowerCase());
  }

  /** Compiles word `i`. @returns null after having replied an error. */
  load(call: Call, i: number): Script | null {
    const known = this.findText(call, i);
    if (known !== undefined) return known;
    const body = call.copy(i);
    const hash = hashKey(body, 0, body.length);
    const sha = sha1(body, 0, body.length);
    const other = this.#bySha.get(sha);
    if (other !== undefined) {
      this.#byText.set(hash, other);
      return other;
    }
    const shebang = readShebang(Buffer.from(body).toString('latin1'));
    if (typeof shebang === 'string') {
      call.reply.error(shebang);
      return null;
    }
    const ref = this.#compile(call, body, shebang.length);
    if (ref < 0) return null;
    const script = { sha, body, flags: shebang.flags, ref };
    this.#bySha.set(sha, script);
    this.#byText.set(hash, script);
    this.#bytes += body.length + SCRIPT_OVERHEAD;
    return script;
  }

  #compile(call: Call, body: Uint8Array, skipped: number): number {
    const { L, sandbox, wasm } = this.#engine;
    const length = body.length - skipped;
    const at = wasm.copyIn(body, skipped, length);
    if (sandbox.compile(L, at, length, wasm.cString('@user_script')) !== 0) {
      call.reply.error(`ERR Error compiling script (new function): ${wasm.cStringAt(L, -1)}`);
      wasm.api.lua_settop(L, 0);
      return -1;
    }
    return wasm.api.luaL_ref(L, LUA_REGISTRYINDEX);
  }

  /** Every script's text, oldest first. */
  get bodies(): Uint8Array[] {
    return [...this.#bySha.values()].map(({ body }) => body);
  }

  has(sha: string): boolean {
    return this.#bySha.has(sha.toLowerCase());
  }

  /** The text of the script with that SHA-1, in any case. */
  bodyOf(sha: string): Uint8Array | null {
    return this.#bySha.get(sha.toLowerCase())?.body ?? null;
  }

  flush(): void {
    const { L, wasm } = this.#engine;
    for (const { ref } of this.#bySha.values()) wasm.api.luaL_unref(L, LUA_REGISTRYINDEX, ref);
    this.#bySha.clear();
    this.#byText.clear();
    this.#bytes = 0;
    wasm.api.lua_gc(L, LUA_GCCOLLECT, 0);
  }
}

function sameBytes(body: Uint8Array, bytes: Uint8Array, offset: number, length: number): boolean {
  if (body.length !== length) return false;
  for (let i = 0; i < length; i++) if (body[i] !== bytes[offset + i]) return false;
  return true;
}
