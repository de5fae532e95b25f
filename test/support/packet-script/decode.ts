// Frames of the stack, read back into a script's words and numbers: printed in the script's own syntax, and compared with
// what a line expects. Checksums are always checked. For runner.ts.
import { ArpPacket, parseArp } from '../../../stack/wire/arp.ts';
import { finish, pseudoHeaderSum, sum } from '../../../stack/wire/checksum.ts';
import { ETHERTYPE_ARP, formatMac, readEtherType } from '../../../stack/wire/ethernet.ts';
import { IcmpHeader, parseIcmp } from '../../../stack/wire/icmp.ts';
import { formatIpv4, Ipv4Header, parseIpv4 } from '../../../stack/wire/ipv4.ts';
import { STATUS_NAMES } from '../../../stack/wire/status.ts';
import { parseTcp, TcpSegment } from '../../../stack/wire/tcp.ts';
import { flagBits, type Hosts, patternBytes, resolveIp } from './build.ts';
import { type Flow, PEER_PORT_BASE, stackByte } from './flow.ts';
import type { IcmpPacket, IpFields, Packet, TcpOption, TcpPacket, Wild } from './syntax.ts';

const LETTERS = ['F', 'S', 'R', 'P', '.', 'U', 'E', 'W'];
const ECN_NAMES = ['none', 'ect1', 'ect0', 'ce'] as const;

/** A frame as the script would write it. */
export interface Seen {
  readonly text: string;
  readonly kind: 'tcp' | 'icmp' | 'arp' | 'other';
  readonly flow: Flow | null;
  readonly ip: Ipv4Header;
  readonly segment: TcpSegment;
  readonly icmp: IcmpHeader;
  readonly arp: ArpPacket;
  readonly bytes: Uint8Array;
  /** Why it is not a packet that a stack may send. */
  readonly fault: string | null;
}

export function decode(bytes: Uint8Array, flowOf: (peerPort: number) => Flow | null, hosts: Hosts): Seen {
  const seen = {
    ...{ text: '', kind: 'other' as Seen['kind'], flow: null as Flow | null, fault: null as string | null, bytes },
    ...{ ip: new Ipv4Header(), segment: new TcpSegment(), icmp: new IcmpHeader(), arp: new ArpPacket() },
  };
  if (readEtherType(bytes, 0) === ETHERTYPE_ARP) {
    const status = parseArp(bytes, 14, bytes.length - 14, seen.arp);
    seen.kind = 'arp';
    if (status !== 0) seen.fault = STATUS_NAMES[status];
    else seen.text = arpText(seen.arp, bytes, hosts);
    return seen;
  }
  const status = parseIpv4(bytes, 14, bytes.length - 14, seen.ip);
  if (status !== 0) return { ...seen, fault: STATUS_NAMES[status], text: Buffer.from(bytes).toString('hex') };
  const { protocol, payloadOffset, payloadLength, sourceIp, destinationIp } = seen.ip;
  if (protocol === 6) {
    seen.kind = 'tcp';
    const wrong = parseTcp(bytes, payloadOffset, payloadLength, seen.segment);
    const pseudo = pseudoHeaderSum(sourceIp, destinationIp, 6, payloadLength);
    if (wrong !== 0) seen.fault = STATUS_NAMES[wrong];
    else if (finish(sum(bytes, payloadOffset, payloadLength, pseudo)) !== 0) seen.fault = 'wrong TCP checksum';
    seen.flow = flowOf(seen.segment.destinationPort);
    if (seen.flow === null) seen.fault = `no flow has port ${seen.segment.destinationPort}`;
    else seen.text = tcpText(seen.segment, seen.flow);
  } else if (protocol === 1) {
    seen.kind = 'icmp';
    const wrong = parseIcmp(bytes, payloadOffset, payloadLength, seen.icmp);
    if (wrong !== 0) seen.fault = STATUS_NAMES[wrong];
    seen.text = `icmp ${seen.icmp.type}/${seen.icmp.code} length ${seen.icmp.payloadLength}`;
  } else seen.text = `ip ${protocol} ${payloadLength}`;
  return seen;
}

/** Learns ISN and timestamps from what the stack sends; the numbers of the text are right only afterwards. */
export function learn(bytes: Uint8Array, flowOf: (peerPort: number) => Flow | null): void {
  if (readEtherType(bytes, 0) === ETHERTYPE_ARP || bytes[23] !== 6) return;
  const segment = new TcpSegment();
  const at = 14 + ((bytes[14] & 15) << 2);
  if (parseTcp(bytes, at, bytes.length - at, segment) !== 0) return;
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

function arpText(arp: ArpPacket, bytes: Uint8Array, hosts: Hosts): string {
  const name = (ip: number) => (ip === hosts.stackIp ? 'us' : ip === hosts.peerIp ? 'peer' : formatIpv4(ip));
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
          resolveIp(expected.sender === 'peer' && expected.operation === 1 ? 'us' : expected.sender, hosts),
          arp.senderIp,
        ],
        [
          'target',
          resolveIp(expected.target === 'us' && expected.operation === 2 ? 'peer' : expected.target, hosts),
          arp.targetIp,
        ],
      ];
      const isBroadcast = formatMac(bytes, 0) === 'ff:ff:ff:ff:ff:ff';
      if (expected.mac !== undefined) rows.push(['mac', expected.mac, isBroadcast ? 'broadcast' : formatMac(bytes, 0)]);
      return differing(rows);
    }
    default:
      return ['such packets cannot be expected'];
  }
}

function differing(rows: readonly (readonly [name: string, wanted: unknown, got: unknown])[]): string[] {
  return rows
    .filter(([, wanted, got]) => wanted !== got)
    .map(([name, wanted, got]) => `${name} is ${got}, not ${wanted}`);
}

function ipDifferences(expected: IpFields, { ip }: Seen, hosts: Hosts): string[] {
  const rows: [string, unknown, unknown][] = [];
  if (expected.ttl !== undefined) rows.push(['ttl', expected.ttl, ip.ttl]);
  if (expected.ecn !== undefined) rows.push(['ecn', expected.ecn, ECN_NAMES[ip.trafficClass & 3]]);
  if (expected.tos !== undefined) rows.push(['tos', expected.tos, ip.trafficClass]);
  if (expected.df !== undefined) rows.push(['df', expected.df, ip.dontFragment]);
  if (expected.from !== undefined) rows.push(['from', resolveIp(expected.from, hosts), ip.sourceIp]);
  rows.push(['to', resolveIp(expected.to ?? 'peer', hosts), ip.destinationIp]);
  return differing(rows);
}

function icmpDifferences(expected: IcmpPacket, { icmp, bytes, ip }: Seen): string[] {
  const rows: [string, unknown, unknown][] = [
    ['type', expected.type, icmp.type],
    ['code', expected.code, icmp.code],
  ];
  if (expected.length !== undefined) rows.push(['length', expected.length, icmp.payloadLength]);
  if (expected.type === 0) {
    const payload = bytes.subarray(icmp.payloadOffset, icmp.payloadOffset + icmp.payloadLength);
    const header = new DataView(bytes.buffer, bytes.byteOffset + ip.payloadOffset);
    rows.push(['identifier', expected.id2, header.getUint16(4)], ['sequence', expected.seq, header.getUint16(6)]);
    rows.push(['data', true, Buffer.compare(payload, patternBytes(payload.length)) === 0]);
  }
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

/** Peer ports of a script's flows. */
export const isFlowPort = (port: number): boolean => port >= PEER_PORT_BASE;
