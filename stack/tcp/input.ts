// SEGMENT ARRIVES (RFC 9293 3.10.7) for connections: SYN-SENT, and the seven checks of the synchronized states with the
// tightenings of RFC 5961 and RFC 7323. What listens or waits is in listener.ts and time-wait.ts, what the
// payload does in receive.ts. Nothing here throws or allocates. Used by stack/tcp only.
import { CLOSE_OK, CLOSE_REFUSED, CLOSE_RESET } from '../close-reasons.ts';
import { after, atOrBefore, before, distance } from '../sequence.ts';
import {
  DROP_TCP_BAD_ACK,
  DROP_TCP_CHALLENGED,
  DROP_TCP_NO_ACK_BIT,
  DROP_TCP_NOT_ACCEPTABLE,
  DROP_TCP_OLD_TIMESTAMP,
} from '../stats.ts';
import { ACK, FIN, RST, SYN, type TcpSegment } from '../wire/tcp.ts';
import {
  CLOSED,
  CLOSING,
  type Connection,
  ESTABLISHED,
  EVENT_OPEN,
  EVENT_WRITABLE,
  FIN_WAIT_1,
  FIN_WAIT_2,
  LAST_ACK,
  OPTION_ECN,
  OPTION_SACK,
  OPTION_TIMESTAMPS,
  SYN_RECEIVED,
  SYN_SENT,
  setIrs,
  TIMER_PERSIST,
} from './connection.ts';
import { isEcnSynAck, onEcnSegment } from './ecn.ts';
import { sendMss } from './listener.ts';
import { sendAck } from './output.ts';
import { armProbe } from './rack.ts';
import { noteTwice, receive } from './receive.ts';
import { sendSpace } from './receive-space.ts';
import { onAcknowledgement } from './recovery.ts';
import { answerWithReset, emitReset } from './segment-out.ts';
import { TRACE_RECEIVED } from './segment-trace.ts';
import type { Tcp } from './tcp.ts';
import { armFinWait2, armRetransmit, disarmRetransmit } from './timers.ts';

/** RFC 7323 5.5: a TS.Recent this old says nothing any more. */
const TS_RECENT_MAX_MS = 24 * 24 * 3600 * 1000;
/** How long TS.Recent may be ahead of segments that were overtaken: far less than a turn of the sequence space takes. */
const OVERTAKEN_SHIFT = 6;
const OVERTAKEN_MS = 1 << OVERTAKEN_SHIFT;
/** Between answers to segments without data that lie outside the window: two confused peers must not chat. */
const OUT_OF_WINDOW_ACK_MS = 500;

/** @param codePoint ECN bits of the packet that brought the segment. */
export function segmentArrives(
  tcp: Tcp,
  c: Connection,
  segment: TcpSegment,
  bytes: Uint8Array,
  codePoint: number,
): void {
  if (c.state === SYN_SENT) {
    arrivesInSynSent(tcp, c, segment, bytes);
    return;
  }
  if (c.state === SYN_RECEIVED && (segment.flags & SYN) !== 0 && segment.seq === c.irs) stripSyn(tcp, c, segment);
  if (!timestampIsCurrent(tcp, c, segment) || !isAcceptable(tcp, c, segment)) return;
  if ((segment.flags & RST) !== 0) {
    onReset(tcp, c, segment);
    return;
  }
  if ((segment.flags & SYN) !== 0) {
    // RFC 5961 4.2.
    challenge(tcp, c);
    return;
  }
  if ((segment.flags & ACK) === 0) {
    tcp.stats.drop(DROP_TCP_NO_ACK_BIT);
    return;
  }
  c.lastReceivedMs = tcp.nowMs;
  c.keepaliveProbes = 0;
  if (c.state === SYN_RECEIVED && !onAckOfSyn(tcp, c, segment)) return;
  // RFC 7323 4.3 (2), (3): the segment that covers what we acknowledged last.
  if (
    segment.hasTimestamps &&
    (c.options & OPTION_TIMESTAMPS) !== 0 &&
    atOrBefore(segment.seq, c.lastAckSent) &&
    !before(segment.tsVal, c.tsRecent)
  ) {
    if (tcp.nowMs >> OVERTAKEN_SHIFT !== c.tsRecentAtMs >> OVERTAKEN_SHIFT) raiseTimestampFloor(c);
    c.tsRecent = segment.tsVal;
    c.tsRecentAtMs = tcp.nowMs;
  }
  if ((c.options & OPTION_ECN) !== 0) onEcnSegment(tcp, c, segment, codePoint);
  if (!onAck(tcp, c, segment)) return;
  if (c === tcp.traced) {
    tcp.trace!.acknowledged(tcp.nowUs, c.sndUna, c.sndWnd);
    if (segment.payloadLength > 0) tcp.trace!.add(TRACE_RECEIVED, tcp.nowUs, segment.seq, segment.payloadLength);
  }
  if (segment.payloadLength > 0 || (segment.flags & FIN) !== 0) receive(tcp, c, segment, bytes);
}

