// What the observing tools look at: the Redis core, or a relay. Both give totals since the start, from whose differences
// readings.ts makes rates; what differs beyond that is here. `wiredis top` and the web page know no other.
import type { LatencyHistogram } from '../core/latency-histogram.ts';
import type { Log } from '../platform/log.ts';
import type { Scheduler } from '../platform/timers.ts';
import type { Connection, ConnectionHandler, Transport } from '../transports/transport.ts';

export interface Identity {
  /** A relay's "commands" are answers of its upstream: it reads nothing of what it passes on. */
  readonly isRelay: boolean;
  readonly transport: string;
  /** Null over the kernel's sockets. */
  readonly engine: string | number | null;
  readonly interface: string | number | null;
  readonly addresses: string | number;
  readonly port: number;
  /** Unix time, milliseconds. */
  readonly startedAt: number;
}

/** Since the start. */
export interface Totals {
  readonly commands: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly errors: number;
  /** Of the core's time, microseconds. */
  readonly commandUs: number;
  /** Of all commands together. */
  readonly latency: LatencyHistogram;
  readonly byCommand: ReadonlyMap<string, { readonly calls: number; readonly timeUs: number }>;
}

/** As of now. */
export interface State {
  readonly unixMs: number;
  readonly clients: number;
  /** Of these, those that wait: for a key, or for the upstream. */
  readonly blocked: number;
  /** Bytes. */
  readonly memory: number;
}

/** Who is at the other end of a connection; null: not known here. */
export interface ClientRow {
  readonly id: number;
  readonly address: string;
  readonly name: string;
  readonly flags: string;
  readonly db: number | null;
  readonly ageSeconds: number | null;
  readonly idleSeconds: number | null;
  /** Its latest. */
  readonly command: string;
  /** Bytes that its buffers take. */
  readonly memory: number | null;
}

export interface Subject {
  readonly transport: Transport;
  readonly scheduler: Scheduler;
  readonly log: Log;
  /** Microseconds. */
  readonly stopwatch: () => number;
  /** From now on also what costs something is counted. */
  measure(): void;
  identity(): Identity;
  totals(): Totals;
  state(): State;
  /** Number of whoever handles a connection; 0: nobody of ours. */
  readonly idOf: (handler: ConnectionHandler) => number;
  row(id: number): ClientRow | null;
  /** Those that spoke last first, where that is known. */
  rows(limit: number): ClientRow[];
  connection(id: number): Connection | null;
}

export function identityOf(
  isRelay: boolean,
  transport: Transport,
  { port, bind }: { readonly port: number; readonly bind: readonly string[] },
  startedAt: number,
): Identity {
  const facts = new Map(transport.facts?.() ?? []);
  return {
    isRelay,
    transport: transport.name,
    engine: facts.get('engine') ?? null,
    interface: facts.get('interface') ?? null,
    addresses: facts.get('addresses') ?? bind.join(','),
    port,
    startedAt,
  };
}
