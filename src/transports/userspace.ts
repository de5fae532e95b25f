// The transport over our own stack: drives the tick. One wake-up of the engine is one run to completion:
// receive, TCP, commands, append-only file, output, one kick. Nothing is queued between the NIC and the reply.
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import type { FrameEngine } from '../../io-engine/frame-engine.ts';
import { openEngine, type SharedInterface, shareInterface } from '../../io-engine/open.ts';
import type { EngineChoice, EngineShare } from '../../io-engine/options.ts';
import { linkTypeOf } from '../../io-engine/pcapng.ts';
import type { Conflict } from '../../stack/claim.ts';
import { CLOSE_REASONS } from '../../stack/close-reasons.ts';
import { parseNetdevConf, type StackConfig } from '../../stack/config.ts';
import type { Dhcp } from '../../stack/dhcp.ts';
import { type ConnectionFacts, connectionFacts, type StackFacts, stackFacts } from '../../stack/facts.ts';
import type { ProbeFacts } from '../../stack/probe.ts';
import type { Socket, SocketEvents } from '../../stack/socket.ts';
import { Stack } from '../../stack/stack.ts';
import { listStats } from '../../stack/stats.ts';
import { StackError } from '../../stack/tcp/connect.ts';
import type { Listener as StackListener } from '../../stack/tcp/listener.ts';
import { type ConnectionTraffic, TrafficWatch } from '../../stack/traffic-watch.ts';
import { formatMac } from '../../stack/wire/ethernet.ts';
import type { ServerClock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
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

export type { ConnectionFacts, ListenerFacts, NeighborFacts, RouteFacts, StackFacts } from '../../stack/facts.ts';
export type { ProbeFacts } from '../../stack/probe.ts';
export type { ConnectionTraffic } from '../../stack/traffic-watch.ts';

const DYNAMIC_PORT_MIN = 49152;
const DYNAMIC_PORTS = 65536 - DYNAMIC_PORT_MIN;

export interface UserspaceParts {
  readonly engine: FrameEngine;
  readonly config: StackConfig;
  readonly clock: ServerClock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  /** The owner will call `stack.claim`; otherwise the addresses are announced at once. */
  readonly claims?: boolean;
  /** Seconds of silence after which a client is probed; 0: as netdev.conf says. */
  readonly keepAliveSeconds?: () => number;
}

export interface UserspaceSettings extends Omit<UserspaceParts, 'engine' | 'config' | 'claims'> {
  readonly log: Log;
  /** Path of netdev.conf. */
  readonly netdevFile: string;
  /** `auto`: what netdev.conf says. */
  readonly engine: EngineChoice;
  /** Keys of netdev.conf that are other than the file has them. */
  readonly overrides?: readonly (readonly [key: string, value: string])[];
  /** Others serve the same addresses: which one we are. */
  readonly share?: EngineShare;
}

/**
 * Reads netdev.conf, opens its interface and starts the stack on it.
 * @throws NetdevConfigError, EngineError or TransportError whose message is one line that says what to do.
 */
export async function openUserspace(settings: UserspaceSettings): Promise<UserspaceTransport> {
  const { log } = settings;
  const config = readConfig(settings);
  const { share } = settings;
  const shared = share === undefined ? config.engine : { ...config.engine, share };
  const engine = await openEngine(shared, (line) => log.notice(line));
  const { link } = engine;
  // Of several, one asks for all.
  const asks = config.addressCheckMs > 0 && (share === undefined || share.index === 0);
  const transport = new UserspaceTransport({ ...settings, engine, config, claims: asks });
  const { ip } = transport.stack;
  const addresses = ip.addressTexts().join(', ');
  log.notice(`User-space TCP/IP on ${link.name}: engine ${engine.name}, ${addresses}, mtu ${link.mtu}`);
  ip.onConflict = (conflict) => log.warning(`Another host uses our address: ${owner(transport, conflict)}`);
  if (asks) await claimAddresses(transport, config.addressCheckMs);
  if (ip.dhcp !== null) await leaseAddress(transport, ip.dhcp, settings);
  return transport;
}

/**
 * What several processes need before each opens the interface as its share. @throws as `openUserspace`, and TransportError
 * EINVAL for what only one process can do.
 */
export function openSharedInterface(
  settings: Pick<UserspaceSettings, 'netdevFile' | 'engine' | 'log'>,
  workers: number,
): SharedInterface {
  const { netdevFile, log } = settings;
  const config = readConfig(settings);
  if (config.dhcp || config.ipv6 !== null) {
    throw new TransportError('EINVAL', `several workers want fixed IPv4 addresses, and those only, in ${netdevFile}`);
  }
  return shareInterface(config.engine, workers, (line) => log.notice(line));
}

/** How long a DHCP server may take before the start fails. */
const LEASE_WAIT_MS = 30_000;

/** Waits for an address, and goes on telling what becomes of it. @throws TransportError ETIMEDOUT. */
async function leaseAddress(
  transport: UserspaceTransport,
  dhcp: Dhcp,
  { log, scheduler }: UserspaceSettings,
): Promise<void> {
  const { ip, tcp } = transport.stack;
  dhcp.onLost = (address, why) => {
    log.warning(`DHCP: ${ip.format(address)} is not ours any more: ${why}`);
    tcp.endAll(address);
  };
  const bound = await new Promise<boolean>((resolve) => {
    const deadline = scheduler.createAlarm(() => resolve(false));
    deadline.arm(LEASE_WAIT_MS);
    dhcp.onBound = ({ ip: address, prefixLength, server, seconds }) => {
      deadline.disarm();
      const lease = `${ip.format(address)}/${prefixLength} from ${ip.format(server)} for ${seconds} s`;
      log.notice(`DHCP: ${lease}`);
      resolve(true);
    };
    log.notice('DHCP: asking for an address');
    dhcp.start();
    transport.tick();
  });
  if (bound) return;
  await transport.close(0);
  throw new TransportError(
    'ETIMEDOUT',
    `no DHCP server gave an address within ${LEASE_WAIT_MS / 1000} s: is there one on this network? ` +
      `Otherwise set 'address' in netdev.conf`,
  );
}

/** @throws TransportError EADDRINUSE when another host has one of our addresses; the transport is closed then. */
async function claimAddresses(transport: UserspaceTransport, totalMs: number): Promise<void> {
  const conflict = await new Promise<Conflict | null>((done) => transport.stack.claim(totalMs, done));
  if (conflict === null) return;
  await transport.close(0);
  throw new TransportError(
    'EADDRINUSE',
    `the address is taken: ${owner(transport, conflict)}; choose another 'address' in netdev.conf, or stop that host`,
  );
}

function owner(transport: UserspaceTransport, { ip, mac }: Conflict): string {
  return `${transport.stack.ip.format(ip)} is at ${formatMac(mac, 0)}`;
}

function readConfig({
  netdevFile,
  engine,
  overrides = [],
}: Pick<UserspaceSettings, 'netdevFile' | 'engine' | 'overrides'>): StackConfig {
  const chosen: readonly (readonly [string, string])[] = engine === 'auto' ? [] : [['engine', engine]];
  return parseNetdevConf(readNetdevConf(netdevFile), netdevFile, [...chosen, ...overrides]);
}

function readNetdevConf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'EIO';
    throw new TransportError(code, `cannot read ${path} (${code}): name your netdev.conf with --netdev FILE`);
  }
}

