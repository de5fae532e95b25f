import { expect, it } from 'vitest';
import { CronPace } from './cron-pace.ts';
import type { Server } from './server.ts';

function idleServer() {
  return {
    config: { hz: 10 },
    stats: { commandsProcessed: 5 },
    clients: new Map<number, object>(),
    loading: false,
    persistence: { job: null as object | null },
    pendingShutdown: { active: false },
    pauses: { active: false },
    replication: { isReplica: false, replicas: [] as object[] },
    databases: [{ expiries: { size: 0 } }],
  };
}

/** The pause after each of so many crons. */
function pauses(pace: CronPace, server: ReturnType<typeof idleServer>, count: number): number[] {
  return Array.from({ length: count }, () => pace.next(server as unknown as Server));
}

it('a server that is asked nothing for a second rests twice as long', () => {
  const pace = new CronPace();
  const server = idleServer();
  expect(pauses(pace, server, 11)).toEqual(new Array(11).fill(100));
  expect(pauses(pace, server, 3)).toEqual([200, 200, 200]);
  server.stats.commandsProcessed++;
  expect(pauses(pace, server, 11)).toEqual(new Array(11).fill(100));
  expect(pauses(pace, server, 1)).toEqual([200]);
  server.clients.set(1, {});
  expect(pauses(pace, server, 1)).toEqual([100]);
});

it.each<[string, (server: ReturnType<typeof idleServer>) => void]>([
  ['it loads', (server) => (server.loading = true)],
  ['it saves', (server) => (server.persistence.job = {})],
  ['it is to end', (server) => (server.pendingShutdown.active = true)],
  ['clients are paused', (server) => (server.pauses.active = true)],
  ['it is a replica', (server) => (server.replication.isReplica = true)],
  ['it has replicas', (server) => server.replication.replicas.push({})],
  ['keys are to expire', (server) => (server.databases[0].expiries.size = 1)],
])('never while %s', (_why, make) => {
  const server = idleServer();
  make(server);
  expect(new Set(pauses(new CronPace(), server, 30))).toEqual(new Set([100]));
});
