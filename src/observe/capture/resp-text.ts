// Requests and replies as lines for a person: quoted as redis-cli does, shortened, without passwords. For
// src/observe/capture.
import type { Text, Value } from './resp-reader.ts';

const LINE_MAX = 120;
const REPLY_MAX = 40;

/** A request as one would type it. */
export function requestText({ texts, count }: Value): string {
  const line = withoutSecrets(texts.map(quoted)).join(' ');
  const isCut = line.length > LINE_MAX || count > texts.length;
  return isCut ? `${line.slice(0, LINE_MAX)}... (${count} words)` : line;
}

export function replyText({ type, text, count }: Value): string {
  switch (type) {
    case '$':
    case '=':
      if (count < 0) return '(nil)';
      return text.length <= REPLY_MAX ? quoted(text) : `(${text.length} bytes)`;
    case '_':
      return '(nil)';
    case '-':
    case '!':
      return `error: ${text.start}`;
    case '+':
    case ':':
    case ',':
    case '#':
    case '(':
      return text.start;
    default:
      return count < 0 ? '(nil)' : `(${count} ${type === '%' ? 'pairs' : 'values'})`;
  }
}

/** As redis-cli shows a string. */
function quoted({ start, length }: Text): string {
  const rest = length > start.length ? `...(${length} bytes)` : '';
  if (/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(start)) return start + rest;
  const escaped = start
    .replace(/[\\"]/g, '\\$&')
    .replace(/[^\x20-\x7e]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `"${escaped}"${rest}`;
}

/** As redis-server does in its own logs. */
function withoutSecrets(words: readonly string[]): readonly string[] {
  const name = words[0].toUpperCase();
  const hidden = (from: number): readonly string[] => words.map((word, i) => (i < from ? word : '(redacted)'));
  if (name === 'AUTH') return hidden(1);
  if (name === 'ACL' && /^SETUSER$/i.test(words[1] ?? '')) return hidden(3);
  if (name === 'CONFIG' && words.some((word) => /^(requirepass|masterauth|tls-key-file-pass)$/i.test(word)))
    return hidden(3);
  const auth = name === 'HELLO' || name === 'MIGRATE' ? words.findIndex((word) => /^AUTH2?$/i.test(word)) : -1;
  return auth < 0 ? words : words.map((word, i) => (i > auth && i <= auth + 2 ? '(redacted)' : word));
}
