// Slow start, congestion avoidance and the window of fast recovery after RFC 5681 and RFC 6582, counting bytes
// (RFC 3465). The window is not inflated by duplicate ACKs: recovery.ts takes what left the network off the
// flight instead, which comes to the same. Used by stack/tcp only.
import { type CongestionControl, initialWindow } from './congestion.ts';
import type { Connection } from './connection.ts';

/** Far from any overflow, far beyond any path this serves. */
const CWND_MAX = 1 << 29;

export const newReno: CongestionControl = {
  name: 'newreno',

  start(c: Connection): void {
    c.cwnd = initialWindow(c.mss);
    // RFC 5681 3.1 and RFC 6298 5.7: a lost SYN means starting with one segment.
    if (c.retries > 0) c.cwnd = c.mss;
    c.ssthresh = CWND_MAX;
    c.cwndAcked = 0;
  },

  onAck(c: Connection, acked: number, flight: number): void {
    if (c.cwnd < c.ssthresh) {
      // A window that the application does not fill says nothing about the network (RFC 7661).
      if (flight * 2 < c.cwnd) return;
      c.cwnd = Math.min(c.cwnd + Math.min(acked, 2 * c.mss), CWND_MAX);
      return;
    }
    if (flight + c.mss < c.cwnd) return;
    c.cwndAcked += acked;
    if (c.cwndAcked < c.cwnd) return;
    c.cwndAcked -= c.cwnd;
    c.cwnd = Math.min(c.cwnd + c.mss, CWND_MAX);
  },

  onLoss(c: Connection, flight: number): void {
    c.ssthresh = Math.max(flight >> 1, 2 * c.mss);
    c.cwnd = c.ssthresh;
    c.cwndAcked = 0;
  },

  onRecovered(c: Connection, flight: number): void {
    // RFC 6582 3.2 step 3, option 1: no burst when little is out.
    c.cwnd = Math.min(c.ssthresh, Math.max(flight, c.mss) + c.mss);
  },

  onTimeout(c: Connection, flight: number, first: boolean): void {
    if (first) c.ssthresh = Math.max(flight >> 1, 2 * c.mss);
    c.cwnd = c.mss;
    c.cwndAcked = 0;
  },

  onIdle(c: Connection): void {
    c.cwnd = Math.min(c.cwnd, initialWindow(c.mss));
    c.cwndAcked = 0;
  },
};
