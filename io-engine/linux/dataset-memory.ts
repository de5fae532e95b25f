// Memory for the dataset: starts at a cache line, which the C library's allocator does not promise, so that a bucket of a table
// fills one and not parts of two; in huge pages where the kernel has them, since nobody forks here and a look-up at
// random needs a page table's entry for each page; and unknown to V8's collector, which would otherwise mark its whole heap
// for every 64 MiB by which the dataset grows, although nothing in it can be collected. For src/server.ts.
import { addressOf, adviseHugePages } from './libc.ts';
import { externalMemory } from './v8-memory.ts';

const CACHE_LINE_BYTES = 64;

export const datasetMemory = {
  /** Zeroed bytes; the kernel backs what was touched. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    const buffer = new ArrayBuffer(bytes + CACHE_LINE_BYTES);
    const address = Number(addressOf(new Uint8Array(buffer)));
    adviseHugePages(address, buffer.byteLength);
    externalMemory.add(-buffer.byteLength);
    return new Uint8Array(buffer, (CACHE_LINE_BYTES - (address % CACHE_LINE_BYTES)) % CACHE_LINE_BYTES, bytes);
  },

  /** The collector hears of it again: it is to be found soon. */
  give(memory: Uint8Array): void {
    externalMemory.add(memory.buffer.byteLength);
  },
};
