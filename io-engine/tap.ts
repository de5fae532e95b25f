// TAP engine: the other end of the wire is this host's own kernel. With a virtio-net header before each frame
// (IFF_VNET_HDR) neither side computes TCP checksums or cuts 64 KiB segments up. The device is made, and set up, when
// it does not exist, and goes away with the process. One read(2) or write(2) a frame: there are no rings to map.
// Opened through open.ts; nobody else imports it.
import { randomBytes } from 'node:crypto';
import {
  BATCH_MAX,
  createBatch,
  createCounters,
  type EngineCounters,
  EngineError,
  type EngineName,
  ETHERNET_HEADER_MAX,
  type FrameBatch,
  type FrameEngine,
  IP_PACKET_MAX,
  type Link,
  LONG_PAYLOAD_MAX,
  NO_FRAME,
  RX_CHECKSUM_TRUSTED,
} from './frame-engine.ts';
import { DeviceWait } from './linux/device-wait.ts';
import { EAGAIN, EBUSY, EINVAL, errnoText, isPrivilegeErrno, openingError, systemError } from './linux/errno.ts';
import {
  bringUp,
  findInterface,
  type InterfaceInfo,
  interfaceInfo,
  interfaceRequest,
  requireForeignAddresses,
  setMtu,
} from './linux/interfaces.ts';
import {
  close,
  errno,
  ioctl,
  ioctlValue,
  type MappedMemory,
  mapAnonymous,
  open,
  readAt,
  unmap,
  writeAt,
} from './linux/libc.ts';
import { VNET_HEADER_LENGTH, VNET_RX_CHECKED, writeVnetHeader } from './linux/vnet-header.ts';
import type { EngineOptions } from './options.ts';

const O_RDWR_NONBLOCK_CLOEXEC = 2 | 0o4000 | 0o2000000;
const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const TUN_F_CSUM = 1;
const TUN_F_TSO4 = 2;
const TUN_F_TSO6 = 4;

const FRAME_MAX = IP_PACKET_MAX + ETHERNET_HEADER_MAX;
/** A slot: header, frame, rounded up to a page. */
const SLOT_LENGTH = 17 * 4096;
/** Slots each way; a slot holds 64 KiB, pages that no frame reached cost nothing. */
const SLOTS_MAX = 256;

/** @throws EngineError that says what to do */
export function openTap(options: EngineOptions): FrameEngine {
  const name = options.interface;
  const request = interfaceRequest(name);
  const fd = open('/dev/net/tun', O_RDWR_NONBLOCK_CLOEXEC);
  if (fd < 0) throw openTunError(errno());
  try {
    attach(fd, name, request);
    if (options.mtu > 0 && interfaceInfo(name).mtu !== options.mtu) setMtu(name, options.mtu);
    bringUp(name);
    requireForeignAddresses(options);
    return new TapEngine(fd, interfaceInfo(name), options);
  } catch (error) {
    close(fd);
    throw error;
  }
}

function openTunError(code: number): EngineError {
  if (isPrivilegeErrno(code)) return openingError('/dev/net/tun', code, 'CAP_NET_ADMIN');
  return new EngineError('NOT_SUPPORTED', `/dev/net/tun cannot be opened, ${errnoText(code)}: sudo modprobe tun`);
}