/** In a simultaneous open the peer's SYN comes twice, the second time with its ACK (RFC 9293 figure 7). */
function stripSyn(tcp: Tcp, c: Connection, segment: TcpSegment): void {
  if ((segment.flags & ACK) === 0) {
    // Its SYN again: it has not seen our SYN,ACK.
    c.ackNow = true;
    tcp.markDirty(c);
  }
  segment.flags &= ~SYN;
  segment.seq = (segment.seq + 1) | 0;
  segment.segLen--;
  // RFC 7323 2.2: the window of a SYN is not scaled; what follows will scale it.
  segment.window >>= c.sndWindShift;
}

/** PAWS (RFC 7323 5.3 R1). */
function timestampIsCurrent(tcp: Tcp, c: Connection, segment: TcpSegment): boolean {
  if ((c.options & OPTION_TIMESTAMPS) === 0 || (segment.flags & RST) !== 0) return true;
  if (!segment.hasTimestamps) {
    // RFC 7323 3.2: negotiated, so every segment has them.
    tcp.stats.drop(DROP_TCP_OLD_TIMESTAMP);
    return false;
  }
  if (!before(segment.tsVal, c.tsRecent)) return true;
  const age = distance(tcp.nowMs, c.tsRecentAtMs);
  if (age > TS_RECENT_MAX_MS || (age < OVERTAKEN_MS && !before(segment.tsVal, c.tsFloor))) return true;
  tcp.stats.drop(DROP_TCP_OLD_TIMESTAMP);
  answerOutOfWindow(tcp, c, segment);
  return false;
}

/**
 * A retransmission that fills a gap brings a newer timestamp than segments which left before it and were overtaken on their
 * way. They are no old duplicates of RFC 7323 5.2, which are a turn of the sequence space old: for a moment PAWS goes by
 * what TS.Recent was a moment ago.
 */
function raiseTimestampFloor(c: Connection): void {
  c.tsFloor = c.tsFloorNext;
  c.tsFloorNext = c.tsRecent;
}

/** First check: sequence number. Trims nothing; a closed window still lets acknowledgements through. */
function isAcceptable(tcp: Tcp, c: Connection, segment: TcpSegment): boolean {
  const window = distance(c.rcvAdv, c.rcvNxt);
  const start = distance(segment.seq, c.rcvNxt);
  const end = start + segment.segLen;
  // A bare acknowledgement may stand at the very end of the window, beyond RFC 9293 3.4 and as other stacks have it: when
  // both sides have filled each other's windows and lost it all but the first segment, no other one ever comes.
  if (segment.segLen === 0 ? start >= 0 && start <= window : start < window && end > 0) return true;
  if (window === 0 && start === 0) {
    // RFC 9293 3.10.7.4: zero window, yet ACK and RST count. The payload does not.
    segment.payloadLength = 0;
    segment.segLen = 0;
    segment.flags &= ~FIN;
    c.ackNow = true;
    tcp.markDirty(c);
    return true;
  }
  tcp.stats.drop(DROP_TCP_NOT_ACCEPTABLE);
  if (end <= 0 && segment.segLen > 0) {
    tcp.stats.tcpInDuplicates++;
    if (segment.payloadLength > 0 && (segment.flags & (SYN | RST)) === 0)
      noteTwice(tcp, c, segment.seq, segment.payloadLength);
  }
  if ((segment.flags & RST) === 0) answerOutOfWindow(tcp, c, segment);
  return false;
}

function answerOutOfWindow(tcp: Tcp, c: Connection, segment: TcpSegment): void {
  if ((segment.flags & SYN) !== 0) {
    // RFC 5961 4.2, whatever its sequence number.
    challenge(tcp, c);
    return;
  }
  // An answer to data or a probe is owed; answers to bare ACKs are rationed, or two of them could go on for ever.
  const isProbe = segment.segLen === 0 && segment.seq === ((c.rcvNxt - 1) | 0);
  if (segment.segLen === 0 && !isProbe) {
    if (distance(tcp.nowMs, c.lastChallengeMs) < OUT_OF_WINDOW_ACK_MS) return;
    c.lastChallengeMs = tcp.nowMs;
  }
  if (isProbe) {
    c.lastReceivedMs = tcp.nowMs;
    c.keepaliveProbes = 0;
  }
  // The peer asks because it thinks our window closed, or us gone: what it acknowledges is true all the same.
  if (isProbe && (segment.flags & ACK) !== 0 && c.state >= ESTABLISHED) {
    onAck(tcp, c, segment);
    if (c.state === CLOSED) return;
  }
  sendAck(tcp, c);
}

