// Segments that the path does not take: routers that say so (RFC 1191), believed only where they speak of what is in
// flight (RFC 5927), and routers that drop them in silence, found out by timeouts of full segments (RFC 4821 7.7). The
// MSS comes down and what was too long is cut and sent again. Used by stack/tcp only.
import { isIpv6 } from '../ipv6-book.ts';
import { atOrAfter, before, distance } from '../sequence.ts';
import { type Connection, OPTION_TIMESTAMPS } from './connection.ts';
import type { Flight } from './flight.ts';
import type { Tcp } from './tcp.ts';

/** No believable path takes less (RFC 5927 7.2 leaves it to us; Linux's min_pmtu): an attacker would like tiny segments. */
const PATH_MTU_MIN = 552;
const HEADERS_IPV4 = 40;
const HEADERS_IPV6 = 60;
/** Timeouts in a row of full segments after which they, not the network, are suspected. */
const BLACK_HOLE_TIMEOUTS = 2;
/** RFC 4821 7.2: what to fall back to, headers included. */
const BLACK_HOLE_MTUS: readonly number[] = [1280, 1064, PATH_MTU_MIN];
/** RFC 1191 6.3: how long a lowered MSS is kept before the larger one is tried again. */
const RAISE_AFTER_MS = 10 * 60_000;

function mssFor(c: Connection, mtu: number): number {
  const headers = isIpv6(c.remoteIp) ? HEADERS_IPV6 : HEADERS_IPV4;
  return mtu - headers - ((c.options & OPTION_TIMESTAMPS) !== 0 ? 12 : 0);
}

/** Somebody says that the segment at `seq` did not fit a link of `mtu` bytes. */
export function onPacketTooBig(tcp: Tcp, c: Connection, seq: number, mtu: number): void {
  // RFC 5927 4.1: an off-path attacker would have to guess this.
  if (before(seq, c.sndUna) || atOrAfter(seq, c.sndNxt)) return;
  const mss = mssFor(c, Math.max(mtu, PATH_MTU_MIN));
  if (mss >= c.mss) return;
  if (mss >= c.provenMss || c.retries > 0) {
    lowerMss(tcp, c, mss);
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
    lowerMss(tcp, c, f.claimedMss);
    return;
  }
  if (f.first === f.next || c.retries < BLACK_HOLE_TIMEOUTS || f.lengthOf(f.first) < c.mss) return;
  for (const mtu of BLACK_HOLE_MTUS) {
    const mss = mssFor(c, mtu);
    if (mss >= c.mss) continue;
    tcp.stats.tcpBlackHoles++;
    lowerMss(tcp, c, mss);
    return;
  }
}

function lowerMss(tcp: Tcp, c: Connection, mss: number): void {
  tcp.stats.tcpMssLowered++;
  c.flight ??= tcp.takeFlight();
  const f = c.flight;
  f.keeps = true;
  if (f.mssLimit === 0) f.mssLimit = c.mss;
  f.mssLoweredMs = tcp.nowMs;
  f.claimedMss = 0;
  c.mss = mss;
  c.provenMss = Math.min(c.provenMss, mss);
  if (f.first === f.next) return;
  // RFC 1191 6.4: sent again at once, and no sign of congestion.
  f.cut(mss, c.finSent);
  f.forced = true;
  tcp.markDirty(c);
}

/** Everything is acknowledged: time to see whether the path takes more again. */
export function raiseMss(tcp: Tcp, c: Connection, f: Flight): void {
  if (distance(tcp.nowMs, f.mssLoweredMs) < RAISE_AFTER_MS) return;
  c.mss = f.mssLimit;
  f.mssLimit = 0;
}
