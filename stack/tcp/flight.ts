// Segments in flight: when each was sent last and what is known of it, in rings of numbers, not an object a segment. This
// is the scoreboard of RFC 6675 and the per-segment store of RFC 8985 at once, with sums kept, so that `pipe` is
// an addition. Beside it lies what recovery and congestion control remember, because both live as long as something is
// out or was lost: a connection that only answers requests borrows a clean record while an answer is out. Pooled by
// tcp.ts; changed by recovery.ts, rack.ts, prr.ts, output.ts and the congestion controllers. Used by stack/tcp,
// stack/facts.ts and stack/packet-notes.ts only.
import { after, before, distance } from '../sequence.ts';

// What is known of a segment; 0: sent once and on its way.
/** The peer has reported it (RFC 2018). */
export const SACKED = 1;
/** Taken for lost; with AGAIN it was sent again since. */
export const LOST = 2;
/** A retransmission of it is on its way. */
export const AGAIN = 4;
/** Was sent more than once: its acknowledgement says nothing about time (Karn). */
export const TWICE = 8;

// Phases of recovery.
export const PHASE_OPEN = 0;
export const PHASE_RECOVERY = 1;
export const PHASE_LOSS = 2;

const CAPACITY_MIN = 16;
/** Larger rings are not kept for the next user. */
const CAPACITY_KEPT = 64;
/** SACK blocks remembered from the last acknowledgement, so that a long block is not walked again and again. */
const BLOCKS_MAX = 4;

export class Flight {
  // The ring. Segment `n`, `first` <= n < `next`, lies at `n & mask` and reaches to the start of `n + 1`.
  starts = new Int32Array(CAPACITY_MIN);
  sentUs = new Int32Array(CAPACITY_MIN);
  marks = new Uint8Array(CAPACITY_MIN);
  mask = CAPACITY_MIN - 1;
  first = 0;
  next = 0;
  /** Sequence number behind the last segment. */
  end = 0;

  // Sums over the ring, bytes.
  sacked = 0;
  lost = 0;
  again = 0;
  sackedSegments = 0;
  /** No segment before this one is lost and waits to be sent again. */
  lostHint = 0;
  /** No segment before this one is on its way for the first time and unreported. */
  freshHint = 0;

  // Retransmissions in the order they were sent; those overtaken by events are skipped when they come up.
  #againSeq = new Int32Array(CAPACITY_MIN);
  #againUs = new Int32Array(CAPACITY_MIN);
  againFirst = 0;
  againNext = 0;

  /** Highest sequence number acknowledged or reported (RACK.fack). */
  fack = 0;
  readonly blockStarts = new Int32Array(BLOCKS_MAX);
  readonly blockEnds = new Int32Array(BLOCKS_MAX);
  blocks = 0;

  // recovery.ts
  phase = PHASE_OPEN;
  recover = 0;
  /** Duplicate acknowledgements from a peer without SACK: segments that left the network. */
  dupAcks = 0;
  /** The first retransmission of a recovery goes out whatever cwnd says. */
  forced = false;
  /** RFC 5682: the timeout may have been spurious. */
  frto = false;
  /** RFC 5682 2.b: this round new data goes out instead of what is marked lost. */
  newDataFirst = false;

  // Undoing a reduction that was for nothing; meaningful while `mayUndo`.
  mayUndo = false;
  /** Segments sent again in this recovery that no D-SACK has accounted for. */
  undoAgain = 0;
  undoFrom = 0;
  undoCwnd = 0;
  undoSsthresh = 0;
  /** Segments sent again in this recovery, and those of them whose first transmission turned out to have arrived. */
  undoTotal = 0;
  undoLate = 0;

  // prr.ts
  prrDelivered = 0;
  prrOut = 0;
  prrFlight = 0;

  // rack.ts
  rackValid = false;
  rackUs = 0;
  rackEnd = 0;
  rackRttUs = 0;
  reordering = false;
  reoWndMult = 1;
  reoWndPersist = 0;
  dsackRound = 0;
  inDsackRound = false;
  probeOut = false;
  probeEnd = 0;
  probeAgain = false;

  /** When the smallest round trip was seen that the connection goes by. */
  minRttAtUs = 0;
  /** One round trip is smoothed at a time: until the acknowledgement of this. */
  rttSeq = 0;

  // Whether cwnd was what held output back (RFC 7661 4, RFC 9438 4.2): in the window that ends at `usageEnd`.
  limited = false;
  usageEnd = 0;
  usageMost = 0;

