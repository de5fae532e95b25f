// What a bad network and odd settings are, drawn from a seed: for tests that let streams cross one.
import type { Impairment, MemoryEndOptions } from '../../../io-engine/memory-wire.ts';
import type { SeededRandom } from '../../../src/platform/random.ts';
import type { StackConfig } from '../../../stack/config.ts';
import { TwoStacks } from './two-stacks.ts';

function randomImpairment(random: SeededRandom): Partial<Impairment> {
  const some = (most: number): number => (random.below(3) === 0 ? 0 : random.fraction() * most);
  return {
    delayUs: random.below(4) === 0 ? 0 : random.below(60_000),
    jitterUs: random.below(20_000),
    loss: some(0.15),
    duplicate: some(0.1),
    reorder: some(0.2),
    reorderUs: random.below(50_000),
    corrupt: some(0.05),
  };
}

export function randomConfig(random: SeededRandom): Partial<StackConfig> {
  return {
    receiveBuffer: 2048 << random.below(8),
    sendBuffer: 2048 << random.below(8),
    delayedAckMs: [1, 40, 200][random.below(3)],
    rtoMinMs: [20, 200, 1000][random.below(3)],
    timeWaitMs: 1000,
    congestion: random.below(2) === 0 ? 'cubic' : 'newreno',
    ecn: random.below(2) === 0 ? 'on' : 'accept',
    synCookies: random.below(8) === 0 ? 'off' : 'on',
    ttl: 1 + random.below(255),
    tos: random.below(64) * 4,
  };
}

function randomEnd(random: SeededRandom): MemoryEndOptions {
  const offload = random.below(4) === 0;
  return {
    mtu: [576, 1500, 1500, 9000][random.below(4)],
    txRing: random.below(4) === 0 ? 4 : 256,
    rxRing: 256,
    txChecksumOffload: false,
    tsoPayloadMax: offload ? 16_000 : 0,
  };
}

/** Two stacks with a bad network between them; clocks and sequence numbers start near where they wrap, at times. */
export function badNetwork(
  seed: number,
  random: SeededRandom,
  configs: Record<'a' | 'b', Partial<StackConfig>>,
): TwoStacks {
  const net = new TwoStacks({
    seed,
    startUs: [1_000_000, 0x7fff_0000, 0xffff_0000][random.below(3)],
    wire: { impairment: randomImpairment(random) },
    ends: [randomEnd(random), randomEnd(random)],
    ...configs,
  });
  const edge = [0, 0x7fff_f000, 0xffff_f000][random.below(3)];
  if (edge !== 0) net.a.tcp.iss.sequence = net.b.tcp.iss.sequence = () => edge | 0;
  return net;
}
