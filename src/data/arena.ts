// Off-heap memory for the dataset: V8's collector never sees it, and `used` is exact. Memory comes in 16 MiB segments,
// allocated on demand (larger ones take the kernel longer than a tick may last); a ref names a block by its 16-byte
// granule, so a positive int32 reaches 32 GiB. Segments are cut into 8 KiB pages; blocks up to 32 KiB live in slabs
// (runs of pages that hold one size), larger ones in page runs of their own, blocks beyond a segment in a buffer of
// their own, with addresses to grow into where it was asked for. Anyone in src/ may import it.

const GRANULE_SHIFT = 4;
/** Bits of a ref below the segment's index. Who reads blocks on a hot path makes a constant of its own from it. */
export const SEGMENT_SHIFT = 20;
const SEGMENT_GRANULES = 1 << SEGMENT_SHIFT;
/** Of every segment but those of a single block. */
export const SEGMENT_BYTES = SEGMENT_GRANULES << GRANULE_SHIFT;
const SEGMENTS_MAX = 1 << (31 - SEGMENT_SHIFT);
const PAGE_SHIFT = 9; // granules
const PAGE_BYTES = 1 << (PAGE_SHIFT + GRANULE_SHIFT);
const PAGES_SHIFT = SEGMENT_SHIFT - PAGE_SHIFT;
const SEGMENT_PAGES = 1 << PAGES_SHIFT;
const PAGE_MASK = SEGMENT_PAGES - 1;

/** Classes of 16 bytes' distance up to 512 bytes, then eight a doubling. */
const SMALL_MAX = 512;
const SLAB_BLOCK_MAX = 32 * 1024;
const SMALL_CLASSES = SMALL_MAX >> GRANULE_SHIFT;
const CLASSES = SMALL_CLASSES + 1 + 8 * 6;

// Page records, STRIDE int32 a page; all but HEAD matter on the first page of a run only.
const STRIDE = 8;
const STATE = 0; // class number of a slab, or one of the three below
const PAGES = 1; // length of the run; on the last page of a free run too
const NEXT = 2; // neighbours in the list of free runs or of slabs with room, as page numbers
const PREVIOUS = 3;
const FREE_BLOCK = 4; // ref of the first free block of a slab
const BLOCKS = 5; // blocks in use
const FRESH = 6; // blocks ever handed out: those behind have never been touched
const HEAD = 7; // page number of the slab's first page

const STATE_NONE = 0;
const STATE_FREE = -1;
const STATE_RUN = -2;
const STATE_OWN_BUFFER = -3;

/** Addresses for a buffer of a block that grows: what a string may have unless `proto-max-bulk-len` is raised. */
const REACH_BYTES = 512 << 20;

/** Bytes of a block of each class. */
const CLASS_BYTES = new Int32Array(CLASSES);
const CLASS_SLAB_PAGES = new Int32Array(CLASSES);
const CLASS_BLOCKS = new Int32Array(CLASSES);

for (let i = 1; i < CLASSES; i++) {
  const large = i - SMALL_CLASSES - 1;
  const size = i <= SMALL_CLASSES ? i << GRANULE_SHIFT : (SMALL_MAX << (large >> 3)) * (1 + ((large & 7) + 1) / 8);
  const pages = size <= 2048 ? 8 : 32;
  CLASS_BYTES[i] = size;
  CLASS_SLAB_PAGES[i] = pages;
  CLASS_BLOCKS[i] = Math.floor((pages * PAGE_BYTES) / size);
}

/** Class of a block of `size` bytes, 1 <= size <= SLAB_BLOCK_MAX. */
function classOf(size: number): number {
  if (size <= SMALL_MAX) return (size + 15) >> GRANULE_SHIFT;
  const doubling = 22 - Math.clz32(size - 1); // 0 for 513..1024
  return SMALL_CLASSES + 1 + (doubling << 3) + ((((size - 1) >> (doubling + 6)) & 7) | 0);
}

/** Free runs are kept in lists by length: exact up to 16 pages, then by power of two. */
const EXACT_BINS = 16;
const BINS = 32;
function binOf(pages: number): number {
  return pages <= EXACT_BINS ? pages - 1 : 43 - Math.clz32(pages); // 17..31 -> 16
}

