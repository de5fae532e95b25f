// The IPv4 header (RFC 791) and addresses as int32: 10.0.0.1 is 0x0a000001. For stack/ and its callers.
import { readInt32, readUint16, writeInt32, writeUint16 } from './bytes.ts';
import { finish, sum } from './checksum.ts';
import {
  IPV4_BAD_CHECKSUM,
  IPV4_BAD_HEADER_LENGTH,
  IPV4_BAD_OPTIONS,
  IPV4_BAD_TOTAL_LENGTH,
  IPV4_BAD_VERSION,
  IPV4_SOURCE_ROUTED,
  IPV4_TRUNCATED,
  OK,
} from './status.ts';

export const IPV4_HEADER_LENGTH = 20;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

export const LIMITED_BROADCAST_IP = -1;

/** Version 4, five words, no traffic class. */
const VERSION_AND_LENGTH = 0x4500;
const FLAG_DONT_FRAGMENT = 0x4000;
const FLAG_MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET_MASK = 0x1fff;

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_LOOSE_SOURCE_ROUTE = 131;
const OPTION_STRICT_SOURCE_ROUTE = 137;

/** What `parseIpv4` fills in; one instance is reused for every packet. */
export class Ipv4Header {
  headerLength = 0;
  totalLength = 0;
  /** DSCP and ECN. */
  trafficClass = 0;
  identification = 0;
  dontFragment = false;
  moreFragments = false;
  /** Bytes. */
  fragmentOffset = 0;
  ttl = 0;
  protocol = 0;
  sourceIp = 0;
  destinationIp = 0;
  payloadOffset = 0;
  /** Bytes behind the header by the total length, not by the frame: padding is not payload. */
  payloadLength = 0;
}

/**
 * Checks and reads a header. `length` is what the frame holds from `offset` on, padding included. A TTL of 0 or 1
 * is no reason for a host to drop (RFC 1122, 3.2.1.7).
 */
export function parseIpv4(bytes: Uint8Array, offset: number, length: number, header: Ipv4Header): number {
  if (length < IPV4_HEADER_LENGTH) return IPV4_TRUNCATED;
  const versionAndLength = bytes[offset];
  if (versionAndLength >>> 4 !== 4) return IPV4_BAD_VERSION;
  const headerLength = (versionAndLength & 0xf) << 2;
  if (headerLength < IPV4_HEADER_LENGTH || headerLength > length) return IPV4_BAD_HEADER_LENGTH;
  const totalLength = readUint16(bytes, offset + 2);
  if (totalLength < headerLength || totalLength > length) return IPV4_BAD_TOTAL_LENGTH;
  if (finish(sum(bytes, offset, headerLength, 0)) !== 0) return IPV4_BAD_CHECKSUM;
  if (headerLength > IPV4_HEADER_LENGTH) {
    const status = checkOptions(bytes, offset + IPV4_HEADER_LENGTH, offset + headerLength);
    if (status !== OK) return status;
  }
  readHeader(bytes, offset, headerLength, totalLength, header);
  return OK;
}

/**
 * Reads the header of a packet quoted in an ICMP error: cut short, and with a header that routers have changed, so
 * neither total length nor checksum has to hold.
 * @returns OK, or the reason why not even the header is there.
 */
export function parseQuotedIpv4(bytes: Uint8Array, offset: number, length: number, header: Ipv4Header): number {
  if (length < IPV4_HEADER_LENGTH) return IPV4_TRUNCATED;
  if (bytes[offset] >>> 4 !== 4) return IPV4_BAD_VERSION;
  const headerLength = (bytes[offset] & 0xf) << 2;
  if (headerLength < IPV4_HEADER_LENGTH || headerLength > length) return IPV4_BAD_HEADER_LENGTH;
  readHeader(bytes, offset, headerLength, length, header);
  header.totalLength = readUint16(bytes, offset + 2);
  return OK;
}

