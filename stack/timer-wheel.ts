// All timers of the stack: a hierarchical wheel of three times 256 slots (1 ms, 256 ms and 65.5 s wide). Whoever wants
// to be woken carries the links itself (intrusive), so arming, moving and firing allocate nothing and cost
// the same with ten timers or 100,000. Times are int32 milliseconds of the stack's clock. Used by stack/ only.

const SLOTS = 256;
const MASK = SLOTS - 1;
const LEVELS = 3;
const WORDS = SLOTS / 32;
/** Farther deadlines fire early, at this distance: owners look at their own deadline anyway. */
const HORIZON_MS = (SLOTS - 1) << 16;

/** Something the wheel can hold, in one place at a time. Owners keep their true deadlines and may be woken early. */
export interface TimerNode {
  timerNext: TimerNode | null;
  timerPrevious: TimerNode | null;
  /** Where in the wheel; -1: nowhere. Set by the wheel. */
  timerSlot: number;
  /** When the wheel will fire; meaningful while `timerSlot` >= 0. Set by the wheel. */
  timerAt: number;
  /** The node is out of the wheel when this is called and may go back in. */
  onTimer(nowMs: number): void;
}

export class TimerWheel {
  /** Nodes in the wheel. */
  size = 0;
  /** Everything due up to here has fired. */
  #now: number;
  readonly #slots: (TimerNode | null)[] = new Array<TimerNode | null>(SLOTS * LEVELS).fill(null);
  /** One bit a slot: set while the slot holds something. */
  readonly #occupied = new Int32Array(WORDS * LEVELS);

  constructor(nowMs: number) {
    this.#now = nowMs | 0;
  }

  /** Wakes `node` at `at` (at the latest 1 ms from now), moving it if it is in the wheel already. */
  arm(node: TimerNode, at: number): void {
    if (node.timerSlot >= 0) this.cancel(node);
    let delta = (at - this.#now) | 0;
    if (delta < 1) delta = 1;
    else if (delta > HORIZON_MS) delta = HORIZON_MS;
    const when = (this.#now + delta) | 0;
    node.timerAt = when;
    if (delta < SLOTS) this.#link(node, when & MASK);
    else if (delta < SLOTS << 8) this.#link(node, SLOTS + ((when >> 8) & MASK));
    else this.#link(node, SLOTS * 2 + ((when >> 16) & MASK));
    this.size++;
  }

  /** Wakes `node` at `at` or before: leaves it where it is if that is early enough. The cheap way to push a deadline out. */
  armBy(node: TimerNode, at: number): void {
    if (node.timerSlot < 0 || ((at - node.timerAt) | 0) < 0) this.arm(node, at);
  }

  cancel(node: TimerNode): void {
    if (node.timerSlot < 0) return;
    this.#unlink(node);
    this.size--;
  }

  /** Fires everything due at or before `nowMs`. */
  advance(nowMs: number): void {
    while (((nowMs - this.#now) | 0) > 0) {
      if (this.size === 0) {
        this.#now = nowMs | 0;
        return;
      }
      const ahead = this.#distanceTo(0);
      const blockEnd = SLOTS - (this.#now & MASK);
      const step = Math.min((nowMs - this.#now) | 0, blockEnd, ahead < 0 ? SLOTS : ahead);
      this.#now = (this.#now + step) | 0;
      if (step === blockEnd) this.#cascade();
      this.#fire(this.#now & MASK, nowMs);
    }
  }

  /** Milliseconds from `nowMs` until something may be due (never too late, at times early); -1: nothing waits. */
  nextDelayMs(nowMs: number): number {
    if (this.size === 0) return -1;
    let best = this.#distanceTo(0);
    for (let level = 1; level < LEVELS; level++) {
      const slots = this.#distanceTo(level);
      if (slots < 0) continue;
      const width = 1 << (8 * level);
      const delay = slots * width - (this.#now & (width - 1));
      if (best < 0 || delay < best) best = delay;
    }
    return Math.max(0, best - ((nowMs - this.#now) | 0));
  }

  /** How many slots of `level` ahead of the present one the next occupied slot is, 1..256; -1: none. */
  #distanceTo(level: number): number {
    const current = (this.#now >> (8 * level)) & MASK;
    const base = level * WORDS;
    for (let i = 0; i <= WORDS; i++) {
      const word = ((current + 1) >> 5) + i;
      let bits = this.#occupied[base + (word & (WORDS - 1))];
      if (i === 0) bits &= -1 << ((current + 1) & 31);
      if (bits === 0) continue;
      const slot = ((word << 5) & MASK) + (31 - Math.clz32(bits & -bits));
      return ((slot - current - 1) & MASK) + 1;
    }
    return -1;
  }

  /** At the start of a 256 ms block its nodes move one level down; at the start of a 65.5 s block so do those above. */
  #cascade(): void {
    if ((this.#now & 0xffff) === 0) this.#spread(SLOTS * 2 + ((this.#now >> 16) & MASK));
    this.#spread(SLOTS + ((this.#now >> 8) & MASK));
  }

  #spread(slot: number): void {
    let node = this.#slots[slot];
    this.#slots[slot] = null;
    this.#occupied[slot >> 5] &= ~(1 << (slot & 31));
    while (node !== null) {
      const next = node.timerNext;
      const delta = (node.timerAt - this.#now) | 0;
      if (delta < SLOTS) this.#link(node, node.timerAt & MASK);
      else this.#link(node, SLOTS + ((node.timerAt >> 8) & MASK));
      node = next;
    }
  }

  #fire(slot: number, nowMs: number): void {
    let node = this.#slots[slot];
    while (node !== null) {
      this.#unlink(node);
      this.size--;
      node.onTimer(nowMs);
      node = this.#slots[slot];
    }
  }

  #link(node: TimerNode, slot: number): void {
    const head = this.#slots[slot];
    node.timerSlot = slot;
    node.timerPrevious = null;
    node.timerNext = head;
    if (head !== null) head.timerPrevious = node;
    this.#slots[slot] = node;
    this.#occupied[slot >> 5] |= 1 << (slot & 31);
  }

  #unlink(node: TimerNode): void {
    const { timerSlot: slot, timerNext: next, timerPrevious: previous } = node;
    if (next !== null) next.timerPrevious = previous;
    if (previous !== null) previous.timerNext = next;
    else {
      this.#slots[slot] = next;
      if (next === null) this.#occupied[slot >> 5] &= ~(1 << (slot & 31));
    }
    node.timerNext = null;
    node.timerPrevious = null;
    node.timerSlot = -1;
  }
}

/** A node for whoever is not one itself. */
export class Timer implements TimerNode {
  timerNext: TimerNode | null = null;
  timerPrevious: TimerNode | null = null;
  timerSlot = -1;
  timerAt = 0;
  readonly onTimer: (nowMs: number) => void;

  constructor(onTimer: (nowMs: number) => void) {
    this.onTimer = onTimer;
  }
}
