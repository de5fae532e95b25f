// Every counter of the stack. Protocol counters carry the names of the MIBs where those have one (RFC 4022 for
// TCP, RFC 4293 for IP and ICMP); each reason for dropping a packet has an index and a name, so that a drop is
// one addition. Counts are doubles: they do not wrap. stack/ adds, tools read.
import { STATUS_NAMES } from './wire/status.ts';

// Reasons that are not about format; the codes go on where wire/status.ts ends.
const FIRST = STATUS_NAMES.length;

export const DROP_ETHERNET_NOT_FOR_US = FIRST;
export const DROP_ETHERNET_UNKNOWN_TYPE = FIRST + 1;
export const DROP_ARP_NOT_FOR_US = FIRST + 2;
/** Somebody else uses one of our addresses (RFC 5227, 2.4). */
export const DROP_ARP_CONFLICT = FIRST + 3;
/** Nobody answered for the next hop, or its queue was full: an outgoing packet is lost. */
export const DROP_NEIGHBOR_QUEUE_FULL = FIRST + 4;
export const DROP_NEIGHBOR_UNREACHABLE = FIRST + 5;
/** No outgoing slot was free for a packet that nobody sends again. */
export const DROP_OUTPUT_FULL = FIRST + 6;
/** A source that cannot be a host: broadcast, multicast, loopback, 0.0.0.0 or ourselves. */
export const DROP_IPV4_BAD_SOURCE = FIRST + 7;
export const DROP_IPV4_NOT_FOR_US = FIRST + 8;
export const DROP_IPV4_BROADCAST = FIRST + 9;
/** Fragments that overlap, or cannot be parts of one datagram. */
export const DROP_IPV4_FRAGMENT = FIRST + 10;
export const DROP_IPV4_UNKNOWN_PROTOCOL = FIRST + 11;
export const DROP_UDP_NO_PORT = FIRST + 12;
/** A type we do not answer. */
export const DROP_ICMP_IGNORED = FIRST + 13;
/** An error about a packet that is not ours or not TCP. */
export const DROP_ICMP_FOREIGN_QUOTE = FIRST + 14;
export const DROP_ICMP_RATE_LIMITED = FIRST + 15;
export const DROP_TCP_BAD_CHECKSUM = FIRST + 16;
export const DROP_TCP_BAD_PORT = FIRST + 17;
/** No connection and no listener: answered with RST. */
export const DROP_TCP_NO_LISTENER = FIRST + 18;
export const DROP_TCP_BACKLOG_FULL = FIRST + 19;
export const DROP_TCP_CONNECTIONS_FULL = FIRST + 20;
export const DROP_TCP_NOT_ACCEPTABLE = FIRST + 21;
export const DROP_TCP_BAD_ACK = FIRST + 22;
export const DROP_TCP_OLD_TIMESTAMP = FIRST + 23;
export const DROP_TCP_CHALLENGED = FIRST + 24;
export const DROP_TCP_NO_ACK_BIT = FIRST + 25;
/** In sequence or not, there was no buffer for it. */
export const DROP_TCP_NO_BUFFER = FIRST + 26;
export const DROP_TCP_BAD_FLAGS = FIRST + 27;
/** A frame of another VLAN than ours, or of none while we are in one. */
export const DROP_ETHERNET_OTHER_VLAN = FIRST + 28;
export const DROP_IPV6_NOT_FOR_US = FIRST + 29;
export const DROP_IPV6_BAD_SOURCE = FIRST + 30;
export const DROP_IPV6_FRAGMENT = FIRST + 31;
export const DROP_IPV6_UNKNOWN_PROTOCOL = FIRST + 32;
/** Neighbour discovery about others, or that we have no use for. */
export const DROP_NDP_IGNORED = FIRST + 33;
/** Somebody else uses, or asks for, one of our IPv6 addresses (RFC 4862 5.4). */
export const DROP_NDP_CONFLICT = FIRST + 34;
/** More SYNs than we give cookies for. */
export const DROP_TCP_SYN_FLOOD = FIRST + 35;

