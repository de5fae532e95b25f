// ICMPv6 (RFC 4443) and the messages of neighbour discovery (RFC 4861) and multicast listening (RFC 3810). For stack/.
import { readUint16, writeInt32, writeUint16 } from './bytes.ts';
import { finish, sum } from './checksum.ts';
import { PROTOCOL_ICMPV6 } from './ipv6.ts';
import { ICMPV6_BAD_CHECKSUM, ICMPV6_TRUNCATED, OK } from './status.ts';

export const ICMPV6_HEADER_LENGTH = 8;

export const ICMPV6_UNREACHABLE = 1;
export const ICMPV6_PACKET_TOO_BIG = 2;
export const ICMPV6_TIME_EXCEEDED = 3;
export const ICMPV6_PARAMETER_PROBLEM = 4;
export const ICMPV6_ECHO_REQUEST = 128;
export const ICMPV6_ECHO_REPLY = 129;
export const MLD_QUERY = 130;
export const NDP_ROUTER_SOLICITATION = 133;
export const NDP_ROUTER_ADVERTISEMENT = 134;
export const NDP_NEIGHBOR_SOLICITATION = 135;
export const NDP_NEIGHBOR_ADVERTISEMENT = 136;
export const MLD2_REPORT = 143;

export const UNREACHABLE_V6_PROHIBITED = 1;
export const UNREACHABLE_V6_PORT = 4;
export const PROBLEM_FIELD = 0;
export const PROBLEM_NEXT_HEADER = 1;
export const PROBLEM_OPTION = 2;
export const PROBLEM_FIRST_FRAGMENT = 3;

/** Bits of a neighbour advertisement's first byte behind the checksum. */
export const NA_SOLICITED = 0x40;
export const NA_OVERRIDE = 0x20;

export const NDP_OPTION_SOURCE_MAC = 1;
export const NDP_OPTION_TARGET_MAC = 2;
export const NDP_OPTION_PREFIX = 3;

/** All errors are below (RFC 4443 2.1). */
export function isIcmpv6Error(type: number): boolean {
  return type < 128;
}

/** @param addressSum of source and destination, for the pseudo header (RFC 8200 8.1). */
export function checkIcmpv6(bytes: Uint8Array, offset: number, length: number, addressSum: number): number {
  if (length < 4) return ICMPV6_TRUNCATED;
  const isGood = finish(sum(bytes, offset, length, addressSum + length + PROTOCOL_ICMPV6)) === 0;
  return isGood ? OK : ICMPV6_BAD_CHECKSUM;
}

/** Writes the first eight bytes and the checksum of a message whose body is in place. */
export function writeIcmpv6(
  bytes: Uint8Array,
  offset: number,
  type: number,
  code: number,
  rest: number,
  length: number,
  addressSum: number,
): void {
  bytes[offset] = type;
  bytes[offset + 1] = code;
  writeUint16(bytes, offset + 2, 0);
  writeInt32(bytes, offset + 4, rest);
  writeUint16(bytes, offset + 2, finish(sum(bytes, offset, length, addressSum + length + PROTOCOL_ICMPV6)));
}

/** Whether the options from `at` to `end` are well-formed: none of length 0, none cut off (RFC 4861 4.6). */
export function areNdpOptionsValid(bytes: Uint8Array, at: number, end: number): boolean {
  while (at < end) {
    if (at + 2 > end || bytes[at + 1] === 0) return false;
    at += bytes[at + 1] << 3;
  }
  return at === end;
}

/** Where the first option of a type begins; -1: there is none. The options have been found valid. */
export function findNdpOption(bytes: Uint8Array, start: number, end: number, type: number): number {
  for (let at = start; at < end; at += bytes[at + 1] << 3) if (bytes[at] === type) return at;
  return -1;
}

/** The sum of the eight words of an address at an offset, for a pseudo header. */
export function sumOfAddress(bytes: Uint8Array, offset: number): number {
  let total = 0;
  for (let i = 0; i < 16; i += 2) total += readUint16(bytes, offset + i);
  return total;
}
