// A decorator over any engine that tees every frame, in and out, to a pcapng file: what the stack saw, in the order it
// saw it. Recording never hurts traffic: frames wait in bounded memory, are dropped from the file (and counted) when
// the disk is slow, and a disk that fails ends the recording, not the engine. For tests; a server's own captures are
// live-capture.ts, which begin and end while it runs.
import * as fs from 'node:fs';
import {
  type EngineCounters,
  EngineError,
  type EngineName,
  type FrameBatch,
  type FrameEngine,
  type Link,
  type SynGate,
} from './frame-engine.ts';
import { DIRECTION_IN, DIRECTION_OUT, fileHeader, linkTypeOf, packetBlockLength, writePacket } from './pcapng.ts';

const BUFFER_BYTES = 1 << 20;

export interface RecorderOptions {
  /** Which frames; default both. */
  readonly direction?: 'both' | 'in' | 'out';
  /** The file ends before it grows past this many bytes; 0 (default): no limit. */
  readonly fileBytesMax?: number;
  /** Told once when the recording ends before `close()`: one line. */
  readonly onStop?: (reason: string) => void;
}

export interface RecorderCounters {
  /** Frames in the file, or on their way to it. */
  recorded: number;
  /** Frames left out: no room in memory, or the recording had ended. */
  dropped: number;
  bytesWritten: number;
}

/**
 * Starts recording `inner`'s frames to `path`, which is replaced. Use the result instead of `inner`; closing it closes
 * both and completes the file.
 * @throws EngineError BAD_FILE when the file cannot be made.
 */
export function recordFrames(inner: FrameEngine, path: string, options: RecorderOptions = {}): Recorder {
  let fd: number;
  try {
    fd = fs.openSync(path, 'w', 0o600);
  } catch (error) {
    throw new EngineError('BAD_FILE', `cannot record to ${path}: ${(error as Error).message}`);
  }
  return new Recorder(inner, fd, path, options);
}

export class Recorder implements FrameEngine {
  readonly name: EngineName;
  readonly link: Link;
  readonly memory: Uint8Array;
  readonly batch: FrameBatch;
  readonly counters: EngineCounters;
  readonly synGate: SynGate | null;
  readonly recording: RecorderCounters = { recorded: 0, dropped: 0, bytesWritten: 0 };

  readonly #inner: FrameEngine;
  readonly #path: string;
  readonly #fd: number;
  readonly #recordsIn: boolean;
  readonly #recordsOut: boolean;
  readonly #fileBytesMax: number;
  readonly #onStop: ((reason: string) => void) | null;
  /** One fills while the other is being written. */
  #filling = new FillBuffer();
  #writing = new FillBuffer();
  #writeInFlight = false;
  /** Where in the file the next write goes. */
  #position = 0;
  #bytesPlanned = 0;
  #stopped = false;
  #closed = false;
  #reserved = 0;

  constructor(inner: FrameEngine, fd: number, path: string, options: RecorderOptions) {
    const direction = options.direction ?? 'both';
    this.name = inner.name;
    this.link = inner.link;
    this.memory = inner.memory;
    this.batch = inner.batch;
    this.counters = inner.counters;
    this.synGate = inner.synGate ?? null;
    this.#inner = inner;
    this.#fd = fd;
    this.#path = path;
    this.#recordsIn = direction !== 'out';
    this.#recordsOut = direction !== 'in';
    this.#fileBytesMax = options.fileBytesMax ?? 0;
    this.#onStop = options.onStop ?? null;
    const header = fileHeader(inner.link.name, linkTypeOf(inner.link), Math.max(inner.link.frameCapacity, 0xffff));
    this.#filling.append(header);
    this.#bytesPlanned = header.length;
  }

  /** False once the recording has ended; the engine works on. */
  get isRecording(): boolean {
    return !this.#stopped;
  }

