// What the kernel knows about network interfaces: index, state, MTU, hardware address, and which IPv4 addresses
// it answers for. Asked by ioctl and getifaddrs, in the network namespace of this process (sysfs may show
// another one's). Cold path. For io-engine and doctor, on Linux only.
import { readFileSync } from 'node:fs';
import { EngineError } from '../frame-engine.ts';
import type { EngineOptions } from '../options.ts';
import { ENODEV, openingError, systemError } from './errno.ts';
import { addressOf, close, errno, freeifaddrs, getifaddrs, ioctl, pinned, socket, stringAt, viewAt } from './libc.ts';

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCGIFMTU = 0x8921;
const SIOCSIFMTU = 0x8922;
const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;
const SIOCETHTOOL = 0x8946;
const ETHTOOL_GCHANNELS = 0x3c;
const ETHTOOL_GTSO = 0x1e;
export const IFF_UP = 0x1;
export const IFF_RUNNING = 0x40;
const IFREQ_LENGTH = 40;
const NAME_LENGTH_MAX = 15;
const ARPHRD_ETHER = 1;
const ARPHRD_LOOPBACK = 772;

export interface InterfaceInfo {
  readonly name: string;
  readonly index: number;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  /** Six bytes; zeros where the medium has no hardware address. */
  readonly mac: Uint8Array;
  /** Frames start with an Ethernet header. */
  readonly isEthernet: boolean;
  /** Set up by the administrator. */
  readonly isUp: boolean;
  /** Has a carrier as well. */
  readonly isRunning: boolean;
}

/** One IPv4 address the kernel answers for; `ip` is an int32 (10.0.0.1 is 0x0a000001). */
export interface KernelAddress {
  readonly name: string;
  readonly ip: number;
  readonly prefixLength: number;
}

/** A `struct ifreq` that holds the name. */
export function interfaceRequest(name: string): Uint8Array {
  const request = pinned(IFREQ_LENGTH);
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length > NAME_LENGTH_MAX) {
    throw new EngineError('NO_INTERFACE', `"${name}" cannot be an interface name: 1 to ${NAME_LENGTH_MAX} bytes`);
  }
  request.set(bytes);
  return request;
}

function withControlSocket<T>(use: (fd: number) => T): T {
  const fd = socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) throw systemError('socket(AF_INET)', errno());
  try {
    return use(fd);
  } finally {
    close(fd);
  }
}

/** Names of all interfaces of this network namespace. */
export function listInterfaces(): string[] {
  const lines = readFileSync('/proc/net/dev', 'utf8').split('\n').slice(2);
  return lines.filter((line) => line.includes(':')).map((line) => line.slice(0, line.lastIndexOf(':')).trim());
}

/** @returns null when there is no such interface. */
export function findInterface(name: string): InterfaceInfo | null {
  return withControlSocket((fd) => {
    const request = interfaceRequest(name);
    const view = new DataView(request.buffer);
    if (ioctl(fd, SIOCGIFINDEX, request) < 0) {
      const code = errno();
      if (code === ENODEV) return null;
      throw systemError(`asking for the index of ${name}`, code);
    }
    const index = view.getInt32(16, true);
    const flags = ioctl(fd, SIOCGIFFLAGS, request) < 0 ? 0 : view.getUint16(16, true);
    const mtu = ioctl(fd, SIOCGIFMTU, request) < 0 ? 0 : view.getInt32(16, true);
    const hasAddress = ioctl(fd, SIOCGIFHWADDR, request) === 0;
    const family = hasAddress ? view.getUint16(16, true) : 0;
    const isEthernet = family === ARPHRD_ETHER || family === ARPHRD_LOOPBACK;
    return {
      name,
      index,
      mtu,
      mac: isEthernet ? request.slice(18, 24) : new Uint8Array(6),
      isEthernet,
      isUp: (flags & IFF_UP) !== 0,
      isRunning: (flags & IFF_RUNNING) !== 0,
    };
  });
}

/** @throws EngineError NO_INTERFACE that lists the interfaces there are. */
export function interfaceInfo(name: string): InterfaceInfo {
  const info = findInterface(name);
  if (info === null) {
    const others = listInterfaces().join(', ');
    throw new EngineError('NO_INTERFACE', `no interface "${name}" here; there are: ${others || 'none'}`);
  }
  return info;
}

/** What the driver answers to a question of `length` bytes that begins with its number; null: it has no answer. */
function askDriver(name: string, command: number, length: number): DataView | null {
  return withControlSocket((fd) => {
    const request = interfaceRequest(name);
    const answer = new DataView(new ArrayBuffer(length));
    answer.setUint32(0, command, true);
    new DataView(request.buffer).setBigUint64(16, addressOf(new Uint8Array(answer.buffer)), true);
    return ioctl(fd, SIOCETHTOOL, request) < 0 ? null : answer;
  });
}

/** Whether the interface cuts TCP segments up (TSO), or stands for the memory of one who needs them not cut (veth). */
export function cutsSegments(name: string): boolean {
  return askDriver(name, ETHTOOL_GTSO, 8)?.getUint32(4, true) === 1;
}

