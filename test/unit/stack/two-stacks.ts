// Two stacks on a memory wire and one virtual clock, and applications that record what they are told. For tests.
import {
  type FrameObserver,
  type MemoryEndOptions,
  MemoryWire,
  type MemoryWireOptions,
} from '../../../io-engine/memory-wire.ts';
import { ManualClock } from '../../../src/platform/clock.ts';
import { SeededRandom } from '../../../src/platform/random.ts';
import type { StackConfig } from '../../../stack/config.ts';
import type { Socket, SocketEvents } from '../../../stack/socket.ts';
import { Stack } from '../../../stack/stack.ts';
import type { TakenState } from '../../../stack/state/stack-state.ts';
import { parseTcp, TcpSegment } from '../../../stack/wire/tcp.ts';

export const IP_A = 0x0a000001;
export const IP_B = 0x0a000002;
export const PORT = 6379;

export function testConfig(ip: number, overrides: Partial<StackConfig> = {}): StackConfig {
  const address = { ip, prefixLength: 24 };
  return {
    engine: {
      engine: 'auto',
      interface: 'memory',
      mac: null,
      mtu: 0,
      rxRing: 256,
      txRing: 256,
      queues: 1,
      addresses: [address],
      rxChecksum: 'auto',
      tso: 'auto',
      busyPollUs: 0,
      coalesceUs: 0,
      vlan: 0,
      ipv6: false,
    },
    addresses: [address],
    dhcp: false,
    hostName: 'wiredis',
    vlan: 0,
    addressCheckMs: 0,
    gateway: null,
    routes: [],
    arp: [],
    ipv6: null,
    rxChecksum: 'auto',
    maxConnections: 1000,
    receiveBuffer: 64 * 1024,
    sendBuffer: 64 * 1024,
    bufferMemory: 512 * 1024 * 1024,
    congestion: 'cubic',
    ecn: 'accept',
    synCookies: 'on',
    userTimeoutMs: 0,
    ttl: 64,
    tos: 0,
    rtoMinMs: 200,
    delayedAckMs: 40,
    keepaliveMs: 0,
    timeWaitMs: 60_000,
    ...overrides,
  } as StackConfig;
}

export interface TwoStacksOptions {
  readonly seed?: number;
  readonly wire?: Partial<MemoryWireOptions>;
  readonly ends?: readonly MemoryEndOptions[];
  readonly a?: Partial<StackConfig>;
  readonly b?: Partial<StackConfig>;
  /** Where the clock starts, for wrap-around. */
  readonly startUs?: number;
}

/** A segment seen on the wire. */
export interface SeenSegment {
  readonly from: number;
  readonly flags: number;
  readonly seq: number;
  readonly ack: number;
  readonly length: number;
  readonly window: number;
  readonly sackCount: number;
  readonly atUs: number;
}

export class TwoStacks {
  readonly clock = new ManualClock();
  readonly wire: MemoryWire;
  a: Stack;
  b: Stack;
  readonly seen: SeenSegment[] = [];
  /** Runs between poll and flush of each stack's tick. */
  onTick: (stack: Stack) => void = () => {};
  #nowUs: number;

