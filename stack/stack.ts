// The stack over one engine. A tick is poll(), whatever the application still has to do, flush(): frames in, timers, one
// callback per connection that has news, then output pulled from every connection that has any, one kick of the
// device. Run to completion, single-threaded; time comes in through the clock. Used by src/transports/userspace.ts.
import type { FrameEngine } from '../io-engine/frame-engine.ts';
import type { Conflict } from './claim.ts';
import type { Clock, RandomSource } from './clock.ts';
import type { StackConfig } from './config.ts';
import type { FrameTap } from './frame-tap.ts';
import { Ip } from './ip.ts';
import { Probe, type ProbeFacts } from './probe.ts';
import { Socket, type SocketEvents } from './socket.ts';
import { readStack, type TakenState, writeStack } from './state/stack-state.ts';
import { Stats } from './stats.ts';
import { openConnection, StackError } from './tcp/connect.ts';
import type { Connection } from './tcp/connection.ts';
import { deliverAll, interruptDelivery } from './tcp/deliver.ts';
import { type Acceptor, Listener } from './tcp/listener.ts';
import { noteTaken } from './tcp/receive-space.ts';
import { SegmentTrace } from './tcp/segment-trace.ts';
import { Tcp } from './tcp/tcp.ts';
import { TimerWheel } from './timer-wheel.ts';

/**
 * Frames in one poll that end what somebody sent: who sent it is answered, and sends again, while we look at the next
 * ones. With all of a long queue in one tick our core and theirs take turns instead.
 */
const POLL_ENDS_MAX = 32;
/** About a millisecond's work for a server of short requests, so that nobody waits longer for his reply. */
const POLL_BYTES_MAX = 128 * 1024;
/** Kicks of a device whose outgoing slots are all in use before the rest waits for the next tick. */
const FLUSHES_MAX = 4;

export class Stack {
  /** Called once when there is something to do outside of poll() and flush(): run a tick soon. */
  onOutputNeeded: () => void = () => {};

  readonly stats = new Stats();
  readonly ip: Ip;
  readonly tcp: Tcp;
  readonly #engine: FrameEngine;
  readonly #clock: Clock;
  readonly #wheel: TimerWheel;
  #interrupted = false;
  #tap: FrameTap | null = null;

