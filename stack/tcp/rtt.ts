// Round-trip time and retransmission timeout (RFC 6298), in integers: srtt scaled by 8, rttvar by 4, microseconds. Samples
// come from recovery.ts, one a round trip, which is what the RFC's gains are for. Used by stack/tcp only.
import type { TcpSegment } from '../wire/tcp.ts';
import { type Connection, OPTION_TIMESTAMPS } from './connection.ts';
import type { Tcp } from './tcp.ts';

/** RFC 6298 2.1. */
export const RTO_INITIAL_MS = 1000;
/** RFC 6298 2.5 allows any maximum of at least 60 s. */
const RTO_MAX_MS = 120_000;
/** RFC 6298 5.7: where a SYN had to be sent again. */
export const RTO_AFTER_SYN_LOSS_MS = 3000;
/** Larger samples are clamped: the scaled sum stays an int32. */
const SAMPLE_MAX_US = 100_000_000;

/**
 * Everything acknowledged was sent twice, so nothing can be timed (Karn); after a timeout the echoed timestamp tells
 * which of the two it was (RFC 7323 4).
 */
export function sampleByEcho(tcp: Tcp, c: Connection, segment: TcpSegment): void {
  if (!segment.hasTimestamps || (c.options & OPTION_TIMESTAMPS) === 0 || c.backoff === 0) return;
  const elapsedMs = (tcp.nowMs + c.tsOffset - segment.tsEcr) | 0;
  if (elapsedMs >= 0 && elapsedMs < RTO_MAX_MS) addSample(c, Math.min(elapsedMs * 1000, SAMPLE_MAX_US));
}

export function addSample(c: Connection, sampleUs: number): void {
  const sample = sampleUs < 1 ? 1 : Math.min(sampleUs, SAMPLE_MAX_US);
  if (c.srtt === 0) {
    c.srtt = sample << 3;
    c.rttvar = sample << 1;
  } else {
    const error = sample - (c.srtt >> 3);
    c.srtt += error;
    if (c.srtt < 1) c.srtt = 1;
    c.rttvar += (error < 0 ? -error : error) - (c.rttvar >> 2);
  }
  updateRto(c);
}

/**
 * RTO = SRTT + max(G, 4 * RTTVAR) (RFC 6298 2.3) with rto-min for G, as Linux has it: a steady round trip of any length
 * leaves time for a fast retransmission to be answered, which takes one more of them.
 */
export function updateRto(c: Connection): void {
  const variance = Math.max(c.rttvar, c.tcp.config.rtoMinMs * 1000);
  c.rtoMs = Math.min(Math.round(((c.srtt >> 3) + variance) / 1000), RTO_MAX_MS);
}

/** The timeout with its back-off (RFC 6298 5.5). */
export function backedOffRto(c: Connection): number {
  if (c.backoff === 0) return c.rtoMs;
  return Math.min(c.rtoMs * 2 ** Math.min(c.backoff, 16), RTO_MAX_MS);
}
