// A bounded, sorted set of sequence ranges: what arrived out of order (RFC 9293 3.10.7.4), reported as SACK blocks (RFC
// 2018). Holds no data, only where it is. Used by stack/tcp.
import { atOrBefore, before, distance, earlier, later } from './sequence.ts';

/**
 * Ranges a set can hold; a range that would be one more is refused, and its data dropped and sent again. Slow start that
 * runs into a full queue leaves holes by the thousand; where very many connections have some, fewer have to do.
 */
export const RANGES_MAX = 4096;
export const RANGES_MAX_CROWDED = 512;
/** Room at first: most gaps are few. */
const RANGES_MIN = 16;

export class Assembler {
  count = 0;
  most = RANGES_MAX;
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
    const first = this.#firstEndingFrom(start);
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
    if (this.#grown[first] !== this.#turn) this.#grown[first] = ++this.#turn;
    return true;
  }

  /** The first range that does not end before `seq`. What comes lies mostly at the end of the last range or behind it. */
  #firstEndingFrom(seq: number): number {
    const { ends } = this;
    let high = this.count;
    if (high === 0 || before(ends[high - 1], seq)) return high;
    let low = 0;
    high--;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (before(ends[middle], seq)) low = middle + 1;
      else high = middle;
    }
    return low;
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
    const i = this.#firstEndingFrom((edge + 1) | 0);
    return i < this.count && atOrBefore(this.starts[i], edge) ? this.ends[i] : edge;
  }

  /** Bytes of `[start, end)` that the set covers. */
  covered(start: number, end: number): number {
    let bytes = 0;
    for (let i = this.#firstEndingFrom((start + 1) | 0); i < this.count && before(this.starts[i], end); i++) {
      bytes += distance(earlier(this.ends[i], end), later(this.starts[i], start));
    }
    return bytes;
  }

  /**
   * Index of the range that grew most recently among those that grew before turn `turn`; -1: none. Walking with
   * `turnOf` of the result gives SACK blocks in the order of RFC 2018 section 4.
   */
  mostRecent(turn: number): number {
    const best = Math.min(turn - 1, this.#turn);
    let found = -1;
    for (let i = this.count - 1; i >= 0; i--) {
      const grown = this.#grown[i];
      if (grown === best) return i;
      if (grown < best && (found < 0 || grown > this.#grown[found])) found = i;
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
    if (this.starts.length > RANGES_MAX_CROWDED) {
      this.starts = new Int32Array(RANGES_MIN);
      this.ends = new Int32Array(RANGES_MIN);
      this.#grown = new Int32Array(RANGES_MIN);
    }
  }

  #open(index: number): boolean {
    if (this.count >= this.most) return false;
    if (this.count === this.starts.length) this.#grow();
    this.#shift(index, index + 1);
    this.#grown[index] = -1;
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
    if (to === from) return;
    this.#shift(to, from);
    this.count -= to - from;
  }

  /** Moves the ranges from index `from` on to index `to`. */
  #shift(from: number, to: number): void {
    this.starts.copyWithin(to, from, this.count);
    this.ends.copyWithin(to, from, this.count);
    this.#grown.copyWithin(to, from, this.count);
  }
}
