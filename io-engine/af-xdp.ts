// AF_XDP engine: frames land in our UMEM before the kernel builds socket buffers for them. The program that steers
// them takes every frame of the queue, whatever it carries: the interface is dedicated. It is attached by a link that
// dies with its file descriptor, so a killed process leaves nothing behind. Opened through open.ts; nobody else
// imports it.
//
// UMEM: receiving chunks, all owned by the fill ring, the kernel, the rx ring or the batch in hand; then sending ones,
// owned by a free stack or the kernel. There are twice as many receiving chunks as rx slots, the fill ring holds them
// all, and it is refilled before each look at the rx ring: an empty fill ring is how AF_XDP servers lose frames.
// Completions are reaped only when free chunks run out. XDP sees no checksum state, so `rx-checksum = auto` verifies; a
// veth peer must have its offloads off. Where the MTU is too large for a chunk, frames have several (linux/xsk-parts.ts).
// Behind the chunks the same memory has a slot for a frame longer than the MTU, which leaves through a packet socket where
// the device cuts those (linux/long-frames.ts).
import {
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
  LONG_PAYLOAD_MAX,
  NO_FRAME,
  RX_CHECKSUM_TRUSTED,
  type SynGate,
} from './frame-engine.ts';
import { DeviceWait } from './linux/device-wait.ts';
import { EAGAIN } from './linux/errno.ts';
import { waitsUpTo } from './linux/gathering.ts';
import { cutsSegments, type InterfaceInfo, queuesCommand, receiveQueues, requireEthernet } from './linux/interfaces.ts';
import { InterruptHold } from './linux/interrupt-hold.ts';
import {
  close,
  createSharedMemory,
  DescriptorPoll,
  errno,
  kickReceive,
  kickTransmit,
  type MappedMemory,
  mapDevice,
  POLLIN,
  raiseSendBuffer,
  unmap,
} from './linux/libc.ts';
import { LongFrames, openLongFrames } from './linux/long-frames.ts';
import { openMembership } from './linux/packet-socket.ts';
import { KernelSynGate } from './linux/syn-gate.ts';
import { loopDescriptor } from './linux/uv-poll.ts';
import { type AttachedProgram, attachRedirect, detach, type FrameShape, steerQueue } from './linux/xdp-program.ts';
import { layOut, WHOLE_MTU_MAX, type XskLayout } from './linux/xsk-memory.ts';
import { FrameAssembly, FrameParts, type OpenFrame } from './linux/xsk-parts.ts';
import {
  bindXsk,
  isZeroCopy,
  knowsBindFlags,
  makeRings,
  mapRings,
  openXskSocket,
  raiseTransmitBudget,
  registerUmem,
  XDP_USE_SG,
  type XskRings,
  XskStatistics,
} from './linux/xsk-socket.ts';
import type { EngineOptions, EngineShare } from './options.ts';

/** Descriptors that are looked at for each frame of a batch, where frames have several. */
const PARTS_PER_FRAME = 4;
/** Frames that one kick sends in copy mode on kernels whose budget cannot be raised. */
const KICK_BUDGET = 32;

interface XskDevice {
  readonly fd: number;
  /** The memory that frames lie in, by a descriptor too: another process may go on with it. */
  readonly umemFd: number;
  readonly umem: MappedMemory;
  readonly layout: XskLayout;
  readonly rings: XskRings;
  readonly program: AttachedProgram;
  /** A socket that has the interface take more than its own frames; -1: not needed. */
  readonly membership: number;
  /** The way out for frames that the device cuts; null: it does not. */
  readonly long: LongFrames | null;
}

function requireQueues({ name }: InterfaceInfo, wanted: number): void {
  const queues = receiveQueues(name);
  if (queues === wanted) return;
  const read = wanted === 1 ? 'one' : `${wanted}, one a worker`;
  throw new EngineError(
    'NOT_SUPPORTED',
    `${name} spreads frames over ${queues} receive queue${queues === 1 ? '' : 's'} and afxdp reads ${read}: sudo ${queuesCommand(name, wanted)}, or use engine = afpacket`,
  );
}

/** Whether this kernel takes frames longer than a chunk. @throws EngineError where it has no AF_XDP, or not for us. */
export function carriesParts(): boolean {
  const fd = openXskSocket();
  try {
    return knowsBindFlags(fd, XDP_USE_SG);
  } finally {
    close(fd);
  }
}

