// Raw IP sockets, by way of the optional package `raw-socket`: for interfaces without Ethernet (WireGuard, PPP, other
// tunnels). Frames start at the IPv4 header. The kernel must own the address, since it hands raw sockets only what is
// for itself; it then handles the same packets too, so a firewall rule has to drop its RSTs (reset-rule.ts) and echo
// requests are left to it. Two system calls and an exception per burst: compatible, not fast. Opened through open.ts; doctor's
// packages.ts asks whether the package is there.
import { createRequire } from 'node:module';
import { ArenaEngine } from './arena-engine.ts';
import { BATCH_MAX, EngineError, IP_PACKET_MAX, type Link, RX_CHECKSUM_TRUSTED } from './frame-engine.ts';
import { type InterfaceInfo, interfaceInfo, ipText, kernelOwnsAddress } from './linux/interfaces.ts';
import type { EngineOptions } from './options.ts';
import { type FirewallListing, listFirewall, requireResetRule, SENT_MARK } from './reset-rule.ts';

const PROTOCOL_ICMP = 1;
const PROTOCOL_TCP = 6;
const ICMP_ECHO_REQUEST = 8;
const IP_HEADER_MIN = 20;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_BINDTODEVICE = 25;
const SO_MARK = 36;
const IPPROTO_IP = 0;
const IP_HDRINCL = 3;

/** Packets taken from one socket before the other gets its turn. */
const BURST_MAX = 256;

/** Destinations remembered as text, which is how `raw-socket` wants them. */
const DESTINATIONS_MAX = 4096;

/** The part of package `raw-socket` used here; it has no types of its own. */
export interface RawSocketLibrary {
  createSocket(options: { protocol: number; bufferSize: number }): RawSocket;
}

interface RawSocket {
  setOption(level: number, option: number, value: number): void;
  setOption(level: number, option: number, value: Buffer, length: number): void;
  on(event: 'error', listener: (error: Error) => void): void;
  close(): void;
  /** One non-blocking call each; they throw what the kernel refuses. */
  readonly wrap: {
    recv(buffer: Buffer, taken: (buffer: Buffer, length: number) => void): void;
    send(bytes: Uint8Array, offset: number, length: number, address: string, sent: (length: number) => void): void;
    removeAllListeners(event: 'recvReady'): void;
    on(event: 'recvReady', listener: () => void): void;
  };
}

/** Loads the optional package when an engine needs it. @throws EngineError NO_LIBRARY */
export function loadRawSocket(require: (name: string) => unknown = createRequire(import.meta.url)): RawSocketLibrary {
  try {
    return require('raw-socket') as RawSocketLibrary;
  } catch {
    throw new EngineError(
      'NO_LIBRARY',
      'engine raw needs package raw-socket: apt install python3 make g++, then npm install raw-socket',
    );
  }
}

/** What a test can stand in for. */
export interface RawIpSurroundings {
  readonly load?: () => RawSocketLibrary;
  readonly firewall?: () => FirewallListing;
}

/** @throws EngineError */
export function openRawIp(options: EngineOptions, surroundings: RawIpSurroundings = {}): RawIpEngine {
  const library = (surroundings.load ?? loadRawSocket)();
  const info = requireKernelAddresses(options);
  const sockets: RawSocket[] = [];
  try {
    for (const protocol of [PROTOCOL_TCP, PROTOCOL_ICMP]) openSocket(library, protocol, options, sockets);
    // After the sockets, because without privilege the firewall cannot be listed either.
    const addresses = options.addresses.map(({ ip }) => ipText(ip));
    requireResetRule(options.interface, addresses, (surroundings.firewall ?? listFirewall)());
  } catch (error) {
    for (const socket of sockets) socket.close();
    throw error instanceof EngineError ? error : openError(options.interface, (error as Error).message);
  }
  const mtu = options.mtu > 0 ? options.mtu : info.mtu;
  const link: Link = {
    name: options.interface,
    medium: 'ip',
    mac: new Uint8Array(6),
    mtu,
    frameCapacity: mtu,
    txChecksumOffload: false,
    tsoPayloadMax: 0,
  };
  return new RawIpEngine(link, options, sockets);
}

class RawIpEngine extends ArenaEngine {
  readonly name = 'raw';
  readonly #sockets: readonly RawSocket[];
  readonly #own: readonly number[];
  /** The kernel has looked at the IP header's checksum only, so `auto` verifies. */
  readonly #flags: number;
  /** The kernel reassembles fragments before we see them. */
  readonly #packet = Buffer.alloc(IP_PACKET_MAX);
  readonly #packetView = new DataView(this.#packet.buffer, this.#packet.byteOffset, IP_PACKET_MAX);
  readonly #destinations = new Map<number, string>();

