// What a congestion controller is: it moves cwnd and ssthresh of a connection, in bytes, and nothing else; when to
// retransmit is recovery.ts's business. One stateless object serves all connections. Used by stack/tcp only.
import type { Connection } from './connection.ts';

export interface CongestionControl {
  readonly name: string;
  /** A connection is established. */
  start(c: Connection, nowMs: number): void;
  /**
   * `acked` bytes were newly acknowledged outside fast recovery, `flight` bytes were out before that.
   * Called in slow start after a timeout too.
   */
  onAck(c: Connection, acked: number, flight: number, nowMs: number): void;
  /** Duplicate acknowledgements told of a loss: sets ssthresh and cwnd for the recovery that begins. */
  onLoss(c: Connection, flight: number, nowMs: number): void;
  /** Recovery is over: everything that was out when it began is acknowledged. */
  onRecovered(c: Connection, flight: number, nowMs: number): void;
  /** The retransmission timer ran out; `first`: for the first time in a row (RFC 5681 3.1). */
  onTimeout(c: Connection, flight: number, first: boolean, nowMs: number): void;
  /** Nothing was sent for longer than an RTO (RFC 5681 4.1). */
  onIdle(c: Connection, nowMs: number): void;
}

/** RFC 6928: ten segments, within 14600 bytes unless that is less than two. */
export function initialWindow(mss: number): number {
  return Math.min(10 * mss, Math.max(2 * mss, 14600));
}
