// Both streams of a connection over a wire that loses, reorders, duplicates and corrupts: what arrives is always a
// prefix of what was written, whatever the options and the clock do, and once the network heals everything drains and both sides close in order. The seed of
// a failure is in its message; CHAOS_SEED=n replays one, CHAOS_COUNT=n runs more, from CHAOS_FIRST on.
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/platform/random.ts';
import type { Socket, SocketEvents } from '../../../stack/socket.ts';
import type { Stack } from '../../../stack/stack.ts';
import { randomConfig, randomEnd, randomImpairment } from './bad-network.ts';
import { IP_B, PORT, streamByte, TwoStacks } from './two-stacks.ts';

const BATCH = 100;

class Peer implements SocketEvents {
  socket: Socket | null = null;
  written = 0;
  read = 0;
  ended = false;
  closedWith = -1;
  readonly #random: SeededRandom;
  readonly #mine: number;
  readonly #total: number;
  readonly #chunk = new Uint8Array(20_000);

  constructor(random: SeededRandom, mine: number, total: number) {
    this.#random = random;
    this.#mine = mine;
    this.#total = total;
  }

  /** What an application does in a tick: writes a bit, pauses or resumes at times, ends when it is done. */
  act(): void {
    const { socket } = this;
    if (socket === null || this.closedWith >= 0) return;
    const random = this.#random;
    if (random.below(50) === 0) socket.pause();
    else if (random.below(4) === 0) socket.resume();
    if (this.written === this.#total) {
      socket.end();
      return;
    }
    const length = Math.min(random.below(random.below(8) === 0 ? 20_000 : 600), this.#total - this.written);
    for (let i = 0; i < length; i++) this.#chunk[i] = streamByte(this.#mine, this.written + i);
    this.written += socket.write(this.#chunk, 0, length);
  }

  onOpen(): void {}

  onReadable(_socket: Socket, bytes: Uint8Array, offset: number, length: number): number {
    const count = this.#random.below(10) === 0 ? this.#random.below(length + 1) : length;
    for (let i = 0; i < count; i++) {
      if (bytes[offset + i] !== streamByte(1 - this.#mine, this.read + i)) throw new Error(`byte ${this.read + i}`);
    }
    this.read += count;
    return count;
  }

  onWritable(): void {}

  onEnd(): void {
    this.ended = true;
  }

  onClose(_socket: Socket, reason: number): void {
    if (this.closedWith >= 0) throw new Error('closed twice');
    this.closedWith = reason;
  }
}

function runSeed(seed: number): void {
  const random = new SeededRandom(seed);
  const net = new TwoStacks({
    seed,
    startUs: [1_000_000, 0x7fff_0000, 0xffff_0000][random.below(3)],
    wire: { impairment: randomImpairment(random) },
    ends: [randomEnd(random), randomEnd(random)],
    a: randomConfig(random),
    b: randomConfig(random),
  });
  const edge = [0, 0x7fff_f000, 0xffff_f000][random.below(3)];
  if (edge !== 0) net.a.tcp.iss.sequence = net.b.tcp.iss.sequence = () => edge | 0;
  const client = new Peer(random, 0, random.below(60_000));
  const server = new Peer(random, 1, random.below(60_000));
  net.b.listen(PORT, 16, (socket) => {
    server.socket = socket;
    return server;
  });
  client.socket = net.a.connect(IP_B, PORT, client);
  net.onTick = (stack: Stack) => (stack === net.a ? client : server).act();
  // The impaired part; the wheel and the wire wake us, a tick every 20 ms at least lets the applications act.
  for (let i = 0; i < 300 && client.closedWith < 0; i++) {
    net.run(20);
    if (random.below(100) === 0) net.jump(random.below(3000));
  }
  net.wire.impair({ delayUs: 1000 });
  const done = () => client.closedWith >= 0 && server.closedWith >= 0;
  for (let i = 0; i < 20_000 && !done(); i++) {
    net.run(20);
    client.socket?.resume();
    server.socket?.resume();
  }
  expect({ client: client.closedWith, server: server.closedWith, read: [server.read, client.read] }).toEqual({
    client: 0,
    server: 0,
    read: [client.written, server.written],
  });
  expect(client.ended && server.ended).toBe(true);
  net.run(5000);
  for (const { tcp } of [net.a, net.b]) {
    expect([tcp.flows.size, tcp.connections, tcp.handshakes, tcp.timeWaits, tcp.blocks.used]).toEqual([0, 0, 0, 0, 0]);
  }
}

function replayable(seed: number): void {
  try {
    runSeed(seed);
  } catch (error) {
    throw new Error(`CHAOS_SEED=${seed}: ${(error as Error).message}`, { cause: error });
  }
}

describe('two streams over a bad network', () => {
  const only = process.env.CHAOS_SEED;
  if (only !== undefined) {
    it(`seed ${only}`, { timeout: 60_000 }, () => replayable(Number(only)));
    return;
  }
  const first = Number(process.env.CHAOS_FIRST ?? 1);
  const end = first + Number(process.env.CHAOS_COUNT ?? 2000);
  for (let from = first; from < end; from += BATCH) {
    const to = Math.min(from + BATCH, end);
    it(`seeds ${from} to ${to - 1}`, { timeout: 120_000 }, () => {
      for (let seed = from; seed < to; seed++) replayable(seed);
    });
  }
});
