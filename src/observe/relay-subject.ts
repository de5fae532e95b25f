// A relay as what the observing tools look at: its "commands" are its upstreams' answers, and how long these take is its latency.
// relay-server.ts makes it.
import { LatencyHistogram } from '../core/latency-histogram.ts';
import { processMemory } from '../core/process-facts.ts';
import type { ServerClock } from '../platform/clock.ts';
import { systemStopwatch } from '../platform/stopwatch.ts';
import type { Relay } from '../relay/relay.ts';
import type { RelayServer } from '../relay/relay-server.ts';
import { Session } from '../relay/session.ts';
import type { ConnectionHandler } from '../transports/transport.ts';
import { type ClientRow, identityOf, type Subject, type Totals } from './subject.ts';

export function relaySubject(server: RelayServer, { scheduler }: Relay, clock: ServerClock): Subject {
  const { config, transport, log } = server;
  const startedAt = clock.unixMs;
  const find = (id: number): Session | null => {
    for (const session of server.relay.sessions) if (session.id === id) return session;
    return null;
  };
  return {
    transport,
    scheduler,
    log,
    stopwatch: systemStopwatch,
    measure: () => {
      transport.measureTicks?.(systemStopwatch);
      for (const relay of server.relays.values()) relay.measure(systemStopwatch);
    },
    identity: () => identityOf(true, transport, config, startedAt),
    totals: () => totalsOf(server.relays),
    state: () => {
      const facts = [...server.relays.values()].map((relay) => relay.facts());
      return {
        unixMs: clock.unixMs,
        clients: facts.reduce((sum, { clients }) => sum + clients, 0),
        blocked: facts.reduce((sum, { waiting }) => sum + waiting, 0),
        memory: processMemory().resident,
      };
    },
    idOf: sessionId,
    row: (id) => {
      const session = find(id);
      return session === null ? null : rowOf(session);
    },
    rows: (limit) => [...server.relay.sessions].slice(-limit).map(rowOf),
    connection: (id) => find(id)?.client ?? null,
  };
}

/** The number of a client of the relay; 0: it is none. */
function sessionId(handler: ConnectionHandler): number {
  return handler instanceof Session ? handler.id : 0;
}

/** @param relays by port. */
function totalsOf(relays: ReadonlyMap<number, Relay>): Totals {
  const latency = new LatencyHistogram();
  const byCommand = new Map<string, { calls: number; timeUs: number }>();
  const sums = { commands: 0, bytesIn: 0, bytesOut: 0, errors: 0 };
  for (const [port, relay] of relays) {
    const { bytesIn, bytesOut, rejected, turnedAway, upstreamFailures, upstream } = relay.facts();
    sums.bytesIn += bytesIn;
    sums.bytesOut += bytesOut;
    sums.errors += rejected + turnedAway + upstreamFailures;
    const { meter } = relay;
    if (meter === null) continue;
    sums.commands += meter.answers;
    latency.add(meter.latency);
    byCommand.set(`${port} to ${upstream}`, { calls: meter.answers, timeUs: meter.timeUs });
  }
  // The upstream's time is none of this process's.
  return { ...sums, commandUs: 0, latency, byCommand };
}

function rowOf({ id, client }: Session): ClientRow {
  const { remoteAddress: host, remotePort: port } = client;
  return {
    ...{ id, address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}` },
    ...{ name: '', flags: '', db: null, ageSeconds: null, idleSeconds: null, command: '', memory: null },
  };
}
