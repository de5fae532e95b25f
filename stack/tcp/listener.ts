// Ports that take connections. A SYN makes a Handshake, a small record with its own timer, and only the ACK that proves
// the peer's address makes a Connection; both queues are bounded, the first by the SYN queue's limit, the second by
// the backlog (RFC 9293 3.10.7.2, 3.10.7.4 for SYN-RECEIVED; RFC 4987 3). Used by stack/tcp and stack.ts.
import type { NextHop } from '../neighbors.ts';
import { after, before, distance } from '../sequence.ts';
import type { Socket, SocketEvents } from '../socket.ts';
import {
  DROP_TCP_BACKLOG_FULL,
  DROP_TCP_BAD_FLAGS,
  DROP_TCP_CONNECTIONS_FULL,
  DROP_TCP_NO_ACK_BIT,
  DROP_TCP_NOT_ACCEPTABLE,
  DROP_TCP_OLD_TIMESTAMP,
  DROP_TCP_SYN_FLOOD,
} from '../stats.ts';
import type { TimerNode } from '../timer-wheel.ts';
import { ACK, ECE, FIN, RST, SYN, type TcpSegment } from '../wire/tcp.ts';
import {
  type Connection,
  ESTABLISHED,
  EVENT_OPEN,
  FLOW_HANDSHAKE,
  OPTION_ECN,
  OPTION_SACK,
  OPTION_TIMESTAMPS,
  setIrs,
  setIss,
} from './connection.ts';
import { isEcnSyn } from './ecn.ts';
import { segmentArrives } from './input.ts';
import { RTO_AFTER_SYN_LOSS_MS, RTO_INITIAL_MS, updateRto } from './rtt.ts';
import { answerWithReset, emitAck, emitReset, emitSyn } from './segment-out.ts';
import { COOKIE_LIFETIME_MS, packedEcn, packedSack, packedScale, packOptions } from './syn-cookies.ts';
import type { Tcp } from './tcp.ts';

/** A SYN,ACK is sent this often again: with back-off, a minute in all. */
const SYN_ACK_RETRIES_MAX = 5;
/** Half-open connections a listener may have whatever its backlog is. */
const SYN_QUEUE_MIN = 128;
/** RFC 9293 3.7.1: what a peer takes that does not say. */
const MSS_DEFAULT = 536;
/** Below this headers outweigh data: a peer that asks for it means harm (CVE-2019-11479). */
const MSS_MIN = 48;

export type Acceptor = (socket: Socket) => SocketEvents | null;

export class Listener {
  readonly port: number;
  /** 0: any of ours. */
  readonly ip: number;
  readonly backlog: number;
  readonly accept: Acceptor;
  closed = false;
  /** Half-open connections. */
  handshakes = 0;
  /** When a cookie was given out last; meaningful once `hasSentCookies`. */
  cookieSentMs = 0;
  hasSentCookies = false;
  /** Established ones the application has not been told of. */
  waiting = 0;

  constructor(port: number, ip: number, backlog: number, accept: Acceptor) {
    this.port = port;
    this.ip = ip;
    this.backlog = Math.max(1, backlog);
    this.accept = accept;
  }

  /** An ACK from nowhere may bring a cookie back. */
  hasCookiesOut(nowMs: number): boolean {
    return this.hasSentCookies && distance(nowMs, this.cookieSentMs) < COOKIE_LIFETIME_MS;
  }

  get synQueueMax(): number {
    return Math.max(SYN_QUEUE_MIN, this.backlog);
  }
}

