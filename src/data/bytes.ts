// Copying bytes on the hot path. Anyone may import it.

/** Copies a range; short ones byte by byte, which is faster than setting a view up. Not within one range that overlaps. */
export function copyBytes(
  to: Uint8Array,
  toOffset: number,
  from: Uint8Array,
  fromOffset: number,
  length: number,
): void {
  if (length > 96) to.set(from.subarray(fromOffset, fromOffset + length), toOffset);
  else for (let i = 0; i < length; i++) to[toOffset + i] = from[fromOffset + i];
}
