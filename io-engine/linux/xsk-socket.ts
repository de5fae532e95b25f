// An AF_XDP socket with its UMEM and four rings, mapped and bound: the cold half of the afxdp engine. Structures as
// in linux/if_xdp.h. For io-engine on Linux only.
import { EngineError } from '../frame-engine.ts';
import { EBUSY, EINVAL, ENOBUFS, errnoText, isPrivilegeErrno, openingError, systemError } from './errno.ts';
import { bind, errno, getsockopt, type MappedMemory, mapDevice, pinned, setsockopt, socket } from './libc.ts';
import { ConsumerRing, ProducerRing, type RingOffsets } from './xsk-ring.ts';

const AF_XDP = 44;
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o4000 | 0o2000000;
const SOL_XDP = 283;
const XDP_MMAP_OFFSETS = 1;
const XDP_RX_RING = 2;
const XDP_TX_RING = 3;
const XDP_UMEM_REG = 4;
const XDP_UMEM_FILL_RING = 5;
const XDP_UMEM_COMPLETION_RING = 6;
const XDP_STATISTICS = 7;
const XDP_OPTIONS = 8;
const XDP_MAX_TX_SKB_BUDGET = 9;
const XDP_OPTIONS_ZEROCOPY = 1;
const XDP_COPY = 1 << 1;
const XDP_USE_NEED_WAKEUP = 1 << 3;
/** Frames of several descriptors. */
export const XDP_USE_SG = 1 << 4;
const PGOFF_RX = 0;
const PGOFF_TX = 0x80000000;
const PGOFF_FILL = 0x100000000;
const PGOFF_COMPLETION = 0x180000000;
/** log2 of 32-bit words: a u64 address, a 16-byte descriptor. */
const ADDRESS_SHIFT = 1;
const DESCRIPTOR_SHIFT = 2;
const BIND_PATIENCE_MS = 1000;
const BIND_RETRY_MS = 5;

/** The rings and their mappings, in the order rx, tx, fill, completion. */
export interface XskRings {
  readonly rx: ConsumerRing;
  readonly tx: ProducerRing;
  readonly fill: ProducerRing;
  readonly completion: ConsumerRing;
  readonly mappings: readonly MappedMemory[];
}

export interface XskSizes {
  /** Slots of each ring, powers of two; the completion ring is as long as the tx ring. */
  readonly rx: number;
  readonly fill: number;
  readonly tx: number;
}

export function openXskSocket(): number {
  const fd = socket(AF_XDP, SOCK_RAW_NONBLOCK_CLOEXEC, 0);
  if (fd >= 0) return fd;
  const code = errno();
  if (isPrivilegeErrno(code)) throw openingError('an AF_XDP socket', code, 'CAP_NET_RAW');
  throw new EngineError('NOT_SUPPORTED', `this kernel has no AF_XDP, ${errnoText(code)}: use engine = afpacket`);
}

/** Registers `umem` as chunks of `chunkBytes` (2048 or 4096). */
export function registerUmem(fd: number, umem: MappedMemory, length: number, chunkBytes: number): void {
  const registration = pinned(32);
  const view = new DataView(registration.buffer);
  view.setBigUint64(0, BigInt(umem.address), true);
  view.setBigUint64(8, BigInt(length), true);
  view.setUint32(16, chunkBytes, true);
  if (setsockopt(fd, SOL_XDP, XDP_UMEM_REG, registration, registration.length) === 0) return;
  if (errno() === ENOBUFS) {
    throw new EngineError(
      'NO_PRIVILEGE',
      `locking ${length >> 10} KiB of packet memory needs CAP_IPC_LOCK or a higher limit: run with sudo, or ulimit -l unlimited`,
    );
  }
  throw systemError('registering packet memory', errno());
}

/** struct xdp_mmap_offsets: {producer, consumer, desc, flags} as u64, for rx, tx, fill, completion. */
export function parseMmapOffsets(bytes: Uint8Array): RingOffsets[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const field = (ring: number, i: number): number => Number(view.getBigUint64(ring * 32 + i * 8, true));
  return [0, 1, 2, 3].map((ring) => ({
    producer: field(ring, 0),
    consumer: field(ring, 1),
    descriptors: field(ring, 2),
    flags: field(ring, 3),
  }));
}

/** Gives the socket its rings and maps them. */
export function makeRings(fd: number, sizes: XskSizes): XskRings {
  const size = (option: number, slots: number): void => {
    if (setsockopt(fd, SOL_XDP, option, Uint32Array.of(slots), 4) < 0) {
      throw systemError(`an XDP ring of ${slots} slots (rx-ring, tx-ring: powers of two)`, errno());
    }
  };
  size(XDP_RX_RING, sizes.rx);
  size(XDP_UMEM_FILL_RING, sizes.fill);
  size(XDP_TX_RING, sizes.tx);
  size(XDP_UMEM_COMPLETION_RING, sizes.tx);
  return mapRings(fd, sizes);
}

