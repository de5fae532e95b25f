// The cores' busy time from /proc/stat. The server's bill is its whole core, not its process: receive work in
// softirq and NAPI threads belongs to it too.
import { readFileSync } from 'node:fs';

/** Clock ticks (USER_HZ, 10 ms on every Linux port that Node runs on). */
export interface CoreTicks {
  readonly user: number;
  readonly system: number;
  readonly irq: number;
  readonly softirq: number;
  readonly idle: number;
}

const TICK_US = 10_000;

/** Microseconds of a core's time, by class. `system` includes kernel threads. */
export interface CoreTime {
  readonly userUs: number;
  readonly systemUs: number;
  readonly irqUs: number;
  readonly softirqUs: number;
  readonly busyUs: number;
  readonly idleUs: number;
}

/** @param stat text of /proc/stat. @throws when it has no such core. */
export function parseCoreTicks(stat: string, core: number): CoreTicks {
  const row = new RegExp(`^cpu${core} (.*)$`, 'm').exec(stat);
  if (row === null) throw new Error(`/proc/stat has no core ${core}`);
  const [user, nice, system, idle, ioWait, irq, softirq] = row[1].split(' ').map(Number);
  return { user: user + nice, system, irq, softirq, idle: idle + ioWait };
}

export function readCoreTicks(core: number): CoreTicks {
  return parseCoreTicks(readFileSync('/proc/stat', 'utf8'), core);
}

export function coreTimeBetween(before: CoreTicks, after: CoreTicks): CoreTime {
  const userUs = (after.user - before.user) * TICK_US;
  const systemUs = (after.system - before.system) * TICK_US;
  const irqUs = (after.irq - before.irq) * TICK_US;
  const softirqUs = (after.softirq - before.softirq) * TICK_US;
  const idleUs = (after.idle - before.idle) * TICK_US;
  return { userUs, systemUs, irqUs, softirqUs, busyUs: userUs + systemUs + irqUs + softirqUs, idleUs };
}
