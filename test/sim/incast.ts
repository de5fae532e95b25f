// One host asks many at once, as a client does that gathers keys from every shard, and waits for all answers: they meet in
// the queue of one switch port. Every host runs the stack as it is; what they say is bytes by number. Virtual time, one seed.
import assert from 'node:assert/strict';
import { ManualClock } from '../../src/platform/clock.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { parseNetdevConf } from '../../stack/config.ts';
import type { Socket, SocketEvents } from '../../stack/socket.ts';
import { Stack } from '../../stack/stack.ts';
import { Switch } from './switch.ts';

const PORT = 6379;
const REQUEST = new Uint8Array(64);
/** A round that takes longer hangs. */
const DEADLINE_US = 120_000_000;

export interface IncastOptions {
  readonly seed: number;
  /** Hosts that answer. */
  readonly servers: number;
  readonly replyBytes: number;
  readonly rounds: number;
  readonly rate: number;
  readonly delayUs: number;
  readonly queueBytes: number;
  /** Up to so much passes before a server answers, microseconds. */
  readonly serviceUs: number;
  /** Lines of netdev.conf, the servers' and the client's. */
  readonly netdev?: string;
}

export interface IncastResult {
  /** A round's time, microseconds. */
  readonly medianUs: number;
  readonly longestUs: number;
  /** What the last cable takes for the replies alone. */
  readonly leastUs: number;
  readonly drops: number;
  readonly retransmitted: number;
  readonly timeouts: number;
  readonly queuedBytesMax: number;
}

export function simulateIncast(options: IncastOptions): IncastResult {
  return new Incast(options).run();
}

class Incast {
  readonly #options: IncastOptions;
  readonly #clock = new ManualClock();
  readonly #switch: Switch;
  readonly #hosts: Host[] = [];
  readonly #client: AskingHost;
  #nowUs = 0;

