// A bounded, sorted set of sequence ranges: what arrived out of order (RFC 9293 3.10.7.4), reported as SACK blocks (RFC
// 2018). Holds no data, only where it is. Used by stack/tcp.
import { after, atOrBefore, before, distance, earlier, later } from './sequence.ts';

/** Ranges a set can hold; a range that would be one more is refused, and its data dropped and sent again. */
export const RANGES_MAX = 512;
/** Room at first: most gaps are few. */
const RANGES_MIN = 16;

export class Assembler {
  count = 0;
  /** Range `i` is `[starts[i], ends[i])`; ascending, never touching each other. */
  starts = new Int32Array(RANGES_MIN);
  ends = new Int32Array(RANGES_MIN);
  /** Sum of the ranges' lengths. */
  total = 0;
  /** When each range last grew: larger is later. */
  #grown = new Int32Array(RANGES_MIN);
  #turn = 0;

  /** @returns false when there is no place for one more range: nothing was added. */
  add(start: number, end: number): boolean {
    // What comes lies mostly behind the last range: the search begins there.
    let first = this.count;
    while (first > 0 && !before(this.ends[first - 1], start)) first--;
    let last = first;
    while (last < this.count && atOrBefore(this.starts[last], end)) last++;
    if (last === first && !this.#open(first)) return false;
    const { starts, ends } = this;
    if (last > first) {
      for (let i = first; i < last; i++) this.total -= distance(ends[i], starts[i]);
      starts[first] = earlier(starts[first], start);
      ends[first] = later(ends[last - 1], end);
      this.#close(first + 1, last);
    } else {
      starts[first] = start;
      ends[first] = end;
    }
    this.total += distance(ends[first], starts[first]);
    this.#grown[first] = ++this.#turn;
    return true;
  }

  /** Forgets everything before `edge`. */
  removeBefore(edge: number): void {
    const { starts, ends } = this;
    let gone = 0;
    while (gone < this.count && atOrBefore(ends[gone], edge)) {
      this.total -= distance(ends[gone], starts[gone]);
      gone++;
    }
    if (gone > 0) this.#close(0, gone);
    if (this.count > 0 && before(starts[0], edge)) {
      this.total -= distance(edge, starts[0]);
      starts[0] = edge;
    }
  }

  /** Where the range that covers `edge` ends; `edge` itself when none does. */
  endOfRangeAt(edge: number): number {
    for (let i = 0; i < this.count && atOrBefore(this.starts[i], edge); i++) {
      if (after(this.ends[i], edge)) return this.ends[i];
    }
    return edge;
  }

  /** Start of the first range after `edge`; `limit` when there is none before it. */
  nextStart(edge: number, limit: number): number {
    for (let i = 0; i < this.count; i++) {
      if (after(this.starts[i], edge)) return earlier(this.starts[i], limit);
    }
    return limit;
  }

  /** Bytes of `[start, end)` that the set covers. */
  covered(start: number, end: number): number {
    let bytes = 0;
    for (let i = 0; i < this.count; i++) {
      const length = distance(earlier(this.ends[i], end), later(this.starts[i], start));
      if (length > 0) bytes += length;
    }
    return bytes;
  }

  /** End of the last range; only when `count` > 0. */
  get highest(): number {
    return this.ends[this.count - 1];
  }

  /**
   * Index of the range that grew most recently among those that grew before turn `turn`; -1: none. Walking with
   * `turnOf` of the result gives SACK blocks in the order of RFC 2018 section 4.
   */
  mostRecent(turn: number): number {
    let found = -1;
    for (let i = 0; i < this.count; i++) {
      if (this.#grown[i] < turn && (found < 0 || this.#grown[i] > this.#grown[found])) found = i;
    }
    return found;
  }

  turnOf(index: number): number {
    return this.#grown[index];
  }

  clear(): void {
    this.count = 0;
    this.total = 0;
    this.#turn = 0;
  }

  #open(index: number): boolean {
    if (this.count === RANGES_MAX) return false;
    if (this.count === this.starts.length) this.#grow();
    for (let i = this.count; i > index; i--) this.#move(i - 1, i);
    this.count++;
    return true;
  }

  #grow(): void {
    const larger = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const array = new Int32Array(old.length * 2);
      array.set(old);
      return array;
    };
    this.starts = larger(this.starts);
    this.ends = larger(this.ends);
    this.#grown = larger(this.#grown);
  }

  #close(from: number, to: number): void {
    const width = to - from;
    if (width === 0) return;
    for (let i = to; i < this.count; i++) this.#move(i, i - width);
    this.count -= width;
  }

  #move(from: number, to: number): void {
    this.starts[to] = this.starts[from];
    this.ends[to] = this.ends[from];
    this.#grown[to] = this.#grown[from];
  }
}
