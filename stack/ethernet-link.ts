// The Ethernet side of the host: its hardware address, its VLAN if it is in one (IEEE 802.1Q), and how a frame begins. On a
// medium without hardware addresses there is none of this. Used by ip.ts and those that resolve addresses.
import { type FrameEngine, NO_FRAME } from '../io-engine/frame-engine.ts';
import type { FrameTap } from './frame-tap.ts';
import { writeUint16 } from './wire/bytes.ts';
import {
  ETHERNET_HEADER_LENGTH,
  ETHERNET_TYPE,
  ETHERTYPE_VLAN,
  VLAN_TAG_LENGTH,
  writeEthernetHeader,
} from './wire/ethernet.ts';

export class EthernetLink {
  readonly engine: FrameEngine;
  readonly mac: Uint8Array;
  /** VLAN identifier of every frame, 1 to 4094; 0: untagged. */
  readonly vlan: number;
  /** Sees every frame that is sent; null: nobody looks. */
  tap: FrameTap | null = null;
  /** Bytes of a frame before its payload. */
  readonly headerLength: number;

  constructor(engine: FrameEngine, vlan: number) {
    this.engine = engine;
    this.mac = engine.link.mac;
    this.vlan = vlan;
    this.headerLength = ETHERNET_HEADER_LENGTH + (vlan === 0 ? 0 : VLAN_TAG_LENGTH);
  }

  /** Writes what stands before the payload, at `frame`. */
  writeHeader(frame: number, destinationMac: Uint8Array, etherType: number): void {
    const { memory } = this.engine;
    if (this.vlan === 0) {
      writeEthernetHeader(memory, frame, destinationMac, this.mac, etherType);
      return;
    }
    writeEthernetHeader(memory, frame, destinationMac, this.mac, ETHERTYPE_VLAN);
    writeUint16(memory, frame + ETHERNET_TYPE + 2, this.vlan);
    writeUint16(memory, frame + ETHERNET_TYPE + VLAN_TAG_LENGTH, etherType);
  }

  /**
   * Starts a frame: reserves it and writes its header.
   * @param isLong it is to be cut by the device.
   * @returns where the payload goes; -1: no outgoing slot is free.
   */
  begin(destinationMac: Uint8Array, etherType: number, isLong = false): number {
    const frame = this.engine.reserve(isLong);
    if (frame === NO_FRAME) return -1;
    this.writeHeader(frame, destinationMac, etherType);
    return frame + this.headerLength;
  }

  /** Sends what `begin` started. @param segmentSize payload bytes a segment when the device is to cut it up, else 0. */
  commit(payloadLength: number, segmentSize: number): void {
    const { engine, tap } = this;
    const length = this.headerLength + payloadLength;
    // What is reserved stays so until it is committed.
    if (tap !== null) tap.sent(engine.memory, engine.reserve(segmentSize > 0), length, segmentSize);
    engine.commit(length, segmentSize);
  }
}
