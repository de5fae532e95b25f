// The keys of netdev.conf: one table with type, default, range and meaning of each, from which the parser, the
// errors and the shipped netdev.conf are made. Used by config.ts.
import type { EngineChoice, InterfaceAddress } from '../io-engine/options.ts';
import type { Route } from './routes.ts';
import type { Ipv6Prefix, Ipv6Route } from './routes6.ts';
import { isGroupMac, isZeroMac, parseMac } from './wire/ethernet.ts';
import { formatIpv4, isLoopbackIp, isMulticastIp, maskOf, parseIpv4Address } from './wire/ipv4.ts';
import { isMulticastIpv6, isNoHost, parseIpv6Address } from './wire/ipv6.ts';

/** What is wrong with a value, in words that go on after the key: `must be ...`. */
export class BadValue extends Error {}

export interface Key<T> {
  readonly group: string;
  /** The default in the file's own words; '' is none, null: the key must be given. */
  readonly default: string | null;
  /** What is allowed, for errors and the reference: `68 to 9000 bytes`. */
  readonly allowed: string;
  readonly description: string;
  /** For keys without default: what to show in the reference. */
  readonly example?: string;
  readonly repeatable?: boolean;
  /** @throws BadValue */
  read(text: string): T;
}

/** A hardware address for a neighbour. */
interface ArpEntry {
  readonly ip: number;
  readonly mac: Uint8Array;
}

interface ArpEntry6 {
  readonly bytes: Uint8Array;
  readonly mac: Uint8Array;
}

const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1000,
  kb: 1024,
  m: 1e6,
  mb: 1048576,
  g: 1e9,
  gb: 1073741824,
};
const TIME_UNITS_US: Readonly<Record<string, number>> = { us: 1, ms: 1000, s: 1e6, min: 60e6, h: 3600e6 };

function text(allowed: string, pattern: RegExp): Pick<Key<string>, 'allowed' | 'read'> {
  return {
    allowed,
    read(value) {
      if (!pattern.test(value)) throw new BadValue(`must be ${allowed}`);
      return value;
    },
  };
}

function choice<const T extends string>(...values: readonly T[]): Pick<Key<T>, 'allowed' | 'read'> {
  const allowed = values.join(' | ');
  return {
    allowed,
    read(value) {
      const found = values.find((candidate) => candidate === value);
      if (found === undefined) throw new BadValue(`must be one of ${values.join(', ')}`);
      return found;
    },
  };
}

function integer(
  min: number,
  max: number,
  options: { readonly zero?: string; readonly powerOfTwo?: boolean; readonly unit?: string } = {},
): Pick<Key<number>, 'allowed' | 'read'> {
  const unit = options.unit === undefined ? '' : ` ${options.unit}`;
  const kind = options.powerOfTwo === true ? 'a power of two, ' : '';
  const zero = options.zero === undefined ? '' : `, or 0: ${options.zero}`;
  const allowed = `${kind}${min} to ${max}${unit}${zero}`;
  return {
    allowed,
    read(value) {
      const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
      if (number === 0 && options.zero !== undefined) return 0;
      const isPower = options.powerOfTwo !== true || Number.isInteger(Math.log2(number));
      if (!(number >= min && number <= max) || !isPower) throw new BadValue(`must be ${allowed}`);
      return number;
    },
  };
}

/** The octet of an IP header that is DSCP and ECN (RFC 2474 3): ours is the first part. */
const trafficClass: Pick<Key<number>, 'allowed' | 'read'> = {
  allowed: '0 to 252, a multiple of 4',
  read(value) {
    const number = /^\d{1,3}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number <= 252 && number % 4 === 0)) throw new BadValue(`must be ${this.allowed}`);
    return number;
  },
};

function bytes(min: string, max: string): Pick<Key<number>, 'allowed' | 'read'> {
  const allowed = `${min} to ${max} (units: k, kb, m, mb, g, gb as in redis.conf)`;
  return {
    allowed,
    read(value) {
      const size = readUnits(value, BYTE_UNITS);
      if (!(size >= readUnits(min, BYTE_UNITS) && size <= readUnits(max, BYTE_UNITS))) {
        throw new BadValue(`must be ${allowed}`);
      }
      return size;
    },
  };
}