  receive(): number {
    const count = this.#inner.receive();
    if (count > 0 && this.#recordsIn) {
      const { offset, length } = this.batch;
      const now = unixMicroseconds();
      for (let i = 0; i < count; i++) this.#record(now, DIRECTION_IN, offset[i], length[i]);
      this.#startWrite();
    }
    return count;
  }

  reserve(isLong = false): number {
    this.#reserved = this.#inner.reserve(isLong);
    return this.#reserved;
  }

  commit(length: number, segmentSize: number): void {
    if (this.#recordsOut) this.#record(unixMicroseconds(), DIRECTION_OUT, this.#reserved, length);
    this.#inner.commit(length, segmentSize);
  }

  flush(): void {
    this.#inner.flush();
    this.#startWrite();
  }

  wait(onReadable: () => void): void {
    this.#inner.wait(onReadable);
  }

  ref(): void {
    this.#inner.ref();
  }

  unref(): void {
    this.#inner.unref();
  }

  /** The file is complete when this returns: there may be no later turn of the event loop. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#inner.close();
    try {
      // A write under way cannot be awaited, but the same bytes can be written to the same place once more.
      if (this.#writeInFlight) this.#writeNow(this.#writing);
      this.#writeNow(this.#filling);
    } catch (error) {
      this.#stop((error as Error).message);
    }
    this.#stopped = true;
    if (!this.#writeInFlight) fs.closeSync(this.#fd);
  }

  #record(unixUs: number, direction: number, offset: number, length: number): void {
    const blockLength = packetBlockLength(length);
    if (this.#fileBytesMax > 0 && !this.#stopped && this.#bytesPlanned + blockLength > this.#fileBytesMax) {
      this.#stop(`reached its limit of ${this.#fileBytesMax} bytes`);
    }
    const buffer = this.#filling;
    if (this.#stopped || buffer.used + blockLength > BUFFER_BYTES) {
      this.recording.dropped++;
      return;
    }
    buffer.used += writePacket(buffer.view, buffer.used, unixUs, direction, this.memory, offset, length);
    this.#bytesPlanned += blockLength;
    this.recording.recorded++;
  }

  /** Writes what has gathered; while one write is under way the next gathers. */
  #startWrite(): void {
    if (this.#writeInFlight || this.#filling.used === 0) return;
    const full = this.#filling;
    this.#filling = this.#writing;
    this.#writing = full;
    this.#writeInFlight = true;
    this.#writeRest();
  }

  #writeRest(): void {
    fs.write(this.#fd, this.#writing.bytes, 0, this.#writing.used, this.#position, this.#onWritten);
  }

  readonly #onWritten = (error: NodeJS.ErrnoException | null, written: number): void => {
    if (this.#closed) {
      fs.closeSync(this.#fd);
      return;
    }
    if (error === null) this.#advance(this.#writing, written);
    if (error === null && this.#writing.used > 0) {
      this.#writeRest();
      return;
    }
    this.#writeInFlight = false;
    if (error !== null) {
      this.#stop(error.message);
      this.#writing.used = 0;
      this.#filling.used = 0;
    }
    this.#startWrite();
  };

  #writeNow(buffer: FillBuffer): void {
    for (let at = 0; at < buffer.used; ) {
      const written = fs.writeSync(this.#fd, buffer.bytes, at, buffer.used - at, this.#position);
      this.recording.bytesWritten += written;
      this.#position += written;
      at += written;
    }
  }

  #advance(buffer: FillBuffer, written: number): void {
    this.recording.bytesWritten += written;
    this.#position += written;
    buffer.dropFirst(written);
  }

  #stop(reason: string): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#onStop?.(`recording to ${this.#path} ended: ${reason}`);
  }
}

class FillBuffer {
  readonly bytes = new Uint8Array(BUFFER_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  used = 0;

  append(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.used);
    this.used += bytes.length;
  }

  dropFirst(count: number): void {
    if (count < this.used) this.bytes.copyWithin(0, count, this.used);
    this.used -= count;
  }
}

function unixMicroseconds(): number {
  return Math.floor((performance.timeOrigin + performance.now()) * 1000);
}
