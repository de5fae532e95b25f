// Whose XDP program is on an interface: the kernel tells that there is one, and /proc who holds the link that keeps it there.
import { readdirSync, readFileSync } from 'node:fs';
import { hasProgram, run } from '../lab/process.ts';
import { isHere } from './running-server.ts';

export interface XdpOwner {
  /** Null: the program stays without a process, or the process is not ours to see. */
  readonly pid: number | null;
}

/** Null: there is no program. */
export async function xdpOwner(name: string, index: number): Promise<XdpOwner | null> {
  if (!hasProgram('ip')) return null;
  const { code, stdout } = await run(['ip', '-j', 'link', 'show', 'dev', name]);
  if (code !== 0) return null;
  const [row] = JSON.parse(stdout) as { xdp?: object }[];
  return row?.xdp === undefined ? null : { pid: linkHolder(index) };
}

/** The process with a BPF link to the interface. */
function linkHolder(index: number): number | null {
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      for (const fd of readdirSync(`/proc/${pid}/fdinfo`))
        if (isLinkTo(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'), index) && isHere(Number(pid)))
          return Number(pid);
    } catch {
      // gone, or not ours to see
    }
  }
  return null;
}

export function isLinkTo(fdinfo: string, index: number): boolean {
  return /^link_type:\s*xdp$/m.test(fdinfo) && new RegExp(`^ifindex:\\s*${index}$`, 'm').test(fdinfo);
}
