// A capture that begins and ends while the engine works: frames become pcapng blocks that go to a sink as bytes. It never
// waits: what a slow sink has not taken in time is left out and counted, in the file's own statistics blocks too.
// Only userspace-capture.ts imports this.
import type { Link } from './frame-engine.ts';
import { fileHeader, linkTypeOf, packetBlockLength, statisticsBlock, writePacket } from './pcapng.ts';

/** What gathers before it is handed on in the middle of a tick. */
const BUFFER_BYTES = 256 * 1024;
/** More than this on its way to the sink: frames are left out. */
const BACKLOG_MAX = 16 * 1024 * 1024;
const STATISTICS_EVERY_US = 1_000_000;

export interface CaptureSink {
  bytes(bytes: Uint8Array): void;
  /** Bytes taken that have not gone on. */
  readonly backlog: number;
}

export class LiveCapture {
  readonly #sink: CaptureSink;
  readonly #snapLength: number;
  readonly #encoder = new TextEncoder();
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  #used = 0;
  #seen = 0;
  #dropped = 0;
  #statisticsAtUs = 0;

  /** @param snapLength bytes kept of each frame; 0: all. */
  constructor(link: Link, sink: CaptureSink, snapLength: number) {
    this.#sink = sink;
    this.#snapLength = snapLength === 0 ? 0x7fffffff : snapLength;
    sink.bytes(fileHeader(link.name, linkTypeOf(link), snapLength === 0 ? 262_144 : snapLength));
  }

  /** @param direction DIRECTION_IN or DIRECTION_OUT. @param unixUs whole microseconds since 1970. */
  frame(unixUs: number, direction: number, bytes: Uint8Array, offset: number, length: number, comment: string): void {
    this.#seen++;
    const kept = Math.min(length, this.#snapLength);
    const words = this.#encoder.encode(comment);
    const blockLength = packetBlockLength(kept, words.length);
    if (this.#used + blockLength > BUFFER_BYTES) this.flush();
    if (blockLength > BUFFER_BYTES || this.#sink.backlog > BACKLOG_MAX) {
      this.#dropped++;
      return;
    }
    this.#used += writePacket(this.#view, this.#used, unixUs, direction, bytes, offset, kept, length, words);
  }

  /** Hands on what has gathered. */
  flush(): void {
    if (this.#used === 0) return;
    this.#sink.bytes(this.#buffer.slice(0, this.#used));
    this.#used = 0;
  }

  /** Tells the file how it stands, once a second. */
  tick(unixUs: number): void {
    this.flush();
    if (unixUs - this.#statisticsAtUs >= STATISTICS_EVERY_US) this.finish(unixUs);
  }

  /** The last word of the file, or the latest. */
  finish(unixUs: number): void {
    this.flush();
    this.#statisticsAtUs = unixUs;
    this.#sink.bytes(statisticsBlock(unixUs, this.#seen, this.#dropped));
  }
}
