// struct virtio_net_hdr_mrg_rxbuf, the 12 bytes before each frame of a tap device: which checksum is left to do and
// how to cut the frame up. Pure. For io-engine only.

export const VNET_HEADER_LENGTH = 12;
/** The same without its last field (struct virtio_net_hdr), as packet sockets have it. */
export const VNET_SHORT_HEADER_LENGTH = 10;
/** On a received frame: NEEDS_CSUM (a local sender left it out) or DATA_VALID (someone checked it). */
export const VNET_RX_CHECKED = 1 | 2;

const NEEDS_CSUM = 1;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;
const ETHERNET_HEADER = 14;
const VLAN_TAG = 4;
const IPV6_HEADER = 40;
const PROTOCOL_TCP = 6;
const TCP_CHECKSUM_OFFSET = 16;

/**
 * Writes the header at `slot` for the frame behind it. A TCP segment has its checksum completed by the kernel from
 * the pseudo-header sum in its field; every other frame goes as it is.
 * @param segmentSize TCP payload bytes per segment, 0: one segment
 */
export function writeVnetHeader(memory: Uint8Array, slot: number, segmentSize: number): void {
  const frame = slot + VNET_HEADER_LENGTH;
  const isTagged = memory[frame + 12] === 0x81 && memory[frame + 13] === 0;
  const header = isTagged ? ETHERNET_HEADER + VLAN_TAG : ETHERNET_HEADER;
  const ip = frame + header;
  const isIpv4 = memory[ip - 2] === 0x08 && memory[ip - 1] === 0;
  const isIpv6 = memory[ip - 2] === 0x86 && memory[ip - 1] === 0xdd;
  const isTcp = (isIpv4 && memory[ip + 9] === PROTOCOL_TCP) || (isIpv6 && memory[ip + 6] === PROTOCOL_TCP);
  const tcp = header + (isIpv6 ? IPV6_HEADER : (memory[ip] & 15) << 2);
  const isCut = isTcp && segmentSize > 0;
  const headers = isCut ? tcp + ((memory[frame + tcp + 12] >> 4) << 2) : 0;
  memory[slot] = isTcp ? NEEDS_CSUM : 0;
  memory[slot + 1] = isCut ? (isIpv6 ? GSO_TCPV6 : GSO_TCPV4) : 0;
  putUint16(memory, slot + 2, headers);
  putUint16(memory, slot + 4, isCut ? segmentSize : 0);
  putUint16(memory, slot + 6, isTcp ? tcp : 0);
  putUint16(memory, slot + 8, isTcp ? TCP_CHECKSUM_OFFSET : 0);
  putUint16(memory, slot + 10, 0);
}

/** The header is in the byte order of the machine; Node runs on little-endian Linux (s390x aside). */
function putUint16(memory: Uint8Array, offset: number, value: number): void {
  memory[offset] = value;
  memory[offset + 1] = value >>> 8;
}
