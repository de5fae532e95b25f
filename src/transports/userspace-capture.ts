// Captures of a running stack: the tap that gives each of them the frames it asked for, with what the stack decided about
// them as a comment. There is a tap only while somebody captures. Used by userspace.ts.
import type { FrameEngine } from '../../io-engine/frame-engine.ts';
import { LiveCapture } from '../../io-engine/live-capture.ts';
import { DIRECTION_IN, DIRECTION_OUT } from '../../io-engine/pcapng.ts';
import type { FrameTap } from '../../stack/frame-tap.ts';
import { noteReceived, noteSent } from '../../stack/packet-notes.ts';
import type { Stack } from '../../stack/stack.ts';
import type { CaptureRequest } from './transport.ts';

interface Running {
  readonly request: CaptureRequest;
  readonly file: LiveCapture;
}

interface Answer {
  readonly unixUs: number;
  readonly bytes: Uint8Array;
  readonly note: string;
}

export class Captures implements FrameTap {
  readonly #stack: Stack;
  readonly #engine: FrameEngine;
  readonly #unixUs: () => number;
  readonly #idOf: (user: unknown) => number;
  readonly #isEthernet: boolean;
  #running: readonly Running[] = [];

  // The frame that is being processed; length 0: none.
  #offset = 0;
  #length = 0;
  #receivedUs = 0;
  /** What was sent meanwhile: an answer does not stand before its question, whose fate is known only at the end. */
  readonly #answers: Answer[] = [];

  /** @param unixUs the wall clock, whole microseconds. @param idOf the number of what is in `socket.user`. */
  constructor(stack: Stack, engine: FrameEngine, unixUs: () => number, idOf: (user: unknown) => number) {
    this.#stack = stack;
    this.#engine = engine;
    this.#unixUs = unixUs;
    this.#idOf = idOf;
    this.#isEthernet = engine.link.medium === 'ethernet';
  }

  /** @returns ends it. */
  start(request: CaptureRequest): () => void {
    const file = new LiveCapture(this.#engine.link, request.sink, request.snapLength);
    const running: Running = { request, file };
    this.#running = [...this.#running, running];
    this.#stack.tap = this;
    return () => {
      if (!this.#running.includes(running)) return;
      this.#running = this.#running.filter((other) => other !== running);
      if (this.#running.length === 0) this.#stack.tap = null;
      file.finish(this.#unixUs());
    };
  }

  received(_bytes: Uint8Array, offset: number, length: number): void {
    this.#offset = offset;
    this.#length = length;
    this.#receivedUs = this.#unixUs();
  }

  processed(drop: number): void {
    const { memory } = this.#engine;
    const length = this.#length;
    this.#length = 0;
    const note = (): string =>
      noteReceived(this.#stack, memory, this.#offset, length, this.#isEthernet, drop, this.#idOf);
    this.#record(this.#receivedUs, DIRECTION_IN, memory, this.#offset, length, note);
    for (const { unixUs, bytes, note } of this.#answers)
      this.#record(unixUs, DIRECTION_OUT, bytes, 0, bytes.length, () => note);
    this.#answers.length = 0;
  }

  sent(bytes: Uint8Array, offset: number, length: number, segmentSize: number): void {
    const unixUs = this.#unixUs();
    const note = (): string => noteSent(this.#stack, bytes, offset, length, this.#isEthernet, segmentSize, this.#idOf);
    if (this.#length === 0) this.#record(unixUs, DIRECTION_OUT, bytes, offset, length, note);
    else this.#answers.push({ unixUs, bytes: bytes.slice(offset, offset + length), note: note() });
  }

  flushed(): void {
    const now = this.#unixUs();
    for (const { file } of this.#running) file.tick(now);
  }

  /** @param note called when somebody wants the frame. */
  #record(
    unixUs: number,
    direction: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    note: () => string,
  ): void {
    let comment: string | null = null;
    for (const { request, file } of this.#running) {
      if (!request.matches(bytes, offset, length)) continue;
      comment ??= note();
      file.frame(unixUs, direction, bytes, offset, length, comment);
    }
  }
}
