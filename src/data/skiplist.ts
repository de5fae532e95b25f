// A skip list in arena memory, ordered by score and then by member bytes, with spans so that ranks cost O(log n). Nodes
// point at the entries of the sorted set's table, which own the member bytes. Only src/data/ imports it.
//
// Node, int32 words: entry, node before, score (a double, two words), then a pair (node behind, span) per level.
import { SEGMENT_SHIFT as ARENA_SEGMENT_SHIFT, type Arena } from './arena.ts';
import type { Dict } from './dict.ts';
import { compareBytes } from './element.ts';

const LEVELS_MAX = 32;
const ENTRY = 0;
const BACKWARD = 1;
const SCORE = 2;
const LEVEL = 4;
const SEGMENT_SHIFT = ARENA_SEGMENT_SHIFT;
const GRANULE_MASK = (1 << SEGMENT_SHIFT) - 1;

const scratch = new Float64Array(1);
const scratchWords = new Int32Array(scratch.buffer);

// The way down to a place: the last node before it on each level, and that node's rank. Reused by every operation.
const path = new Int32Array(LEVELS_MAX);
const pathRanks = new Float64Array(LEVELS_MAX);

/** State of the level generator (xorshift32): balance is all that hangs on it. */
let levelState = 0x2545f491;

function randomLevel(): number {
  levelState ^= levelState << 13;
  levelState ^= levelState >>> 17;
  levelState ^= levelState << 5;
  let level = 1;
  for (let bits = levelState; (bits & 3) === 0 && level < LEVELS_MAX && bits !== 0; bits >>>= 2) level++;
  return level;
}

/** Puts a double into two int32 words. */
export function writeDouble(words: Int32Array, at: number, value: number): void {
  scratch[0] = value;
  words[at] = scratchWords[0];
  words[at + 1] = scratchWords[1];
}

export function readDouble(words: Int32Array, at: number): number {
  scratchWords[0] = words[at];
  scratchWords[1] = words[at + 1];
  return scratch[0];
}

export class Skiplist {
  readonly arena: Arena;
  readonly table: Dict;
  length = 0;
  tail = 0;
  /** Bytes of all nodes. */
  memory = 0;
  #levels = 1;
  /** A node without entry or score, with all levels. */
  readonly #header: number;
  /** Where `releaseSome` goes on; the header until then. */
  #unreleased: number;

  constructor(arena: Arena, table: Dict) {
    this.arena = arena;
    this.table = table;
    this.#header = this.#newNode(LEVELS_MAX);
    this.#unreleased = this.#header;
    const at = this.#at(this.#header);
    arena.words[this.#header >> SEGMENT_SHIFT].fill(0, at, at + LEVEL + 2 * LEVELS_MAX);
  }

  release(): void {
    while (!this.releaseSome(Number.POSITIVE_INFINITY));
  }

  /** Gives the memory of some nodes back. @returns whether that was all; nothing else may be called before. */
  releaseSome(nodes: number): boolean {
    for (let rest = nodes; rest > 0 && this.#unreleased !== 0; rest--) {
      const next = this.next(this.#unreleased);
      this.arena.free(this.#unreleased);
      this.#unreleased = next;
    }
    if (this.#unreleased !== 0) return false;
    this.length = 0;
    this.tail = 0;
    this.memory = 0;
    return true;
  }

  #newNode(levels: number): number {
    const node = this.arena.alloc((LEVEL + 2 * levels) * 4);
    this.memory += this.arena.capacityOf(node);
    return node;
  }

  #at(node: number): number {
    return (node & GRANULE_MASK) << 2;
  }

  #word(node: number, index: number): number {
    return this.arena.words[node >> SEGMENT_SHIFT][((node & GRANULE_MASK) << 2) + index];
  }

  #setWord(node: number, index: number, value: number): void {
    this.arena.words[node >> SEGMENT_SHIFT][((node & GRANULE_MASK) << 2) + index] = value;
  }

