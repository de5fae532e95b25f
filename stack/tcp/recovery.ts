// What an acknowledgement says about the segments in flight, and what follows: fast recovery (RFC 6675 with RACK's marks, RFC
// 6582 for peers without SACK), recovery after a timeout with F-RTO (RFC 5682), and taking back what was done for
// nothing (RFC 4015 by timestamps, D-SACK as RFC 3708). output.ts sends what is marked lost, and new data, while
// `pipe` < cwnd, which makes limited transmit (RFC 3042) fall out. Used by stack/tcp and stack/facts.ts only.
import { after, atOrAfter, atOrBefore, before, distance, later } from '../sequence.ts';
import type { TcpSegment } from '../wire/tcp.ts';
import { type Connection, OPTION_ECN, OPTION_SACK, TIMER_PROBE, TIMER_REORDER } from './connection.ts';
import { onLossReduction } from './ecn.ts';
import { type Flight, PHASE_LOSS, PHASE_OPEN, PHASE_RECOVERY, SACKED, TWICE } from './flight.ts';
import { cutPathProbe, isOnlyPathProbeLost, onPathProbeArrived } from './path-mtu.ts';
import { beginPrr, onPrrAck } from './prr.ts';
import { ageReorderWindow, detectLoss, onProbeAnswer, rackDelivered, widenReorderWindow } from './rack.ts';
import { addSample, sampleByEcho } from './rtt.ts';
import type { Tcp } from './tcp.ts';

/** RFC 5681 3.2. */
const DUP_THRESH = 3;
/** A smallest round trip this old says nothing about today's path. */
const MIN_RTT_AGE_US = 10_000_000;

/** What the acknowledgement at hand told; one record, for one segment at a time. */
const told = {
  /** Bytes that were not known to have arrived. */
  delivered: 0,
  /** Something sent only once was among them. */
  original: false,
  /** Round trips of the latest and the earliest sent of those, microseconds; -1: none can be told. */
  latestUs: -1,
  earliestUs: -1,
  /** Flight's `fack` before it: its parts come in no order. */
  fackBefore: 0,
  dsack: false,
  dsackStart: 0,
  dsackEnd: 0,
};

/** Bytes believed to be in the network. */
export function pipe(c: Connection): number {
  const out = distance(c.sndNxt, c.sndUna);
  const f = c.flight;
  if (f === null) return out;
  const bytes = f.pipe(out);
  // Without SACK each duplicate ACK stands for one segment that left (RFC 5681 3.2).
  if (f.dupAcks === 0) return bytes;
  return Math.max(0, bytes - f.dupAcks * c.mss);
}

/**
 * `acked` bytes are newly acknowledged (SND.UNA has moved), or the segment is a duplicate ACK as RFC 5681 2 defines it, or
 * it has SACK blocks.
 */
export function onAcknowledgement(
  tcp: Tcp,
  c: Connection,
  segment: TcpSegment,
  acked: number,
  isDuplicate: boolean,
): void {
  const f = c.flight;
  if (f === null) return;
  if (!f.keeps && segment.sackCount === 0 && f.next - f.first === 1 && c.sndUna === f.end) {
    onLoneAcked(tcp, c, f);
    return;
  }
  told.delivered = 0;
  told.original = false;
  told.latestUs = told.earliestUs = -1;
  told.dsack = false;
  told.fackBefore = f.fack;
  if (segment.sackCount > 0 && (c.options & OPTION_SACK) !== 0) readSack(tcp, c, f, segment);
  if (acked > 0) takeAcked(tcp, c, f, segment);
  sample(tcp, c, f, segment, acked);
  if (f.pathProbing && atOrAfter(c.sndUna, (f.pathProbeStart + f.pathProbeSize) | 0)) onPathProbeArrived(c, f);
  if (f.keeps) adaptToDsack(tcp, c, f);
  if (f.phase === PHASE_OPEN) whileOpen(tcp, c, f, acked, isDuplicate);
  else if (f.phase === PHASE_RECOVERY) whileRecovering(tcp, c, f, acked, isDuplicate);
  else afterTimeout(tcp, c, f, acked, isDuplicate);
  if (f.first === f.next) {
    c.timers &= ~(TIMER_PROBE | TIMER_REORDER);
    if (f.drained()) tcp.giveFlight(c);
  }
}

