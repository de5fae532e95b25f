// The same as server.test.ts, with another server going on in place of the one there is, time and again and in the
// middle of everything: sessions and the stack's state are all that it has. WIREDIS_SEED and WIREDIS_SEEDS as there.
import { describe, expect, it } from 'vitest';
import { simulate } from './simulation.ts';

const SEEDS = Number(process.env.WIREDIS_SEEDS ?? 600);
const FIRST = Number(process.env.WIREDIS_FIRST_SEED ?? 1);
const BATCH = 100;
const only = process.env.WIREDIS_SEED;

function run(seed: number): ReturnType<typeof simulate> {
  try {
    return simulate({ seed, handovers: true });
  } catch (error) {
    const replay = `WIREDIS_SEED=${seed} npx vitest run --project sim test/sim/handover.test.ts`;
    throw new Error(`seed ${seed} failed; replay it with: ${replay}\n${(error as Error).message}`, { cause: error });
  }
}

describe('servers that take each other’s place over a bad wire', () => {
  const end = FIRST + SEEDS - 1;
  const batches =
    only === undefined
      ? Array.from({ length: Math.ceil(SEEDS / BATCH) }, (_, i) => [
          FIRST + i * BATCH,
          Math.min(FIRST + (i + 1) * BATCH - 1, end),
        ])
      : [[Number(only), Number(only)]];

  it.each(batches)('seeds %i to %i', (first, last) => {
    let handovers = 0;
    for (let seed = first; seed <= last; seed++) handovers += run(seed).handovers;
    expect(handovers).toBeGreaterThan(last - first);
  });
});