  #forward(node: number, level: number): number {
    return this.#word(node, LEVEL + 2 * level);
  }

  #span(node: number, level: number): number {
    return this.#word(node, LEVEL + 2 * level + 1);
  }

  entry(node: number): number {
    return this.#word(node, ENTRY);
  }

  score(node: number): number {
    return readDouble(this.arena.words[node >> SEGMENT_SHIFT], this.#at(node) + SCORE);
  }

  /** @returns the node behind, 0 at the end. */
  next(node: number): number {
    return this.#forward(node, 0);
  }

  /** @returns the node before, 0 at the start. */
  previous(node: number): number {
    return this.#word(node, BACKWARD);
  }

  get head(): number {
    return this.#forward(this.#header, 0);
  }

  /** Order of a node against (score, entry's member). */
  #compare(node: number, score: number, entry: number): number {
    const own = this.score(node);
    if (own !== score) return own < score ? -1 : 1;
    const { table } = this;
    const other = this.entry(node);
    return compareBytes(
      table.bytesOf(other),
      table.keyOffset(other),
      table.keyLength(other),
      table.bytesOf(entry),
      table.keyOffset(entry),
      table.keyLength(entry),
    );
  }

  /** Fills `path` and `pathRanks` with the way to (score, member). */
  #descend(score: number, entry: number): void {
    let node = this.#header;
    let rank = 0;
    for (let level = this.#levels - 1; level >= 0; level--) {
      for (;;) {
        const next = this.#forward(node, level);
        if (next === 0 || this.#compare(next, score, entry) >= 0) break;
        rank += this.#span(node, level);
        node = next;
      }
      path[level] = node;
      pathRanks[level] = rank;
    }
  }

  /** The pair must be absent. */
  insert(score: number, entry: number): void {
    this.#descend(score, entry);
    const levels = randomLevel();
    for (; this.#levels < levels; this.#levels++) {
      path[this.#levels] = this.#header;
      pathRanks[this.#levels] = 0;
      this.#setWord(this.#header, LEVEL + 2 * this.#levels + 1, this.length);
    }
    const node = this.#newNode(levels);
    this.#setWord(node, ENTRY, entry);
    writeDouble(this.arena.words[node >> SEGMENT_SHIFT], this.#at(node) + SCORE, score);
    for (let level = 0; level < levels; level++) {
      const before = path[level];
      const skipped = pathRanks[0] - pathRanks[level];
      const at = LEVEL + 2 * level;
      this.#setWord(node, at, this.#forward(before, level));
      this.#setWord(node, at + 1, this.#span(before, level) - skipped);
      this.#setWord(before, at, node);
      this.#setWord(before, at + 1, skipped + 1);
    }
    for (let level = levels; level < this.#levels; level++) {
      this.#setWord(path[level], LEVEL + 2 * level + 1, this.#span(path[level], level) + 1);
    }
    this.#setWord(node, BACKWARD, path[0] === this.#header ? 0 : path[0]);
    const behind = this.next(node);
    if (behind !== 0) this.#setWord(behind, BACKWARD, node);
    else this.tail = node;
    this.length++;
  }

  /** The pair must be there. */
  delete(score: number, entry: number): void {
    this.#descend(score, entry);
    this.#unlink(this.next(path[0]));
    this.#dropEmptyLevels();
  }

  /** Takes the node that `path` leads to out of every level. */
  #unlink(node: number): void {
    for (let level = 0; level < this.#levels; level++) {
      const before = path[level];
      const at = LEVEL + 2 * level;
      if (this.#forward(before, level) === node) {
        this.#setWord(before, at + 1, this.#span(before, level) + this.#span(node, level) - 1);
        this.#setWord(before, at, this.#forward(node, level));
      } else {
        this.#setWord(before, at + 1, this.#span(before, level) - 1);
      }
    }
    const behind = this.next(node);
    if (behind !== 0) this.#setWord(behind, BACKWARD, this.previous(node));
    else this.tail = this.previous(node);
    this.length--;
    this.memory -= this.arena.capacityOf(node);
    this.arena.free(node);
  }

  #dropEmptyLevels(): void {
    while (this.#levels > 1 && this.#forward(this.#header, this.#levels - 1) === 0) this.#levels--;
  }

  /** Changes the score of a pair that is there, in place where its neighbours allow. */
  update(score: number, entry: number, newScore: number): void {
    this.#descend(score, entry);
    const node = this.next(path[0]);
    const before = this.previous(node);
    const behind = this.next(node);
    if ((before === 0 || this.score(before) < newScore) && (behind === 0 || this.score(behind) > newScore)) {
      writeDouble(this.arena.words[node >> SEGMENT_SHIFT], this.#at(node) + SCORE, newScore);
      return;
    }
    this.#unlink(node);
    this.#dropEmptyLevels();
    this.insert(newScore, entry);
  }

  /** Deletes `count` nodes from rank `start` on, and their entries from the table. */
  deleteRange(start: number, count: number): void {
    let node = this.#header;
    let rank = 0;
    for (let level = this.#levels - 1; level >= 0; level--) {
      for (;;) {
        const next = this.#forward(node, level);
        if (next === 0 || rank + this.#span(node, level) > start) break;
        rank += this.#span(node, level);
        node = next;
      }
      path[level] = node;
    }
    let doomed = this.next(node);
    for (let rest = count; rest > 0 && doomed !== 0; rest--) {
      const behind = this.next(doomed);
      const entry = this.entry(doomed);
      this.#unlink(doomed);
      this.table.deleteEntry(entry);
      doomed = behind;
    }
    this.#dropEmptyLevels();
  }

  /** Rank from 0 of a pair that is there. */
  rank(score: number, entry: number): number {
    this.#descend(score, entry);
    return pathRanks[0];
  }

  /** @param rank from 0, below length. */
  at(rank: number): number {
    let node = this.#header;
    let passed = 0;
    for (let level = this.#levels - 1; level >= 0; level--) {
      for (;;) {
        const next = this.#forward(node, level);
        if (next === 0 || passed + this.#span(node, level) > rank + 1) break;
        passed += this.#span(node, level);
        node = next;
      }
      if (passed === rank + 1) return node;
    }
    return 0;
  }

  /**
   * Number of nodes at the start for which `isBefore` holds; it must hold for a run at the start only. So it is the
   * rank of the first node for which it does not.
   */
  countWhile(isBefore: (node: number) => boolean): number {
    let node = this.#header;
    let rank = 0;
    for (let level = this.#levels - 1; level >= 0; level--) {
      for (;;) {
        const next = this.#forward(node, level);
        if (next === 0 || !isBefore(next)) break;
        rank += this.#span(node, level);
        node = next;
      }
    }
    return rank;
  }
}
