// ARP: asks for and tells hardware addresses (RFC 826), sees to it that nobody else has ours (RFC 5227). What is learned
// goes to the neighbour cache. Any ARP from a neighbour updates an entry that exists; only a request for one of our
// addresses or our own question makes a new one. Used by ip.ts.
import { Claim, type Conflict } from './claim.ts';
import type { Clock } from './clock.ts';
import type { EthernetLink } from './ethernet-link.ts';
import type { AddressResolver, Neighbors, NextHop } from './neighbors.ts';
import type { Routes } from './routes.ts';
import { DROP_ARP_CONFLICT, DROP_ARP_NOT_FOR_US, DROP_OUTPUT_FULL, type Stats } from './stats.ts';
import { Timer, type TimerWheel } from './timer-wheel.ts';
import { ARP_REPLY, ARP_REQUEST, ArpPacket, parseArp, writeArp } from './wire/arp.ts';
import { copyBytes, equalBytes } from './wire/bytes.ts';
import { BROADCAST_MAC, ETHERTYPE_ARP, MAC_LENGTH } from './wire/ethernet.ts';
import { OK } from './wire/status.ts';

/** RFC 5227, 1.1: ANNOUNCE_INTERVAL, ANNOUNCE_NUM, DEFEND_INTERVAL. */
const ANNOUNCE_INTERVAL_MS = 2000;
const ANNOUNCE_COUNT = 2;
const DEFEND_INTERVAL_MS = 10_000;

const ZERO_MAC = new Uint8Array(MAC_LENGTH);

export class Arp implements AddressResolver {
  /** Another host uses one of our addresses; called once in ten seconds, when we defend it. */
  onConflict: (conflict: Conflict) => void = () => {};

  readonly #link: EthernetLink;
  readonly #clock: Clock;
  readonly #timers: TimerWheel;
  readonly #routes: Routes;
  readonly #neighbors: Neighbors;
  readonly #stats: Stats;
  readonly #arp = new ArpPacket();
  readonly #announcer = new Timer(() => this.#announceOnce());
  readonly #requesterMac = new Uint8Array(MAC_LENGTH);
  #announcementsLeft = 0;
  #claim: Claim | null = null;
  #claimed: readonly number[] = [];
  #defendedAtMs = 0;
  #hasDefended = false;

  constructor(
    link: EthernetLink,
    clock: Clock,
    timers: TimerWheel,
    routes: Routes,
    neighbors: Neighbors,
    stats: Stats,
  ) {
    this.#link = link;
    this.#clock = clock;
    this.#timers = timers;
    this.#routes = routes;
    this.#neighbors = neighbors;
    this.#stats = stats;
  }

