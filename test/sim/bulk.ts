// Bulk transfers through a bad network in virtual time, our stack at both ends: what `wiredis goodput` measures in namespaces,
// without the machine's noise and in a fraction of the time. A run can be repeated from its seed.
import { MemoryWire } from '../../io-engine/memory-wire.ts';
import { ManualClock } from '../../src/platform/clock.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { parseNetdevConf } from '../../stack/config.ts';
import type { Socket, SocketEvents } from '../../stack/socket.ts';
import { Stack } from '../../stack/stack.ts';

const PORT = 5001;
const RING = 4096;
const ADDRESSES = ['10.9.0.1', '10.9.0.2'];
/** A connection is there by then, whatever is lost. */
const START_US = 60_000_000;
const zeros = new Uint8Array(64 * 1024);

export interface BulkOptions {
  readonly seed: number;
  readonly rttMs: number;
  /** 0..1, both ways. */
  readonly loss: number;
  /** Share of frames that are held back for `reorderByMs`, both ways. */
  readonly reorder: number;
  /** Default: a quarter of the round trip. */
  readonly reorderByMs?: number;
  /** Bits a second. */
  readonly rate: number;
  readonly queueBytes: number;
  readonly connections: number;
  readonly seconds: number;
  /** Lines of netdev.conf, the sender's. */
  readonly netdev?: string;
}

export interface BulkResult {
  /** Bits a second of each connection, from the first byte that arrived on. */
  readonly rate: number;
  /** Of what the link carries of payload, all connections together. */
  readonly share: number;
  readonly retransmitted: number;
  readonly recoveries: number;
  readonly undos: number;
  readonly timeouts: number;
  readonly dropped: number;
  readonly lost: number;
}

/** Segments of 1448 bytes in frames of 1514. */
const PAYLOAD_SHARE = 1448 / 1514;

export function simulateBulk(options: BulkOptions): BulkResult {
  return new Bulk(options).run();
}

class Bulk {
  readonly #options: BulkOptions;
  readonly #clock = new ManualClock();
  readonly #wire: MemoryWire;
  readonly #stacks: readonly [Stack, Stack];
  readonly #senders: Socket[] = [];
  #nowUs = 1_000_000;
  #received = 0;
  #startUs = -1;
  #dropped = 0;
  #lost = 0;

  constructor(options: BulkOptions) {
    this.#options = options;
    const { seed, rttMs, loss, reorder, reorderByMs = Math.max(1, rttMs / 4), rate, queueBytes } = options;
    this.#clock.advanceUs(this.#nowUs);
    const ends = [0, 1].map(() => ({ rxRing: RING, txRing: RING }));
    const impairment = { delayUs: rttMs * 500, loss, reorder, reorderUs: reorderByMs * 1000, rate, queueBytes };
    this.#wire = new MemoryWire({ seed, wake: 'advance', inFlight: 32768, ends, impairment });
    this.#wire.advance(this.#nowUs);
    this.#wire.observer = (fate) => {
      if (fate === 'queue-full' || fate === 'ring-full') this.#dropped++;
      else if (fate === 'lost') this.#lost++;
    };
    const random = new SeededRandom(seed);
    const open = (i: number): Stack => {
      const { ends } = this.#wire;
      const mac = Buffer.from(ends[1 - i].link.mac)
        .toString('hex')
        .replace(/(..)(?=.)/g, '$1:');
      const arp = `arp = ${ADDRESSES[1 - i]} ${mac}`;
      const text = `interface = end${i}\naddress = ${ADDRESSES[i]}/24\n${arp}\n${i === 0 ? (options.netdev ?? '') : ''}`;
      return new Stack(ends[i], parseNetdevConf(text, 'netdev.conf'), this.#clock, random);
    };
    this.#stacks = [open(0), open(1)];
    for (const stack of this.#stacks) {
      stack.onOutputNeeded = () => {};
      stack.start();
    }
  }

  run(): BulkResult {
    const { connections, seconds, rate } = this.#options;
    const sink = new Sink((length) => {
      if (this.#startUs < 0) this.#startUs = this.#nowUs;
      this.#received += length;
    });
    const [from, to] = this.#stacks;
    to.listen(PORT, 64, () => sink);
    for (let i = 0; i < connections; i++) {
      this.#senders.push(from.connect(0x0a090002, PORT, new Source()));
    }
    this.#stepUntil(this.#nowUs + START_US, () => this.#startUs >= 0);
    this.#stepUntil(this.#startUs + seconds * 1e6, () => false);
    const { tcpRetransSegs, tcpFastRetransmits, tcpUndos, tcpTimeouts } = from.stats;
    const bits = (this.#received * 8) / seconds;
    return {
      rate: bits / connections,
      share: bits / (rate * PAYLOAD_SHARE),
      retransmitted: tcpRetransSegs,
      recoveries: tcpFastRetransmits,
      undos: tcpUndos,
      timeouts: tcpTimeouts,
      dropped: this.#dropped,
      lost: this.#lost,
    };
  }

  #stepUntil(untilUs: number, done: () => boolean): void {
    while (this.#nowUs < untilUs && !done()) this.#step(untilUs);
  }

  #step(untilUs: number): void {
    let next = untilUs;
    const arrival = this.#wire.nextArrivalUs();
    if (arrival >= 0) next = Math.min(next, arrival);
    for (const stack of this.#stacks) {
      const delay = stack.nextDeadlineMs();
      if (delay >= 0) next = Math.min(next, (Math.floor(this.#nowUs / 1000) + delay) * 1000);
    }
    next = Math.max(next, this.#nowUs);
    this.#clock.advanceUs(next - this.#nowUs);
    this.#nowUs = next;
    this.#wire.advance(next);
    for (const stack of this.#stacks) {
      stack.poll();
      stack.flush();
    }
  }
}

/** Writes for as long as there is room. */
class Source implements SocketEvents {
  onOpen(socket: Socket): void {
    this.onWritable(socket);
  }

  onWritable(socket: Socket): void {
    while (socket.write(zeros, 0, zeros.length) === zeros.length);
  }

  onReadable(_socket: Socket, _bytes: Uint8Array, _offset: number, length: number): number {
    return length;
  }

  onEnd(): void {}
  onClose(): void {}
}

class Sink implements SocketEvents {
  readonly #count: (length: number) => void;

  constructor(count: (length: number) => void) {
    this.#count = count;
  }

  onReadable(_socket: Socket, _bytes: Uint8Array, _offset: number, length: number): number {
    this.#count(length);
    return length;
  }

  onOpen(): void {}
  onWritable(): void {}
  onEnd(): void {}
  onClose(): void {}
}
