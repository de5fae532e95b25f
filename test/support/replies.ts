// Reads replies, RESP2 and RESP3, as values that a test can compare.

/** A reply, parsed: errors as `{ error }`, other one-line types with their type byte, aggregates with theirs. */
export type Reply =
  | string
  | null
  | { error: string }
  | { type: string; items: Reply[] }
  | { type: string; text: string };

/** Parses one reply. @returns it and where the next one starts; null when it is not complete. */
export function parseReply(bytes: Buffer, start: number): { reply: Reply; end: number } | null {
  const lineEnd = bytes.indexOf('\r\n', start, 'latin1');
  if (lineEnd === -1) return null;
  const type = String.fromCharCode(bytes[start]);
  const text = bytes.toString('latin1', start + 1, lineEnd);
  const behind = lineEnd + 2;
  if (type === '-') return { reply: { error: text }, end: behind };
  if (type === '_') return { reply: null, end: behind };
  if (type === '$' || type === '=') {
    const length = Number(text);
    if (length === -1) return { reply: null, end: behind };
    if (bytes.length < behind + length + 2) return null;
    return { reply: bytes.toString('latin1', behind, behind + length), end: behind + length + 2 };
  }
  if (!'*~%>'.includes(type)) return { reply: { type, text }, end: behind };
  if (text === '-1') return { reply: { type: '*-1', text: '' }, end: behind };
  const items: Reply[] = [];
  let end = behind;
  for (let rest = Number(text) * (type === '%' ? 2 : 1); rest > 0; rest--) {
    const item = parseReply(bytes, end);
    if (item === null) return null;
    items.push(item.reply);
    end = item.end;
  }
  return { reply: { type, items }, end };
}

/** Parses text, Latin-1, that is exactly one reply. */
export function wholeReply(text: string): Reply {
  const bytes = Buffer.from(text, 'latin1');
  const parsed = parseReply(bytes, 0);
  if (parsed?.end !== bytes.length) throw new Error(`not one whole reply: ${JSON.stringify(text)}`);
  return parsed.reply;
}

/** The items of an aggregate. */
export function itemsOf(reply: Reply): Reply[] {
  if (reply === null || typeof reply === 'string' || !('items' in reply)) {
    throw new Error(`no aggregate: ${JSON.stringify(reply)}`);
  }
  return reply.items;
}

/** Words, Latin-1, as a multi-bulk request. */
export function request(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
}
