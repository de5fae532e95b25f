// Both streams of a connection over a wire that loses, reorders, duplicates and corrupts: what arrives is always a
// prefix of what was written, whatever the options and the clock do, and once the network heals everything drains and
// both sides close in order. The seed of a failure is in its message; CHAOS_SEED=n replays one, CHAOS_COUNT=n runs
// more, from CHAOS_FIRST on.
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/platform/random.ts';
import type { Stack } from '../../../stack/stack.ts';
import { badNetwork, randomConfig } from './bad-network.ts';
import { expectEmpty, StreamPeer } from './stream-peer.ts';
import { IP_B, PORT } from './two-stacks.ts';

const BATCH = 100;

function runSeed(seed: number): void {
  const random = new SeededRandom(seed);
  const net = badNetwork(seed, random, { a: randomConfig(random), b: randomConfig(random) });
  const client = new StreamPeer(random, 0, 1);
  const server = new StreamPeer(random, 1, 0);
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
  expectEmpty(net);
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
