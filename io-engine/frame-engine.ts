// The contract every io-engine keeps: frames in, frames out, in batches, all of them ranges of one
// `memory`. The stack sees nothing else of the device. Anyone may import these types.

/** Transport checksums of this received frame need no check: the device or the sending kernel vouches for them. */
export const RX_CHECKSUM_TRUSTED = 1;
/** The frame is one of the VLAN that the options name; its tag has been taken off. */
export const RX_VLAN_STRIPPED = 2;

/** Ethernet header with one 802.1Q tag, bytes: what a slot holds beside the IP packet. */
export const ETHERNET_HEADER_MAX = 18;

/** Largest IP packet there is, bytes. */
export const IP_PACKET_MAX = 65535;
/** Largest TCP payload of a frame that a device cuts: IPv6 and TCP headers take 100 bytes at most. */
export const LONG_PAYLOAD_MAX = IP_PACKET_MAX - 100;

/** What `reserve()` answers while every outgoing slot is in use. */
export const NO_FRAME = -1;

export type EngineName = 'memory' | 'pcap' | 'afpacket' | 'afxdp' | 'tap' | 'raw' | 'replay';

/** What the device at the other side of the engine is. */
export interface Link {
  /** Interface name, for messages. */
  readonly name: string;
  /** `ethernet`: frames start at the destination MAC. `ip`: frames start at the IP header and there is no ARP. */
  readonly medium: 'ethernet' | 'ip';
  /** Six bytes; zeros where the medium has no hardware address. */
  readonly mac: Uint8Array;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  /** Bytes of room behind an offset that `reserve()` returned; a long frame has as much as `tsoPayloadMax` needs. */
  readonly frameCapacity: number;
  /** The engine fills in TCP checksums: the stack leaves the pseudo-header sum in the field (as CHECKSUM_PARTIAL). */
  readonly txChecksumOffload: boolean;
  /** Largest TCP payload of one committed frame when the device segments it (TSO), bytes; 0 when it does not. */
  readonly tsoPayloadMax: number;
}

/** `gone`: removed, or moved to another network namespace; an open engine does not come back from that. */
export type LinkState = 'up' | 'no-carrier' | 'down' | 'gone';

/** How an open engine's interface is now, as far as anybody watches it. */
export interface LinkCondition {
  readonly state: LinkState;
  /** How often `state` has changed. */
  readonly changes: number;
}

/** The frames of the last `receive()`, as parallel arrays: a batch costs no objects. */
export interface FrameBatch {
  readonly capacity: number;
  /** Offset of each frame in the engine's `memory`, bytes. */
  readonly offset: Int32Array;
  /** Length of each frame, bytes, without frame check sequence. */
  readonly length: Int32Array;
  /** `RX_*` bits of each frame. */
  readonly flags: Uint8Array;
}

/** Monotonic counts since the engine was opened. */
export interface EngineCounters {
  rxFrames: number;
  rxBytes: number;
  /** Frames that the device or a full ring lost before we saw them, as far as the device tells. */
  rxDropped: number;
  /** Frames we refused: longer than a slot, or cut off by the capture. */
  rxTruncated: number;
  txFrames: number;
  txBytes: number;
  /** `reserve()` calls that found no free slot. */
  txFull: number;
  /** Frames that the device refused after `commit`. */
  txErrors: number;
  /** Times the device woke us. */
  wakeups: number;
  /** System calls made for frames: receive, kick, wait. */
  syscalls: number;
}

/** Frames of a batch at most. */
export const BATCH_MAX = 32;

/** Where SYNs can be held back before they cost a slot: in the kernel, by the program that sorts our frames. */
export interface SynGate {
  /**
   * How many SYNs a second come in from now on, besides twice as many that come for the second time after half a second
   * or more, as those of real clients do in a flood; 0: all.
   */
  limit(perSecond: number): void;
  /** SYNs held back since the engine was opened, modulo 2^32. */
  readonly held: number;
}

/**
 * One device. A tick is: `receive()`, read the batch in place, any number of `reserve()` + `commit()`, one
 * `flush()`. No method allocates or throws once the engine is open.
 */
