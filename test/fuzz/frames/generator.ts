// Frames for the fuzzer, from a seed and fast: segments made by grammar that know where the connections are, so that many
// get past the first checks, and mutations of those and of the stack's own frames. For campaign.ts.
import type { SeededRandom } from '../../../src/platform/random.ts';
import { writeInt32, writeUint16 } from '../../../stack/wire/bytes.ts';
import { finish, pseudoHeaderSum, sum } from '../../../stack/wire/checksum.ts';

export const STACK_IP = 0x0a000001;
export const PEER_IP = 0x0a000002;
export const PORT = 7;
export const PEER_PORTS = 64;
export const PEER_PORT_BASE = 40000;

/** Where the connection of a peer port is, as far as the stack's frames have shown. */
export interface Place {
  /** The stack's next sequence number and what it expects. */
  seq: number;
  ack: number;
  tsVal: number;
}

const OPTIONS: readonly (readonly number[])[] = [
  [2, 4, 5, 180],
  [2, 4, 0, 1],
  [3, 3, 14],
  [3, 3, 255],
  [4, 2],
  [1],
  [0],
  [8, 10, 0, 0, 0, 1, 0, 0, 0, 1],
  [5, 10, 0, 0, 0, 1, 0, 0, 0, 9],
  [5, 34],
  [5, 2],
  [34, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
  [253, 1],
  [8, 0],
  [255, 40],
];
const LENGTHS: readonly number[] = [0, 0, 0, 1, 2, 17, 100, 536, 1000, 1460];
const WINDOWS: readonly number[] = [0, 1, 100, 5000, 65535];
const COMMON_FLAGS: readonly number[] = [2, 2, 16, 16, 16, 24, 24, 17, 4, 20, 18, 0x52, 0xc2, 0x90, 0x30];

export class FrameGenerator {
  readonly bytes = new Uint8Array(2048);
  readonly places: Place[] = Array.from({ length: PEER_PORTS }, () => ({ seq: 0, ack: 0, tsVal: 0 }));
  readonly #random: SeededRandom;
  /** Frames the stack sent, to be mutated and sent back. */
  readonly #captured: Uint8Array[] = [];

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** @param bytes is copied. */
  capture(bytes: Uint8Array): void {
    if (this.#captured.length < 256) this.#captured.push(bytes.slice());
    else this.#captured[this.#random.below(256)] = bytes.slice();
  }

  /** Writes the next frame to `bytes`. @returns its length. */
  next(): number {
    const kind = this.#random.below(100);
    let length: number;
    if (kind < 75) length = this.#tcp();
    else if (kind < 82) length = this.#icmp();
    else if (kind < 87) length = this.#arp();
    else if (kind < 97) length = this.#reflected();
    else length = this.#noise();
    if (this.#random.below(4) === 0) length = this.#mutate(length);
    return length;
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#random.below(values.length)];
  }

  /** Near where it counts, mostly. */
  #near(value: number): number {
    switch (this.#random.below(8)) {
      case 0:
        return (value + this.#random.below(5000) - 2500) | 0;
      case 1:
        return (value + this.#random.below(4) - 2) | 0;
      case 2:
        return this.#random.int32();
      default:
        return value;
    }
  }

  #tcp(): number {
    const index = this.#random.below(PEER_PORTS);
    const place = this.places[index];
    const { bytes } = this;
    let options = 0;
    const at = 54;
    if (this.#random.below(3) > 0) {
      for (let n = this.#random.below(4); n > 0; n--) {
        const option = this.#pick(OPTIONS);
        if (options + option.length > 40) break;
        bytes.set(option, at + options);
        if (option[0] === 8 && option[1] === 10) {
          writeInt32(bytes, at + options + 2, this.#near(1));
          writeInt32(bytes, at + options + 6, this.#near(place.tsVal));
        } else if (option[0] === 5 && option[1] === 10) {
          const start = this.#near(place.seq);
          writeInt32(bytes, at + options + 2, start);
          writeInt32(bytes, at + options + 6, (start + this.#random.below(3000)) | 0);
        }
        options += option.length;
      }
      while (options % 4 !== 0) bytes[at + options++] = 1;
    }
    const payload = this.#pick(LENGTHS);
    bytes.fill(this.#random.below(256), at + options, at + options + payload);
    const flags = this.#random.below(10) === 0 ? this.#random.below(256) : this.#pick(COMMON_FLAGS);
    writeUint16(bytes, 34, PEER_PORT_BASE + index);
    writeUint16(bytes, 36, this.#random.below(50) === 0 ? this.#random.below(65536) : PORT);
    writeInt32(bytes, 38, this.#near(place.ack));
    writeInt32(bytes, 42, this.#near(place.seq));
    bytes[46] = (5 + options / 4) << 4;
    bytes[47] = flags;
    writeUint16(bytes, 48, this.#pick(WINDOWS));
    writeInt32(bytes, 50, this.#random.below(20) === 0 ? this.#random.below(65536) : 0);
    writeUint16(bytes, 50, 0);
    const length = 20 + options + payload;
    const checksum = finish(sum(bytes, 34, length, pseudoHeaderSum(PEER_IP, STACK_IP, 6, length)));
    writeUint16(bytes, 50, checksum);
    return this.#ip(6, length);
  }

  /** IP and Ethernet headers before what stands at 34. */
  #ip(protocol: number, length: number): number {
    const { bytes } = this;
    bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, this.#random.below(16) === 0 ? 3 : 0], 0);
    writeUint16(bytes, 16, 20 + length);
    writeUint16(bytes, 18, this.#random.below(8));
    const fragment = this.#random.below(40) === 0 ? (this.#random.below(2) << 13) | this.#random.below(100) : 0x4000;
    writeUint16(bytes, 20, fragment);
    writeUint16(bytes, 22, (64 << 8) | protocol);
    writeUint16(bytes, 24, 0);
    writeInt32(bytes, 26, PEER_IP);
    writeInt32(bytes, 30, STACK_IP);
    writeUint16(bytes, 24, finish(sum(bytes, 14, 20, 0)));
    return 34 + length;
  }

  #icmp(): number {
    const { bytes } = this;
    const index = this.#random.below(PEER_PORTS);
    const quoted = 28 + this.#random.below(12);
    bytes.fill(0, 34, 42 + quoted);
    bytes[34] = this.#pick([0, 3, 3, 3, 4, 5, 8, 8, 11, 12, 13, 40]);
    bytes[35] = this.#random.below(16);
    writeUint16(bytes, 40, this.#pick([0, 68, 552, 1000, 1499, 65535]));
    bytes[42] = 0x45;
    writeUint16(bytes, 44, 1500);
    bytes[51] = this.#random.below(8) === 0 ? 17 : 6;
    writeInt32(bytes, 54, STACK_IP);
    writeInt32(bytes, 58, PEER_IP);
    writeUint16(bytes, 62, PORT);
    writeUint16(bytes, 64, PEER_PORT_BASE + index);
    writeInt32(bytes, 66, this.#near(this.places[index].seq));
    const length = 8 + quoted;
    writeUint16(bytes, 36, finish(sum(bytes, 34, length, 0)));
    return this.#ip(1, length);
  }

  #arp(): number {
    const { bytes } = this;
    bytes.set(
      [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 + this.#random.below(2)],
      0,
    );
    bytes.set([2, 0, 0, 0, 0, this.#random.below(4)], 22);
    writeInt32(bytes, 28, this.#pick([PEER_IP + 1, STACK_IP, 0x0a000003 + this.#random.below(250), 0]));
    bytes.fill(0, 32, 38);
    writeInt32(bytes, 38, this.#pick([STACK_IP, STACK_IP, 0x0a000077]));
    return 42;
  }

  /** A frame of the stack's, sent back to it. */
  #reflected(): number {
    if (this.#captured.length === 0) return this.#tcp();
    const frame = this.#pick(this.#captured);
    this.bytes.set(frame);
    this.bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], 0);
    return frame.length;
  }

  #noise(): number {
    const length = this.#random.below(100);
    for (let i = 0; i < length; i++) this.bytes[i] = this.#random.below(256);
    if (this.#random.below(2) === 0) this.bytes.set([2, 0, 0, 0, 0, 1], 0);
    return length;
  }

  /** Some bytes changed, or the end cut off; checksums made right again half the time, so that it is not in vain. */
  #mutate(length: number): number {
    if (length === 0) return 0;
    const { bytes } = this;
    for (let n = 1 + this.#random.below(3); n > 0; n--) {
      const at = this.#random.below(Math.min(length, 80));
      if (this.#random.below(2) === 0) bytes[at] ^= 1 << this.#random.below(8);
      else bytes[at] = this.#random.below(256);
    }
    const cut = this.#random.below(6) === 0 ? this.#random.below(length) : length;
    if (this.#random.below(2) === 0) this.#repair(cut);
    return cut;
  }

  #repair(length: number): void {
    const { bytes } = this;
    if (length < 54 || bytes[12] !== 8 || bytes[13] !== 0 || bytes[14] !== 0x45) return;
    writeUint16(bytes, 16, length - 14);
    writeUint16(bytes, 24, 0);
    writeUint16(bytes, 24, finish(sum(bytes, 14, 20, 0)));
    if (bytes[23] !== 6) return;
    writeUint16(bytes, 50, 0);
    const partial = pseudoHeaderSum(PEER_IP, STACK_IP, 6, length - 34);
    writeUint16(bytes, 50, finish(sum(bytes, 34, length - 34, partial)));
  }
}
