// TCP connections as a capture shows them: finds the two ends of each and which of them is the server, and tells a new
// connection from an old one between the same ports. decode.ts and explain.ts hang their own findings on it. For
// src/observe/capture.
import { ACK, addressText, type Dissected, SYN } from './dissect.ts';

/** One direction's place in a conversation: 0 what the client sends, 1 what the server sends. */
export type Side = 0 | 1;

export interface Ends {
  readonly client: string;
  readonly server: string;
}

interface Known<T> {
  readonly from: string;
  readonly value: T;
  /** Sequence number of the SYN; null: none has been seen. */
  readonly syn: number | null;
}

/** Keeps a `T` for each conversation. */
export class Conversations<T> {
  readonly #make: (ends: Ends) => T;
  readonly #serverPort: number;
  readonly #most: number;
  readonly #known = new Map<string, Known<T>>();

  /**
   * @param serverPort which side is the server's where no SYN tells; 0: the lower port.
   * @param most the oldest is forgotten when there would be more.
   */
  constructor(serverPort: number, most: number, make: (ends: Ends) => T) {
    this.#serverPort = serverPort;
    this.#most = most;
    this.#make = make;
  }

  /** The conversation a TCP segment belongs to, and who sent it. */
  find(bytes: Uint8Array, fields: Dissected): { readonly value: T; readonly side: Side } {
    const source = place(bytes, fields.sourceAt, fields.addressLength, fields.sourcePort);
    const destination = place(bytes, fields.destinationAt, fields.addressLength, fields.destinationPort);
    const key = source < destination ? `${source} ${destination}` : `${destination} ${source}`;
    const isSyn = (fields.flags & (SYN | ACK)) === SYN;
    let known = this.#known.get(key);
    // A SYN with another number than the first one's is a new connection between the same ports.
    if (known === undefined || (isSyn && known.syn !== fields.seq)) {
      const [client, server] = this.#isFromClient(fields) ? [source, destination] : [destination, source];
      known = { from: client, value: this.#make({ client, server }), syn: isSyn ? fields.seq : null };
      this.#remember(key, known);
    }
    return { value: known.value, side: known.from === source ? 0 : 1 };
  }

  #remember(key: string, known: Known<T>): void {
    this.#known.delete(key);
    this.#known.set(key, known);
    if (this.#known.size <= this.#most) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }

  #isFromClient(fields: Dissected): boolean {
    const { flags, sourcePort, destinationPort } = fields;
    if ((flags & SYN) !== 0) return (flags & ACK) === 0;
    const port = this.#serverPort;
    if (port !== 0 && (sourcePort === port) !== (destinationPort === port)) return destinationPort === port;
    return sourcePort > destinationPort;
  }
}

function place(bytes: Uint8Array, at: number, length: number, port: number): string {
  const text = addressText(bytes, at, length);
  return length === 16 ? `[${text}]:${port}` : `${text}:${port}`;
}
