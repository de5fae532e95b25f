// How a lab gets its namespaces. Root makes named ones the usual way. Anyone else gets a user namespace of
// their own, kept open by one sleeping process (the holder); inside it they may do what `ip netns` needs, and every
// command of the lab enters it first. What cannot work there (bpf, steering) is said when the lab comes up.
import { readFileSync } from 'node:fs';
import { sleep } from '../../platform/sleep.ts';
import { CliError } from '../tool.ts';
import { isAlive, start } from './process.ts';

/** The sleeping process, with its start time: a pid alone may have been reused since. */
export interface Holder {
  readonly pid: number;
  readonly startTime: string;
}

const CAP_NET_ADMIN = 12;
const CAP_SYS_ADMIN = 21;

/** May this process make namespaces and interfaces directly? */
export function isPrivileged(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'));
  if (process.getuid?.() !== 0 || effective === null) return false;
  const capabilities = BigInt(`0x${effective[1]}`);
  return ((capabilities >> BigInt(CAP_NET_ADMIN)) & (capabilities >> BigInt(CAP_SYS_ADMIN)) & 1n) === 1n;
}

/** The words that put a command into the holder's namespaces; none for root. */
export function enterWords(holder: Holder | null): string[] {
  if (holder === null) return [];
  return ['nsenter', '--target', String(holder.pid), '--user', '--mount', '--net', '--preserve-credentials', '--'];
}

/**
 * Starts a holder: own user, mount and network namespaces, and a private /run so that `ip netns` can keep its
 * mounts there.
 * @throws CliError when the system forbids user namespaces.
 */
export async function startHolder(): Promise<Holder> {
  const script = 'mount -t tmpfs tmpfs /run && mkdir /run/netns && echo ready && exec sleep infinity';
  const child = start(['unshare', '--user', '--map-root-user', '--mount', '--net', 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let complaint = '';
  const ready = await new Promise<boolean>((resolve) => {
    child.stdout!.once('data', () => resolve(true));
    child.stderr!.on('data', (chunk) => (complaint += chunk));
    child.on('error', () => resolve(false));
    child.on('exit', () => resolve(false));
  });
  if (!ready) {
    await sleep(10); // the last of stderr may arrive behind the exit
    const said = complaint.trim().split('\n', 1)[0];
    throw new CliError(
      'NO_PRIVILEGE',
      `no root here, and no user namespace either (${said}): run as root, or allow them with 'sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0'`,
    );
  }
  child.stdout!.destroy();
  child.stderr!.destroy();
  child.unref();
  return { pid: child.pid!, startTime: startTimeOf(child.pid!) };
}

/** Is it still the process that we started? */
export function holderLives(holder: Holder): boolean {
  return isAlive(holder.pid) && startTimeOf(holder.pid) === holder.startTime;
}

/** Field 22 of /proc/PID/stat, in ticks since boot; empty when there is no such process. */
function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return '';
  }
}
