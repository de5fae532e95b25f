// errno values in words. Linux numbers; those that a device can answer with, the rest by number. For io-engine only.
import { EngineError } from '../frame-engine.ts';

export const EPERM = 1;
export const EAGAIN = 11;
export const EACCES = 13;
export const EBUSY = 16;
export const ENODEV = 19;
export const EINVAL = 22;
export const ENOBUFS = 105;

const NAMES: Readonly<Record<number, readonly [name: string, text: string]>> = {
  1: ['EPERM', 'not permitted'],
  2: ['ENOENT', 'no such file'],
  4: ['EINTR', 'interrupted'],
  5: ['EIO', 'input/output error'],
  6: ['ENXIO', 'no such device'],
  9: ['EBADF', 'bad file descriptor'],
  11: ['EAGAIN', 'try again'],
  12: ['ENOMEM', 'out of memory'],
  13: ['EACCES', 'permission denied'],
  14: ['EFAULT', 'bad address'],
  16: ['EBUSY', 'device or queue is in use'],
  17: ['EEXIST', 'exists already'],
  19: ['ENODEV', 'no such device'],
  22: ['EINVAL', 'invalid argument'],
  23: ['ENFILE', 'too many open files in the system'],
  24: ['EMFILE', 'too many open files'],
  34: ['ERANGE', 'out of range'],
  38: ['ENOSYS', 'not implemented by this kernel'],
  77: ['EBADFD', 'the device is gone'],
  90: ['EMSGSIZE', 'message too long'],
  92: ['ENOPROTOOPT', 'option not known to this kernel'],
  93: ['EPROTONOSUPPORT', 'protocol not supported by this kernel'],
  95: ['EOPNOTSUPP', 'not supported'],
  97: ['EAFNOSUPPORT', 'address family not supported by this kernel'],
  98: ['EADDRINUSE', 'address in use'],
  100: ['ENETDOWN', 'interface is down'],
  105: ['ENOBUFS', 'no buffer space'],
  524: ['ENOTSUPP', 'not supported by the driver'],
};

/** `EPERM (not permitted)`. */
export function errnoText(errno: number): string {
  const known = NAMES[errno];
  return known === undefined ? `errno ${errno}` : `${known[0]} (${known[1]})`;
}

/** Whether this is how the kernel says that a privilege is missing. */
export function isPrivilegeErrno(errno: number): boolean {
  return errno === EPERM || errno === EACCES;
}

/** A failed system call that has no better explanation. */
export function systemError(what: string, errno: number): EngineError {
  return new EngineError('SYSTEM', `${what} failed: ${errnoText(errno)}`);
}

/**
 * A failed system call of opening an engine: a missing privilege is named with the way to get it.
 * @param capability such as `CAP_NET_RAW`
 */
export function openingError(what: string, errno: number, capability: string): EngineError {
  if (!isPrivilegeErrno(errno)) return systemError(what, errno);
  return new EngineError('NO_PRIVILEGE', `${what} needs ${capability}: run with sudo`);
}