/** A lone segment of which nothing else is known is acknowledged: most of what a server ever hears. */
function onLoneAcked(tcp: Tcp, c: Connection, f: Flight): void {
  const rtt = distance(tcp.nowUs, f.sentUs[f.first & f.mask]);
  if (rtt >= 0) {
    noteRoundTrip(tcp, c, f, rtt);
    addSample(c, rtt);
  }
  const length = distance(f.end, f.startOf(f.first));
  if (length > c.provenMss) c.provenMss = length;
  if (isWindowUsed(c, f)) {
    f.keeps = true;
    tcp.congestion.onAck(c, f, length, rtt, tcp.nowMs);
  }
  f.first = f.next;
  c.timers &= ~(TIMER_PROBE | TIMER_REORDER);
  if (f.drained()) tcp.giveFlight(c);
}

// ---- What the segment says -------------------------------------------------------------------------------------

/** RFC 2018 3, RFC 2883 4: blocks above SND.UNA, and in the first place perhaps one that was received twice. */
function readSack(tcp: Tcp, c: Connection, f: Flight, segment: TcpSegment): void {
  const { sackEdges: edges, sackCount: count } = segment;
  f.keeps = true;
  let i = 0;
  if (isDsack(c, segment)) {
    told.dsack = true;
    told.dsackStart = edges[0];
    told.dsackEnd = edges[1];
    i = 1;
  }
  const known = f.blocks;
  for (; i < count; i++) {
    const start = edges[2 * i];
    const end = edges[2 * i + 1];
    // Below SND.UNA it is old; above SND.NXT it is nonsense.
    if (!before(start, end) || before(start, c.sndUna) || before(start, segment.ack) || after(end, c.sndNxt)) continue;
    if (f.first !== f.next) walkBlock(tcp, c, f, start, end, known, segment);
  }
  f.blocks = 0;
  for (i = told.dsack ? 1 : 0; i < count; i++) {
    f.blockStarts[f.blocks] = edges[2 * i];
    f.blockEnds[f.blocks++] = edges[2 * i + 1];
  }
}

function isDsack(c: Connection, segment: TcpSegment): boolean {
  const { sackEdges: edges, sackCount: count } = segment;
  const start = edges[0];
  const end = edges[1];
  if (!before(start, end)) return false;
  if (atOrBefore(end, segment.ack)) return after(start, c.iss) && distance(segment.ack, start) <= c.sndWndMax;
  return count > 1 && atOrAfter(start, edges[2]) && atOrBefore(end, edges[3]);
}

/** Marks the segments that lie whole in a block, beginning where the block as reported before ended. */
function walkBlock(
  tcp: Tcp,
  c: Connection,
  f: Flight,
  start: number,
  end: number,
  known: number,
  segment: TcpSegment,
): void {
  let from = start;
  for (let i = 0; i < known; i++) {
    if (atOrAfter(from, f.blockStarts[i]) && before(from, f.blockEnds[i])) from = f.blockEnds[i];
  }
  if (atOrAfter(from, end)) return;
  let n = f.find(from);
  if (before(f.startOf(n), start)) n++;
  for (; n < f.next; n++) {
    const segmentEnd = f.endOf(n);
    if (after(segmentEnd, end)) break;
    const mark = f.markOf(n);
    if ((mark & SACKED) !== 0) continue;
    delivered(tcp, c, f, n, mark, segmentEnd, segment);
    f.markSacked(n);
  }
}

/** Forgets what SND.UNA has passed. */
function takeAcked(tcp: Tcp, c: Connection, f: Flight, segment: TcpSegment): void {
  const una = c.sndUna;
  while (f.first < f.next) {
    const n = f.first;
    const end = f.endOf(n);
    if (after(end, una)) {
      if (before(f.startOf(n), una)) {
        const mark = f.markOf(n);
        if ((mark & SACKED) === 0) told.delivered += distance(una, f.startOf(n));
        f.trim(una);
      }
      break;
    }
    const mark = f.markOf(n);
    if ((mark & SACKED) === 0) delivered(tcp, c, f, n, mark, end, segment);
    f.shift();
  }
  f.fack = later(f.fack, una);
}

