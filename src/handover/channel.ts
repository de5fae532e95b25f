// The way between the process that serves and the one that is to take its place: messages of a kind, a length and that
// many bytes, over one stream. The new process reads its dataset with blocking reads, since it has nothing else to do;
// from then on both sides hear of messages as they come. For src/handover/ and
// src/cli/launch.ts, which opens one for the new process.
import { readSync, writeSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { deserialize, serialize } from 'node:v8';

// From the old process to the new one.
/** What it has to know before it can make a server. */
export const HELLO = 1;
/** Where in the history the snapshot is that follows. */
export const PLACE = 12;
/** A piece of the snapshot; the last one is empty. */
export const DATASET = 2;
/** A piece of the replication stream behind the snapshot. */
export const STREAM = 3;
/** "How far are you?" */
export const WHERE = 4;
/** Everything else: the old process stands still. */
export const STATE = 5;
/** The new process serves from here on, and the old one never again. The end of the channel says the same. */
export const GO = 11;
// And back.
/** The server is made: the dataset may come. */
export const READY = 6;
/** The snapshot is loaded. */
export const LOADED = 7;
/** Up to which offset of the stream everything is carried out. */
export const AT = 8;
/** It has taken everything over, and waits for the word to serve. */
export const TAKEN = 9;
/** It cannot be done; why. */
export const FAILED = 10;

// Across the network, before all that: admission.ts.
export const CHALLENGE = 13;
export const PROOF = 14;
export const WELCOME = 15;

const HEADER_LENGTH = 5;
/** What an empty socket is waited for before it is looked at again, milliseconds. */
const EMPTY_WAIT_MS = 1;

export interface Message {
  readonly kind: number;
  readonly bytes: Uint8Array;
}

export function decode<T>({ bytes }: Message): T {
  return deserialize(bytes) as T;
}

function header(kind: number, length: number): Buffer {
  const bytes = Buffer.alloc(HEADER_LENGTH);
  bytes[0] = kind;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

/** Both directions, told of as they come. */
export class Channel {
  onMessage: (message: Message) => void = () => {};
  /** The other side is gone. */
  onEnd: () => void = () => {};
  /** What was written has gone. */
  onDrain: () => void = () => {};
  /** The other side is gone. */
  ended = false;
  readonly #stream: Duplex;
  #parts: Buffer[] = [];
  #length = 0;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('data', (piece: Buffer) => this.#take(piece));
    stream.on('drain', () => this.onDrain());
    stream.on('error', () => {});
    stream.on('close', () => {
      this.ended = true;
      this.onEnd();
    });
  }

  /** Bytes that wait to be sent. */
  get backlog(): number {
    return this.#stream.writableLength;
  }

  bytes(kind: number, bytes: Uint8Array): void {
    this.#stream.write(header(kind, bytes.length));
    if (bytes.length > 0) this.#stream.write(bytes);
  }

  value(kind: number, value: unknown): void {
    this.bytes(kind, serialize(value));
  }

  close(): void {
    this.#stream.destroy();
  }

  /** Resolves when everything written is on its way and the other side has closed, or after a while. */
  finish(patienceMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.onEnd = resolve;
      this.#stream.end();
      if (this.ended) resolve();
      else AbortSignal.timeout(patienceMs).addEventListener('abort', () => resolve());
    });
  }

  #take(piece: Buffer): void {
    this.#parts.push(piece);
    this.#length += piece.length;
    while (this.#length >= HEADER_LENGTH) {
      if (this.#parts[0].length < HEADER_LENGTH) this.#parts = [Buffer.concat(this.#parts)];
      const length = this.#parts[0].readUInt32BE(1);
      if (this.#length < HEADER_LENGTH + length) return;
      const all = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
      this.#parts = all.length > HEADER_LENGTH + length ? [all.subarray(HEADER_LENGTH + length)] : [];
      this.#length -= HEADER_LENGTH + length;
      this.onMessage({ kind: all[0], bytes: all.subarray(HEADER_LENGTH, HEADER_LENGTH + length) });
    }
  }
}

/** The new process's end before it has an event loop to speak of: reads that wait. */
export class BlockingChannel {
  readonly fd: number;
  /** How long a read waits for a socket that says nothing, milliseconds; 0: for ever. */
  patienceMs = 0;
  readonly #pause = new Int32Array(new SharedArrayBuffer(4));

  constructor(fd: number) {
    this.fd = fd;
  }

  /** @param longest a longer message is taken for the end. @returns null: the other side is gone. */
  read(longest = 0xffffffff): Message | null {
    const head = Buffer.alloc(HEADER_LENGTH);
    if (!this.#fill(head)) return null;
    const length = head.readUInt32BE(1);
    if (length > longest) return null;
    const bytes = Buffer.allocUnsafe(length);
    return this.#fill(bytes) ? { kind: head[0], bytes } : null;
  }

  bytes(kind: number, bytes: Uint8Array): void {
    const all = Buffer.concat([header(kind, bytes.length), bytes]);
    for (let at = 0; at < all.length; ) {
      const count = this.#try(() => writeSync(this.fd, all, at, all.length - at));
      if (count > 0) at += count;
    }
  }

  value(kind: number, value: unknown): void {
    this.bytes(kind, serialize(value));
  }

  #fill(into: Buffer): boolean {
    let waitedMs = 0;
    for (let at = 0; at < into.length; ) {
      const count = this.#try(() => readSync(this.fd, into, at, into.length - at, null));
      if (count === 0) return false;
      if (count > 0) {
        at += count;
        waitedMs = 0;
      } else if (this.patienceMs > 0 && ++waitedMs > this.patienceMs) return false;
    }
    return true;
  }

  /** @returns -1: nothing was there, or there was no room, and a moment has passed. */
  #try(call: () => number): number {
    try {
      return call();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(this.#pause, 0, 0, EMPTY_WAIT_MS);
      return -1;
    }
  }
}
