// Frames from what a script says: right in everything it does not mention, wrong exactly where it says so. For runner.ts.
import { writeArp } from '../../../stack/wire/arp.ts';
import { writeInt32, writeUint16 } from '../../../stack/wire/bytes.ts';
import { finish, sum } from '../../../stack/wire/checksum.ts';
import {
  BROADCAST_MAC,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_VLAN,
  parseMac,
} from '../../../stack/wire/ethernet.ts';
import { parseIpv4Address } from '../../../stack/wire/ipv4.ts';
import { parseIpv6Address } from '../../../stack/wire/ipv6.ts';
import { type Flow, POISON, peerByte } from './flow.ts';
import type {
  ArpPacketSpec,
  IcmpPacket,
  IpFields,
  NdpPacketSpec,
  Packet,
  RawPacket,
  TcpOption,
  TcpPacket,
  UdpPacket,
} from './syntax.ts';

/** The two hosts on the wire. Addresses are 4 bytes, or 16. */
export interface Hosts {
  readonly family: 4 | 6;
  readonly stackIp: Uint8Array;
  readonly peerIp: Uint8Array;
  readonly stackMac: Uint8Array;
  readonly peerMac: Uint8Array;
  /** 802.1Q identifier of frames both ways; 0: untagged. */
  readonly vlan: number;
}

const FLAG_BITS: Readonly<Record<string, number>> = { F: 1, S: 2, R: 4, P: 8, '.': 16, U: 32, E: 64, W: 128 };
const ECN_BITS = { none: 0, ect1: 1, ect0: 2, ce: 3 } as const;
const ICMPV6 = 58;
const OTHER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0x99);

export function flagBits(letters: string): number {
  let bits = 0;
  for (const letter of letters) bits |= FLAG_BITS[letter] ?? 0;
  return bits;
}

/** @param nowMs script time, for timestamps that are not given. */
export function buildFrames(packet: Packet, flow: Flow, hosts: Hosts, nowMs: number): Uint8Array[] {
  switch (packet.kind) {
    case 'tcp':
      return ipFrames(packet, 6, tcpBytes(packet, flow, hosts, nowMs), hosts);
    case 'icmp':
      return ipFrames(packet, hosts.family === 4 ? 1 : ICMPV6, icmpBytes(packet, flow, hosts), hosts);
    case 'udp':
      return ipFrames(packet, 17, udpBytes(packet, hosts), hosts);
    case 'ip':
      return ipFrames(packet, packet.protocol, rawBytes(packet), hosts);
    case 'arp':
      return [arpFrame(packet, hosts)];
    case 'ndp':
      return ndpFrames(packet, hosts);
    case 'hex':
      return [Uint8Array.from(packet.bytes)];
  }
}

export function resolveIp(name: string, hosts: Hosts): Uint8Array {
  if (name === 'us') return hosts.stackIp;
  if (name === 'peer') return hosts.peerIp;
  if (name === 'nobody') return new Uint8Array(hosts.stackIp.length);
  const ip = addressBytes(name);
  if (ip === null) throw new Error(`'${name}' is no address`);
  return ip;
}

/** 4 or 16 bytes; null: it is no address. */
export function addressBytes(text: string): Uint8Array | null {
  if (text.includes(':')) return parseIpv6Address(text);
  const ip = parseIpv4Address(text);
  return ip === null ? null : Uint8Array.of(ip >>> 24, (ip >>> 16) & 255, (ip >>> 8) & 255, ip & 255);
}

/** Of TCP, and of everything over IPv6 (RFC 9293 3.1, RFC 8200 8.1). */
export function pseudoSum(from: Uint8Array, to: Uint8Array, protocol: number, length: number): number {
  return sum(to, 0, to.length, sum(from, 0, from.length, protocol + length));
}

// ---- TCP -------------------------------------------------------------------------------------------------------

