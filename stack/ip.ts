// IP on this host: takes frames apart and hands payloads to TCP and ICMP; puts headers before what they send, straight in
// the engine's outgoing frames. IPv4 is here (RFC 791, RFC 1122 3.2), receiving IPv6 in ipv6.ts. Used by stack.ts and tcp/.
import { type FrameEngine, NO_FRAME, RX_CHECKSUM_TRUSTED, RX_VLAN_STRIPPED } from '../io-engine/frame-engine.ts';
import { Arp } from './arp.ts';
import type { Conflict } from './claim.ts';
import type { Clock, RandomSource } from './clock.ts';
import type { Ipv6Config, StackConfig } from './config.ts';
import { Dhcp } from './dhcp.ts';
import { EthernetLink } from './ethernet-link.ts';
import type { FrameTap } from './frame-tap.ts';
import { Icmp, type IcmpErrorHandler, type PacketOutput } from './icmp.ts';
import { Ipv6 } from './ipv6.ts';
import { Ipv6Book, isIpv6 } from './ipv6-book.ts';
import { Neighbors, NextHop } from './neighbors.ts';
import type { Probe } from './probe.ts';
import { REASSEMBLY_DONE, REASSEMBLY_REFUSED, Reassembly } from './reassembly.ts';
import { Routes } from './routes.ts';
import type { Routes6 } from './routes6.ts';
import {
  DROP_ETHERNET_NOT_FOR_US,
  DROP_ETHERNET_OTHER_VLAN,
  DROP_ETHERNET_UNKNOWN_TYPE,
  DROP_IPV4_BAD_SOURCE,
  DROP_IPV4_BROADCAST,
  DROP_IPV4_FRAGMENT,
  DROP_IPV4_NOT_FOR_US,
  DROP_IPV4_UNKNOWN_PROTOCOL,
  DROP_UDP_NO_PORT,
  type Stats,
} from './stats.ts';
import type { TimerWheel } from './timer-wheel.ts';
import { copyBytes, equalBytes, readUint16 } from './wire/bytes.ts';
import {
  ETHERNET_HEADER_LENGTH,
  ETHERNET_SOURCE,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_VLAN,
  isGroupMac,
  MAC_LENGTH,
  readEtherType,
  VLAN_TAG_LENGTH,
} from './wire/ethernet.ts';
import {
  formatIpv4,
  fragmentWordOf,
  IPV4_HEADER_LENGTH,
  Ipv4Header,
  isLaterFragment,
  isMulticastIp,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  parseIpv4,
  parseIpv4Address,
  writeIpv4Header,
} from './wire/ipv4.ts';
import {
  formatIpv6,
  IPV6_DESTINATION,
  IPV6_HEADER_LENGTH,
  IPV6_SOURCE,
  parseIpv6Address,
  writeIpv6Header,
} from './wire/ipv6.ts';
import { ETHERNET_TRUNCATED, OK } from './wire/status.ts';

const VLAN_IDENTIFIER = 0xfff;

/** What IP needs of TCP. */
export interface TcpHandler extends IcmpErrorHandler {
  /**
   * A segment between two unicast addresses, the second one ours. Counts its own drops.
   * @param offset of the TCP header; `length` is header and payload.
   * @param isChecksumTrusted the checksum need not be verified. @param ecn code point of the packet (RFC 3168 5).
   */
  input(
    bytes: Uint8Array,
    offset: number,
    length: number,
    sourceIp: number,
    destinationIp: number,
    isChecksumTrusted: boolean,
    ecn: number,
  ): void;
}

export class Ip implements PacketOutput {
  /** What the numbers of IPv6 addresses stand for. */
  readonly book: Ipv6Book;
  /** Null: netdev.conf has nothing for it. */
  readonly ipv6: Ipv6 | null;
  /** Null: our IPv4 addresses stand in netdev.conf. */
  readonly dhcp: Dhcp | null;
  readonly routes: Routes;
  readonly arp: Arp;
  readonly neighbors: Neighbors;
  readonly icmp: Icmp;
  readonly reassembly: Reassembly;
  /**
   * Several stacks serve our addresses, and the device gave this one a frame that the others should hear as well: ARP and
   * ICMP errors, whose flows may be theirs. Null: there are no others.
   */
  onHeard: ((bytes: Uint8Array, offset: number, length: number) => void) | null = null;
  /** Another stack answers what is asked of the host: ARP and echo requests. */
  isQuiet = false;
  /** Questions to other hosts that are under way. */
  readonly probes = new Set<Probe>();

