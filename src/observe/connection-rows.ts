// The connections table's rows: a client as CLIENT LIST knows it, joined with what the stack knows of its connection.
// Plain data for JSON. observe-server.ts imports it.
import type { Client } from '../core/client.ts';
import { clientFlags } from '../core/client-info.ts';
import type { Server } from '../core/server.ts';
import type { Transport } from '../transports/transport.ts';
import type { ConnectionFacts } from '../transports/userspace.ts';
import { handlerId } from './handler-id.ts';

export interface ConnectionRow {
  readonly id: number;
  readonly address: string;
  readonly name: string;
  readonly flags: string;
  readonly db: number;
  readonly ageSeconds: number;
  readonly idleSeconds: number;
  readonly command: string;
  /** Bytes of memory that its buffers take. */
  readonly memory: number;
  /** What the stack knows; null over kernel sockets. */
  readonly tcp: ConnectionFacts | null;
}

/** @param limit rows at most; `total` says how many there are. */
export function connectionRows(
  server: Server,
  transport: Transport,
  limit: number,
): { readonly total: number; readonly traceable: boolean; readonly rows: ConnectionRow[] } {
  const facts = new Map<number, ConnectionFacts>();
  const { insight } = transport;
  for (const row of insight?.connectionFacts(handlerId, server.clients.size + limit) ?? []) facts.set(row.id, row);
  const rows: ConnectionRow[] = [];
  for (const client of server.clients.values()) {
    if (rows.length === limit) break;
    rows.push(rowOf(server, client, facts.get(client.id) ?? null));
  }
  return { total: server.clients.size, traceable: transport.traceSegments !== undefined, rows };
}

function rowOf(server: Server, client: Client, tcp: ConnectionFacts | null): ConnectionRow {
  const now = server.clock.unixMs;
  const seconds = (since: number): number => Math.max(0, Math.floor((now - since) / 1000));
  return {
    id: client.id,
    address: client.address,
    name: client.name,
    flags: clientFlags(client),
    db: client.db.index,
    ageSeconds: seconds(client.createdAt),
    idleSeconds: seconds(client.lastInteraction),
    command: client.lastCommand === null ? '' : client.lastCommand.spec.name,
    memory: client.memoryBytes,
    tcp,
  };
}
