// A stack's record of one connection's segments as whoever draws it wants it: bytes since the beginning of each
// direction's stream, microseconds since the recording began. src/transports/userspace.ts makes it.
import type { SegmentTrace as Ring } from '../../stack/tcp/segment-trace.ts';
import type { SegmentTrace, TracePoint } from './transport.ts';

const KINDS = ['s', 'r', 'a', 'd'] as const;

/** What it needs of the connection: of stack/tcp's, by its RFC names. */
export interface Traced {
  readonly iss: number;
  readonly irs: number;
  readonly srtt: number;
  readonly cwnd: number;
  readonly mss: number;
}

export class ConnectionTrace implements SegmentTrace {
  readonly #ring: Ring;
  readonly #traced: Traced;
  readonly #iss: number;
  readonly #irs: number;
  readonly #startUs: number;
  readonly #isOpen: () => boolean;
  readonly stop: () => void;
  /** The recording may last longer than an int32 of microseconds. */
  #lastUs = 0;
  #elapsedUs = 0;

  constructor(parts: {
    readonly ring: Ring;
    readonly traced: Traced;
    readonly nowUs: number;
    readonly isOpen: () => boolean;
    readonly stop: () => void;
  }) {
    this.#ring = parts.ring;
    this.#traced = parts.traced;
    this.#iss = parts.traced.iss;
    this.#irs = parts.traced.irs;
    this.#startUs = parts.nowUs;
    this.#lastUs = this.#startUs;
    this.#isOpen = parts.isOpen;
    this.stop = parts.stop;
  }

  origin(): { rttUs: number; cwnd: number; mss: number } {
    const { srtt, cwnd, mss } = this.#traced;
    // RFC 6298 as the stack keeps it: scaled by 8.
    return { rttUs: srtt >> 3, cwnd, mss };
  }

  take(): { points: TracePoint[]; lost: number; ended: boolean } {
    const ended = !this.#isOpen();
    const points: TracePoint[] = [];
    const lost = this.#ring.take((kind, atUs, value, length) => {
      this.#elapsedUs += (atUs - this.#lastUs) | 0;
      this.#lastUs = atUs;
      const origin = KINDS[kind] === 'd' ? this.#irs : this.#iss;
      points.push([KINDS[kind], this.#elapsedUs, ((value - origin) >>> 0) - 1, length]);
    });
    return { points, lost, ended };
  }
}
