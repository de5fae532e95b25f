// Writes pcapng blocks into a byte array: section header, interface description, enhanced packet,
// statistics (draft-ietf-opsawg-pcapng sections 4.1 to 4.3, 4.6). Little-endian, as the format lets the writer choose. Pure.
// io-engine/ and the transport's captures import this.
import type { Link } from './frame-engine.ts';

export const LINKTYPE_ETHERNET = 1;
export const LINKTYPE_RAW = 101;

/** epb_flags, bits 0-1 (section 4.3.1). */
export const DIRECTION_IN = 1;
export const DIRECTION_OUT = 2;

const BLOCK_SECTION_HEADER = 0x0a0d0d0a;
const BLOCK_INTERFACE = 1;
const BLOCK_ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const OPTION_IF_NAME = 2;
const OPTION_IF_TSRESOL = 9;
const OPTION_EPB_FLAGS = 2;
const OPTION_COMMENT = 1;
const BLOCK_STATISTICS = 5;
const OPTION_ISB_IFRECV = 4;
const OPTION_ISB_IFDROP = 5;
/** Timestamps count microseconds: 10 to the power of minus this. */
const TIMESTAMP_RESOLUTION = 6;
const TWO_POW_32 = 0x1_0000_0000;

/** An enhanced packet block without its data: header 28, flags option 8, end of options 4, trailing length 4. */
const PACKET_OVERHEAD = 44;

/** Bytes from which on a call is cheaper than a loop. */
const COPY_AT_ONCE = 128;
const NO_COMMENT = new Uint8Array(0);

const padded = (length: number): number => (length + 3) & ~3;

/** Bytes that `writePacket` takes for a frame of `length` bytes. @param commentLength of the comment in UTF-8; 0: none. */
export function packetBlockLength(length: number, commentLength = 0): number {
  return PACKET_OVERHEAD + padded(length) + (commentLength === 0 ? 0 : 4 + padded(commentLength));
}

/** LINKTYPE_* of an engine's frames. */
export function linkTypeOf({ medium }: Link): number {
  return medium === 'ethernet' ? LINKTYPE_ETHERNET : LINKTYPE_RAW;
}

/** The section header and the description of the one interface. */
export function fileHeader(interfaceName: string, linkType: number, snapLength: number): Uint8Array {
  const name = new TextEncoder().encode(interfaceName);
  const interfaceLength = 16 + 4 + padded(name.length) + 8 + 4 + 4;
  const bytes = new Uint8Array(28 + interfaceLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, BLOCK_SECTION_HEADER, true);
  view.setUint32(4, 28, true);
  view.setUint32(8, BYTE_ORDER_MAGIC, true);
  view.setUint16(12, 1, true);
  view.setBigInt64(16, -1n, true);
  view.setUint32(24, 28, true);

  view.setUint32(28, BLOCK_INTERFACE, true);
  view.setUint32(32, interfaceLength, true);
  view.setUint16(36, linkType, true);
  view.setUint32(40, snapLength, true);
  view.setUint16(44, OPTION_IF_NAME, true);
  view.setUint16(46, name.length, true);
  bytes.set(name, 48);
  const resolution = 48 + padded(name.length);
  view.setUint16(resolution, OPTION_IF_TSRESOL, true);
  view.setUint16(resolution + 2, 1, true);
  view.setUint8(resolution + 4, TIMESTAMP_RESOLUTION);
  view.setUint32(resolution + 12, interfaceLength, true);
  return bytes;
}

/**
 * Writes one enhanced packet block at `at` and returns its length.
 * @param unixUs microseconds since 1970, whole.
 * @param originalLength of the frame, of which `length` bytes are kept. @param comment in UTF-8; empty: none.
 */
export function writePacket(
  view: DataView,
  at: number,
  unixUs: number,
  direction: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  originalLength: number = length,
  comment: Uint8Array = NO_COMMENT,
): number {
  const blockLength = packetBlockLength(length, comment.length);
  view.setUint32(at, BLOCK_ENHANCED_PACKET, true);
  view.setUint32(at + 4, blockLength, true);
  view.setUint32(at + 8, 0, true);
  view.setUint32(at + 12, Math.floor(unixUs / TWO_POW_32), true);
  view.setUint32(at + 16, unixUs % TWO_POW_32, true);
  view.setUint32(at + 20, length, true);
  view.setUint32(at + 24, originalLength, true);
  const data = at + 28;
  copy(view, data, bytes, offset, length);
  for (let i = length; i < padded(length); i++) view.setUint8(data + i, 0);
  let options = data + padded(length);
  if (comment.length > 0) options += writeBytesOption(view, options, OPTION_COMMENT, comment);
  view.setUint16(options, OPTION_EPB_FLAGS, true);
  view.setUint16(options + 2, 4, true);
  view.setUint32(options + 4, direction, true);
  view.setUint32(options + 8, 0, true);
  view.setUint32(options + 12, blockLength, true);
  return blockLength;
}

/** Full frames by the engine's own copy, which costs two views; small ones byte by byte. */
function copy(view: DataView, at: number, bytes: Uint8Array, offset: number, length: number): void {
  if (length > COPY_AT_ONCE) {
    new Uint8Array(view.buffer, view.byteOffset + at, length).set(bytes.subarray(offset, offset + length));
    return;
  }
  for (let i = 0; i < length; i++) view.setUint8(at + i, bytes[offset + i]);
}

function writeBytesOption(view: DataView, at: number, code: number, bytes: Uint8Array): number {
  view.setUint16(at, code, true);
  view.setUint16(at + 2, bytes.length, true);
  for (let i = 0; i < padded(bytes.length); i++) view.setUint8(at + 4 + i, i < bytes.length ? bytes[i] : 0);
  return 4 + padded(bytes.length);
}

/** An interface statistics block (section 4.6): what has been seen so far, and what of it is missing in the file. */
export function statisticsBlock(unixUs: number, received: number, dropped: number): Uint8Array {
  const bytes = new Uint8Array(52);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, BLOCK_STATISTICS, true);
  view.setUint32(4, bytes.length, true);
  view.setUint32(12, Math.floor(unixUs / TWO_POW_32), true);
  view.setUint32(16, unixUs % TWO_POW_32, true);
  for (const [at, code, count] of [
    [20, OPTION_ISB_IFRECV, received],
    [32, OPTION_ISB_IFDROP, dropped],
  ]) {
    view.setUint16(at, code, true);
    view.setUint16(at + 2, 8, true);
    view.setUint32(at + 4, count % TWO_POW_32, true);
    view.setUint32(at + 8, Math.floor(count / TWO_POW_32), true);
  }
  view.setUint32(48, bytes.length, true);
  return bytes;
}