function tcpBytes(packet: TcpPacket, flow: Flow, hosts: Hosts, nowMs: number): Uint8Array {
  const options = optionBytes(tcpOptions(packet, flow), flow, nowMs);
  const bytes = new Uint8Array(20 + options.length + packet.length);
  const flags = flagBits(packet.flags);
  const start = packet.start === '*' ? 0 : packet.start;
  writeUint16(bytes, 0, packet.sport ?? flow.peerPort);
  writeUint16(bytes, 2, packet.dport ?? flow.localPort);
  writeInt32(bytes, 4, flow.toPeer(start));
  if (packet.ack !== undefined && packet.ack !== '*') writeInt32(bytes, 8, flow.toStack(packet.ack));
  bytes[12] = (packet.dataOffset ?? (20 + options.length) / 4) << 4;
  bytes[13] = flags;
  writeUint16(bytes, 14, typeof packet.win === 'number' ? packet.win : 65535);
  writeUint16(bytes, 18, packet.urg ?? 0);
  bytes.set(options, 20);
  const first = (flags & FLAG_BITS.S) !== 0 ? start + 1 : start;
  for (let i = 0; i < packet.length; i++) {
    bytes[20 + options.length + i] = packet.poison === true ? POISON : peerByte(first + i);
  }
  const [from, to] = addresses(packet, hosts);
  const checksum = finish(sum(bytes, 0, bytes.length, pseudoSum(from, to, 6, bytes.length)));
  writeUint16(bytes, 16, packet.badChecksum === true ? checksum ^ 0x1111 : checksum);
  return bytes;
}

/** Those given; none given and timestamps agreed on: timestamps. */
function tcpOptions(packet: TcpPacket, flow: Flow): readonly TcpOption[] {
  const { options } = packet;
  const isSyn = packet.flags.includes('S');
  if (options === undefined || options === '*') {
    return flow.usesTs && !isSyn ? [{ kind: 'TS', val: undefined, ecr: undefined }] : [];
  }
  if (isSyn) {
    const ts = options.find((option) => option.kind === 'TS');
    flow.peerHasTs = ts !== undefined;
    flow.peerTsBase = ts?.val ?? flow.peerTsBase;
  }
  return options;
}

function optionBytes(options: readonly TcpOption[], flow: Flow, nowMs: number): Uint8Array {
  const bytes: number[] = [];
  const word = (value: number) =>
    bytes.push((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
  for (const option of options) {
    if (option.kind === 'mss') bytes.push(2, 4, Number(option.value) >> 8, Number(option.value) & 255);
    else if (option.kind === 'wscale') bytes.push(3, 3, Number(option.value));
    else if (option.kind === 'sackOK') bytes.push(4, 2);
    else if (option.kind === 'nop') bytes.push(1);
    else if (option.kind === 'eol') bytes.push(0);
    else if (option.kind === 'hex') bytes.push(...option.bytes);
    else if (option.kind === 'sack') {
      bytes.push(5, 2 + 4 * option.edges.length);
      for (const edge of option.edges) word(flow.toStack(edge));
    } else {
      bytes.push(8, 10);
      word(option.val ?? flow.peerTsBase + nowMs);
      word(option.ecr === undefined ? flow.lastTsVal : flow.tsBase + option.ecr);
    }
  }
  while (bytes.length % 4 !== 0) bytes.push(1);
  return Uint8Array.from(bytes);
}

// ---- The other protocols ---------------------------------------------------------------------------------------

function icmpBytes(packet: IcmpPacket, flow: Flow, hosts: Hosts): Uint8Array {
  const six = hosts.family === 6;
  const isError = six ? packet.type < 128 : packet.type !== 8 && packet.type !== 0;
  const payload = isError ? quotedPacket(packet, flow, hosts) : patternBytes(packet.length ?? 56);
  const bytes = new Uint8Array(8 + payload.length);
  bytes[0] = packet.type;
  bytes[1] = packet.code;
  writeUint16(bytes, 4, packet.id2);
  writeUint16(bytes, 6, packet.seq);
  bytes.set(payload, 8);
  const [from, to] = addresses(packet, hosts);
  const checksum = finish(sum(bytes, 0, bytes.length, six ? pseudoSum(from, to, ICMPV6, bytes.length) : 0));
  writeUint16(bytes, 2, packet.badChecksum === true ? checksum ^ 0x1111 : checksum);
  return bytes;
}

/** The start of a packet that the stack is said to have sent: TCP when `about` is given, else UDP. */
function quotedPacket(packet: IcmpPacket, flow: Flow, hosts: Hosts): Uint8Array {
  const isTcp = packet.about !== undefined;
  const length = packet.quote ?? 8;
  const transport = new Uint8Array(Math.max(length, 8));
  writeUint16(transport, 0, flow.localPort);
  writeUint16(transport, 2, flow.peerPort);
  if (isTcp) writeInt32(transport, 4, flow.toStack(packet.about!));
  const header = ipHeader({}, { protocol: isTcp ? 6 : 17, payloadLength: 1480, from: hosts.stackIp, to: hosts.peerIp });
  const quoted = new Uint8Array(header.length + length);
  quoted.set(header);
  quoted.set(transport.subarray(0, length), header.length);
  return quoted;
}

function udpBytes(packet: UdpPacket, hosts: Hosts): Uint8Array {
  const bytes = new Uint8Array(8 + packet.length);
  writeUint16(bytes, 0, 5353);
  writeUint16(bytes, 2, packet.port);
  writeUint16(bytes, 4, bytes.length);
  // Over IPv4 it may be left out, over IPv6 not (RFC 8200 8.1).
  if (hosts.family === 6)
    writeUint16(
      bytes,
      6,
      finish(sum(bytes, 0, bytes.length, pseudoSum(...addresses(packet, hosts), 17, bytes.length))),
    );
  return bytes;
}

const rawBytes = (packet: RawPacket): Uint8Array => patternBytes(packet.length);

/** What echo requests and nameless packets carry. */
export function patternBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => peerByte(i));
}

