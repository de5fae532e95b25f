// Where a client connects from: what is open to local clients only asks here. Anyone in src/ may import it.

/** Whether this is the machine's own address, or the path of a socket file. */
export function isLoopback(address: string): boolean {
  return (
    address.startsWith('/') || address.startsWith('127.') || address.startsWith('::ffff:127.') || address === '::1'
  );
}
