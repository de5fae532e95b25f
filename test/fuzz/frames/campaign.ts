// One stack with a listening echo, one stack that talks to it undisturbed, and a third end of the wire that sends it
// frames from the generator. In every other campaign that connection is one over IPv6, and routers are listened to.
// Checked: nothing throws, every frame is accounted for, the undisturbed connection goes on, and when it is over
// nothing is left. For frames.test.ts and run.ts.
import { type MemoryEngine, MemoryWire } from '../../../io-engine/memory-wire.ts';
import { ManualClock } from '../../../src/platform/clock.ts';
import { SeededRandom } from '../../../src/platform/random.ts';
import { parseNetdevConf } from '../../../stack/config.ts';
import type { Socket, SocketEvents } from '../../../stack/socket.ts';
import { Stack } from '../../../stack/stack.ts';
import { DROP_NAMES } from '../../../stack/stats.ts';
import { readInt32, readUint16 } from '../../../stack/wire/bytes.ts';
import { FrameGenerator, PEER_PORT_BASE, PEER_PORTS, PORT, TRANSPORT_4, TRANSPORT_6 } from './generator.ts';

const LIVE_IP = '10.0.0.9';
const LIVE_IP6 = 'fd00::9';
/** Frames sent before the stack gets its turn. */
const BATCH = 32;
/** After the last frame: longer than any connection, half-open or waiting, may live without a peer. */
const ADDRESSES_MAX = 16_384;
const WIND_DOWN_MS = 2 * 3600 * 1000;

const echo: SocketEvents = {
  onOpen: (socket) => socket.setKeepAlive(10_000),
  onReadable: (socket, bytes, offset, length) => socket.write(bytes, offset, length),
  onWritable: (socket) => socket.resume(),
  onEnd: (socket) => socket.end(),
  onClose() {},
};

export interface CampaignReport {
  readonly seed: number;
  readonly frames: number;
  /** Frames dropped, by reason. */
  readonly drops: Readonly<Record<string, number>>;
  /** Connections that the generator got established. */
  readonly established: number;
  /** Bytes that came back on the undisturbed connection. */
  readonly echoed: number;
}

export class Campaign {
  readonly seed: number;
  readonly stack: Stack;
  frames = 0;
  readonly #clock = new ManualClock();
  readonly #wire = new MemoryWire({ wake: 'advance', inFlight: 8192, ends: [end(1), end(2), end(9)] });
  readonly #peer: MemoryEngine;
  readonly #live: Stack;
  readonly #random: SeededRandom;
  readonly #generator: FrameGenerator;
  #socket: Socket | null = null;
  #liveClosed = false;
  #sent = 0;
  #echoed = 0;
  #nowUs = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.#random = new SeededRandom(seed);
    this.#generator = new FrameGenerator(this.#random);
    const [engine, peer, live] = this.#wire.ends;
    this.#peer = peer;
    const isOverSix = (seed & 1) === 0;
    const neighbors = [
      'arp = 10.0.0.2 02:00:00:00:00:02',
      `arp = ${LIVE_IP} 02:00:00:00:00:09`,
      'arp = fd00::2 02:00:00:00:00:02',
      `arp = ${LIVE_IP6} 02:00:00:00:00:09`,
      `slaac = ${isOverSix ? 'on' : 'off'}`,
    ];
    const limits = [
      'max-connections = 200',
      'receive-buffer = 16kb',
      'send-buffer = 16kb',
      'time-wait = 1s',
      'user-timeout = 60s',
    ];
    const addresses = ['address = 10.0.0.1/24', 'address = fd00::1/64'];
    const config = ['interface = fuzz', ...addresses, ...neighbors, ...limits].join('\n');
    this.stack = new Stack(engine, parseNetdevConf(config, 'fuzz'), this.#clock, new SeededRandom(seed + 1));
    const live4 = [`address = ${LIVE_IP}/24`, 'arp = 10.0.0.1 02:00:00:00:00:01'];
    const live6 = [`address = ${LIVE_IP6}/64`, 'arp = fd00::1 02:00:00:00:00:01'];
    const own = ['interface = live', ...live4, ...live6].join('\n');
    this.#live = new Stack(live, parseNetdevConf(own, 'live'), this.#clock, new SeededRandom(seed + 2));
    this.stack.listen(PORT, 64, () => echo);
    this.#connectLive(isOverSix ? 'fd00::1' : '10.0.0.1');
  }

