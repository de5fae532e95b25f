// Frames for the fuzzer, from a seed and fast, of both families: segments made by grammar that know where the connections
// are, so that many get past the first checks, and mutations of those, of what Linux and its tools sent once (linux.pcap), and
// of the stack's own frames. For campaign.ts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SeededRandom } from '../../../src/platform/random.ts';
import { readUint16, writeInt32, writeUint16 } from '../../../stack/wire/bytes.ts';
import { finish, pseudoHeaderSum, sum } from '../../../stack/wire/checksum.ts';

export const STACK_IP = 0x0a000001;
export const PEER_IP = 0x0a000002;
/** fd00::1, fd00::2. */
export const STACK_IP6 = Uint8Array.of(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
export const PEER_IP6 = Uint8Array.of(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2);
/** Where a frame's transport header is, without extension headers. */
export const TRANSPORT_4 = 34;
export const TRANSPORT_6 = 54;
export const PORT = 7;
export const PEER_PORTS = 64;
export const PEER_PORT_BASE = 40000;

/**
 * What a Linux host sent to one at STACK_IP and STACK_IP6: connections to PORT with every option and without, ECN, urgent
 * data, keepalive, resets, pings, fragments, UDP, ARP, neighbour discovery, nmap's and hping3's oddities. Programs that use
 * this run in the repository's root.
 */
const RECORDED: readonly Uint8Array[] = readPcap(readFileSync(join('test', 'fuzz', 'frames', 'linux.pcap')));

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

const NO_ONE = new Uint8Array(16);
const ALL_NODES = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const SOLICITED = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 1);
const ROUTER = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2);
/** What follows the type and length of hop-by-hop and destination options: fine, to be skipped, and to be refused. */
const IPV6_OPTIONS: readonly (readonly number[])[] = [
  [1, 4, 0, 0, 0, 0],
  [5, 2, 0, 0, 0, 0],
  [0x3e, 4, 1, 2, 3, 4],
  [0x7e, 4, 1, 2, 3, 4],
  [0xbe, 4, 1, 2, 3, 4],
  [0xfe, 4, 1, 2, 3, 4],
  [0xc2, 4, 0, 1, 0, 0],
  [1, 200, 0, 0, 0, 0],
  [0, 0, 0, 0, 0, 1],
];
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const NO_NEXT = 59;
const DESTINATION = 60;
const ICMPV6 = 58;

export class FrameGenerator {
  readonly bytes = new Uint8Array(2048);
  /** By family, four and six. */
  readonly places: readonly (readonly Place[])[] = [newPlaces(), newPlaces()];
  readonly #random: SeededRandom;
  /** Frames the stack sent, to be mutated and sent back. */
  readonly #captured: Uint8Array[] = [];
  /** The frame in hand: of IPv6, and where its transport header goes. */
  #six = false;
  #at = TRANSPORT_4;

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
    this.#six = this.#random.below(2) === 0;
    this.#at = this.#six ? TRANSPORT_6 : TRANSPORT_4;
    const kind = this.#random.below(100);
    let length: number;
    if (kind < 67) length = this.#tcp();
    else if (kind < 75) length = this.#recorded();
    else if (kind < 82) length = this.#six ? this.#icmp6() : this.#icmp();
    else if (kind < 87) length = this.#six ? this.#ndp() : this.#arp();
    else if (kind < 97) length = this.#reflected();
    else length = this.#noise();
    if (this.#random.below(4) === 0) length = this.#mutate(length);
    return length;
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#random.below(values.length)];
  }

