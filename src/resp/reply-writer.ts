// Writes replies in RESP2 or RESP3 into one growing byte array. One writer serves every client of a tick: it is
// emptied into the connection after each client's batch of commands. Anyone in src/ may import it.

const CR = 13;
const LF = 10;
const INITIAL_CAPACITY = 64 * 1024;
/** More than this nobody can take in one piece. */
export const REPLY_MAX = 2 ** 32;
/** Bulks below this, bytes, have a length of two digits at most, and 205 / 2048 of it are its tens. */
const SHORT_BULK = 69;
/** Room for any `$<int>\r\n` header, sign included. */
const HEADER_MAX = 24;

export class ReplyWriter {
  /** Replies so far are `bytes[0, length)`. Replaced when it grows: do not keep a copy across writes. */
  bytes = new Uint8Array(INITIAL_CAPACITY);
  length = 0;
  /** 2 or 3; set from the client before its commands run. */
  protocol: 2 | 3 = 2;

  /** Replies above this, bytes, are not sent, and need not be kept: see `overflow`. */
  max = REPLY_MAX;
  /** Something was dropped since `reset`: what is left is no reply, and whoever writes a lot may stop. */
  overflow = false;

  reset(): void {
    this.length = 0;
    this.overflow = false;
  }

  /** Makes room for `extra` more bytes. */
  ensure(extra: number): void {
    if (this.length + extra > this.bytes.length) this.#grow(extra);
  }

  #grow(extra: number): void {
    if (this.length + extra > this.max) {
      this.overflow = true;
      this.length = 0;
      if (extra <= this.bytes.length) return;
    }
    let capacity = this.bytes.length * 2;
    while (capacity < this.length + extra) capacity *= 2;
    const grown = new Uint8Array(capacity);
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  /** Gives the memory of a huge reply back; called between ticks. */
  shrink(): void {
    if (this.length === 0 && this.bytes.length > 16 * INITIAL_CAPACITY) this.bytes = new Uint8Array(INITIAL_CAPACITY);
  }

  /** Gives back what is more than `length` bytes of memory. */
  shrinkTo(length: number): void {
    if (this.bytes.length <= Math.max(length, INITIAL_CAPACITY)) return;
    this.bytes = new Uint8Array(INITIAL_CAPACITY);
    this.length = 0;
  }

  /** Pre-built reply bytes, as they are. */
  raw(source: Uint8Array): void {
    this.append(source, 0, source.length);
  }

  append(source: Uint8Array, offset: number, length: number): void {
    this.ensure(length);
    const bytes = this.bytes;
    const at = this.length;
    if (length > 96) {
      bytes.set(source.subarray(offset, offset + length), at);
    } else {
      for (let i = 0; i < length; i++) bytes[at + i] = source[offset + i];
    }
    this.length = at + length;
  }

  ok(): void {
    this.raw(OK);
  }

  /** @param text one line, Latin-1. */
  simple(text: string): void {
    this.#line(43 /* + */, text);
  }

  /** @param text with its code first ("ERR ...", "WRONGTYPE ..."); line breaks become spaces, as in Redis. */
  error(text: string): void {
    this.errors++;
    this.lastError = text;
    this.#line(45 /* - */, text.replace(/[\r\n]+$/, '').replace(/[\r\n]/g, ' '));
  }

  /** Errors written since start: the dispatcher compares it before and after a command. */
  errors = 0;
  /** How many of them statistics know of. */
  countedErrors = 0;
  /** Text of the latest error, for statistics by code; empty when they have it already. */
  lastError = '';

