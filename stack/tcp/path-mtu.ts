// Segments that the path does not take: routers that say so (RFC 1191), believed only where they speak of what is in
// flight (RFC 5927), and routers that drop them in silence, found out by timeouts of full segments (RFC 4821 7.7). The
// MSS comes down and what was too long is cut and sent again. From there probes look for the largest that fits: single larger
// segments of new data, whose loss is no sign of congestion (RFC 4821 7). Used by stack/tcp only.
import { isIpv6 } from '../ipv6-book.ts';
import { atOrAfter, before, distance } from '../sequence.ts';
import { IPV6_MTU_MIN } from '../wire/ipv6.ts';
import { type Connection, OPTION_TIMESTAMPS, TIMER_PROBE } from './connection.ts';
import { type Flight, PHASE_OPEN } from './flight.ts';
import { pipe } from './recovery.ts';
import type { Tcp } from './tcp.ts';

/**
 * No believable path takes less (RFC 5927 7.2 leaves it to us; Linux's min_pmtu): an attacker would like tiny segments. Over IPv6
 * every link takes `IPV6_MTU_MIN` (RFC 8200 5), and nothing smaller is to be tried (RFC 8899 5.1.2, MIN_PLPMTU).
 */
const PATH_MTU_MIN = 552;
const HEADERS_IPV4 = 40;
const HEADERS_IPV6 = 60;
/** Timeouts in a row of full segments after which they, not the network, are suspected. */
const BLACK_HOLE_TIMEOUTS = 2;
/** RFC 4821 7.2: what to fall back to, headers included. */
const BLACK_HOLE_MTUS: readonly number[] = [1280, 1064, PATH_MTU_MIN];
/** RFC 1191 6.3: how long a lowered MSS is kept before the larger one is tried again. */
const RAISE_AFTER_MS = 10 * 60_000;

/** RFC 4821 7.3: what is not worth a probe any more. */
const PROBE_STEP_MIN = 16;
/** Segments behind a probe, which tell of its loss. */
const PROBE_FOLLOWERS = 3;

function mssFor(c: Connection, mtu: number): number {
  const headers = isIpv6(c.remoteIp) ? HEADERS_IPV6 : HEADERS_IPV4;
  return mtu - headers - ((c.options & OPTION_TIMESTAMPS) !== 0 ? 12 : 0);
}

/** Somebody says that the segment at `seq` did not fit a link of `mtu` bytes. */
export function onPacketTooBig(tcp: Tcp, c: Connection, seq: number, mtu: number): void {
  // RFC 5927 4.1: an off-path attacker would have to guess this.
  if (before(seq, c.sndUna) || atOrAfter(seq, c.sndNxt)) return;
  const mss = mssFor(c, Math.max(mtu, PATH_MTU_MIN));
  if (mss >= c.mss) {
    // Of a probe: its loss will be noticed, and this is where to look next.
    if (c.flight?.pathProbing && seq === c.flight.pathProbeStart) c.flight.mssHigh = Math.min(c.flight.mssHigh, mss);
    return;
  }
  if (mss >= c.provenMss || c.retries > 0) {
    lowerMss(tcp, c, mss, mss);
    return;
  }
  // RFC 5927 7.2: segments of that size have arrived; it is believed only if one times out now.
  c.flight ??= tcp.takeFlight();
  c.flight.keeps = true;
  c.flight.claimedMss = mss;
}

/** The retransmission timer ran out. */
export function suspectPath(tcp: Tcp, c: Connection): void {
  const f = c.flight;
  if (f === null) return;
  if (f.claimedMss > 0) {
    lowerMss(tcp, c, f.claimedMss, f.claimedMss);
    return;
  }
  if (f.first === f.next || c.retries < BLACK_HOLE_TIMEOUTS || f.lengthOf(f.first) < c.mss) return;
  for (const mtu of BLACK_HOLE_MTUS) {
    if (mtu < IPV6_MTU_MIN && isIpv6(c.remoteIp)) return;
    const mss = mssFor(c, mtu);
    if (mss >= c.mss) continue;
    tcp.stats.tcpBlackHoles++;
    lowerMss(tcp, c, mss, c.mss - 1);
    return;
  }
}