/** A time with its unit; the value is in `unit`s. */
function time(unit: 'us' | 'ms', min: string, max: string, zero?: string): Pick<Key<number>, 'allowed' | 'read'> {
  const allowed = `${min} to ${max}${zero === undefined ? '' : `, or 0: ${zero}`}`;
  return {
    allowed,
    read(value) {
      if (value === '0' && zero !== undefined) return 0;
      const us = readUnits(value, TIME_UNITS_US);
      if (!(us >= readUnits(min, TIME_UNITS_US) && us <= readUnits(max, TIME_UNITS_US))) {
        throw new BadValue(`must be ${allowed}, with its unit: us, ms, s, min or h`);
      }
      return Math.round(us / TIME_UNITS_US[unit]);
    },
  };
}

function readUnits(value: string, units: Readonly<Record<string, number>>): number {
  const match = /^(\d{1,12}) ?([a-z]*)$/.exec(value.toLowerCase());
  if (match === null || !Object.hasOwn(units, match[2])) return Number.NaN;
  return Number(match[1]) * units[match[2]];
}

/** An IPv6 address that a host can have. */
function readHostIpv6(value: string): Uint8Array {
  const bytes = parseIpv6Address(value);
  if (bytes === null) throw new BadValue(`must be an IPv6 address such as fd00::1, not '${value}'`);
  if (isMulticastIpv6(bytes, 0) || isNoHost(bytes, 0)) {
    throw new BadValue(`cannot be ${value}: no host on a network has that address`);
  }
  return bytes;
}

function readIpv6Prefix(value: string): Ipv6Prefix {
  const [address, length = '', ...rest] = value.split('/');
  const bytes = parseIpv6Address(address);
  if (bytes === null || rest.length > 0 || !/^\d{1,3}$/.test(length) || Number(length) > 128) {
    throw new BadValue(`must be an address with its prefix length such as fd00::1/64, not '${value}'`);
  }
  return { bytes, prefixLength: Number(length) };
}

/** An address that a host can have. */
function readHostIp(value: string): number {
  const ip = parseIpv4Address(value);
  if (ip === null) throw new BadValue(`must be an IPv4 address such as 10.0.0.1, not '${value}'`);
  if (ip >>> 24 === 0 || isMulticastIp(ip) || isLoopbackIp(ip) || ip >>> 28 === 0xf) {
    throw new BadValue(`cannot be ${value}: no host on a network has that address`);
  }
  return ip;
}

function readPrefix(value: string): InterfaceAddress {
  const [address, length = '', ...rest] = value.split('/');
  const ip = parseIpv4Address(address);
  if (ip === null || rest.length > 0 || !/^\d{1,2}$/.test(length) || Number(length) > 32) {
    throw new BadValue(`must be an address with its prefix length such as 10.0.0.1/24, not '${value}'`);
  }
  return { ip, prefixLength: Number(length) };
}

function readInterfaceAddress(value: string): InterfaceAddress | Ipv6Prefix | 'dhcp' {
  if (value === 'dhcp') return value;
  if (value.includes(':')) {
    const prefix = readIpv6Prefix(value);
    readHostIpv6(value.split('/')[0]);
    if (prefix.prefixLength === 0) throw new BadValue('must have a prefix length of 1 to 128');
    return prefix;
  }
  const { ip, prefixLength } = readPrefix(value);
  readHostIp(formatIpv4(ip));
  if (prefixLength === 0) throw new BadValue('must have a prefix length of 1 to 32');
  const host = ip & ~maskOf(prefixLength);
  if (prefixLength < 31 && (host === 0 || host === ~maskOf(prefixLength))) {
    throw new BadValue(
      `cannot be ${value}: that is the ${host === 0 ? 'network' : 'broadcast'} address of the network`,
    );
  }
  return { ip, prefixLength };
}

function readHostMac(value: string): Uint8Array {
  const mac = parseMac(value);
  if (mac === null) throw new BadValue(`must be a hardware address such as 02:00:00:00:00:01, not '${value}'`);
  if (isGroupMac(mac, 0) || isZeroMac(mac, 0)) throw new BadValue(`cannot be ${value}: no host has that address`);
  return mac;
}

function readGateway(value: string): number | Uint8Array {
  return value.includes(':') ? readHostIpv6(value) : readHostIp(value);
}

