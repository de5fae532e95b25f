// AF_PACKET engine: TPACKET_V2 receive and transmit rings in one mapping, for every Ethernet interface, inside
// unprivileged user namespaces too. The kernel's own stack goes on seeing the frames, those to our addresses only where it
// lets us load no program that drops them; it has none of those, so it stays silent. Opened through open.ts; nobody else imports it.
//
// Checksums: a veth peer hands over TCP frames whose checksum was never filled in (TP_STATUS_CSUMNOTREADY). Under
// `rx-checksum = auto` those are trusted, as those that the device verified; under `verify` they are checked like
// all others and fail: turn the peer's offloads off (`ethtool -K PEER tx off tso off gso off`) to use it on veth.
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
  type HandedEngine,
  type Link,
  NO_FRAME,
  RX_CHECKSUM_TRUSTED,
  RX_VLAN_STRIPPED,
  type SynGate,
} from './frame-engine.ts';
import { DeviceWait } from './linux/device-wait.ts';
import { errnoText, systemError } from './linux/errno.ts';
import { FRAMES_ENOUGH } from './linux/gathering.ts';
import { dropBehindSockets } from './linux/ingress-drop.ts';
import { type InterfaceInfo, requireEthernet } from './linux/interfaces.ts';
import {
  close,
  DescriptorPoll,
  errno,
  getsockopt,
  kickTransmit,
  type MappedMemory,
  mapDevice,
  POLLIN,
  raiseSendBuffer,
  setsockopt,
  sleepUs,
  unmap,
} from './linux/libc.ts';
import { frameFilter, gatedFrameFilter } from './linux/packet-filter.ts';
import {
  addAllMulticast,
  addPromiscuous,
  attachFilter,
  bindPacketSocket,
  openPacketSocket,
  SOL_PACKET,
} from './linux/packet-socket.ts';
import { adoptSynFilter, closeSynFilter, openSynFilter, type SynFilter } from './linux/syn-filter.ts';
import { loopDescriptor } from './linux/uv-poll.ts';
import type { EngineOptions } from './options.ts';

const PACKET_RX_RING = 5;
const PACKET_STATISTICS = 6;
const PACKET_VERSION = 10;
const PACKET_TX_RING = 13;
const PACKET_LOSS = 14;
const PACKET_QDISC_BYPASS = 20;
const PACKET_IGNORE_OUTGOING = 23;
const TPACKET_V2 = 1;

// struct tpacket2_hdr: status u32 0, length u32 4, captured u32 8, mac offset u16 12.
const STATUS_WORD = 0;
const LENGTH_WORD = 1;
const CAPTURED_WORD = 2;
const MAC_OFFSET_HALF = 6;
/** Where the data of an outgoing frame starts. */
const TX_DATA_OFFSET = 32;
/** Room before the data of a received frame: tpacket2_hdr, sockaddr_ll, alignment, with a margin. */
const RX_HEADROOM = 128;
const TP_STATUS_KERNEL = 0;
const TP_STATUS_USER = 1;
const TP_STATUS_CSUMNOTREADY = 8;
const TP_STATUS_CSUM_VALID = 128;
const TP_STATUS_AVAILABLE = 0;
const TP_STATUS_SEND_REQUEST = 1;
const TP_STATUS_WRONG_FORMAT = 4;

const SLOT_MIN = 2048;
const BLOCK_LENGTH = 1 << 16;

/** Smallest power of two that holds a frame and what the kernel writes before it. */
export function slotLength(mtu: number): number {
  let length = SLOT_MIN;
  while (length < mtu + ETHERNET_HEADER_MAX + RX_HEADROOM) length *= 2;
  return length;
}

/** struct tpacket_req for `slots` (a power of two) frames of `slotBytes` (a power of two): block after block. */
export function ringRequest(slots: number, slotBytes: number): Uint32Array {
  const total = slots * slotBytes;
  const blockLength = Math.min(total, Math.max(BLOCK_LENGTH, slotBytes));
  return Uint32Array.of(blockLength, total / blockLength, slotBytes, slots);
}

function setOption(fd: number, option: number, value: number): boolean {
  return setsockopt(fd, SOL_PACKET, option, Uint32Array.of(value), 4) === 0;
}

function setRing(fd: number, option: number, slots: number, slotBytes: number, key: string): void {
  const request = ringRequest(slots, slotBytes);
  if (setsockopt(fd, SOL_PACKET, option, request, request.byteLength) < 0) {
    throw new EngineError(
      'SYSTEM',
      `${key} = ${slots} (${(slots * slotBytes) >> 10} KiB) was refused, ${errnoText(errno())}: use a smaller power of two`,
    );
  }
}

