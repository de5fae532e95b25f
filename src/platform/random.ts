// The only place where the server reads randomness: the kernel's for a real server, a seed for the simulator.
import { randomFillSync } from 'node:crypto';

export interface Random {
  /** A uniformly distributed int32. */
  int32(): number;
}

/** Cryptographic numbers, drawn from the kernel a page at a time. */
export class SystemRandom implements Random {
  #pool = new Int32Array(1024);
  #next = 1024;

  int32(): number {
    if (this.#next === this.#pool.length) {
      randomFillSync(this.#pool);
      this.#next = 0;
    }
    return this.#pool[this.#next++];
  }
}

/** Repeatable numbers (splitmix32 by way of Murmur3's finaliser). */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  int32(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) | 0;
  }

  /** A number in [0, 1). */
  fraction(): number {
    return (this.int32() >>> 0) / 0x1_0000_0000;
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }
}
