// CUBIC (RFC 9438): after a loss cwnd returns along a cubic of time to where it was and probes beyond, whatever the round
// trip, and never slower than Reno would. Windows in segments, times in seconds. Used by stack/tcp only.
import { type CongestionControl, CWND_MAX, restartWindow } from './congestion.ts';
import type { Connection } from './connection.ts';
import type { Flight } from './flight.ts';
import { slowStart } from './slow-start.ts';

/** RFC 9438 4.6, 5. */
const BETA = 0.7;
const C = 0.4;
/** RFC 9438 4.3: what Reno would have to add to keep up with CUBIC's smaller reduction. */
const ALPHA = (3 * (1 - BETA)) / (1 + BETA);

export const cubic: CongestionControl = {
  name: 'cubic',

  onAck(c: Connection, f: Flight, acked: number, rttUs: number, nowMs: number): void {
    if (c.cwnd < c.ssthresh) {
      slowStart(c, f, acked, rttUs);
      return;
    }
    const w = c.cwnd / c.mss;
    if (!f.inEpoch) beginEpoch(f, w, nowMs);
    const segments = acked / c.mss;
    const t = ((nowMs - f.epochMs) | 0) / 1000;
    f.wEst += ((f.wEst >= f.cwndPrior ? 1 : ALPHA) * segments) / w;
    let grown = 0;
    if (cubicAt(f, t) < f.wEst) {
      // RFC 9438 4.3, the Reno-friendly region.
      if (f.wEst > w) grown = f.wEst - w;
    } else {
      // RFC 9438 4.4, 4.5: towards where the curve will be one round trip from now, at most half as much again.
      const target = Math.min(cubicAt(f, t + (c.srtt >> 3) / 1e6), 1.5 * w);
      if (target > w) grown = ((target - w) / w) * segments;
    }
    f.fraction += grown * c.mss;
    const bytes = Math.floor(f.fraction);
    f.fraction -= bytes;
    c.cwnd = Math.min(c.cwnd + bytes, CWND_MAX);
  },

  onCongestion(c: Connection, f: Flight, used: number): void {
    const w = c.cwnd / c.mss;
    f.undoWMax = f.wMax;
    f.undoK = f.k;
    f.undoWEst = f.wEst;
    f.undoCwndPrior = f.cwndPrior;
    f.undoInEpoch = f.inEpoch;
    // RFC 9438 4.7, fast convergence: leave room for others when the window is not what it was.
    f.wMax = w < f.wMax ? (w * (1 + BETA)) / 2 : w;
    f.cwndPrior = w;
    f.inEpoch = false;
    f.fraction = 0;
    c.ssthresh = Math.max(Math.floor(used * BETA), 2 * c.mss);
  },

  onUndo(_c: Connection, f: Flight): void {
    // RFC 9438 4.9.2: as if nothing had been; `epochMs` was not touched.
    f.wMax = f.undoWMax;
    f.k = f.undoK;
    f.wEst = f.undoWEst;
    f.cwndPrior = f.undoCwndPrior;
    f.inEpoch = f.undoInEpoch;
    f.fraction = 0;
  },

  onIdle(c: Connection, f: Flight | null, idleMs: number): void {
    restartWindow(c);
    // RFC 9438 4.2 as RFC 7661 asks: time in which nothing was sent is no time to grow in.
    if (f?.inEpoch) f.epochMs = (f.epochMs + idleMs) | 0;
  },
};

/** RFC 9438 4.2: a new curve begins at the present window. */
function beginEpoch(f: Flight, w: number, nowMs: number): void {
  f.inEpoch = true;
  f.epochMs = nowMs;
  if (w < f.wMax) f.k = Math.cbrt((f.wMax - w) / C);
  else {
    f.wMax = w;
    f.k = 0;
  }
  f.wEst = w;
}

function cubicAt(f: Flight, t: number): number {
  const d = t - f.k;
  return C * d * d * d + f.wMax;
}