function requireRoom({ name }: InterfaceInfo, mtu: number, takesParts = carriesParts): void {
  if (mtu <= WHOLE_MTU_MAX || takesParts()) return;
  throw new EngineError(
    'NOT_SUPPORTED',
    `afxdp carries an mtu of at most ${WHOLE_MTU_MAX} before Linux 6.6, ${name} has ${mtu}: sudo ip link set ${name} mtu 1500, or use engine = afpacket`,
  );
}

const frameShape = ({ vlan }: EngineOptions, mtu: number): FrameShape => ({
  typeOffset: vlan === 0 ? 12 : 16,
  inParts: mtu > WHOLE_MTU_MAX,
});

/** The program for several processes, a queue each: they put their sockets into its map. @throws EngineError */
export function attachForWorkers(options: EngineOptions, workers: number): AttachedProgram {
  const info = requireEthernet(options);
  const mtu = options.mtu || info.mtu;
  requireRoom(info, mtu);
  requireQueues(info, workers);
  return attachRedirect(info.name, info.index, workers, frameShape(options, mtu));
}

/** Somebody else's program: only the map is needed, and its gate for SYNs stays open. */
function sharedProgram({ map, generic }: EngineShare): AttachedProgram {
  return { map, link: -1, mode: generic ? 'generic' : 'driver', synGate: null };
}

/**
 * @param takesParts of tests.
 * @throws EngineError that says what to do
 */
export function openAfXdp(options: EngineOptions, takesParts = carriesParts): FrameEngine {
  const info = requireEthernet(options);
  const mtu = options.mtu || info.mtu;
  requireRoom(info, mtu, takesParts);
  const { share } = options;
  requireQueues(info, share?.count ?? 1);
  const queue = share?.index ?? 0;
  const undo: (() => void)[] = [];
  try {
    const fd = openXskSocket();
    undo.push(() => close(fd));
    const program =
      share === undefined ? attachRedirect(info.name, info.index, 1, frameShape(options, mtu)) : sharedProgram(share);
    undo.push(() => detach(program));
    const layout = layOut(mtu, options.rxRing, options.txRing);
    const umemFd = createSharedMemory('wiredis-umem', layout.length);
    undo.push(() => close(umemFd));
    const umem = mapDevice(umemFd, layout.length, 0);
    undo.push(() => unmap(umem));
    registerUmem(fd, umem, layout.umemLength, layout.chunkBytes);
    const rings = makeRings(fd, { rx: options.rxRing, fill: layout.rxChunks, tx: options.txRing });
    undo.push(() => rings.mappings.forEach(unmap));
    raiseSendBuffer(fd, options.txRing * layout.chunkBytes * 2);
    raiseTransmitBudget(fd, options.txRing);
    bindXsk(fd, info.name, info.index, { queue, copy: program.mode === 'generic', inParts: layout.inParts });
    const foreignMac = options.mac?.some((byte, i) => byte !== info.mac[i]) ?? false;
    const membership = openMembership(info.index, foreignMac, options.ipv6);
    undo.push(() => membership >= 0 && close(membership));
    const isCut = options.tso === 'auto' && options.vlan === 0 && cutsSegments(info.name);
    const longFd = isCut ? openLongFrames(info.index) : -1;
    undo.push(() => longFd >= 0 && close(longFd));
    const long = longFd < 0 ? null : new LongFrames(longFd, umem, layout.longSlot);
    const device = { fd, umemFd, umem, layout, rings, program, membership, long };
    const engine = new AfXdpEngine(device, info, options, { free: freeSlots(layout) });
    engine.fill();
    steerQueue(program, queue, fd);
    return engine;
  } catch (error) {
    for (const step of undo.reverse()) step();
    throw error;
  }
}

/** What a new process has to know of an engine's frames. */
interface FrameState {
  /** Slots for frames to send. */
  readonly free: readonly number[];
  /** Of the others, parts that the kernel has. */
  readonly underWay?: readonly number[];
  readonly openFrame?: OpenFrame;
}

/** Every slot for frames to send, the first one on top. */
function freeSlots({ rxChunks, chunkBytes, slotBytes, txSlots }: XskLayout): number[] {
  return Array.from({ length: txSlots }, (_, i) => rxChunks * chunkBytes + (txSlots - 1 - i) * slotBytes);
}

