// IPv6 addresses as int32, so that TCP, the flow table and the neighbour cache handle both families alike: an IPv4 address
// is itself, an IPv6 one a number from this book, out of 240.0.0.0/4, which no IPv4 host has (RFC 1112 4). The book
// keeps the 16 bytes, their part in a checksum, and a keyed hash that stays the same when the number changes.
// Numbers nobody uses any more are taken back by a sweep between two ticks. Used by stack/, and by
// src/transports/userspace-connection.ts, which asks what kind a number is.
import type { RandomSource } from './clock.ts';
import { halfSipHash } from './keyed-hash.ts';
import { copyBytes, equalBytes, readInt32, readUint16 } from './wire/bytes.ts';
import { pseudoHeaderSum } from './wire/checksum.ts';
import { IPV6_ADDRESS_LENGTH } from './wire/ipv6.ts';

const FIRST = 0xf0000000 | 0;
const INITIAL_CAPACITY = 1024;

/** Whether the number stands for an IPv6 address. (255.255.255.255 is no address of a host either.) */
export function isIpv6(ip: number): boolean {
  return ip >>> 28 === 0xf;
}

export class Ipv6Book {
  /** Addresses with a number. */
  size = 0;
  #capacity = INITIAL_CAPACITY;
  #bytes = new Uint8Array(INITIAL_CAPACITY * IPV6_ADDRESS_LENGTH);
  #sums = new Int32Array(INITIAL_CAPACITY);
  #hashes = new Int32Array(INITIAL_CAPACITY);
  /** Index + 1 by hash, linear probing at no more than half load. */
  #table = new Int32Array(INITIAL_CAPACITY * 2);
  #free: number[] = [];
  #next = 0;
  /** The first ones stay for ever. */
  #pinned = 0;
  readonly #key: Int32Array;

  constructor(random: RandomSource) {
    this.#key = Int32Array.of(random.int32(), random.int32(), random.int32(), random.int32());
  }

  /** What `word` is keyed with, four int32; a new one changes every word. */
  get secret(): Int32Array {
    return this.#key.slice();
  }

