// ICMP for IPv4 (RFC 792): echo, and the errors a host sends and understands. For stack/.
import { readUint16, writeInt32, writeUint16 } from './bytes.ts';
import { finish, sum } from './checksum.ts';
import { ICMP_BAD_CHECKSUM, ICMP_TRUNCATED, OK } from './status.ts';

export const ICMP_HEADER_LENGTH = 8;

export const ICMP_ECHO_REPLY = 0;
export const ICMP_UNREACHABLE = 3;
export const ICMP_ECHO_REQUEST = 8;
export const ICMP_TIME_EXCEEDED = 11;
export const ICMP_PARAMETER_PROBLEM = 12;

/** Code of ICMP_TIME_EXCEEDED when fragments are missing. */
export const TIME_EXCEEDED_REASSEMBLY = 1;

export const UNREACHABLE_PROTOCOL = 2;
export const UNREACHABLE_PORT = 3;
export const UNREACHABLE_FRAGMENTATION_NEEDED = 4;

/** What `parseIcmp` fills in; one instance is reused for every packet. */
export class IcmpHeader {
  type = 0;
  code = 0;
  /** Second half of the header's last word: the next hop's MTU in "fragmentation needed" (RFC 1191, 4). */
  mtu = 0;
  /** What follows the eight header bytes: echo data, or the quoted packet. */
  payloadOffset = 0;
  payloadLength = 0;
}

export function parseIcmp(bytes: Uint8Array, offset: number, length: number, header: IcmpHeader): number {
  if (length < ICMP_HEADER_LENGTH) return ICMP_TRUNCATED;
  if (finish(sum(bytes, offset, length, 0)) !== 0) return ICMP_BAD_CHECKSUM;
  header.type = bytes[offset];
  header.code = bytes[offset + 1];
  header.mtu = readUint16(bytes, offset + 6);
  header.payloadOffset = offset + ICMP_HEADER_LENGTH;
  header.payloadLength = length - ICMP_HEADER_LENGTH;
  return OK;
}

/**
 * Writes header and checksum of a message whose payload is in place already.
 * @param rest the last four header bytes: identifier and sequence number, or zero.
 */
export function writeIcmp(
  bytes: Uint8Array,
  offset: number,
  type: number,
  code: number,
  rest: number,
  payloadLength: number,
): void {
  bytes[offset] = type;
  bytes[offset + 1] = code;
  writeUint16(bytes, offset + 2, 0);
  writeInt32(bytes, offset + 4, rest);
  writeUint16(bytes, offset + 2, finish(sum(bytes, offset, ICMP_HEADER_LENGTH + payloadLength, 0)));
}
