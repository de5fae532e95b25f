// A link in memory between two or more ends, each a FrameEngine: seeded delay, jitter, loss, duplication, reordering,
// corruption, a rate with a bounded queue. It has no clock: time is handed in with `advance(nowUs)`, so that the same
// seed and the same calls give the same frames. Tests and the simulator import this; no server does.
//
// Without time (unit tests): with no delay configured, what one end flushes is there for the other's `receive()`
// when `flush()` returns. With time (simulator, `wake: 'advance'`): go on to `min(nextArrivalUs(), own timers)` and
// call `advance`, which delivers what is due and then calls the reader of each end that has frames waiting.
import { ArenaEngine, DEFAULT_RING } from './arena-engine.ts';
import { FlightQueue } from './flight-queue.ts';
import { BATCH_MAX, ETHERNET_HEADER_MAX, IP_PACKET_MAX, type Link, RX_CHECKSUM_TRUSTED } from './frame-engine.ts';

const ETHERNET_HEADER = 14;
const ETHERTYPE_IPV4 = 0x0800;

/** What happens to frames on their way; probabilities are 0..1, all zero by default. */
export interface Impairment {
  /** Microseconds every frame takes. */
  readonly delayUs: number;
  /** Up to this much more, uniformly; frames keep their order (only `reorder` changes it). */
  readonly jitterUs: number;
  readonly loss: number;
  readonly duplicate: number;
  /** Probability that a frame is held back for `reorderUs`, so that later ones overtake it. */
  readonly reorder: number;
  readonly reorderUs: number;
  /**
   * Probability of one flipped bit behind the Ethernet header. A frame that is not IPv4 (ARP) has no checksum that
   * would show it, so it is lost instead, as a NIC drops a frame with a bad check sequence.
   */
  readonly corrupt: number;
  /** Bits per second; 0: no limit. */
  readonly rate: number;
  /** With a rate: bytes that may wait for their turn; what comes on top is dropped. */
  readonly queueBytes: number;
}

const NO_IMPAIRMENT: Impairment = {
  delayUs: 0,
  jitterUs: 0,
  loss: 0,
  duplicate: 0,
  reorder: 0,
  reorderUs: 1000,
  corrupt: 0,
  rate: 0,
  queueBytes: 256 * 1024,
};

/** What the wire did with a frame; `sent` comes first, `delivered` or one of the losses last. */
export type FrameFate =
  | 'sent'
  | 'duplicated'
  | 'reordered'
  | 'corrupted'
  | 'delivered'
  | 'lost'
  | 'filtered'
  | 'queue-full'
  | 'ring-full';

/** Sees a frame at `bytes[offset..offset+length)`, valid during the call. `from` and `to` are indexes in `ends`. */
export type FrameObserver = (
  fate: FrameFate,
  from: number,
  to: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  nowUs: number,
) => void;

/** False drops the frame: loss that a test aims at one frame. */
export type FrameFilter = (from: number, to: number, bytes: Uint8Array, offset: number, length: number) => boolean;

export interface MemoryEndOptions {
  readonly name?: string;
  /** Six bytes; default 02:00:00:00:00:01 and up, by index. */
  readonly mac?: Uint8Array;
  readonly medium?: 'ethernet' | 'ip';
  readonly mtu?: number;
  readonly rxRing?: number;
  readonly txRing?: number;
  readonly batch?: number;
  /** Frames of this end are delivered with `RX_CHECKSUM_TRUSTED`, as from a tap or veth. */
  readonly txChecksumOffload?: boolean;
  /** Accepts segments up to this payload and delivers them whole; an end with TSO also takes frames that large. */
  readonly tsoPayloadMax?: number;
}

export interface MemoryWireOptions {
  readonly seed?: number;
  /** One per end; default two plain ends. */
  readonly ends?: readonly MemoryEndOptions[];
  readonly impairment?: Partial<Impairment>;
  /**
   * Who calls the ends' readers: `loop`, Node's event loop (default, like a device); `advance`, only `advance()`, in
   * the order of the ends, so that a run is repeatable.
   */
  readonly wake?: 'loop' | 'advance';
  /** Frames under way at the same time; more are dropped as `queue-full`. */
  readonly inFlight?: number;
}

