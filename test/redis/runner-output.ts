// What the suite's runner prints, as data. A test ends in one line, `[ok]: name (5 ms)` or `[ignore]: name: reason`; a
// failed one adds lines that say why. Imported by test/redis only.

export interface Failure {
  readonly name: string;
  /** First words of the runner's explanation. */
  readonly reason: string;
}

export interface UnitOutcome {
  readonly passed: string[];
  readonly failed: Failure[];
  /** Name and reason in one text, or the reason alone where a whole block was left out. */
  readonly ignored: string[];
  /** The runner said that the unit came to its end. */
  done: boolean;
  /** It gave up since nothing moved. */
  timedOut: boolean;
  /** The test that was running when the runner gave up, if it said so. */
  stuckIn: string | null;
}

/** Name of a failure that no test had. */
export const OUTSIDE = '(outside of a test)';

const REASON_LENGTH = 300;

/** @param text everything the runner wrote. */
export function parseRunnerOutput(text: string): UnitOutcome {
  const outcome: UnitOutcome = { passed: [], failed: [], ignored: [], done: false, timedOut: false, stuckIn: null };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of a terminal are control characters
  const lines = text.replace(/\x1b\[[\d;]*m/g, '').split('\n');
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    // The list of failures at the end repeats what was said before.
    if (line.startsWith('*** [')) continue;
    const tagged = /^\[([^\]]+)\]: ?(.*)$/.exec(line);
    if (tagged === null) {
      const stuck = /\(IN PROGRESS\) (.*)$/.exec(line);
      if (stuck !== null) outcome.stuckIn = stuck[1];
      continue;
    }
    const [, tag, rest] = tagged;
    if (tag === 'ok') outcome.passed.push(rest.replace(/ \(\d+ ms\)$/, ''));
    else if (tag === 'ignore') outcome.ignored.push(rest);
    else if (tag === 'err' || tag === 'exception') outcome.failed.push(readFailure(rest, lines, i + 1));
    else if (tag === 'TIMEOUT') outcome.timedOut = true;
    else if (/^\d+\/\d+ done$/.test(tag)) outcome.done = true;
  }
  return outcome;
}

/** `name in tests/unit/x.tcl`, then the reason; outside of a test there is only a reason. */
function readFailure(first: string, lines: readonly string[], next: number): Failure {
  const named = /^(.*) in tests\/\S+\.tcl$/.exec(first);
  const said: string[] = [];
  for (let i = next; i < lines.length && said.length < 4; i++) {
    if (/^\[[^\]]+\]: /.test(lines[i]) || lines[i].includes('The End')) break;
    if (lines[i].trim() !== '') said.push(lines[i].trim());
  }
  // "Executing test client: REASON." when the runner itself stops.
  if (named === null) {
    const reason = [first.replace(/^Executing test client: /, ''), ...said].join(' ');
    return { name: OUTSIDE, reason: reason.slice(0, REASON_LENGTH) };
  }
  return { name: named[1], reason: said.join(' ').slice(0, REASON_LENGTH) };
}
