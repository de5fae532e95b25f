// Everything that happens to a connection because time passed: retransmission (RFC 6298 5), zero-window probes (RFC 9293
// 3.8.6.1), delayed ACK, keepalive (RFC 1122 4.2.3.6) and the end of a FIN-WAIT-2 nobody finishes. True deadlines are in
// the connection; its one entry in the wheel is moved only when one comes earlier, and looks again when
// it fires, so pushing a deadline out costs an assignment. Used by stack/tcp and stack/socket.ts only.
import { CLOSE_TIMED_OUT } from '../close-reasons.ts';
import { after, atOrBefore, distance, earlier } from '../sequence.ts';
import {
  CLOSED,
  type Connection,
  FIN_WAIT_2,
  SYN_RECEIVED,
  SYN_SENT,
  TIMER_DELAYED_ACK,
  TIMER_FIN_WAIT_2,
  TIMER_KEEPALIVE,
  TIMER_PERSIST,
  TIMER_PROBE,
  TIMER_REORDER,
  TIMER_RETRANSMIT,
} from './connection.ts';
import { sendKeepalive, sendLossProbe, sendWindowProbe } from './output.ts';
import { suspectPath } from './path-mtu.ts';
import { onReorderTimer, onTimeout } from './recovery.ts';
import { backedOffRto } from './rtt.ts';
import type { Tcp } from './tcp.ts';

/** R2 of RFC 9293 3.8.3 for data: with back-off well beyond its 100 s. */
const RETRIES_MAX = 15;
/** R2 for a SYN: over the 3 minutes that RFC 9293 3.8.3 asks for, counting back-off from 1 s. */
const SYN_RETRIES_MAX = 7;
/**
 * Timeouts in a row that a connection nobody owns any more gets whatever the clock says: one sample of a round trip that a
 * lost acknowledgement made long stretches them beyond the time that it has.
 */
const ORPHAN_TIMEOUTS = 3;
/** Silence in FIN-WAIT-2 after which, when nobody here waits for him, the peer is taken for gone (RFC 9293 3.10.4). */
const FIN_WAIT_2_MS = 60_000;
/** Probes that go unanswered, a third of the idle time apart, before the connection is given up: Redis's rule. */
const KEEPALIVE_PROBES_MAX = 3;
const KEEPALIVE_INTERVAL_MS_MIN = 1000;

export function armRetransmit(tcp: Tcp, c: Connection): void {
  c.timers = (c.timers & ~TIMER_PERSIST) | TIMER_RETRANSMIT;
  c.retransmitAt = (tcp.nowMs + backedOffRto(c)) | 0;
  tcp.wheel.armBy(c, c.retransmitAt);
}

export function disarmRetransmit(c: Connection): void {
  c.timers &= ~TIMER_RETRANSMIT;
}

/** The peer's window is closed, or too small to be worth a segment. */
export function armPersist(tcp: Tcp, c: Connection): void {
  if ((c.timers & TIMER_PERSIST) !== 0) return;
  c.timers = (c.timers & ~TIMER_RETRANSMIT) | TIMER_PERSIST;
  c.retransmitAt = (tcp.nowMs + backedOffRto(c)) | 0;
  tcp.wheel.armBy(c, c.retransmitAt);
}

export function armDelayedAck(tcp: Tcp, c: Connection): void {
  if ((c.timers & TIMER_DELAYED_ACK) !== 0) return;
  c.timers |= TIMER_DELAYED_ACK;
  c.delayedAckAt = (tcp.nowMs + tcp.config.delayedAckMs) | 0;
  tcp.wheel.armBy(c, c.delayedAckAt);
}

/** RFC 9293 3.6 leaves half-closed connections open for as long as the application likes; this is for those it let go. */
export function armFinWait2(tcp: Tcp, c: Connection): void {
  c.timers = (c.timers & ~(TIMER_PROBE | TIMER_REORDER)) | TIMER_FIN_WAIT_2;
  c.lossAt = (tcp.nowMs + FIN_WAIT_2_MS) | 0;
  tcp.wheel.armBy(c, c.lossAt);
}

export function armKeepalive(tcp: Tcp, c: Connection): void {
  c.timers &= ~TIMER_KEEPALIVE;
  if (c.keepaliveMs === 0) return;
  c.timers |= TIMER_KEEPALIVE;
  tcp.wheel.armBy(c, keepaliveAt(c));
}

function keepaliveAt(c: Connection): number {
  const interval = Math.max(KEEPALIVE_INTERVAL_MS_MIN, (c.keepaliveMs / 3) | 0);
  return (c.lastReceivedMs + c.keepaliveMs + c.keepaliveProbes * interval) | 0;
}

