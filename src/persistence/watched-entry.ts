// The block of a table's entry for as long as a save wants its value as it is now: the table's own, and the save's once the
// entry moves or goes, so that nothing of it needs a copy. Imported by string-saving.ts and table-saving.ts.
import type { Dict, ValueWatcher } from '../data/dict.ts';

export class WatchedEntry implements ValueWatcher {
  readonly ref: number;
  readonly beforeWrite: (from: number, to: number) => void;
  readonly #dict: Dict;
  #isTaken = false;

  /** @param beforeWrite these bytes of the value are going to be written over. */
  constructor(dict: Dict, ref: number, beforeWrite: (from: number, to: number) => void) {
    this.ref = ref;
    this.beforeWrite = beforeWrite;
    this.#dict = dict;
    dict.watchValue(ref, this);
  }

  taken(): void {
    const { arena } = this.#dict;
    this.#isTaken = true;
    arena.held += arena.capacityOf(this.ref);
  }

  /** The value is not wanted any more. */
  release(): void {
    const { arena } = this.#dict;
    if (!this.#isTaken) {
      this.#dict.unwatchValue(this.ref);
      return;
    }
    arena.held -= arena.capacityOf(this.ref);
    arena.free(this.ref);
  }
}
