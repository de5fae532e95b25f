// Giving up what only the opening of devices and ports needed: another user, no capabilities, and no way to get any back.
// The engines go on: their descriptors and rings stay theirs.
import { readFileSync } from 'node:fs';
import { systemError } from './errno.ts';
import * as libc from './libc.ts';

const PR_SET_KEEPCAPS = 8;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const CAPABILITY_VERSION_3 = 0x20080522;

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** @param passwd text of /etc/passwd. @returns null when there is no such user. */
export function findAccount(name: string, passwd = readFileSync('/etc/passwd', 'utf8')): Account | null {
  for (const line of passwd.split('\n')) {
    const [user, , uid, gid] = line.split(':');
    if (user === name && /^\d+$/.test(uid) && /^\d+$/.test(gid)) return { name, uid: Number(uid), gid: Number(gid) };
  }
  return null;
}

/**
 * Becomes `account`, for good. Started as root every thread does; started as that user with capabilities (systemd's
 * AmbientCapabilities) this thread and all made later lose them.
 * @throws Error when the kernel refuses, or when root could be had again.
 */
export function becomeAccount({ name, uid, gid }: Account): void {
  // Node has it; its types do not.
  const { initgroups } = process as unknown as { initgroups?: (user: string, group: number) => void };
  const { getuid, setuid, setgid } = process;
  if (getuid === undefined || setuid === undefined || setgid === undefined || initgroups === undefined) {
    throw new Error('this system has no users');
  }
  if (getuid() !== uid) {
    if (getuid() !== 0) throw new Error(`only root can become ${name}`);
    initgroups(name, gid);
    setgid(gid);
    setuid(uid);
  }
  dropCapabilities();
  if (uid !== 0 && canBecomeRoot()) throw new Error('root can still be had: privileges are not dropped');
}

function canBecomeRoot(): boolean {
  try {
    process.setuid?.(0);
    return true;
  } catch {
    return false;
  }
}

function dropCapabilities(): void {
  libc.prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
  // Kernels before 4.3 have no ambient set: nothing to clear.
  libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  const header = new Uint32Array([CAPABILITY_VERSION_3, 0]);
  // Effective, permitted and inheritable, twice 32 bits each: none.
  if (libc.capset(header, new Uint32Array(6)) !== 0) throw systemError('giving up capabilities', libc.errno());
  if (libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) !== 0) throw systemError('PR_SET_NO_NEW_PRIVS', libc.errno());
}