/** @throws EngineError that says what to do */
export function openAfPacket(options: EngineOptions): FrameEngine {
  const info = requireEthernet(options);
  const fd = openPacketSocket();
  const undo: (() => void)[] = [() => close(fd)];
  try {
    if (!setOption(fd, PACKET_VERSION, TPACKET_V2)) throw systemError('PACKET_VERSION', errno());
    if (!setOption(fd, PACKET_IGNORE_OUTGOING, 1)) {
      throw new EngineError('NOT_SUPPORTED', `afpacket needs Linux 4.20 or later: ${errnoText(errno())}`);
    }
    // A frame the driver finds wrong is skipped instead of stopping the ring. Both must precede the rings.
    setOption(fd, PACKET_LOSS, 1);
    setOption(fd, PACKET_QDISC_BYPASS, 1);
    prepareSocket(fd, info, options);
    const slotBytes = slotLength(options.mtu || info.mtu);
    const mapping = mapDevice(fd, (options.rxRing + options.txRing) * slotBytes, 0);
    undo.push(() => unmap(mapping));
    bindPacketSocket(fd, info.index);
    const filter = openFilter(fd, info, options);
    undo.push(() => filter !== null && closeSynFilter(filter));
    const drop = openDrop(info, options);
    undo.push(() => drop >= 0 && close(drop));
    return new AfPacketEngine(fd, mapping, info, options, filter, drop, 0, 0);
  } catch (error) {
    for (const step of undo.reverse()) step();
    throw error;
  }
}

/** Rings, memberships and filter. */
function prepareSocket(fd: number, info: InterfaceInfo, options: EngineOptions): void {
  const slotBytes = slotLength(options.mtu || info.mtu);
  const { rxRing, txRing } = options;
  const mac = options.mac ?? info.mac;
  setRing(fd, PACKET_RX_RING, rxRing, slotBytes, 'rx-ring');
  setRing(fd, PACKET_TX_RING, txRing, slotBytes, 'tx-ring');
  raiseSendBuffer(fd, txRing * slotBytes * 2);
  const all = options.allFrames === true;
  if (all || mac.some((byte, i) => byte !== info.mac[i])) addPromiscuous(fd, info.index);
  if (options.ipv6) addAllMulticast(fd, info.index);
  if (!all) attachFilter(fd, classicFilter(info, options));
}

function classicFilter(info: InterfaceInfo, { mac, vlan, ipv6, share }: EngineOptions): Uint8Array {
  return frameFilter(mac ?? info.mac, vlan, ipv6, share);
}

function openDrop({ index }: InterfaceInfo, { allFrames, addresses }: EngineOptions): number {
  if (allFrames === true) return -1;
  return dropBehindSockets(
    index,
    addresses.map(({ ip }) => ip),
  );
}

function openFilter(fd: number, info: InterfaceInfo, options: EngineOptions): SynFilter | null {
  if (options.allFrames === true || options.share !== undefined) return null;
  const { mac, vlan, ipv6 } = options;
  return openSynFilter(fd, classicFilter(info, options), (gate) => gatedFrameFilter(mac ?? info.mac, vlan, ipv6, gate));
}

/** Goes on with what `handOver` of another process described. Rings and MTU stay what they are. */
export function adoptAfPacket(handed: HandedEngine, options: EngineOptions): FrameEngine {
  const info = requireEthernet(options);
  const { rxRing, txRing, mtu, rxNext, txNext, drops } = handed.values as Readonly<Record<string, number>>;
  const fds = [...handed.fds];
  // One of our own takes a privilege that we may not have any more.
  const drop = drops === 1 ? (fds.pop() as number) : openDrop(info, options);
  const [fd, program, gate] = fds;
  const mapping = mapDevice(fd, (rxRing + txRing) * slotLength(mtu), 0);
  const filter = program === undefined ? null : adoptSynFilter(fd, classicFilter(info, options), program, gate);
  return new AfPacketEngine(fd, mapping, info, { ...options, rxRing, txRing, mtu }, filter, drop, rxNext, txNext);
}

class AfPacketEngine implements FrameEngine {
  readonly name: EngineName = 'afpacket';
  readonly link: Link;
  readonly batch: FrameBatch;
  readonly synGate: SynGate | null;
  memory: Uint8Array;

