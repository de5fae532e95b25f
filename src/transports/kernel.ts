// The transport over the kernel's sockets, by node:net. What the handlers write during a tick is gathered per
// connection and handed to the kernel together, after `beforeOutput`.
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server as NetServer, Socket } from 'node:net';
import type { ServerClock } from '../platform/clock.ts';
import type { Scheduler } from '../platform/timers.ts';
import type {
  Acceptor,
  CloseReason,
  Connection,
  ConnectionHandler,
  ConnectOptions,
  Listener,
  Transport,
} from './transport.ts';
import { TransportError } from './transport.ts';

/** Bytes taken per connection that the kernel has not; more is refused until it drains. */
const QUEUE_MAX = 256 * 1024;
const STAGING_LENGTH = 16 * 1024;
/** Taken at once from a connection, and connections at once, in the middle of a tick. */
const RECEIVE_LENGTH = 64 * 1024;
const ACCEPTS_MAX = 100;

/** System calls that do not go by way of the event loop. */
export interface SocketCalls {
  /** @returns bytes; 0 at the end, negative when there is nothing. */
  receiveNow(fd: number, into: Uint8Array): number;
  /** @returns a descriptor, or a negative number. */
  acceptNow(fd: number): number;
  /** FIN behind what the kernel has taken. @returns negative when it could not. */
  endNow(fd: number): number;
}

export interface KernelParts {
  readonly clock: ServerClock;
  readonly scheduler: Scheduler;
  /** Seconds of silence before the kernel probes the peer; 0: never. */
  readonly keepAliveSeconds: () => number;
  /** Without them nobody is served in the middle of a tick, and a FIN may follow a later reply to another client. */
  readonly calls?: SocketCalls;
}

export class KernelTransport implements Transport {
  readonly name = 'kernel';
  beforeOutput: () => void = () => {};

  readonly #parts: KernelParts;
  readonly #connections = new Set<KernelConnection>();
  readonly #listeners = new Map<NetServer, Acceptor>();
  #dirty: KernelConnection[] = [];
  #tickOpen = false;

  constructor(parts: KernelParts) {
    this.#parts = parts;
  }

