// The neighbour cache: the hardware address of each next hop, and what state that knowledge is in. A connection holds its
// NextHop, so that sending needs no look-up; packets for one that is not resolved yet wait in a bounded queue
// (RFC 1122 2.3.2.2). Who asks the question on the wire is handed in: arp.ts for IPv4, ndp.ts for IPv6. Used by ip.ts.
import { LRUCache } from 'lru-cache';
import type { Clock } from './clock.ts';
import type { EthernetLink } from './ethernet-link.ts';
import { isIpv6 } from './ipv6-book.ts';
import { DROP_NEIGHBOR_QUEUE_FULL, DROP_NEIGHBOR_UNREACHABLE, DROP_OUTPUT_FULL, type Stats } from './stats.ts';
import type { TimerNode, TimerWheel } from './timer-wheel.ts';
import { copyBytes, equalBytes } from './wire/bytes.ts';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, MAC_LENGTH } from './wire/ethernet.ts';

/** Neighbours whose hardware address we know. */
const NEIGHBORS_MAX = 4096;
/** Those that we are asking for, or that did not answer: anybody can make us ask for as many as a network has addresses. */
export const UNKNOWN_NEIGHBORS_MAX = 1024;
/** Packets. After a restart every client connects at once, and by way of one gateway: a SYN-ACK lost here costs a second. */
export const QUEUE_PER_NEIGHBOR_MAX = 512;
export const QUEUE_TOTAL_MAX = 2048;

/** Delay after each question: three broadcasts, then the neighbour counts as unreachable. */
const RESOLVE_DELAYS_MS: readonly number[] = [500, 1000, 2000];
/** Delay after each question to a neighbour that we know, asked directly (RFC 1122, 2.3.2.1 (2)). */
const PROBE_DELAYS_MS: readonly number[] = [1000, 1000, 1000];
/** How long an answer is believed without asking again, while packets go there. */
const REACHABLE_MS = 60_000;
/** Looks at an unused entry, REACHABLE_MS apart, before it is forgotten. */
const IDLE_CHECKS_MAX = 20;
/** How long an unreachable neighbour is left alone. */
const FAILED_HOLD_MS = 1000;
export type NeighborState = 'new' | 'resolving' | 'reachable' | 'probing' | 'failed' | 'static' | 'detached';

interface QueuedPacket {
  /** An IP packet, copied. */
  readonly bytes: Uint8Array;
  readonly segmentSize: number;
}

/**
 * A neighbour, as a connection keeps it. `resolved` and `mac` are all that the fast path reads. One that the cache
 * has let go is `detached` and stays unresolved for ever: packets for it go by way of the entry that took its place.
 */
export class NextHop implements TimerNode {
  readonly ip: number;
  readonly mac: Uint8Array = new Uint8Array(MAC_LENGTH);
  resolved = false;
  /** Set by whoever sends; cleared when the entry's age is looked at. */
  used = false;
  state: NeighborState = 'new';
  questions = 0;
  idleChecks = 0;
  readonly queue: QueuedPacket[] = [];

  timerNext: TimerNode | null = null;
  timerPrevious: TimerNode | null = null;
  timerSlot = -1;
  timerAt = 0;
  readonly #neighbors: Neighbors;

  constructor(ip: number, neighbors: Neighbors) {
    this.ip = ip;
    this.#neighbors = neighbors;
  }

  onTimer(): void {
    this.#neighbors.onTimer(this);
  }
}

/** Asks a neighbour for its hardware address. */
export interface AddressResolver {
  /** @param knownMac the one it had; null: ask everyone. */
  ask(hop: NextHop, knownMac: Uint8Array | null): void;
}

export class Neighbors {
  /** Called, from a timer only, with each IP packet that was lost because nobody answers for its next hop. */
  onUnreachable: (packet: Uint8Array) => void = () => {};

  /** For IPv4 and IPv6; set by ip.ts. */
  arp!: AddressResolver;
  ndp: AddressResolver | null = null;

  readonly #link: EthernetLink;
  readonly #clock: Clock;
  readonly #timers: TimerWheel;
  readonly #stats: Stats;
  readonly #statics = new Map<number, NextHop>();
  /**
   * Apart from each other, so that floods from made-up addresses of our own network push out no neighbour that is
   * real (RFC 6583 6.2).
   */
  readonly #known: LRUCache<number, NextHop>;
  readonly #unknown: LRUCache<number, NextHop>;
  #queuedPackets = 0;

