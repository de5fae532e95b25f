// Starts this program once more, as it was started: for a process that is to take this one's place. What is on the disk
// now may be another version. Only wiredis-server imports it, and service.ts for what the new process has to know.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { Channel } from '../handover/channel.ts';
import type { Successor } from '../handover/giver.ts';
import { HANDOVER_MARK } from '../handover/taker.ts';

/** Where paths of the command line begin: the server goes to its `dir`. */
const startedIn = process.cwd();

/** Variables that this process was given and has taken out of its own environment. */
export const launchEnvironment: Record<string, string> = {};

/**
 * @param input what this process read from standard input. @param fds that the new process has from number 4 on; its
 *   number 3 is the way to it, `stdio[3]` here.
 */
export function launchSuccessor(input: string, fds: readonly number[]): Successor {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    cwd: startedIn,
    stdio: [input === '' ? 'ignore' : 'pipe', 'inherit', 'inherit', 'pipe', ...fds],
    env: { ...process.env, ...launchEnvironment, [HANDOVER_MARK]: '1' },
  });
  child.stdin?.on('error', () => {
    // It ended without reading: it says why.
  });
  child.stdin?.end(input, 'latin1');
  // What cannot be started has no process id, and its channel ends at once.
  child.on('error', () => {});
  const { pid = -1 } = child;
  return { channel: new Channel(child.stdio[3] as Duplex), name: `process ${pid}`, pid, end: () => kill(child) };
}

/** Resolves when it is gone. */
function kill(child: ChildProcess): Promise<void> {
  const isGone = child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  if (isGone) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
