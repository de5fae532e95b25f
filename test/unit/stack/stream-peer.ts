// A program at one end of a connection that takes its time: writes one stream and checks that what it reads is a prefix of
// the other. For tests that let streams cross a bad network.
import { expect } from 'vitest';
import type { SeededRandom } from '../../../src/platform/random.ts';
import type { Socket, SocketEvents } from '../../../stack/socket.ts';
import { streamByte, type TwoStacks } from './two-stacks.ts';

export class StreamPeer implements SocketEvents {
  socket: Socket | null = null;
  written = 0;
  read = 0;
  ended = false;
  closedWith = -1;
  /** Which of several it is. */
  readonly owner: number;
  readonly #random: SeededRandom;
  readonly #mine: number;
  readonly #theirs: number;
  readonly #total: number;
  readonly #chunk = new Uint8Array(20_000);

  /** @param mine number of the stream it writes. @param theirs of the one it reads. */
  constructor(random: SeededRandom, mine: number, theirs: number, owner = 0) {
    this.owner = owner;
    this.#random = random;
    this.#mine = mine;
    this.#theirs = theirs;
    this.#total = random.below(60_000);
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
      if (bytes[offset + i] !== streamByte(this.#theirs, this.read + i)) throw new Error(`byte ${this.read + i}`);
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

/** A while after the last connection has closed neither stack keeps anything of it. */
export function expectEmpty(net: TwoStacks): void {
  net.run(5000);
  for (const { tcp } of [net.a, net.b]) {
    expect([tcp.flows.size, tcp.connections, tcp.handshakes, tcp.timeWaits, tcp.blocks.used]).toEqual([0, 0, 0, 0, 0]);
  }
}
