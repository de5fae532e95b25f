// IPv6 on this host (RFC 8200): takes packets apart and hands payloads to TCP and ICMPv6, knows the groups it belongs to
// (RFC 4291 2.8), and sends what is not part of a connection. There only when netdev.conf has an IPv6 address or
// `slaac = on`. Used by ip.ts.
import { RX_CHECKSUM_TRUSTED } from '../io-engine/frame-engine.ts';
import type { Clock, RandomSource } from './clock.ts';
import type { Ipv6Config, StackConfig } from './config.ts';
import type { EthernetLink } from './ethernet-link.ts';
import { Icmpv6 } from './icmpv6.ts';
import type { TcpHandler } from './ip.ts';
import type { Ipv6Book } from './ipv6-book.ts';
import { SipHash } from './keyed-hash.ts';
import { Ndp } from './ndp.ts';
import type { Neighbors, NextHop } from './neighbors.ts';
import { type FragmentFacts, REASSEMBLY_DONE, REASSEMBLY_REFUSED, type Reassembly } from './reassembly.ts';
import { type Ipv6Prefix, type LocalAddress6, Routes6 } from './routes6.ts';
import {
  DROP_IPV6_BAD_SOURCE,
  DROP_IPV6_FRAGMENT,
  DROP_IPV6_NOT_FOR_US,
  DROP_IPV6_UNKNOWN_PROTOCOL,
  DROP_OUTPUT_FULL,
  DROP_UDP_NO_PORT,
  type Stats,
} from './stats.ts';
import type { TimerWheel } from './timer-wheel.ts';
import { copyBytes, readInt32, writeInt32, writeUint16 } from './wire/bytes.ts';
import { ETHERNET_SOURCE, ETHERTYPE_IPV6, MAC_LENGTH } from './wire/ethernet.ts';
import {
  ICMPV6_ECHO_REPLY,
  ICMPV6_HEADER_LENGTH,
  ICMPV6_PARAMETER_PROBLEM,
  ICMPV6_TIME_EXCEEDED,
  ICMPV6_UNREACHABLE,
  MLD2_REPORT,
  PROBLEM_FIELD,
  PROBLEM_FIRST_FRAGMENT,
  PROBLEM_NEXT_HEADER,
  PROBLEM_OPTION,
  UNREACHABLE_V6_PORT,
  writeIcmpv6,
} from './wire/icmpv6.ts';
import { PROTOCOL_TCP, PROTOCOL_UDP } from './wire/ipv4.ts';
import {
  FRAGMENT_HEADER_LENGTH,
  IPV6_ADDRESS_LENGTH,
  IPV6_DESTINATION,
  IPV6_HEADER_LENGTH,
  IPV6_MTU_MIN,
  IPV6_SOURCE,
  Ipv6Header,
  isMulticastIpv6,
  NEXT_FRAGMENT,
  PROTOCOL_ICMPV6,
  parseIpv6,
  parseIpv6Address,
  writeFragmentHeader,
  writeIpv6Header,
} from './wire/ipv6.ts';
import { IPV6_BAD_OPTION, IPV6_SOURCE_ROUTED, OK } from './wire/status.ts';
import { TCP_HEADER_LENGTH } from './wire/tcp.ts';

const ALL_NODES = address('ff02::1');
const ALL_ROUTERS = address('ff02::2');
const MLD2_ROUTERS = address('ff02::16');
const SOLICITED_NODE = address('ff02::1:ff00:0');
/** Before an MLD report: hop-by-hop options with a router alert (RFC 3810 5). */
const ROUTER_ALERT = Uint8Array.of(PROTOCOL_ICMPV6, 0, 5, 2, 0, 0, 1, 0);
/** "We listen to it", for a multicast address record (RFC 3810 5.2.12). */
const CHANGE_TO_EXCLUDE = 4;

/** Least bytes of a transport's header. */
function upperHeaderLength(protocol: number): number {
  return protocol === PROTOCOL_TCP ? TCP_HEADER_LENGTH : ICMPV6_HEADER_LENGTH;
}

function address(text: string): Uint8Array {
  return parseIpv6Address(text) as Uint8Array;
}

export interface Ipv6Parts {
  readonly link: EthernetLink;
  readonly config: Ipv6Config;
  readonly rxChecksum: StackConfig['rxChecksum'];
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly random: RandomSource;
  readonly book: Ipv6Book;
  readonly neighbors: Neighbors;
  readonly reassembly: Reassembly;
  readonly stats: Stats;
}

