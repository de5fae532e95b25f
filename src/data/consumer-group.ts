// A consumer group of a stream: which entries were delivered to whom and not acknowledged yet (the pending entries
// list, PEL), for the group with owner, time and count of deliveries, for each consumer the ids alone. Anyone in src/
// may import it.
import type { Arena } from './arena.ts';
import { Counter64 } from './counter64.ts';
import { IdCursor, IdTree } from './id-tree.ts';
import { int64, int64ToNumber, setInt64 } from './int64.ts';
import { NameTable } from './name-table.ts';
import { StreamId } from './stream-id.ts';

export { IdCursor } from './id-tree.ts';

const OBJECT_BYTES = 160;
// words of a pending entry
const OWNER = 0;
const TIME_HIGH = 1;
const TIME_LOW = 2;
const COUNT_HIGH = 3;
const COUNT_LOW = 4;
const PENDING_WORDS = 5;

export class Consumer {
  readonly name: Uint8Array;
  /** Index in its group, which pending entries name. */
  readonly slot: number;
  /** Ids that are pending here. */
  readonly pending: IdTree;
  /** Unix time, milliseconds. */
  seenTime: number;

  constructor(name: Uint8Array, slot: number, seenTime: number, pending: IdTree) {
    this.name = name;
    this.slot = slot;
    this.seenTime = seenTime;
    this.pending = pending;
  }

  get memory(): number {
    return OBJECT_BYTES + this.name.length + this.pending.memory;
  }
}

export class ConsumerGroup {
  readonly arena: Arena;
  readonly name: Uint8Array;
  /** The latest entry delivered. */
  readonly lastId = new StreamId();
  /** Entries read up to `lastId`; -1 when nobody knows. */
  readonly entriesRead = new Counter64();
  readonly consumers = new NameTable<Consumer>();
  readonly pending: IdTree;
  /** Consumers by slot. */
  readonly #slots: (Consumer | null)[] = [];
  readonly #vacant: number[] = [];

  /** @param name kept. */
  constructor(arena: Arena, name: Uint8Array, pending = new IdTree(arena, PENDING_WORDS)) {
    this.arena = arena;
    this.name = name;
    this.pending = pending;
    this.entriesRead.set(-1, -1);
  }

  get memory(): number {
    let bytes = OBJECT_BYTES + this.name.length + this.pending.memory;
    for (const consumer of this.consumers.items) bytes += consumer.memory;
    return bytes;
  }

  release(): void {
    this.pending.release();
    for (const consumer of this.consumers.items) consumer.pending.release();
  }

  get entriesReadKnown(): boolean {
    return (this.entriesRead.high & this.entriesRead.low) !== -1;
  }

  // ---- consumers ----

  /** @param name kept. @returns null when there is one of that name. */
  addConsumer(name: Uint8Array, seenTime: number): Consumer | null {
    const slot = this.#vacant.at(-1) ?? this.#slots.length;
    const consumer = new Consumer(name, slot, seenTime, new IdTree(this.arena, 0));
    if (!this.consumers.add(consumer)) return null;
    this.#vacant.pop();
    this.#slots[slot] = consumer;
    return consumer;
  }

  /** Removes a consumer; its pending entries are pending no more. */
  removeConsumer(consumer: Consumer): void {
    const { pending } = consumer;
    for (let more = pending.seekFirst(walked); more; more = pending.next(walked)) {
      pending.readId(walked, walkedId);
      if (this.pending.seek(walkedId, found)) this.pending.remove(found);
    }
    pending.release();
    this.consumers.remove(consumer);
    this.#slots[consumer.slot] = null;
    this.#vacant.push(consumer.slot);
  }

  // ---- pending entries: a cursor in `pending` ----

  /** Null only while a dump is being read. */
  ownerOf(cursor: IdCursor): Consumer | null {
    const slot = this.pending.word(cursor, OWNER);
    return slot === 0 ? null : this.#slots[slot - 1];
  }