  readonly #synFilter: SynFilter | null;
  readonly #fd: number;
  /** What keeps the kernel from looking at our packets; -1: nothing. */
  readonly #drop: number;
  readonly #mapping: MappedMemory;
  readonly #wait: DeviceWait;
  readonly #coalesceUs: number;
  readonly #arrival: DescriptorPoll;
  readonly #counters: EngineCounters = createCounters();
  /** The mapping as words and half words: ring headers. */
  readonly #words: Int32Array;
  readonly #halves: Uint16Array;
  readonly #slotShift: number;
  readonly #rxMask: number;
  readonly #txMask: number;
  readonly #txBase: number;
  readonly #trustAll: boolean;
  readonly #trustStatus: number;
  /** The kernel takes tags off, and the filter has let through none but those of our VLAN. */
  readonly #vlanFlag: number;
  /** Received slots in [rxHeld, rxNext) are ours, as ring positions (int32, masked on use). */
  #rxHeld = 0;
  #rxNext = 0;
  /** The last held slot was given back early; see `afterTick`. */
  #lastReleased = false;
  #txNext = 0;
  /** Committed frames that no successful kick has followed yet. */
  #txPending = false;
  #closed = false;
  readonly #statistics = new Uint32Array(2);
  readonly #statisticsLength = Uint32Array.of(8);

  /** @param rxNext and `txNext`: the slots where the rings go on. */
  constructor(
    fd: number,
    mapping: MappedMemory,
    info: InterfaceInfo,
    options: EngineOptions,
    synFilter: SynFilter | null,
    drop: number,
    rxNext: number,
    txNext: number,
  ) {
    const mtu = options.mtu || info.mtu;
    const slotBytes = slotLength(mtu);
    const { rxRing, txRing } = options;
    this.#synFilter = synFilter;
    this.synGate = synFilter?.gate ?? null;
    this.#rxHeld = this.#rxNext = rxNext;
    this.#txNext = txNext;
    // Of another process's the device may not have taken all.
    this.#txPending = txNext !== 0;
    this.#fd = fd;
    this.#drop = drop;
    this.#mapping = mapping;
    this.memory = new Uint8Array(mapping.buffer);
    this.#words = new Int32Array(mapping.buffer);
    this.#halves = new Uint16Array(mapping.buffer);
    this.#slotShift = Math.log2(slotBytes);
    this.#rxMask = rxRing - 1;
    this.#txMask = txRing - 1;
    this.#txBase = rxRing * slotBytes;
    this.#vlanFlag = options.vlan === 0 ? 0 : RX_VLAN_STRIPPED;
    this.#trustAll = options.rxChecksum === 'trust';
    this.#trustStatus = options.rxChecksum === 'auto' ? TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID : 0;
    this.batch = createBatch(Math.max(1, Math.min(BATCH_MAX, rxRing >> 1)));
    this.link = {
      name: info.name,
      medium: 'ethernet',
      mac: (options.mac ?? info.mac).slice(),
      mtu,
      frameCapacity: mtu + ETHERNET_HEADER_MAX,
      txChecksumOffload: false,
      tsoPayloadMax: 0,
    };
    this.#coalesceUs = options.coalesceUs;
    this.#arrival = new DescriptorPoll([fd, loopDescriptor()], POLLIN);
    this.#wait = new DeviceWait(fd, this, this.#counters, options);
  }