function delivered(
  tcp: Tcp,
  c: Connection,
  f: Flight,
  n: number,
  mark: number,
  end: number,
  segment: TcpSegment,
): void {
  const length = distance(end, f.startOf(n));
  told.delivered += length;
  if (length > c.provenMss) c.provenMss = length;
  if ((mark & TWICE) === 0) {
    // What was first sent after a timeout says nothing about what was sent before.
    if (f.phase !== PHASE_LOSS || !after(end, f.recover)) told.original = true;
    const rtt = distance(tcp.nowUs, f.sentUs[n & f.mask]);
    if (rtt >= 0) {
      if (told.latestUs < 0 || rtt < told.latestUs) told.latestUs = rtt;
      if (rtt > told.earliestUs) told.earliestUs = rtt;
    }
  }
  if ((c.options & OPTION_SACK) !== 0 && rackDelivered(tcp, c, f, n, mark, end, before(end, told.fackBefore), segment))
    f.undoLate++;
}

/** RFC 6298: one sample a round trip for the timeout, Karn's rule kept; the smallest one for RACK. */
function sample(tcp: Tcp, c: Connection, f: Flight, segment: TcpSegment, acked: number): void {
  const { latestUs } = told;
  if (latestUs < 0) {
    if (acked > 0) sampleByEcho(tcp, c, segment);
    return;
  }
  noteRoundTrip(tcp, c, f, latestUs);
  if (acked > 0 && atOrAfter(c.sndUna, f.rttSeq)) {
    addSample(c, told.earliestUs);
    f.rttSeq = c.sndNxt;
  }
}

function noteRoundTrip(tcp: Tcp, c: Connection, f: Flight, us: number): void {
  if (c.minRttUs !== 0 && us > c.minRttUs && distance(tcp.nowUs, f.minRttAtUs) <= MIN_RTT_AGE_US) return;
  c.minRttUs = us > 0 ? us : 1;
  f.minRttAtUs = tcp.nowUs;
}

/** D-SACK (RFC 2883): something was sent again that had arrived. */
function adaptToDsack(tcp: Tcp, c: Connection, f: Flight): void {
  if (told.dsack) {
    tcp.stats.tcpInDsacks++;
    widenReorderWindow(c, f);
    if (f.mayUndo && f.undoAgain > 0 && after(told.dsackEnd, f.undoFrom)) {
      const segments = Math.ceil(distance(told.dsackEnd, told.dsackStart) / c.mss);
      f.undoAgain = Math.max(0, f.undoAgain - segments);
    }
  }
  if (f.probeOut && onProbeAnswer(c, f, told.dsack, told.dsackEnd)) reduce(tcp, c, f);
}

// ---- What follows ----------------------------------------------------------------------------------------------

function whileOpen(tcp: Tcp, c: Connection, f: Flight, acked: number, isDuplicate: boolean): void {
  if (isSpurious(f)) undo(tcp, c, f);
  if (acked > 0) f.dupAcks = 0;
  if (hasLoss(tcp, c, f, isDuplicate) && !(f.mssLimit !== 0 && isOnlyPathProbeLost(tcp, c, f))) {
    enterRecovery(tcp, c, f);
    onPrrAck(c, f, told.delivered, pipe(c), false);
    return;
  }
  // What is only reported counts where the network reorders: waiting for the one that is late would make a step of a
  // whole round trip's growth, most of which slow start does not take.
  const arrived = f.reordering ? told.delivered : acked;
  if (arrived > 0 && isWindowUsed(c, f)) {
    f.keeps = true;
    tcp.congestion.onAck(c, f, arrived, told.latestUs, tcp.nowMs);
  }
}

/** Whether there is something to send again, by RACK, or by three duplicate ACKs. */
function hasLoss(tcp: Tcp, c: Connection, f: Flight, isDuplicate: boolean): boolean {
  if ((c.options & OPTION_SACK) !== 0) {
    detectLoss(tcp, c, f);
    return f.nextLost() >= 0;
  }
  if (!isDuplicate) return false;
  if (f.dupAcks < distance(c.sndNxt, c.sndUna) / c.mss) f.dupAcks++;
  if (f.phase !== PHASE_OPEN || f.dupAcks < DUP_THRESH) return false;
  f.markLost(f.first);
  return true;
}