  constructor(link: EthernetLink, clock: Clock, timers: TimerWheel, stats: Stats) {
    this.#link = link;
    this.#clock = clock;
    this.#timers = timers;
    this.#stats = stats;
    const dispose = (hop: NextHop, _ip: number, reason: LRUCache.DisposeReason): void => {
      if (reason === 'evict') this.#detach(hop);
    };
    this.#known = new LRUCache({ max: NEIGHBORS_MAX, dispose });
    this.#unknown = new LRUCache({ max: UNKNOWN_NEIGHBORS_MAX, dispose });
  }

  /** The neighbour with this address, made if need be; asks nobody before there is a packet for it. */
  lookup(ip: number): NextHop {
    const known = this.#find(ip);
    if (known !== undefined) return known;
    const hop = new NextHop(ip, this);
    this.#unknown.set(ip, hop);
    return hop;
  }

  /** The neighbour with this address, if its hardware address is known. */
  resolved(ip: number): NextHop | null {
    const hop = this.#statics.get(ip) ?? this.#known.get(ip);
    return hop?.resolved === true ? hop : null;
  }

  /** The entry that now stands for a hop a connection has kept. */
  current(hop: NextHop): NextHop {
    return hop.state === 'detached' ? this.lookup(hop.ip) : hop;
  }

  /** A neighbour that is never asked and never forgotten. */
  addStatic(ip: number, mac: Uint8Array): void {
    const hop = this.#find(ip) ?? new NextHop(ip, this);
    this.#statics.set(ip, hop);
    this.#known.delete(ip);
    this.#unknown.delete(ip);
    this.#timers.cancel(hop);
    hop.state = 'static';
    hop.mac.set(mac);
    hop.resolved = true;
    this.#sendQueue(hop);
  }

