// What a replica says of itself before it asks for the stream, and the lines that the master answers with. Only
// master-link.ts imports it.
import type { Config } from '../core/config.ts';

export type AttemptState = 'ping' | 'introduction' | 'psync';

/** Name for the log, and words. */
export function handshakeWords(config: Config): (readonly [what: string, words: readonly string[]])[] {
  const { masterauth, masteruser, port, replicaAnnounceIp, replicaAnnouncePort } = config;
  const all: [string, string[]][] = [];
  if (masterauth !== '') all.push(['AUTH', ['AUTH', ...(masteruser === '' ? [] : [masteruser]), masterauth]]);
  const announced = String(replicaAnnouncePort > 0 ? replicaAnnouncePort : port);
  all.push(['listening-port', ['REPLCONF', 'listening-port', announced]]);
  if (replicaAnnounceIp !== '') all.push(['ip-address', ['REPLCONF', 'ip-address', replicaAnnounceIp]]);
  all.push(['capa', ['REPLCONF', 'capa', 'eof', 'capa', 'psync2']]);
  return all;
}

/** Bytes into lines, as they come. */
export class HandshakeLines {
  #rest = new Uint8Array(0);

  add(bytes: Uint8Array, offset: number, length: number): void {
    const joined = new Uint8Array(this.#rest.length + length);
    joined.set(this.#rest);
    joined.set(bytes.subarray(offset, offset + length), this.#rest.length);
    this.#rest = joined;
  }

  /** The next line without its end; null: it has not come. */
  next(): string | null {
    const at = this.#rest.indexOf(10);
    if (at < 0) return null;
    const line = Buffer.from(this.#rest.subarray(0, at)).toString('latin1').replace(/\r$/, '');
    this.#rest = this.#rest.slice(at + 1);
    return line;
  }

  /** What came behind the lines taken. */
  takeRest(): Uint8Array {
    const rest = this.#rest;
    this.#rest = new Uint8Array(0);
    return rest;
  }
}