/** Makes the device, or attaches to the persistent one of that name, with offloads. */
function attach(fd: number, name: string, request: Uint8Array): void {
  new DataView(request.buffer).setUint16(16, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, true);
  if (ioctl(fd, TUNSETIFF, request) < 0) throw attachError(name, errno());
  if (ioctl(fd, TUNSETVNETHDRSZ, Int32Array.of(VNET_HEADER_LENGTH)) < 0) throw systemError('TUNSETVNETHDRSZ', errno());
  if (ioctlValue(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
    throw systemError('TUNSETOFFLOAD', errno());
}

function attachError(name: string, code: number): EngineError {
  if (isPrivilegeErrno(code)) return openingError(`tap device ${name}`, code, 'CAP_NET_ADMIN');
  if (code === EBUSY) return new EngineError('SYSTEM', `tap device ${name} is in use: stop its owner`);
  if (code === EINVAL && findInterface(name) !== null) {
    return new EngineError('NOT_SUPPORTED', `${name} exists and is no tap device: choose another interface name`);
  }
  return systemError(`making tap device ${name}`, code);
}

/** Six random bytes, unicast and locally administered: the kernel's end of the wire has the device's own address. */
function randomMac(): Uint8Array {
  const mac = Uint8Array.from(randomBytes(6));
  mac[0] = (mac[0] & 0xfc) | 0x02;
  return mac;
}

class TapEngine implements FrameEngine {
  readonly name: EngineName = 'tap';
  readonly link: Link;
  readonly batch: FrameBatch;
  readonly counters: EngineCounters = createCounters();
  memory: Uint8Array;

  readonly #fd: number;
  readonly #mapping: MappedMemory;
  readonly #wait: DeviceWait;
  /** Address of each slot, made once: a BigInt per system call would be garbage. Receiving slots, then sending ones. */
  readonly #addresses: readonly bigint[];
  readonly #rxSlots: number;
  readonly #txSlots: number;
  readonly #trustAll: boolean;
  readonly #trustFlags: number;
  /** Committed frames wait in sending slots [txSent, txCommitted), with these lengths (virtio header included). */
  readonly #txLengths: Int32Array;
  #txSent = 0;
  #txCommitted = 0;
  #closed = false;

  constructor(fd: number, info: InterfaceInfo, options: EngineOptions) {
    const rxSlots = Math.min(options.rxRing, BATCH_MAX);
    const txSlots = Math.min(options.txRing, SLOTS_MAX);
    const mapping = mapAnonymous((rxSlots + txSlots) * SLOT_LENGTH, false);
    this.#fd = fd;
    this.#mapping = mapping;
    this.memory = new Uint8Array(mapping.buffer);
    this.#addresses = Array.from({ length: rxSlots + txSlots }, (_, i) => BigInt(mapping.address + i * SLOT_LENGTH));
    this.#rxSlots = rxSlots;
    this.#txSlots = txSlots;
    this.#trustAll = options.rxChecksum === 'trust';
    this.#trustFlags = options.rxChecksum === 'auto' ? VNET_RX_CHECKED : 0;
    this.#txLengths = new Int32Array(txSlots);
    this.batch = createBatch(rxSlots);
    this.link = {
      name: info.name,
      medium: 'ethernet',
      mac: options.mac?.slice() ?? randomMac(),
      mtu: options.mtu || info.mtu,
      frameCapacity: FRAME_MAX,
      txChecksumOffload: true,
      tsoPayloadMax: LONG_PAYLOAD_MAX,
    };
    this.#wait = new DeviceWait(fd, this, this.counters, { busyPollUs: 0, coalesceUs: 0 });
  }

  receive(): number {
    const { batch, counters } = this;
    let count = 0;
    while (count < batch.capacity && !this.#closed) {
      const slot = count * SLOT_LENGTH;
      counters.syscalls++;
      const length = readAt(this.#fd, this.#addresses[count], SLOT_LENGTH) - VNET_HEADER_LENGTH;
      if (length <= 0) break; // EAGAIN: none left; anything else shows in `wait`
      if (length > FRAME_MAX) {
        counters.rxTruncated++;
        continue;
      }
      batch.offset[count] = slot + VNET_HEADER_LENGTH;
      batch.length[count] = length;
      batch.flags[count] = this.#trustAll || (this.memory[slot] & this.#trustFlags) !== 0 ? RX_CHECKSUM_TRUSTED : 0;
      counters.rxBytes += length;
      count++;
    }
    counters.rxFrames += count;
    return count;
  }

  kick(): void {}

  rest(): void {}

  linger(): void {}

  /** There is no ring to look at: busy polling would cost a system call a look. */
  framesWaiting(): number {
    return 0;
  }

  afterTick(): void {}

  reserve(): number {
    if (this.#txCommitted === this.#txSlots) {
      this.counters.txFull++;
      return NO_FRAME;
    }
    return (this.#rxSlots + this.#txCommitted) * SLOT_LENGTH + VNET_HEADER_LENGTH;
  }

  commit(length: number, segmentSize: number): void {
    const slot = (this.#rxSlots + this.#txCommitted) * SLOT_LENGTH;
    writeVnetHeader(this.memory, slot, segmentSize);
    this.#txLengths[this.#txCommitted++] = length + VNET_HEADER_LENGTH;
    this.counters.txFrames++;
    this.counters.txBytes += length;
  }

  flush(): void {
    for (; this.#txSent < this.#txCommitted && !this.#closed; this.#txSent++) {
      this.counters.syscalls++;
      const length = this.#txLengths[this.#txSent];
      if (writeAt(this.#fd, this.#addresses[this.#rxSlots + this.#txSent], length) >= 0) continue;
      if (errno() === EAGAIN) return; // the next flush goes on from here
      this.counters.txErrors++;
    }
    this.#txSent = 0;
    this.#txCommitted = 0;
  }

  wait(onReadable: () => void): void {
    this.#wait.start(onReadable);
  }

  ref(): void {
    this.#wait.ref();
  }

  unref(): void {
    this.#wait.unref();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#wait.stop();
    this.memory = new Uint8Array(0);
    close(this.#fd);
    unmap(this.#mapping);
  }
}
