// The little that filters, the decoder and `explain` need to know of a frame: addresses, ports and TCP's own fields. Takes
// Ethernet (with VLAN tags), raw IP and Linux's cooked captures; never throws, whatever the bytes are. For src/observe/capture.

export const LINK_ETHERNET = 1;
export const LINK_RAW = 101;
const LINK_IPV4 = 228;
const LINK_IPV6 = 229;
const LINK_LINUX_COOKED = 113;
const LINK_LINUX_COOKED2 = 276;

export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;
export const TYPE_IPV6 = 0x86dd;

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const ACK = 16;

/** One frame's fields; reused from frame to frame. Offsets are into the bytes it was read from. */
export class Dissected {
  /** EtherType of what is inside; 0: unknown. */
  type = 0;
  /** Identifier of the outermost VLAN tag; 0: there is none. */
  vlan = 0;
  /** Where the two addresses lie, and how long they are: 4, 16, or 0: there are none. */
  sourceAt = 0;
  destinationAt = 0;
  addressLength = 0;
  /** IP's; -1: not IP. */
  protocol = -1;
  /** -1: no ports in this frame. */
  sourcePort = -1;
  destinationPort = -1;
  /** Of TCP; meaningful when `isTcp`. */
  isTcp = false;
  seq = 0;
  ack = 0;
  flags = 0;
  window = 0;
  /** Of the window scale option of a SYN; -1: none. */
  windowScale = -1;
  payloadAt = 0;
  /** By IP's own length, which may be more than was captured. */
  payloadLength = 0;
  /** Bytes of it that are there. */
  payloadKept = 0;
}

/** Fills `to`. @param linkType LINKTYPE_* of the capture. */
export function dissect(bytes: Uint8Array, offset: number, length: number, linkType: number, to: Dissected): void {
  to.type = 0;
  to.vlan = 0;
  to.addressLength = 0;
  to.protocol = -1;
  to.sourcePort = to.destinationPort = -1;
  to.isTcp = false;
  const end = offset + length;
  let at = offset;
  if (linkType === LINK_ETHERNET) {
    if (length < 14) return;
    to.type = two(bytes, offset + 12);
    at += 14;
    // IEEE 802.1Q and 802.1ad.
    while ((to.type === 0x8100 || to.type === 0x88a8) && at + 4 <= end) {
      to.vlan ||= two(bytes, at) & 0xfff;
      to.type = two(bytes, at + 2);
      at += 4;
    }
  } else if (linkType === LINK_LINUX_COOKED || linkType === LINK_LINUX_COOKED2) {
    const header = linkType === LINK_LINUX_COOKED ? 16 : 20;
    if (length < header) return;
    to.type = two(bytes, linkType === LINK_LINUX_COOKED ? offset + 14 : offset);
    at += header;
  } else if (linkType === LINK_RAW || linkType === LINK_IPV4 || linkType === LINK_IPV6) {
    if (length < 1) return;
    to.type = bytes[offset] >>> 4 === 6 ? TYPE_IPV6 : TYPE_IPV4;
  }
  if (to.type === TYPE_IPV4) ipv4(bytes, at, end, to);
  else if (to.type === TYPE_IPV6) ipv6(bytes, at, end, to);
  else if (to.type === TYPE_ARP && at + 28 <= end) addresses(to, at + 14, at + 24, 4);
}

function ipv4(bytes: Uint8Array, at: number, end: number, to: Dissected): void {
  const header = (bytes[at] & 15) * 4;
  if (at + 20 > end || header < 20) return;
  addresses(to, at + 12, at + 16, 4);
  to.protocol = bytes[at + 9];
  // Only the first fragment has ports. A length of 0 is one that the device was to fill in.
  if ((two(bytes, at + 6) & 0x1fff) !== 0) return;
  const total = two(bytes, at + 2);
  transport(bytes, at + header, end, total === 0 ? end : at + total, to);
}

function ipv6(bytes: Uint8Array, at: number, end: number, to: Dissected): void {
  if (at + 40 > end) return;
  addresses(to, at + 8, at + 24, 16);
  to.protocol = bytes[at + 6];
  let next = at + 40;
  // Hop-by-hop, routing, destination options (RFC 8200 4).
  while ((to.protocol === 0 || to.protocol === 43 || to.protocol === 60) && next + 8 <= end) {
    to.protocol = bytes[next];
    next += (bytes[next + 1] + 1) * 8;
  }
  transport(bytes, next, end, at + 40 + two(bytes, at + 4), to);
}

/** @param end of the bytes that are there. @param ipEnd where the packet ends. */
function transport(bytes: Uint8Array, at: number, end: number, ipEnd: number, to: Dissected): void {
  if ((to.protocol !== 6 && to.protocol !== 17) || at + 4 > end) return;
  to.sourcePort = two(bytes, at);
  to.destinationPort = two(bytes, at + 2);
  if (to.protocol !== 6 || at + 20 > end) return;
  const header = (bytes[at + 12] >>> 4) * 4;
  if (header < 20) return;
  to.isTcp = true;
  to.seq = four(bytes, at + 4);
  to.ack = four(bytes, at + 8);
  to.flags = bytes[at + 13];
  to.window = two(bytes, at + 14);
  to.windowScale = (to.flags & SYN) !== 0 ? windowScale(bytes, at + 20, Math.min(at + header, end)) : -1;
  to.payloadAt = at + header;
  to.payloadLength = Math.max(0, ipEnd - to.payloadAt);
  to.payloadKept = Math.max(0, Math.min(end, ipEnd) - to.payloadAt);
}

function windowScale(bytes: Uint8Array, from: number, end: number): number {
  for (let at = from; at < end && bytes[at] !== 0; ) {
    if (bytes[at] === 1) {
      at++;
      continue;
    }
    if (bytes[at] === 3 && at + 2 < end) return bytes[at + 2];
    if (bytes[at + 1] < 2) return -1;
    at += bytes[at + 1];
  }
  return -1;
}

function addresses(to: Dissected, sourceAt: number, destinationAt: number, length: number): void {
  to.sourceAt = sourceAt;
  to.destinationAt = destinationAt;
  to.addressLength = length;
}

function two(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

function four(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | two(bytes, at + 2);
}

/** The address at `at` as people write it. */
export function addressText(bytes: Uint8Array, at: number, length: number): string {
  if (length === 4) return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
  const words = Array.from({ length: 8 }, (_, i) => two(bytes, at + i * 2).toString(16));
  // As RFC 5952 wants it.
  return new URL(`http://[${words.join(':')}]`).hostname.slice(1, -1);
}