  /**
   * Asks whether somebody has addresses that are to be ours (RFC 5227, 2.1). Until `done` has been called with null we do not
   * answer for them.
   */
  claim(addresses: readonly number[], totalMs: number, done: (conflict: Conflict | null) => void): void {
    const ask = (): void => {
      for (const ip of addresses) this.#probe(ip);
    };
    this.#claimed = addresses;
    this.#claim = new Claim(this.#clock, this.#timers, totalMs, ask, (conflict) => {
      this.#claim = null;
      done(conflict);
    });
  }

  /** Tells the network our addresses (RFC 5227, 2.3): now, and once more a little later. */
  announce(): void {
    this.#announcementsLeft = ANNOUNCE_COUNT;
    this.#announceOnce();
  }

  /** Cancels what is still to come. */
  close(): void {
    this.#timers.cancel(this.#announcer);
    this.#claim?.cancel();
    this.#claim = null;
  }

  ask(hop: NextHop, knownMac: Uint8Array | null): void {
    const source = this.#routes.sourceFor(hop.ip);
    if (this.#send(ARP_REQUEST, knownMac ?? BROADCAST_MAC, source, ZERO_MAC, hop.ip)) this.#stats.arpOutRequests++;
  }

  /** An ARP packet; `offset` is behind the Ethernet header. @param isQuiet somebody else answers. */
  input(bytes: Uint8Array, offset: number, length: number, isQuiet = false): number {
    const arp = this.#arp;
    const status = parseArp(bytes, offset, length, arp);
    if (status !== OK) return status;
    if (arp.operation === ARP_REQUEST) this.#stats.arpInRequests++;
    else this.#stats.arpInReplies++;
    if (this.#claim !== null) return this.#whileClaiming(bytes, arp, this.#claim);
    if (this.#routes.isLocal(arp.senderIp)) return this.#conflict(bytes, arp);

    const isForUs = this.#routes.isLocal(arp.targetIp);
    this.#learn(bytes, arp, isForUs);
    if (!isForUs) return DROP_ARP_NOT_FOR_US;
    if (arp.operation === ARP_REQUEST && !isQuiet) this.#reply(bytes, arp);
    return OK;
  }

  /** Whoever speaks as one of our addresses, or probes for it as we do, has it (RFC 5227, 2.1.1). */
  #whileClaiming(bytes: Uint8Array, arp: ArpPacket, claim: Claim): number {
    if (equalBytes(bytes, arp.senderMacOffset, this.#link.mac, 0, MAC_LENGTH)) return DROP_ARP_NOT_FOR_US;
    const ip = arp.senderIp === 0 && arp.operation === ARP_REQUEST ? arp.targetIp : arp.senderIp;
    if (!this.#claimed.includes(ip)) return DROP_ARP_NOT_FOR_US;
    claim.lose({ ip, mac: bytes.slice(arp.senderMacOffset, arp.senderMacOffset + MAC_LENGTH) });
    return DROP_ARP_CONFLICT;
  }

  #learn(bytes: Uint8Array, arp: ArpPacket, isForUs: boolean): void {
    // A probe has no sender address (RFC 5227, 2.1.1) and says nothing about who owns one.
    if (arp.senderIp === 0) return;
    const mayMakeNew =
      isForUs &&
      arp.operation === ARP_REQUEST &&
      this.#routes.isUnicastPeer(arp.senderIp) &&
      this.#routes.isOnLink(arp.senderIp);
    this.#neighbors.learn(arp.senderIp, bytes, arp.senderMacOffset, mayMakeNew);
  }

  #reply(bytes: Uint8Array, arp: ArpPacket): void {
    const requester = this.#requesterMac;
    copyBytes(requester, 0, bytes, arp.senderMacOffset, MAC_LENGTH);
    if (this.#send(ARP_REPLY, requester, arp.targetIp, requester, arp.senderIp)) this.#stats.arpOutReplies++;
  }

  /** An ARP that claims one of our addresses: our own frame come back, or a host we have to defend it against. */
  #conflict(bytes: Uint8Array, arp: ArpPacket): number {
    const { senderIp, senderMacOffset } = arp;
    if (equalBytes(bytes, senderMacOffset, this.#link.mac, 0, MAC_LENGTH)) return DROP_ARP_NOT_FOR_US;
    const sinceMs = (this.#clock.nowMs - this.#defendedAtMs) | 0;
    if (!this.#hasDefended || sinceMs < 0 || sinceMs >= DEFEND_INTERVAL_MS) {
      this.#hasDefended = true;
      this.#defendedAtMs = this.#clock.nowMs;
      this.#announceAddress(senderIp);
      this.onConflict({ ip: senderIp, mac: bytes.slice(senderMacOffset, senderMacOffset + MAC_LENGTH) });
    }
    return DROP_ARP_CONFLICT;
  }

  #announceOnce(): void {
    for (const { ip } of this.#routes.addresses) this.#announceAddress(ip);
    this.#announcementsLeft--;
    if (this.#announcementsLeft > 0) {
      this.#timers.arm(this.#announcer, (this.#clock.nowMs + ANNOUNCE_INTERVAL_MS) | 0);
    }
  }

  #announceAddress(ip: number): void {
    if (this.#send(ARP_REQUEST, BROADCAST_MAC, ip, ZERO_MAC, ip)) this.#stats.arpOutRequests++;
  }

  /** A question that tells nobody anything: without sender address. */
  #probe(ip: number): void {
    if (this.#send(ARP_REQUEST, BROADCAST_MAC, 0, ZERO_MAC, ip)) this.#stats.arpOutRequests++;
  }

  #send(operation: number, ethernetTo: Uint8Array, senderIp: number, targetMac: Uint8Array, targetIp: number): boolean {
    const link = this.#link;
    const start = link.begin(ethernetTo, ETHERTYPE_ARP);
    if (start < 0) {
      this.#stats.drop(DROP_OUTPUT_FULL);
      return false;
    }
    link.commit(writeArp(link.engine.memory, start, operation, link.mac, senderIp, targetMac, targetIp), 0);
    return true;
  }
}
