// Initial sequence numbers (RFC 6528): a clock that ticks every 4 microseconds plus a keyed hash of the four-tuple, so
// that they grow for one pair and tell nothing about another's. The same key drives ephemeral ports (RFC 6056) and
// timestamp offsets (RFC 7323 7.1). Used by stack/tcp only.
import type { Clock, RandomSource } from '../clock.ts';
import type { Ipv6Book } from '../ipv6-book.ts';
import { SipHash } from '../keyed-hash.ts';

const FOR_SEQUENCE = 1;
const FOR_TIMESTAMP = 2;
const FOR_PORT = 3;
const FOR_PORT_INDEX = 4;

export class Iss {
  /** What is added to our clock, so that numbers go on where another stack's stopped; milliseconds, int32. */
  shiftMs = 0;
  readonly #clock: Clock;
  readonly #hash: SipHash;
  readonly #book: Ipv6Book;

  constructor(clock: Clock, random: RandomSource, book: Ipv6Book) {
    this.#clock = clock;
    this.#book = book;
    this.#hash = new SipHash([random.int32(), random.int32(), random.int32(), random.int32()]);
  }

  get secret(): readonly number[] {
    return this.#hash.key;
  }

  set secret(key: readonly number[]) {
    this.#hash.key = key;
  }

  sequence(localIp: number, localPort: number, remoteIp: number, remotePort: number): number {
    const hash = this.#hash.hash(
      this.#book.word(localIp),
      this.#book.word(remoteIp),
      (remotePort << 16) | localPort,
      FOR_SEQUENCE,
    );
    return (hash + Math.imul((this.#clock.nowMs + this.shiftMs) | 0, 250)) | 0;
  }

  /** Same for every connection between two hosts, so that timestamps of successive ones keep growing (RFC 7323 5.8). */
  timestampOffset(localIp: number, remoteIp: number): number {
    const hash = this.#hash.hash(this.#book.word(localIp), this.#book.word(remoteIp), 0, FOR_TIMESTAMP);
    return (hash + this.shiftMs) | 0;
  }

  /** Which counter of ports a destination has (RFC 6056 3.3.4). */
  portIndex(localIp: number, remoteIp: number, remotePort: number): number {
    return this.#hash.hash(this.#book.word(localIp), this.#book.word(remoteIp), remotePort, FOR_PORT_INDEX) >>> 0;
  }

  /** Where the search for a free local port begins (RFC 6056 3.3.4). */
  portOffset(localIp: number, remoteIp: number, remotePort: number): number {
    return this.#hash.hash(this.#book.word(localIp), this.#book.word(remoteIp), remotePort, FOR_PORT) >>> 0;
  }
}
