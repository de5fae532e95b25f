// What a capture says about each TCP connection: how it began and ended, what was lost and sent again, and who stalled whom. A
// stall is a silence in the middle of something: the server at work on a request, an acknowledgement or retransmission
// that was long in coming, a window that was closed. A client that asks nothing stalls nobody. For src/cli.
import { Conversations, type Ends, type Side } from './conversation.ts';
import { ACK, Dissected, dissect, FIN, RST, SYN } from './dissect.ts';
import type { CapturedPacket } from './packet.ts';

const STALLS_KEPT = 5;

export type StallKind = 'server' | 'loss' | 'window' | 'handshake';

export interface Stall {
  readonly unixUs: number;
  readonly durationUs: number;
  readonly kind: StallKind;
  /** A sentence without a full stop. */
  readonly because: string;
}

export interface DirectionReport {
  packets: number;
  /** Of payload, each once. */
  bytes: number;
  retransmissions: number;
  retransmittedBytes: number;
  outOfOrder: number;
  duplicateAcks: number;
  zeroWindows: number;
}

export interface ConnectionReport extends Ends {
  readonly beganUs: number;
  readonly endedUs: number;
  readonly began: 'handshake' | 'before the capture' | 'never answered' | 'refused';
  readonly ended: 'open' | 'FIN by the client' | 'FIN by the server' | 'RST by the client' | 'RST by the server';
  /** Of the handshake, microseconds; 0: not seen. */
  readonly rttUs: number;
  readonly fromClient: Readonly<DirectionReport>;
  readonly fromServer: Readonly<DirectionReport>;
  /** Time in stalls by kind, microseconds. */
  readonly stalledUs: Readonly<Record<StallKind, number>>;
  /** The longest ones, longest first. */
  readonly stalls: readonly Stall[];
  /** Comments of the capture itself, and how often each came. */
  readonly decisions: Readonly<Record<string, number>>;
}

export class Explainer {
  readonly #conversations: Conversations<Explained>;
  readonly #fields = new Dissected();

  /** @param stallUs silences shorter than this are none. @param serverPort as CommandDecoder's. */
  constructor(stallUs: number, serverPort: number) {
    this.#conversations = new Conversations(serverPort, (ends) => new Explained(ends, stallUs));
  }

  packet({ bytes, linkType, unixUs, comment }: CapturedPacket): void {
    const fields = this.#fields;
    dissect(bytes, 0, bytes.length, linkType, fields);
    if (!fields.isTcp || fields.addressLength === 0) return;
    const { value, side } = this.#conversations.find(bytes, fields);
    value.segment(side, fields, unixUs, comment);
  }

  /** Of every connection, in the order of their first packets. */
  reports(): ConnectionReport[] {
    return this.#conversations.values.map((value) => value.report());
  }
}

/** One direction, as its sender's segments show it. */
class Direction {
  readonly report: DirectionReport = {
    packets: 0,
    bytes: 0,
    retransmissions: 0,
    retransmittedBytes: 0,
    outOfOrder: 0,
    duplicateAcks: 0,
    zeroWindows: 0,
  };
  /** Behind the highest byte seen; meaningful once `hasSeq`. */
  next = 0;
  hasSeq = false;
  lastAck = 0;
  scale = 0;
  /** The window this side offers, bytes; -1: not said yet. */
  window = -1;
  /** Since when it has been closed; 0: it is open. */
  closedUs = 0;
}

class Explained {
  readonly #ends: Ends;
  readonly #stallUs: number;
  readonly #directions = [new Direction(), new Direction()] as const;
  readonly #stalls: Stall[] = [];
  readonly #stalledUs: Record<StallKind, number> = { server: 0, loss: 0, window: 0, handshake: 0 };
  readonly #decisions: Record<string, number> = {};
  #beganUs = 0;
  #lastUs = 0;
  #synUs = 0;
  #rttUs = 0;
  #began: ConnectionReport['began'] = 'before the capture';
  #ended: ConnectionReport['ended'] = 'open';
  /** Since when the server owes an answer; 0: it does not. */
  #askedUs = 0;

  constructor(ends: Ends, stallUs: number) {
    this.#ends = ends;
    this.#stallUs = stallUs;
  }

