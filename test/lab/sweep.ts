// Before and after the lab's tests: takes down the labs of test processes that are gone. One that was killed could
// not do so itself, and a lab left behind holds namespaces, servers and the receive threads that share the cores.
import { takeDown } from '../../src/cli/lab/lab.ts';
import { isPrivileged } from '../../src/cli/lab/privilege.ts';
import { hasProgram, run } from '../../src/cli/lab/process.ts';

/** The lab's name, and the process that made it. */
const LAB = /^(wdtest-(\d+)-[a-z0-9]+)-(?:server|client|switch|host\d+)$/;

async function sweep(): Promise<void> {
  if (!isPrivileged() || !hasProgram('ip')) return;
  const { stdout } = await run(['ip', 'netns', 'list']);
  const left = new Set<string>();
  for (const line of stdout.split('\n')) {
    const [, lab, pid] = LAB.exec(line.split(' ')[0]) ?? [];
    if (lab !== undefined && !lives(Number(pid))) left.add(lab);
  }
  for (const lab of left) await takeDown(lab, (line) => console.log(`${lab}, left by a process that is gone: ${line}`));
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

export async function setup(): Promise<void> {
  await sweep();
}

export async function teardown(): Promise<void> {
  await sweep();
}
