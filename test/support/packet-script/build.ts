// Frames from what a script says: right in everything it does not mention, wrong exactly where it says so. For runner.ts.
import { writeArp } from '../../../stack/wire/arp.ts';
import { writeInt32, writeUint16 } from '../../../stack/wire/bytes.ts';
import { finish, pseudoHeaderSum, sum } from '../../../stack/wire/checksum.ts';
import {
  BROADCAST_MAC,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  parseMac,
  writeEthernetHeader,
} from '../../../stack/wire/ethernet.ts';
import { parseIpv4Address } from '../../../stack/wire/ipv4.ts';
import { type Flow, POISON, peerByte } from './flow.ts';
import type {
  ArpPacketSpec,
  IcmpPacket,
  IpFields,
  Packet,
  RawPacket,
  TcpOption,
  TcpPacket,
  UdpPacket,
} from './syntax.ts';

/** The two hosts on the wire. Addresses are int32. */
export interface Hosts {
  readonly stackIp: number;
  readonly peerIp: number;
  readonly stackMac: Uint8Array;
  readonly peerMac: Uint8Array;
}

const FLAG_BITS: Readonly<Record<string, number>> = { F: 1, S: 2, R: 4, P: 8, '.': 16, U: 32, E: 64, W: 128 };
const ECN_BITS = { none: 0, ect1: 1, ect0: 2, ce: 3 } as const;
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
      return ipFrames(packet, 1, icmpBytes(packet, flow, hosts), hosts);
    case 'udp':
      return ipFrames(packet, 17, udpBytes(packet), hosts);
    case 'ip':
      return ipFrames(packet, packet.protocol, rawBytes(packet), hosts);
    case 'arp':
      return [arpFrame(packet, hosts)];
    case 'hex':
      return [Uint8Array.from(packet.bytes)];
  }
}

export function resolveIp(name: string, hosts: Hosts): number {
  if (name === 'us') return hosts.stackIp;
  if (name === 'peer') return hosts.peerIp;
  const ip = parseIpv4Address(name);
  if (ip === null) throw new Error(`'${name}' is no address`);
  return ip;
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
  const checksum = finish(sum(bytes, 0, bytes.length, pseudoHeaderSum(from, to, 6, bytes.length)));
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
  const isError = packet.type !== 8 && packet.type !== 0;
  const payload = isError ? quotedPacket(packet, flow, hosts) : patternBytes(packet.length ?? 56);
  const bytes = new Uint8Array(8 + payload.length);
  bytes[0] = packet.type;
  bytes[1] = packet.code;
  writeUint16(bytes, 4, packet.id2);
  writeUint16(bytes, 6, packet.seq);
  bytes.set(payload, 8);
  const checksum = finish(sum(bytes, 0, bytes.length, 0));
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
  const header = ipv4Header({}, isTcp ? 6 : 17, 1480, hosts.stackIp, hosts.peerIp);
  const quoted = new Uint8Array(header.length + length);
  quoted.set(header);
  quoted.set(transport.subarray(0, length), header.length);
  return quoted;
}

function udpBytes(packet: UdpPacket): Uint8Array {
  const bytes = new Uint8Array(8 + packet.length);
  writeUint16(bytes, 0, 5353);
  writeUint16(bytes, 2, packet.port);
  writeUint16(bytes, 4, bytes.length);
  return bytes;
}

const rawBytes = (packet: RawPacket): Uint8Array => patternBytes(packet.length);

/** What echo requests and nameless packets carry. */
export function patternBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => peerByte(i));
}

function arpFrame(packet: ArpPacketSpec, hosts: Hosts): Uint8Array {
  const frame = new Uint8Array(60);
  const sender = packet.senderMac === undefined ? hosts.peerMac : parseMac(packet.senderMac)!;
  const to =
    packet.mac === undefined ? (packet.operation === 1 ? BROADCAST_MAC : hosts.stackMac) : macOf(packet.mac, hosts);
  const at = writeEthernetHeader(frame, 0, to, sender, ETHERTYPE_ARP);
  const targetMac = packet.operation === 1 ? new Uint8Array(6) : hosts.stackMac;
  const senderIp = resolveIp(packet.sender, hosts);
  writeArp(frame, at, packet.operation, sender, senderIp, targetMac, resolveIp(packet.target, hosts));
  return frame;
}

// ---- IPv4 and Ethernet -----------------------------------------------------------------------------------------

function addresses(fields: IpFields, hosts: Hosts): [from: number, to: number] {
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
  const [from, to] = addresses(fields, hosts);
  const pieces: { offset: number; bytes: Uint8Array; more: boolean }[] = [];
  const size = fields.split ?? transport.length;
  for (let offset = 0; offset === 0 || offset < transport.length; offset += size) {
    const bytes = transport.subarray(offset, offset + size);
    pieces.push({ offset, bytes, more: offset + bytes.length < transport.length });
  }
  const chosen = fields.only === undefined ? pieces : fields.only.map((index) => pieces[index]);
  const ordered = fields.reverse === true ? chosen.toReversed() : chosen;
  return ordered.map(({ offset, bytes, more }) => {
    const header = ipv4Header(fields, protocol, bytes.length, from, to, offset, more);
    const length = 14 + header.length + bytes.length;
    const frame = new Uint8Array(length + (fields.pad ?? 0) - (fields.cut ?? 0));
    writeEthernetHeader(frame, 0, macOf(fields.mac, hosts), hosts.peerMac, ETHERTYPE_IPV4);
    frame.set(header.subarray(0, Math.max(0, frame.length - 14)), 14);
    const room = frame.length - 14 - header.length;
    if (room > 0) frame.set(bytes.subarray(0, room), 14 + header.length);
    return frame;
  });
}

function ipv4Header(
  fields: IpFields,
  protocol: number,
  payloadLength: number,
  from: number,
  to: number,
  offset = 0,
  more = false,
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
  writeInt32(header, 12, from);
  writeInt32(header, 16, to);
  header.set(options, 20);
  const checksum = finish(sum(header, 0, header.length, 0));
  writeUint16(header, 10, fields.badIpChecksum === true ? checksum ^ 0x1111 : checksum);
  return header;
}