  segment(side: Side, fields: Dissected, unixUs: number, comment: string): void {
    if (this.#beganUs === 0) this.#beganUs = unixUs;
    this.#note(comment);
    const from = this.#directions[side];
    from.report.packets++;
    if ((fields.flags & SYN) !== 0) this.#handshake(side, fields, unixUs);
    const again = this.#sequence(side, fields, unixUs);
    this.#windows(side, fields, unixUs);
    if (fields.payloadLength > 0 && !again) this.#turn(side, unixUs);
    if ((fields.flags & FIN) !== 0 && this.#ended === 'open')
      this.#ended = side === 0 ? 'FIN by the client' : 'FIN by the server';
    if ((fields.flags & RST) !== 0) this.#reset(side);
    this.#lastUs = unixUs;
  }

  report(): ConnectionReport {
    return {
      ...this.#ends,
      beganUs: this.#beganUs,
      endedUs: this.#lastUs,
      began: this.#began,
      ended: this.#ended,
      rttUs: this.#rttUs,
      fromClient: this.#directions[0].report,
      fromServer: this.#directions[1].report,
      stalledUs: this.#stalledUs,
      stalls: [...this.#stalls].sort((a, b) => b.durationUs - a.durationUs),
      decisions: this.#decisions,
    };
  }

  #note(comment: string): void {
    for (const decision of comment.split('; ')) {
      if (decision === '' || decision.startsWith('conn ')) continue;
      const kind = decision.replace(/\(.*\)|,.*/, '').trim();
      this.#decisions[kind] = (this.#decisions[kind] ?? 0) + 1;
    }
  }

  #handshake(side: Side, { flags, seq, windowScale }: Dissected, unixUs: number): void {
    const from = this.#directions[side];
    from.scale = Math.max(0, windowScale);
    if ((flags & ACK) === 0) {
      if (this.#synUs !== 0 && from.hasSeq)
        this.#stall(unixUs, unixUs - this.#lastUs, 'handshake', 'the SYN was not answered and was sent again');
      this.#synUs = unixUs;
      this.#began = 'never answered';
    } else if (this.#began === 'never answered') {
      this.#began = 'handshake';
      this.#rttUs = unixUs - this.#synUs;
      if (this.#rttUs >= this.#stallUs)
        this.#stall(unixUs, this.#rttUs, 'handshake', 'the server was slow to answer the SYN');
    }
    from.next = seq;
    from.hasSeq = true;
  }

  /** @returns whether the segment had been seen before. */
  #sequence(side: Side, { seq, flags, payloadLength }: Dissected, unixUs: number): boolean {
    const from = this.#directions[side];
    const length = payloadLength + ((flags & (SYN | FIN)) !== 0 ? 1 : 0);
    if (length === 0) return false;
    const end = (seq + length) | 0;
    if (!from.hasSeq) {
      from.hasSeq = true;
      from.next = seq;
    }
    const fresh = (end - from.next) | 0;
    if (fresh <= 0) {
      if ((flags & SYN) === 0) this.#again(side, payloadLength, unixUs);
      return true;
    }
    if (((seq - from.next) | 0) > 0) from.report.outOfOrder++;
    from.report.bytes += Math.min(payloadLength, fresh);
    from.next = end;
    return false;
  }

  #again(side: Side, payloadLength: number, unixUs: number): void {
    const { report } = this.#directions[side];
    report.retransmissions++;
    report.retransmittedBytes += payloadLength;
    const silence = unixUs - this.#lastUs;
    const whose = side === 0 ? "the client's" : "the server's";
    if (silence >= this.#stallUs)
      this.#stall(unixUs, silence, 'loss', `${whose} data was lost, or its acknowledgement, and sent again`);
    // What follows is not the server's delay.
    if (this.#askedUs !== 0) this.#askedUs = unixUs;
  }

  #windows(side: Side, { flags, ack, window, payloadLength }: Dissected, unixUs: number): void {
    const from = this.#directions[side];
    if ((flags & ACK) === 0 || (flags & RST) !== 0) return;
    const offered = (flags & SYN) !== 0 ? window : window << from.scale;
    const isPure = payloadLength === 0 && (flags & (SYN | FIN)) === 0;
    if (isPure && ack === from.lastAck && offered === from.window) from.report.duplicateAcks++;
    from.lastAck = ack;
    if (offered === 0 && from.window !== 0) {
      from.report.zeroWindows++;
      from.closedUs = unixUs;
    } else if (offered > 0 && from.closedUs !== 0) {
      const [who, whom] = side === 0 ? ['client', 'server'] : ['server', 'client'];
      const closed = unixUs - from.closedUs;
      if (closed >= this.#stallUs)
        this.#stall(
          unixUs,
          closed,
          'window',
          `the ${who} did not read: its window was closed, and the ${whom} had to wait`,
        );
      from.closedUs = 0;
      if (this.#askedUs !== 0) this.#askedUs = unixUs;
    }
    from.window = offered;
  }

  /** New data: the client has asked, or the server answers. */
  #turn(side: Side, unixUs: number): void {
    if (side === 0) {
      if (this.#askedUs === 0) this.#askedUs = unixUs;
      return;
    }
    if (this.#askedUs !== 0 && unixUs - this.#askedUs >= this.#stallUs) {
      this.#stall(unixUs, unixUs - this.#askedUs, 'server', 'the server took its time for an answer');
    }
    this.#askedUs = 0;
  }

  #reset(side: Side): void {
    if (this.#began === 'never answered') this.#began = 'refused';
    this.#ended = side === 0 ? 'RST by the client' : 'RST by the server';
  }

  #stall(unixUs: number, durationUs: number, kind: StallKind, because: string): void {
    this.#stalledUs[kind] += durationUs;
    this.#stalls.push({ unixUs: unixUs - durationUs, durationUs, kind, because });
    if (this.#stalls.length <= STALLS_KEPT) return;
    this.#stalls.sort((a, b) => b.durationUs - a.durationUs).pop();
  }
}
