// The Redis behind the relay: where it is, and sockets to it. Only src/relay/ and the composition root import it.
import { Socket } from 'node:net';
import type { Log } from '../platform/log.ts';

/** A socket file, or a host's port. */
export type UpstreamAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/** System calls that do not go by way of the event loop. */
export interface UpstreamCalls {
  /** @returns bytes; 0 at the end, negative when there is nothing. */
  receiveNow(fd: number, into: Uint8Array): number;
}

/** @param text `unix:PATH` or `tcp:HOST:PORT`, as the directive has checked it. */
function parseUpstream(text: string): UpstreamAddress {
  if (text.startsWith('unix:')) return { path: text.slice('unix:'.length) };
  const colon = text.lastIndexOf(':');
  const host = text.slice('tcp:'.length, colon).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(text.slice(colon + 1)) };
}

/** What happens at a socket to the upstream. */
export interface UpstreamHandler {
  upstreamConnected(): void;
  /** Bytes to take whole, readable only during the call. @returns false to be given no more until `resume`. */
  upstreamBytes(bytes: Uint8Array, length: number): boolean;
  /** What was written has been taken. */
  upstreamDrained(): void;
  /** The upstream says no more. */
  upstreamEnded(): void;
  /** Gone, or never reached; last, once. @param code an errno name; null when both sides have ended. */
  upstreamClosed(code: string | null): void;
}

const RECEIVE_LENGTH = 64 * 1024;
/** One for all: what is read is passed on before the next read. */
const receiveBuffer = new Uint8Array(RECEIVE_LENGTH);

export class Upstream {
  readonly address: UpstreamAddress;
  /** As the directive has it. */
  readonly name: string;
  /** Seconds of silence before the kernel probes it, over TCP; 0: never. */
  readonly #keepAliveSeconds: () => number;
  readonly #log: Log;
  readonly #calls: UpstreamCalls;
  /** Whether the last attempt failed: said once. */
  #isDown = false;
  /** Attempts that failed. */
  failures = 0;
  /** Whether it is sure to be there soon: somebody is starting it. */
  isComing: () => boolean = () => false;

  constructor(name: string, log: Log, calls: UpstreamCalls, keepAliveSeconds: () => number) {
    this.name = name;
    this.address = parseUpstream(name);
    this.#log = log;
    this.#calls = calls;
    this.#keepAliveSeconds = keepAliveSeconds;
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  connect(handler: UpstreamHandler): UpstreamSocket {
    const socket = new UpstreamSocket(handler, this.#calls);
    socket.once('connect', () => {
      if (this.#isDown) this.#log.notice(`The upstream ${this.name} answers again`);
      this.#isDown = false;
      handler.upstreamConnected();
    });
    socket.open(this.address, this.#keepAliveSeconds());
    return socket;
  }

  /** An attempt has failed. */
  failed(code: string): void {
    this.failures++;
    if (!this.#isDown) this.#log.warning(`The upstream ${this.name} does not answer: ${code}`);
    this.#isDown = true;
  }
}

/** Reads into a buffer that all share, past Node's streams, and reads what was said last before an error closes it. */
export class UpstreamSocket extends Socket {
  readonly #handler: UpstreamHandler;
  readonly #calls: UpstreamCalls;
  #errorCode: string | null = null;
  /** A socket file. */
  isLocal = false;
  #stopped = false;

  constructor(handler: UpstreamHandler, calls: UpstreamCalls) {
    const reader = { take: (_length: number): boolean => false };
    const callback = (length: number): boolean => reader.take(length);
    const options = { allowHalfOpen: true, onread: { buffer: receiveBuffer, callback } };
    super(options);
    this.#handler = handler;
    this.#calls = calls;
    reader.take = (length) => {
      this.#stopped = !handler.upstreamBytes(receiveBuffer, length);
      return !this.#stopped;
    };
    this.on('drain', () => handler.upstreamDrained());
    this.on('end', () => handler.upstreamEnded());
    this.on('error', (error: NodeJS.ErrnoException) => {
      this.#errorCode = error.code ?? 'EIO';
    });
    this.once('close', () => handler.upstreamClosed(this.#errorCode));
  }

  open(address: UpstreamAddress, keepAliveSeconds: number): void {
    this.isLocal = 'path' in address;
    if ('path' in address) {
      this.connect(address.path);
      return;
    }
    this.setNoDelay(true);
    if (keepAliveSeconds > 0) this.setKeepAlive(true, keepAliveSeconds * 1000);
    this.connect(address.port, address.host);
  }

  override resume(): this {
    this.#stopped = false;
    return super.resume();
  }

  /** RST where there is such a thing: a socket file knows none. */
  reset(): void {
    if (this.isLocal || this.connecting) this.destroy();
    else this.resetAndDestroy();
  }

  /**
   * A server that closes while we write has often said why: a write that fails must not cost those bytes, which the
   * kernel still holds.
   */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (error !== null && !this.connecting) this.#receiveLastWords();
    super._destroy(error, callback);
  }

  #receiveLastWords(): void {
    // Node's handle of a socket knows its descriptor.
    const { _handle: handle } = this as unknown as { _handle: { fd?: number } | null };
    const fd = handle?.fd ?? -1;
    while (fd >= 0 && !this.#stopped) {
      const length = this.#calls.receiveNow(fd, receiveBuffer);
      if (length <= 0) return;
      this.#stopped = !this.#handler.upstreamBytes(receiveBuffer, length);
    }
  }
}
