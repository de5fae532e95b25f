// Frames of the stack, read back into a script's words and numbers: printed in the script's own syntax, and compared with
// what a line expects. Checksums are always checked. For runner.ts.
import { ArpPacket, parseArp } from '../../../stack/wire/arp.ts';
import { readUint16 } from '../../../stack/wire/bytes.ts';
import { finish, sum } from '../../../stack/wire/checksum.ts';
import {
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_VLAN,
  formatMac,
  readEtherType,
} from '../../../stack/wire/ethernet.ts';
import { IcmpHeader, parseIcmp } from '../../../stack/wire/icmp.ts';
import { formatIpv4, Ipv4Header, parseIpv4 } from '../../../stack/wire/ipv4.ts';
import { formatIpv6, Ipv6Header, parseIpv6 } from '../../../stack/wire/ipv6.ts';
import { STATUS_NAMES } from '../../../stack/wire/status.ts';
import { parseTcp, TcpSegment } from '../../../stack/wire/tcp.ts';
import { flagBits, type Hosts, patternBytes, pseudoSum, resolveIp, solicitedNode } from './build.ts';
import { type Flow, stackByte } from './flow.ts';
import type { IcmpPacket, IpFields, NdpPacketSpec, Packet, TcpOption, TcpPacket, Wild } from './syntax.ts';

const LETTERS = ['F', 'S', 'R', 'P', '.', 'U', 'E', 'W'];
const ECN_NAMES = ['none', 'ect1', 'ect0', 'ce'] as const;

/** The IP header of either family. */
interface IpFacts {
  /** What is wrong with it; 0: nothing. */
  readonly status: number;
  readonly ttl: number;
  readonly trafficClass: number;
  /** Of IPv6 always: no router cuts it up. */
  readonly dontFragment: boolean;
  readonly protocol: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly payloadOffset: number;
  readonly payloadLength: number;
}

/** A frame as the script would write it. */
export interface Seen {
  readonly text: string;
  readonly kind: 'tcp' | 'icmp' | 'ndp' | 'arp' | 'other';
  readonly flow: Flow | null;
  readonly ip: IpFacts | null;
  readonly segment: TcpSegment;
  readonly icmp: IcmpHeader;
  readonly arp: ArpPacket;
  readonly bytes: Uint8Array;
  /** Why it is not a packet that a stack may send. */
  readonly fault: string | null;
}

type FlowOf = (peerPort: number) => Flow | null;

/** Where the packet begins behind the Ethernet header and its tag, and what it is. */
function link(bytes: Uint8Array): { at: number; etherType: number; vlan: number } {
  const etherType = readEtherType(bytes, 0);
  if (etherType !== ETHERTYPE_VLAN) return { at: 14, etherType, vlan: 0 };
  return { at: 18, etherType: readEtherType(bytes, 4), vlan: readUint16(bytes, 14) & 0x0fff };
}

function readIp(bytes: Uint8Array, at: number, etherType: number): IpFacts {
  const length = bytes.length - at;
  if (etherType === ETHERTYPE_IPV4) {
    const header = new Ipv4Header();
    const status = parseIpv4(bytes, at, length, header);
    const ends = { source: bytes.subarray(at + 12, at + 16), destination: bytes.subarray(at + 16, at + 20) };
    return { ...header, ...ends, status };
  }
  const header = new Ipv6Header();
  const status = parseIpv6(bytes, at, length, header);
  const ends = { source: bytes.subarray(at + 8, at + 24), destination: bytes.subarray(at + 24, at + 40) };
  return { ...header, ...ends, status, ttl: header.hopLimit, dontFragment: true };
}

