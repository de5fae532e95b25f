// Ethernet II framing (RFC 894). Hardware addresses are six bytes at an offset, never objects. For stack/.
import { copyBytes, readUint16, writeUint16 } from './bytes.ts';

export const ETHERNET_HEADER_LENGTH = 14;
/** What an 802.1Q tag adds to the header. */
export const VLAN_TAG_LENGTH = 4;
export const MAC_LENGTH = 6;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_IPV6 = 0x86dd;

export const BROADCAST_MAC: Uint8Array = new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);

/** Offsets inside the header. */
export const ETHERNET_DESTINATION = 0;
export const ETHERNET_SOURCE = 6;
export const ETHERNET_TYPE = 12;

export function readEtherType(bytes: Uint8Array, offset: number): number {
  return readUint16(bytes, offset + ETHERNET_TYPE);
}

/** Multicast or broadcast (the I/G bit). */
export function isGroupMac(bytes: Uint8Array, offset: number): boolean {
  return (bytes[offset] & 1) !== 0;
}

export function isZeroMac(bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < MAC_LENGTH; i++) if (bytes[offset + i] !== 0) return false;
  return true;
}

/** @returns the length written. */
export function writeEthernetHeader(
  bytes: Uint8Array,
  offset: number,
  destinationMac: Uint8Array,
  sourceMac: Uint8Array,
  etherType: number,
): number {
  copyBytes(bytes, offset + ETHERNET_DESTINATION, destinationMac, 0, MAC_LENGTH);
  copyBytes(bytes, offset + ETHERNET_SOURCE, sourceMac, 0, MAC_LENGTH);
  writeUint16(bytes, offset + ETHERNET_TYPE, etherType);
  return ETHERNET_HEADER_LENGTH;
}

/** `02:00:00:00:00:01`. */
export function formatMac(bytes: Uint8Array, offset: number): string {
  let text = '';
  for (let i = 0; i < MAC_LENGTH; i++) text += (i === 0 ? '' : ':') + bytes[offset + i].toString(16).padStart(2, '0');
  return text;
}

/** Six bytes from `02:00:00:00:00:01` (or with dashes); null if it is anything else. */
export function parseMac(text: string): Uint8Array | null {
  if (!/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text)) return null;
  return Uint8Array.from(text.split(/[:-]/), (byte) => Number.parseInt(byte, 16));
}
