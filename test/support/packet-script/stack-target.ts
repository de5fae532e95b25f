// Our stack under a script: virtual time, a memory wire whose other end is the script, and an application that reads,
// writes and closes when told to and never on its own. For runner.ts.
import { type MemoryEngine, MemoryWire } from '../../../io-engine/memory-wire.ts';
import { ManualClock } from '../../../src/platform/clock.ts';
import { SeededRandom } from '../../../src/platform/random.ts';
import { CLOSE_REASONS } from '../../../stack/close-reasons.ts';
import { parseNetdevConf, type StackConfig } from '../../../stack/config.ts';
import type { Socket, SocketEvents } from '../../../stack/socket.ts';
import { Stack } from '../../../stack/stack.ts';
import { listStats } from '../../../stack/stats.ts';
import * as connection from '../../../stack/tcp/connection.ts';
import type { Listener } from '../../../stack/tcp/listener.ts';
import { addressBytes, type Hosts } from './build.ts';
import { type Flow, PEER_PORT_BASE, peerByte, stackByte } from './flow.ts';
import type { Script } from './syntax.ts';
import type { Frame, Target, Tolerance } from './target.ts';

const ADDRESSES = { 4: ['10.0.0.1', '10.0.0.2'], 6: ['fd00::1', 'fd00::2'] } as const;
const PORT = 8080;
const START_US = 1_000_000;
/** After a script, everything that is closing has gone by then: twice the longest TIME-WAIT and SYN,ACK back-off. */
const WIND_DOWN_US = 300_000_000;

const STATES: Readonly<Record<string, number>> = {
  'SYN-SENT': connection.SYN_SENT,
  'SYN-RECEIVED': connection.SYN_RECEIVED,
  ESTABLISHED: connection.ESTABLISHED,
  'FIN-WAIT-1': connection.FIN_WAIT_1,
  'FIN-WAIT-2': connection.FIN_WAIT_2,
  'CLOSE-WAIT': connection.CLOSE_WAIT,
  CLOSING: connection.CLOSING,
  'LAST-ACK': connection.LAST_ACK,
};

/** One socket's owner. */
class Application implements SocketEvents {
  readonly socket: Socket;
  opened = false;
  ended = false;
  writable = 0;
  /** null: not closed; '': in order. */
  closed: string | null = null;
  accepted = false;
  /** Bytes it may take now. */
  appetite = 0;
  taken = 0;
  written = 0;
  wrong = -1;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  onOpen(): void {
    this.opened = true;
  }
  onReadable(_socket: Socket, bytes: Uint8Array, offset: number, length: number): number {
    const count = Math.min(length, this.appetite);
    for (let i = 0; i < count; i++) {
      if (bytes[offset + i] !== peerByte(this.taken + i + 1) && this.wrong < 0) this.wrong = this.taken + i + 1;
    }
    this.taken += count;
    this.appetite -= count;
    return count;
  }
  onWritable(): void {
    this.writable++;
  }
  onEnd(): void {
    this.ended = true;
  }
  onClose(_socket: Socket, reason: number): void {
    if (this.closed !== null) throw new Error('onClose came twice');
    this.closed = CLOSE_REASONS[reason] ?? '';
  }
}

export class StackTarget implements Target {
  readonly isLinux = false;
  readonly hosts: Hosts;
  readonly port = PORT;
  readonly stack: Stack;
  readonly #clock = new ManualClock();
  readonly #wire: MemoryWire;
  readonly #stackIp: number;
  readonly #peer: MemoryEngine;
  readonly #frames: Frame[] = [];
  readonly #applications = new Map<number, Application>();
  #listener: Listener | null = null;
  #nowUs: number;

  constructor(script: Script) {
    const { settings } = script;
    this.#nowUs = START_US + Number(settings.get('start-ms') ?? 0) * 1000;
    this.#clock.advanceUs(this.#nowUs);
    const mac = (last: number) => Uint8Array.of(2, 0, 0, 0, 0, last);
    const mtu = Number(settings.get('mtu') ?? 1500);
    const capacity = { mtu, rxRing: 1024, txRing: 1024 };
    this.#wire = new MemoryWire({ wake: 'advance', ends: [capacity, capacity], inFlight: 4096 });
    this.hosts = { ...hostsOf(script), stackMac: mac(1), peerMac: mac(2) };
    const config = configOf(script);
    this.stack = new Stack(this.#wire.ends[0], config, this.#clock, new SeededRandom(7));
    this.#stackIp = this.stack.ip.parse(ADDRESSES[this.hosts.family][0]) as number;
    this.#peer = this.#wire.ends[1];
  }

  nowUs(): number {
    return this.#nowUs;
  }

  /** Timers of the stack count whole milliseconds, and timeouts have the round trip's milliseconds in them. */
  tolerance(afterUs: number): Tolerance {
    return { earlyUs: 1000 + afterUs * 0.01, lateUs: 3000 + afterUs * 0.03 };
  }

  inject(frame: Uint8Array): void {
    const at = this.#peer.reserve();
    this.#peer.memory.set(frame, at);
    this.#peer.commit(frame.length, 0);
    this.#peer.flush();
    this.#settle();
  }

  async next(untilUs: number): Promise<Frame | null> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      if (!this.#step(untilUs)) return null;
    }
  }

