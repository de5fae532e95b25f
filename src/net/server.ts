// A listening port of the user-space stack with the shape and the manners of `net.Server`. Made by net.ts.
import { lookup } from 'node:dns/promises';
import { EventEmitter } from 'node:events';
import { type BlockList, isIP } from 'node:net';
import type { Connection, ConnectionHandler, Listener } from '../transports/transport.ts';
import { TransportError } from '../transports/transport.ts';
import { isBlocked, UNHEARD } from './dial.ts';
import { checkedPort, invalidArgument, nodeError, systemError } from './errors.ts';
import { Hold, type NetHost } from './host.ts';
import { type AddressInfo, familyOf, type NetSocket, type SocketOptions } from './socket.ts';

export interface ServerOptions {
  readonly allowHalfOpen?: boolean | undefined;
  /** The connection is handed over paused: nothing is read until `resume()`. */
  readonly pauseOnConnect?: boolean | undefined;
  readonly noDelay?: boolean | undefined;
  readonly keepAlive?: boolean | undefined;
  readonly keepAliveInitialDelay?: number | undefined;
  readonly highWaterMark?: number | undefined;
  /** Peers that are turned away. */
  readonly blockList?: BlockList | undefined;
}

export interface ListenOptions {
  readonly port?: number | string | undefined;
  readonly host?: string | undefined;
  readonly backlog?: number | undefined;
  /** `::` without IPv4. */
  readonly ipv6Only?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What Linux and Node take when nothing is said. */
const BACKLOG = 511;

export class NetServer extends EventEmitter {
  /** More connections than this are refused and told of by `drop`. */
  maxConnections: number | undefined;
  readonly #host: NetHost;
  readonly #hold: Hold;
  readonly #Socket: new (
    options?: SocketOptions,
  ) => NetSocket;
  readonly #options: ServerOptions;
  readonly #sockets = new Set<NetSocket>();
  #listener: Listener | null = null;
  /** The call of `listen` that is still being answered. */
  #opening: object | null = null;
  /** The only family that is listened to; 0: both. */
  #family = 0;
  #closing = false;

  constructor(
    host: NetHost,
    Socket: new (options?: SocketOptions) => NetSocket,
    options: ServerOptions = {},
    onConnection?: (socket: NetSocket) => void,
  ) {
    super();
    this.#host = host;
    this.#hold = new Hold(host);
    this.#Socket = Socket;
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
    if (this.#listener !== null || this.#opening !== null) {
      throw nodeError('ERR_SERVER_ALREADY_LISTEN', 'Listen method has been called more than once without closing.');
    }
    if (options.signal !== undefined) this.#closeBy(options.signal);
    if (listener !== null) this.once('listening', listener);
    const opening = {};
    this.#opening = opening;
    this.#hold.active = true;
    void this.#open(opening, port, options);
    return this;
  }

  #closeBy(signal: AbortSignal): void {
    if (!(signal instanceof AbortSignal)) throw invalidArgument('options.signal', 'AbortSignal', signal);
    const close = (): void => {
      this.close();
    };
    if (signal.aborted) {
      process.nextTick(close);
      return;
    }
    signal.addEventListener('abort', close, { once: true });
    this.once('close', () => signal.removeEventListener('abort', close));
  }

  /** Tells what came of it in a tick of its own: a listener that throws is an uncaught exception. */
  async #open(opening: object, port: number, { host, backlog, ipv6Only }: ListenOptions): Promise<void> {
    const ifWanted = (task: () => void): void =>
      process.nextTick(() => {
        if (this.#opening !== opening) return;
        this.#opening = null;
        task();
      });
    let address = host;
    try {
      address = await addressOf(host);
      this.#family = address === '0.0.0.0' ? 4 : address === '::' && ipv6Only === true ? 6 : 0;
      const listener = await this.#host.transport.listen(address, port, backlog ?? BACKLOG, this.#accept);
      if (this.#opening !== opening) {
        listener.close();
        return;
      }
      this.#listener = listener;
      ifWanted(() => this.emit('listening'));
    } catch (error) {
      ifWanted(() => {
        this.#hold.active = false;
        const told = error instanceof TransportError ? systemError(error.code, 'listen', address, port) : error;
        this.emit('error', told);
      });
    }
  }

  readonly #accept = (connection: Connection): ConnectionHandler | null => {
    const { localAddress, localPort, remoteAddress, remotePort } = connection;
    if (this.#family !== 0 && isIP(localAddress) !== this.#family) return null;
    if (isBlocked(this.#options.blockList, remoteAddress)) return this.#turnAway(connection);
    const { maxConnections } = this;
    if (typeof maxConnections === 'number' && this.#sockets.size >= maxConnections) {
      const families = { localFamily: familyOf(localAddress), remoteFamily: familyOf(remoteAddress) };
      this.#host.later(() => this.emit('drop', { localAddress, localPort, remoteAddress, remotePort, ...families }));
      return this.#turnAway(connection);
    }
    const { noDelay, keepAlive, keepAliveInitialDelay, allowHalfOpen, highWaterMark } = this.#options;
    const socket = new this.#Socket({ allowHalfOpen, highWaterMark });
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

  /** Closes a connection that nobody hears of. */
  #turnAway(connection: Connection): ConnectionHandler {
    this.#host.later(() => connection.close());
    return UNHEARD;
  }

  /** No more connections; `close` when those that exist are gone. */
  close(callback?: (error?: Error) => void): this {
    const isOpen = this.#listener !== null || this.#opening !== null;
    if (callback !== undefined) {
      this.once('close', () => {
        if (isOpen) callback();
        else callback(nodeError('ERR_SERVER_NOT_RUNNING', 'Server is not running.'));
      });
    }
    this.#listener?.close();
    this.#listener = null;
    this.#opening = null;
    this.#hold.active = false;
    this.#closing = true;
    process.nextTick(() => this.#closeIfDone());
    return this;
  }

  #closeIfDone(): void {
    if (!this.#closing || this.#listener !== null || this.#opening !== null || this.#sockets.size > 0) return;
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
    if (!('port' in first)) {
      throw nodeError('ERR_INVALID_ARG_VALUE', 'a user-space stack listens on a port: give { port }', TypeError);
    }
    return { options: first as ListenOptions, listener };
  }
  const host = words.find((word, i) => i > 0 && typeof word === 'string') as string | undefined;
  const backlog = words.find((word, i) => i > 0 && typeof word === 'number') as number | undefined;
  return { options: { port: first as number | undefined, host, backlog }, listener };
}

/** The address to listen on; `*`: all. @throws what the lookup of a name says. */
async function addressOf(host: string | undefined): Promise<string> {
  if (host === undefined || host === '') return '*';
  if (isIP(host) !== 0) return host;
  return (await lookup(host)).address;
}
