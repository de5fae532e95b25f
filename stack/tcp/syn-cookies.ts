// SYN cookies (RFC 4987 3.6): when a listener's queue is full, what a SYN said goes into our initial sequence number, under
// a keyed hash, and into the low bits of our timestamp, and nothing is kept. The ACK that brings both back makes
// the connection. Without timestamps only the MSS survives, and that rounded down. Used by stack/tcp only.
import type { RandomSource } from '../clock.ts';
import type { Ipv6Book } from '../ipv6-book.ts';
import { SipHash } from '../keyed-hash.ts';

/** MSS values that three bits can name: those that occur. */
const MSS_TABLE: readonly number[] = [216, 536, 1024, 1220, 1400, 1440, 1460, 8960];
/** 65.5 s: a cookie is good for this and the next period. */
const PERIOD_SHIFT = 16;
const PERIOD_MASK = 31;
const AGE_MAX = 1;
/** No cookie is good for longer. */
export const COOKIE_LIFETIME_MS = (AGE_MAX + 1) << PERIOD_SHIFT;
const HASH_MASK = 0xffffff;

/** Bits of a timestamp that carry options: window scale (15: none), SACK, ECN. */
const OPTION_BITS = 0x3f;
const NO_SCALE = 15;
const SACK_BIT = 16;
const ECN_BIT = 32;

export class SynCookies {
  /** What is added to our clock, so that the cookies of another stack stay good; milliseconds, int32. */
  shiftMs = 0;
  readonly #hash: SipHash;
  readonly #book: Ipv6Book;

  constructor(random: RandomSource, book: Ipv6Book) {
    this.#book = book;
    this.#hash = new SipHash([random.int32(), random.int32(), random.int32(), random.int32()]);
  }

  get secret(): readonly number[] {
    return this.#hash.key;
  }

  set secret(key: readonly number[]) {
    this.#hash.key = key;
  }

  #periodAt(nowMs: number): number {
    return ((nowMs + this.shiftMs) | 0) >>> PERIOD_SHIFT;
  }

  /** Our initial sequence number for a SYN of that pair. @param mss as announced, 0: not. */
  make(
    localIp: number,
    localPort: number,
    remoteIp: number,
    remotePort: number,
    irs: number,
    mss: number,
    nowMs: number,
  ): number {
    const period = this.#periodAt(nowMs) & PERIOD_MASK;
    let index = MSS_TABLE.length - 1;
    const announced = mss === 0 ? MSS_TABLE[1] : mss;
    while (index > 0 && MSS_TABLE[index] > announced) index--;
    const top = (period << 3) | index;
    return (top << 24) | this.#mac(localIp, localPort, remoteIp, remotePort, irs, top);
  }

  /** The MSS that a cookie of ours stands for; 0: it is none, or too old. */
  open(
    cookie: number,
    localIp: number,
    localPort: number,
    remoteIp: number,
    remotePort: number,
    irs: number,
    nowMs: number,
  ): number {
    const top = cookie >>> 24;
    const age = (this.#periodAt(nowMs) - (top >>> 3)) & PERIOD_MASK;
    if (age > AGE_MAX) return 0;
    if (this.#mac(localIp, localPort, remoteIp, remotePort, irs, top) !== (cookie & HASH_MASK)) return 0;
    return MSS_TABLE[top & 7];
  }

  #mac(localIp: number, localPort: number, remoteIp: number, remotePort: number, irs: number, top: number): number {
    const book = this.#book;
    const ports = (remotePort << 16) | localPort;
    return this.#hash.hash(book.word(localIp), book.word(remoteIp), ports, irs, top, 0) & HASH_MASK;
  }
}

/** The latest timestamp not after `now` whose low bits say what the SYN offered. @param scale -1: none. */
export function packOptions(now: number, scale: number, sack: boolean, ecn: boolean): number {
  const bits = (scale < 0 ? NO_SCALE : scale) | (sack ? SACK_BIT : 0) | (ecn ? ECN_BIT : 0);
  const stamp = (now & ~OPTION_BITS) | bits;
  return ((stamp - now) | 0) > 0 ? (stamp - OPTION_BITS - 1) | 0 : stamp;
}

/** Window scale of an echoed timestamp; -1: none. */
export function packedScale(echo: number): number {
  const scale = echo & NO_SCALE;
  return scale === NO_SCALE ? -1 : scale;
}

export function packedSack(echo: number): boolean {
  return (echo & SACK_BIT) !== 0;
}

export function packedEcn(echo: number): boolean {
  return (echo & ECN_BIT) !== 0;
}
