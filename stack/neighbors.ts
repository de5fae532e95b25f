// ARP: who has the hardware address of the next hop (RFC 826, RFC 1122 2.3.2). A connection holds its NextHop, so
// that sending needs no look-up; packets for one that is not resolved yet wait in a small bounded queue. Learning:
// any ARP from a neighbour updates an entry that exists, only a request for one of our addresses or our own
// question makes a new one. Used by ip.ts.
import { LRUCache } from 'lru-cache';
import { type FrameEngine, NO_FRAME } from '../io-engine/frame-engine.ts';
import type { Clock } from './clock.ts';
import type { Routes } from './routes.ts';
import {
  DROP_ARP_CONFLICT,
  DROP_ARP_NOT_FOR_US,
  DROP_NEIGHBOR_QUEUE_FULL,
  DROP_NEIGHBOR_UNREACHABLE,
  DROP_OUTPUT_FULL,
  type Stats,
} from './stats.ts';
import type { TimerNode, TimerWheel } from './timer-wheel.ts';
import { ARP_REPLY, ARP_REQUEST, ArpPacket, parseArp, writeArp } from './wire/arp.ts';
import { copyBytes, equalBytes } from './wire/bytes.ts';
import {
  BROADCAST_MAC,
  ETHERNET_HEADER_LENGTH,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  MAC_LENGTH,
  writeEthernetHeader,
} from './wire/ethernet.ts';
import { OK } from './wire/status.ts';

export const NEIGHBORS_MAX = 4096;
export const QUEUE_PER_NEIGHBOR_MAX = 8;
export const QUEUE_TOTAL_MAX = 512;

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
/** RFC 5227, 1.1: ANNOUNCE_INTERVAL, ANNOUNCE_NUM, DEFEND_INTERVAL. */
const ANNOUNCE_INTERVAL_MS = 2000;
const ANNOUNCE_COUNT = 2;
const DEFEND_INTERVAL_MS = 10_000;

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

/** The second announcement's timer. */
class Announcer implements TimerNode {
  timerNext: TimerNode | null = null;
  timerPrevious: TimerNode | null = null;
  timerSlot = -1;
  timerAt = 0;
  left = 0;
  readonly onTimer: () => void;

  constructor(onTimer: () => void) {
    this.onTimer = onTimer;
  }
}

const ZERO_MAC = new Uint8Array(MAC_LENGTH);

export class Neighbors {
  /** Called, from a timer only, with each IP packet that was lost because nobody answers for its next hop. */
  onUnreachable: (packet: Uint8Array) => void = () => {};

  readonly #engine: FrameEngine;
  readonly #clock: Clock;
  readonly #timers: TimerWheel;
  readonly #routes: Routes;
  readonly #stats: Stats;
  readonly #mac: Uint8Array;
  readonly #arp = new ArpPacket();
  readonly #statics = new Map<number, NextHop>();
  readonly #cache: LRUCache<number, NextHop>;
  readonly #announcer = new Announcer(() => this.#announceOnce());
  readonly #requesterMac = new Uint8Array(MAC_LENGTH);
  #queuedPackets = 0;
  #defendedAtMs = 0;
  #hasDefended = false;

  constructor(engine: FrameEngine, clock: Clock, timers: TimerWheel, routes: Routes, stats: Stats) {
    this.#engine = engine;
    this.#clock = clock;
    this.#timers = timers;
    this.#routes = routes;
    this.#stats = stats;
    this.#mac = engine.link.mac;
    this.#cache = new LRUCache({ max: NEIGHBORS_MAX, dispose: (hop) => this.#detach(hop) });
  }

  /** The neighbour with this address, made if need be; asks nobody before there is a packet for it. */
  lookup(ip: number): NextHop {
    const known = this.#find(ip);
    if (known !== undefined) return known;
    const hop = new NextHop(ip, this);
    this.#cache.set(ip, hop);
    return hop;
  }

  /** The entry that now stands for a hop a connection has kept. */
  current(hop: NextHop): NextHop {
    return hop.state === 'detached' ? this.lookup(hop.ip) : hop;
  }