/** Passive SYN-RECEIVED: what the SYN said, until the ACK comes. Pooled. */
export class Handshake implements TimerNode {
  readonly kind: number = FLOW_HANDSHAKE;
  readonly tcp: Tcp;
  listener: Listener;
  hop: NextHop;
  localIp = 0;
  localPort = 0;
  remoteIp = 0;
  remotePort = 0;
  iss = 0;
  irs = 0;
  mss = 0;
  /** -1: the peer does not scale, so neither do we. */
  windowShift = -1;
  options = 0;
  tsRecent = 0;
  tsOffset = 0;
  retries = 0;
  sentUs = 0;
  /** `sentUs` says when our SYN,ACK left; of a cookie nobody knows. */
  isTimed = true;
  timerNext: TimerNode | null = null;
  timerPrevious: TimerNode | null = null;
  timerSlot = -1;
  timerAt = 0;

  constructor(tcp: Tcp, listener: Listener, hop: NextHop) {
    this.tcp = tcp;
    this.listener = listener;
    this.hop = hop;
  }

  onTimer(): void {
    const { tcp } = this;
    if (this.listener.closed || this.retries >= SYN_ACK_RETRIES_MAX) {
      tcp.stats.tcpAttemptFails++;
      tcp.endHandshake(this);
      return;
    }
    this.retries++;
    tcp.stats.tcpRetransSegs++;
    sendSynAck(tcp, this);
    tcp.wheel.arm(this, (tcp.nowMs + (RTO_INITIAL_MS << this.retries)) | 0);
  }
}

/** MSS towards a peer that announced `announced` (0: nothing), without the room that timestamps take. */
export function sendMss(tcp: Tcp, remoteIp: number, announced: number, options: number): number {
  const mss = Math.min(Math.max(announced === 0 ? MSS_DEFAULT : announced, MSS_MIN), tcp.mssFor(remoteIp));
  return (options & OPTION_TIMESTAMPS) !== 0 ? mss - 12 : mss;
}

/**
 * A segment for a port that listens, and for no connection (RFC 9293 3.10.7.2).
 * @param issMin 0, or what the ISS has to be beyond: the pair had a connection before (RFC 9293 3.4.3).
 */
export function arrivesForListener(
  tcp: Tcp,
  listener: Listener,
  segment: TcpSegment,
  localIp: number,
  remoteIp: number,
  issMin: number,
  bytes: Uint8Array,
): void {
  if ((segment.flags & RST) !== 0) return;
  if ((segment.flags & ACK) !== 0) {
    if (listener.hasCookiesOut(tcp.nowMs) && arrivesWithCookie(tcp, listener, segment, localIp, remoteIp, bytes))
      return;
    answerWithReset(tcp, segment, localIp, remoteIp);
    return;
  }
  if ((segment.flags & SYN) === 0) {
    tcp.stats.drop(DROP_TCP_NO_ACK_BIT);
    return;
  }
  if ((segment.flags & FIN) !== 0) {
    // No stack sends it; scanners do, to slip past filters.
    tcp.stats.drop(DROP_TCP_BAD_FLAGS);
    return;
  }
  if (listener.waiting >= listener.backlog) {
    refuse(tcp, DROP_TCP_BACKLOG_FULL);
    return;
  }
  const isFull = listener.handshakes >= listener.synQueueMax || tcp.handshakesAreFull;
  if (tcp.config.synCookies === 'always' || (isFull && tcp.config.synCookies === 'on')) {
    const { sourcePort, destinationPort, seq } = segment;
    if (tcp.synLimit.mayAnswer(tcp.book.word(remoteIp), sourcePort, destinationPort, seq, tcp.nowMs))
      sendCookie(tcp, listener, segment, localIp, remoteIp);
    else refuse(tcp, DROP_TCP_SYN_FLOOD);
    return;
  }
  if (isFull || tcp.isFull) {
    refuse(tcp, isFull ? DROP_TCP_BACKLOG_FULL : DROP_TCP_CONNECTIONS_FULL);
    return;
  }
  const h = takeHandshake(tcp, listener, segment, localIp, remoteIp);
  if (h === null) return;
  h.irs = segment.seq;
  h.iss = issMin !== 0 ? issMin : tcp.iss.sequence(localIp, h.localPort, remoteIp, h.remotePort);
  h.options = (segment.hasTimestamps ? OPTION_TIMESTAMPS : 0) | (segment.sackPermitted ? OPTION_SACK : 0);
  if (wantsEcn(tcp, segment)) h.options |= OPTION_ECN;
  h.mss = sendMss(tcp, h.remoteIp, segment.mss, h.options);
  h.windowShift = segment.windowScale;
  tcp.flows.set(remoteIp, h.remotePort, h.localPort, localIp, h);
  sendSynAck(tcp, h);
  tcp.wheel.arm(h, (tcp.nowMs + RTO_INITIAL_MS) | 0);
}

