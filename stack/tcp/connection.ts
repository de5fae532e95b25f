// The transmission control block (RFC 9293 3.3.1), with the RFCs' variable names, and nothing but state: what happens to
// it is in input.ts, output.ts, recovery.ts and timers.ts. Blocks are pooled; the `Socket` an application
// holds is not, so an old handle never reaches a new connection. Used by stack/tcp, stack.ts and socket.ts.
import type { Assembler } from '../assembler.ts';
import { ReceiveBuffer, SendRing } from '../byte-ring.ts';
import type { NextHop } from '../neighbors.ts';
import type { Socket } from '../socket.ts';
import type { TimerNode } from '../timer-wheel.ts';
import type { Flight } from './flight.ts';
import type { Listener } from './listener.ts';
import type { Tcp } from './tcp.ts';
import { onConnectionTimer } from './timers.ts';

// What the flow table holds: full connections, and two short forms for those that are not yet or no longer.
export const FLOW_CONNECTION = 0;
export const FLOW_HANDSHAKE = 1;
export const FLOW_TIME_WAIT = 2;

// RFC 9293 3.3.2. LISTEN is a Listener, passive SYN-RECEIVED a Handshake, TIME-WAIT a TimeWait.
export const CLOSED = 0;
export const SYN_SENT = 2;
export const SYN_RECEIVED = 3;
export const ESTABLISHED = 4;
export const FIN_WAIT_1 = 5;
export const FIN_WAIT_2 = 6;
export const CLOSE_WAIT = 7;
export const CLOSING = 8;
export const LAST_ACK = 9;

// Options both sides agreed on.
export const OPTION_TIMESTAMPS = 1;
export const OPTION_SACK = 2;
export const OPTION_ECN = 4;
/** None that was agreed on, kept with them for its size: what we sent last was an acknowledgement alone. */
export const ACKNOWLEDGED_ALONE = 8;

// Timers that are set, timers.ts.
export const TIMER_RETRANSMIT = 1;
export const TIMER_PERSIST = 2;
export const TIMER_DELAYED_ACK = 4;
export const TIMER_FIN_WAIT_2 = 8;
export const TIMER_KEEPALIVE = 16;
/** Tail loss probe; shares its deadline with the next, since one waits for SACKs and the other has them. */
export const TIMER_PROBE = 32;
export const TIMER_REORDER = 64;

// What the application has yet to be told.
export const EVENT_OPEN = 1;
export const EVENT_READABLE = 2;
export const EVENT_WRITABLE = 4;
export const EVENT_END = 8;
export const EVENT_CLOSE = 16;

/** Segments acknowledged at once when a connection starts, while the peer's window is still opening. */
export const QUICK_ACKS = 16;

export class Connection implements TimerNode {
  readonly kind: number = FLOW_CONNECTION;
  readonly tcp: Tcp;
  state = CLOSED;
  localIp = 0;
  localPort = 0;
  remoteIp = 0;
  remotePort = 0;
  /** Whom its packets go to. */
  hop: NextHop;
  socket: Socket | null = null;
  /** Who accepted it, until the application has. */
  listener: Listener | null = null;

  // Send sequence space.
  iss = 0;
  sndUna = 0;
  /** Highest sequence number sent, plus one: retransmission does not pull it back. */
  sndNxt = 0;
  sndWnd = 0;
  sndWl1 = 0;
  sndWl2 = 0;
  /** Largest window the peer ever offered (RFC 5961 5.2, RFC 9293 3.8.6.2.1). */
  sndWndMax = 0;
  /** Payload bytes a segment may carry beside the options that every segment has. */
  mss = 0;
  /** Largest segment that has arrived (RFC 5927 7.2). */
  provenMss = 0;
  sndWindShift = 0;

  // Receive sequence space.
  irs = 0;
  rcvNxt = 0;
  rcvWindShift = 0;
  /** Bytes kept for the reader at most: grows with what he reads a round trip, see receive-space.ts. */
  rcvSpace = 0;
  rcvRoundEndUs = 0;
  rcvRoundSeq = 0;
  /** Right edge of the window as last offered: it never moves left. */
  rcvAdv = 0;
  /** Last.ACK.sent (RFC 7323 4.3). */
  lastAckSent = 0;
  /** Largest payload received: what "full-sized" means for this peer. */
  rcvMss = 0;
  /** Where a FIN that came out of order lies; meaningful with `finAhead`. */
  rcvFin = 0;

  options = 0;
  /** What ECN owes, ecn.ts. */
  ecn = 0;
  tsRecent = 0;
  tsRecentAtMs = 0;
  /** What TS.Recent was a moment ago, and what that will be next, input.ts. */
  tsFloor = 0;
  tsFloorNext = 0;
  tsOffset = 0;

