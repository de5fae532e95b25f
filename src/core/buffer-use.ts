// A client's share of the buffers that all clients have in common, by what it needed lately: the figures that CLIENT
// LIST calls the query buffer and the reply buffer, with Redis's bounds and its times of shrinking. Costs two comparisons
// a batch; its times are the clock's `nowMs`. Only client.ts imports it.
import type { DebugSwitches } from './debug-switches.ts';

/** The least that is read at a time, and the largest reply that needs no list. */
const CHUNK = 16 * 1024;
const REPLY_MIN = 1024;
/** How long a peak of requests counts, and how long an idle client keeps its share, milliseconds. */
const QUERY_PEAK_MS = 200;
const QUERY_IDLE_MS = 3000;

export class BufferUse {
  /** Most bytes of replies in a batch since the peak was reset, up to a buffer's size. */
  replyPeak = CHUNK;
  #replySince: number;
  #queryPeak = 0;
  #querySince: number;
  #lastUse: number;

  constructor(now: number) {
    this.#replySince = now;
    this.#querySince = now;
    this.#lastUse = now;
  }

  /** Requests came, or one grew. @param bytes how much there is of them. */
  request(bytes: number, now: number): void {
    this.#lastUse = now;
    if (bytes < this.#queryPeak && ((now - this.#querySince) | 0) < QUERY_PEAK_MS) return;
    this.#queryPeak = bytes;
    this.#querySince = now;
  }

  /** Replies were sent together. */
  reply(bytes: number): void {
    if (bytes > this.replyPeak) this.replyPeak = Math.min(bytes, CHUNK);
  }

  /** Bytes of query buffer. */
  queryBuffer(now: number): number {
    return ((now - this.#lastUse) | 0) >= QUERY_IDLE_MS ? 0 : Math.max(CHUNK, this.#queryPeak);
  }

  /** Bytes of reply buffer; lets go of a peak whose time is over. */
  replyBuffer(now: number, debug: DebugSwitches): number {
    if (!debug.replyBufferResizing) return CHUNK;
    const resetMs = debug.replyBufferPeakResetMs;
    if (resetMs >= 0 && ((now - this.#replySince) | 0) >= resetMs) {
      this.replyPeak = 0;
      this.#replySince = now;
    }
    return Math.min(CHUNK, Math.max(REPLY_MIN, this.replyPeak));
  }
}
