// What a sequence plot is drawn from: the segments of one connection as they leave and arrive, in a ring of numbers that
// the oldest fall out of. Made while somebody looks at that connection; otherwise emitting and taking a segment cost one
// comparison more. Filled by segment-out.ts and input.ts through `Tcp.traced`; read through src/transports/userspace.ts.

/** A data segment left: value is its first sequence number, length its payload. */
export const TRACE_SENT = 0;
/** The same, not for the first time. */
export const TRACE_SENT_AGAIN = 1;
/** SND.UNA, with the peer's window as length: their sum is the right edge. */
export const TRACE_ACKNOWLEDGED = 2;
/** Data arrived: value is its first sequence number in the peer's numbers. */
export const TRACE_RECEIVED = 3;

const CAPACITY = 16384;
const MASK = CAPACITY - 1;

export class SegmentTrace {
  readonly #atUs = new Int32Array(CAPACITY);
  readonly #kind = new Uint8Array(CAPACITY);
  readonly #value = new Int32Array(CAPACITY);
  readonly #length = new Int32Array(CAPACITY);
  #first = 0;
  #next = 0;
  /** Points that fell out unread since the last `take`. */
  #lost = 0;
  #una = 0;
  #window = -1;

  add(kind: number, atUs: number, value: number, length: number): void {
    if (this.#next - this.#first === CAPACITY) {
      this.#first++;
      this.#lost++;
    }
    const at = this.#next++ & MASK;
    this.#atUs[at] = atUs;
    this.#kind[at] = kind;
    this.#value[at] = value;
    this.#length[at] = length;
  }

  /** After each segment that arrived; only what moved is kept. */
  acknowledged(atUs: number, una: number, window: number): void {
    if (una === this.#una && window === this.#window) return;
    this.#una = una;
    this.#window = window;
    this.add(TRACE_ACKNOWLEDGED, atUs, una, window);
  }

  /**
   * Hands over what was recorded since the last time.
   * @param visit gets kind, microseconds (int32), sequence number (int32), length.
   * @returns points lost meanwhile.
   */
  take(visit: (kind: number, atUs: number, value: number, length: number) => void): number {
    for (; this.#first < this.#next; this.#first++) {
      const at = this.#first & MASK;
      visit(this.#kind[at], this.#atUs[at], this.#value[at], this.#length[at]);
    }
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }
}
