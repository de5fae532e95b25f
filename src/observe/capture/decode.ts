// Redis commands out of captured segments: finds requests and replies in each connection's two streams, and tells how long it
// took from the frame that completed a request to the frame that began its reply. For src/cli.

import { Conversations, type Ends, type Side } from './conversation.ts';
import { Dissected, dissect, SYN } from './dissect.ts';
import { InOrder } from './in-order.ts';
import type { CapturedPacket } from './packet.ts';
import { RespReader, type Value } from './resp-reader.ts';
import { replyText, requestText } from './resp-text.ts';

/** Requests of a connection that wait for a reply; more, and the replies are not in the capture. */
const WAITING_MAX = 100_000;
/** Connections remembered at a time. */
const CONVERSATIONS_MAX = 20_000;

const SUBSCRIPTIONS = /^(p|s)?(un)?subscribe$/i;
/** What a subscriber gets without asking (RESP2 has no type for it). */
const MESSAGES = /^(p|s)?message$/;

export interface DecodedCommand {
  /** When the request was complete, microseconds since 1970. */
  readonly unixUs: number;
  readonly client: string;
  readonly server: string;
  /** The words as redis-cli would take them; passwords are not shown. Empty: the server spoke unasked. */
  readonly request: string;
  readonly reply: string;
  readonly latencyUs: number;
}

interface Request {
  readonly unixUs: number;
  readonly text: string;
  /** Of a subscription: one for each channel. */
  replies: number;
}

export class CommandDecoder {
  readonly #conversations: Conversations<Decoded>;
  readonly #fields = new Dissected();

  /** @param serverPort where a capture begins in the middle of a connection; 0: guess. */
  constructor(serverPort: number, onCommand: (command: DecodedCommand) => void) {
    this.#conversations = new Conversations(serverPort, CONVERSATIONS_MAX, (ends) => new Decoded(ends, onCommand));
  }

  packet({ bytes, linkType, unixUs }: CapturedPacket): void {
    const fields = this.#fields;
    dissect(bytes, 0, bytes.length, linkType, fields);
    if (!fields.isTcp || fields.addressLength === 0) return;
    const { value, side } = this.#conversations.find(bytes, fields);
    value.segment(side, bytes, fields, unixUs);
  }
}

class Decoded {
  readonly #ends: Ends;
  readonly #onCommand: (command: DecodedCommand) => void;
  readonly #requests = new RespReader(true, (value) => this.#request(value));
  readonly #replies = new RespReader(false, (value) => this.#reply(value));
  readonly #streams = [
    new InOrder({ bytes: (payload) => this.#asked(payload), gap: () => this.#lose() }),
    new InOrder({ bytes: (payload) => this.#answered(payload), gap: () => this.#lose() }),
  ] as const;
  #waiting: Request[] = [];
  /** Which reply belongs to which request is not known, until a request begins a segment. */
  #isLost = true;
  /** MONITOR and PSYNC: what the server sends after their reply are none. */
  #becomesStream = false;
  #isStream = false;
  /** CLIENT REPLY OFF; SKIP: the next request has no reply. */
  #isSilent = false;
  #skips = false;
  /** Of the frame that is being read, and of the one in which the next reply began. */
  #nowUs = 0;
  #replyUs = 0;

  constructor(ends: Ends, onCommand: (command: DecodedCommand) => void) {
    this.#ends = ends;
    this.#onCommand = onCommand;
  }

  segment(side: Side, bytes: Uint8Array, fields: Dissected, unixUs: number): void {
    const { seq, flags, payloadAt, payloadLength, payloadKept } = fields;
    this.#nowUs = unixUs;
    if ((flags & SYN) !== 0) {
      this.#isLost = false;
      this.#streams[side].begin((seq + 1) | 0);
    }
    if (payloadLength === 0 || this.#isStream) return;
    const payload = bytes.subarray(payloadAt, payloadAt + payloadKept);
    this.#streams[side].push((flags & SYN) !== 0 ? (seq + 1) | 0 : seq, payload, payloadLength);
  }

  #lose(): void {
    this.#isLost = true;
    this.#waiting = [];
    this.#requests.reset();
    this.#replies.reset();
  }

  #asked(payload: Uint8Array): void {
    // `*2`
    if (this.#isLost && payload.length > 1 && payload[0] === 0x2a && payload[1] >= 0x30 && payload[1] <= 0x39)
      this.#isLost = false;
    if (this.#isLost) return;
    if (!this.#requests.push(payload) || this.#waiting.length > WAITING_MAX) this.#lose();
  }

  #answered(payload: Uint8Array): void {
    if (this.#isLost) return;
    if (this.#replies.isBetweenValues) this.#replyUs = this.#nowUs;
    if (!this.#replies.push(payload)) this.#lose();
  }

  #request(value: Value): void {
    const name = value.texts[0]?.start.toLowerCase() ?? '';
    if (name === '') return;
    if (name === 'client' && this.#clientReply(value)) return;
    const skipped = this.#skips || this.#isSilent;
    this.#skips = false;
    if (skipped) return;
    const replies = SUBSCRIPTIONS.test(name) ? Math.max(1, value.count - 1) : 1;
    this.#waiting.push({ unixUs: this.#nowUs, text: requestText(value), replies });
    if (name === 'monitor' || name === 'psync' || name === 'sync') this.#becomesStream = true;
  }

  /** CLIENT REPLY ON|OFF|SKIP. @returns whether it has no reply itself. */
  #clientReply({ texts }: Value): boolean {
    if (texts[1]?.start.toLowerCase() !== 'reply') return false;
    const mode = texts[2]?.start.toLowerCase();
    this.#isSilent = mode === 'off';
    this.#skips = mode === 'skip';
    return mode === 'off' || mode === 'skip';
  }

  #reply(value: Value): void {
    const beganUs = this.#replyUs;
    this.#replyUs = this.#nowUs;
    const isMessage = value.type === '>' || (value.type === '*' && MESSAGES.test(value.texts[0]?.start ?? ''));
    const isAnswer = !isMessage || SUBSCRIPTIONS.test(value.texts[0]?.start ?? '');
    const request = isAnswer ? this.#waiting[0] : undefined;
    if (request !== undefined && --request.replies === 0) this.#waiting.shift();
    this.#isStream = this.#becomesStream && this.#waiting.length === 0;
    this.#onCommand({
      unixUs: request?.unixUs ?? beganUs,
      ...this.#ends,
      request: request?.text ?? '',
      reply: replyText(value),
      latencyUs: request === undefined ? 0 : Math.max(0, beganUs - request.unixUs),
    });
  }
}
