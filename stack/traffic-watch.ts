// Which connections move the most bytes: compares every connection's sequence numbers with those of the look before. Made while
// somebody watches; nothing is counted on the way of a packet. src/transports/userspace.ts hands it on.
import { type ConnectionFacts, oneConnection } from './facts.ts';
import type { Socket } from './socket.ts';
import type { Stack } from './stack.ts';
import { type Connection, FLOW_CONNECTION } from './tcp/connection.ts';

/** A connection and what it moved since the look before, bytes. */
export interface ConnectionTraffic {
  readonly facts: ConnectionFacts;
  readonly received: number;
  readonly sent: number;
}

interface Seen {
  readonly received: number;
  readonly sent: number;
}

/** Sequence numbers as they were; by socket, which unlike its connection is never used again. */
interface Mark {
  rcvNxt: number;
  sndUna: number;
}

export class TrafficWatch {
  readonly #stack: Stack;
  readonly #idOf: (user: unknown) => number;
  readonly #marks = new WeakMap<Socket, Mark>();

  /** @param idOf as in `connectionFacts`. */
  constructor(stack: Stack, idOf: (user: unknown) => number) {
    this.#stack = stack;
    this.#idOf = idOf;
    this.take(0);
  }

  /** @returns at most `limit` connections, those with the most traffic since the look before first. */
  take(limit: number): ConnectionTraffic[] {
    const moved: (Seen & { readonly c: Connection })[] = [];
    this.#stack.tcp.flows.forEach((flow) => {
      if (flow.kind !== FLOW_CONNECTION) return;
      const c = flow as Connection;
      const seen = this.#look(c);
      if (seen !== null) moved.push({ ...seen, c });
    });
    moved.sort((a, b) => b.received + b.sent - a.received - a.sent);
    this.#stack.tcp.readClock();
    return moved.slice(0, limit).map(({ c, received, sent }) => ({
      facts: oneConnection(this.#stack, c, this.#idOf),
      received,
      sent,
    }));
  }

  #look(c: Connection): Seen | null {
    if (c.socket === null) return null;
    const { rcvNxt, sndUna } = c;
    const mark = this.#marks.get(c.socket);
    if (mark === undefined) {
      this.#marks.set(c.socket, { rcvNxt, sndUna });
      // All of a new one; a SYN takes a number.
      return { received: Math.max(0, ((rcvNxt - c.irs) >>> 0) - 1), sent: Math.max(0, ((sndUna - c.iss) >>> 0) - 1) };
    }
    const seen = { received: (rcvNxt - mark.rcvNxt) >>> 0, sent: (sndUna - mark.sndUna) >>> 0 };
    mark.rcvNxt = rcvNxt;
    mark.sndUna = sndUna;
    return seen;
  }
}