  /** Asks the kernel for the frames it lost: a system call, for those who look at counters. */
  get counters(): EngineCounters {
    if (
      !this.#closed &&
      getsockopt(this.#fd, SOL_PACKET, PACKET_STATISTICS, this.#statistics, this.#statisticsLength) === 0
    ) {
      this.#counters.rxDropped += this.#statistics[1]; // since the last time we asked
    }
    return this.#counters;
  }

  receive(): number {
    this.#releaseHeld();
    const { batch } = this;
    const words = this.#words;
    const counters = this.#counters;
    const shift = this.#slotShift;
    let next = this.#rxNext;
    let count = 0;
    // At most half the ring is looked at, refused frames included: the kernel always keeps slots to go on with.
    for (let looked = 0; looked < batch.capacity; looked++, next = (next + 1) | 0) {
      const slot = (next & this.#rxMask) << shift;
      const word = slot >>> 2;
      const status = Atomics.load(words, word + STATUS_WORD);
      if ((status & TP_STATUS_USER) === 0) break;
      const length = words[word + LENGTH_WORD];
      if (words[word + CAPTURED_WORD] !== length) {
        counters.rxTruncated++;
        continue;
      }
      batch.offset[count] = slot + this.#halves[(slot >>> 1) + MAC_OFFSET_HALF];
      batch.length[count] = length;
      const trusted = this.#trustAll || (status & this.#trustStatus) !== 0 ? RX_CHECKSUM_TRUSTED : 0;
      batch.flags[count] = trusted | this.#vlanFlag;
      counters.rxBytes += length;
      count++;
    }
    this.#rxNext = next;
    counters.rxFrames += count;
    return count;
  }

  #releaseHeld(): void {
    const words = this.#words;
    const end = this.#lastReleased ? (this.#rxNext - 1) | 0 : this.#rxNext;
    for (let held = this.#rxHeld; held !== end; held = (held + 1) | 0) {
      Atomics.store(words, ((held & this.#rxMask) << this.#slotShift) >>> 2, TP_STATUS_KERNEL);
    }
    this.#rxHeld = this.#rxNext;
    this.#lastReleased = false;
  }

  /**
   * The kernel calls the socket readable while the slot before its next one is not given back, so the batch just
   * handled would wake us once more for nothing. Giving back that one slot early is safe: the kernel fills it again
   * only after a whole round of the ring.
   */
  afterTick(): void {
    if (this.#lastReleased || this.#rxHeld === this.#rxNext) return;
    Atomics.store(this.#words, (((this.#rxNext - 1) & this.#rxMask) << this.#slotShift) >>> 2, TP_STATUS_KERNEL);
    this.#lastReleased = true;
  }

  framesWaiting(): number {
    let count = 0;
    for (; count < FRAMES_ENOUGH; count++) {
      const word = (((this.#rxNext + count) & this.#rxMask) << this.#slotShift) >>> 2;
      if ((Atomics.load(this.#words, word + STATUS_WORD) & TP_STATUS_USER) === 0) break;
    }
    return count;
  }

  kick(): void {}

  rest(waitUs: number): void {
    sleepUs(waitUs);
  }

  linger(): void {
    this.afterTick();
    this.#arrival.wait(this.#coalesceUs * 2);
  }

  reserve(): number {
    const slot = this.#txBase + ((this.#txNext & this.#txMask) << this.#slotShift);
    const status = Atomics.load(this.#words, (slot >>> 2) + STATUS_WORD);
    if (status === TP_STATUS_AVAILABLE) return slot + TX_DATA_OFFSET;
    if (status === TP_STATUS_WRONG_FORMAT) {
      this.#counters.txErrors++;
      Atomics.store(this.#words, (slot >>> 2) + STATUS_WORD, TP_STATUS_AVAILABLE);
      return slot + TX_DATA_OFFSET;
    }
    this.#counters.txFull++;
    return NO_FRAME;
  }

  commit(length: number, _segmentSize: number): void {
    const word = (this.#txBase + ((this.#txNext & this.#txMask) << this.#slotShift)) >>> 2;
    this.#words[word + LENGTH_WORD] = length;
    Atomics.store(this.#words, word + STATUS_WORD, TP_STATUS_SEND_REQUEST);
    this.#txNext = (this.#txNext + 1) | 0;
    this.#txPending = true;
    this.#counters.txFrames++;
    this.#counters.txBytes += length;
  }

  flush(): void {
    if (!this.#txPending || this.#closed) return;
    this.#counters.syscalls++;
    // A negative answer (no buffer, interface going down) leaves frames in the ring: the next flush kicks again.
    this.#txPending = kickTransmit(this.#fd) < 0;
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

  get handedFds(): readonly number[] {
    const filter = this.#synFilter;
    const some = filter === null ? [] : [filter.program, filter.gate.fd];
    return this.#drop < 0 ? [this.#fd, ...some] : [this.#fd, ...some, this.#drop];
  }

  handOver(): HandedEngine {
    this.#wait.stop();
    this.flush();
    this.#releaseHeld();
    this.#synFilter?.gate.limit(0);
    return {
      name: this.name,
      interface: this.link.name,
      fds: this.handedFds,
      values: {
        rxRing: this.#rxMask + 1,
        txRing: this.#txMask + 1,
        mtu: this.link.mtu,
        rxNext: this.#rxNext,
        txNext: this.#txNext,
        drops: this.#drop < 0 ? 0 : 1,
      },
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#wait.stop();
    this.memory = new Uint8Array(0);
    unmap(this.#mapping);
    close(this.#fd);
    if (this.#drop >= 0) close(this.#drop);
    if (this.#synFilter !== null) closeSynFilter(this.#synFilter);
  }
}