export class Ipv6 {
  readonly link: EthernetLink;
  readonly book: Ipv6Book;
  readonly routes: Routes6;
  readonly ndp: Ndp;
  readonly icmp: Icmpv6;
  /** Numbers that stand for `::` and the groups that everyone and every router is in. */
  readonly unspecified: number;
  readonly allNodes: number;
  readonly allRouters: number;

  readonly #mldRouters: number;
  readonly #neighbors: Neighbors;
  readonly #random: RandomSource;
  readonly #reassembly: Reassembly;
  readonly #stats: Stats;
  readonly #rxChecksum: StackConfig['rxChecksum'];
  readonly #header = new Ipv6Header();
  /** The last 64 bits of our addresses that nobody has chosen (RFC 7217: the same each time, and no MAC to be read off). */
  readonly #interfaceId: Uint8Array;
  readonly #groupMac = Uint8Array.of(0x33, 0x33, 0, 0, 0, 0);
  #frame = 0;
  #tcp: TcpHandler | null = null;

  constructor({ link, config, rxChecksum, clock, timers, random, book, neighbors, reassembly, stats }: Ipv6Parts) {
    this.link = link;
    this.#random = random;
    this.book = book;
    this.#neighbors = neighbors;
    this.#reassembly = reassembly;
    this.#stats = stats;
    this.#rxChecksum = rxChecksum;
    this.unspecified = book.pin(new Uint8Array(IPV6_ADDRESS_LENGTH));
    this.allNodes = book.pin(ALL_NODES);
    this.allRouters = book.pin(ALL_ROUTERS);
    this.#mldRouters = book.pin(MLD2_ROUTERS);
    this.routes = new Routes6(book, config.gateway, config.routes);
    this.#interfaceId = interfaceId(link.mac);
    const linkLocal = this.interfaceAddress(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0));
    this.routes.addAddress({ bytes: linkLocal, prefixLength: 64 });
    for (const prefix of config.addresses) this.routes.addAddress(prefix);
    this.ndp = new Ndp(this, neighbors, clock, timers, stats, config.slaac);
    this.icmp = new Icmpv6(this, this.ndp, clock, stats);
  }

  setTcp(handler: TcpHandler): void {
    this.#tcp = handler;
    this.icmp.setErrorHandler(handler);
  }

  /** Tells the network who we are and which groups we listen to. */
  start(): void {
    this.reportGroups();
    this.ndp.start();
  }

  close(): void {
    this.ndp.close();
  }

  nextHop(destinationIp: number): NextHop | null {
    const hopIp = this.routes.nextHopIp(destinationIp);
    return hopIp === null ? null : this.#neighbors.lookup(hopIp);
  }

  /** The address of a /64 with our interface identifier. @param prefix its first eight bytes. */
  interfaceAddress(prefix: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(IPV6_ADDRESS_LENGTH);
    bytes.set(prefix.subarray(0, 8));
    bytes.set(this.#interfaceId, 8);
    return bytes;
  }

  /** From an advertisement. */
  addAddress(prefix: Ipv6Prefix): LocalAddress6 {
    const added = this.routes.addAddress(prefix);
    this.reportGroups();
    return added;
  }

  removeAddress(ip: number): void {
    this.routes.removeAddress(ip);
  }

  /** The group in which who has an address is asked for it (RFC 4291 2.7.1). */
  solicitedNode(ip: number): number {
    const bytes = SOLICITED_NODE.slice();
    bytes.set(this.book.bytesOf(ip).subarray(13), 13);
    return this.book.intern(bytes, 0);
  }

  /** Hardware address that the frame which is being read came from. */
  get senderMac(): Uint8Array {
    return this.link.engine.memory.slice(this.#frame + ETHERNET_SOURCE, this.#frame + ETHERNET_SOURCE + MAC_LENGTH);
  }

  /** Every number that is kept here. */
  mark(mark: (ip: number) => void): void {
    this.routes.mark(mark);
    this.ndp.mark(mark);
  }

  // --- receiving ---

  /** A packet in the engine's memory; `offset` is that of its header, `frame` that of the Ethernet header before it. */
  input(bytes: Uint8Array, frame: number, offset: number, length: number, flags: number): number {
    this.#stats.ipInReceives++;
    this.#frame = frame;
    const header = this.#header;
    const status = parseIpv6(bytes, offset, length, header);
    if (status !== OK && status !== IPV6_BAD_OPTION && status !== IPV6_SOURCE_ROUTED) {
      this.#stats.ipInHdrErrors++;
      return status;
    }
    const destinationIp = this.book.find(bytes, offset + IPV6_DESTINATION);
    const isLocal = destinationIp !== 0 && this.routes.isLocal(destinationIp);
    if (!isLocal && !this.#isOurGroup(bytes, offset + IPV6_DESTINATION)) {
      this.#stats.ipInAddrErrors++;
      return DROP_IPV6_NOT_FOR_US;
    }
    if (isMulticastIpv6(bytes, offset + IPV6_SOURCE)) {
      this.#stats.ipInAddrErrors++;
      return DROP_IPV6_BAD_SOURCE;
    }
    if (status !== OK) return this.#refuseHeader(status, bytes, offset, header);
    if (header.isFragment && (header.moreFragments || header.fragmentOffset !== 0)) {
      return this.#fragment(bytes, offset, header);
    }
    return this.#deliver(bytes, offset, header, isLocal ? destinationIp : 0, flags);
  }

  #refuseHeader(status: number, bytes: Uint8Array, offset: number, header: Ipv6Header): number {
    this.#stats.ipInHdrErrors++;
    if (header.wantsAnswer) {
      header.protocol = -1;
      const pointer = header.problemAt - offset;
      const code = status === IPV6_BAD_OPTION ? PROBLEM_OPTION : PROBLEM_FIELD;
      this.icmp.sendError(ICMPV6_PARAMETER_PROBLEM, code, pointer, bytes, offset, header);
    }
    return status;
  }

  /** All nodes, or the solicited-node group of one of our addresses. */
  #isOurGroup(bytes: Uint8Array, at: number): boolean {
    if (!isMulticastIpv6(bytes, at)) return false;
    const ip = this.book.find(bytes, at);
    if (ip === this.allNodes) return true;
    for (let i = 0; i < 13; i++) if (bytes[at + i] !== SOLICITED_NODE[i]) return false;
    return (
      this.ndp.isSolicited(bytes, at + 13) ||
      this.routes.addresses.some(
        ({ bytes: own }) => own[13] === bytes[at + 13] && own[14] === bytes[at + 14] && own[15] === bytes[at + 15],
      )
    );
  }

  /** A whole datagram to us. @param destinationIp 0: to a group. */
  #deliver(bytes: Uint8Array, packet: number, header: Ipv6Header, destinationIp: number, flags: number): number {
    const { protocol, payloadOffset, payloadLength } = header;
    if (protocol === PROTOCOL_TCP) {
      if (destinationIp === 0) return DROP_IPV6_NOT_FOR_US;
      const sourceIp = this.book.intern(bytes, packet + IPV6_SOURCE);
      if (!this.routes.isUnicastPeer(sourceIp)) return DROP_IPV6_BAD_SOURCE;
      this.#stats.ipInDelivers++;
      const isTrusted =
        this.#rxChecksum === 'trust' || (this.#rxChecksum === 'auto' && (flags & RX_CHECKSUM_TRUSTED) !== 0);
      this.#tcp?.input(
        bytes,
        payloadOffset,
        payloadLength,
        sourceIp,
        destinationIp,
        isTrusted,
        header.trafficClass & 3,
      );
      return OK;
    }
    if (protocol === PROTOCOL_ICMPV6) {
      this.#stats.ipInDelivers++;
      return this.icmp.input(bytes, packet, header);
    }
    if (protocol === PROTOCOL_UDP) {
      this.icmp.sendError(ICMPV6_UNREACHABLE, UNREACHABLE_V6_PORT, 0, bytes, packet, header);
      return DROP_UDP_NO_PORT;
    }
    this.#stats.ipInUnknownProtos++;
    const pointer = header.protocolAt - packet;
    this.icmp.sendError(ICMPV6_PARAMETER_PROBLEM, PROBLEM_NEXT_HEADER, pointer, bytes, packet, header);
    return DROP_IPV6_UNKNOWN_PROTOCOL;
  }

  #fragment(bytes: Uint8Array, offset: number, header: Ipv6Header): number {
    this.#stats.ipReasmReqds++;
    // The first one has every header, or it hides something from filters on its way (RFC 8200 4.5, RFC 7112 5).
    if (header.fragmentOffset === 0 && header.payloadLength < upperHeaderLength(header.protocol)) {
      this.#stats.ipReasmFails++;
      this.icmp.sendError(ICMPV6_PARAMETER_PROBLEM, PROBLEM_FIRST_FRAGMENT, 0, bytes, offset, header);
      return DROP_IPV6_FRAGMENT;
    }
    const facts: FragmentFacts = {
      sourceIp: this.book.intern(bytes, offset + IPV6_SOURCE),
      destinationIp: this.book.find(bytes, offset + IPV6_DESTINATION),
      // The first fragment's decides (RFC 8200 4.5); who makes them differ gets two datagrams that never end.
      protocol: header.protocol,
      identification: header.identification,
      fragmentOffset: header.fragmentOffset,
      moreFragments: header.moreFragments,
      payloadOffset: header.payloadOffset,
      payloadLength: header.payloadLength,
    };
    const result = this.#reassembly.add(bytes, offset, facts);
    if (result === REASSEMBLY_REFUSED) return DROP_IPV6_FRAGMENT;
    if (result !== REASSEMBLY_DONE) return OK;
    this.#stats.ipReasmOKs++;
    const { whole, wholeHeaderLength } = this.#reassembly;
    header.totalLength = whole.length;
    header.isFragment = false;
    // Neighbour discovery in fragments is not to be believed (RFC 6980): its hop limit will not do.
    header.hopLimit = 0;
    header.payloadOffset = wholeHeaderLength;
    header.payloadLength = whole.length - wholeHeaderLength;
    return this.#deliver(whole, 0, header, facts.destinationIp, 0);
  }

  /** A datagram's fragments did not all come in time. @param packet its first fragment, with its headers. */
  sendReassemblyTimeout(packet: Uint8Array): void {
    if (parseIpv6(packet, 0, packet.length, this.#header) !== OK) return;
    this.#header.totalLength = packet.length;
    this.icmp.sendError(ICMPV6_TIME_EXCEEDED, 1, 0, packet, 0, this.#header);
  }

  // --- sending what is no part of a connection ---

  /**
   * Sends one ICMPv6 message.
   * @param mac where to; null: the group's, or that of the next hop.
   * @param body what follows the first eight bytes of the message.
   * @returns false when it could not be sent.
   */
  sendIcmp(
    sourceIp: number,
    destinationIp: number,
    mac: Uint8Array | null,
    type: number,
    code: number,
    rest: number,
    body: Uint8Array,
    bodyLength: number,
    hopLimit: number,
  ): boolean {
    const length = ICMPV6_HEADER_LENGTH + bodyLength;
    const to = mac ?? this.#macTowards(destinationIp);
    const addressSum = this.book.sum(sourceIp) + this.book.sum(destinationIp);
    if (type === ICMPV6_ECHO_REPLY && IPV6_HEADER_LENGTH + length > this.link.engine.link.mtu) {
      // All of what was asked for goes back (RFC 4443 4.2).
      const message = new Uint8Array(length);
      message.set(body.subarray(0, bodyLength), ICMPV6_HEADER_LENGTH);
      writeIcmpv6(message, 0, type, code, rest, length, addressSum);
      return this.#sendFragments(to, sourceIp, destinationIp, message, hopLimit);
    }
    const packet = this.#begin(to, sourceIp, destinationIp, 0, length, PROTOCOL_ICMPV6, hopLimit);
    if (packet < 0) return false;
    const { memory } = this.link.engine;
    const at = packet + IPV6_HEADER_LENGTH;
    memory.set(body.subarray(0, bodyLength), at + ICMPV6_HEADER_LENGTH);
    writeIcmpv6(memory, at, type, code, rest, length, addressSum);
    this.#stats.icmpOutMsgs++;
    return this.#finish(packet, IPV6_HEADER_LENGTH + length, to, destinationIp);
  }

  /** In parts that every path takes (RFC 8200 4.5, 5), numbered so that nobody can guess it (RFC 7739). */
  #sendFragments(
    mac: Uint8Array | null,
    sourceIp: number,
    destinationIp: number,
    message: Uint8Array,
    hopLimit: number,
  ): boolean {
    const identification = this.#random.int32();
    const room = IPV6_MTU_MIN - IPV6_HEADER_LENGTH - FRAGMENT_HEADER_LENGTH;
    const { memory } = this.link.engine;
    for (let offset = 0; offset < message.length; offset += room) {
      const part = message.subarray(offset, offset + room);
      const length = FRAGMENT_HEADER_LENGTH + part.length;
      const packet = this.#begin(mac, sourceIp, destinationIp, 0, length, NEXT_FRAGMENT, hopLimit);
      if (packet < 0) return false;
      const at = packet + IPV6_HEADER_LENGTH;
      const hasMore = offset + room < message.length;
      writeFragmentHeader(memory, at, PROTOCOL_ICMPV6, offset, hasMore, identification);
      memory.set(part, at + FRAGMENT_HEADER_LENGTH);
      if (!this.#finish(packet, IPV6_HEADER_LENGTH + length, mac, destinationIp)) return false;
    }
    this.#stats.icmpOutMsgs++;
    return true;
  }

  /** Tells switches and routers which groups we are in (RFC 3810 5.2). */
  reportGroups(): void {
    const groups = [...new Set(this.routes.addresses.map(({ ip }) => this.solicitedNode(ip)))];
    const source = this.routes.sourceFor(this.#mldRouters);
    const length = ICMPV6_HEADER_LENGTH + groups.length * 20;
    const to = this.#macTowards(this.#mldRouters);
    const packet = this.#begin(to, source, this.#mldRouters, 0, ROUTER_ALERT.length + length, 0, 1);
    if (packet < 0) return;
    const { memory } = this.link.engine;
    memory.set(ROUTER_ALERT, packet + IPV6_HEADER_LENGTH);
    const at = packet + IPV6_HEADER_LENGTH + ROUTER_ALERT.length;
    for (const [i, group] of groups.entries()) {
      const record = at + ICMPV6_HEADER_LENGTH + i * 20;
      writeInt32(memory, record, CHANGE_TO_EXCLUDE << 24);
      this.book.write(group, memory, record + 4);
    }
    const addressSum = this.book.sum(source) + this.book.sum(this.#mldRouters);
    writeIcmpv6(memory, at, MLD2_REPORT, 0, groups.length, length, addressSum);
    this.#stats.icmpOutMsgs++;
    this.#finish(packet, IPV6_HEADER_LENGTH + ROUTER_ALERT.length + length, to, this.#mldRouters);
  }

  /** Header of a packet of our own, in a reserved frame. @returns where it begins; -1: no outgoing slot is free. */
  #begin(
    mac: Uint8Array | null,
    sourceIp: number,
    destinationIp: number,
    trafficClass: number,
    payloadLength: number,
    protocol: number,
    hopLimit: number,
  ): number {
    if (IPV6_HEADER_LENGTH + payloadLength > this.link.engine.link.mtu) {
      this.#stats.ipOutDiscards++;
      return -1;
    }
    const packet = this.link.begin(mac ?? this.#groupMac, ETHERTYPE_IPV6);
    if (packet < 0) {
      this.#stats.drop(DROP_OUTPUT_FULL);
      return -1;
    }
    const { memory } = this.link.engine;
    writeIpv6Header(memory, packet, payloadLength, trafficClass, protocol, hopLimit);
    this.book.write(sourceIp, memory, packet + IPV6_SOURCE);
    this.book.write(destinationIp, memory, packet + IPV6_DESTINATION);
    return packet;
  }

  #finish(packet: number, length: number, mac: Uint8Array | null, destinationIp: number): boolean {
    this.#stats.ipOutRequests++;
    if (mac === null) {
      const hop = this.nextHop(destinationIp);
      if (hop === null) {
        this.#stats.ipOutNoRoutes++;
        return false;
      }
      this.#neighbors.enqueue(hop, this.link.engine.memory, packet, length, 0);
      return true;
    }
    this.link.commit(length, 0);
    return true;
  }

  /** Of a group (RFC 2464 7), or of a next hop that is resolved; null: it has to be asked for. */
  #macTowards(destinationIp: number): Uint8Array | null {
    const bytes = this.book.bytesOf(destinationIp);
    if (isMulticastIpv6(bytes, 0)) {
      copyBytes(this.#groupMac, 2, bytes, 12, 4);
      return this.#groupMac;
    }
    const hop = this.nextHop(destinationIp);
    return hop?.resolved === true ? hop.mac : null;
  }
}

/** Sixty-four bits made of the hardware address. */
function interfaceId(mac: Uint8Array): Uint8Array {
  const high = readInt32(mac, 0);
  const low = (mac[4] << 8) | mac[5];
  const id = new Uint8Array(8);
  const hash = new SipHash([0x77697265, 0x64697320, 0x69707636, 0x20696420]);
  writeInt32(id, 0, hash.hash(high, low));
  writeInt32(id, 4, hash.hash(low, high));
  // Not an identifier that claims to come from a MAC (RFC 7136 5), nor all zeros, which is the routers' anycast address.
  writeUint16(id, 6, (id[6] << 8) | id[7] | 1);
  return id;
}