/** Goes on with what `handOver` of another process described. Rings and MTU stay what they are. */
export function adoptAfXdp(handed: HandedEngine, options: EngineOptions): FrameEngine {
  const info = requireEthernet(options);
  const [fd, umemFd, map, link, ...more] = handed.fds;
  const values = handed.values as { readonly [name: string]: number } & FrameState;
  const { rxRing, txRing, mtu, generic, gated, long: isCut } = values;
  const layout = layOut(mtu, rxRing, txRing);
  const umem = mapDevice(umemFd, layout.length, 0);
  const rings = mapRings(fd, { rx: rxRing, fill: layout.rxChunks, tx: txRing });
  const synGate = gated === 1 ? KernelSynGate.adopt(more.shift() as number) : null;
  const long = isCut === 1 ? new LongFrames(more.shift() as number, umem, layout.longSlot) : null;
  const [membership = -1] = more;
  const program: AttachedProgram = { map, link, mode: generic === 1 ? 'generic' : 'driver', synGate };
  const device = { fd, umemFd, umem, layout, rings, program, membership, long };
  return new AfXdpEngine(device, info, { ...options, rxRing, txRing, mtu }, values);
}

class AfXdpEngine implements FrameEngine {
  readonly name: EngineName = 'afxdp';
  readonly link: Link;
  readonly batch: FrameBatch;
  readonly synGate: SynGate | null;
  memory: Uint8Array;

  readonly #device: XskDevice;
  readonly #rings: XskRings;
  readonly #wait: DeviceWait;
  readonly #sleep: DescriptorPoll;
  readonly #arrival: DescriptorPoll;
  #interruptHold: InterruptHold | null = null;
  #isHeld = false;
  readonly #coalesceUs: number;
  readonly #interfaceIndex: number;
  readonly #counters: EngineCounters = createCounters();
  readonly #statistics: XskStatistics;
  readonly #chunkMask: number;
  readonly #rxFlags: number;
  /** Null: every frame is received in one chunk. */
  readonly #assembly: FrameAssembly | null;
  /** Null: every frame to send fits into one. */
  readonly #parts: FrameParts | null;
  /** Chunks to give back at the next `receive()`. */
  readonly #held: Int32Array;
  #heldCount = 0;
  /** Free outgoing slots; the top one is what `reserve` shows. */
  readonly #free: Int32Array;
  #freeCount: number;
  #txPending = false;
  /** The socket for long frames had no room for the one in its slot. */
  #longWaits = false;
  #closed = false;

  constructor(device: XskDevice, info: InterfaceInfo, options: EngineOptions, frames: FrameState) {
    const mtu = options.mtu || info.mtu;
    const { layout } = device;
    const { free } = frames;
    this.#device = device;
    this.#rings = device.rings;
    // Of another process's the device may not have taken all.
    this.#txPending = device.rings.tx.waiting() > 0;
    this.synGate = device.program.synGate;
    this.memory = new Uint8Array(device.umem.buffer);
    this.#statistics = new XskStatistics(layout.inParts);
    this.#chunkMask = ~(layout.chunkBytes - 1);
    this.#rxFlags = options.rxChecksum === 'trust' ? RX_CHECKSUM_TRUSTED : 0;
    this.batch = createBatch(layout.batch);
    this.#assembly = layout.inParts ? new FrameAssembly(this.memory, layout, frames.openFrame) : null;
    const isSentInParts = layout.slotBytes > layout.chunkBytes;
    this.#parts = isSentInParts ? new FrameParts(layout, frames.underWay) : null;
    this.#held = new Int32Array(layout.batch * (layout.inParts ? PARTS_PER_FRAME : 1));
    this.#free = new Int32Array(layout.txSlots);
    this.#free.set(free);
    this.#freeCount = free.length;
    this.link = {
      name: info.name,
      medium: 'ethernet',
      mac: (options.mac ?? info.mac).slice(),
      mtu,
      frameCapacity: mtu + ETHERNET_HEADER_MAX,
      txChecksumOffload: false,
      tsoPayloadMax: device.long === null ? 0 : LONG_PAYLOAD_MAX,
    };
    this.#wait = new DeviceWait(device.fd, this, this.#counters, options);
    this.#sleep = new DescriptorPoll([device.fd], 0);
    this.#arrival = new DescriptorPoll([device.fd, loopDescriptor()], POLLIN);
    this.#coalesceUs = options.coalesceUs;
    this.#interfaceIndex = info.index;
  }