  // path-mtu.ts: what the MSS was before it was lowered (0: it was not), when that was, and what ICMP claims (0: nothing).
  mssLimit = 0;
  mssLoweredMs = 0;
  claimedMss = 0;
  /** The most that may fit. A probe of `pathProbeSize` bytes is out, from `pathProbeStart` on, while `pathProbing`. */
  mssHigh = 0;
  pathProbing = false;
  pathProbeStart = 0;
  pathProbeSize = 0;

  /** ecn.ts: the window that was slowed down for ends here; meaningful while `isSlowed`. */
  isSlowed = false;
  slowedUntil = 0;

  /** Something in here has to outlive this flight. */
  keeps = false;

  // slow-start.ts (RFC 9406); `hystart`: 0 off, 1 slow start, 2 conservative slow start.
  hystart = 0;
  roundEnd = 0;
  roundStartUs = 0;
  trainUs = 0;
  roundRttUs = 0;
  lastRoundRttUs = 0;
  roundSamples = 0;
  cssBaselineUs = 0;
  cssRounds = 0;

  // cubic.ts (RFC 9438), in segments and seconds; newreno.ts uses `fraction` alone.
  wMax = 0.5;
  k = 0.5;
  wEst = 0.5;
  cwndPrior = 0.5;
  /** Bytes towards the next growth of cwnd. */
  fraction = 0.5;
  epochMs = 0;
  inEpoch = false;
  // As they were before the last reduction (RFC 9438 4.9.2).
  undoWMax = 0.5;
  undoK = 0.5;
  undoWEst = 0.5;
  undoCwndPrior = 0.5;
  undoInEpoch = false;

  constructor() {
    this.reset();
  }

  /** Bytes believed to be in the network (RFC 6675 4: pipe), of `out` bytes that are unacknowledged. */
  pipe(out: number): number {
    const bytes = out - this.sacked - this.lost + this.again;
    return Math.max(bytes, 0);
  }

  /** A segment was sent for the first time. */
  push(start: number, end: number, nowUs: number): void {
    if (this.first === this.next) this.#begin(start, nowUs);
    else if (this.next - this.first > this.mask) this.#grow();
    const at = this.next++ & this.mask;
    this.starts[at] = start;
    this.sentUs[at] = nowUs;
    this.marks[at] = 0;
    this.end = end;
  }

