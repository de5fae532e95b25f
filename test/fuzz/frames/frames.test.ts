// The fuzzer of frames, as long as FUZZ_SECONDS says (default 60), over several seeds; `npm run fuzz:frames` runs ten million
// frames. A failure names its seed; FUZZ_SEED=n runs that one alone.
import { describe, expect, it } from 'vitest';
import { Campaign } from './campaign.ts';

const SECONDS = Number(process.env.FUZZ_SECONDS ?? 60);
const SLICE = 50_000;

describe('frames that nobody should send', () => {
  it('make nothing throw, leak or hang', { timeout: SECONDS * 4000 + 60_000 }, () => {
    const fixed = process.env.FUZZ_SEED;
    const deadline = performance.now() + SECONDS * 1000;
    const reasons = new Set<string>();
    let seed = Number(fixed ?? 1);
    do {
      let campaign: Campaign | undefined;
      try {
        campaign = new Campaign(seed);
        campaign.run(SLICE);
        const report = campaign.finish();
        expect(report.frames).toBeGreaterThanOrEqual(SLICE);
        expect(report.established).toBeGreaterThan(100);
        for (const reason of Object.keys(report.drops)) reasons.add(reason);
      } catch (error) {
        throw new Error(`FUZZ_SEED=${seed}, after ${campaign?.frames} frames: ${(error as Error).stack}`);
      }
      seed++;
    } while (fixed === undefined && performance.now() < deadline);
    // Drops of every layer: the generator reaches them all.
    for (const layer of ['ethernet-', 'arp-', 'ipv4-', 'icmp-', 'ipv6-', 'icmpv6-', 'ndp-', 'tcp-']) {
      expect(
        [...reasons].some((reason) => reason.startsWith(layer)),
        layer,
      ).toBe(true);
    }
    expect(reasons.size).toBeGreaterThan(30);
  });
});