/** Name of every drop reason, by index; index 0 (`ok`) never counts. */
export const DROP_NAMES: readonly string[] = [
  ...STATUS_NAMES,
  'ethernet-not-for-us',
  'ethernet-unknown-type',
  'arp-not-for-us',
  'arp-conflict',
  'neighbor-queue-full',
  'neighbor-unreachable',
  'output-full',
  'ipv4-bad-source',
  'ipv4-not-for-us',
  'ipv4-broadcast',
  'ipv4-fragment',
  'ipv4-unknown-protocol',
  'udp-no-port',
  'icmp-ignored',
  'icmp-foreign-quote',
  'icmp-rate-limited',
  'tcp-bad-checksum',
  'tcp-bad-port',
  'tcp-no-listener',
  'tcp-backlog-full',
  'tcp-connections-full',
  'tcp-not-acceptable',
  'tcp-bad-ack',
  'tcp-old-timestamp',
  'tcp-challenged',
  'tcp-no-ack-bit',
  'tcp-no-buffer',
  'tcp-bad-flags',
  'ethernet-other-vlan',
  'ipv6-not-for-us',
  'ipv6-bad-source',
  'ipv6-fragment',
  'ipv6-unknown-protocol',
  'ndp-ignored',
  'ndp-conflict',
  'tcp-syn-flood',
];

export class Stats {
  arpInRequests = 0;
  arpInReplies = 0;
  arpOutRequests = 0;
  arpOutReplies = 0;

  ipInReceives = 0;
  ipInHdrErrors = 0;
  ipInAddrErrors = 0;
  ipInUnknownProtos = 0;
  ipInDelivers = 0;
  ipOutRequests = 0;
  ipOutDiscards = 0;
  ipOutNoRoutes = 0;
  ipReasmReqds = 0;
  ipReasmOKs = 0;
  ipReasmFails = 0;

  icmpInMsgs = 0;
  icmpInErrors = 0;
  icmpInDestUnreachs = 0;
  icmpInTimeExcds = 0;
  icmpInParmProbs = 0;
  icmpInEchos = 0;
  icmpOutMsgs = 0;
  icmpOutDestUnreachs = 0;
  icmpOutTimeExcds = 0;
  icmpOutEchoReps = 0;
  icmpInEchoReps = 0;
  icmpOutEchos = 0;
  icmp6OutNeighborSolicits = 0;
  icmp6OutNeighborAdvertisements = 0;
  icmp6OutRouterSolicits = 0;

  tcpActiveOpens = 0;
  tcpPassiveOpens = 0;
  tcpAttemptFails = 0;
  tcpEstabResets = 0;
  /** A gauge: connections in ESTABLISHED or CLOSE-WAIT. */
  tcpCurrEstab = 0;
  tcpInSegs = 0;
  tcpOutSegs = 0;
  tcpRetransSegs = 0;
  tcpInErrs = 0;
  tcpOutRsts = 0;
  // What follows has no MIB name.
  tcpInBytes = 0;
  tcpOutBytes = 0;
  tcpInOutOfOrder = 0;
  tcpInDuplicates = 0;
  tcpTimeouts = 0;
  tcpFastRetransmits = 0;
  /** Of all connections that were established. */
  tcpEcnConnections = 0;
  tcpInCe = 0;
  tcpOutCwr = 0;
  tcpEcnReductions = 0;
  tcpSynCookiesSent = 0;
  tcpSynCookiesReceived = 0;
  tcpSynCookiesFailed = 0;
  tcpMssLowered = 0;
  tcpBlackHoles = 0;
  tcpPathProbes = 0;
  tcpLossProbes = 0;
  tcpLostRetransmits = 0;
  tcpSpuriousTimeouts = 0;
  tcpUndos = 0;
  tcpInDsacks = 0;
  tcpOutDsacks = 0;
  tcpDelayedAcks = 0;
  tcpDuplicateAcks = 0;
  tcpZeroWindowProbes = 0;
  tcpKeepalives = 0;
  tcpChallengeAcks = 0;
  tcpListenOverflows = 0;
  tcpMalformedOptions = 0;
  tcpIcmpErrors = 0;

  /** Dropped packets by reason; DROP_NAMES names the indices. */
  readonly drops: Float64Array = new Float64Array(DROP_NAMES.length);

  #lastDrop = 0;

  /** The reason of the last drop since this was asked; 0: none. For a tap, frame by frame. */
  takeLastDrop(): number {
    const reason = this.#lastDrop;
    this.#lastDrop = 0;
    return reason;
  }

  /** Counts a drop and hands the reason back, for `return stats.drop(REASON)`. */
  drop(reason: number): number {
    this.#lastDrop = reason;
    this.drops[reason]++;
    return reason;
  }
}

/** Every counter as name and value: the protocol counters, then the drops as `drop-<reason>`. For tools; allocates. */
export function listStats(stats: Stats): [name: string, value: number][] {
  const rows: [string, number][] = [];
  for (const [name, value] of Object.entries(stats)) if (typeof value === 'number') rows.push([name, value]);
  for (let reason = 1; reason < DROP_NAMES.length; reason++) {
    rows.push([`drop-${DROP_NAMES[reason]}`, stats.drops[reason]]);
  }
  return rows;
}
