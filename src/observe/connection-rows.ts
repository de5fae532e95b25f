// The connections table's rows: a client as its server knows it, joined with what the stack knows of its connection.
// Plain data for JSON. observe-server.ts imports it.
import type { ConnectionFacts } from '../transports/userspace.ts';
import type { ClientRow, Subject } from './subject.ts';

export interface ConnectionRow extends ClientRow {
  /** What the stack knows; null over kernel sockets. */
  readonly tcp: ConnectionFacts | null;
}

/** @param limit rows at most; `total` says how many there are. */
export function connectionRows(
  subject: Subject,
  limit: number,
): { readonly total: number; readonly traceable: boolean; readonly rows: ConnectionRow[] } {
  const { transport, idOf } = subject;
  const total = subject.state().clients;
  const list = transport.insight?.connectionFacts(idOf, total + limit) ?? [];
  const facts = new Map(list.map((one) => [one.id, one]));
  const rows = subject.rows(limit).map((row) => rowOf(row, facts.get(row.id) ?? null));
  return { total, traceable: transport.traceSegments !== undefined, rows };
}

/** A relay's clients are as idle as their connections. */
function rowOf(row: ClientRow, tcp: ConnectionFacts | null): ConnectionRow {
  const idleSeconds = row.idleSeconds ?? (tcp === null ? null : Math.floor(tcp.idleMs / 1000));
  return { ...row, idleSeconds, tcp };
}