  // RFC 6298, microseconds; srtt scaled by 8 and rttvar by 4, 0: no sample yet.
  srtt = 0;
  rttvar = 0;
  rtoMs = 0;
  /** Times the timeout was doubled since the peer last acknowledged something new. */
  backoff = 0;
  /** Smallest round trip of late, microseconds; 0: no sample yet. */
  minRttUs = 0;
  /** When our SYN left; meaningful while `synTimed`. */
  synSentUs = 0;
  synTimed = false;
  /** The timer asked for the SYN again. */
  synAgain = false;

  // Congestion control: bytes.
  cwnd = 0;
  ssthresh = 0;
  /** What is out, and what recovery and congestion control remember; null while there is neither. */
  flight: Flight | null = null;

  // Data on its way.
  readonly sendRing = new SendRing();
  readonly receiveBuffer = new ReceiveBuffer();
  outOfOrder: Assembler | null = null;
  /** A range that came twice, to be reported with the next segment (RFC 2883); length 0: none. */
  dsackStart = 0;
  dsackLength = 0;
  /** Payload of this batch, readable in the engine's memory; length 0: none. It is in order and unread. */
  inPlaceOffset = 0;
  inPlaceLength = 0;

  // FIN, both ways.
  finQueued = false;
  finSent = false;
  finReceived = false;
  finAhead = false;

  // Acknowledgements owed.
  ackNow = false;
  quickAcks = 0;
  lastChallengeMs = 0;

  noDelay = true;
  paused = false;
  /** The application has let go: nobody waits for what the peer still has to say. */
  orphan = false;
  /** The application was refused room and waits for `onWritable`. */
  writeBlocked = false;
  /** Probing a window that is closed or too small; the next output sends what fits. */
  forceSend = false;

  // Membership of the stack's lists.
  dirty = false;
  ready = false;
  retired = false;
  events = 0;
  closeReason = 0;

  // Timers: true deadlines here, one entry in the wheel for the earliest.
  timers = 0;
  retransmitAt = 0;
  /** Of TIMER_PROBE, TIMER_REORDER or TIMER_FIN_WAIT_2: no two of them are set at a time. */
  lossAt = 0;
  delayedAckAt = 0;
  lastReceivedMs = 0;
  lastSentMs = 0;
  /** Retransmissions or probes that nothing came back for. */
  retries = 0;
  /** Segments sent again in its life: for tools. */
  retransmitted = 0;
  keepaliveProbes = 0;
  /** Silence after which the peer is probed; 0: never. */
  keepaliveMs = 0;
  /** RFC 5482: how long sent data may stay unacknowledged; 0: as long as retries go. */
  userTimeoutMs = 0;
  /** When the peer last acknowledged something new, or when there last was nothing to acknowledge. */
  progressMs = 0;
  timerNext: TimerNode | null = null;
  timerPrevious: TimerNode | null = null;
  timerSlot = -1;
  timerAt = 0;

  constructor(tcp: Tcp, hop: NextHop) {
    this.tcp = tcp;
    this.hop = hop;
  }

  onTimer(nowMs: number): void {
    onConnectionTimer(this.tcp, this, nowMs);
  }

  /** Sequence number behind the last byte written. */
  get dataEnd(): number {
    return (this.sndUna + this.sendRing.length) | 0;
  }

  /** Bytes received in order and not read yet. */
  get unread(): number {
    return this.receiveBuffer.end - this.receiveBuffer.start + this.inPlaceLength;
  }
}

/** Makes a pooled block as new; addresses, sequence numbers and options are the caller's to set. */
export function resetConnection(c: Connection): void {
  c.state = CLOSED;
  c.socket = null;
  c.listener = null;
  c.sndWnd = c.sndWl1 = c.sndWl2 = c.sndWndMax = 0;
  c.sndWindShift = c.rcvWindShift = 0;
  c.rcvMss = 0;
  c.rcvFin = 0;
  c.options = c.ecn = 0;
  c.provenMss = 0;
  c.tsRecent = c.tsRecentAtMs = c.tsFloor = c.tsFloorNext = c.tsOffset = 0;
  c.srtt = c.rttvar = c.backoff = c.minRttUs = 0;
  c.synTimed = c.synAgain = false;
  c.inPlaceOffset = c.inPlaceLength = 0;
  c.finQueued = c.finSent = c.finReceived = c.finAhead = false;
  c.ackNow = false;
  c.quickAcks = QUICK_ACKS;
  c.noDelay = true;
  c.orphan = false;
  c.dsackLength = 0;
  c.paused = c.writeBlocked = c.forceSend = false;
  c.dirty = c.ready = c.retired = false;
  c.events = 0;
  c.closeReason = 0;
  c.timers = 0;
  c.retries = c.retransmitted = c.keepaliveProbes = 0;
}

/** Sets the send sequence space to a new ISS (RFC 9293 3.10.1). */
export function setIss(c: Connection, iss: number): void {
  c.iss = iss;
  c.sndUna = c.sndNxt = iss;
}

/** Sets the receive sequence space from a peer's SYN. */
export function setIrs(c: Connection, irs: number): void {
  c.irs = irs;
  c.rcvNxt = c.lastAckSent = c.rcvAdv = (irs + 1) | 0;
}
