// From the four numbers of a TCP segment to the connection they belong to: open addressing with linear probing at no
// more than half load, a keyed hash against chosen collisions, and deletion that shifts the run back, so that
// years of connections leave no tombstones. Used by stack/tcp and stack/stack.ts.
import { halfSipHash } from './keyed-hash.ts';

const INITIAL_CAPACITY = 256;
/** Words a slot: remote ip, both ports, local ip, hash. */
const WORDS = 4;

export class FlowTable<T> {
  size = 0;
  #capacity = INITIAL_CAPACITY;
  #keys = new Int32Array(INITIAL_CAPACITY * WORDS);
  #values: (T | null)[] = new Array<T | null>(INITIAL_CAPACITY).fill(null);
  readonly #key0: number;
  readonly #key1: number;

  constructor(key0: number, key1: number) {
    this.#key0 = key0;
    this.#key1 = key1;
  }

  find(remoteIp: number, remotePort: number, localPort: number, localIp: number): T | null {
    const ports = (remotePort << 16) | localPort;
    const keys = this.#keys;
    const values = this.#values;
    const mask = this.#capacity - 1;
    let slot = halfSipHash(this.#key0, this.#key1, remoteIp, ports, localIp) & mask;
    for (;;) {
      const value = values[slot];
      if (value === null) return null;
      const at = slot * WORDS;
      if (keys[at] === remoteIp && keys[at + 1] === ports && keys[at + 2] === localIp) return value;
      slot = (slot + 1) & mask;
    }
  }

  /** Puts `value` there, in place of the one that was. */
  set(remoteIp: number, remotePort: number, localPort: number, localIp: number, value: T): void {
    if ((this.size + 1) * 2 > this.#capacity) this.#grow();
    const ports = (remotePort << 16) | localPort;
    const hash = halfSipHash(this.#key0, this.#key1, remoteIp, ports, localIp);
    this.#insert(remoteIp, ports, localIp, hash, value);
  }

  /** @returns whether there was one. */
  delete(remoteIp: number, remotePort: number, localPort: number, localIp: number): boolean {
    const ports = (remotePort << 16) | localPort;
    const keys = this.#keys;
    const mask = this.#capacity - 1;
    let slot = halfSipHash(this.#key0, this.#key1, remoteIp, ports, localIp) & mask;
    for (;;) {
      if (this.#values[slot] === null) return false;
      const at = slot * WORDS;
      if (keys[at] === remoteIp && keys[at + 1] === ports && keys[at + 2] === localIp) break;
      slot = (slot + 1) & mask;
    }
    this.#closeGap(slot);
    this.size--;
    return true;
  }

  /** Calls `visit` for each value; the table must not change meanwhile. */
  forEach(visit: (value: T) => void): void {
    for (const value of this.#values) if (value !== null) visit(value);
  }

  #insert(remoteIp: number, ports: number, localIp: number, hash: number, value: T): void {
    const keys = this.#keys;
    const mask = this.#capacity - 1;
    let slot = hash & mask;
    while (this.#values[slot] !== null) {
      const at = slot * WORDS;
      if (keys[at] === remoteIp && keys[at + 1] === ports && keys[at + 2] === localIp) {
        this.#values[slot] = value;
        return;
      }
      slot = (slot + 1) & mask;
    }
    const at = slot * WORDS;
    keys[at] = remoteIp;
    keys[at + 1] = ports;
    keys[at + 2] = localIp;
    keys[at + 3] = hash;
    this.#values[slot] = value;
    this.size++;
  }

  /** Moves back every entry of the run behind `gap` that may live there (Knuth 6.4, algorithm R). */
  #closeGap(gap: number): void {
    const keys = this.#keys;
    const mask = this.#capacity - 1;
    let slot = gap;
    for (;;) {
      slot = (slot + 1) & mask;
      const value = this.#values[slot];
      if (value === null) break;
      const home = keys[slot * WORDS + 3] & mask;
      if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
      keys.copyWithin(gap * WORDS, slot * WORDS, slot * WORDS + WORDS);
      this.#values[gap] = value;
      gap = slot;
    }
    this.#values[gap] = null;
  }

  #grow(): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#capacity *= 2;
    this.#keys = new Int32Array(this.#capacity * WORDS);
    this.#values = new Array<T | null>(this.#capacity).fill(null);
    this.size = 0;
    for (let slot = 0; slot < values.length; slot++) {
      const value = values[slot];
      const at = slot * WORDS;
      if (value !== null) this.#insert(keys[at], keys[at + 1], keys[at + 2], keys[at + 3], value);
    }
  }
}