function arpFrame(packet: ArpPacketSpec, hosts: Hosts): Uint8Array {
  const sender = packet.senderMac === undefined ? hosts.peerMac : parseMac(packet.senderMac)!;
  const to =
    packet.mac === undefined ? (packet.operation === 1 ? BROADCAST_MAC : hosts.stackMac) : macOf(packet.mac, hosts);
  const bytes = new Uint8Array(46);
  const targetMac = packet.operation === 1 ? new Uint8Array(6) : hosts.stackMac;
  const [senderIp, targetIp] = [packet.sender, packet.target].map((name) => ipv4Number(resolveIp(name, hosts)));
  writeArp(bytes, 0, packet.operation, sender, senderIp, targetMac, targetIp);
  return ethernetFrame({}, to, sender, ETHERTYPE_ARP, bytes, hosts);
}

const ipv4Number = (ip: Uint8Array): number => (ip[0] << 24) | (ip[1] << 16) | (ip[2] << 8) | ip[3];

/** Hop limit 255, unless the line says otherwise: what a router has passed on is not believed (RFC 4861 7.1). */
function ndpFrames(packet: NdpPacketSpec, hosts: Hosts): Uint8Array[] {
  const target = resolveIp(packet.target, hosts);
  const isSolicitation = packet.type === 135;
  const mac = packet.isAt === undefined ? hosts.peerMac : packet.isAt === 'none' ? null : parseMac(packet.isAt);
  const bytes = new Uint8Array(24 + (mac === null ? 0 : 8));
  bytes[0] = packet.type;
  if (!isSolicitation) bytes[4] = (packet.solicited === true ? 0x40 : 0) | (packet.override === true ? 0x20 : 0);
  bytes.set(target, 8);
  if (mac !== null) bytes.set([isSolicitation ? 1 : 2, 1, ...mac], 24);
  const toGroup = isSolicitation && packet.to === undefined;
  const fields = { ttl: 255, ...packet };
  const from = resolveIp(packet.from ?? 'peer', hosts);
  const to = toGroup ? solicitedNode(target) : resolveIp(packet.to ?? 'us', hosts);
  const checksum = finish(sum(bytes, 0, bytes.length, pseudoSum(from, to, ICMPV6, bytes.length)));
  writeUint16(bytes, 2, packet.badChecksum === true ? checksum ^ 0x1111 : checksum);
  return framesBetween(fields, ICMPV6, bytes, from, to, hosts);
}

/** RFC 4291 2.7.1 */
export function solicitedNode(target: Uint8Array): Uint8Array {
  return Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, target[13], target[14], target[15]);
}

// ---- IP and Ethernet -------------------------------------------------------------------------------------------

function addresses(fields: IpFields, hosts: Hosts): [from: Uint8Array, to: Uint8Array] {
  return [resolveIp(fields.from ?? 'peer', hosts), resolveIp(fields.to ?? 'us', hosts)];
}

function macOf(name: string | undefined, hosts: Hosts): Uint8Array {
  if (name === undefined) return hosts.stackMac;
  if (name === 'broadcast') return BROADCAST_MAC;
  if (name === 'other') return OTHER_MAC;
  const mac = parseMac(name);
  if (mac === null) throw new Error(`'${name}' is no hardware address`);
  return mac;
}

function ipFrames(fields: IpFields, protocol: number, transport: Uint8Array, hosts: Hosts): Uint8Array[] {
  return framesBetween(fields, protocol, transport, ...addresses(fields, hosts), hosts);
}

