// Which core does the receive work of which host. Without steering, everything a veth receives is processed on
// the sender's core and the server's cost is billed to the client. Packet steering (RPS) moves the normal path.
// Native XDP runs before RPS: there the interface's NAPI must be a thread, and the thread pinned.
import { readdirSync, readFileSync } from 'node:fs';
import { run } from './process.ts';

/** Shell lines for inside a host's namespace: RPS of every receive queue of `device` onto `core`. */
export function packetSteeringScript(device: string, core: number): string {
  return `for f in /sys/class/net/${device}/queues/rx-*/rps_cpus; do echo ${cpuMask(core)} > $f || exit 1; done`;
}

/**
 * Shell lines that make `device` use NAPI threads as soon as it has NAPI at all. veth has it only with GRO or
 * XDP and refuses the setting before: GRO is switched on for a moment; the setting stays.
 */
export function threadedNapiScript(device: string): string {
  return [
    `ethtool -K ${device} gro on`,
    `echo 1 > /sys/class/net/${device}/threaded || exit 1`,
    `ethtool -K ${device} gro off`,
  ].join('\n');
}

/** A core as the kernel's cpumask format: 32-bit groups in hex, highest first. */
export function cpuMask(core: number): string {
  const lower = Array.from({ length: core >> 5 }, () => '00000000');
  return [(2 ** (core & 31)).toString(16), ...lower].join(',');
}

/**
 * Pids of `device`'s NAPI threads. They appear when a program is attached, under a name that older kernels cut to
 * 15 characters.
 */
export function napiThreads(device: string): number[] {
  const prefix = `napi/${device}-`;
  const found: number[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (readFileSync(`/proc/${entry}/comm`, 'utf8').startsWith(prefix)) found.push(Number(entry));
    } catch {
      // it ended meanwhile
    }
  }
  return found;
}

/** Pins `device`'s NAPI threads, if it has any by now. @returns the pids that are pinned. */
export async function pinNapiThreads(device: string, core: number): Promise<number[]> {
  const pinned: number[] = [];
  for (const pid of napiThreads(device)) {
    const result = await run(['taskset', '-p', '-c', String(core), String(pid)]);
    if (result.code === 0) pinned.push(pid);
  }
  return pinned;
}
