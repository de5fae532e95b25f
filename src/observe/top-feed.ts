// What `wiredis top` shows, at each interval for as long as it asks: a reading of the server, and the connections that move the
// most bytes. Runs only while somebody watches. control-answers.ts imports it.
import type { ControlRequest, ControlStream } from './control-server.ts';
import { type Reading, Readings } from './readings.ts';
import type { Identity, Subject } from './subject.ts';

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
  /** Null: not known. */
  readonly idleMs: number | null;
}

export interface TopReading {
  readonly server: Identity & { readonly pid: number; readonly uptimeMs: number };
  /** What the reading spans. */
  readonly seconds: number;
  readonly reading: Reading;
  readonly connections: readonly TopConnection[];
}

/** Sends a reading at each interval. @param request `intervalMs`. */
export function topFeed(subject: Subject, request: ControlRequest, stream: ControlStream): void {
  const wanted = typeof request.intervalMs === 'number' ? request.intervalMs : 1000;
  const intervalMs = Math.min(INTERVAL_MS_MAX, Math.max(INTERVAL_MS_MIN, wanted));
  const { scheduler, stopwatch } = subject;
  subject.measure();
  const readings = new Readings(subject);
  const hottest = connectionsOf(subject);
  let beganUs = stopwatch();
  const alarm = scheduler.createAlarm(() => {
    alarm.arm(intervalMs);
    if (stream.backlog > BACKLOG_MAX) return;
    const nowUs = stopwatch();
    const seconds = Math.max(0.001, (nowUs - beganUs) / 1e6);
    beganUs = nowUs;
    const identity = subject.identity();
    const reading = readings.take();
    const server = { ...identity, pid: process.pid, uptimeMs: reading.t - identity.startedAt };
    const shown: TopReading = { server, seconds, reading, connections: hottest(seconds) };
    stream.line({ ok: shown });
  }, true);
  stream.onClose = () => alarm.disarm();
  alarm.arm(intervalMs);
}

/** @returns what gives the connections, hottest first, with rates over so many seconds. */
function connectionsOf(subject: Subject): (seconds: number) => TopConnection[] {
  const traffic = subject.transport.insight?.watchTraffic(subject.idOf);
  if (traffic === undefined) return () => latestClients(subject);
  return (seconds) =>
    traffic(CONNECTIONS).map(({ facts, received, sent }) => {
      const client = subject.row(facts.id);
      const { remoteAddress: address, remotePort: port } = facts;
      return {
        id: facts.id,
        address: address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`,
        name: client?.name ?? '',
        command: client?.command ?? '',
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
function latestClients(subject: Subject): TopConnection[] {
  const unknown = { received: null, sent: null, rttUs: null, sendQueue: null, retransmissions: null };
  return subject.rows(CONNECTIONS).map(({ id, address, name, command, idleSeconds }) => ({
    ...{ id, address, name, command, ...unknown },
    idleMs: idleSeconds === null ? null : idleSeconds * 1000,
  }));
}
