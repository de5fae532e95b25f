// Replies of commands that a module has run, as values: RESP2 in, strings as bytes out. Imported by context.ts.

/** What a command replied: bytes of a bulk string, the text of a status, a number, null, or an array of such. */
export type ReplyValue = Uint8Array | string | number | bigint | null | readonly ReplyValue[] | CommandError;

/** An error reply, with its code first. Thrown when it is the whole reply, an element when it is within an array. */
export class CommandError extends Error {
  /** The first word: `ERR`, `WRONGTYPE`. */
  readonly code: string;

  constructor(message: string) {
    super(message);
    this.code = message.split(' ', 1)[0];
  }
}

/** @param bytes one whole RESP2 reply from `start` on. @throws CommandError */
export function replyValue(bytes: Uint8Array, start = 0): ReplyValue {
  const value = new Reader(bytes, start).next();
  if (value instanceof CommandError) throw value;
  return value;
}

class Reader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, start: number) {
    this.#bytes = bytes;
    this.#at = start;
  }

  next(): ReplyValue {
    const type = String.fromCharCode(this.#bytes[this.#at++]);
    const text = this.#line();
    switch (type) {
      case '+':
        return text;
      case '-':
        return new CommandError(text);
      case ':': {
        const value = Number(text);
        return Number.isSafeInteger(value) ? value : BigInt(text);
      }
      case '$':
        return this.#bulk(Number(text));
      case '*':
        return Number(text) < 0 ? null : Array.from({ length: Number(text) }, () => this.next());
      default:
        throw new Error(`assert: no RESP2 reply begins with ${type}`);
    }
  }

  #line(): string {
    const end = this.#bytes.indexOf(13, this.#at);
    const text = Buffer.from(this.#bytes.subarray(this.#at, end)).toString('latin1');
    this.#at = end + 2;
    return text;
  }

  #bulk(length: number): Uint8Array | null {
    if (length < 0) return null;
    const value = this.#bytes.slice(this.#at, this.#at + length);
    this.#at += length + 2;
    return value;
  }
}

/** Bytes of the first whole RESP2 reply; 0: it is not whole. */
export function replyLength(bytes: Uint8Array, start = 0): number {
  const lineEnd = bytes.indexOf(10, start);
  if (lineEnd < 0) return 0;
  const count = Number(Buffer.from(bytes.subarray(start + 1, lineEnd - 1)).toString('latin1'));
  const type = bytes[start];
  let end = lineEnd + 1;
  if (type === 36 /* $ */ && count >= 0) {
    end += count + 2;
    return end > bytes.length ? 0 : end - start;
  }
  for (let i = 0; type === 42 /* * */ && i < count; i++) {
    const length = replyLength(bytes, end);
    if (length === 0) return 0;
    end += length;
  }
  return end - start;
}
