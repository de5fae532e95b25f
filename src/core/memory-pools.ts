// Memory beside the dataset that `maxmemory` counts and may take back before it evicts a key: caches of modules. The
// server owns the list.

export interface MemoryPool {
  /** In use now. */
  readonly bytes: number;
  /** Gives memory back. @param bytes how much is wanted. @returns how much it was. */
  shrink(bytes: number): number;
}

export class MemoryPools {
  readonly #pools: MemoryPool[] = [];

  get bytes(): number {
    let sum = 0;
    for (let i = 0; i < this.#pools.length; i++) sum += this.#pools[i].bytes;
    return sum;
  }

  add(pool: MemoryPool): void {
    this.#pools.push(pool);
  }

  remove(pool: MemoryPool): void {
    const at = this.#pools.indexOf(pool);
    if (at >= 0) this.#pools.splice(at, 1);
  }

  /** Takes back up to `bytes`. */
  shrink(bytes: number): void {
    let wanted = bytes;
    for (let i = 0; i < this.#pools.length && wanted > 0; i++) wanted -= this.#pools[i].shrink(wanted);
  }
}
