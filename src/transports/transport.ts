// What the Redis core knows of the network. Two implementations: `userspace` (our stack) and `kernel`
// (node:net); everything above this file is the same code for both.

import type { ConnectionFacts, ConnectionTraffic, DeviceFacts, ProbeFacts, StackFacts } from './userspace.ts';

export type TransportName = 'userspace' | 'kernel';

/** Why a connection is gone: null when both sides closed in order. */
export type CloseReason = null | 'ECONNRESET' | 'ETIMEDOUT' | 'ECONNREFUSED' | 'EHOSTUNREACH' | 'ECONNABORTED';

/** One established byte stream, as its handler sees it. */
export interface Connection {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** Bytes taken by `write` that the peer has not acknowledged (userspace) or the kernel not taken (kernel). */
  readonly queuedBytes: number;
  /**
   * Takes as many bytes as there is room for and returns that number; fewer than `length` means that `onDrain`
   * follows. The range may be reused at once. Nothing leaves before the transport's `beforeOutput` has run.
   */
  write(bytes: Uint8Array, offset: number, length: number): number;
  /** Stops `onData`: the peer's window closes. */
  pause(): void;
  resume(): void;
  /**
   * FIN behind everything written; reading goes on. `onClose` follows when the peer has closed too, or has been silent
   * for a minute.
   * @param patient a silent peer is waited for: the application is still interested in what it may say.
   */
  end(patient?: boolean): void;
  /** RST now; `onClose` follows. */
  destroy(): void;
  /** Lets go: what was written is delivered, FIN behind it, nothing more is received. The handler hears nothing more. */
  close(): void;
  /** Nagle's algorithm off (as it is for a new connection) or on. */
  setNoDelay(noDelay: boolean): void;
  /** Probes a peer that was silent for `idleMs`; 0: never. */
  setKeepAlive(idleMs: number): void;
}

/** What a connection tells its owner. Handlers never throw. */
export interface ConnectionHandler {
  /**
   * Received bytes in stream order, readable only during the call; the handler takes all of them. It may call any
   * method of the connection.
   */
  onData(bytes: Uint8Array, offset: number, length: number): void;
  /** There is room again after a short `write`. */
  onDrain(): void;
  /** The peer sent FIN: no more data comes, writing still works. */
  onEnd(): void;
  /** Gone for good; called exactly once, last. */
  onClose(reason: CloseReason): void;
}

/** Takes a new connection; null refuses it (RST). It may close the connection already: then its handler hears nothing. */
export type Acceptor = (connection: Connection) => ConnectionHandler | null;

export interface Listener {
  readonly address: string;
  readonly port: number;
  /** Stops accepting; connections that exist go on. */
  close(): void;
}

/** What a capture is to contain, and where its pcapng bytes go. */
export interface CaptureRequest {
  /** Whether a frame is wanted; the range is the whole frame, Ethernet header first where the medium has one. */
  matches(bytes: Uint8Array, offset: number, length: number): boolean;
  /** Bytes kept of each frame; 0: all. */
  readonly snapLength: number;
  /** Never waits: what is refused by a backlog that is too long is counted in the file. */
  readonly sink: { bytes(bytes: Uint8Array): void; readonly backlog: number };
}

/** Looks into our own stack, for tools: plain data, made when asked for. */
export interface StackInsight {
  /** What frames are, as captures number it: LINKTYPE_ETHERNET or LINKTYPE_RAW. */
  readonly linkType: number;
  stackFacts(): StackFacts;
  /** Of these the few that metrics ask for again and again. */
  deviceFacts(): DeviceFacts;
  /** Begins a capture of the frames that pass from now on. @returns ends it. */
  startCapture(request: CaptureRequest, idOf: (handler: ConnectionHandler) => number): () => void;
  /**
   * The stack's connections.
   * @param idOf the number of a handler that an acceptor has given; 0: it has none. @param limit at most so many.
   */
  connectionFacts(idOf: (handler: ConnectionHandler) => number, limit: number): ConnectionFacts[];
  /** Who moves the most bytes. @returns what to call again and again, each time for what moved since. */
  watchTraffic(idOf: (handler: ConnectionHandler) => number): (limit: number) => ConnectionTraffic[];
  /**
   * Asks a host whether it is there.
   * @param sizes of the IP packets that are sent, bytes; absent: small ones, and as large as the link takes.
   * @throws TransportError EINVAL, ENETUNREACH when it is no address that we could speak to.
   */
  probe(address: string, timeoutMs: number, sizes?: readonly number[]): Promise<ProbeFacts>;
}

