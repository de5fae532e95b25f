// `net` over a transport of ours: what `node:net` exports, as an object, since there can be several stacks in a process.
// `index.ts` makes one from a netdev.conf; tests make one over a memory wire.
import nodeNet from 'node:net';
import type { Scheduler } from '../platform/timers.ts';
import type { Transport } from '../transports/transport.ts';
import { NetHost } from './host.ts';
import { NetServer, type ServerOptions } from './server.ts';
import { type ConnectOptions, connectArguments, NetSocket, type SocketOptions } from './socket.ts';

/** Connections that are still open when `close` is called have this long to end in order. */
const CLOSE_GRACE_MS = 2000;

export class Net {
  /** As `net.Socket` and `net.Server`, of this stack. */
  readonly Socket: new (
    options?: SocketOptions,
  ) => NetSocket;
  readonly Server: new (
    options?: ServerOptions,
    onConnection?: (socket: NetSocket) => void,
  ) => NetServer;
  /** What does not depend on a stack is Node's own; the defaults for `autoSelectFamily` hold for both. */
  readonly isIP = nodeNet.isIP;
  readonly isIPv4 = nodeNet.isIPv4;
  readonly isIPv6 = nodeNet.isIPv6;
  readonly BlockList = nodeNet.BlockList;
  readonly SocketAddress = nodeNet.SocketAddress;
  readonly getDefaultAutoSelectFamily = nodeNet.getDefaultAutoSelectFamily;
  readonly setDefaultAutoSelectFamily = nodeNet.setDefaultAutoSelectFamily;
  readonly getDefaultAutoSelectFamilyAttemptTimeout = nodeNet.getDefaultAutoSelectFamilyAttemptTimeout;
  readonly setDefaultAutoSelectFamilyAttemptTimeout = nodeNet.setDefaultAutoSelectFamilyAttemptTimeout;
  readonly #transport: Transport;
  readonly #host: NetHost;

  constructor(transport: Transport, scheduler: Scheduler) {
    const host = new NetHost(transport, scheduler);
    this.#host = host;
    this.#transport = transport;
    const Socket = class Socket extends NetSocket {
      constructor(options?: SocketOptions) {
        super(host, options);
      }
    };
    this.Socket = Socket;
    this.Server = class Server extends NetServer {
      constructor(options?: ServerOptions, onConnection?: (socket: NetSocket) => void) {
        super(host, Socket, options, onConnection);
      }
    };
  }

  /** `([options][, onConnection])`. Bound: it can be handed on by itself, as can `connect`. */
  readonly createServer = (
    options?: ServerOptions | ((socket: NetSocket) => void),
    onConnection?: (socket: NetSocket) => void,
  ): NetServer => {
    if (typeof options === 'function') return new this.Server({}, options);
    return new this.Server(options, onConnection);
  };

  /** `(options[, listener])` or `(port[, host][, listener])`. */
  readonly connect = (...args: [options: ConnectOptions | number | string, ...unknown[]]): NetSocket => {
    const { options } = connectArguments(args);
    const socket = new this.Socket(options);
    return socket.connect(...args);
  };

  readonly createConnection = this.connect;

  /** From within a callback that goes on for long: tells sockets what has arrived for them by `Transport.serveNow`. */
  serveNow(): void {
    this.#host.runLater();
  }

  /** Ends every connection, gives the interface back. */
  close(): Promise<void> {
    return this.#transport.close(CLOSE_GRACE_MS);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
