// The sequence numbers that one end of a connection was seen to send: what of a segment is new, what had been seen, and what
// fills a hole that a missing segment left. For explain.ts.

/** A hole: bytes that were passed over at `unixUs`. */
interface Hole {
  from: number;
  to: number;
  readonly unixUs: number;
}

const HOLES_MAX = 10_000;

export class SentRanges {
  /** Behind the highest byte seen; null: nothing was. */
  next: number | null = null;
  readonly #holes: Hole[] = [];

  /** Of the last `take`: bytes never seen before; those of them that fill holes; since when the oldest of these was open. */
  fresh = 0;
  filled = 0;
  holeUs = 0;

  get holes(): number {
    return this.#holes.length;
  }

  /** Bytes that never came. */
  get missing(): number {
    return this.#holes.reduce((sum, { from, to }) => sum + ((to - from) | 0), 0);
  }

  begin(seq: number): void {
    this.next = seq;
    this.#holes.length = 0;
  }

  /** Takes a segment of `length` sequence numbers. @returns whether it left a hole before it. */
  take(seq: number, length: number, unixUs: number): boolean {
    const end = (seq + length) | 0;
    this.next ??= seq;
    const ahead = (seq - this.next) | 0;
    this.filled = this.#fill(seq, end);
    const beyond = Math.min(length, Math.max(0, (end - this.next) | 0));
    this.fresh = beyond + this.filled;
    if (ahead > 0 && this.#holes.length < HOLES_MAX) this.#holes.push({ from: this.next, to: seq, unixUs });
    if (beyond > 0) this.next = end;
    return ahead > 0;
  }

  #fill(seq: number, end: number): number {
    let filled = 0;
    for (let i = this.#holes.length - 1; i >= 0; i--) {
      const hole = this.#holes[i];
      const from = ((seq - hole.from) | 0) > 0 ? seq : hole.from;
      const to = ((end - hole.to) | 0) < 0 ? end : hole.to;
      const covered = (to - from) | 0;
      if (covered <= 0) continue;
      filled += covered;
      this.holeUs = hole.unixUs;
      const rest: Hole[] = [];
      if (from !== hole.from) rest.push({ ...hole, to: from });
      if (to !== hole.to) rest.push({ ...hole, from: to });
      this.#holes.splice(i, 1, ...rest);
    }
    return filled;
  }
}