/** Maps the rings that the socket has. */
export function mapRings(fd: number, sizes: XskSizes): XskRings {
  const bytes = pinned(128);
  if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, bytes, Uint32Array.of(128)) < 0) {
    throw systemError('XDP_MMAP_OFFSETS', errno());
  }
  const [rx, tx, fill, completion] = parseMmapOffsets(bytes);
  const map = (offsets: RingOffsets, slots: number, slotShift: number, pageOffset: number): MappedMemory =>
    mapDevice(fd, offsets.descriptors + slots * (4 << slotShift), pageOffset);
  const mappings = [
    map(rx, sizes.rx, DESCRIPTOR_SHIFT, PGOFF_RX),
    map(tx, sizes.tx, DESCRIPTOR_SHIFT, PGOFF_TX),
    map(fill, sizes.fill, ADDRESS_SHIFT, PGOFF_FILL),
    map(completion, sizes.tx, ADDRESS_SHIFT, PGOFF_COMPLETION),
  ];
  return {
    rx: new ConsumerRing(mappings[0].buffer, rx, sizes.rx, DESCRIPTOR_SHIFT),
    tx: new ProducerRing(mappings[1].buffer, tx, sizes.tx, DESCRIPTOR_SHIFT),
    fill: new ProducerRing(mappings[2].buffer, fill, sizes.fill, ADDRESS_SHIFT),
    completion: new ConsumerRing(mappings[3].buffer, completion, sizes.tx, ADDRESS_SHIFT),
    mappings,
  };
}

/** struct sockaddr_xdp */
export function xdpAddress(interfaceIndex: number, queue: number, flags: number): Uint8Array {
  const address = pinned(16);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_XDP, true);
  view.setUint16(2, flags, true);
  view.setUint32(4, interfaceIndex, true);
  view.setUint32(8, queue, true);
  return address;
}

/** Whether this kernel knows these flags of `bindXsk`: it looks at them before it looks for the interface. */
export function knowsBindFlags(fd: number, flags: number): boolean {
  const nowhere = xdpAddress(0, 0, flags);
  return bind(fd, nowhere, nowhere.length) === 0 || errno() !== EINVAL;
}

/** How a socket is bound. */
export interface XskBinding {
  readonly queue: number;
  /** Forced. Otherwise the kernel tries zero-copy first and falls back by itself, also where a driver has it for whole frames only. */
  readonly copy: boolean;
  /** Frames may have several descriptors. */
  readonly inParts: boolean;
}

/** Binds to a queue of an interface. */
export function bindXsk(fd: number, name: string, interfaceIndex: number, binding: XskBinding): void {
  const { queue, copy, inParts } = binding;
  const flags = XDP_USE_NEED_WAKEUP | (copy ? XDP_COPY : 0) | (inParts ? XDP_USE_SG : 0);
  const address = xdpAddress(interfaceIndex, queue, flags);
  const giveUpMs = performance.now() + BIND_PATIENCE_MS;
  while (bind(fd, address, address.length) < 0) {
    // The kernel lets go of a closed socket's queue a little later: a restarted server must not trip over it.
    const code = errno();
    if (code !== EBUSY || performance.now() > giveUpMs) throw bindError(name, queue, code);
    sleepMs(BIND_RETRY_MS);
  }
}

/** Whether frames of a bound socket are not copied. */
export function isZeroCopy(fd: number): boolean {
  const options = new Uint32Array(1);
  getsockopt(fd, SOL_XDP, XDP_OPTIONS, options, Uint32Array.of(4));
  return (options[0] & XDP_OPTIONS_ZEROCOPY) !== 0;
}

/** Blocks: opening is synchronous and happens before there is anything else to do. */
function sleepMs(duration: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, duration);
}

function bindError(name: string, queue: number, code: number): EngineError {
  if (isPrivilegeErrno(code)) return openingError(`binding to ${name}`, code, 'CAP_NET_RAW');
  if (code === EBUSY) {
    return new EngineError('SYSTEM', `queue ${queue} of ${name} belongs to another AF_XDP socket: stop its owner`);
  }
  return new EngineError('NOT_SUPPORTED', `${name} takes no AF_XDP socket, ${errnoText(code)}: use engine = afpacket`);
}

/** Lets one kick send more than 32 frames in copy mode, where the kernel is new enough to be told. */
export function raiseTransmitBudget(fd: number, frames: number): void {
  setsockopt(fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, Uint32Array.of(frames), 4);
}

/** struct xdp_statistics, and the place to read it into. */
export class XskStatistics {
  readonly #fields = new BigUint64Array(6);
  readonly #length = Uint32Array.of(48);
  readonly #inParts: boolean;

  /** @param inParts the socket takes frames of any length. */
  constructor(inParts: boolean) {
    this.#inParts = inParts;
  }

  /** Reads the kernel's counts since the socket was made; false when it does not answer. */
  read(fd: number): boolean {
    return getsockopt(fd, SOL_XDP, XDP_STATISTICS, this.#fields, this.#length) === 0;
  }

  /**
   * Frames lost because our rx ring was full or the fill ring empty. The kernel counts a frame that found no
   * buffer as dropped as well, and a driver's idle look at an empty fill ring as empty only: the smaller is real. One of
   * several parts that found too few is counted as dropped only.
   */
  get ringDrops(): number {
    return Number(this.#fields[3]) + this.#dropped - this.otherDrops;
  }

  /** Frames lost for other reasons: those longer than a chunk. */
  get otherDrops(): number {
    return this.#inParts ? 0 : Math.max(0, this.#dropped - this.#foundNoBuffer);
  }

  get #dropped(): number {
    return Number(this.#fields[0]);
  }

  get #foundNoBuffer(): number {
    return Number(this.#fields[4]);
  }

  /** Outgoing descriptors that the kernel refused. */
  get txInvalid(): number {
    return Number(this.#fields[2]);
  }
}