function readRoute(value: string): Route | Ipv6Route {
  const match = /^(\S+)\s+(?:via\s+(\S+)|on-link)$/.exec(value);
  if (match === null) throw new BadValue("must be 'CIDR via GATEWAY' or 'CIDR on-link'");
  if (match[1].includes(':')) {
    return { ...readIpv6Prefix(match[1]), gateway: match[2] === undefined ? null : readHostIpv6(match[2]) };
  }
  const { ip, prefixLength } = readPrefix(match[1]);
  if ((ip & ~maskOf(prefixLength)) !== 0 && prefixLength < 32) {
    throw new BadValue(`must start at a network: ${formatIpv4(ip & maskOf(prefixLength))}/${prefixLength}`);
  }
  return { network: ip, prefixLength, gateway: match[2] === undefined ? null : readHostIp(match[2]) };
}

function readArp(value: string): ArpEntry | ArpEntry6 {
  const match = /^(\S+)\s+(\S+)$/.exec(value);
  if (match === null) throw new BadValue("must be 'IP MAC'");
  if (match[1].includes(':')) return { bytes: readHostIpv6(match[1]), mac: readHostMac(match[2]) };
  return { ip: readHostIp(match[1]), mac: readHostMac(match[2]) };
}

const ENGINES = ['auto', 'afxdp', 'afpacket', 'pcap', 'tap', 'raw'] as const satisfies readonly EngineChoice[];

const INTERFACE_GROUP = 'The interface';
const ADDRESS_GROUP = 'Addresses and routes';
const DEVICE_GROUP = 'Rings and polling';
const TCP_GROUP = 'TCP';

