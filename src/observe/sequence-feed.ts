// The sequence plot's data: the segments of one connection as they come and go, recorded only while a page looks at it.
// One connection at a time: a second look takes over from the first. observe-server.ts imports it.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Alarm } from '../platform/timers.ts';
import type { SegmentTrace } from '../transports/transport.ts';
import { EventStream } from './event-stream.ts';
import type { Subject } from './subject.ts';

const INTERVAL_MS = 250;

export class SequenceFeed {
  readonly #subject: Subject;
  readonly #alarm: Alarm;
  #stream: EventStream | null = null;
  #trace: SegmentTrace | null = null;

  constructor(subject: Subject) {
    this.#subject = subject;
    this.#alarm = subject.scheduler.createAlarm(() => this.#read(), true);
  }

  /** @returns false when there is no such connection, or this transport cannot look into it. */
  add(id: number, request: IncomingMessage, response: ServerResponse): boolean {
    const row = this.#subject.row(id);
    const connection = this.#subject.connection(id);
    if (row === null || connection === null) return false;
    const trace = this.#subject.transport.traceSegments?.(connection) ?? null;
    if (trace === null) return false;
    this.#end();
    this.#trace = trace;
    const stream: EventStream = new EventStream(request, response, () => {
      if (this.#stream === stream) this.#end();
    });
    this.#stream = stream;
    stream.send({ kind: 'hello', id, address: row.address, ...trace.origin() });
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
