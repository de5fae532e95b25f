// The transport over our own stack: drives the tick. One wake-up of the engine is one run to completion:
// receive, TCP, commands, append-only file, output, one kick. Nothing is queued between the NIC and the reply.
import { isIPv6 } from 'node:net';
import type { FrameEngine, HandedEngine, LinkCondition } from '../../io-engine/frame-engine.ts';
import { linkTypeOf } from '../../io-engine/pcapng.ts';
import { CLOSE_REASONS } from '../../stack/close-reasons.ts';
import type { StackConfig } from '../../stack/config.ts';
import {
  type ConnectionFacts,
  connectionFacts,
  type DeviceFacts,
  type StackFacts,
  stackFacts,
} from '../../stack/facts.ts';
import type { ProbeFacts } from '../../stack/probe.ts';
import type { Socket, SocketEvents } from '../../stack/socket.ts';
import { Stack } from '../../stack/stack.ts';
import { listStats } from '../../stack/stats.ts';
import { StackError } from '../../stack/tcp/connect.ts';
import type { Listener as StackListener } from '../../stack/tcp/listener.ts';
import { type ConnectionTraffic, TrafficWatch } from '../../stack/traffic-watch.ts';
import type { ServerClock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import type { Alarm, Scheduler } from '../platform/timers.ts';
import { ConnectionTrace } from './connection-trace.ts';
import { TickMeter } from './tick-meter.ts';
import type {
  Acceptor,
  CaptureRequest,
  Connection,
  ConnectionHandler,
  ConnectOptions,
  Listener,
  SegmentTrace,
  StackInsight,
  TickBudget,
  TickTimes,
  Transport,
} from './transport.ts';
import { TransportError } from './transport.ts';
import { Captures } from './userspace-capture.ts';
import { ConnectionEvents, lingering, UserspaceConnection } from './userspace-connection.ts';

export type {
  ConnectionFacts,
  DeviceFacts,
  ListenerFacts,
  NeighborFacts,
  RouteFacts,
  StackFacts,
} from '../../stack/facts.ts';
export type { ProbeFacts } from '../../stack/probe.ts';
export type { ConnectionTraffic } from '../../stack/traffic-watch.ts';

/** Ticks in which everyone is told what there is to tell, before a transport stands still. */
const LAST_TICKS = 16;

/** A transport that stands still. */
export interface SuspendedTransport {
  readonly stack: Uint8Array;
  /** Null: the device cannot change hands between processes. */
  readonly engine: HandedEngine | null;
}

const DYNAMIC_PORT_MIN = 49152;
const DYNAMIC_PORTS = 65536 - DYNAMIC_PORT_MIN;

export interface UserspaceParts {
  readonly engine: FrameEngine;
  readonly config: StackConfig;
  readonly clock: ServerClock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  /** The owner will call `stack.claim`, or `takeOver`; otherwise the addresses are announced at once. */
  readonly claims?: boolean;
  /** Seconds of silence after which a client is probed; 0: as netdev.conf says. */
  readonly keepAliveSeconds?: () => number;
  /** Stands still until `resume`: it is to take over what another one had. */
  readonly suspended?: boolean;
  /** Called once, when the device is closed. */
  readonly onClosed?: () => void;
}

/** The number of what is in `socket.user`. */
function idOfUser(idOf: (handler: ConnectionHandler) => number): (user: unknown) => number {
  return (user) => (user instanceof UserspaceConnection ? idOf(user.handler) : 0);
}

export class UserspaceTransport implements Transport, StackInsight {
  readonly name = 'userspace' as const;
  readonly insight = this;
  /** As whoever opened it watches it; until then it is what it was when it was opened. */
  link: LinkCondition = { state: 'up', changes: 0 };
  beforeOutput: () => void = () => {};
  /** The stack, for tools that show its insides. */
  readonly stack: Stack;

  readonly #engine: FrameEngine;
  readonly #clock: ServerClock;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #alarm: Alarm;
  readonly #events: SocketEvents;
  readonly #keepAliveSeconds: () => number;
  readonly #open = new Set<UserspaceConnection>();
  /** null: nobody wants to know. */
  #meter: TickMeter | null = null;
  #captures: Captures | null = null;
  #alarmAtMs = 0;
  #alarmArmed = false;
  #tickIsComing = false;
  #closed = false;
  /** Another process may go on from here: nothing moves meanwhile. */
  #suspended = false;
  #onAllClosed: (() => void) | null = null;
  readonly #onClosed: () => void;

  constructor(parts: UserspaceParts) {
    const { engine, config, clock, scheduler, random, keepAliveSeconds, claims, suspended } = parts;
    this.#onClosed = parts.onClosed ?? (() => {});
    this.#keepAliveSeconds = keepAliveSeconds ?? (() => 0);
    this.#engine = engine;
    this.#clock = clock;
    this.#scheduler = scheduler;
    this.#random = random;
    this.#alarm = scheduler.createAlarm(() => {
      this.#alarmArmed = false;
      this.tick();
      // The engine's wait keeps the process alive, or is told not to.
    }, true);
    this.#events = new ConnectionEvents((connection) => this.#forget(connection));
    clock.update();
    this.stack = new Stack(engine, config, clock, random);
    this.stack.onOutputNeeded = () => this.#tickSoon();
    this.#suspended = suspended === true;
    if (this.#suspended) return;
    if (claims !== true) this.stack.start();
    engine.wait(() => this.tick());
    this.#tickSoon();
  }

  facts(): [name: string, value: string | number][] {
    const { link, name } = this.#engine;
    const { stats, tcp, ip } = this.stack;
    return [
      ['engine', name],
      ['interface', link.name],
      ['link', this.link.state],
      ['addresses', this.stack.ip.addressTexts().join(',')],
      ['mtu', link.mtu],
      ['receive-drops', this.#engine.counters.rxDropped],
      ['connections', this.#open.size],
      ['half-open', tcp.handshakes],
      ['time-wait', tcp.timeWaits],
      ['flows', tcp.flows.size],
      ['buffer-bytes', tcp.blocks.used],
      ['ipv6-addresses', ip.book.size],
      ...listStats(stats),
    ];
  }

  get linkType(): number {
    return linkTypeOf(this.#engine.link);
  }

  deviceFacts(): DeviceFacts {
    const { link, counters } = this.#engine;
    return { name: link.name, mtu: link.mtu, link: this.link, counters };
  }

  stackFacts(): StackFacts {
    return stackFacts(this.stack, this.#engine, this.link.state);
  }

  startCapture(request: CaptureRequest, idOf: (handler: ConnectionHandler) => number): () => void {
    this.#captures ??= new Captures(this.stack, this.#engine, () => this.#clock.preciseUnixUs(), idOfUser(idOf));
    return this.#captures.start(request);
  }

  connectionFacts(idOf: (handler: ConnectionHandler) => number, limit: number): ConnectionFacts[] {
    return connectionFacts(this.stack, idOfUser(idOf), limit);
  }

  watchTraffic(idOf: (handler: ConnectionHandler) => number): (limit: number) => ConnectionTraffic[] {
    const watch = new TrafficWatch(this.stack, idOfUser(idOf));
    return (limit) => watch.take(limit);
  }

  probe(address: string, timeoutMs: number, sizes = pathSizes(this.#engine.link.mtu)): Promise<ProbeFacts> {
    const ip = this.#parsePeer(address);
    this.#clock.update();
    return new Promise((resolve) => {
      this.stack.probe(ip, sizes, timeoutMs, resolve);
      this.#tickSoon();
    });
  }

  /** @throws TransportError EINVAL, ENETUNREACH */
  #parsePeer(address: string): number {
    const ip = this.stack.ip.parse(address);
    if (ip !== null) return ip;
    if (!isIPv6(address)) throw new TransportError('EINVAL', `'${address}' is not an address`);
    throw new TransportError('ENETUNREACH', `'${address}' needs an IPv6 address of ours in netdev.conf`);
  }

  /** @throws TransportError */
  #parseOwn(address: string): number {
    const ip = this.stack.ip.parse(address);
    if (ip !== null && this.stack.ip.isLocal(ip)) return ip;
    throw new TransportError('EADDRNOTAVAIL', `'${address}' is no address of ours`);
  }

  /**
   * Others serve our addresses too. @param tell takes frames (to be copied) that concern them; null: the engine lets all of
   * them hear everything, and one that is not the first answers nothing that is asked of the host.
   */
  shareAddresses(isFirst: boolean, tell: ((bytes: Uint8Array, offset: number, length: number) => void) | null): void {
    const { ip } = this.stack;
    ip.onHeard = tell;
    ip.isQuiet = tell === null && !isFirst;
  }

  /** A frame that another one has told. */
  overhear(frame: Uint8Array): void {
    this.stack.ip.overhear(frame);
    this.#tickSoon();
  }

  /** One run to completion. Called by the engine's wake-up, the stack's earliest timer, or work from outside. */
  tick(): void {
    if (this.#closed || this.#suspended) return;
    this.#clock.update();
    if (this.#meter?.isDue() === true) {
      this.#measuredTick(this.#meter);
    } else {
      this.stack.poll();
      this.beforeOutput();
      this.stack.flush();
    }
    this.#armAlarm();
  }

  #measuredTick(meter: TickMeter): void {
    const { stopwatch } = meter;
    const began = stopwatch();
    this.stack.poll();
    const inputDone = stopwatch();
    this.beforeOutput();
    const persisted = stopwatch();
    this.stack.flush();
    meter.add(began, inputDone, persisted, stopwatch());
  }

  /** Frames are looked for past the event loop; engines whose packages are told by it (pcap, raw) find none. */
  serveNow(): void {
    if (this.#closed) return;
    this.#clock.updateSinceStart();
    this.stack.interrupt(this.#betweenHalves);
    this.#armAlarm();
  }

  readonly #betweenHalves = (): void => this.beforeOutput();

  measureTicks(stopwatch: () => number): void {
    this.#meter ??= new TickMeter(stopwatch);
  }

  tickBudget(): TickBudget | null {
    const meter = this.#meter;
    if (meter === null) return null;
    return { inputUs: meter.inputUs, persistenceUs: meter.persistenceUs, outputUs: meter.outputUs };
  }

  tickTimes(): TickTimes | null {
    return this.#meter;
  }

  traceSegments(connection: Connection): SegmentTrace | null {
    if (!(connection instanceof UserspaceConnection)) return null;
    const { stack } = this;
    const { socket } = connection;
    const traced = socket.connection;
    const ring = traced === null ? null : stack.traceSegments(traced);
    if (traced === null || ring === null) return null;
    return new ConnectionTrace({
      ring,
      traced,
      nowUs: stack.tcp.nowUs,
      isOpen: () => socket.connection === traced,
      stop: () => {
        // Unless somebody else looks at another one since.
        if (stack.tcp.trace === ring) stack.traceSegments(null);
      },
    });
  }

  // --- another process goes on ---

  /**
   * Stands still, with everything told that could be told, and describes itself for another process.
   * @param idOf the number of a connection's handler; 0: nobody's, who is left to end. Then `resume` or nothing.
   */
  suspend(idOf: (handler: ConnectionHandler) => number): SuspendedTransport {
    const { tcp } = this.stack;
    for (let ticks = 0; ticks < LAST_TICKS && (ticks === 0 || tcp.ready.count > 0); ticks++) this.tick();
    this.#suspended = true;
    this.#alarm.disarm();
    this.#alarmArmed = false;
    const id = idOfUser(idOf);
    return {
      stack: this.stack.exportState((socket) => id(socket.user)),
      engine: this.#engine.handOver?.() ?? null,
    };
  }

  /** Descriptors that another process needs for the device; null: it cannot change hands. */
  get handedFds(): readonly number[] | null {
    return this.#engine.handedFds ?? null;
  }

  /** Whether the connection is one of ours, which goes on with us. */
  carries(connection: Connection): boolean {
    return connection instanceof UserspaceConnection;
  }

  /** Nobody has gone on: this one does. */
  resume(): void {
    this.#suspended = false;
    this.#engine.wait(() => this.tick());
    this.tick();
  }

  /**
   * Goes on with what another one described, its listeners open, before the first tick.
   * @returns the connections by the numbers of those who had them, who are to `attach` again.
   */
  takeOver(stack: Uint8Array): Map<number, Connection> {
    const connections = new Map<number, UserspaceConnection>();
    this.#clock.update();
    this.stack.importState(stack, (socket, owner) => {
      const connection = new UserspaceConnection(socket, this.stack);
      connection.handler = lingering(socket);
      socket.user = connection;
      this.#open.add(connection);
      if (owner !== 0) connections.set(owner, connection);
      return this.#events;
    });
    return connections;
  }

  /** What has come while we stood still was not for us, or will come again. */
  discardFrames(): this {
    while (this.#engine.receive() > 0);
    return this;
  }

  /** Tells the network that our addresses are at this hardware address now (RFC 5227 2.3, RFC 4861 7.2.6). */
  announce(): void {
    if (this.#suspended || this.#closed) return;
    this.stack.start();
    this.#tickSoon();
  }

  /** Who hears of a connection that was taken over. */
  attach(connection: Connection, handler: ConnectionHandler): void {
    (connection as UserspaceConnection).handler = handler;
  }

  #tickSoon(): void {
    if (this.#tickIsComing || this.#closed) return;
    this.#tickIsComing = true;
    this.#scheduler.soon(this.#runSoonTick);
  }

  readonly #runSoonTick = (): void => {
    this.#tickIsComing = false;
    this.tick();
  };

  /** Re-arms only for an earlier deadline: an alarm that comes too early costs one empty tick, re-arming each tick more. */
  #armAlarm(): void {
    const delayMs = this.stack.nextDeadlineMs();
    if (delayMs < 0) return;
    const atMs = (this.#clock.nowMs + delayMs) | 0;
    if (this.#alarmArmed && ((this.#alarmAtMs - atMs) | 0) <= 0) return;
    this.#alarmArmed = true;
    this.#alarmAtMs = atMs;
    this.#alarm.arm(Math.max(1, delayMs));
  }

  async listen(address: string, port: number, backlog: number, acceptor: Acceptor): Promise<Listener> {
    const ip = this.#ownAddress(address);
    const accept = (socket: Socket): SocketEvents | null => {
      const connection = new UserspaceConnection(socket, this.stack);
      const handler = acceptor(connection);
      if (handler === null) return null;
      this.#adopt(connection, handler);
      return this.#events;
    };
    const listener = transportErrors(`listen on ${address}:${port}`, () => {
      if (port !== 0) return this.stack.listen(port, backlog, accept, ip);
      return this.#listenAnywhere(backlog, accept, ip);
    });
    const anywhere = this.stack.ip.ipv6 === null ? '0.0.0.0' : '::';
    return {
      address: address === '*' ? anywhere : address,
      port: listener.port,
      close: () => this.stack.unlisten(listener),
    };
  }

  /** On a free port of the dynamic ones (RFC 6335 6). */
  #listenAnywhere(backlog: number, accept: (socket: Socket) => SocketEvents | null, ip: number): StackListener {
    const start = this.#random.int32() >>> 0;
    for (let i = 0; i < DYNAMIC_PORTS; i++) {
      try {
        return this.stack.listen(DYNAMIC_PORT_MIN + ((start + i) % DYNAMIC_PORTS), backlog, accept, ip);
      } catch (error) {
        if (!(error instanceof StackError) || error.code !== 'EADDRINUSE') throw error;
      }
    }
    throw new StackError('EADDRINUSE', 'every dynamic port is taken');
  }

  connect(
    address: string,
    port: number,
    attach: (connection: Connection) => ConnectionHandler,
    { signal, localAddress, localPort }: ConnectOptions = {},
  ): Promise<Connection> {
    return new Promise((resolve, reject) => {
      // A throw here rejects the promise.
      const ip = this.#parsePeer(address);
      const from = localAddress === undefined ? 0 : this.#parseOwn(localAddress);
      const opening: SocketEvents = {
        onOpen: (socket) => {
          const connection = new UserspaceConnection(socket, this.stack);
          this.#adopt(connection, attach(connection));
          resolve(connection);
        },
        onReadable: (socket, bytes, offset, length) => this.#events.onReadable(socket, bytes, offset, length),
        onWritable: (socket) => this.#events.onWritable(socket),
        onEnd: (socket) => this.#events.onEnd(socket),
        onClose: (socket, reason) => {
          if (socket.user !== null) {
            this.#events.onClose(socket, reason);
            return;
          }
          const code = CLOSE_REASONS[reason] ?? 'ECONNABORTED';
          reject(new TransportError(code, `connect to ${address}:${port}: ${code}`));
        },
      };
      // A throw here rejects the promise.
      const socket = transportErrors(`connect to ${address}:${port}`, () =>
        this.stack.connect(ip, port, opening, from, localPort),
      );
      signal?.addEventListener('abort', () => {
        if (socket.user === null) socket.abort();
      });
    });
  }

  ref(): void {
    this.#engine.ref();
  }

  unref(): void {
    this.#engine.unref();
  }

  async close(graceMs: number): Promise<void> {
    if (this.#closed) return;
    // SHUTDOWN comes from within a tick: the next one sends the FINs.
    for (const connection of this.#open) connection.end();
    this.#tickSoon();
    await this.#drained(graceMs);
    for (const connection of this.#open) connection.destroy();
    this.tick();
    this.#closed = true;
    this.#alarm.disarm();
    this.stack.close();
    // A lease that is given back.
    this.#engine.flush();
    this.#engine.close();
    this.#onClosed();
  }

  /** Resolves when every connection is gone, or after `graceMs`. */
  #drained(graceMs: number): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const deadline = this.#scheduler.createAlarm(resolve);
      deadline.arm(graceMs);
      this.#onAllClosed = () => {
        deadline.disarm();
        resolve();
      };
    });
  }

  #adopt(connection: UserspaceConnection, handler: ConnectionHandler): void {
    connection.handler ??= handler; // who took it may have closed it at once
    connection.socket.user = connection;
    const seconds = this.#keepAliveSeconds();
    if (seconds > 0) connection.socket.setKeepAlive(seconds * 1000);
    this.#open.add(connection);
  }

  #forget(connection: UserspaceConnection): void {
    this.#open.delete(connection);
    if (this.#open.size === 0) this.#onAllClosed?.();
  }

  /** @returns 0 for any of our addresses. */
  #ownAddress(address: string): number {
    if (['', '*', '0.0.0.0', '::', '::*'].includes(address)) return 0;
    const ip = this.stack.ip.parse(address);
    if (ip === null || !this.stack.ip.isLocal(ip)) {
      throw new TransportError(
        'EADDRNOTAVAIL',
        `cannot bind ${address}: the user-space interface has ${this.stack.ip.addressTexts().join(', ')}; ` +
          `set 'bind' to one of them or 'address' in netdev.conf`,
      );
    }
    return ip;
  }
}

/** Sizes at which paths end (RFC 1191 7.1, tunnels), the smallest first: bytes. */
const PATH_SIZES = [84, 576, 1280, 1400, 1420, 1450, 1480, 1492, 1500, 4352, 8166];

function pathSizes(mtu: number): number[] {
  return [...PATH_SIZES.filter((size) => size < mtu), mtu];
}

/** Runs a call into the stack; what it refuses is refused in the transport's words. */
function transportErrors<T>(what: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof StackError) throw new TransportError(error.code, `${what}: ${error.message}`);
    throw error;
  }
}