/** Every key, in the order of the reference. */
export const KEYS = {
  interface: {
    group: INTERFACE_GROUP,
    default: null,
    example: 'wire0',
    ...text('the name of an interface, at most 15 characters', /^[^\s/]{1,15}$/),
    description:
      'The interface that belongs to wiredis. It must be up and the kernel must have no IPv4 address of ours on it,\n' +
      'or it would answer too, with RST. With engine tap it is made when it does not exist.',
  },
  engine: {
    group: INTERFACE_GROUP,
    default: 'auto',
    ...choice(...ENGINES),
    description:
      'How frames come in and go out. auto takes the fastest that works here: afxdp, then afpacket, then pcap.\n' +
      'tap makes a virtual interface; raw is for interfaces without Ethernet and needs the kernel to own the address.',
  },
  mac: {
    group: INTERFACE_GROUP,
    default: '',
    example: '02:00:00:00:00:01',
    allowed: 'a hardware address; none: that of the interface (tap: a random, locally administered one)',
    read: readHostMac,
    description: 'Hardware address that we send from and answer for.',
  },
  mtu: {
    group: INTERFACE_GROUP,
    default: '0',
    ...integer(576, 9216, { zero: 'that of the interface', unit: 'bytes' }),
    description: 'Largest IP packet, without the Ethernet header. Over afxdp more than 3822 bytes take Linux 6.6.',
  },
  vlan: {
    group: INTERFACE_GROUP,
    default: '0',
    ...integer(1, 4094, { zero: 'frames are not tagged' }),
    description: 'The 802.1Q VLAN that we are in: frames of other ones, and untagged ones, are dropped.',
  },
  address: {
    group: ADDRESS_GROUP,
    default: null,
    example: '10.77.0.1/24',
    repeatable: true,
    allowed: 'ADDRESS/PREFIX-LENGTH | dhcp',
    read: readInterfaceAddress,
    description:
      "Our address and its network, IPv4 or IPv6. 'bind' in redis.conf names one of them. Repeat the key for more.\n" +
      'With an IPv6 address we also have a link-local one, made from the hardware address. dhcp: the IPv4 address, its\n' +
      'network and a gateway come from a server, and are renewed.',
  },
  gateway: {
    group: ADDRESS_GROUP,
    default: '',
    example: '10.77.0.254',
    repeatable: true,
    allowed: 'an address inside a network of ours; none: only our own networks and routes are reached',
    read: readGateway,
    description: 'Next hop for every destination that no route below names: one for IPv4, one for IPv6.',
  },
  route: {
    group: ADDRESS_GROUP,
    default: '',
    example: '192.168.0.0/16 via 10.77.0.253',
    repeatable: true,
    allowed: 'CIDR via GATEWAY | CIDR on-link',
    read: readRoute,
    description: 'A route of its own; the longest prefix wins. Repeat the key for more.',
  },
  arp: {
    group: ADDRESS_GROUP,
    default: '',
    example: '10.77.0.9 02:00:00:00:00:09',
    repeatable: true,
    allowed: 'IP MAC',
    read: readArp,
    description: 'A neighbour that is not asked for its hardware address. Repeat the key for more.',
  },
  ttl: {
    group: ADDRESS_GROUP,
    default: '64',
    ...integer(1, 255),
    description: 'Routers that our packets may pass (RFC 9293, 3.9.2): time to live, or hop limit of IPv6.',
  },
  tos: {
    group: ADDRESS_GROUP,
    default: '0',
    ...trafficClass,
    description:
      'Type of service, or traffic class of IPv6, of our packets: four times the DSCP (RFC 2474), as `tos` of other\n' +
      'programs. 184 is expedited forwarding. The two lowest bits are those of ecn.',
  },
  'host-name': {
    group: ADDRESS_GROUP,
    default: 'wiredis',
    ...text('letters, digits and dashes, at most 63', /^[A-Za-z0-9-]{1,63}$/),
    description: 'What a DHCP server is told we are called.',
  },
  slaac: {
    group: ADDRESS_GROUP,
    default: 'off',
    ...choice('off', 'on'),
    description:
      'IPv6 addresses and a gateway from the advertisements of routers (RFC 4862), beside those given above. Whoever\n' +
      'can send them decides where our packets go: for networks that you trust.',
  },
  'address-check': {
    group: ADDRESS_GROUP,
    default: '200ms',
    ...time('ms', '30ms', '9s', 'do not ask'),
    description:
      'Before our addresses are used, three questions in this time ask whether another host has one (RFC 5227). If so,\n' +
      'the start fails and names its hardware address. Slow switches want seconds; the RFC asks for up to 9s.',
  },
  'rx-ring': {
    group: DEVICE_GROUP,
    default: '8192',
    ...integer(64, 65536, { powerOfTwo: true, unit: 'frames' }),
    description:
      'Frames that may wait for us. What does not fit while we are busy is lost and sent again by the peer.\n' +
      'tap takes at most 256. Over afxdp a frame of more than 3840 bytes counts as two or three.',
  },
  'tx-ring': {
    group: DEVICE_GROUP,
    default: '2048',
    ...integer(64, 65536, { powerOfTwo: true, unit: 'frames' }),
    description:
      'Frames that may wait for the device. tap takes at most 256. Over afxdp with an mtu of more than 4078 bytes a half\n' +
      'or a third as many.',
  },
  'rx-checksum': {
    group: DEVICE_GROUP,
    default: 'auto',
    ...choice('auto', 'verify', 'trust'),
    description:
      'Checksums of received TCP segments. auto verifies unless the device or the sending kernel vouches for the\n' +
      'frame; trust is for links whose sender leaves them out (a veth whose peer has tx offload on).',
  },
  tso: {
    group: DEVICE_GROUP,
    default: 'auto',
    ...choice('auto', 'off'),
    description:
      'Whether replies longer than a segment leave as one frame that the device cuts up (TCP segmentation offload).\n' +
      'auto does so with afxdp where the interface has it on, as `ethtool -k` tells, outside VLANs. tap always does.',
  },
  'busy-poll': {
    group: DEVICE_GROUP,
    default: '0',
    ...time('us', '1us', '1s', 'never, wait for the device to wake us'),
    description:
      'How long to ask the device again and again before sleeping. Shorter replies for a busier core.\n' +
      'For afxdp and afpacket.',
  },
  coalesce: {
    group: DEVICE_GROUP,
    default: '125us',
    ...time('us', '1us', '1ms', 'never, every wake-up is a tick of its own'),
    description:
      'Longest wait after a wake-up for more frames to share a tick and a kick. Only while frames come so fast\n' +
      'that some will: a lone client never waits. Quarters of it are tried too, and the one with which clients\n' +
      'are fastest is used. For afxdp and afpacket. Over afxdp (Linux 6.13) the device holds its interrupts back\n' +
      'for as long, while the process may set that: a service that has given its privileges up may not.',
  },
  'max-connections': {
    group: TCP_GROUP,
    default: '100000',
    ...integer(1, 1_000_000),
    description: 'TCP connections at one time, all states counted. More are not answered.',
  },
  'receive-buffer': {
    group: TCP_GROUP,
    default: '8mb',
    ...bytes('4kb', '32mb'),
    description:
      'Most bytes kept for a reader that is slow: the largest window we offer. A connection begins with 256kb, one\n' +
      'from a peer within 3 ms with 64kb, and gets more as its reader takes more in a round trip, a near one not while\n' +
      'frames come faster than they can be taken. An idle connection keeps none.',
  },
  'send-buffer': {
    group: TCP_GROUP,
    default: '4mb',
    ...bytes('4kb', '32mb'),
    description:
      'Most bytes of a connection that are kept until the peer has acknowledged them. A connection begins with 256kb\n' +
      'and gets twice what the network has room for.',
  },
  'buffer-memory': {
    group: TCP_GROUP,
    default: '512mb',
    ...bytes('16mb', '64gb'),
    description: 'Most bytes that the buffers of all connections take together.',
  },
  congestion: {
    group: TCP_GROUP,
    default: 'cubic',
    ...choice('cubic', 'newreno'),
    description: 'Congestion control: cubic (RFC 9438, as Linux has it) or newreno (RFC 5681).',
  },
  ecn: {
    group: TCP_GROUP,
    default: 'accept',
    ...choice('off', 'on', 'accept'),
    description:
      'Explicit congestion notification (RFC 3168): routers mark segments instead of dropping them. accept takes it\n' +
      'when the peer asks for it, on asks for it too.',
  },
  'syn-cookies': {
    group: TCP_GROUP,
    default: 'on',
    ...choice('off', 'on', 'always'),
    description:
      'What happens when half-open connections fill the queue: on answers with cookies (RFC 4987) and keeps nothing,\n' +
      'off drops what is too much, always is for tests.',
  },
  'rto-min': {
    group: TCP_GROUP,
    default: '200ms',
    ...time('ms', '5ms', '1s'),
    description: 'Shortest retransmission timeout. RFC 6298 asks for 1s; Linux uses 200ms.',
  },
  'delayed-ack': {
    group: TCP_GROUP,
    default: '40ms',
    ...time('ms', '1ms', '500ms'),
    description:
      'How long an acknowledgement waits for a reply to ride on. Every second full segment is acknowledged\nat once whatever this says (RFC 9293, 3.8.6.3).',
  },
  'user-timeout': {
    group: TCP_GROUP,
    default: '0',
    ...time('ms', '1s', '24h', 'until 15 retransmissions went unanswered'),
    description: 'How long sent data may stay unacknowledged before the connection is given up (RFC 5482).',
  },
  keepalive: {
    group: TCP_GROUP,
    default: '0',
    ...time('ms', '1s', '24h', 'no probes'),
    description:
      'Silence after which a peer is asked whether it is still there; it is given up after three more thirds of\nthat. tcp-keepalive of redis.conf, unless 0, goes before it for clients.',
  },
  'time-wait': {
    group: TCP_GROUP,
    default: '60s',
    ...time('ms', '1s', '4min'),
    description: 'How long a connection that we closed first is remembered (2 MSL, RFC 9293, 3.6.1).',
  },
} as const satisfies Readonly<Record<string, Key<unknown>>>;

