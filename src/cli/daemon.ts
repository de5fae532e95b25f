// `daemonize yes`: the same command line again, in a session of its own without terminal. Unlike redis-server, whose
// first process ends at once, ours waits until the daemon is ready, so that a failure to start is seen by who typed it.
// Only wiredis-server imports it.
import { spawn } from 'node:child_process';

/** Tells the second process that it is the daemon. */
const MARK = 'WIREDIS_DAEMON';

/** Whether this process is the daemon; to be asked once. */
export function isDaemon(): boolean {
  const marked = process.env[MARK] !== undefined;
  delete process.env[MARK];
  return marked;
}

/**
 * Starts this command as a daemon and waits for `daemonReady` or `daemonFailed`.
 * @param input what this process read from standard input. @returns why it failed, or null.
 */
export function becomeDaemon(input: string): Promise<string | null> {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore', 'ipc'],
    env: { ...process.env, [MARK]: '1' },
  });
  child.stdin?.on('error', () => {
    // It ended without reading: its exit says why.
  });
  child.stdin?.end(input, 'latin1');
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`Can't start the daemon: ${error.message}`));
    child.once('exit', (code, signal) => resolve(`The daemon ended with ${signal ?? `exit code ${code}`}`));
    child.once('message', (problem: string) => resolve(problem === '' ? null : problem));
  });
}

/** Lets the waiting process go. */
export function daemonReady(): void {
  tell('', () => process.disconnect?.());
}

/** Hands the waiting process its error line, then ends. */
export function daemonFailed(problem: string): void {
  tell(problem, () => process.exit(1));
}

function tell(problem: string, then: () => void): void {
  if (process.send === undefined || !process.connected) then();
  else process.send(problem, undefined, undefined, then);
}
