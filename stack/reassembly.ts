// Puts fragmented datagrams together again (RFC 791 3.2, RFC 1122 3.3.2, RFC 8200 4.5). Memory is bounded, by source
// and in total, a datagram has one deadline, and one whose fragments overlap is given up as a whole (RFC 5722): nobody sends such
// a thing for a good reason. Fragments are rare here (TCP avoids them), so this may allocate. Used by ip.ts.
import type { Clock } from './clock.ts';
import type { TimerNode, TimerWheel } from './timer-wheel.ts';

/** From the first fragment on (RFC 1122 3.3.2 and RFC 8200 4.5: 60 s). */
export const REASSEMBLY_MS = 60_000;
/** Bytes of all fragments that wait, bookkeeping included. */
export const REASSEMBLY_BYTES_MAX = 4 * 1024 * 1024;
/** The same of one source: who sends nothing but beginnings pushes out his own. */
export const REASSEMBLY_SOURCE_BYTES_MAX = 1024 * 1024;
/** Fragments of one datagram; 64 KiB in packets of 576 bytes are 120. */
const FRAGMENTS_MAX = 128;
const FRAGMENT_OVERHEAD = 128;
const PACKET_MAX = 65535;

interface Fragment {
  readonly start: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

/** A fragment as ip.ts has read it. */
export interface FragmentFacts {
  readonly sourceIp: number;
  readonly destinationIp: number;
  readonly protocol: number;
  readonly identification: number;
  /** Bytes of the datagram's payload before this fragment. */
  readonly fragmentOffset: number;
  readonly moreFragments: boolean;
  readonly payloadOffset: number;
  readonly payloadLength: number;
}

/** Who sends fragments, and what waits of them. */
class Source {
  readonly ip: number;
  /** Oldest first. */
  readonly datagrams = new Set<Datagram>();
  bytes = 0;

  constructor(ip: number) {
    this.ip = ip;
  }
}

class Datagram {
  readonly key: string;
  readonly source: Source;
  /** When it is given up. */
  readonly deadline: number;
  /** In order of their place; none overlap. */
  readonly fragments: Fragment[] = [];
  /** Header bytes of the first fragment, from the IP header to its payload. */
  header: Uint8Array | null = null;
  /** Length of the whole payload; -1 until the last fragment is here. */
  total = -1;
  received = 0;
  cost = 0;

  constructor(key: string, source: Source, deadline: number) {
    this.key = key;
    this.source = source;
    this.deadline = deadline;
  }
}

const REASSEMBLY_WAITS = 0;
export const REASSEMBLY_DONE = 1;
export const REASSEMBLY_REFUSED = 2;

export class Reassembly implements TimerNode {
  /** The datagram that the last REASSEMBLY_DONE completed: the first fragment's header, then the whole payload. */
  whole: Uint8Array = new Uint8Array(0);
  wholeHeaderLength = 0;
  /** Called with the first fragment (header and what it carries) of a datagram whose time ran out. */
  onTimeout: (packet: Uint8Array) => void = () => {};
  /** Called for each datagram that was given up. */
  onFailure: () => void = () => {};

  timerNext: TimerNode | null = null;
  timerPrevious: TimerNode | null = null;
  timerSlot = -1;
  timerAt = 0;
  readonly #clock: Clock;
  readonly #timers: TimerWheel;
  /** Oldest first: all have the same time to live. */
  readonly #datagrams = new Map<string, Datagram>();
  readonly #sources = new Map<number, Source>();
  #bytes = 0;

  constructor(clock: Clock, timers: TimerWheel) {
    this.#clock = clock;
    this.#timers = timers;
  }

  /** Bytes that wait, bookkeeping included. */
  get bytesHeld(): number {
    return this.#bytes;
  }

