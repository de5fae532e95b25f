// One line of text for a frame, in the manner of tcpdump, for tests and tools. Slow, allocates, never throws.
import { ARP_REQUEST, ArpPacket, parseArp } from './arp.ts';
import { readUint16 } from './bytes.ts';
import { finish, pseudoHeaderSum, sum } from './checksum.ts';
import {
  ETHERNET_HEADER_LENGTH,
  ETHERNET_SOURCE,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  formatMac,
  readEtherType,
} from './ethernet.ts';
import { ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST, ICMP_UNREACHABLE, IcmpHeader, parseIcmp } from './icmp.ts';
import {
  checkIcmpv6,
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  NDP_NEIGHBOR_ADVERTISEMENT,
  NDP_NEIGHBOR_SOLICITATION,
  sumOfAddress,
} from './icmpv6.ts';
import { formatIpv4, Ipv4Header, PROTOCOL_ICMP, PROTOCOL_TCP, parseIpv4 } from './ipv4.ts';
import { formatIpv6, IPV6_DESTINATION, IPV6_SOURCE, Ipv6Header, PROTOCOL_ICMPV6, parseIpv6 } from './ipv6.ts';
import { OK, STATUS_NAMES } from './status.ts';
import { ACK, CWR, ECE, FIN, PSH, parseTcp, RST, SYN, TcpSegment, URG } from './tcp.ts';

const FLAG_LETTERS: readonly (readonly [number, string])[] = [
  [SYN, 'S'],
  [FIN, 'F'],
  [RST, 'R'],
  [PSH, 'P'],
  [URG, 'U'],
  [ECE, 'E'],
  [CWR, 'W'],
  [ACK, '.'],
];

/** `10.0.0.2:50000 > 10.0.0.1:6379: [S] seq 1 win 64240 <mss 1460,sackOK> length 0`, an ARP or ICMP line, or why not. */
export function describeFrame(
  bytes: Uint8Array,
  offset: number,
  length: number,
  medium: 'ethernet' | 'ip' = 'ethernet',
): string {
  if (medium === 'ip') return describeIpv4(bytes, offset, length);
  if (length < ETHERNET_HEADER_LENGTH) return `[ethernet-truncated] length ${length}`;
  const etherType = readEtherType(bytes, offset);
  const payload = offset + ETHERNET_HEADER_LENGTH;
  const payloadLength = length - ETHERNET_HEADER_LENGTH;
  if (etherType === ETHERTYPE_IPV4) return describeIpv4(bytes, payload, payloadLength);
  if (etherType === ETHERTYPE_ARP) return describeArp(bytes, payload, payloadLength);
  if (etherType === ETHERTYPE_IPV6) return describeIpv6(bytes, payload, payloadLength);
  const macs = `${formatMac(bytes, offset + ETHERNET_SOURCE)} > ${formatMac(bytes, offset)}`;
  return `${macs} ethertype 0x${etherType.toString(16).padStart(4, '0')} length ${length}`;
}

function describeArp(bytes: Uint8Array, offset: number, length: number): string {
  const packet = new ArpPacket();
  const status = parseArp(bytes, offset, length, packet);
  if (status !== OK) return `[${STATUS_NAMES[status]}] length ${length}`;
  const sender = formatIpv4(packet.senderIp);
  const target = formatIpv4(packet.targetIp);
  if (packet.operation === ARP_REQUEST) return `arp who-has ${target} tell ${sender}`;
  return `arp reply ${sender} is-at ${formatMac(bytes, packet.senderMacOffset)}`;
}

function describeIpv4(bytes: Uint8Array, offset: number, length: number): string {
  const header = new Ipv4Header();
  const status = parseIpv4(bytes, offset, length, header);
  if (status !== OK) return `[${STATUS_NAMES[status]}] length ${length}`;
  const source = formatIpv4(header.sourceIp);
  const destination = formatIpv4(header.destinationIp);
  if (header.moreFragments || header.fragmentOffset !== 0) {
    const more = header.moreFragments ? '+' : '';
    return `${source} > ${destination}: fragment ${header.identification} ${header.payloadLength}@${header.fragmentOffset}${more}`;
  }
  if (header.protocol === PROTOCOL_TCP) {
    const pseudo = pseudoHeaderSum(header.sourceIp, header.destinationIp, PROTOCOL_TCP, header.payloadLength);
    return describeTcp(bytes, header.payloadOffset, header.payloadLength, source, destination, pseudo);
  }
  if (header.protocol === PROTOCOL_ICMP) return `${source} > ${destination}: ${describeIcmp(bytes, header)}`;
  return `${source} > ${destination}: protocol ${header.protocol} length ${header.payloadLength}`;
}

