// The way out for TCP segments longer than the MTU, beside an engine whose rings hold none: a packet socket that takes them with a
// virtio-net header, so that the device (TSO) cuts them and fills in their checksums, or the kernel should it not do so any more.
// Past the device's queue of packets (PACKET_QDISC_BYPASS) the kernel would drop what it has to cut. One system call a
// frame, which has been copied when it returns: one slot serves all. For io-engine on Linux only.
import { bind, close, type MappedMemory, raiseSendBuffer, setsockopt, writeAt } from './libc.ts';
import { openPacketSocket, packetAddress, SOL_PACKET } from './packet-socket.ts';
import { VNET_HEADER_LENGTH, VNET_SHORT_HEADER_LENGTH, writeVnetHeader } from './vnet-header.ts';

const PACKET_VNET_HDR = 15;
/** Bytes of the slot: header and frame, in whole pages. */
export const LONG_SLOT_LENGTH = 17 * 4096;
/** What the socket may hold that a busy device has not taken yet. */
const SEND_BUFFER_BYTES = 64 * LONG_SLOT_LENGTH;
/** What a packet socket's header lacks lies at the end of the tap's. */
const SHORTER = VNET_HEADER_LENGTH - VNET_SHORT_HEADER_LENGTH;

/** @returns a socket for `LongFrames`; -1: this kernel has none. @throws EngineError without the privilege. */
export function openLongFrames(interfaceIndex: number): number {
  const fd = openPacketSocket();
  const one = Uint32Array.of(1);
  const address = packetAddress(interfaceIndex);
  // Protocol 0: it receives nothing.
  new DataView(address.buffer).setUint16(2, 0);
  if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, one, 4) < 0 || bind(fd, address, address.length) < 0) {
    close(fd);
    return -1;
  }
  raiseSendBuffer(fd, SEND_BUFFER_BYTES);
  return fd;
}

export class LongFrames {
  readonly fd: number;
  /** Offset in the memory where the frame is written. */
  readonly frame: number;
  readonly #memory: Uint8Array;
  readonly #address: bigint;
  #length = 0;

  /** @param slot offset in `memory` of LONG_SLOT_LENGTH bytes. */
  constructor(fd: number, memory: MappedMemory, slot: number) {
    this.fd = fd;
    this.frame = slot + VNET_HEADER_LENGTH;
    this.#memory = new Uint8Array(memory.buffer);
    this.#address = BigInt(memory.address + slot + SHORTER);
  }

  /** The frame is complete. @param segmentSize as in `FrameEngine.commit`. */
  prepare(length: number, segmentSize: number): void {
    const slot = this.frame - VNET_HEADER_LENGTH;
    writeVnetHeader(this.#memory, slot, segmentSize);
    this.#memory.copyWithin(slot + SHORTER, slot, slot + VNET_SHORT_HEADER_LENGTH);
    this.#length = VNET_SHORT_HEADER_LENGTH + length;
  }

  /** Sends it. @returns false with `errno` set: EAGAIN when the socket is full, else it is lost. */
  send(): boolean {
    return writeAt(this.fd, this.#address, this.#length) >= 0;
  }
}