/** The number of what is in `socket.user`. */
function idOfUser(idOf: (handler: ConnectionHandler) => number): (user: unknown) => number {
  return (user) => (user instanceof UserspaceConnection ? idOf(user.handler) : 0);
}

export class UserspaceTransport implements Transport, StackInsight {
  readonly name = 'userspace' as const;
  readonly insight = this;
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
  #onAllClosed: (() => void) | null = null;

  constructor({ engine, config, clock, scheduler, random, keepAliveSeconds, claims }: UserspaceParts) {
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

  stackFacts(): StackFacts {
    return stackFacts(this.stack, this.#engine);
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

  /** @throws TransportError EINVAL */
  #parsePeer(address: string): number {
    const ip = this.stack.ip.parse(address);
    if (ip !== null) return ip;
    const why = isIPv6(address) ? 'needs an IPv6 address of ours in netdev.conf' : 'is not an address';
    throw new TransportError('EINVAL', `'${address}' ${why}`);
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
    if (this.#closed) return;
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
    return { address, port: listener.port, close: () => this.stack.unlisten(listener) };
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
    { signal, localAddress }: ConnectOptions = {},
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
        this.stack.connect(ip, port, opening, from),
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
    connection.handler = handler;
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

/** One object for every connection, so that the stack's calls stay monomorphic; `socket.user` says whose. */
class ConnectionEvents implements SocketEvents {
  readonly #onGone: (connection: UserspaceConnection) => void;

  constructor(onGone: (connection: UserspaceConnection) => void) {
    this.#onGone = onGone;
  }

  onOpen(): void {}

  onReadable(socket: Socket, bytes: Uint8Array, offset: number, length: number): number {
    (socket.user as UserspaceConnection).handler.onData(bytes, offset, length);
    return length;
  }

  onWritable(socket: Socket): void {
    (socket.user as UserspaceConnection).handler.onDrain();
  }

  onEnd(socket: Socket): void {
    (socket.user as UserspaceConnection).handler.onEnd();
  }

  onClose(socket: Socket, reason: number): void {
    const connection = socket.user as UserspaceConnection;
    this.#onGone(connection);
    connection.handler.onClose(CLOSE_REASONS[reason]);
  }
}

class UserspaceConnection implements Connection {
  readonly socket: Socket;
  readonly #stack: Stack;
  handler!: ConnectionHandler;

  constructor(socket: Socket, stack: Stack) {
    this.socket = socket;
    this.#stack = stack;
  }

  get remoteAddress(): string {
    return this.#stack.ip.format(this.socket.remoteIp);
  }

  get remotePort(): number {
    return this.socket.remotePort;
  }

  get localAddress(): string {
    return this.#stack.ip.format(this.socket.localIp);
  }

  get localPort(): number {
    return this.socket.localPort;
  }

  get queuedBytes(): number {
    return this.socket.queuedBytes;
  }

  write(bytes: Uint8Array, offset: number, length: number): number {
    return this.socket.write(bytes, offset, length);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  end(patient = false): void {
    this.socket.end();
    if (!patient) this.socket.letGo();
  }

  destroy(): void {
    this.socket.abort();
  }

  close(): void {
    this.handler = orphan(this.socket);
    this.socket.end();
    this.socket.letGo();
    this.socket.resume();
  }

  setNoDelay(noDelay: boolean): void {
    this.socket.setNoDelay(noDelay);
  }

  setKeepAlive(idleMs: number): void {
    this.socket.setKeepAlive(idleMs);
  }
}

/** Nobody reads any more: data that comes is answered with RST (RFC 9293 3.10.7.1, RFC 1122 4.2.2.13). */
function orphan(socket: Socket): ConnectionHandler {
  return { onData: () => socket.abort(), onDrain() {}, onEnd() {}, onClose() {} };
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