  /** Forgets what has been learned, and cancels what is still to come. */
  close(): void {
    for (const hop of [...this.#known.values(), ...this.#unknown.values()]) this.#forget(hop);
  }

  /** Every entry, for tools; allocates. */
  list(): { ip: number; mac: Uint8Array; state: NeighborState }[] {
    return [...this.#statics.values(), ...this.#known.values(), ...this.#unknown.values()].map(
      ({ ip, mac, state }) => ({
        ip,
        mac: mac.slice(),
        state,
      }),
    );
  }

  /**
   * A neighbour has told its hardware address.
   * @param mayMakeNew whether one that is not in the cache is worth an entry.
   */
  learn(ip: number, bytes: Uint8Array, macOffset: number, mayMakeNew: boolean): void {
    const hop = this.#find(ip) ?? (mayMakeNew ? this.lookup(ip) : undefined);
    if (hop === undefined || hop.state === 'static') return;
    copyBytes(hop.mac, 0, bytes, macOffset, MAC_LENGTH);
    if (this.#unknown.delete(ip)) this.#known.set(ip, hop);
    hop.state = 'reachable';
    hop.resolved = true;
    this.#timers.arm(hop, (this.#clock.nowMs + REACHABLE_MS) | 0);
    this.#sendQueue(hop);
  }

  /** Whether a neighbour is known by another hardware address than this. */
  knowsOther(ip: number, bytes: Uint8Array, macOffset: number): boolean {
    const hop = this.#find(ip);
    return hop?.resolved === true && !equalBytes(hop.mac, 0, bytes, macOffset, MAC_LENGTH);
  }

  /** Calls `mark` with the number of each neighbour. */
  mark(mark: (ip: number) => void): void {
    for (const ip of this.#statics.keys()) mark(ip);
    for (const ip of this.#known.keys()) mark(ip);
    for (const ip of this.#unknown.keys()) mark(ip);
  }

  /** Takes an outgoing IP packet (copied) that has to wait for its next hop's address, and asks for it. */
  enqueue(hop: NextHop, bytes: Uint8Array, offset: number, length: number, segmentSize: number): void {
    if (hop.state === 'failed') {
      this.#stats.drop(DROP_NEIGHBOR_UNREACHABLE);
      return;
    }
    // The latest packet is the one worth keeping (RFC 1122, 2.3.2.2), and of neighbours the one asked for last.
    if (hop.queue.length === QUEUE_PER_NEIGHBOR_MAX) {
      this.#stats.drop(DROP_NEIGHBOR_QUEUE_FULL);
      hop.queue.shift();
      this.#queuedPackets--;
    }
    while (this.#queuedPackets === QUEUE_TOTAL_MAX) {
      if (this.#unknown.size === 0) return;
      const [oldest] = this.#unknown.rvalues() as Iterable<NextHop>;
      this.#dropQueue(oldest, DROP_NEIGHBOR_QUEUE_FULL);
      this.#forget(oldest);
    }
    hop.queue.push({ bytes: bytes.slice(offset, offset + length), segmentSize });
    this.#queuedPackets++;
    if (hop.state !== 'new') return;
    hop.state = 'resolving';
    hop.questions = 0;
    this.#ask(hop, RESOLVE_DELAYS_MS);
  }

  #find(ip: number): NextHop | undefined {
    return this.#statics.get(ip) ?? this.#known.get(ip) ?? this.#unknown.get(ip);
  }

  #ask(hop: NextHop, delays: readonly number[]): void {
    const resolver = isIpv6(hop.ip) ? this.ndp : this.arp;
    resolver?.ask(hop, hop.state === 'probing' ? hop.mac : null);
    this.#timers.arm(hop, (this.#clock.nowMs + delays[hop.questions]) | 0);
    hop.questions++;
  }

  /** A neighbour's time has come; for NextHop only. */
  onTimer(hop: NextHop): void {
    switch (hop.state) {
      case 'resolving':
        if (hop.questions < RESOLVE_DELAYS_MS.length) this.#ask(hop, RESOLVE_DELAYS_MS);
        else this.#fail(hop);
        return;
      case 'reachable':
        this.#lookAtAge(hop);
        return;
      case 'probing':
        if (hop.questions < PROBE_DELAYS_MS.length) this.#ask(hop, PROBE_DELAYS_MS);
        else this.#fail(hop);
        return;
      case 'failed':
        this.#forget(hop);
        return;
      default:
        return;
    }
  }

  /** An old answer. A neighbour in use is asked again while sending goes on; an unused one is forgotten in the end. */
  #lookAtAge(hop: NextHop): void {
    if (hop.used) {
      hop.used = false;
      hop.idleChecks = 0;
      hop.state = 'probing';
      hop.questions = 0;
      // The look-up tells the cache that this entry is a live one.
      this.#known.get(hop.ip);
      this.#ask(hop, PROBE_DELAYS_MS);
      return;
    }
    hop.idleChecks++;
    if (hop.idleChecks === IDLE_CHECKS_MAX) this.#forget(hop);
    else this.#timers.arm(hop, (this.#clock.nowMs + REACHABLE_MS) | 0);
  }

  #fail(hop: NextHop): void {
    hop.state = 'failed';
    hop.resolved = false;
    if (this.#known.delete(hop.ip)) this.#unknown.set(hop.ip, hop);
    this.#timers.arm(hop, (this.#clock.nowMs + FAILED_HOLD_MS) | 0);
    for (const { bytes } of this.#dropQueue(hop, DROP_NEIGHBOR_UNREACHABLE)) this.onUnreachable(bytes);
  }

  #forget(hop: NextHop): void {
    this.#known.delete(hop.ip);
    this.#unknown.delete(hop.ip);
    this.#detach(hop);
  }

  /** The cache has let the entry go. */
  #detach(hop: NextHop): void {
    this.#timers.cancel(hop);
    hop.state = 'detached';
    hop.resolved = false;
    this.#dropQueue(hop, DROP_NEIGHBOR_UNREACHABLE);
  }

  #sendQueue(hop: NextHop): void {
    const link = this.#link;
    for (const { bytes, segmentSize } of hop.queue) {
      this.#queuedPackets--;
      const at = link.begin(hop.mac, isIpv6(hop.ip) ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4, segmentSize > 0);
      if (at < 0) {
        this.#stats.drop(DROP_OUTPUT_FULL);
        continue;
      }
      link.engine.memory.set(bytes, at);
      link.commit(bytes.length, segmentSize);
    }
    hop.queue.length = 0;
  }

  /** @returns the packets that were lost. */
  #dropQueue(hop: NextHop, reason: number): readonly QueuedPacket[] {
    const lost = hop.queue.splice(0);
    this.#queuedPackets -= lost.length;
    this.#stats.drops[reason] += lost.length;
    return lost;
  }
}
