// A TCP connection of the user-space stack with the shape and the manners of `net.Socket`: a Duplex stream over one
// connection of the transport. Made by net.ts (`connect`) and server.ts (accepted); applications see it as `net.Socket`.
import { lookup as systemLookup } from 'node:dns';
import { isIP } from 'node:net';
import { Duplex } from 'node:stream';
import type { Alarm } from '../platform/timers.ts';
import type { CloseReason, Connection, ConnectionHandler } from '../transports/transport.ts';
import { TransportError } from '../transports/transport.ts';
import { checkedPort, nodeError, type Syscall, systemError } from './errors.ts';
import { Hold, type NetHost } from './host.ts';

export interface SocketOptions {
  /** False: the socket ends itself when the peer has ended. */
  readonly allowHalfOpen?: boolean | undefined;
  readonly highWaterMark?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Received data goes to this buffer and callback instead of the stream; returning false pauses. */
  readonly onread?: {
    readonly buffer: Uint8Array | (() => Uint8Array);
    readonly callback: (length: number, buffer: Uint8Array) => boolean;
  };
}

export interface ConnectOptions extends SocketOptions {
  readonly port: number | string;
  readonly host?: string | undefined;
  readonly localAddress?: string | undefined;
  readonly noDelay?: boolean | undefined;
  readonly keepAlive?: boolean | undefined;
  readonly keepAliveInitialDelay?: number | undefined;
  readonly timeout?: number | undefined;
  readonly lookup?: typeof systemLookup | undefined;
}

export interface AddressInfo {
  readonly address: string;
  readonly family: string;
  readonly port: number;
}

type WriteCallback = (error?: Error | null) => void;

/** Redis's and Linux's default: two hours of silence. */
const KEEP_ALIVE_MS = 7_200_000;

export class NetSocket extends Duplex {
  connecting = false;
  timeout: number | undefined;
  bytesRead = 0;
  remoteAddress: string | undefined;
  remotePort: number | undefined;
  localAddress: string | undefined;
  localPort: number | undefined;
  /** The server that accepted it. */
  server: unknown = null;

  readonly #host: NetHost;
  readonly #hold: Hold;
  readonly #onread: SocketOptions['onread'];
  readonly #handler: ConnectionHandler;
  #connection: Connection | null = null;
  #attempt: AbortController | null = null;
  /** The connection is no more; why, as the transport says it. */
  #closeReason: CloseReason | undefined;
  #resetOnDestroy = false;
  /** Chunk that the connection has not taken whole, and what to call when it has. */
  #chunk: Uint8Array | null = null;
  #chunkOffset = 0;
  #chunkDone: WriteCallback | null = null;
  #bytesTaken = 0;
  #idle: Alarm | null = null;
  #noDelay: boolean | undefined;
  #keepAliveMs: number | undefined;

