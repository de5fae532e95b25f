// DHCP messages (RFC 2131, options of RFC 2132 and RFC 3442) and the UDP header around them (RFC 768). A message comes
// once in minutes: parsing allocates. For stack/.
import { readInt32, readUint16, writeInt32, writeUint16 } from './bytes.ts';
import { finish, pseudoHeaderSum, sum } from './checksum.ts';
import { MAC_LENGTH } from './ethernet.ts';
import { PROTOCOL_UDP } from './ipv4.ts';

export const UDP_HEADER_LENGTH = 8;
export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

export const DHCP_DISCOVER = 1;
export const DHCP_OFFER = 2;
export const DHCP_REQUEST = 3;
export const DHCP_DECLINE = 4;
export const DHCP_ACK = 5;
export const DHCP_NAK = 6;
export const DHCP_RELEASE = 7;

const BOOT_REQUEST = 1;
const BOOT_REPLY = 2;
const MAGIC_COOKIE = 0x63825363;
const OPTIONS = 240;
/** A message is at least this long for old relays (RFC 1542 2.1). */
const MESSAGE_MIN = 300;

const OPTION_PAD = 0;
const OPTION_MASK = 1;
const OPTION_ROUTER = 3;
const OPTION_HOST_NAME = 12;
const OPTION_REQUESTED_ADDRESS = 50;
const OPTION_LEASE_TIME = 51;
const OPTION_OVERLOAD = 52;
const OPTION_MESSAGE_TYPE = 53;
const OPTION_SERVER = 54;
const OPTION_PARAMETERS = 55;
const OPTION_MESSAGE = 56;
const OPTION_MAX_SIZE = 57;
const OPTION_RENEWAL_TIME = 58;
const OPTION_REBINDING_TIME = 59;
const OPTION_CLIENT = 61;
const OPTION_CLASSLESS_ROUTES = 121;
const OPTION_END = 255;

const WANTED = [
  OPTION_MASK,
  OPTION_ROUTER,
  OPTION_LEASE_TIME,
  OPTION_SERVER,
  OPTION_RENEWAL_TIME,
  OPTION_REBINDING_TIME,
];

export interface DhcpReply {
  readonly type: number;
  readonly transaction: number;
  /** "Your" address. */
  readonly ip: number;
  /** 0: not told; likewise all below. */
  readonly server: number;
  readonly mask: number;
  readonly router: number;
  readonly leaseSeconds: number;
  readonly renewalSeconds: number;
  readonly rebindingSeconds: number;
  /** RFC 3442; when there are any, `router` does not count. */
  readonly routes: readonly { readonly network: number; readonly prefixLength: number; readonly gateway: number }[];
  /** A server's reason, with a NAK. */
  readonly message: string;
}

/** What a server says to us, or null: not a reply, not for this hardware address, or malformed. */
export function parseDhcpReply(bytes: Uint8Array, offset: number, length: number, mac: Uint8Array): DhcpReply | null {
  if (length < OPTIONS || bytes[offset] !== BOOT_REPLY || bytes[offset + 2] !== MAC_LENGTH) return null;
  for (let i = 0; i < MAC_LENGTH; i++) if (bytes[offset + 28 + i] !== mac[i]) return null;
  if (readInt32(bytes, offset + 236) !== MAGIC_COOKIE) return null;
  const options = new Map<number, number[]>();
  if (!readOptions(bytes, offset + OPTIONS, offset + length, options)) return null;
  // The fields for names may hold more options (RFC 2131 4.1).
  const overload = options.get(OPTION_OVERLOAD)?.[0] ?? 0;
  if ((overload & 1) !== 0 && !readOptions(bytes, offset + 108, offset + 236, options)) return null;
  if ((overload & 2) !== 0 && !readOptions(bytes, offset + 44, offset + 108, options)) return null;
  const word = (code: number): number => {
    const value = options.get(code) ?? [];
    return value.length >= 4 ? (value[0] << 24) | (value[1] << 16) | (value[2] << 8) | value[3] : 0;
  };
  return {
    type: options.get(OPTION_MESSAGE_TYPE)?.[0] ?? 0,
    transaction: readInt32(bytes, offset + 4),
    ip: readInt32(bytes, offset + 16),
    server: word(OPTION_SERVER),
    mask: word(OPTION_MASK),
    router: word(OPTION_ROUTER),
    leaseSeconds: word(OPTION_LEASE_TIME) >>> 0,
    renewalSeconds: word(OPTION_RENEWAL_TIME) >>> 0,
    rebindingSeconds: word(OPTION_REBINDING_TIME) >>> 0,
    routes: readRoutes(options.get(OPTION_CLASSLESS_ROUTES) ?? []),
    message: String.fromCharCode(...(options.get(OPTION_MESSAGE) ?? [])),
  };
}

