// Every reply arrives, in order, byte for byte, whatever the wire does: one test a batch of seeds. A failure names its
// seed; `WIREDIS_SEED=<seed> npx vitest run --project sim` replays that one alone, `WIREDIS_SEEDS=<n>` runs more,
// from `WIREDIS_FIRST_SEED` on; scripts/simulate.sh does so for a night.
import { describe, expect, it } from 'vitest';
import { simulate } from './simulation.ts';

const SEEDS = Number(process.env.WIREDIS_SEEDS ?? 3000);
const FIRST = Number(process.env.WIREDIS_FIRST_SEED ?? 1);
const BATCH = 100;

function run(seed: number): ReturnType<typeof simulate> {
  try {
    return simulate({ seed });
  } catch (error) {
    const replay = `WIREDIS_SEED=${seed} npx vitest run --project sim`;
    throw new Error(`seed ${seed} failed; replay it with: ${replay}\n${(error as Error).message}`, { cause: error });
  }
}

const only = process.env.WIREDIS_SEED;
if (only !== undefined) {
  it(`seed ${only}`, () => {
    expect(run(Number(only)).requests).toBeGreaterThan(0);
  });
} else {
  describe('server and clients over a bad wire', everySeed);
}

function everySeed(): void {
  const end = FIRST + SEEDS - 1;
  for (let first = FIRST; first <= end; first += BATCH) {
    const last = Math.min(first + BATCH - 1, end);
    it(`seeds ${first} to ${last}`, () => {
      let requests = 0;
      let impaired = 0;
      for (let seed = first; seed <= last; seed++) {
        const result = run(seed);
        requests += result.requests;
        impaired += result.impaired;
      }
      // The wire did get in the way.
      expect(impaired).toBeGreaterThan(requests / 20);
    });
  }

  it('the same seed gives the same run', () => {
    expect(run(7)).toEqual(run(7));
  });
}