/** RFC 7661 4.4 and RFC 9438 4.2: a window that the application does not fill says nothing about the network. */
function isWindowUsed(c: Connection, f: Flight): boolean {
  return c.cwnd < c.ssthresh ? c.cwnd < 2 * f.usageMost : f.limited;
}

/** Looks, after output, at how much of cwnd is in use. */
export function noteUsage(c: Connection, f: Flight): void {
  const used = pipe(c);
  const limited = used + c.mss > c.cwnd;
  if (limited || atOrAfter(c.sndUna, f.usageEnd) || (!f.limited && used > f.usageMost)) {
    f.limited = limited;
    f.usageMost = used;
    f.usageEnd = c.sndNxt;
  }
}

/** ssthresh for a loss or a mark. What counts is what was used of cwnd (RFC 5681 3.1, RFC 7661 4.4). */
function setThreshold(tcp: Tcp, c: Connection, f: Flight): void {
  const used = Math.max(pipe(c), f.usageMost, distance(c.sndNxt, c.sndUna) - f.sacked);
  tcp.congestion.onCongestion(c, f, Math.min(used, c.cwnd));
  if ((c.options & OPTION_ECN) !== 0) onLossReduction(c, f);
  f.keeps = true;
}

/** One reduction that nothing has to be sent again for: ECN, or a loss that a probe repaired. */
export function reduce(tcp: Tcp, c: Connection, f: Flight): void {
  if (f.phase !== PHASE_OPEN) return;
  setThreshold(tcp, c, f);
  c.cwnd = Math.min(c.cwnd, c.ssthresh);
  f.mayUndo = false;
}

function beginUndo(c: Connection, f: Flight): void {
  f.mayUndo = true;
  f.undoAgain = f.undoTotal = f.undoLate = 0;
  f.undoFrom = c.sndUna;
  f.undoCwnd = c.cwnd;
  f.undoSsthresh = c.ssthresh;
}

function enterRecovery(tcp: Tcp, c: Connection, f: Flight): void {
  tcp.stats.tcpFastRetransmits++;
  beginUndo(c, f);
  setThreshold(tcp, c, f);
  beginPrr(c, f);
  f.phase = PHASE_RECOVERY;
  f.recover = c.sndNxt;
  f.forced = true;
  f.probeOut = false;
  c.timers &= ~TIMER_PROBE;
}

/** The reordering timer ran out: time has told what no acknowledgement did (RFC 8985 6.3). */
export function onReorderTimer(tcp: Tcp, c: Connection): void {
  const f = c.flight;
  if (f === null || !detectLoss(tcp, c, f) || (f.mssLimit !== 0 && isOnlyPathProbeLost(tcp, c, f))) return;
  if (f.phase === PHASE_OPEN) {
    enterRecovery(tcp, c, f);
    onPrrAck(c, f, 1, pipe(c), false);
  } else if (f.phase === PHASE_RECOVERY) {
    f.forced = true;
  }
  tcp.markDirty(c);
}

function whileRecovering(tcp: Tcp, c: Connection, f: Flight, acked: number, isDuplicate: boolean): void {
  if (isSpurious(f)) {
    undo(tcp, c, f);
    return;
  }
  if (acked > 0 && atOrAfter(c.sndUna, f.recover)) {
    // RFC 6937 3, RFC 6582 3.2 step 3.
    c.cwnd = c.ssthresh;
    f.phase = PHASE_OPEN;
    f.dupAcks = 0;
    ageReorderWindow(f);
    return;
  }
  const lostBefore = f.lost;
  let arrived = told.delivered;
  if ((c.options & OPTION_SACK) === 0) arrived = withoutSack(c, f, acked, isDuplicate);
  else detectLoss(tcp, c, f);
  onPrrAck(c, f, arrived, pipe(c), acked > 0 && f.lost <= lostBefore);
}

/** RFC 6582 3.2: a partial ACK names the next loss; a duplicate one is a segment that arrived. @returns bytes that did. */
function withoutSack(c: Connection, f: Flight, acked: number, isDuplicate: boolean): number {
  if (acked > 0) {
    // The hole's own segment was never among the duplicates; what followed it was.
    const counted = Math.min(f.dupAcks, Math.max(0, Math.ceil(acked / c.mss) - 1));
    f.dupAcks -= counted;
    if (f.first < f.next) {
      f.markLost(f.first);
      f.forced = true;
    }
    return Math.max(0, acked - counted * c.mss);
  }
  if (!isDuplicate || f.dupAcks >= distance(c.sndNxt, c.sndUna) / c.mss) return 0;
  f.dupAcks++;
  return c.mss;
}

