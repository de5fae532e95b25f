// One reading a second for the page: rates, the latency distribution of that second, where the core's time went, drops.
// Reads only while a page listens. observe-server.ts imports it.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Alarm } from '../platform/timers.ts';
import { EventStream } from './event-stream.ts';
import { HEAT_LIMITS_US, Readings } from './readings.ts';
import type { Identity, Subject } from './subject.ts';

const INTERVAL_MS = 1000;

/** What a page is told first; a `Reading` each second follows. */
export interface Hello extends Identity {
  readonly kind: 'hello';
  readonly limitsUs: readonly number[];
}

export class LiveFeed {
  readonly #subject: Subject;
  readonly #streams = new Set<EventStream>();
  readonly #alarm: Alarm;
  #readings: Readings | null = null;

  constructor(subject: Subject) {
    this.#subject = subject;
    this.#alarm = subject.scheduler.createAlarm(() => this.#read(), true);
  }

  add(request: IncomingMessage, response: ServerResponse): void {
    const stream: EventStream = new EventStream(request, response, () => this.#remove(stream));
    if (this.#streams.size === 0) this.#begin();
    this.#streams.add(stream);
    const hello: Hello = { kind: 'hello', limitsUs: HEAT_LIMITS_US, ...this.#subject.identity() };
    stream.send(hello);
  }

  close(): void {
    this.#alarm.disarm();
    for (const stream of this.#streams) stream.end();
  }

  #begin(): void {
    this.#readings = new Readings(this.#subject);
    this.#alarm.arm(INTERVAL_MS);
  }

  #remove(stream: EventStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size === 0) this.#alarm.disarm();
  }

  #read(): void {
    const reading = this.#readings?.take();
    for (const stream of this.#streams) stream.send(reading);
    this.#alarm.arm(INTERVAL_MS);
  }
}
