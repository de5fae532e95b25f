// What an engine needs to know to open its device; `netdev.conf` is parsed into this (and more) by stack/config.ts.

/** An IPv4 address as an int32, network order read as a big-endian number (10.0.0.1 is 0x0a000001). */
export interface InterfaceAddress {
  readonly ip: number;
  readonly prefixLength: number;
}

export type EngineChoice = 'auto' | 'afxdp' | 'afpacket' | 'pcap' | 'tap' | 'raw';

/** One of several processes that serve the same interface with the same addresses. */
export interface EngineShare {
  /** 0 to count - 1: the receive queue (afxdp), or the remainder of the flow's hash (afpacket). */
  readonly index: number;
  readonly count: number;
  /** Descriptor of the socket map of an XDP program that is attached already; -1 (afpacket): there is none. */
  readonly map: number;
  /** That program runs in generic mode. */
  readonly generic: boolean;
}

export interface EngineOptions {
  readonly engine: EngineChoice;
  /** Interface name; for `tap` the device is made when it does not exist. */
  readonly interface: string;
  /** Hardware address to use; null: the interface's own (tap: a random, locally administered one). */
  readonly mac: Uint8Array | null;
  /** Bytes; 0: the interface's own. */
  readonly mtu: number;
  /** Slots of the receive and transmit rings; powers of two. */
  readonly rxRing: number;
  readonly txRing: number;
  /** 802.1Q identifier of the VLAN that we are in; 0: frames are untagged. */
  readonly vlan: number;
  /** IPv6 frames are wanted too, those to multicast groups included. */
  readonly ipv6: boolean;
  /** Every untagged frame is wanted, whoever it is for: a bridge's wish (afpacket only). */
  readonly allFrames?: boolean;
  /** Absent: the interface is this process's alone. */
  readonly share?: EngineShare;
  /** Receive queues to open. */
  readonly queues: number;
  /** Addresses the stack will answer for: none may be the kernel's (`raw`: all must be). */
  readonly addresses: readonly InterfaceAddress[];
  /** What to do with checksums of received frames: `auto` verifies unless the device or kernel vouches. */
  readonly rxChecksum: 'auto' | 'verify' | 'trust';
  /** Whether TCP segments longer than the MTU are left to the device to cut, where it does and the engine can have it do so. */
  readonly tso: 'auto' | 'off';
  /** Microseconds to poll the device before sleeping; 0: never. */
  readonly busyPollUs: number;
  /** Longest wait after a wake-up for more frames to share a tick, when they come fast; microseconds, 0: never. */
  readonly coalesceUs: number;
}
