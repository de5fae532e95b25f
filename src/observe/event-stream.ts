// Server-sent events: a stream of JSON to each page that listens, and none to one that does not read.
import type { IncomingMessage, ServerResponse } from 'node:http';

/** What a page may leave unread before it is let go. */
const UNREAD_MAX = 1024 * 1024;

export class EventStream {
  readonly #response: ServerResponse;
  #open = true;

  /** @param onClose called once, when the page is gone. */
  constructor(request: IncomingMessage, response: ServerResponse, onClose: () => void) {
    this.#response = response;
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    response.flushHeaders();
    request.once('close', () => {
      if (!this.#open) return;
      this.#open = false;
      onClose();
    });
  }

  send(value: unknown): void {
    if (!this.#open) return;
    if (this.#response.writableLength > UNREAD_MAX) this.#response.destroy();
    else this.#response.write(`data: ${JSON.stringify(value)}\n\n`);
  }

  end(): void {
    this.#response.end();
  }
}
