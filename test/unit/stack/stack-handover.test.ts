// One stack goes on in place of another, at any moment, on the same wire: both streams stay exact, whatever the network
// does, and everything drains in the end. HANDOVER_SEED=n replays one seed, HANDOVER_COUNT=n runs more, from
// HANDOVER_FIRST on.
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/platform/random.ts';
import type { StackConfig } from '../../../stack/config.ts';
import type { Socket } from '../../../stack/socket.ts';
import type { Stack } from '../../../stack/stack.ts';
import { type Connection, ESTABLISHED } from '../../../stack/tcp/connection.ts';
import { CARRIED } from '../../../stack/tcp/connection-state.ts';
import { Flight } from '../../../stack/tcp/flight.ts';
import { badNetwork, randomConfig } from './bad-network.ts';
import { expectEmpty, StreamPeer } from './stream-peer.ts';
import { IP_A, IP_B, PORT, Recorder, TwoStacks } from './two-stacks.ts';

/** Several connections between two stacks that are replaced time and again. */
class Run {
  readonly net: TwoStacks;
  readonly clients: StreamPeer[] = [];
  readonly servers = new Map<number, StreamPeer>();
  handovers = 0;
  readonly #random: SeededRandom;
  readonly #configs: Record<'a' | 'b', Partial<StackConfig>>;

