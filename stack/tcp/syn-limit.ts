// How many SYNs get a cookie. A cookie costs a packet out, and a flood of SYNs would take the core from those who are
// connected: some each slice of time are answered as they come, the others only when they come again, as a client's
// do after a second and the made-up ones of a flood do not. What has come is remembered for some seconds in bitmaps
// by keyed hash, one a second, made with the first flood. Used by stack/tcp only.
import type { RandomSource } from '../clock.ts';
import { halfSipHash } from '../keyed-hash.ts';

const SLICE_MS = 100;
/** Cookies a slice for SYNs that have not been seen before, and for those that have. */
const FRESH_PER_SLICE = 400;
const REPEATED_PER_SLICE = 800;
/** A power of two. A retransmission comes 1, 2 and 4 seconds after the one before (RFC 6298 2.1, 5.5). */
const MAPS = 4;
const MAP_MS = 1000;
const BITS_SHIFT = 22;

export class SynLimit {
  readonly #key0: number;
  readonly #key1: number;
  #sliceMs: number;
  #fresh = FRESH_PER_SLICE;
  #repeated = REPEATED_PER_SLICE;
  #maps: Uint32Array[] = [];
  #map = 0;
  #mapMs: number;

  constructor(random: RandomSource, nowMs: number) {
    this.#key0 = random.int32();
    this.#key1 = random.int32();
    this.#sliceMs = this.#mapMs = nowMs;
  }

  /** Whether this SYN gets a cookie. @param remoteWord the address in 32 bits (Ipv6Book.word). */
  mayAnswer(remoteWord: number, remotePort: number, localPort: number, seq: number, nowMs: number): boolean {
    const sinceMs = (nowMs - this.#sliceMs) | 0;
    if (sinceMs < 0 || sinceMs >= SLICE_MS) {
      this.#sliceMs = nowMs;
      this.#fresh = FRESH_PER_SLICE;
      this.#repeated = REPEATED_PER_SLICE;
    }
    if (this.#fresh > 0) {
      this.#fresh--;
      return true;
    }
    const hash = halfSipHash(this.#key0, this.#key1, remoteWord, (remotePort << 16) | localPort, seq);
    if (!this.#hasCome(hash >>> (32 - BITS_SHIFT), nowMs) || this.#repeated <= 0) return false;
    this.#repeated--;
    return true;
  }

  /** Whether the bit was set in an earlier second; sets it in this one. */
  #hasCome(bit: number, nowMs: number): boolean {
    this.#turn(nowMs);
    const word = bit >>> 5;
    const mask = 1 << (bit & 31);
    const maps = this.#maps;
    maps[this.#map][word] |= mask;
    for (let i = 1; i < MAPS; i++) if ((maps[(this.#map + i) & (MAPS - 1)][word] & mask) !== 0) return true;
    return false;
  }

  #turn(nowMs: number): void {
    if (this.#maps.length === 0) {
      this.#maps = Array.from({ length: MAPS }, () => new Uint32Array(1 << (BITS_SHIFT - 5)));
      this.#mapMs = nowMs;
    }
    let turns = Math.floor(((nowMs - this.#mapMs) | 0) / MAP_MS);
    if (turns <= 0) return;
    this.#mapMs = (this.#mapMs + turns * MAP_MS) | 0;
    for (turns = Math.min(turns, MAPS); turns > 0; turns--) {
      this.#map = (this.#map + 1) & (MAPS - 1);
      this.#maps[this.#map].fill(0);
    }
  }
}
