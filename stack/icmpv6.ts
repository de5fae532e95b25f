// ICMPv6 on this host (RFC 4443): answers echo, sends errors at a bounded rate, turns those it receives into calls on TCP,
// which knows whether to believe them, and hands neighbour discovery to ndp.ts. Used by ipv6.ts.
import type { Clock } from './clock.ts';
import {
  type EchoReplyHandler,
  ICMP_HARD_UNREACHABLE,
  ICMP_HEADER_REFUSED,
  ICMP_PACKET_TOO_BIG,
  ICMP_SOFT_UNREACHABLE,
  ICMP_TTL_EXPIRED,
  type IcmpErrorHandler,
} from './icmp.ts';
import type { Ipv6 } from './ipv6.ts';
import type { Ndp } from './ndp.ts';
import { RateLimit } from './rate-limit.ts';
import { DROP_ICMP_FOREIGN_QUOTE, DROP_ICMP_IGNORED, DROP_ICMP_RATE_LIMITED, type Stats } from './stats.ts';
import { readInt32, readUint16 } from './wire/bytes.ts';
import {
  checkIcmpv6,
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_HEADER_LENGTH,
  ICMPV6_PACKET_TOO_BIG,
  ICMPV6_PARAMETER_PROBLEM,
  ICMPV6_TIME_EXCEEDED,
  ICMPV6_UNREACHABLE,
  isIcmpv6Error,
  MLD_QUERY,
  NDP_NEIGHBOR_ADVERTISEMENT,
  NDP_ROUTER_SOLICITATION,
  sumOfAddress,
  UNREACHABLE_V6_PORT,
  UNREACHABLE_V6_PROHIBITED,
} from './wire/icmpv6.ts';
import { PROTOCOL_TCP } from './wire/ipv4.ts';
import {
  IPV6_DESTINATION,
  IPV6_HEADER_LENGTH,
  IPV6_MTU_MIN,
  IPV6_SOURCE,
  Ipv6Header,
  isMulticastIpv6,
  isNoHost,
  PROTOCOL_ICMPV6,
  walkExtensions,
} from './wire/ipv6.ts';
import { ICMP_BAD_QUOTE, ICMPV6_TRUNCATED, OK } from './wire/status.ts';

/** Errors a second, and how many may come at once (RFC 4443 2.4 (f)). */
const ERRORS_PER_SECOND = 100;
const ERRORS_BURST = 50;
const DEFAULT_HOP_LIMIT = 64;

export class Icmpv6 {
  readonly #ipv6: Ipv6;
  readonly #ndp: Ndp;
  readonly #stats: Stats;
  readonly #quoted = new Ipv6Header();
  readonly #limit: RateLimit;
  #errorHandler: IcmpErrorHandler | null = null;
  onEchoReply: EchoReplyHandler = () => false;

  constructor(ipv6: Ipv6, ndp: Ndp, clock: Clock, stats: Stats) {
    this.#ipv6 = ipv6;
    this.#ndp = ndp;
    this.#stats = stats;
    this.#limit = new RateLimit(clock, ERRORS_PER_SECOND, ERRORS_BURST);
  }

  setErrorHandler(handler: IcmpErrorHandler): void {
    this.#errorHandler = handler;
  }

  /** A message to one of our addresses or groups; `packet` is where its IPv6 header begins. */
  input(bytes: Uint8Array, packet: number, header: Ipv6Header): number {
    this.#stats.icmpInMsgs++;
    const { payloadOffset: at, payloadLength: length } = header;
    const addressSum = sumOfAddress(bytes, packet + IPV6_SOURCE) + sumOfAddress(bytes, packet + IPV6_DESTINATION);
    const status = checkIcmpv6(bytes, at, length, addressSum);
    if (status === OK && length >= ICMPV6_HEADER_LENGTH) return this.#dispatch(bytes, packet, header, at, length);
    this.#stats.icmpInErrors++;
    return status === OK ? ICMPV6_TRUNCATED : status;
  }

