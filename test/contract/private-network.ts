// A network namespace of this process's own, with a veth pair in it. Whatever is made in it disappears with the
// process, so nothing has to be cleaned up and nothing can collide with the machine's own interfaces.
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;

export const NEAR = 'wt-near';
export const FAR = 'wt-far';

export function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/**
 * Moves the calling (main) thread, and every process it starts from now on, into a new, empty namespace.
 * @returns why that cannot be done here, so that no device can be tested; null: done.
 */
export function enterPrivateNetwork(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (spawnSync('ip', ['-V']).status !== 0) return 'needs iproute2';
  const unshare = koffi.load(null).func('int unshare(int flags)');
  if (unshare(CLONE_NEWNET) !== 0) return 'needs root, to make a network namespace';
  for (const scope of ['all', 'default']) {
    try {
      // No router solicitations between the test's own frames.
      writeFileSync(`/proc/sys/net/ipv6/conf/${scope}/disable_ipv6`, '1');
    } catch {
      // A kernel without IPv6 sends none.
    }
  }
  ip('link', 'set', 'lo', 'up');
  return null;
}

/** @param farQueues by which the far end sends. */
export function createVethPair(farQueues = 1): void {
  ip('link', 'add', NEAR, 'type', 'veth', 'peer', 'name', FAR, 'numtxqueues', String(farQueues));
  if (farQueues > 1) execFileSync('ethtool', ['-L', FAR, 'tx', String(farQueues)], { stdio: 'pipe' });
  ip('link', 'set', NEAR, 'up');
  ip('link', 'set', FAR, 'up');
}

/** Of both ends. */
export function setMtu(mtu: number): void {
  for (const name of [NEAR, FAR]) ip('link', 'set', name, 'mtu', String(mtu));
}

export function removeVethPair(): void {
  ip('link', 'del', NEAR);
}

/** The interface's hardware address, six bytes. */
export function macOf(name: string): Uint8Array {
  const [{ address }] = JSON.parse(ip('-j', 'link', 'show', 'dev', name)) as { address: string }[];
  return Uint8Array.from(address.split(':'), (byte) => Number.parseInt(byte, 16));
}
