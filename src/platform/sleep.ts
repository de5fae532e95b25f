// Waiting, for the command-line tools. The server never sleeps: it arms alarms (timers.ts).
import { setTimeout as wait } from 'node:timers/promises';

/** Resolves after `delayMs`, or when `until` is aborted; keeps the process alive meanwhile. */
export async function sleep(delayMs: number, until?: AbortSignal): Promise<void> {
  try {
    await wait(delayMs, undefined, { signal: until });
  } catch (error) {
    if (until?.aborted !== true) throw error;
  }
}
