// What a capture says about each TCP connection: how it began and ended, what was lost and sent again, and who stalled whom. A
// stall is a silence in the middle of something: the server at work on a request, an acknowledgement or retransmission
// that was long in coming, a window that was closed. A client that asks nothing stalls nobody. For src/cli.
import { Conversations, type Ends, type Side } from './conversation.ts';
import { ACK, Dissected, dissect, FIN, RST, SYN } from './dissect.ts';
import type { CapturedPacket } from './packet.ts';
import { SentRanges } from './sent-ranges.ts';

const STALLS_KEPT = 5;
/** A retransmission after a silence of this is a timeout: no stack's minimum is much lower (RFC 6298 wants a second). */
const TIMEOUT_US = 150_000;
/** What fills a gap later than this was lost before the point of capture, not overtaken. */
const REORDERING_US = 3000;
/** Data this soon after an acknowledgement had waited for it. */
const AT_ONCE_US = 5000;

export type StallKind = 'server' | 'loss' | 'window' | 'acknowledgement' | 'handshake';

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
  /** Segments that are in the capture more than once. */
  retransmissions: number;
  retransmittedBytes: number;
  /** Segments that were lost before the point of capture: only what was sent in their place is there. */
  lostBefore: number;
  /** Of all that was sent again: after a timeout. */
  timeouts: number;
  /** Segments that came after later ones, but soon. */
  reordered: number;
  /** The peer's duplicate acknowledgements of this direction. */
  duplicateAcks: number;
  /** Times this side closed its window. */
  zeroWindows: number;
  /** Bytes that the peer acknowledged and the capture lacks. */
  notCaptured: number;
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
  readonly #all: Explained[] = [];
  readonly #fields = new Dissected();

  /** @param stallUs silences shorter than this are none. @param serverPort as CommandDecoder's. */
  constructor(stallUs: number, serverPort: number) {
    this.#conversations = new Conversations(serverPort, Number.POSITIVE_INFINITY, (ends) => {
      const explained = new Explained(ends, stallUs);
      this.#all.push(explained);
      return explained;
    });
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
    return this.#all.map((one) => one.report());
  }
}

/** One direction, as its sender's segments show it. */
class Direction {
  readonly report: DirectionReport = {
    packets: 0,
    bytes: 0,
    retransmissions: 0,
    retransmittedBytes: 0,
    lostBefore: 0,
    timeouts: 0,
    reordered: 0,
    duplicateAcks: 0,
    zeroWindows: 0,
    notCaptured: 0,
  };
  readonly ranges = new SentRanges();
  /** Of its latest segment with data; 0: there was none. */
  dataUs = 0;
  ack: number | null = null;
  /** When its acknowledgement last moved on. */
  ackUs = 0;
  /** Duplicates of its latest acknowledgement. */
  sameAcks = 0;
  scale = 0;
  /** The window this side offers, bytes; -1: not said yet. */
  window = -1;
  /** Since when it has been closed; 0: it is open. */
  closedUs = 0;
}

const NAMES = ['client', 'server'] as const;

class Explained {
  readonly #ends: Ends;
  readonly #stallUs: number;
  readonly #directions = [new Direction(), new Direction()] as const;
  readonly #stalls: Stall[] = [];
  readonly #stalledUs: Record<StallKind, number> = { server: 0, loss: 0, window: 0, acknowledgement: 0, handshake: 0 };
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
    const { flags, payloadLength } = fields;
    if (this.#beganUs === 0) this.#beganUs = unixUs;
    this.#note(comment);
    this.#directions[side].report.packets++;
    if ((flags & SYN) !== 0) this.#handshake(side, fields, unixUs);
    else if (payloadLength > 0) this.#data(side, fields, unixUs);
    this.#acknowledgement(side, fields, unixUs);
    this.#window(side, fields, unixUs);
    if ((flags & FIN) !== 0 && this.#ended === 'open') this.#ended = `FIN by the ${NAMES[side]}`;
    if ((flags & RST) !== 0) this.#reset(side);
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
      fromClient: this.#reportOf(0),
      fromServer: this.#reportOf(1),
      stalledUs: this.#stalledUs,
      stalls: [...this.#stalls].sort((a, b) => b.durationUs - a.durationUs),
      decisions: this.#decisions,
    };
  }

  #reportOf(side: Side): DirectionReport {
    const { report, ranges } = this.#directions[side];
    return { ...report, notCaptured: ranges.missing };
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
    const isAgain = from.ranges.next !== null;
    from.scale = Math.max(0, windowScale);
    if (!isAgain) from.ranges.begin((seq + 1) | 0);
    if ((flags & ACK) === 0) {
      if (isAgain) {
        from.report.retransmissions++;
        from.report.timeouts++;
        const because = 'the SYN was not answered and was sent again';
        this.#stall(unixUs, unixUs - this.#lastUs, 'handshake', because);
      } else this.#began = 'never answered';
      this.#synUs = unixUs;
    } else if (this.#began === 'never answered') {
      this.#began = 'handshake';
      this.#rttUs = unixUs - this.#synUs;
      this.#stall(unixUs, this.#rttUs, 'handshake', 'the server was slow to answer the SYN');
    }
  }

