// What is lost and what is still in the network: duplicate ACKs and SACK blocks in, marks out. `[rexmitNxt, lostEnd)`
// without what the scoreboard covers is lost and to be sent again (HighRxt and IsLost of RFC 6675); without
// SACK, NewReno marks one segment at a time (RFC 6582) and each duplicate ACK stands for one segment that arrived.
// output.ts sends while `pipe` < cwnd, which makes limited transmit (RFC 3042) fall out. Used by stack/tcp only.
import { after, atOrAfter, atOrBefore, before, distance, later } from '../sequence.ts';
import type { TcpSegment } from '../wire/tcp.ts';
import { type Connection, OPTION_SACK, PHASE_LOSS, PHASE_OPEN, PHASE_RECOVERY } from './connection.ts';
import type { Tcp } from './tcp.ts';

/** RFC 5681 3.2. */
const DUP_THRESH = 3;

/** Bytes believed to be in the network (RFC 6675 4: pipe). */
export function pipe(c: Connection): number {
  let bytes = distance(c.sndNxt, c.sndUna);
  const lost = distance(c.lostEnd, c.rexmitNxt);
  const { scoreboard } = c;
  if (scoreboard !== null) {
    bytes -= scoreboard.total;
    if (lost > 0) bytes -= lost - scoreboard.covered(c.rexmitNxt, c.lostEnd);
  } else {
    if ((c.options & OPTION_SACK) === 0) bytes -= c.dupAcks * c.mss;
    if (lost > 0) bytes -= lost;
  }
  return Math.max(bytes, 0);
}

/** Takes the segment's SACK blocks into the scoreboard. @returns whether they told anything new. */
export function readSack(tcp: Tcp, c: Connection, segment: TcpSegment): boolean {
  if (segment.sackCount === 0 || (c.options & OPTION_SACK) === 0) return false;
  const known = c.scoreboard === null ? 0 : c.scoreboard.total;
  for (let i = 0; i < segment.sackCount; i++) {
    const start = segment.sackEdges[2 * i];
    const end = segment.sackEdges[2 * i + 1];
    // Below SND.UNA it is a D-SACK (RFC 2883) or old; above SND.NXT it is nonsense.
    if (!before(start, end) || before(start, c.sndUna) || atOrBefore(start, segment.ack) || after(end, c.sndNxt))
      continue;
    c.scoreboard ??= tcp.takeAssembler();
    c.scoreboard?.add(start, end);
  }
  return c.scoreboard !== null && c.scoreboard.total !== known;
}

/** `acked` bytes are newly acknowledged, SND.UNA has moved; `flight` is what was out before. */
export function onNewAck(tcp: Tcp, c: Connection, acked: number, flight: number, nowMs: number): void {
  const { scoreboard } = c;
  if (scoreboard !== null) {
    scoreboard.removeBefore(c.sndUna);
    if (scoreboard.count === 0) {
      tcp.giveAssembler(scoreboard);
      c.scoreboard = null;
    }
  }
  c.rexmitNxt = later(c.rexmitNxt, c.sndUna);
  c.lostEnd = later(c.lostEnd, c.rexmitNxt);
  if (c.phase === PHASE_OPEN) {
    c.dupAcks = 0;
    c.recover = c.sndUna;
    tcp.congestion.onAck(c, acked, flight, nowMs);
  } else if (atOrAfter(c.sndUna, c.recover)) {
    if (c.phase === PHASE_RECOVERY) tcp.congestion.onRecovered(c, distance(c.sndNxt, c.sndUna), nowMs);
    else tcp.congestion.onAck(c, acked, flight, nowMs);
    c.phase = PHASE_OPEN;
    c.dupAcks = 0;
  } else if (c.phase === PHASE_RECOVERY) {
    onPartialAck(c, acked);
  } else {
    tcp.congestion.onAck(c, acked, flight, nowMs);
  }
}

/** RFC 6582 3.2 step 3: the segment at SND.UNA is the next one lost. */
function onPartialAck(c: Connection, acked: number): void {
  // The hole's own segment was never among the duplicates; what followed it was.
  const segments = Math.ceil(acked / c.mss);
  c.dupAcks = Math.max(0, c.dupAcks - Math.max(0, segments - 1));
  if (c.scoreboard !== null) {
    markLostBySack(c);
  } else {
    c.rexmitNxt = c.sndUna;
  }
  if (c.rexmitNxt === c.sndUna) markFirstLost(c);
}

/** A duplicate ACK (RFC 5681 2), or one whose SACK blocks were new. */
export function onDuplicateAck(tcp: Tcp, c: Connection, nowMs: number): void {
  if (c.phase === PHASE_LOSS) return;
  if (c.dupAcks < distance(c.sndNxt, c.sndUna) / c.mss) c.dupAcks++;
  if (c.phase === PHASE_RECOVERY) {
    if (c.scoreboard !== null) markLostBySack(c);
    return;
  }
  const lostBySack = c.scoreboard !== null && after(sackLostEnd(c), c.sndUna);
  // After a timeout the phase stays LOSS until `recover`, which is step 2 of RFC 6582 3.2.
  if (c.dupAcks < DUP_THRESH && !lostBySack) return;
  tcp.stats.tcpFastRetransmits++;
  tcp.congestion.onLoss(c, distance(c.sndNxt, c.sndUna), nowMs);
  c.phase = PHASE_RECOVERY;
  c.recover = c.sndNxt;
  c.rexmitNxt = c.sndUna;
  c.lostEnd = c.sndUna;
  c.rexmitForced = true;
  markFirstLost(c);
  if (c.scoreboard !== null) markLostBySack(c);
}

/** The retransmission timer ran out: everything out is taken for lost (RFC 5681 3.1). */
export function onTimeout(tcp: Tcp, c: Connection, nowMs: number): void {
  tcp.congestion.onTimeout(c, distance(c.sndNxt, c.sndUna), c.backoff === 0, nowMs);
  // RFC 2018 8: the peer may have dropped what it reported; it will report again.
  if (c.scoreboard !== null) {
    tcp.giveAssembler(c.scoreboard);
    c.scoreboard = null;
  }
  c.phase = PHASE_LOSS;
  c.dupAcks = 0;
  c.recover = c.sndNxt;
  c.rexmitNxt = c.sndUna;
  c.lostEnd = c.sndNxt;
  c.rexmitForced = true;
  c.rttTiming = false;
}

function markFirstLost(c: Connection): void {
  const length = Math.min(c.mss, distance(c.sndNxt, c.sndUna));
  c.lostEnd = later(c.lostEnd, (c.sndUna + length) | 0);
}

function markLostBySack(c: Connection): void {
  c.lostEnd = later(c.lostEnd, sackLostEnd(c));
}

/**
 * IsLost of RFC 6675 4 as one edge: everything unsacked below it has DupThresh ranges, or more than DupThresh - 1
 * segments' worth of bytes, sacked above it.
 */
function sackLostEnd(c: Connection): number {
  const scoreboard = c.scoreboard!;
  let bytes = 0;
  for (let i = scoreboard.count - 1, ranges = 1; i >= 0; i--, ranges++) {
    bytes += distance(scoreboard.ends[i], scoreboard.starts[i]);
    if (ranges >= DUP_THRESH || bytes > (DUP_THRESH - 1) * c.mss) return scoreboard.starts[i];
  }
  return c.sndUna;
}
