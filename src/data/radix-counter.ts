// Counts the nodes of the radix tree that Redis builds over stream ids, which XINFO STREAM tells: a leaf for each key, a
// node wherever keys part, and one for each run of bytes that the keys below share. Only src/data/ imports it.
import { STREAM_ID_BYTES, type StreamId } from './stream-id.ts';

/** Takes the ids in ascending order. */
export class RadixCounter {
  #nodes = 0;
  #empty = true;
  /** Bytes shared by the keys below each node that is open, where keys part; -1: above the root. */
  readonly #forks = [-1];
  #key = new Uint8Array(STREAM_ID_BYTES);
  #before = new Uint8Array(STREAM_ID_BYTES);

  add(id: StreamId): void {
    id.encode(this.#key, 0);
    if (!this.#empty) {
      let shared = 0;
      while (this.#key[shared] === this.#before[shared]) shared++;
      this.#close(shared);
      if (this.#forks[this.#forks.length - 1] < shared) {
        this.#forks.push(shared);
        this.#nodes++;
      }
    }
    this.#empty = false;
    [this.#key, this.#before] = [this.#before, this.#key];
  }

  finish(): number {
    this.#close(-1);
    return this.#nodes;
  }

  /** The latest key and the forks deeper than `shared` get no more keys. */
  #close(shared: number): void {
    const forks = this.#forks;
    this.#nodes++;
    for (let depth = STREAM_ID_BYTES; ; depth = forks.pop() as number) {
      const above = forks[forks.length - 1];
      // One byte leads from a fork to what is below; more than one need a node of their own.
      if (depth > Math.max(above, shared) + 1) this.#nodes++;
      if (above <= shared) return;
    }
  }
}
