// Bytes of a stack's state, written and read in order: integers, doubles, texts, ranges, and sections that a reader may
// skip. No alignment, big-endian as everything here. For stack/state and stack/tcp/connection-state.ts.

/** State that this version cannot read, or that does not fit here. */
export class StackStateError extends Error {
  readonly code = 'STACK_STATE';
}

const INITIAL_BYTES = 4096;

export class StateWriter {
  #bytes = new Uint8Array(INITIAL_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  int(value: number): void {
    // The room may come with other bytes to write to.
    const at = this.#room(4);
    this.#view.setInt32(at, value);
  }

  float(value: number): void {
    const at = this.#room(8);
    this.#view.setFloat64(at, value);
  }

  flag(value: boolean): void {
    const at = this.#room(1);
    this.#bytes[at] = value ? 1 : 0;
  }

  /** Latin-1, at most 255 characters: names. */
  name(text: string): void {
    const at = this.#room(1 + text.length);
    this.#bytes[at] = text.length;
    for (let i = 0; i < text.length; i++) this.#bytes[at + 1 + i] = text.charCodeAt(i);
  }

  /** A range with its length before it. */
  range(bytes: Uint8Array, offset: number, length: number): void {
    this.int(length);
    const at = this.#room(length);
    this.#bytes.set(bytes.subarray(offset, offset + length), at);
  }

  ints(values: ArrayLike<number>): void {
    this.int(values.length);
    for (let i = 0; i < values.length; i++) this.int(values[i]);
  }

  /** A part that readers find by its name, and skip when they do not know it. */
  section(name: string, write: () => void): void {
    this.name(name);
    const at = this.#room(4);
    const start = this.#length;
    write();
    this.#view.setInt32(at, this.#length - start);
  }

  /** Everything written; the writer is done with. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #room(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}

export class StateReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = start;
    this.#end = end;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end;
  }

  int(): number {
    return this.#view.getInt32(this.#take(4));
  }

  float(): number {
    return this.#view.getFloat64(this.#take(8));
  }

  flag(): boolean {
    return this.#bytes[this.#take(1)] !== 0;
  }

  name(): string {
    const length = this.#bytes[this.#take(1)];
    const at = this.#take(length);
    let text = '';
    for (let i = 0; i < length; i++) text += String.fromCharCode(this.#bytes[at + i]);
    return text;
  }

  /** A view of a range, not a copy. */
  range(): Uint8Array {
    const length = this.int();
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  ints(): Int32Array {
    const count = this.int();
    const values = new Int32Array(count);
    for (let i = 0; i < count; i++) values[i] = this.int();
    return values;
  }

  /** The sections from here to the end, by name. */
  sections(): Map<string, StateReader> {
    const found = new Map<string, StateReader>();
    while (!this.isAtEnd) {
      const name = this.name();
      const length = this.int();
      const at = this.#take(length);
      found.set(name, new StateReader(this.#bytes, at, at + length));
    }
    return found;
  }

  #take(length: number): number {
    const at = this.#at;
    if (length < 0 || at + length > this.#end) throw new StackStateError('the state ends in the middle');
    this.#at = at + length;
    return at;
  }
}