  /** Makes the entry pending at this consumer instead of where it was. @param id the entry's. */
  assign(cursor: IdCursor, id: StreamId, consumer: Consumer): void {
    const old = this.ownerOf(cursor);
    if (old === consumer) return;
    if (old?.pending.seek(id, found)) old.pending.remove(found);
    consumer.pending.insert(id, found);
    this.pending.setWord(cursor, OWNER, consumer.slot + 1);
  }

  /** The entry is pending no more; the cursor goes to the one behind. @param id the entry's. */
  removePending(cursor: IdCursor, id: StreamId): void {
    const owner = this.ownerOf(cursor);
    if (owner?.pending.seek(id, found)) owner.pending.remove(found);
    this.pending.remove(cursor);
  }

  /** Latest delivery, Unix time, milliseconds. */
  deliveryTime(cursor: IdCursor): number {
    return int64ToNumber(this.pending.word(cursor, TIME_HIGH), this.pending.word(cursor, TIME_LOW));
  }

  /** @param unixMs a safe integer. */
  setDeliveryTime(cursor: IdCursor, unixMs: number): void {
    setInt64(unixMs);
    this.setDeliveryTimeHalves(cursor, int64.high, int64.low);
  }

  setDeliveryTimeHalves(cursor: IdCursor, high: number, low: number): void {
    this.pending.setWord(cursor, TIME_HIGH, high);
    this.pending.setWord(cursor, TIME_LOW, low);
  }

  deliveryTimeTo(cursor: IdCursor, counter: Counter64): void {
    counter.set(this.pending.word(cursor, TIME_HIGH), this.pending.word(cursor, TIME_LOW));
  }

  /** How often the entry was delivered. */
  deliveriesTo(cursor: IdCursor, counter: Counter64): void {
    counter.set(this.pending.word(cursor, COUNT_HIGH), this.pending.word(cursor, COUNT_LOW));
  }

  setDeliveries(cursor: IdCursor, counter: Counter64): void {
    this.pending.setWord(cursor, COUNT_HIGH, counter.high);
    this.pending.setWord(cursor, COUNT_LOW, counter.low);
  }

  addDelivery(cursor: IdCursor): void {
    this.deliveriesTo(cursor, deliveries);
    deliveries.increment();
    this.setDeliveries(cursor, deliveries);
  }

  /** A group with the same state, which stays as it is, to be read only: `IdTree.freeze`. */
  freeze(): ConsumerGroup {
    const twin = new ConsumerGroup(this.arena, this.name, this.pending.freeze());
    twin.lastId.copy(this.lastId);
    twin.entriesRead.copy(this.entriesRead);
    for (const { name, slot, seenTime, pending } of this.consumers.items) {
      twin.consumers.add(new Consumer(name, slot, seenTime, pending.freeze()));
    }
    return twin;
  }

  /** Another group with the same state, for COPY. */
  clone(arena: Arena): ConsumerGroup {
    const twin = new ConsumerGroup(arena, this.name);
    twin.lastId.copy(this.lastId);
    twin.entriesRead.copy(this.entriesRead);
    const twins = new Map<Consumer, Consumer>();
    for (const consumer of this.consumers.items) {
      const other = twin.addConsumer(consumer.name, consumer.seenTime);
      if (other !== null) twins.set(consumer, other);
    }
    const to = new IdCursor();
    for (let more = this.pending.seekFirst(walked); more; more = this.pending.next(walked)) {
      this.pending.readId(walked, walkedId);
      twin.pending.insert(walkedId, to);
      for (let word = TIME_HIGH; word < PENDING_WORDS; word++) {
        twin.pending.setWord(to, word, this.pending.word(walked, word));
      }
      const owner = twins.get(this.ownerOf(walked) as Consumer);
      if (owner !== undefined) twin.assign(to, walkedId, owner);
    }
    return twin;
  }
}

const walked = new IdCursor();
const found = new IdCursor();
const walkedId = new StreamId();
const deliveries = new Counter64();
