// Blocks that grow and shrink with what is in them. The arena's size classes are close enough together that asking for
// the exact size costs few moves. Only src/data/ imports this file.
import { Arena } from './arena.ts';

/**
 * Makes room in a block.
 * @param used bytes to keep, from its start.
 * @returns the block, or the one it moved to.
 */
export function grow(arena: Arena, ref: number, used: number, needed: number): number {
  return needed <= arena.capacityOf(ref) ? ref : move(arena, ref, used, needed);
}

/** Whether a block has come to be twice as large as needed. */
export function hasShrunk(arena: Arena, ref: number, used: number): boolean {
  return used * 2 <= arena.capacityOf(ref) && used >= 32;
}

/** Gives back what a block no longer needs, once that is half of it. */
export function shrink(arena: Arena, ref: number, used: number): number {
  return hasShrunk(arena, ref, used) ? move(arena, ref, used, used) : ref;
}

/** Gives back whatever a block does not need: nothing will be added to it soon. */
export function giveBack(arena: Arena, ref: number, used: number): number {
  return arena.capacityOf(ref) > Arena.capacityFor(used) ? move(arena, ref, used, used) : ref;
}

function move(arena: Arena, ref: number, used: number, size: number): number {
  const moved = arena.alloc(size);
  const from = arena.offsetOf(ref);
  arena.bytesOf(moved).set(arena.bytesOf(ref).subarray(from, from + used), arena.offsetOf(moved));
  arena.free(ref);
  return moved;
}

/** A block with a copy of these bytes, which may lie in the arena themselves. */
export function store(arena: Arena, bytes: Uint8Array, offset: number, length: number): number {
  const ref = arena.alloc(length);
  arena.bytesOf(ref).set(bytes.subarray(offset, offset + length), arena.offsetOf(ref));
  return ref;
}
