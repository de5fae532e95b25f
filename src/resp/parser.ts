// Reads requests, multi-bulk and inline, where they lie: the words of a complete one are ranges of the bytes handed in.
// A request that spans several segments goes on where it stopped; nothing parsed is looked at twice. One parser serves
// all clients; a client whose request is incomplete keeps the parser it was read with until the rest has come.
import { splitArgs } from './split-args.ts';

/** The request is not whole: call again with more bytes behind `end`. */
export const INCOMPLETE = 0;
/** `argc`, `offsets` and `lengths` describe a request in `source`. */
export const REQUEST = 1;
/** A request without words: nothing to run, go on. */
export const EMPTY = 2;
/** `error` says why; the connection cannot be understood any more. */
export const BROKEN = 3;

export type ParseStatus = typeof INCOMPLETE | typeof REQUEST | typeof EMPTY | typeof BROKEN;

/** What the server allows this client; asked only when a request is unusually large. */
export interface RequestLimits {
  /** The client still has to authenticate. */
  readonly unauthenticated: boolean;
  /** `proto-max-bulk-len`, bytes. */
  readonly bulkLengthMax: number;
}

const CR = 13;
const LF = 10;
const STAR = 42;
const DOLLAR = 36;
/** Longest line that is waited for: a header or an inline request. */
const LINE_MAX = 64 * 1024;
const WORDS_MAX = 0x7fffffff;
const UNAUTHENTICATED_WORDS_MAX = 10;
const UNAUTHENTICATED_BULK_MAX = 16384;
/** Word tables larger than this are not kept once their request is done. */
const TABLE_KEEP_MAX = 4096;
const TABLE_INITIAL = 64;

/** A word that Redis reads straight to where it stays. */
const LONG_BULK = 32 * 1024;

const INVALID = Number.NaN;
const UNTERMINATED = -2;

export class RequestParser {
  /** Where the words of the latest request lie: the bytes handed in, or the unquoted words of an inline request. */
  source: Uint8Array = new Uint8Array(0);
  argc = 0;
  offsets = new Int32Array(TABLE_INITIAL);
  lengths = new Int32Array(TABLE_INITIAL);

  /** Next byte to read. */
  position = 0;
  /** First byte of the request that is being read. */
  start = 0;
  /** How far the bytes must reach before a call can make progress; at least. */
  needed = 0;
  /** Text of the error reply. */
  error = '';
  limits!: RequestLimits;

  /** Words of the current request still to come; 0 between requests. */
  #wordsLeft = 0;
  /** Length of the bulk whose header was read; -1: a header comes next. */
  #bulkLength = -1;
  /** Where the line in `#number` or `#inline` ends. */
  #lineEnd = 0;

  /** Where what is still worth keeping begins: with a long word under way, that word. */
  get pendingFrom(): number {
    return this.#bulkLength >= LONG_BULK ? this.position : this.start;
  }

  /** Forgets any request half read and goes on at `position`. */
  begin(position: number, limits: RequestLimits): void {
    this.position = position;
    this.start = position;
    this.needed = 0;
    this.limits = limits;
    this.#wordsLeft = 0;
    this.#bulkLength = -1;
  }

  /** The bytes have moved: the request that began at `start` now begins at 0. */
  rebase(): void {
    const { offsets, start } = this;
    for (let i = 0; i < this.argc; i++) offsets[i] -= start;
    this.position -= start;
    this.needed -= start;
    this.start = 0;
  }

  /** Reads on, up to one request, in `bytes[position, end)`. */
  parse(bytes: Uint8Array, end: number): ParseStatus {
    if (this.#wordsLeft === 0) {
      const at = this.position;
      this.start = at;
      this.argc = 0;
      if (at >= end) return INCOMPLETE;
      if (bytes[at] !== STAR) return this.#inline(bytes, end);
      const words = this.#number(bytes, end);
      if (words === UNTERMINATED) return this.#waitForLine(end, 'too big mbulk count string');
      if (!(words <= WORDS_MAX)) return this.#broken('invalid multibulk length');
      if (words > UNAUTHENTICATED_WORDS_MAX && this.limits.unauthenticated) {
        return this.#broken('unauthenticated multibulk length');
      }
      this.position = this.#lineEnd + 2;
      if (words <= 0) return EMPTY;
      this.#wordsLeft = words;
      if (this.offsets.length > TABLE_KEEP_MAX) this.#resizeTables(TABLE_INITIAL);
    }
    return this.#words(bytes, end);
  }

