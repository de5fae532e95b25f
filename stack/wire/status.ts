// What a parser answers: 0, or why the packet is not what it says it is. Each code is an index into a table of
// names, so that a drop is one addition to a counter. stack/stats.ts continues the numbering with reasons that
// are not about format. Anyone in stack/ may import it.

export const OK = 0;

export const ETHERNET_TRUNCATED = 1;

export const ARP_TRUNCATED = 2;
/** Hardware or protocol type, or their lengths, are not Ethernet and IPv4. */
export const ARP_NOT_ETHERNET_IPV4 = 3;
export const ARP_BAD_OPERATION = 4;
/** The sender's hardware address is a group address or zero. */
export const ARP_BAD_SENDER = 5;

export const IPV4_TRUNCATED = 6;
export const IPV4_BAD_VERSION = 7;
export const IPV4_BAD_HEADER_LENGTH = 8;
/** Total length is smaller than the header or larger than the frame. */
export const IPV4_BAD_TOTAL_LENGTH = 9;
export const IPV4_BAD_CHECKSUM = 10;
export const IPV4_BAD_OPTIONS = 11;
export const IPV4_SOURCE_ROUTED = 12;

export const ICMP_TRUNCATED = 13;
export const ICMP_BAD_CHECKSUM = 14;
/** The packet quoted in an error is cut short or is no IPv4. */
export const ICMP_BAD_QUOTE = 15;

export const TCP_TRUNCATED = 16;
export const TCP_BAD_DATA_OFFSET = 17;

export const IPV6_TRUNCATED = 18;
export const IPV6_BAD_VERSION = 19;
/** The payload length is larger than the frame. */
export const IPV6_BAD_LENGTH = 20;
/** Extension headers that do not fit, are too many or stand in the wrong place. */
export const IPV6_BAD_EXTENSION = 21;
/** An option that must not be skipped by who does not know it. */
export const IPV6_BAD_OPTION = 22;
export const IPV6_SOURCE_ROUTED = 23;

export const ICMPV6_TRUNCATED = 24;
export const ICMPV6_BAD_CHECKSUM = 25;
/** Neighbour discovery that RFC 4861 7.1 and 6.1 call invalid: hop limit, code, length or options. */
export const NDP_INVALID = 26;

/** Name of each status, by code. */
export const STATUS_NAMES: readonly string[] = [
  'ok',
  'ethernet-truncated',
  'arp-truncated',
  'arp-not-ethernet-ipv4',
  'arp-bad-operation',
  'arp-bad-sender',
  'ipv4-truncated',
  'ipv4-bad-version',
  'ipv4-bad-header-length',
  'ipv4-bad-total-length',
  'ipv4-bad-checksum',
  'ipv4-bad-options',
  'ipv4-source-routed',
  'icmp-truncated',
  'icmp-bad-checksum',
  'icmp-bad-quote',
  'tcp-truncated',
  'tcp-bad-data-offset',
  'ipv6-truncated',
  'ipv6-bad-version',
  'ipv6-bad-length',
  'ipv6-bad-extension',
  'ipv6-bad-option',
  'ipv6-source-routed',
  'icmpv6-truncated',
  'icmpv6-bad-checksum',
  'ndp-invalid',
];
