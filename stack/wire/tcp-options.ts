// TCP options: MSS (RFC 9293, 3.7.1), window scale and timestamps (RFC 7323), SACK (RFC 2018). Writers pad with
// leading NOPs to a multiple of four bytes and return what they wrote. For stack/.
import { readInt32, readUint16, writeInt32, writeUint16 } from './bytes.ts';

export const MSS_OPTION_LENGTH = 4;
export const WINDOW_SCALE_OPTION_LENGTH = 4;
export const SACK_PERMITTED_OPTION_LENGTH = 4;
export const TIMESTAMPS_OPTION_LENGTH = 12;

/** Larger shifts are read as this one (RFC 7323, 2.3). */
const WINDOW_SCALE_MAX = 14;

const END = 0;
const NOP = 1;
const MSS = 2;
const WINDOW_SCALE = 3;
const SACK_PERMITTED = 4;
const SACK = 5;
const TIMESTAMPS = 8;

/** NOP, NOP, timestamps, 10: the only options of nearly every segment (RFC 7323, appendix A). */
const ALIGNED_TIMESTAMPS = 0x0101080a;
const FLAG_SYN = 2;

/** The fields of a segment record that options fill in. */
export interface TcpOptionFields {
  flags: number;
  mss: number;
  windowScale: number;
  sackPermitted: boolean;
  hasTimestamps: boolean;
  tsVal: number;
  tsEcr: number;
  sackCount: number;
  readonly sackEdges: Int32Array;
  optionsMalformed: boolean;
}

/**
 * Reads the options of a segment whose `flags` are set already. Unknown options, and known ones of a wrong length,
 * are skipped; of duplicates the last one counts; reading stops at a length that cannot be.
 */
export function parseTcpOptions(bytes: Uint8Array, offset: number, length: number, fields: TcpOptionFields): void {
  fields.mss = 0;
  fields.windowScale = -1;
  fields.sackPermitted = false;
  fields.hasTimestamps = false;
  fields.sackCount = 0;
  fields.optionsMalformed = false;
  if (length === 0) return;
  if (length === TIMESTAMPS_OPTION_LENGTH && readInt32(bytes, offset) === ALIGNED_TIMESTAMPS) {
    fields.hasTimestamps = true;
    fields.tsVal = readInt32(bytes, offset + 4);
    fields.tsEcr = readInt32(bytes, offset + 8);
    return;
  }
  const end = offset + length;
  let at = offset;
  while (at < end) {
    const kind = bytes[at];
    if (kind === END) return;
    if (kind === NOP) {
      at++;
      continue;
    }
    const optionLength = at + 1 < end ? bytes[at + 1] : 0;
    if (optionLength < 2 || at + optionLength > end) {
      fields.optionsMalformed = true;
      return;
    }
    readOption(bytes, at, kind, optionLength, fields);
    at += optionLength;
  }
}

function readOption(bytes: Uint8Array, at: number, kind: number, length: number, fields: TcpOptionFields): void {
  const isSyn = (fields.flags & FLAG_SYN) !== 0;
  switch (kind) {
    case MSS:
      if (length === 4 && isSyn) fields.mss = readUint16(bytes, at + 2);
      break;
    case WINDOW_SCALE:
      if (length === 3 && isSyn) fields.windowScale = Math.min(bytes[at + 2], WINDOW_SCALE_MAX);
      break;
    case SACK_PERMITTED:
      if (length === 2 && isSyn) fields.sackPermitted = true;
      break;
    case SACK:
      if ((length - 2) % 8 === 0 && length <= 34) readSackBlocks(bytes, at + 2, (length - 2) >>> 3, fields);
      break;
    case TIMESTAMPS:
      if (length === 10) {
        fields.hasTimestamps = true;
        fields.tsVal = readInt32(bytes, at + 2);
        fields.tsEcr = readInt32(bytes, at + 6);
      }
      break;
  }
}

function readSackBlocks(bytes: Uint8Array, at: number, count: number, fields: TcpOptionFields): void {
  fields.sackCount = count;
  for (let i = 0; i < 2 * count; i++) fields.sackEdges[i] = readInt32(bytes, at + 4 * i);
}

export function writeMssOption(bytes: Uint8Array, offset: number, mss: number): number {
  bytes[offset] = MSS;
  bytes[offset + 1] = 4;
  writeUint16(bytes, offset + 2, mss);
  return MSS_OPTION_LENGTH;
}

export function writeWindowScaleOption(bytes: Uint8Array, offset: number, shift: number): number {
  bytes[offset] = NOP;
  bytes[offset + 1] = WINDOW_SCALE;
  bytes[offset + 2] = 3;
  bytes[offset + 3] = shift;
  return WINDOW_SCALE_OPTION_LENGTH;
}

export function writeSackPermittedOption(bytes: Uint8Array, offset: number): number {
  bytes[offset] = NOP;
  bytes[offset + 1] = NOP;
  bytes[offset + 2] = SACK_PERMITTED;
  bytes[offset + 3] = 2;
  return SACK_PERMITTED_OPTION_LENGTH;
}

export function writeTimestampsOption(bytes: Uint8Array, offset: number, tsVal: number, tsEcr: number): number {
  writeInt32(bytes, offset, ALIGNED_TIMESTAMPS);
  writeInt32(bytes, offset + 4, tsVal);
  writeInt32(bytes, offset + 8, tsEcr);
  return TIMESTAMPS_OPTION_LENGTH;
}

/** Bytes that `count` SACK blocks take; beside timestamps there is room for 3, alone for 4. */
export function sackOptionLength(count: number): number {
  return count === 0 ? 0 : 4 + 8 * count;
}

/** @param edges left and right edge of each block. */
export function writeSackOption(bytes: Uint8Array, offset: number, edges: Int32Array, count: number): number {
  if (count === 0) return 0;
  bytes[offset] = NOP;
  bytes[offset + 1] = NOP;
  bytes[offset + 2] = SACK;
  bytes[offset + 3] = 2 + 8 * count;
  for (let i = 0; i < 2 * count; i++) writeInt32(bytes, offset + 4 + 4 * i, edges[i]);
  return sackOptionLength(count);
}