  #dispatch(bytes: Uint8Array, packet: number, header: Ipv6Header, at: number, length: number): number {
    const type = bytes[at];
    if (type >= NDP_ROUTER_SOLICITATION && type <= NDP_NEIGHBOR_ADVERTISEMENT) {
      return this.#ndp.input(bytes, packet, at, length, header.hopLimit);
    }
    switch (type) {
      case ICMPV6_ECHO_REQUEST:
        this.#stats.icmpInEchos++;
        return this.#echoReply(bytes, packet, at, length);
      case ICMPV6_ECHO_REPLY: {
        this.#stats.icmpInEchoReps++;
        const from = this.#ipv6.book.find(bytes, packet + IPV6_SOURCE);
        return this.onEchoReply(from, readInt32(bytes, at + 4)) ? OK : DROP_ICMP_IGNORED;
      }
      case ICMPV6_UNREACHABLE:
        this.#stats.icmpInDestUnreachs++;
        return this.#error(bytes, at, length, unreachableKind(bytes[at + 1]));
      case ICMPV6_PACKET_TOO_BIG:
        return this.#error(bytes, at, length, ICMP_PACKET_TOO_BIG);
      case ICMPV6_TIME_EXCEEDED:
        this.#stats.icmpInTimeExcds++;
        return this.#error(bytes, at, length, ICMP_TTL_EXPIRED);
      case ICMPV6_PARAMETER_PROBLEM:
        this.#stats.icmpInParmProbs++;
        return this.#error(bytes, at, length, ICMP_HEADER_REFUSED);
      case MLD_QUERY:
        this.#ipv6.reportGroups();
        return OK;
      default:
        return DROP_ICMP_IGNORED;
    }
  }

  /**
   * Tells the sender of a packet why it is not taken, unless that would answer an error, a group or nobody (RFC 4443
   * 2.4 (e)).
   * @param rest the four bytes behind the checksum.
   */
  sendError(type: number, code: number, rest: number, bytes: Uint8Array, packet: number, header: Ipv6Header): void {
    const source = packet + IPV6_SOURCE;
    const isErrorItself = header.protocol === PROTOCOL_ICMPV6 && isIcmpv6Error(bytes[header.payloadOffset]);
    if (isErrorItself || isMulticastIpv6(bytes, packet + IPV6_DESTINATION)) return;
    if (isMulticastIpv6(bytes, source) || isNoHost(bytes, source)) return;
    if (!this.#limit.take()) {
      this.#stats.drop(DROP_ICMP_RATE_LIMITED);
      return;
    }
    const { book } = this.#ipv6;
    const from = book.find(bytes, packet + IPV6_DESTINATION);
    const room = IPV6_MTU_MIN - IPV6_HEADER_LENGTH - ICMPV6_HEADER_LENGTH;
    const quote = bytes.slice(packet, packet + Math.min(header.totalLength, room));
    const to = book.intern(bytes, source);
    const sent = this.#ipv6.sendIcmp(from, to, null, type, code, rest, quote, quote.length, DEFAULT_HOP_LIMIT);
    if (!sent) return;
    if (type === ICMPV6_UNREACHABLE) this.#stats.icmpOutDestUnreachs++;
    if (type === ICMPV6_TIME_EXCEEDED) this.#stats.icmpOutTimeExcds++;
  }

  /** Asks a host to send `payload` back. @param rest identifier and sequence number. */
  sendEcho(sourceIp: number, destinationIp: number, rest: number, payload: Uint8Array): void {
    const type = ICMPV6_ECHO_REQUEST;
    const ipv6 = this.#ipv6;
    const sent = ipv6.sendIcmp(
      sourceIp,
      destinationIp,
      null,
      type,
      0,
      rest,
      payload,
      payload.length,
      DEFAULT_HOP_LIMIT,
    );
    if (sent) this.#stats.icmpOutEchos++;
  }

  /** Reports one of our own packets, whole, that could not be delivered to its next hop. */
  reportUnreachable(packet: Uint8Array): void {
    this.#quote(packet, 0, packet.length, ICMP_SOFT_UNREACHABLE, 0);
  }

  #echoReply(bytes: Uint8Array, packet: number, at: number, length: number): number {
    const ipv6 = this.#ipv6;
    const destination = ipv6.book.find(bytes, packet + IPV6_DESTINATION);
    const to = ipv6.book.intern(bytes, packet + IPV6_SOURCE);
    // To a group we answer with an address of our own (RFC 4443 4.2).
    const from = ipv6.routes.isLocal(destination) ? destination : ipv6.routes.sourceFor(to);
    const body = bytes.subarray(at + ICMPV6_HEADER_LENGTH, at + length);
    const rest = readInt32(bytes, at + 4);
    const sent = ipv6.sendIcmp(from, to, null, ICMPV6_ECHO_REPLY, 0, rest, body, body.length, DEFAULT_HOP_LIMIT);
    if (sent) this.#stats.icmpOutEchoReps++;
    return OK;
  }

  #error(bytes: Uint8Array, at: number, length: number, kind: number): number {
    const mtu = kind === ICMP_PACKET_TOO_BIG ? readInt32(bytes, at + 4) >>> 0 : 0;
    // No link is that narrow (RFC 8201 4).
    if (kind === ICMP_PACKET_TOO_BIG && mtu < IPV6_MTU_MIN) return DROP_ICMP_IGNORED;
    const body = at + ICMPV6_HEADER_LENGTH;
    const status = this.#quote(bytes, body, length - ICMPV6_HEADER_LENGTH, kind, mtu);
    if (status !== OK) this.#stats.icmpInErrors++;
    return status;
  }

  /** Finds the connection's addresses in a packet that we are said to have sent. */
  #quote(bytes: Uint8Array, offset: number, length: number, kind: number, mtu: number): number {
    const quoted = this.#quoted;
    if (length < IPV6_HEADER_LENGTH || bytes[offset] >>> 4 !== 6) return ICMP_BAD_QUOTE;
    const end = offset + length;
    quoted.isFragment = false;
    if (walkExtensions(bytes, offset + IPV6_HEADER_LENGTH, end, bytes[offset + 6], quoted) !== OK)
      return ICMP_BAD_QUOTE;
    const { book, routes } = this.#ipv6;
    const localIp = book.find(bytes, offset + IPV6_SOURCE);
    const remoteIp = book.find(bytes, offset + IPV6_DESTINATION);
    const isOurs = localIp !== 0 && remoteIp !== 0 && routes.isLocal(localIp);
    if (quoted.protocol !== PROTOCOL_TCP || quoted.isFragment || !isOurs) return DROP_ICMP_FOREIGN_QUOTE;
    if (quoted.payloadLength < 8) return ICMP_BAD_QUOTE;
    const at = quoted.payloadOffset;
    const localPort = readUint16(bytes, at);
    const remotePort = readUint16(bytes, at + 2);
    const seq = readInt32(bytes, at + 4);
    this.#errorHandler?.onIcmpError(kind, localIp, localPort, remoteIp, remotePort, seq, mtu);
    return OK;
  }
}

/** Prohibited and port unreachable will not get better (RFC 4443 3.1, RFC 5461 3.1). */
function unreachableKind(code: number): number {
  return code === UNREACHABLE_V6_PORT || code === UNREACHABLE_V6_PROHIBITED
    ? ICMP_HARD_UNREACHABLE
    : ICMP_SOFT_UNREACHABLE;
}
