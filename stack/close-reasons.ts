// Why a connection is over, as `onClose` says it: 0 or a code with the errno name that Node would use. In a file of its own
// so that everyone in stack/, and the transport above, can import it.

/** Both sides closed in order. */
export const CLOSE_OK = 0;
export const CLOSE_RESET = 1;
export const CLOSE_TIMED_OUT = 2;
export const CLOSE_REFUSED = 3;
export const CLOSE_UNREACHABLE = 4;
/** `abort()` on our side, or no memory to go on with. */
export const CLOSE_ABORTED = 5;

/** Name of each reason, by code. */
export const CLOSE_REASONS = [null, 'ECONNRESET', 'ETIMEDOUT', 'ECONNREFUSED', 'EHOSTUNREACH', 'ECONNABORTED'] as const;
