// Node's `net` and ours on one bench: servers, dialled sockets and pairs of them, all gone when the bench is closed. For the
// suites of what Node documents.
import { once } from 'node:events';
import nodeNet from 'node:net';
import type { NetServer, ServerOptions } from '../../src/net/server.ts';
import type { NetSocket } from '../../src/net/socket.ts';
import { openNetPair } from './net-pair.ts';

/** Both have this shape; ours says so by its types, Node's by its documentation. */
export interface NetSide {
  createServer(options?: ServerOptions, onConnection?: (socket: NetSocket) => void): NetServer;
  connect(...args: unknown[]): NetSocket;
  readonly Socket: new (options?: object) => NetSocket;
  readonly Server: new (options?: object) => NetServer;
  readonly BlockList: typeof nodeNet.BlockList;
}

export class NetBench {
  readonly server: NetSide;
  readonly client: NetSide;
  /** The server's address. */
  readonly host: string;
  readonly cleanup: (() => unknown)[] = [];
  readonly #close: () => Promise<void>;

  constructor(server: NetSide, client: NetSide, host: string, close: () => Promise<void>) {
    this.server = server;
    this.client = client;
    this.host = host;
    this.#close = close;
  }

  /** A server on a free port; its sockets are destroyed at the end of the test. */
  async serve(options: ServerOptions, onConnection: (socket: NetSocket) => void): Promise<[NetServer, number]> {
    const server = this.server.createServer(options, (socket) => {
      this.cleanup.push(() => socket.destroy());
      socket.on('error', () => {});
      onConnection(socket);
    });
    server.listen(0, this.host);
    await once(server, 'listening');
    this.cleanup.push(() => server.close());
    return [server, (server.address() as { port: number }).port];
  }

  dial(port: number, options: object = {}): NetSocket {
    const socket = this.client.connect({ port, host: this.host, ...options });
    this.cleanup.push(() => socket.destroy());
    return socket;
  }

  /** A pair of connected sockets. */
  async pair(options: ServerOptions = {}, clientOptions: object = {}): Promise<[NetSocket, NetSocket]> {
    let accepted!: (socket: NetSocket) => void;
    const far = new Promise<NetSocket>((resolve) => {
      accepted = resolve;
    });
    const [, port] = await this.serve(options, accepted);
    const near = this.dial(port, clientOptions);
    near.on('error', () => {});
    await once(near, 'connect');
    return [near, await far];
  }

  async close(): Promise<void> {
    for (const undo of this.cleanup) undo();
    await this.#close();
  }
}

function openNode(): NetBench {
  const side = nodeNet as unknown as NetSide;
  return new NetBench(side, side, '127.0.0.1', async () => {});
}

function openOurs(): NetBench {
  const pair = openNetPair();
  const side = (net: unknown): NetSide => net as NetSide;
  return new NetBench(side(pair.server), side(pair.client), pair.host, () => pair.close());
}

/** For `describe.each`. */
export const NET_SIDES: readonly (readonly [name: string, open: () => NetBench])[] = [
  ['node:net', openNode],
  ['wiredis/net', openOurs],
];

export async function text(socket: NetSocket): Promise<string> {
  let all = '';
  for await (const chunk of socket) all += String(chunk);
  return all;
}

export const tick = (): Promise<void> => new Promise((done) => setImmediate(done));
