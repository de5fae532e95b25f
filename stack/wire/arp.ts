// ARP for IPv4 over Ethernet (RFC 826). For stack/.
import { copyBytes, readInt32, readUint16, writeInt32, writeUint16 } from './bytes.ts';
import { ETHERTYPE_IPV4, isGroupMac, isZeroMac, MAC_LENGTH } from './ethernet.ts';
import { ARP_BAD_OPERATION, ARP_BAD_SENDER, ARP_NOT_ETHERNET_IPV4, ARP_TRUNCATED, OK } from './status.ts';

export const ARP_LENGTH = 28;
export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

const HARDWARE_ETHERNET = 1;

/** What `parseArp` fills in; one instance is reused for every packet. */
export class ArpPacket {
  operation = 0;
  /** Offsets of the six-byte hardware addresses in the parsed array. */
  senderMacOffset = 0;
  targetMacOffset = 0;
  senderIp = 0;
  targetIp = 0;
}

export function parseArp(bytes: Uint8Array, offset: number, length: number, packet: ArpPacket): number {
  if (length < ARP_LENGTH) return ARP_TRUNCATED;
  if (
    readUint16(bytes, offset) !== HARDWARE_ETHERNET ||
    readUint16(bytes, offset + 2) !== ETHERTYPE_IPV4 ||
    bytes[offset + 4] !== MAC_LENGTH ||
    bytes[offset + 5] !== 4
  ) {
    return ARP_NOT_ETHERNET_IPV4;
  }
  const operation = readUint16(bytes, offset + 6);
  if (operation !== ARP_REQUEST && operation !== ARP_REPLY) return ARP_BAD_OPERATION;
  if (isGroupMac(bytes, offset + 8) || isZeroMac(bytes, offset + 8)) return ARP_BAD_SENDER;
  packet.operation = operation;
  packet.senderMacOffset = offset + 8;
  packet.senderIp = readInt32(bytes, offset + 14);
  packet.targetMacOffset = offset + 18;
  packet.targetIp = readInt32(bytes, offset + 24);
  return OK;
}

/** @returns the length written. */
export function writeArp(
  bytes: Uint8Array,
  offset: number,
  operation: number,
  senderMac: Uint8Array,
  senderIp: number,
  targetMac: Uint8Array,
  targetIp: number,
): number {
  writeUint16(bytes, offset, HARDWARE_ETHERNET);
  writeUint16(bytes, offset + 2, ETHERTYPE_IPV4);
  bytes[offset + 4] = MAC_LENGTH;
  bytes[offset + 5] = 4;
  writeUint16(bytes, offset + 6, operation);
  copyBytes(bytes, offset + 8, senderMac, 0, MAC_LENGTH);
  writeInt32(bytes, offset + 14, senderIp);
  copyBytes(bytes, offset + 18, targetMac, 0, MAC_LENGTH);
  writeInt32(bytes, offset + 24, targetIp);
  return ARP_LENGTH;
}
