// The shim: one end of a TCP connection as an application holds it. A socket is its own object, never reused, so that
// a handle kept too long reaches nothing. Used by whoever uses the stack; made by stack/tcp and stack.ts.
import { type Connection, ESTABLISHED, FIN_WAIT_2 } from './tcp/connection.ts';
import { abort, resume } from './tcp/deliver.ts';
import { sendSpace } from './tcp/receive-space.ts';
import { armFinWait2, armKeepalive } from './tcp/timers.ts';

/** What a socket tells its owner, during `Stack.poll()` only. Handlers never throw; they may call any method. */
export interface SocketEvents {
  /** The connection is established. */
  onOpen(socket: Socket): void;
  /**
   * Received bytes in stream order, readable only during the call.
   * @returns how many were taken; the rest is offered again with the next that comes, or after `resume()`.
   */
  onReadable(socket: Socket, bytes: Uint8Array, offset: number, length: number): number;
  /** There is room again after a `write` that took less than it was given. */
  onWritable(socket: Socket): void;
  /** The peer sent FIN and everything before it was read. Writing still works. */
  onEnd(socket: Socket): void;
  /** Gone; called exactly once, last. @param reason a CLOSE_* code, 0: both sides closed in order. */
  onClose(socket: Socket, reason: number): void;
}

const NO_EVENTS: SocketEvents = {
  onOpen() {},
  onReadable: (_socket, _bytes, _offset, length) => length,
  onWritable() {},
  onEnd() {},
  onClose() {},
};

/** How long a connection nobody owns any more may stay without the peer taking anything. */
const ORPHAN_TIMEOUT_MS = 60_000;

export class Socket {
  /** int32, as are all addresses here. */
  readonly localIp: number;
  readonly localPort: number;
  readonly remoteIp: number;
  readonly remotePort: number;
  /** For the owner. */
  user: unknown = null;
  /** Set by the stack when `accept` or `connect` gave them. */
  events: SocketEvents = NO_EVENTS;
  /** The stack's side of it; null once closed. */
  connection: Connection | null;

  constructor(connection: Connection) {
    this.connection = connection;
    this.localIp = connection.localIp;
    this.localPort = connection.localPort;
    this.remoteIp = connection.remoteIp;
    this.remotePort = connection.remotePort;
  }

  /** Bytes written that the peer has not acknowledged. */
  get queuedBytes(): number {
    return this.connection === null ? 0 : this.connection.sendRing.length;
  }

  get isOpen(): boolean {
    return this.connection !== null && this.connection.state >= ESTABLISHED;
  }

  /**
   * Takes as many bytes as there is room for, to be sent with the next flush; before the connection is established
   * they wait. The range may be reused at once.
   * @returns bytes taken; less than `length` means that `onWritable` follows (unless the socket is ended or gone).
   */
  write(bytes: Uint8Array, offset: number, length: number): number {
    const c = this.connection;
    if (c === null || c.finQueued || c.state === 0 || length <= 0) return 0;
    const { tcp } = c;
    const space = sendSpace(tcp, c);
    const taken = c.sendRing.append(tcp.blocks, space, bytes, offset, length);
    if (taken < length) {
      c.writeBlocked = true;
      if (c.sendRing.length <= space >> 1) tcp.starve(c);
    }
    if (taken > 0) tcp.markDirty(c);
    return taken;
  }

  /** No more `onReadable`: what comes stays in the receive buffer until the window is closed. */
  pause(): void {
    if (this.connection !== null) this.connection.paused = true;
  }

  /** Offers what is unread again, with the next poll, and opens the window as it is taken. */
  resume(): void {
    const c = this.connection;
    if (c !== null) resume(c.tcp, c);
  }

  /** FIN behind everything written. Receiving goes on until the peer ends too. */
  end(): void {
    const c = this.connection;
    if (c === null || c.finQueued || c.state === 0) return;
    c.finQueued = true;
    c.tcp.markDirty(c);
  }

  /**
   * Nobody here waits for the peer any more: after `end()`, a peer that is silent for a minute without closing is
   * given up, and one that takes nothing of what is left, through three timeouts or by a closed window. Without it such a connection stays
   * for as long as the peer likes.
   */
  letGo(): void {
    const c = this.connection;
    if (c === null || c.orphan) return;
    c.orphan = true;
    if (c.userTimeoutMs === 0 || c.userTimeoutMs > ORPHAN_TIMEOUT_MS) c.userTimeoutMs = ORPHAN_TIMEOUT_MS;
    if (c.state === FIN_WAIT_2) armFinWait2(c.tcp, c);
  }

  /** RST now; whatever was not sent or not read is lost. `onClose` follows with the next poll. */
  abort(): void {
    const c = this.connection;
    if (c !== null) abort(c.tcp, c);
  }

  /** Probes a peer that was silent for `idleMs`, and gives it up after three more thirds of that; 0: never. */
  setKeepAlive(idleMs: number): void {
    const c = this.connection;
    if (c === null) return;
    c.keepaliveMs = idleMs;
    if (c.state >= ESTABLISHED) armKeepalive(c.tcp, c);
  }

  /** How long sent data may stay unacknowledged before the connection is given up (RFC 5482); 0: as long as retries go. */
  setUserTimeout(ms: number): void {
    if (this.connection !== null) this.connection.userTimeoutMs = ms;
  }

  /** Nagle's algorithm (RFC 9293 3.7.4): off for a new socket. */
  setNoDelay(noDelay: boolean): void {
    if (this.connection !== null) this.connection.noDelay = noDelay;
  }
}
