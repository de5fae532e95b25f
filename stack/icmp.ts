// ICMP on this host (RFC 792, RFC 1122 3.2.2): answers echo, sends "unreachable" at a bounded rate, and turns the
// errors it receives into calls on TCP, which knows whether to believe them (RFC 5927). Used by ip.ts.
import type { FrameEngine } from '../io-engine/frame-engine.ts';
import type { Clock } from './clock.ts';
import type { NextHop } from './neighbors.ts';
import { RateLimit } from './rate-limit.ts';
import type { Routes } from './routes.ts';
import {
  DROP_ICMP_FOREIGN_QUOTE,
  DROP_ICMP_IGNORED,
  DROP_ICMP_RATE_LIMITED,
  DROP_OUTPUT_FULL,
  type Stats,
} from './stats.ts';
import { readInt32, readUint16 } from './wire/bytes.ts';
import {
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  ICMP_HEADER_LENGTH,
  ICMP_PARAMETER_PROBLEM,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
  IcmpHeader,
  parseIcmp,
  TIME_EXCEEDED_REASSEMBLY,
  UNREACHABLE_FRAGMENTATION_NEEDED,
  UNREACHABLE_PORT,
  UNREACHABLE_PROTOCOL,
  writeIcmp,
} from './wire/icmp.ts';
import { IPV4_HEADER_LENGTH, Ipv4Header, PROTOCOL_ICMP, PROTOCOL_TCP, parseQuotedIpv4 } from './wire/ipv4.ts';
import { ICMP_BAD_QUOTE, OK } from './wire/status.ts';

/** What an error says about the connection whose segment it quotes (RFC 1122, 4.2.3.9). */
export const ICMP_SOFT_UNREACHABLE = 1;
/** Protocol or port unreachable, or administratively so: would abort a connection that is being opened. */
export const ICMP_HARD_UNREACHABLE = 2;
/** The segment was too big for a link on the way: path MTU discovery. */
export const ICMP_PACKET_TOO_BIG = 3;
export const ICMP_TTL_EXPIRED = 4;
export const ICMP_HEADER_REFUSED = 5;

/** Takes errors about our own TCP segments. Any `ip` is an int32, `seq` is that of the quoted segment. */
export interface IcmpErrorHandler {
  /** @param mtu bytes the narrow link takes, with ICMP_PACKET_TOO_BIG; else 0. */
  onIcmpError(
    kind: number,
    localIp: number,
    localPort: number,
    remoteIp: number,
    remotePort: number,
    seq: number,
    mtu: number,
  ): void;
}

/** The part of ip.ts that sends. */
export interface PacketOutput {
  nextHop(destinationIp: number): NextHop | null;
  beginPacket(hop: NextHop, sourceIp: number, destinationIp: number, protocol: number): number;
  finishPacket(transportLength: number, segmentSize: number, ecn?: number, dontFragment?: boolean): void;
  sendFragments(hop: NextHop, sourceIp: number, destinationIp: number, protocol: number, datagram: Uint8Array): boolean;
}

/** Takes the replies to echo requests of our own. @returns whether this is one. */
export type EchoReplyHandler = (sourceIp: number, rest: number) => boolean;

/** Errors a second, and how many may come at once (RFC 1812, 4.3.2.8, as routers do). */
const ERRORS_PER_SECOND = 100;
const ERRORS_BURST = 50;
/** An error is no longer than this with its IP header (RFC 1812, 4.3.2.3). */
const ERROR_PACKET_MAX = 576;
/** IPv4's smallest MTU (RFC 791, 3.2). */
const MTU_MIN = 68;
/** For routers that do not tell their MTU (RFC 1191, 7.1). */
const MTU_PLATEAUS: readonly number[] = [32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68];

export class Icmp {
  readonly #engine: FrameEngine;
  readonly #limit: RateLimit;
  readonly #routes: Routes;
  readonly #stats: Stats;
  readonly #output: PacketOutput;
  readonly #header = new IcmpHeader();
  readonly #quoted = new Ipv4Header();
  #errorHandler: IcmpErrorHandler | null = null;
  onEchoReply: EchoReplyHandler = () => false;

  constructor(engine: FrameEngine, clock: Clock, routes: Routes, stats: Stats, output: PacketOutput) {
    this.#engine = engine;
    this.#routes = routes;
    this.#stats = stats;
    this.#output = output;
    this.#limit = new RateLimit(clock, ERRORS_PER_SECOND, ERRORS_BURST);
  }

  /** The last message was about a packet that we had sent. */
  lastWasError = false;

  setErrorHandler(handler: IcmpErrorHandler): void {
    this.#errorHandler = handler;
  }

