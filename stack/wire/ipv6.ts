// The IPv6 header, its extension headers (RFC 8200) and addresses as 16 bytes at an offset. For stack/ and its callers.
import { readInt32, readUint16, writeInt32, writeUint16 } from './bytes.ts';
import {
  IPV6_BAD_EXTENSION,
  IPV6_BAD_LENGTH,
  IPV6_BAD_OPTION,
  IPV6_BAD_VERSION,
  IPV6_SOURCE_ROUTED,
  IPV6_TRUNCATED,
  OK,
} from './status.ts';

export const IPV6_HEADER_LENGTH = 40;
export const IPV6_ADDRESS_LENGTH = 16;
/** RFC 8200 5: every link carries this much. */
export const IPV6_MTU_MIN = 1280;

export const PROTOCOL_ICMPV6 = 58;

const NEXT_HOP_BY_HOP = 0;
const NEXT_ROUTING = 43;
export const NEXT_FRAGMENT = 44;
export const FRAGMENT_HEADER_LENGTH = 8;
const NEXT_NONE = 59;
const NEXT_DESTINATION_OPTIONS = 60;
/** More than anybody has a reason for. */
const EXTENSIONS_MAX = 8;

/** Offsets inside the header. */
export const IPV6_SOURCE = 8;
export const IPV6_DESTINATION = 24;

/** What `parseIpv6` fills in; one instance is reused for every packet. */
export class Ipv6Header {
  /** Header, extensions and payload, bytes. */
  totalLength = 0;
  trafficClass = 0;
  hopLimit = 0;
  /** Of the payload, behind all extension headers. */
  protocol = 0;
  /** Where the byte that named the protocol stands. */
  protocolAt = 0;
  payloadOffset = 0;
  payloadLength = 0;
  isFragment = false;
  /** Where the fragment header begins, and what it says; `fragmentOffset` in bytes. */
  fragmentAt = 0;
  fragmentOffset = 0;
  moreFragments = false;
  identification = 0;
  /**
   * With IPV6_BAD_OPTION and IPV6_SOURCE_ROUTED: where the option, or the route's type, stands, and whether it asks for
   * an answer (RFC 8200 4.2, 4.4).
   */
  problemAt = 0;
  wantsAnswer = false;
}

/** Checks and reads a header with its extensions. `length` is what the frame holds from `offset` on. */
export function parseIpv6(bytes: Uint8Array, offset: number, length: number, header: Ipv6Header): number {
  if (length < IPV6_HEADER_LENGTH) return IPV6_TRUNCATED;
  const first = readInt32(bytes, offset);
  if (first >>> 28 !== 6) return IPV6_BAD_VERSION;
  const payloadLength = readUint16(bytes, offset + 4);
  if (payloadLength > length - IPV6_HEADER_LENGTH) return IPV6_BAD_LENGTH;
  header.totalLength = IPV6_HEADER_LENGTH + payloadLength;
  header.trafficClass = (first >>> 20) & 0xff;
  header.hopLimit = bytes[offset + 7];
  header.protocolAt = offset + 6;
  header.isFragment = false;
  return walkExtensions(bytes, offset + IPV6_HEADER_LENGTH, offset + header.totalLength, bytes[offset + 6], header);
}

/** Finds the payload behind extension headers that begin at `at`; `next` names the first. */
export function walkExtensions(
  bytes: Uint8Array,
  start: number,
  end: number,
  firstNext: number,
  header: Ipv6Header,
): number {
  let at = start;
  let next = firstNext;
  for (let i = 0; isExtension(next); i++) {
    if (i === EXTENSIONS_MAX || at + 8 > end) return IPV6_BAD_EXTENSION;
    // Hop-by-hop options come first or are no header that anybody knows (RFC 8200 4, 4.1).
    if (next === NEXT_HOP_BY_HOP && i > 0) break;
    const extensionLength = next === NEXT_FRAGMENT ? FRAGMENT_HEADER_LENGTH : (bytes[at + 1] + 1) << 3;
    if (at + extensionLength > end) return IPV6_BAD_EXTENSION;
    if (next === NEXT_FRAGMENT) {
      readFragment(bytes, at, header);
      header.protocolAt = at;
      next = bytes[at];
      at += 8;
      break;
    }
    // With segments left the packet is on a tour that we are no guide of (RFC 5095, RFC 8200 4.4).
    if (next === NEXT_ROUTING && bytes[at + 3] !== 0) {
      header.problemAt = at + 2;
      header.wantsAnswer = true;
      return IPV6_SOURCE_ROUTED;
    }
    if (next !== NEXT_ROUTING) {
      const status = checkOptions(bytes, at + 2, at + extensionLength, header);
      if (status !== OK) return status;
    }
    header.protocolAt = at;
    next = bytes[at];
    at += extensionLength;
  }
  header.protocol = next;
  header.payloadOffset = at;
  header.payloadLength = next === NEXT_NONE ? 0 : end - at;
  return OK;
}

function isExtension(next: number): boolean {
  return (
    next === NEXT_HOP_BY_HOP || next === NEXT_ROUTING || next === NEXT_FRAGMENT || next === NEXT_DESTINATION_OPTIONS
  );
}

