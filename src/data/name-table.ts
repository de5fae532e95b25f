// Few things with names, in the order of their names' bytes: the consumer groups of a stream, the consumers of a group.
// Only src/data/ imports it.
import { compareBytes } from './element.ts';

export class NameTable<T extends { readonly name: Uint8Array }> {
  /** In order; not to be changed from outside. */
  readonly items: T[] = [];

  get size(): number {
    return this.items.length;
  }

  find(bytes: Uint8Array, offset: number, length: number): T | null {
    const index = this.#indexOf(bytes, offset, length);
    return index >= 0 ? this.items[index] : null;
  }

  /** @returns false when the name is taken. */
  add(item: T): boolean {
    const index = this.#indexOf(item.name, 0, item.name.length);
    if (index >= 0) return false;
    this.items.splice(-index - 1, 0, item);
    return true;
  }

  remove(item: T): void {
    this.items.splice(this.#indexOf(item.name, 0, item.name.length), 1);
  }

  /** @returns the index, or -1 - where it would be. */
  #indexOf(bytes: Uint8Array, offset: number, length: number): number {
    const { items } = this;
    let low = 0;
    let high = items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { name } = items[middle];
      const order = compareBytes(name, 0, name.length, bytes, offset, length);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1 - low;
  }
}
