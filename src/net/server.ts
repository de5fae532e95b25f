// A listening port of the user-space stack with the shape and the manners of `net.Server`. Made by net.ts.
import { EventEmitter } from 'node:events';
import type { Connection, ConnectionHandler, Listener } from '../transports/transport.ts';
import { TransportError } from '../transports/transport.ts';
import { checkedPort, nodeError, systemError } from './errors.ts';
import { Hold, type NetHost } from './host.ts';
import { type AddressInfo, familyOf, NetSocket } from './socket.ts';

export interface ServerOptions {
  readonly allowHalfOpen?: boolean | undefined;
  /** The connection is handed over paused: nothing is read until `resume()`. */
  readonly pauseOnConnect?: boolean | undefined;
  readonly noDelay?: boolean | undefined;
  readonly keepAlive?: boolean | undefined;
  readonly keepAliveInitialDelay?: number | undefined;
  readonly highWaterMark?: number | undefined;
}

export interface ListenOptions {
  readonly port?: number | string | undefined;
  readonly host?: string | undefined;
  readonly backlog?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What Linux and Node take when nothing is said. */
const BACKLOG = 511;

/** For connections that are closed as soon as they are taken. */
const UNHEARD: ConnectionHandler = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

export class NetServer extends EventEmitter {
  /** More connections than this are refused and told of by `drop`. */
  maxConnections: number | undefined;
  readonly #host: NetHost;
  readonly #hold: Hold;
  readonly #options: ServerOptions;
  readonly #sockets = new Set<NetSocket>();
  #listener: Listener | null = null;
  #opening = false;
  /** Closed while the listener was still being opened. */
  #abandoned = false;
  #closing = false;

  constructor(host: NetHost, options: ServerOptions = {}, onConnection?: (socket: NetSocket) => void) {
    super();
    this.#host = host;
    this.#hold = new Hold(host);
    this.#options = options;
    if (onConnection !== undefined) this.on('connection', onConnection);
  }

  get listening(): boolean {
    return this.#listener !== null;
  }

  /** `([port[, host[, backlog]]][, listener])` or `(options[, listener])`. */
  listen(...args: unknown[]): this {
    const { options, listener } = listenArguments(args);
    const port = checkedPort(options.port ?? 0, 'options.port');
    if (this.#listener !== null || this.#opening) {
      throw nodeError('ERR_SERVER_ALREADY_LISTEN', 'Listen method has been called more than once without closing.');
    }
    if (listener !== null) this.once('listening', listener);
    const host = options.host === undefined || options.host === '::' ? '0.0.0.0' : options.host;
    this.#opening = true;
    this.#abandoned = false;
    this.#hold.active = true;
    options.signal?.addEventListener('abort', () => this.close());
    this.#host.transport.listen(host, port, options.backlog ?? BACKLOG, this.#accept).then(
      (opened) => this.#opened(opened),
      (error: unknown) => {
        this.#opening = false;
        this.#hold.active = false;
        const code = error instanceof TransportError ? error.code : 'EIO';
        this.emit('error', systemError(code, 'listen', host, port));
      },
    );
    return this;
  }

  #opened(listener: Listener): void {
    this.#opening = false;
    if (this.#abandoned) {
      listener.close();
      return;
    }
    this.#listener = listener;
    this.emit('listening');
  }

  readonly #accept = (connection: Connection): ConnectionHandler => {
    const { maxConnections } = this;
    if (maxConnections !== undefined && this.#sockets.size >= maxConnections) {
      const { localAddress, localPort, remoteAddress, remotePort } = connection;
      this.#host.later(() => {
        const families = { localFamily: familyOf(localAddress), remoteFamily: familyOf(remoteAddress) };
        connection.close();
        this.emit('drop', { localAddress, localPort, remoteAddress, remotePort, ...families });
      });
      return UNHEARD;
    }
    const { noDelay, keepAlive, keepAliveInitialDelay, allowHalfOpen, highWaterMark } = this.#options;
    const socket = new NetSocket(this.#host, { allowHalfOpen, highWaterMark });
    socket.server = this;
    if (noDelay !== undefined) socket.setNoDelay(noDelay);
    if (keepAlive === true) socket.setKeepAlive(true, keepAliveInitialDelay);
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#closeIfDone();
    });
    const handler = socket.adopt(connection);
    this.#host.later(() => {
      if (this.#options.pauseOnConnect === true) socket.pause();
      else socket.read(0);
      this.emit('connection', socket);
    });
    return handler;
  };

  /** No more connections; `close` when those that exist are gone. */
  close(callback?: (error?: Error) => void): this {
    if (this.#listener === null && !this.#opening) {
      const error = nodeError('ERR_SERVER_NOT_RUNNING', 'Server is not running.');
      if (callback !== undefined) process.nextTick(callback, error);
      return this;
    }
    if (callback !== undefined) this.once('close', callback);
    this.#listener?.close();
    this.#listener = null;
    this.#abandoned = this.#opening;
    this.#hold.active = false;
    this.#closing = true;
    process.nextTick(() => this.#closeIfDone());
    return this;
  }

  #closeIfDone(): void {
    if (!this.#closing || this.#sockets.size > 0) return;
    this.#closing = false;
    this.emit('close');
  }

  address(): AddressInfo | null {
    if (this.#listener === null) return null;
    const { address, port } = this.#listener;
    return { address, family: familyOf(address), port };
  }

  getConnections(callback: (error: Error | null, count: number) => void): this {
    process.nextTick(callback, null, this.#sockets.size);
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

  [Symbol.asyncDispose](): Promise<void> {
    return new Promise((resolve) => {
      this.close(() => resolve());
    });
  }
}

function listenArguments(args: readonly unknown[]): { options: ListenOptions; listener: (() => void) | null } {
  const last = args.at(-1);
  const listener = typeof last === 'function' ? (last as () => void) : null;
  const words = listener === null ? args : args.slice(0, -1);
  const [first] = words;
  if (typeof first === 'object' && first !== null) {
    if ('path' in first || 'fd' in first) {
      throw nodeError('ERR_INVALID_ARG_VALUE', 'a user-space stack listens on a port: give { port }');
    }
    return { options: first, listener };
  }
  const host = words.find((word, i) => i > 0 && typeof word === 'string') as string | undefined;
  const backlog = words.find((word, i) => i > 0 && typeof word === 'number') as number | undefined;
  return { options: { port: first as number | undefined, host, backlog }, listener };
}
