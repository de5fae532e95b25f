// Tells a service manager how the server is, by sd_notify(3)'s protocol: a datagram of NAME=VALUE lines to the socket
// that NOTIFY_SOCKET names. Node has no Unix datagrams; libc has.
import * as libc from './libc.ts';

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
/** sockaddr_un's path. */
const PATH_MAX = 108;

/**
 * @param address a path, or `@name` for the abstract namespace. @param text lines such as `READY=1`.
 * @returns whether it could be sent.
 */
export function notifyService(address: string, text: string): boolean {
  const path = Buffer.from(address, 'utf8');
  if (path.length === 0 || path.length > PATH_MAX) return false;
  const name = Buffer.alloc(2 + path.length);
  name.writeUInt16LE(AF_UNIX, 0);
  path.copy(name, 2);
  if (address.startsWith('@')) name[2] = 0;
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) return false;
  const data = Buffer.from(text, 'utf8');
  const sent = libc.sendToAddress(fd, data, data.length, 0, name, name.length);
  libc.close(fd);
  return sent === data.length;
}