function readHeader(
  bytes: Uint8Array,
  offset: number,
  headerLength: number,
  totalLength: number,
  header: Ipv4Header,
): void {
  const fragment = readUint16(bytes, offset + 6);
  header.headerLength = headerLength;
  header.totalLength = totalLength;
  header.trafficClass = bytes[offset + 1];
  header.identification = readUint16(bytes, offset + 4);
  header.dontFragment = (fragment & FLAG_DONT_FRAGMENT) !== 0;
  header.moreFragments = (fragment & FLAG_MORE_FRAGMENTS) !== 0;
  header.fragmentOffset = (fragment & FRAGMENT_OFFSET_MASK) << 3;
  header.ttl = bytes[offset + 8];
  header.protocol = bytes[offset + 9];
  header.sourceIp = readInt32(bytes, offset + 12);
  header.destinationIp = readInt32(bytes, offset + 16);
  header.payloadOffset = offset + headerLength;
  header.payloadLength = totalLength - headerLength;
}

/** Lengths that hold, and no source routes (RFC 7126, 4.3 and 4.4). Everything else is skipped. */
function checkOptions(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const kind = bytes[at];
    if (kind === OPTION_END) return OK;
    if (kind === OPTION_NOP) {
      at++;
      continue;
    }
    if (at + 1 >= end) return IPV4_BAD_OPTIONS;
    const optionLength = bytes[at + 1];
    if (optionLength < 2 || at + optionLength > end) return IPV4_BAD_OPTIONS;
    if (kind === OPTION_LOOSE_SOURCE_ROUTE || kind === OPTION_STRICT_SOURCE_ROUTE) return IPV4_SOURCE_ROUTED;
    at += optionLength;
  }
  return OK;
}

/**
 * Writes a header without options, checksum included.
 * @returns the length written.
 */
export function writeIpv4Header(
  bytes: Uint8Array,
  offset: number,
  totalLength: number,
  identification: number,
  dontFragment: boolean,
  ttl: number,
  protocol: number,
  sourceIp: number,
  destinationIp: number,
  trafficClass = 0,
  fragmentWord = 0,
): number {
  const fragment = dontFragment ? FLAG_DONT_FRAGMENT : fragmentWord;
  const ttlAndProtocol = (ttl << 8) | protocol;
  const words =
    VERSION_AND_LENGTH +
    trafficClass +
    totalLength +
    identification +
    fragment +
    ttlAndProtocol +
    (sourceIp >>> 16) +
    (sourceIp & 0xffff) +
    (destinationIp >>> 16) +
    (destinationIp & 0xffff);
  writeUint16(bytes, offset, VERSION_AND_LENGTH + trafficClass);
  writeUint16(bytes, offset + 2, totalLength);
  writeUint16(bytes, offset + 4, identification);
  writeUint16(bytes, offset + 6, fragment);
  writeUint16(bytes, offset + 8, ttlAndProtocol);
  writeUint16(bytes, offset + 10, finish(words));
  writeInt32(bytes, offset + 12, sourceIp);
  writeInt32(bytes, offset + 16, destinationIp);
  return IPV4_HEADER_LENGTH;
}

/** What `writeIpv4Header` is to say about a part of a datagram. @param offset of the part, a multiple of 8. */
export function fragmentWordOf(offset: number, moreFragments: boolean): number {
  return (moreFragments ? FLAG_MORE_FRAGMENTS : 0) | (offset >> 3);
}

/** Of a datagram whose first fragment has been written. */
export function isLaterFragment(fragmentWord: number): boolean {
  return (fragmentWord & FRAGMENT_OFFSET_MASK) !== 0;
}

/** 224.0.0.0/4. */
export function isMulticastIp(ip: number): boolean {
  return ip >>> 28 === 0xe;
}

/** 127.0.0.0/8. */
export function isLoopbackIp(ip: number): boolean {
  return ip >>> 24 === 127;
}

/** The netmask of a prefix length, 0 to 32. */
export function maskOf(prefixLength: number): number {
  return prefixLength === 0 ? 0 : -1 << (32 - prefixLength);
}

export function formatIpv4(ip: number): string {
  return `${ip >>> 24}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`;
}

/** The address in `10.0.0.1`, or null: four decimal parts without leading zeros, nothing else. */
export function parseIpv4Address(text: string): number | null {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (parts === null) return null;
  let ip = 0;
  for (const part of parts.slice(1)) {
    const value = Number(part);
    if (value > 255 || String(value) !== part) return null;
    ip = (ip << 8) | value;
  }
  return ip;
}