  constructor(host: NetHost, options: SocketOptions = {}) {
    super({
      allowHalfOpen: options.allowHalfOpen ?? false,
      emitClose: false,
      autoDestroy: true,
      ...(options.highWaterMark === undefined ? {} : { highWaterMark: options.highWaterMark }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    this.#host = host;
    this.#hold = new Hold(host);
    this.#onread = options.onread;
    this.#handler = {
      onData: (bytes, offset, length) => {
        const copy = Buffer.allocUnsafe(length);
        copy.set(bytes.subarray(offset, offset + length));
        host.later(() => this.#received(copy));
      },
      onDrain: () => host.later(() => this.#writeOn()),
      onEnd: () => host.later(() => this.#peerEnded()),
      onClose: (reason) => host.later(() => this.#closed(reason)),
    };
  }

  // --- opening ---

  /** Takes over an accepted connection. @returns what hears of it. */
  adopt(connection: Connection): ConnectionHandler {
    this.#establish(connection);
    // Nothing is read before the application asks, as long as it has not been told of the socket.
    connection.pause();
    return this.#handler;
  }

  connect(...args: unknown[]): this {
    const { options, listener } = connectArguments(args);
    const port = checkedPort(options.port);
    if (listener !== null) this.once('connect', listener);
    if (options.noDelay !== undefined) this.setNoDelay(options.noDelay);
    if (options.keepAlive === true) this.setKeepAlive(true, options.keepAliveInitialDelay);
    if (options.timeout !== undefined) this.setTimeout(options.timeout);
    this.connecting = true;
    this.#hold.active = true;
    this.#touch();
    const host = options.host ?? 'localhost';
    if (isIP(host) !== 0) this.#open(host, port, options);
    else this.#lookUp(host, port, options);
    return this;
  }

  #lookUp(host: string, port: number, options: ConnectOptions): void {
    const lookup = options.lookup ?? systemLookup;
    lookup(host, { family: 4 }, (error, address, family) => {
      if (!this.connecting || this.destroyed) return;
      this.emit('lookup', error, address, family, host);
      if (error !== null && error !== undefined) this.destroy(error);
      else this.#open(address as string, port, options);
    });
  }

  #open(address: string, port: number, { localAddress }: ConnectOptions): void {
    this.#attempt = new AbortController();
    const { signal } = this.#attempt;
    const attach = (connection: Connection): ConnectionHandler => {
      if (this.destroyed) {
        connection.close();
        return this.#handler;
      }
      this.#establish(connection);
      this.#host.later(() => this.#connected());
      return this.#handler;
    };
    this.#host.transport.connect(address, port, attach, { signal, localAddress }).catch((error: unknown) => {
      if (this.destroyed) return;
      const code = error instanceof TransportError ? error.code : 'EIO';
      this.connecting = false;
      this.destroy(systemError(code, 'connect', address, port));
    });
  }

  #establish(connection: Connection): void {
    this.#connection = connection;
    this.#hold.active = true;
    this.remoteAddress = connection.remoteAddress;
    this.remotePort = connection.remotePort;
    this.localAddress = connection.localAddress;
    this.localPort = connection.localPort;
    if (this.#noDelay !== undefined) connection.setNoDelay(this.#noDelay);
    if (this.#keepAliveMs !== undefined) connection.setKeepAlive(this.#keepAliveMs);
  }

  #connected(): void {
    if (this.destroyed) return;
    this.connecting = false;
    this.#touch();
    this.emit('connect');
    this.emit('ready');
    // Asks for data although nobody listens yet, so that an end of the stream is noticed.
    if (!this.isPaused() && !this.destroyed) this.read(0);
  }

  // --- receiving ---

  #received(chunk: Buffer): void {
    if (this.destroyed) return;
    this.bytesRead += chunk.length;
    this.#touch();
    if (this.#onread !== undefined) this.#readInto(this.#onread, chunk);
    else if (!this.push(chunk)) this.#connection?.pause();
  }

  #readInto({ buffer, callback }: NonNullable<SocketOptions['onread']>, chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const target = typeof buffer === 'function' ? buffer() : buffer;
      const length = Math.min(target.length, chunk.length - at);
      target.set(chunk.subarray(at, at + length));
      at += length;
      if (callback(length, target) === false) this.#connection?.pause();
    }
  }