  #connectLive(address: string): void {
    const next = (socket: Socket) => {
      const bytes = Uint8Array.from({ length: 64 }, (_, i) => (this.#sent + i) & 0xff);
      this.#sent += socket.write(bytes, 0, bytes.length);
    };
    this.#socket = this.#live.connect(this.#live.ip.parse(address) as number, PORT, {
      onOpen: next,
      onReadable: (socket, bytes, offset, length) => {
        for (let i = 0; i < length; i++) {
          if (bytes[offset + i] !== ((this.#echoed + i) & 0xff))
            throw new Error(`byte ${this.#echoed + i} came back wrong`);
        }
        this.#echoed += length;
        if (this.#echoed === this.#sent) next(socket);
        return length;
      },
      onWritable() {},
      onEnd() {},
      onClose: () => {
        this.#liveClosed = true;
      },
    });
    for (let i = 0; i < 10; i++) this.#tick(1000);
    if (this.#echoed === 0) throw new Error('the undisturbed connection does not even begin');
  }

  /** Sends at least `count` frames. */
  run(count: number): void {
    const until = this.frames + count;
    while (this.frames < until) {
      for (let i = 0; i < BATCH; i++) this.#sendOne();
      this.#peer.flush();
      const before = this.#echoed;
      // Mostly little time goes by; now and then enough for every timer.
      const pause = this.#random.below(500);
      this.#tick(pause === 0 ? 5_000_000 : pause < 10 ? 250_000 : 1000);
      for (let i = 0; i < 1000 && this.#echoed === before; i++) this.#tick(10_000);
      if (this.#echoed === before) throw new Error('the undisturbed connection is stuck');
      if (this.#liveClosed) throw new Error('the undisturbed connection was closed');
    }
  }

  #sendOne(): void {
    const length = this.#generator.next();
    const at = this.#peer.reserve();
    if (at < 0) return;
    const { bytes } = this.#generator;
    // The undisturbed connection's address is not the generator's to use.
    this.#peer.memory.set(bytes.subarray(0, length), at);
    this.#peer.commit(length, 0);
    this.frames++;
  }

  #tick(us: number): void {
    this.#nowUs += us;
    this.#clock.advanceUs(us);
    this.#wire.advance(this.#nowUs);
    for (const stack of [this.stack, this.#live, this.stack]) {
      stack.poll();
      stack.flush();
    }
    for (let count = this.#peer.receive(); count > 0; count = this.#peer.receive()) this.#look(count);
  }

  /** Learns from what the stack sends where its connections are. */
  #look(count: number): void {
    const { memory, batch } = this.#peer;
    for (let i = 0; i < count; i++) {
      const at = batch.offset[i];
      const length = batch.length[i];
      if (this.#random.below(64) === 0) this.#generator.capture(memory.subarray(at, at + length));
      const family = memory[at + 12] === 8 && memory[at + 13] === 0 ? 0 : memory[at + 12] === 0x86 ? 1 : -1;
      if (family < 0 || memory[at + (family === 0 ? 23 : 20)] !== 6) continue;
      const tcp = at + (family === 0 ? TRANSPORT_4 : TRANSPORT_6);
      const index = readUint16(memory, tcp + 2) - PEER_PORT_BASE;
      if (index < 0 || index >= PEER_PORTS) continue;
      const flags = memory[tcp + 13];
      if ((flags & 4) !== 0) continue;
      const payload = at + length - tcp - ((memory[tcp + 12] >> 4) << 2);
      const place = this.#generator.places[family][index];
      place.seq = (readInt32(memory, tcp + 4) + payload + (flags & 1) + ((flags >> 1) & 1)) | 0;
      place.ack = readInt32(memory, tcp + 8);
      if (memory[tcp + 20] === 1 && memory[tcp + 22] === 8) place.tsVal = readInt32(memory, tcp + 24);
    }
  }

  /** The peer falls silent: everything has to go. @throws what is left. */
  finish(): CampaignReport {
    const { stats, tcp } = this.stack;
    const { reassembly, book } = this.stack.ip;
    this.#socket?.end();
    const until = this.#nowUs + WIND_DOWN_MS * 1000;
    while (this.#nowUs < until && (tcp.flows.size > 0 || tcp.blocks.used > 0 || reassembly.bytesHeld > 0)) {
      const delay = Math.max(
        1,
        Math.min(this.stack.nextDeadlineMs() < 0 ? 10_000 : this.stack.nextDeadlineMs(), 10_000),
      );
      this.#tick(delay * 1000);
    }
    const left = {
      flows: tcp.flows.size,
      connections: tcp.connections,
      handshakes: tcp.handshakes,
      timeWaits: tcp.timeWaits,
      fragments: reassembly.bytesHeld,
      // Numbers of addresses are taken back in time, not at once.
      addresses: Math.max(0, book.size - ADDRESSES_MAX),
    };
    const rows = Object.entries({ ...left, buffers: tcp.blocks.used, established: stats.tcpCurrEstab });
    const leaks = rows.filter(([, count]) => count !== 0);
    if (leaks.length > 0)
      throw new Error(`seed ${this.seed}: left behind: ${JSON.stringify(Object.fromEntries(leaks))}`);
    const drops = DROP_NAMES.map((name, i) => [name, stats.drops[i]] as const).filter(([, count]) => count > 0);
    const { seed, frames } = this;
    const established = stats.tcpPassiveOpens;
    return { seed, frames, drops: Object.fromEntries(drops), established, echoed: this.#echoed };
  }
}

function end(last: number): { mac: Uint8Array; rxRing: number; txRing: number } {
  return { mac: Uint8Array.of(2, 0, 0, 0, 0, last), rxRing: 2048, txRing: 2048 };
}