  #begin(start: number, nowUs: number): void {
    this.first = this.next = this.lostHint = this.freshHint = 0;
    this.againFirst = this.againNext = 0;
    this.fack = this.rttSeq = this.usageEnd = start;
    this.usageMost = 0;
    this.blocks = 0;
    if (!this.keeps) this.minRttAtUs = nowUs;
  }

  #grow(): void {
    const { starts, sentUs, marks, mask } = this;
    const capacity = (mask + 1) * 2;
    this.starts = new Int32Array(capacity);
    this.sentUs = new Int32Array(capacity);
    this.marks = new Uint8Array(capacity);
    this.mask = capacity - 1;
    for (let n = this.first; n < this.next; n++) {
      this.starts[n & this.mask] = starts[n & mask];
      this.sentUs[n & this.mask] = sentUs[n & mask];
      this.marks[n & this.mask] = marks[n & mask];
    }
  }

  startOf(n: number): number {
    return this.starts[n & this.mask];
  }

  endOf(n: number): number {
    return n + 1 === this.next ? this.end : this.starts[(n + 1) & this.mask];
  }

  lengthOf(n: number): number {
    return distance(this.endOf(n), this.starts[n & this.mask]);
  }

  markOf(n: number): number {
    return this.marks[n & this.mask];
  }

  /** The segment that holds `seq`, which is in flight. */
  find(seq: number): number {
    let low = this.first;
    let high = this.next - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (after(this.starts[middle & this.mask], seq)) high = middle - 1;
      else low = middle;
    }
    return low;
  }

  /** Forgets the oldest segment, whose sums go with it. */
  shift(): void {
    const n = this.first;
    const mark = this.marks[n & this.mask];
    if (mark !== 0) this.#uncount(mark, this.lengthOf(n), 1);
    this.first = n + 1;
    if (this.lostHint <= n) this.lostHint = n + 1;
    if (this.freshHint <= n) this.freshHint = n + 1;
  }

  /** The oldest segment is acknowledged up to `seq`, in its middle. */
  trim(seq: number): void {
    const at = this.first & this.mask;
    const mark = this.marks[at];
    if (mark !== 0) this.#uncount(mark, distance(seq, this.starts[at]), 0);
    this.starts[at] = seq;
  }

  #uncount(mark: number, length: number, segments: number): void {
    if ((mark & SACKED) !== 0) {
      this.sacked -= length;
      this.sackedSegments -= segments;
    }
    if ((mark & LOST) !== 0) this.lost -= length;
    if ((mark & AGAIN) !== 0) this.again -= length;
  }

  /** The peer has segment `n`. */
  markSacked(n: number): void {
    const at = n & this.mask;
    const mark = this.marks[at];
    const length = this.lengthOf(n);
    this.#uncount(mark & (LOST | AGAIN), length, 0);
    this.marks[at] = (mark & TWICE) | SACKED;
    this.sacked += length;
    this.sackedSegments++;
  }

  /** Segment `n`, or the retransmission of it, is lost. */
  markLost(n: number): void {
    const at = n & this.mask;
    const mark = this.marks[at];
    const length = this.lengthOf(n);
    if ((mark & AGAIN) !== 0) this.again -= length;
    if ((mark & LOST) === 0) this.lost += length;
    this.marks[at] = (mark & ~AGAIN) | LOST;
    if (n < this.lostHint) this.lostHint = n;
  }

  /** Segment `n` was sent again. */
  markAgain(n: number, nowUs: number): void {
    const at = n & this.mask;
    if ((this.marks[at] & AGAIN) === 0) this.again += this.lengthOf(n);
    this.marks[at] |= AGAIN | TWICE;
    this.sentUs[at] = nowUs;
    if (this.againFirst === this.againNext) this.againFirst = this.againNext = 0;
    else if (this.againNext - this.againFirst === this.#againSeq.length) this.#growAgain();
    const slot = this.againNext++ & (this.#againSeq.length - 1);
    this.#againSeq[slot] = this.starts[at];
    this.#againUs[slot] = nowUs;
  }

  #growAgain(): void {
    const capacity = this.#againSeq.length * 2;
    const seqs = new Int32Array(capacity);
    const times = new Int32Array(capacity);
    let count = 0;
    for (let i = this.againFirst; i < this.againNext; i++) {
      const slot = i & (this.#againSeq.length - 1);
      seqs[count] = this.#againSeq[slot];
      times[count++] = this.#againUs[slot];
    }
    this.#againSeq = seqs;
    this.#againUs = times;
    this.againFirst = 0;
    this.againNext = count;
  }

  /** The oldest retransmission still on its way, -1: none. */
  oldestAgain(): number {
    while (this.againFirst < this.againNext) {
      const slot = this.againFirst & (this.#againSeq.length - 1);
      const seq = this.#againSeq[slot];
      if (this.first < this.next && !before(seq, this.starts[this.first & this.mask])) {
        const n = this.find(seq);
        const at = n & this.mask;
        if ((this.marks[at] & (AGAIN | SACKED)) === AGAIN && this.sentUs[at] === this.#againUs[slot]) return n;
      }
      this.againFirst++;
    }
    return -1;
  }

  /** The first lost segment that was not sent again yet, -1: none. */
  nextLost(): number {
    if (this.lost === this.again && this.lost === 0) return -1;
    let n = Math.max(this.lostHint, this.first);
    while (n < this.next && (this.marks[n & this.mask] & (LOST | AGAIN)) !== LOST) n++;
    this.lostHint = n;
    return n < this.next ? n : -1;
  }

  /** Everything that was taken for lost and not sent again is on its way after all. */
  forgiveLost(): void {
    for (let n = this.first; n < this.next; n++) {
      const at = n & this.mask;
      if ((this.marks[at] & LOST) !== 0) this.marks[at] &= ~LOST;
    }
    this.lost = 0;
    this.freshHint = this.first;
  }

  /** RFC 2018 8: what the peer reported may be gone again. */
  forgetSacked(): void {
    for (let n = this.first; n < this.next; n++) this.marks[n & this.mask] &= ~SACKED;
    this.sacked = this.sackedSegments = 0;
    this.blocks = 0;
    this.freshHint = this.first;
  }

  /** Cuts every segment to at most `length` bytes: the path takes no larger ones. Those cut, unless reported, are lost. */
  cut(length: number, fin: boolean): void {
    const { starts, sentUs, marks, mask, first, next, end } = this;
    const capacity = mask + 1;
    this.starts = new Int32Array(capacity);
    this.sentUs = new Int32Array(capacity);
    this.marks = new Uint8Array(capacity);
    this.sacked = this.sackedSegments = this.lost = this.again = 0;
    this.first = this.next = this.lostHint = this.freshHint = 0;
    this.againFirst = this.againNext = 0;
    for (let n = first; n < next; n++) {
      const stop = n + 1 === next ? end : starts[(n + 1) & mask];
      const mark = marks[n & mask];
      // The FIN takes a number and no room.
      const room = length + (fin && n + 1 === next ? 1 : 0);
      let at = starts[n & mask];
      const tooLong = distance(stop, at) > room;
      while (before(at, stop)) {
        const left = distance(stop, at);
        const upTo = left <= room ? stop : (at + length) | 0;
        this.#put(at, upTo, sentUs[n & mask], mark, tooLong);
        at = upTo;
      }
    }
  }

  #put(start: number, end: number, sentUs: number, mark: number, tooLong: boolean): void {
    if (this.next - this.first > this.mask) this.#grow();
    const n = this.next++;
    this.starts[n & this.mask] = start;
    this.sentUs[n & this.mask] = sentUs;
    this.marks[n & this.mask] = mark & TWICE;
    this.end = end;
    if ((mark & SACKED) !== 0) this.markSacked(n);
    else if (tooLong || (mark & LOST) !== 0) this.markLost(n);
    if ((mark & AGAIN) !== 0 && !tooLong && (mark & SACKED) === 0) this.markAgain(n, sentUs);
  }

  /**
   * Takes up what another record held, oldest first; `end` is the sequence number behind the last. Only when new. The
   * order of retransmissions is that of their times.
   */
  restore(
    segments: readonly { readonly start: number; readonly sentUs: number; readonly mark: number }[],
    end: number,
  ): void {
    for (const [i, { start, sentUs }] of segments.entries()) {
      if (this.next - this.first > this.mask) this.#grow();
      const at = this.next++ & this.mask;
      this.starts[at] = start;
      this.sentUs[at] = sentUs;
      this.marks[at] = segments[i].mark & TWICE;
    }
    this.end = end;
    for (const [n, { mark }] of segments.entries()) {
      if ((mark & SACKED) !== 0) this.markSacked(n);
      else if ((mark & LOST) !== 0) this.markLost(n);
    }
    const again = [...segments.keys()].filter((n) => (segments[n].mark & (AGAIN | SACKED)) === AGAIN);
    again.sort((a, b) => distance(segments[a].sentUs, segments[b].sentUs));
    for (const n of again) this.markAgain(n, segments[n].sentUs);
  }

  /** As new, for the next connection. */
  reset(): void {
    if (this.mask >= CAPACITY_KEPT) {
      this.starts = new Int32Array(CAPACITY_MIN);
      this.sentUs = new Int32Array(CAPACITY_MIN);
      this.marks = new Uint8Array(CAPACITY_MIN);
      this.mask = CAPACITY_MIN - 1;
    }
    if (this.#againSeq.length > CAPACITY_KEPT) {
      this.#againSeq = new Int32Array(CAPACITY_MIN);
      this.#againUs = new Int32Array(CAPACITY_MIN);
    }
    this.first = this.next = 0;
    this.sacked = this.lost = this.again = this.sackedSegments = 0;
    this.phase = PHASE_OPEN;
    this.dupAcks = 0;
    this.forced = this.frto = this.newDataFirst = false;
    this.mayUndo = false;
    this.undoAgain = this.undoTotal = this.undoLate = 0;
    this.rackValid = this.reordering = this.inDsackRound = this.probeOut = false;
    this.reoWndMult = 1;
    this.reoWndPersist = 0;
    this.limited = this.keeps = this.isSlowed = false;
    this.mssLimit = this.claimedMss = 0;
    this.pathProbing = false;
    this.hystart = 0;
    this.wMax = this.k = this.wEst = this.cwndPrior = this.fraction = this.undoWMax = 0;
    this.undoK = this.undoWEst = this.undoCwndPrior = 0;
    this.inEpoch = this.undoInEpoch = false;
  }

  /** Everything is acknowledged. @returns whether the record can go back to the pool. */
  drained(): boolean {
    this.dupAcks = 0;
    this.forced = false;
    return !this.keeps;
  }
}
