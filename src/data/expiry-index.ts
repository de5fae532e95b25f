// Which entries of a table expire, and when: one slot each, densely packed, so that expired ones are found without
// walking the table, and any of them can be drawn. The entry knows its slot, the slot its entry. Grows by chunks:
// no addition copies what is there. Anyone in src/ may import it.

const CHUNK_SHIFT = 12;
const CHUNK_SLOTS = 1 << CHUNK_SHIFT;
const CHUNK_MASK = CHUNK_SLOTS - 1;

export class ExpiryIndex {
  /** Slots 0 <= slot < size are in use. */
  size = 0;
  readonly #times: Float64Array[] = [];
  readonly #refs: Int32Array[] = [];

  /** Bytes held. */
  get memory(): number {
    return this.#times.length * CHUNK_SLOTS * 12;
  }

  /** @param time unix time, milliseconds. @returns the slot. */
  add(ref: number, time: number): number {
    const slot = this.size++;
    const chunk = slot >> CHUNK_SHIFT;
    if (chunk === this.#times.length) {
      this.#times.push(new Float64Array(CHUNK_SLOTS));
      this.#refs.push(new Int32Array(CHUNK_SLOTS));
    }
    this.#times[chunk][slot & CHUNK_MASK] = time;
    this.#refs[chunk][slot & CHUNK_MASK] = ref;
    return slot;
  }

  timeOf(slot: number): number {
    return this.#times[slot >> CHUNK_SHIFT][slot & CHUNK_MASK];
  }

  setTime(slot: number, time: number): void {
    this.#times[slot >> CHUNK_SHIFT][slot & CHUNK_MASK] = time;
  }

  refOf(slot: number): number {
    return this.#refs[slot >> CHUNK_SHIFT][slot & CHUNK_MASK];
  }

  /** The entry has moved to another ref. */
  setRef(slot: number, ref: number): void {
    this.#refs[slot >> CHUNK_SHIFT][slot & CHUNK_MASK] = ref;
  }

  /**
   * Frees a slot; the entry of the last slot moves into it.
   * @returns the entry that is now at `slot`, or 0 when `slot` was the last.
   */
  remove(slot: number): number {
    const last = --this.size;
    const chunks = this.#times.length;
    const moved = slot === last ? 0 : this.refOf(last);
    if (moved !== 0) {
      this.setTime(slot, this.timeOf(last));
      this.setRef(slot, moved);
    }
    // One spare chunk stays.
    if (chunks > 1 && last < (chunks - 2) << CHUNK_SHIFT) {
      this.#times.pop();
      this.#refs.pop();
    }
    return moved;
  }

  clear(): void {
    this.size = 0;
    this.#times.length = 0;
    this.#refs.length = 0;
  }
}
