// Looks whether somebody has an address before we use it: a few questions, then silence for a while means that it is
// ours. ARP asks for IPv4 (RFC 5227 2.1), neighbour discovery for IPv6 (RFC 4862 5.4); both use this for the pace.
import type { Clock } from './clock.ts';
import type { TimerNode, TimerWheel } from './timer-wheel.ts';

/** RFC 5227 1.1: PROBE_NUM. */
const PROBE_COUNT = 3;

/** Somebody else's address. */
export interface Conflict {
  readonly ip: number;
  readonly mac: Uint8Array;
}

export class Claim implements TimerNode {
  timerNext: TimerNode | null = null;
  timerPrevious: TimerNode | null = null;
  timerSlot = -1;
  timerAt = 0;
  readonly #clock: Clock;
  readonly #timers: TimerWheel;
  readonly #intervalMs: number;
  readonly #ask: () => void;
  readonly #onDone: (conflict: Conflict | null) => void;
  #asked = 0;

  /**
   * Begins at once.
   * @param totalMs from the first question to the end.
   * @param ask sends one question for each address.
   */
  constructor(
    clock: Clock,
    timers: TimerWheel,
    totalMs: number,
    ask: () => void,
    onDone: (conflict: Conflict | null) => void,
  ) {
    this.#clock = clock;
    this.#timers = timers;
    this.#intervalMs = Math.max(1, Math.floor(totalMs / PROBE_COUNT));
    this.#ask = ask;
    this.#onDone = onDone;
    this.onTimer();
  }

  onTimer(): void {
    if (this.#asked === PROBE_COUNT) {
      this.#onDone(null);
      return;
    }
    this.#asked++;
    this.#ask();
    this.#timers.arm(this, (this.#clock.nowMs + this.#intervalMs) | 0);
  }

  /** Somebody answered. */
  lose(conflict: Conflict): void {
    this.cancel();
    this.#onDone(conflict);
  }

  cancel(): void {
    this.#timers.cancel(this);
  }
}
