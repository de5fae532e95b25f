// CLIENT LIST's number of whoever handles a connection, for what shows the stack's connections. src/observe imports it.
import { Client } from '../core/client.ts';
import type { ConnectionHandler } from '../transports/transport.ts';

/** 0: it is no client. */
export function handlerId(handler: ConnectionHandler): number {
  return handler instanceof Client ? handler.id : 0;
}
