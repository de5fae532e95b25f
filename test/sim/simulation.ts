// The real server and several clients over a wire in memory, on virtual time, everything drawn from one seed: the
// wire's impairments, the clients' requests and how they cut and time them. Nothing here but the wire is not
// what runs in production. A check that fails throws; the seed replays it.
import assert from 'node:assert/strict';
import { type Impairment, MemoryWire } from '../../io-engine/memory-wire.ts';
import { commandTable } from '../../src/commands/table.ts';
import { Client } from '../../src/core/client.ts';
import { createConfig } from '../../src/core/config.ts';
import { Keyspace } from '../../src/core/keyspace.ts';
import { Server } from '../../src/core/server.ts';
import {
  exportCounters,
  exportSessions,
  importCounters,
  importSessions,
  resumeSessions,
} from '../../src/core/session-state.ts';
import { Arena } from '../../src/data/arena.ts';
import { ManualClock, type ServerClock } from '../../src/platform/clock.ts';
import { silentLog } from '../../src/platform/log.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import type { ConnectionHandler } from '../../src/transports/transport.ts';
import { UserspaceTransport } from '../../src/transports/userspace.ts';
import { CLOSE_REASONS, CLOSE_UNREACHABLE } from '../../stack/close-reasons.ts';
import { parseNetdevConf, type StackConfig } from '../../stack/config.ts';
import type { Socket, SocketEvents } from '../../stack/socket.ts';
import { Stack } from '../../stack/stack.ts';
import { VirtualScheduler } from './virtual-scheduler.ts';
import { Workload } from './workload.ts';

const PORT = 6379;
/** A request that is not answered within this much virtual time is lost. */
const DEADLINE_US = 20 * 60 * 1_000_000;
const RING = 64;

/** One arena for all runs of a process, for speed; a run that failed leaves things in it, so the next takes a new one. */
let arena = new Arena();

// The first keyspace of a process draws the key of its hash: not from a run's numbers, or a replay would differ.
new Keyspace(new Arena(), new ManualClock(), new SeededRandom(0));

export interface SimulationOptions {
  readonly seed: number;
  /** Replaces the impairment drawn from the seed. */
  readonly impairment?: Partial<Impairment>;
  /** Now and then another server goes on in place of the one there is, in the middle of everything. */
  readonly handovers?: boolean;
}

export interface SimulationResult {
  /** Virtual time until the last reply and the last FIN, microseconds. */
  readonly elapsedUs: number;
  readonly requests: number;
  readonly replyBytes: number;
  /** Frames that the wire lost, doubled, held back or damaged. */
  readonly impaired: number;
  readonly handovers: number;
}

/** One step in so many is followed by a hand-over. */
const STEPS_A_HANDOVER = 60;

/** Runs one seed to its end. @throws AssertionError when anything is lost, doubled, out of order or left behind. */
export function simulate(options: SimulationOptions): SimulationResult {
  try {
    return new Simulation(options).run();
  } catch (error) {
    arena = new Arena();
    throw error;
  }
}

class Simulation {
  readonly #clock = new ManualClock();
  readonly #scheduler = new VirtualScheduler();
  readonly #wire: MemoryWire;
  readonly #keyspace: Keyspace;
  readonly #stackConfig: StackConfig;
  readonly #random: SeededRandom;
  /** Draws when hand-overs come; null: they do not. */
  readonly #handoverRandom: SeededRandom | null;
  readonly #clients: SimulatedClient[] = [];
  readonly #address: string;
  #server: Server;
  #transport: UserspaceTransport;
  #handovers = 0;
  #nowUs = 0;
  #impaired = 0;

