// Reads RESP (protocol 2 and 3) out of captured bytes, piece by piece as they come, and keeps only the beginnings that a
// person wants to see: each byte is looked at once, and a value of gigabytes costs no memory. For captures; the server
// has its own parser. For src/observe/capture.

const CR = 13;
const LF = 10;
/** Longer than any line that servers or clients send. */
const LINE_MAX = 65_536;
const DEPTH_MAX = 32;
/** Kept of each string, and strings kept of each value. */
const TEXT_MAX = 128;
const TEXTS_MAX = 64;

/** Types whose line says how many values follow: so many for each one counted. */
const AGGREGATES: Readonly<Record<string, number>> = { '*': 1, '~': 1, '>': 1, '%': 2, '|': 2 };
const BULKS = '$=!';
const LINES = '+-:_,#(';

/** A string, and how long it is in truth. */
export interface Text {
  readonly start: string;
  readonly length: number;
}

/** A whole request or reply. */
export interface Value {
  /** RESP's type character; a request in words separated by spaces is an array too. */
  readonly type: string;
  /** Its line, or the string itself. */
  readonly text: Text;
  /** The first strings in it, at any depth. */
  readonly texts: readonly Text[];
  /** Values in an aggregate; -1: null. */
  readonly count: number;
}

export class RespReader {
  readonly #isRequest: boolean;
  readonly #onValue: (value: Value) => void;
  #line: number[] = [];
  /** Bytes to come of a string with its CR LF; 0: a line is being read. */
  #bulk = 0;
  #bulkText: { start: string; length: number } | null = null;
  /** Values to come, for each aggregate around the next one. */
  readonly #missing: number[] = [];
  #type = '';
  #text: Text = { start: '', length: 0 };
  #texts: Text[] = [];
  #count = 0;

  /** @param isRequest what clients send may be words in a line. */
  constructor(isRequest: boolean, onValue: (value: Value) => void) {
    this.#isRequest = isRequest;
    this.#onValue = onValue;
  }

  /** Nothing of the next value has come yet. */
  get isBetweenValues(): boolean {
    return this.#missing.length === 0 && this.#bulk === 0 && this.#line.length === 0;
  }

  /** Bytes are missing: whatever comes next begins anew. */
  reset(): void {
    this.#line = [];
    this.#bulk = 0;
    this.#missing.length = 0;
    this.#texts = [];
  }

  /** @returns false when that is no RESP; the rest of the piece is not read. */
  push(bytes: Uint8Array): boolean {
    for (let at = 0; at < bytes.length; ) {
      if (this.#bulk > 0) {
        at = this.#bulkBytes(bytes, at);
        continue;
      }
      const end = bytes.indexOf(LF, at);
      const stop = end < 0 ? bytes.length : end;
      for (; at < stop; at++) this.#line.push(bytes[at]);
      if (this.#line.length > LINE_MAX) return false;
      if (end < 0) return true;
      at = end + 1;
      if (this.#line.at(-1) === CR) this.#line.pop();
      const line = this.#line;
      this.#line = [];
      if (!this.#lineEnds(line)) return false;
    }
    return true;
  }

  #bulkBytes(bytes: Uint8Array, at: number): number {
    const take = Math.min(this.#bulk, bytes.length - at);
    const text = this.#bulkText;
    if (text !== null) {
      const wanted = Math.min(TEXT_MAX, text.length) - text.start.length;
      if (wanted > 0) text.start += latin1(bytes, at, at + Math.min(wanted, take));
    }
    this.#bulk -= take;
    if (this.#bulk === 0) this.#valueEnds();
    return at + take;
  }

  #lineEnds(line: number[]): boolean {
    const isTop = this.#missing.length === 0;
    const type = String.fromCharCode(line[0] ?? 0);
    if (isTop && this.#isRequest && type !== '*') return this.#words(line);
    const text = shortened(line, 1);
    if (isTop) {
      this.#type = type;
      this.#text = text;
      this.#count = 0;
    }
    if (line.length > 0 && LINES.includes(type)) {
      this.#keep(text, isTop);
      this.#valueEnds();
      return true;
    }
    const count = /^(-1|\d{1,10})$/.test(text.start) ? Number(text.start) : Number.NaN;
    if (Number.isNaN(count)) return false;
    if (line.length > 0 && BULKS.includes(type)) return this.#bulkBegins(count, isTop);
    const each = AGGREGATES[type];
    if (each === undefined || this.#missing.length === DEPTH_MAX) return false;
    if (isTop) this.#count = count;
    // An attribute stands before the value it is about.
    const values = Math.max(0, count) * each + (type === '|' ? 1 : 0);
    if (values === 0) this.#valueEnds();
    else this.#missing.push(values);
    return true;
  }

  /** A request typed by hand. */
  #words(line: number[]): boolean {
    const words = latin1(Uint8Array.from(line), 0, line.length).trim().split(/\s+/);
    if (words[0] === '') return true;
    const texts = words.slice(0, TEXTS_MAX).map((word) => ({ start: word.slice(0, TEXT_MAX), length: word.length }));
    this.#onValue({ type: '*', text: texts[0], texts, count: words.length });
    return true;
  }

  #bulkBegins(length: number, isTop: boolean): boolean {
    if (length < 0) {
      if (isTop) this.#count = -1;
      this.#valueEnds();
      return true;
    }
    this.#bulk = length + 2;
    this.#bulkText = { start: '', length };
    this.#keep(this.#bulkText, isTop);
    return true;
  }

  #keep(text: Text, isTop: boolean): void {
    if (isTop) this.#text = text;
    if (this.#texts.length < TEXTS_MAX) this.#texts.push(text);
  }

  /** And with it, perhaps, those around it. */
  #valueEnds(): void {
    this.#bulkText = null;
    const missing = this.#missing;
    while (missing.length > 0 && --missing[missing.length - 1] === 0) missing.pop();
    if (missing.length > 0) return;
    const value = { type: this.#type, text: this.#text, texts: this.#texts, count: this.#count };
    this.#texts = [];
    this.#onValue(value);
  }
}

function shortened(line: number[], from: number): Text {
  const end = Math.min(line.length, from + TEXT_MAX);
  return { start: String.fromCharCode(...line.slice(from, end)), length: line.length - from };
}

function latin1(bytes: Uint8Array, at: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('latin1');
}