export class MemoryWire {
  readonly ends: readonly MemoryEngine[];
  /** Sees every step of every frame. */
  observer: FrameObserver | null = null;
  /** Asked for every frame before any impairment. */
  filter: FrameFilter | null = null;

  readonly #directions: Direction[] = [];
  readonly #random = new WireRandom();
  readonly #flight: FlightQueue;
  readonly #wake: 'loop' | 'advance';
  #nowUs = 0;

  constructor(options: MemoryWireOptions = {}) {
    const ends = options.ends ?? [{}, {}];
    this.#wake = options.wake ?? 'loop';
    this.ends = ends.map((end, index) => new MemoryEngine(this, index, end));
    const slotBytes = Math.max(...this.ends.map((end) => end.link.frameCapacity));
    this.#flight = new FlightQueue(options.inFlight ?? 1024, slotBytes);
    for (let i = 0; i < ends.length * ends.length; i++) this.#directions.push(new Direction(options.seed ?? 1, i));
    this.impair(options.impairment ?? {});
  }

  /** Virtual time, microseconds; whatever the last `advance` said. */
  get nowUs(): number {
    return this.#nowUs;
  }

  /** Frames on their way. */
  get inFlight(): number {
    return this.#flight.count;
  }

  /** True: the wire itself calls no reader, `advance` does. */
  get wakesOnAdvance(): boolean {
    return this.#wake === 'advance';
  }

  /**
   * Changes what happens to frames sent from now on; keys left out become harmless again.
   * @param from index of the sending end; left out: every direction. @param to likewise, the receiving end.
   */
  impair(impairment: Partial<Impairment>, from = -1, to = -1): void {
    const count = this.ends.length;
    const complete = { ...NO_IMPAIRMENT, ...impairment };
    for (let i = 0; i < count * count; i++) {
      const matches = (from < 0 || Math.floor(i / count) === from) && (to < 0 || i % count === to);
      if (matches) this.#directions[i].impairment = complete;
    }
  }

