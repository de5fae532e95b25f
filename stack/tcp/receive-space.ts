// How much is kept for a reader: the window grows with what he takes in a round trip (dynamic right-sizing), up to
// receive-buffer, so that a long fat path is filled and a short one costs little. Likewise how much a writer may queue:
// twice what the network takes. Where the peer is near and frames come faster than ticks can take them, the round trip is
// the queue of frames before us, and a larger window only makes that longer, for everybody: there it shrinks until a
// tick or two are kept busy. Used by stack/tcp, stack.ts and socket.ts.
import { distance } from '../sequence.ts';
import type { TcpSegment } from '../wire/tcp.ts';
import { type Connection, OPTION_TIMESTAMPS } from './connection.ts';
import type { Tcp } from './tcp.ts';

/** What a connection begins with, both ways, where the configuration allows as much. */
const SPACE_MIN = 256 * 1024;
/** A sender in slow start sends twice as much in the next round trip, and what he sent in the last is late by one. */
const ROUNDS = 4;
/** What is offered when that is not there any more: a reader who takes more each time has some rounds ahead of him. */
const ROUNDS_AHEAD = 8;
const RTT_MIN_US = 1000;
/** A tick that took as much found more frames than it should, bytes: those of others wait behind them. */
const BUSY_BYTES = 48 * 1024;
/** What keeps a tick busy: a near peer is offered as much at first, and however long the queue is. */
const NEAR_SPACE_MIN = 64 * 1024;
/** Of a shorter round trip the queue before us is most; on a longer path a window of NEAR_SPACE_MIN would not fill it. */
const NEAR_US = 3000;
/** Every so often it grows by a quarter while ticks are short. */
const NEAR_SPACE_MS = 100;
/** An older echo, by the clock and by round trips, is of no use. */
const ECHO_MS_MAX = 1000;
const ECHO_ROUNDS_MAX = 8;

export function beginSpace(tcp: Tcp, c: Connection): void {
  c.rcvSpace = Math.min(tcp.receiveBufferMax, SPACE_MIN);
}

/** What near peers may be offered when the stack starts: its first ticks take long. */
export function firstNearSpace(receiveBufferMax: number): number {
  return Math.min(receiveBufferMax, NEAR_SPACE_MIN);
}

/** The connection is established: its first round trip begins. */
export function beginRounds(tcp: Tcp, c: Connection): void {
  if (isNear(c)) c.rcvSpace = Math.min(c.rcvSpace, NEAR_SPACE_MIN);
  c.rcvRoundSeq = c.rcvNxt;
  c.rcvRoundEndUs = (tcp.nowUs + Math.max(c.srtt >> 3, RTT_MIN_US)) | 0;
}

/** A tick took `bytes` of frames: what near peers may be offered shrinks by a quarter a millisecond, or grows again. */
export function noteTaken(tcp: Tcp, bytes: number): void {
  const elapsedMs = distance(tcp.nowMs, tcp.nearSpaceAtMs);
  tcp.wasBusy = bytes >= BUSY_BYTES;
  if (tcp.wasBusy) {
    if (elapsedMs === 0) return;
    const space = Math.min(tcp.nearSpace, SPACE_MIN);
    tcp.nearSpace = Math.max(space - (space >> 2), firstNearSpace(tcp.receiveBufferMax));
  } else {
    if (elapsedMs < NEAR_SPACE_MS || tcp.nearSpace === tcp.receiveBufferMax) return;
    tcp.nearSpace = Math.min(tcp.nearSpace + (tcp.nearSpace >> 2), tcp.receiveBufferMax);
  }
  tcp.nearSpaceAtMs = tcp.nowMs;
}

/** In-order data came: at the end of each round trip, looks at how much was read in it. */
export function tuneSpace(tcp: Tcp, c: Connection, segment: TcpSegment): void {
  if (distance(tcp.nowUs, c.rcvRoundEndUs) < 0) return;
  const readSeq = (c.rcvNxt - c.unread) | 0;
  const read = distance(readSeq, c.rcvRoundSeq);
  const us = roundTripUs(tcp, c, segment);
  const most = us < NEAR_US || isNear(c) ? tcp.nearSpace : tcp.receiveBufferMax;
  // What was offered is not taken back (RFC 9293 3.8.6.2.2): the window's edge waits.
  if (c.rcvSpace > most) c.rcvSpace = most;
  // Not while memory is short: the pool is everybody's. Nor while more would only wait.
  else if (!tcp.wasBusy && read * ROUNDS > c.rcvSpace && tcp.blocks.used < tcp.blocks.limit >> 1) {
    c.rcvSpace = Math.min(read * ROUNDS_AHEAD, most);
  }
  c.rcvRoundEndUs = (tcp.nowUs + us) | 0;
  c.rcvRoundSeq = readSeq;
}

/** A queue that has got long once, behind a pause of ours, must not pass for the path: what replies took before tells. */
function isNear(c: Connection): boolean {
  return (c.srtt !== 0 && c.srtt >> 3 < NEAR_US) || (c.minRttUs !== 0 && c.minRttUs < NEAR_US);
}

/** A receiver learns the round trip from echoed timestamps (RFC 7323 4), else from the handshake. */
function roundTripUs(tcp: Tcp, c: Connection, segment: TcpSegment): number {
  let us = Math.max(c.srtt >> 3, RTT_MIN_US);
  if (segment.hasTimestamps && (c.options & OPTION_TIMESTAMPS) !== 0) {
    const echoMs = (tcp.nowMs + c.tsOffset - segment.tsEcr) | 0;
    // What follows a pause echoes something from before it.
    const mostMs = c.srtt === 0 ? ECHO_MS_MAX : Math.min((us * ECHO_ROUNDS_MAX) / 1000, ECHO_MS_MAX);
    if (echoMs > 0 && echoMs < mostMs) us = Math.max(echoMs * 1000, us);
  }
  return us;
}

/**
 * Bytes that may wait to be sent and acknowledged. In a recovery cwnd falls while what is reported waits behind the hole: by
 * cwnd alone there would be no room for the new data that keeps the network busy, and a burst when the hole is filled.
 */
export function sendSpace(tcp: Tcp, c: Connection): number {
  const most = Math.max(c.cwnd, distance(c.sndNxt, c.sndUna));
  return Math.min(tcp.config.sendBuffer, Math.max(SPACE_MIN, 2 * most));
}
