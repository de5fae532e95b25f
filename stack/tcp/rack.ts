// RACK-TLP (RFC 8985): a segment is lost when one sent later has arrived and a reordering window has passed; the window
// opens when D-SACKs tell that retransmissions were for nothing. A tail loss probe asks before the retransmission
// timer would. Needs SACK; without it recovery.ts counts duplicate acknowledgements. Used by stack/tcp only.
import { after, atOrAfter, before, distance, later } from '../sequence.ts';
import type { TcpSegment } from '../wire/tcp.ts';
import { type Connection, OPTION_SACK, OPTION_TIMESTAMPS, TIMER_PROBE, TIMER_REORDER } from './connection.ts';
import { AGAIN, type Flight, LOST, PHASE_OPEN, SACKED, TWICE } from './flight.ts';
import type { Tcp } from './tcp.ts';

/** RFC 8985 6.2, step 4: as three duplicate acknowledgements were. */
const DUP_THRESH = 3;
const REO_WND_PERSIST = 16;
/** RFC 8985 7.2: how long a receiver may sit on the acknowledgement of a lone segment. */
const MAX_ACK_DELAY_MS = 200;

/**
 * Segment `n`, marked `mark` until now, has arrived (RFC 8985 6.2, steps 2 and 3).
 * @param isOvertaken one behind it was known to have arrived before this acknowledgement came.
 * @returns whether the echoed timestamp shows that what arrived was sent before its retransmission (RFC 3522).
 */
export function rackDelivered(
  tcp: Tcp,
  c: Connection,
  f: Flight,
  n: number,
  mark: number,
  end: number,
  isOvertaken: boolean,
  segment: TcpSegment,
): boolean {
  if (isOvertaken && (mark & TWICE) === 0) f.reordering = true;
  f.fack = later(f.fack, end);
  const sent = f.sentUs[n & f.mask];
  const rtt = distance(tcp.nowUs, sent);
  if ((mark & TWICE) !== 0) {
    // Not the retransmission but the original may have arrived: what says nothing about time is not used.
    if (isEchoOlder(tcp, c, end, rtt, segment)) {
      // It was late, not lost: three duplicates are no proof on this path.
      if (isOvertaken) f.reordering = true;
      return true;
    }
    if (rtt < c.minRttUs) return false;
  }
  if (f.rackValid && !isSentAfter(sent, end, f.rackUs, f.rackEnd)) return false;
  f.rackValid = true;
  f.rackUs = sent;
  f.rackEnd = end;
  f.rackRttUs = rtt;
  return false;
}

/** Whether what is acknowledged up to `end` was sent earlier than `rtt` microseconds ago. */
function isEchoOlder(tcp: Tcp, c: Connection, end: number, rtt: number, segment: TcpSegment): boolean {
  // What a SACK reports did not move the peer's TS.Recent (RFC 7323 4.3): only a cumulative ACK echoes it.
  if (!segment.hasTimestamps || (c.options & OPTION_TIMESTAMPS) === 0 || after(end, c.sndUna)) return false;
  const echoAgeMs = (tcp.nowMs + c.tsOffset - segment.tsEcr) | 0;
  return echoAgeMs > Math.ceil(rtt / 1000) + 1;
}

function isSentAfter(aUs: number, aEnd: number, bUs: number, bEnd: number): boolean {
  const later = (aUs - bUs) | 0;
  return later > 0 || (later === 0 && after(aEnd, bEnd));
}

/** A D-SACK came: RFC 8985 6.2, step 4, once a round trip. */
export function widenReorderWindow(c: Connection, f: Flight): void {
  if (f.inDsackRound && before(c.sndUna, f.dsackRound)) return;
  f.inDsackRound = true;
  f.dsackRound = c.sndNxt;
  f.reoWndMult++;
  f.reoWndPersist = REO_WND_PERSIST;
}

