// The replication stream, kept once for all: replicas read on from where they are, and what lies behind the slowest of
// them is the backlog from which one that was away goes on. A list of blocks; a block goes when nobody reads it and the
// backlog is longer than `repl-backlog-size` without it. Only src/replication/ and src/handover/dataset.ts
// import this file.

export interface Block {
  readonly bytes: Uint8Array;
  used: number;
  /** Offset in the stream of the first byte. */
  start: number;
  next: Block | null;
  /** Readers whose next byte is in here. */
  readers: number;
}

const BLOCK_MIN = 16 * 1024;
/** What V8 and the allocator need for a block beside its bytes, about. */
const BLOCK_OVERHEAD = 96;
/** A replica that was far behind and is gone must not stop the server for all that it held. */
const TRIMMED_AT_ONCE = 64;

/** Someone's place in the stream. */
export class StreamReader {
  readonly #stream: StreamBuffer;
  block: Block | null = null;
  /** In the block: the next byte to read. */
  position = 0;

  constructor(stream: StreamBuffer) {
    this.#stream = stream;
  }

  /** Bytes that are there to be read. */
  get pending(): number {
    const { block } = this;
    return block === null ? 0 : this.#stream.offset - (block.start + this.position) + 1;
  }

  /** Memory that this reader keeps from being freed, if it has something to read. */
  get heldBytes(): number {
    const { block } = this;
    return block === null || this.pending === 0 ? 0 : this.#stream.bytesFrom(block);
  }

  place(block: Block | null, position: number): void {
    if (this.block !== null) this.block.readers--;
    this.block = block;
    this.position = position;
    if (block !== null) block.readers++;
  }

  /** Goes on to the next block, if there is one. */
  advance(): boolean {
    const next = this.block?.next ?? null;
    if (next === null) return false;
    this.place(next, 0);
    this.#stream.trim();
    return true;
  }

  close(): void {
    this.place(null, 0);
    this.#stream.removeReader(this);
  }
}

export class StreamBuffer {
  /** Number of the latest byte of the stream: `master_repl_offset`. */
  offset = 0;
  /** Whether anything is kept. */
  active = false;
  /** Bytes kept, and the offset of the first one. */
  length = 0;
  firstOffset = 0;
  /** Of all blocks. */
  memory = 0;
  /** `repl-backlog-size`. */
  limit: number;
  #first: Block | null = null;
  #last: Block | null = null;
  readonly #readers = new Set<StreamReader>();

  constructor(limit: number) {
    this.limit = limit;
  }

  create(): void {
    this.active = true;
    this.length = 0;
    this.firstOffset = this.offset + 1;
  }

  /** Forgets all. Nobody reads. */
  free(): void {
    this.active = false;
    this.#first = null;
    this.#last = null;
    this.length = 0;
    this.firstOffset = 0;
    this.memory = 0;
  }

  /** The stream is one that began earlier: what is kept lies behind `base`. */
  rebase(base: number): void {
    for (let block = this.#first; block !== null; block = block.next) block.start += base;
    this.offset += base;
    this.firstOffset = this.offset - this.length + 1;
  }

  /** Appends to the stream. @returns whether a block was added. */
  append(bytes: Uint8Array, offset: number, length: number): boolean {
    if (!this.active) return false;
    let at = offset;
    let left = length;
    let added = 0;
    while (left > 0) {
      let last = this.#last;
      if (last === null || last.used === last.bytes.length) {
        last = this.#add(left);
        added++;
      }
      const taken = Math.min(left, last.bytes.length - last.used);
      last.bytes.set(bytes.subarray(at, at + taken), last.used);
      last.used += taken;
      at += taken;
      left -= taken;
      this.offset += taken;
      this.length += taken;
    }
    // As many as came, and some: a long command adds many blocks at a time.
    if (added > 0) this.trim(added + TRIMMED_AT_ONCE);
    return added > 0;
  }

  #add(wanted: number): Block {
    const most = Math.max(Math.floor(this.limit / 16), BLOCK_MIN);
    const size = Math.min(Math.max(wanted, BLOCK_MIN), most);
    const block: Block = { bytes: new Uint8Array(size), used: 0, start: this.offset + 1, next: null, readers: 0 };
    this.memory += size + BLOCK_OVERHEAD;
    if (this.#last === null) {
      this.#first = block;
      for (const reader of this.#readers) if (reader.block === null) reader.place(block, 0);
    } else this.#last.next = block;
    this.#last = block;
    return block;
  }

  /** Memory of a block and all behind it. */
  bytesFrom(block: Block): number {
    const last = this.#last!;
    return last.start + last.bytes.length - block.start;
  }

  /** Lets go of what is too old. */
  trim(most = TRIMMED_AT_ONCE): void {
    for (let trimmed = 0; this.length > this.limit && trimmed < most; trimmed++) {
      const first = this.#first;
      if (first === null || first.next === null || first.readers > 0) break;
      const size = first.bytes.length;
      if (this.length - size <= this.limit) break;
      this.length -= size;
      this.memory -= size + BLOCK_OVERHEAD;
      this.#first = first.next;
    }
    this.firstOffset = this.offset - this.length + 1;
  }

  /** Whether the stream can be read on from that offset. */
  holds(offset: number): boolean {
    return this.active && offset >= this.firstOffset && offset <= this.firstOffset + this.length;
  }

  /** A reader whose next byte is the one at `offset`, which is held or comes next. */
  readerAt(offset: number): StreamReader {
    const reader = new StreamReader(this);
    this.#readers.add(reader);
    let block = this.#first;
    while (block !== null && block.start + block.used < offset) block = block.next;
    if (block !== null) reader.place(block, offset - block.start);
    return reader;
  }

  /** A reader at another's place. */
  readerLike(other: StreamReader): StreamReader {
    const reader = new StreamReader(this);
    this.#readers.add(reader);
    reader.place(other.block, other.position);
    return reader;
  }

  removeReader(reader: StreamReader): void {
    this.#readers.delete(reader);
    if (this.active) this.trim();
  }
}