/** What the time of all ticks since the measuring began was spent on, microseconds; estimated from a sample of them. */
export interface TickBudget {
  /** Receiving, TCP and the commands themselves. */
  readonly inputUs: number;
  /** Between input and output: the append-only file. */
  readonly persistenceUs: number;
  /** Building segments and handing them to the device. */
  readonly outputUs: number;
}

/** Ticks by their length: how long a request that came with one was in the stack at most. */
export interface TickTimes {
  /** Ticks that took at most so many microseconds, for each limit; ascending. */
  countsUpTo(limitsUs: readonly number[]): readonly number[];
  readonly total: number;
  readonly sumUs: number;
}

/** A point of a sequence plot: kind (`sent`, `again`, `ack`, `received`), microseconds, bytes since the origin, length. */
export type TracePoint = readonly [kind: 's' | 'r' | 'a' | 'd', atUs: number, sequence: number, length: number];

/** The segments of one connection, recorded until `stop`. */
export interface SegmentTrace {
  /** Where it stood when recording began: round trip (microseconds), congestion window and segment size (bytes). */
  origin(): { readonly rttUs: number; readonly cwnd: number; readonly mss: number };
  /** What was recorded since the last time; `ended`: the connection is gone. */
  take(): { readonly points: readonly TracePoint[]; readonly lost: number; readonly ended: boolean };
  stop(): void;
}

export interface ConnectOptions {
  /** Gives the attempt up. */
  readonly signal?: AbortSignal | undefined;
  /** One of our addresses; without it the route decides. */
  readonly localAddress?: string | undefined;
  /** 0 or absent: any that is free. */
  readonly localPort?: number | undefined;
}

export interface Transport {
  /** Only a transport of our own has one. */
  readonly insight?: StackInsight;
  readonly name: TransportName;
  /**
   * Called once a tick, after every `onData` and before any byte written leaves: the place for the append-only
   * file. Set by the server before `listen`.
   */
  beforeOutput: () => void;
  /**
   * From within a handler that goes on for long: hands what has arrived to the handlers of other connections that are
   * not paused, accepts new ones, and lets what they write leave. The wall clock stands still. The bytes that the
   * handler was given are gone afterwards. New connections over TLS have to wait: a handshake needs Node's event loop.
   */
  serveNow?(): void;
  /** Names and values for INFO, beyond the transport's name. */
  facts?(): readonly (readonly [name: string, value: string | number])[];
  /** Where ticks spend their time; null until it was measured. Measuring begins with the first look that asks for it. */
  tickBudget?(): TickBudget | null;
  tickTimes?(): TickTimes | null;
  /** Ticks are measured, a sample of them, from now on. */
  measureTicks?(stopwatch: () => number): void;
  /** Records a connection's segments, in place of one recorded before; null: it is not open. */
  traceSegments?(connection: Connection): SegmentTrace | null;
  /**
   * @param address one of ours; `*`: all. The listener's own address says then which kind that is.
   * @throws TransportError when the address cannot be listened on; the message says what to do.
   */
  listen(address: string, port: number, backlog: number, acceptor: Acceptor): Promise<Listener>;
  /**
   * Opens a connection; resolves when it is established and `attach` has given its handler.
   * @throws TransportError
   */
  connect(
    address: string,
    port: number,
    attach: (connection: Connection) => ConnectionHandler,
    options?: ConnectOptions,
  ): Promise<Connection>;
  /** Whether an open transport keeps the process alive: it does until `unref`. */
  ref(): void;
  unref(): void;
  /** Ends every connection in order (FIN, what was written is delivered), waits at most `graceMs`, then lets go. */
  close(graceMs: number): Promise<void>;
}

/** A listen or connect that failed; `code` is the errno name Node would use. */
export class TransportError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'TransportError';
    this.code = code;
  }
}
