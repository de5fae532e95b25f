// The sequence plot's data: the segments of one connection as they come and go, recorded only while a page looks at it.
// One connection at a time: a second look takes over from the first. observe-server.ts imports it.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from '../core/server.ts';
import type { Alarm } from '../platform/timers.ts';
import type { SegmentTrace, Transport } from '../transports/transport.ts';
import { EventStream } from './event-stream.ts';

const INTERVAL_MS = 250;

export class SequenceFeed {
  readonly #server: Server;
  readonly #transport: Transport;
  readonly #alarm: Alarm;
  #stream: EventStream | null = null;
  #trace: SegmentTrace | null = null;

  constructor(server: Server, transport: Transport) {
    this.#server = server;
    this.#transport = transport;
    this.#alarm = server.scheduler.createAlarm(() => this.#read(), true);
  }

  /** @returns false when there is no such connection, or this transport cannot look into it. */
  add(id: number, request: IncomingMessage, response: ServerResponse): boolean {
    const client = this.#server.clients.get(id);
    if (client === undefined || this.#transport.traceSegments === undefined) return false;
    const trace = this.#transport.traceSegments(client.connection);
    if (trace === null) return false;
    this.#end();
    this.#trace = trace;
    const stream: EventStream = new EventStream(request, response, () => {
      if (this.#stream === stream) this.#end();
    });
    this.#stream = stream;
    stream.send({ kind: 'hello', id, address: client.address, ...trace.origin() });
    this.#alarm.arm(INTERVAL_MS);
    return true;
  }

  close(): void {
    this.#end();
  }

  #end(): void {
    this.#alarm.disarm();
    this.#trace?.stop();
    this.#trace = null;
    this.#stream?.end();
    this.#stream = null;
  }

  #read(): void {
    if (this.#trace === null || this.#stream === null) return;
    const { points, lost, ended } = this.#trace.take();
    if (points.length > 0 || ended) this.#stream.send({ kind: 'points', points, lost, ended });
    if (ended) this.#end();
    else this.#alarm.arm(INTERVAL_MS);
  }
}
