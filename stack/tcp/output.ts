// What a connection sends, pulled once a tick: lost data first, then new data as far as both windows go, then FIN, and
// an acknowledgement of its own only when nothing else went out that carried it (RFC 9293 3.8, RFC 5681 4.2).
// Acknowledgements are the clock: nothing is paced. Pacing (twice cwnd a round trip in slow start, 1.2 times after, steps of a
// millisecond) was tried in the simulator's bulk transfers: no clear gain in scripts/goodput's cells.
// How a segment is built is in segment-out.ts. Used by stack/tcp and stack.ts.
import { distance } from '../sequence.ts';
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
import { ECN_SYN } from './ecn.ts';
import { type Flight, PHASE_OPEN, PHASE_RECOVERY } from './flight.ts';
import { cutPathProbe, nextPathProbe, notePathProbe } from './path-mtu.ts';
import { armProbe } from './rack.ts';
import { noteAgain, noteUsage, pipe } from './recovery.ts';
import { backedOffRto } from './rtt.ts';
import { emit, emitSyn, receiveRoom } from './segment-out.ts';
import type { Tcp } from './tcp.ts';
import { armDelayedAck, armPersist, armRetransmit } from './timers.ts';

/** Sends what may be sent. @returns false when outgoing slots ran out: call again later, nothing is lost. */
export function output(tcp: Tcp, c: Connection): boolean {
  if (c.state < ESTABLISHED) return outputSyn(tcp, c);
  const sentBefore = tcp.stats.tcpOutSegs;
  const complete = (c.flight === null || c.flight.lost === 0 || retransmit(tcp, c, c.flight)) && sendNew(tcp, c);
  watch(tcp, c);
  if (!complete) return false;
  return tcp.stats.tcpOutSegs !== sentBefore || acknowledge(tcp, c);
}

/** SYN or SYN,ACK: the first time, or when the timer asked for it again. */
function outputSyn(tcp: Tcp, c: Connection): boolean {
  if (c.state === CLOSED) return true;
  if (c.sndNxt !== c.iss && !c.synAgain && !c.ackNow) return true;
  const passive = c.state === SYN_RECEIVED;
  const shift = passive && c.rcvWindShift === 0 && c.sndWindShift === 0 ? -1 : tcp.windowShift;
  const hasTimestamps = !passive || (c.options & OPTION_TIMESTAMPS) !== 0;
  const permitSack = !passive || (c.options & OPTION_SACK) !== 0;
  const ack = passive ? c.rcvNxt : 0;
  // RFC 3168 6.1.1: asked for once; a path that drops such a SYN gets the next without.
  const wish = tcp.config.ecn === 'on' && !c.synAgain ? ECN_SYN : 0;
  if (!emitSyn(tcp, c, c.iss, ack, passive ? SYN | ACK : SYN | wish, shift, permitSack, hasTimestamps)) return false;
  if (c.sndNxt === c.iss) {
    c.sndNxt = (c.iss + 1) | 0;
    c.synSentUs = tcp.nowUs;
    c.synTimed = true;
  } else if (c.synAgain) {
    tcp.stats.tcpRetransSegs++;
    c.retransmitted++;
    c.synTimed = false;
  }
  c.synAgain = false;
  c.ackNow = false;
  if ((c.timers & TIMER_RETRANSMIT) === 0) armRetransmit(tcp, c);
  return true;
}

/** Sends again what is marked lost, as far as cwnd allows (RFC 6675 5 (C)). */
function retransmit(tcp: Tcp, c: Connection, f: Flight): boolean {
  if (f.newDataFirst) {
    f.newDataFirst = false;
    return true;
  }
  for (let n = f.nextLost(); n >= 0; n = f.nextLost()) {
    if (!f.forced && pipe(c) + f.lengthOf(n) > c.cwnd) return true;
    if (!sendAgain(tcp, c, f, n)) return false;
    // What holds SND.UNA back has its full time again (RFC 6298 5.1 leaves the running timer; this is no sooner).
    if (n === f.first) armRetransmit(tcp, c);
  }
  return true;
}

/** Segment `n` once more, which may take in the FIN. */
function sendAgain(tcp: Tcp, c: Connection, f: Flight, n: number): boolean {
  const seq = f.startOf(n);
  if (f.pathProbing && seq === f.pathProbeStart) {
    cutPathProbe(c, f);
    n = f.find(seq);
  }
  const length = f.lengthOf(n);
  const data = Math.min(length, distance(c.dataEnd, seq));
  // The end of what was written is pushed, the second time too: RFC 9293 3.9.1.2.
  let flags = data > 0 && ((seq + data) | 0) === c.dataEnd ? ACK | PSH : ACK;
  if (data < length) flags |= FIN;
  if (!emit(tcp, c, seq, flags, data)) return false;
  noteAgain(tcp, f, n);
  tcp.stats.tcpRetransSegs++;
  c.retransmitted++;
  return true;
}

