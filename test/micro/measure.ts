// Small pieces of the hot path, measured so that a busy machine says the same as a quiet one: the time of a piece is a
// ratio to a fixed loop that runs in turn with it, the best of many short runs counts, and heap bytes are exact.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface Piece {
  readonly name: string;
  /** What one operation is. */
  readonly operation: string;
  /** Does it `count` times. */
  readonly run: (count: number) => void;
}

export interface Measured {
  readonly name: string;
  /** Of one operation. */
  readonly ns: number;
  /** Of one turn of the reference loop, in the same seconds. */
  readonly referenceNs: number;
  /** Turns of the reference loop that one operation is worth. */
  readonly turns: number;
  /** V8's heap, per operation. */
  readonly heapBytes: number;
}

/** A run is about this long: shorter than the scheduler's slice, so that many have the core for themselves. */
const RUN_NS = 1_000_000;
const RUNS = 40;
const WARM_UP_MS = 150;
const HEAP_OPERATIONS = 4000;
const HEAP_RUNS_MAX = 12;

const bytes = new Uint8Array(4096).map((_, i) => i * 31);
let sink = 0;

/** The fixed loop: loads, multiplications and branches over four kilobytes. A turn is one byte. */
function reference(turns: number): void {
  let hash = sink;
  for (let i = 0; i < turns; i++) {
    hash = Math.imul(hash ^ bytes[i & 4095], 0x01000193);
    if ((hash & 0x700) === 0) hash ^= hash >>> 13;
  }
  sink = hash;
}

function nsOf(run: (count: number) => void, count: number): number {
  const start = performance.now();
  run(count);
  return ((performance.now() - start) * 1e6) / count;
}

/** How often `run` has to be done for a run's length, once it is compiled. */
function calibrate(run: (count: number) => void): number {
  let count = 1;
  const end = performance.now() + WARM_UP_MS;
  while (performance.now() < end) {
    const ns = nsOf(run, count) * count;
    if (ns < RUN_NS / 2) count *= 2;
  }
  return count;
}

export function measure({ name, run }: Piece): Measured {
  const count = calibrate(run);
  const turns = calibrate(reference);
  let ns = Number.POSITIVE_INFINITY;
  let referenceNs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < RUNS; i++) {
    ns = Math.min(ns, nsOf(run, count));
    referenceNs = Math.min(referenceNs, nsOf(reference, turns));
  }
  return { name, ns, referenceNs, turns: ns / referenceNs, heapBytes: heapBytesOf(run) };
}

/** The least of some runs: code that is compiled in between allocates too. */
function heapBytesOf(run: (count: number) => void): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < HEAP_RUNS_MAX && least > 0; i++) {
    collect();
    const none = heapUsed() - heapUsed();
    const before = heapUsed();
    run(HEAP_OPERATIONS);
    // What asking costs is not the operation's.
    least = Math.min(least, Math.max(0, heapUsed() - before + none));
  }
  return least / HEAP_OPERATIONS;
}

function heapUsed(): number {
  return process.memoryUsage().heapUsed;
}
