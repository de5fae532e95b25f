// The TCP header (RFC 9293, 3.1). Sequence numbers are int32 and wrap. For stack/.
import { readInt32, readUint16, writeInt32, writeUint16 } from './bytes.ts';
import { OK, TCP_BAD_DATA_OFFSET, TCP_TRUNCATED } from './status.ts';
import { parseTcpOptions } from './tcp-options.ts';

export const TCP_HEADER_LENGTH = 20;
/** Offset of the checksum field in the header. */
export const TCP_CHECKSUM = 16;

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;
export const URG = 32;
export const ECE = 64;
export const CWR = 128;

/** One parsed segment; the stack owns one and reuses it. */
export class TcpSegment {
  sourcePort = 0;
  destinationPort = 0;
  seq = 0;
  ack = 0;
  flags = 0;
  /** As it stands in the header, not scaled. */
  window = 0;
  urgentPointer = 0;
  payloadOffset = 0;
  payloadLength = 0;
  /** SEG.LEN: payload plus one for SYN and one for FIN. */
  segLen = 0;

  /** Bytes; 0: absent. On SYN segments only. */
  mss = 0;
  /** 0 to 14; -1: absent. On SYN segments only. */
  windowScale = -1;
  /** On SYN segments only. */
  sackPermitted = false;
  hasTimestamps = false;
  tsVal = 0;
  tsEcr = 0;
  /** SACK blocks, at most 4; block i is [sackEdges[2i], sackEdges[2i + 1]). */
  sackCount = 0;
  readonly sackEdges: Int32Array = new Int32Array(8);
  /** The options ended in one whose length is impossible; what came before it was read (RFC 9293, MUST-7). */
  optionsMalformed = false;
}

/** Reads header and options. The checksum is not looked at: it needs the addresses. */
export function parseTcp(bytes: Uint8Array, offset: number, length: number, segment: TcpSegment): number {
  if (length < TCP_HEADER_LENGTH) return TCP_TRUNCATED;
  const headerLength = (bytes[offset + 12] >>> 4) << 2;
  if (headerLength < TCP_HEADER_LENGTH || headerLength > length) return TCP_BAD_DATA_OFFSET;
  const flags = bytes[offset + 13];
  const payloadLength = length - headerLength;
  segment.sourcePort = readUint16(bytes, offset);
  segment.destinationPort = readUint16(bytes, offset + 2);
  segment.seq = readInt32(bytes, offset + 4);
  segment.ack = readInt32(bytes, offset + 8);
  segment.flags = flags;
  segment.window = readUint16(bytes, offset + 14);
  segment.urgentPointer = readUint16(bytes, offset + 18);
  segment.payloadOffset = offset + headerLength;
  segment.payloadLength = payloadLength;
  segment.segLen = payloadLength + ((flags & SYN) >>> 1) + (flags & FIN);
  parseTcpOptions(bytes, offset + TCP_HEADER_LENGTH, headerLength - TCP_HEADER_LENGTH, segment);
  return OK;
}

/**
 * Writes the header; checksum and urgent pointer are left zero.
 * @param window as it goes into the header: scaled down already, 0 to 65535.
 * @param optionsLength bytes of options behind the header, a multiple of 4.
 * @returns the header's length with options.
 */
export function writeTcpHeader(
  bytes: Uint8Array,
  offset: number,
  sourcePort: number,
  destinationPort: number,
  seq: number,
  ack: number,
  flags: number,
  window: number,
  optionsLength: number,
): number {
  const headerLength = TCP_HEADER_LENGTH + optionsLength;
  writeUint16(bytes, offset, sourcePort);
  writeUint16(bytes, offset + 2, destinationPort);
  writeInt32(bytes, offset + 4, seq);
  writeInt32(bytes, offset + 8, ack);
  bytes[offset + 12] = headerLength << 2;
  bytes[offset + 13] = flags;
  writeUint16(bytes, offset + 14, window);
  writeInt32(bytes, offset + 16, 0);
  return headerLength;
}
