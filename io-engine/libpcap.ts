// Frames through libpcap, by way of the optional package `cap`: works wherever tcpdump does, and needs no ring set-up.
// Packets are copied, one system call each way per frame; the slowest of the Ethernet engines, and the fall-back of
// `auto`. Opened through open.ts; doctor's packages.ts asks whether the package is there.
import { createRequire } from 'node:module';
import koffi from 'koffi';
import { ArenaEngine } from './arena-engine.ts';
import { BATCH_MAX, EngineError, ETHERNET_HEADER_MAX, type Link, RX_CHECKSUM_TRUSTED } from './frame-engine.ts';
import { requireEthernet } from './linux/interfaces.ts';
import { close } from './linux/libc.ts';
import { shieldWatchOf } from './linux/shielded-watch.ts';
import type { EngineOptions } from './options.ts';

/** What `cap` asks libpcap to capture of a frame, fixed there. */
const SNAP_LENGTH = 65535;

/** libpcap's ring holds whole snap lengths where the interface may merge segments (GRO), so it is large but bounded. */
const KERNEL_RING_BYTES_MAX = 32 << 20;

/** The part of package `cap` used here; it has no types of its own. */
export interface CapLibrary {
  readonly Cap: new () => CapSocket;
}

interface CapSocket {
  /** Returns the link type; throws an Error with libpcap's message. */
  open(device: string, filter: string, bufferBytes: number, packetBuffer: Buffer): string;
  on(event: 'packet', listener: (length: number, truncated: boolean) => void): void;
  send(bytes: Uint8Array, length: number): void;
  close(): void;
}

/** Loads the optional package when an engine needs it. @throws EngineError NO_LIBRARY */
export function loadCap(require: (name: string) => unknown = createRequire(import.meta.url)): CapLibrary {
  try {
    return require('cap') as CapLibrary;
  } catch {
    throw new EngineError(
      'NO_LIBRARY',
      'engine pcap needs package cap: apt install libpcap-dev python3 make g++, then npm install cap',
    );
  }
}

/** @throws EngineError */
export function openLibpcap(options: EngineOptions, load: () => CapLibrary = loadCap): LibpcapEngine {
  const library = load();
  const info = requireEthernet(options);
  const mac = options.mac ?? info.mac;
  const socket = new library.Cap();
  const packet = Buffer.alloc(SNAP_LENGTH);
  const ringBytes = Math.min(options.rxRing * (SNAP_LENGTH + 1), KERNEL_RING_BYTES_MAX);
  // Even a socket that could not be opened is kept: see `retired`.
  retired.push(socket);
  let linkType: string;
  let shield: number;
  try {
    ({ result: linkType, shield } = shieldWatchOf(() =>
      silently(() => socket.open(options.interface, captureFilter(mac, info.mac, options.vlan), ringBytes, packet)),
    ));
  } catch (error) {
    throw openError(options.interface, (error as Error).message);
  }
  if (linkType !== 'ETHERNET') {
    closeShielded(socket, shield);
    throw new EngineError('NOT_SUPPORTED', `engine pcap cannot use ${options.interface}: its link type is ${linkType}`);
  }
  const mtu = options.mtu > 0 ? options.mtu : info.mtu;
  const link: Link = {
    name: options.interface,
    medium: 'ethernet',
    mac,
    mtu,
    frameCapacity: mtu + ETHERNET_HEADER_MAX,
    txChecksumOffload: false,
    tsoPayloadMax: 0,
  };
  return new LibpcapEngine(link, options, socket, packet, shield);
}

/**
 * `cap` keeps libuv's handle inside the object and never closes it with uv_close: an object that is collected would
 * leave the event loop a dangling pointer. So none ever is.
 */
const retired: CapSocket[] = [];

/** In its own callback a socket ends its watch a little later than it is closed. */
function closeShielded(socket: CapSocket, shield: number): void {
  socket.close();
  if (shield >= 0) setImmediate(() => close(shield));
}

class LibpcapEngine extends ArenaEngine {
  readonly name = 'pcap';
  readonly #socket: CapSocket;
  readonly #shield: number;
  readonly #packet: DataView;
  /** libpcap does not pass on what the device knows about checksums, so `auto` verifies. */
  readonly #flags: number;
  /** A view of every slot that was sent from, made once: `cap` sends from the start of a view. */
  readonly #views = new Map<number, Uint8Array>();

  constructor(link: Link, options: EngineOptions, socket: CapSocket, packet: Uint8Array, shield: number) {
    super(link, { rxRing: options.rxRing, txRing: options.txRing, batch: BATCH_MAX });
    this.#socket = socket;
    this.#shield = shield;
    this.#packet = new DataView(packet.buffer, packet.byteOffset, packet.length);
    this.#flags = options.rxChecksum === 'trust' ? RX_CHECKSUM_TRUSTED : 0;
    socket.on('packet', (length, truncated) => this.#onPacket(length, truncated));
  }

  /** One packet of a dispatch; the wake-up comes when the event loop has taken all of them. */
  #onPacket(length: number, truncated: boolean): void {
    this.counters.syscalls++;
    if (truncated) this.counters.rxTruncated++;
    else if (this.deliver(this.#packet, 0, length, this.#flags)) this.wake();
  }

  protected override transmit(offset: number, length: number): boolean {
    let view = this.#views.get(offset);
    if (view === undefined) {
      view = this.memory.subarray(offset, offset + this.link.frameCapacity);
      this.#views.set(offset, view);
    }
    this.counters.syscalls++;
    try {
      this.#socket.send(view, length);
      return true;
    } catch {
      return false;
    }
  }

  protected override closeDevice(): void {
    closeShielded(this.#socket, this.#shield);
  }
}

/**
 * What comes in for us, and not what we, or the kernel, send out on the interface. Not libpcap's `inbound`: while it
 * installs a filter it applies it to the first packets itself, where that test fails.
 */
function captureFilter(mac: Uint8Array, interfaceMac: Uint8Array, vlan: number): string {
  const own = macText(mac);
  const tagged = vlan === 0 ? '' : `vlan ${vlan} and `;
  return `${tagged}(ether dst ${own} or ether multicast) and not ether src ${own} and not ether src ${macText(interfaceMac)}`;
}

function macText(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function openError(name: string, message: string): EngineError {
  if (/permi/i.test(message)) {
    return new EngineError('NO_PRIVILEGE', `capturing on ${name} with libpcap needs CAP_NET_RAW: run with sudo`);
  }
  return new EngineError('SYSTEM', `libpcap cannot open ${name}: ${message.replace(/\s+/g, ' ')}`);
}

const STDERR = 2;
const O_WRONLY = 1;

/**
 * `cap` prints a warning to standard error for every interface without an IPv4 address of the kernel's, which is just
 * the kind we want. While it opens the device standard error goes nowhere.
 */
function silently<T>(action: () => T): T {
  const libc = koffi.load(null);
  const dup = libc.func('int dup(int fd)');
  const dup2 = libc.func('int dup2(int from, int to)');
  const open = libc.func('int open(const char *path, int flags)');
  const close = libc.func('int close(int fd)');
  const saved: number = dup(STDERR);
  const nowhere: number = open('/dev/null', O_WRONLY);
  if (saved < 0 || nowhere < 0) return action();
  dup2(nowhere, STDERR);
  try {
    return action();
  } finally {
    dup2(saved, STDERR);
    close(saved);
    close(nowhere);
  }
}