function pagesFor(size: number): number {
  return Math.ceil(size / PAGE_BYTES);
}

const NO_BYTES = new Uint8Array(0);
const NO_WORDS = new Int32Array(0);

export class ArenaFullError extends Error {
  readonly code = 'ARENA_FULL';
}

/** Where segments come from. */
export interface SegmentSource {
  /** Zeroed memory of that many bytes. */
  take(bytes: number): Uint8Array<ArrayBuffer>;
  /** What nobody reads any more; absent: it is left to V8's collector. */
  give?(memory: Uint8Array<ArrayBuffer>): void;
}

const plainMemory: SegmentSource = { take: (bytes) => new Uint8Array(bytes) };

export class Arena {
  // Index 0 stays empty, so that 0 is neither a ref nor a page number.
  /** Segment by index, as bytes and as int32: block `ref` starts at byte `offsetOf(ref)` of `segments[ref >> SEGMENT_SHIFT]`. */
  readonly segments: Uint8Array<ArrayBuffer>[] = [NO_BYTES];
  readonly words: Int32Array[] = [NO_WORDS];
  /** Bytes of all blocks in use, each rounded up to its class. */
  used = 0;
  /** Of `used`: bytes that nothing but a snapshot needs, about; they are free when it is written. */
  held = 0;
  /** How many keep blocks here: with a single one, `reset` is a way to free all of them. */
  tenants = 0;
  /** Bytes of all segments, without addresses to grow into; the kernel backs only pages that were touched. */
  reserved = 0;
  /** Page records of each segment. */
  readonly #pages: Int32Array[] = [NO_WORDS];
  readonly #partial = new Int32Array(CLASSES);
  readonly #bins = new Int32Array(BINS);
  /** Segment indices whose memory was given back. */
  readonly #vacant: number[] = [];
  readonly #source: SegmentSource;

  /** @param source of the segments: what it gives should start at a cache line, for blocks that fill one. */
  constructor(source: SegmentSource = plainMemory) {
    this.#source = source;
  }

  /** @returns ref of a block of at least `size` bytes, not cleared. @throws ArenaFullError beyond 32 GiB. */
  alloc(size: number): number {
    if (size > SLAB_BLOCK_MAX) return this.#allocRun(size);
    const sizeClass = size > 0 ? classOf(size) : 1;
    let slab = this.#partial[sizeClass];
    if (slab === 0) slab = this.#addSlab(sizeClass);
    const segment = slab >> PAGES_SHIFT;
    const pages = this.#pages[segment];
    const record = (slab & PAGE_MASK) * STRIDE;
    let ref = pages[record + FREE_BLOCK];
    if (ref !== 0) {
      pages[record + FREE_BLOCK] = this.words[segment][(ref & (SEGMENT_GRANULES - 1)) << 2];
    } else {
      ref = (slab << PAGE_SHIFT) + pages[record + FRESH]++ * (CLASS_BYTES[sizeClass] >> GRANULE_SHIFT);
    }
    if (++pages[record + BLOCKS] === CLASS_BLOCKS[sizeClass]) this.#unlinkSlab(slab, sizeClass);
    this.used += CLASS_BYTES[sizeClass];
    return ref;
  }

  /**
   * A block that will grow.
   * @param room bytes behind `size` for that. A block beyond a segment has none: it gets addresses instead, behind which
   * there is no memory before `extend` takes it.
   */
  allocGrowing(size: number, room: number): number {
    return size + room > SEGMENT_BYTES ? this.#allocOwnBuffer(pagesFor(size), true) : this.alloc(size + room);
  }

  /**
   * Makes a block longer where it is, if there is nothing behind it.
   * @param room more bytes, if they are free as well: each time costs as much as the next.
   * @returns false: it has to move.
   */
  extend(ref: number, size: number, room: number): boolean {
    const segment = ref >> SEGMENT_SHIFT;
    const pages = this.#pages[segment];
    const record = ((ref >> PAGE_SHIFT) & PAGE_MASK) * STRIDE;
    const state = pages[record + STATE];
    // A block of a slab may lie on another page than the slab's first.
    if (pages[record + HEAD] !== ref >> PAGE_SHIFT || state >= STATE_NONE) return false;
    const needed = pagesFor(size) - pages[record + PAGES];
    if (state === STATE_RUN) return this.#extendRun(segment, record, needed, needed + pagesFor(room));
    if (size > this.segments[segment].length) return false;
    pages[record + PAGES] += needed;
    this.used += needed * PAGE_BYTES;
    this.reserved += needed * PAGE_BYTES;
    return true;
  }