export function decode(bytes: Uint8Array, flowOf: FlowOf, hosts: Hosts): Seen {
  const seen = {
    ...{ text: '', kind: 'other' as Seen['kind'], flow: null as Flow | null, fault: null as string | null, bytes },
    ...{ ip: null as IpFacts | null, segment: new TcpSegment(), icmp: new IcmpHeader(), arp: new ArpPacket() },
  };
  const { at, etherType, vlan } = link(bytes);
  if (vlan !== hosts.vlan) seen.fault = `it is in VLAN ${vlan}`;
  if (etherType === ETHERTYPE_ARP) {
    const status = parseArp(bytes, at, bytes.length - at, seen.arp);
    seen.kind = 'arp';
    if (status !== 0) seen.fault = STATUS_NAMES[status];
    else seen.text = arpText(seen.arp, bytes, hosts);
    return seen;
  }
  if (etherType !== ETHERTYPE_IPV4 && etherType !== ETHERTYPE_IPV6)
    return { ...seen, text: Buffer.from(bytes).toString('hex') };
  const ip = readIp(bytes, at, etherType);
  seen.ip = ip;
  if (ip.status !== 0) return { ...seen, fault: STATUS_NAMES[ip.status], text: Buffer.from(bytes).toString('hex') };
  const { protocol, payloadOffset, payloadLength, source, destination } = ip;
  const addressSum = pseudoSum(source, destination, protocol, payloadLength);
  const isIntact = (initial: number) => finish(sum(bytes, payloadOffset, payloadLength, initial)) === 0;
  if (protocol === 6) {
    seen.kind = 'tcp';
    const wrong = parseTcp(bytes, payloadOffset, payloadLength, seen.segment);
    if (wrong !== 0) seen.fault = STATUS_NAMES[wrong];
    else if (!isIntact(addressSum)) seen.fault = 'wrong TCP checksum';
    seen.flow = flowOf(seen.segment.destinationPort);
    if (seen.flow === null) seen.fault = `no flow has port ${seen.segment.destinationPort}`;
    else seen.text = tcpText(seen.segment, seen.flow);
  } else if (protocol === 1) {
    seen.kind = 'icmp';
    const wrong = parseIcmp(bytes, payloadOffset, payloadLength, seen.icmp);
    if (wrong !== 0) seen.fault = STATUS_NAMES[wrong];
    seen.text = `icmp ${seen.icmp.type}/${seen.icmp.code} length ${seen.icmp.payloadLength}`;
  } else if (protocol === 58) {
    if (!isIntact(addressSum)) seen.fault = 'wrong ICMPv6 checksum';
    seen.kind = bytes[payloadOffset] === 135 || bytes[payloadOffset] === 136 ? 'ndp' : 'icmp';
    seen.icmp.type = bytes[payloadOffset];
    seen.icmp.code = bytes[payloadOffset + 1];
    seen.icmp.payloadOffset = payloadOffset + 8;
    seen.icmp.payloadLength = payloadLength - 8;
    seen.text =
      seen.kind === 'ndp'
        ? ndpText(seen, hosts)
        : `icmp6 ${seen.icmp.type}/${seen.icmp.code} length ${payloadLength - 8}`;
  } else seen.text = `ip ${protocol} ${payloadLength}`;
  return seen;
}

