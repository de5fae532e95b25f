// A stack facing a peer that keeps no rules: segments of any flags, sequence numbers, options and windows, cut, forged
// and out of place. Nothing throws; the application only ever sees a prefix of the one stream there is; and when
// the peer resets at last, nothing is left behind. A failure prints its seed; HOSTILE_SEED=n replays one.
import { describe, expect, it } from 'vitest';
import { type MemoryEngine, MemoryWire } from '../../../io-engine/memory-wire.ts';
import { ManualClock } from '../../../src/platform/clock.ts';
import { SeededRandom } from '../../../src/platform/random.ts';
import type { Socket, SocketEvents } from '../../../stack/socket.ts';
import { Stack } from '../../../stack/stack.ts';
import { DROP_NAMES } from '../../../stack/stats.ts';
import { finish, pseudoHeaderSum, sum } from '../../../stack/wire/checksum.ts';
import { ACK, FIN, PSH, parseTcp, RST, SYN, TcpSegment, writeTcpHeader } from '../../../stack/wire/tcp.ts';
import { icmpMessage, ipv4Frame, ipv4Packet } from '../lower-stack/host.ts';
import { IP_A, IP_B, PORT, streamByte, testConfig } from './two-stacks.ts';

const PEER_PORT = 50000;
const PEER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);

interface SegmentFields {
  readonly seq: number;
  readonly ack?: number;
  readonly flags: number;
  readonly window?: number;
  readonly options?: readonly number[];
  readonly payload?: Uint8Array;
  readonly port?: number;
}

/** One stack (10.0.0.1) with a listener, and us as its peer (10.0.0.2). */
class Target implements SocketEvents {
  readonly clock = new ManualClock();
  readonly stack: Stack;
  readonly delivered: number[] = [];
  socket: Socket | null = null;
  /** True until a connection has come; whatever else the peer gets established is refused. */
  isAccepting = true;
  closes = 0;
  /** The last segment the stack sent us. */
  readonly last = new TcpSegment();
  sent = 0;
  readonly #engine: MemoryEngine;
  readonly #peer: MemoryEngine;