  /** A message to one of our addresses; `ip` describes the packet around it. @param isQuiet somebody else answers. */
  input(bytes: Uint8Array, ip: Ipv4Header, isQuiet = false): number {
    this.lastWasError = false;
    this.#stats.icmpInMsgs++;
    const header = this.#header;
    const status = parseIcmp(bytes, ip.payloadOffset, ip.payloadLength, header);
    if (status !== OK) {
      this.#stats.icmpInErrors++;
      return status;
    }
    switch (header.type) {
      case ICMP_ECHO_REQUEST:
        this.#stats.icmpInEchos++;
        return isQuiet ? DROP_ICMP_IGNORED : this.#echoReply(bytes, ip);
      case ICMP_ECHO_REPLY:
        this.#stats.icmpInEchoReps++;
        return this.onEchoReply(ip.sourceIp, readInt32(bytes, ip.payloadOffset + 4)) ? OK : DROP_ICMP_IGNORED;
      case ICMP_UNREACHABLE:
        this.#stats.icmpInDestUnreachs++;
        this.lastWasError = true;
        return this.#error(bytes, unreachableKind(header.code));
      case ICMP_TIME_EXCEEDED:
        this.#stats.icmpInTimeExcds++;
        this.lastWasError = true;
        return this.#error(bytes, ICMP_TTL_EXPIRED);
      case ICMP_PARAMETER_PROBLEM:
        this.#stats.icmpInParmProbs++;
        this.lastWasError = true;
        return this.#error(bytes, ICMP_HEADER_REFUSED);
      default:
        return DROP_ICMP_IGNORED;
    }
  }

  /** Asks a host to send `payload` back, in one piece. @param rest identifier and sequence number. */
  sendEcho(sourceIp: number, destinationIp: number, rest: number, payload: Uint8Array): void {
    const isSent = this.#send(ICMP_ECHO_REQUEST, 0, rest, payload, 0, payload.length, sourceIp, destinationIp);
    if (isSent) this.#stats.icmpOutEchos++;
  }

