// One unit of the suite, run to its end whatever happens: the runner stops by itself when nothing moves, and is killed
// with everything it started when it does not, or when the unit takes too long. Imported by test/redis only.
import { spawn } from 'node:child_process';
import { parseRunnerOutput, type UnitOutcome } from './runner-output.ts';

export interface Limits {
  /** Without a finished test for so long, the unit is given up. */
  readonly noProgressSeconds: number;
  /** A unit never takes longer. */
  readonly capSeconds: number;
}

export interface UnitRun {
  readonly outcome: UnitOutcome;
  readonly seconds: number;
  /** `done`, or why not. */
  readonly ending: string;
  readonly output: string;
}

/** The runner needs a moment to say where it hung before it is killed. */
const GRACE_SECONDS = 20;

/** @param argv the runner's command line, without limits. @param folder the suite's tree. */
export async function runUnit(argv: readonly string[], folder: string, limits: Limits): Promise<UnitRun> {
  const started = performance.now();
  const [program, ...words] = [...argv, '--timeout', String(limits.noProgressSeconds)];
  // A process group of its own: servers that the runner started go with it.
  const child = spawn(program, words, { cwd: folder, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let lastWord = started;
  let killedFor: string | null = null;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      lastWord = performance.now();
    });
  }
  const killAll = (): void => {
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      // all gone
    }
  };
  const watch = setInterval(() => {
    const now = performance.now();
    if (now - started > limits.capSeconds * 1000) killedFor = `cut off after ${limits.capSeconds} s`;
    else if (now - lastWord > (limits.noProgressSeconds + GRACE_SECONDS) * 1000)
      killedFor = `no progress for ${limits.noProgressSeconds} s`;
    if (killedFor !== null) killAll();
  }, 500);
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => resolve());
  });
  clearInterval(watch);
  // Servers left behind would keep the pipes open.
  killAll();
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 1000))]);
  const outcome = parseRunnerOutput(output);
  const stuck = outcome.timedOut ? `no progress for ${limits.noProgressSeconds} s` : null;
  const ending = killedFor ?? stuck ?? (outcome.done ? 'done' : 'the runner stopped early');
  return { outcome, seconds: (performance.now() - started) / 1000, ending, output };
}
