// Memory for the dataset: starts at a cache line, which the C library's allocator does not promise, so that a bucket of a table
// fills one and not parts of two; in huge pages where the kernel has them, since nobody forks here and a look-up at
// random needs a page table's entry for each page. For src/server.ts.
import { addressOf, adviseHugePages } from './libc.ts';

const CACHE_LINE_BYTES = 64;

export const datasetMemory = {
  /** Zeroed bytes; the kernel backs what was touched. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    const buffer = new ArrayBuffer(bytes + CACHE_LINE_BYTES);
    const address = Number(addressOf(new Uint8Array(buffer)));
    adviseHugePages(address, buffer.byteLength);
    return new Uint8Array(buffer, (CACHE_LINE_BYTES - (address % CACHE_LINE_BYTES)) % CACHE_LINE_BYTES, bytes);
  },
};
