// What all connections of a stack share: the flow table, timers, pools, limits, and the two lists a tick works through,
// connections that have something to send (dirty) and connections whose application has something to hear
// (ready). The protocol itself is in the files beside this one. Used by stack/tcp and stack.ts.
import type { FrameEngine } from '../../io-engine/frame-engine.ts';
import { Assembler, RANGES_MAX, RANGES_MAX_CROWDED } from '../assembler.ts';
import { BlockPool } from '../byte-ring.ts';
import type { Clock, RandomSource } from '../clock.ts';
import { CLOSE_OK, CLOSE_REFUSED, CLOSE_UNREACHABLE } from '../close-reasons.ts';
import type { StackConfig } from '../config.ts';
import { FlowTable } from '../flow-table.ts';
import { ICMP_HARD_UNREACHABLE, ICMP_PACKET_TOO_BIG, ICMP_SOFT_UNREACHABLE } from '../icmp.ts';
import type { Ip, TcpHandler } from '../ip.ts';
import { type Ipv6Book, isIpv6 } from '../ipv6-book.ts';
import type { NextHop } from '../neighbors.ts';
import {
  DROP_TCP_BAD_CHECKSUM,
  DROP_TCP_BAD_PORT,
  DROP_TCP_NO_LISTENER,
  DROP_TCP_SYN_FLOOD,
  type Stats,
} from '../stats.ts';
import type { TimerWheel } from '../timer-wheel.ts';
import { finish, sum } from '../wire/checksum.ts';
import { IPV4_HEADER_LENGTH, PROTOCOL_TCP } from '../wire/ipv4.ts';
import { IPV6_HEADER_LENGTH } from '../wire/ipv6.ts';
import { OK } from '../wire/status.ts';
import { parseTcp, TcpSegment } from '../wire/tcp.ts';
import { type CongestionControl, startWindow } from './congestion.ts';
import {
  CLOSED,
  Connection,
  ESTABLISHED,
  EVENT_CLOSE,
  FLOW_CONNECTION,
  FLOW_HANDSHAKE,
  OPTION_ECN,
  resetConnection,
  SYN_SENT,
} from './connection.ts';

import { cubic } from './cubic.ts';
import { Flight } from './flight.ts';
import { segmentArrives } from './input.ts';
import { Iss } from './iss.ts';
import { arrivesForHandshake, arrivesForListener, Handshake, type Listener, rtoAfterHandshake } from './listener.ts';
import { newReno } from './newreno.ts';
import { output } from './output.ts';
import { onPacketTooBig } from './path-mtu.ts';
import { beginRounds, beginSpace, firstNearSpace } from './receive-space.ts';
import { addSample } from './rtt.ts';
import { answerWithReset } from './segment-out.ts';
import type { SegmentTrace } from './segment-trace.ts';
import { SynCookies } from './syn-cookies.ts';
import { SynLimit } from './syn-limit.ts';
import { arrivesInTimeWait, enterTimeWait, TimeWait } from './time-wait.ts';
import { armKeepalive } from './timers.ts';

/** Connections with ranges received out of order at a time. */
const ASSEMBLERS_MAX = 16384;
/** As many of them may have very many ranges. */
const ASSEMBLERS_ROOMY = 256;
/** Clean records of segments in flight that wait for the next connection. */
const FLIGHTS_KEPT = 16_384;
/** Half-open connections at a time, whatever the backlogs are. */
const HANDSHAKES_MAX = 65_536;
/** RFC 5961 7: answers to suspicious segments a second, varied so that nobody can count them. */
const CHALLENGES_PER_SECOND = 100;
type Flow = Connection | Handshake | TimeWait;

/** A list that is filled and emptied every tick: an array's own `length = 0` would give its memory away each time. */
class ConnectionList {
  /** The first `count` are in the list; what lies behind is left over. */
  readonly items: Connection[] = [];
  count = 0;
  /** Of a list that is being worked off: those before it are done with, or in hand. */
  next = 0;

  push(c: Connection): void {
    this.items[this.count++] = c;
  }
}

export class Tcp implements TcpHandler {
  readonly ip: Ip;
  readonly config: StackConfig;
  readonly wheel: TimerWheel;
  readonly stats: Stats;
  readonly flows: FlowTable<Flow>;
  /** What all send rings and receive buffers may take together. */
  readonly blocks: BlockPool;
  readonly iss: Iss;
  readonly cookies: SynCookies;
  readonly synLimit: SynLimit;
  readonly congestion: CongestionControl;