export interface FrameEngine {
  readonly name: EngineName;
  /** How the device is used, for people; absent: there is one way only. */
  readonly mode?: string;
  readonly link: Link;
  /** Every frame, in and out, is a range of this. */
  readonly memory: Uint8Array;
  readonly batch: FrameBatch;
  readonly counters: EngineCounters;
  /** Not there where the device cannot. */
  readonly synGate?: SynGate | null;

  /**
   * Fills `batch` with up to `batch.capacity` frames and returns how many. They stay readable until the next
   * `receive()`, which gives their slots back to the device. A full batch means: call again.
   */
  receive(): number;

  /**
   * Offset of a free outgoing slot of `link.frameCapacity` bytes, or `NO_FRAME`. Until it is committed the next
   * call of its kind returns the same slot, so a reservation that turns out not to be needed costs nothing.
   * @param isLong for a frame longer than the MTU, where the device cuts those.
   */
  reserve(isLong?: boolean): number;

  /**
   * Queues the reserved slot's first `length` bytes as one frame, in order.
   * @param segmentSize TCP payload bytes per segment when the frame is to be cut by the device, else 0. Its TCP checksum field holds
   * the pseudo-header sum then, as under `txChecksumOffload`: the segments have checksums of their own.
   */
  commit(length: number, segmentSize: number): void;

  /**
   * Hands everything committed to the device: at most one kick. Within `onReadable` the first flush may leave a few frames to
   * the moment after it, which comes at once; a second one leaves nothing.
   */
  flush(): void;

  /**
   * Calls `onReadable` from Node's event loop whenever frames may be waiting (level-triggered: again if some
   * were left behind). One caller; calling again replaces it. Keeps the process alive until `close` or `unref`.
   */
  wait(onReadable: () => void): void;

  /** Waiting keeps the process alive (`ref`, as it begins) or does not (`unref`). Packages with a watch of their own
   * (`cap`, `raw-socket`) keep it alive in any case. */
  ref(): void;
  unref(): void;

  /** Descriptors that another process has to have in order to go on with the device. Absent: it is one process's only. */
  readonly handedFds?: readonly number[];

  /**
   * Stops waiting, flushes, and describes the open device so that another process goes on with it: `adoptEngine` of
   * io-engine/adopt.ts. Should that one not come to it, `wait` here goes on as if nothing had been.
   */
  handOver?(): HandedEngine;

  /** Gives everything back to the kernel; the engine cannot be used afterwards. Calling it twice is harmless. */
  close(): void;
}

/** An open device on its way to another process. */
export interface HandedEngine {
  readonly name: EngineName;
  /** Name of the interface. */
  readonly interface: string;
  /** Descriptors that the other process has to have, in this order. */
  readonly fds: readonly number[];
  /** The engine's own: numbers by name, some of them lists. Plain data. */
  readonly values: Readonly<Record<string, number | readonly number[]>>;
}

/** A device that cannot be opened or used. The message is one line that says what to do next. */
export class EngineError extends Error {
  readonly code: EngineErrorCode;
  constructor(code: EngineErrorCode, message: string) {
    super(message);
    this.name = 'EngineError';
    this.code = code;
  }
}

export type EngineErrorCode =
  | 'NO_PRIVILEGE'
  | 'NO_INTERFACE'
  | 'INTERFACE_DOWN'
  | 'KERNEL_OWNS_ADDRESS'
  | 'KERNEL_LACKS_ADDRESS'
  | 'NO_LIBRARY'
  | 'NOT_SUPPORTED'
  | 'BAD_FILE'
  | 'SYSTEM';

/** Counters at zero. */
export function createCounters(): EngineCounters {
  return {
    rxFrames: 0,
    rxBytes: 0,
    rxDropped: 0,
    rxTruncated: 0,
    txFrames: 0,
    txBytes: 0,
    txFull: 0,
    txErrors: 0,
    wakeups: 0,
    syscalls: 0,
  };
}

/** An empty batch of `capacity` frames. */
export function createBatch(capacity: number): FrameBatch {
  return {
    capacity,
    offset: new Int32Array(capacity),
    length: new Int32Array(capacity),
    flags: new Uint8Array(capacity),
  };
}
