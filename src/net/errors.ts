// Errors in the shape that Node's own `net` gives them: `code`, `errno`, `syscall`, and the address where there is one, so
// that programs which look at these need not know whose sockets they hold. Used by src/net only.
import { constants } from 'node:os';

export type Syscall = 'listen' | 'bind' | 'connect' | 'read' | 'write' | 'getaddrinfo';

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
export function nodeError(code: string, message: string, Base: new (message: string) => Error = Error): NetError {
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
    RangeError,
  );
}

/** An argument of a type that it cannot have. */
export function invalidArgument(name: string, wanted: string, value: unknown): NetError {
  const kind = name.includes('.') ? 'property' : 'argument';
  const received = value === null || value === undefined ? String(value) : `type ${typeof value} (${String(value)})`;
  const message = `The "${name}" ${kind} must be of type ${wanted}. Received ${received}`;
  return nodeError('ERR_INVALID_ARG_TYPE', message, TypeError);
}

/** As long as a timer of Node's can wait: 24 days. */
const DURATION_MS_MAX = 0x7fffffff;

/** @returns `ms`, or as much of it as a timer can wait. @throws TypeError, RangeError when it is no time. */
export function checkedDuration(ms: unknown): number {
  if (typeof ms !== 'number') throw invalidArgument('msecs', 'number', ms);
  if (Number.isFinite(ms) && ms >= 0) return Math.min(ms, DURATION_MS_MAX);
  const message = `The value of "msecs" is out of range. It must be a non-negative finite number. Received ${ms}`;
  throw nodeError('ERR_OUT_OF_RANGE', message, RangeError);
}