function readFragment(bytes: Uint8Array, at: number, header: Ipv6Header): void {
  const word = readUint16(bytes, at + 2);
  header.isFragment = true;
  header.fragmentAt = at;
  header.fragmentOffset = word & 0xfff8;
  header.moreFragments = (word & 1) !== 0;
  header.identification = readInt32(bytes, at + 4);
}

/** Lengths that hold; the two high bits of an option we do not know say what to do (RFC 8200 4.2). */
function checkOptions(bytes: Uint8Array, start: number, end: number, header: Ipv6Header): number {
  let at = start;
  while (at < end) {
    const type = bytes[at];
    if (type === 0) {
      at++;
      continue;
    }
    if (at + 1 >= end || at + 2 + bytes[at + 1] > end) return IPV6_BAD_EXTENSION;
    if (type >>> 6 !== 0) {
      header.problemAt = at;
      header.wantsAnswer = type >>> 7 === 1;
      return IPV6_BAD_OPTION;
    }
    at += 2 + bytes[at + 1];
  }
  return OK;
}

/** Writes a header without addresses: whoever has them puts them behind. @returns the length of the whole header. */
export function writeIpv6Header(
  bytes: Uint8Array,
  offset: number,
  payloadLength: number,
  trafficClass: number,
  protocol: number,
  hopLimit: number,
): number {
  writeInt32(bytes, offset, 0x60000000 | (trafficClass << 20));
  writeUint16(bytes, offset + 4, payloadLength);
  bytes[offset + 6] = protocol;
  bytes[offset + 7] = hopLimit;
  return IPV6_HEADER_LENGTH;
}

/** RFC 8200 4.5. @param offset of the part, a multiple of 8. */
export function writeFragmentHeader(
  bytes: Uint8Array,
  at: number,
  protocol: number,
  offset: number,
  moreFragments: boolean,
  identification: number,
): void {
  bytes[at] = protocol;
  bytes[at + 1] = 0;
  writeUint16(bytes, at + 2, offset | (moreFragments ? 1 : 0));
  writeInt32(bytes, at + 4, identification);
}

// --- addresses ---

/** ff00::/8. */
export function isMulticastIpv6(bytes: Uint8Array, offset: number): boolean {
  return bytes[offset] === 0xff;
}

/** fe80::/10. */
export function isLinkLocal(bytes: Uint8Array, offset: number): boolean {
  return bytes[offset] === 0xfe && (bytes[offset + 1] & 0xc0) === 0x80;
}

/** Unspecified, loopback and IPv4 in disguise (::/96, ::ffff:0:0/96): no host on a link has such an address. */
export function isNoHost(bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[offset + i] !== 0) return false;
  const group = readUint16(bytes, offset + 10);
  return group === 0 || group === 0xffff;
}

/** True if the first `bits` bits of both are the same. */
export function samePrefix(a: Uint8Array, aOffset: number, b: Uint8Array, bOffset: number, bits: number): boolean {
  return commonPrefix(a, aOffset, b, bOffset) >= bits;
}

/** How many bits two addresses have in common at the front, 0 to 128. */
export function commonPrefix(a: Uint8Array, aOffset: number, b: Uint8Array, bOffset: number): number {
  for (let i = 0; i < IPV6_ADDRESS_LENGTH; i++) {
    const difference = a[aOffset + i] ^ b[bOffset + i];
    if (difference !== 0) return i * 8 + Math.clz32(difference) - 24;
  }
  return 128;
}

/** As RFC 5952 wants it: lower case, the longest run of zeros shortened. */
export function formatIpv6(bytes: Uint8Array, offset: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => readUint16(bytes, offset + i * 2));
  const [start, length] = longestZeros(groups);
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  if (length < 2) return text(groups);
  return `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

function longestZeros(groups: readonly number[]): [start: number, length: number] {
  let best: [number, number] = [0, 0];
  for (let i = 0; i < groups.length; i++) {
    let end = i;
    while (end < groups.length && groups[end] === 0) end++;
    if (end - i > best[1]) best = [i, end - i];
  }
  return best;
}

/** Sixteen bytes from any form of RFC 4291 2.2, without zone; null if it is anything else. */
export function parseIpv6Address(text: string): Uint8Array | null {
  const dotted = /^(.*:)(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (dotted !== null) {
    const parts = dotted.slice(2).map(Number);
    if (parts.some((part) => part > 255)) return null;
    const [a, b, c, d] = parts;
    return parseIpv6Address(`${dotted[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`);
  }
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const given = groups.flat();
  if (given.some((group) => !/^[0-9a-f]{1,4}$/i.test(group))) return null;
  if (halves.length === 1 ? given.length !== 8 : given.length > 7) return null;
  const zeros = new Array<string>(8 - given.length).fill('0');
  const all = halves.length === 1 ? given : [...groups[0], ...zeros, ...groups[1]];
  const bytes = new Uint8Array(IPV6_ADDRESS_LENGTH);
  for (const [i, group] of all.entries()) writeUint16(bytes, i * 2, Number.parseInt(group, 16));
  return bytes;
}