  constructor({ seed, impairment, handovers }: SimulationOptions) {
    const random = new SeededRandom(seed);
    this.#random = random;
    this.#handoverRandom = handovers === true ? new SeededRandom(~seed) : null;
    const clientCount = 1 + random.below(3);
    // One run in three is IPv6's.
    const network = random.below(3) === 0 ? 'fd09::' : '10.9.0.';
    this.#address = `${network}1`;
    const mtus = [network === '10.9.0.' ? 576 : 1280, 1500, 1500, 4000];
    this.#wire = new MemoryWire({
      seed: random.int32(),
      wake: 'advance',
      inFlight: 512,
      ends: Array.from({ length: clientCount + 1 }, () => ({ rxRing: RING, txRing: RING, mtu: mtus[random.below(4)] })),
      impairment: impairment ?? drawImpairment(random),
    });
    this.#wire.observer = (fate) => {
      if (fate !== 'sent' && fate !== 'delivered') this.#impaired++;
    };
    this.#keyspace = new Keyspace(arena, this.#clock, random);
    this.#server = this.#createServer();
    this.#stackConfig = drawStackConfig(random, `${network}1`);
    this.#transport = this.#openTransport(this.#clock, false);
    for (let i = 1; i <= clientCount; i++) {
      const config = drawStackConfig(random, `${network}${i + 1}`);
      const stack = new Stack(this.#wire.ends[i], config, this.#clock, random);
      this.#clients.push(new SimulatedClient(stack, stack.ip.parse(`${network}1`)!, random, `client${i}`));
      const client = this.#clients[i - 1];
      this.#wire.ends[i].wait(() => client.tick());
    }
  }

  #createServer(): Server {
    const config = createConfig();
    config.protectedMode = false;
    return new Server({
      config,
      keyspace: this.#keyspace,
      commands: commandTable,
      clock: this.#clock,
      random: this.#random,
      scheduler: this.#scheduler,
      stopwatch: () => this.#nowUs,
      log: silentLog,
      transport: 'userspace',
    });
  }

  #openTransport(clock: ServerClock, claims: boolean): UserspaceTransport {
    const transport = new UserspaceTransport({
      engine: this.#wire.ends[0],
      config: this.#stackConfig,
      clock,
      scheduler: this.#scheduler,
      random: this.#random,
      claims,
    });
    const server = this.#server;
    transport.beforeOutput = () => server.beforeOutput();
    return transport;
  }

  /** Resolves at once: nothing in it waits. */
  #listen(): void {
    void this.#transport.listen(this.#address, PORT, 16, this.#server.accept);
  }

  /** Another server and another stack, whose clock says something else, go on over the same dataset and wire. */
  #handOver(random: SeededRandom): void {
    this.#handovers++;
    const idOf = (handler: ConnectionHandler): number => (handler instanceof Client ? handler.id : 0);
    const { stack } = this.#transport.suspend(idOf);
    // As it would come out of a pipe.
    const sessions = structuredClone(exportSessions(this.#server, () => true));
    const counters = structuredClone(exportCounters(this.#server));
    this.#server.stop();
    this.#server = this.#createServer();
    const base = this.#clock;
    const aheadMs = random.below(1_000_000);
    this.#transport = this.#openTransport(new ShiftedClock(base, aheadMs), true);
    this.#listen();
    const connections = this.#transport.takeOver(stack);
    const clients = importSessions(this.#server, sessions, connections);
    for (const [id, client] of clients) this.#transport.attach(connections.get(id)!, client);
    resumeSessions(this.#server, sessions, clients);
    importCounters(this.#server, counters);
    assert.equal(clients.size, sessions.clients.length, 'a session was left without its connection');
    this.#server.start();
  }

  run(): SimulationResult {
    this.#listen();
    this.#server.start();
    for (const client of this.#clients) client.start();
    this.#runUntil(() => this.#clients.every((client) => client.finished), 'a reply never arrived');
    const elapsedUs = this.#nowUs;
    // The network heals: every FIN gets through and everything drains.
    this.#wire.impair({});
    this.#runUntil(
      () =>
        this.#server.clients.size === 0 &&
        this.#transport.stack.connections === 0 &&
        this.#clients.every((client) => client.connections === 0),
      'a connection stayed open',
    );
    this.#checkNothingIsLeft();
    return {
      elapsedUs,
      requests: this.#clients.reduce((sum, client) => sum + client.requests, 0),
      replyBytes: this.#clients.reduce((sum, client) => sum + client.received, 0),
      impaired: this.#impaired,
      handovers: this.#handovers,
    };
  }

  #runUntil(done: () => boolean, failure: string): void {
    while (!done()) {
      assert.ok(this.#nowUs < DEADLINE_US, `${failure}: ${this.#clients.map((client) => client.progress).join('; ')}`);
      this.#step();
    }
  }

  /** On to the next thing that happens anywhere, and lets it happen. */
  #step(): void {
    const nextUs = this.#nextUs();
    this.#clock.advanceUs(nextUs - this.#nowUs);
    this.#nowUs = nextUs;
    this.#wire.advance(nextUs);
    this.#scheduler.advance(nextUs);
    for (const client of this.#clients) if (client.isDue(nextUs)) client.tick();
    if (this.#handoverRandom?.below(STEPS_A_HANDOVER) === 0) this.#handOver(this.#handoverRandom);
  }

  #nextUs(): number {
    let next = this.#nowUs + 1_000_000;
    const candidates = [this.#wire.nextArrivalUs(), this.#scheduler.nextUs()];
    for (const client of this.#clients) candidates.push(client.nextUs(this.#nowUs));
    for (const candidate of candidates) if (candidate >= 0 && candidate < next) next = candidate;
    return Math.max(next, this.#nowUs);
  }

  #checkNothingIsLeft(): void {
    const { stack } = this.#transport;
    assert.equal(stack.tcp.blocks.used, 0, 'the server still holds connection buffers');
    for (const client of this.#clients) client.checkNothingIsLeft();
    for (const db of this.#server.databases) {
      db.clear();
      db.dict.release();
    }
    assert.equal(arena.used, 0, 'the dataset left memory behind');
    this.#server.stop();
    this.#wire.close();
  }
}

/** A process of its own has a clock of its own. */
class ShiftedClock implements ServerClock {
  readonly #base: ServerClock;
  readonly #aheadMs: number;

  constructor(base: ServerClock, aheadMs: number) {
    this.#base = base;
    this.#aheadMs = aheadMs;
  }

  get nowMs(): number {
    return (this.#base.nowMs + this.#aheadMs) | 0;
  }

  get nowUs(): number {
    return (this.#base.nowUs + Math.imul(this.#aheadMs, 1000)) | 0;
  }

  get unixMs(): number {
    return this.#base.unixMs;
  }

  preciseUnixUs(): number {
    return this.#base.preciseUnixUs();
  }

  update(): void {}

  updateSinceStart(): void {}
}

/**
 * One client host: a stack of its own, and connections one after the other that pipeline as they like and end in order.
 * Now and then one sends half a request in between and breaks off: nothing of it may be left on the server.
 */
class SimulatedClient implements SocketEvents {
  readonly #stack: Stack;
  readonly #server: number;
  readonly #random: SeededRandom;
  readonly #name: string;
  readonly #workload: Workload;
  /** Requests generated and not yet taken by the socket; replies expected and not yet seen. */
  #unsent: Uint8Array[] = [];
  /** Requests of this connection, sent or not. */
  #asked: Uint8Array[] = [];
  #unsentOffset = 0;
  #expected: Uint8Array[] = [];
  #expectedOffset = 0;
  #socket: Socket | null = null;
  /** Requests still to make on this connection; connections still to come. */
  #left = 0;
  #connectionsLeft: number;
  #nextRequestUs = 0;
  #nowUs = 0;
  #deadlineUs = -1;
  #isOpen = false;
  requests = 0;
  received = 0;
  finished = false;

  constructor(stack: Stack, server: number, random: SeededRandom, name: string) {
    this.#stack = stack;
    this.#server = server;
    this.#random = random;
    this.#name = name;
    this.#workload = new Workload(random, name, 8000);
    this.#connectionsLeft = 1 + random.below(3);
    // Work from outside a tick is followed by one, below.
    stack.onOutputNeeded = () => {};
  }

  get progress(): string {
    const waiting = this.#expected.length;
    return `${this.#name}: ${this.requests} requests, ${this.received} reply bytes, ${waiting} replies missing`;
  }

  start(): void {
    this.#stack.start();
    this.#connect();
    this.tick();
  }

  #connect(): void {
    const address = this.#server;
    if (this.#random.below(4) === 0) this.#stack.connect(address, PORT, new Deserter(this.#random));
    this.#connectionsLeft--;
    this.#left = 5 + this.#random.below(25);
    this.#isOpen = false;
    this.#asked = [];
    this.#socket = this.#stack.connect(address, PORT, this);
  }

  isDue(nowUs: number): boolean {
    this.#nowUs = nowUs;
    return (this.#deadlineUs >= 0 && nowUs >= this.#deadlineUs) || (this.#left > 0 && nowUs >= this.#nextRequestUs);
  }

  /** When this client next does something by itself, microseconds; -1: never. */
  nextUs(nowUs: number): number {
    const request = this.#left > 0 ? Math.max(this.#nextRequestUs, nowUs) : -1;
    if (request < 0) return this.#deadlineUs;
    return this.#deadlineUs < 0 ? request : Math.min(request, this.#deadlineUs);
  }

  tick(): void {
    this.#stack.poll();
    if (this.#left > 0 && this.#nowUs >= this.#nextRequestUs) this.#makeRequests();
    this.#send();
    this.#stack.flush();
    const delayMs = this.#stack.nextDeadlineMs();
    this.#deadlineUs = delayMs < 0 ? -1 : this.#nowUs + Math.max(1, delayMs) * 1000;
  }

  /** A pipeline of one to a few requests, then a pause. */
  #makeRequests(): void {
    const random = this.#random;
    for (let count = 1 + random.below(6); count > 0 && this.#left > 0; count--) {
      const { request, reply } = this.#workload.next();
      this.#unsent.push(request);
      this.#asked.push(request);
      this.#expected.push(reply);
      this.requests++;
      this.#left--;
    }
    this.#nextRequestUs = this.#nowUs + random.below(20_000);
  }

  /** Gives the socket what it takes, now and then in two pieces, so that requests are cut anywhere. */
  #send(): void {
    const socket = this.#socket!;
    while (this.#unsent.length > 0) {
      const bytes = this.#unsent[0];
      const left = bytes.length - this.#unsentOffset;
      const piece = this.#random.below(4) === 0 ? 1 + this.#random.below(left) : left;
      const taken = socket.write(bytes, this.#unsentOffset, piece);
      this.#unsentOffset += taken;
      if (this.#unsentOffset === bytes.length) {
        this.#unsent.shift();
        this.#unsentOffset = 0;
      }
      if (taken < piece) break;
    }
  }

  onOpen(): void {
    this.#isOpen = true;
  }

  onReadable(socket: Socket, bytes: Uint8Array, offset: number, length: number): number {
    // A slow reader now and then: leaves something for later.
    const count = this.#random.below(10) === 0 ? 1 + this.#random.below(length) : length;
    for (let i = 0; i < count; i++) this.#expect(bytes[offset + i]);
    if (count < length) socket.resume();
    if (this.#left === 0 && this.#expected.length === 0) socket.end();
    return count;
  }

  #expect(byte: number): void {
    assert.ok(this.#expected.length > 0, `${this.#name}: a byte came that nobody asked for`);
    const reply = this.#expected[0];
    if (byte !== reply[this.#expectedOffset]) {
      const wanted = JSON.stringify(Buffer.from(reply).toString('latin1').slice(0, 60));
      assert.fail(`${this.#name}: byte ${this.#expectedOffset} of the reply ${wanted} came as ${byte}`);
    }
    this.received++;
    if (++this.#expectedOffset === reply.length) {
      this.#expected.shift();
      this.#expectedOffset = 0;
    }
  }

  onWritable(): void {}

  onEnd(): void {}

  onClose(_socket: Socket, reason: number): void {
    if (reason === CLOSE_UNREACHABLE && !this.#isOpen) {
      // Three questions for the server's hardware address were lost, as with any host on such a wire: asked anew.
      this.#unsent = [...this.#asked];
      this.#unsentOffset = 0;
      this.#socket = this.#stack.connect(this.#server, PORT, this);
      return;
    }
    assert.equal(reason, 0, `${this.#name}: the connection broke: ${CLOSE_REASONS[reason]}`);
    assert.equal(this.#expected.length, 0, `${this.#name}: closed with replies missing`);
    if (this.#connectionsLeft > 0) this.#connect();
    else this.finished = true;
  }

  get connections(): number {
    return this.#stack.connections;
  }

  checkNothingIsLeft(): void {
    assert.equal(this.#stack.tcp.blocks.used, 0, `${this.#name}: its stack still holds buffers`);
  }
}

/** Connects, sends the beginning of a request, and resets the connection. */
class Deserter implements SocketEvents {
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  onOpen(socket: Socket): void {
    const request = Buffer.from('*3\r\n$3\r\nSET\r\n$7\r\ndeserts\r\n$100\r\nhalf of it');
    socket.write(request, 0, 1 + this.#random.below(request.length));
    if (this.#random.below(2) === 0) socket.abort();
    else socket.end();
  }

  onReadable(_socket: Socket, _bytes: Uint8Array, _offset: number, length: number): number {
    return length;
  }

  onWritable(): void {}

  onEnd(): void {}

  onClose(): void {}
}

/** From a clean wire to a bad one: each kind of trouble is there in about half of the seeds. */
function drawImpairment(random: SeededRandom): Partial<Impairment> {
  const maybe = (most: number): number => (random.below(2) === 0 ? 0 : random.fraction() * most);
  return {
    delayUs: random.below(2) === 0 ? 20 : random.below(30_000),
    jitterUs: random.below(2) === 0 ? 0 : random.below(5_000),
    loss: maybe(0.08),
    duplicate: maybe(0.1),
    reorder: maybe(0.1),
    reorderUs: 1 + random.below(20_000),
    corrupt: maybe(0.05),
  };
}

/** Buffers, MTU and acknowledgement policy, over the range that netdev.conf allows. */
function drawStackConfig(random: SeededRandom, ip: string): StackConfig {
  const one = <T>(...choices: T[]): T => choices[random.below(choices.length)];
  return parseNetdevConf(
    [
      'interface = memory0',
      `address = ${ip}/${ip.includes(':') ? 64 : 24}`,
      'keepalive = 10s',
      `receive-buffer = ${one('4kb', '16kb', '64kb', '256kb')}`,
      `send-buffer = ${one('4kb', '16kb', '64kb', '256kb')}`,
      `delayed-ack = ${one('1ms', '10ms', '40ms', '100ms')}`,
      `rto-min = ${one('50ms', '200ms', '1s')}`,
      `congestion = ${one('cubic', 'newreno')}`,
      `ecn = ${one('off', 'accept', 'on')}`,
    ].join('\n'),
    `${ip}.conf`,
  );
}
