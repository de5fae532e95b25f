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
} from '../stats.ts';
import type { TimerNode } from '../timer-wheel.ts';
import { ACK, FIN, RST, SYN, type TcpSegment } from '../wire/tcp.ts';
import {
  type Connection,
  ESTABLISHED,
  EVENT_OPEN,
  FLOW_HANDSHAKE,
  OPTION_SACK,
  OPTION_TIMESTAMPS,
  setIrs,
  setIss,
} from './connection.ts';
import { segmentArrives } from './input.ts';
import { RTO_AFTER_SYN_LOSS_MS, RTO_INITIAL_MS, updateRto } from './rtt.ts';
import { answerWithReset, emitAck, emitReset, emitSyn } from './segment-out.ts';
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
  /** Established ones the application has not been told of. */
  waiting = 0;

  constructor(port: number, ip: number, backlog: number, accept: Acceptor) {
    this.port = port;
    this.ip = ip;
    this.backlog = Math.max(1, backlog);
    this.accept = accept;
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
export function sendMss(tcp: Tcp, announced: number, options: number): number {
  const mss = Math.min(Math.max(announced === 0 ? MSS_DEFAULT : announced, MSS_MIN), tcp.mssMax);
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
): void {
  if ((segment.flags & RST) !== 0) return;
  if ((segment.flags & ACK) !== 0) {
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
  if (listener.handshakes >= listener.synQueueMax || listener.waiting >= listener.backlog) {
    tcp.stats.tcpListenOverflows++;
    tcp.stats.drop(DROP_TCP_BACKLOG_FULL);
    return;
  }
  if (tcp.isFull) {
    tcp.stats.drop(DROP_TCP_CONNECTIONS_FULL);
    return;
  }
  const hop = tcp.ip.nextHop(remoteIp);
  if (hop === null) return;
  const h = tcp.takeHandshake(listener, hop);
  h.localIp = localIp;
  h.localPort = segment.destinationPort;
  h.remoteIp = remoteIp;
  h.remotePort = segment.sourcePort;
  h.irs = segment.seq;
  h.iss = issMin !== 0 ? issMin : tcp.iss.sequence(localIp, h.localPort, remoteIp, h.remotePort);
  h.options = (segment.hasTimestamps ? OPTION_TIMESTAMPS : 0) | (segment.sackPermitted ? OPTION_SACK : 0);
  h.mss = sendMss(tcp, segment.mss, h.options);
  h.windowShift = segment.windowScale;
  h.tsRecent = segment.hasTimestamps ? segment.tsVal : 0;
  h.tsOffset = segment.hasTimestamps ? tcp.iss.timestampOffset(localIp, remoteIp) : 0;
  h.retries = 0;
  h.sentUs = tcp.nowUs;
  listener.handshakes++;
  tcp.flows.set(remoteIp, h.remotePort, h.localPort, localIp, h);
  sendSynAck(tcp, h);
  tcp.wheel.arm(h, (tcp.nowMs + RTO_INITIAL_MS) | 0);
}

function sendSynAck(tcp: Tcp, h: Handshake): void {
  const shift = h.windowShift < 0 ? -1 : tcp.windowShift;
  const permitSack = (h.options & OPTION_SACK) !== 0;
  emitSyn(tcp, h, h.iss, (h.irs + 1) | 0, SYN | ACK, shift, permitSack, (h.options & OPTION_TIMESTAMPS) !== 0);
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
  segmentArrives(tcp, c, segment, bytes);
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
  c.tsRecent = h.tsRecent;
  c.tsRecentAtMs = tcp.nowMs;
  c.tsOffset = h.tsOffset;
  c.sndWnd = c.sndWndMax = segment.window << c.sndWindShift;
  c.sndWl1 = segment.seq;
  c.sndWl2 = segment.ack;
  c.state = ESTABLISHED;
  c.retries = h.retries;
  tcp.started(c, h.retries === 0 ? (tcp.nowUs - h.sentUs) | 0 : -1);
  tcp.endHandshake(h);
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

/** True for a SYN that may take the place of a connection in TIME-WAIT (RFC 9293 3.6.1, RFC 6191). */
export function mayReplace(segment: TcpSegment, rcvNxt: number, hasTimestamps: boolean, tsRecent: number): boolean {
  if (hasTimestamps && segment.hasTimestamps && segment.tsVal !== tsRecent) return after(segment.tsVal, tsRecent);
  return after(segment.seq, rcvNxt);
}