function framesBetween(
  fields: IpFields,
  protocol: number,
  transport: Uint8Array,
  from: Uint8Array,
  to: Uint8Array,
  hosts: Hosts,
): Uint8Array[] {
  const pieces: { offset: number; bytes: Uint8Array; more: boolean }[] = [];
  const size = fields.split ?? transport.length;
  for (let offset = 0; offset === 0 || offset < transport.length; offset += size) {
    const bytes = transport.subarray(offset, offset + size);
    pieces.push({ offset, bytes, more: offset + bytes.length < transport.length });
  }
  const chosen = fields.only === undefined ? pieces : fields.only.map((index) => pieces[index]);
  const ordered = fields.reverse === true ? chosen.toReversed() : chosen;
  const isGroup = hosts.family === 6 && to[0] === 0xff;
  const mac =
    fields.mac === undefined && isGroup ? Uint8Array.of(0x33, 0x33, ...to.subarray(12)) : macOf(fields.mac, hosts);
  const etherType = hosts.family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
  return ordered.map(({ offset, bytes, more }) => {
    const header = ipHeader(fields, { protocol, payloadLength: bytes.length, from, to, offset, more });
    const packet = new Uint8Array(header.length + bytes.length);
    packet.set(header);
    packet.set(bytes, header.length);
    return ethernetFrame(fields, mac, hosts.peerMac, etherType, packet, hosts);
  });
}

/** With its tag, and cut off or padded as the line says. */
function ethernetFrame(
  fields: IpFields,
  to: Uint8Array,
  from: Uint8Array,
  etherType: number,
  payload: Uint8Array,
  hosts: Hosts,
): Uint8Array {
  const vlan = fields.untagged === true ? undefined : (fields.vlan ?? (hosts.vlan === 0 ? undefined : hosts.vlan));
  const tag = vlan === undefined ? [] : [ETHERTYPE_VLAN >> 8, ETHERTYPE_VLAN & 255, vlan >> 8, vlan & 255];
  const whole = Uint8Array.of(...to, ...from, ...tag, etherType >> 8, etherType & 255, ...payload);
  const frame = new Uint8Array(whole.length + (fields.pad ?? 0) - (fields.cut ?? 0));
  frame.set(whole.subarray(0, frame.length));
  return frame;
}

/** What a header is for: a whole packet, or a fragment of one. */
interface HeaderOf {
  readonly protocol: number;
  readonly payloadLength: number;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  /** Bytes of the packet before this fragment. */
  readonly offset?: number;
  /** Other fragments follow. */
  readonly more?: boolean;
}

const ipHeader = (fields: IpFields, of: HeaderOf): Uint8Array =>
  of.from.length === 4 ? ipv4Header(fields, of) : ipv6Header(fields, of);

function ipv4Header(
  fields: IpFields,
  { protocol, payloadLength, from, to, offset = 0, more = false }: HeaderOf,
): Uint8Array {
  const options = fields.ipOptions ?? [];
  const header = new Uint8Array(20 + Math.ceil(options.length / 4) * 4);
  header[0] = ((fields.ipVersion ?? 4) << 4) | (fields.ihl ?? header.length / 4);
  header[1] = fields.tos ?? ECN_BITS[fields.ecn ?? 'none'];
  writeUint16(header, 2, fields.ipLength ?? header.length + payloadLength);
  writeUint16(header, 4, fields.id ?? 77);
  writeUint16(header, 6, (fields.df === true ? 0x4000 : 0) | (more ? 0x2000 : 0) | (offset >> 3));
  header[8] = fields.ttl ?? 64;
  header[9] = protocol;
  header.set(from, 12);
  header.set(to, 16);
  header.set(options, 20);
  const checksum = finish(sum(header, 0, header.length, 0));
  writeUint16(header, 10, fields.badIpChecksum === true ? checksum ^ 0x1111 : checksum);
  return header;
}

/** With the extension headers that the line gives, and a fragment header when this is a part only. */
function ipv6Header(
  fields: IpFields,
  { protocol, payloadLength, from, to, offset = 0, more = false }: HeaderOf,
): Uint8Array {
  const extensions = [...(fields.ext ?? [])];
  if (more || offset > 0) {
    const place = offset | (more ? 1 : 0);
    const id = fields.id ?? 77;
    extensions.push([44, [0, place >> 8, place & 255, 0, 0, id >> 8, id & 255]]);
  }
  const chain = extensions.flatMap(([, bytes], i) => [extensions[i + 1]?.[0] ?? protocol, ...bytes]);
  const header = new Uint8Array(40 + chain.length);
  const trafficClass = fields.tos ?? ECN_BITS[fields.ecn ?? 'none'];
  writeInt32(header, 0, ((fields.ipVersion ?? 6) << 28) | (trafficClass << 20));
  writeUint16(header, 4, fields.ipLength ?? chain.length + payloadLength);
  header[6] = extensions[0]?.[0] ?? protocol;
  header[7] = fields.ttl ?? 64;
  header.set(from, 8);
  header.set(to, 24);
  header.set(chain, 40);
  return header;
}