/** The wheel fired for this connection: does what is due and goes back in for the earliest of the rest. */
export function onConnectionTimer(tcp: Tcp, c: Connection, nowMs: number): void {
  if ((c.timers & TIMER_DELAYED_ACK) !== 0 && atOrBefore(c.delayedAckAt, nowMs)) {
    c.timers &= ~TIMER_DELAYED_ACK;
    c.ackNow = true;
    tcp.stats.tcpDelayedAcks++;
    tcp.markDirty(c);
  }
  if ((c.timers & (TIMER_PROBE | TIMER_REORDER)) !== 0 && atOrBefore(c.lossAt, nowMs)) onLossTimer(tcp, c);
  if ((c.timers & (TIMER_RETRANSMIT | TIMER_PERSIST)) !== 0 && atOrBefore(c.retransmitAt, nowMs)) {
    if ((c.timers & TIMER_PERSIST) !== 0) onPersist(tcp, c);
    else onRetransmit(tcp, c);
  }
  if ((c.timers & TIMER_FIN_WAIT_2) !== 0 && atOrBefore(c.lossAt, nowMs)) onFinWait2(tcp, c, nowMs);
  if ((c.timers & TIMER_KEEPALIVE) !== 0 && atOrBefore(keepaliveAt(c), nowMs)) onKeepalive(tcp, c);
  rearm(tcp, c, nowMs);
}

/** Puts the connection into the wheel for the earliest of its deadlines. */
export function rearm(tcp: Tcp, c: Connection, nowMs: number): void {
  if (c.state === CLOSED || c.timers === 0) return;
  let at = (nowMs + 0x3fffffff) | 0;
  if ((c.timers & TIMER_DELAYED_ACK) !== 0) at = earlier(at, c.delayedAckAt);
  if ((c.timers & (TIMER_PROBE | TIMER_REORDER | TIMER_FIN_WAIT_2)) !== 0) at = earlier(at, c.lossAt);
  if ((c.timers & (TIMER_RETRANSMIT | TIMER_PERSIST)) !== 0) at = earlier(at, c.retransmitAt);
  if ((c.timers & TIMER_KEEPALIVE) !== 0) {
    // An answer to a probe brings the next deadline forward without touching the wheel: look again by then.
    at = earlier(at, earlier(keepaliveAt(c), (nowMs + c.keepaliveMs) | 0));
  }
  tcp.wheel.armBy(c, at);
}

/** RFC 8985: the reordering window, or the time for a tail loss probe, is over. */
function onLossTimer(tcp: Tcp, c: Connection): void {
  const isProbe = (c.timers & TIMER_PROBE) !== 0;
  c.timers &= ~(TIMER_PROBE | TIMER_REORDER);
  if (isProbe) sendLossProbe(tcp, c);
  else onReorderTimer(tcp, c);
}

function onRetransmit(tcp: Tcp, c: Connection): void {
  const isSyn = c.state === SYN_SENT || c.state === SYN_RECEIVED;
  const hasTime = isSyn || (c.orphan && c.retries < ORPHAN_TIMEOUTS) || !userTimeoutIsOver(tcp, c);
  if (c.retries >= (isSyn ? SYN_RETRIES_MAX : RETRIES_MAX) || !hasTime) {
    tcp.end(c, CLOSE_TIMED_OUT);
    return;
  }
  tcp.stats.tcpTimeouts++;
  if (isSyn) c.synAgain = true;
  else {
    onTimeout(tcp, c);
    suspectPath(tcp, c);
  }
  c.retries++;
  c.backoff++;
  armRetransmit(tcp, c);
  tcp.markDirty(c);
}

/** RFC 5482, RFC 9293 3.8.3: what was sent has been waiting for too long. */
function userTimeoutIsOver(tcp: Tcp, c: Connection): boolean {
  return c.userTimeoutMs > 0 && distance(tcp.nowMs, c.progressMs) >= c.userTimeoutMs;
}

/** Something waits for the peer's window and nothing is out that would tell of its opening. */
function onPersist(tcp: Tcp, c: Connection): void {
  c.timers &= ~TIMER_PERSIST;
  if (c.retries >= RETRIES_MAX || userTimeoutIsOver(tcp, c)) {
    tcp.end(c, CLOSE_TIMED_OUT);
    return;
  }
  if (after((c.sndUna + c.sndWnd) | 0, c.sndNxt)) {
    // The window is open, only small (RFC 9293 3.8.6.2.1: the override timeout).
    c.forceSend = true;
    tcp.markDirty(c);
    return;
  }
  tcp.stats.tcpZeroWindowProbes++;
  sendWindowProbe(tcp, c);
  c.retries++;
  c.backoff++;
  armPersist(tcp, c);
}

function onFinWait2(tcp: Tcp, c: Connection, nowMs: number): void {
  c.timers &= ~TIMER_FIN_WAIT_2;
  if (c.state !== FIN_WAIT_2) return;
  if (distance(nowMs, c.lastReceivedMs) >= FIN_WAIT_2_MS) {
    tcp.end(c, CLOSE_TIMED_OUT);
    return;
  }
  c.timers |= TIMER_FIN_WAIT_2;
  c.lossAt = (c.lastReceivedMs + FIN_WAIT_2_MS) | 0;
}

function onKeepalive(tcp: Tcp, c: Connection): void {
  // With data out the retransmission timer finds out about a dead peer.
  if (c.sndNxt !== c.sndUna || c.sendRing.length > 0) {
    c.lastReceivedMs = tcp.nowMs;
    c.keepaliveProbes = 0;
    return;
  }
  if (c.keepaliveProbes >= KEEPALIVE_PROBES_MAX) {
    tcp.end(c, CLOSE_TIMED_OUT);
    return;
  }
  c.keepaliveProbes++;
  tcp.stats.tcpKeepalives++;
  sendKeepalive(tcp, c);
}