/** struct ethtool_channels: cmd, max_{rx,tx,other,combined}, {rx,tx,other,combined}_count. Null: the driver has none. */
const channelsOf = (name: string): DataView | null => askDriver(name, ETHTOOL_GCHANNELS, 36);

/** Receive queues of the interface; 1 where the driver does not say. */
export function receiveQueues(name: string): number {
  const channels = channelsOf(name);
  return channels === null ? 1 : Math.max(1, channels.getUint32(20, true) + channels.getUint32(32, true));
}

/** What leaves the interface so many receive queues: queues are in pairs with those for sending, or not (veth). */
export function queuesCommand(name: string, queues: number): string {
  const isPaired = (channelsOf(name)?.getUint32(16, true) ?? 0) > 0;
  return `ethtool -L ${name} ${isPaired ? 'combined' : 'rx'} ${queues}`;
}

/** Sets the interface up (CAP_NET_ADMIN), unless it is. */
export function bringUp(name: string): void {
  withControlSocket((fd) => {
    const request = interfaceRequest(name);
    const view = new DataView(request.buffer);
    if (ioctl(fd, SIOCGIFFLAGS, request) < 0) throw systemError(`reading the flags of ${name}`, errno());
    const flags = view.getUint16(16, true);
    if ((flags & IFF_UP) !== 0) return;
    view.setUint16(16, flags | IFF_UP, true);
    if (ioctl(fd, SIOCSIFFLAGS, request) < 0) throw openingError(`setting ${name} up`, errno(), 'CAP_NET_ADMIN');
  });
}

/** Sets the interface's MTU (CAP_NET_ADMIN). */
export function setMtu(name: string, mtu: number): void {
  withControlSocket((fd) => {
    const request = interfaceRequest(name);
    new DataView(request.buffer).setInt32(16, mtu, true);
    if (ioctl(fd, SIOCSIFMTU, request) < 0) {
      throw openingError(`setting the mtu of ${name} to ${mtu}`, errno(), 'CAP_NET_ADMIN');
    }
  });
}

// struct ifaddrs on 64-bit Linux: next 0, name 8, flags 16, address 24, netmask 32, ...
const IFADDRS_LENGTH = 56;

/** Every IPv4 address the kernel owns, on interfaces up or down. */
export function kernelAddresses(): KernelAddress[] {
  const head = new BigUint64Array(new ArrayBuffer(8));
  if (getifaddrs(head) < 0) throw systemError('getifaddrs', errno());
  const addresses: KernelAddress[] = [];
  for (let at = head[0]; at !== 0n; ) {
    const entry = viewAt(at, IFADDRS_LENGTH);
    const sockaddr = entry.getBigUint64(24, true);
    if (sockaddr !== 0n) {
      const address = viewAt(sockaddr, 16);
      if (address.getUint16(0, true) === AF_INET) {
        const netmask = entry.getBigUint64(32, true);
        const mask = netmask === 0n ? -1 : viewAt(netmask, 16).getInt32(4, false);
        // clz32 of no host bits at all is 32.
        const prefixLength = Math.clz32(~mask);
        addresses.push({ name: stringAt(entry.getBigUint64(8, true)), ip: address.getInt32(4, false), prefixLength });
      }
    }
    at = entry.getBigUint64(0, true);
  }
  freeifaddrs(head[0]);
  return addresses;
}

/** Whether the kernel answers for `ip` (int32) on interface `name`. */
export function kernelOwnsAddress(name: string, ip: number): boolean {
  return kernelAddresses().some((address) => address.name === name && address.ip === (ip | 0));
}

/** `10.0.0.1` */
export function ipText(ip: number): string {
  return `${ip >>> 24}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`;
}

/**
 * Refuses addresses that the kernel has too. On whichever interface it has them: Linux answers ARP, and unexpected
 * TCP segments with RST, for every address of the host on every interface (the weak host model).
 */
export function requireForeignAddresses(options: EngineOptions): void {
  const owned = kernelAddresses();
  for (const { ip } of options.addresses) {
    const owner = owned.find((address) => address.ip === ip);
    if (owner === undefined) continue;
    const { prefixLength } = owner;
    const name = ipText(ip);
    throw new EngineError(
      'KERNEL_OWNS_ADDRESS',
      `the kernel has ${name} on ${owner.name} and would answer with RST: sudo ip address del ${name}/${prefixLength} dev ${owner.name}, or choose another address`,
    );
  }
}

/**
 * The interface, found fit for an Ethernet engine: there, up, Ethernet, MTU enough, none of our addresses the
 * kernel's.
 * @throws EngineError that says what to do
 */
export function requireEthernet(options: EngineOptions): InterfaceInfo {
  const info = interfaceInfo(options.interface);
  const { name } = info;
  if (!info.isUp) throw new EngineError('INTERFACE_DOWN', `${name} is down: sudo ip link set ${name} up`);
  if (!info.isEthernet) {
    throw new EngineError('NOT_SUPPORTED', `${name} is not an Ethernet interface: use engine = raw`);
  }
  if (options.mtu > info.mtu) {
    throw new EngineError(
      'NOT_SUPPORTED',
      `mtu ${options.mtu} is more than ${name}'s own ${info.mtu}: sudo ip link set ${name} mtu ${options.mtu}, or lower it`,
    );
  }
  requireForeignAddresses(options);
  return info;
}
