// How many SYNs get a cookie. A cookie costs a packet out, and a flood of SYNs would take the core from those who are
// connected: some each slice of time are answered as they come, the others only when they come again, as a client's
// do after a second and the made-up ones of a flood do not. Where the engine can hold SYNs back by the same rule
// before they cost a frame (frame-engine.ts, SynGate), it is told to as long as the flood lasts; otherwise what has
// come is remembered here, in a table made with the first flood. Used by stack/tcp only.
import type { SynGate } from '../../io-engine/frame-engine.ts';
import type { RandomSource } from '../clock.ts';
import { halfSipHash } from '../keyed-hash.ts';
import { Timer, type TimerWheel } from '../timer-wheel.ts';

const SLICE_MS = 100;
/** Cookies a slice for SYNs that have not been seen before, and for those that have. */
const FRESH_PER_SLICE = 400;
const REPEATED_PER_SLICE = 800;
/** Of those that the engine's gate has let in: its slices are not ours, so there may be more at a time. */
const GATED_PER_SLICE = 2 * (FRESH_PER_SLICE + REPEATED_PER_SLICE);
/** One word a SYN: 24 bits of its hash, and when it came in eight bits of AGE_SHIFT milliseconds. */
const TABLE_BITS = 20;
const AGE_SHIFT = 7;
/** A retransmission comes 1, 2 and 4 seconds after the one before (RFC 6298 2.1, 5.5). */
const AGE_MIN = 3;
const AGE_MAX = 64;
/** How often the gate is looked at, and how many looks without a SYN held back end a flood. */
const LOOK_MS = 100;
const QUIET_LOOKS = 100;

/** The parts of the stack that a gate needs. */
export interface SynGateParts {
  readonly gate: SynGate;
  readonly timers: TimerWheel;
  /** Told how many SYNs the gate has held back since the last time. */
  readonly onHeld: (count: number) => void;
}

export class SynLimit {
  readonly #key0: number;
  readonly #key1: number;
  #sliceMs: number;
  #fresh = FRESH_PER_SLICE;
  #repeated = REPEATED_PER_SLICE;
  #table: Uint32Array | null = null;
  readonly #parts: SynGateParts | null;
  #gateIsOn = false;
  #held = 0;
  #quietLooks = 0;
  readonly #look = new Timer((nowMs) => this.#onLook(nowMs));

  constructor(random: RandomSource, nowMs: number, parts: SynGateParts | null = null) {
    this.#key0 = random.int32();
    this.#key1 = random.int32();
    this.#sliceMs = nowMs;
    this.#parts = parts;
  }

  /** Whether this SYN gets a cookie. @param remoteWord the address in 32 bits (Ipv6Book.word). */
  mayAnswer(remoteWord: number, remotePort: number, localPort: number, seq: number, nowMs: number): boolean {
    const sinceMs = (nowMs - this.#sliceMs) | 0;
    if (sinceMs < 0 || sinceMs >= SLICE_MS) {
      this.#sliceMs = nowMs;
      this.#fresh = this.#gateIsOn ? GATED_PER_SLICE : FRESH_PER_SLICE;
      this.#repeated = REPEATED_PER_SLICE;
    }
    if (this.#fresh > 0) {
      this.#fresh--;
      return true;
    }
    if (this.#parts !== null && !this.#gateIsOn) this.#closeGate(this.#parts, nowMs);
    const hash = halfSipHash(this.#key0, this.#key1, remoteWord, (remotePort << 16) | localPort, seq);
    if (!this.#hasCome(hash, seq, nowMs) || this.#repeated <= 0) return false;
    this.#repeated--;
    return true;
  }

  /** Whether the same SYN came a while ago; remembers it if not. */
  #hasCome(hash: number, seq: number, nowMs: number): boolean {
    this.#table ??= new Uint32Array(1 << TABLE_BITS);
    const slot = hash >>> (32 - TABLE_BITS);
    // What the slot does not say of the hash, and the sequence number.
    const print = ((hash << TABLE_BITS) ^ seq) & ~0xff;
    const now = nowMs >> AGE_SHIFT;
    const entry = this.#table[slot];
    const age = (now - entry) & 0xff;
    if (((entry ^ print) & ~0xff) === 0 && age <= AGE_MAX) return age >= AGE_MIN;
    this.#table[slot] = print | (now & 0xff);
    return false;
  }

  #closeGate({ gate, timers }: SynGateParts, nowMs: number): void {
    this.#gateIsOn = true;
    this.#held = gate.held;
    this.#quietLooks = 0;
    gate.limit((FRESH_PER_SLICE * 1000) / SLICE_MS);
    timers.arm(this.#look, (nowMs + LOOK_MS) | 0);
  }

  #onLook(nowMs: number): void {
    const { gate, timers, onHeld } = this.#parts as SynGateParts;
    const held = gate.held;
    const count = (held - this.#held) >>> 0;
    this.#held = held;
    if (count > 0) onHeld(count);
    this.#quietLooks = count > 0 ? 0 : this.#quietLooks + 1;
    if (this.#quietLooks < QUIET_LOOKS) {
      timers.arm(this.#look, (nowMs + LOOK_MS) | 0);
      return;
    }
    this.#gateIsOn = false;
    gate.limit(0);
  }
}
