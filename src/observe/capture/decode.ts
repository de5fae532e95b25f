// Redis commands out of captured segments: puts each direction's bytes in order, finds requests and replies in them, and tells
// how long it took from the frame that completed the request to the frame that began its reply. For src/cli.

import { Conversations, type Ends, type Side } from './conversation.ts';
import { Dissected, dissect, SYN } from './dissect.ts';
import type { CapturedPacket } from './packet.ts';
import { BROKEN, endOfRequest, endOfValue, INCOMPLETE, quote, replyText, wordsOf } from './resp-scanner.ts';

/** Bytes kept of one direction while a value is incomplete, and of what came too early. */
const BUFFER_MAX = 8 * 1024 * 1024;
const EARLY_MAX = 256;
const TEXT_MAX = 120;

export interface DecodedCommand {
  /** When the request was complete, microseconds since 1970. */
  readonly unixUs: number;
  readonly client: string;
  readonly server: string;
  /** The words as redis-cli would take them; passwords are not shown. */
  readonly request: string;
  readonly reply: string;
  readonly latencyUs: number;
}

interface Request {
  readonly unixUs: number;
  readonly text: string;
}

export class CommandDecoder {
  readonly #onCommand: (command: DecodedCommand) => void;
  readonly #conversations: Conversations<Decoded>;
  readonly #fields = new Dissected();

  /** @param serverPort where a capture begins in the middle of a connection; 0: guess. */
  constructor(serverPort: number, onCommand: (command: DecodedCommand) => void) {
    this.#onCommand = onCommand;
    this.#conversations = new Conversations(serverPort, (ends) => new Decoded(ends));
  }

  packet({ bytes, linkType, unixUs }: CapturedPacket): void {
    const fields = this.#fields;
    dissect(bytes, 0, bytes.length, linkType, fields);
    if (!fields.isTcp || fields.addressLength === 0) return;
    const { value, side } = this.#conversations.find(bytes, fields);
    value.segment(side, bytes, fields, unixUs, this.#onCommand);
  }
}

class Decoded {
  readonly #ends: Ends;
  readonly #streams = [new InOrder(), new InOrder()] as const;
  readonly #waiting: Request[] = [];

  constructor(ends: Ends) {
    this.#ends = ends;
  }

  segment(
    side: Side,
    bytes: Uint8Array,
    { seq, flags, payloadAt, payloadLength, payloadKept }: Dissected,
    unixUs: number,
    onCommand: (command: DecodedCommand) => void,
  ): void {
    const stream = this.#streams[side];
    if ((flags & SYN) !== 0) {
      stream.begin((seq + 1) | 0);
      return;
    }
    if (payloadLength === 0) return;
    const payload = bytes.slice(payloadAt, payloadAt + payloadKept);
    if (!stream.push(seq, payload, payloadLength)) this.#lost(side);
    if (side === 0) this.#requests(stream, unixUs);
    else this.#replies(stream, unixUs, onCommand);
  }

  /** Bytes are missing: what is waited for cannot be matched any more. */
  #lost(side: Side): void {
    this.#streams[side].clear();
    this.#waiting.length = 0;
  }

  #requests(stream: InOrder, unixUs: number): void {
    for (;;) {
      const { bytes } = stream;
      const end = endOfRequest(bytes, 0, bytes.length);
      if (end === INCOMPLETE) return;
      if (end === BROKEN) {
        this.#lost(0);
        return;
      }
      const words = wordsOf(bytes, 0, end);
      if (words.length > 0 && words[0] !== '') this.#waiting.push({ unixUs, text: requestText(words) });
      stream.take(end);
    }
  }

  #replies(stream: InOrder, unixUs: number, onCommand: (command: DecodedCommand) => void): void {
    // The frame in which a reply begins is the one that counts.
    stream.beganUs ??= unixUs;
    for (;;) {
      const { bytes } = stream;
      const end = endOfValue(bytes, 0, bytes.length);
      if (end === INCOMPLETE) return;
      if (end === BROKEN) {
        this.#lost(1);
        return;
      }
      const reply = replyText(bytes, 0, end);
      const isPush = bytes[0] === 0x3e;
      const began = stream.beganUs ?? unixUs;
      stream.take(end);
      stream.beganUs = stream.bytes.length > 0 ? unixUs : null;
      const request = isPush ? undefined : this.#waiting.shift();
      const { client, server } = this.#ends;
      const latencyUs = request === undefined ? 0 : Math.max(0, began - request.unixUs);
      onCommand({
        unixUs: request?.unixUs ?? unixUs,
        client,
        server,
        request: request?.text ?? '(message)',
        reply,
        latencyUs,
      });
      if (stream.bytes.length === 0) return;
    }
  }
}

/** One direction's bytes in stream order. */
class InOrder {
  bytes: Uint8Array = new Uint8Array(0);
  /** When the first of `bytes` came; null: there are none. */
  beganUs: number | null = null;
  #next: number | null = null;
  readonly #early = new Map<number, { readonly payload: Uint8Array; readonly length: number }>();

  begin(seq: number): void {
    this.clear();
    this.#next = seq;
  }

  clear(): void {
    this.bytes = new Uint8Array(0);
    this.beganUs = null;
    this.#early.clear();
  }

  /** @param length of the payload on the wire. @returns false when bytes are missing for good. */
  push(seq: number, payload: Uint8Array, length: number): boolean {
    this.#next ??= seq;
    const ahead = (seq - this.#next) | 0;
    if (ahead > 0) {
      this.#early.set(seq, { payload, length });
      if (this.#early.size <= EARLY_MAX) return true;
      // It was not captured: go on behind the gap.
      this.clear();
      this.#next = (seq + length) | 0;
      return false;
    }
    if (((seq + length - this.#next) | 0) <= 0) return true;
    const whole = this.#append(payload.subarray(Math.min(payload.length, -ahead)), length + ahead);
    return this.#takeEarly() && whole;
  }

  take(count: number): void {
    this.bytes = this.bytes.subarray(count);
  }

  #append(payload: Uint8Array, length: number): boolean {
    this.#next = ((this.#next ?? 0) + length) | 0;
    if (payload.length < length || this.bytes.length + payload.length > BUFFER_MAX) return false;
    this.bytes = this.bytes.length === 0 ? payload : Uint8Array.from(Buffer.concat([this.bytes, payload]));
    return true;
  }

  #takeEarly(): boolean {
    for (;;) {
      const next = this.#next ?? 0;
      const early = this.#early.get(next);
      if (early === undefined) return true;
      this.#early.delete(next);
      if (!this.#append(early.payload, early.length)) return false;
    }
  }
}

function requestText(words: readonly string[]): string {
  const text = withoutSecrets(words).map(quote).join(' ');
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}... (${words.length} words)` : text;
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