function sendNew(tcp: Tcp, c: Connection): boolean {
  let unsent = distance(c.dataEnd, c.sndNxt);
  if (unsent <= 0 && (!c.finQueued || c.finSent)) return true;
  if (c.sndNxt === c.sndUna) afterSilence(tcp, c);
  const start = c.sndNxt;
  if (c.flight !== null && c.flight.mssLimit !== 0) {
    if (!sendPathProbe(tcp, c, c.flight, unsent)) return false;
    unsent = distance(c.dataEnd, c.sndNxt);
  }
  while (unsent > 0) {
    const length = sendable(tcp, c, unsent);
    if (length <= 0) break;
    if (!sendSegment(tcp, c, length, unsent)) return false;
    unsent -= length;
  }
  if (unsent <= 0 && c.finQueued && !c.finSent && distance((c.sndUna + c.sndWnd) | 0, c.sndNxt) > 0) {
    if (!emit(tcp, c, c.sndNxt, ACK | FIN, 0)) return false;
    noteSent(tcp, c, 0, true);
  }
  if (c.flight !== null) {
    noteUsage(c, c.flight);
    if (c.sndNxt !== start) {
      if ((c.timers & TIMER_RETRANSMIT) === 0) armRetransmit(tcp, c);
      armProbe(tcp, c, c.flight);
    }
  }
  return true;
}

/** RFC 4821 7.4: where the MSS was lowered, a larger segment first, now and then. */
function sendPathProbe(tcp: Tcp, c: Connection, f: Flight, unsent: number): boolean {
  const size = nextPathProbe(tcp, c, f, unsent);
  if (size === 0) return true;
  const { mss } = c;
  c.mss = size;
  const isSent = sendSegment(tcp, c, size, unsent);
  c.mss = mss;
  if (isSent) notePathProbe(tcp, c, f, size);
  return isSent;
}

/** RFC 5681 4.1: the first data after more than an RTO of nothing. */
function afterSilence(tcp: Tcp, c: Connection): void {
  const idleMs = distance(tcp.nowMs, c.lastSentMs);
  if (idleMs > backedOffRto(c)) tcp.congestion.onIdle(c, c.flight, idleMs);
}

/** The next `length` of `unsent` bytes, with the FIN when nothing is left and the window has room for it. */
function sendSegment(tcp: Tcp, c: Connection, length: number, unsent: number): boolean {
  const withFin = c.finQueued && length === unsent && distance((c.sndUna + c.sndWnd) | 0, (c.sndNxt + length) | 0) > 0;
  let flags = length === unsent ? ACK | PSH : ACK;
  if (withFin) flags |= FIN;
  if (!emit(tcp, c, c.sndNxt, flags, length)) return false;
  noteSent(tcp, c, length, withFin);
  c.forceSend = false;
  return true;
}

/** `length` bytes went out for the first time, cut by the device where they are more than a segment. */
function noteSent(tcp: Tcp, c: Connection, length: number, withFin: boolean): void {
  c.flight ??= tcp.takeFlight();
  const f = c.flight;
  if (f.first === f.next) c.progressMs = tcp.nowMs;
  if (f.phase === PHASE_RECOVERY) f.prrOut += length;
  let left = length;
  while (left > c.mss) {
    const end = (c.sndNxt + c.mss) | 0;
    f.push(c.sndNxt, end, tcp.nowUs);
    c.sndNxt = end;
    left -= c.mss;
  }
  const end = (c.sndNxt + left + (withFin ? 1 : 0)) | 0;
  f.push(c.sndNxt, end, tcp.nowUs);
  c.sndNxt = end;
  if (withFin) finWasSent(c);
}

/** RFC 8985 7.3: new data if there is any, else the last segment again, whatever cwnd says. */
export function sendLossProbe(tcp: Tcp, c: Connection): void {
  const f = c.flight;
  if (f === null || f.first === f.next || f.phase !== PHASE_OPEN) return;
  const unsent = distance(c.dataEnd, c.sndNxt);
  const length = Math.min(unsent, c.mss, distance((c.sndUna + c.sndWnd) | 0, c.sndNxt));
  f.probeAgain = length <= 0;
  if (!(f.probeAgain ? sendAgain(tcp, c, f, f.next - 1) : sendSegment(tcp, c, length, unsent))) return;
  tcp.stats.tcpLossProbes++;
  f.keeps = true;
  f.probeOut = true;
  f.probeEnd = c.sndNxt;
  armRetransmit(tcp, c);
}

function finWasSent(c: Connection): void {
  c.finSent = true;
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
  const step = distance((c.rcvNxt + receiveRoom(c)) | 0, c.rcvAdv);
  return step >= Math.min(c.rcvSpace >> 1, 2 * tcp.mssMax) && !c.finReceived;
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
