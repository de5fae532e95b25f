// Handles name elements of a hash, set or sorted set without allocating: an entry's ref in a table, an entry's offset in a
// listpack, an index in an intset. They hold until the collection changes. This file draws samples and walks tables.
// For src/data/; eviction draws its samples with `below` too.
import { type Dict, EntryList } from './dict.ts';

/** Where randomness comes from. */
export interface RandomInts {
  int32(): number;
}

/** A whole number in [0, limit), limit up to 2^32. */
export function below(limit: number, random: RandomInts): number {
  return Math.floor(((random.int32() >>> 0) / 0x1_0000_0000) * limit);
}

/** One step of a walk over a table that does not change: start at 0, end at -1. */
export function walkDict(dict: Dict, position: number, out: EntryList): number {
  dict.bucketEntries(position, out);
  return position + 1 < dict.bucketCount ? position + 1 : -1;
}

/** Appends `count` different entries of a table, each subset as likely as any other; count <= size. */
export function sampleDict(dict: Dict, count: number, random: RandomInts, out: EntryList): void {
  if (count * 3 > dict.size) {
    all.length = 0;
    for (let at = 0; at !== -1; ) at = walkDict(dict, at, all);
    takeSample(all, count, random, out);
    if (all.refs.length > 65536) all.refs = new Int32Array(64);
    return;
  }
  const seen = new Set<number>();
  while (seen.size < count) {
    const ref = dict.random(random);
    if (seen.has(ref)) continue;
    seen.add(ref);
    out.push(ref);
  }
}

/** Appends `count` of `from`'s handles, in random order; `from` is shuffled. */
export function takeSample(from: EntryList, count: number, random: RandomInts, out: EntryList): void {
  const { refs, length } = from;
  for (let i = 0; i < count; i++) {
    const drawn = i + below(length - i, random);
    const handle = refs[drawn];
    refs[drawn] = refs[i];
    refs[i] = handle;
    out.push(handle);
  }
}

const all = new EntryList();