/** @param high the most that may be tried in the next ten minutes. */
function lowerMss(tcp: Tcp, c: Connection, mss: number, high: number): void {
  tcp.stats.tcpMssLowered++;
  c.flight ??= tcp.takeFlight();
  const f = c.flight;
  f.keeps = true;
  if (f.mssLimit === 0) f.mssLimit = c.mss;
  f.mssHigh = high;
  f.mssLoweredMs = tcp.nowMs;
  f.claimedMss = 0;
  f.pathProbing = false;
  c.mss = mss;
  c.provenMss = Math.min(c.provenMss, mss);
  if (f.first === f.next) return;
  // RFC 1191 6.4: sent again at once, and no sign of congestion.
  f.cut(mss, c.finSent);
  f.forced = true;
  tcp.markDirty(c);
}

// ---- Upwards ---------------------------------------------------------------------------------------------------

/**
 * New data waits on a connection whose MSS was lowered.
 * @returns payload of the probe that should go first; 0: none. RFC 4821 7.4: only when nothing is lost, and with so much
 * behind it that its loss would show at once.
 */
export function nextPathProbe(tcp: Tcp, c: Connection, f: Flight, unsent: number): number {
  if (f.pathProbing || f.phase !== PHASE_OPEN || f.sacked + f.lost > 0) return 0;
  if (f.mssHigh - c.mss < PROBE_STEP_MIN) {
    if (distance(tcp.nowMs, f.mssLoweredMs) < RAISE_AFTER_MS) return 0;
    // RFC 1191 6.3: paths change.
    f.mssHigh = f.mssLimit;
    f.mssLoweredMs = tcp.nowMs;
  }
  // All at once when the path may have become as wide as it was; else halving what is unknown (RFC 4821 7.3).
  const size = f.mssHigh === f.mssLimit ? f.mssLimit : (c.mss + f.mssHigh + 1) >> 1;
  const needed = size + PROBE_FOLLOWERS * c.mss;
  const mayFollow = unsent >= needed && c.cwnd >= needed && distance((c.sndUna + c.sndWnd) | 0, c.sndNxt) >= needed;
  return mayFollow && c.cwnd - pipe(c) >= size ? size : 0;
}

/** The probe, `size` bytes that end at SND.NXT, has left. */
export function notePathProbe(tcp: Tcp, c: Connection, f: Flight, size: number): void {
  tcp.stats.tcpPathProbes++;
  f.pathProbing = true;
  f.pathProbeStart = (c.sndNxt - size) | 0;
  f.pathProbeSize = size;
}

/** Everything up to the end of the probe has arrived. */
export function onPathProbeArrived(c: Connection, f: Flight): void {
  f.pathProbing = false;
  c.mss = f.pathProbeSize;
  f.pathProbeSize = 0;
  if (c.mss === f.mssLimit) f.mssLimit = 0;
}

/**
 * Something is lost. @returns whether it is the probe alone, or what is left of it: cut and marked to be sent again, and no
 * sign of congestion (RFC 4821 7.6.2).
 */
export function isOnlyPathProbeLost(tcp: Tcp, c: Connection, f: Flight): boolean {
  const n = f.nextLost();
  if (n < 0 || f.lost > f.pathProbeSize) return false;
  const within = distance(f.startOf(n), f.pathProbeStart);
  if (within < 0 || within >= f.pathProbeSize) return false;
  if (!f.pathProbing) return true;
  f.mssHigh = Math.min(f.mssHigh, f.pathProbeSize - 1);
  cutPathProbe(c, f);
  f.forced = true;
  c.timers &= ~TIMER_PROBE;
  tcp.markDirty(c);
  return true;
}

/** Nothing larger than the MSS is sent a second time. */
export function cutPathProbe(c: Connection, f: Flight): void {
  f.pathProbing = false;
  f.cut(c.mss, c.finSent);
}
