// Before and after the lab's tests: takes down the labs of test processes that are gone.
import { takeDownLeft } from '../../src/cli/lab/own.ts';
import { isPrivileged } from '../../src/cli/lab/privilege.ts';
import { hasProgram } from '../../src/cli/lab/process.ts';

async function sweep(): Promise<void> {
  if (isPrivileged() && hasProgram('ip')) await takeDownLeft('wdtest', console.log);
}

export const setup = sweep;
export const teardown = sweep;
