// Which server this is, in a few words, for the head of the web page and of `wiredis top`. src/observe imports it.
import type { Server } from '../core/server.ts';

export interface ServerIdentity {
  readonly transport: string;
  /** Null over the kernel's sockets. */
  readonly engine: string | number | null;
  readonly interface: string | number | null;
  readonly addresses: string | number;
  readonly port: number;
  /** Unix time, milliseconds. */
  readonly startedAt: number;
}

export function serverIdentity(server: Server): ServerIdentity {
  const facts = new Map(server.hooks.transportFacts?.() ?? []);
  return {
    transport: server.transport,
    engine: facts.get('engine') ?? null,
    interface: facts.get('interface') ?? null,
    addresses: facts.get('addresses') ?? server.config.bind.join(','),
    port: server.config.port,
    startedAt: server.startedAt,
  };
}