  constructor(link: Link, options: EngineOptions, sockets: readonly RawSocket[]) {
    super(link, { rxRing: options.rxRing, txRing: options.txRing, batch: BATCH_MAX });
    this.#sockets = sockets;
    this.#flags = options.rxChecksum === 'trust' ? RX_CHECKSUM_TRUSTED : 0;
    this.#own = options.addresses.map(({ ip }) => ip | 0);
    for (const socket of sockets) {
      // The package's own reader takes one packet per turn of the event loop and slices it; ours takes a burst.
      socket.wrap.removeAllListeners('recvReady');
      socket.wrap.on('recvReady', () => this.#takeBurst(socket));
      socket.on('error', () => {
        this.counters.rxDropped++;
      });
    }
  }

  #takeBurst(socket: RawSocket): void {
    try {
      for (let i = 0; i < BURST_MAX; i++) {
        this.counters.syscalls++;
        socket.wrap.recv(this.#packet, this.#onPacket);
      }
    } catch {
      // Nothing left (EAGAIN), which the package has no other word for.
    }
    this.wake();
  }

  readonly #onPacket = (packet: Buffer, length: number): void => {
    if (length >= IP_HEADER_MIN && this.#isForUs(packet, length))
      this.deliver(this.#packetView, 0, length, this.#flags);
  };

  /** The kernel owns other addresses too, and answers echo requests for ours itself. */
  #isForUs(packet: Uint8Array, length: number): boolean {
    const isOwn = this.#own.includes(addressAt(packet, 16));
    const headerLength = (packet[0] & 0x0f) * 4;
    const isEchoRequest =
      packet[9] === PROTOCOL_ICMP && length > headerLength && packet[headerLength] === ICMP_ECHO_REQUEST;
    return isOwn && !isEchoRequest;
  }

  protected override transmit(offset: number, length: number): boolean {
    if (length < IP_HEADER_MIN) return false;
    this.counters.syscalls++;
    try {
      this.#sockets[0].wrap.send(this.memory, offset, length, this.#destination(offset + 16), ignoreSent);
      return true;
    } catch {
      return false;
    }
  }

  #destination(offset: number): string {
    const ip = addressAt(this.memory, offset);
    const known = this.#destinations.get(ip);
    if (known !== undefined) return known;
    if (this.#destinations.size === DESTINATIONS_MAX) this.#destinations.clear();
    const text = ipText(ip);
    this.#destinations.set(ip, text);
    return text;
  }

  protected override closeDevice(): void {
    for (const socket of this.#sockets) socket.close();
  }
}

const ignoreSent = (): void => {};

function addressAt(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] << 24) | (bytes[offset + 1] << 16) | (bytes[offset + 2] << 8) | bytes[offset + 3];
}

/** The interface, up and with every address of ours. */
function requireKernelAddresses(options: EngineOptions): InterfaceInfo {
  const { interface: name, addresses } = options;
  const info = interfaceInfo(name);
  if (!info.isUp) throw new EngineError('INTERFACE_DOWN', `${name} is down: sudo ip link set ${name} up`);
  for (const { ip, prefixLength } of addresses) {
    if (kernelOwnsAddress(name, ip)) continue;
    throw new EngineError(
      'KERNEL_LACKS_ADDRESS',
      `engine raw only sees addresses that the kernel has: sudo ip address add ${ipText(ip)}/${prefixLength} dev ${name}`,
    );
  }
  return info;
}

/** Puts the socket into `sockets` before setting its options, so that a refusal leaves none open. */
function openSocket(library: RawSocketLibrary, protocol: number, options: EngineOptions, sockets: RawSocket[]): void {
  const socket = library.createSocket({ protocol, bufferSize: 1 });
  sockets.push(socket);
  const device = Buffer.from(`${options.interface}\0`);
  socket.setOption(SOL_SOCKET, SO_BINDTODEVICE, device, device.length);
  socket.setOption(SOL_SOCKET, SO_RCVBUF, options.rxRing * 2048);
  socket.setOption(SOL_SOCKET, SO_MARK, SENT_MARK);
  socket.setOption(IPPROTO_IP, IP_HDRINCL, 1);
}

function openError(name: string, message: string): EngineError {
  if (/not permitted|permission/i.test(message)) {
    return new EngineError('NO_PRIVILEGE', `raw sockets on ${name} need CAP_NET_RAW: run with sudo`);
  }
  return new EngineError('SYSTEM', `engine raw cannot open ${name}: ${message}`);
}
