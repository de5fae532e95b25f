// The option `onread` of a socket: received bytes go to a buffer of the program's and a callback, instead of the stream. What
// comes while the program has had enough waits here. Used by socket.ts.

export interface OnRead {
  readonly buffer: Uint8Array | (() => Uint8Array);
  /** @returns false: enough for now, as `pause()`. */
  readonly callback: (length: number, buffer: Uint8Array) => unknown;
}

export class IntoBuffer {
  readonly #onread: OnRead;
  readonly #waiting: Uint8Array[] = [];
  /** Of the first that waits, so many bytes are handed over. */
  #at = 0;

  constructor(onread: OnRead) {
    this.#onread = onread;
  }

  get hasMore(): boolean {
    return this.#waiting.length > 0;
  }

  add(chunk: Uint8Array): void {
    this.#waiting.push(chunk);
  }

  /** One buffer full, or what there is. @returns whether the program wants more. */
  handOver(): boolean {
    const { buffer, callback } = this.#onread;
    const target = typeof buffer === 'function' ? buffer() : buffer;
    const [chunk] = this.#waiting;
    const length = Math.min(target.length, chunk.length - this.#at);
    target.set(chunk.subarray(this.#at, this.#at + length));
    this.#at += length;
    if (this.#at === chunk.length) {
      this.#waiting.shift();
      this.#at = 0;
    }
    return callback(length, target) !== false;
  }
}
