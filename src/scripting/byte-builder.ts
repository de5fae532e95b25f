// Bytes that grow: what the libraries of scripts put their results together in, before Lua gets a string.
import type { LuaWasm, Pointer } from './lua-wasm.ts';

const KEEP_MAX = 1024 * 1024;
const INITIAL = 4096;

export class ByteBuilder {
  bytes = new Uint8Array(INITIAL);
  length = 0;

  reset(): void {
    this.length = 0;
    if (this.bytes.length > KEEP_MAX) this.bytes = new Uint8Array(INITIAL);
  }

  /** Makes room for `extra` more. */
  ensure(extra: number): void {
    if (this.length + extra <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + extra));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  byte(value: number): void {
    this.ensure(1);
    this.bytes[this.length++] = value;
  }

  text(latin1: string): void {
    this.ensure(latin1.length);
    for (let i = 0; i < latin1.length; i++) this.bytes[this.length++] = latin1.charCodeAt(i);
  }

  append(source: Uint8Array, offset: number, length: number): void {
    this.ensure(length);
    this.bytes.set(source.subarray(offset, offset + length), this.length);
    this.length += length;
  }

  /** An integer's low bytes, the highest first. */
  bigEndian(value: number, count: number): void {
    for (let shift = (count - 1) * 8; shift >= 0; shift -= 8) this.byte(Math.floor(value / 2 ** shift) & 0xff);
  }

  push(wasm: LuaWasm, L: Pointer): void {
    wasm.pushBytes(L, this.bytes, 0, this.length);
  }
}
