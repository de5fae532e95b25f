// What a connection sends, pulled once a tick: lost data first, then new data as far as both windows go, then FIN, and
// an acknowledgement of its own only when nothing else went out that carried it (RFC 9293 3.8, RFC 5681 4.2).
// How a segment is built is in segment-out.ts. Used by stack/tcp and stack.ts.
import { distance, later } from '../sequence.ts';
import { ACK, FIN, PSH, SYN } from '../wire/tcp.ts';
import {
  CLOSE_WAIT,
  CLOSED,
  type Connection,
  ESTABLISHED,
  FIN_WAIT_1,
  LAST_ACK,
  OPTION_SACK,
  OPTION_TIMESTAMPS,
  SYN_RECEIVED,
  TIMER_PERSIST,
  TIMER_RETRANSMIT,
} from './connection.ts';
import { pipe } from './recovery.ts';
import { backedOffRto, startTiming } from './rtt.ts';
import { emit, emitSyn } from './segment-out.ts';
import type { Tcp } from './tcp.ts';
import { armDelayedAck, armPersist, armRetransmit } from './timers.ts';

/** Sends what may be sent. @returns false when outgoing slots ran out: call again later, nothing is lost. */
export function output(tcp: Tcp, c: Connection): boolean {
  if (c.state < ESTABLISHED) return outputSyn(tcp, c);
  const sentBefore = tcp.stats.tcpOutSegs;
  const complete = (distance(c.lostEnd, c.rexmitNxt) <= 0 || retransmit(tcp, c)) && sendNew(tcp, c);
  watch(tcp, c);
  if (!complete) return false;
  return tcp.stats.tcpOutSegs !== sentBefore || acknowledge(tcp, c);
}

/** SYN or SYN,ACK: the first time, or when the timer asked for it again. */
function outputSyn(tcp: Tcp, c: Connection): boolean {
  if (c.state === CLOSED) return true;
  if (c.sndNxt !== c.iss && !c.rexmitForced && !c.ackNow) return true;
  const passive = c.state === SYN_RECEIVED;
  const shift = passive && c.rcvWindShift === 0 && c.sndWindShift === 0 ? -1 : tcp.windowShift;
  const hasTimestamps = !passive || (c.options & OPTION_TIMESTAMPS) !== 0;
  const permitSack = !passive || (c.options & OPTION_SACK) !== 0;
  const ack = passive ? c.rcvNxt : 0;
  if (!emitSyn(tcp, c, c.iss, ack, passive ? SYN | ACK : SYN, shift, permitSack, hasTimestamps)) return false;
  if (c.sndNxt === c.iss) {
    c.sndNxt = (c.iss + 1) | 0;
    startTiming(c, c.sndNxt, tcp.nowUs);
  } else if (c.rexmitForced) {
    tcp.stats.tcpRetransSegs++;
    c.rttTiming = false;
  }
  c.rexmitForced = false;
  c.ackNow = false;
  if ((c.timers & TIMER_RETRANSMIT) === 0) armRetransmit(tcp, c);
  return true;
}

/** Sends again what is marked lost, as far as cwnd allows (RFC 6675 5 (C)). */
function retransmit(tcp: Tcp, c: Connection): boolean {
  for (;;) {
    const { scoreboard } = c;
    if (scoreboard !== null) c.rexmitNxt = scoreboard.endOfRangeAt(c.rexmitNxt);
    let length = distance(c.lostEnd, c.rexmitNxt);
    if (length <= 0) break;
    if (scoreboard !== null) length = distance(scoreboard.nextStart(c.rexmitNxt, c.lostEnd), c.rexmitNxt);
    if (length > c.mss) length = c.mss;
    if (!c.rexmitForced && pipe(c) + length > c.cwnd) return true;
    if (!sendRange(tcp, c, c.rexmitNxt, length, 0)) return false;
    tcp.stats.tcpRetransSegs++;
    c.rexmitForced = false;
    c.rttTiming = false;
    c.rexmitNxt = (c.rexmitNxt + length) | 0;
  }
  c.rexmitForced = false;
  c.lostEnd = later(c.lostEnd, c.rexmitNxt);
  return true;
}

/** Sends `length` of sequence space from `seq`, which may take in the FIN. */
function sendRange(tcp: Tcp, c: Connection, seq: number, length: number, flags: number): boolean {
  const data = Math.min(length, distance(c.dataEnd, seq));
  return emit(tcp, c, seq, data < length ? flags | FIN | ACK : flags | ACK, data);
}

