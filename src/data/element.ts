// A byte range that a reader fills in: where the current element of a collection lies. Integers kept in binary are
// spelled out into the record's own scratch bytes, so whoever reads an element only ever sees bytes. Anyone may import it.
import { INT64_DIGITS_MAX, writeInt64 } from './int64.ts';

/** Receives elements in place; a ReplyWriter is one. */
export interface ElementSink {
  bulk(bytes: Uint8Array, offset: number, length: number): void;
}

/** Valid until the collection it came from changes, or until the record is filled again. */
export class Element {
  bytes: Uint8Array = new Uint8Array(0);
  offset = 0;
  length = 0;
  readonly #digits = new Uint8Array(INT64_DIGITS_MAX);

  set(bytes: Uint8Array, offset: number, length: number): void {
    this.bytes = bytes;
    this.offset = offset;
    this.length = length;
  }

  setInteger(high: number, low: number): void {
    this.length = writeInt64(high, low, this.#digits, 0);
    this.bytes = this.#digits;
    this.offset = 0;
  }

  copy(): Uint8Array {
    return this.bytes.slice(this.offset, this.offset + this.length);
  }

  equals(bytes: Uint8Array, offset: number, length: number): boolean {
    return this.length === length && compareBytes(this.bytes, this.offset, length, bytes, offset, length) === 0;
  }
}

/** memcmp, then the shorter first. @returns negative, 0 or positive. */
export function compareBytes(
  a: Uint8Array,
  aOffset: number,
  aLength: number,
  b: Uint8Array,
  bOffset: number,
  bLength: number,
): number {
  const common = Math.min(aLength, bLength);
  for (let i = 0; i < common; i++) {
    const difference = a[aOffset + i] - b[bOffset + i];
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}
