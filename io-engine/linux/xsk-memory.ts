// How the memory of an AF_XDP engine is parted: receiving chunks, sending ones, then, outside of what the kernel has
// locked, a slot for frames that the device cuts and the places where frames of several parts are put together. By the
// MTU and the rings alone, so that a process that takes the engine over knows where everything lies. For io-engine.
import { BATCH_MAX, ETHERNET_HEADER_MAX } from '../frame-engine.ts';
import { LONG_SLOT_LENGTH } from './long-frames.ts';

/** The kernel keeps this much before each received frame, or part of one (XDP_PACKET_HEADROOM). */
const RX_HEADROOM = 256;
/** A page: the kernel takes no longer chunks without huge pages. */
const CHUNK_MAX = 4096;
/** Receiving chunks per rx slot. */
const CHUNKS_PER_RX_SLOT = 2;

/** Largest packet that is received whole, with its Ethernet header in one chunk. */
export const WHOLE_MTU_MAX = CHUNK_MAX - RX_HEADROOM - ETHERNET_HEADER_MAX;

/** UMEM chunk for an MTU, bytes: 2048 or 4096. */
export function chunkLength(mtu: number): number {
  return mtu + ETHERNET_HEADER_MAX + RX_HEADROOM <= CHUNK_MAX / 2 ? CHUNK_MAX / 2 : CHUNK_MAX;
}

/** Lengths and offsets in bytes. */
export interface XskLayout {
  readonly chunkBytes: number;
  /** Frames may be received in several parts. */
  readonly inParts: boolean;
  readonly rxChunks: number;
  /** Frames of a batch. */
  readonly batch: number;
  /** Place for a frame: one chunk, or several side by side. */
  readonly slotBytes: number;
  /** As many as have room in the tx ring, each of its parts a descriptor: who has a slot has the ring's too. */
  readonly txSlots: number;
  /** What the kernel locks. */
  readonly umemLength: number;
  readonly longSlot: number;
  /** Slots for frames that are put together: a batch, and one that is not complete. */
  readonly assembly: number;
  readonly assemblySlots: number;
  readonly length: number;
}

export function layOut(mtu: number, rxRing: number, txRing: number): XskLayout {
  const chunkBytes = chunkLength(mtu);
  const inParts = mtu > WHOLE_MTU_MAX;
  const chunksPerSlot = Math.ceil((mtu + ETHERNET_HEADER_MAX) / chunkBytes);
  const slotBytes = chunksPerSlot * chunkBytes;
  const rxChunks = rxRing * CHUNKS_PER_RX_SLOT;
  const batch = Math.max(1, Math.min(BATCH_MAX, rxRing >> 1));
  const umemLength = (rxChunks + txRing) * chunkBytes;
  const assembly = umemLength + LONG_SLOT_LENGTH;
  const assemblySlots = inParts ? batch + 1 : 0;
  return {
    chunkBytes,
    inParts,
    rxChunks,
    batch,
    slotBytes,
    txSlots: Math.floor(txRing / chunksPerSlot),
    umemLength,
    longSlot: umemLength,
    assembly,
    assemblySlots,
    length: assembly + assemblySlots * slotBytes,
  };
}
