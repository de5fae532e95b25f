// A switch for the simulator: a cable a host with a rate and a delay, and at each port a queue of frames that go out
// there, first come first served, with a bound in bytes; what finds it full is dropped. Frames are queued in the order
// in which they reach the switch, whoever sent them: that is what incast is about. Time is handed in, as with
// MemoryWire.
import { ArenaEngine } from '../../io-engine/arena-engine.ts';
import { FlightQueue } from '../../io-engine/flight-queue.ts';
import { ETHERNET_HEADER_MAX } from '../../io-engine/frame-engine.ts';

/** Preamble, start of frame, check sequence and gap, which take time on a cable besides the frame. */
const ETHERNET_OVERHEAD = 24;
const MTU = 1500;
const RING = 1024;

export interface SwitchOptions {
  readonly hosts: number;
  /** Bits per second of every cable. */
  readonly rate: number;
  /** Microseconds that a bit takes from a host to the switch, or back. */
  readonly delayUs: number;
  /** Bytes that may wait at a port. */
  readonly queueBytes: number;
}

/** A cable's one direction, or a port's way out: busy until. */
interface Line {
  busyUntilUs: number;
}

export class Switch {
  readonly hosts: readonly SwitchedHost[];
  drops = 0;
  /** Most bytes that ever waited at one port. */
  queuedBytesMax = 0;
  nowUs = 0;
  readonly #options: SwitchOptions;
  readonly #inward: FlightQueue;
  readonly #outward: FlightQueue;
  readonly #ports: readonly Line[];

  constructor(options: SwitchOptions) {
    this.#options = options;
    const slot = MTU + ETHERNET_HEADER_MAX;
    this.#inward = new FlightQueue(options.hosts * RING, slot);
    this.#outward = new FlightQueue(options.hosts * RING, slot);
    this.hosts = Array.from({ length: options.hosts }, (_, index) => new SwitchedHost(this, index));
    this.#ports = this.hosts.map(() => ({ busyUntilUs: 0 }));
  }

  /** When it next has something to do; Infinity: never, unless somebody sends. */
  nextUs(): number {
    const inward = this.#inward.count === 0 ? Infinity : this.#inward.nextUs;
    const outward = this.#outward.count === 0 ? Infinity : this.#outward.nextUs;
    return Math.min(inward, outward);
  }

  /** Moves frames on until then. */
  advance(nowUs: number): void {
    this.nowUs = nowUs;
    for (let next = this.nextUs(); next <= nowUs; next = this.nextUs()) {
      const isInward = this.#inward.count > 0 && this.#inward.nextUs === next;
      if (isInward) this.#switchFrame(next);
      else this.#arrive();
    }
  }

  /** From a host's cable. */
  send(from: number, line: Line, view: DataView, offset: number, length: number): void {
    const { delayUs } = this.#options;
    line.busyUntilUs = Math.max(line.busyUntilUs, this.nowUs) + this.#wireUs(length);
    if (!this.#inward.push(line.busyUntilUs + delayUs, from, 0, view, offset, length, 0)) this.drops++;
  }

  #wireUs(length: number): number {
    return ((length + ETHERNET_OVERHEAD) * 8e6) / this.#options.rate;
  }

  #switchFrame(atUs: number): void {
    const flight = this.#inward;
    const entry = flight.shift();
    const { view, memory } = flight.arena;
    const offset = flight.offset[entry];
    const from = flight.from[entry];
    const isGroup = (memory[offset] & 1) === 1;
    // As SwitchedHost names them.
    const only = ((memory[offset + 4] << 8) | memory[offset + 5]) - 1;
    for (let to = 0; to < this.hosts.length; to++) {
      if (to !== from && (isGroup || to === only)) this.#enqueue(atUs, from, to, view, offset, flight.length[entry]);
    }
    flight.release(entry);
  }

  #enqueue(atUs: number, from: number, to: number, view: DataView, offset: number, length: number): void {
    const { queueBytes, rate, delayUs } = this.#options;
    const port = this.#ports[to];
    const startUs = Math.max(port.busyUntilUs, atUs);
    const waiting = ((startUs - atUs) * rate) / 8e6;
    if (waiting + length > queueBytes) {
      this.drops++;
      return;
    }
    this.queuedBytesMax = Math.max(this.queuedBytesMax, waiting + length);
    port.busyUntilUs = startUs + this.#wireUs(length);
    if (!this.#outward.push(port.busyUntilUs + delayUs, from, to, view, offset, length, 0)) this.drops++;
  }

  #arrive(): void {
    const flight = this.#outward;
    const entry = flight.shift();
    const taken = this.hosts[flight.to[entry]].accept(flight.arena.view, flight.offset[entry], flight.length[entry]);
    if (!taken) this.drops++;
    flight.release(entry);
  }
}

/** A host's end of its cable. */
class SwitchedHost extends ArenaEngine {
  readonly name = 'memory';
  readonly #switch: Switch;
  readonly #index: number;
  readonly #line: Line = { busyUntilUs: 0 };

  constructor(owner: Switch, index: number) {
    const mac = new Uint8Array([2, 0, 0, 0, (index + 1) >> 8, (index + 1) & 0xff]);
    const frameCapacity = MTU + ETHERNET_HEADER_MAX;
    const checks = { txChecksumOffload: false, tsoPayloadMax: 0 };
    super(
      { name: `port${index}`, medium: 'ethernet', mac, mtu: MTU, frameCapacity, ...checks },
      { rxRing: RING, txRing: RING, batch: 64 },
    );
    this.#switch = owner;
    this.#index = index;
  }

  get isDue(): boolean {
    return this.waitingFrames > 0;
  }

  accept(view: DataView, offset: number, length: number): boolean {
    return this.deliver(view, offset, length, 0);
  }

  protected override transmit(offset: number, length: number, _segmentSize: number): boolean {
    this.#switch.send(this.#index, this.#line, this.view, offset, length);
    return true;
  }

  protected override closeDevice(): void {}
  protected override wake(): void {}
}
