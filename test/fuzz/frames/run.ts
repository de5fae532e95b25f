// `npm run fuzz:frames [FRAMES] [SEED]`: ten million frames by default, a new campaign each half million, progress on stderr, and
// at the end what was dropped and why. Ends with 1 and the seed when anything throws, leaks or hangs.
import { Campaign } from './campaign.ts';

const PER_CAMPAIGN = 500_000;

const total = Number(process.argv[2] ?? 10_000_000);
const firstSeed = Number(process.argv[3] ?? Date.now() & 0x7fffffff);
if (!(total > 0) || !Number.isInteger(firstSeed)) {
  console.error('frames and seed are whole numbers: scripts/fuzz-frames.sh --help');
  process.exit(2);
}
console.error(`seed ${firstSeed}, ${total} frames`);

const drops: Record<string, number> = {};
const begin = performance.now();
let done = 0;
for (let seed = firstSeed; done < total; seed++) {
  try {
    const campaign = new Campaign(seed);
    campaign.run(Math.min(PER_CAMPAIGN, total - done));
    const report = campaign.finish();
    done += report.frames;
    for (const [reason, count] of Object.entries(report.drops)) drops[reason] = (drops[reason] ?? 0) + count;
    const rate = Math.round(done / ((performance.now() - begin) / 1000));
    console.error(`${done} frames, ${rate} a second, ${report.established} connections made in this campaign`);
  } catch (error) {
    console.error(`seed ${seed} fails: ${(error as Error).stack}`);
    process.exit(1);
  }
}
console.log(JSON.stringify({ seed: firstSeed, frames: done, drops }, null, 2));