  // Of the engine, read once.
  readonly memory: Uint8Array;
  readonly txChecksumOffload: boolean;
  readonly tsoPayloadMax: number;
  /** The MSS we announce. */
  readonly mssMax: number;
  readonly book: Ipv6Book;
  readonly receiveBufferMax: number;
  /** The largest window for a peer that is near, and when that was last changed: see receive-space.ts. */
  nearSpace: number;
  nearSpaceAtMs: number;
  /** The last tick found more frames than it should. */
  wasBusy = false;
  /** The window scale we offer: the least that can express the receive buffer. */
  readonly windowShift: number;

  /** The clock as of this tick. */
  nowMs: number;
  nowUs: number;

  /** Called when a connection joins a list outside of a tick. */
  onWork: () => void = () => {};
  /** Between the start of a poll and the end of the flush that follows it. */
  inTick = false;
  #signalled = false;

  dirty = new ConnectionList();
  #dirtySpare = new ConnectionList();
  ready = new ConnectionList();
  #readySpares = [new ConnectionList()];
  /** The ready list that is being worked off; null: none. */
  delivering: ConnectionList | null = null;
  /** The connection whose handler has let others have their turn before it returns; null: none. */
  interrupted: Connection | null = null;
  /** Connections that were refused memory for `write`. */
  readonly #starved: Connection[] = [];

  connections = 0;
  handshakes = 0;
  timeWaits = 0;
  /** Where the search for a free port goes on, for groups of destinations (RFC 6056 3.3.4). */
  readonly portCounters: Uint32Array;

  /** The connection that somebody looks at, and what is recorded of it; null: none. */
  traced: Connection | null = null;
  trace: SegmentTrace | null = null;

  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #segment = new TcpSegment();
  readonly #listeners = new Map<number, Listener[]>();
  readonly #connectionPool: Connection[] = [];
  readonly #handshakePool: Handshake[] = [];
  readonly #timeWaitPool: TimeWait[] = [];
  readonly #flightPool: Flight[] = [];
  readonly #assemblerPool: Assembler[] = [];
  #assemblers = 0;
  readonly #retired: Connection[] = [];
  #challengeSecondMs: number;
  #challengesLeft = CHALLENGES_PER_SECOND;

  constructor(
    engine: FrameEngine,
    ip: Ip,
    config: StackConfig,
    clock: Clock,
    random: RandomSource,
    wheel: TimerWheel,
    stats: Stats,
  ) {
    this.ip = ip;
    this.config = config;
    this.wheel = wheel;
    this.stats = stats;
    this.memory = engine.memory;
    this.txChecksumOffload = engine.link.txChecksumOffload;
    this.tsoPayloadMax = engine.link.tsoPayloadMax;
    this.mssMax = engine.link.mtu - 40;
    this.book = ip.book;
    this.congestion = config.congestion === 'cubic' ? cubic : newReno;
    this.blocks = new BlockPool(config.bufferMemory);
    this.receiveBufferMax = config.receiveBuffer;
    this.nearSpace = firstNearSpace(config.receiveBuffer);
    let shift = 0;
    while (shift < 14 && config.receiveBuffer >> shift > 0xffff) shift++;
    this.windowShift = shift;
    this.#clock = clock;
    this.#random = random;
    this.nowMs = this.nearSpaceAtMs = clock.nowMs;
    this.nowUs = clock.nowUs;
    this.#challengeSecondMs = clock.nowMs;
    this.flows = new FlowTable<Flow>(random.int32(), random.int32());
    this.iss = new Iss(clock, random, ip.book);
    // Starting anywhere, so that a restart does not use the same ports again.
    this.portCounters = Uint32Array.from({ length: 64 }, () => random.int32() >>> 0);
    this.cookies = new SynCookies(random, ip.book);
    const gate = engine.synGate ?? null;
    const onHeld = (count: number): void => {
      stats.drops[DROP_TCP_SYN_FLOOD] += count;
    };
    this.synLimit = new SynLimit(random, clock.nowMs, gate === null ? null : { gate, timers: wheel, onHeld });
  }

  readClock(): void {
    this.nowMs = this.#clock.nowMs;
    this.nowUs = this.#clock.nowUs;
  }

  // ---- Segments in -------------------------------------------------------------------------------------------