  /** Runs what is due, without time moving on. */
  #settle(): void {
    for (let i = 0; i < 100; i++) {
      const frames = this.stack.poll();
      this.stack.flush();
      this.#collect();
      if (frames === 0 && this.stack.nextDeadlineMs() !== 0) return;
    }
    throw new Error('the stack does not come to rest');
  }

  /** Goes on to the stack's next deadline, at most to `untilUs`. @returns false when that was reached. */
  #step(untilUs: number): boolean {
    if (this.#nowUs >= untilUs) return false;
    const delayMs = this.stack.nextDeadlineMs();
    const deadline = delayMs < 0 ? untilUs : (Math.floor(this.#nowUs / 1000) + delayMs) * 1000;
    const next = Math.min(Math.max(deadline, this.#nowUs), untilUs);
    this.#clock.advanceUs(next - this.#nowUs);
    this.#nowUs = next;
    this.#wire.advance(next);
    this.#settle();
    return true;
  }

  #collect(): void {
    for (let count = this.#peer.receive(); count > 0; count = this.#peer.receive()) {
      const { offset, length } = this.#peer.batch;
      for (let i = 0; i < count; i++) {
        this.#frames.push({ bytes: this.#peer.memory.slice(offset[i], offset[i] + length[i]), atUs: this.#nowUs });
      }
    }
  }

  // ---- The application -----------------------------------------------------------------------------------------

  async call(flow: Flow, words: readonly string[]): Promise<string | null> {
    const answer = this.#call(flow, words);
    this.#settle();
    return answer;
  }

  #call(flow: Flow, words: readonly string[]): string | null {
    const [name, argument] = words;
    switch (name) {
      case 'start':
        this.stack.start();
        return null;
      case 'listen':
        this.#listen(Number(argument ?? 16));
        return null;
      case 'unlisten':
        if (this.#listener !== null) this.stack.unlisten(this.#listener);
        this.#listener = null;
        return null;
      case 'connect': {
        const socket = this.stack.connect(this.#peerIp(), flow.peerPort, {} as SocketEvents);
        const application = new Application(socket);
        socket.events = application;
        this.#applications.set(flow.peerPort, application);
        return null;
      }
      case 'drops':
      case 'stat':
        return this.#counter(name === 'drops' ? `drop-${argument}` : argument, Number(words[2] ?? 1));
      case 'state':
        return this.#state(flow, argument);
      default:
        return this.#ofSocket(flow, words);
    }
  }

  #listen(backlog: number): void {
    if (this.#listener !== null) return;
    this.#listener = this.stack.listen(PORT, backlog, (socket) => {
      const application = new Application(socket);
      this.#applications.set(socket.remotePort, application);
      return application;
    });
  }

  #ofSocket(flow: Flow, words: readonly string[]): string | null {
    const [name, argument] = words;
    const application = this.#applications.get(flow.peerPort);
    if (application === undefined) return 'there is no such connection';
    const { socket } = application;
    switch (name) {
      case 'accept':
        if (!application.opened || application.accepted) return 'no connection waits to be accepted';
        application.accepted = true;
        return null;
      case 'open':
        return application.opened ? null : 'the connection is not open';
      case 'write':
        return write(application, Number(argument), Number(words[3] ?? argument));
      case 'read':
        return this.#read(application, Number(argument));
      case 'reading':
        application.appetite = Number.MAX_SAFE_INTEGER;
        socket.resume();
        return null;
      case 'pause':
        socket.pause();
        return null;
      case 'resume':
        socket.resume();
        return null;
      case 'writable':
        return application.writable === Number(argument ?? 1) ? null : `writable came ${application.writable} times`;
      case 'eof':
        return application.ended ? null : 'the end of the stream has not come';
      case 'shutdown':
      case 'close':
        socket.end();
        return null;
      case 'abort':
        socket.abort();
        return null;
      case 'nodelay':
        socket.setNoDelay(argument !== 'off');
        return null;
      case 'keepalive':
        socket.setKeepAlive(Number(argument) * 1000);
        return null;
      case 'closed':
        return closedAs(application, argument ?? '');
      case 'alive':
        return application.closed === null ? null : `it is closed: '${application.closed}'`;
      default:
        return `'${name}' is no call`;
    }
  }

  #read(application: Application, count: number): string | null {
    const before = application.taken;
    application.appetite = count;
    application.socket.resume();
    this.#settle();
    application.appetite = 0;
    if (application.wrong >= 0) return `the byte at ${application.wrong} is not what the peer sent`;
    const got = application.taken - before;
    return got === count ? null : `${got} bytes came, not ${count}`;
  }

  #counter(name: string, wanted: number): string | null {
    const row = listStats(this.stack.stats).find(([key]) => key === name);
    if (row === undefined) return `there is no counter '${name}'`;
    if (row[1] === wanted) return null;
    const drops = listStats(this.stack.stats).filter(([key, value]) => key.startsWith('drop-') && value > 0);
    return `${name} is ${row[1]}, not ${wanted}; drops: ${drops.map((drop) => drop.join(' ')).join(', ')}`;
  }

  #state(flow: Flow, wanted: string): string | null {
    const found = this.stack.tcp.flows.find(this.#peerIp(), flow.peerPort, flow.localPort, this.#stackIp);
    const state = stateName(found as { kind: number; state?: number } | null);
    return state === wanted ? null : `the state is ${state}, not ${wanted}`;
  }

  // ---- Afterwards ----------------------------------------------------------------------------------------------

  /** Its number in the stack's book, where it is an IPv6 address: may be another one after a sweep. */
  #peerIp(): number {
    return this.stack.ip.parse(ADDRESSES[this.hosts.family][1]) as number;
  }

  async leftovers(): Promise<string | null> {
    for (const { socket } of this.#applications.values()) socket.abort();
    this.#settle();
    const { tcp } = this.stack;
    const until = this.#nowUs + WIND_DOWN_US;
    while (this.#step(until));
    this.#frames.length = 0;
    for (const [port, { closed }] of this.#applications) {
      if (closed === null) return `flow ${port - PEER_PORT_BASE} was never told that it is closed`;
    }
    const left = {
      flows: tcp.flows.size,
      connections: tcp.connections,
      handshakes: tcp.handshakes,
      timeWaits: tcp.timeWaits,
    };
    const rows = Object.entries({ ...left, buffers: tcp.blocks.used }).filter(([, count]) => count !== 0);
    return rows.length === 0 ? null : `left behind: ${rows.map((row) => row.join(' ')).join(', ')}`;
  }

  async close(): Promise<void> {
    this.stack.close();
  }
}

/** Family and VLAN of a script, and its two addresses. */
function hostsOf({ settings, config }: Script): Pick<Hosts, 'family' | 'vlan' | 'stackIp' | 'peerIp'> {
  const family = settings.get('family') === '6' ? 6 : 4;
  const [stackIp, peerIp] = ADDRESSES[family].map((text) => addressBytes(text) as Uint8Array);
  const vlan = config.map((line) => /^vlan\s*=\s*(\d+)/.exec(line)?.[1]).find((found) => found !== undefined);
  return { family, vlan: Number(vlan ?? 0), stackIp, peerIp };
}

function configOf({ config, settings, file }: Script): StackConfig {
  const six = settings.get('family') === '6';
  const peer = ADDRESSES[six ? 6 : 4][1];
  const arp = settings.get('resolve') === 'yes' ? '' : `arp = ${peer} 02:00:00:00:00:02`;
  const addresses = six ? 'address = 10.0.0.1/24\naddress = fd00::1/64' : 'address = 10.0.0.1/24';
  const address = config.some((line) => /^address\s*=/.test(line)) ? '' : addresses;
  return parseNetdevConf(['interface = script', address, arp, ...config].join('\n'), file);
}

function stateName(flow: { kind: number; state?: number } | null): string {
  if (flow === null) return 'none';
  if (flow.kind === connection.FLOW_TIME_WAIT) return 'TIME-WAIT';
  if (flow.kind === connection.FLOW_HANDSHAKE) return 'SYN-RECEIVED';
  return Object.keys(STATES).find((name) => STATES[name] === flow.state) ?? `state ${flow.state}`;
}

/** @param wanted bytes that have to be taken. */
function write(application: Application, length: number, wanted: number): string | null {
  const bytes = Uint8Array.from({ length }, (_, i) => stackByte(application.written + i + 1));
  const taken = application.socket.write(bytes, 0, length);
  application.written += taken;
  return taken === wanted ? null : `${taken} bytes were taken, not ${wanted}`;
}

function closedAs(application: Application, reason: string): string | null {
  if (application.closed === null) return 'it is not closed';
  return application.closed === reason ? null : `it is closed as '${application.closed}', not '${reason}'`;
}
