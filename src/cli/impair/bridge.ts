// A bridge between two interfaces that makes the wire worse: each frame goes through a memory wire with its delay, loss,
// reordering, duplication, corruption and bounded queue, in each direction, from one seed. Used by tool.ts.
import type { FrameEngine } from '../../../io-engine/frame-engine.ts';
import { type Impairment, MemoryWire } from '../../../io-engine/memory-wire.ts';
import { blockMs, type Stopwatch } from '../../platform/stopwatch.ts';
import type { Scheduler } from '../../platform/timers.ts';

/** Room between wire and device: what a tick may bring at once. */
const RING = 4096;
/** Nearer arrivals are waited for awake: timers of the event loop are a millisecond coarse. */
const AWAKE_US = 3000;
const ETHERNET_HEADER = 14;
/** One nap while awake. */
const NAP_MS = 0.05;

export interface BridgeOptions {
  /** From the first interface to the second, and back. */
  readonly impairments: readonly [Partial<Impairment>, Partial<Impairment>];
  readonly seed: number;
  /** Frames on their way at a time, both directions together. */
  readonly inFlight: number;
  /** Longer packets vanish without a word, as behind a router that sends no ICMP; 0: none is too long. */
  readonly mtu: number;
}

export interface BridgeCounters {
  forwarded: number;
  lost: number;
  duplicated: number;
  reordered: number;
  corrupted: number;
  /** Dropped before the rate: the queue was full, or too much was on its way. */
  queueFull: number;
  tooLong: number;
}

export class Bridge {
  readonly counters: BridgeCounters = {
    forwarded: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    queueFull: 0,
    tooLong: 0,
  };
  readonly #engines: readonly [FrameEngine, FrameEngine];
  readonly #views: readonly DataView[];
  readonly #wire: MemoryWire;
  readonly #stopwatch: Stopwatch;
  readonly #scheduler: Scheduler;
  readonly #alarm: ReturnType<Scheduler['createAlarm']>;
  readonly #startUs: number;
  readonly #longest: number;
  #tickIsComing = false;

  constructor(
    engines: readonly [FrameEngine, FrameEngine],
    options: BridgeOptions,
    stopwatch: Stopwatch,
    scheduler: Scheduler,
  ) {
    this.#engines = engines;
    this.#views = engines.map(({ memory }) => new DataView(memory.buffer, memory.byteOffset, memory.byteLength));
    this.#stopwatch = stopwatch;
    this.#scheduler = scheduler;
    this.#startUs = stopwatch();
    this.#longest = options.mtu === 0 ? Number.POSITIVE_INFINITY : options.mtu + ETHERNET_HEADER;
    const ends = engines.map(({ link }) => ({ mtu: link.mtu, rxRing: RING, txRing: RING, batch: RING }));
    this.#wire = new MemoryWire({ seed: options.seed, wake: 'advance', inFlight: options.inFlight, ends });
    this.#wire.impair(options.impairments[0], 0, 1);
    this.#wire.impair(options.impairments[1], 1, 0);
    this.#count();
    this.#alarm = scheduler.createAlarm(() => this.tick());
    for (const engine of engines) engine.wait(() => this.tick());
  }

  #count(): void {
    const { counters } = this;
    this.#wire.observer = (fate) => {
      if (fate === 'delivered') counters.forwarded++;
      else if (fate === 'lost') counters.lost++;
      else if (fate === 'duplicated') counters.duplicated++;
      else if (fate === 'reordered') counters.reordered++;
      else if (fate === 'corrupted') counters.corrupted++;
      else if (fate === 'queue-full' || fate === 'ring-full') counters.queueFull++;
    };
  }

  /** Takes what came, moves what is due, and sees to it that the next arrival is not missed. */
  tick(): void {
    const wire = this.#wire;
    wire.advance(Math.floor(this.#stopwatch() - this.#startUs));
    this.#take(0);
    this.#take(1);
    this.#give(0);
    this.#give(1);
    const nextUs = wire.nextArrivalUs();
    if (nextUs < 0) return;
    const awayUs = nextUs - (this.#stopwatch() - this.#startUs);
    if (awayUs >= AWAKE_US) {
      this.#alarm.arm(Math.floor((awayUs - AWAKE_US / 2) / 1000));
      return;
    }
    if (this.#tickIsComing) return;
    this.#tickIsComing = true;
    this.#scheduler.soon(this.#soonTick);
  }

  readonly #soonTick = (): void => {
    this.#tickIsComing = false;
    const awayUs = this.#wire.nextArrivalUs() - (this.#stopwatch() - this.#startUs);
    if (awayUs > NAP_MS * 1000) blockMs(NAP_MS);
    this.tick();
  };

  #take(from: number): void {
    const engine = this.#engines[from];
    const { batch, memory } = engine;
    for (;;) {
      const count = engine.receive();
      for (let i = 0; i < count; i++) {
        if (batch.length[i] > this.#longest) this.counters.tooLong++;
        else this.#wire.send(from, memory, this.#views[from], batch.offset[i], batch.length[i], 0);
      }
      if (count < batch.capacity) return;
    }
  }

  #give(to: number): void {
    const end = this.#wire.ends[to];
    const engine = this.#engines[to];
    const { batch, memory } = end;
    const count = end.receive();
    for (let i = 0; i < count; i++) {
      let at = engine.reserve();
      if (at < 0) {
        engine.flush();
        at = engine.reserve();
        if (at < 0) {
          this.counters.queueFull++;
          continue;
        }
      }
      const offset = batch.offset[i];
      const length = batch.length[i];
      engine.memory.set(memory.subarray(offset, offset + length), at);
      engine.commit(length, 0);
    }
    if (count > 0) engine.flush();
  }

  close(): void {
    this.#alarm.disarm();
    this.#wire.close();
    for (const engine of this.#engines) engine.close();
  }
}