  constructor(options: IncastOptions) {
    this.#options = options;
    const random = new SeededRandom(options.seed);
    this.#switch = new Switch({ ...options, hosts: options.servers + 1 });
    const open = (index: number): Stack => {
      const address = `10.9.${(index + 1) >> 8}.${(index + 1) & 0xff}`;
      const text = `interface = port${index}\naddress = ${address}/16\n${options.netdev ?? ''}`;
      return new Stack(this.#switch.hosts[index], parseNetdevConf(text, 'netdev.conf'), this.#clock, random);
    };
    this.#client = new AskingHost(open(0), options.replyBytes);
    this.#hosts.push(this.#client);
    for (let i = 1; i <= options.servers; i++) this.#hosts.push(new AnsweringHost(open(i), options, random));
  }

  run(): IncastResult {
    const { servers, rounds, replyBytes, rate } = this.#options;
    for (const host of this.#hosts) host.stack.start();
    for (let i = 1; i <= servers; i++) this.#client.connectTo(`10.9.${(i + 1) >> 8}.${(i + 1) & 0xff}`);
    for (const host of this.#hosts) host.tick(0);
    this.#runUntil(() => this.#client.open === servers);
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const began = this.#nowUs;
      this.#client.ask();
      this.#client.tick(this.#nowUs);
      this.#runUntil(() => this.#client.answered === servers);
      times.push(this.#nowUs - began);
    }
    times.sort((a, b) => a - b);
    const counters = this.#hosts.map(({ stack }) => stack.stats);
    const total = (of: (stats: Stack['stats']) => number): number => counters.reduce((sum, one) => sum + of(one), 0);
    return {
      medianUs: times[times.length >> 1],
      longestUs: times[times.length - 1],
      leastUs: (servers * replyBytes * 8e6) / rate,
      drops: this.#switch.drops,
      retransmitted: total((stats) => stats.tcpRetransSegs),
      timeouts: total((stats) => stats.tcpTimeouts),
      queuedBytesMax: Math.round(this.#switch.queuedBytesMax),
    };
  }

  #runUntil(done: () => boolean): void {
    const limit = this.#nowUs + DEADLINE_US;
    while (!done()) {
      let next = this.#switch.nextUs();
      for (const host of this.#hosts) next = Math.min(next, host.deadlineUs);
      assert.ok(next < limit, 'a reply never arrived');
      // The stack's clock counts whole microseconds.
      const nowUs = Math.max(this.#nowUs, Math.ceil(next));
      this.#clock.advanceUs(nowUs - this.#nowUs);
      this.#nowUs = nowUs;
      this.#switch.advance(nowUs);
      this.#hosts.forEach((host, i) => {
        if (this.#switch.hosts[i].isDue || host.deadlineUs <= nowUs) host.tick(nowUs);
      });
    }
  }
}

/** A stack, run when it has something to do. */
abstract class Host implements SocketEvents {
  readonly stack: Stack;
  deadlineUs = Infinity;

  constructor(stack: Stack) {
    this.stack = stack;
    stack.onOutputNeeded = () => {};
  }

  tick(nowUs: number): void {
    this.stack.poll();
    this.work(nowUs);
    this.stack.flush();
    const delayMs = this.stack.nextDeadlineMs();
    this.deadlineUs = Math.min(this.nextWorkUs(), delayMs < 0 ? Infinity : nowUs + Math.max(1, delayMs) * 1000);
  }

  protected work(_nowUs: number): void {}

  protected nextWorkUs(): number {
    return Infinity;
  }

  abstract onReadable(socket: Socket, bytes: Uint8Array, offset: number, length: number): number;
  onOpen(_socket: Socket): void {}
  onWritable(_socket: Socket): void {}
  onEnd(): void {}

  onClose(_socket: Socket, reason: number): void {
    assert.fail(`a connection broke: ${reason}`);
  }
}

class AskingHost extends Host {
  open = 0;
  answered = 0;
  readonly #replyBytes: number;
  readonly #missing = new Map<Socket, number>();

  constructor(stack: Stack, replyBytes: number) {
    super(stack);
    this.#replyBytes = replyBytes;
  }

  connectTo(address: string): void {
    this.stack.connect(this.stack.ip.parse(address)!, PORT, this);
  }

  override onOpen(socket: Socket): void {
    this.open++;
    this.#missing.set(socket, 0);
  }

  /** Asks everyone. */
  ask(): void {
    this.answered = 0;
    for (const socket of this.#missing.keys()) {
      this.#missing.set(socket, this.#replyBytes);
      assert.equal(socket.write(REQUEST, 0, REQUEST.length), REQUEST.length);
    }
  }

  onReadable(socket: Socket, _bytes: Uint8Array, _offset: number, length: number): number {
    const left = this.#missing.get(socket)! - length;
    assert.ok(left >= 0, 'a byte came that nobody asked for');
    this.#missing.set(socket, left);
    if (left === 0) this.answered++;
    return length;
  }
}

class AnsweringHost extends Host {
  readonly #reply: Uint8Array;
  readonly #serviceUs: number;
  readonly #random: SeededRandom;
  #socket: Socket | null = null;
  #asked = 0;
  #answerAtUs = Infinity;
  #isAsked = false;
  /** Of the reply under way. */
  #unsent = 0;

  constructor(stack: Stack, { replyBytes, serviceUs }: IncastOptions, random: SeededRandom) {
    super(stack);
    this.#reply = new Uint8Array(replyBytes);
    this.#serviceUs = serviceUs;
    this.#random = random;
    stack.listen(PORT, 16, (socket) => {
      this.#socket = socket;
      return this;
    });
  }

  onReadable(_socket: Socket, _bytes: Uint8Array, _offset: number, length: number): number {
    this.#asked += length;
    if (this.#asked === REQUEST.length) {
      this.#asked = 0;
      this.#isAsked = true;
    }
    return length;
  }

  protected override work(nowUs: number): void {
    if (this.#isAsked) {
      this.#isAsked = false;
      this.#answerAtUs = nowUs + this.#random.below(this.#serviceUs + 1);
    }
    if (this.#answerAtUs <= nowUs) {
      this.#answerAtUs = Infinity;
      this.#unsent = this.#reply.length;
    }
    if (this.#unsent > 0) this.#unsent -= this.#socket!.write(this.#reply, 0, this.#unsent);
  }

  protected override nextWorkUs(): number {
    return this.#answerAtUs;
  }

  override onWritable(): void {}
}
