// What `wiredis top` shows, at each interval for as long as it asks: a reading of the server, and the connections that move the
// most bytes. Runs only while somebody watches. control-answers.ts imports it.
import type { Server } from '../core/server.ts';
import type { Transport } from '../transports/transport.ts';
import type { ControlRequest, ControlStream } from './control-server.ts';
import { handlerId } from './handler-id.ts';
import { type Reading, Readings } from './readings.ts';
import { type ServerIdentity, serverIdentity } from './server-identity.ts';

const INTERVAL_MS_MIN = 100;
const INTERVAL_MS_MAX = 60_000;
const CONNECTIONS = 100;
/** A terminal that stands still misses readings. */
const BACKLOG_MAX = 256 * 1024;

export interface TopConnection {
  readonly id: number;
  readonly address: string;
  readonly name: string;
  /** Its latest. */
  readonly command: string;
  /** Bytes a second; null: the kernel counts them. */
  readonly received: number | null;
  readonly sent: number | null;
  readonly rttUs: number | null;
  /** Bytes written and not acknowledged. */
  readonly sendQueue: number | null;
  readonly retransmissions: number | null;
  readonly idleMs: number;
}

export interface TopReading {
  readonly server: ServerIdentity & { readonly pid: number; readonly uptimeMs: number };
  /** What the reading spans. */
  readonly seconds: number;
  readonly reading: Reading;
  readonly connections: readonly TopConnection[];
}

/** Sends a reading at each interval. @param request `intervalMs`. */
export function topFeed(server: Server, transport: Transport, request: ControlRequest, stream: ControlStream): void {
  const wanted = typeof request.intervalMs === 'number' ? request.intervalMs : 1000;
  const intervalMs = Math.min(INTERVAL_MS_MAX, Math.max(INTERVAL_MS_MIN, wanted));
  transport.measureTicks?.(server.stopwatch);
  const readings = new Readings(server, transport);
  const hottest = connectionsOf(server, transport);
  let beganUs = server.stopwatch();
  const alarm = server.scheduler.createAlarm(() => {
    alarm.arm(intervalMs);
    if (stream.backlog > BACKLOG_MAX) return;
    const nowUs = server.stopwatch();
    const seconds = Math.max(0.001, (nowUs - beganUs) / 1e6);
    beganUs = nowUs;
    const uptimeMs = server.clock.unixMs - server.startedAt;
    const identity = { ...serverIdentity(server), pid: process.pid, uptimeMs };
    const shown: TopReading = { server: identity, seconds, reading: readings.take(), connections: hottest(seconds) };
    stream.line({ ok: shown });
  }, true);
  stream.onClose = () => alarm.disarm();
  alarm.arm(intervalMs);
}

/** @returns what gives the connections, hottest first, with rates over so many seconds. */
function connectionsOf(server: Server, transport: Transport): (seconds: number) => TopConnection[] {
  const traffic = transport.insight?.watchTraffic(handlerId);
  if (traffic === undefined) return () => latestClients(server);
  return (seconds) =>
    traffic(CONNECTIONS).map(({ facts, received, sent }) => {
      const client = server.clients.get(facts.id);
      const { remoteAddress: address, remotePort: port } = facts;
      return {
        id: facts.id,
        address: address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`,
        name: client?.name ?? '',
        command: client?.lastCommand?.spec.name ?? '',
        received: received / seconds,
        sent: sent / seconds,
        rttUs: facts.rttUs,
        sendQueue: facts.sendQueue,
        retransmissions: facts.retransmissions,
        idleMs: facts.idleMs,
      };
    });
}

/** Over the kernel's sockets: those that spoke last. */
function latestClients(server: Server): TopConnection[] {
  return [...server.clients.values()]
    .sort((a, b) => b.lastInteraction - a.lastInteraction)
    .slice(0, CONNECTIONS)
    .map((client) => ({
      id: client.id,
      address: client.address,
      name: client.name,
      command: client.lastCommand?.spec.name ?? '',
      received: null,
      sent: null,
      rttUs: null,
      sendQueue: null,
      retransmissions: null,
      idleMs: Math.max(0, server.clock.unixMs - client.lastInteraction),
    }));
}
