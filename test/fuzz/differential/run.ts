// The differential fuzzer as a program: progress on stderr, every kind of difference shrunk and printed, 1 at the end when
// there was any.
//   run.js [COMMANDS] [SEED]          COMMANDS in all (1000000), in rounds of 400
//   run.js --round SEED COMMANDS      one round again
import { Campaign, type Difference, describeDifference } from './campaign.ts';

const ROUND = 400;
const REPORT_MS = 10_000;
/** Of one kind, so many are shown. */
const SHOWN = 1;

const words = process.argv.slice(2);
const single = words[0] === '--round';
const total = single ? 1 : Number(words[0] ?? 1_000_000);
const firstSeed = Number(words[1] ?? 1);
const perRound = single ? Number(words[2] ?? ROUND) : ROUND;

if (!(total > 0 && perRound > 0) || !Number.isInteger(firstSeed)) {
  console.error('commands and seed are whole numbers: scripts/fuzz-commands.sh --help');
  process.exit(2);
}

/** What is probably one fault: the same command, and the same end of what led to it. */
const kindOf = ({ at, steps }: Difference): string => {
  const last = steps.at(-1)?.at(-1)?.[0] ?? '';
  return `${at[0]} ${at[0].startsWith('@') ? last : ''}`.toLowerCase();
};

const campaign = await Campaign.start();
const kinds = new Map<string, number>();
const started = performance.now();
let reported = started;
for (let seed = firstSeed; campaign.commands < total; seed++) {
  const difference = await campaign.round(seed, perRound);
  if (difference !== null) {
    const kind = kindOf(difference);
    const seen = (kinds.get(kind) ?? 0) + 1;
    kinds.set(kind, seen);
    if (seen <= SHOWN) console.log(describeDifference(difference));
  }
  if (performance.now() - reported > REPORT_MS) {
    reported = performance.now();
    const seconds = (reported - started) / 1000;
    const rate = Math.round(campaign.commands / seconds);
    console.error(
      `${campaign.commands} of ${total} commands, ${rate}/s, next seed ${seed + 1}, ${kinds.size} kinds of difference`,
    );
  }
}
await campaign.stop();
const differences = [...kinds].map(([kind, count]) => `${kind.trim()}: ${count}`).join(', ') || 'none';
console.log(`${campaign.commands} commands from seed ${firstSeed}; differences: ${differences}`);
process.exit(kinds.size === 0 ? 0 : 1);
