// A connection of our stack as the transport's users see it, and what the stack tells of it. Only userspace.ts imports this.
import { CLOSE_REASONS } from '../../stack/close-reasons.ts';
import { isIpv6 } from '../../stack/ipv6-book.ts';
import type { Socket, SocketEvents } from '../../stack/socket.ts';
import type { Stack } from '../../stack/stack.ts';
import type { Connection, ConnectionHandler } from './transport.ts';

/** What a peer may go on sending to a session that is over. */
const LINGER_BYTES_MAX = 64 * 1024;

/** One object for every connection, so that the stack's calls stay monomorphic; `socket.user` says whose. */
export class ConnectionEvents implements SocketEvents {
  readonly #onGone: (connection: UserspaceConnection) => void;

  constructor(onGone: (connection: UserspaceConnection) => void) {
    this.#onGone = onGone;
  }

  onOpen(): void {}

  onReadable(socket: Socket, bytes: Uint8Array, offset: number, length: number): number {
    (socket.user as UserspaceConnection).handler.onData(bytes, offset, length);
    return length;
  }

  onWritable(socket: Socket): void {
    (socket.user as UserspaceConnection).handler.onDrain();
  }

  onEnd(socket: Socket): void {
    (socket.user as UserspaceConnection).handler.onEnd();
  }

  onClose(socket: Socket, reason: number): void {
    const connection = socket.user as UserspaceConnection;
    connection.keepAddress();
    this.#onGone(connection);
    connection.handler.onClose(CLOSE_REASONS[reason]);
  }
}

export class UserspaceConnection implements Connection {
  readonly socket: Socket;
  readonly #stack: Stack;
  /** Null: the stack still knows. */
  #remoteAddress: string | null = null;
  /** None until the connection is taken. */
  handler!: ConnectionHandler;

  constructor(socket: Socket, stack: Stack) {
    this.socket = socket;
    this.#stack = stack;
  }

  /** From its end on the stack may give the number of an IPv6 address to another one. */
  keepAddress(): void {
    if (isIpv6(this.socket.remoteIp)) this.#remoteAddress = this.remoteAddress;
  }

  get remoteAddress(): string {
    return this.#remoteAddress ?? this.#stack.ip.format(this.socket.remoteIp);
  }

  get remotePort(): number {
    return this.socket.remotePort;
  }

  get localAddress(): string {
    return this.#stack.ip.format(this.socket.localIp);
  }

  get localPort(): number {
    return this.socket.localPort;
  }

  get queuedBytes(): number {
    return this.socket.queuedBytes;
  }

  write(bytes: Uint8Array, offset: number, length: number): number {
    return this.socket.write(bytes, offset, length);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  end(patient = false): void {
    this.socket.end();
    if (!patient) this.socket.letGo();
  }

  destroy(): void {
    this.socket.abort();
  }

  close(): void {
    this.handler = orphan(this.socket);
    this.socket.end();
    this.socket.letGo();
    this.socket.resume();
  }

  setNoDelay(noDelay: boolean): void {
    this.socket.setNoDelay(noDelay);
  }

  setKeepAlive(idleMs: number): void {
    this.socket.setKeepAlive(idleMs);
  }
}

/** Nobody reads any more: data that comes is answered with RST (RFC 9293 3.10.7.1, RFC 1122 4.2.2.13). */
function orphan(socket: Socket): ConnectionHandler {
  return { onData: () => socket.abort(), onDrain() {}, onEnd() {}, onClose() {} };
}

/** Whose session was over before its connection was: the rest is dropped, up to a limit. */
export function lingering(socket: Socket): ConnectionHandler {
  let dropped = 0;
  const onData = (_bytes: Uint8Array, _offset: number, length: number): void => {
    dropped += length;
    if (dropped > LINGER_BYTES_MAX) socket.abort();
  };
  return { onData, onDrain() {}, onEnd: () => socket.end(), onClose() {} };
}