  #words(bytes: Uint8Array, end: number): ParseStatus {
    let left = this.#wordsLeft;
    let length = this.#bulkLength;
    let argc = this.argc;
    while (left > 0) {
      if (length < 0) {
        const at = this.position;
        // The common header: a dollar, one or two digits, CR LF.
        const digit = at + 4 <= end && bytes[at] === DOLLAR ? bytes[at + 1] - 48 : -1;
        if (digit >= 0 && digit <= 9 && bytes[at + 2] === CR) {
          length = digit;
          this.position = at + 4;
        } else {
          length = this.#number(bytes, end);
          const problem = this.#headerProblem(bytes, end, length);
          if (problem !== REQUEST) {
            this.#keep(argc, left, -1);
            return problem;
          }
          this.position = this.#lineEnd + 2;
        }
      }
      const at = this.position;
      if (at + length + 2 > end) {
        this.#keep(argc, left, length);
        this.needed = at + length + 2;
        return INCOMPLETE;
      }
      if (argc === this.offsets.length) this.#resizeTables(Math.min(argc + left, argc * 4));
      this.offsets[argc] = at;
      this.lengths[argc] = length;
      argc++;
      left--;
      this.position = at + length + 2;
      length = -1;
    }
    this.#keep(argc, 0, -1);
    this.source = bytes;
    return REQUEST;
  }

  #keep(argc: number, left: number, bulkLength: number): void {
    this.argc = argc;
    this.#wordsLeft = left;
    this.#bulkLength = bulkLength;
  }

  /** REQUEST when the bulk header just read may be followed. */
  #headerProblem(bytes: Uint8Array, end: number, length: number): ParseStatus {
    if (length === UNTERMINATED) return this.#waitForLine(end, 'too big bulk count string');
    const first = bytes[this.position];
    if (first !== DOLLAR) return this.#broken(`expected '$', got '${String.fromCharCode(first)}'`);
    if (!(length >= 0 && length <= this.limits.bulkLengthMax)) return this.#broken('invalid bulk length');
    if (length > UNAUTHENTICATED_BULK_MAX && this.limits.unauthenticated) {
      return this.#broken('unauthenticated bulk length');
    }
    return REQUEST;
  }

  /**
   * The number between the byte at `position` and the CR behind it; leaves the CR's index in `#lineEnd`.
   * @returns NaN when it is none, UNTERMINATED while CR LF has not come.
   */
  #number(bytes: Uint8Array, end: number): number {
    // The byte at `position` may be that CR, where another was expected.
    let at = this.position + (bytes[this.position] === CR ? 0 : 1);
    let value = 0;
    for (; at < end; at++) {
      const digit = bytes[at] - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    const digits = at - this.position - 1;
    if (at + 1 < end && bytes[at] === CR && digits > 0 && digits < 16 && (digits === 1 || bytes[at - digits] !== 48)) {
      this.#lineEnd = at;
      return value;
    }
    const carriageReturn = indexOfByte(bytes, CR, at, end);
    if (carriageReturn < 0 || carriageReturn + 1 >= end) return UNTERMINATED;
    this.#lineEnd = carriageReturn;
    // The rare forms: a minus sign, or no number at all. Any negative count means the same as none.
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + this.position + 1, carriageReturn - this.position - 1);
    return /^-[1-9][0-9]{0,18}$/.test(text.toString('latin1')) ? -1 : INVALID;
  }

  #inline(bytes: Uint8Array, end: number): ParseStatus {
    const lineFeed = indexOfByte(bytes, LF, this.position, end);
    if (lineFeed < 0) return this.#waitForLine(end, 'too big inline request');
    const length = lineFeed - this.position - (lineFeed > this.position && bytes[lineFeed - 1] === CR ? 1 : 0);
    const line = Buffer.from(bytes.buffer, bytes.byteOffset + this.position, length).toString('latin1');
    const words = splitArgs(line);
    if (words === null) return this.#broken('unbalanced quotes in request');
    this.position = lineFeed + 1;
    if (words.length === 0) return EMPTY;
    this.source = Buffer.from(words.join(''), 'latin1');
    if (words.length > this.offsets.length) this.#resizeTables(words.length);
    let at = 0;
    for (let i = 0; i < words.length; i++) {
      this.offsets[i] = at;
      this.lengths[i] = words[i].length;
      at += words[i].length;
    }
    this.argc = words.length;
    return REQUEST;
  }

  /** More of a line must come, unless it is too long already. */
  #waitForLine(end: number, tooLong: string): ParseStatus {
    this.needed = end + 1;
    return end - this.position > LINE_MAX ? this.#broken(tooLong) : INCOMPLETE;
  }

  #broken(problem: string): ParseStatus {
    this.error = `ERR Protocol error: ${problem}`;
    return BROKEN;
  }

  #resizeTables(size: number): void {
    const offsets = new Int32Array(size);
    const lengths = new Int32Array(size);
    if (size >= this.offsets.length) {
      offsets.set(this.offsets);
      lengths.set(this.lengths);
    }
    this.offsets = offsets;
    this.lengths = lengths;
  }
}

function indexOfByte(bytes: Uint8Array, byte: number, from: number, end: number): number {
  for (let at = from; at < end; at++) if (bytes[at] === byte) return at;
  return -1;
}
