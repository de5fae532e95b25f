// Slow start, common to the controllers: cwnd grows by what was acknowledged (RFC 5681 3.1 counting bytes, RFC 3465), and
// HyStart++ (RFC 9406) leaves it when round trips grow, before the queue on the path overflows. Round trips tell a round
// late, which is too late for a queue shorter than the path: as in HyStart (Ha and Rhee 2011), acknowledgements that come
// without a gap for half a round trip tell in time that the path is about full. Used by stack/tcp only.
import { after, distance, later } from '../sequence.ts';
import { CWND_MAX } from './congestion.ts';
import type { Connection } from './connection.ts';
import { type Flight, PHASE_OPEN } from './flight.ts';

// RFC 9406 4.3.
const MIN_RTT_THRESH_US = 4000;
const MAX_RTT_THRESH_US = 16_000;
const MIN_RTT_DIVISOR = 8;
const N_RTT_SAMPLE = 8;
const CSS_GROWTH_DIVISOR = 4;
const CSS_ROUNDS = 5;
/**
 * HyStart: a longer gap, and one of more than an eighth of the round trip, ends a train of acknowledgements; on a shorter path
 * a train means nothing.
 */
const TRAIN_GAP_US = 2000;
const TRAIN_RTT_MIN_US = 8000;
/** Segments that one acknowledgement may add; without pacing RFC 9406 4.2 says 8. */
const L = 8;
/** RFC 3465 2.3 after a timeout: an acknowledgement may cover what came long before. */
const L_AFTER_TIMEOUT = 2;

const OFF = 0;
const SLOW = 1;
const CONSERVATIVE = 2;
/** No sample in this round yet. */
const NONE = 0x7fffffff;

/** Grows cwnd for `acked` bytes. Only while cwnd < ssthresh. */
export function slowStart(c: Connection, f: Flight, acked: number, rttUs: number): void {
  const most = (f.phase === PHASE_OPEN ? L : L_AFTER_TIMEOUT) * c.mss;
  let growth = Math.min(acked, most);
  // Only the first slow start: after a loss ssthresh is known (RFC 9406 4.3).
  if (c.ssthresh === CWND_MAX) {
    if (f.hystart === OFF) beginRounds(c, f);
    // By what is reported: where the network reorders, SND.UNA waits for the one that is late and the round would be over
    // before it has begun.
    else if (after(later(f.fack, c.sndUna), f.roundEnd)) nextRound(c, f);
    if (rttUs >= 0) sampleRound(c, f, rttUs);
    if (f.hystart === SLOW) followTrain(c, f);
    if (f.hystart === CONSERVATIVE) growth = Math.ceil(growth / CSS_GROWTH_DIVISOR);
  }
  c.cwnd = Math.min(c.cwnd + growth, Math.max(c.ssthresh, c.cwnd));
}

function beginRounds(c: Connection, f: Flight): void {
  f.hystart = SLOW;
  f.lastRoundRttUs = NONE;
  f.cssRounds = 0;
  startRound(c, f);
}

function startRound(c: Connection, f: Flight): void {
  f.roundEnd = c.sndNxt;
  f.roundRttUs = NONE;
  f.roundSamples = 0;
  f.roundStartUs = f.trainUs = c.tcp.nowUs;
}

function nextRound(c: Connection, f: Flight): void {
  if (f.hystart === CONSERVATIVE && ++f.cssRounds >= CSS_ROUNDS) {
    leave(c, f);
    return;
  }
  f.lastRoundRttUs = f.roundRttUs;
  startRound(c, f);
}

/** What came back without a gap is as long as what is on the way: conservative slow start finds the rest. */
function followTrain(c: Connection, f: Flight): void {
  const { nowUs } = c.tcp;
  if (c.minRttUs < TRAIN_RTT_MIN_US || distance(nowUs, f.trainUs) > Math.max(TRAIN_GAP_US, c.minRttUs >> 3)) return;
  f.trainUs = nowUs;
  if (distance(nowUs, f.roundStartUs) < c.minRttUs >> 1) return;
  // No round trip is shorter than that: only growing ones tell more.
  f.cssBaselineUs = 0;
  f.cssRounds = 0;
  f.hystart = CONSERVATIVE;
}

/** RFC 9406 4.2: delay that grows ends slow start, delay that shrinks again takes the end back. */
function sampleRound(c: Connection, f: Flight, rttUs: number): void {
  if (rttUs < f.roundRttUs) f.roundRttUs = rttUs;
  if (++f.roundSamples < N_RTT_SAMPLE) return;
  if (f.hystart === SLOW) {
    if (f.lastRoundRttUs === NONE || !isDelayed(f, f.lastRoundRttUs)) return;
    f.cssBaselineUs = f.roundRttUs;
    f.cssRounds = 0;
    f.hystart = CONSERVATIVE;
  } else if (f.hystart === CONSERVATIVE && f.cssBaselineUs === 0) {
    // The train said that the path is full, and now there is a queue: a quarter more would overflow a short one.
    if (isDelayed(f, c.minRttUs)) leave(c, f);
  } else if (f.hystart === CONSERVATIVE && f.roundRttUs < f.cssBaselineUs) {
    f.cssBaselineUs = NONE;
    f.hystart = SLOW;
  }
}

function isDelayed(f: Flight, baseUs: number): boolean {
  const eighth = (baseUs / MIN_RTT_DIVISOR) | 0;
  return f.roundRttUs >= baseUs + Math.max(MIN_RTT_THRESH_US, Math.min(eighth, MAX_RTT_THRESH_US));
}

function leave(c: Connection, f: Flight): void {
  c.ssthresh = c.cwnd;
  f.hystart = OFF;
}
