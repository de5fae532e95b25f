// Proportional Rate Reduction (RFC 6937): in a recovery cwnd comes down to ssthresh with what arrives, not by falling silent
// for half a window, and goes up to it again, as in slow start, when losses were many. Used by stack/tcp only.
import { distance } from '../sequence.ts';
import type { Connection } from './connection.ts';
import type { Flight } from './flight.ts';

export function beginPrr(c: Connection, f: Flight): void {
  f.prrDelivered = 0;
  f.prrOut = 0;
  f.prrFlight = Math.max(distance(c.sndNxt, c.sndUna), c.mss);
}

/** `delivered` bytes arrived; `pipe` are in the network now. `progress`: SND.UNA moved and nothing more was lost. */
export function onPrrAck(c: Connection, f: Flight, delivered: number, pipe: number, progress: boolean): void {
  if (delivered <= 0) return;
  f.prrDelivered += delivered;
  let count: number;
  if (pipe > c.ssthresh) {
    count = Math.ceil((f.prrDelivered * c.ssthresh) / f.prrFlight) - f.prrOut;
  } else {
    // PRR-SSRB while it goes well, else the conservative bound, as RFC 6937 leaves open and its successor settles.
    let limit = delivered;
    if (progress) limit = Math.max(f.prrDelivered - f.prrOut, delivered) + c.mss;
    count = Math.min(c.ssthresh - pipe, limit);
  }
  // The fast retransmit itself.
  if (f.prrOut === 0 && count < c.mss) count = c.mss;
  c.cwnd = pipe + Math.max(count, 0);
}