  input(
    bytes: Uint8Array,
    offset: number,
    length: number,
    sourceIp: number,
    destinationIp: number,
    isChecksumTrusted: boolean,
    ecn: number,
  ): void {
    const { stats } = this;
    const segment = this.#segment;
    stats.tcpInSegs++;
    const status = parseTcp(bytes, offset, length, segment);
    if (status !== OK) {
      stats.tcpInErrs++;
      stats.drop(status);
      return;
    }
    if (
      !isChecksumTrusted &&
      finish(sum(bytes, offset, length, this.book.pseudoHeaderSum(sourceIp, destinationIp, PROTOCOL_TCP, length))) !== 0
    ) {
      stats.tcpInErrs++;
      stats.drop(DROP_TCP_BAD_CHECKSUM);
      return;
    }
    if (segment.optionsMalformed) stats.tcpMalformedOptions++;
    const flow = this.flows.find(sourceIp, segment.sourcePort, segment.destinationPort, destinationIp);
    if (flow === null) this.#unknown(segment, bytes, sourceIp, destinationIp);
    else if (flow.kind === FLOW_CONNECTION) segmentArrives(this, flow as Connection, segment, bytes, ecn);
    else if (flow.kind === FLOW_HANDSHAKE) arrivesForHandshake(this, flow as Handshake, segment, bytes);
    else arrivesInTimeWait(this, flow as TimeWait, segment, bytes);
  }