/** The retransmission timer ran out: everything out is taken for lost (RFC 5681 3.1, RFC 8985 6.3). */
export function onTimeout(tcp: Tcp, c: Connection): void {
  const f = c.flight;
  if (f === null) return;
  // RFC 2018 8: reported and yet asked for again, so the peer has let go of it.
  if (f.first < f.next && (f.markOf(f.first) & SACKED) !== 0) f.forgetSacked();
  const isFirst = f.phase === PHASE_OPEN || (f.phase === PHASE_LOSS && c.backoff === 0);
  if (isFirst) {
    beginUndo(c, f);
    setThreshold(tcp, c, f);
  }
  // RFC 5682 2.1: not while a recovery is going on, where the timeout was no surprise.
  f.frto = isFirst || c.backoff > 0;
  c.cwnd = c.mss;
  if (f.pathProbing) cutPathProbe(c, f);
  for (let n = f.first; n < f.next; n++) if ((f.markOf(n) & SACKED) === 0) f.markLost(n);
  f.keeps = true;
  f.phase = PHASE_LOSS;
  f.dupAcks = 0;
  f.recover = c.sndNxt;
  f.forced = true;
  f.newDataFirst = false;
  f.probeOut = false;
  c.timers &= ~(TIMER_PROBE | TIMER_REORDER);
}

function afterTimeout(tcp: Tcp, c: Connection, f: Flight, acked: number, isDuplicate: boolean): void {
  // RFC 5682 2.1 step 3.b, RFC 4015: something that was sent once arrived after the timeout.
  if ((f.frto && told.original && f.mayUndo) || isSpurious(f)) {
    tcp.stats.tcpSpuriousTimeouts++;
    undo(tcp, c, f);
    return;
  }
  if (acked > 0 && atOrAfter(c.sndUna, f.recover)) {
    f.phase = PHASE_OPEN;
    f.frto = false;
    f.dupAcks = 0;
    ageReorderWindow(f);
  } else if (f.frto) {
    if (acked > 0 && after(c.dataEnd, c.sndNxt) && after((c.sndUna + c.sndWnd) | 0, c.sndNxt)) {
      // Step 2.b: new data shows whether the old arrived.
      f.newDataFirst = true;
      f.recover = c.sndNxt;
    } else if (acked > 0 || isDuplicate || told.delivered > 0) f.frto = false;
  }
  if ((c.options & OPTION_SACK) !== 0) detectLoss(tcp, c, f);
  if (acked > 0) tcp.congestion.onAck(c, f, acked, -1, tcp.nowMs);
}

/**
 * Nothing that was sent again had to be: D-SACKs tell it of every segment (RFC 3708), or echoed timestamps that the first
 * transmissions arrived (RFC 3522).
 */
function isSpurious(f: Flight): boolean {
  if (!f.mayUndo || f.undoTotal === 0) return false;
  return f.undoLate >= f.undoTotal || (told.dsack && f.undoAgain === 0);
}

/** RFC 4015 3.2, without its extra caution about RTO: the reduction is taken back. */
function undo(tcp: Tcp, c: Connection, f: Flight): void {
  tcp.stats.tcpUndos++;
  if (f.phase === PHASE_RECOVERY) f.reordering = true;
  f.forgiveLost();
  c.cwnd = Math.max(c.cwnd, f.undoCwnd);
  c.ssthresh = Math.max(c.ssthresh, f.undoSsthresh);
  tcp.congestion.onUndo(c, f);
  f.phase = PHASE_OPEN;
  f.mayUndo = f.frto = f.newDataFirst = f.forced = false;
  f.dupAcks = 0;
}

/** Segment `n` goes out once more. */
export function noteAgain(tcp: Tcp, f: Flight, n: number): void {
  f.keeps = true;
  if (f.phase !== PHASE_OPEN) {
    f.undoAgain++;
    f.undoTotal++;
  }
  if (f.phase === PHASE_RECOVERY) f.prrOut += f.lengthOf(n);
  f.markAgain(n, tcp.nowUs);
  f.forced = false;
}