/** Second check, RFC 5961 3.2: only an RST in the exact place ends the connection. */
function onReset(tcp: Tcp, c: Connection, segment: TcpSegment): void {
  if (segment.seq !== c.rcvNxt) {
    challenge(tcp, c);
    return;
  }
  if (c.state === SYN_RECEIVED) {
    tcp.stats.tcpAttemptFails++;
    tcp.end(c, CLOSE_REFUSED);
  } else {
    tcp.stats.tcpEstabResets++;
    tcp.end(c, c.finReceived && c.finSent ? CLOSE_OK : CLOSE_RESET);
  }
}

function challenge(tcp: Tcp, c: Connection): void {
  tcp.stats.drop(DROP_TCP_CHALLENGED);
  if (!tcp.mayChallenge()) return;
  tcp.stats.tcpChallengeAcks++;
  sendAck(tcp, c);
}

/** Fifth check in SYN-RECEIVED, which an active open reaches only when both sides opened at once. */
function onAckOfSyn(tcp: Tcp, c: Connection, segment: TcpSegment): boolean {
  if (!after(segment.ack, c.sndUna) || after(segment.ack, c.sndNxt)) {
    emitReset(tcp, c, segment.ack, 0, RST);
    return false;
  }
  established(tcp, c, segment);
  return true;
}

/** Our SYN is acknowledged: the connection, opened by us, is there. */
function established(tcp: Tcp, c: Connection, segment: TcpSegment): void {
  c.sndUna = (c.iss + 1) | 0;
  // RFC 7323 2.2: the window of a SYN is not scaled.
  c.sndWnd = c.sndWndMax = (segment.flags & SYN) !== 0 ? segment.window : segment.window << c.sndWindShift;
  c.sndWl1 = segment.seq;
  c.sndWl2 = segment.ack;
  c.state = ESTABLISHED;
  disarmRetransmit(c);
  const sample = c.synTimed ? (tcp.nowUs - c.synSentUs) | 0 : -1;
  c.synTimed = false;
  tcp.started(c, sample);
  tcp.markReady(c, EVENT_OPEN);
  tcp.markDirty(c);
}

/** Fifth check: what the acknowledgement says. @returns false when the segment says nothing more. */
function onAck(tcp: Tcp, c: Connection, segment: TcpSegment): boolean {
  const { ack } = segment;
  // RFC 5961 5.2.
  if (after(ack, c.sndNxt) || before(ack, (c.sndUna - c.sndWndMax) | 0)) {
    tcp.stats.drop(DROP_TCP_BAD_ACK);
    if (tcp.mayChallenge()) sendAck(tcp, c);
    return false;
  }
  const acked = distance(ack, c.sndUna);
  if (acked < 0) return true;
  const window = segment.window << c.sndWindShift;
  if (acked > 0) {
    advance(tcp, c, segment, acked);
    if (c.state === CLOSED) return false;
  } else if (c.flight !== null) {
    const isDuplicate =
      c.sndNxt !== c.sndUna && segment.segLen === 0 && window === c.sndWnd && (c.options & OPTION_SACK) === 0;
    if (segment.sackCount > 0 || isDuplicate) {
      onAcknowledgement(tcp, c, segment, 0, isDuplicate);
      askForMore(tcp, c);
      tcp.markDirty(c);
    }
  }
  updateWindow(tcp, c, segment, window);
  if (c.sendRing.length > 0 || (c.finQueued && !c.finSent)) tcp.markDirty(c);
  return true;
}

/** SND.UNA moves on. */
function advance(tcp: Tcp, c: Connection, segment: TcpSegment, acked: number): void {
  const data = Math.min(acked, c.sendRing.length);
  if (data > 0) c.sendRing.drop(tcp.blocks, data);
  c.sndUna = segment.ack;
  onAcknowledgement(tcp, c, segment, acked, false);
  c.backoff = 0;
  c.retries = 0;
  c.progressMs = tcp.nowMs;
  // RFC 6298 5.2, 5.3.
  if (c.sndUna === c.sndNxt) {
    disarmRetransmit(c);
  } else {
    armRetransmit(tcp, c);
    if (c.flight !== null) armProbe(tcp, c, c.flight);
  }
  askForMore(tcp, c);
  if (c.finSent && c.sndUna === c.sndNxt) onFinAcked(tcp, c);
}