  /**
   * Takes a fragment (copied).
   * @param headerOffset where its IP header begins.
   * @returns REASSEMBLY_DONE when `whole` is complete, REASSEMBLY_REFUSED when the datagram had to be given up.
   */
  add(bytes: Uint8Array, headerOffset: number, facts: FragmentFacts): number {
    const { fragmentOffset: start, payloadOffset, payloadLength, moreFragments } = facts;
    const end = start + payloadLength;
    const key = `${facts.sourceIp},${facts.destinationIp},${facts.protocol},${facts.identification}`;
    const datagram = this.#datagrams.get(key) ?? this.#begin(key, facts.sourceIp);
    // All but the last carry a multiple of eight bytes; no datagram is longer than its length field can say.
    const isBroken =
      payloadLength === 0 ||
      (moreFragments && (payloadLength & 7) !== 0) ||
      end > PACKET_MAX - (payloadOffset - headerOffset);
    const place = isBroken ? -1 : findPlace(datagram.fragments, start, end);
    if (place === DUPLICATE) return REASSEMBLY_WAITS;
    if (place < 0 || !fitsTotal(datagram, end, moreFragments) || datagram.fragments.length === FRAGMENTS_MAX) {
      this.#drop(datagram);
      this.onFailure();
      return REASSEMBLY_REFUSED;
    }
    const copy = bytes.slice(payloadOffset, payloadOffset + payloadLength);
    datagram.fragments.splice(place, 0, { start, end, bytes: copy });
    if (start === 0) datagram.header = bytes.slice(headerOffset, payloadOffset);
    if (!moreFragments) datagram.total = end;
    datagram.received += payloadLength;
    this.#charge(datagram, payloadLength + FRAGMENT_OVERHEAD);
    if (datagram.received === datagram.total) {
      this.#complete(datagram);
      return REASSEMBLY_DONE;
    }
    this.#makeRoom(datagram.source);
    return REASSEMBLY_WAITS;
  }

  close(): void {
    this.#timers.cancel(this);
    this.#datagrams.clear();
    this.#sources.clear();
    this.#bytes = 0;
  }

  onTimer(nowMs: number): void {
    for (const datagram of this.#datagrams.values()) {
      if (((datagram.deadline - nowMs) | 0) > 0) {
        this.#timers.arm(this, datagram.deadline);
        return;
      }
      this.#drop(datagram);
      this.onFailure();
      if (datagram.header !== null) this.onTimeout(join([datagram.header, datagram.fragments[0].bytes]));
    }
  }

  /** Calls `mark` with the number of each source: their fragments would be another's if it got the number. */
  mark(mark: (ip: number) => void): void {
    for (const ip of this.#sources.keys()) mark(ip);
  }

  #begin(key: string, sourceIp: number): Datagram {
    let source = this.#sources.get(sourceIp);
    if (source === undefined) this.#sources.set(sourceIp, (source = new Source(sourceIp)));
    const datagram = new Datagram(key, source, (this.#clock.nowMs + REASSEMBLY_MS) | 0);
    this.#datagrams.set(key, datagram);
    source.datagrams.add(datagram);
    this.#timers.armBy(this, datagram.deadline);
    return datagram;
  }

  #complete(datagram: Datagram): void {
    this.#drop(datagram);
    const header = datagram.header as Uint8Array;
    this.whole = join([header, ...datagram.fragments.map((fragment) => fragment.bytes)]);
    this.wholeHeaderLength = header.length;
  }

  #drop(datagram: Datagram): void {
    this.#datagrams.delete(datagram.key);
    const { source } = datagram;
    this.#charge(datagram, -datagram.cost);
    source.datagrams.delete(datagram);
    if (source.datagrams.size === 0) this.#sources.delete(source.ip);
  }

  #charge(datagram: Datagram, bytes: number): void {
    datagram.cost += bytes;
    datagram.source.bytes += bytes;
    this.#bytes += bytes;
  }

  /** The oldest make way: they are the least likely to be completed. */
  #makeRoom(source: Source): void {
    for (const datagram of source.datagrams) {
      if (source.bytes <= REASSEMBLY_SOURCE_BYTES_MAX) break;
      this.#drop(datagram);
      this.onFailure();
    }
    for (const datagram of this.#datagrams.values()) {
      if (this.#bytes <= REASSEMBLY_BYTES_MAX) return;
      this.#drop(datagram);
      this.onFailure();
    }
  }
}

const OVERLAP = -1;
const DUPLICATE = -2;

/** Index at which a fragment goes; OVERLAP, or DUPLICATE when the very same range is there. */
function findPlace(fragments: readonly Fragment[], start: number, end: number): number {
  for (const [i, other] of fragments.entries()) {
    if (other.start === start && other.end === end) return DUPLICATE;
    if (other.end <= start) continue;
    return other.start >= end ? i : OVERLAP;
  }
  return fragments.length;
}

/** Nothing lies behind the end of the datagram, and it ends once. */
function fitsTotal({ fragments, total }: Datagram, end: number, moreFragments: boolean): boolean {
  if (moreFragments) return total < 0 || end <= total;
  const last = fragments.at(-1);
  return (total < 0 || total === end) && (last === undefined || last.end <= end);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