  #data(side: Side, { seq, payloadLength }: Dissected, unixUs: number): void {
    const from = this.#directions[side];
    const { ranges, report } = from;
    // A keep-alive probe may carry a byte of the past (RFC 9293 3.8.4).
    if (payloadLength === 1 && ranges.next !== null && ((seq + 1) | 0) === ranges.next) return;
    ranges.take(seq, payloadLength, unixUs);
    report.bytes += ranges.fresh;
    const isLate = ranges.filled > 0 && unixUs - ranges.holeUs >= Math.max(REORDERING_US, this.#rttUs / 2);
    if (ranges.filled > 0 && !isLate) report.reordered++;
    if (isLate) report.lostBefore++;
    if (ranges.fresh === 0) {
      report.retransmissions++;
      report.retransmittedBytes += payloadLength;
    }
    if (isLate || ranges.fresh === 0) this.#sentAgain(side, unixUs);
    else this.#turn(side, unixUs);
    from.dataUs = unixUs;
  }

  #sentAgain(side: Side, unixUs: number): void {
    const { report, dataUs } = this.#directions[side];
    const silence = unixUs - dataUs;
    if (silence >= TIMEOUT_US && this.#directions[1 - side].sameAcks < 3) report.timeouts++;
    const because = `the ${NAMES[side]}'s data was lost, or its acknowledgement, and sent again`;
    this.#stall(unixUs, silence, 'loss', because);
    // What follows is not the server's delay.
    if (this.#askedUs !== 0) this.#askedUs = unixUs;
  }

  #acknowledgement(side: Side, { flags, ack, window, payloadLength }: Dissected, unixUs: number): void {
    if ((flags & ACK) === 0 || (flags & RST) !== 0) return;
    const from = this.#directions[side];
    const peer = this.#directions[1 - side];
    if (from.ack === null || ((ack - from.ack) | 0) > 0) {
      from.ack = ack;
      from.ackUs = unixUs;
      from.sameAcks = 0;
      return;
    }
    const isOutstanding = peer.ranges.next !== null && ((peer.ranges.next - ack) | 0) > 0;
    const isPure = payloadLength === 0 && (flags & (SYN | FIN)) === 0;
    if (ack !== from.ack || !isPure || !isOutstanding || window << from.scale !== from.window) return;
    from.sameAcks++;
    peer.report.duplicateAcks++;
  }

  #window(side: Side, { flags, window }: Dissected, unixUs: number): void {
    if ((flags & ACK) === 0 || (flags & RST) !== 0) return;
    const from = this.#directions[side];
    const offered = (flags & SYN) !== 0 ? window : window << from.scale;
    if (offered === 0 && from.window !== 0) {
      from.report.zeroWindows++;
      from.closedUs = unixUs;
    } else if (offered > 0 && from.closedUs !== 0) {
      const because = `the ${NAMES[side]} did not read: its window was closed, and the ${NAMES[1 - side]} had to wait`;
      this.#stall(unixUs, unixUs - from.closedUs, 'window', because);
      from.closedUs = 0;
      // Neither side was slow at anything else meanwhile.
      this.#directions[1 - side].dataUs = unixUs;
      if (this.#askedUs !== 0) this.#askedUs = unixUs;
    }
    from.window = offered;
  }

  /** New data: the client has asked, or the server answers, or either goes on. */
  #turn(side: Side, unixUs: number): void {
    if (side === 1 && this.#askedUs !== 0) {
      this.#stall(unixUs, unixUs - this.#askedUs, 'server', 'the server took its time for an answer');
    } else this.#waited(side, unixUs);
    this.#askedUs = side === 0 ? this.#askedUs || unixUs : 0;
  }

  /** Whether it went on only because the acknowledgement of what came before arrived at last. */
  #waited(side: Side, unixUs: number): void {
    const from = this.#directions[side];
    const { ackUs } = this.#directions[1 - side];
    if (from.dataUs === 0 || unixUs - ackUs > AT_ONCE_US || ackUs < from.dataUs) return;
    // A client that asks when the answer came has not waited for an acknowledgement.
    if (this.#directions[1 - side].dataUs >= from.dataUs) return;
    const because = `the ${NAMES[1 - side]}'s acknowledgement was slow, and the ${NAMES[side]} waited for it`;
    this.#stall(unixUs, ackUs - from.dataUs, 'acknowledgement', because);
  }

  #reset(side: Side): void {
    if (this.#began === 'never answered') this.#began = 'refused';
    this.#ended = `RST by the ${NAMES[side]}`;
  }

  #stall(unixUs: number, durationUs: number, kind: StallKind, because: string): void {
    if (durationUs < this.#stallUs) return;
    this.#stalledUs[kind] += durationUs;
    this.#stalls.push({ unixUs: unixUs - durationUs, durationUs, kind, because });
    if (this.#stalls.length <= STALLS_KEPT) return;
    this.#stalls.sort((a, b) => b.durationUs - a.durationUs).pop();
  }
}
