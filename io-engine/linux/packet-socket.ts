// An AF_PACKET socket: opening, binding, membership. Shared by the afpacket engine and by those that need the
// interface to take frames for another hardware address. For io-engine on Linux only.
import { openingError, systemError } from './errno.ts';
import { addressOf, bind, close, errno, pinned, setsockopt, socket } from './libc.ts';

const AF_PACKET = 17;
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SO_ATTACH_BPF = 50;
export const SOL_PACKET = 263;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_MR_PROMISC = 1;
const PACKET_MR_ALLMULTI = 2;
const ETH_P_ALL = 0x0003;

/** A socket that receives nothing until it is bound (protocol 0). */
export function openPacketSocket(): number {
  const fd = socket(AF_PACKET, SOCK_RAW_NONBLOCK_CLOEXEC, 0);
  if (fd < 0) throw openingError('a packet socket', errno(), 'CAP_NET_RAW');
  return fd;
}

/** struct sockaddr_ll for every protocol on one interface. */
export function packetAddress(interfaceIndex: number): Uint8Array {
  const address = pinned(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, ETH_P_ALL, false);
  view.setInt32(4, interfaceIndex, true);
  return address;
}

export function bindPacketSocket(fd: number, interfaceIndex: number): void {
  const address = packetAddress(interfaceIndex);
  if (bind(fd, address, address.length) < 0) throw openingError('binding the packet socket', errno(), 'CAP_NET_RAW');
}

/** Attaches a classic BPF program (packet-filter.ts). */
export function attachFilter(fd: number, program: Uint8Array): void {
  const filter = pinned(16); // struct sock_fprog: length u16, padding, pointer
  const view = new DataView(filter.buffer);
  view.setUint16(0, program.length / 8, true);
  view.setBigUint64(8, addressOf(program), true);
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter, filter.length) < 0) {
    throw systemError('attaching the socket filter', errno());
  }
}

/** Attaches a loaded program in place of what filters now. @returns false when the kernel refuses. */
export function attachProgram(fd: number, program: number): boolean {
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, Int32Array.of(program), 4) === 0;
}

/** Makes the interface take frames for every hardware address, until the socket is closed. */
export function addPromiscuous(fd: number, interfaceIndex: number): void {
  addMembership(fd, interfaceIndex, PACKET_MR_PROMISC, 'setting the interface promiscuous');
}

/** Makes the interface take frames for every multicast group, until the socket is closed. */
export function addAllMulticast(fd: number, interfaceIndex: number): void {
  addMembership(fd, interfaceIndex, PACKET_MR_ALLMULTI, 'taking multicast frames');
}

function addMembership(fd: number, interfaceIndex: number, type: number, what: string): void {
  const request = pinned(16); // struct packet_mreq
  const view = new DataView(request.buffer);
  view.setInt32(0, interfaceIndex, true);
  view.setUint16(4, type, true);
  if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, request, request.length) < 0) {
    throw systemError(what, errno());
  }
}

/** A socket kept for its memberships only, or -1 when there are none; close it to end them. */
export function openMembership(interfaceIndex: number, promiscuous: boolean, allMulticast: boolean): number {
  if (!promiscuous && !allMulticast) return -1;
  const fd = openPacketSocket();
  try {
    if (promiscuous) addPromiscuous(fd, interfaceIndex);
    if (allMulticast) addAllMulticast(fd, interfaceIndex);
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}