  /**
   * When `advance` next has something to do, microseconds; -1: never, unless somebody sends. A reader that left
   * frames in its ring counts as now.
   */
  nextArrivalUs(): number {
    if (this.#wake === 'advance' && this.ends.some((end) => end.readerIsDue)) return this.#nowUs;
    return this.#flight.count === 0 ? -1 : this.#flight.nextUs;
  }

  /**
   * Moves time on and delivers every frame that is due, then (`wake: 'advance'`) calls the readers. What they send
   * without delay is due at once and arrives with the next call.
   * @param nowUs whole microseconds, never less than before; a plain number, it does not wrap.
   */
  advance(nowUs: number): void {
    this.#nowUs = nowUs;
    this.#deliverDue();
    if (this.#wake === 'advance') for (const end of this.ends) end.runReader();
  }

  /** Closes every end; frames under way are forgotten. */
  close(): void {
    for (const end of this.ends) end.close();
    this.#flight.clear();
  }

  /**
   * A frame of end `from`; called by its `flush()`, and by tests that put a frame on the wire themselves.
   * @param view of `bytes`. @param flags `RX_*` bits it is delivered with.
   */
  send(from: number, bytes: Uint8Array, view: DataView, offset: number, length: number, flags: number): void {
    const only = this.#endWithAddress(bytes, offset, length);
    for (let to = 0; to < this.ends.length; to++) {
      if (to === from || (only >= 0 && only !== from && only !== to)) continue;
      this.#launch(from, to, bytes, view, offset, length, flags);
    }
    this.#deliverDue();
  }

  /** With more than two ends the wire is a switch that knows its ends: what nobody owns goes to all. */
  #endWithAddress(bytes: Uint8Array, offset: number, length: number): number {
    if (this.ends.length === 2 || length < 6) return -1;
    return this.ends.findIndex((end) => end.link.medium === 'ethernet' && sameMac(end.link.mac, bytes, offset));
  }

  #launch(
    from: number,
    to: number,
    bytes: Uint8Array,
    view: DataView,
    offset: number,
    length: number,
    flags: number,
  ): void {
    const random = this.#random;
    const direction = this.#directions[from * this.ends.length + to];
    const { loss, duplicate } = direction.impairment;
    random.begin(direction.seed, this.#isIp(from, bytes, offset, length) ? direction.packets++ : ~direction.others++);
    this.#observe('sent', from, to, bytes, offset, length);
    if (this.filter !== null && !this.filter(from, to, bytes, offset, length)) {
      this.#observe('filtered', from, to, bytes, offset, length);
      return;
    }
    if (random.chance(loss)) {
      this.#observe('lost', from, to, bytes, offset, length);
      return;
    }
    const copies = random.chance(duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (copy === 1) this.#observe('duplicated', from, to, bytes, offset, length);
      const arrivalUs = this.#arrivalTime(direction, from, to, bytes, offset, length);
      if (arrivalUs < 0 || !this.#flight.push(arrivalUs, from, to, view, offset, length, flags)) {
        this.#observe('queue-full', from, to, bytes, offset, length);
        continue;
      }
      if (random.chance(direction.impairment.corrupt)) this.#corruptNewest(from, to, length);
    }
  }

  /** When a frame sent now is there; -1: the queue before the wire is full. */
  #arrivalTime(
    direction: Direction,
    from: number,
    to: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): number {
    const { rate, queueBytes, delayUs, jitterUs, reorder, reorderUs } = direction.impairment;
    let sentUs = this.#nowUs;
    if (rate > 0) {
      const startUs = Math.max(direction.busyUntilUs, this.#nowUs);
      const queuedBytes = ((startUs - this.#nowUs) * rate) / 8_000_000;
      if (queuedBytes + length > queueBytes) return -1;
      sentUs = startUs + (length * 8_000_000) / rate;
      direction.busyUntilUs = sentUs;
    }
    const jitter = jitterUs > 0 ? this.#random.below(jitterUs + 1) : 0;
    const arrivalUs = Math.max(Math.ceil(sentUs) + delayUs + jitter, direction.lastArrivalUs);
    if (this.#random.chance(reorder)) {
      this.#observe('reordered', from, to, bytes, offset, length);
      return arrivalUs + reorderUs;
    }
    direction.lastArrivalUs = arrivalUs;
    return arrivalUs;
  }

  #corruptNewest(from: number, to: number, length: number): void {
    const flight = this.#flight;
    const { memory } = flight.arena;
    const offset = flight.newestOffset;
    const header = this.ends[from].link.medium === 'ethernet' ? ETHERNET_HEADER : 0;
    if (!this.#isIp(from, memory, offset, length) || length <= header) {
      flight.markLost();
      return;
    }
    const bit = this.#random.below((length - header) * 8);
    memory[offset + header + (bit >> 3)] ^= 1 << (bit & 7);
    flight.clearFlags(RX_CHECKSUM_TRUSTED);
    this.#observe('corrupted', from, to, memory, offset, length);
  }

  #isIp(from: number, bytes: Uint8Array, offset: number, length: number): boolean {
    if (this.ends[from].link.medium !== 'ethernet') return true;
    return length > ETHERNET_HEADER && ((bytes[offset + 12] << 8) | bytes[offset + 13]) === ETHERTYPE_IPV4;
  }

  #deliverDue(): void {
    const flight = this.#flight;
    while (flight.count > 0 && flight.nextUs <= this.#nowUs) {
      const entry = flight.shift();
      const { memory } = flight.arena;
      const offset = flight.offset[entry];
      const length = flight.length[entry];
      const from = flight.from[entry];
      const to = flight.to[entry];
      if (flight.lost[entry] === 1) {
        this.#observe('lost', from, to, memory, offset, length);
      } else {
        const taken = this.ends[to].accept(flight.arena.view, offset, length, flight.flags[entry]);
        this.#observe(taken ? 'delivered' : 'ring-full', from, to, memory, offset, length);
      }
      flight.release(entry);
    }
  }

  #observe(fate: FrameFate, from: number, to: number, bytes: Uint8Array, offset: number, length: number): void {
    if (this.observer !== null) this.observer(fate, from, to, bytes, offset, length, this.#nowUs);
  }
}

