// Connections the server does not take: they get Redis's one-line reason and a FIN.
import type { Connection, ConnectionHandler } from '../transports/transport.ts';
import { isLoopback } from './client-address.ts';
import type { Server } from './server.ts';

export const TOO_MANY = '-ERR max number of clients reached\r\n';
const PROTECTED =
  '-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the ' +
  'default user. In this mode connections are only accepted from the loopback interface. To connect from other ' +
  "hosts: set a password for the default user (requirepass), or send 'CONFIG SET protected-mode no' from the loopback " +
  "interface, or set 'protected-mode no' in the configuration file, or start the server with '--protected-mode no'; " +
  'without a password make sure that untrusted networks cannot reach the server.\r\n';

/** The handler that sees a refused connection off, or null when it is welcome. */
export function rejection(server: Server, connection: Connection): ConnectionHandler | null {
  if (server.clients.size >= server.config.maxclients) return turnAway(connection, TOO_MANY);
  if (server.config.protectedMode && server.acl.defaultUser.noPassword && !isLoopback(connection.remoteAddress)) {
    return turnAway(connection, PROTECTED);
  }
  return null;
}

/** Says why, and lets the connection go: whoever stays on would hold a descriptor that a save may want. */
export function turnAway(connection: Connection, reason: string): ConnectionHandler {
  const bytes = Buffer.from(reason, 'latin1');
  connection.write(bytes, 0, bytes.length);
  connection.close();
  return {
    onData() {},
    onDrain() {},
    onEnd() {},
    onClose() {},
  };
}