  set secret(key: ArrayLike<number>) {
    this.#key.set(key);
    const entered = [...this.#table].filter((entry) => entry !== 0);
    this.#table.fill(0);
    this.size = 0;
    for (const entry of entered) {
      this.#hashes[entry - 1] = this.#hashOf(this.#bytes, (entry - 1) * IPV6_ADDRESS_LENGTH);
      this.#enter(entry - 1);
    }
  }

  /** The number of the address at `offset`, a new one if it has none. */
  intern(bytes: Uint8Array, offset: number): number {
    const hash = this.#hashOf(bytes, offset);
    const known = this.#find(bytes, offset, hash);
    return known >= 0 ? FIRST | known : this.#add(bytes, offset, hash);
  }

  /** The number of the address at `offset`; 0: it has none. */
  find(bytes: Uint8Array, offset: number): number {
    if (this.size === 0) return 0;
    const known = this.#find(bytes, offset, this.#hashOf(bytes, offset));
    return known >= 0 ? FIRST | known : 0;
  }

  /** As `intern`, for addresses that are never swept. Only before others are added. */
  pin(bytes: Uint8Array): number {
    const ip = this.intern(bytes, 0);
    this.#pinned = Math.max(this.#pinned, (ip & ~FIRST) + 1);
    return ip;
  }

  write(ip: number, to: Uint8Array, offset: number): void {
    copyBytes(to, offset, this.#bytes, (ip & ~FIRST) * IPV6_ADDRESS_LENGTH, IPV6_ADDRESS_LENGTH);
  }

  /** A copy of the 16 bytes. */
  bytesOf(ip: number): Uint8Array {
    const at = (ip & ~FIRST) * IPV6_ADDRESS_LENGTH;
    return this.#bytes.slice(at, at + IPV6_ADDRESS_LENGTH);
  }

  /** The sum that a transport's checksum begins with (RFC 9293 3.1, RFC 8200 8.1), of either family. */
  pseudoHeaderSum(sourceIp: number, destinationIp: number, protocol: number, length: number): number {
    if (!isIpv6(sourceIp)) return pseudoHeaderSum(sourceIp, destinationIp, protocol, length);
    return this.sum(sourceIp) + this.sum(destinationIp) + protocol + length;
  }

  /** 32 bits that stand for the address in keyed hashes: the same for as long as the process runs. */
  word(ip: number): number {
    return isIpv6(ip) ? this.#hashes[ip & ~FIRST] : ip;
  }

  /** Sum of the address's eight words, for a pseudo header. */
  sum(ip: number): number {
    return this.#sums[ip & ~FIRST];
  }

  /** Additions before the book has to grow: with fewer than a batch may bring it is time for a sweep. */
  get room(): number {
    return this.#free.length + this.#capacity - this.#next;
  }

  /**
   * Takes back every number that `markAll` does not mark, and grows until half of the book and `roomMin` are free.
   * @param markAll calls `mark` with each number that somebody keeps; IPv4 addresses are passed over.
   */
  sweep(roomMin: number, markAll: (mark: (ip: number) => void) => void): void {
    const used = new Uint8Array(this.#next);
    used.fill(1, 0, this.#pinned);
    markAll((ip) => {
      if (isIpv6(ip)) used[ip & ~FIRST] = 1;
    });
    this.#free = [];
    this.#table.fill(0);
    this.size = 0;
    for (let index = 0; index < this.#next; index++) {
      if (used[index] === 0) this.#free.push(index);
      else this.#enter(index);
    }
    while (this.room < Math.max(this.#capacity / 2, roomMin)) this.#grow();
  }

  #hashOf(bytes: Uint8Array, offset: number): number {
    const key = this.#key;
    // Two addresses of every packet: this has to be cheap.
    const first = halfSipHash(
      key[0],
      key[1],
      readInt32(bytes, offset),
      readInt32(bytes, offset + 4),
      readInt32(bytes, offset + 8),
    );
    return halfSipHash(key[2], key[3], first, readInt32(bytes, offset + 12), 0);
  }

  #find(bytes: Uint8Array, offset: number, hash: number): number {
    const mask = this.#table.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const index = this.#table[slot] - 1;
      if (index < 0) return -1;
      if (equalBytes(this.#bytes, index * IPV6_ADDRESS_LENGTH, bytes, offset, IPV6_ADDRESS_LENGTH)) return index;
    }
  }

  #add(bytes: Uint8Array, offset: number, hash: number): number {
    if (this.room === 0) this.#grow();
    const index = this.#free.pop() ?? this.#next++;
    copyBytes(this.#bytes, index * IPV6_ADDRESS_LENGTH, bytes, offset, IPV6_ADDRESS_LENGTH);
    let sum = 0;
    for (let i = 0; i < IPV6_ADDRESS_LENGTH; i += 2) sum += readUint16(bytes, offset + i);
    this.#sums[index] = sum;
    this.#hashes[index] = hash;
    this.#enter(index);
    return FIRST | index;
  }

  #enter(index: number): void {
    const mask = this.#table.length - 1;
    let slot = this.#hashes[index] & mask;
    while (this.#table[slot] !== 0) slot = (slot + 1) & mask;
    this.#table[slot] = index + 1;
    this.size++;
  }

  #grow(): void {
    const entered = [...this.#table].filter((entry) => entry !== 0);
    this.#capacity *= 2;
    this.#bytes = enlarged(this.#bytes, new Uint8Array(this.#capacity * IPV6_ADDRESS_LENGTH));
    this.#sums = enlarged(this.#sums, new Int32Array(this.#capacity));
    this.#hashes = enlarged(this.#hashes, new Int32Array(this.#capacity));
    this.#table = new Int32Array(this.#capacity * 2);
    this.size = 0;
    for (const entry of entered) this.#enter(entry - 1);
  }
}

function enlarged<T extends Uint8Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