  listen(address: string, port: number, backlog: number, acceptor: Acceptor): Promise<Listener> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const connection = this.#adopt(socket);
      connection.attach(acceptor(connection));
    });
    const host = address === '*' ? '0.0.0.0' : address;
    return new Promise((resolve, reject) => {
      server.once('error', (error) => reject(asTransportError(error)));
      // An IPv6 address must not take the IPv4 one's connections: both are listened on by name.
      server.listen({ host, port, backlog, ipv6Only: true }, () => {
        this.#listeners.set(server, acceptor);
        const bound = server.address();
        resolve({
          address: host,
          port: bound !== null && typeof bound === 'object' ? bound.port : port,
          close: () => {
            this.#listeners.delete(server);
            server.close();
          },
        });
      });
    });
  }

  /**
   * Takes local connections on a socket file, replacing one that is left over.
   * @param mode permissions of the file; 0: as the umask has it.
   */
  listenLocal(path: string, mode: number, backlog: number, acceptor: Acceptor): Promise<Listener> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const connection = this.#adopt(socket, localEnds(path));
      connection.attach(acceptor(connection));
    });
    return new Promise((resolve, reject) => {
      const refuse = (error: Error): void => reject(localSocketError(path, error));
      try {
        rmSync(path, { force: true });
      } catch (error) {
        refuse(error as Error);
        return;
      }
      server.once('error', refuse);
      server.listen({ path, backlog }, () => {
        if (mode !== 0) chmodSync(path, mode);
        this.#listeners.set(server, acceptor);
        const close = (): void => {
          this.#listeners.delete(server);
          server.close();
        };
        resolve({ address: path, port: 0, close });
      });
    });
  }

  /** Makes a connection of a stream that is put over another socket, whose addresses it has. */
  adoptSocket(socket: Socket, below: Socket, acceptor: Acceptor): void {
    const connection = this.#adopt(socket, below);
    connection.below = below;
    connection.attach(acceptor(connection));
  }

  connect(
    address: string,
    port: number,
    attach: (connection: Connection) => ConnectionHandler,
    { signal, localAddress, localPort }: ConnectOptions = {},
  ): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = new Socket({ allowHalfOpen: true });
      socket.setNoDelay(true);
      const giveUp = (): void => {
        socket.destroy();
        reject(new TransportError('ECONNABORTED', `connect to ${address}:${port} was given up`));
      };
      signal?.addEventListener('abort', giveUp);
      const refused = (error: Error): void => reject(asTransportError(error));
      socket.once('error', refused);
      socket.connect({ port, host: address, localAddress, localPort }, () => {
        socket.off('error', refused);
        signal?.removeEventListener('abort', giveUp);
        const connection = this.#adopt(socket);
        connection.attach(attach(connection));
        resolve(connection);
      });
    });
  }

  async close(graceMs: number): Promise<void> {
    for (const server of this.#listeners.keys()) server.close();
    this.#listeners.clear();
    if (this.#connections.size === 0) return;
    for (const connection of this.#connections) connection.end();
    await new Promise<void>((resolve) => {
      const alarm = this.#parts.scheduler.createAlarm(() => {
        for (const connection of this.#connections) connection.destroy();
        resolve();
      });
      this.#onIdle = () => {
        alarm.disarm();
        resolve();
      };
      alarm.arm(graceMs);
    });
  }

  ref(): void {
    for (const server of this.#listeners.keys()) server.ref();
    for (const connection of this.#connections) connection.ref();
  }

  unref(): void {
    for (const server of this.#listeners.keys()) server.unref();
    for (const connection of this.#connections) connection.unref();
  }

  #onIdle: () => void = () => {};

  #adopt(socket: Socket, ends: Ends = socket): KernelConnection {
    const seconds = this.#parts.keepAliveSeconds();
    if (seconds > 0) socket.setKeepAlive(true, seconds * 1000);
    const connection = new KernelConnection(this, socket, ends);
    this.#connections.add(connection);
    return connection;
  }

  /** The first event of a tick moves the clock and asks for the flush at its end. */
  openTick(): void {
    if (this.#tickOpen) return;
    this.#tickOpen = true;
    this.#parts.clock.update();
    this.#parts.scheduler.soon(this.#turn);
  }

  /**
   * The kernel lists a connection that it told of last before those that came since, until it is asked again: the event
   * loop asks once more before anybody is answered. Without it who was served last, and asks again at once, is served
   * before others who had sent earlier, where the process had to wait for a core.
   */
  readonly #turn = (): void => {
    this.#parts.scheduler.soon(this.#closeTick);
  };

  readonly #closeTick = (): void => {
    this.#tickOpen = false;
    this.#output();
  };

  /**
   * The event loop reads sockets only when it is returned to: here they are read past it. Node's own sockets hold
   * nothing back, as they flow, so that the order of bytes is kept.
   */
  serveNow(): void {
    const { calls } = this.#parts;
    if (calls === undefined) return;
    for (const [server, acceptor] of this.#listeners) this.#acceptNow(calls, server, acceptor);
    this.#buffer ??= new Uint8Array(RECEIVE_LENGTH);
    for (const connection of this.#connections) connection.receiveNow(calls, this.#buffer);
    this.#output();
  }

  #buffer: Uint8Array | null = null;

  #acceptNow(calls: SocketCalls, server: NetServer, acceptor: Acceptor): void {
    const listening = descriptorOf(server);
    for (let left = ACCEPTS_MAX; left > 0 && listening >= 0; left--) {
      const fd = calls.acceptNow(listening);
      if (fd < 0) return;
      const socket = new Socket({ fd, allowHalfOpen: true });
      socket.setNoDelay(true);
      const path = server.address();
      const connection = this.#adopt(socket, typeof path === 'string' ? localEnds(path) : socket);
      connection.attach(acceptor(connection));
    }
  }

  #output(): void {
    this.beforeOutput();
    const dirty = this.#dirty;
    this.#dirty = [];
    for (let i = 0; i < dirty.length; i++) dirty[i].flush();
  }

  endNow(fd: number): void {
    if (fd >= 0) this.#parts.calls?.endNow(fd);
  }

  markDirty(connection: KernelConnection): void {
    this.#dirty.push(connection);
    this.openTick();
  }

  forget(connection: KernelConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#onIdle();
  }
}

/** Node's handle of a socket knows its descriptor. @returns -1 when it has none. */
function descriptorOf(owner: NetServer | Socket): number {
  const { _handle } = owner as unknown as { _handle: { fd?: number } | null };
  return _handle?.fd ?? -1;
}

/**
 * Node's TLS takes bytes as if it had read them itself, and tells what they said before this returns. It sends one
 * reply where none is on its way; further ones leave when the event loop is returned to.
 */
function receiveEncrypted(socket: Socket, bytes: Buffer): void {
  const { _handle } = socket as unknown as { _handle: { receive?(bytes: Buffer): void } | null };
  _handle?.receive?.(bytes);
}

/** Silence after our FIN until the peer is taken for gone. */
const FIN_WAIT_2_MS = 60_000;

/** Who is at the two ends of a connection. */
interface Ends {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

/** As Redis shows them: the path stands for both. */
function localEnds(path: string): Ends {
  return { remoteAddress: path, remotePort: 0, localAddress: path, localPort: 0 };
}

class KernelConnection implements Connection {
  /** The socket that carries this one's bytes, encrypted; null: it is the kernel's own. */
  below: Socket | null = null;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly #transport: KernelTransport;
  readonly #socket: Socket;
  #handler: ConnectionHandler | null = null;
  /** Written in this tick. */
  #staged: Uint8Array[] = [];
  #tail: Buffer | null = null;
  #tailLength = 0;
  #stagedBytes = 0;
  #dirty = false;
  #drainWanted = false;
  #ending = false;
  #patient = false;
  #paused = false;
  #closed = false;
  #reason: CloseReason = null;

  constructor(transport: KernelTransport, socket: Socket, ends: Ends) {
    this.#transport = transport;
    this.#socket = socket;
    this.remoteAddress = ends.remoteAddress ?? '';
    this.remotePort = ends.remotePort ?? 0;
    this.localAddress = ends.localAddress ?? '';
    this.localPort = ends.localPort ?? 0;
  }

  attach(handler: ConnectionHandler | null): void {
    const socket = this.#socket;
    this.#handler = this.#closed ? null : handler;
    socket.on('data', (chunk: Buffer) => {
      this.#transport.openTick();
      this.#handler?.onData(chunk, 0, chunk.length);
    });
    socket.on('end', () => this.#handler?.onEnd());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#reason = error.code === 'ETIMEDOUT' || error.code === 'EHOSTUNREACH' ? error.code : 'ECONNRESET';
    });
    socket.on('close', () => {
      this.#transport.forget(this);
      this.#handler?.onClose(this.#reason);
      this.#handler = null;
    });
    if (handler === null) this.#reset();
  }

  /** What has arrived, once; its end is left for the event loop to see. */
  receiveNow(calls: SocketCalls, buffer: Uint8Array): void {
    const fd = this.#paused || this.#socket.destroyed ? -1 : descriptorOf(this.below ?? this.#socket);
    const length = fd < 0 ? 0 : calls.receiveNow(fd, buffer);
    if (length <= 0) return;
    if (this.below === null) this.#handler?.onData(buffer, 0, length);
    else receiveEncrypted(this.#socket, Buffer.from(buffer.subarray(0, length)));
  }

  get queuedBytes(): number {
    return this.#stagedBytes + this.#socket.writableLength;
  }

  write(bytes: Uint8Array, offset: number, length: number): number {
    if (this.#ending || this.#socket.destroyed) return length;
    const taken = Math.max(0, Math.min(length, QUEUE_MAX - this.queuedBytes));
    if (taken < length) this.#drainWanted = true;
    if (taken > 0) this.#stage(bytes, offset, taken);
    this.#markDirty(); // also when nothing was taken: it is the flush that waits for room
    return taken;
  }

  #stage(bytes: Uint8Array, offset: number, length: number): void {
    this.#stagedBytes += length;
    const tail = this.#tail;
    if (tail !== null && this.#tailLength + length <= tail.length) {
      tail.set(bytes.subarray(offset, offset + length), this.#tailLength);
      this.#tailLength += length;
      return;
    }
    this.#closeTail();
    // The first piece of a tick is usually all there is: exactly its size.
    const first = this.#staged.length === 0;
    this.#tail = Buffer.allocUnsafe(first ? length : Math.max(length, STAGING_LENGTH));
    this.#tail.set(bytes.subarray(offset, offset + length));
    this.#tailLength = length;
  }

  #closeTail(): void {
    if (this.#tail !== null) this.#staged.push(this.#tail.subarray(0, this.#tailLength));
    this.#tail = null;
  }

  #markDirty(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    this.#transport.markDirty(this);
  }

  /** Hands this tick's output to the kernel. */
  flush(): void {
    this.#dirty = false;
    this.#closeTail();
    const staged = this.#staged;
    this.#staged = [];
    this.#stagedBytes = 0;
    const socket = this.#socket;
    if (socket.destroyed) return;
    if (staged.length === 1) socket.write(staged[0]);
    else if (staged.length > 1) {
      socket.cork();
      for (const piece of staged) socket.write(piece);
      socket.uncork();
    }
    if (this.#ending) this.#finish();
    else if (this.#drainWanted) this.#awaitDrain();
  }

  /** FIN. As our own stack does in FIN-WAIT-2, a peer that then says nothing and never ends is cut off. */
  #finish(): void {
    const socket = this.#socket;
    // The event loop sends a FIN at its next turn, but who is told in this tick that a client was closed may rely on it.
    if (this.below === null && socket.writableLength === 0) this.#transport.endNow(descriptorOf(socket));
    socket.end();
    if (!this.#patient) socket.setTimeout(FIN_WAIT_2_MS, () => this.#reset());
  }

  #awaitDrain(): void {
    this.#drainWanted = false;
    // The callback of an empty write comes when everything before it has been taken.
    this.#socket.write('', () => {
      this.#transport.openTick();
      this.#handler?.onDrain();
    });
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#socket.resume();
  }

  end(patient = false): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#patient = patient;
    this.#markDirty();
  }

  destroy(): void {
    if (this.#socket.destroyed) return;
    this.#reason = 'ECONNABORTED';
    this.#reset();
  }

  /** RST where there is such a thing: a socket file knows none, and TLS leaves it to what is below. */
  #reset(): void {
    const carrier = this.below ?? this.#socket;
    if (this.remotePort === 0) carrier.destroy();
    else carrier.resetAndDestroy();
    this.#socket.destroy();
  }

  close(): void {
    this.#closed = true;
    this.#handler = null;
    if (this.#dirty) this.flush();
    this.#socket.destroySoon();
  }

  setNoDelay(noDelay: boolean): void {
    this.#socket.setNoDelay(noDelay);
  }

  setKeepAlive(idleMs: number): void {
    this.#socket.setKeepAlive(idleMs > 0, idleMs);
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }
}

const EXPLANATIONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there: choose another port or stop it',
  EADDRNOTAVAIL: 'this host has no such address: check `bind`',
  EACCES: 'ports below 1024 need root or CAP_NET_BIND_SERVICE',
  ECONNREFUSED: 'nothing listens there',
};

function asTransportError(error: NodeJS.ErrnoException & { address?: string; port?: number }): TransportError {
  const code = error.code ?? 'EIO';
  const why = EXPLANATIONS[code] ?? error.message;
  return new TransportError(code, `${error.address ?? ''}:${error.port ?? ''}: ${why} (${code})`);
}

function localSocketError(path: string, error: NodeJS.ErrnoException): TransportError {
  const code = error.code ?? 'EIO';
  // libuv says EACCES for a folder that is not there, too.
  const why = code === 'EACCES' ? 'is the folder there, and may we write to it? check `unixsocket`' : error.message;
  return new TransportError(code, `${path}: ${why} (${code})`);
}
