// What the metrics port shows of a server or a relay: /metrics for Prometheus, the web page and its data. It listens on
// the kernel's sockets, on loopback unless told otherwise, and costs nothing while nobody asks. open-observe.ts and
// relay-observe.ts start it.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Asset, pageAssets } from './assets.ts';
import { connectionRows } from './connection-rows.ts';
import { LiveFeed } from './live-feed.ts';
import { ObserveDoor, type ObserveSettings, send, sendJson } from './observe-door.ts';
import { SequenceFeed } from './sequence-feed.ts';
import type { Subject } from './subject.ts';

/** More rows than a person reads; the page says how many there are. */
const ROWS_MAX = 1000;

/** Prometheus's text. */
export interface MetricsText {
  readonly contentType: string;
  text(): Promise<string>;
}

export class ObserveServer {
  readonly #subject: Subject;
  readonly #door: ObserveDoor;
  readonly #metrics: MetricsText;
  readonly #live: LiveFeed;
  readonly #sequences: SequenceFeed;
  readonly #assets: ReadonlyMap<string, Asset>;

  constructor(subject: Subject, metrics: MetricsText, settings: ObserveSettings) {
    this.#subject = subject;
    this.#metrics = metrics;
    this.#live = new LiveFeed(subject);
    this.#sequences = new SequenceFeed(subject);
    this.#assets = pageAssets();
    this.#door = new ObserveDoor(settings, subject.log, (url, request, response) =>
      this.#answer(url, request, response),
    );
  }

  /** @throws ObserveError with one line. */
  async start(): Promise<void> {
    await this.#door.open();
    this.#subject.measure();
  }

  close(): void {
    this.#live.close();
    this.#sequences.close();
    this.#door.close();
  }

  async #answer(url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = url.pathname;
    const asset = this.#assets.get(path);
    if (asset !== undefined) return send(response, 200, asset.type, asset.text);
    if (path === '/metrics') return send(response, 200, this.#metrics.contentType, await this.#metrics.text());
    if (path === '/api/live') return this.#live.add(request, response);
    if (path === '/api/connections') {
      return sendJson(response, connectionRows(this.#subject, ROWS_MAX));
    }
    const sequence = /^\/api\/connections\/(\d{1,15})\/sequence$/.exec(path);
    if (sequence !== null && this.#sequences.add(Number(sequence[1]), request, response)) return;
    send(response, 404, 'text/plain', 'not found\n');
  }
}