function refuse(tcp: Tcp, reason: number): void {
  if (reason === DROP_TCP_BACKLOG_FULL) tcp.stats.tcpListenOverflows++;
  tcp.stats.drop(reason);
}

function wantsEcn(tcp: Tcp, segment: TcpSegment): boolean {
  return tcp.config.ecn !== 'off' && isEcnSyn(segment.flags);
}

/** A record with the segment's addresses and timestamp; null: there is no way back to the peer. */
function takeHandshake(
  tcp: Tcp,
  listener: Listener,
  segment: TcpSegment,
  localIp: number,
  remoteIp: number,
): Handshake | null {
  const hop = tcp.ip.nextHop(remoteIp);
  if (hop === null) return null;
  const h = tcp.takeHandshake(listener, hop);
  h.localIp = localIp;
  h.localPort = segment.destinationPort;
  h.remoteIp = remoteIp;
  h.remotePort = segment.sourcePort;
  h.tsRecent = segment.hasTimestamps ? segment.tsVal : 0;
  h.tsOffset = segment.hasTimestamps ? tcp.iss.timestampOffset(localIp, remoteIp) : 0;
  h.retries = 0;
  h.isTimed = true;
  h.sentUs = tcp.nowUs;
  listener.handshakes++;
  return h;
}

function sendSynAck(tcp: Tcp, h: Handshake): void {
  const shift = h.windowShift < 0 ? -1 : tcp.windowShift;
  const permitSack = (h.options & OPTION_SACK) !== 0;
  const flags = (h.options & OPTION_ECN) !== 0 ? SYN | ACK | ECE : SYN | ACK;
  emitSyn(tcp, h, h.iss, (h.irs + 1) | 0, flags, shift, permitSack, (h.options & OPTION_TIMESTAMPS) !== 0);
}

/** Where a cookie goes; one record, refilled, since there may be very many. */
const cookieEnds = {
  localIp: 0,
  localPort: 0,
  remoteIp: 0,
  remotePort: 0,
  hop: null as unknown as NextHop,
  tsOffset: 0,
  tsRecent: 0,
};

/** RFC 4987 3.6: an answer that keeps nothing. */
function sendCookie(tcp: Tcp, listener: Listener, segment: TcpSegment, localIp: number, remoteIp: number): void {
  const hop = tcp.ip.replyHop(remoteIp);
  if (hop === null) return;
  const { sourcePort, destinationPort, hasTimestamps, windowScale, seq } = segment;
  const iss = tcp.cookies.make(localIp, destinationPort, remoteIp, sourcePort, seq, segment.mss, tcp.nowMs);
  const ends = cookieEnds;
  ends.localIp = localIp;
  ends.localPort = destinationPort;
  ends.remoteIp = remoteIp;
  ends.remotePort = sourcePort;
  ends.hop = hop;
  ends.tsRecent = segment.tsVal;
  const ecn = hasTimestamps && wantsEcn(tcp, segment);
  const sack = hasTimestamps && segment.sackPermitted;
  const scale = hasTimestamps ? windowScale : -1;
  if (hasTimestamps) {
    const now = (tcp.nowMs + tcp.iss.timestampOffset(localIp, remoteIp)) | 0;
    ends.tsOffset = (packOptions(now, scale, sack, ecn) - tcp.nowMs) | 0;
  }
  listener.hasSentCookies = true;
  listener.cookieSentMs = tcp.nowMs;
  tcp.stats.tcpSynCookiesSent++;
  const shift = scale < 0 ? -1 : tcp.windowShift;
  emitSyn(tcp, ends, iss, (seq + 1) | 0, ecn ? SYN | ACK | ECE : SYN | ACK, shift, sack, hasTimestamps);
}