  /** A neighbour that is never asked and never forgotten. */
  addStatic(ip: number, mac: Uint8Array): void {
    const hop = this.#find(ip) ?? new NextHop(ip, this);
    this.#statics.set(ip, hop);
    this.#cache.delete(ip);
    this.#timers.cancel(hop);
    hop.state = 'static';
    hop.mac.set(mac);
    hop.resolved = true;
    this.#sendQueue(hop);
  }

  /** Tells the network our addresses (RFC 5227, 2.3): now, and once more a little later. */
  announce(): void {
    this.#announcer.left = ANNOUNCE_COUNT;
    this.#announceOnce();
  }

  /** Cancels what is still to come. */
  close(): void {
    this.#timers.cancel(this.#announcer);
    this.#cache.clear();
  }

  /** Every entry, for tools; allocates. */
  list(): { ip: number; mac: Uint8Array; state: NeighborState }[] {
    return [...this.#statics.values(), ...this.#cache.values()].map(({ ip, mac, state }) => ({
      ip,
      mac: mac.slice(),
      state,
    }));
  }

  /** An ARP packet; `offset` is behind the Ethernet header. */
  input(bytes: Uint8Array, offset: number, length: number): number {
    const arp = this.#arp;
    const status = parseArp(bytes, offset, length, arp);
    if (status !== OK) return status;
    if (arp.operation === ARP_REQUEST) this.#stats.arpInRequests++;
    else this.#stats.arpInReplies++;
    if (this.#routes.isLocal(arp.senderIp)) return this.#conflict(bytes, arp);

    const isForUs = this.#routes.isLocal(arp.targetIp);
    this.#learn(bytes, arp, isForUs);
    if (!isForUs) return DROP_ARP_NOT_FOR_US;
    if (arp.operation === ARP_REQUEST) this.#reply(bytes, arp);
    return OK;
  }

  /** Takes an outgoing IP packet (copied) that has to wait for its next hop's address, and asks for it. */
  enqueue(hop: NextHop, bytes: Uint8Array, offset: number, length: number, segmentSize: number): void {
    if (hop.state === 'failed') {
      this.#stats.drop(DROP_NEIGHBOR_UNREACHABLE);
      return;
    }
    if (hop.queue.length === QUEUE_PER_NEIGHBOR_MAX || this.#queuedPackets === QUEUE_TOTAL_MAX) {
      this.#stats.drop(DROP_NEIGHBOR_QUEUE_FULL);
      // The latest packet is the one worth keeping (RFC 1122, 2.3.2.2).
      if (hop.queue.length === 0) return;
      hop.queue.shift();
      this.#queuedPackets--;
    }
    hop.queue.push({ bytes: bytes.slice(offset, offset + length), segmentSize });
    this.#queuedPackets++;
    if (hop.state !== 'new') return;
    hop.state = 'resolving';
    hop.questions = 0;
    this.#ask(hop, RESOLVE_DELAYS_MS);
  }

  #find(ip: number): NextHop | undefined {
    return this.#statics.get(ip) ?? this.#cache.get(ip);
  }

  #learn(bytes: Uint8Array, arp: ArpPacket, isForUs: boolean): void {
    // A probe has no sender address (RFC 5227, 2.1.1) and says nothing about who owns one.
    if (arp.senderIp === 0) return;
    let hop = this.#find(arp.senderIp);
    if (hop === undefined) {
      if (!isForUs || arp.operation !== ARP_REQUEST) return;
      if (!this.#routes.isUnicastPeer(arp.senderIp) || !this.#routes.isOnLink(arp.senderIp)) return;
      hop = this.lookup(arp.senderIp);
    }
    if (hop.state === 'static') return;
    copyBytes(hop.mac, 0, bytes, arp.senderMacOffset, MAC_LENGTH);
    hop.state = 'reachable';
    hop.resolved = true;
    this.#timers.arm(hop, (this.#clock.nowMs + REACHABLE_MS) | 0);
    this.#sendQueue(hop);
  }

  #reply(bytes: Uint8Array, arp: ArpPacket): void {
    const requester = this.#requesterMac;
    copyBytes(requester, 0, bytes, arp.senderMacOffset, MAC_LENGTH);
    if (this.#send(ARP_REPLY, requester, arp.targetIp, requester, arp.senderIp)) this.#stats.arpOutReplies++;
  }

  /** An ARP that claims one of our addresses: our own frame come back, or a host we have to defend it against. */
  #conflict(bytes: Uint8Array, arp: ArpPacket): number {
    if (equalBytes(bytes, arp.senderMacOffset, this.#mac, 0, MAC_LENGTH)) return DROP_ARP_NOT_FOR_US;
    const sinceMs = (this.#clock.nowMs - this.#defendedAtMs) | 0;
    if (!this.#hasDefended || sinceMs < 0 || sinceMs >= DEFEND_INTERVAL_MS) {
      this.#hasDefended = true;
      this.#defendedAtMs = this.#clock.nowMs;
      this.#announceAddress(arp.senderIp);
    }
    return DROP_ARP_CONFLICT;
  }

  #announceOnce(): void {
    for (const { ip } of this.#routes.addresses) this.#announceAddress(ip);
    this.#announcer.left--;
    if (this.#announcer.left > 0) {
      this.#timers.arm(this.#announcer, (this.#clock.nowMs + ANNOUNCE_INTERVAL_MS) | 0);
    }
  }

  #announceAddress(ip: number): void {
    if (this.#send(ARP_REQUEST, BROADCAST_MAC, ip, ZERO_MAC, ip)) this.#stats.arpOutRequests++;
  }

  #ask(hop: NextHop, delays: readonly number[]): void {
    const to = hop.state === 'probing' ? hop.mac : BROADCAST_MAC;
    const source = this.#routes.sourceFor(hop.ip);
    if (this.#send(ARP_REQUEST, to, source, ZERO_MAC, hop.ip)) this.#stats.arpOutRequests++;
    this.#timers.arm(hop, (this.#clock.nowMs + delays[hop.questions]) | 0);
    hop.questions++;
  }

  #send(operation: number, ethernetTo: Uint8Array, senderIp: number, targetMac: Uint8Array, targetIp: number): boolean {
    const frame = this.#engine.reserve();
    if (frame === NO_FRAME) {
      this.#stats.drop(DROP_OUTPUT_FULL);
      return false;
    }
    const { memory } = this.#engine;
    const start = frame + writeEthernetHeader(memory, frame, ethernetTo, this.#mac, ETHERTYPE_ARP);
    const length = writeArp(memory, start, operation, this.#mac, senderIp, targetMac, targetIp);
    this.#engine.commit(ETHERNET_HEADER_LENGTH + length, 0);
    return true;
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
        this.#cache.delete(hop.ip);
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
      this.#cache.get(hop.ip);
      this.#ask(hop, PROBE_DELAYS_MS);
      return;
    }
    hop.idleChecks++;
    if (hop.idleChecks === IDLE_CHECKS_MAX) this.#cache.delete(hop.ip);
    else this.#timers.arm(hop, (this.#clock.nowMs + REACHABLE_MS) | 0);
  }

  #fail(hop: NextHop): void {
    hop.state = 'failed';
    hop.resolved = false;
    this.#timers.arm(hop, (this.#clock.nowMs + FAILED_HOLD_MS) | 0);
    for (const { bytes } of this.#dropQueue(hop)) this.onUnreachable(bytes);
  }

  /** The cache has let the entry go. */
  #detach(hop: NextHop): void {
    if (hop.state === 'static' || this.#statics.get(hop.ip) === hop) return;
    this.#timers.cancel(hop);
    hop.state = 'detached';
    hop.resolved = false;
    this.#dropQueue(hop);
  }

  #sendQueue(hop: NextHop): void {
    for (const { bytes, segmentSize } of hop.queue) {
      this.#queuedPackets--;
      const frame = this.#engine.reserve();
      if (frame === NO_FRAME) {
        this.#stats.drop(DROP_OUTPUT_FULL);
        continue;
      }
      const { memory } = this.#engine;
      writeEthernetHeader(memory, frame, hop.mac, this.#mac, ETHERTYPE_IPV4);
      memory.set(bytes, frame + ETHERNET_HEADER_LENGTH);
      this.#engine.commit(ETHERNET_HEADER_LENGTH + bytes.length, segmentSize);
    }
    hop.queue.length = 0;
  }

  /** @returns the packets that were lost. */
  #dropQueue(hop: NextHop): readonly QueuedPacket[] {
    const lost = hop.queue.splice(0);
    this.#queuedPackets -= lost.length;
    this.#stats.drops[DROP_NEIGHBOR_UNREACHABLE] += lost.length;
    return lost;
  }
}
