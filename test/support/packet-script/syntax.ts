// What a packet script is made of, as the parser hands it to the runner. The language itself is described in
// test/packets/README.md. For test/support/packet-script only.

export type Wild = '*';

/** When something happens, seconds: relative to the event before it, or since the script began. */
export interface Moment {
  readonly relative: boolean;
  readonly from: number;
  /** Same as `from` unless a range was given. */
  readonly to: number;
}

export type TcpOption =
  | { readonly kind: 'mss'; readonly value: number | Wild }
  | { readonly kind: 'wscale'; readonly value: number | Wild }
  | { readonly kind: 'sackOK' }
  /** `val` undefined: any when expected, the script's time when injected; `ecr` undefined: any, or the last one seen. */
  | { readonly kind: 'TS'; readonly val: number | undefined; readonly ecr: number | undefined }
  | { readonly kind: 'sack'; readonly edges: readonly number[] }
  | { readonly kind: 'nop' }
  | { readonly kind: 'eol' }
  | { readonly kind: 'hex'; readonly bytes: readonly number[] };

/** What may be said of any IP packet, most of it to send one that is wrong. */
export interface IpFields {
  ttl?: number;
  tos?: number;
  ecn?: 'none' | 'ect0' | 'ect1' | 'ce';
  id?: number;
  df?: boolean;
  from?: string;
  to?: string;
  /** Destination of the frame: `broadcast`, `other`, or an address. */
  mac?: string;
  ipOptions?: readonly number[];
  badIpChecksum?: boolean;
  badChecksum?: boolean;
  ipVersion?: number;
  ihl?: number;
  ipLength?: number;
  /** Bytes taken off, or zeros added to, the end of the frame. */
  cut?: number;
  pad?: number;
  /** Payload bytes of each fragment that it is cut into; `lastFirst`: in reverse order. */
  split?: number;
  reverse?: boolean;
  /** Only fragments with these indexes are sent, when given. */
  only?: readonly number[];
  /** IPv6 extension headers: type, and what stands behind the byte that names the next one. */
  ext?: readonly (readonly [type: number, bytes: readonly number[]])[];
  /** 802.1Q identifier of the frame, when it is not the script's; 0: a priority tag. */
  vlan?: number;
  untagged?: boolean;
}

export interface TcpPacket extends IpFields {
  readonly kind: 'tcp';
  /** Letters of SFRP.UEW; `*`: any. */
  readonly flags: string;
  readonly start: number | Wild;
  readonly end: number | Wild;
  readonly length: number;
  ack?: number | Wild;
  win?: number | Wild;
  urg?: number;
  options?: readonly TcpOption[] | Wild;
  dataOffset?: number;
  /** Payload that is not what the stream has there. */
  poison?: boolean;
  sport?: number;
  dport?: number;
}

export interface IcmpPacket extends IpFields {
  readonly kind: 'icmp';
  readonly type: number;
  readonly code: number;
  /** Identifier and sequence number of an echo, or zero and the MTU. */
  readonly id2: number;
  readonly seq: number;
  /** Payload bytes; undefined when expected: any. */
  readonly length: number | undefined;
  /** An error about our segment with this sequence number; undefined: no TCP quoted. */
  about?: number;
  /** Bytes of the quoted packet's payload. */
  quote?: number;
}

export interface UdpPacket extends IpFields {
  readonly kind: 'udp';
  readonly port: number;
  readonly length: number;
}

/** An IP packet of a protocol that is none of the others. */
export interface RawPacket extends IpFields {
  readonly kind: 'ip';
  readonly protocol: number;
  readonly length: number;
}

export interface ArpPacketSpec {
  readonly kind: 'arp';
  readonly operation: number;
  /** `us`, `peer` or an address. */
  readonly sender: string;
  readonly target: string;
  readonly senderMac?: string;
  /** Hardware destination of the frame. */
  readonly mac?: string;
}

/** Neighbour discovery (RFC 4861). */
export interface NdpPacketSpec extends IpFields {
  readonly kind: 'ndp';
  /** 135: who has `target`; 136: `target` is at. */
  readonly type: 135 | 136;
  readonly target: string;
  /** Hardware address in the message; `none`: it has none. */
  readonly isAt?: string;
  readonly solicited?: boolean;
  readonly override?: boolean;
}

export interface HexFrame {
  readonly kind: 'hex';
  readonly bytes: readonly number[];
}

export type Packet = TcpPacket | IcmpPacket | UdpPacket | RawPacket | ArpPacketSpec | NdpPacketSpec | HexFrame;

export type Action =
  | { readonly do: 'inject'; readonly packet: Packet }
  | { readonly do: 'expect'; readonly packet: Packet }
  /** A call of the application, or a question about what it sees; `words[0]` is its name. */
  | { readonly do: 'call'; readonly words: readonly string[]; readonly options: readonly TcpOption[] };

export interface Event {
  readonly line: number;
  readonly text: string;
  readonly moment: Moment;
  readonly flow: number;
  readonly action: Action;
}

export interface Script {
  readonly file: string;
  readonly title: string;
  /** Empty: the script holds for Linux too; otherwise why it does not. */
  readonly notForLinux: string;
  /** netdev.conf keys. */
  readonly config: readonly string[];
  /** Keys of the runner: family, peer-isn, mtu, resolve, start-ms. */
  readonly settings: ReadonlyMap<string, string>;
  /** For Linux: `sysctl` lines. */
  readonly events: readonly Event[];
}

/** A script that cannot be read, or that does not hold. The message begins with FILE:LINE. */
export class ScriptError extends Error {
  constructor(file: string, line: number, message: string) {
    super(`${file}:${line}: ${message}`);
    this.name = 'ScriptError';
  }
}