/** One end of a wire. */
export class MemoryEngine extends ArenaEngine {
  readonly name = 'memory';
  /** Position in `wire.ends`. */
  readonly index: number;
  readonly #wire: MemoryWire;

  constructor(wire: MemoryWire, index: number, options: MemoryEndOptions) {
    super(memoryLink(index, options), {
      rxRing: options.rxRing ?? DEFAULT_RING,
      txRing: options.txRing ?? DEFAULT_RING,
      batch: options.batch ?? BATCH_MAX,
    });
    this.#wire = wire;
    this.index = index;
  }

  protected override transmit(offset: number, length: number, segmentSize: number): boolean {
    const flags = this.link.txChecksumOffload || segmentSize > 0 ? RX_CHECKSUM_TRUSTED : 0;
    this.#wire.send(this.index, this.memory, this.view, offset, length, flags);
    return true;
  }

  protected override closeDevice(): void {}

  /** A frame has arrived; false when it did not fit. Called by the wire. */
  accept(view: DataView, offset: number, length: number, flags: number): boolean {
    const taken = this.deliver(view, offset, length, flags);
    if (taken && !this.#wire.wakesOnAdvance) this.wake();
    return taken;
  }

  /** Called by the wire. */
  runReader(): void {
    this.callReader();
  }

  get readerIsDue(): boolean {
    return this.hasReader && this.waitingFrames > 0;
  }

  /** In virtual time the simulator runs everything: neither the event loop nor the process waits for this end. */
  protected override wake(): void {
    if (!this.#wire.wakesOnAdvance) super.wake();
  }

  protected override holdProcess(): NodeJS.Timeout | null {
    return this.#wire.wakesOnAdvance ? null : super.holdProcess();
  }
}

function memoryLink(index: number, options: MemoryEndOptions): Link {
  const medium = options.medium ?? 'ethernet';
  const mtu = options.mtu ?? 1500;
  const tsoPayloadMax = options.tsoPayloadMax ?? 0;
  const largestPacket = tsoPayloadMax > 0 ? IP_PACKET_MAX : mtu;
  const defaultMac =
    medium === 'ethernet' ? new Uint8Array([2, 0, 0, 0, (index + 1) >> 8, index + 1]) : new Uint8Array(6);
  return {
    name: options.name ?? `memory${index}`,
    medium,
    mac: options.mac ?? defaultMac,
    mtu,
    frameCapacity: largestPacket + (medium === 'ethernet' ? ETHERNET_HEADER_MAX : 0),
    txChecksumOffload: options.txChecksumOffload ?? false,
    tsoPayloadMax,
  };
}

function sameMac(mac: Uint8Array, bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < 6; i++) if (mac[i] !== bytes[offset + i]) return false;
  return true;
}

/** From one end to another. */
class Direction {
  readonly seed: number;
  /** Frames so far, IPv4 packets and all others. */
  packets = 0;
  others = 0;
  impairment: Impairment = NO_IMPAIRMENT;
  /** When the last bit of what was sent leaves, with a rate. */
  busyUntilUs = 0;
  /** Arrival of the latest frame that was not held back: later ones do not overtake it. */
  lastArrivalUs = 0;

  constructor(seed: number, index: number) {
    this.seed = Math.imul(seed | 0, 0x27d4eb2f) ^ Math.imul(index + 1, 0x165667b1);
  }
}

/**
 * Repeatable numbers of the wire's own (Weyl sequence through Murmur3's finaliser): engines import nothing of src/. Each
 * frame begins a sequence of its own, so that the n-th packet in a direction meets the same fate whatever goes the
 * other way: two programs that send through the same network are treated alike.
 */
class WireRandom {
  #state = 0;

  /** The numbers of frame `n` of a direction come next. */
  begin(seed: number, n: number): void {
    const mixed = Math.imul(n ^ (n >>> 15), 0x2c1b3c6d);
    this.#state = (seed + Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39)) | 0;
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return Math.floor((((z ^ (z >>> 16)) >>> 0) / 0x1_0000_0000) * limit);
  }

  /** True with the given probability; draws nothing when it is 0, so that a clean wire stays off the generator. */
  chance(probability: number): boolean {
    return probability > 0 && this.below(0x4000_0000) < probability * 0x4000_0000;
  }
}