/** Adds the options of a range to `into`; an option that comes twice goes on (RFC 3396). @returns false: cut off. */
function readOptions(bytes: Uint8Array, start: number, end: number, into: Map<number, number[]>): boolean {
  let at = start;
  while (at < end && bytes[at] !== OPTION_END) {
    const code = bytes[at];
    if (code === OPTION_PAD) {
      at++;
      continue;
    }
    if (at + 1 >= end || at + 2 + bytes[at + 1] > end) return false;
    const value = bytes.subarray(at + 2, at + 2 + bytes[at + 1]);
    into.set(code, [...(into.get(code) ?? []), ...value]);
    at += 2 + bytes[at + 1];
  }
  return true;
}

function readRoutes(value: readonly number[]): DhcpReply['routes'] {
  const routes: { network: number; prefixLength: number; gateway: number }[] = [];
  for (let at = 0; at < value.length; ) {
    const prefixLength = value[at];
    const significant = (prefixLength + 7) >> 3;
    if (prefixLength > 32 || at + 1 + significant + 4 > value.length) break;
    const octet = (i: number): number => (i < significant ? value[at + 1 + i] : 0);
    const network = (octet(0) << 24) | (octet(1) << 16) | (octet(2) << 8) | octet(3);
    const gatewayAt = at + 1 + significant;
    const [a, b, c, d] = value.slice(gatewayAt, gatewayAt + 4);
    routes.push({ network, prefixLength, gateway: (a << 24) | (b << 16) | (c << 8) | d });
    at = gatewayAt + 4;
  }
  return routes;
}

export interface DhcpRequestFields {
  readonly type: number;
  readonly transaction: number;
  /** Since the exchange began. */
  readonly seconds: number;
  readonly mac: Uint8Array;
  /** Our address when we have one and answer for it, else 0. */
  readonly ip: number;
  /** Options; 0: left out. */
  readonly requestedIp: number;
  readonly server: number;
  readonly hostName: string;
}

/** The message as bytes. */
export function buildDhcpRequest(fields: DhcpRequestFields): Uint8Array {
  const options = [OPTION_MESSAGE_TYPE, 1, fields.type, OPTION_CLIENT, 7, 1, ...fields.mac];
  const address = (code: number, ip: number): void => {
    if (ip !== 0) options.push(code, 4, ip >>> 24, (ip >>> 16) & 255, (ip >>> 8) & 255, ip & 255);
  };
  address(OPTION_REQUESTED_ADDRESS, fields.requestedIp);
  address(OPTION_SERVER, fields.server);
  if (fields.type === DHCP_DISCOVER || fields.type === DHCP_REQUEST) {
    options.push(OPTION_MAX_SIZE, 2, 1500 >> 8, 1500 & 255);
    // Asked for first, as RFC 3442 wants.
    options.push(OPTION_PARAMETERS, WANTED.length + 1, OPTION_CLASSLESS_ROUTES, ...WANTED);
    const name = [...fields.hostName].slice(0, 63).map((letter) => letter.charCodeAt(0) & 0x7f);
    if (name.length > 0) options.push(OPTION_HOST_NAME, name.length, ...name);
  }
  options.push(OPTION_END);
  const bytes = new Uint8Array(Math.max(MESSAGE_MIN, OPTIONS + options.length));
  bytes.set([BOOT_REQUEST, 1, MAC_LENGTH, 0]);
  writeInt32(bytes, 4, fields.transaction);
  writeUint16(bytes, 8, Math.min(fields.seconds, 0xffff));
  writeInt32(bytes, 12, fields.ip);
  bytes.set(fields.mac, 28);
  writeInt32(bytes, 236, MAGIC_COOKIE);
  bytes.set(options, OPTIONS);
  return bytes;
}

/** Writes a UDP header before a payload that is in place. */
export function writeUdpHeader(
  bytes: Uint8Array,
  offset: number,
  sourcePort: number,
  destinationPort: number,
  payloadLength: number,
  sourceIp: number,
  destinationIp: number,
): void {
  const length = UDP_HEADER_LENGTH + payloadLength;
  writeUint16(bytes, offset, sourcePort);
  writeUint16(bytes, offset + 2, destinationPort);
  writeUint16(bytes, offset + 4, length);
  writeUint16(bytes, offset + 6, 0);
  const checksum = finish(sum(bytes, offset, length, pseudoHeaderSum(sourceIp, destinationIp, PROTOCOL_UDP, length)));
  writeUint16(bytes, offset + 6, checksum === 0 ? 0xffff : checksum);
}

/** Whether a UDP datagram holds what its header says. A checksum of 0 means that there is none. */
export function isUdpValid(
  bytes: Uint8Array,
  offset: number,
  length: number,
  sourceIp: number,
  destinationIp: number,
  isTrusted: boolean,
): boolean {
  if (length < UDP_HEADER_LENGTH) return false;
  const udpLength = readUint16(bytes, offset + 4);
  if (udpLength < UDP_HEADER_LENGTH || udpLength > length) return false;
  if (isTrusted || readUint16(bytes, offset + 6) === 0) return true;
  return finish(sum(bytes, offset, udpLength, pseudoHeaderSum(sourceIp, destinationIp, PROTOCOL_UDP, udpLength))) === 0;
}
