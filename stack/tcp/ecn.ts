// Explicit congestion notification (RFC 3168): routers mark instead of dropping, the receiver echoes the mark until the
// sender says that it slowed down. Negotiated on SYN; costs a connection without it one comparison a segment.
// Used by stack/tcp only.
import { after } from '../sequence.ts';
import { CWR, ECE, type TcpSegment } from '../wire/tcp.ts';
import type { Connection } from './connection.ts';
import { type Flight, PHASE_OPEN } from './flight.ts';
import { reduce } from './recovery.ts';
import type { Tcp } from './tcp.ts';

// Code points of the IP header (RFC 3168 5).
export const ECT_0 = 2;
const CE = 3;

// What a connection owes, `c.ecn`.
/** ECE on every acknowledgement until CWR comes. */
const ECHO = 1;
/** CWR on the next new data. */
const CWR_DUE = 2;

/** RFC 3168 6.1.1: an ECN-setup SYN has both, an ECN-setup SYN,ACK has ECE alone. */
export const ECN_SYN = ECE | CWR;

export function isEcnSyn(flags: number): boolean {
  return (flags & ECN_SYN) === ECN_SYN;
}

export function isEcnSynAck(flags: number): boolean {
  return (flags & ECN_SYN) === ECE;
}

/** An acceptable segment of a connection that has ECN. @param codePoint of the packet it came in. */
export function onEcnSegment(tcp: Tcp, c: Connection, segment: TcpSegment, codePoint: number): void {
  // RFC 3168 6.1.3; a mark on the very segment with CWR is a new one.
  if ((segment.flags & CWR) !== 0) c.ecn &= ~ECHO;
  if (codePoint === CE && segment.payloadLength > 0) {
    tcp.stats.tcpInCe++;
    c.ecn |= ECHO;
    c.ackNow = true;
  }
  if ((segment.flags & ECE) === 0 || isSlowedAlready(c, segment.ack)) return;
  // RFC 3168 6.1.2: as for a loss, once a window; a recovery has reduced already.
  tcp.stats.tcpEcnReductions++;
  c.flight ??= tcp.takeFlight();
  if (c.flight.phase === PHASE_OPEN) reduce(tcp, c, c.flight);
  onLossReduction(c, c.flight);
}

/** The mark is on something that was sent before the last reduction. */
function isSlowedAlready(c: Connection, ack: number): boolean {
  const f = c.flight;
  return f === null ? false : f.isSlowed && !after(ack, f.slowedUntil);
}

/** A loss made us slow down too (RFC 3168 6.1.2). */
export function onLossReduction(c: Connection, f: Flight): void {
  f.keeps = true;
  f.isSlowed = true;
  f.slowedUntil = c.sndNxt;
  c.ecn |= CWR_DUE;
}

/** Flags to add to a segment that goes out. */
export function ecnFlags(tcp: Tcp, c: Connection, isNewData: boolean): number {
  let flags = (c.ecn & ECHO) !== 0 ? ECE : 0;
  if (isNewData && (c.ecn & CWR_DUE) !== 0) {
    c.ecn &= ~CWR_DUE;
    flags |= CWR;
    tcp.stats.tcpOutCwr++;
  }
  return flags;
}
