// Every check, in the order of the report: what others hang on comes first. And the report itself.
import { addressChecks } from './address-checks.ts';
import type { Check, Finding, Verdict } from './check.ts';
import { hostChecks } from './host-checks.ts';
import { interfaceChecks } from './interface-checks.ts';
import { liveChecks } from './live-checks.ts';
import { networkChecks } from './network-checks.ts';
import type { Situation } from './situation.ts';

export const checks: readonly Check[] = [
  ...hostChecks,
  ...interfaceChecks,
  ...addressChecks,
  ...networkChecks,
  ...liveChecks,
];

export interface Row extends Finding {
  readonly name: string;
}

/** Runs every check. @param told gets each finding as soon as it is there. */
export async function examine(situation: Situation, told: (row: Row) => void): Promise<Row[]> {
  const rows: Row[] = [];
  try {
    for (const { name, look } of checks) {
      const finding = await look(situation);
      if (finding === null) continue;
      const row = { name, ...finding };
      rows.push(row);
      situation.hasFailed ||= row.verdict === 'fail';
      told(row);
    }
  } finally {
    await situation.close();
  }
  return rows;
}

const WIDTH = Math.max(...checks.map(({ name }) => name.length));

/** One line, and one more for the command. */
export function rowLines({ name, verdict, text, mend }: Row): string[] {
  const line = `${verdict}  ${name.padEnd(WIDTH)}  ${text}`;
  return mend === undefined ? [line] : [line, `${' '.repeat(WIDTH + 6)}  mend: ${mend}`];
}

export function summary(rows: readonly Row[]): string {
  const count = (verdict: Verdict): number => rows.filter((row) => row.verdict === verdict).length;
  const counts = `${count('pass')} pass, ${count('warn')} warn, ${count('fail')} fail`;
  return count('fail') === 0 ? counts : `${counts}: mend the first failure, then look again`;
}