  constructor(options: TwoStacksOptions = {}) {
    const seed = options.seed ?? 1;
    const mac = (last: number) => Uint8Array.of(2, 0, 0, 0, 0, last);
    this.#nowUs = options.startUs ?? 1_000_000;
    this.clock.advanceUs(this.#nowUs);
    const ends = (options.ends ?? [{}, {}]).map((end, i) => ({ ...end, mac: mac(i + 1) }));
    this.wire = new MemoryWire({ seed, wake: 'advance', ...options.wire, ends });
    this.wire.advance(this.#nowUs);
    const arpA = [{ ip: IP_B, mac: mac(2) }];
    const arpB = [{ ip: IP_A, mac: mac(1) }];
    const random = new SeededRandom(seed);
    this.a = new Stack(this.wire.ends[0], testConfig(IP_A, { arp: arpA, ...options.a }), this.clock, random);
    this.b = new Stack(this.wire.ends[1], testConfig(IP_B, { arp: arpB, ...options.b }), this.clock, random);
  }

  /**
   * Another stack goes on in place of one, with a clock that says something else.
   * @param listen opens its listeners. @returns what it took over.
   */
  replace(
    name: 'a' | 'b',
    config: Partial<StackConfig>,
    aheadMs: number,
    owner: (socket: Socket) => number,
    listen: (stack: Stack) => void,
    adopt: (socket: Socket, owner: number) => SocketEvents,
  ): TakenState {
    const { clock } = this;
    const other = {
      get nowMs(): number {
        return (clock.nowMs + aheadMs) | 0;
      },
      get nowUs(): number {
        return (clock.nowUs + Math.imul(aheadMs, 1000)) | 0;
      },
    };
    const bytes = this[name].exportState(owner);
    const end = this.wire.ends[name === 'a' ? 0 : 1];
    const stack = new Stack(end, testConfig(name === 'a' ? IP_A : IP_B, config), other, new SeededRandom(aheadMs));
    listen(stack);
    const taken = stack.importState(bytes, adopt);
    this[name] = stack;
    return taken;
  }

  /** Records every TCP segment that is sent. */
  watch(): this {
    const segment = new TcpSegment();
    const observer: FrameObserver = (fate, from, _to, bytes, offset, length, atUs) => {
      if (fate !== 'sent' || bytes[offset + 12] !== 8 || bytes[offset + 13] !== 0 || bytes[offset + 23] !== 6) return;
      if (parseTcp(bytes, offset + 34, length - 34, segment) !== 0) return;
      const { flags, seq, ack, payloadLength, window, sackCount } = segment;
      this.seen.push({ from, flags, seq, ack, length: payloadLength, window, sackCount, atUs });
    };
    this.wire.observer = observer;
    return this;
  }

  get nowMs(): number {
    return this.clock.nowMs;
  }

  tick(): number {
    let frames = 0;
    for (const stack of [this.a, this.b]) {
      frames += stack.poll();
      this.onTick(stack);
      stack.flush();
    }
    return frames;
  }

  /** Ticks until nothing happens without time moving on. */
  settle(): void {
    for (let i = 0; i < 10_000; i++) {
      this.wire.advance(this.#nowUs);
      const frames = this.tick();
      if (frames === 0 && this.#nextUs() > this.#nowUs) return;
    }
    throw new Error('does not settle');
  }

  #nextUs(): number {
    let next = Number.POSITIVE_INFINITY;
    const arrival = this.wire.nextArrivalUs();
    if (arrival >= 0) next = arrival;
    for (const stack of [this.a, this.b]) {
      const delay = stack.nextDeadlineMs();
      if (delay === 0) return this.#nowUs;
      if (delay > 0) next = Math.min(next, (Math.floor(this.#nowUs / 1000) + delay) * 1000);
    }
    for (const end of this.wire.ends) if (end.waitingFrames > 0) return this.#nowUs;
    return next;
  }

  /** Time moves on and nobody notices before the next tick: a machine that slept. */
  jump(ms: number): void {
    this.clock.advanceUs(ms * 1000);
    this.#nowUs += ms * 1000;
  }

  /** Moves time on to the next event, at most to `untilUs`. @returns false when that was reached. */
  step(untilUs: number): boolean {
    const next = Math.min(this.#nextUs(), untilUs);
    if (next > this.#nowUs) {
      this.clock.advanceUs(next - this.#nowUs);
      this.#nowUs = next;
    }
    this.wire.advance(this.#nowUs);
    this.tick();
    return this.#nowUs < untilUs;
  }

  /** Runs virtual time for `ms`, or until `done`. @returns whether `done` came. */
  run(ms: number, done: () => boolean = () => false): boolean {
    const until = this.#nowUs + ms * 1000;
    for (let i = 0; i < 5_000_000; i++) {
      if (done()) return true;
      if (!this.step(until)) {
        this.settle();
        return done();
      }
    }
    throw new Error('too many steps');
  }

  /** A connection from `a` to a listener on `b`, established. */
  connect(options: { readonly port?: number } = {}): [client: Recorder, server: Recorder] {
    const port = options.port ?? PORT;
    const server = new Recorder();
    const listener = this.b.listen(port, 16, (socket) => server.attach(socket));
    const client = new Recorder();
    client.attach(this.a.connect(IP_B, port, client));
    this.run(30_000, () => client.opened && server.opened);
    this.b.unlisten(listener);
    return [client, server];
  }
}

/** An application that keeps everything it hears. */
export class Recorder implements SocketEvents {
  socket!: Socket;
  received: number[] = [];
  log: string[] = [];
  opened = false;
  ended = false;
  closed = false;
  reason = -1;
  /** Bytes taken a call at most. */
  appetite = Number.POSITIVE_INFINITY;
  echo = false;
  endOnEnd = false;

  attach(socket: Socket): this {
    this.socket = socket;
    return this;
  }

  onOpen(): void {
    this.opened = true;
    this.log.push('open');
  }

  onReadable(socket: Socket, bytes: Uint8Array, offset: number, length: number): number {
    const count = Math.min(length, this.appetite);
    for (let i = 0; i < count; i++) this.received.push(bytes[offset + i]);
    if (this.echo) socket.write(bytes, offset, count);
    this.log.push(`data ${count}`);
    return count;
  }

  onWritable(): void {
    this.log.push('writable');
  }

  onEnd(socket: Socket): void {
    this.ended = true;
    this.log.push('end');
    if (this.endOnEnd) socket.end();
  }

  onClose(_socket: Socket, reason: number): void {
    if (this.closed) throw new Error('closed twice');
    this.closed = true;
    this.reason = reason;
    this.log.push(`close ${reason}`);
  }

  write(text: string | Uint8Array): number {
    const bytes = typeof text === 'string' ? Uint8Array.from(Buffer.from(text, 'latin1')) : text;
    return this.socket.write(bytes, 0, bytes.length);
  }

  get text(): string {
    return Buffer.from(this.received).toString('latin1');
  }
}

/** Byte `i` of the stream with this number: cheap to check anywhere. */
export function streamByte(stream: number, i: number): number {
  return ((Math.imul(i + 1, 0x9e3779b1) >>> 24) ^ (stream * 37 + (i >>> 16))) & 0xff;
}
