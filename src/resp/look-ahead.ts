// Looks ahead in a pipeline: where the first keys of the requests to come lie, so that the table can fetch what it will read of
// all of them together. A glance, not a parser: it stops at whatever is unusual, and nobody relies on what it says.
// src/core/client.ts imports it.

const CR = 13;
const STAR = 42;
const DOLLAR = 36;

/** Requests looked at in one go: what a processor can wait for at the same time is not much more. */
export const AHEAD_MAX = 16;
/** Less than two requests with a key are never this long together. */
export const AHEAD_BYTES_MIN = 64;
/** Longer numbers are left to the parser. */
const DIGITS_MAX = 6;

/** First keys of the requests in `bytes[position, end)`, by offset and length. */
export class LookAhead {
  count = 0;
  readonly offsets = new Int32Array(AHEAD_MAX);
  readonly lengths = new Int32Array(AHEAD_MAX);
  /** Behind the number that was read last. */
  #at = 0;

  /** Fills `offsets` and `lengths`, in order; `count` says how many. */
  scan(bytes: Uint8Array, position: number, end: number): void {
    this.count = 0;
    this.#at = position;
    while (this.count < AHEAD_MAX) {
      const words = this.#number(bytes, end, STAR);
      if (words < 2 || !this.#skipWord(bytes, end)) return;
      const length = this.#number(bytes, end, DOLLAR);
      if (length < 0 || this.#at + length > end) return;
      this.offsets[this.count] = this.#at;
      this.lengths[this.count++] = length;
      this.#at += length + 2;
      for (let word = 2; word < words; word++) if (!this.#skipWord(bytes, end)) return;
    }
  }

  #skipWord(bytes: Uint8Array, end: number): boolean {
    const length = this.#number(bytes, end, DOLLAR);
    this.#at += length + 2;
    return length >= 0;
  }

  /** A header line; -1: something else. */
  #number(bytes: Uint8Array, end: number, mark: number): number {
    let at = this.#at;
    if (at + 4 > end || bytes[at] !== mark) return -1;
    const last = Math.min(++at + DIGITS_MAX, end - 1);
    let value = 0;
    for (; at < last; at++) {
      const digit = bytes[at] - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (bytes[at] !== CR) return -1;
    this.#at = at + 2;
    return value;
  }
}