function describeIcmp(bytes: Uint8Array, ip: Ipv4Header): string {
  const header = new IcmpHeader();
  const status = parseIcmp(bytes, ip.payloadOffset, ip.payloadLength, header);
  if (status !== OK) return `[${STATUS_NAMES[status]}] length ${ip.payloadLength}`;
  if (header.type === ICMP_ECHO_REQUEST || header.type === ICMP_ECHO_REPLY) {
    const id = readUint16(bytes, ip.payloadOffset + 4);
    const seq = readUint16(bytes, ip.payloadOffset + 6);
    const kind = header.type === ICMP_ECHO_REQUEST ? 'request' : 'reply';
    return `icmp echo ${kind} id ${id} seq ${seq} length ${ip.payloadLength}`;
  }
  if (header.type === ICMP_UNREACHABLE) return `icmp unreachable code ${header.code} mtu ${header.mtu}`;
  return `icmp type ${header.type} code ${header.code}`;
}

function describeIpv6(bytes: Uint8Array, offset: number, length: number): string {
  const header = new Ipv6Header();
  const status = parseIpv6(bytes, offset, length, header);
  if (status !== OK) return `[${STATUS_NAMES[status]}] length ${length}`;
  const source = formatIpv6(bytes, offset + IPV6_SOURCE);
  const destination = formatIpv6(bytes, offset + IPV6_DESTINATION);
  const { payloadOffset, payloadLength, protocol } = header;
  if (header.isFragment && (header.moreFragments || header.fragmentOffset !== 0)) {
    const more = header.moreFragments ? '+' : '';
    return `${source} > ${destination}: fragment ${header.identification} ${payloadLength}@${header.fragmentOffset}${more}`;
  }
  const addresses = sumOfAddress(bytes, offset + IPV6_SOURCE) + sumOfAddress(bytes, offset + IPV6_DESTINATION);
  if (protocol === PROTOCOL_TCP) {
    const pseudo = addresses + PROTOCOL_TCP + payloadLength;
    return describeTcp(bytes, payloadOffset, payloadLength, `[${source}]`, `[${destination}]`, pseudo);
  }
  if (protocol !== PROTOCOL_ICMPV6) {
    return `${source} > ${destination}: protocol ${protocol} length ${payloadLength}`;
  }
  const bad = checkIcmpv6(bytes, payloadOffset, payloadLength, addresses);
  if (bad !== OK) return `${source} > ${destination}: [${STATUS_NAMES[bad]}] length ${payloadLength}`;
  return `${source} > ${destination}: ${describeIcmpv6(bytes, payloadOffset, payloadLength)}`;
}

function describeIcmpv6(bytes: Uint8Array, offset: number, length: number): string {
  const type = bytes[offset];
  const code = bytes[offset + 1];
  const target = length >= 24 ? formatIpv6(bytes, offset + 8) : '';
  switch (type) {
    case ICMPV6_ECHO_REQUEST:
    case ICMPV6_ECHO_REPLY: {
      const kind = type === ICMPV6_ECHO_REQUEST ? 'request' : 'reply';
      return `icmp6 echo ${kind} id ${readUint16(bytes, offset + 4)} seq ${readUint16(bytes, offset + 6)} length ${length}`;
    }
    case NDP_NEIGHBOR_SOLICITATION:
      return `icmp6 who-has ${target}`;
    case NDP_NEIGHBOR_ADVERTISEMENT:
      return `icmp6 ${target} is here${length >= 32 ? ` at ${formatMac(bytes, offset + 26)}` : ''}`;
    default:
      return `icmp6 type ${type} code ${code} length ${length}`;
  }
}

function describeTcp(
  bytes: Uint8Array,
  offset: number,
  length: number,
  source: string,
  destination: string,
  pseudo: number,
): string {
  const segment = new TcpSegment();
  const status = parseTcp(bytes, offset, length, segment);
  if (status !== OK) return `${source} > ${destination}: [${STATUS_NAMES[status]}] length ${length}`;
  const isSumRight = finish(sum(bytes, offset, length, pseudo)) === 0;
  let text = `${source}:${segment.sourcePort} > ${destination}:${segment.destinationPort}: [${flagLetters(segment.flags)}]`;
  if (!isSumRight) text += ' bad-checksum';
  text += ` seq ${segment.seq >>> 0}`;
  if ((segment.flags & ACK) !== 0) text += ` ack ${segment.ack >>> 0}`;
  text += ` win ${segment.window}`;
  const options = optionTexts(segment);
  if (options.length > 0) text += ` <${options.join(',')}>`;
  return `${text} length ${segment.payloadLength}`;
}

function flagLetters(flags: number): string {
  let text = '';
  for (const [bit, letter] of FLAG_LETTERS) if ((flags & bit) !== 0) text += letter;
  return text === '' ? 'none' : text;
}

function optionTexts(segment: TcpSegment): string[] {
  const texts: string[] = [];
  if (segment.mss > 0) texts.push(`mss ${segment.mss}`);
  if (segment.sackPermitted) texts.push('sackOK');
  if (segment.hasTimestamps) texts.push(`TS val ${segment.tsVal >>> 0} ecr ${segment.tsEcr >>> 0}`);
  if (segment.windowScale >= 0) texts.push(`wscale ${segment.windowScale}`);
  for (let i = 0; i < segment.sackCount; i++) {
    texts.push(`sack ${segment.sackEdges[2 * i] >>> 0}:${segment.sackEdges[2 * i + 1] >>> 0}`);
  }
  if (segment.optionsMalformed) texts.push('malformed');
  return texts;
}
