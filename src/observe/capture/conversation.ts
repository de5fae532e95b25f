// TCP connections as a capture shows them: finds the two ends of each and which of them is the server. decode.ts and explain.ts
// hang their own findings on it. For src/observe/capture.
import { ACK, addressText, type Dissected, SYN } from './dissect.ts';

/** One direction's place in a conversation: 0 what the client sends, 1 what the server sends. */
export type Side = 0 | 1;

export interface Ends {
  readonly client: string;
  readonly server: string;
}

/** Keeps a `T` for each conversation. */
export class Conversations<T> {
  readonly #make: (ends: Ends) => T;
  readonly #serverPort: number;
  readonly #known = new Map<string, { readonly from: string; readonly value: T }>();

  /** @param serverPort which side is the server's where no SYN tells; 0: a request does, or the lower port. */
  constructor(serverPort: number, make: (ends: Ends) => T) {
    this.#serverPort = serverPort;
    this.#make = make;
  }

  get values(): T[] {
    return [...this.#known.values()].map(({ value }) => value);
  }

  /** The conversation a TCP segment belongs to, and who sent it. */
  find(bytes: Uint8Array, fields: Dissected): { readonly value: T; readonly side: Side } {
    const source = place(bytes, fields.sourceAt, fields.addressLength, fields.sourcePort);
    const destination = place(bytes, fields.destinationAt, fields.addressLength, fields.destinationPort);
    const key = source < destination ? `${source} ${destination}` : `${destination} ${source}`;
    let known = this.#known.get(key);
    // A new connection between the same ports.
    if (known === undefined || ((fields.flags & (SYN | ACK)) === SYN && known.from !== source)) {
      const fromClient = this.#isFromClient(bytes, fields);
      const [client, server] = fromClient ? [source, destination] : [destination, source];
      known = { from: client, value: this.#make({ client, server }) };
      this.#known.set(key, known);
    }
    return { value: known.value, side: known.from === source ? 0 : 1 };
  }

  #isFromClient(bytes: Uint8Array, fields: Dissected): boolean {
    const { flags, sourcePort, destinationPort, payloadAt, payloadKept } = fields;
    if ((flags & SYN) !== 0) return (flags & ACK) === 0;
    const port = this.#serverPort;
    if (port !== 0 && (sourcePort === port) !== (destinationPort === port)) return destinationPort === port;
    // `*2\r\n$`: requests look like that, and some replies.
    if (payloadKept > 4 && bytes[payloadAt] === 0x2a && sourcePort > destinationPort) return true;
    return sourcePort > destinationPort;
  }
}

function place(bytes: Uint8Array, at: number, length: number, port: number): string {
  const text = addressText(bytes, at, length);
  return length === 16 ? `[${text}]:${port}` : `${text}:${port}`;
}
