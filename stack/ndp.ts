// Neighbour discovery (RFC 4861) and address autoconfiguration (RFC 4862): asks for and tells hardware addresses, looks
// whether an address is free before it is used, and, with `slaac = on`, takes addresses and a router from
// advertisements. What is learned goes to the neighbour cache. Used by ipv6.ts.
import { Claim, type Conflict } from './claim.ts';
import type { Clock } from './clock.ts';
import type { Ipv6 } from './ipv6.ts';
import type { AddressResolver, Neighbors, NextHop } from './neighbors.ts';
import type { LocalAddress6 } from './routes6.ts';
import { DROP_NDP_CONFLICT, DROP_NDP_IGNORED, type Stats } from './stats.ts';
import { Timer, type TimerWheel } from './timer-wheel.ts';
import { copyBytes, equalBytes, readInt32, writeInt32 } from './wire/bytes.ts';
import { MAC_LENGTH } from './wire/ethernet.ts';
import {
  areNdpOptionsValid,
  findNdpOption,
  NA_OVERRIDE,
  NA_SOLICITED,
  NDP_NEIGHBOR_ADVERTISEMENT,
  NDP_NEIGHBOR_SOLICITATION,
  NDP_OPTION_PREFIX,
  NDP_OPTION_SOURCE_MAC,
  NDP_OPTION_TARGET_MAC,
  NDP_ROUTER_ADVERTISEMENT,
  NDP_ROUTER_SOLICITATION,
} from './wire/icmpv6.ts';
import { IPV6_ADDRESS_LENGTH, IPV6_SOURCE, isLinkLocal, isMulticastIpv6, isNoHost } from './wire/ipv6.ts';
import { NDP_INVALID, OK } from './wire/status.ts';

/** What every message here is sent with and must have: no router forwards it (RFC 4861 3.1). */
const HOP_LIMIT = 255;
/** RFC 4861 10: MAX_RTR_SOLICITATIONS, RTR_SOLICITATION_INTERVAL. */
const ROUTER_SOLICITATIONS = 3;
const ROUTER_SOLICITATION_MS = 4000;
const SLAAC_PREFIX_LENGTH = 64;
/** RetransTimer of RFC 4861 10, with Claim's three questions in it. */
const SLAAC_CHECK_MS = 1000;
/** Addresses that advertisements may give us; more is somebody's joke. */
const SLAAC_ADDRESSES_MAX = 8;
/** Longer lifetimes are renewed by advertisements long before: routers speak twice an hour at least (RFC 4861 6.2.1). */
const LIFETIME_SECONDS_MAX = 4 * 3600;
const TARGET = 8;
const OPTION_LENGTH = 8;

export class Ndp implements AddressResolver {
  /** Another host uses one of our addresses. */
  onConflict: (conflict: Conflict) => void = () => {};

  readonly #ipv6: Ipv6;
  readonly #neighbors: Neighbors;
  readonly #clock: Clock;
  readonly #timers: TimerWheel;
  readonly #stats: Stats;
  readonly #slaac: boolean;
  readonly #body = new Uint8Array(32);
  readonly #solicitor = new Timer(() => this.#solicitRouters());
  #solicitationsLeft = 0;
  #claim: Claim | null = null;
  /** The end of each address that an advertisement gave. */
  readonly #lifetimes = new Map<number, Timer>();
  /** Addresses that are being asked for. */
  readonly #tentative = new Map<number, Claim>();
  #routerLifetime: Timer | null = null;

  constructor(ipv6: Ipv6, neighbors: Neighbors, clock: Clock, timers: TimerWheel, stats: Stats, slaac: boolean) {
    this.#ipv6 = ipv6;
    this.#neighbors = neighbors;
    this.#clock = clock;
    this.#timers = timers;
    this.#stats = stats;
    this.#slaac = slaac;
  }

