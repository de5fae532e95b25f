// How many bytes a piece of work copies from one range of memory to another, short copies byte by byte aside.
import { vi } from 'vitest';

const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;

/** @returns bytes that `task` copied by `set` and `slice` of typed arrays. */
export function copiedBytes(task: () => void): number {
  let copied = 0;
  const { set, slice } = typedArray;
  const setting = vi.spyOn(typedArray, 'set').mockImplementation(function (this: Uint8Array, from, offset) {
    copied += from.length;
    set.call(this, from, offset);
  });
  const slicing = vi.spyOn(typedArray, 'slice').mockImplementation(function (this: Uint8Array, from, to) {
    const piece = slice.call(this, from, to);
    copied += piece.length;
    return piece;
  });
  try {
    task();
  } finally {
    setting.mockRestore();
    slicing.mockRestore();
  }
  return copied;
}
