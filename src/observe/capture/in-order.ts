// One direction of a TCP connection, its captured payloads put in stream order: what came too early waits, what came twice is
// left out, and a gap that never fills is told. For src/observe/capture.

/** Kept of what came too early, until the gap before it is given up. */
const EARLY_MAX = 256;
const EARLY_BYTES_MAX = 4 * 1024 * 1024;

/** What is told of the bytes; `gap`: some are missing for good before the next ones. */
export interface StreamTaker {
  bytes(payload: Uint8Array): void;
  gap(): void;
}

export class InOrder {
  readonly #taker: StreamTaker;
  /** Sequence number of the next byte; null: nothing has been seen. */
  #next: number | null = null;
  readonly #early = new Map<number, { readonly payload: Uint8Array; readonly length: number }>();
  #earlyBytes = 0;

  constructor(taker: StreamTaker) {
    this.#taker = taker;
  }

  /** The stream begins at `seq`. */
  begin(seq: number): void {
    this.#next = seq;
    this.#early.clear();
    this.#earlyBytes = 0;
  }

  /** @param payload what was captured; kept only if copied by the caller. @param length of it on the wire. */
  push(seq: number, payload: Uint8Array, length: number): void {
    this.#next ??= seq;
    if (((seq - this.#next) | 0) > 0) {
      this.#keep(seq, payload.slice(), length);
      if (this.#early.size > EARLY_MAX || this.#earlyBytes > EARLY_BYTES_MAX) this.#giveUpGap();
      return;
    }
    this.#take(seq, payload, length);
    this.#takeEarly();
  }

  #keep(seq: number, payload: Uint8Array, length: number): void {
    const before = this.#early.get(seq);
    if (before !== undefined && before.length >= length) return;
    this.#early.set(seq, { payload, length });
    this.#earlyBytes += payload.length - (before?.payload.length ?? 0);
  }

  #take(seq: number, payload: Uint8Array, length: number): void {
    const known = ((this.#next ?? seq) - seq) | 0;
    if (known >= length) return;
    this.#next = (seq + length) | 0;
    this.#taker.bytes(payload.subarray(Math.min(known, payload.length)));
    // A frame of which only the beginning was kept.
    if (payload.length < length) this.#taker.gap();
  }

  #takeEarly(): void {
    while (this.#early.size > 0) {
      const seq = this.#firstEarly();
      if (((seq - (this.#next ?? 0)) | 0) > 0) return;
      const { payload, length } = this.#early.get(seq)!;
      this.#early.delete(seq);
      this.#earlyBytes -= payload.length;
      this.#take(seq, payload, length);
    }
  }

  /** It was not captured: go on behind it. */
  #giveUpGap(): void {
    this.#next = this.#firstEarly();
    this.#taker.gap();
    this.#takeEarly();
  }

  #firstEarly(): number {
    let first: number | null = null;
    for (const seq of this.#early.keys()) if (first === null || ((seq - first) | 0) < 0) first = seq;
    return first ?? 0;
  }
}
