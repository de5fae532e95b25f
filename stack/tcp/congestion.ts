// What a congestion controller is: it moves cwnd (bytes) and ssthresh of a connection, and nothing else; what is lost and
// how a recovery is paced is the business of recovery.ts and prr.ts. Stateless: what it remembers lies in the
// connection's flight. Called only when it matters: `onAck` not for a window that the application leaves
// unused (RFC 7661 4.4). Used by stack/tcp and stack/facts.ts only.
import type { Connection } from './connection.ts';
import type { Flight } from './flight.ts';

export interface CongestionControl {
  readonly name: string;
  /**
   * `acked` bytes arrived, newly acknowledged or reported, and cwnd was what kept more from being sent.
   * @param rttUs a fresh sample of the round trip; -1: none.
   */
  onAck(c: Connection, f: Flight, acked: number, rttUs: number, nowMs: number): void;
  /** Something was lost or marked (RFC 3168 6.1.2): sets ssthresh, once a window. @param used bytes of cwnd in use. */
  onCongestion(c: Connection, f: Flight, used: number): void;
  /** The last reduction was for nothing: cwnd and ssthresh are restored by the caller. */
  onUndo(c: Connection, f: Flight): void;
  /** Nothing was sent for a while; `idleMs` is how long. */
  onIdle(c: Connection, f: Flight | null, idleMs: number): void;
}

/** Far from any overflow, far beyond any path this serves. */
export const CWND_MAX = 1 << 29;

/** RFC 6928: ten segments, within 14600 bytes unless that is less than two. */
function initialWindow(mss: number): number {
  return Math.min(10 * mss, Math.max(2 * mss, 14600));
}

/** A connection is established. RFC 5681 3.1 and RFC 6298 5.7: a lost SYN means starting with one segment. */
export function startWindow(c: Connection, lostSyn: boolean): void {
  c.cwnd = lostSyn ? c.mss : initialWindow(c.mss);
  c.ssthresh = CWND_MAX;
}

/** RFC 5681 4.1: what was learnt before a silence longer than an RTO is no reason for a burst. */
export function restartWindow(c: Connection): void {
  c.cwnd = Math.min(c.cwnd, initialWindow(c.mss));
}
