// Query buffers and parsers that clients have only while they hold half a request: taken and given back. server.ts makes
// one; clients use it.
import { RequestParser } from '../resp/parser.ts';
import type { LongBlocks } from './long-blocks.ts';

const QUERY_BUFFER_LENGTH = 16 * 1024;
const POOL_MAX = 1024;

export class RequestPools {
  readonly #queryBuffers: Uint8Array<ArrayBuffer>[] = [];
  readonly #parsers: RequestParser[] = [];
  readonly #long: LongBlocks;

  /** @param long where buffers for long requests come from. */
  constructor(long: LongBlocks) {
    this.#long = long;
  }

  /** @param length bytes that it must hold at least. */
  takeQueryBuffer(length: number): Uint8Array<ArrayBuffer> {
    if (length > QUERY_BUFFER_LENGTH) return this.#long.take(length);
    return this.#queryBuffers.pop() ?? new Uint8Array(QUERY_BUFFER_LENGTH);
  }

  returnQueryBuffer(buffer: Uint8Array<ArrayBuffer>): void {
    if (buffer.length > QUERY_BUFFER_LENGTH) this.#long.give(buffer);
    else if (this.#queryBuffers.length < POOL_MAX) this.#queryBuffers.push(buffer);
  }

  takeParser(): RequestParser {
    return this.#parsers.pop() ?? new RequestParser();
  }

  returnParser(parser: RequestParser): void {
    if (this.#parsers.length < POOL_MAX) this.#parsers.push(parser);
  }

  /** Bytes of query buffers that nobody has. */
  get idleBytes(): number {
    return this.#queryBuffers.length * QUERY_BUFFER_LENGTH;
  }
}