  #peerEnded(): void {
    if (this.destroyed) return;
    this.push(null);
    // With nothing to read left the end shows at once, even when nobody reads.
    this.read(0);
  }

  override _read(): void {
    if (this.connecting) this.once('connect', () => this._read());
    else this.#connection?.resume();
  }

  override pause(): this {
    if (this.#onread !== undefined) this.#connection?.pause();
    return super.pause();
  }

  override resume(): this {
    if (this.#onread !== undefined && !this.connecting) this.#connection?.resume();
    return super.resume();
  }

  // --- sending ---

  override _write(chunk: Uint8Array, encoding: BufferEncoding, callback: WriteCallback): void {
    if (this.connecting) {
      this.#whenConnected(() => this._write(chunk, encoding, callback), callback);
      return;
    }
    if (this.#connection === null || this.#closeReason !== undefined) {
      callback(this.#writeError());
      return;
    }
    this.#chunk = chunk;
    this.#chunkOffset = 0;
    this.#chunkDone = callback;
    this.#writeOn();
  }

  #writeOn(): void {
    const chunk = this.#chunk;
    if (chunk === null || this.#connection === null) return;
    const taken = this.#connection.write(chunk, this.#chunkOffset, chunk.length - this.#chunkOffset);
    if (taken > 0) this.#touch();
    this.#chunkOffset += taken;
    this.#bytesTaken += taken;
    if (this.#chunkOffset < chunk.length) return;
    const done = this.#chunkDone;
    this.#chunk = null;
    this.#chunkDone = null;
    done?.();
  }

  override _final(callback: WriteCallback): void {
    if (this.connecting) {
      this.#whenConnected(() => this._final(callback), callback);
      return;
    }
    // A half-open stream stays for as long as somebody reads it.
    this.#connection?.end(true);
    callback();
  }

  #whenConnected(then: () => void, callback: WriteCallback): void {
    const closed = (): void =>
      callback(nodeError('ERR_SOCKET_CLOSED_BEFORE_CONNECTION', 'Socket closed before the connection was established'));
    this.once('connect', () => {
      this.off('close', closed);
      then();
    });
    this.once('close', closed);
  }

  #writeError(): Error {
    if (this.#connection === null) return nodeError('ERR_SOCKET_CLOSED', 'Socket is closed');
    return systemError('EPIPE', 'write');
  }

  // --- the end ---

  #closed(reason: CloseReason): void {
    this.#closeReason = reason;
    const done = this.#chunkDone;
    this.#chunk = null;
    this.#chunkDone = null;
    if (this.destroyed) return;
    if (reason === null) {
      done?.(this.#writeError());
      if (!this.readableEnded) this.#peerEnded();
      return;
    }
    const during: Syscall = done === null ? 'read' : 'write';
    this.destroy(reason === 'ECONNABORTED' ? undefined : systemError(reason, during));
  }

  /** As Node's: the writable side is ended, and the socket destroyed when everything is written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** RST instead of FIN. */
  resetAndDestroy(): this {
    if (this.connecting) {
      this.once('connect', () => this.resetAndDestroy());
      return this;
    }
    if (this.#connection === null || this.#closeReason !== undefined) {
      this.destroy(nodeError('ERR_SOCKET_CLOSED', 'Socket is closed'));
      return this;
    }
    this.#resetOnDestroy = true;
    this.destroy();
    return this;
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.connecting = false;
    this.#attempt?.abort();
    this.#idle?.disarm();
    this.#hold.active = false;
    const connection = this.#connection;
    if (connection !== null && this.#closeReason === undefined) {
      if (this.#resetOnDestroy) connection.destroy();
      else connection.close();
    }
    this.#chunk = null;
    callback(error);
    // Behind the error event, which the stream emits in the next tick too.
    process.nextTick(() => this.emit('close', error !== null && error !== undefined));
  }

  // --- options and facts ---

  /** Calls back and emits `timeout` after `ms` without traffic; the socket stays as it is. 0: never. */
  setTimeout(ms: number, callback?: () => void): this {
    this.timeout = ms;
    if (ms > 0) {
      this.#idle ??= this.#host.createAlarm(() => {
        this.emit('timeout');
      });
      if (callback !== undefined) this.once('timeout', callback);
      this.#touch();
    } else {
      this.#idle?.disarm();
      if (callback !== undefined) this.off('timeout', callback);
    }
    return this;
  }

  #touch(): void {
    if (this.#idle !== null && this.timeout !== undefined && this.timeout > 0 && !this.destroyed) {
      this.#idle.arm(this.timeout);
    }
  }

  setNoDelay(noDelay = true): this {
    this.#noDelay = noDelay;
    this.#connection?.setNoDelay(noDelay);
    return this;
  }

  setKeepAlive(enable = false, initialDelayMs = 0): this {
    this.#keepAliveMs = enable ? (initialDelayMs > 0 ? initialDelayMs : KEEP_ALIVE_MS) : 0;
    this.#connection?.setKeepAlive(this.#keepAliveMs);
    return this;
  }

  ref(): this {
    this.#hold.wanted = true;
    return this;
  }

  unref(): this {
    this.#hold.wanted = false;
    return this;
  }

  address(): AddressInfo | Record<string, never> {
    if (this.localAddress === undefined || this.localPort === undefined) return {};
    return { address: this.localAddress, family: familyOf(this.localAddress), port: this.localPort };
  }

  get remoteFamily(): string | undefined {
    return this.remoteAddress === undefined ? undefined : familyOf(this.remoteAddress);
  }

  get localFamily(): string | undefined {
    return this.localAddress === undefined ? undefined : familyOf(this.localAddress);
  }

  /** Bytes given to `write` so far, those that still wait included. */
  get bytesWritten(): number {
    const partly = this.#chunk === null ? 0 : this.#chunkOffset;
    return this.#bytesTaken + this.writableLength - partly;
  }

  get bufferSize(): number {
    return this.writableLength;
  }

  get pending(): boolean {
    return this.#connection === null || this.connecting;
  }

  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening';
    if (this.readable && this.writable) return 'open';
    if (this.readable) return 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }
}

export function familyOf(address: string): 'IPv4' | 'IPv6' {
  return address.includes(':') ? 'IPv6' : 'IPv4';
}

/** `(options[, listener])`, `(port[, host][, listener])`. @throws TypeError */
export function connectArguments(args: readonly unknown[]): {
  options: ConnectOptions;
  listener: (() => void) | null;
} {
  const last = args.at(-1);
  const listener = typeof last === 'function' ? (last as () => void) : null;
  const [first, second] = args;
  if (typeof first === 'object' && first !== null) {
    if ('path' in first && first.path !== undefined) throw noPath();
    if (!('port' in first) || first.port === undefined) {
      throw nodeError(
        'ERR_MISSING_ARGS',
        'The "options" or "port" or "path" argument must be specified',
        TypeError as ErrorConstructor,
      );
    }
    return { options: first as ConnectOptions, listener };
  }
  if (typeof first === 'string' && Number.isNaN(Number(first))) throw noPath();
  const host = typeof second === 'string' ? second : undefined;
  return { options: { port: first as number, host }, listener };
}

function noPath(): Error {
  return nodeError('ERR_INVALID_ARG_VALUE', 'a user-space stack has no local sockets: give a port and a host');
}