  readonly #engine: FrameEngine;
  readonly #stats: Stats;
  readonly #rxChecksum: StackConfig['rxChecksum'];
  readonly #ttl: number;
  readonly #tos: number;
  readonly #isEthernet: boolean;
  /** Bytes of a frame before its IP header. */
  readonly #linkHeaderLength: number;
  readonly #link: EthernetLink;
  readonly #header = new Ipv4Header();
  /** Where every packet goes on a medium without hardware addresses. */
  readonly #onlyHop: NextHop;
  /** Back to where the frame in hand came from. */
  readonly #replyHop: NextHop;
  /** The frame in hand. */
  #received = 0;
  #tcp: TcpHandler | null = null;
  #identification: number;

  // The packet between beginPacket and finishPacket.
  #frame = NO_FRAME;
  #hop: NextHop;
  #sourceIp = 0;
  #destinationIp = 0;
  #protocol = 0;

  constructor(
    engine: FrameEngine,
    config: StackConfig,
    clock: Clock,
    random: RandomSource,
    timers: TimerWheel,
    stats: Stats,
  ) {
    this.#engine = engine;
    this.#stats = stats;
    this.#rxChecksum = config.rxChecksum;
    this.#ttl = config.ttl;
    this.#tos = config.tos;
    this.#isEthernet = engine.link.medium === 'ethernet';
    this.#link = new EthernetLink(engine, config.vlan);
    this.#linkHeaderLength = this.#isEthernet ? this.#link.headerLength : 0;
    this.#identification = random.int32();
    this.routes = new Routes(config.addresses, config.gateway, config.routes);
    this.neighbors = new Neighbors(this.#link, clock, timers, stats);
    this.arp = new Arp(this.#link, clock, timers, this.routes, this.neighbors, stats);
    this.neighbors.arp = this.arp;
    this.icmp = new Icmp(engine, clock, this.routes, stats, this);
    this.dhcp = config.dhcp ? this.#openDhcp(config, clock, timers, random) : null;
    this.reassembly = new Reassembly(clock, timers);
    this.reassembly.onFailure = () => this.#stats.ipReasmFails++;
    this.book = new Ipv6Book(random);
    this.ipv6 = config.ipv6 === null ? null : this.#openIpv6(config.ipv6, clock, timers, random);
    this.reassembly.onTimeout = (packet) => {
      if (packet[0] >>> 4 === 6) this.ipv6?.sendReassemblyTimeout(packet);
      else this.icmp.sendReassemblyTimeout(packet);
    };
    const onEchoReply = (sourceIp: number, rest: number): boolean =>
      [...this.probes].some((probe) => probe.onReply(sourceIp, rest));
    this.icmp.onEchoReply = onEchoReply;
    if (this.ipv6 !== null) this.ipv6.icmp.onEchoReply = onEchoReply;
    this.neighbors.onUnreachable = (packet) => {
      if (packet[0] >>> 4 === 6) this.ipv6?.icmp.reportUnreachable(packet);
      else this.icmp.reportUnreachable(packet);
    };
    for (const { ip, mac } of config.arp) this.neighbors.addStatic(ip, mac);
    for (const { bytes, mac } of config.ipv6?.neighbors ?? []) this.neighbors.addStatic(this.book.pin(bytes), mac);
    this.#onlyHop = new NextHop(0, this.neighbors);
    this.#onlyHop.resolved = true;
    this.#replyHop = new NextHop(0, this.neighbors);
    this.#replyHop.resolved = true;
    this.#hop = this.#onlyHop;
  }

  #openDhcp({ addressCheckMs, hostName }: StackConfig, clock: Clock, timers: TimerWheel, random: RandomSource): Dhcp {
    const { routes, arp } = this;
    const shared = { link: this.#link, output: this, routes, arp, clock, timers, random, stats: this.#stats };
    return new Dhcp({ ...shared, addressCheckMs, hostName });
  }

  #openIpv6(config: Ipv6Config, clock: Clock, timers: TimerWheel, random: RandomSource): Ipv6 {
    const { book, neighbors, reassembly } = this;
    const shared = { link: this.#link, clock, timers, random, book, neighbors, reassembly, stats: this.#stats };
    const ipv6 = new Ipv6({ ...shared, config, rxChecksum: this.#rxChecksum });
    neighbors.ndp = ipv6.ndp;
    return ipv6;
  }

  setTcp(handler: TcpHandler): void {
    this.#tcp = handler;
    this.icmp.setErrorHandler(handler);
    this.ipv6?.setTcp(handler);
  }

  /** Tells the network who we are. Frames leave with the next flush. */
  start(): void {
    if (!this.#isEthernet) return;
    this.arp.announce();
    this.ipv6?.start();
  }

  /** VLAN that we are in; 0: none. */
  get vlan(): number {
    return this.#link.vlan;
  }

  /** Sees every frame that is sent. */
  set tap(tap: FrameTap | null) {
    this.#link.tap = tap;
  }

  /** Another host uses one of our addresses. */
  set onConflict(told: (conflict: Conflict) => void) {
    this.arp.onConflict = told;
    if (this.ipv6 !== null) this.ipv6.ndp.onConflict = told;
  }

  // --- addresses of either family ---

  /** Whether it is one of ours. */
  isLocal(ip: number): boolean {
    return isIpv6(ip) ? this.ipv6?.routes.isLocal(ip) === true : this.routes.isLocal(ip);
  }

  /** The number that stands for an address as people write it; null: it is none, or IPv6 is off. */
  parse(text: string): number | null {
    if (!text.includes(':')) return parseIpv4Address(text);
    const bytes = this.ipv6 === null ? null : parseIpv6Address(text);
    return bytes === null ? null : this.book.intern(bytes, 0);
  }

  format(ip: number): string {
    return isIpv6(ip) ? formatIpv6(this.book.bytesOf(ip), 0) : formatIpv4(ip);
  }

  /** Every address we have now, with its prefix length, as people write it. */
  addressTexts(): string[] {
    const own: readonly { readonly ip: number; readonly prefixLength: number }[] = [
      ...this.routes.addresses,
      ...(this.ipv6?.routes.addresses ?? []),
    ];
    return own.map(({ ip, prefixLength }) => `${this.format(ip)}/${prefixLength}`);
  }

  /** Calls `mark` with every number of an IPv6 address that is kept below TCP. */
  mark(mark: (ip: number) => void): void {
    this.neighbors.mark(mark);
    this.reassembly.mark(mark);
    this.ipv6?.mark(mark);
  }

  /** Asks whether somebody else has our addresses; tells the network that they are ours if nobody has. */
  claim(totalMs: number, done: (conflict: Conflict | null) => void): void {
    if (!this.#isEthernet) {
      done(null);
      return;
    }
    let waiting = this.ipv6 === null ? 1 : 2;
    const answered = (conflict: Conflict | null): void => {
      waiting--;
      if (conflict === null && waiting > 0) return;
      if (conflict === null) this.start();
      // The other family's answer does not matter any more.
      waiting = Number.POSITIVE_INFINITY;
      done(conflict);
    };
    const addresses = this.routes.addresses.map(({ ip }) => ip);
    this.arp.claim(addresses, totalMs, answered);
    this.ipv6?.ndp.claim(totalMs, answered);
  }

  close(): void {
    for (const probe of this.probes) probe.cancel();
    this.dhcp?.close();
    this.reassembly.close();
    this.arp.close();
    this.ipv6?.close();
    this.neighbors.close();
  }

  /**
   * Takes one received frame.
   * @param flags the engine's RX_* bits.
   * @returns 0, or the reason for which it was dropped (counted already).
   */
  input(bytes: Uint8Array, offset: number, length: number, flags: number): number {
    const status = this.#isEthernet
      ? this.#ethernetInput(bytes, offset, length, flags)
      : this.#ipv4Input(bytes, offset, length, flags);
    return status === OK ? OK : this.#stats.drop(status);
  }

  /** Takes a frame that another stack with our addresses has heard and answered. */
  overhear(frame: Uint8Array): void {
    const { onHeard, isQuiet } = this;
    this.onHeard = null;
    this.isQuiet = true;
    this.input(frame, 0, frame.length, 0);
    this.onHeard = onHeard;
    this.isQuiet = isQuiet;
  }

  /**
   * Whom to send to for a destination; a connection keeps the answer. Null: no route, or not a host's address.
   * Allocates when the neighbour is a new one.
   */
  nextHop(destinationIp: number): NextHop | null {
    const hopIp = this.#routesFor(destinationIp)?.nextHopIp(destinationIp) ?? null;
    if (hopIp === null) {
      this.#stats.ipOutNoRoutes++;
      return null;
    }
    return this.#isEthernet ? this.neighbors.lookup(hopIp) : this.#onlyHop;
  }

  /**
   * As `nextHop`, for an answer to the frame in hand that nothing is kept of: a neighbour that is not known gets it at the
   * address the frame came from. Made-up neighbours would cost an entry, a question to everybody and a copy each.
   */
  replyHop(destinationIp: number): NextHop | null {
    const hopIp = this.#routesFor(destinationIp)?.nextHopIp(destinationIp) ?? null;
    if (hopIp === null || hopIp !== destinationIp || !this.#isEthernet) return this.nextHop(destinationIp);
    const known = this.neighbors.resolved(hopIp);
    if (known !== null) return known;
    const { memory } = this.#engine;
    const from = this.#received + ETHERNET_SOURCE;
    if (isGroupMac(memory, from)) return this.nextHop(destinationIp);
    const hop = this.#replyHop;
    copyBytes(hop.mac, 0, memory, from, MAC_LENGTH);
    return hop;
  }

  /** Our address to use towards a destination, 0 if there is no route to it. */
  sourceFor(destinationIp: number): number {
    if (isIpv6(destinationIp)) return this.ipv6?.routes.sourceFor(destinationIp) ?? 0;
    const hopIp = this.routes.nextHopIp(destinationIp);
    return hopIp === null ? 0 : this.routes.sourceFor(hopIp);
  }

  #routesFor(ip: number): Routes | Routes6 | undefined {
    return isIpv6(ip) ? this.ipv6?.routes : this.routes;
  }

  /**
   * Starts an outgoing packet.
   * @param isLong it is to be cut by the device.
   * @returns the offset in the engine's memory where the transport header goes, with room for link.mtu bytes less the
   *   IP header (more where the device segments); -1 while no outgoing slot is free. Not finishing it costs nothing.
   */
  beginPacket(hop: NextHop, sourceIp: number, destinationIp: number, protocol: number, isLong = false): number {
    const frame = this.#engine.reserve(isLong);
    if (frame === NO_FRAME) return -1;
    this.#frame = frame;
    this.#hop = hop;
    this.#sourceIp = sourceIp;
    this.#destinationIp = destinationIp;
    this.#protocol = protocol;
    return frame + this.#linkHeaderLength + (isIpv6(destinationIp) ? IPV6_HEADER_LENGTH : IPV4_HEADER_LENGTH);
  }

  /**
   * Writes the headers before the transport's bytes and sends the packet, or has it wait for its next hop's address.
   * @param transportLength transport header and payload, bytes.
   * @param segmentSize payload bytes per segment when the device is to cut it up, else 0.
   * @param ecn code point (RFC 3168 5).
   * @param dontFragment TCP discovers the path's MTU (RFC 1191); what cannot be made smaller may be cut up on its way.
   * @param fragmentWord IPv4: of a part of a datagram.
   */
  finishPacket(
    transportLength: number,
    segmentSize: number,
    ecn = 0,
    dontFragment = this.#protocol === PROTOCOL_TCP,
    fragmentWord = 0,
  ): void {
    const { memory } = this.#engine;
    const packet = this.#frame + this.#linkHeaderLength;
    const isVersion6 = isIpv6(this.#destinationIp);
    const totalLength = transportLength + (isVersion6 ? IPV6_HEADER_LENGTH : IPV4_HEADER_LENGTH);
    if (isVersion6) this.#writeIpv6(memory, packet, transportLength, this.#tos | ecn);
    else this.#writeIpv4(memory, packet, totalLength, this.#tos | ecn, dontFragment, fragmentWord);
    this.#stats.ipOutRequests++;
    if (this.#isEthernet) {
      let hop = this.#hop;
      if (!hop.resolved) {
        hop = this.neighbors.current(hop);
        if (!hop.resolved) {
          this.neighbors.enqueue(hop, memory, packet, totalLength, segmentSize);
          return;
        }
      }
      hop.used = true;
      this.#link.writeHeader(this.#frame, hop.mac, isVersion6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
    }
    const length = this.#linkHeaderLength + totalLength;
    if (this.#link.tap !== null) this.#link.tap.sent(memory, this.#frame, length, segmentSize);
    this.#engine.commit(length, segmentSize);
  }

  #writeIpv4(
    memory: Uint8Array,
    packet: number,
    totalLength: number,
    trafficClass: number,
    dontFragment: boolean,
    fragmentWord: number,
  ): void {
    if (!isLaterFragment(fragmentWord)) this.#identification = (this.#identification + 1) & 0xffff;
    writeIpv4Header(
      memory,
      packet,
      totalLength,
      this.#identification,
      dontFragment,
      this.#ttl,
      this.#protocol,
      this.#sourceIp,
      this.#destinationIp,
      trafficClass,
      fragmentWord,
    );
  }

  /**
   * Sends an IPv4 datagram that is longer than the MTU as fragments (RFC 791 3.2).
   * @returns false when outgoing slots ran out: the rest of it is not sent.
   */
  sendFragments(
    hop: NextHop,
    sourceIp: number,
    destinationIp: number,
    protocol: number,
    datagram: Uint8Array,
  ): boolean {
    const room = (this.#engine.link.mtu - IPV4_HEADER_LENGTH) & ~7;
    for (let offset = 0; offset < datagram.length; offset += room) {
      const at = this.beginPacket(hop, sourceIp, destinationIp, protocol);
      if (at < 0) return false;
      const part = datagram.subarray(offset, offset + room);
      this.#engine.memory.set(part, at);
      this.finishPacket(part.length, 0, 0, false, fragmentWordOf(offset, offset + room < datagram.length));
    }
    return true;
  }

  #writeIpv6(memory: Uint8Array, packet: number, transportLength: number, trafficClass: number): void {
    writeIpv6Header(memory, packet, transportLength, trafficClass, this.#protocol, this.#ttl);
    this.book.write(this.#sourceIp, memory, packet + IPV6_SOURCE);
    this.book.write(this.#destinationIp, memory, packet + IPV6_DESTINATION);
  }

  #ethernetInput(bytes: Uint8Array, offset: number, length: number, flags: number): number {
    if (length < ETHERNET_HEADER_LENGTH) return ETHERNET_TRUNCATED;
    this.#received = offset;
    const isForUs = equalBytes(bytes, offset, this.#link.mac, 0, MAC_LENGTH);
    if (!isForUs && !isGroupMac(bytes, offset)) return DROP_ETHERNET_NOT_FOR_US;
    let headerLength = ETHERNET_HEADER_LENGTH;
    let etherType = readEtherType(bytes, offset);
    let vlan = 0;
    if (etherType === ETHERTYPE_VLAN) {
      if (length < ETHERNET_HEADER_LENGTH + VLAN_TAG_LENGTH) return ETHERNET_TRUNCATED;
      // A tag with identifier 0 says the priority only (IEEE 802.1Q, 6.9).
      vlan = readUint16(bytes, offset + ETHERNET_HEADER_LENGTH) & VLAN_IDENTIFIER;
      etherType = readEtherType(bytes, offset + VLAN_TAG_LENGTH);
      headerLength += VLAN_TAG_LENGTH;
    }
    if (vlan !== this.#link.vlan && (flags & RX_VLAN_STRIPPED) === 0) return DROP_ETHERNET_OTHER_VLAN;
    const payload = offset + headerLength;
    const payloadLength = length - headerLength;
    if (etherType === ETHERTYPE_IPV4) {
      // A unicast packet in a broadcast frame is dropped unheard (RFC 1122, 3.3.6); a broadcast one is dropped later.
      if (!isForUs && this.dhcp === null) return DROP_IPV4_BROADCAST;
      return this.#ipv4Input(bytes, payload, payloadLength, flags);
    }
    if (etherType === ETHERTYPE_ARP) {
      this.onHeard?.(bytes, offset, length);
      return this.arp.input(bytes, payload, payloadLength, this.isQuiet);
    }
    if (etherType === ETHERTYPE_IPV6 && this.ipv6 !== null) {
      return this.ipv6.input(bytes, offset, payload, payloadLength, flags);
    }
    return DROP_ETHERNET_UNKNOWN_TYPE;
  }

  #ipv4Input(bytes: Uint8Array, offset: number, length: number, flags: number): number {
    this.#stats.ipInReceives++;
    const header = this.#header;
    const status = parseIpv4(bytes, offset, length, header);
    if (status !== OK) {
      this.#stats.ipInHdrErrors++;
      return status;
    }
    const { sourceIp, destinationIp } = header;
    if (!this.routes.isLocal(destinationIp)) {
      // A server may use the address that it is about to give us, or speak to everybody (RFC 2131 4.1).
      if (header.protocol === PROTOCOL_UDP && this.dhcp?.input(bytes, header, this.#isTrusted(flags)) === true)
        return OK;
      this.#stats.ipInAddrErrors++;
      const isGroup = isMulticastIp(destinationIp) || this.routes.isBroadcast(destinationIp);
      return isGroup ? DROP_IPV4_BROADCAST : DROP_IPV4_NOT_FOR_US;
    }
    if (!this.routes.isUnicastPeer(sourceIp)) {
      this.#stats.ipInAddrErrors++;
      return DROP_IPV4_BAD_SOURCE;
    }
    if (header.moreFragments || header.fragmentOffset !== 0) return this.#fragment(bytes, offset, header);
    return this.#deliver(bytes, offset, header, flags);
  }

  #fragment(bytes: Uint8Array, offset: number, header: Ipv4Header): number {
    this.#stats.ipReasmReqds++;
    const { reassembly } = this;
    const result = reassembly.add(bytes, offset, header);
    if (result === REASSEMBLY_REFUSED) return DROP_IPV4_FRAGMENT;
    if (result !== REASSEMBLY_DONE) return OK;
    this.#stats.ipReasmOKs++;
    const { whole, wholeHeaderLength } = reassembly;
    header.headerLength = header.payloadOffset = wholeHeaderLength;
    header.totalLength = whole.length;
    header.payloadLength = whole.length - wholeHeaderLength;
    header.moreFragments = false;
    header.fragmentOffset = 0;
    // No device has seen the whole: its checksum is ours to verify.
    return this.#deliver(whole, 0, header, 0);
  }

  /** Whether the transport's checksum need not be verified. */
  #isTrusted(flags: number): boolean {
    return this.#rxChecksum === 'trust' || (this.#rxChecksum === 'auto' && (flags & RX_CHECKSUM_TRUSTED) !== 0);
  }

  /** Hands a whole datagram to its protocol. `offset` is that of its IP header. */
  #deliver(bytes: Uint8Array, offset: number, header: Ipv4Header, flags: number): number {
    const { protocol } = header;
    if (protocol === PROTOCOL_TCP) {
      this.#stats.ipInDelivers++;
      this.#tcp?.input(
        bytes,
        header.payloadOffset,
        header.payloadLength,
        header.sourceIp,
        header.destinationIp,
        this.#isTrusted(flags),
        header.trafficClass & 3,
      );
      return OK;
    }
    if (protocol === PROTOCOL_ICMP) {
      this.#stats.ipInDelivers++;
      const status = this.icmp.input(bytes, header, this.isQuiet);
      const received = this.#received;
      if (this.icmp.lastWasError) this.onHeard?.(bytes, received, offset + header.totalLength - received);
      return status;
    }
    if (protocol === PROTOCOL_UDP) {
      if (this.dhcp?.input(bytes, header, this.#isTrusted(flags)) === true) return OK;
      this.icmp.sendPortUnreachable(bytes, offset, header);
      return DROP_UDP_NO_PORT;
    }
    this.#stats.ipInUnknownProtos++;
    this.icmp.sendProtocolUnreachable(bytes, offset, header);
    return DROP_IPV4_UNKNOWN_PROTOCOL;
  }
}
