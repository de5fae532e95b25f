// Hashes that an outsider who does not know the key cannot steer: HalfSipHash for the flow table (a flood of chosen
// ports must not land in one place) and SipHash-2-4 for initial sequence numbers (RFC 6528), ports (RFC 6056)
// and timestamp offsets (RFC 7323 7.1). Both after Aumasson and Bernstein, on int32. Used by stack/ only.

/** HalfSipHash-1-3 of three words, 32 bits out: a hash table's strength, a few nanoseconds. */
export function halfSipHash(key0: number, key1: number, a: number, b: number, c: number): number {
  let v0 = key0 | 0;
  let v1 = key1 | 0;
  let v2 = 0x6c796765 ^ key0;
  let v3 = 0x74656462 ^ key1;
  // Three message words, then the length block (12 bytes, no rest).
  for (let i = 0; i < 7; i++) {
    const word = i === 0 ? a : i === 1 ? b : i === 2 ? c : i === 3 ? 12 << 24 : 0;
    if (i === 4) v2 ^= 0xff;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return v1 ^ v3;
}

/** SipHash-2-4 with a 128-bit key over whole int32 words. Cold path: once a connection. */
export class SipHash {
  /** Four int32. Whoever has it can foretell what is hashed: it leaves the process only for the one that takes its place. */
  key: readonly number[];
  /** v0..v3, low half before high half. */
  readonly #v = new Int32Array(8);

  /** @param key four int32, the low word of each half first. */
  constructor(key: readonly [number, number, number, number]) {
    this.key = key;
  }

  /** Low 32 bits of the hash of `words` (an even number of them, little endian). */
  hash(...words: number[]): number {
    const v = this.#v;
    const [k0, k1, k2, k3] = this.key;
    v[0] = 0x70736575 ^ k0;
    v[1] = 0x736f6d65 ^ k1;
    v[2] = 0x6e646f6d ^ k2;
    v[3] = 0x646f7261 ^ k3;
    v[4] = 0x6e657261 ^ k0;
    v[5] = 0x6c796765 ^ k1;
    v[6] = 0x79746573 ^ k2;
    v[7] = 0x74656462 ^ k3;
    for (let i = 0; i < words.length; i += 2) this.#absorb(words[i], words[i + 1]);
    this.#absorb(0, (words.length * 4) << 24);
    v[4] ^= 0xff;
    for (let i = 0; i < 4; i++) this.#round();
    return v[0] ^ v[2] ^ v[4] ^ v[6];
  }

  #absorb(low: number, high: number): void {
    const v = this.#v;
    v[6] ^= low;
    v[7] ^= high;
    this.#round();
    this.#round();
    v[0] ^= low;
    v[1] ^= high;
  }

  #round(): void {
    this.#add(0, 2);
    this.#rotateAndXor(2, 13, 0);
    this.#rotate(0, 32);
    this.#add(4, 6);
    this.#rotateAndXor(6, 16, 4);
    this.#add(0, 6);
    this.#rotateAndXor(6, 21, 0);
    this.#add(4, 2);
    this.#rotateAndXor(2, 17, 4);
    this.#rotate(4, 32);
  }

  #add(to: number, from: number): void {
    const v = this.#v;
    const low = (v[to] >>> 0) + (v[from] >>> 0);
    v[to + 1] = v[to + 1] + v[from + 1] + (low > 0xffffffff ? 1 : 0);
    v[to] = low;
  }

  #rotateAndXor(at: number, bits: number, other: number): void {
    this.#rotate(at, bits);
    this.#v[at] ^= this.#v[other];
    this.#v[at + 1] ^= this.#v[other + 1];
  }

  #rotate(at: number, bits: number): void {
    const v = this.#v;
    const low = v[at];
    const high = v[at + 1];
    if (bits === 32) {
      v[at] = high;
      v[at + 1] = low;
      return;
    }
    v[at] = (low << bits) | (high >>> (32 - bits));
    v[at + 1] = (high << bits) | (low >>> (32 - bits));
  }
}
