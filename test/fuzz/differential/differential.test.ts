// The differential fuzzer for as long as FUZZ_SECONDS says (default 40); `scripts/fuzz-commands.sh` runs a million commands.
// A failure prints the shrunk commands and the line that plays them again; FUZZ_SEED=n starts elsewhere.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redisInstalled } from '../../support/redis-server.ts';
import { Campaign, describeDifference } from './campaign.ts';
import { clockObstacle } from './frozen-clock.ts';

const SECONDS = Number(process.env.FUZZ_SECONDS ?? 40);
const FIRST_SEED = Number(process.env.FUZZ_SEED ?? 1);
const ROUND = 400;
const obstacle = redisInstalled ? clockObstacle() : 'no redis-server 7.0';
const name = 'the same commands to redis-server 7.0 and to us';

describe.skipIf(obstacle !== null)(obstacle === null ? name : `${name} [skipped: ${obstacle}]`, () => {
  let campaign: Campaign;
  beforeAll(async () => {
    campaign = await Campaign.start();
  });
  afterAll(() => campaign?.stop());

  it('make no difference', { timeout: SECONDS * 3000 + 60_000 }, async () => {
    const deadline = performance.now() + SECONDS * 1000;
    for (let seed = FIRST_SEED; performance.now() < deadline; seed++) {
      const difference = await campaign.round(seed, ROUND);
      if (difference !== null) expect.fail(describeDifference(difference));
    }
    expect(campaign.commands).toBeGreaterThan(ROUND);
  });
});