  constructor(engine: FrameEngine, config: StackConfig, clock: Clock, random: RandomSource) {
    this.#engine = engine;
    this.#clock = clock;
    this.#wheel = new TimerWheel(clock.nowMs);
    this.ip = new Ip(engine, config, clock, random, this.#wheel, this.stats);
    this.tcp = new Tcp(engine, this.ip, config, clock, random, this.#wheel, this.stats);
    this.ip.setTcp(this.tcp);
    this.tcp.onWork = () => this.onOutputNeeded();
  }

  /** Announces our addresses. Call once, then tick. */
  start(): void {
    this.ip.start();
  }

  /**
   * Asks the network whether another host has one of our addresses (RFC 5227); without a conflict announces them as
   * `start` does. Needs ticks; call it instead of `start`.
   */
  claim(totalMs: number, done: (conflict: Conflict | null) => void): void {
    this.ip.claim(totalMs, done);
  }

  /** Asks a host whether it is there, with IP packets of these sizes. Needs ticks. */
  probe(ip: number, sizes: readonly number[], timeoutMs: number, done: (facts: ProbeFacts) => void): void {
    const parts = { ip: this.ip, clock: this.#clock, timers: this.#wheel, onWork: () => this.onOutputNeeded() };
    new Probe(parts, ip, sizes, timeoutMs, done);
  }

  /** First half of a tick. @returns frames received. */
  poll(): number {
    const engine = this.#engine;
    const { batch, memory, link } = engine;
    this.tcp.beginTick();
    let frames = 0;
    let ends = 0;
    let bytes = 0;
    while (ends < POLL_ENDS_MAX && bytes < POLL_BYTES_MAX) {
      // Every frame may bring an address that nobody has heard of, and have another one asked for.
      if (this.ip.book.room < batch.capacity * 8) this.#sweepAddresses();
      const count = engine.receive();
      if (this.#tap !== null) this.#inputTapped(count, this.#tap);
      else for (let i = 0; i < count; i++) this.ip.input(memory, batch.offset[i], batch.length[i], batch.flags[i]);
      for (let i = 0; i < count; i++) {
        bytes += batch.length[i];
        // A full segment is a part of something longer: an answer to a part would be one more for its sender to take.
        if (batch.length[i] < link.mtu) ends++;
      }
      frames += count;
      // Before the next receive() takes the frames away.
      deliverAll(this.tcp);
      if (count < batch.capacity) break;
    }
    noteTaken(this.tcp, bytes);
    this.#wheel.advance(this.tcp.nowMs);
    deliverAll(this.tcp);
    return frames;
  }

  /**
   * A tick within a tick, for a handler that goes on for long: everybody but its own connection has a turn. What the
   * handler was given to read counts as read, and its place in memory is given back: it must have copied what it needs.
   * @param between called between the two halves.
   */
  interrupt(between: () => void): void {
    if (this.#interrupted) return;
    this.#interrupted = true;
    const { tcp } = this;
    const { delivering, inTick } = tcp;
    interruptDelivery(tcp);
    this.poll();
    between();
    this.flush();
    // What the engine would send at the end of a wake-up leaves now: the handler goes on.
    this.#engine.flush();
    tcp.delivering = delivering;
    tcp.interrupted = null;
    tcp.inTick = inTick;
    this.#interrupted = false;
  }

  /** From the next frame on, whoever captures sees them all; null: nobody any more. */
  set tap(tap: FrameTap | null) {
    this.#tap = tap;
    this.ip.tap = tap;
  }

  #inputTapped(count: number, tap: FrameTap): void {
    const { batch, memory } = this.#engine;
    for (let i = 0; i < count; i++) {
      tap.received(memory, batch.offset[i], batch.length[i], batch.flags[i]);
      this.stats.takeLastDrop();
      this.ip.input(memory, batch.offset[i], batch.length[i], batch.flags[i]);
      tap.processed(this.stats.takeLastDrop());
    }
  }

  /** Takes back the numbers of IPv6 addresses that nobody speaks to any more; seldom where there are many connections. */
  #sweepAddresses(): void {
    this.ip.book.sweep(Math.max(this.#engine.batch.capacity * 16, this.tcp.flows.size), (mark) => {
      this.ip.mark(mark);
      this.tcp.mark(mark);
    });
  }

  /** Second half: everything written since leaves. What finds no outgoing slot leaves with a later flush. */
  flush(): void {
    this.tcp.readClock();
    this.tcp.inTick = true;
    for (let i = 0; i < FLUSHES_MAX; i++) {
      const complete = this.tcp.outputAll();
      this.#engine.flush();
      if (complete) break;
    }
    if (this.#tap !== null) this.#tap.flushed();
    this.tcp.recycle();
    this.tcp.endTick();
  }

  /** Milliseconds until a tick is needed although no frame comes; -1: never. */
  nextDeadlineMs(): number {
    if (this.tcp.ready.count > 0) return 0;
    // Outgoing slots ran out: the device needs a moment.
    if (this.tcp.dirty.count > 0) return 1;
    return this.#wheel.nextDelayMs(this.#clock.nowMs);
  }

  /**
   * Takes connections to a port.
   * @param backlog established connections that may wait to be accepted.
   * @param accept called with each; null refuses it with RST.
   * @param ip one of our addresses; 0: all.
   * @throws StackError EADDRINUSE, EADDRNOTAVAIL.
   */
  listen(port: number, backlog: number, accept: Acceptor, ip = 0): Listener {
    if (ip !== 0 && !this.ip.isLocal(ip)) throw new StackError('EADDRNOTAVAIL', 'the address is not ours');
    const listener = new Listener(port, ip, backlog, accept);
    if (!this.tcp.addListener(listener)) throw new StackError('EADDRINUSE', `port ${port} is taken`);
    return listener;
  }

  /** No more connections to it; those that exist go on. */
  unlisten(listener: Listener): void {
    this.tcp.removeListener(listener);
  }

  /**
   * Opens a connection; `onOpen` follows, or `onClose` with the reason why not.
   * @param localIp one of our addresses; 0: as the route says. @param localPort 0: any that is free.
   * @throws StackError ENETUNREACH, EADDRNOTAVAIL (no local port is free), EADDRINUSE (the named one is not), ENOBUFS
   * (connection limit).
   */
  connect(ip: number, port: number, events: SocketEvents, localIp = 0, localPort = 0): Socket {
    const c = openConnection(this.tcp, ip, port, localIp, localPort);
    const socket = new Socket(c);
    socket.events = events;
    c.socket = socket;
    return socket;
  }

  /** Records the segments of a connection from now on, in place of another's; null: of none. */
  traceSegments(c: Connection | null): SegmentTrace | null {
    this.tcp.traced = c;
    this.tcp.trace = c === null ? null : new SegmentTrace();
    return this.tcp.trace;
  }

  /**
   * Everything that peers know of us, for another stack that goes on in place of this one. Between two ticks; this one
   * must not tick any more unless the other one never does. Not in it: connections that are opening, and those that
   * both sides have closed while somebody here has yet to read the rest.
   * @param owner a number that stands for whoever holds a socket.
   */
  exportState(owner: (socket: Socket) => number): Uint8Array {
    return writeStack(this.tcp, ({ socket }) => (socket === null ? 0 : owner(socket)));
  }

  /**
   * Goes on in place of another stack. In place of `start`, with the same addresses, the listeners open, before the
   * first tick.
   * @param adopt who hears of a connection from now on, by the number that `exportState` was given.
   * @throws StackStateError when the state is not one, or there is no room for it.
   */
  importState(bytes: Uint8Array, adopt: (socket: Socket, owner: number) => SocketEvents): TakenState {
    return readStack(this.tcp, bytes, (c, owner) => {
      const socket = new Socket(c);
      c.socket = socket;
      socket.events = adopt(socket, owner);
    });
  }

  /** Connections that exist, without those in SYN-RECEIVED and TIME-WAIT. */
  get connections(): number {
    return this.tcp.connections;
  }

  close(): void {
    this.ip.close();
  }
}