/** Learns ISN and timestamps from what the stack sends; the numbers of the text are right only afterwards. */
export function learn(bytes: Uint8Array, flowOf: FlowOf): void {
  const { at, etherType } = link(bytes);
  if (etherType !== ETHERTYPE_IPV4 && etherType !== ETHERTYPE_IPV6) return;
  const { status, protocol, payloadOffset, payloadLength } = readIp(bytes, at, etherType);
  if (status !== 0 || protocol !== 6) return;
  const segment = new TcpSegment();
  if (parseTcp(bytes, payloadOffset, payloadLength, segment) !== 0) return;
  const flow = flowOf(segment.destinationPort);
  if (flow === null) return;
  if ((segment.flags & flagBits('S')) !== 0) {
    flow.stackIsn = segment.seq;
    flow.localPort = segment.sourcePort;
    flow.stackHasTs = segment.hasTimestamps;
  }
  if (!segment.hasTimestamps) return;
  if (!flow.hasTsBase) flow.tsBase = segment.tsVal;
  flow.hasTsBase = true;
  flow.lastTsVal = segment.tsVal;
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

function ipText(ip: Uint8Array, hosts: Hosts): string {
  if (sameBytes(ip, hosts.stackIp)) return 'us';
  if (sameBytes(ip, hosts.peerIp)) return 'peer';
  return ip.length === 4 ? formatIpv4((ip[0] << 24) | (ip[1] << 16) | (ip[2] << 8) | ip[3]) : formatIpv6(ip, 0);
}

const targetOf = ({ icmp, bytes }: Pick<Seen, 'icmp' | 'bytes'>): Uint8Array =>
  bytes.subarray(icmp.payloadOffset, icmp.payloadOffset + 16);

function ndpText(seen: Pick<Seen, 'icmp' | 'bytes' | 'ip'>, hosts: Hosts): string {
  const target = ipText(targetOf(seen), hosts);
  const { source, destination } = seen.ip as IpFacts;
  const ends = `from ${ipText(source, hosts)} to ${ipText(destination, hosts)} mac ${formatMac(seen.bytes, 0)}`;
  return `ndp ${seen.icmp.type === 135 ? 'solicit' : 'advertise'} ${target} ${ends}`;
}

const ipv4Bytes = (ip: number): Uint8Array => Uint8Array.of(ip >>> 24, (ip >>> 16) & 255, (ip >>> 8) & 255, ip & 255);

function arpText(arp: ArpPacket, bytes: Uint8Array, hosts: Hosts): string {
  const name = (ip: number) => ipText(ipv4Bytes(ip), hosts);
  const to = ` mac ${formatMac(bytes, 0) === 'ff:ff:ff:ff:ff:ff' ? 'broadcast' : formatMac(bytes, 0)}`;
  if (arp.operation === 1) return `arp request ${name(arp.targetIp)} from ${name(arp.senderIp)}${to}`;
  return `arp reply ${name(arp.senderIp)} to ${name(arp.targetIp)} is-at ${formatMac(bytes, arp.senderMacOffset)}${to}`;
}

function tcpText(segment: TcpSegment, flow: Flow): string {
  const flags = segment.flags & ~flagBits('.');
  const letters = LETTERS.filter((_, bit) => bit !== 4 && (flags & (1 << bit)) !== 0).join('');
  const hasAck = (segment.flags & flagBits('.')) !== 0;
  const start = flow.fromStack(segment.seq);
  const range = `${start}:${start + segment.payloadLength}(${segment.payloadLength})`;
  const ack = hasAck ? ` ack ${flow.fromPeer(segment.ack)}` : '';
  const urg = segment.urgentPointer > 0 ? ` urg ${segment.urgentPointer}` : '';
  const options = optionTexts(segment, flow);
  const tail = options.length > 0 ? ` <${options.join(', ')}>` : '';
  const name = `${letters}${hasAck ? '.' : ''}` || '-';
  return `${flow.id === 1 ? '' : `[${flow.id}] `}${name} ${range}${ack} win ${segment.window}${urg}${tail}`;
}

function optionTexts(segment: TcpSegment, flow: Flow): string[] {
  const texts: string[] = [];
  if (segment.mss > 0) texts.push(`mss ${segment.mss}`);
  if (segment.sackPermitted) texts.push('sackOK');
  if (segment.hasTimestamps) texts.push(`TS val ${(segment.tsVal - flow.tsBase) | 0} ecr ${segment.tsEcr >>> 0}`);
  if (segment.windowScale >= 0) texts.push(`wscale ${segment.windowScale}`);
  if (segment.sackCount > 0)
    texts.push(
      `sack ${sackEdges(segment, flow)
        .join(':')
        .replace(/(:[^:]*):/g, '$1 ')}`,
    );
  return texts;
}

function sackEdges(segment: TcpSegment, flow: Flow): number[] {
  return Array.from(segment.sackEdges.subarray(0, 2 * segment.sackCount), (edge) => flow.fromPeer(edge));
}

/** Everything in which a frame is not what the line says; empty: it is. */
export function differences(expected: Packet, flow: Flow, seen: Seen, hosts: Hosts): string[] {
  if (seen.fault !== null) return [`it is broken: ${seen.fault}`];
  switch (expected.kind) {
    case 'tcp':
      if (seen.kind !== 'tcp' || seen.flow === null) return ['it is no TCP segment'];
      if (seen.flow !== flow) return [`it belongs to flow ${seen.flow.id}`];
      return [...tcpDifferences(expected, flow, seen), ...ipDifferences(expected, seen, hosts)];
    case 'icmp':
      if (seen.kind !== 'icmp') return ['it is no ICMP message'];
      return [...icmpDifferences(expected, seen), ...ipDifferences(expected, seen, hosts)];
    case 'arp': {
      if (seen.kind !== 'arp') return ['it is no ARP packet'];
      const { arp, bytes } = seen;
      const rows: [string, string | number, string | number][] = [
        ['operation', expected.operation, arp.operation],
        [
          'sender',
          ipText(
            resolveIp(expected.sender === 'peer' && expected.operation === 1 ? 'us' : expected.sender, hosts),
            hosts,
          ),
          ipText(ipv4Bytes(arp.senderIp), hosts),
        ],
        [
          'target',
          ipText(
            resolveIp(expected.target === 'us' && expected.operation === 2 ? 'peer' : expected.target, hosts),
            hosts,
          ),
          ipText(ipv4Bytes(arp.targetIp), hosts),
        ],
      ];
      const isBroadcast = formatMac(bytes, 0) === 'ff:ff:ff:ff:ff:ff';
      if (expected.mac !== undefined) rows.push(['mac', expected.mac, isBroadcast ? 'broadcast' : formatMac(bytes, 0)]);
      return differing(rows);
    }
    case 'ndp':
      if (seen.kind !== 'ndp') return ['it is no message of neighbour discovery'];
      return ndpDifferences(expected, seen, hosts);
    default:
      return ['such packets cannot be expected'];
  }
}

function differing(rows: readonly (readonly [name: string, wanted: unknown, got: unknown])[]): string[] {
  return rows
    .filter(([, wanted, got]) => wanted !== got)
    .map(([name, wanted, got]) => `${name} is ${got}, not ${wanted}`);
}

function ndpDifferences(expected: NdpPacketSpec, seen: Seen, hosts: Hosts): string[] {
  const { icmp, bytes } = seen;
  const ip = seen.ip as IpFacts;
  const isSolicitation = expected.type === 135;
  const target = resolveIp(expected.target, hosts);
  const to =
    expected.to !== undefined ? resolveIp(expected.to, hosts) : isSolicitation ? solicitedNode(target) : hosts.peerIp;
  // Asked from nobody's address it has no option (RFC 4861 4.3); else it names our hardware address.
  const own = expected.isAt === 'none' ? '' : formatMac(hosts.stackMac, 0);
  const option = icmp.payloadOffset + 16;
  const rows: [string, unknown, unknown][] = [
    ['type', expected.type, icmp.type],
    ['target', ipText(target, hosts), ipText(targetOf(seen), hosts)],
    ['from', ipText(resolveIp(expected.from ?? 'us', hosts), hosts), ipText(ip.source, hosts)],
    ['to', ipText(to, hosts), ipText(ip.destination, hosts)],
    ['hop limit', 255, ip.ttl],
    ['is-at', own, icmp.payloadLength > 16 ? formatMac(bytes, option + 2) : ''],
  ];
  if (!isSolicitation) {
    rows.push(['solicited', expected.solicited === true, (bytes[icmp.payloadOffset - 4] & 0x40) !== 0]);
    rows.push(['override', expected.override === true, (bytes[icmp.payloadOffset - 4] & 0x20) !== 0]);
  }
  return differing(rows);
}

function ipDifferences(expected: IpFields, seen: Seen, hosts: Hosts): string[] {
  const ip = seen.ip as IpFacts;
  const rows: [string, unknown, unknown][] = [];
  if (expected.ttl !== undefined) rows.push(['ttl', expected.ttl, ip.ttl]);
  if (expected.ecn !== undefined) rows.push(['ecn', expected.ecn, ECN_NAMES[ip.trafficClass & 3]]);
  if (expected.tos !== undefined) rows.push(['tos', expected.tos, ip.trafficClass]);
  if (expected.df !== undefined) rows.push(['df', expected.df, ip.dontFragment]);
  if (expected.from !== undefined)
    rows.push(['from', ipText(resolveIp(expected.from, hosts), hosts), ipText(ip.source, hosts)]);
  rows.push(['to', ipText(resolveIp(expected.to ?? 'peer', hosts), hosts), ipText(ip.destination, hosts)]);
  return differing(rows);
}

function icmpDifferences(expected: IcmpPacket, { icmp, bytes }: Seen): string[] {
  const rows: [string, unknown, unknown][] = [
    ['type', expected.type, icmp.type],
    ['code', expected.code, icmp.code],
  ];
  if (expected.length !== undefined) rows.push(['length', expected.length, icmp.payloadLength]);
  if (expected.type === 0 || expected.type === 129) {
    const payload = bytes.subarray(icmp.payloadOffset, icmp.payloadOffset + icmp.payloadLength);
    const header = new DataView(bytes.buffer, bytes.byteOffset + icmp.payloadOffset - 8);
    rows.push(['identifier', expected.id2, header.getUint16(4)], ['sequence', expected.seq, header.getUint16(6)]);
    rows.push(['data', true, Buffer.compare(payload, patternBytes(payload.length)) === 0]);
  }
  // The MTU or the pointer, where the line says one.
  if (expected.type > 1 && expected.type < 5 && expected.seq !== 0)
    rows.push(['value', expected.seq, readUint16(bytes, icmp.payloadOffset - 2)]);
  return differing(rows);
}

function tcpDifferences(expected: TcpPacket, flow: Flow, seen: Seen): string[] {
  const { segment } = seen;
  const rows: [string, unknown, unknown][] = [];
  if (expected.flags !== '*') {
    // PSH counts only when the script asks for it: where it is set is the sender's affair (RFC 9293 3.9.1.2).
    const mask = expected.flags.includes('P') ? 0xff : 0xff & ~flagBits('P');
    if ((segment.flags & mask) !== flagBits(expected.flags.replace('-', '')))
      rows.push(['flags', expected.flags, 'other']);
  }
  const start = flow.fromStack(segment.seq);
  if (expected.start !== '*') rows.push(['seq', expected.start, start]);
  rows.push(['length', expected.length, segment.payloadLength]);
  if (typeof expected.ack === 'number') rows.push(['ack', expected.ack, flow.fromPeer(segment.ack)]);
  if (typeof expected.win === 'number') rows.push(['win', expected.win, segment.window]);
  if (expected.urg !== undefined) rows.push(['urg', expected.urg, segment.urgentPointer]);
  const wrong = wrongByte(seen, start);
  if (wrong >= 0) rows.push(['payload', 'right', `wrong at ${wrong}`]);
  return [...differing(rows), ...optionDifferences(expected.options, segment, flow)];
}

/** Sequence number of the first byte that is not the stream's; -1: none. */
function wrongByte({ segment, bytes }: Seen, start: number): number {
  for (let i = 0; i < segment.payloadLength; i++) {
    if (bytes[segment.payloadOffset + i] !== stackByte(start + i)) return start + i;
  }
  return -1;
}

function optionDifferences(
  expected: readonly TcpOption[] | Wild | undefined,
  segment: TcpSegment,
  flow: Flow,
): string[] {
  if (expected === '*') return [];
  const find = <K extends TcpOption['kind']>(kind: K) =>
    (expected ?? []).find((option) => option.kind === kind) as Extract<TcpOption, { kind: K }> | undefined;
  const [mss, scale, sack, ts] = [find('mss'), find('wscale'), find('sack'), find('TS')];
  const value = (option: { value: number | Wild } | undefined, got: number, none: number) =>
    option === undefined ? none : option.value === '*' && got !== none ? got : option.value;
  const rows: [string, unknown, unknown][] = [
    ['mss', value(mss, segment.mss, 0), segment.mss],
    ['wscale', value(scale, segment.windowScale, -1), segment.windowScale],
    ['sackOK', find('sackOK') !== undefined, segment.sackPermitted],
    ['sack', (sack?.edges ?? []).join(':'), sackEdges(segment, flow).join(':')],
  ];
  if (expected !== undefined) rows.push(['TS', ts !== undefined, segment.hasTimestamps]);
  if (ts?.val !== undefined) rows.push(['TS val', ts.val, (segment.tsVal - flow.tsBase) | 0]);
  if (ts?.ecr !== undefined) rows.push(['TS ecr', ts.ecr, segment.tsEcr >>> 0]);
  return differing(rows);
}
