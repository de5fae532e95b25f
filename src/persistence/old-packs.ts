// The packed forms that Redis wrote before listpacks: ziplists and zipmaps. Read only: their elements are handed one
// by one to whoever builds the value. Only rdb-value-reader.ts imports this file.
import { Element } from '../data/element.ts';
import { writeLatin1 } from '../data/integer.ts';

const ZIPLIST_HEADER = 10;
const ZIPLIST_END = 255;
const BIG_LENGTH = 254;
const ZIPMAP_BIG_LENGTH = 254;

/** @returns whether the ziplist is valid; each element was handed to `onElement`, up to where it is not. */
export function readZiplist(
  bytes: Uint8Array,
  offset: number,
  length: number,
  onElement: (element: Element) => void,
): boolean {
  const end = offset + length;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (length < ZIPLIST_HEADER + 1 || view.getUint32(offset, true) !== length || bytes[end - 1] !== ZIPLIST_END)
    return false;
  const last = view.getUint32(offset + 4, true);
  const expected = view.getUint16(offset + 8, true);
  const element = new Element();
  const digits = new Uint8Array(24);
  let elements = 0;
  let at = offset + ZIPLIST_HEADER;
  let start = at;
  let before = 0;
  while (at < end - 1) {
    start = at;
    const isBig = bytes[at] === BIG_LENGTH;
    if (at + (isBig ? 5 : 1) >= end - 1) return false;
    if ((isBig ? view.getUint32(at + 1, true) : bytes[at]) !== before) return false;
    at += isBig ? 5 : 1;
    const size = ziplistElement(view, bytes, at, element, digits);
    at += size;
    if (size === 0 || at > end - 1) return false;
    onElement(element);
    elements++;
    before = at - start;
  }
  return at === end - 1 && start === offset + last && (expected === 0xffff || expected === elements);
}

/** @returns bytes from `at` on that the element takes, 0: not valid. */
function ziplistElement(view: DataView, bytes: Uint8Array, at: number, element: Element, digits: Uint8Array): number {
  const tag = bytes[at];
  const string = (header: number, length: number): number => {
    if (at + header + length > bytes.length) return 0;
    element.set(bytes, at + header, length);
    return header + length;
  };
  const integer = (size: number, value: bigint | number): number => {
    element.set(digits, 0, writeLatin1(digits, 0, value.toString()));
    return 1 + size;
  };
  if (at + 9 > bytes.length && tag >= 0x40) {
    // Near the end of the buffer: a copy with room behind keeps the reads below in bounds.
    const padded = new Uint8Array(bytes.length - at + 16);
    padded.set(bytes.subarray(at));
    return paddedElement(padded, bytes.length - at, element, digits);
  }
  if (tag < 0x40) return string(1, tag);
  if (tag < 0x80) return string(2, ((tag & 63) << 8) | bytes[at + 1]);
  if (tag === 0x80) return string(5, view.getUint32(at + 1));
  switch (tag) {
    case 0xc0:
      return integer(2, view.getInt16(at + 1, true));
    case 0xd0:
      return integer(4, view.getInt32(at + 1, true));
    case 0xe0:
      return integer(8, view.getBigInt64(at + 1, true));
    case 0xf0:
      return integer(3, ((view.getUint16(at + 1, true) << 8) | (bytes[at + 3] << 24)) >> 8);
    case 0xfe:
      return integer(1, view.getInt8(at + 1));
    default:
      return tag > 0xf0 && tag < 0xfe ? integer(0, (tag & 15) - 1) : 0;
  }
}

function paddedElement(padded: Uint8Array, real: number, element: Element, digits: Uint8Array): number {
  const size = ziplistElement(new DataView(padded.buffer), padded, 0, element, digits);
  return size > real ? 0 : size;
}

/** As `readZiplist`, for a zipmap: field, value, field, value ... */
export function readZipmap(
  bytes: Uint8Array,
  offset: number,
  length: number,
  onElement: (element: Element) => void,
): boolean {
  const end = offset + length;
  const element = new Element();
  let at = offset + 1;
  let isValue = false;
  let fields = 0;
  while (at < end && bytes[at] !== 255) {
    let size = bytes[at++];
    if (size === ZIPMAP_BIG_LENGTH) {
      if (at + 4 > end) return false;
      size = (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
      at += 4;
      if (size < ZIPMAP_BIG_LENGTH) return false;
    }
    // A value is followed by room that an earlier, longer one left.
    const unused = isValue ? bytes[at++] : 0;
    if (at + size + unused > end) return false;
    element.set(bytes, at, size);
    onElement(element);
    at += size + unused;
    if (isValue) fields++;
    isValue = !isValue;
  }
  const expected = bytes[offset];
  return at === end - 1 && !isValue && fields > 0 && (expected >= ZIPMAP_BIG_LENGTH || expected === fields);
}
