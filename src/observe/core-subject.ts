// The Redis core as what the observing tools look at. control-answers.ts and open-observe.ts make it.
import type { Client } from '../core/client.ts';
import { clientFlags } from '../core/client-info.ts';
import type { Command } from '../core/command-table.ts';
import { LatencyHistogram } from '../core/latency-histogram.ts';
import type { Server } from '../core/server.ts';
import type { Transport } from '../transports/transport.ts';
import { handlerId } from './handler-id.ts';
import { usedCommands } from './metrics.ts';
import { type ClientRow, identityOf, type Subject } from './subject.ts';

export function coreSubject(server: Server, transport: Transport): Subject {
  const { clients, scheduler, log, stopwatch } = server;
  const row = (client: Client): ClientRow => rowOf(client, server.clock.unixMs);
  return {
    transport,
    scheduler,
    log,
    stopwatch,
    measure: () => transport.measureTicks?.(stopwatch),
    identity: () => identityOf(false, transport, server.config, server.startedAt),
    totals: () => {
      const { stats } = server;
      const commands = usedCommands(server);
      return {
        commands: stats.commandsProcessed,
        bytesIn: stats.netInputBytes,
        bytesOut: stats.netOutputBytes,
        errors: stats.errorReplies,
        commandUs: commands.reduce((sum, { timeUs }) => sum + timeUs, 0),
        latency: latencyOf(commands),
        byCommand: new Map(commands.map(({ spec, calls, timeUs }) => [spec.name, { calls, timeUs }])),
      };
    },
    state: () => ({
      unixMs: server.clock.unixMs,
      clients: clients.size,
      blocked: server.blocking.count(),
      memory: server.usedMemory,
    }),
    idOf: handlerId,
    row: (id) => {
      const client = clients.get(id);
      return client === undefined ? null : row(client);
    },
    rows: (limit) =>
      [...clients.values()]
        .sort((a, b) => b.lastInteraction - a.lastInteraction)
        .slice(0, limit)
        .map(row),
    connection: (id) => clients.get(id)?.connection ?? null,
  };
}

function latencyOf(commands: readonly Command[]): LatencyHistogram {
  const all = new LatencyHistogram();
  for (const { histogram } of commands) if (histogram !== null) all.add(histogram);
  return all;
}

function rowOf(client: Client, nowMs: number): ClientRow {
  const seconds = (since: number): number => Math.max(0, Math.floor((nowMs - since) / 1000));
  return {
    id: client.id,
    address: client.address,
    name: client.name,
    flags: clientFlags(client),
    db: client.db.index,
    ageSeconds: seconds(client.createdAt),
    idleSeconds: seconds(client.lastInteraction),
    command: client.lastCommand?.spec.name ?? '',
    memory: client.memoryBytes,
  };
}