  #place(index: number): Place {
    return this.places[this.#six ? 1 : 0][index];
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
    const place = this.#place(index);
    const { bytes } = this;
    const tcp = this.#at;
    const options = this.#random.below(3) > 0 ? this.#options(tcp + 20, place) : 0;
    const payload = this.#pick(LENGTHS);
    bytes.fill(this.#random.below(256), tcp + 20 + options, tcp + 20 + options + payload);
    const flags = this.#random.below(10) === 0 ? this.#random.below(256) : this.#pick(COMMON_FLAGS);
    writeUint16(bytes, tcp, PEER_PORT_BASE + index);
    writeUint16(bytes, tcp + 2, this.#random.below(50) === 0 ? this.#random.below(65536) : PORT);
    writeInt32(bytes, tcp + 4, this.#near(place.ack));
    writeInt32(bytes, tcp + 8, this.#near(place.seq));
    bytes[tcp + 12] = (5 + options / 4) << 4;
    bytes[tcp + 13] = flags;
    writeUint16(bytes, tcp + 14, this.#pick(WINDOWS));
    writeUint16(bytes, tcp + 16, 0);
    writeUint16(bytes, tcp + 18, this.#random.below(20) === 0 ? this.#random.below(65536) : 0);
    return this.#ip(6, 20 + options + payload, 16);
  }

  /** Some options at `at`. @returns their length, a multiple of four. */
  #options(at: number, place: Place): number {
    const { bytes } = this;
    let options = 0;
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
    return options;
  }

  /**
   * IP and Ethernet headers before what stands at `#at`, and its checksum.
   * @param checksumAt where that is in the transport header.
   */
  #ip(protocol: number, length: number, checksumAt: number): number {
    const { bytes } = this;
    bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0], 0);
    if (this.#six) return this.#ip6(PEER_IP6, STACK_IP6, protocol, length, checksumAt, 64);
    bytes.set([0x45, this.#random.below(16) === 0 ? 3 : 0], 14);
    writeUint16(bytes, 16, 20 + length);
    writeUint16(bytes, 18, this.#random.below(8));
    const fragment = this.#random.below(40) === 0 ? (this.#random.below(2) << 13) | this.#random.below(100) : 0x4000;
    writeUint16(bytes, 20, fragment);
    writeUint16(bytes, 22, (64 << 8) | protocol);
    writeUint16(bytes, 24, 0);
    writeInt32(bytes, 26, PEER_IP);
    writeInt32(bytes, 30, STACK_IP);
    writeUint16(bytes, 24, finish(sum(bytes, 14, 20, 0)));
    const pseudo = protocol === 6 ? pseudoHeaderSum(PEER_IP, STACK_IP, 6, length) : 0;
    writeUint16(bytes, TRANSPORT_4 + checksumAt, finish(sum(bytes, TRANSPORT_4, length, pseudo)));
    return TRANSPORT_4 + length;
  }

  #ip6(
    source: Uint8Array,
    destination: Uint8Array,
    protocol: number,
    length: number,
    checksumAt: number,
    hopLimit: number,
  ): number {
    const { bytes } = this;
    writeUint16(bytes, 12, 0x86dd);
    writeInt32(bytes, 14, (6 << 28) | (this.#random.below(16) === 0 ? 3 << 20 : 0));
    writeUint16(bytes, 18, length);
    bytes[20] = protocol;
    bytes[21] = hopLimit;
    bytes.set(source, 22);
    bytes.set(destination, 38);
    writeUint16(bytes, TRANSPORT_6 + checksumAt, 0);
    const partial = sum(bytes, 22, 32, protocol + length);
    writeUint16(bytes, TRANSPORT_6 + checksumAt, finish(sum(bytes, TRANSPORT_6, length, partial)));
    let total = TRANSPORT_6 + length;
    while (this.#random.below(10) === 0 && total < 1500) total = this.#extend(total);
    return total;
  }

  /** Puts one more extension header (RFC 8200 4) behind the IPv6 header. @returns the frame's new length. */
  #extend(length: number): number {
    const { bytes } = this;
    const kind = this.#pick([HOP_BY_HOP, ROUTING, FRAGMENT, FRAGMENT, DESTINATION, DESTINATION, NO_NEXT, 135, 200]);
    bytes.copyWithin(TRANSPORT_6 + 8, TRANSPORT_6, length);
    bytes[TRANSPORT_6] = bytes[20];
    bytes[20] = kind;
    bytes[TRANSPORT_6 + 1] = kind !== FRAGMENT && this.#random.below(16) === 0 ? this.#random.below(256) : 0;
    if (kind === FRAGMENT) {
      const offset = this.#random.below(2) === 0 ? 0 : this.#random.below(1500);
      writeUint16(bytes, TRANSPORT_6 + 2, (offset & ~7) | this.#random.below(2));
      writeInt32(bytes, TRANSPORT_6 + 4, this.#random.below(8));
    } else if (kind === ROUTING) {
      bytes.set([this.#random.below(5), this.#random.below(3), 0, 0, 0, 0], TRANSPORT_6 + 2);
    } else {
      bytes.set(this.#pick(IPV6_OPTIONS), TRANSPORT_6 + 2);
    }
    writeUint16(bytes, 18, length + 8 - TRANSPORT_6);
    return length + 8;
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
    writeInt32(bytes, 66, this.#near(this.#place(index).seq));
    return this.#ip(1, 8 + quoted, 2);
  }

  /** Errors that quote a segment, and echoes. */
  #icmp6(): number {
    const { bytes } = this;
    const index = this.#random.below(PEER_PORTS);
    const at = TRANSPORT_6;
    const quoted = 48 + this.#random.below(24);
    bytes.fill(0, at, at + 8 + quoted);
    bytes[at] = this.#pick([1, 1, 2, 2, 2, 3, 4, 100, 128, 128, 129, 130, 143, 255]);
    bytes[at + 1] = this.#random.below(8);
    writeInt32(bytes, at + 4, this.#pick([0, 68, 1279, 1280, 1400, 1499, 65535, -1]));
    bytes[at + 8] = 0x60;
    writeUint16(bytes, at + 12, 1440);
    bytes[at + 14] = this.#random.below(8) === 0 ? this.#pick([17, 44, 60]) : 6;
    bytes.set(STACK_IP6, at + 16);
    bytes.set(PEER_IP6, at + 32);
    writeUint16(bytes, at + 48, PORT);
    writeUint16(bytes, at + 50, PEER_PORT_BASE + index);
    writeInt32(bytes, at + 52, this.#near(this.#place(index).seq));
    return this.#ip(ICMPV6, 8 + quoted, 2);
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

  /** Neighbour discovery (RFC 4861): solicitations, advertisements, routers with prefixes, redirects. */
  #ndp(): number {
    const { bytes } = this;
    const at = TRANSPORT_6;
    const type = 133 + this.#random.below(5);
    bytes.fill(0, at, at + 120);
    bytes[at] = type;
    let length = type === 133 ? 8 : type === 134 ? 16 : type === 137 ? 40 : 24;
    bytes[at + 4] = this.#random.below(256);
    if (type === 134) writeUint16(bytes, at + 6, this.#pick([0, 1, 1800, 65535]));
    const target = this.#someone();
    if (type >= 135) bytes.set(target, at + 8);
    for (let n = this.#random.below(4); n > 0; n--) length += this.#ndpOption(at + length);
    bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], 0);
    const isMulticast = this.#random.below(2) === 0;
    if (isMulticast) bytes.set([0x33, 0x33, 0xff, 0, 0, 1], 0);
    const source = this.#pick([PEER_IP6, PEER_IP6, ROUTER, NO_ONE, target]);
    const destination = isMulticast ? this.#pick([ALL_NODES, SOLICITED]) : STACK_IP6;
    return this.#ip6(source, destination, ICMPV6, length, 2, this.#random.below(8) === 0 ? 64 : 255);
  }

  /** A hardware address, a prefix, an MTU, or nonsense. @returns its length. */
  #ndpOption(at: number): number {
    const { bytes } = this;
    const kind = this.#pick([1, 2, 3, 5, 25, 0]);
    const units = kind === 3 ? 4 : 1;
    bytes[at] = kind;
    bytes[at + 1] = this.#random.below(16) === 0 ? this.#random.below(6) : units;
    if (kind === 3) {
      bytes.set([this.#pick([64, 64, 64, 48, 200]), this.#random.below(256)], at + 2);
      writeInt32(bytes, at + 4, this.#pick([0, 30, 7200, -1]));
      writeInt32(bytes, at + 8, this.#pick([0, 30, 7200, -1]));
      bytes.set([0xfd, 0, 0, 0, 0, 0, 0, this.#random.below(40)], at + 16);
    } else {
      bytes.set([2, 0, 0, 0, 0, this.#random.below(4)], at + 2);
    }
    return units * 8;
  }

  /** Ourselves, the peer, or a neighbour that nobody knows; never the undisturbed one. */
  #someone(): Uint8Array {
    const address = this.#pick([STACK_IP6, PEER_IP6, NO_ONE, ALL_NODES, ROUTER]).slice();
    if (this.#random.below(3) === 0) address.set([0, 0, 0, 0, 0, 1, this.#random.below(256), 3], 8);
    return address;
  }

  /** A frame of Linux's; segments belong to a connection that there is, half the time. */
  #recorded(): number {
    const frame = this.#pick(RECORDED);
    const { bytes } = this;
    bytes.set(frame);
    this.#six = bytes[12] === 0x86;
    this.#at = this.#six ? TRANSPORT_6 : TRANSPORT_4;
    const isPlain = this.#six
      ? bytes[20] === 6
      : bytes[12] === 8 && bytes[13] === 0 && bytes[14] === 0x45 && bytes[23] === 6;
    const index = readUint16(bytes, this.#at) - PEER_PORT_BASE;
    if (isPlain && index >= 0 && index < PEER_PORTS && this.#random.below(2) === 0) {
      const { seq, ack } = this.#place(index);
      writeInt32(bytes, this.#at + 4, this.#near(ack));
      writeInt32(bytes, this.#at + 8, this.#near(seq));
      this.#repair(frame.length);
    }
    return frame.length;
  }

  /** A frame of the stack's, sent back to it; from the one it was for, half the time. */
  #reflected(): number {
    if (this.#captured.length === 0) return this.#tcp();
    const frame = this.#pick(this.#captured);
    const { bytes } = this;
    bytes.set(frame);
    bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], 0);
    if (this.#random.below(2) === 0) {
      if (bytes[12] === 8 && bytes[13] === 0) this.#swap(26, 4, TRANSPORT_4);
      else if (bytes[12] === 0x86) this.#swap(22, 16, TRANSPORT_6);
    }
    return frame.length;
  }

  /** The two addresses and the two ports; no sum changes. */
  #swap(addresses: number, length: number, ports: number): void {
    const { bytes } = this;
    for (const [at, size] of [
      [addresses, length],
      [ports, 2],
    ]) {
      const first = bytes.slice(at, at + size);
      bytes.copyWithin(at, at + size, at + 2 * size);
      bytes.set(first, at + size);
    }
  }

  #noise(): number {
    const length = this.#random.below(100);
    for (let i = 0; i < length; i++) this.bytes[i] = this.#random.below(256);
    if (this.#random.below(2) === 0) this.bytes.set([2, 0, 0, 0, 0, 1], 0);
    if (this.#random.below(2) === 0) this.bytes.set(this.#six ? [0x86, 0xdd, 0x60] : [8, 0, 0x45], 12);
    return length;
  }

  /** Some bytes changed, or the end cut off; checksums made right again half the time, so that it is not in vain. */
  #mutate(length: number): number {
    if (length === 0) return 0;
    const { bytes } = this;
    for (let n = 1 + this.#random.below(3); n > 0; n--) {
      const at = this.#random.below(Math.min(length, 100));
      if (this.#random.below(2) === 0) bytes[at] ^= 1 << this.#random.below(8);
      else bytes[at] = this.#random.below(256);
    }
    const cut = this.#random.below(6) === 0 ? this.#random.below(length) : length;
    if (this.#random.below(2) === 0) this.#repair(cut);
    return cut;
  }

  #repair(length: number): void {
    const { bytes } = this;
    if (length < 54) return;
    if (bytes[12] === 8 && bytes[13] === 0 && bytes[14] === 0x45) {
      writeUint16(bytes, 16, length - 14);
      writeUint16(bytes, 24, 0);
      writeUint16(bytes, 24, finish(sum(bytes, 14, 20, 0)));
      if (bytes[23] === 6) this.#repairSum(50, length, sum(bytes, 26, 8, 6 + length - TRANSPORT_4));
    } else if (bytes[12] === 0x86 && bytes[13] === 0xdd && length >= 74) {
      writeUint16(bytes, 18, length - TRANSPORT_6);
      const partial = sum(bytes, 22, 32, bytes[20] + length - TRANSPORT_6);
      if (bytes[20] === 6) this.#repairSum(TRANSPORT_6 + 16, length, partial);
      if (bytes[20] === ICMPV6) this.#repairSum(TRANSPORT_6 + 2, length, partial);
    }
  }

  #repairSum(at: number, length: number, partial: number): void {
    const { bytes } = this;
    const from = bytes[12] === 8 ? TRANSPORT_4 : TRANSPORT_6;
    writeUint16(bytes, at, 0);
    writeUint16(bytes, at, finish(sum(bytes, from, length - from, partial)));
  }
}

function newPlaces(): Place[] {
  return Array.from({ length: PEER_PORTS }, () => ({ seq: 0, ack: 0, tsVal: 0 }));
}

/** The frames of a classic pcap file as tcpdump writes it here: little-endian, Ethernet. */
function readPcap(file: Buffer): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 24; at < file.length; at += 16 + file.readUInt32LE(at + 8)) {
    frames.push(Uint8Array.from(file.subarray(at + 16, at + 16 + file.readUInt32LE(at + 8))));
  }
  return frames;
}