function sendNew(tcp: Tcp, c: Connection): boolean {
  let unsent = distance(c.dataEnd, c.sndNxt);
  if (unsent <= 0 && (!c.finQueued || c.finSent)) return true;
  if (c.sndNxt === c.sndUna && distance(tcp.nowMs, c.lastSentMs) > backedOffRto(c)) tcp.congestion.onIdle(c, tcp.nowMs);
  while (unsent > 0) {
    const length = sendable(tcp, c, unsent);
    if (length <= 0) return true;
    const end = (c.sndNxt + length) | 0;
    const withFin = c.finQueued && length === unsent && distance((c.sndUna + c.sndWnd) | 0, end) > 0;
    let flags = length === unsent ? ACK | PSH : ACK;
    if (withFin) flags |= FIN;
    if (!emit(tcp, c, c.sndNxt, flags, length)) return false;
    c.sndNxt = end;
    c.forceSend = false;
    startTiming(c, end, tcp.nowUs);
    if (withFin) finWasSent(c);
    unsent -= length;
  }
  if (c.finQueued && !c.finSent && distance((c.sndUna + c.sndWnd) | 0, c.sndNxt) > 0) {
    if (!emit(tcp, c, c.sndNxt, ACK | FIN, 0)) return false;
    startTiming(c, (c.sndNxt + 1) | 0, tcp.nowUs);
    finWasSent(c);
  }
  return true;
}

function finWasSent(c: Connection): void {
  c.finSent = true;
  c.sndNxt = (c.sndNxt + 1) | 0;
  if (c.state === ESTABLISHED) c.state = FIN_WAIT_1;
  else if (c.state === CLOSE_WAIT) c.state = LAST_ACK;
}

/** Payload of the next new segment (several segments' where the device cuts them); 0: not now. */
function sendable(tcp: Tcp, c: Connection, unsent: number): number {
  const { mss } = c;
  const most = tcp.tsoPayloadMax > mss ? tcp.tsoPayloadMax - (tcp.tsoPayloadMax % mss) : mss;
  const usable = distance((c.sndUna + c.sndWnd) | 0, c.sndNxt);
  let length = Math.min(unsent, usable, most);
  const room = c.cwnd - pipe(c);
  if (length > room) {
    // Short segments for the sake of cwnd would only make more of them.
    if (room < mss) return 0;
    length = room;
  }
  if (length >= mss) return length < unsent ? length - (length % mss) : length;
  // Sender's silly-window avoidance and Nagle, RFC 9293 3.8.6.2.1 and 3.7.4.
  if (length === unsent && (c.noDelay || c.sndNxt === c.sndUna || c.finQueued)) return length;
  if (c.forceSend || (length > 0 && length >= c.sndWndMax >> 1)) return length;
  return 0;
}

/** Sees to it that some timer runs while something is out or waits for the window. */
function watch(tcp: Tcp, c: Connection): void {
  if (c.sndNxt !== c.sndUna) {
    if ((c.timers & TIMER_RETRANSMIT) === 0) armRetransmit(tcp, c);
  } else if (c.sendRing.length > 0 || (c.finQueued && !c.finSent)) {
    armPersist(tcp, c);
  } else {
    c.timers &= ~(TIMER_PERSIST | TIMER_RETRANSMIT);
  }
}

/** Nothing went out that acknowledges what came in: decides whether that deserves a segment of its own. */
function acknowledge(tcp: Tcp, c: Connection): boolean {
  const owed = distance(c.rcvNxt, c.lastAckSent);
  const now = c.ackNow || (owed > 0 && (c.quickAcks > 0 || owed >= 2 * c.rcvMss)) || windowUpdateIsDue(tcp, c);
  if (now) return sendAck(tcp, c);
  if (owed > 0) armDelayedAck(tcp, c);
  return true;
}

/** RFC 9293 3.8.6.2.2: an update of its own only for a worthwhile step. */
function windowUpdateIsDue(tcp: Tcp, c: Connection): boolean {
  const free = tcp.receiveBufferMax - c.unread;
  return (
    distance((c.rcvNxt + free) | 0, c.rcvAdv) >= Math.min(tcp.receiveBufferMax >> 1, 2 * tcp.mssMax) && !c.finReceived
  );
}

/** A bare acknowledgement, now. When there is no slot for it, it stays owed. */
export function sendAck(tcp: Tcp, c: Connection): boolean {
  if (emit(tcp, c, c.sndNxt, ACK, 0)) return true;
  c.ackNow = true;
  tcp.markDirty(c);
  return false;
}

/** An octet the peer has, without data: it has to answer with its window (RFC 9293 3.8.6.1, 3.10.7.4). */
export function sendWindowProbe(tcp: Tcp, c: Connection): void {
  emit(tcp, c, (c.sndUna - 1) | 0, ACK, 0);
}

/** RFC 9293 3.8.4. */
export function sendKeepalive(tcp: Tcp, c: Connection): void {
  emit(tcp, c, (c.sndNxt - 1) | 0, ACK, 0);
}