  constructor(seed: number) {
    const wire = new MemoryWire({ wake: 'advance' });
    [this.#engine, this.#peer] = wire.ends;
    this.clock.advanceUs(1_000_000);
    const config = testConfig(IP_A, { arp: [{ ip: IP_B, mac: PEER_MAC }], receiveBuffer: 16384, sendBuffer: 16384 });
    this.stack = new Stack(this.#engine, config, this.clock, new SeededRandom(seed));
    this.stack.listen(PORT, 4, (socket) => {
      if (!this.isAccepting) return null;
      this.isAccepting = false;
      this.socket = socket;
      return this;
    });
  }

  onOpen(): void {}
  onReadable(_socket: Socket, bytes: Uint8Array, offset: number, length: number): number {
    for (let i = 0; i < length; i++) this.delivered.push(bytes[offset + i]);
    return length;
  }
  onWritable(): void {}
  onEnd(): void {}
  onClose(): void {
    this.closes++;
    this.socket = null;
  }

  tick(): void {
    this.stack.poll();
    this.stack.flush();
    for (let count = this.#peer.receive(); count > 0; count = this.#peer.receive()) {
      const { offset, length } = this.#peer.batch;
      for (let i = 0; i < count; i++) {
        this.sent++;
        const isTcp = this.#peer.memory[offset[i] + 23] === 6;
        if (isTcp) expect(parseTcp(this.#peer.memory, offset[i] + 34, length[i] - 34, this.last)).toBe(0);
      }
    }
  }

  send(frame: Uint8Array): void {
    const at = this.#peer.reserve();
    this.#peer.memory.set(frame, at);
    this.#peer.commit(frame.length, 0);
    this.#peer.flush();
    this.tick();
  }

  advance(ms: number): void {
    this.clock.advanceUs(ms * 1000);
    this.tick();
  }

  drops(): Record<string, number> {
    const entries = DROP_NAMES.map((name, i) => [name, this.stack.stats.drops[i]] as const);
    return Object.fromEntries(entries.filter(([, count]) => count > 0));
  }
}

function tcpBytes(fields: SegmentFields): Uint8Array {
  const { seq, ack = 0, flags, window = 8000, options = [], payload = new Uint8Array(0), port = PEER_PORT } = fields;
  const bytes = new Uint8Array(20 + options.length + payload.length);
  writeTcpHeader(bytes, 0, port, PORT, seq, ack, flags, window, options.length);
  bytes.set(options, 20);
  bytes.set(payload, 20 + options.length);
  return withChecksum(bytes);
}

function withChecksum(bytes: Uint8Array): Uint8Array {
  bytes.set([0, 0], 16);
  const checksum = finish(sum(bytes, 0, bytes.length, pseudoHeaderSum(IP_B, IP_A, 6, bytes.length)));
  bytes.set([checksum >> 8, checksum & 255], 16);
  return bytes;
}

const tcpFrame = (fields: SegmentFields) => ipv4Frame({ payload: tcpBytes(fields) });

/** An established connection; sequence numbers count from `irs` and `iss`. */
function establish(target: Target, irs: number, port = PEER_PORT): number {
  target.send(tcpFrame({ seq: irs, flags: SYN, port }));
  expect(target.last.flags).toBe(SYN | ACK);
  const iss = target.last.seq;
  target.send(tcpFrame({ seq: (irs + 1) | 0, ack: (iss + 1) | 0, flags: ACK, port }));
  expect(target.socket).not.toBeNull();
  return iss;
}

const FLAGS = [ACK, ACK, ACK, ACK | PSH, ACK | PSH, ACK | FIN, FIN, SYN, SYN | ACK, RST | ACK, 0, 0xff, SYN | FIN];
const CORNERS = [0, 1, -1, 2, 1400, 8000, 16384, 65535, 0x7fffffff, -0x80000000];

class Attacker {
  readonly #random: SeededRandom;
  readonly #target: Target;
  readonly #irs: number;
  readonly #iss: number;

  constructor(random: SeededRandom, target: Target, irs: number, iss: number) {
    this.#random = random;
    this.#target = target;
    this.#irs = irs;
    this.#iss = iss;
  }

  act(): void {
    const random = this.#random;
    const target = this.#target;
    const what = random.below(20);
    if (what === 0) target.advance(random.below(5000));
    else if (what === 1) target.socket?.write(new Uint8Array(9000), 0, random.below(9000));
    else if (what === 2) target.socket?.pause();
    else if (what === 3) target.socket?.resume();
    else if (what === 4) target.send(this.#icmp());
    else if (what === 5) target.send(this.#mangled());
    else target.send(ipv4Frame({ payload: this.#segment() }));
  }

  #segment(): Uint8Array {
    const random = this.#random;
    const at = this.#near(this.#target.delivered.length);
    const length = random.below(3) === 0 ? 0 : random.below(random.below(4) === 0 ? 1400 : 40);
    // The one stream there is: what a byte is follows from its sequence number.
    const payload = Uint8Array.from({ length }, (_, i) => streamByte(0, at + i));
    let flags = FLAGS[random.below(FLAGS.length)];
    // The right reset ends the story: that is for the end of the test.
    if ((flags & RST) !== 0 && at === this.#target.delivered.length) flags = ACK;
    return tcpBytes({
      seq: (this.#irs + 1 + at) | 0,
      ack: (this.#iss + 1 + this.#near(0)) | 0,
      flags,
      window: random.below(3) === 0 ? 0 : random.below(65536),
      options: this.#options(),
      payload,
    });
  }

  /** Mostly a little around `position`, sometimes anywhere. */
  #near(position: number): number {
    const random = this.#random;
    const way = random.below(6);
    if (way < 2) return position;
    if (way < 4) return position + random.below(3000) - 300;
    if (way === 4) return position + CORNERS[random.below(CORNERS.length)];
    return random.int32();
  }

  #options(): number[] {
    const random = this.#random;
    const edge = () => {
      const value = (this.#iss + random.below(20000) - 2000) | 0;
      return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
    };
    const kinds = [
      () => [],
      () => [],
      () => [1, 1, 5, 10, ...edge(), ...edge()],
      () => [1, 1, 5, 34, ...Array.from({ length: 8 }, edge).flat()],
      () => [1, 1, 8, 10, ...edge(), ...edge()],
      () => Array.from({ length: 4 * random.below(11) }, () => random.below(256)),
      () => [3, 3, random.below(256), 0],
      () => [2, 4, 0, random.below(256)],
    ];
    return kinds[random.below(kinds.length)]();
  }

  #mangled(): Uint8Array {
    const random = this.#random;
    const frame = ipv4Frame({ payload: this.#segment() });
    for (let i = 0; i < 1 + random.below(4); i++) frame[random.below(frame.length)] = random.below(256);
    // Changes that cancel out in the checksum would be believed, by any stack.
    const pseudo = pseudoHeaderSum(IP_B, IP_A, 6, frame.length - 34);
    if (finish(sum(frame, 34, frame.length - 34, pseudo)) === 0) frame[50] ^= 1;
    return frame.slice(0, random.below(2) === 0 ? frame.length : random.below(frame.length + 1));
  }

  #icmp(): Uint8Array {
    const random = this.#random;
    const own = new Uint8Array(20);
    writeTcpHeader(own, 0, PORT, PEER_PORT, (this.#iss + this.#near(0)) | 0, 0, ACK, 0, 0);
    const quoted = ipv4Packet({ from: '10.0.0.1', to: '10.0.0.2', payload: own });
    const message = icmpMessage([3, 4, 11, 12][random.below(4)], random.below(16), random.below(2000), quoted);
    return ipv4Frame({ protocol: 1, payload: message });
  }
}

function attack(seed: number): void {
  const random = new SeededRandom(seed);
  const target = new Target(seed);
  const irs = random.int32();
  const attacker = new Attacker(random, target, irs, establish(target, irs));
  for (let i = 0; i < 120; i++) attacker.act();
  for (const [i, byte] of target.delivered.entries()) {
    if (byte !== streamByte(0, i)) throw new Error(`byte ${i} of the stream is wrong`);
  }
  // Whatever state it is in now: silence, and in the end everything is given back.
  target.socket?.abort();
  for (let i = 0; i < 40; i++) target.advance(10_000);
  expect(target.closes).toBe(1);
  expect(target.stack.connections).toBe(0);
  expect(target.stack.tcp).toMatchObject({ handshakes: 0, timeWaits: 0 });
  expect(target.stack.tcp.blocks.used).toBe(0);
  expect(target.stack.stats.tcpCurrEstab).toBe(0);
  // And it still serves.
  target.isAccepting = true;
  const before = target.delivered.length;
  const iss = establish(target, 7, 50001);
  target.send(tcpFrame({ seq: 8, ack: (iss + 1) | 0, flags: ACK, payload: Uint8Array.of(42), port: 50001 }));
  expect(target.delivered.slice(before)).toEqual([42]);
}

describe('a peer that keeps no rules', () => {
  const only = process.env.HOSTILE_SEED;
  const seeds = only === undefined ? Array.from({ length: 300 }, (_, i) => i + 1) : [Number(only)];

  it(`does no harm (${seeds.length} seeds)`, () => {
    for (const seed of seeds) {
      try {
        attack(seed);
      } catch (error) {
        throw new Error(`HOSTILE_SEED=${seed}: ${(error as Error).message}`, { cause: error });
      }
    }
  });
});

describe('malformed TCP', () => {
  const valid = () => tcpBytes({ seq: 1, flags: SYN });
  const with_ = (at: number, value: number) => {
    const bytes = valid();
    bytes[at] = value;
    return withChecksum(bytes);
  };
  const badChecksum = () => {
    const bytes = valid();
    bytes[4] ^= 1;
    return bytes;
  };

  it.each([
    ['tcp-truncated', valid().slice(0, 19)],
    ['tcp-bad-data-offset', with_(12, 0x40)],
    ['tcp-bad-data-offset', with_(12, 0x60)],
    ['tcp-bad-checksum', badChecksum()],
    ['tcp-bad-port', tcpBytes({ seq: 1, flags: SYN, port: 0 })],
    ['tcp-no-listener', with_(3, 1)],
  ])('is dropped and counted as %s', (name, segment) => {
    const target = new Target(1);
    target.send(ipv4Frame({ payload: segment }));
    expect(target.drops()).toEqual({ [name]: 1 });
    expect(target.sent).toBe(name === 'tcp-no-listener' ? 1 : 0);
    expect(target.stack.tcp.handshakes).toBe(0);
  });
});
