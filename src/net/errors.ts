// Errors in the shape that Node's own `net` gives them: `code`, `errno`, `syscall`, and the address where there is one, so
// that programs which look at these need not know whose sockets they hold. Used by src/net only.
import { constants } from 'node:os';

export type Syscall = 'listen' | 'connect' | 'read' | 'write' | 'getaddrinfo';

export interface NetError extends Error {
  code: string;
  errno?: number;
  syscall?: Syscall;
  address?: string;
  port?: number;
}

const EXPLAINED: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'address not available',
};

/** A failed system call as Node words it: `connect ECONNREFUSED 10.0.0.1:80`. */
export function systemError(code: string, syscall: Syscall, address?: string, port?: number): NetError {
  const explained = syscall === 'listen' && code in EXPLAINED ? `: ${EXPLAINED[code]}` : '';
  const where = address === undefined ? '' : ` ${address}${port === undefined ? '' : `:${port}`}`;
  const error = new Error(`${syscall} ${code}${explained}${where}`) as NetError;
  const errno = (constants.errno as Readonly<Record<string, number>>)[code];
  if (errno !== undefined) error.errno = -errno;
  error.code = code;
  error.syscall = syscall;
  if (address !== undefined) error.address = address;
  if (port !== undefined) error.port = port;
  return error;
}

/** An error of Node's own (`ERR_...`), of the class Node uses. */
export function nodeError(code: string, message: string, Base: ErrorConstructor = Error): NetError {
  const error = new Base(message) as NetError;
  error.code = code;
  return error;
}

/** @throws RangeError ERR_SOCKET_BAD_PORT */
export function checkedPort(port: unknown, name = 'Port'): number {
  const value = typeof port === 'string' && port.trim() !== '' ? Number(port) : port;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 65535) return value;
  throw nodeError(
    'ERR_SOCKET_BAD_PORT',
    `${name} should be >= 0 and < 65536. Received type ${typeof port} (${String(port)}).`,
    RangeError as ErrorConstructor,
  );
}