/**
 * A writer who was turned away is told when half of the space is free; in a recovery, where SND.UNA waits for the hole, when
 * everything is sent and there is some.
 */
function askForMore(tcp: Tcp, c: Connection): void {
  if (!c.writeBlocked) return;
  const space = sendSpace(tcp, c);
  const enough = c.dataEnd === c.sndNxt ? space >> 3 : space >> 1;
  if (space - c.sendRing.length < enough) return;
  c.writeBlocked = false;
  tcp.markReady(c, EVENT_WRITABLE);
}

function onFinAcked(tcp: Tcp, c: Connection): void {
  if (c.state === FIN_WAIT_1) {
    c.state = FIN_WAIT_2;
    if (c.orphan) armFinWait2(tcp, c);
  } else if (c.state === CLOSING) {
    // The peer's FIN came in the same batch: afterwards there is no connection that would acknowledge it.
    if (c.ackNow) sendAck(tcp, c);
    tcp.timeWait(c);
  } else if (c.state === LAST_ACK) {
    tcp.end(c, CLOSE_OK);
  }
}

/** RFC 9293 3.10.7.4: only a segment at least as new as the last one that set the window may. */
function updateWindow(tcp: Tcp, c: Connection, segment: TcpSegment, window: number): void {
  const { seq, ack } = segment;
  if (before(seq, c.sndWl1) || (seq === c.sndWl1 && before(ack, c.sndWl2))) return;
  c.sndWl1 = seq;
  c.sndWl2 = ack;
  // The peer lives and answers: a closed window alone never ends a connection (RFC 9293 3.8.6.1).
  if (c.sndUna === c.sndNxt || window === 0) c.retries = 0;
  if (window === c.sndWnd) return;
  if (c.sndWnd === 0 && (c.timers & TIMER_PERSIST) !== 0) {
    c.timers &= ~TIMER_PERSIST;
    c.backoff = 0;
  }
  c.sndWnd = window;
  if (window > c.sndWndMax) c.sndWndMax = window;
  tcp.markDirty(c);
}

/** RFC 9293 3.10.7.3. */
function arrivesInSynSent(tcp: Tcp, c: Connection, segment: TcpSegment, bytes: Uint8Array): void {
  const { flags } = segment;
  const hasAck = (flags & ACK) !== 0;
  if (hasAck && (!after(segment.ack, c.iss) || after(segment.ack, c.sndNxt))) {
    answerWithReset(tcp, segment, c.localIp, c.remoteIp);
    return;
  }
  if ((flags & RST) !== 0) {
    if (!hasAck) {
      tcp.stats.drop(DROP_TCP_NOT_ACCEPTABLE);
      return;
    }
    tcp.stats.tcpAttemptFails++;
    tcp.end(c, CLOSE_REFUSED);
    return;
  }
  if ((flags & SYN) === 0) {
    tcp.stats.drop(DROP_TCP_NO_ACK_BIT);
    return;
  }
  takeSynOptions(tcp, c, segment);
  c.lastReceivedMs = tcp.nowMs;
  c.ackNow = true;
  tcp.markDirty(c);
  if (!hasAck) {
    // Both opened at once: SYN,ACK with the same ISS.
    c.state = SYN_RECEIVED;
    c.synTimed = false;
    return;
  }
  established(tcp, c, segment);
  if (segment.payloadLength > 0 || (flags & FIN) !== 0) {
    segment.flags &= ~SYN;
    segment.seq = (segment.seq + 1) | 0;
    segment.segLen--;
    receive(tcp, c, segment, bytes);
  }
}

function takeSynOptions(tcp: Tcp, c: Connection, segment: TcpSegment): void {
  setIrs(c, segment.seq);
  c.rcvAdv = (c.rcvNxt + Math.min(tcp.receiveBufferMax, 0xffff)) | 0;
  c.options = (segment.hasTimestamps ? OPTION_TIMESTAMPS : 0) | (segment.sackPermitted ? OPTION_SACK : 0);
  if ((segment.flags & ACK) !== 0 && tcp.config.ecn === 'on' && isEcnSynAck(segment.flags)) c.options |= OPTION_ECN;
  c.mss = sendMss(tcp, c.remoteIp, segment.mss, c.options);
  if (segment.windowScale >= 0) {
    c.sndWindShift = segment.windowScale;
    c.rcvWindShift = tcp.windowShift;
  }
  if (segment.hasTimestamps) {
    c.tsRecent = c.tsFloor = c.tsFloorNext = segment.tsVal;
    c.tsRecentAtMs = tcp.nowMs;
  }
}