  /** Asks whether somebody has our addresses already (RFC 4862 5.4); until it is done we do not answer for them. */
  claim(totalMs: number, done: (conflict: Conflict | null) => void): void {
    const addresses = this.#ipv6.routes.addresses.map(({ ip }) => ip);
    const ask = (): void => {
      for (const ip of addresses) this.#solicit(this.#ipv6.unspecified, ip, null);
    };
    this.#claim = new Claim(this.#clock, this.#timers, totalMs, ask, (conflict) => {
      this.#claim = null;
      done(conflict);
    });
  }

  /** Tells the neighbours our addresses (RFC 4861 7.2.6), and asks for routers when they are to configure us. */
  start(): void {
    for (const address of this.#ipv6.routes.addresses) this.#announce(address);
    if (!this.#slaac) return;
    this.#solicitationsLeft = ROUTER_SOLICITATIONS;
    this.#solicitRouters();
  }

  close(): void {
    this.#claim?.cancel();
    this.#claim = null;
    this.#timers.cancel(this.#solicitor);
    for (const claim of this.#tentative.values()) claim.cancel();
    for (const timer of this.#lifetimes.values()) this.#timers.cancel(timer);
    if (this.#routerLifetime !== null) this.#timers.cancel(this.#routerLifetime);
  }

  ask(hop: NextHop, knownMac: Uint8Array | null): void {
    this.#solicit(this.#ipv6.routes.sourceFor(hop.ip), hop.ip, knownMac);
  }

  /**
   * A message of neighbour discovery, checksum verified; `packet` is where its IPv6 header begins.
   * @returns OK or why it was dropped.
   */
  input(bytes: Uint8Array, packet: number, offset: number, length: number, hopLimit: number): number {
    const type = bytes[offset];
    const fixed = FIXED_LENGTHS[type - NDP_ROUTER_SOLICITATION];
    const end = offset + length;
    const isValid =
      hopLimit === HOP_LIMIT &&
      bytes[offset + 1] === 0 &&
      length >= fixed &&
      areNdpOptionsValid(bytes, offset + fixed, end);
    if (!isValid) return NDP_INVALID;
    if (type === NDP_NEIGHBOR_SOLICITATION) return this.#solicited(bytes, packet, offset, end);
    if (type === NDP_NEIGHBOR_ADVERTISEMENT) return this.#advertised(bytes, offset, end);
    if (type === NDP_ROUTER_ADVERTISEMENT) return this.#routerAdvertised(bytes, packet, offset, end);
    return DROP_NDP_IGNORED;
  }

  // --- neighbours ---

  /** Somebody asks for one of our addresses (RFC 4861 7.2.3), or wants it himself (RFC 4862 5.4.3). */
  #solicited(bytes: Uint8Array, packet: number, offset: number, end: number): number {
    const { book, routes } = this.#ipv6;
    const target = book.find(bytes, offset + TARGET);
    if (isMulticastIpv6(bytes, offset + TARGET)) return NDP_INVALID;
    if (target !== 0 && this.#tentative.has(target)) return this.#contested(bytes, packet, target);
    if (target === 0 || !routes.isLocal(target)) return DROP_NDP_IGNORED;
    const source = packet + IPV6_SOURCE;
    const macOption = findNdpOption(bytes, offset + FIXED_NEIGHBOR, end, NDP_OPTION_SOURCE_MAC);
    const isProbe = isNoHost(bytes, source);
    if (isProbe && macOption >= 0) return NDP_INVALID;
    if (this.#claim !== null) return this.#contested(bytes, packet, target);
    if (isProbe) {
      this.#advertise(target, this.#ipv6.allNodes, null, NA_OVERRIDE);
      return OK;
    }
    const from = book.intern(bytes, source);
    if (!routes.isUnicastPeer(from)) return NDP_INVALID;
    if (macOption >= 0) this.#neighbors.learn(from, bytes, macOption + 2, routes.isOnLink(from));
    this.#advertise(target, from, this.#ipv6.senderMac, NA_SOLICITED | NA_OVERRIDE);
    return OK;
  }

  /** Somebody else probes for an address that we are asking for: nobody gets it (RFC 4862 5.4.3). */
  #contested(bytes: Uint8Array, packet: number, target: number): number {
    const mac = this.#ipv6.senderMac;
    const isOwn = equalBytes(mac, 0, this.#ipv6.link.mac, 0, MAC_LENGTH);
    if (isOwn || !isNoHost(bytes, packet + IPV6_SOURCE)) return DROP_NDP_IGNORED;
    (this.#tentative.get(target) ?? this.#claim)?.lose({ ip: target, mac });
    return DROP_NDP_CONFLICT;
  }

  /** A neighbour tells its hardware address (RFC 4861 7.2.5). */
  #advertised(bytes: Uint8Array, offset: number, end: number): number {
    const { book, routes } = this.#ipv6;
    if (isMulticastIpv6(bytes, offset + TARGET)) return NDP_INVALID;
    const target = book.find(bytes, offset + TARGET);
    if (target === 0) return DROP_NDP_IGNORED;
    const macOption = findNdpOption(bytes, offset + FIXED_NEIGHBOR, end, NDP_OPTION_TARGET_MAC);
    if (routes.isLocal(target) || this.#tentative.has(target)) return this.#conflict(bytes, target, macOption);
    if (macOption < 0) return DROP_NDP_IGNORED;
    const overrides = (bytes[offset + 4] & NA_OVERRIDE) !== 0;
    if (!overrides && this.#neighbors.knowsOther(target, bytes, macOption + 2)) return DROP_NDP_IGNORED;
    this.#neighbors.learn(target, bytes, macOption + 2, false);
    return OK;
  }

  /** Somebody has, or says to have, what is ours. */
  #conflict(bytes: Uint8Array, target: number, macOption: number): number {
    const { mac } = this.#ipv6.link;
    if (macOption < 0 || equalBytes(bytes, macOption + 2, mac, 0, MAC_LENGTH)) return DROP_NDP_IGNORED;
    const conflict = { ip: target, mac: bytes.slice(macOption + 2, macOption + 2 + MAC_LENGTH) };
    const claim = this.#tentative.get(target) ?? this.#claim;
    if (claim !== null) claim.lose(conflict);
    else this.onConflict(conflict);
    return DROP_NDP_CONFLICT;
  }

  #solicit(sourceIp: number, targetIp: number, knownMac: Uint8Array | null): void {
    const ipv6 = this.#ipv6;
    ipv6.book.write(targetIp, this.#body, 0);
    // A probe must not say who asks (RFC 4862 5.4.2).
    const length = sourceIp === ipv6.unspecified ? IPV6_ADDRESS_LENGTH : this.#addMac(NDP_OPTION_SOURCE_MAC);
    const to = knownMac === null ? ipv6.solicitedNode(targetIp) : targetIp;
    if (ipv6.sendIcmp(sourceIp, to, knownMac, NDP_NEIGHBOR_SOLICITATION, 0, 0, this.#body, length, HOP_LIMIT)) {
      this.#stats.icmp6OutNeighborSolicits++;
    }
  }

  #announce({ ip }: LocalAddress6): void {
    this.#advertise(ip, this.#ipv6.allNodes, null, NA_OVERRIDE);
  }

  #advertise(targetIp: number, to: number, mac: Uint8Array | null, flags: number): void {
    const ipv6 = this.#ipv6;
    ipv6.book.write(targetIp, this.#body, 0);
    const length = this.#addMac(NDP_OPTION_TARGET_MAC);
    const type = NDP_NEIGHBOR_ADVERTISEMENT;
    if (ipv6.sendIcmp(targetIp, to, mac, type, 0, flags << 24, this.#body, length, HOP_LIMIT)) {
      this.#stats.icmp6OutNeighborAdvertisements++;
    }
  }

  /** Our hardware address as an option behind the target. @returns the body's length. */
  #addMac(type: number): number {
    const body = this.#body;
    writeInt32(body, IPV6_ADDRESS_LENGTH, (type << 24) | (1 << 16));
    copyBytes(body, IPV6_ADDRESS_LENGTH + 2, this.#ipv6.link.mac, 0, MAC_LENGTH);
    return IPV6_ADDRESS_LENGTH + OPTION_LENGTH;
  }

  // --- routers ---

  #solicitRouters(): void {
    if (this.#solicitationsLeft === 0) return;
    this.#solicitationsLeft--;
    const ipv6 = this.#ipv6;
    const body = this.#body;
    writeInt32(body, 0, (NDP_OPTION_SOURCE_MAC << 24) | (1 << 16));
    copyBytes(body, 2, ipv6.link.mac, 0, MAC_LENGTH);
    const source = ipv6.routes.sourceFor(ipv6.allRouters);
    const type = NDP_ROUTER_SOLICITATION;
    if (ipv6.sendIcmp(source, ipv6.allRouters, null, type, 0, 0, body, OPTION_LENGTH, HOP_LIMIT)) {
      this.#stats.icmp6OutRouterSolicits++;
    }
    this.#timers.arm(this.#solicitor, (this.#clock.nowMs + ROUTER_SOLICITATION_MS) | 0);
  }

  /** A router speaks (RFC 4861 6.3.4): with `slaac = on` it may be ours and give us addresses. */
  #routerAdvertised(bytes: Uint8Array, packet: number, offset: number, end: number): number {
    if (!isLinkLocal(bytes, packet + IPV6_SOURCE)) return NDP_INVALID;
    if (!this.#slaac || this.#claim !== null) return DROP_NDP_IGNORED;
    this.#solicitationsLeft = 0;
    const options = offset + FIXED_ROUTER;
    const router = this.#ipv6.book.intern(bytes, packet + IPV6_SOURCE);
    const macOption = findNdpOption(bytes, options, end, NDP_OPTION_SOURCE_MAC);
    if (macOption >= 0) this.#neighbors.learn(router, bytes, macOption + 2, true);
    this.#useRouter(router, (bytes[offset + 6] << 8) | bytes[offset + 7]);
    for (let at = options; at < end; at += bytes[at + 1] << 3) {
      if (bytes[at] === NDP_OPTION_PREFIX && bytes[at + 1] === 4) this.#usePrefix(bytes, at);
    }
    return OK;
  }

  #useRouter(router: number, lifetimeSeconds: number): void {
    const { routes } = this.#ipv6;
    this.#routerLifetime ??= new Timer(() => routes.setRouter(0));
    this.#timers.cancel(this.#routerLifetime);
    routes.setRouter(lifetimeSeconds === 0 ? 0 : router);
    if (lifetimeSeconds > 0) this.#timers.arm(this.#routerLifetime, this.#after(lifetimeSeconds));
  }

  /** RFC 4862 5.5.3: an address of the prefix and our interface identifier, for as long as it is valid. */
  #usePrefix(bytes: Uint8Array, option: number): void {
    const isAutonomous = (bytes[option + 3] & 0x40) !== 0;
    const validSeconds = readInt32(bytes, option + 4) >>> 0;
    const prefix = option + 16;
    if (!isAutonomous || bytes[option + 2] !== SLAAC_PREFIX_LENGTH || isLinkLocal(bytes, prefix)) return;
    if (isMulticastIpv6(bytes, prefix) || isNoHost(bytes, prefix)) return;
    const address = this.#ipv6.interfaceAddress(bytes.subarray(prefix, prefix + 8));
    const known = this.#ipv6.book.find(address, 0);
    const timer = this.#lifetimes.get(known);
    if (timer === undefined) this.#tryAddress(address, validSeconds);
    else if (validSeconds === 0) this.#expire(known);
    else this.#timers.arm(timer, this.#after(validSeconds));
  }

  /** A new address is ours when nobody else has it (RFC 4862 5.4). */
  #tryAddress(bytes: Uint8Array, validSeconds: number): void {
    const ip = this.#ipv6.book.intern(bytes, 0);
    const isEnough = this.#lifetimes.size + this.#tentative.size === SLAAC_ADDRESSES_MAX;
    if (validSeconds === 0 || isEnough || this.#tentative.has(ip)) return;
    const ask = (): void => this.#solicit(this.#ipv6.unspecified, ip, null);
    const done = (conflict: Conflict | null): void => {
      this.#tentative.delete(ip);
      if (conflict !== null) {
        this.onConflict(conflict);
        return;
      }
      const timer = new Timer(() => this.#expire(ip));
      this.#lifetimes.set(ip, timer);
      this.#timers.arm(timer, this.#after(validSeconds));
      this.#announce(this.#ipv6.addAddress({ bytes, prefixLength: SLAAC_PREFIX_LENGTH }));
    };
    this.#tentative.set(ip, new Claim(this.#clock, this.#timers, SLAAC_CHECK_MS, ask, done));
  }

  /** Whether these are the last three bytes of an address that is being asked for. */
  isSolicited(bytes: Uint8Array, at: number): boolean {
    for (const ip of this.#tentative.keys()) if (equalBytes(this.#ipv6.book.bytesOf(ip), 13, bytes, at, 3)) return true;
    return false;
  }

  /** What advertisements have given us, with what is left of it in milliseconds. */
  get advertised(): { readonly addresses: { ip: number; leftMs: number }[]; readonly routerLeftMs: number } {
    const { nowMs } = this.#clock;
    const left = (timer: Timer | null): number =>
      timer === null || timer.timerSlot < 0 ? 0 : (timer.timerAt - nowMs) | 0;
    return {
      addresses: [...this.#lifetimes].map(([ip, timer]) => ({ ip, leftMs: left(timer) })),
      routerLeftMs: left(this.#routerLifetime),
    };
  }

  /** Goes on with an address that an advertisement gave to another of us; nobody is asked or told. */
  goOnWithAddress(ip: number, leftMs: number): void {
    const timer = new Timer(() => this.#expire(ip));
    this.#lifetimes.set(ip, timer);
    this.#timers.arm(timer, (this.#clock.nowMs + leftMs) | 0);
    this.#ipv6.routes.addAddress({ bytes: this.#ipv6.book.bytesOf(ip), prefixLength: SLAAC_PREFIX_LENGTH });
  }

  goOnWithRouter(router: number, leftMs: number): void {
    this.#useRouter(router, Math.ceil(leftMs / 1000));
  }

  /** Every number that is kept here. */
  mark(mark: (ip: number) => void): void {
    for (const ip of this.#tentative.keys()) mark(ip);
  }

  #expire(ip: number): void {
    const timer = this.#lifetimes.get(ip);
    if (timer !== undefined) this.#timers.cancel(timer);
    this.#lifetimes.delete(ip);
    this.#ipv6.removeAddress(ip);
  }

  #after(seconds: number): number {
    return (this.#clock.nowMs + Math.min(seconds, LIFETIME_SECONDS_MAX) * 1000) | 0;
  }
}

/** Bytes before the options: of solicitations and advertisements of routers, then of neighbours. */
const FIXED_ROUTER = 16;
const FIXED_NEIGHBOR = 24;
const FIXED_LENGTHS = [8, FIXED_ROUTER, FIXED_NEIGHBOR, FIXED_NEIGHBOR];