  /** The kernel gets every receiving chunk: once, when the device is new. */
  fill(): void {
    const { fill } = this.#rings;
    for (let i = 0; i < fill.size; i++) fill.pushAddress(i * this.#device.layout.chunkBytes);
    fill.publish();
  }

  get mode(): string {
    const { fd, layout, program, long } = this.#device;
    const words = [`XDP in ${program.mode === 'driver' ? 'the driver' : 'generic mode'}`];
    words.push(isZeroCopy(fd) ? 'zero-copy' : 'frames are copied');
    if (layout.inParts) words.push('jumbo frames in parts');
    if (long !== null) words.push('long ones are cut by the device');
    return words.join(', ');
  }

  /** Asks the kernel for the frames it lost: a system call, for those who look at counters. */
  get counters(): EngineCounters {
    const counters = this.#counters;
    if (!this.#closed && this.#statistics.read(this.#device.fd)) {
      counters.rxDropped = this.#statistics.ringDrops;
      counters.rxTruncated = this.#statistics.otherDrops + (this.#assembly?.tooLong ?? 0);
      counters.txErrors = this.#statistics.txInvalid;
    }
    return counters;
  }

  receive(): number {
    this.#refill();
    const { batch } = this;
    const { rx } = this.#rings;
    const available = rx.available();
    if (available === 0) return 0;
    if (this.#assembly !== null) return this.#receiveParts(available, this.#assembly);
    const count = Math.min(available, batch.capacity);
    const counters = this.#counters;
    for (let i = 0; i < count; i++) {
      const address = rx.address(i);
      const length = rx.frameLength(i);
      this.#held[i] = address & this.#chunkMask;
      batch.offset[i] = address;
      batch.length[i] = length;
      batch.flags[i] = this.#rxFlags;
      counters.rxBytes += length;
    }
    rx.advance(count);
    this.#heldCount = count;
    counters.rxFrames += count;
    return count;
  }

  #receiveParts(available: number, assembly: FrameAssembly): number {
    const { batch } = this;
    const { rx } = this.#rings;
    const counters = this.#counters;
    const most = Math.min(available, this.#held.length);
    let parts = 0;
    let count = 0;
    while (parts < most && count < batch.capacity) {
      let offset = rx.address(parts);
      let length = rx.frameLength(parts);
      const goesOn = rx.goesOn(parts);
      this.#held[parts++] = offset & this.#chunkMask;
      if (goesOn || assembly.isOpen) {
        offset = assembly.add(offset, length, !goesOn);
        if (offset === NO_FRAME) continue;
        length = assembly.frameLength;
      }
      batch.offset[count] = offset;
      batch.length[count] = length;
      batch.flags[count++] = this.#rxFlags;
      counters.rxBytes += length;
    }
    rx.advance(parts);
    this.#heldCount = parts;
    counters.rxFrames += count;
    return count;
  }

  #refill(): void {
    const { fill } = this.#rings;
    if (this.#heldCount > 0) {
      for (let i = 0; i < this.#heldCount; i++) fill.pushAddress(this.#held[i]);
      fill.publish();
      this.#heldCount = 0;
      if (fill.needsWakeup()) {
        this.#counters.syscalls++;
        kickReceive(this.#device.fd);
      }
    }
  }

  framesWaiting(): number {
    return this.#rings.rx.available();
  }

  afterTick(): void {}

  reserve(isLong = false): number {
    if (isLong) return this.#reserveLong();
    if (this.#freeCount === 0) this.#reap();
    // What comes behind a long frame does not overtake it.
    if (this.#freeCount === 0 || this.#longWaits) {
      this.#counters.txFull++;
      return NO_FRAME;
    }
    return this.#free[this.#freeCount - 1];
  }

  #reap(): void {
    const { completion } = this.#rings;
    const count = completion.available();
    if (this.#parts !== null) {
      for (let i = 0; i < count; i++) {
        const slot = this.#parts.finish(completion.address(i));
        if (slot !== NO_FRAME) this.#free[this.#freeCount++] = slot;
      }
    } else for (let i = 0; i < count; i++) this.#free[this.#freeCount++] = completion.address(i) & this.#chunkMask;
    if (count > 0) completion.advance(count);
  }

  commit(length: number, segmentSize: number): void {
    if (segmentSize > 0) {
      this.#commitLong(length, segmentSize);
      return;
    }
    const slot = this.#free[--this.#freeCount];
    if (this.#parts === null) this.#rings.tx.pushFrame(slot, length);
    else this.#parts.push(this.#rings.tx, slot, length);
    this.#txPending = true;
    this.#counters.txFrames++;
    this.#counters.txBytes += length;
  }

  #reserveLong(): number {
    const { long } = this.#device;
    if (long !== null && !this.#longWaits) return long.frame;
    this.#counters.txFull++;
    return NO_FRAME;
  }

  /** Leaves at once, behind what was committed before. */
  #commitLong(length: number, segmentSize: number): void {
    if (this.#txPending) {
      this.#rings.tx.publish();
      this.kick();
    }
    this.#counters.txFrames++;
    this.#counters.txBytes += length;
    const long = this.#device.long as LongFrames;
    long.prepare(length, segmentSize);
    this.#sendLong(long);
  }

  #sendLong(long: LongFrames): void {
    this.#counters.syscalls++;
    const isGone = long.send();
    this.#longWaits = !isGone && errno() === EAGAIN;
    if (!isGone && !this.#longWaits) this.#counters.txErrors++;
  }

  /** A few frames are left to the sleep that follows, if one does: it sends them. */
  flush(): void {
    if (this.#longWaits && !this.#closed) this.#sendLong(this.#device.long as LongFrames);
    if (!this.#txPending || this.#closed) return;
    const { tx } = this.#rings;
    tx.publish();
    if (!this.#wait.takeRest() || tx.waiting() > KICK_BUDGET) this.kick();
  }

  /**
   * One kick; on kernels that send at most 32 frames a kick in copy mode (errno EAGAIN with frames left), as many as
   * that takes. What a congested device does not take waits for the next flush.
   */
  kick(): void {
    if (!this.#txPending || this.#closed) return;
    const { tx } = this.#rings;
    for (let kicks = (tx.size / KICK_BUDGET) | 1; kicks > 0 && tx.needsWakeup(); kicks--) {
      const before = tx.waiting();
      this.#counters.syscalls++;
      if (kickTransmit(this.#device.fd) >= 0 || errno() !== EAGAIN || tx.waiting() === before) break;
    }
    this.#txPending = tx.waiting() > 0;
  }

  rest(waitUs: number): void {
    if (this.#isHeld) {
      this.linger();
      return;
    }
    this.#sleep.wait(waitUs);
    this.#txPending = this.#rings.tx.waiting() > 0;
  }

  /** Frames that were held when we looked come within one hold, those that come now within another. */
  linger(): void {
    this.#arrival.wait(this.#coalesceUs * 2);
    this.#txPending = this.#rings.tx.waiting() > 0;
  }

  /** Not where frames are not copied: what we send would wait for the driver's next turn as well. */
  hold(holdUs: number): boolean {
    if (this.#interruptHold === null && isZeroCopy(this.#device.fd)) return false;
    this.#interruptHold ??= InterruptHold.open(this.#device.fd, this.#interfaceIndex, waitsUpTo(this.#coalesceUs));
    const isDone = this.#interruptHold?.set(holdUs) ?? false;
    this.#isHeld = holdUs > 0 && isDone;
    return isDone;
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
    const { fd, umemFd, program, membership, long } = this.#device;
    const { map, link, synGate } = program;
    const some = [synGate?.fd ?? -1, long?.fd ?? -1, membership].filter((one) => one >= 0);
    return [fd, umemFd, map, link, ...some];
  }

  handOver(): HandedEngine {
    this.#wait.stop();
    this.#interruptHold?.close();
    this.#interruptHold = null;
    this.flush();
    this.#refill();
    const { program, rings } = this.#device;
    const { mode, synGate } = program;
    synGate?.limit(0);
    return {
      name: this.name,
      interface: this.link.name,
      fds: this.handedFds,
      values: {
        rxRing: rings.rx.size,
        txRing: rings.tx.size,
        mtu: this.link.mtu,
        generic: mode === 'generic' ? 1 : 0,
        gated: synGate === null ? 0 : 1,
        long: this.#device.long === null ? 0 : 1,
        free: [...this.#free.subarray(0, this.#freeCount)],
        underWay: this.#parts?.underWay ?? [],
        openFrame: this.#assembly?.openFrame ?? [0, 0],
      },
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#wait.stop();
    this.#interruptHold?.close();
    this.memory = new Uint8Array(0);
    const { fd, umemFd, umem, program, membership, long } = this.#device;
    detach(program);
    close(fd);
    close(umemFd);
    if (long !== null) close(long.fd);
    if (membership >= 0) close(membership);
    this.#rings.mappings.forEach(unmap);
    unmap(umem);
  }
}