  constructor(seed: number) {
    const random = new SeededRandom(seed);
    this.#random = random;
    this.#configs = { a: randomConfig(random), b: randomConfig(random) };
    this.net = badNetwork(seed, random, this.#configs);
    this.#listen(this.net.b);
    const count = 1 + random.below(4);
    for (let i = 0; i < count; i++) {
      const client = new StreamPeer(random, i * 2, i * 2 + 1, i);
      client.socket = this.net.a.connect(IP_B, PORT, client);
      this.clients.push(client);
    }
    this.net.onTick = (stack) => {
      for (const peer of stack === this.net.a ? this.clients : this.servers.values()) peer.act();
    };
  }

  #listen(stack: Stack): void {
    stack.listen(PORT, 16, (socket) => {
      // Which client it is, its port tells.
      const i = this.clients.findIndex((client) => client.socket?.localPort === socket.remotePort);
      const server = new StreamPeer(this.#random, i * 2 + 1, i * 2, i);
      server.socket = socket;
      this.servers.set(i, server);
      return server;
    });
  }

  handOver(name: 'a' | 'b'): void {
    const peers = name === 'a' ? this.clients : [...this.servers.values()];
    const { tcp } = this.net[name];
    // What is opening is not handed over; what has ended has to be told by the one that saw it.
    const isBetween = ({ socket, closedWith }: StreamPeer): boolean =>
      closedWith < 0 && (socket?.connection?.state ?? ESTABLISHED) < ESTABLISHED;
    if (peers.some(isBetween) || tcp.ready.count > 0) return;
    const open = tcp.connections;
    const owner = (socket: Socket): number => peers.find((peer) => peer.socket === socket)!.owner;
    const listen = (stack: Stack): void => {
      if (name === 'b') this.#listen(stack);
    };
    const mac = Uint8Array.of(2, 0, 0, 0, 0, name === 'a' ? 2 : 1);
    const arp = this.#random.below(2) === 0 ? [] : [{ ip: name === 'a' ? IP_B : IP_A, mac }];
    const aheadMs = this.#random.below(1_000_000_000) - 500_000_000;
    const taken = this.net.replace(name, { ...this.#configs[name], arp }, aheadMs, owner, listen, (socket, number) => {
      const peer = peers.find((one) => one.owner === number)!;
      peer.socket = socket;
      return peer;
    });
    expect(taken).toEqual({ connections: open, refused: 0 });
    this.handovers++;
  }

  run(): void {
    const { net } = this;
    const random = this.#random;
    for (let i = 0; i < 250 && this.clients.some(({ closedWith }) => closedWith < 0); i++) {
      net.run(1 + random.below(30));
      if (random.below(12) === 0) this.handOver('b');
      if (random.below(25) === 0) this.handOver('a');
    }
    net.wire.impair({ delayUs: 1000 });
    const peers = (): StreamPeer[] => [...this.clients, ...this.servers.values()];
    const done = (): boolean =>
      this.servers.size === this.clients.length && peers().every(({ closedWith }) => closedWith >= 0);
    for (let i = 0; i < 20_000 && !done(); i++) {
      net.run(20);
      for (const { socket } of peers()) socket?.resume();
    }
    for (const client of this.clients) {
      const server = this.servers.get(client.owner)!;
      expect([client.closedWith, server.closedWith, client.ended, server.ended]).toEqual([0, 0, true, true]);
      expect([server.read, client.read]).toEqual([client.written, server.written]);
    }
    expectEmpty(net);
  }
}

describe('a stack in place of another', () => {
  const only = process.env.HANDOVER_SEED;
  const count = Number(process.env.HANDOVER_COUNT ?? 100);
  const first = Number(process.env.HANDOVER_FIRST ?? 1);

  it(`keeps every stream exact, ${count} seeds`, { timeout: 600_000 }, () => {
    const seeds = only === undefined ? Array.from({ length: count }, (_, i) => first + i) : [Number(only)];
    let handovers = 0;
    for (const seed of seeds) {
      try {
        const run = new Run(seed);
        run.run();
        handovers += run.handovers;
      } catch (error) {
        throw new Error(`HANDOVER_SEED=${seed}: ${(error as Error).message}`, { cause: error });
      }
    }
    if (only === undefined) expect(handovers).toBeGreaterThan(count);
  });

  it('writes down again what it took over', () => {
    const net = new TwoStacks({ wire: { impairment: { delayUs: 5000, loss: 0.2 } } });
    const [client, server] = net.connect();
    client.write(new Uint8Array(40_000).fill(7));
    server.socket.pause();
    net.run(60);
    const owner = (): number => 1;
    const before = net.b.exportState(owner);
    net.replace(
      'b',
      { arp: [{ ip: IP_A, mac: Uint8Array.of(2, 0, 0, 0, 0, 1) }] },
      0,
      owner,
      () => {},
      () => server,
    );
    // Ready and dirty lists aside, which stand in no state, it is the same stack.
    expect(Buffer.from(net.b.exportState(owner)).equals(Buffer.from(before))).toBe(true);
  });

  it('goes on giving sequence numbers, timestamps and cookies as before', () => {
    const net = new TwoStacks({ b: { synCookies: 'always' } });
    net.b.listen(PORT, 16, () => new Recorder());
    const client = new Recorder();
    client.attach(net.a.connect(IP_B, PORT, client));
    net.a.poll();
    net.a.flush();
    net.b.poll();
    net.b.flush();
    const before = [
      net.b.tcp.iss.sequence(IP_B, PORT, IP_A, 1),
      net.b.tcp.iss.timestampOffset(IP_B, IP_A) + net.b.tcp.nowMs,
    ];
    const server = new Recorder();
    net.replace(
      'b',
      { synCookies: 'always' },
      123_456_789,
      () => 0,
      (stack) => {
        stack.listen(PORT, 16, (socket) => server.attach(socket));
      },
      () => server,
    );
    net.b.tcp.readClock();
    expect([
      net.b.tcp.iss.sequence(IP_B, PORT, IP_A, 1),
      (net.b.tcp.iss.timestampOffset(IP_B, IP_A) + net.b.tcp.nowMs) | 0,
    ]).toEqual(before.map((value) => value | 0));
    // The cookie that the old stack gave opens a connection to the new one.
    net.run(1000);
    client.write('hello');
    net.run(1000);
    expect([client.opened, server.text]).toEqual([true, 'hello']);
  });

  it('carries every field that a connection and its flight have', () => {
    const net = new TwoStacks();
    const [client] = net.connect();
    const c = client.socket.connection as Connection;
    const plain = (record: object): string[] =>
      Object.entries(record)
        .filter(([, value]) => typeof value === 'number' || typeof value === 'boolean')
        .map(([name]) => name);
    // What stands in lists of this stack, belongs to a SYN of ours, to a frame or to its end, or is made anew.
    const left =
      `kind inPlaceOffset inPlaceLength dirty ready retired closeReason timerSlot timerAt synSentUs synTimed synAgain
      mask first next sacked lost again sackedSegments lostHint freshHint againFirst againNext blocks`.split(/\s+/);
    const missing = [...plain(c), ...plain(new Flight())].filter((name) => !left.includes(name) && !CARRIED.has(name));
    expect(missing).toEqual([]);
  });

  it('refuses what is no state', () => {
    const net = new TwoStacks();
    const server = new Recorder();
    expect(() => net.b.importState(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), () => server)).toThrow(
      /not the state of a stack/,
    );
    const whole = net.b.exportState(() => 0);
    expect(() => net.b.importState(whole.subarray(0, whole.length - 3), () => server)).toThrow(/ends in the middle/);
  });
});
