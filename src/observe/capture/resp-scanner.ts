// Finds where RESP values end in a byte stream, of protocol 2 and 3, and reads the little of them that a person wants to see.
// For captures; the server has its own parser. For src/observe/capture.

const CR = 13;
/** Types whose line says how many values follow. */
const AGGREGATES: Readonly<Record<string, number>> = { '*': 1, '~': 1, '>': 1, '%': 2, '|': 2 };
const DEPTH_MAX = 32;

export const INCOMPLETE = -1;
export const BROKEN = -2;

/** @returns the end of the value at `at`, INCOMPLETE, or BROKEN: that is no RESP. */
export function endOfValue(bytes: Uint8Array, at: number, end: number, depth = 0): number {
  if (at >= end) return INCOMPLETE;
  if (depth > DEPTH_MAX) return BROKEN;
  const line = endOfLine(bytes, at, end);
  if (line < 0) return line;
  const type = String.fromCharCode(bytes[at]);
  if ('+-:_,#('.includes(type)) return line;
  const count = lengthAt(bytes, at + 1, line - 2);
  if (Number.isNaN(count)) return BROKEN;
  if (type === '$' || type === '=' || type === '!') {
    if (count < 0) return line;
    return line + count + 2 <= end ? line + count + 2 : INCOMPLETE;
  }
  const perEntry = AGGREGATES[type];
  if (perEntry === undefined) return BROKEN;
  let next = line;
  for (let i = 0; i < count * perEntry; i++) {
    next = endOfValue(bytes, next, end, depth + 1);
    if (next < 0) return next;
  }
  // An attribute stands before the value it is about.
  return type === '|' ? endOfValue(bytes, next, end, depth + 1) : next;
}

/** As `endOfValue`, for what clients send: an array of bulk strings, or a line of words. */
export function endOfRequest(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return INCOMPLETE;
  return bytes[at] === 0x2a ? endOfValue(bytes, at, end) : endOfLine(bytes, at, end);
}

/** The words of a whole request. */
export function wordsOf(bytes: Uint8Array, at: number, end: number): string[] {
  if (bytes[at] !== 0x2a) return latin1(bytes, at, end).trim().split(/\s+/);
  const words: string[] = [];
  for (let next = endOfLine(bytes, at, end); next < end && next > 0; ) {
    const line = endOfLine(bytes, next, end);
    const length = lengthAt(bytes, next + 1, line - 2);
    if (line < 0 || bytes[next] !== 0x24 || !(length >= 0)) break;
    words.push(latin1(bytes, line, line + length));
    next = line + length + 2;
  }
  return words;
}

/** A whole reply in a few words. */
export function replyText(bytes: Uint8Array, at: number, end: number): string {
  const line = endOfLine(bytes, at, end);
  const type = String.fromCharCode(bytes[at]);
  const text = latin1(bytes, at + 1, line - 2);
  if (type === '$' || type === '=') {
    if (text === '-1') return '(nil)';
    const length = Number(text);
    return length <= 40 ? quote(latin1(bytes, line, line + length)) : `(${length} bytes)`;
  }
  if (type === '_') return '(nil)';
  if (type === '-' || type === '!') return `error: ${type === '-' ? text : latin1(bytes, line, end - 2)}`;
  if (type in AGGREGATES) return text === '-1' ? '(nil)' : `(${text} ${type === '%' ? 'pairs' : 'values'})`;
  return text;
}

/** As redis-cli shows a string. */
export function quote(text: string): string {
  if (/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(text)) return text;
  const escaped = text
    .replace(/[\\"]/g, '\\$&')
    .replace(/[^\x20-\x7e]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `"${escaped}"`;
}

function endOfLine(bytes: Uint8Array, at: number, end: number): number {
  const found = bytes.indexOf(CR, at);
  if (found < 0 || found + 1 >= end) return end - at > 65_536 ? BROKEN : INCOMPLETE;
  return bytes[found + 1] === 10 ? found + 2 : BROKEN;
}

function lengthAt(bytes: Uint8Array, at: number, end: number): number {
  const text = latin1(bytes, at, end);
  return /^(-1|\d{1,10})$/.test(text) ? Number(text) : Number.NaN;
}

function latin1(bytes: Uint8Array, at: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, Math.max(0, end - at)).toString('latin1');
}