  /**
   * Tells the sender of a packet that nobody here takes it. The caller has made sure that the packet was for us
   * alone, came from a host, is no later fragment and no ICMP error (RFC 1122, 3.2.2).
   * @param offset of the packet's IP header.
   */
  sendUnreachable(bytes: Uint8Array, offset: number, ip: Ipv4Header, code: number): void {
    if (this.#sendError(ICMP_UNREACHABLE, code, bytes, offset, ip)) this.#stats.icmpOutDestUnreachs++;
  }

  #sendError(type: number, code: number, bytes: Uint8Array, offset: number, ip: Ipv4Header): boolean {
    if (!this.#limit.take()) {
      this.#stats.drop(DROP_ICMP_RATE_LIMITED);
      return false;
    }
    const room = Math.min(ERROR_PACKET_MAX, this.#engine.link.mtu) - IPV4_HEADER_LENGTH - ICMP_HEADER_LENGTH;
    return this.#send(type, code, 0, bytes, offset, Math.min(ip.totalLength, room), ip.destinationIp, ip.sourceIp);
  }

  sendPortUnreachable(bytes: Uint8Array, offset: number, ip: Ipv4Header): void {
    this.sendUnreachable(bytes, offset, ip, UNREACHABLE_PORT);
  }

  sendProtocolUnreachable(bytes: Uint8Array, offset: number, ip: Ipv4Header): void {
    this.sendUnreachable(bytes, offset, ip, UNREACHABLE_PROTOCOL);
  }

  /** A datagram's fragments did not all come in time. @param packet its first fragment, with its header. */
  sendReassemblyTimeout(packet: Uint8Array): void {
    const quoted = this.#quoted;
    if (parseQuotedIpv4(packet, 0, packet.length, quoted) !== OK) return;
    if (quoted.protocol === PROTOCOL_ICMP) return;
    quoted.totalLength = packet.length;
    if (this.#sendError(ICMP_TIME_EXCEEDED, TIME_EXCEEDED_REASSEMBLY, packet, 0, quoted)) {
      this.#stats.icmpOutTimeExcds++;
    }
  }

  /** Reports one of our own packets, whole, that could not be delivered to its next hop. */
  reportUnreachable(packet: Uint8Array): void {
    this.#quote(packet, 0, packet.length, ICMP_SOFT_UNREACHABLE, 0);
  }

  #echoReply(bytes: Uint8Array, ip: Ipv4Header): number {
    const { payloadOffset, payloadLength } = this.#header;
    const rest = readInt32(bytes, ip.payloadOffset + 4);
    const isSent = this.#send(
      ICMP_ECHO_REPLY,
      0,
      rest,
      bytes,
      payloadOffset,
      payloadLength,
      ip.destinationIp,
      ip.sourceIp,
    );
    if (isSent) this.#stats.icmpOutEchoReps++;
    return OK;
  }

  #send(
    type: number,
    code: number,
    rest: number,
    payload: Uint8Array,
    payloadOffset: number,
    payloadLength: number,
    sourceIp: number,
    destinationIp: number,
  ): boolean {
    const length = ICMP_HEADER_LENGTH + payloadLength;
    const hop = this.#output.nextHop(destinationIp);
    const isLong = length > this.#engine.link.mtu - IPV4_HEADER_LENGTH;
    if (hop === null || (isLong && type !== ICMP_ECHO_REPLY)) {
      this.#stats.ipOutNoRoutes++;
      return false;
    }
    if (isLong) {
      // All of what was asked for goes back, as it came: in fragments (RFC 1122 3.2.2.6).
      const message = new Uint8Array(length);
      message.set(payload.subarray(payloadOffset, payloadOffset + payloadLength), ICMP_HEADER_LENGTH);
      writeIcmp(message, 0, type, code, rest, payloadLength);
      return this.#isSent(this.#output.sendFragments(hop, sourceIp, destinationIp, PROTOCOL_ICMP, message));
    }
    const at = this.#output.beginPacket(hop, sourceIp, destinationIp, PROTOCOL_ICMP);
    if (at < 0) return this.#isSent(false);
    const { memory } = this.#engine;
    const to = at + ICMP_HEADER_LENGTH;
    // Received frames lie in the engine's memory too, and moving inside one array makes no new view.
    if (payload === memory) memory.copyWithin(to, payloadOffset, payloadOffset + payloadLength);
    else memory.set(payload.subarray(payloadOffset, payloadOffset + payloadLength), to);
    writeIcmp(memory, at, type, code, rest, payloadLength);
    this.#output.finishPacket(length, 0, 0, type === ICMP_ECHO_REQUEST);
    return this.#isSent(true);
  }

  #isSent(isSent: boolean): boolean {
    if (isSent) this.#stats.icmpOutMsgs++;
    else this.#stats.drop(DROP_OUTPUT_FULL);
    return isSent;
  }

  #error(bytes: Uint8Array, kind: number): number {
    const { payloadOffset, payloadLength, mtu } = this.#header;
    const status = this.#quote(bytes, payloadOffset, payloadLength, kind, mtu);
    if (status !== OK) this.#stats.icmpInErrors++;
    return status;
  }

  /** Finds the connection's addresses in a packet that we are said to have sent. */
  #quote(bytes: Uint8Array, offset: number, length: number, kind: number, mtu: number): number {
    const quoted = this.#quoted;
    if (parseQuotedIpv4(bytes, offset, length, quoted) !== OK) return ICMP_BAD_QUOTE;
    if (quoted.protocol !== PROTOCOL_TCP || quoted.fragmentOffset !== 0 || !this.#routes.isLocal(quoted.sourceIp)) {
      return DROP_ICMP_FOREIGN_QUOTE;
    }
    // Eight bytes of the quoted segment hold both ports and the sequence number (RFC 792).
    if (quoted.payloadLength < 8) return ICMP_BAD_QUOTE;
    const at = quoted.payloadOffset;
    this.#errorHandler?.onIcmpError(
      kind,
      quoted.sourceIp,
      readUint16(bytes, at),
      quoted.destinationIp,
      readUint16(bytes, at + 2),
      readInt32(bytes, at + 4),
      kind === ICMP_PACKET_TOO_BIG ? nextMtu(mtu, quoted.totalLength) : 0,
    );
    return OK;
  }
}

/** Codes 2, 3, 9, 10 and 13 say that it will not get better (RFC 1122, 3.2.2.1; RFC 1812, 5.2.7.1). */
function unreachableKind(code: number): number {
  if (code === UNREACHABLE_FRAGMENTATION_NEEDED) return ICMP_PACKET_TOO_BIG;
  const isHard = code === UNREACHABLE_PROTOCOL || code === UNREACHABLE_PORT || code === 9 || code === 10 || code === 13;
  return isHard ? ICMP_HARD_UNREACHABLE : ICMP_SOFT_UNREACHABLE;
}

/** The router's word, or the next plateau below the packet it refused. */
function nextMtu(told: number, totalLength: number): number {
  if (told >= MTU_MIN) return told;
  for (const plateau of MTU_PLATEAUS) if (plateau < totalLength) return plateau;
  return MTU_MIN;
}
