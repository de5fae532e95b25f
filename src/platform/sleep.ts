// Waiting, for the command-line tools. The server never sleeps: it arms alarms (timers.ts).
import { setTimeout as wait } from 'node:timers/promises';

/** Resolves after `delayMs`; keeps the process alive meanwhile. */
export function sleep(delayMs: number): Promise<void> {
  return wait(delayMs);
}