/** A recovery is over. */
export function ageReorderWindow(f: Flight): void {
  if (--f.reoWndPersist <= 0) f.reoWndMult = 1;
}

function reorderWindowUs(c: Connection, f: Flight): number {
  if (!f.reordering && (f.phase !== PHASE_OPEN || f.sackedSegments >= DUP_THRESH)) return 0;
  return Math.min(f.reoWndMult * (c.minRttUs >> 2), c.srtt >> 3);
}

/** RFC 8985 6.2, step 5: marks what is lost and sets the timer for what may be. @returns whether anything was marked. */
export function detectLoss(tcp: Tcp, c: Connection, f: Flight): boolean {
  c.timers &= ~TIMER_REORDER;
  if (!f.rackValid || f.sacked + f.lost + f.again === 0) return false;
  const deadline = (f.rackRttUs + reorderWindowUs(c, f)) | 0;
  const { marks, sentUs, mask, next } = f;
  let found = false;
  let waitUs = 0;
  let n = f.freshHint;
  for (; n < next; n++) {
    if ((marks[n & mask] & (SACKED | LOST | AGAIN)) !== 0) continue;
    const sent = sentUs[n & mask];
    if (!isSentAfter(f.rackUs, f.rackEnd, sent, f.endOf(n))) break;
    const left = deadline - distance(tcp.nowUs, sent);
    if (left > 0) {
      waitUs = left;
      break;
    }
    f.markLost(n);
    found = true;
  }
  f.freshHint = n;
  for (let again = f.oldestAgain(); again >= 0; again = f.oldestAgain()) {
    const sent = sentUs[again & mask];
    if (!isSentAfter(f.rackUs, f.rackEnd, sent, f.endOf(again))) break;
    const left = deadline - distance(tcp.nowUs, sent);
    if (left > 0) {
      if (waitUs === 0 || left < waitUs) waitUs = left;
      break;
    }
    // The retransmission is lost too (RFC 8985 3.3): the timer would have been needed before.
    tcp.stats.tcpLostRetransmits++;
    f.markLost(again);
    found = true;
  }
  if (waitUs > 0) armLossTimer(tcp, c, TIMER_REORDER, Math.ceil(waitUs / 1000));
  return found;
}

function armLossTimer(tcp: Tcp, c: Connection, timer: number, delayMs: number): void {
  c.timers = (c.timers & ~(TIMER_PROBE | TIMER_REORDER)) | timer;
  c.lossAt = (tcp.nowMs + delayMs) | 0;
  tcp.wheel.armBy(c, c.lossAt);
}

/** RFC 8985 7.2: new data went out, or was acknowledged; the retransmission timer runs already. */
export function armProbe(tcp: Tcp, c: Connection, f: Flight): void {
  if (f.phase !== PHASE_OPEN || f.sacked > 0 || f.probeOut || (c.options & OPTION_SACK) === 0 || c.srtt === 0) return;
  const out = distance(c.sndNxt, c.sndUna);
  if (out <= 0) return;
  let delayMs = Math.ceil(c.srtt / 4000) + 1;
  // Less than what has to be acknowledged at once (RFC 5681 4.2).
  if (out < 2 * c.mss) delayMs += MAX_ACK_DELAY_MS;
  const untilRto = distance(c.retransmitAt, tcp.nowMs);
  armLossTimer(tcp, c, TIMER_PROBE, Math.min(delayMs, untilRto));
}

/** RFC 8985 7.4.2. @returns whether the probe repaired a loss, which congestion control has to hear of. */
export function onProbeAnswer(c: Connection, f: Flight, isDsack: boolean, dsackEnd: number): boolean {
  if (!atOrAfter(c.sndUna, f.probeEnd)) return false;
  if (!f.probeAgain || (isDsack && dsackEnd === f.probeEnd)) {
    f.probeOut = false;
    return false;
  }
  if (!after(c.sndUna, f.probeEnd)) return false;
  f.probeOut = false;
  return true;
}
