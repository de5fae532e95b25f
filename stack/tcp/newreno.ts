// Congestion avoidance after RFC 5681, counting bytes (RFC 3465). Used by stack/tcp only.
import { type CongestionControl, CWND_MAX, restartWindow } from './congestion.ts';
import type { Connection } from './connection.ts';
import type { Flight } from './flight.ts';
import { slowStart } from './slow-start.ts';

export const newReno: CongestionControl = {
  name: 'newreno',

  onAck(c: Connection, f: Flight, acked: number, rttUs: number): void {
    if (c.cwnd < c.ssthresh) {
      slowStart(c, f, acked, rttUs);
      return;
    }
    f.fraction += acked;
    if (f.fraction < c.cwnd) return;
    f.fraction -= c.cwnd;
    c.cwnd = Math.min(c.cwnd + c.mss, CWND_MAX);
  },

  onCongestion(c: Connection, f: Flight, used: number): void {
    // RFC 5681 3.1, equation 4.
    c.ssthresh = Math.max(used >> 1, 2 * c.mss);
    f.fraction = 0;
  },

  onUndo(_c: Connection, f: Flight): void {
    f.fraction = 0;
  },

  onIdle(c: Connection, f: Flight | null): void {
    restartWindow(c);
    if (f !== null) f.fraction = 0;
  },
};