export type KeyName = keyof typeof KEYS;
export type KeyValue<K extends KeyName> = ReturnType<(typeof KEYS)[K]['read']>;

/** Keys that have a meaning but no code behind them in this version: refused, so that nobody believes in them. */
export const UNSUPPORTED_KEYS: Readonly<Record<string, string>> = {
  queues: "one receive queue is read; 'ethtool -L INTERFACE combined 1' sends everything to it",
  capture: "'wiredis capture FILE' writes what a running server sees",
};

export const KEY_NAMES = Object.keys(KEYS) as readonly KeyName[];

export function isKeyName(name: string): name is KeyName {
  return Object.hasOwn(KEYS, name);
}

/** The netdev.conf that is shipped: every key with its meaning, defaults commented out. */
export function referenceText(): string {
  const lines = [
    '# netdev.conf: the network interface that wiredis serves from, and its TCP/IP stack.',
    '#',
    "# One 'key = value' a line; '#' starts a comment. Unknown keys and bad values are errors. What is commented out",
    '# below is the default, or an example where there is none. Times need a unit (us, ms, s, min, h).',
  ];
  let group = '';
  for (const name of KEY_NAMES) {
    const key: Key<unknown> = KEYS[name];
    if (key.group !== group) {
      group = key.group;
      lines.push('', `# --- ${group} ${'-'.repeat(Math.max(0, 100 - group.length))}`);
    }
    lines.push('', ...key.description.split('\n').map((line) => `# ${line}`));
    const note =
      key.default === null ? 'Required.' : key.default === '' ? 'Default: none.' : `Default: ${key.default}.`;
    lines.push(`# ${note} Allowed: ${key.allowed}.`);
    const value = key.default === null || key.default === '' ? key.example : key.default;
    lines.push(`${key.default === null ? '' : '# '}${name} = ${value}`);
  }
  return `${lines.join('\n')}\n`;
}