/**
 * An ACK for nobody: perhaps one that brings a cookie back.
 * @returns false when it cannot: the peer gets RST.
 */
function arrivesWithCookie(
  tcp: Tcp,
  listener: Listener,
  segment: TcpSegment,
  localIp: number,
  remoteIp: number,
  bytes: Uint8Array,
): boolean {
  if ((segment.flags & SYN) !== 0) return false;
  const { sourcePort, destinationPort } = segment;
  const cookie = (segment.ack - 1) | 0;
  const irs = (segment.seq - 1) | 0;
  const mss = tcp.cookies.open(cookie, localIp, destinationPort, remoteIp, sourcePort, irs, tcp.nowMs);
  if (mss === 0) {
    tcp.stats.tcpSynCookiesFailed++;
    // Where ACK and first segment were lost this is the second one: the first comes again, if it is not reset.
    return segment.segLen > 0;
  }
  // Dropped, the ACK comes again with the peer's first data.
  if (listener.waiting >= listener.backlog || tcp.isFull) {
    refuse(tcp, tcp.isFull ? DROP_TCP_CONNECTIONS_FULL : DROP_TCP_BACKLOG_FULL);
    return true;
  }
  const h = takeHandshake(tcp, listener, segment, localIp, remoteIp);
  if (h === null) return true;
  h.isTimed = false;
  h.iss = cookie;
  h.irs = irs;
  h.options = 0;
  h.windowShift = -1;
  if (segment.hasTimestamps) {
    const echo = segment.tsEcr;
    h.options = OPTION_TIMESTAMPS | (packedSack(echo) ? OPTION_SACK : 0) | (packedEcn(echo) ? OPTION_ECN : 0);
    h.windowShift = packedScale(echo);
  }
  h.mss = sendMss(tcp, h.remoteIp, mss, h.options);
  tcp.stats.tcpSynCookiesReceived++;
  segmentArrives(tcp, establish(tcp, h, segment), segment, bytes, 0);
  return true;
}

/** A segment for a half-open connection (RFC 9293 3.10.7.4, SYN-RECEIVED entered from LISTEN). */
export function arrivesForHandshake(tcp: Tcp, h: Handshake, segment: TcpSegment, bytes: Uint8Array): void {
  const { flags } = segment;
  const rcvNxt = (h.irs + 1) | 0;
  const ahead = distance(segment.seq, rcvNxt);
  const window = Math.min(tcp.receiveBufferMax, 0xffff);
  if ((flags & RST) !== 0) {
    // RFC 5961 3.2: exactly in place, or it is somebody guessing.
    if (ahead === 0) {
      tcp.stats.tcpAttemptFails++;
      tcp.endHandshake(h);
    } else tcp.stats.drop(DROP_TCP_NOT_ACCEPTABLE);
    return;
  }
  if ((flags & SYN) !== 0) {
    // The same SYN again: our answer was lost. Another one: a challenge ACK lets the peer say which is meant (RFC 5961 4.2).
    if ((flags & ACK) === 0 && segment.seq === h.irs) sendSynAck(tcp, h);
    else if (tcp.mayChallenge()) answerAck(tcp, h, rcvNxt, window);
    return;
  }
  if ((flags & ACK) === 0) {
    tcp.stats.drop(DROP_TCP_NO_ACK_BIT);
    return;
  }
  if (ahead < 0 || ahead >= window) {
    tcp.stats.drop(DROP_TCP_NOT_ACCEPTABLE);
    answerAck(tcp, h, rcvNxt, window);
    return;
  }
  if (segment.ack !== ((h.iss + 1) | 0)) {
    emitReset(tcp, h, segment.ack, 0, RST);
    return;
  }
  if ((h.options & OPTION_TIMESTAMPS) !== 0 && segment.hasTimestamps && before(segment.tsVal, h.tsRecent)) {
    tcp.stats.drop(DROP_TCP_OLD_TIMESTAMP);
    return;
  }
  const { listener } = h;
  if (listener.closed) {
    emitReset(tcp, h, segment.ack, 0, RST);
    tcp.endHandshake(h);
    return;
  }
  if (listener.waiting >= listener.backlog) {
    // Stays half open; the SYN,ACK goes out again and so the peer's ACK comes again.
    tcp.stats.tcpListenOverflows++;
    tcp.stats.drop(DROP_TCP_BACKLOG_FULL);
    return;
  }
  const c = establish(tcp, h, segment);
  segmentArrives(tcp, c, segment, bytes, 0);
}