  #unknown(segment: TcpSegment, bytes: Uint8Array, sourceIp: number, destinationIp: number): void {
    if (segment.sourcePort === 0 || segment.destinationPort === 0) {
      this.stats.drop(DROP_TCP_BAD_PORT);
      return;
    }
    const listener = this.findListener(segment.destinationPort, destinationIp);
    if (listener !== null) {
      arrivesForListener(this, listener, segment, destinationIp, sourceIp, 0, bytes);
      return;
    }
    this.stats.drop(DROP_TCP_NO_LISTENER);
    answerWithReset(this, segment, destinationIp, sourceIp);
  }

  /**
   * RFC 5927: what is too big concerns segments in flight; only while opening, and only for the very SYN that is out,
   * does an error end a connection.
   */
  onIcmpError(
    kind: number,
    localIp: number,
    localPort: number,
    remoteIp: number,
    remotePort: number,
    seq: number,
    mtu: number,
  ): void {
    const flow = this.flows.find(remoteIp, remotePort, localPort, localIp);
    if (flow === null || flow.kind !== FLOW_CONNECTION) return;
    const c = flow as Connection;
    this.stats.tcpIcmpErrors++;
    if (kind === ICMP_PACKET_TOO_BIG) {
      onPacketTooBig(this, c, seq, mtu);
      return;
    }
    if (c.state !== SYN_SENT || seq !== c.iss) return;
    if (kind !== ICMP_HARD_UNREACHABLE && kind !== ICMP_SOFT_UNREACHABLE) return;
    this.stats.tcpAttemptFails++;
    this.end(c, kind === ICMP_HARD_UNREACHABLE ? CLOSE_REFUSED : CLOSE_UNREACHABLE);
  }

  /** An address is not ours any more: ends every connection from it. */
  endAll(localIp: number): void {
    const gone: Flow[] = [];
    this.flows.forEach((flow) => {
      if (flow.localIp === localIp) gone.push(flow);
    });
    for (const flow of gone) {
      if (flow.kind === FLOW_CONNECTION) this.end(flow as Connection, CLOSE_UNREACHABLE);
      else if (flow.kind === FLOW_HANDSHAKE) this.endHandshake(flow as Handshake);
      else this.endTimeWait(flow as TimeWait);
    }
  }

  /** Largest segment to and from an address: the link's MTU without the headers of its family. */
  mssFor(remoteIp: number): number {
    return isIpv6(remoteIp) ? this.mssMax - (IPV6_HEADER_LENGTH - IPV4_HEADER_LENGTH) : this.mssMax;
  }

  /** Calls `mark` with every address that a connection keeps, those that are about to be told of their end included. */
  mark(mark: (ip: number) => void): void {
    this.flows.forEach((flow) => {
      mark(flow.remoteIp);
    });
    for (const list of [this.dirty, this.ready, this.delivering]) {
      for (let i = 0; list !== null && i < list.count; i++) mark(list.items[i].remoteIp);
    }
  }

  // ---- The two lists -----------------------------------------------------------------------------------------

  markDirty(c: Connection): void {
    if (c.dirty) return;
    c.dirty = true;
    this.dirty.push(c);
    if (!this.inTick) this.#signal();
  }

  markReady(c: Connection, events: number): void {
    c.events |= events;
    if (c.ready) return;
    c.ready = true;
    this.ready.push(c);
    if (!this.inTick) this.#signal();
  }

  /** The ready list, to be worked off; a new one takes its place. */
  takeReady(): ConnectionList {
    const list = this.ready;
    this.ready = this.#readySpares.pop() ?? new ConnectionList();
    this.delivering = list;
    return list;
  }

  returnReady(list: ConnectionList): void {
    list.count = 0;
    list.next = 0;
    this.#readySpares.push(list);
    this.delivering = null;
  }

  #signal(): void {
    if (this.#signalled) return;
    this.#signalled = true;
    this.onWork();
  }

  beginTick(): void {
    this.inTick = true;
    this.#signalled = false;
    this.readClock();
  }

  endTick(): void {
    this.inTick = false;
    this.#signalled = false;
  }

  /** Pulls output from every dirty connection. @returns false when slots ran out; the rest stays dirty. */
  outputAll(): boolean {
    const list = this.dirty;
    this.dirty = this.#dirtySpare;
    this.#dirtySpare = list;
    let complete = true;
    for (let i = 0; i < list.count; i++) {
      const c = list.items[i];
      if (complete) {
        c.dirty = false;
        complete = output(this, c);
        if (complete || c.dirty) continue;
        c.dirty = true;
      }
      this.dirty.push(c);
    }
    list.count = 0;
    return complete;
  }

  // ---- Lives of connections ----------------------------------------------------------------------------------

  get isFull(): boolean {
    return this.connections + this.handshakes >= this.config.maxConnections;
  }

  /** RFC 4987: half-open connections of all listeners together. */
  get handshakesAreFull(): boolean {
    return this.handshakes >= HANDSHAKES_MAX;
  }

  takeConnection(hop: NextHop): Connection {
    const c = this.#connectionPool.pop() ?? new Connection(this, hop);
    resetConnection(c);
    beginSpace(this, c);
    c.hop = hop;
    c.lastReceivedMs = c.lastSentMs = this.nowMs;
    c.keepaliveMs = this.config.keepaliveMs;
    c.userTimeoutMs = this.config.userTimeoutMs;
    c.lastChallengeMs = (this.nowMs - 1000) | 0;
    this.connections++;
    return c;
  }

  /** The connection has reached ESTABLISHED. @param sampleUs round trip of the handshake; -1: a SYN was sent again. */
  started(c: Connection, sampleUs: number): void {
    if (sampleUs >= 0) addSample(c, sampleUs);
    rtoAfterHandshake(c, c.retries > 0);
    c.progressMs = this.nowMs;
    if ((c.options & OPTION_ECN) !== 0) this.stats.tcpEcnConnections++;
    beginRounds(this, c);
    startWindow(c, c.retries > 0);
    c.retries = 0;
    c.backoff = 0;
    this.stats.tcpCurrEstab++;
    armKeepalive(this, c);
  }

  /** The connection is no more; its application hears of it, and what it was not told before, in the next delivery. */
  end(c: Connection, reason: number): void {
    if (c.state === CLOSED) return;
    this.flows.delete(c.remoteIp, c.remotePort, c.localPort, c.localIp);
    this.#leave(c, reason);
  }

  /** Both sides have closed and ours closed first, or both at once. */
  timeWait(c: Connection): void {
    if (this.timeWaits >= this.config.maxConnections) {
      this.end(c, CLOSE_OK);
      return;
    }
    enterTimeWait(this, c);
    this.#leave(c, CLOSE_OK);
  }

  #leave(c: Connection, reason: number): void {
    if (c.state >= ESTABLISHED) this.stats.tcpCurrEstab--;
    this.connections--;
    c.state = CLOSED;
    c.timers = 0;
    this.wheel.cancel(c);
    c.sendRing.release(this.blocks);
    if (c.flight !== null) this.giveFlight(c);
    if (c.outOfOrder !== null) this.giveAssembler(c.outOfOrder);
    c.outOfOrder = null;
    c.closeReason = reason;
    this.markReady(c, EVENT_CLOSE);
  }

  /** Nobody refers to the connection any more, except perhaps the lists. */
  retire(c: Connection): void {
    if (c.retired) return;
    c.retired = true;
    if (c === this.traced) this.traced = null;
    c.receiveBuffer.release(this.blocks);
    c.inPlaceLength = 0;
    c.socket = null;
    this.#retired.push(c);
  }

  /** Puts retired connections that no list holds back into the pool. */
  recycle(): void {
    const retired = this.#retired;
    // Setting a length costs, even to what it is.
    if (retired.length === 0) return;
    let kept = 0;
    for (let i = 0; i < retired.length; i++) {
      const c = retired[i];
      if (c.dirty || c.ready) retired[kept++] = c;
      else this.#connectionPool.push(c);
    }
    retired.length = kept;
  }

  takeHandshake(listener: Listener, hop: NextHop): Handshake {
    const h = this.#handshakePool.pop() ?? new Handshake(this, listener, hop);
    h.listener = listener;
    h.hop = hop;
    this.handshakes++;
    return h;
  }

  endHandshake(h: Handshake): void {
    this.flows.delete(h.remoteIp, h.remotePort, h.localPort, h.localIp);
    this.replaceHandshake(h);
  }

  /** Of a handshake whose place in the flow table is taken by its connection. */
  replaceHandshake(h: Handshake): void {
    this.wheel.cancel(h);
    h.listener.handshakes--;
    this.handshakes--;
    this.#handshakePool.push(h);
  }

  takeTimeWait(hop: NextHop): TimeWait {
    const w = this.#timeWaitPool.pop() ?? new TimeWait(this, hop);
    w.hop = hop;
    this.timeWaits++;
    return w;
  }

  endTimeWait(w: TimeWait): void {
    this.wheel.cancel(w);
    this.flows.delete(w.remoteIp, w.remotePort, w.localPort, w.localIp);
    this.timeWaits--;
    this.#timeWaitPool.push(w);
  }

  takeFlight(): Flight {
    return this.#flightPool.pop() ?? new Flight();
  }

  giveFlight(c: Connection): void {
    const f = c.flight!;
    if (f.keeps || f.first !== f.next) f.reset();
    c.flight = null;
    if (this.#flightPool.length < FLIGHTS_KEPT) this.#flightPool.push(f);
  }

  /** Null when too many are in use. */
  takeAssembler(): Assembler | null {
    if (this.#assemblers >= ASSEMBLERS_MAX) return null;
    this.#assemblers++;
    const assembler = this.#assemblerPool.pop() ?? new Assembler();
    assembler.most = this.#assemblers <= ASSEMBLERS_ROOMY ? RANGES_MAX : RANGES_MAX_CROWDED;
    return assembler;
  }

  giveAssembler(assembler: Assembler): void {
    assembler.clear();
    this.#assemblers--;
    this.#assemblerPool.push(assembler);
  }

  // ---- Limits ------------------------------------------------------------------------------------------------

  /** RFC 5961 7: whether another challenge ACK may be sent this second. */
  mayChallenge(): boolean {
    const sinceMs = (this.nowMs - this.#challengeSecondMs) | 0;
    if (sinceMs < 0 || sinceMs >= 1000) {
      this.#challengeSecondMs = this.nowMs;
      this.#challengesLeft = (CHALLENGES_PER_SECOND >> 1) + ((this.#random.int32() >>> 0) % CHALLENGES_PER_SECOND);
    }
    if (this.#challengesLeft <= 0) return false;
    this.#challengesLeft--;
    return true;
  }

  /** `write` found no memory and no acknowledgement will come to say that there is some. */
  starve(c: Connection): void {
    if (!this.#starved.includes(c)) this.#starved.push(c);
  }

  /** Memory may be free again: those who were refused hear of it. @returns them, to be told. */
  takeStarved(): Connection[] | null {
    if (this.#starved.length === 0 || this.blocks.used > this.blocks.limit * 0.9) return null;
    return this.#starved.splice(0);
  }

  // ---- Listeners ---------------------------------------------------------------------------------------------

  /** @returns false when the port is taken for that address. */
  addListener(listener: Listener): boolean {
    const others = this.#listeners.get(listener.port) ?? [];
    if (others.some(({ ip }) => ip === listener.ip || ip === 0 || listener.ip === 0)) return false;
    this.#listeners.set(listener.port, [...others, listener]);
    return true;
  }

  removeListener(listener: Listener): void {
    const others = this.#listeners.get(listener.port) ?? [];
    const rest = others.filter((other) => other !== listener);
    if (rest.length === 0) this.#listeners.delete(listener.port);
    else this.#listeners.set(listener.port, rest);
    listener.closed = true;
  }

  /** Every listener, for tools; allocates. */
  listListeners(): Listener[] {
    return [...this.#listeners.values()].flat();
  }

  findListener(port: number, ip: number): Listener | null {
    const candidates = this.#listeners.get(port);
    if (candidates === undefined) return null;
    for (const listener of candidates) if (listener.ip === 0 || listener.ip === ip) return listener;
    return null;
  }
}
