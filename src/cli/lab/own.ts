// Labs that a process makes for its own use: named after it, so that a later one can tell which were left behind. One
// that was killed could not take its lab down, and such a lab holds namespaces, servers and receive threads on the
// cores that the next measurement wants.
import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { buildLab } from './build.ts';
import { type Lab, takeDown } from './lab.ts';
import { defaultCores, planLab } from './plan.ts';
import { isAlive } from './process.ts';

type Progress = (line: string) => void;

/** A lab `KIND-PID`, after those of its kind whose processes are gone went. @throws CliError as buildLab. */
export async function buildOwnLab(kind: string, progress: Progress): Promise<Lab> {
  await takeDownLeft(kind, progress);
  return buildLab({ name: `${kind}-${process.pid}`, cores: defaultCores(), progress });
}

/** Takes down the labs `KIND-PID` and `KIND-PID-...` of this user whose processes are gone. */
export async function takeDownLeft(kind: string, progress: Progress): Promise<void> {
  const own = new RegExp(`^${kind}-(\\d+)(-|$)`);
  for (const name of labNames()) {
    const pid = own.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    progress(`${name}: left by a process that is gone`);
    await takeDown(name, progress);
  }
}

/** Of all labs that this user has notes of. */
function labNames(): string[] {
  try {
    return readdirSync(dirname(planLab('any').directory));
  } catch {
    return []; // the directory goes with the last lab
  }
}
