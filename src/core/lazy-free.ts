// Memory that is given back behind a command's back: UNLINK, FLUSHALL ASYNC and the lazyfree-* settings hand over what
// they took out of the keyspace, and it is freed in slices between ticks, so that no size of it holds clients up.
// The keyspace owns one; without a server around it everything is freed at once.
import type { Collection } from '../data/collection.ts';
import type { Dict } from '../data/dict.ts';

/** Freeing a value of fewer elements is quicker than putting it off. */
const EFFORT_MIN = 64;
const SLICE_US = 1000;
/** Elements or buckets between two looks at the clock. */
const STEP = 256;

/** Something whose memory can be given back in steps. */
export interface Discarded {
  /** What INFO counts: keys or values. */
  readonly objects: number;
  /** @returns whether it is done. */
  releaseSome(steps: number): boolean;
}

export interface LazyFreeRuntime {
  readonly soon: (task: () => void) => void;
  /** Microseconds; only differences mean something. */
  readonly stopwatch: () => number;
}

export class LazyFree {
  /** Objects that wait, and those freed so far. */
  pending = 0;
  freed = 0;
  runtime: LazyFreeRuntime | null = null;
  readonly #waiting: Discarded[] = [];
  #scheduled = false;

  /** Frees a value now or later, whichever is sooner done. */
  collection(value: Collection): void {
    if ((value.blocks ?? value.length) <= EFFORT_MIN || value.releaseSome === undefined) value.release();
    else this.add(new DiscardedValue(value));
  }

  add(discarded: Discarded): void {
    if (this.runtime === null) {
      while (!discarded.releaseSome(STEP));
      return;
    }
    this.pending += discarded.objects;
    this.#waiting.push(discarded);
    this.#schedule(this.runtime);
  }

  #schedule(runtime: LazyFreeRuntime): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    runtime.soon(() => {
      this.#scheduled = false;
      this.#slice(runtime);
    });
  }

  #slice(runtime: LazyFreeRuntime): void {
    const start = runtime.stopwatch();
    const waiting = this.#waiting;
    while (waiting.length > 0) {
      if (waiting[0].releaseSome(STEP)) {
        const { objects } = waiting[0];
        this.pending -= objects;
        this.freed += objects;
        waiting.shift();
      }
      if (runtime.stopwatch() - start > SLICE_US) break;
    }
    if (waiting.length > 0) this.#schedule(runtime);
  }
}

class DiscardedValue implements Discarded {
  readonly objects = 1;
  readonly #value: Collection;

  constructor(value: Collection) {
    this.#value = value;
  }

  releaseSome(steps: number): boolean {
    return this.#value.releaseSome!(steps);
  }
}

/** All keys of a database with their values. */
export class DiscardedKeys implements Discarded {
  readonly objects: number;
  readonly #dict: Dict;
  readonly #collections: (Collection | null)[];

  constructor(dict: Dict, collections: (Collection | null)[]) {
    this.objects = dict.size;
    this.#dict = dict;
    this.#collections = collections;
  }

  releaseSome(steps: number): boolean {
    const values = this.#collections;
    for (let rest = steps; rest > 0 && values.length > 0; ) {
      const value = values[values.length - 1];
      rest -= Math.min(value?.length ?? 1, steps);
      if (value?.releaseSome !== undefined) {
        if (!value.releaseSome(steps)) return false;
      } else value?.release();
      values.pop();
    }
    return values.length === 0 && this.#dict.releaseSome(steps);
  }
}