  #line(prefix: number, text: string): void {
    this.ensure(text.length + 3);
    const bytes = this.bytes;
    let at = this.length;
    bytes[at++] = prefix;
    for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    bytes[at++] = CR;
    bytes[at++] = LF;
    this.length = at;
  }

  /** @param value a safe integer. */
  integer(value: number): void {
    this.#header(58 /* : */, value);
  }

  bigInteger(value: bigint): void {
    this.#line(58, value.toString());
  }

  bulk(source: Uint8Array, offset: number, length: number): void {
    if (length < SHORT_BULK) {
      this.#shortBulk(source, offset, length);
      return;
    }
    this.#header(36 /* $ */, length);
    this.append(source, offset, length);
    this.ensure(2);
    this.bytes[this.length++] = CR;
    this.bytes[this.length++] = LF;
  }

  /** As most are, a hundred of them in one reply: in one go. */
  #shortBulk(source: Uint8Array, offset: number, length: number): void {
    this.ensure(SHORT_BULK + HEADER_MAX);
    const { bytes } = this;
    let at = this.length;
    bytes[at++] = 36;
    if (length < 10) {
      bytes[at++] = 48 + length;
    } else {
      const tens = (length * 205) >> 11;
      bytes[at++] = 48 + tens;
      bytes[at++] = 48 + length - tens * 10;
    }
    bytes[at++] = CR;
    bytes[at++] = LF;
    for (let i = 0; i < length; i++) bytes[at + i] = source[offset + i];
    at += length;
    bytes[at++] = CR;
    bytes[at++] = LF;
    this.length = at;
  }

  /** @param text Latin-1: one byte a character. Use `bulkText` for text that may hold more. */
  bulkLatin1(text: string): void {
    this.#header(36, text.length);
    this.ensure(text.length + 2);
    const bytes = this.bytes;
    let at = this.length;
    for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    bytes[at++] = CR;
    bytes[at++] = LF;
    this.length = at;
  }

  /** @param text any string, sent as UTF-8. */
  bulkText(text: string): void {
    const encoded = Buffer.from(text, 'utf8');
    this.bulk(encoded, 0, encoded.length);
  }

  /** A safe integer as a bulk string, as GET gives it. */
  bulkInteger(value: number): void {
    this.bulkLatin1(String(value));
  }

  /** The absent value: `$-1` or `_`. */
  null(): void {
    this.raw(this.protocol === 2 ? NULL_BULK : NULL);
  }

  /** The absent array: `*-1` or `_`. */
  nullArray(): void {
    this.raw(this.protocol === 2 ? NULL_ARRAY : NULL);
  }

  emptyArray(): void {
    this.array(0);
  }

  array(count: number): void {
    this.#header(42 /* * */, count);
  }

  /** @param pairs number of field-value pairs; in RESP2 an array of twice as many. */
  map(pairs: number): void {
    if (this.protocol === 2) this.#header(42, pairs * 2);
    else this.#header(37 /* % */, pairs);
  }

  set(count: number): void {
    this.#header(this.protocol === 2 ? 42 : 126 /* ~ */, count);
  }

  push(count: number): void {
    this.#header(this.protocol === 2 ? 42 : 62 /* > */, count);
  }

  attribute(pairs: number): void {
    this.#header(124 /* | */, pairs);
  }

  boolean(value: boolean): void {
    if (this.protocol === 2) this.integer(value ? 1 : 0);
    else this.#line(35 /* # */, value ? 't' : 'f');
  }

  /** @param text the number as Redis formats it: see data/number-format.ts. */
  double(text: string): void {
    if (this.protocol === 2) this.bulkLatin1(text);
    else this.#line(44 /* , */, text);
  }

  bigNumber(text: string): void {
    if (this.protocol === 2) this.bulkLatin1(text);
    else this.#line(40 /* ( */, text);
  }

  /** @param format three characters: `txt` or `mkd`. */
  verbatim(text: string, format: 'txt' | 'mkd'): void {
    if (this.protocol === 2) {
      this.bulkText(text);
      return;
    }
    const encoded = Buffer.from(`${format}:${text}`, 'utf8');
    this.#header(61 /* = */, encoded.length);
    this.append(encoded, 0, encoded.length);
    this.ensure(2);
    this.bytes[this.length++] = CR;
    this.bytes[this.length++] = LF;
  }

  /** As `verbatim`, of bytes. @param format as the caller has it: three characters, unless it is a script. */
  verbatimBytes(format: string, source: Uint8Array, offset: number, length: number): void {
    if (this.protocol === 2) {
      this.bulk(source, offset, length);
      return;
    }
    const prefix = Buffer.from(`${format.slice(0, 3)}:`, 'latin1');
    this.#header(61, prefix.length + length);
    this.append(prefix, 0, prefix.length);
    this.append(source, offset, length);
    this.ensure(2);
    this.bytes[this.length++] = CR;
    this.bytes[this.length++] = LF;
  }

  /**
   * Starts an aggregate whose length is known only later.
   * @returns a mark for `closeArray`, `closeMap` or `closeSet`; marks nest.
   */
  openDeferred(): number {
    return this.length;
  }

  closeArray(mark: number, count: number): void {
    this.#insertHeader(mark, 42, count);
  }

  closeSet(mark: number, count: number): void {
    this.#insertHeader(mark, this.protocol === 2 ? 42 : 126, count);
  }

  closeMap(mark: number, pairs: number): void {
    if (this.protocol === 2) this.#insertHeader(mark, 42, pairs * 2);
    else this.#insertHeader(mark, 37, pairs);
  }

  #insertHeader(mark: number, prefix: number, count: number): void {
    if (this.overflow) return;
    const body = this.length - mark;
    this.#header(prefix, count);
    const headerLength = this.length - mark - body;
    const header = this.bytes.slice(mark + body, this.length);
    this.bytes.copyWithin(mark + headerLength, mark, mark + body);
    this.bytes.set(header, mark);
  }

  #header(prefix: number, value: number): void {
    this.ensure(HEADER_MAX);
    const bytes = this.bytes;
    let at = this.length;
    bytes[at++] = prefix;
    if (value >= 0 && value < 10) {
      bytes[at++] = 48 + value;
    } else if ((value | 0) === value && value > 0) {
      let digits = 2;
      for (let limit = 100; digits < 10 && value >= limit; limit *= 10) digits++;
      let rest = value;
      for (let i = at + digits - 1; i >= at; i--) {
        const quotient = (rest / 10) | 0;
        bytes[i] = 48 + rest - quotient * 10;
        rest = quotient;
      }
      at += digits;
    } else {
      const text = String(value);
      for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    }
    bytes[at++] = CR;
    bytes[at++] = LF;
    this.length = at;
  }
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const OK = ascii('+OK\r\n');
const NULL_BULK = ascii('$-1\r\n');
const NULL_ARRAY = ascii('*-1\r\n');
const NULL = ascii('_\r\n');