function answerAck(tcp: Tcp, h: Handshake, rcvNxt: number, window: number): void {
  emitAck(tcp, h, (h.iss + 1) | 0, rcvNxt, window, (h.options & OPTION_TIMESTAMPS) !== 0);
}

/** The ACK of our SYN came: a connection takes the handshake's place. */
function establish(tcp: Tcp, h: Handshake, segment: TcpSegment): Connection {
  const { listener } = h;
  const c = tcp.takeConnection(h.hop);
  c.localIp = h.localIp;
  c.localPort = h.localPort;
  c.remoteIp = h.remoteIp;
  c.remotePort = h.remotePort;
  setIss(c, h.iss);
  c.sndUna = c.sndNxt = (h.iss + 1) | 0;
  setIrs(c, h.irs);
  c.rcvAdv = (c.rcvNxt + Math.min(tcp.receiveBufferMax, 0xffff)) | 0;
  c.mss = h.mss;
  c.options = h.options;
  c.sndWindShift = Math.max(h.windowShift, 0);
  c.rcvWindShift = h.windowShift < 0 ? 0 : tcp.windowShift;
  c.tsRecent = c.tsFloor = c.tsFloorNext = h.tsRecent;
  c.tsRecentAtMs = tcp.nowMs;
  c.tsOffset = h.tsOffset;
  c.sndWnd = c.sndWndMax = segment.window << c.sndWindShift;
  c.sndWl1 = segment.seq;
  c.sndWl2 = segment.ack;
  c.state = ESTABLISHED;
  c.retries = h.retries;
  tcp.started(c, h.isTimed && h.retries === 0 ? (tcp.nowUs - h.sentUs) | 0 : -1);
  tcp.replaceHandshake(h);
  tcp.flows.set(c.remoteIp, c.remotePort, c.localPort, c.localIp, c);
  c.listener = listener;
  listener.waiting++;
  tcp.stats.tcpPassiveOpens++;
  tcp.markReady(c, EVENT_OPEN);
  return c;
}

/** RTO of a connection whose SYN was lost, until there is a sample (RFC 6298 5.7). */
export function rtoAfterHandshake(c: Connection, lostSyn: boolean): void {
  if (c.srtt !== 0) updateRto(c);
  else c.rtoMs = lostSyn ? RTO_AFTER_SYN_LOSS_MS : RTO_INITIAL_MS;
}

/** True for a SYN that may take the place of a connection in TIME-WAIT (RFC 9293 3.6.1, RFC 6191 2). */
export function mayReplace(segment: TcpSegment, rcvNxt: number, hasTimestamps: boolean, tsRecent: number): boolean {
  if (segment.hasTimestamps && !hasTimestamps) return true;
  if (segment.hasTimestamps && segment.tsVal !== tsRecent) return after(segment.tsVal, tsRecent);
  return after(segment.seq, rcvNxt);
}