  #extendRun(segment: number, record: number, needed: number, wanted: number): boolean {
    const pages = this.#pages[segment];
    const behind = record / STRIDE + pages[record + PAGES];
    if (behind >= SEGMENT_PAGES || pages[behind * STRIDE + STATE] !== STATE_FREE) return false;
    const free = pages[behind * STRIDE + PAGES];
    if (free < needed) return false;
    const taken = Math.min(free, wanted);
    this.#unlink(this.#bins, binOf(free), (segment << PAGES_SHIFT) + behind);
    if (free > taken) this.#setFree((segment << PAGES_SHIFT) + behind + taken, free - taken);
    pages[(behind + taken - 1) * STRIDE + STATE] = STATE_NONE;
    pages[record + PAGES] += taken;
    this.used += taken * PAGE_BYTES;
    return true;
  }

  /** Gives a block back. Its size is known here; callers may name it for the reader's sake. */
  free(ref: number, _size?: number): void {
    const segment = ref >> SEGMENT_SHIFT;
    const pages = this.#pages[segment];
    const head = pages[((ref >> PAGE_SHIFT) & PAGE_MASK) * STRIDE + HEAD];
    const record = (head & PAGE_MASK) * STRIDE;
    const sizeClass = pages[record + STATE];
    if (sizeClass <= 0) {
      this.#freeRun(head, pages, record);
      return;
    }
    this.words[segment][(ref & (SEGMENT_GRANULES - 1)) << 2] = pages[record + FREE_BLOCK];
    pages[record + FREE_BLOCK] = ref;
    this.used -= CLASS_BYTES[sizeClass];
    const blocks = --pages[record + BLOCKS];
    if (blocks === CLASS_BLOCKS[sizeClass] - 1) this.#linkSlab(head, sizeClass);
    // One empty slab a class stays, so that a lone block that comes and goes costs nothing.
    if (blocks === 0 && (this.#partial[sizeClass] !== head || pages[record + NEXT] !== 0)) {
      this.#unlinkSlab(head, sizeClass);
      this.#releasePages(head, pages[record + PAGES]);
    }
  }

  /** Frees every block at once: no ref means anything any more. */
  reset(): void {
    for (let segment = 1; segment < this.segments.length; segment++) {
      if (this.segments[segment].length > 0) this.#dropSegment(segment);
    }
    this.#partial.fill(0);
    this.#bins.fill(0);
    this.used = 0;
    this.held = 0;
  }

  /** Gives wholly empty segments back to the system: one is kept otherwise. */
  trim(): void {
    const bin = binOf(SEGMENT_PAGES);
    for (let head = this.#bins[bin]; head !== 0; ) {
      const pages = this.#pages[head >> PAGES_SHIFT];
      const record = (head & PAGE_MASK) * STRIDE;
      const next = pages[record + NEXT];
      if (pages[record + PAGES] === SEGMENT_PAGES) {
        this.#unlink(this.#bins, bin, head);
        this.#dropSegment(head >> PAGES_SHIFT);
      }
      head = next;
    }
  }

  /** The segment that holds block `ref`. */
  bytesOf(ref: number): Uint8Array {
    return this.segments[ref >> SEGMENT_SHIFT];
  }

  /** Where block `ref` starts in `bytesOf(ref)`, bytes. */
  offsetOf(ref: number): number {
    return (ref & (SEGMENT_GRANULES - 1)) << GRANULE_SHIFT;
  }

  /** Bytes that block `ref` really has. */
  capacityOf(ref: number): number {
    const pages = this.#pages[ref >> SEGMENT_SHIFT];
    const head = pages[((ref >> PAGE_SHIFT) & PAGE_MASK) * STRIDE + HEAD];
    const record = (head & PAGE_MASK) * STRIDE;
    const sizeClass = pages[record + STATE];
    return sizeClass > 0 ? CLASS_BYTES[sizeClass] : pages[record + PAGES] * PAGE_BYTES;
  }

  /** What `capacityOf(alloc(size))` will be. */
  static capacityFor(size: number): number {
    if (size > SLAB_BLOCK_MAX) return pagesFor(size) * PAGE_BYTES;
    return CLASS_BYTES[size > 0 ? classOf(size) : 1];
  }

  #addSlab(sizeClass: number): number {
    const count = CLASS_SLAB_PAGES[sizeClass];
    const head = this.#takePages(count);
    const pages = this.#pages[head >> PAGES_SHIFT];
    const record = (head & PAGE_MASK) * STRIDE;
    pages[record + STATE] = sizeClass;
    pages[record + PAGES] = count;
    pages[record + FREE_BLOCK] = 0;
    pages[record + BLOCKS] = 0;
    pages[record + FRESH] = 0;
    for (let i = 0; i < count; i++) pages[record + i * STRIDE + HEAD] = head;
    this.#linkSlab(head, sizeClass);
    return head;
  }

  #linkSlab(head: number, sizeClass: number): void {
    this.#link(this.#partial, sizeClass, head);
  }

  #unlinkSlab(head: number, sizeClass: number): void {
    this.#unlink(this.#partial, sizeClass, head);
  }

  #link(lists: Int32Array, list: number, head: number): void {
    const first = lists[list];
    const pages = this.#pages[head >> PAGES_SHIFT];
    const record = (head & PAGE_MASK) * STRIDE;
    pages[record + NEXT] = first;
    pages[record + PREVIOUS] = 0;
    if (first !== 0) this.#pages[first >> PAGES_SHIFT][(first & PAGE_MASK) * STRIDE + PREVIOUS] = head;
    lists[list] = head;
  }

  #unlink(lists: Int32Array, list: number, head: number): void {
    const pages = this.#pages[head >> PAGES_SHIFT];
    const record = (head & PAGE_MASK) * STRIDE;
    const next = pages[record + NEXT];
    const previous = pages[record + PREVIOUS];
    if (next !== 0) this.#pages[next >> PAGES_SHIFT][(next & PAGE_MASK) * STRIDE + PREVIOUS] = previous;
    if (previous !== 0) this.#pages[previous >> PAGES_SHIFT][(previous & PAGE_MASK) * STRIDE + NEXT] = next;
    else lists[list] = next;
  }

  #allocRun(size: number): number {
    const count = pagesFor(size);
    if (count > SEGMENT_PAGES) return this.#allocOwnBuffer(count, false);
    const head = this.#takePages(count);
    const pages = this.#pages[head >> PAGES_SHIFT];
    const record = (head & PAGE_MASK) * STRIDE;
    pages[record + STATE] = STATE_RUN;
    pages[record + PAGES] = count;
    pages[record + HEAD] = head;
    this.used += count * PAGE_BYTES;
    return head << PAGE_SHIFT;
  }

  #allocOwnBuffer(count: number, reaching: boolean): number {
    const bytes = count * PAGE_BYTES;
    const segment = this.#newSegment(bytes, reaching ? this.#takeReaching(bytes) : this.#source.take(bytes));
    const pages = this.#pages[segment];
    pages[STATE] = STATE_OWN_BUFFER;
    pages[PAGES] = count;
    pages[HEAD] = segment << PAGES_SHIFT;
    this.used += count * PAGE_BYTES;
    return segment << SEGMENT_SHIFT;
  }

  #freeRun(head: number, pages: Int32Array, record: number): void {
    const count = pages[record + PAGES];
    this.used -= count * PAGE_BYTES;
    if (pages[record + STATE] === STATE_OWN_BUFFER) this.#dropSegment(head >> PAGES_SHIFT);
    else this.#releasePages(head, count);
  }

  /** First page of a run of `count` pages cut from the smallest free run that a short look finds. */
  #takePages(count: number): number {
    let head = this.#findRun(count);
    if (head === 0) {
      head = this.#newSegment(SEGMENT_BYTES, this.#source.take(SEGMENT_BYTES)) << PAGES_SHIFT;
      this.#setFree(head, SEGMENT_PAGES);
    }
    const pages = this.#pages[head >> PAGES_SHIFT];
    const record = (head & PAGE_MASK) * STRIDE;
    const found = pages[record + PAGES];
    this.#unlink(this.#bins, binOf(found), head);
    if (found > count) this.#setFree(head + count, found - count);
    pages[record + (count - 1) * STRIDE + STATE] = STATE_NONE;
    return head;
  }

  #findRun(count: number): number {
    const bins = this.#bins;
    let bin = binOf(count);
    if (count > EXACT_BINS) {
      // Runs of this bin may be too short: look at a few, then take from a bin where any run is long enough.
      let head = bins[bin];
      for (let tries = 0; head !== 0 && tries < 8; tries++) {
        const pages = this.#pages[head >> PAGES_SHIFT];
        const record = (head & PAGE_MASK) * STRIDE;
        if (pages[record + PAGES] >= count) return head;
        head = pages[record + NEXT];
      }
      bin++;
    }
    for (; bin < BINS; bin++) if (bins[bin] !== 0) return bins[bin];
    return 0;
  }

  /** Gives pages back, joined with free neighbours; a second wholly empty segment goes back to the system. */
  #releasePages(head: number, count: number): void {
    const segment = head >> PAGES_SHIFT;
    const pages = this.#pages[segment];
    let first = head & PAGE_MASK;
    let length = count;
    const behind = first + count;
    if (behind < SEGMENT_PAGES && pages[behind * STRIDE + STATE] === STATE_FREE) {
      const joined = pages[behind * STRIDE + PAGES];
      this.#unlink(this.#bins, binOf(joined), (segment << PAGES_SHIFT) + behind);
      length += joined;
    }
    if (first > 0 && pages[(first - 1) * STRIDE + STATE] === STATE_FREE) {
      const joined = pages[(first - 1) * STRIDE + PAGES];
      first -= joined;
      length += joined;
      this.#unlink(this.#bins, binOf(joined), (segment << PAGES_SHIFT) + first);
    }
    if (length === SEGMENT_PAGES && this.#bins[binOf(SEGMENT_PAGES)] !== 0) this.#dropSegment(segment);
    else this.#setFree((segment << PAGES_SHIFT) + first, length);
  }

  /** Marks a run free at both its ends, so that a neighbour finds it, and lists it. */
  #setFree(head: number, count: number): void {
    const pages = this.#pages[head >> PAGES_SHIFT];
    const record = (head & PAGE_MASK) * STRIDE;
    const last = record + (count - 1) * STRIDE;
    pages[record + STATE] = STATE_FREE;
    pages[record + PAGES] = count;
    pages[last + STATE] = STATE_FREE;
    pages[last + PAGES] = count;
    this.#link(this.#bins, binOf(count), head);
  }

  /** Memory with addresses behind it, as many as there are to be had. */
  #takeReaching(bytes: number): Uint8Array<ArrayBuffer> {
    for (const reach of [REACH_BYTES, bytes * 2]) {
      if (reach <= bytes) continue;
      try {
        return this.#source.take(reach);
      } catch {
        // The system limits addresses, or promises no more memory than it has.
      }
    }
    return this.#source.take(bytes);
  }

  #newSegment(bytes: number, memory: Uint8Array<ArrayBuffer>): number {
    const segment = this.#vacant.pop() ?? this.segments.length;
    if (segment === SEGMENTS_MAX) throw new ArenaFullError('The dataset cannot grow beyond 32 GiB');
    this.segments[segment] = memory;
    this.words[segment] = new Int32Array(memory.buffer, memory.byteOffset, memory.length >> 2);
    this.#pages[segment] = new Int32Array((bytes === SEGMENT_BYTES ? SEGMENT_PAGES : 1) * STRIDE);
    this.reserved += bytes;
    return segment;
  }

  #dropSegment(segment: number): void {
    const memory = this.segments[segment];
    const pages = this.#pages[segment];
    this.reserved -= pages[STATE] === STATE_OWN_BUFFER ? pages[PAGES] * PAGE_BYTES : SEGMENT_BYTES;
    this.segments[segment] = NO_BYTES;
    this.words[segment] = NO_WORDS;
    this.#pages[segment] = NO_WORDS;
    this.#vacant.push(segment);
    this.#source.give?.(memory);
  }
}
