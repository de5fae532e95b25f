// A TCP connection of the user-space stack with the shape and the manners of `net.Socket`: a Duplex stream over one
// connection of the transport. Made by net.ts (`connect`) and server.ts (accepted); applications see it as `net.Socket`.
import { Duplex } from 'node:stream';
import type { Alarm } from '../platform/timers.ts';
import type { CloseReason, Connection, ConnectionHandler } from '../transports/transport.ts';
import { checkDialOptions, Dial, type DialOptions } from './dial.ts';
import { checkedDuration, checkedPort, invalidArgument, nodeError, type Syscall, systemError } from './errors.ts';
import { Hold, type NetHost } from './host.ts';
import { IntoBuffer, type OnRead } from './into-buffer.ts';

export interface SocketOptions {
  /** False: the socket ends itself when the peer has ended. */
  readonly allowHalfOpen?: boolean | undefined;
  readonly highWaterMark?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Received data goes to this buffer and callback instead of the stream. */
  readonly onread?: OnRead | undefined;
}

export interface ConnectOptions extends SocketOptions, Omit<DialOptions, 'port' | 'localPort'> {
  readonly port: number | string;
  readonly localPort?: number | string | undefined;
  readonly noDelay?: boolean | undefined;
  readonly keepAlive?: boolean | undefined;
  readonly keepAliveInitialDelay?: number | undefined;
  readonly timeout?: number | undefined;
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
  /** `address:port` of what was tried, when there was a choice. */
  autoSelectFamilyAttemptedAddresses: string[] | undefined;

  readonly #host: NetHost;
  readonly #hold: Hold;
  readonly #intoBuffer: IntoBuffer | null;
  #handler: ConnectionHandler;
  #connection: Connection | null = null;
  #dial: Dial | null = null;
  /** The connection is no more; why, as the transport says it. */
  #closeReason: CloseReason | undefined;
  #resetOnDestroy = false;
  /** The peer has: nothing more comes. */
  #hasEnded = false;
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
    this.#intoBuffer = options.onread === undefined ? null : new IntoBuffer(options.onread);
    this.#handler = this.#listen();
  }

  /** What hears of a connection, for as long as it is this socket's. */
  #listen(): ConnectionHandler {
    const later = (task: () => void): void =>
      this.#host.later(() => {
        if (this.#handler === handler) task();
      });
    const handler: ConnectionHandler = {
      onData: (bytes, offset, length) => {
        const copy = Buffer.allocUnsafe(length);
        copy.set(bytes.subarray(offset, offset + length));
        later(() => this.#received(copy));
      },
      onDrain: () => later(() => this.#writeOn()),
      onEnd: () => later(() => this.#peerEnded()),
      onClose: (reason) => later(() => this.#closed(reason)),
    };
    return handler;
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
    const dialOptions = {
      ...options,
      port: checkedPort(options.port),
      localPort: options.localPort === undefined ? undefined : checkedPort(options.localPort, 'options.localPort'),
    };
    checkDialOptions(dialOptions);
    if (this.destroyed) this.#beginAgain();
    if (listener !== null) this.once('connect', listener);
    if (options.noDelay !== undefined) this.setNoDelay(options.noDelay);
    if (options.keepAlive === true) this.setKeepAlive(true, options.keepAliveInitialDelay);
    if (options.timeout !== undefined) this.setTimeout(options.timeout);
    this.connecting = true;
    this.#hold.active = true;
    this.#touch();
    this.#dial = new Dial(this.#host, this, dialOptions);
    this.#dial.start();
    return this;
  }

  /** A socket that was closed is used for another connection: nothing of the old one is left. */
  #beginAgain(): void {
    // As Node's own sockets do it: the streams' state is put back by this method, which every stream has.
    (this as unknown as { _undestroy(): void })._undestroy();
    this.#handler = this.#listen();
    this.#connection = null;
    this.#closeReason = undefined;
    this.#resetOnDestroy = this.#hasEnded = false;
    this.#bytesTaken = 0;
    this.bytesRead = 0;
    this.remoteAddress = this.remotePort = this.localAddress = this.localPort = undefined;
    this.autoSelectFamilyAttemptedAddresses = undefined;
  }

  /** Takes over the connection that was dialled for. @returns what hears of it. */
  dialled(connection: Connection): ConnectionHandler {
    this.#dial = null;
    this.#establish(connection);
    const handler = this.#handler;
    this.#host.later(() => {
      if (this.#handler === handler) this.#connected();
    });
    return handler;
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
    if (this.#intoBuffer === null) {
      if (!this.push(chunk)) this.#connection?.pause();
    } else {
      this.#intoBuffer.add(chunk);
      this.#fillBuffer(this.#intoBuffer);
    }
  }

  /** Hands over what has come, until the program has enough. */
  #fillBuffer(into: IntoBuffer): void {
    while (into.hasMore && !this.isPaused() && !this.destroyed) {
      if (!into.handOver()) this.pause();
    }
    if (!into.hasMore && this.#hasEnded && !this.destroyed) this.#endReading();
  }

  #peerEnded(): void {
    this.#hasEnded = true;
    if (!this.destroyed && this.#intoBuffer?.hasMore !== true) this.#endReading();
  }

  #endReading(): void {
    this.push(null);
    // With nothing to read left the end shows at once, even when nobody reads.
    this.read(0);
  }

  override _read(): void {
    if (this.connecting) this.once('connect', () => this._read());
    else this.#connection?.resume();
  }

  override pause(): this {
    if (this.#intoBuffer !== null) this.#connection?.pause();
    return super.pause();
  }

  override resume(): this {
    super.resume();
    const into = this.#intoBuffer;
    if (into !== null && !this.connecting) {
      if (into.hasMore) process.nextTick(() => this.#fillBuffer(into));
      this.#connection?.resume();
    }
    return this;
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
    this.#dial?.abort();
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
    const timeout = checkedDuration(ms);
    if (callback !== undefined && typeof callback !== 'function') {
      throw invalidArgument('callback', 'function', callback);
    }
    if (this.destroyed) return this;
    this.timeout = timeout;
    if (timeout > 0) {
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
    return this.#connection === null || this.connecting || this.destroyed;
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
